//! Section by section of RFC 8415 and rule by rule, one question each.

#![allow(clippy::unwrap_used, reason = "a test may fail so")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::config::file::{Flags, Written};
use crate::config::{FirmwareSource, HttpListen, SubnetV6};
use crate::dhcp::v6::reply::option;
use crate::firmware::{Loader, Loaders};
use crate::records::{BootEntry, BootFile, Nic, Origin, Selectors, Snapshot};

const CARD: [u8; 6] = [0x52, 0x54, 0, 0xbe, 0xef, 1];
const OTHER: [u8; 6] = [0x52, 0x54, 0, 0xbe, 0xef, 2];
const STRANGER: [u8; 6] = [0x52, 0x54, 0, 0x99, 0x99, 9];
const UUID: &str = "11223344-5566-7788-99aa-bbccddeeff00";
const PXE: &[u8] = b"\0\0\x01\x57\0\x20PXEClient:Arch:00007:UNDI:003010";
const HTTP: &[u8] = b"\0\0\x01\x57\0\x0aHTTPClient";

/// One question, with everything at its most usual: the firmware of compute1 on its own link.
struct Ask {
    kind: u8,
    options: Vec<(u16, Vec<u8>)>,
    hops: Vec<Vec<u8>>,
    arrival: ArrivalV6,
    nodes: Vec<Node>,
    entries: Vec<BootEntry>,
    subnets: Vec<SubnetV6>,
    http: Vec<HttpListen>,
    observe_as: Option<Mode>,
}

struct Answered {
    decision: DecisionV6,
    bytes: Vec<u8>,
}

impl Answered {
    fn read(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }

    fn reply(&self) -> &Reply {
        match &self.decision.verdict {
            VerdictV6::Answer(answer) | VerdictV6::WouldAnswer(answer) => &answer.reply,
            VerdictV6::Silence(reason) => panic!("silence {reason}: {:?}", self.decision.because),
        }
    }

    fn url(&self) -> Option<&str> {
        self.reply().option(59).map(|url| std::str::from_utf8(url).unwrap())
    }

    fn silence(&self) -> Reason {
        match &self.decision.verdict {
            VerdictV6::Silence(reason) => *reason,
            VerdictV6::Answer(answer) | VerdictV6::WouldAnswer(answer) => panic!("an answer: {answer:?}"),
        }
    }

    /// Status codes inside the identity associations, in order; 0 where there is an address.
    fn statuses(&self) -> Vec<u16> {
        let ias = self.reply().options.iter().filter(|(code, _)| [3, 4, 25].contains(code));
        ias.map(|(code, value)| {
            let inside = &value[if *code == 4 { 4 } else { 12 }..];
            match inside[1] {
                13 => u16::from_be_bytes([inside[4], inside[5]]),
                _ => 0,
            }
        })
        .collect()
    }
}

fn mac(bytes: [u8; 6]) -> Mac {
    Mac::new(bytes).unwrap()
}

fn own() -> Vec<u8> {
    duid(mac([2, 0, 0, 0, 0, 1]))
}

fn node(name: &str, card: [u8; 6], addresses: &[&str]) -> Node {
    let addresses = addresses.iter().map(|address| address.parse::<IpAddr>().unwrap()).collect();
    Node {
        name: Some(name.into()),
        nics: vec![Nic { mac: mac(card), addresses }],
        netboot: true,
        ..Node::default()
    }
}

fn entry() -> BootEntry {
    BootEntry {
        name: "lab".into(),
        selectors: Selectors { default: true, ..Selectors::default() },
        arch: Vec::new(),
        kernel: BootFile::Asset("linux".into()),
        initrd: None,
        params: String::new(),
        loader: None,
        script: None,
        priority: 0,
        cloud_init: serde_json::Value::Null,
        origin: Origin::default(),
    }
}

fn ia(code: u16, id: u32, addresses: &[&str]) -> (u16, Vec<u8>) {
    let inside: Vec<u8> =
        addresses.iter().flat_map(|text| reply::address(text.parse().unwrap(), 0)).collect();
    (code, reply::association(code, id, None, &inside))
}

fn duid_ll(card: [u8; 6]) -> (u16, Vec<u8>) {
    (1, duid(mac(card)))
}

