//! Through relays: `bootlace serve` at 10.77.0.1, a relay at 10.77.0.3 with two client networks behind it,
//! 10.78.0.0/24 on its `c0` with host `far1` and 10.79.0.0/24 on its `c1` with host `far2`.

use std::process::Stdio;
use std::time::Duration;

use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::{Place, Process, Sandbox};
use serde_json::Value;

use crate::client::{ACK, Client, DISCOVER, NAK, OFFER, REQUEST};
use crate::vlan::{KNOWN, LIMIT, SERVER, STRANGER, Vlan};

const SECOND: &str = "52:54:00:be:ef:02";
const LOCAL: &str = "52:54:00:be:ef:03";
/// One node in each network, one known by its port alone (its card was changed), one beside the server.
const NODES: &str = "
nodes:
- name: compute1
  xname: x1000c0s0b0n0
  interfaces: [{mac_addr: 52:54:00:be:ef:01, ip_addrs: [{ip_addr: 10.78.0.11}]}]
- name: compute2
  xname: x1000c0s0b1n0
  interfaces: [{mac_addr: 52:54:00:be:ef:02, ip_addrs: [{ip_addr: 10.79.0.11}]}]
- name: compute3
  xname: x1000c0s0b2n0
  interfaces: [{mac_addr: 52:54:00:be:ef:03, ip_addrs: [{ip_addr: 10.77.0.13}]}]
- name: port12
  xname: x1000c0s0b3n0
  circuit_id: c1
  interfaces: [{mac_addr: 52:54:00:be:ef:04, ip_addrs: [{ip_addr: 10.79.0.12}]}]
