//! Every finding, from the packet that shows it; each once, and none that is not there.

use std::net::SocketAddrV4;

use super::*;
use crate::boot::fixture;
use crate::client::Client;
use crate::client::tests::discover;
use crate::config::{Knobs, Mode};
use crate::policy::Arrival;
use crate::records::Snapshot;

const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SITE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const THIRD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SITE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const UEFI: [(u8, &[u8]); 2] = [(60, b"PXEClient:Arch:00007:UNDI:003000"), (93, &[0, 7])];

/// A VLAN with one node of ours, `compute1` with the card of [`discover`].
struct Wire {
    servers: Servers,
    world: World,
    now: Duration,
}

fn wire() -> Wire {
    let mut node = fixture::node(1);
    node.nics[0].mac = "52:54:00:be:ef:01".parse().unwrap();
    let world = World::new(
        fixture::settings(),
        Snapshot::new(vec![node], Vec::new()),
        crate::firmware::Loaders::default(),
        crate::boot::template::Templates::default(),
    );
    Wire { servers: Servers::default(), world, now: Duration::from_secs(1000) }
}

impl Wire {
    fn see(
        &mut self,
        bytes: &[u8],
        source: SocketAddrV4,
        mac: [u8; 6],
        answer: Option<&[u8]>,
    ) -> Observation {
        let packet = Packet::parse(bytes).unwrap();
        let client = Client::of(&packet);
        let arrival = Arrival {
            interface: "eth0".into(),
            address: US,
            network: "10.0.0.0/24".parse().unwrap(),
            mtu: 1500,
            mode: Mode::Proxy,
            knobs: Knobs::default(),
            port: Port::Dhcp,
            source,
        };
        let request = Request { packet: &packet, arrival: &arrival, client: &client };
        let sighting =
            Sighting { request, own_mac: Some(OUR_MAC), source_mac: Some(mac), answer, world: &self.world };
        self.servers.observe(&sighting, self.now)
    }

    /// A client's message, answered or not.
    fn asks(&mut self, bytes: &[u8], answer: Option<&[u8]>) -> Observation {
        self.see(bytes, "0.0.0.0:68".parse().unwrap(), [0x52, 0x54, 0, 0xbe, 0xef, 1], answer)
    }

    /// What the site's server says leads to these causes.
    fn says(&mut self, bytes: &[u8]) -> Vec<Finding> {
        self.see(bytes, SocketAddrV4::new(SITE, 67), SITE_MAC, None).findings
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

/// A reply of `server` to `compute1`, xid 0, with an address unless `kind` says otherwise.
fn reply(kind: u8, server: Ipv4Addr, yiaddr: Ipv4Addr, options: &[(u8, &[u8])]) -> Vec<u8> {
    let id = server.octets();
    let mut all: Vec<(u8, &[u8])> = vec![(54, &id[..])];
    all.extend_from_slice(options);
    let mut bytes = discover(&all);
    bytes[0] = 2;
    bytes[16..20].copy_from_slice(&yiaddr.octets());
    bytes[242] = kind;
    bytes
}

fn lease(server: Ipv4Addr, options: &[(u8, &[u8])]) -> Vec<u8> {
    reply(2, server, Ipv4Addr::new(10, 0, 0, 100), options)
}

fn proxy(server: Ipv4Addr) -> Vec<u8> {
    reply(2, server, Ipv4Addr::UNSPECIFIED, &[(60, b"PXEClient"), (67, b"loader.efi")])
}

fn with_siaddr(mut bytes: Vec<u8>, siaddr: Ipv4Addr) -> Vec<u8> {
    bytes[20..24].copy_from_slice(&siaddr.octets());
    bytes
}

fn with_xid(mut bytes: Vec<u8>, xid: u8) -> Vec<u8> {
    bytes[7] = xid;
    bytes
}

fn causes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.cause.name()).collect()
}

#[test]
fn every_cause_is_listed_in_the_documents_in_the_same_words() {
    let page = include_str!("../../../docs/events.md");
    for cause in Cause::ALL {
        let row = format!("| `{}` | {} |", cause.name(), cause.text());
        assert!(page.contains(&row), "docs/events.md lacks the row: {row}");
    }
}