impl Ask {
    fn new(kind: u8) -> Self {
        let mut options = vec![
            duid_ll(CARD),
            ia(3, 7, &[]),
            (6, vec![0, 59, 0, 60, 0, 23]),
            (16, PXE.to_vec()),
            (61, vec![0, 7]),
        ];
        if [3, 5, 8, 9].contains(&kind) {
            options.push((2, own()));
        }
        if kind == INFORMATION_REQUEST {
            options.retain(|(code, _)| *code != 3);
        }
        Self {
            kind,
            options,
            hops: Vec::new(),
            arrival: ArrivalV6 {
                interface: "eth0".into(),
                mode: Mode::Reservation,
                served: true,
                mac: Some(mac([2, 0, 0, 0, 0, 1])),
                addresses: vec!["fd00:1::1/64".parse().unwrap()],
                source: SocketAddrV6::new("fe80::99".parse().unwrap(), 546, 0, 3),
                source_mac: None,
                unicast: false,
            },
            nodes: vec![
                node("compute1", CARD, &["10.0.0.11", "fd00:1::11", "fd00:1::12"]),
                node("compute2", OTHER, &["fd00:1::22"]),
            ],
            entries: vec![entry()],
            subnets: Vec::new(),
            http: vec![HttpListen { address: None, port: 8081 }],
            observe_as: None,
        }
    }

    fn without(mut self, code: u16) -> Self {
        self.options.retain(|(known, _)| *known != code);
        self
    }

    fn with(mut self, code: u16, value: impl Into<Vec<u8>>) -> Self {
        self.options.push((code, value.into()));
        self
    }

    fn set(self, code: u16, value: impl Into<Vec<u8>>) -> Self {
        self.without(code).with(code, value)
    }

    fn relayed(mut self, link: &str, peer: &str, options: &[u8]) -> Self {
        let mut header = vec![12, self.hops.len() as u8];
        header.extend(link.parse::<Ipv6Addr>().unwrap().octets());
        header.extend(peer.parse::<Ipv6Addr>().unwrap().octets());
        header.extend(options);
        self.hops.push(header);
        self.arrival.source = SocketAddrV6::new("fd00:9::2".parse().unwrap(), 547, 0, 0);
        self
    }

    fn ask(&self) -> Answered {
        let mut bytes = vec![self.kind, 0xab, 0xcd, 0xef];
        for (code, value) in &self.options {
            bytes.extend(option(*code, value));
        }
        for header in &self.hops {
            bytes = [header.clone(), option(9, &bytes)].concat();
        }
        let message = Message::parse(&bytes).unwrap();
        let flags =
            Flags { firmware: Some(FirmwareSource::None), http: Some(self.http.clone()), ..Flags::default() };
        let mut settings = Written::default().with(&flags);
        settings.v6.subnets.clone_from(&self.subnets);
        settings.observe_as = self.observe_as.unwrap_or(settings.observe_as);
        let mut loaders = BTreeMap::new();
        for name in ["snponly-x86_64.efi", "snponly-arm64.efi"] {
            let loader = Loader { name: name.into(), path: name.into(), size: 1, content: Arc::from([0_u8]) };
            loaders.insert(name.to_owned(), Arc::new(loader));
        }
        let world = World::new(
            settings,
            Snapshot::new(self.nodes.clone(), self.entries.clone()),
            Loaders::new(loaders),
            crate::boot::template::Templates::default(),
        );
        let decision = decide_v6(&RequestV6 { message: &message, arrival: &self.arrival }, &world);
        let bytes = match &decision.verdict {
            VerdictV6::Answer(answer) | VerdictV6::WouldAnswer(answer) => answer.bytes.clone(),
            VerdictV6::Silence(_) => Vec::new(),
        };
        Answered { decision, bytes }
    }
}

/// [S1]
#[test]
fn each_message_gets_its_answer_to_the_asking_address_at_port_546() {
    for (kind, answer) in [(1, 2), (3, 7), (4, 7), (5, 7), (6, 7), (8, 7), (9, 7), (11, 7)] {
        let mut ask = Ask::new(kind);
        if [4, 5, 6, 8, 9].contains(&kind) {
            ask = ask.without(3);
            ask.options.push(ia(3, 7, &["fd00:1::11"]));
        }
        let answered = ask.ask();
        let read = answered.read();
        assert_eq!((read.kind, read.xid), (answer, 0x00ab_cdef), "message {kind}");
        assert_eq!((read.client_duid, read.server_duid), (Some(&duid(mac(CARD))[..]), Some(&own()[..])));
        let VerdictV6::Answer(sent) = &answered.decision.verdict else { panic!() };
        assert_eq!(sent.to, SocketAddrV6::new("fe80::99".parse().unwrap(), 546, 0, 3), "message {kind}");
        let addressed = [1, 3, 5, 6].contains(&kind);
        assert_eq!(
            read.addresses,
            if addressed { vec!["fd00:1::11".parse::<Ipv6Addr>().unwrap()] } else { vec![] }
        );
        assert!(!answered.decision.because.is_empty());
    }
}