";
const SUBNETS: &str = "
subnets:
- subnet: 10.77.0.0/24
- {subnet: 10.78.0.0/24, router: 10.78.0.1}
- {subnet: 10.79.0.0/24, router: 10.79.0.1}
";
const PXE: [&str; 6] = ["-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "0x5d:0007", "-O", "bootfile"];

/// A running relay.
struct Relay {
    said: Journal,
    _process: Process,
}

/// Hosts and records; `routed`: the server has a route to the client networks.
fn lay(routed: bool) -> Vlan {
    let vlan = Vlan::lay();
    let sandbox = &vlan.sandbox;
    sandbox.write("nodes.yaml", NODES).unwrap();
    sandbox.host("relay", Some("10.77.0.3/24")).unwrap();
    words(sandbox, Place::Host("relay"), "sysctl -qw net.ipv4.ip_forward=1");
    for (number, host, mac) in [(0, "far1", KNOWN), (1, "far2", SECOND)] {
        words(sandbox, Place::Net, &format!("ip netns add {host}"));
        words(
            sandbox,
            Place::Host("relay"),
            &format!("ip link add c{number} type veth peer name eth0 netns {host}"),
        );
        words(sandbox, Place::Host("relay"), &format!("ethtool -K c{number} tx off"));
        words(sandbox, Place::Host(host), "ethtool -K eth0 tx off");
        words(
            sandbox,
            Place::Host("relay"),
            &format!("ip addr add 10.{}.0.1/24 brd + dev c{number}", 78 + number),
        );
        words(sandbox, Place::Host("relay"), &format!("ip link set c{number} up"));
        words(sandbox, Place::Host(host), "ip link set lo up");
        words(sandbox, Place::Host(host), "ip link set eth0 up");
        vlan.set_mac(host, mac);
    }
    if routed {
        words(sandbox, Place::Host("srv"), "ip route add 10.78.0.0/15 via 10.77.0.3");
    }
    vlan
}

/// With `bootlace serve`, the subnets and `more` in bootlace.yaml.
fn serve(vlan: Vlan, mode: &str, more: &str) -> Vlan {
    let config = vlan.sandbox.write("bootlace.yaml", format!("{SUBNETS}{more}\n")).unwrap();
    vlan.serve(mode, &["--config", config.to_str().unwrap()], &[])
}

fn words(sandbox: &Sandbox, place: Place<'_>, command: &str) {
    sandbox.run(place, &command.split_whitespace().collect::<Vec<_>>()).unwrap();
}

/// Starts a relay and waits until it says that it listens.
fn relay(vlan: &Vlan, command: &str, listens: &str) -> Relay {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut start = vlan.sandbox.command(Place::Host("relay"), words[0]);
    start.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = vlan.sandbox.start(words[0], &mut start).unwrap();
    let said = Journal::follow(process.child().stderr.take().unwrap(), None).unwrap();
    said.wait_for(listens, LIMIT, |line| line["text"].as_str().is_some_and(|text| text.contains(listens)))
        .unwrap();
    Relay { said, _process: process }
}

/// ISC's relay, which appends option 82 with the name of its interface as circuit id.
fn dhcrelay(vlan: &Vlan, more: &str) -> Relay {
    let usual = "dhcrelay -4 -d --no-pid -a -id c0 -id c1 -iu eth0";
    relay(vlan, &format!("{usual} {more} {SERVER}"), "Socket/fallback")
}

/// dnsmasq's relay, which adds no option 82.
fn dnsmasq(vlan: &Vlan) -> Relay {
    let usual = "dnsmasq -k --port=0 -C /dev/null --user=root --pid-file= --log-dhcp --log-facility=-";
    let relays = format!("--dhcp-relay=10.78.0.1,{SERVER} --dhcp-relay=10.79.0.1,{SERVER}");
    relay(vlan, &format!("{usual} {relays}"), "DHCP relay from 10.79.0.1")
}

fn steps(entry: &Value) -> String {
    entry["because"].to_string()
}

/// [R1] [R2] [R4]: each client gets the address, mask and router of its own network, by its card or by its port.
#[test]
fn two_subnets_behind_dhcrelay_are_served_each_with_its_own_router_and_a_strange_card_by_its_port() {
    let vlan = serve(lay(true), "reservation", "");
    let relay = dhcrelay(&vlan, "");
    for (host, mac, address, router) in [
        ("far1", KNOWN, "10.78.0.11", "10.78.0.1"),
        ("far2", SECOND, "10.79.0.11", "10.79.0.1"),
        ("far2", STRANGER, "10.79.0.12", "10.79.0.1"),
    ] {
        vlan.set_mac(host, mac);
        let lease = vlan.udhcpc(host, &PXE);
        for line in [
            format!("ip={address}"),
            format!("router={router}"),
            "subnet=255.255.255.0".to_owned(),
            format!("serverid={SERVER}"),
            "boot_file=snponly-x86_64.efi".to_owned(),
        ] {
            assert!(
                lease.lines().any(|found| found == line),
                "{host} {mac}: {line}: {lease}\n{}",
                relay.said.tail()
            );
        }
        let acked =
            vlan.entry("the ACK", |entry| entry["reply"]["yiaddr"] == address && entry["type"] == "REQUEST");
        assert_eq!(acked["reply"]["to"], format!("relay {router}:67"));
        assert_eq!(acked["relay"]["circuit_id"], if host == "far1" { "c0" } else { "c1" });
        assert_eq!(acked["reply"]["relay"], acked["relay"], "echoed");
    }
    let by_port = vlan.entry("the strange card", |entry| entry["mac"] == STRANGER);
    assert_eq!(by_port["node"], "port12");
    assert!(steps(&by_port).contains("node port12 by circuit-id c1"), "{by_port}");
}

/// [R2] [D3]: by the bound port where there is a route, by a frame to the relay's card where there is none or
/// port 67 is left to others.
#[test]
fn dnsmasqs_relay_is_answered_in_every_transport() {
    for (transport, routed) in [("auto", true), ("auto", false), ("raw", false), ("udp", true)] {
        let more = format!("interfaces: [{{name: eth0, transport: {transport}}}]");
        let vlan = serve(lay(routed), "reservation", &more);
        let relay = dnsmasq(&vlan);
        for (host, address) in [("far1", "10.78.0.11"), ("far2", "10.79.0.11")] {
            let lease = vlan.udhcpc(host, &PXE);
            assert!(
                lease.contains(&format!("ip={address}")),
                "{transport}, routed {routed}: {lease}\n{}",
                relay.said.tail()
            );
        }
    }
}

/// [R1] [R2]: giaddr is the relay's address beside us, 82.5 names the client's network.
#[test]
fn a_relay_that_selects_the_link_by_82_5_is_answered_at_giaddr() {
    let vlan = serve(lay(true), "reservation", "");
    let relay = dhcrelay(&vlan, "-U eth0");
    let lease = vlan.udhcpc("far2", &PXE);
    assert!(
        lease.contains("ip=10.79.0.11") && lease.contains("router=10.79.0.1"),
        "{lease}\n{}",
        relay.said.tail()
    );
    let acked = vlan.entry("the ACK", |entry| entry["reply"]["type"] == "ACK");
    assert_eq!(acked["reply"]["to"], "relay 10.77.0.3:67");
    assert!(steps(&acked).contains("subnet 10.79.0.0/24 by link selection (82.5) [R1]"), "{acked}");
}

/// [R6]: the offer comes through the relay, 4011 is asked past it. tshark reads every answer without complaint.
#[test]
fn a_pxe_client_behind_a_relay_is_proxied_and_asks_4011_by_itself() {
    let vlan = serve(lay(false), "proxy", "");
    let relay = dhcrelay(&vlan, "");
    let capture = vlan.capture();
    let client = Client::open(&vlan.sandbox, "far1", KNOWN);
    let offer = client.ask(&client.message(DISCOVER).uefi(), SERVER);
    let offer = offer.unwrap_or_else(|| panic!("no offer: {}\n{}", vlan.log(), relay.said.tail()));
    assert_eq!((offer.kind(), offer.yiaddr()), (OFFER, [0, 0, 0, 0]));
    let place = Place::Host("far1");
    words(&vlan.sandbox, place, "ip addr add 10.78.0.50/24 dev eth0");
    words(&vlan.sandbox, place, "ip route add default via 10.78.0.1");
    let ask = client.message(REQUEST).uefi().ciaddr([10, 78, 0, 50]);
    let ack = client.ask_4011(&ask, [10, 77, 0, 1]);
    let ack = ack.unwrap_or_else(|| panic!("no ACK on 4011: {}", vlan.log()));
    assert_eq!((ack.kind(), ack.file()), (ACK, offer.file()));
    let file = capture.finish(LIMIT, 2);
    let read = |filter: &str, field: &str| {
        let args = ["tshark", "-r", file.to_str().unwrap(), "-Y", filter, "-T", "fields", "-e", field];
        vlan.sandbox.run(Place::Net, &args).unwrap()
    };
    let answers = "dhcp.type == 2 && ip.src == 10.77.0.1";
    // Circuit id c0 as ISC's relay wrote it, and last but for the end.
    let offered = read(&format!("{answers} && udp.dstport == 67"), "dhcp.option.type");
    assert!(offered.trim().starts_with("53,54,") && offered.trim().ends_with("67,82,0"), "{offered}");
    let circuit = read(answers, "dhcp.option.agent_information_option.agent_circuit_id");
    assert!(circuit.contains("6330"), "{circuit}");
    assert_eq!(read(&format!("{answers} && udp.srcport == 67"), "ip.dst").trim(), "10.78.0.1");
    let complaints = format!("{answers} && (_ws.malformed || _ws.expert.severity >= 0x600000)");
    assert_eq!(read(&complaints, "frame.number"), "");
}

/// [R5]: a renewal goes past the relay; the receiving interface is in another network.
#[test]
fn a_renewal_past_the_relay_is_acked_to_the_client() {
    let vlan = serve(lay(true), "reservation", "");
    let client = Client::open(&vlan.sandbox, "far1", KNOWN);
    let place = Place::Host("far1");
    words(&vlan.sandbox, place, "ip addr add 10.78.0.11/24 dev eth0");
    words(&vlan.sandbox, place, "ip route add default via 10.78.0.1");
    client.send_to(&client.message(REQUEST).ciaddr([10, 78, 0, 11]), [10, 77, 0, 1]);
    let ack = client.receive(LIMIT).unwrap_or_else(|| panic!("no ACK: {}", vlan.log()));
    assert_eq!((ack.kind(), ack.yiaddr()), (ACK, [10, 78, 0, 11]));
    let acked = vlan.entry("the ACK", |entry| entry["reply"]["type"] == "ACK");
    assert_eq!(acked["reply"]["to"], "10.78.0.11:68");
}

/// [R2]: the relay broadcasts a NAK, since it has the broadcast bit; the client has no address to be reached at.
#[test]
fn a_nak_reaches_a_client_behind_a_relay() {
    let vlan = serve(lay(true), "reservation", "");
    let relay = dhcrelay(&vlan, "");
    let client = Client::open(&vlan.sandbox, "far1", KNOWN);
    let asked = client.message(REQUEST).option(50, &[10, 78, 0, 99]).without_broadcast();
    let nak = client.ask(&asked, SERVER);
    let nak = nak.unwrap_or_else(|| panic!("no NAK: {}\n{}", vlan.log(), relay.said.tail()));
    assert_eq!(nak.kind(), NAK);
}

/// [R7] [R8]: named once a minute, whatever number of clients asks.
#[test]
fn a_relay_of_an_unknown_subnet_or_without_trust_is_named_once_and_not_answered() {
    for (reason, more) in
        [("unknown-relay-subnet", "subnets: []"), ("untrusted-relay", "trusted_relays: [10.79.0.1]")]
    {
        let vlan = lay(true);
        let subnets = if more.starts_with("subnets") { "" } else { SUBNETS };
        let config = vlan.sandbox.write("bootlace.yaml", format!("{subnets}{more}\n")).unwrap();
        let vlan = vlan.serve("proxy", &["--config", config.to_str().unwrap()], &[]);
        let _relay = dhcrelay(&vlan, "");
        let client = Client::open(&vlan.sandbox, "far1", KNOWN);
        for _ in 0..3 {
            client.send(&client.message(DISCOVER).uefi());
        }
        let seen = vlan.entry("the relay", |entry| entry["giaddr"] == "10.78.0.1");
        assert_eq!((seen["verdict"].as_str(), seen["reason"].as_str()), (Some("silence"), Some(reason)));
        // What is asked afterwards on the server's own network is shown after all three.
        vlan.set_mac("lc0", LOCAL);
        let local = Client::open(&vlan.sandbox, "lc0", LOCAL);
        assert!(client.receive(Duration::from_millis(300)).is_none(), "{reason}");
        local.ask(&local.message(DISCOVER).uefi(), SERVER).expect("an offer");
        vlan.entry("the local offer", |entry| entry["mac"] == LOCAL && entry["verdict"] == "answer");
        let named = vlan.entries().iter().filter(|entry| entry["giaddr"] == "10.78.0.1").count();
        assert_eq!(named, 1, "{reason}: {}", vlan.log());
    }
}

/// [D4]: a relay on the client's own wire makes a second packet of each broadcast.
#[test]
fn a_client_heard_directly_and_through_a_relay_gets_its_address_and_the_log_says_duplicate() {
    let vlan = serve(lay(true), "reservation", "");
    let relay = relay(&vlan, &format!("dhcrelay -4 -d --no-pid -i eth0 {SERVER}"), "Socket/fallback");
    vlan.set_mac("lc0", LOCAL);
    let lease = vlan.udhcpc("lc0", &PXE);
    assert!(lease.contains("ip=10.77.0.13"), "{lease}\n{}", relay.said.tail());
    let copy = vlan.entry("the copy", |entry| steps(entry).contains("duplicate via relay"));
    assert_eq!(copy["mac"], LOCAL);
}
