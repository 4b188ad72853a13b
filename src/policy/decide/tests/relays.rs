//! Relays: every rule of section R, and [D4].

use super::*;
use crate::config::SubnetSettings;
use crate::dhcp::relay::RelayInfo;
use crate::records::SwitchPort;

const RELAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);
/// The node's address behind [`RELAY`].
const BEHIND: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 5);
/// And behind [`SECOND`].
const THERE: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 5);

fn subnet(third: u8) -> SubnetSettings {
    SubnetSettings {
        subnet: format!("10.{third}.0.0/24").parse().unwrap(),
        router: Some(Ipv4Addr::new(10, third, 0, 254)),
        dns: Vec::new(),
        domain: None,
        lease: Duration::from_secs(3600),
        options: Vec::new(),
        knobs: Knobs::default(),
    }
}

/// A question of the node at `address`, through the relay `giaddr`; subnets 10.1 and 10.2 are ours.
fn relayed_to(mode: Mode, giaddr: Ipv4Addr, address: Ipv4Addr, options: &[(u8, &[u8])]) -> Ask {
    let mut ask = ask(mode, options);
    ask.settings.subnets = vec![subnet(1), subnet(2)];
    ask.nodes[0].nics[0].addresses = vec![address.into()];
    ask.patch.extend([(3, vec![1]), (24, giaddr.octets().to_vec())]);
    ask
}

fn relayed(options: &[(u8, &[u8])]) -> Ask {
    relayed_to(Mode::Reservation, RELAY, BEHIND, options)
}

fn to_relay(giaddr: Ipv4Addr) -> Delivery {
    Delivery::Relay(SocketAddrV4::new(giaddr, 67))
}

fn steps(decision: &Decision) -> String {
    decision.because.join("; ")
}

/// [R1]: first of 82.5, 118, giaddr; mask and router are that subnet's.
#[test]
fn the_subnet_of_a_relayed_client_is_told_by_link_selection_then_option_118_then_giaddr() {
    const FIRST: [u8; 4] = [10, 1, 0, 0];
    const SECOND_NET: [u8; 4] = [10, 2, 0, 0];
    let cases = [
        ("giaddr", None, None, RELAY, BEHIND),
        ("subnet selection (118)", None, Some(SECOND_NET), RELAY, THERE),
        ("link selection (82.5)", Some(SECOND_NET), Some(FIRST), RELAY, THERE),
        ("link selection (82.5)", Some(FIRST), None, SECOND, BEHIND),
    ];
    for (by, link, selection, giaddr, address) in cases {
        let link = link.map(|net| [&[5, 4], &net[..]].concat());
        let link = link.iter().map(|value| (82, &value[..]));
        let options: Vec<(u8, &[u8])> = link.chain(selection.iter().map(|net| (118, &net[..]))).collect();
        let decision = relayed_to(Mode::Reservation, giaddr, address, &options).decide();
        let why = steps(&decision);
        assert!(why.contains(&format!("by {by} [R1]")), "{why}");
        let Verdict::Answer(answer) = decision.verdict else { panic!("{by}: {why}") };
        let third = address.octets()[1];
        assert_eq!(answer.reply.yiaddr, address, "{by}");
        assert_eq!(answer.reply.option(3), Some(&[10, third, 0, 254][..]), "{by}: its own router");
        assert_eq!(answer.reply.option(1), Some(&[255, 255, 255, 0][..]), "{by}");
        // [R2]: still to giaddr, whatever was selected.
        assert_eq!(answer.delivery, to_relay(giaddr), "{by}");
        assert_eq!(answer.reply.option(118), selection.as_ref().map(|net| &net[..]), "118 is echoed");
    }
}

/// [R1]: the reserved address is of another subnet than the one that the client is in.
#[test]
fn an_address_outside_of_the_relays_subnet_is_not_given() {
    let ask = relayed_to(Mode::Reservation, SECOND, BEHIND, &[]);
    let decision = ask.decide();
    assert!(matches!(decision.verdict, Verdict::Silence(Reason::AddressOutside)));
    assert!(steps(&decision).contains("the client is in 10.2.0.0/24 by giaddr"), "{}", steps(&decision));
    // Nor is the interface's own address range what a relayed client gets.
    assert_eq!(relayed_to(Mode::Reservation, RELAY, RESERVED, &[]).silence(), Reason::AddressOutside);
}

