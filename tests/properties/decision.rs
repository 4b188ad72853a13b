//! Promises of the decision, over generated clients.

use std::net::Ipv4Addr;

use bootlace::config::Mode;
use bootlace::dhcp::{MessageType, Packet, Reply, code};
use bootlace::link::delivery::Port;
use bootlace::policy::{Answer, Verdict};
use proptest::prelude::*;

use crate::bodies::{self, RESERVED, SERVER, check_decision, decided};
use crate::seeds::{CLIENTS, request};

/// What a client may add: its list, its size, identities of any length; and what a relay does.
fn options(relay: BoxedStrategy<Vec<u8>>) -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let bytes = |most: usize| proptest::collection::vec(any::<u8>(), 0..most);
    let one = prop_oneof![
        bytes(60).prop_map(|list| (55, list)),
        any::<u16>().prop_map(|size| (57, size.to_be_bytes().to_vec())),
        bytes(600).prop_map(|value| (61, value)),
        bytes(600).prop_map(|value| (97, value)),
        relay.prop_map(|value| (82, value)),
        bytes(40).prop_map(|value| (12, value)),
        bytes(40).prop_map(|value| (43, value)),
    ];
    proptest::collection::vec(one, 0..6)
}

/// Relay information of any kind, readable or not.
fn any_relay() -> BoxedStrategy<Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..600).boxed()
}

/// A circuit-id: names a port, and selects no other subnet or server, as some sub-options do.
fn circuit() -> BoxedStrategy<Vec<u8>> {
    let id = proptest::collection::vec(any::<u8>(), 0..250);
    id.prop_map(|id| [&[1, id.len() as u8][..], &id].concat()).boxed()
}

fn packet(kind: u8, client: usize, more: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let more = more.iter().map(|(code, value)| (*code, &value[..]));
    let all: Vec<(u8, &[u8])> = CLIENTS[client].iter().copied().chain(more).collect();
    request(kind, &all)
}

fn answer(bytes: &[u8], mode: Mode, port: Port) -> Option<Answer> {
    match decided(&Packet::parse(bytes).unwrap(), mode, port).verdict {
        Verdict::Answer(answer) => Some(*answer),
        Verdict::WouldAnswer(_) | Verdict::Silence(_) => None,
    }
}

/// Address, next server, its name, boot file and options.
type Promise<'a> = (Ipv4Addr, Ipv4Addr, &'a str, &'a str, Vec<(u8, &'a [u8])>);