/// A DHCP server without boot data is what proxy mode needs: said once, as information.
#[test]
fn a_plain_dhcp_server_is_seen_once_and_is_no_fault() {
    let mut wire = wire();
    let found = wire.says(&with_siaddr(lease(SITE, &[(51, &[0, 0, 14, 16])]), SITE));
    assert_eq!(causes(&found), ["server-seen"]);
    assert_eq!(found[0].text, "DHCP server 10.0.0.2 (02:00:00:00:00:02) on eth0");
    assert!(!found[0].cause.warns());
    assert_eq!(causes(&wire.says(&lease(SITE, &[]))), [""; 0]);
    wire.later(24 * 3600);
    assert_eq!(causes(&wire.says(&lease(SITE, &[]))), [""; 0], "it was never away");
}

/// Finding (e).
#[test]
fn with_known_servers_any_other_is_a_rogue_and_a_known_one_is_harmless_whatever_it_offers() {
    let mut wire = wire();
    wire.world.settings.known_servers = vec![SITE];
    let bad = lease(SITE, &[(60, b"PXEClient"), (67, b"x"), (66, b"10.0.0.9")]);
    assert_eq!(causes(&wire.says(&bad)), ["server-seen"]);
    let found = wire.says(&lease(THIRD, &[]));
    assert_eq!(causes(&found), ["rogue-server"]);
    assert!(found[0].cause.warns() && found[0].text.contains("known_servers"), "{}", found[0].text);
}

/// A broadcast REQUEST names the server that the client chose: that server exists, its unicast offers unseen.
#[test]
fn a_server_is_known_by_the_request_that_chooses_it() {
    let mut wire = wire();
    let mut request = discover(&[(54, &SITE.octets()), (50, &[10, 0, 0, 100])]);
    request[242] = 3;
    let found = wire.asks(&request, None).findings;
    assert_eq!(causes(&found), ["server-seen"]);
    let mut ours = discover(&[(54, &US.octets())]);
    ours[242] = 3;
    assert_eq!(wire.asks(&ours, None), Observation::default());
}

/// Finding (a) with the choice of the very client that asked: the proxy beats the file of the DHCP server [X1].
#[test]
fn a_server_with_boot_data_is_named_with_what_the_client_will_choose() {
    let mut wire = wire();
    wire.asks(&discover(&UEFI), Some(&proxy(US)));
    let found = wire.says(&with_siaddr(lease(SITE, &[(67, b"other.efi")]), SITE));
    assert_eq!(causes(&found), ["server-seen", "rogue-boot-server"]);
    assert_eq!(
        found[1].text,
        "10.0.0.2 offers addresses with boot data (other.efi). UEFI PXE here takes 10.0.0.2's address and, by \
         ours (10.0.0.1) proxy offer, asks 10.0.0.1 on port 4011 [X1]"
    );
    assert_eq!(found[1].node.as_deref(), Some("compute1"));
}

/// Finding (a), iPXE (quirk 13): of two full offers the last of equal priority wins.
#[test]
fn between_two_full_offers_ipxe_is_said_to_take_the_last() {
    let mut wire = wire();
    let ours = with_siaddr(lease(US, &[(67, b"http://10.0.0.1/script")]), US);
    wire.asks(&discover(&[(60, b"PXEClient"), (93, &[0, 0]), (77, b"iPXE")]), Some(&ours));
    let found = wire.says(&with_siaddr(lease(SITE, &[(67, b"other.efi")]), SITE));
    assert!(
        found[1]
            .text
            .contains("iPXE here takes address and file from 10.0.0.2's offer, the last of equal priority"),
        "{}",
        found[1].text
    );
}

/// Boot data that point to us are the site's help, not a conflict.
#[test]
fn a_dhcp_server_that_points_to_us_is_no_finding() {
    let mut wire = wire();
    let bytes = with_siaddr(lease(SITE, &[(67, b"snponly-x86_64.efi"), (66, b"10.0.0.1")]), US);
    assert_eq!(causes(&wire.says(&bytes)), ["server-seen"]);
    let class = with_siaddr(lease(SITE, &[(60, b"PXEClient")]), US);
    assert_eq!(causes(&wire.says(&class)), [""; 0]);
}

