//! What bootlace sent, as tshark reads it and as our own decoder reads it, field by field.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use bootlace::dhcp::{Packet, v6};
use serde_json::Value;

#[path = "pcap.rs"]
mod pcap;

use pcap::Datagram;

/// What tshark calls the fields of a DHCPv4 answer that are compared, in the order of [`ours`].
const FIELDS: [&str; 19] = [
    "frame.number",
    "dhcp.type",
    "dhcp.hw.type",
    "dhcp.hw.len",
    "dhcp.hops",
    "dhcp.id",
    "dhcp.secs",
    "dhcp.flags",
    "dhcp.ip.client",
    "dhcp.ip.your",
    "dhcp.ip.server",
    "dhcp.ip.relay",
    "dhcp.hw.mac_addr",
    "dhcp.server",
    "dhcp.file",
    "dhcp.option.dhcp",
    "dhcp.option.type",
    "dhcp.option.value",
    "dhcp.option.dhcp_server_id",
];
/// The same of a DHCPv6 answer, in the order of [`ours_v6`].
const FIELDS_V6: [&str; 8] = [
    "dhcpv6.msgtype",
    "dhcpv6.xid",
    "dhcpv6.hopcount",
    "dhcpv6.duid.bytes",
    "dhcpv6.iaaddr.ip",
    "dhcpv6.vendorclass.enterprise",
    "dhcpv6.option.type",
    "dhcpv6.option.length",
];

/// What tshark complains of, and whether it found the checksums right.
const COMPLAINTS: [&str; 5] = [
    "_ws.expert.severity",
    "_ws.expert.message",
    "_ws.malformed",
    "ip.checksum.status",
    "udp.checksum.status",
];
/// The severity "warning"; above it is "error".
const WARNING: u32 = 0x60_0000;

/// Every DHCP and DHCPv6 answer in a capture: tshark finds nothing malformed, no warning and no wrong checksum, and reads
/// what our own decoder reads. Also of another server beside bootlace, which has the same address now and then. Returns
/// how many there were.
///
/// # Panics
/// At the first difference, with its frame.
pub fn agree(file: &Path) -> usize {
    let datagrams = pcap::datagrams(file);
    let answers: Vec<&Datagram> = datagrams.iter().filter(|datagram| is_answer(datagram)).collect();
    if answers.is_empty() {
        return 0;
    }
    // Of TFTP only what is malformed: an ERROR is itself a warning.
    let filter = "dhcp.type == 2 && (udp.srcport == 67 || udp.srcport == 4011) || dhcpv6.msgtype in {2, 7, 13} || \
                  tftp && _ws.malformed";
    let fields = [&FIELDS[..], &FIELDS_V6, &COMPLAINTS].concat();
    let rows: BTreeMap<usize, Vec<String>> =
        tshark(file, filter, &fields).into_iter().map(|row| (row[0].parse().unwrap(), row)).collect();
    for (frame, row) in &rows {
        let [severities, message, malformed, ip, udp] = &row[FIELDS.len() + FIELDS_V6.len()..] else {
            panic!("frame {frame}: {row:?}")
        };
        let warned =
            severities.split(',').any(|severity| severity.parse().is_ok_and(|code: u32| code >= WARNING));
        let bad_checksum = [ip, udp].iter().any(|status| status.as_str() == "0");
        assert!(
            !warned && malformed.is_empty() && !bad_checksum,
            "frame {frame}: {message} {malformed} {row:?}"
        );
    }
    for datagram in &answers {
        let row = rows.get(&datagram.number);
        let row = row.unwrap_or_else(|| panic!("frame {}: no answer to tshark", datagram.number));
        let (v4, v6) = row.split_at(FIELDS.len());
        let (fields, our, their): (&[&str], _, _) = match datagram.source {
            SocketAddr::V4(_) => (&FIELDS, ours(datagram), v4),
            SocketAddr::V6(_) => (&FIELDS_V6, ours_v6(datagram), v6),
        };
        for ((field, our), their) in fields.iter().zip(&our).zip(their) {
            assert_eq!(our, &comparable(field, their), "frame {}: {field}", datagram.number);
        }
    }
    answers.len()
}

