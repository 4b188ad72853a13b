//! Several interfaces, subnets and VLANs in one `serve` [D2] [D5] [D6].

use std::net::Ipv4Addr;

use bootlace::lab::sandbox::Place;

use crate::bench::{Bench, LIMIT, MAC0, MAC1, MAC2};
use crate::wire::{Card, DISCOVER, tagged};

/// [D2] and quirk 52: one node with a card on each of two networks is answered on each, by the server of that
/// network, although the route to everybody leads out of the first.
#[test]
fn one_node_on_two_interfaces_gets_each_networks_own_answer() {
    let bench = Bench::lay();
    bench.cable("eth1", Some("10.77.10.1/24"), MAC1);
    bench.ip("srv", "route add default via 10.77.0.254 dev eth0");
    let bench = bench.serve("mode: reservation\ninterfaces: [{name: eth0}, {name: eth1}]");
    for (interface, mac, network) in [("eth0", MAC0, 0), ("eth1", MAC1, 10), ("eth0", MAC0, 0)] {
        let offers = Card::open(interface, mac).discover(|_| true);
        assert_eq!(offers[0].server(), Ipv4Addr::new(10, 77, network, 1), "{interface}");
        assert_eq!(offers[0].siaddr(), Ipv4Addr::new(10, 77, network, 1), "{interface}");
        assert_eq!(offers[0].yiaddr(), Ipv4Addr::new(10, 77, network, 11), "{interface}");
    }
    let lease = bench.udhcpc("eth1", "");
    assert!(lease.contains("ip=10.77.10.11") && lease.contains("serverid=10.77.10.1"), "{lease}");
    bench.ip("lc0", "addr add 10.77.0.50/24 dev eth0");
    bench.ip("lc0", "addr add 10.77.10.50/24 dev eth1");
    for server in ["10.77.0.1", "10.77.10.1"] {
        assert_eq!(bench.tftp(server), 4096);
        let script = bench.curl(&format!("http://{server}:8081/boot/v1/bootscript?mac={MAC0}")).unwrap();
        assert!(script.starts_with("#!ipxe"), "{script}");
    }
    let labels: Vec<_> =
        bench.entries().iter().filter_map(|entry| entry["node"].as_str().map(str::to_owned)).collect();
    assert!(labels.iter().all(|label| label == "compute1"), "{labels:?}");
}

/// The trunk: VLANs 10 and 20 and the untagged network on one cable. Where this kernel has no 802.1Q devices,
/// they are cables of the same name, and their tagged frames are put on the parent by hand, as the kernel would
/// show them there.
struct Trunk {
    real: bool,
}

impl Trunk {
    fn lay(bench: &Bench) -> Self {
        let probe = "ip link add link eth0 name eth0.10 type vlan id 10";
        let words: Vec<&str> = probe.split(' ').collect();
        let real = bench.sandbox.run(Place::Host("srv"), &words).is_ok();
        for (vlan, mac) in [(10, MAC1), (20, MAC2)] {
            let name = format!("eth0.{vlan}");
            if !real {
                bench.cable(&name, Some(&format!("10.77.{vlan}.1/24")), mac);
                continue;
            }
            if vlan != 10 {
                bench.ip("srv", &format!("link add link eth0 name {name} type vlan id {vlan}"));
            }
            bench.ip("lc0", &format!("link add link eth0 name {name} address {mac} type vlan id {vlan}"));
            bench.ip("lc0", &format!("link set {name} up"));
            bench.ip("srv", &format!("addr add 10.77.{vlan}.1/24 brd + dev {name}"));
            bench.ip("srv", &format!("link set {name} up"));
        }
        Self { real }
    }
}