/// [S1]: half and four fifths of the lease; preferred and valid lifetime are the lease.
#[test]
fn the_association_carries_the_lease() {
    let mut ask = Ask::new(REQUEST);
    ask.subnets.push(SubnetV6 {
        subnet: "fd00:1::/64".parse().unwrap(),
        dns: vec!["fd00:1::53".parse().unwrap()],
        domain: Some("cluster.example".into()),
        lease: std::time::Duration::from_secs(1000),
    });
    let answered = ask.set(6, [0, 59, 0, 23, 0, 24]).ask();
    let value = answered.reply().option(3).unwrap();
    assert_eq!(value[..12], [0, 0, 0, 7, 0, 0, 1, 244, 0, 0, 3, 32]);
    assert_eq!(value[32..40], [0, 0, 3, 232, 0, 0, 3, 232]);
    assert_eq!(answered.reply().option(23).unwrap().len(), 16);
    assert_eq!(answered.reply().option(24).unwrap(), b"\x07cluster\x07example\0");
}

/// [S1]: rapid commit only when the client asks for it.
#[test]
fn rapid_commit_answers_a_solicit_by_a_reply_only_where_it_was_asked() {
    let plain = Ask::new(SOLICIT).ask();
    assert_eq!((plain.reply().kind, plain.reply().option(14)), (ADVERTISE, None));
    assert_eq!(plain.reply().option(7), Some(&[255][..]));
    assert_eq!(plain.decision.learned, None);
    let rapid = Ask::new(SOLICIT).with(14, []).ask();
    assert_eq!((rapid.reply().kind, rapid.reply().option(14)), (REPLY, Some(&[][..])));
    assert_eq!(rapid.decision.learned, Some(("fd00:1::11".parse().unwrap(), mac(CARD))));
    assert_eq!(Ask::new(REQUEST).with(14, []).ask().reply().option(14), None);
}

/// [S2]: option 79 before the DUID, the DUID before the frame, the frame before the link-local address, then
/// the UUID.
#[test]
fn a_node_is_known_by_the_first_witness_that_a_record_knows() {
    let name = |answered: &Answered| answered.decision.node.as_ref().map(|node| node.label());
    let compute = |n: u8| Some(format!("compute{n}"));
    let option_79 = |card: [u8; 6]| option(79, &[&[0, 1][..], &card].concat());
    let link_local = |card: [u8; 6]| {
        let [a, b, c, d, e, f] = card;
        let pair = |x, y| u16::from_be_bytes([x, y]);
        Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
    };
    let relayed = Ask::new(SOLICIT).relayed("fd00:1::1", "fe80::5", &option_79(OTHER)).ask();
    assert_eq!(name(&relayed), compute(2), "79 before the DUID");
    let llt = [&[0, 1, 0, 1, 9, 9, 9, 9][..], &CARD].concat();
    let mut ask = Ask::new(SOLICIT).set(1, llt);
    ask.arrival.source_mac = Some(mac(STRANGER));
    assert_eq!(name(&ask.ask()), compute(1), "DUID-LLT before the frame");
    let mut ask = Ask::new(SOLICIT).set(1, [0, 4, 9, 9, 9]);
    ask.arrival.source = SocketAddrV6::new(link_local(CARD), 546, 0, 0);
    assert_eq!(name(&ask.ask()), compute(1), "the link-local address");
    ask.arrival.source_mac = Some(mac(OTHER));
    assert_eq!(name(&ask.ask()), compute(2), "the frame before the link-local address");
    let behind = Ask::new(SOLICIT).set(1, [0, 4, 9]).relayed("fd00:1::1", &link_local(CARD).to_string(), &[]);
    assert_eq!(name(&behind.ask()), compute(1), "the link-local address that the relay heard");
    assert_eq!(Ask::new(SOLICIT).set(1, duid(mac(STRANGER))).ask().silence(), Reason::UnknownMac);
}

