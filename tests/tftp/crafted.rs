//! What firmware does and no tool can be made to do: packets made by hand, over a real network.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use bootlace::config::Knobs;
use bootlace::journal::TftpOutcome;
use bootlace::link::udp::UdpError;
use bootlace::policy::Reason;
use bootlace::records::{Nic, Node};
use bootlace::tftp::server::{PORT, TRANSFERS_MAX};
use bootlace::tftp::{self, Listen, Rollover, TftpError};

use crate::client::{Port, Receiver, ack, error, read_request, request};
use crate::lan::{CLIENT, Known, SERVER, SERVER_TOO, in_namespace, on_lan};

/// [T5] The way of UEFI and of Intel's ROMs: ask for the size, end in an ERROR, ask again from the same port.
#[test]
fn a_size_probe_is_followed_by_the_real_request_from_the_same_port() {
    on_lan(Known::default(), |lan| {
        let file = vec![7; 9000];
        lan.asset("ipxe.efi", &file);
        let port = Port::open(CLIENT);
        for code in [8, 0] {
            port.ask(SERVER, &read_request("ipxe.efi", "octet", &[("tsize", "0"), ("blksize", "1468")]));
            let (options, transfer) = port.option_ack();
            assert_eq!(options, "tsize=9000 blksize=1468");
            port.send(transfer, &error(code, "TFTP Aborted"));
            port.ask(SERVER, &read_request("ipxe.efi", "octet", &[("blksize", "1468")]));
            let (options, transfer) = port.option_ack();
            assert_eq!(options, "blksize=1468");
            port.send(transfer, &ack(0));
            assert_eq!(port.fetch(1468, 1), file);
            let outcomes: Vec<_> = lan.events(2).into_iter().map(|event| event.outcome).collect();
            assert_eq!(outcomes, [TftpOutcome::SizeProbe, TftpOutcome::Sent], "ERROR {code}");
        }
        // Without the ERROR: the new request itself ends the probe.
        port.ask(SERVER, &read_request("ipxe.efi", "octet", &[("tsize", "0")]));
        port.option_ack();
        port.ask(SERVER, &read_request("ipxe.efi", "octet", &[]));
        assert_eq!(port.fetch(512, 1), file);
        let outcomes: Vec<_> = lan.events(2).into_iter().map(|event| event.outcome).collect();
        assert_eq!(outcomes, [TftpOutcome::SizeProbe, TftpOutcome::Sent]);
    });
}

/// [T14] [T5]
#[test]
fn a_request_that_arrives_twice_makes_one_stream() {
    on_lan(Known::default(), |lan| {
        let file = vec![9; 3000];
        lan.asset("file", &file);
        let port = Port::open(CLIENT);
        let bytes = read_request("file", "octet", &[("blksize", "1000")]);
        port.ask(SERVER, &bytes);
        port.ask(SERVER, &bytes);
        let (_, first) = port.option_ack();
        let (_, second) = port.option_ack();
        assert_eq!(first, second, "one stream, one port");
        port.send(first, &ack(0));
        let (data, _) = port.next();
        assert_eq!(data[..4], [0, 3, 0, 1]);
        // Late copies, now that the transfer runs.
        for block in 1..=3 {
            port.ask(SERVER, &bytes);
            port.send(first, &ack(block));
            let (data, from) = port.next();
            assert_eq!((&data[..4], from), (&[0, 3, 0, block as u8 + 1][..], first));
        }
        port.send(first, &ack(4));
        assert_eq!(lan.event().outcome, TftpOutcome::Sent);
        assert_eq!(port.pending(), None, "a second stream");
    });
}

