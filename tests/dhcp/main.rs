//! DHCP through the front door: `bootlace serve` in a network namespace, asked by real clients of Debian's
//! packages and by crafted packets. Needs root, as every test that makes namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and is a shell"
)]

#[path = "../support/dhcp.rs"]
mod client;
mod clients;
mod modes;
mod relay;
mod servers;
mod vlan;

use std::time::Duration;

use bootlace::lab::sandbox::Place;
use client::{ACK, Client, DISCOVER, NAK, OFFER, REQUEST};
use vlan::{BMC, KNOWN, LIMIT, SERVER, SITE, STRANGER, Vlan, net};

/// Source and destination of a client without address, in the log.
const BROADCAST: (Option<&str>, Option<&str>) = (Some("0.0.0.0:68"), Some("255.255.255.255:67"));

/// [D1] [M1]: a client without address is reached by a raw frame, and gets what the record says.
#[test]
fn udhcpc_of_a_known_node_gets_its_reserved_address_and_boot_file() {
    let vlan = Vlan::start("reservation", &[]);
    let lease =
        vlan.udhcpc("lc0", &["-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "0x5d:0007", "-O", "bootfile"]);
    assert!(lease.contains("ip=10.77.0.11"), "{lease}");
    assert!(lease.contains("siaddr=10.77.0.1"), "{lease}");
    assert!(lease.contains("boot_file=snponly-x86_64.efi"), "{lease}");
    assert!(lease.contains("serverid=10.77.0.1"), "{lease}");
    let acked = vlan.entry("the ACK", |entry| entry["reply"]["type"] == "ACK");
    assert_eq!(acked["node"], "compute1");
    assert_eq!(acked["reply"]["to"], "10.77.0.11:68 at 52:54:00:be:ef:01");
    assert_eq!((acked["source"].as_str(), acked["destination"].as_str()), BROADCAST);
}

/// Renew, release and init-reboot of a real client.
#[test]
fn dhclient_of_a_known_node_binds_and_reboots_with_the_same_address() {
    let vlan = Vlan::start("reservation", &[]);
    let sandbox = &vlan.sandbox;
    let conf = sandbox.write("dhclient.conf", "timeout 20;\nretry 3;\n").unwrap();
    let (lease, pid) = (sandbox.work().join("dhclient.leases"), sandbox.work().join("dhclient.pid"));
    let script = sandbox.write("dhclient-script", "#!/bin/sh\nexit 0\n").unwrap();
    sandbox.run(Place::Net, &["chmod", "+x", script.to_str().unwrap()]).unwrap();
    let start = || {
        let args =
            ["dhclient", "-4", "-d", "-1", "-cf", conf.to_str().unwrap(), "-lf", lease.to_str().unwrap()];
        let more = ["-pf", pid.to_str().unwrap(), "-sf", script.to_str().unwrap(), "eth0"];
        vlan.start_in("lc0", &[&args[..], &more[..]].concat())
    };
    let mut first = start();
    assert!(vlan.wait_file(&lease, "fixed-address 10.77.0.11;").is_some(), "{}", vlan.log());
    first.stop();
    assert!(vlan.entries().iter().any(|entry| entry["type"] == "DISCOVER" && entry["node"] == "compute1"));
    // With the lease file at hand the client asks for its old address directly.
    let _second = start();
    let rebooted = vlan.entry("init-reboot", |entry| {
        entry["because"].as_array().is_some_and(|steps| steps.iter().any(|step| step == "init-reboot"))
    });
    assert_eq!(rebooted["reply"]["type"], "ACK");
}

/// A BMC on record is given its address, and is nobody where files of nodes are served.
#[test]
fn udhcpc_of_a_bmc_gets_its_address_and_nothing_to_boot() {
    let vlan = Vlan::start("reservation", &[]);
    vlan.set_mac("lc0", BMC);
    let asks =
        ["-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "0x5d:0007", "-O", "bootfile", "-O", "hostname"];
    let lease = vlan.udhcpc("lc0", &asks);
    assert!(lease.contains("ip=10.77.0.101"), "{lease}");
    assert!(lease.contains("hostname=x1000c0s0b0"), "{lease}");
    assert!(!lease.contains("boot_file=") && !lease.contains("bootfile="), "{lease}");
    assert!(!lease.contains("siaddr=10.77.0.1") && !lease.contains("vendor="), "{lease}");
    let acked = vlan.entry("the ACK", |entry| entry["reply"]["type"] == "ACK");
    assert_eq!(acked["node"], "BMC x1000c0s0b0");
    assert_eq!(acked["reply"]["to"], "10.77.0.101:68 at de:ca:fc:0f:fe:e1");
}

#[test]
fn a_bmc_beside_another_server_gets_its_address_there_and_the_log_says_why_not_from_us() {
    let vlan = Vlan::start("proxy", &[]);
    vlan.site();
    vlan.set_mac("lc0", BMC);
    let lease = vlan.udhcpc("lc0", &["-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "0x5d:0007"]);
    assert!(lease.contains("serverid=10.77.0.2") && !lease.contains("boot_file="), "{lease}");
    let seen = vlan.entry("the BMC", |entry| entry["mac"] == BMC);
    assert_eq!(
        (seen["verdict"].as_str(), seen["reason"].as_str()),
        (Some("silence"), Some("bmc-boots-nothing"))
    );
}

#[test]
fn a_stranger_gets_nothing_from_us_and_its_address_from_the_site_and_the_log_says_why() {
    let vlan = Vlan::start("proxy", &[]);
    vlan.site();
    vlan.set_mac("lc0", STRANGER);
    let lease =
        vlan.udhcpc("lc0", &["-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "0x5d:0007", "-O", "bootfile"]);
    assert!(lease.contains("serverid=10.77.0.2"), "{lease}");
    assert!(!lease.contains("boot_file="), "{lease}");
    let seen = vlan.entry("the stranger", |entry| entry["mac"] == STRANGER);
    assert_eq!((seen["verdict"].as_str(), seen["reason"].as_str()), (Some("silence"), Some("unknown-mac")));
    assert!(!vlan.entries().iter().any(|entry| entry["verdict"] == "answer"), "{}", vlan.log());
}

/// [X1] [X2] [X7]: what UEFI firmware asks and gets beside another server, packet by packet.
#[test]
fn a_proxied_uefi_client_is_offered_no_43_and_acked_on_4011_with_the_same_file() {
    let vlan = Vlan::start("proxy", &[]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    let offer = client.ask(&client.message(DISCOVER).uefi(), SERVER).expect("an offer");
    assert_eq!((offer.kind(), offer.yiaddr()), (OFFER, [0, 0, 0, 0]));
    assert_eq!((offer.option(43), offer.option(60)), (None, Some(&b"PXEClient"[..])));
    assert_eq!(offer.file(), "snponly-x86_64.efi");
    vlan.sandbox.run(Place::Host("lc0"), &["ip", "addr", "add", "10.77.0.150/24", "dev", "eth0"]).unwrap();
    let ack = client
        .ask_4011(&client.message(REQUEST).uefi().ciaddr([10, 77, 0, 150]), [10, 77, 0, 1])
        .expect("an ACK");
    assert_eq!((ack.kind(), ack.file()), (ACK, offer.file()));
    assert_eq!(ack.option(43), None);
}

/// [M3]: a REQUEST that names another server is never answered, in either mode.
#[test]
fn a_request_naming_another_server_is_never_answered() {
    for mode in ["proxy", "reservation"] {
        let vlan = Vlan::start(mode, &[]);
        let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
        let request = client.message(REQUEST).uefi().option(54, &[10, 77, 0, 2]).option(50, &[10, 77, 0, 11]);
        client.send(&request);
        let seen = vlan.entry("the REQUEST", |entry| entry["type"] == "REQUEST");
        assert_eq!(seen["reason"], "other-server-chosen", "{mode}");
        assert!(client.receive(Duration::from_millis(300)).is_none(), "{mode}");
    }
}

/// [M3]: the wrong address of a node of ours is refused, with the reason.
#[test]
fn a_known_node_that_asks_for_a_wrong_address_is_told_so() {
    let vlan = Vlan::start("reservation", &[]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    let nak = client.ask(&client.message(REQUEST).option(50, &[10, 77, 0, 99]), SERVER).expect("a NAK");
    assert_eq!(nak.kind(), NAK);
    assert_eq!(nak.option(56), Some(&b"address changed: reserved 10.77.0.11, asked 10.77.0.99"[..]));
}

/// DHCPv6 is recognised, named and left alone.
#[test]
fn a_dhcpv6_request_is_noted_and_not_served() {
    let vlan = Vlan::start("proxy", &[]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.solicit();
    let seen = vlan.entry("the SOLICIT", |entry| entry["reason"] == "dhcpv6-not-served");
    assert_eq!(seen["v6"]["message"], "SOLICIT");
}

/// Rubbish on port 67 is named and harms nobody.
#[test]
fn malformed_packets_are_noted_and_the_next_client_is_served() {
    let vlan = Vlan::start("reservation", &[]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    for rubbish in [&[][..], &[1, 1, 17], &[0xff; 300], &[1; 1400]] {
        client.send_bytes(rubbish);
    }
    vlan.entry("the rubbish", |entry| entry["reason"] == "malformed");
    let offer = client.ask(&client.message(DISCOVER), SERVER).expect("an offer");
    assert_eq!(offer.yiaddr(), [10, 77, 0, 11]);
}

/// Port 67 belongs to another daemon on the same host: raw frames work beside it, and that is said once.
#[test]
fn with_port_67_taken_the_raw_socket_serves_alone_and_says_so() {
    let vlan = Vlan::lay();
    vlan.sandbox.host("more", None).unwrap();
    let holder = vlan.hold_port("srv", 67);
    let vlan = vlan.serve("reservation", &[], &[]);
    let said = vlan.entry("the cost", |entry| entry["event"] == "transport");
    assert!(said["text"].as_str().unwrap().contains("no UDP port 67"), "{said}");
    let lease = vlan.udhcpc("lc0", &[]);
    assert!(lease.contains("ip=10.77.0.11"), "{lease}");
    drop(holder);
}

/// [D1]: without CAP_NET_RAW the bound port serves by broadcast, and that is said once.
#[test]
fn without_raw_sockets_port_67_serves_by_broadcast_and_says_so() {
    let vlan = Vlan::lay().serve("reservation", &[], &["setpriv", "--bounding-set", "-net_raw", "--"]);
    let said = vlan.entry("the cost", |entry| entry["event"] == "transport");
    assert!(said["text"].as_str().unwrap().contains("no raw socket"), "{said}");
    let lease = vlan.udhcpc("lc0", &[]);
    assert!(lease.contains("ip=10.77.0.11"), "{lease}");
    let acked = vlan.entry("the ACK", |entry| entry["reply"]["type"] == "ACK");
    assert_eq!(acked["reply"]["to"], "255.255.255.255:68");
    assert_eq!((acked["source"].as_str(), acked["destination"].as_str()), BROADCAST);
}

/// Every answer of ours reads without a complaint in tshark, and its options stand in our order. [P1] [P3]
#[test]
fn tshark_reads_every_answer_without_a_warning() {
    for mode in ["proxy", "reservation"] {
        let vlan = Vlan::start(mode, &[]);
        let capture = vlan.capture();
        let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
        for message in [
            client.message(DISCOVER).uefi(),
            client.message(DISCOVER).bios(),
            client.message(DISCOVER).http_boot(),
        ] {
            client.ask(&message, SERVER).expect("an offer");
        }
        let file = capture.finish(LIMIT, 3);
        let read = |filter: &str| {
            let args = [
                "tshark",
                "-r",
                file.to_str().unwrap(),
                "-Y",
                filter,
                "-T",
                "fields",
                "-e",
                "dhcp.option.type",
            ];
            vlan.sandbox.run(Place::Net, &args).unwrap()
        };
        let answers = read("dhcp.type == 2");
        assert_eq!(answers.lines().count(), 3, "{mode}: {answers}");
        for answer in answers.lines() {
            assert!(answer.starts_with("53,54"), "{mode}: {answer}");
        }
        let complaints = read("dhcp.type == 2 && (_ws.malformed || _ws.expert.severity >= 0x600000)");
        assert_eq!(complaints, "", "{mode}");
    }
}

/// A second server's packets are left alone, and its ACKs teach us addresses.
#[test]
fn another_servers_traffic_is_left_alone() {
    let vlan = Vlan::start("proxy", &[]);
    vlan.site();
    let lease = vlan.udhcpc("lc0", &["-B"]);
    assert!(lease.contains(&format!("serverid={SITE}")), "{lease}");
    assert!(!vlan.entries().iter().any(|entry| entry["verdict"] == "answer"), "{}", vlan.log());
    let ack = vlan.entry("their ACK", |entry| entry["type"] == "ACK");
    assert_eq!(ack["reason"], "not-a-request");
}