/// [S2]: iPXE and OVMF send a DUID-UUID; firmware stores UUIDs in either byte order.
#[test]
fn a_duid_uuid_finds_its_node_in_both_byte_orders() {
    let uuid: crate::records::Uuid = UUID.parse().unwrap();
    for text in [UUID.to_owned(), uuid.swapped().to_string()] {
        let bytes: Vec<u8> = (0..32)
            .step_by(2)
            .map(|at| u8::from_str_radix(&text.replace('-', "")[at..at + 2], 16).unwrap())
            .collect();
        let mut ask = Ask::new(SOLICIT).set(1, [&[0, 4][..], &bytes].concat());
        ask.nodes[0].uuid = Some(uuid);
        let answered = ask.ask();
        assert_eq!(answered.read().addresses, ["fd00:1::11".parse::<Ipv6Addr>().unwrap()], "{text}");
    }
}

/// [S2]: machines copied from one disk share a DUID, and two must not get one address.
#[test]
fn a_frame_from_a_known_card_beats_another_nodes_duid() {
    let mut ask = Ask::new(SOLICIT);
    ask.arrival.source_mac = Some(mac(OTHER));
    let answered = ask.ask();
    assert_eq!(answered.read().addresses, ["fd00:1::22".parse::<Ipv6Addr>().unwrap()]);
    assert!(answered.decision.because.iter().any(|step| step.contains("copied system")));
}

/// [S3]: firmware, iPXE and system come with other DUIDs and IAIDs and get the same address.
#[test]
fn every_stage_gets_the_same_address() {
    let uuid: crate::records::Uuid = UUID.parse().unwrap();
    let stages = [
        (duid(mac(CARD)), 1),
        ([&[0, 1, 0, 1, 1, 2, 3, 4][..], &CARD].concat(), 2),
        (b"\0\x04\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\0".to_vec(), 3),
    ];
    for (id, iaid) in stages {
        let mut ask = Ask::new(REQUEST).set(1, id).without(3);
        ask.options.push(ia(3, iaid, &[]));
        ask.nodes[0].uuid = Some(uuid);
        let answered = ask.ask();
        assert_eq!(answered.read().addresses, ["fd00:1::11".parse::<Ipv6Addr>().unwrap()]);
        assert_eq!(answered.read().ias[0].id, iaid);
    }
}

/// [S4]: firmware solicits whatever the router says, and fails without an address.
#[test]
fn firmware_that_solicits_gets_an_address_with_its_url() {
    let answered = Ask::new(SOLICIT).ask();
    assert_eq!(answered.statuses(), [0]);
    assert_eq!(answered.url(), Some("tftp://[fd00:1::1]/snponly-x86_64.efi"));
}

/// [S6]: behind a relay without a configured subnet the link's prefix is 64 bits long.
#[test]
fn without_a_subnet_a_relayed_link_is_a_64() {
    let near = Ask::new(SOLICIT).relayed("fd00:1::ff", "fe80::5", &[]).ask();
    assert_eq!(near.statuses(), [0]);
    let far = Ask::new(SOLICIT).relayed("fd00:2::ff", "fe80::5", &[]).ask();
    assert_eq!(far.silence(), Reason::AddressOutside);
}

/// [S7]
#[test]
fn http_boot_gets_option_16_and_a_url_with_an_address_in_brackets() {
    let answered = Ask::new(SOLICIT).set(16, HTTP).set(61, [0, 16]).ask();
    assert_eq!(answered.url(), Some("http://[fd00:1::1]:8081/snponly-x86_64.efi"));
    assert_eq!(answered.reply().option(16), Some(HTTP));
    let mut deaf = Ask::new(SOLICIT).set(16, HTTP).set(61, [0, 16]);
    deaf.http = vec!["10.0.0.1:80".parse().unwrap()];
    let answered = deaf.ask();
    assert_eq!((answered.url(), answered.reply().option(16)), (None, None));
    let VerdictV6::Answer(answer) = &answered.decision.verdict else { panic!() };
    assert_eq!(answer.without_boot, Some(Reason::NoLoader));
}