/// [D5]: udhcpc on the untagged network and on each VLAN of one cable gets that network's answer, and no DISCOVER
/// is answered twice, once more by the parent.
#[test]
fn vlans_and_the_untagged_network_of_one_cable_are_served_side_by_side() {
    let bench = Bench::lay();
    let trunk = Trunk::lay(&bench);
    let bench =
        bench.serve("mode: reservation\ninterfaces: [{name: eth0}, {name: eth0.10}, {name: eth0.20}]");
    for (interface, network) in [("eth0", 0), ("eth0.10", 10), ("eth0.20", 20)] {
        let lease = bench.udhcpc(interface, "");
        assert!(lease.contains(&format!("ip=10.77.{network}.11")), "{interface}: {lease}");
        assert!(lease.contains(&format!("serverid=10.77.{network}.1")), "{interface}: {lease}");
    }
    let mut parent = Card::open("eth0", MAC0);
    for (interface, mac, vlan) in [("eth0.10", MAC1, 10), ("eth0.20", MAC2, 20)] {
        let mut card = Card::open(interface, mac);
        let message = card.message(DISCOVER);
        let frame = card.broadcast(&message);
        if !trunk.real {
            parent.send(&tagged(&frame, vlan));
        }
        card.send(&frame);
        let offers = card.answers(&message, LIMIT, |_| true);
        assert_eq!(offers[0].server(), Ipv4Addr::new(10, 77, vlan as u8, 1));
    }
    parent.discover(|_| true);
    let asked = |entry: &&serde_json::Value| entry["type"] == "DISCOVER";
    for entry in bench.entries().iter().filter(asked) {
        let (interface, mac) = (entry["interface"].as_str().unwrap(), entry["mac"].as_str().unwrap());
        let own = match interface {
            "eth0" => MAC0,
            "eth0.10" => MAC1,
            _ => MAC2,
        };
        assert_eq!(mac, own, "{entry}");
        let vlan =
            interface.strip_prefix("eth0.").filter(|_| trunk.real).map(|vlan| vlan.parse::<u64>().unwrap());
        assert_eq!(entry["vlan"].as_u64(), vlan, "{entry}");
    }
}

/// [D6]: an interface without an address serves with the one that settings name, here that of its neighbour
/// interface.
#[test]
fn an_interface_without_address_serves_with_the_configured_one() {
    let bench = Bench::lay();
    bench.cable("eth1", None, MAC1);
    let _bench = bench.serve("mode: proxy\ninterfaces: [{name: eth0}, {name: eth1, address: 10.77.0.1}]");
    let offers = Card::open("eth1", MAC1).discover(|_| true);
    let server = Ipv4Addr::new(10, 77, 0, 1);
    assert_eq!((offers[0].server(), offers[0].siaddr()), (server, server));
    assert_eq!(offers[0].file(), "snponly-x86_64.efi");
}

/// [D6]: the address may be another machine's, which then serves the files; that is said.
#[test]
fn an_address_of_another_machine_names_that_machine_and_leaves_files_to_it() {
    let bench = Bench::lay();
    bench.cable("eth1", None, MAC1);
    let bench = bench.serve("mode: proxy\ninterfaces: [{name: eth1, address: 10.77.10.9}]");
    bench.notice("transport", "10.77.10.9 is another machine's");
    let offers = Card::open("eth1", MAC1).discover(|_| true);
    assert_eq!(offers[0].siaddr(), Ipv4Addr::new(10, 77, 10, 9));
}

/// A peer that no record and no ACK names is known by the kernel's neighbour table.
#[test]
fn a_peer_is_known_by_its_card_whatever_address_it_has() {
    let bench = Bench::lay().serve("mode: proxy\ninterfaces: [{name: eth0}]");
    bench.ip("lc0", "addr add 10.77.0.177/24 dev eth0");
    bench.tftp("10.77.0.1");
    let asked = bench.entry("the request", |entry| entry["event"] == "tftp");
    assert_eq!((asked["mac"].as_str(), asked["node"].as_str()), (Some(MAC0), Some("compute1")), "{asked}");
}

/// An interface that is missing when bootlace starts is a mistake, also beside one that is there.
#[test]
fn one_missing_interface_of_two_ends_the_start() {
    let (code, said) = Bench::lay().refused("interfaces: [{name: eth0}, {name: eth7}]");
    assert_eq!(code, Some(1));
    assert!(said.contains("no interface eth7"), "{said}");
}