/// [T1] [T10] Answers come from the address that was asked, and a stranger on the transfer's port neither gets
/// data nor ends the transfer.
#[test]
fn a_transfer_stays_between_its_two_addresses() {
    on_lan(Known::default(), |lan| {
        let file = vec![3; 3000];
        lan.asset("file", &file);
        let (port, stranger) = (Port::open(CLIENT), Port::open(CLIENT));
        port.ask(SERVER_TOO, &read_request("file", "octet", &[("tsize", "0")]));
        let (_, transfer) = port.option_ack();
        assert_eq!(transfer.ip(), IpAddr::V4(SERVER_TOO));
        assert_ne!(transfer.port(), PORT);
        stranger.0.connect(transfer).unwrap();
        for bytes in [error(0, "die"), ack(0)] {
            stranger.0.send(&bytes).unwrap();
            let refused = stranger.0.recv(&mut [0; 16]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "ICMP tells a stranger to go away");
        }
        port.send(transfer, &ack(0));
        assert_eq!(port.fetch(512, 1), file);
        assert_eq!(lan.event().outcome, TftpOutcome::Sent);

        port.ask(SERVER_TOO, &read_request("nothing", "octet", &[]));
        assert_eq!(port.next().1.ip(), IpAddr::V4(SERVER_TOO), "so do refusals");
    });
}

/// [T1] [T5] [T14] `single_port`: one port for all, clients told apart by theirs, as NAT and firewalls need it.
#[test]
fn with_single_port_every_packet_comes_from_port_69() {
    let knobs = Knobs { single_port: Some(true), ..Knobs::default() };
    on_lan(Known { knobs, ..Known::default() }, |lan| {
        let (one, two) = (vec![1; 30_000], vec![2; 30_000]);
        lan.asset("one", &one);
        lan.asset("two", &two);
        let (first, second) = (Port::open(CLIENT), Port::open(CLIENT));
        let windowed = [("tsize", "0"), ("blksize", "1024"), ("windowsize", "4")];
        first.ask(SERVER_TOO, &read_request("one", "octet", &windowed));
        assert_eq!(first.option_ack().1, (SERVER_TOO, PORT).into());
        // A second client begins, stutters and is served while the first one waits.
        let request = read_request("two", "octet", &[("tsize", "0")]);
        second.ask(SERVER_TOO, &request);
        second.ask(SERVER_TOO, &request);
        assert_eq!(
            second.option_ack(),
            second.option_ack(),
            "asked again before the first ACK: answered again"
        );
        second.ask(SERVER_TOO, &error(8, "size only"));
        second.ask(SERVER_TOO, &read_request("two", "octet", &[]));
        assert_eq!(second.fetch_by(Receiver::new(512, 1)), (two, PORT));
        first.ask(SERVER_TOO, &ack(0));
        assert_eq!(first.fetch_by(Receiver::new(1024, 4)), (one, PORT));
        let outcomes: Vec<_> = lan.events(3).into_iter().map(|event| event.outcome).collect();
        assert_eq!(outcomes, [TftpOutcome::SizeProbe, TftpOutcome::Sent, TftpOutcome::Sent]);
        // What belongs to no transfer is still told so, or nothing.
        second.ask(SERVER_TOO, &[0, 3, 0, 1]);
        assert!(matches!(lan.event().outcome, TftpOutcome::Illegal { .. }));
    });
}

/// [T7]
#[test]
fn with_rollover_1_the_block_after_65535_is_1() {
    let knobs = Knobs { rollover: Some(Rollover::One), ..Knobs::default() };
    on_lan(Known { knobs, ..Known::default() }, |lan| {
        let file: Vec<u8> = (0..8 * 66_000_usize).map(|index| (index / 8 % 251) as u8).collect();
        lan.asset("file", &file);
        let port = Port::open(CLIENT);
        port.ask(SERVER, &read_request("file", "octet", &[("blksize", "8"), ("windowsize", "16")]));
        let (_, transfer) = port.option_ack();
        port.send(transfer, &ack(0));
        let mut receiver = Receiver::new(8, 16);
        receiver.restarts_at = 1;
        assert!(port.fetch_by(receiver).0 == file, "bytes differ");
        assert_eq!(lan.event().outcome, TftpOutcome::Sent);
    });
}