/// [R2] and row 1 of the destination table: never to the packet's source, from port 67 [D3], with giaddr echoed.
#[test]
fn the_reply_goes_to_giaddr_port_67() {
    let answer = relayed(&[]).answer();
    assert_eq!((answer.delivery, answer.reply.giaddr), (to_relay(RELAY), RELAY));
    let mut broadcast = relayed(&[]);
    broadcast.patch.push((10, vec![0x80]));
    let answer = broadcast.answer();
    assert_eq!((answer.delivery, answer.reply.flags), (to_relay(RELAY), 0x8000), "the relay needs the flag");
    let renewed = relayed(&[]).request(None, None, Some(BEHIND)).answer();
    assert_eq!(renewed.delivery, to_relay(RELAY), "row 1 comes before row 4");
}

/// RFC 8357: a relay may listen on the port that it sent from.
#[test]
fn a_relay_that_states_its_source_port_is_answered_there() {
    let answer = relayed(&[(82, &[19, 0])]).answer();
    assert_eq!(answer.delivery, Delivery::Relay(SocketAddrV4::new(RELAY, 68)));
}

/// [R2]: a NAK to a relay has the broadcast bit, or the relay would unicast it to a client without address.
#[test]
fn a_nak_through_a_relay_is_to_be_broadcast() {
    let answer = relayed(&[]).request(None, Some(Ipv4Addr::new(10, 1, 0, 99)), None).answer();
    assert_eq!((answer.reply.message, answer.delivery), (MessageType::Nak, to_relay(RELAY)));
    assert_eq!(answer.reply.flags, 0x8000);
    let local = reservation(&[]).request(None, Some(Ipv4Addr::new(10, 0, 0, 99)), None).reply();
    assert_eq!(
        (local.message, local.flags),
        (MessageType::Nak, 0),
        "without relay the flags are the client's"
    );
}

/// [R2]: also when nothing of it can be read, and with the client's smallest size.
#[test]
fn option_82_comes_back_byte_for_byte_and_last() {
    for value in [&b"\x01\x02p7\x02\x03\x00\xaa\x01"[..], &[7, 200, 1], &[], &[0xff; 240]] {
        let answer = relayed(&[PXE, BIOS, (97, &[0; 17]), (82, value)]).answer();
        let encoded = answer.reply.encode(answer.limit);
        assert!(encoded.bytes.len() <= 548, "{} bytes", encoded.bytes.len());
        let reply = Packet::parse(&encoded.bytes).unwrap();
        assert_eq!(reply.options.iter().last(), Some((82, value)), "{value:?}");
        assert_eq!(reply.options.get(97), Some(&[0; 17][..]));
    }
}

/// [R3]: in replies, and in what a REQUEST may name.
#[test]
fn a_server_identifier_override_is_option_54_and_means_us() {
    let relay: (u8, &[u8]) = (82, &[11, 4, 10, 1, 0, 1]);
    let offer = relayed(&[PXE, UEFI, relay]).reply();
    assert_eq!(offer.option(54), Some(&RELAY.octets()[..]));
    assert_eq!(offer.siaddr, SERVER, "files still come from us");
    let acked = relayed(&[relay]).request(Some(RELAY), Some(BEHIND), None).reply();
    assert_eq!((acked.message, acked.option(54)), (MessageType::Ack, Some(&RELAY.octets()[..])));
    let renewed = relayed(&[relay]).request(None, None, Some(BEHIND)).reply();
    assert_eq!((renewed.message, renewed.option(54)), (MessageType::Ack, Some(&RELAY.octets()[..])));
    // Our own address keeps meaning us; any other is another server.
    let own = relayed(&[relay]).request(Some(SERVER), Some(BEHIND), None).reply();
    assert_eq!(own.message, MessageType::Ack);
    let other = relayed(&[relay]).request(Some(OTHER), Some(BEHIND), None);
    assert_eq!(other.silence(), Reason::OtherServerChosen);
    let without = relayed(&[]).request(Some(RELAY), Some(BEHIND), None);
    assert_eq!(without.silence(), Reason::OtherServerChosen, "nothing was overridden");
}

