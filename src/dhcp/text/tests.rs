use proptest::prelude::*;

use super::*;

fn header() -> Header<'static> {
    Header {
        op: 1,
        htype: 1,
        hlen: 6,
        hops: 0,
        xid: 0xc33f_c34f,
        secs: 11,
        flags: 0,
        ciaddr: Ipv4Addr::UNSPECIFIED,
        yiaddr: Ipv4Addr::UNSPECIFIED,
        siaddr: Ipv4Addr::UNSPECIFIED,
        giaddr: Ipv4Addr::UNSPECIFIED,
        chaddr: &[0x52, 0x54, 0, 0x10, 0, 1],
        sname: &[0; 64],
        file: &[0; 128],
    }
}

const IPXE: &[(u8, &[u8])] = &[
    (53, &[1]),
    (93, &[0, 0]),
    (60, b"PXEClient:Arch:00000:UNDI:002001"),
    (77, b"iPXE"),
    (175, &[177, 5, 1, 0x1a, 0xf4, 0x10, 0, 235, 3, 1, 21, 1, 19, 1, 1, 24, 1, 1]),
    (97, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
    (50, &[10, 0, 0, 9]),
];

#[test]
fn a_client_is_summed_up_in_one_line() {
    let packet = Packet { header: header(), length: 400, options: IPXE };
    assert_eq!(
        packet.summary(),
        "BOOTP/DHCP, Request from 52:54:00:10:00:01, length 400, xid 0xc33fc34f, secs 11, Flags [none] (0x0000)"
    );
    assert_eq!(
        packet.brief(),
        "DISCOVER, arch x86-bios (0), class \"PXEClient:Arch:00000:UNDI:002001\", user class \"iPXE\", \
         iPXE 1.21.1 (HTTP bzImage) on pci 1af4:1000, has both offers, sent 2, \
         uuid 04030201-0605-0807-090a-0b0c0d0e0f10 or 01020304-0506-0708-090a-0b0c0d0e0f10, wants 10.0.0.9"
    );
}

/// `secs` of other clients is time, and in a reply it is an echo at best.
#[test]
fn only_ipxe_has_its_state_read_from_secs() {
    let state = IpxeState { proxy_offer: true, dhcp_offer: true, sent: 2 };
    assert_eq!(Packet { header: header(), length: 300, options: IPXE }.ipxe_state(), Some(state));
    assert_eq!(Packet { header: header(), length: 300, options: &IPXE[..3] }.ipxe_state(), None);
    let reply = Packet { header: Header { op: 2, ..header() }, length: 300, options: IPXE };
    assert_eq!(reply.ipxe_state(), None);
}

/// [P5]: fields that hold options hold no names.
#[test]
fn an_overloaded_field_is_not_shown_as_a_name() {
    let fields = Header { sname: b"server\0", file: b"loader\0junk", ..header() };
    let plain = Packet { header: fields, length: 300, options: &[] };
    assert_eq!(
        plain.details(),
        ["Client-Ethernet-Address 52:54:00:10:00:01", "sname \"server\"", "file \"loader\""]
    );
    for (bits, shown) in [(1, "sname \"server\""), (2, "file \"loader\"")] {
        let options: &[(u8, &[u8])] = &[(52, &[bits])];
        let packet = Packet { header: fields, length: 300, options };
        assert_eq!(packet.details()[1], shown);
    }
}

#[test]
fn json_carries_types_and_exact_bytes() {
    let reply = Header { op: 2, yiaddr: Ipv4Addr::new(10, 0, 0, 9), file: b"a\x1bb\0", ..header() };
    let options: &[(u8, &[u8])] =
        &[(53, &[2]), (51, &[0, 0, 14, 16]), (6, &[10, 0, 0, 1, 10, 0, 0, 2]), (224, b"\x00\x01"), (1, &[9])];
    let json = Packet { header: reply, length: 300, options }.json();
    assert_eq!(json["message"], "OFFER");
    assert_eq!(json["yiaddr"], "10.0.0.9");
    assert_eq!(json["ciaddr"], Value::Null);
    assert_eq!(json["file"], "a\\x1bb");
    assert_eq!(json["options"][1]["value"], 3600);
    assert_eq!(json["options"][2]["value"], json!(["10.0.0.1", "10.0.0.2"]));
    assert_eq!(
        json["options"][3],
        json!({ "code": 224, "name": "option-224", "length": 2, "value": "0001", "hex": "0001" })
    );
    assert_eq!(json["options"][4]["value"], "[malformed: needs 4 bytes] 09");
}

/// A line of a log is one line, whatever a client puts into its fields.
fn printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(map) => map.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_packet_has_a_text_without_control_characters(
        op: u8, htype in 0..3_u8, hlen: u8, hops: u8, xid: u32, secs: u16, flags: u16, giaddr: u32,
        chaddr in prop::collection::vec(any::<u8>(), 0..=16),
        sname in prop::collection::vec(any::<u8>(), 0..=64),
        file in prop::collection::vec(any::<u8>(), 0..=128),
        options in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        let options: Vec<(u8, &[u8])> = options.iter().map(|(code, value)| (*code, &value[..])).collect();
        let header = Header {
            op, htype, hlen, hops, xid, secs, flags, giaddr: Ipv4Addr::from(giaddr),
            chaddr: &chaddr, sname: &sname, file: &file, ..header()
        };
        let packet = Packet { header, length: 300, options: &options };
        prop_assert!(printable(&packet.summary()));
        prop_assert!(printable(&packet.brief()));
        prop_assert!(packet.details().iter().all(|line| printable(line)));
        prop_assert!(strings(&packet.json()).into_iter().all(printable));
    }
}