/// [X4] Finding (b), quirk 2: and only without 43.
#[test]
fn sixty_without_43_is_a_boot_that_stops() {
    let mut wire = wire();
    wire.asks(&discover(&UEFI), Some(&proxy(US)));
    let found = wire.says(&lease(SITE, &[(60, b"PXEClient")]));
    assert_eq!(causes(&found), ["server-seen", "pxe-class-without-43"]);
    assert!(found[1].text.contains("UEFI PXE here takes 10.0.0.2's offer"), "{}", found[1].text);
    let complete = lease(THIRD, &[(60, b"PXEClient"), (43, &[6, 1, 8, 255]), (67, b"x")]);
    assert_eq!(causes(&wire.says(&complete)), ["server-seen", "rogue-boot-server"]);
}

/// Finding (c), quirk 49.
#[test]
fn boot_data_that_point_to_a_third_machine_are_said() {
    let mut wire = wire();
    let found = wire.says(&with_siaddr(lease(SITE, &[]), THIRD));
    assert_eq!(causes(&found), ["server-seen", "boot-data-elsewhere"]);
    assert!(found[1].text.contains("10.0.0.3"), "{}", found[1].text);
    let found = wire.says(&lease(THIRD, &[(66, b"10.0.0.9")]));
    assert!(causes(&found).contains(&"boot-data-elsewhere"));
}

/// Finding (d): proxy mode, our answer, and nobody else.
#[test]
fn without_a_dhcp_server_the_third_discover_says_that_a_proxy_alone_cannot_boot() {
    let mut wire = wire();
    let ours = proxy(US);
    for repetition in 0..3 {
        let seen = wire.asks(&discover(&UEFI), Some(&ours));
        let expected: &[&str] = if repetition == 2 { &["no-dhcp-server"] } else { &[] };
        assert_eq!(causes(&seen.findings), expected, "{repetition}");
        wire.later(4);
    }
    // Fresh transactions count alike; another card is the same network, and it was said.
    assert_eq!(causes(&wire.asks(&with_xid(discover(&UEFI), 9), Some(&ours)).findings), [""; 0]);
}

/// Finding (d) is not said of a node that other servers know, nor where it chose one.
#[test]
fn with_a_dhcp_server_there_a_repeated_discover_is_a_retransmission() {
    let mut wire = wire();
    wire.says(&lease(SITE, &[]));
    let mut seen = Observation::default();
    for _ in 0..3 {
        seen = wire.asks(&discover(&UEFI), Some(&proxy(US)));
        wire.later(4);
    }
    assert_eq!(causes(&seen.findings), ["retransmits"]);
    assert!(seen.findings[0].text.contains("snooping"), "{}", seen.findings[0].text);
    assert_eq!(
        seen.step.as_deref(),
        Some(
            "sent again, 2 times now, with the same xid 0x00000000: it did not get or did not accept our answer"
        )
    );
}

/// A new xid is a new attempt, the same one a repetition; the network's copies are neither.
#[test]
fn new_attempts_and_repetitions_are_told_apart() {
    let mut wire = wire();
    assert_eq!(wire.asks(&discover(&UEFI), None).step, None);
    assert_eq!(wire.asks(&discover(&UEFI), None).step, None, "a copy by a relay");
    wire.later(4);
    let again = wire.asks(&discover(&UEFI), None).step.unwrap();
    assert!(again.starts_with("sent again, 1 times now"), "{again}");
    assert!(!again.contains("our answer"), "{again}");
    wire.later(8);
    let fresh = wire.asks(&with_xid(discover(&UEFI), 7), None).step;
    assert_eq!(fresh.as_deref(), Some("a new attempt, number 2"));
    // After a REQUEST the next DISCOVER is the next stage of the boot, not an attempt that failed.
    let mut request = with_xid(discover(&[(54, &SITE.octets())]), 7);
    request[242] = 3;
    wire.asks(&request, None);
    assert_eq!(wire.asks(&with_xid(discover(&UEFI), 8), None).step, None);
}

