//! Interfaces that change while they are served.

use std::net::Ipv4Addr;

use crate::bench::{Bench, MAC0, MAC1, until};
use crate::wire::Card;

/// Everything that is served on a network answers, at `server` and for a client with an address there.
fn all_doors_answer(bench: &Bench, server: &str) {
    let script = until(|| bench.curl(&format!("http://{server}:8081/boot/v1/bootscript?mac={MAC0}")).ok());
    assert!(script.unwrap_or_default().starts_with("#!ipxe"), "{}", bench.log());
    assert_eq!(bench.tftp(server), 4096);
}

/// The address of a running appliance is changed twenty times; from the moment `ip` returns no answer names the
/// one before.
#[test]
fn no_answer_names_an_address_that_is_gone() {
    let bench = Bench::lay();
    let keep = ["sysctl", "-qw", "net.ipv4.conf.eth0.promote_secondaries=1"];
    bench.sandbox.run(bootlace::lab::sandbox::Place::Host("srv"), &keep).unwrap();
    let bench = bench.serve("mode: reservation\ninterfaces: [{name: eth0}]");
    let mut card = Card::open("eth0", MAC0);
    for round in 2..22_u8 {
        let add = format!("addr add 10.77.0.{round}/24 brd + dev eth0");
        let delete = format!("addr del 10.77.0.{}/24 dev eth0", round - 1);
        // In either order: from one to the next, or over a moment without any.
        for words in if round % 3 == 0 { [&delete, &add] } else { [&add, &delete] } {
            bench.ip("srv", words);
        }
        if round % 2 == 0 {
            bench.ip("srv", "link set eth0 mtu 1400");
        }
        let now = Ipv4Addr::new(10, 77, 0, round);
        if now == Ipv4Addr::new(10, 77, 0, 11) {
            continue; // the node's own
        }
        let asked = until(|| {
            let message = card.message(crate::wire::DISCOVER);
            let frame = card.broadcast(&message);
            card.send(&frame);
            let answers = card.answers(&message, std::time::Duration::from_millis(300), |_| true);
            answers.into_iter().next()
        });
        let offer = asked.unwrap_or_else(|| panic!("no offer\n{}", bench.log()));
        assert_eq!((offer.server(), offer.siaddr()), (now, now));
        assert_eq!(*offer.source.ip(), now);
    }
    bench.ip("lc0", "addr add 10.77.0.200/24 dev eth0");
    all_doors_answer(&bench, "10.77.0.21");
    assert!(bench.curl("http://10.77.0.2:8081/").is_err(), "the old listener is closed");
}

/// Down and up again; deleted and made anew; with another MAC: served again each time, without a restart, and said.
#[test]
fn an_interface_that_goes_and_comes_back_is_served_again() {
    let bench = Bench::lay();
    bench.cable("eth1", Some("10.77.10.1/24"), MAC1);
    let bench = bench.serve("mode: reservation\ninterfaces: [{name: eth0}, {name: eth1}]");
    let answered = |interface: &'static str, mac: &str, server: Ipv4Addr| {
        let mut card = Card::open(interface, mac);
        let offer = until(|| {
            let message = card.message(crate::wire::DISCOVER);
            let frame = card.broadcast(&message);
            card.send(&frame);
            card.answers(&message, std::time::Duration::from_millis(300), |_| true).into_iter().next()
        });
        let offer = offer.unwrap_or_else(|| panic!("{interface} is not served\n{}", bench.log()));
        assert_eq!(offer.server(), server);
        offer.source_mac
    };
    let (first, second) = (Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 10, 1));
    answered("eth1", MAC1, second);

    bench.ip("srv", "link set eth1 down");
    bench.notice("link-gone", "eth1 is down");
    answered("eth0", MAC0, first);
    bench.ip("srv", "link set eth1 up");
    bench.notice("link-back", "eth1 is back and served at 10.77.10.1");
    answered("eth1", MAC1, second);

    bench.ip("srv", "link del eth1");
    bench.notice("link-gone", "no interface eth1");
    bench.cable("eth1", Some("10.77.10.1/24"), MAC1);
    bench.notice("link-back", "it was made anew");
    answered("eth1", MAC1, second);
    bench.ip("lc0", "addr add 10.77.10.50/24 dev eth1");
    all_doors_answer(&bench, "10.77.10.1");

    bench.ip("srv", "link set eth1 address 02:00:00:00:00:77");
    bench.notice("link-changed", "is now 02:00:00:00:00:77");
    assert_eq!(answered("eth1", MAC1, second), [2, 0, 0, 0, 0, 0x77]);
    bench.ip("srv", "link set eth1 mtu 1400");
    bench.notice("link-changed", "MTU 1500 is now 1400");
    answered("eth1", MAC1, second);
}

/// With all of them gone it waits: who unplugs the only cable does not want to start a program afterwards.
#[test]
fn with_every_interface_gone_it_waits_for_one() {
    let bench = Bench::lay().serve("mode: reservation\ninterfaces: [{name: eth0}]");
    bench.ip("srv", "addr flush dev eth0");
    bench.notice("link-gone", "no IPv4 address");
    bench.ip("srv", "link set eth0 down");
    assert!(!bench.bootlace_ended());
    bench.ip("srv", "link set eth0 up");
    bench.ip("srv", "addr add 10.77.0.9/24 brd + dev eth0");
    bench.notice("link-back", "address 10.77.0.1/24 is now 10.77.0.9/24");
    let offers = Card::open("eth0", MAC0).discover(|_| true);
    assert_eq!(offers[0].server(), Ipv4Addr::new(10, 77, 0, 9));
    bench.ip("lc0", "addr add 10.77.0.200/24 dev eth0");
    all_doors_answer(&bench, "10.77.0.9");
    assert!(!bench.bootlace_ended());
}
