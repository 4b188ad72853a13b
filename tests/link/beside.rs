//! Beside other programs on the same host.

use std::net::Ipv4Addr;
use std::process::Stdio;

use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::Place;

use crate::bench::{Bench, LIMIT, MAC0, in_host};
use crate::wire::{ACK, Card, OFFER, REQUEST, ask_4011};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const RANGE: &str = "10.77.0.100,10.77.0.149,255.255.255.0,1h";

/// A dnsmasq on `srv` that gives out addresses, started as given; its log.
fn dnsmasq(bench: &Bench, interface: &str, range: &str, more: &[&str]) -> Journal {
    let mut command = bench.sandbox.command(Place::Host("srv"), "dnsmasq");
    command
        .args(["-k", "--port=0", "-C", "/dev/null", "--user=root", "--pid-file=", "--no-ping"])
        .args(["--dhcp-leasefile=/dev/null", "--log-dhcp", "--log-facility=-", "--dhcp-authoritative"])
        .arg(format!("--interface={interface}"))
        .arg(format!("--dhcp-range={range}"))
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = bench.sandbox.start("dnsmasq", &mut command).unwrap();
    let log = Journal::follow(process.child().stderr.take().unwrap(), None).unwrap();
    let ready = |entry: &serde_json::Value| {
        entry["text"].as_str().is_some_and(|text| text.contains("DHCP, IP range"))
    };
    log.wait_for("DHCP, IP range", LIMIT, ready).unwrap();
    bench.hold(process);
    log
}

/// Nothing in dnsmasq's log complains, and it gave the address.
fn undisturbed(log: &Journal, given: &str) {
    let acked = |entry: &serde_json::Value| {
        entry["text"].as_str().is_some_and(|text| text.contains("DHCPACK") && text.contains(given))
    };
    log.wait_for("DHCPACK", LIMIT, acked).unwrap();
    for entry in log.entries() {
        let text = entry["text"].as_str().unwrap_or_default().to_owned();
        for bad in ["NAK", "DECLINE", "not available", "ignored"] {
            assert!(!text.contains(bad), "{text}");
        }
    }
}

/// One client, two servers on one host and one interface: the address from one, boot data from the other, by
/// 4011 too.
fn both_answer_one_client(bench: &Bench, log: &Journal) {
    let mut card = Card::open("eth0", MAC0);
    let offers = {
        let both = std::cell::Cell::new(0);
        card.discover(|_| {
            both.set(both.get() + 1);
            both.get() == 2
        })
    };
    let theirs = offers.iter().find(|offer| !offer.yiaddr().is_unspecified()).expect("dnsmasq's offer");
    let ours = offers.iter().find(|offer| offer.yiaddr().is_unspecified()).expect("bootlace's offer");
    assert_eq!((ours.kind(), ours.source.port()), (OFFER, 67));
    assert_eq!((ours.server(), ours.siaddr()), (SERVER, SERVER));
    assert_eq!(ours.file(), "snponly-x86_64.efi");
    assert_eq!(theirs.file(), "");
    // A system's client, as after the boot: it would take the proxy's offer if it got one.
    let lease = bench.udhcpc("eth0", "");
    assert!(lease.contains("ip=10.77.0.1"), "{lease}");
    undisturbed(log, "10.77.0.1");
    // The other daemon's answers leave from this very machine and are seen nevertheless.
    let ack = bench.entry("their ACK", |entry| entry["type"] == "ACK");
    assert_eq!(ack["reason"], "not-a-request");
    bench.ip("lc0", "addr add 10.77.0.150/24 dev eth0");
    let mut request = card.message(REQUEST);
    request[12..16].copy_from_slice(&[10, 77, 0, 150]);
    let (from, acked) = ask_4011(request, SERVER).expect("an ACK from 4011");
    assert_eq!((from.port(), acked.kind(), acked.file()), (4011, ACK, ours.file()));
    assert_eq!(bench.tftp("10.77.0.1"), 4096);
}

#[test]
fn dnsmasq_on_the_same_interface_gives_the_address_and_bootlace_the_boot_data() {
    let bench = Bench::lay();
    let log = dnsmasq(&bench, "eth0", RANGE, &["--bind-interfaces"]);
    let bench = bench.serve("mode: proxy\ninterfaces: [{name: eth0}]");
    bench.notice("transport", "no UDP port 67 on eth0");
    both_answer_one_client(&bench, &log);
}

/// `transport: raw` leaves port 67 to a daemon that starts later.
#[test]
fn with_raw_transport_dnsmasq_can_start_after_bootlace() {
    let bench = Bench::lay().serve("mode: proxy\ninterfaces: [{name: eth0, transport: raw}]");
    let log = dnsmasq(&bench, "eth0", RANGE, &["--bind-interfaces"]);
    both_answer_one_client(&bench, &log);
}

/// libvirt's own network: dnsmasq on the bridge's address, clients on the bridge's ports, bootlace on the bridge.
#[test]
fn beside_libvirts_dnsmasq_on_a_bridge_the_guests_of_its_ports_get_both() {
    for style in [&["--bind-dynamic"][..], &["--bind-interfaces"]] {
        let bench = Bench::lay();
        bench.ip("srv", "addr flush dev eth0");
        bench.ip("srv", "link add virbr0 type bridge stp_state 0 forward_delay 0");
        bench.ip("srv", "link set eth0 master virbr0");
        bench.ip("srv", "addr add 10.77.0.1/24 brd + dev virbr0");
        bench.ip("srv", "link set virbr0 up");
        let more =
            [&["--except-interface=lo", "--dhcp-no-override", "--dhcp-lease-max=50"][..], style].concat();
        let log = dnsmasq(&bench, "virbr0", RANGE, &more);
        let bench = bench.serve("mode: proxy\ninterfaces: [{name: virbr0}]");
        bench.notice("transport", "no UDP port 67 on virbr0");
        both_answer_one_client(&bench, &log);
    }
}

/// [D3]: a foreign program on 4011 costs a line in the log, not the service.
#[test]
fn with_port_4011_taken_raw_frames_answer_from_it_and_that_is_said() {
    let bench = Bench::lay();
    let holder = in_host("srv", || std::net::UdpSocket::bind(("10.77.0.1", 4011)).unwrap());
    let bench = bench.serve("mode: proxy\ninterfaces: [{name: eth0}]");
    bench.notice("transport", "no UDP port 4011 on eth0");
    bench.ip("lc0", "addr add 10.77.0.150/24 dev eth0");
    let mut request = Card::open("eth0", MAC0).message(REQUEST);
    request[12..16].copy_from_slice(&[10, 77, 0, 150]);
    let (from, ack) = ask_4011(request, SERVER).expect("an ACK");
    assert_eq!((from.to_string().as_str(), ack.kind()), ("10.77.0.1:4011", ACK));
    assert_eq!(ack.file(), "snponly-x86_64.efi");
    // Its owner has got the request as well: nothing was taken away from it.
    let mut buffer = [0; 2048];
    holder.set_read_timeout(Some(LIMIT)).unwrap();
    assert!(holder.recv(&mut buffer).unwrap() > 240);
}

#[test]
fn without_raw_frames_a_taken_port_4011_ends_the_start_and_names_the_port() {
    let bench = Bench::lay();
    let _holder = in_host("srv", || std::net::UdpSocket::bind(("10.77.0.1", 4011)).unwrap());
    let (code, said) = bench.refused("interfaces: [{name: eth0, transport: udp}]");
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot bind UDP port 4011 on eth0"), "{said}");
}