/// [R3]: BOOTP knows no server identifier, also where a relay states one (RFC 1534).
#[test]
fn plain_bootp_behind_a_relay_gets_no_server_identifier() {
    let mut ask = relayed(&[(82, &[11, 4, 10, 1, 0, 1])]);
    ask.message = 0;
    ask.settings.knobs.bootp = Some(true);
    let reply = ask.reply();
    assert_eq!((reply.message, reply.yiaddr, reply.option(54)), (MessageType::Bootp, BEHIND, None));
    assert!(reply.option(82).is_some(), "what the relay sent comes back to it");
}

/// [R3] in proxy mode: a REQUEST that names the override is the DHCP server's business all the same.
#[test]
fn a_proxy_offers_the_override_too_and_stays_out_of_the_request() {
    let relay: (u8, &[u8]) = (82, &[11, 4, 10, 1, 0, 1]);
    let ask = || relayed_to(Mode::Proxy, RELAY, BEHIND, &[PXE, UEFI, relay]);
    assert_eq!(ask().reply().option(54), Some(&RELAY.octets()[..]));
    assert_eq!(ask().request(Some(RELAY), Some(BEHIND), None).silence(), Reason::ProxyRequest);
    assert_eq!(ask().request(Some(OTHER), Some(BEHIND), None).silence(), Reason::OtherServerChosen);
}

/// [R4]: what the relay says stands in the decision.
#[test]
fn the_decision_shows_what_option_82_says() {
    let value = b"\x01\x02p7\x02\x02\x00\xaa\x06\x01s\x09\x04\x00\x00\x00\x09\x0a\x01\x80\x0c\x01\x07\x97\x04\x00red\x98\x00";
    let why = steps(&relayed(&[(82, value)]).decide());
    for part in [
        "relayed by 10.1.0.1",
        "Circuit-ID \"p7\"",
        "Remote-ID 00aa",
        "Subscriber-ID \"s\"",
        "Vendor-Information",
        "Relay-Flags unicast",
        "Relay-ID",
        "VSS VRF \"red\"",
        "VSS-Control",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(RelayInfo::parse(value).json()["vss"], "0x00726564");
}

/// [R4]: circuit id and remote id find the node of a card that nobody recorded, after MAC and UUID; both
/// identifiers before one.
#[test]
fn a_switch_port_identifies_the_node_that_no_other_key_does() {
    let port = |circuit: Option<&[u8]>, remote: Option<&[u8]>| SwitchPort {
        circuit_id: circuit.map(Into::into),
        remote_id: remote.map(Into::into),
    };
    let named = |name: &str, mac: u8, port: SwitchPort| Node {
        name: Some(name.into()),
        nics: vec![Nic { mac: Mac::new([2, 0, 0, 0, 0, mac]).unwrap(), addresses: vec![BEHIND.into()] }],
        port,
        netboot: true,
        ..Node::default()
    };
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let by_uuid = Node { uuid: Some(uuid.parse().unwrap()), ..named("by-uuid", 9, SwitchPort::default()) };
    let decide = |nodes: Vec<Node>, options: &[(u8, &[u8])]| {
        let mut ask = relayed(options);
        ask.nodes = nodes;
        ask.decide()
    };
    let all = || {
        vec![
            named("circuit", 1, port(Some(b"p7"), None)),
            named("remote", 2, port(None, Some(&[0, 0xaa]))),
            named("both", 3, port(Some(b"p7"), Some(&[0, 0xaa]))),
            by_uuid.clone(),
        ]
    };
    let cases: [(&[u8], Option<&str>); 5] = [
        (b"\x01\x02p7\x02\x02\x00\xaa", Some("node both by circuit-id p7 remote-id 0x00aa")),
        (b"\x01\x02p7\x02\x01x", Some("node circuit by circuit-id p7")),
        (b"\x01\x02p8\x02\x02\x00\xaa", Some("node remote by remote-id 0x00aa")),
        (b"\x01\x02p8", None),
        (b"\x01\x00", None),
    ];
    for (value, wanted) in cases {
        let decision = decide(all(), &[(82, value)]);
        match wanted {
            Some(step) => {
                assert!(decision.because.iter().any(|found| found == step), "{}", steps(&decision));
                assert!(
                    matches!(&decision.verdict, Verdict::Answer(answer) if answer.reply.yiaddr == BEHIND)
                );
            }
            None => assert!(matches!(decision.verdict, Verdict::Silence(Reason::UnknownMac)), "{value:?}"),
        }
    }
    let full: (u8, &[u8]) = (82, b"\x01\x02p7");
    let wire =
        [0, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
    let decision = decide(all(), &[(97, &wire), full]);
    assert!(steps(&decision).contains(&format!("node by-uuid by uuid {uuid}")), "{}", steps(&decision));
    let decision = decide([all(), vec![node()]].concat(), &[(97, &wire), full]);
    assert!(steps(&decision).contains("node compute1 by mac"), "{}", steps(&decision));
}

/// [R5]: past the relay, to an interface of another subnet.
#[test]
fn a_renewal_from_another_subnet_is_acked_to_the_client() {
    let mut ask = relayed(&[]).request(None, None, Some(BEHIND));
    ask.patch.push((24, vec![0; 4]));
    let answer = ask.answer();
    assert_eq!((answer.reply.message, answer.reply.yiaddr), (MessageType::Ack, BEHIND));
    assert_eq!(answer.delivery, Delivery::Unicast(SocketAddrV4::new(BEHIND, 68)));
    assert_eq!(answer.reply.option(3), Some(&[10, 1, 0, 254][..]));
}

/// [R6]: the offer goes through the relay, as a broadcast on the client's wire; 4011 is asked directly.
#[test]
fn a_proxy_behind_a_relay_offers_through_it_and_acks_on_4011_to_the_client() {
    let offer = relayed_to(Mode::Proxy, RELAY, BEHIND, &[PXE, UEFI]).answer();
    assert_eq!((offer.delivery, offer.reply.flags), (to_relay(RELAY), 0x8000));
    assert_eq!((offer.reply.siaddr, offer.reply.option(54)), (SERVER, Some(&SERVER.octets()[..])));
    let mut asked = relayed_to(Mode::Proxy, Ipv4Addr::UNSPECIFIED, BEHIND, &[PXE, UEFI]).on_4011();
    asked.patch.push((12, vec![10, 1, 0, 77]));
    let ack = asked.answer();
    assert_eq!(ack.delivery, Delivery::Unicast(SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 77), 4011)));
    assert_eq!(ack.reply.file, offer.reply.file);
}

