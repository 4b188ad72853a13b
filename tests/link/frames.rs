//! What the raw socket hears, and what it must not [D5] [D7].

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use bootlace::link::frame;
use nix::sys::signal::Signal;

use crate::bench::{Bench, MAC0};
use crate::wire::{Card, DISCOVER, fragments, tagged};

/// Sends `frames`, which nobody may answer, and then an ordinary DISCOVER; nothing else is answered or noted.
fn only_the_ordinary_one_counts(bench: &Bench, card: &mut Card, frames: &[Vec<u8>]) {
    for frame in frames {
        card.send(frame);
    }
    let offers = card.discover(|_| true);
    assert_eq!(offers.len(), 1, "{}", bench.log());
    bench.entry("the answer", |entry| entry["verdict"] == "answer");
    let seen = bench.entries().iter().filter(|entry| entry["event"] == "dhcp").count();
    assert_eq!(seen, 1, "{}", bench.log());
}

/// [D5]: a tagged frame on the parent belongs to the VLAN's own interface; answered here, it would be answered
/// without its tag.
#[test]
fn a_tagged_frame_on_the_parent_is_not_answered_untagged() {
    let bench = Bench::lay().serve("mode: reservation\ninterfaces: [{name: eth0}]");
    let mut card = Card::open("eth0", MAC0);
    let message = card.message(DISCOVER);
    let plain = card.broadcast(&message);
    only_the_ordinary_one_counts(&bench, &mut card, &[tagged(&plain, 10), tagged(&plain, 0xe000 | 20)]);
}

/// [D5]: VLAN 0 is no VLAN but a priority (IEEE 802.1Q, priority-tagged frames).
#[test]
fn a_priority_tag_makes_no_vlan() {
    let bench = Bench::lay().serve("mode: reservation\ninterfaces: [{name: eth0}]");
    let mut card = Card::open("eth0", MAC0);
    let message = card.message(DISCOVER);
    let frame = tagged(&card.broadcast(&message), 0xc000);
    card.send(&frame);
    let offers = card.answers(&message, crate::bench::LIMIT, |_| true);
    assert_eq!(offers.len(), 1, "{}", bench.log());
}

/// Another machine's frames, seen because somebody holds the card in promiscuous mode, are not ours to answer.
#[test]
fn frames_to_other_machines_are_not_answered_in_promiscuous_mode() {
    let bench = Bench::lay();
    bench.ip("srv", "link set eth0 promisc on");
    let bench = bench.serve("mode: reservation\ninterfaces: [{name: eth0}]");
    let mut card = Card::open("eth0", MAC0);
    let message = card.message(DISCOVER);
    let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let to = |address| SocketAddrV4::new(address, 67);
    let foreign = [2, 0, 0, 0, 0, 9];
    let frames = [Ipv4Addr::BROADCAST, Ipv4Addr::new(10, 77, 0, 1)]
        .map(|address| frame::build(card.mac, foreign, from, to(address), &message).unwrap());
    only_the_ordinary_one_counts(&bench, &mut card, &frames);
}

/// Replies are never fragmented and no boot client fragments its request: neither half is taken for a packet.
#[test]
fn fragments_are_not_taken_for_packets() {
    let bench = Bench::lay().serve("mode: reservation\ninterfaces: [{name: eth0}]");
    let mut card = Card::open("eth0", MAC0);
    let message = card.message(DISCOVER);
    let [first, second] = fragments(&card.broadcast(&message), 160);
    only_the_ordinary_one_counts(&bench, &mut card, &[first, second]);
}

/// The loop guard: what leaves this machine is not heard as if it had come in, whether we sent
/// it or a client on this host.
#[test]
fn frames_that_leave_this_machine_are_not_answered() {
    let bench = Bench::lay().serve("mode: reservation\ninterfaces: [{name: eth0}]");
    // A client on our own host asks on the wire; nobody answers it, not even we.
    let words = ["udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "2", "-T", "1", "-s", "/bin/true"];
    let ended = bench.sandbox.run(bootlace::lab::sandbox::Place::Host("srv"), &words);
    assert!(ended.is_err(), "no lease");
    let mut card = Card::open("eth0", MAC0);
    only_the_ordinary_one_counts(&bench, &mut card, &[]);
}

/// [D7]: the checksum of a frame from a virtual peer is unfinished, and a wrong one is no reason for silence.
#[test]
fn a_frame_with_an_unfinished_checksum_is_answered() {
    let bench = Bench::lay().serve("mode: reservation\ninterfaces: [{name: eth0}]");
    let mut card = Card::open("eth0", MAC0);
    let message = card.message(DISCOVER);
    let mut frame = card.broadcast(&message);
    frame[14 + 20 + 6] ^= 0x55; // the UDP checksum
    card.send(&frame);
    let offers = card.answers(&message, crate::bench::LIMIT, |_| true);
    assert_eq!(offers.len(), 1, "{}", bench.log());
}

/// What the kernel had to throw away is counted and said.
#[test]
fn packets_lost_in_a_flood_are_counted_and_said() {
    let bench = Bench::lay().serve("mode: proxy\ninterfaces: [{name: eth0}]");
    let mut card = Card::open("eth0", MAC0);
    bench.signal_bootlace(Signal::SIGSTOP);
    let message = card.message(DISCOVER);
    let frame = card.broadcast(&message);
    // More than twice 8 MiB of buffer hold (the kernel doubles what is asked for), at less than 1 KiB each.
    for _ in 0..40_000 {
        card.send(&frame);
    }
    bench.signal_bootlace(Signal::SIGCONT);
    // The count comes with the first frame taken in after the flood. Asked again and again: while the kept ones
    // are worked off a question is lost like the rest, or its answer is among those to the flood.
    let noted = crate::bench::until(|| {
        let message = card.message(DISCOVER);
        let frame = card.broadcast(&message);
        card.send(&frame);
        card.answers(&message, Duration::from_millis(500), |_| true);
        bench.entries().into_iter().find(|entry| entry["event"] == "dropped")
    });
    let noted = noted.expect("a notice");
    assert!(noted["count"].as_u64().unwrap() > 0, "{noted}");
    assert_eq!(noted["interface"], "eth0");
}