/// [S8]: brackets, no port, one slash.
#[test]
fn pxe_gets_a_tftp_url_that_shim_can_read() {
    let mut ask = Ask::new(REQUEST);
    ask.nodes[0].loader = Some("debian/shimx64.efi".into());
    let answered = ask.ask();
    assert_eq!(answered.url(), Some("tftp://[fd00:1::1]/debian/shimx64.efi"));
    assert_eq!(answered.reply().option(16), None);
}

/// Row 42 of the quirks: EDK2 reads option 60 as a size and drops the reply.
#[test]
fn option_60_is_never_sent_although_firmware_lists_it() {
    for ask in [Ask::new(SOLICIT), Ask::new(SOLICIT).set(16, HTTP), Ask::new(INFORMATION_REQUEST)] {
        assert_eq!(ask.ask().reply().option(60), None);
    }
}

/// [S9]
#[test]
fn without_option_61_the_vendor_class_tells_the_architecture() {
    let answered = Ask::new(SOLICIT).without(61).ask();
    assert_eq!(answered.url(), Some("tftp://[fd00:1::1]/snponly-x86_64.efi"));
    let text = b"\0\0\x01\x57\0\x20PXEClient:Arch:00011:UNDI:003010".to_vec();
    assert_eq!(
        Ask::new(SOLICIT).without(61).set(16, text).ask().url(),
        Some("tftp://[fd00:1::1]/snponly-arm64.efi")
    );
}

/// [S10]: iPXE fetches no autoexec.ipxe over IPv6, so option 59 is its script.
#[test]
fn ipxe_gets_its_script_by_option_59() {
    for class in [&b"\0\x04iPXE"[..], b"iPXE"] {
        let answered = Ask::new(SOLICIT).with(15, class).ask();
        assert_eq!(answered.url(), Some("http://[fd00:1::1]:8081/boot/v1/bootscript?mac=52:54:00:be:ef:01"));
    }
}

/// [S11]: beside another server only the URL is told, and only to who asks for nothing else.
#[test]
fn in_proxy_mode_only_an_information_request_is_answered_and_with_the_url_alone() {
    for kind in [SOLICIT, REQUEST, CONFIRM, RENEW, REBIND, RELEASE, DECLINE] {
        let mut ask = Ask::new(kind);
        ask.arrival.mode = Mode::Proxy;
        assert_eq!(ask.ask().silence(), Reason::NoProxyV6, "message {kind}");
    }
    let mut ask = Ask::new(INFORMATION_REQUEST);
    ask.arrival.mode = Mode::Proxy;
    let answered = ask.ask();
    assert_eq!(answered.url(), Some("tftp://[fd00:1::1]/snponly-x86_64.efi"));
    assert_eq!(answered.reply().options.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [1, 2, 59]);
    let mut system = Ask::new(INFORMATION_REQUEST).without(16).without(61).set(6, [0, 23]);
    system.arrival.mode = Mode::Proxy;
    assert_eq!(system.ask().silence(), Reason::NotPxe);
    // PXE over IPv6 is for UEFI.
    let bios = Ask::new(SOLICIT).without(16).set(61, [0, 0]).ask();
    assert_eq!((bios.url(), bios.statuses()), (None, vec![0]));
}

#[test]
fn a_message_for_another_server_is_left_to_it() {
    for kind in [REQUEST, RENEW, RELEASE, DECLINE, INFORMATION_REQUEST] {
        let ask = Ask::new(kind).set(2, duid(mac(STRANGER)));
        assert_eq!(ask.ask().silence(), Reason::OtherServerChosen, "message {kind}");
    }
}

#[test]
fn what_rfc_8415_wants_discarded_is_discarded() {
    for ask in [
        Ask::new(SOLICIT).without(1),
        Ask::new(SOLICIT).with(2, own()),
        Ask::new(REQUEST).without(2),
        Ask::new(REBIND).with(2, own()),
        Ask::new(CONFIRM).without(1),
        Ask::new(INFORMATION_REQUEST).with(3, [0; 12]),
        Ask::new(SOLICIT).set(1, vec![0; 131]),
        Ask::new(CONFIRM),
    ] {
        assert_eq!(ask.ask().silence(), Reason::Malformed);
    }
    for kind in [ADVERTISE, REPLY, 10] {
        assert_eq!(Ask::new(kind).ask().silence(), Reason::NotARequest);
    }
}

