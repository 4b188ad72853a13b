//! DHCPv6 through the front door: `bootlace serve` in a network namespace, asked by real clients of Debian's
//! packages, by a relay, and by OVMF's PXE client. Needs root, as every test that makes namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and is a shell"
)]

mod link;
mod ovmf;
#[path = "../boots/payload.rs"]
mod payload;
#[path = "../dhcp/vlan.rs"]
#[allow(dead_code, reason = "shared with the tests of DHCPv4")]
mod vlan;

use link::{Link, SERVER};

/// [S1] [S2]: a real client binds by a DUID-LL, gets the URL that it asks for, and releases what it got.
#[test]
fn dhclient_gets_the_address_of_its_record_and_the_url_and_releases_it() {
    let link = Link::start("reservation", "dhcpv6: true\n");
    let capture = link.capture("icmp6 or port 546 or port 547");
    let lease = link.dhclient("lc0");
    assert!(lease.contains("iaaddr fd00:1::11 "), "{lease}");
    assert!(lease.contains("max-life 3600;") && lease.contains("renew 1800;"), "{lease}");
    assert!(lease.contains("dhcp6.bootfile-url \"tftp://[fd00:1::1]/snponly-x86_64.efi\""), "{lease}");
    let replied = link.vlan.entry("the REPLY", |entry| entry["reply"]["message"] == "REPLY");
    assert_eq!((replied["node"].as_str(), replied["port"].as_u64()), (Some("compute1"), Some(547)));
    assert_eq!(replied["reply"]["addresses"][0], "fd00:1::11");
    link.release("lc0");
    let released = link.vlan.entry("the RELEASE", |entry| entry["v6"]["message"] == "RELEASE");
    assert_eq!(released["reply"]["status"], 0);
    let file = capture.stop_after(3, link::answer);
    let answers = link.tshark(&file, "udp.srcport == 547", &["dhcpv6.msgtype", "udp.dstport"]);
    let mut kinds: Vec<&str> = answers.iter().map(|answer| answer[0].as_str()).collect();
    // On a busy machine the client asks twice before it reads.
    kinds.dedup();
    assert_eq!(kinds, ["2", "7"]);
    assert!(answers.iter().all(|answer| answer[1] == "546"), "{answers:?}");
    link.no_complaints(&file);
}

/// [S1]: rapid commit, INFORMATION-REQUEST, and a status for what is not given, from a crafted client.
#[test]
fn rapid_commit_and_information_requests_are_answered_at_once() {
    let link = Link::start("reservation", "dhcpv6: true\n");
    let capture = link.capture("port 546 or port 547");
    let client = link.client("lc0");
    let duid = [0, 1, 0, 10, 0, 3, 0, 1, 0x52, 0x54, 0, 0xbe, 0xef, 1];
    let firmware = [&[0, 61, 0, 2, 0, 7][..], &[0, 6, 0, 4, 0, 59, 0, 60]].concat();
    let wanted = [&[0, 3, 0, 12][..], &[0; 12], &[0, 4, 0, 4], &[1; 4], &[0, 25, 0, 12], &[2; 12]].concat();
    let solicit = [&[1, 0, 0, 1][..], &duid, &firmware, &wanted, &[0, 14, 0, 0]].concat();
    let reply = client.ask(&solicit);
    let read = bootlace::dhcp::v6::Message::parse(&reply).unwrap();
    assert_eq!((read.kind, read.rapid_commit), (7, true));
    assert_eq!(read.addresses[0].to_string(), "fd00:1::11");
    let asking = [&[11, 0, 0, 2][..], &duid, &firmware].concat();
    let reply = client.ask(&asking);
    let read = bootlace::dhcp::v6::Message::parse(&reply).unwrap();
    assert_eq!(read.boot_url, Some(&b"tftp://[fd00:1::1]/snponly-x86_64.efi"[..]));
    let file = capture.stop_after(2, link::answer);
    assert_eq!(link.tshark(&file, "udp.srcport == 547", &["dhcpv6.msgtype"]), [["7"], ["7"]]);
    link.no_complaints(&file);
}

/// [S6]: a node behind a relay gets the address of its own link, through the relay.
#[test]
fn a_node_behind_a_relay_gets_its_address_through_it() {
    let link = Link::start("reservation", "dhcpv6: true\n");
    let capture = link.capture("port 546 or port 547");
    let _relay = link.relay();
    let lease = link.dhclient("lc1");
    assert!(lease.contains("iaaddr fd00:2::22 "), "{lease}");
    let replied = link.vlan.entry("the relayed REPLY", |entry| entry["reply"]["message"] == "REPLY");
    assert_eq!((replied["node"].as_str(), replied["v6"]["relays"].as_u64()), (Some("compute2"), Some(1)));
    // The relay speaks from port 547, too.
    let file = capture.stop_after(4, link::answer);
    let answers = link.tshark(&file, "dhcpv6.msgtype == 13", &["ipv6.dst", "udp.dstport"]);
    assert!(answers.len() >= 2, "{answers:?}");
    assert!(answers.iter().all(|answer| answer[1] == "547"), "{answers:?}");
    link.no_complaints(&file);
}