/// The knobs of a proxied client's subnet hold, since the relay tells which it is.
#[test]
fn knobs_of_the_relays_subnet_hold_for_a_proxied_client() {
    let mut ask = relayed_to(Mode::Proxy, RELAY, BEHIND, &[PXE, BIOS]);
    assert!(ask.settings.subnets[0].knobs.option_43.is_none());
    ask.settings.subnets[0].knobs.option_43 = Some(Option43::None);
    assert_eq!(ask.reply().option(43), None);
}

/// [R7]: in every mode, by giaddr and by what the relay or the client selects.
#[test]
fn a_relay_of_no_known_subnet_is_not_answered_and_is_named() {
    let unknown = Ipv4Addr::new(10, 9, 0, 1);
    for mode in [Mode::Proxy, Mode::Reservation] {
        let decision = relayed_to(mode, unknown, BEHIND, &[PXE, UEFI]).decide();
        assert!(matches!(decision.verdict, Verdict::Silence(Reason::UnknownRelaySubnet)));
        assert!(steps(&decision).contains("10.9.0.1 by giaddr is in none of our subnets [R7]"));
        for selection in [(82, &[5, 4, 10, 9, 0, 0][..]), (118, &[10, 9, 0, 0][..])] {
            let ask = relayed_to(mode, RELAY, BEHIND, &[PXE, UEFI, selection]);
            assert_eq!(ask.silence(), Reason::UnknownRelaySubnet);
        }
    }
    // The interface's own network is one of ours without being listed.
    let own = relayed_to(Mode::Reservation, Ipv4Addr::new(10, 0, 0, 3), RESERVED, &[]).answer();
    assert_eq!(own.reply.yiaddr, RESERVED);
}