/// [T3] [T9] [T2]
#[test]
fn blocks_fit_the_path_and_the_operators_limits() {
    let mac = "02:00:00:00:00:64".parse().unwrap();
    let node = Node {
        name: Some("old-rom".to_owned()),
        netboot: true,
        nics: vec![Nic { mac, addresses: vec![CLIENT.into()] }],
        knobs: Knobs { blksize_max: Some(1024), ..Knobs::default() },
        ..Node::default()
    };
    let general = Knobs { blksize_max: Some(1200), windowsize_max: Some(4), ..Knobs::default() };
    let cases = [
        (Known::default(), "blksize=1468 windowsize=16", None),
        (Known { knobs: general, ..Known::default() }, "blksize=1200 windowsize=4", None),
        (
            Known { knobs: general, nodes: vec![node], ..Known::default() },
            "blksize=1024 windowsize=4",
            Some("old-rom"),
        ),
    ];
    for (known, expected, label) in cases {
        on_lan(known, move |lan| {
            lan.asset("file", &[1; 40_000]);
            let port = Port::open(CLIENT);
            let options = [("blksize", "65464"), ("windowsize", "64"), ("multicast", "")];
            port.ask(SERVER, &read_request("file", "octet", &options));
            let (options, transfer) = port.option_ack();
            assert_eq!(options, expected);
            port.send(transfer, &error(0, "enough"));
            assert_eq!(lan.event().node.as_deref(), label);
        });
    }
}

/// One decision for all stages: the record says no.
#[test]
fn a_node_that_shall_not_netboot_is_refused_with_the_reason() {
    let mac = "02:00:00:00:00:64".parse().unwrap();
    let nics = vec![Nic { mac, addresses: vec![CLIENT.into()] }];
    let node = Node { name: Some("stay-away".to_owned()), nics, ..Node::default() };
    on_lan(Known { nodes: vec![node], ..Known::default() }, |lan| {
        lan.asset("file", b"x");
        let port = Port::open(CLIENT);
        port.ask(SERVER, &read_request("file", "octet", &[]));
        assert_eq!(port.error(), (2, Reason::NetbootOff.text().to_owned()));
        let event = lan.event();
        assert_eq!(event.outcome, TftpOutcome::Refused { reason: Reason::NetbootOff, detail: None });
        assert_eq!(event.node.as_deref(), Some("stay-away"));
    });
}

/// [T12]
#[test]
fn a_name_with_junk_behind_it_is_found() {
    on_lan(Known::default(), |lan| {
        lan.asset("boot/undionly.kpxe", b"loader");
        let port = Port::open(CLIENT);
        let names: [&[u8]; 8] = [
            b"boot/undionly.kpxe\xff",
            b"boot/undionly.kpxe   ",
            b"boot/undionly.kpxe\xff\xff\x01\x02",
            b"/boot//undionly.kpxe",
            b"//boot/./undionly.kpxe",
            b"\\boot\\undionly.kpxe",
            b"boot\\\\undionly.kpxe\xff",
            b"tftp://10.9.0.1/boot/undionly.kpxe",
        ];
        for name in names {
            port.ask(SERVER, &request(1, name, "octet", &[]));
            assert_eq!(port.fetch(512, 1), b"loader", "{name:?}");
            assert_eq!(lan.event().outcome, TftpOutcome::Sent);
        }
        for name in [&b"../boot/undionly.kpxe\xff"[..], b"tftp://10.9.0.1/../boot/undionly.kpxe"] {
            port.ask(SERVER, &request(1, name, "octet", &[]));
            assert_eq!(port.error().0, 2, "{name:?}");
            lan.event();
        }
        port.ask(SERVER, &request(1, &[b'a'; 600], "octet", &[]));
        assert_eq!(port.error().0, 2);
        assert!(lan.event().name.chars().count() < 300);
    });
}

