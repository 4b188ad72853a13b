//! Clients of Debian's packages through the life of a lease: bind, renew, reboot, inform, release; and BOOTP.

use bootlace::lab::sandbox::{Place, Process};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::vlan::{LIMIT, Vlan, net};

/// Leases short enough to be renewed while a test waits: T1 is half of it.
const SHORT: &str = "subnets: [{subnet: 10.77.0.0/24, lease: 8s}]\n";

fn with_settings(settings: &str) -> Vlan {
    let vlan = Vlan::lay();
    let path = vlan.sandbox.write("bootlace.yaml", settings).unwrap();
    vlan.serve("reservation", &["--config", path.to_str().unwrap()], &[])
}

/// A hook that gives the interface the address of the lease, under the names of dhclient and of udhcpc.
fn hook(vlan: &Vlan) -> String {
    let text = "#!/bin/sh\naddress=${new_ip_address:-$ip}\n[ -n \"$address\" ] && \
                ip addr replace \"$address/24\" dev eth0\nexit 0\n";
    net::program(&vlan.sandbox, "hook.sh", text)
}

fn step(entry: &Value, text: &str) -> bool {
    entry["because"].as_array().is_some_and(|steps| steps.iter().any(|step| step == text))
}

/// A REQUEST from the address of the record, by unicast, that was acknowledged there.
fn renewed(vlan: &Vlan) {
    let renewed = vlan.entry("a renewal", |entry| step(entry, "renew or rebind"));
    assert_eq!(
        (renewed["ciaddr"].as_str(), renewed["reply"]["type"].as_str()),
        (Some("10.77.0.11"), Some("ACK"))
    );
    assert_eq!(
        (&renewed["source"], &renewed["destination"]),
        (&"10.77.0.11:68".into(), &"10.77.0.1:67".into())
    );
    assert!(renewed["reply"]["to"].as_str().unwrap().starts_with("10.77.0.11:68"), "{renewed}");
}

fn released(vlan: &Vlan) {
    let released = vlan.entry("the RELEASE", |entry| entry["type"] == "RELEASE");
    assert_eq!(
        (released["reason"].as_str(), released["ciaddr"].as_str()),
        (Some("released"), Some("10.77.0.11"))
    );
    assert_eq!(
        (released["server"].as_str(), released["node"].as_str()),
        (Some("10.77.0.1"), Some("compute1"))
    );
}

/// ISC's client renews by unicast, asks for its old address when it starts again, and gives it back.
#[test]
fn dhclient_renews_reboots_and_releases() {
    let vlan = with_settings(SHORT);
    let sandbox = &vlan.sandbox;
    let file = |name: &str| sandbox.work().join(name).display().to_string();
    let conf = sandbox.write("dhclient.conf", "timeout 20;\nretry 3;\n").unwrap().display().to_string();
    let hook = hook(&vlan);
    let words = ["-4", "-d", "-cf", &conf, "-lf", &file("leases"), "-pf", &file("pid"), "-sf", &hook];
    let start =
        |flags: &[&str]| vlan.start_in("lc0", &[&["dhclient"], &words[..], flags, &["eth0"]].concat());
    let mut first = start(&["-1"]);
    renewed(&vlan);
    first.stop();
    let mut second = start(&["-1"]);
    let rebooted = vlan.entry("init-reboot", |entry| step(entry, "init-reboot"));
    assert_eq!(rebooted["reply"]["type"], "ACK");
    second.stop();
    assert!(start(&["-r"]).wait(LIMIT).is_some(), "dhclient -r ends");
    released(&vlan);
}

/// Busybox's client renews and releases when it is told to.
#[test]
fn udhcpc_renews_and_releases() {
    let vlan = Vlan::start("reservation", &[]);
    let hook = hook(&vlan);
    let mut client: Process = vlan.start_in("lc0", &["udhcpc", "-i", "eth0", "-f", "-s", &hook]);
    vlan.entry("the ACK", |entry| entry["reply"]["type"] == "ACK");
    // Told before it has read the ACK it would do nothing.
    let has_address = || vlan.sandbox.run(Place::Host("lc0"), &["ip", "-4", "addr", "show", "dev", "eth0"]);
    vlan.until("the address", || has_address().unwrap().contains("10.77.0.11/24"));
    client.signal(Signal::SIGUSR1);
    renewed(&vlan);
    client.signal(Signal::SIGUSR2);
    released(&vlan);
}

/// RFC 2131 section 4.3.5: a client that has its address asks for the rest.
#[test]
fn dhcpcd_with_an_address_of_its_own_is_informed() {
    let vlan = with_settings("subnets: [{subnet: 10.77.0.0/24, router: 10.77.0.254}]\n");
    let conf = vlan.sandbox.write("dhcpcd.conf", "option routers\nnoarp\nnoipv6\nnoipv4ll\n").unwrap();
    let conf = conf.display().to_string();
    let words = ["dhcpcd", "-B", "-4", "-f", &conf, "-c", "/bin/true", "--inform", "eth0"];
    vlan.sandbox.run(Place::Host("lc0"), &["ip", "addr", "add", "10.77.0.11/24", "dev", "eth0"]).unwrap();
    let _client = vlan.start_in("lc0", &words);
    let informed = vlan.entry("the INFORM", |entry| entry["type"] == "INFORM");
    assert_eq!(
        (informed["ciaddr"].as_str(), informed["node"].as_str()),
        (Some("10.77.0.11"), Some("compute1"))
    );
    let reply = &informed["reply"];
    assert_eq!((reply["type"].as_str(), &reply["yiaddr"]), (Some("ACK"), &Value::Null), "{informed}");
    let codes: Vec<u64> = reply["options"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert!(codes.contains(&3) && !codes.contains(&51), "{informed}");
}

/// RFC 951 with RFC 1048's options, by a client of that time.
#[test]
fn bootpc_gets_the_address_of_its_record() {
    let vlan = with_settings("bootp: true\n");
    // It sends by an ordinary socket, which needs a route to anywhere.
    vlan.sandbox.run(Place::Host("lc0"), &["ip", "route", "add", "default", "dev", "eth0"]).unwrap();
    let client = ["timeout", "30", "bootpc", "--dev", "eth0", "--timeoutwait", "20", "--serverbcast"];
    let said = vlan.sandbox.run(Place::Host("lc0"), &client);
    let asked = vlan.entry("the BOOTREQUEST", |entry| entry["type"] == "BOOTP");
    assert_eq!(
        (asked["reply"]["type"].as_str(), asked["reply"]["yiaddr"].as_str()),
        (Some("BOOTP"), Some("10.77.0.11"))
    );
    let said = said.unwrap_or_else(|error| panic!("{error}"));
    assert!(said.contains("IPADDR='10.77.0.11'") && said.contains("NETMASK='255.255.255.0'"), "{said}");
}