fn is_answer(datagram: &Datagram) -> bool {
    if datagram.source.is_ipv4() {
        // A relay asks from port 67, too.
        return matches!(datagram.source.port(), 67 | 4011) && datagram.payload.first() == Some(&2);
    }
    // ADVERTISE, REPLY, RELAY-REPL. A relay hands on what is in them as it is.
    matches!(datagram.payload.first(), Some(2 | 7 | 13)) && datagram.source.port() == 547
}

/// tshark's text in the form of ours.
fn comparable(field: &str, text: &str) -> String {
    match field {
        // End and padding are no options of ours; their places have no value.
        "dhcp.option.type" => {
            let codes = text.split(',').filter(|code| !matches!(*code, "0" | "255"));
            codes.collect::<Vec<_>>().join(",")
        }
        // Option 61 has such fields, too; the header comes first.
        "dhcp.hw.type" | "dhcp.hw.mac_addr" => text.split(',').next().unwrap_or_default().to_owned(),
        _ => text.to_owned(),
    }
}

fn ours(datagram: &Datagram) -> Vec<String> {
    let packet = Packet::parse(&datagram.payload).unwrap();
    assert_eq!(packet.options.warnings, [], "frame {}", datagram.number);
    let json = packet.shown(|packet| packet.json());
    let text = |key: &str, without: &str| json[key].as_str().unwrap_or(without).to_owned();
    let options: Vec<&Value> = json["options"].as_array().unwrap().iter().collect();
    let of_all = |key: &str| -> Vec<String> {
        options
            .iter()
            .map(|option| option[key].as_str().map_or_else(|| option[key].to_string(), str::to_owned))
            .collect()
    };
    let server = packet.options.address(54).map(|address| address.to_string());
    vec![
        datagram.number.to_string(),
        (if json["op"] == "request" { "1" } else { "2" }).to_owned(),
        format!("0x{:02x}", packet.htype()),
        packet.hlen().to_string(),
        packet.hops().to_string(),
        text("xid", ""),
        json["secs"].to_string(),
        (if json["broadcast"] == true { "0x8000" } else { "0x0000" }).to_owned(),
        text("ciaddr", "0.0.0.0"),
        text("yiaddr", "0.0.0.0"),
        text("siaddr", "0.0.0.0"),
        text("giaddr", "0.0.0.0"),
        text("mac", ""),
        text("sname", ""),
        text("file", ""),
        packet.message_type().map(|message| message.to_code().to_string()).unwrap_or_default(),
        of_all("code").join(","),
        of_all("hex").join(","),
        server.unwrap_or_default(),
    ]
}

fn ours_v6(datagram: &Datagram) -> Vec<String> {
    let message = v6::Message::parse(&datagram.payload).unwrap();
    let json = message.json();
    let hops = json["relays"].as_u64().unwrap();
    let kinds = (0..hops).map(|_| "13".to_owned()).chain([message.kind.to_string()]);
    let duids = [&json["client_duid"], &json["server_duid"]];
    let addresses: Vec<&str> =
        json["addresses"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    vec![
        kinds.collect::<Vec<_>>().join(","),
        json["xid"].as_str().unwrap().to_owned(),
        (0..hops).rev().map(|hop| hop.to_string()).collect::<Vec<_>>().join(","),
        duids.iter().filter_map(|duid| duid.as_str()).collect::<Vec<_>>().join(","),
        addresses.join(","),
        json["vendor_class"]["enterprise"].as_u64().map(|number| number.to_string()).unwrap_or_default(),
        numbers_v6(&json["options"], "code").join(","),
        numbers_v6(&json["options"], "length").join(","),
    ]
}

/// A number of each option, one that holds others before them.
fn numbers_v6(options: &Value, key: &str) -> Vec<String> {
    let Some(options) = options.as_array() else { return Vec::new() };
    options
        .iter()
        .flat_map(|option| [vec![option[key].to_string()], numbers_v6(&option["options"], key)].concat())
        .collect()
}

/// Rows of the fields that tshark finds in the packets that match `filter`. All checksums are looked at.
fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-r"]);
    command.arg(file).args(["-Y", filter, "-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark is installed");
    assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("tshark prints text");
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}