#[test]
fn temporary_addresses_prefixes_and_a_second_address_are_refused_by_status() {
    let mut ask = Ask::new(SOLICIT);
    ask.options.extend([ia(3, 8, &[]), ia(4, 9, &[]), ia(25, 10, &[])]);
    let answered = ask.ask();
    assert_eq!(answered.statuses(), [0, status::NO_ADDRESSES, status::NO_ADDRESSES, status::NO_PREFIX]);
    assert_eq!(answered.read().addresses.len(), 1);
}

#[test]
fn a_node_without_an_address_is_left_to_others_and_told_so_when_it_asks_us() {
    for (addresses, reason) in
        [(&["10.0.0.11"][..], Reason::NoAddress), (&["fd00:5::1"][..], Reason::AddressOutside)]
    {
        let mut solicit = Ask::new(SOLICIT);
        solicit.nodes = vec![node("compute1", CARD, addresses)];
        assert_eq!(solicit.ask().silence(), reason);
        let mut request = Ask::new(REQUEST);
        request.nodes.clone_from(&solicit.nodes);
        assert_eq!(request.ask().statuses(), [status::NO_ADDRESSES]);
        let mut renew = Ask::new(RENEW);
        renew.nodes = solicit.nodes;
        assert_eq!(renew.ask().statuses(), [status::NO_BINDING]);
    }
}

#[test]
fn addresses_of_another_link_are_named_not_on_link() {
    let mut ask = Ask::new(REQUEST).without(3);
    ask.options.push(ia(3, 7, &["fd00:2::5"]));
    assert_eq!(ask.ask().statuses(), [status::NOT_ON_LINK]);
    for (address, code) in [("fd00:2::5", status::NOT_ON_LINK), ("fd00:1::77", status::SUCCESS)] {
        let mut ask = Ask::new(CONFIRM).without(3);
        ask.options.push(ia(3, 7, &[address]));
        assert_eq!(ask.ask().read().status.unwrap().0, code, "{address}");
    }
}

#[test]
fn renewing_a_wrong_address_ends_it_and_gives_the_right_one() {
    for kind in [RENEW, REBIND] {
        let mut ask = Ask::new(kind).without(3);
        ask.options.push(ia(3, 7, &["fd00:1::77"]));
        let answered = ask.ask();
        let texts: Vec<String> = answered.read().addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["fd00:1::11", "fd00:1::77"]);
        let value = answered.reply().option(3).unwrap();
        assert_eq!(value[12 + 28 + 20..], [0; 8], "lifetimes of zero");
    }
}

#[test]
fn release_and_decline_are_confirmed_and_a_foreign_address_has_no_binding() {
    for kind in [RELEASE, DECLINE] {
        let mut ask = Ask::new(kind).without(3);
        ask.options.extend([ia(3, 7, &["fd00:1::11"]), ia(3, 8, &["fd00:1::66"])]);
        let answered = ask.ask();
        assert_eq!(answered.read().status.unwrap().0, status::SUCCESS);
        assert_eq!(answered.statuses(), [status::NO_BINDING]);
        assert_eq!(answered.read().ias[0].id, 8);
    }
}

#[test]
fn a_relayed_answer_goes_back_to_the_relay_with_its_interface_id() {
    let ask = Ask::new(SOLICIT).relayed("fd00:1::ff", "fe80::5", &option(18, b"ge-0/1"));
    let ask = ask.relayed("::", "fd00:1::ff", &[]);
    let answered = ask.ask();
    let VerdictV6::Answer(answer) = &answered.decision.verdict else { panic!() };
    assert_eq!(answer.to, SocketAddrV6::new("fd00:9::2".parse().unwrap(), 547, 0, 0));
    let read = answered.read();
    assert_eq!((read.kind, read.hops.len()), (ADVERTISE, 2));
    assert_eq!((read.hops[0].count, read.hops[1].interface_id), (1, Some(&b"ge-0/1"[..])));
    assert_eq!(read.hops[1].peer.to_string(), "fe80::5");
}

#[test]
fn unicast_is_sent_back_to_the_group() {
    for kind in [REQUEST, RENEW, RELEASE, DECLINE] {
        let mut ask = Ask::new(kind);
        ask.arrival.unicast = true;
        assert_eq!(ask.ask().read().status.unwrap().0, status::USE_MULTICAST, "message {kind}");
    }
}