/// What of an offer its ACK must repeat.
fn promised(reply: &Reply) -> Promise<'_> {
    let options: Vec<_> = reply.options.iter().map(|(code, value)| (*code, &value[..])).collect();
    (reply.yiaddr, reply.siaddr, &reply.sname, &reply.file, options)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// [P2] [P3] [M3]: well formed, within the client's limit whatever is echoed, never to who must not be answered.
    #[test]
    fn every_answer_is_well_formed_and_within_the_limit(
        kind in 0_u8..12, client in 0..CLIENTS.len(), more in options(any_relay()), patch in any::<(u8, u8)>(),
    ) {
        let mut bytes = packet(kind, client, &more);
        // Flags, ciaddr, giaddr and the card.
        bytes[usize::from(patch.0 % 44)] = patch.1;
        for mode in bodies::modes() {
            for port in [Port::Dhcp, Port::Pxe] {
                check_decision(&bytes, mode, port);
            }
        }
    }

    /// [M1]
    #[test]
    fn the_ack_repeats_what_the_offer_promised(client in 0..CLIENTS.len(), more in options(circuit())) {
        let discover = packet(1, client, &more);
        let offer = answer(&discover, Mode::Reservation, Port::Dhcp).expect("a known client is offered its address");
        prop_assert_eq!(offer.reply.message, MessageType::Offer);
        prop_assert_eq!(offer.reply.yiaddr, RESERVED);
        let mut selecting = more.clone();
        selecting.push((code::SERVER_ID, SERVER.octets().to_vec()));
        selecting.push((code::REQUESTED_ADDRESS, RESERVED.octets().to_vec()));
        let ack = answer(&packet(3, client, &selecting), Mode::Reservation, Port::Dhcp).expect("and acknowledged");
        prop_assert_eq!(ack.reply.message, MessageType::Ack);
        prop_assert_eq!(promised(&ack.reply), promised(&offer.reply));
        prop_assert_eq!(ack.limit, offer.limit);
    }

    /// [M6]: ROM, iPXE and system differ in all but the card.
    #[test]
    fn every_stage_of_a_node_gets_the_same_address(
        clients in any::<(prop::sample::Index, prop::sample::Index)>(), ids in any::<([u8; 16], [u8; 7])>(),
    ) {
        let identities = [(97, [&[0][..], &ids.0].concat()), (61, ids.1.to_vec())];
        for client in [clients.0, clients.1].map(|index| index.index(CLIENTS.len())) {
            let offer = answer(&packet(1, client, &identities), Mode::Reservation, Port::Dhcp).expect("an offer");
            prop_assert_eq!(offer.reply.yiaddr, RESERVED);
        }
    }

    /// [X7]: port 4011 names the file of the offer.
    #[test]
    fn port_4011_names_the_file_of_the_offer(client in 0..2_usize, more in options(circuit())) {
        let offer = answer(&packet(1, client, &more), Mode::Proxy, Port::Dhcp).expect("an offer");
        let ack = answer(&packet(3, client, &more), Mode::Proxy, Port::Pxe).expect("an ACK");
        prop_assert_eq!(&offer.reply.file, &ack.reply.file);
        prop_assert_eq!(offer.reply.option(67), ack.reply.option(67));
        prop_assert_eq!(offer.reply.siaddr, ack.reply.siaddr);
    }

    /// [M3]: what belongs to other servers, comes from servers, or from strangers is never answered.
    #[test]
    fn what_must_not_be_answered_is_not(
        kind in 1_u8..9, client in 0..CLIENTS.len(), server in any::<[u8; 4]>(), card in 2_u8..255,
    ) {
        prop_assume!(Ipv4Addr::from(server) != SERVER);
        let plain = packet(kind, client, &[]);
        let foreign = packet(3, client, &[(code::SERVER_ID, server.to_vec())]);
        let mut reply = plain.clone();
        reply[0] = 2;
        let mut stranger = plain.clone();
        // 61 and 97 of the crafted clients name no node either.
        stranger[33] = card;
        let known_by_61 = CLIENTS[client].iter().any(|(code, _)| *code == 61);
        for mode in bodies::modes() {
            prop_assert!(answer(&foreign, mode, Port::Dhcp).is_none());
            for port in [Port::Dhcp, Port::Pxe] {
                prop_assert!(answer(&reply, mode, port).is_none());
                let auto = mode.name().contains("auto") || known_by_61;
                prop_assert!(auto || answer(&stranger, mode, port).is_none());
            }
        }
        // In proxy mode a REQUEST on port 67 is always the DHCP server's.
        prop_assert!(answer(&packet(3, client, &[]), Mode::Proxy, Port::Dhcp).is_none());
    }
}

/// [P2] [P9]: the case that has no room: echoes longer than a reply may be.
#[test]
fn echoes_that_do_not_fit_give_way_before_address_and_class() {
    let large = [(82, vec![1; 255]), (61, vec![7; 255]), (97, vec![9; 600])];
    for (mode, class) in [(Mode::Proxy, true), (Mode::Reservation, false)] {
        let answer = answer(&packet(1, 1, &[]), mode, Port::Dhcp).unwrap();
        let mut reply = answer.reply;
        for (code, value) in large.clone() {
            reply.set(code, value);
        }
        let encoded = reply.encode(548);
        assert!(encoded.bytes.len() <= 548, "{}", encoded.bytes.len());
        let packet = Packet::parse(&encoded.bytes).unwrap();
        assert!(encoded.dropped.starts_with(&[61]) || encoded.dropped.contains(&97), "{:?}", encoded.dropped);
        // The relay's information goes before nothing but itself (RFC 3046 section 2.2).
        assert_eq!(packet.options.get(82), Some(&[1; 255][..]), "{mode:?}");
        assert_eq!(packet.options.get(60).is_some(), class);
        assert_eq!(packet.options.address(54), Some(SERVER));
        assert!(packet.file().starts_with(b"snponly-x86_64.efi"));
    }
}