/// [T11] [T13]
#[test]
fn what_cannot_be_served_gets_one_error_and_one_event() {
    on_lan(Known::default(), |lan| {
        lan.asset("file", b"x");
        let port = Port::open(CLIENT);
        let cases: [(Vec<u8>, u16); 5] = [
            (request(1, b"file", "mail", &[]), 4),
            (request(2, b"file", "octet", &[]), 2),
            (vec![0, 1, b'x'], 4),
            (vec![], 4),
            (vec![0, 9, 1, 2, 3], 4),
        ];
        for (bytes, code) in cases {
            port.ask(SERVER, &bytes);
            assert_eq!(port.error().0, code, "{bytes:?}");
            let event = lan.event();
            assert!(matches!(event.outcome, TftpOutcome::Illegal { .. }), "{event:?}");
        }
        // What is no request is not answered: two servers would send each other ERRORs for ever.
        for bytes in [error(0, "hello"), vec![0, 3, 0, 1, 7], vec![0, 6]] {
            port.ask(SERVER, &bytes);
            assert!(matches!(lan.event().outcome, TftpOutcome::Illegal { .. }));
        }
        // BSD's client acknowledges an ERROR. The request to everybody below shows that no event came of it.
        port.ask(SERVER, &ack(0));
        port.0.set_broadcast(true).unwrap();
        for everybody in [Ipv4Addr::new(10, 9, 0, 255), Ipv4Addr::BROADCAST] {
            port.ask(everybody, &read_request("file", "octet", &[]));
            let outcome = lan.event().outcome;
            assert!(matches!(outcome, TftpOutcome::Refused { reason: Reason::NotOurs, .. }), "{outcome:?}");
        }
        assert_eq!(port.pending(), None);
    });
}

/// A file that is cut while it is sent ends that transfer, not the server.
#[test]
fn a_file_that_shrinks_ends_its_transfer_with_an_error() {
    on_lan(Known::default(), |lan| {
        lan.asset("file", &[1; 5000]);
        let port = Port::open(CLIENT);
        port.ask(SERVER, &read_request("file", "octet", &[]));
        let (_, transfer) = port.next();
        std::fs::File::options().write(true).open(lan.assets().join("file")).unwrap().set_len(600).unwrap();
        port.send(transfer, &ack(1));
        assert_eq!(port.error().0, 0);
        let outcome = lan.event().outcome;
        assert!(
            matches!(&outcome, TftpOutcome::ReadFailed { error } if error.contains("shorter")),
            "{outcome:?}"
        );
        port.ask(SERVER, &read_request("file", "octet", &[]));
        assert_eq!(port.fetch(512, 1), [1; 600]);
        lan.event();
    });
}

/// [T16] Beyond the bound clients hear "busy" and the running transfers go on; all end when the server stops.
#[test]
fn too_many_transfers_are_told_busy() {
    on_lan(Known { loaders: vec![("loader", vec![5; 1000])], ..Known::default() }, |lan| {
        let request = read_request("loader", "octet", &[("tsize", "0")]);
        let ports: Vec<Port> = (0..TRANSFERS_MAX)
            .map(|_| {
                let port = Port::open(CLIENT);
                port.ask(SERVER, &request);
                port.option_ack();
                port
            })
            .collect();
        let late = Port::open(CLIENT);
        late.ask(SERVER, &request);
        assert_eq!(late.error(), (0, "busy".to_owned()));
        assert_eq!(lan.event().outcome, TftpOutcome::Refused { reason: Reason::Busy, detail: None });
        lan.stop();
        let events = lan.events(TRANSFERS_MAX);
        assert!(events.iter().all(|event| matches!(event.outcome, TftpOutcome::Aborted { code: 0, .. })));
        drop(ports);
    });
}

#[test]
fn a_port_in_use_and_a_missing_interface_are_said_before_serving() {
    in_namespace(|| {
        let listen = |interface: &str| Listen {
            interface: interface.to_owned(),
            address: Ipv4Addr::LOCALHOST.into(),
            mtu: 65_536,
        };
        let failure = |interface| match tftp::bind(vec![listen(interface)]) {
            Err(TftpError::Listen(error)) => error,
            other => panic!("{other:?}"),
        };
        let error = failure("eth7");
        assert!(matches!(error, UdpError::NoInterface { .. }), "{error:?}");
        assert!(error.to_string().contains("eth7"), "{error}");
        let other = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
        let error = failure("lo");
        assert!(matches!(error, UdpError::PortInUse { port: PORT, .. }), "{error:?}");
        drop(other);
        assert!(tftp::bind(vec![listen("lo")]).is_ok());
    });
}