/// [R8]
#[test]
fn with_trusted_relays_no_other_relay_is_answered_and_no_other_option_82_counts() {
    let trusting = |mut ask: Ask| {
        ask.settings.trusted_relays = [RELAY].into();
        ask
    };
    assert_eq!(trusting(relayed(&[])).answer().delivery, to_relay(RELAY));
    let decision = trusting(relayed_to(Mode::Reservation, SECOND, THERE, &[])).decide();
    assert!(matches!(decision.verdict, Verdict::Silence(Reason::UntrustedRelay)));
    assert!(steps(&decision).contains("10.2.0.1 is not in trusted_relays [R8]"));
    // Option 82 of nobody knows whom: echoed, and nothing more.
    let value = [&[5, 4, 10, 2, 0, 0][..], &[11, 4, 10, 2, 0, 1], b"\x01\x02p7"].concat();
    let mut direct = trusting(reservation(&[(82, &value)]));
    direct.nodes[0].port.circuit_id = Some(b"p8".to_vec());
    let reply = direct.reply();
    assert_eq!((reply.yiaddr, reply.option(54)), (RESERVED, Some(&SERVER.octets()[..])));
    assert_eq!(reply.option(82), Some(&value[..]));
    let mut by_port = trusting(reservation(&[(82, &value)]));
    by_port.nodes[0].nics[0].mac = Mac::new([2, 0, 0, 0, 0, 1]).unwrap();
    by_port.nodes[0].port.circuit_id = Some(b"p7".to_vec());
    assert_eq!(by_port.silence(), Reason::UnknownMac);
}

/// [R8]: two relays in a row, and nobody said whom to trust.
#[test]
fn two_relays_with_option_82_are_noted_when_none_is_trusted_by_name() {
    let mut ask = relayed(&[(82, b"\x01\x02p7")]);
    ask.patch.push((3, vec![2]));
    assert!(steps(&ask.decide()).contains("2 relays: option 82 is taken at its word"));
    assert!(!steps(&relayed(&[(82, b"\x01\x02p7")]).decide()).contains("at its word"));
}

/// [D4]: the broadcast itself and its relayed copy are each answered once; an ordinary repetition always.
#[test]
fn both_ways_of_one_request_are_answered_once_each() {
    let own_relay = Ipv4Addr::new(10, 0, 0, 3);
    let now = Duration::from_secs(1000);
    let ask = |relayed: bool, seen: &Seen| {
        let mut ask = reservation(&[]);
        if relayed {
            ask.patch.extend([(3, vec![1]), (24, own_relay.octets().to_vec())]);
        }
        ask.seen = seen.clone();
        ask.decide()
    };
    let mut seen = Seen::default();
    let apply = |seen: &mut Seen, decision: &Decision| {
        for fact in &decision.remember {
            seen.remember(fact, now - Duration::from_millis(100));
        }
    };
    for _ in 0..2 {
        let direct = ask(false, &seen);
        assert!(matches!(direct.verdict, Verdict::Answer(_)), "no relay yet: every repetition is answered");
        apply(&mut seen, &direct);
    }
    let copy = ask(true, &seen);
    let Verdict::Answer(answer) = &copy.verdict else { panic!("{}", steps(&copy)) };
    assert_eq!(answer.delivery, to_relay(own_relay));
    assert!(steps(&copy).contains("duplicate via relay"), "{}", steps(&copy));
    apply(&mut seen, &copy);
    for relayed in [false, true] {
        let again = ask(relayed, &seen);
        assert!(matches!(again.verdict, Verdict::Silence(Reason::DuplicateViaRelay)), "{relayed}");
        assert!(steps(&again).contains("duplicate via relay"));
    }
}

proptest::proptest! {
    /// [R2]: whatever a relay says, an answer goes to giaddr, with its option 82 as it came.
    #[test]
    fn an_answer_through_a_relay_goes_to_giaddr_with_its_option_82(
        value in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        reserve: bool,
    ) {
        let mode = if reserve { Mode::Reservation } else { Mode::Proxy };
        let decision = relayed_to(mode, RELAY, BEHIND, &[PXE, UEFI, (82, &value)]).decide();
        if let Verdict::Answer(answer) = decision.verdict {
            let to_giaddr = matches!(answer.delivery, Delivery::Relay(to) if *to.ip() == RELAY);
            proptest::prop_assert!(to_giaddr);
            let encoded = answer.reply.encode(answer.limit);
            let reply = Packet::parse(&encoded.bytes).unwrap();
            proptest::prop_assert_eq!(reply.options.get(82), Some(&value[..]));
        }
    }
}