/// Finding (f).
#[test]
fn two_machines_with_one_server_identifier_are_said_and_relays_are_not() {
    let mut wire = wire();
    wire.says(&lease(SITE, &[]));
    let second = wire.see(&lease(SITE, &[]), SocketAddrV4::new(SITE, 67), [2, 0, 0, 0, 0, 9], None);
    assert_eq!(causes(&second.findings), ["duplicate-server-id"]);
    let relayed = wire.see(&lease(THIRD, &[]), SocketAddrV4::new(SITE, 67), [2, 0, 0, 0, 0, 9], None);
    assert_eq!(causes(&relayed.findings), ["server-seen"]);
    // Our own answer, handed on by a relay on the same wire.
    assert_eq!(causes(&wire.says(&lease(US, &[]))), [""; 0]);
    let ours = wire.see(&lease(US, &[]), SocketAddrV4::new(US, 67), SITE_MAC, None).findings;
    assert_eq!(causes(&ours), ["duplicate-server-id"]);
    assert!(ours[0].text.contains("our own server identifier"), "{}", ours[0].text);
}

/// [M3] Finding (g), quirk 12: for nodes of ours only.
#[test]
fn a_nak_for_a_node_of_ours_is_said_and_one_for_a_stranger_is_not() {
    let mut wire = wire();
    let nak = reply(6, SITE, Ipv4Addr::UNSPECIFIED, &[(56, b"wrong network")]);
    let mut stranger = nak.clone();
    stranger[33] = 0x77;
    assert_eq!(causes(&wire.says(&stranger)), ["server-seen"]);
    let found = wire.says(&nak);
    assert_eq!(causes(&found), ["foreign-nak"]);
    assert!(
        found[0].text.contains("compute1") && found[0].text.contains("wrong network"),
        "{}",
        found[0].text
    );
}

/// Finding (h).
#[test]
fn an_offer_outside_of_our_networks_is_said() {
    let mut wire = wire();
    let outside = reply(2, SITE, Ipv4Addr::new(192, 168, 1, 100), &[]);
    assert_eq!(causes(&wire.says(&outside)), ["server-seen", "foreign-offer-outside"]);
}

/// Finding (i).
#[test]
fn another_proxy_is_said_by_its_offer_and_by_its_port() {
    let mut wire = wire();
    wire.asks(&discover(&UEFI), Some(&proxy(US)));
    assert_eq!(causes(&wire.says(&proxy(SITE))), ["server-seen", "other-proxy"]);
    let from_4011 = reply(5, THIRD, Ipv4Addr::UNSPECIFIED, &[]);
    let seen = wire.see(&from_4011, SocketAddrV4::new(THIRD, PXE_PORT), SITE_MAC, None);
    assert_eq!(causes(&seen.findings), ["server-seen", "other-proxy"]);
}

#[test]
fn an_ack_of_another_server_tells_which_address_a_node_has_and_from_whom() {
    let mut wire = wire();
    let found = wire.says(&reply(5, SITE, Ipv4Addr::new(10, 0, 0, 100), &[]));
    assert_eq!(causes(&found), ["server-seen", "address-learned"]);
    assert_eq!(found[1].text, "compute1 has 10.0.0.100 from 10.0.0.2");
}

/// Our own frames, seen through a second interface on the same VLAN, are nobody else's.
#[test]
fn our_own_replies_are_no_other_server() {
    let mut wire = wire();
    let seen = wire.see(&proxy(US), SocketAddrV4::new(US, 67), OUR_MAC, None);
    assert_eq!(seen, Observation::default());
}

#[test]
fn a_flood_of_servers_and_clients_fills_neither_log_nor_memory() {
    let mut wire = wire();
    let mut said = 0;
    for n in 0..10_000_u32 {
        let server = Ipv4Addr::from(0x0b00_0000 + n);
        said += wire.says(&lease(server, &[(60, b"PXEClient")])).len();
        let mut client = discover(&UEFI);
        client[30..34].copy_from_slice(&n.to_be_bytes());
        wire.asks(&client, None);
    }
    assert!(said <= 4 * SERVERS_MAX, "{said}");
    assert_eq!(wire.servers.known.len(), SERVERS_MAX);
    assert!(wire.servers.said.len() <= SAID_MAX);
}