#[test]
fn an_interface_where_dhcpv6_is_off_or_that_has_no_card_answers_nothing() {
    let mut ask = Ask::new(SOLICIT);
    ask.arrival.served = false;
    assert_eq!(ask.ask().silence(), Reason::Dhcpv6NotServed);
    let mut ask = Ask::new(SOLICIT);
    ask.arrival.mac = None;
    assert_eq!(ask.ask().silence(), Reason::NoOwnAddressV6);
}

#[test]
fn a_node_that_shall_not_boot_gets_its_address_and_no_url() {
    let mut off = Ask::new(SOLICIT);
    off.nodes[0].netboot = false;
    let answered = off.ask();
    assert_eq!((answered.url(), answered.statuses()), (None, vec![0]));
    let VerdictV6::Answer(answer) = &answered.decision.verdict else { panic!() };
    assert_eq!(answer.without_boot, Some(Reason::NetbootOff));
    off.arrival.mode = Mode::Proxy;
    off.kind = INFORMATION_REQUEST;
    assert_eq!(off.without(3).ask().silence(), Reason::NetbootOff);
    // The record restricts the mode of its interface.
    let mut restricted = Ask::new(SOLICIT);
    restricted.nodes[0].mode = Some(Mode::Proxy);
    assert_eq!(restricted.ask().silence(), Reason::NoProxyV6);
    // Without a boot entry: the waiting script where we give the addresses, silence beside another server.
    let mut waiting = Ask::new(SOLICIT).with(15, *b"\0\x04iPXE");
    waiting.entries.clear();
    assert!(waiting.ask().url().unwrap().contains("/boot/v1/bootscript"));
    let mut silent = Ask::new(INFORMATION_REQUEST);
    silent.entries.clear();
    silent.arrival.mode = Mode::Proxy;
    assert_eq!(silent.ask().silence(), Reason::NoBootEntry);
}

#[test]
fn where_we_only_observe_nothing_is_sent_and_the_log_says_what_would_have_been() {
    for kind in [REQUEST, INFORMATION_REQUEST] {
        let mut ask = Ask::new(kind);
        ask.arrival.mode = Mode::Observe;
        ask.observe_as = Some(Mode::Reservation);
        let answered = ask.ask();
        assert!(matches!(answered.decision.verdict, VerdictV6::WouldAnswer(_)), "message {kind}");
        assert_eq!(answered.url(), Some("tftp://[fd00:1::1]/snponly-x86_64.efi"));
        assert_eq!(answered.decision.learned, None);
        let mut node = Ask::new(kind);
        node.nodes[0].mode = Some(Mode::Observe);
        assert!(matches!(node.ask().decision.verdict, VerdictV6::WouldAnswer(_)), "message {kind}");
        let mut only = Ask::new(kind);
        only.arrival.mode = Mode::Only4011;
        assert_eq!(only.ask().silence(), Reason::Only4011);
    }
}

#[test]
fn a_system_gets_an_address_and_no_url() {
    let answered = Ask::new(SOLICIT).without(16).without(61).set(6, [0, 23, 0, 24]).ask();
    assert_eq!((answered.url(), answered.statuses()), (None, vec![0]));
    let VerdictV6::Answer(answer) = &answered.decision.verdict else { panic!() };
    assert_eq!(answer.without_boot, None);
}

#[test]
fn a_packet_full_of_associations_gets_a_bounded_answer() {
    let mut ask = Ask::new(SOLICIT);
    ask.options.extend((0..200).map(|id| ia(3, id, &[])));
    assert_eq!(ask.ask().statuses().len(), ASSOCIATIONS_MAX);
}

proptest! {
    /// Whatever arrives gets an answer that reads back, or a reason; the same for the same question.
    #[test]
    fn the_decision_is_total_and_the_same_for_the_same_question(
        kind in 1..12_u8,
        options in proptest::collection::vec((0..80_u16, proptest::collection::vec(any::<u8>(), 0..60)), 0..8),
        known in any::<bool>(),
    ) {
        let mut ask = Ask::new(kind);
        if !known {
            ask.options.clear();
        }
        ask.options.extend(options);
        let (first, second) = (ask.ask(), ask.ask());
        prop_assert_eq!(&first.bytes, &second.bytes);
        if let VerdictV6::Answer(_) = first.decision.verdict {
            let read = first.read();
            prop_assert!(!read.truncated && !read.from_client());
        }
    }
}