/// Without CAP_NET_RAW the bound port receives, too.
#[test]
fn without_raw_sockets_port_547_serves() {
    let link =
        Link::start_behind("reservation", "dhcpv6: true\n", &["setpriv", "--bounding-set", "-net_raw", "--"]);
    let lease = link.dhclient("lc0");
    assert!(lease.contains("iaaddr fd00:1::11 "), "{lease}");
    let replied = link.vlan.entry("the REPLY", |entry| entry["reply"]["message"] == "REPLY");
    assert_eq!(replied["destination"], "[ff02::1:2]:547");
}

/// [S11]: beside another server nothing is answered that has to do with addresses, and the log says why.
#[test]
fn in_proxy_mode_a_solicit_stays_unanswered_with_a_reason() {
    let link = Link::start("proxy", "dhcpv6: true\n");
    let client = link.client("lc0");
    client.send(&[1, 0, 0, 1, 0, 1, 0, 10, 0, 3, 0, 1, 0x52, 0x54, 0, 0xbe, 0xef, 1]);
    let seen = link.vlan.entry("the SOLICIT", |entry| entry["v6"]["message"] == "SOLICIT");
    assert_eq!((seen["reason"].as_str(), seen["node"].as_str()), (Some("no-proxy-v6"), Some("compute1")));
}

/// [T3]: loaders, scripts and per-node files over IPv6, to whoever the neighbour table says it is.
#[test]
fn tftp_and_http_serve_over_ipv6_and_know_who_asks() {
    let link = Link::start("reservation", "dhcpv6: true\n");
    // An address that no record holds: only the neighbour table tells whose it is.
    link.run("lc0", &["ip", "addr", "add", "fd00:1::99/64", "dev", "eth0"]);
    let url = format!("http://[{SERVER}]:8081/autoexec.ipxe");
    let text = link.run("lc0", &["curl", "-gsf", &url]);
    assert!(
        text.contains(&format!("http://[{SERVER}]:8081/boot/v1/bootscript?mac=52:54:00:be:ef:01")),
        "{text}"
    );
    let seen = link.vlan.entry("the request", |entry| entry["event"] == "http");
    assert_eq!((seen["node"].as_str(), seen["mac"].as_str()), (Some("compute1"), Some(vlan::KNOWN)));
    let file = link.vlan.sandbox.work().join("loader");
    let capture = link.capture("udp");
    link.run(
        "lc0",
        &[
            "atftp",
            "--option",
            "blksize 1468",
            "-g",
            "-r",
            "snponly-x86_64.efi",
            "-l",
            file.to_str().unwrap(),
            SERVER,
        ],
    );
    assert_eq!(std::fs::read(&file).unwrap().len(), 4096);
    let sent = link.vlan.entry("the loader", |entry| entry["event"] == "tftp" && entry["outcome"] == "sent");
    assert_eq!((sent["node"].as_str(), sent["blksize"].as_u64()), (Some("compute1"), Some(1448)));
    link.no_complaints(&capture.stop_after(1, link::last_block));
}

/// [S5]: managed, other, no route, the prefix on the link and not for autoconfiguration.
#[test]
fn router_advertisements_send_hosts_to_dhcpv6_and_offer_no_route() {
    let (link, capture) = {
        let link = Link::lay();
        link.run("lc0", &["sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=1"]);
        let capture = link.capture("icmp6");
        (link.serve("reservation", "dhcpv6: true\nrouter_advertisements: true\n", &[]), capture)
    };
    let told = link.eventually(|| {
        let routes = link.run("lc0", &["ip", "-6", "route", "show", "dev", "eth0"]);
        routes.contains("fd00:1::/64").then_some(routes)
    });
    assert!(!told.contains("default"), "{told}");
    let file = capture.stop_after(1, link::advertisement);
    let fields = [
        "icmpv6.nd.ra.flag.m",
        "icmpv6.nd.ra.flag.o",
        "icmpv6.nd.ra.router_lifetime",
        "icmpv6.opt.prefix.flag.l",
        "icmpv6.opt.prefix.flag.a",
        "icmpv6.opt.prefix",
    ];
    let advertised = link.tshark(&file, "icmpv6.type == 134", &fields);
    let truth = |text: &str| matches!(text, "1" | "True");
    assert!(
        truth(&advertised[0][0]) && truth(&advertised[0][1]) && advertised[0][2] == "0",
        "{advertised:?}"
    );
    assert!(truth(&advertised[0][3]) && !truth(&advertised[0][4]), "{advertised:?}");
    assert_eq!(advertised[0][5], "fd00:1::");
    link.no_complaints(&file);
}

/// [S5]
#[test]
fn nothing_is_advertised_where_nobody_asked_for_it() {
    let (quiet, capture) = {
        let quiet = Link::lay();
        let capture = quiet.capture("icmp6 or port 546 or port 547");
        (quiet.serve("reservation", "dhcpv6: true\n", &[]), capture)
    };
    // The first advertisement would leave before anything is answered.
    let client = quiet.client("lc0");
    client.send(&[1, 0, 0, 1, 0, 1, 0, 10, 0, 3, 0, 1, 0x52, 0x54, 0, 0xbe, 0xef, 1]);
    quiet.vlan.entry("the SOLICIT", |entry| entry["v6"]["message"] == "SOLICIT");
    let file = capture.stop_after(1, link::answer);
    assert!(quiet.tshark(&file, "icmpv6.type == 134", &["frame.number"]).is_empty());
}
