//! What bootlace sent, as tshark reads it and as our own decoder reads it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use bootlace::dhcp::Packet;

use crate::vlan::{SERVER, Vlan};

#[path = "../support/pcap.rs"]
mod pcap;

/// Fields compared; what `ours` reads.
const FIELDS: [&str; 7] = [
    "frame.number",
    "dhcp.option.type",
    "dhcp.option.dhcp",
    "dhcp.id",
    "dhcp.ip.your",
    "dhcp.ip.server",
    "dhcp.file",
];

/// Every answer of bootlace in the capture: tshark finds nothing malformed, no warning and no wrong checksum, and reads
/// the options in their order, the type, the transaction, the addresses and the file as our own decoder does.
pub fn agree(vlan: &Vlan, file: &Path) {
    // 0x600000 is the severity "warning", above it is "error". An ERROR of TFTP is itself such a warning.
    let wrong = format!(
        "ip.src=={SERVER} && (dhcp && (_ws.expert.severity >= 0x600000 || ip.checksum.status==0 || \
         udp.checksum.status==0) || (dhcp || tftp) && _ws.malformed)"
    );
    let wrong = vlan.tshark(file, &wrong, &["frame.number", "_ws.expert.message", "_ws.malformed"]);
    assert!(wrong.is_empty(), "{wrong:?}");

    let theirs = vlan.tshark(file, &format!("ip.src=={SERVER} && dhcp"), &FIELDS);
    let sent: Vec<_> = pcap::datagrams(file).into_iter().filter(is_answer).collect();
    assert!(!sent.is_empty(), "no answer of bootlace was captured");
    assert_eq!(theirs.len(), sent.len(), "answers");
    for (their, datagram) in theirs.iter().zip(&sent) {
        let ours = ours(datagram);
        for ((field, our), their) in FIELDS.iter().zip(&ours).zip(their) {
            // End and padding are no options of ours.
            let their: Vec<&str> = their
                .split(',')
                .filter(|code| *field != "dhcp.option.type" || !matches!(*code, "0" | "255"))
                .collect();
            assert_eq!(our, &their.join(","), "frame {}: {field}", datagram.number);
        }
    }
}

fn is_answer(datagram: &pcap::Datagram) -> bool {
    let server: Ipv4Addr = SERVER.parse().unwrap();
    datagram.source.ip() == IpAddr::V4(server) && matches!(datagram.source.port(), 67 | 4011)
}

fn ours(datagram: &pcap::Datagram) -> Vec<String> {
    let packet = Packet::parse(&datagram.payload).unwrap();
    assert_eq!(packet.options.warnings, [], "frame {}", datagram.number);
    let json = packet.shown(|packet| packet.json());
    let text = |key: &str, without: &str| json[key].as_str().unwrap_or(without).to_owned();
    let codes: Vec<String> = packet.options.iter().map(|(code, _)| code.to_string()).collect();
    vec![
        datagram.number.to_string(),
        codes.join(","),
        packet.options.get(53).map(|value| value[0].to_string()).unwrap_or_default(),
        text("xid", ""),
        text("yiaddr", "0.0.0.0"),
        text("siaddr", "0.0.0.0"),
        text("file", ""),
    ]
}
