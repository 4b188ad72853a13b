//! Other servers on the VLAN: dnsmasq as site server and as boot server, and what is said of it.

use std::process::Stdio;

use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::{Place, Process};
use serde_json::Value;

use crate::client::{Client, DISCOVER, REQUEST};
use crate::vlan::{KNOWN, LIMIT, SERVER, SITE, Vlan};

/// dnsmasq on a host, with a pool and these flags; waits until it listens.
fn dnsmasq(vlan: &Vlan, host: &str, flags: &[&str]) -> Process {
    let mut command = vlan.sandbox.command(Place::Host(host), "dnsmasq");
    command
        .args(["-k", "--port=0", "-C", "/dev/null", "--user=root", "--pid-file=", "-i", "eth0"])
        .args(["--bind-interfaces", "--no-ping", "--dhcp-leasefile=/dev/null", "--log-facility=-"])
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = vlan.sandbox.start("dnsmasq", &mut command).unwrap();
    let journal = Journal::follow(process.child().stderr.take().unwrap(), None).unwrap();
    let ready = |entry: &Value| entry["text"].as_str().is_some_and(|text| text.contains("dnsmasq-dhcp"));
    journal.wait_for("dnsmasq-dhcp", LIMIT, ready).unwrap();
    process
}

const POOL: &str = "--dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,1h";

fn finding(vlan: &Vlan, name: &str) -> Value {
    vlan.entry(name, |entry| entry["event"] == name)
}

fn findings(vlan: &Vlan) -> Vec<String> {
    let entries = vlan.entries();
    let about = entries.iter().filter(|entry| entry["server"].is_string() && entry["event"] != "dhcp");
    about.filter_map(|entry| entry["event"].as_str().map(str::to_owned)).collect()
}

fn text(entry: &Value) -> &str {
    entry["text"].as_str().unwrap()
}

/// [X1]: the DHCP server names a boot file: the proxy wins, and that is said.
#[test]
fn a_dhcp_server_with_a_boot_file_is_named_with_what_uefi_will_do() {
    let vlan = Vlan::start("proxy", &[]);
    let _site = dnsmasq(&vlan, "dhcp", &[POOL, "--dhcp-boot=other.efi"]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.send(&client.message(DISCOVER).uefi());
    let found = finding(&vlan, "rogue-boot-server");
    assert_eq!((found["server"].as_str(), found["node"].as_str()), (Some(SITE), Some("compute1")));
    assert_eq!(found["level"], "warn");
    assert!(text(&found).contains("(other.efi)"), "{found}");
    assert!(
        text(&found).contains(&format!(
            "UEFI PXE here takes {SITE}'s address and, by ours ({SERVER}) proxy offer, asks {SERVER} on port 4011"
        )),
        "{found}"
    );
    // dnsmasq names itself as next server, as it always does: no third machine.
    assert_eq!(findings(&vlan), ["server-seen", "rogue-boot-server"]);
}

/// [X4]: quirk 2 of real life: option 60 on the DHCP server and nothing behind it.
#[test]
fn option_60_without_43_is_said_to_stop_uefi() {
    let vlan = Vlan::start("proxy", &[]);
    let _site = dnsmasq(&vlan, "dhcp", &[POOL, "--dhcp-option-force=60,PXEClient"]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.send(&client.message(DISCOVER).uefi());
    let found = finding(&vlan, "pxe-class-without-43");
    assert_eq!(found["server"], SITE);
    assert!(text(&found).contains(&format!("asks {SITE} on port 4011")), "{found}");
    assert!(text(&found).contains(&format!("UEFI PXE here takes {SITE}'s offer")), "{found}");
}

/// A second proxy, as somebody's forgotten one.
#[test]
fn another_proxy_is_said() {
    let vlan = Vlan::start("proxy", &[]);
    let flags = ["--dhcp-range=10.77.0.0,proxy", "--pxe-service=X86-64_EFI,boot,other.efi"];
    let _proxy = dnsmasq(&vlan, "dhcp", &flags);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.send(&client.message(DISCOVER).uefi());
    let found = finding(&vlan, "other-proxy");
    assert_eq!(found["server"], SITE);
    assert!(text(&found).contains("another boot server"), "{found}");
}

/// Two servers, one of them declared: the other is a rogue, and the declared one may offer what it likes.
#[test]
fn of_two_servers_the_one_that_is_not_declared_is_a_rogue() {
    let vlan = Vlan::lay();
    vlan.sandbox.host("dhcp2", Some("10.77.0.3/24")).unwrap();
    let config = vlan.sandbox.write("bootlace.yaml", format!("known_servers: [{SITE}]\n")).unwrap();
    let vlan = vlan.serve("proxy", &["--config", config.to_str().unwrap()], &[]);
    let _site = dnsmasq(&vlan, "dhcp", &[POOL, "--dhcp-boot=other.efi"]);
    let second = "--dhcp-range=10.77.0.200,10.77.0.220,255.255.255.0,1h";
    let _second = dnsmasq(&vlan, "dhcp2", &[second, "--dhcp-boot=third.efi,third,10.77.0.9"]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.send(&client.message(DISCOVER).uefi());
    let rogue = finding(&vlan, "rogue-server");
    assert_eq!(rogue["server"], "10.77.0.3");
    assert!(rogue["server_mac"].as_str().is_some_and(|mac| mac.len() == 17), "{rogue}");
    assert_eq!(finding(&vlan, "rogue-boot-server")["server"], "10.77.0.3");
    assert!(text(&finding(&vlan, "boot-data-elsewhere")).contains("10.77.0.9"));
    assert_eq!(finding(&vlan, "server-seen")["server"], SITE);
    for entry in vlan.entries().iter().filter(|entry| entry["event"] != "dhcp" && entry["server"] == SITE) {
        assert_eq!(entry["event"], "server-seen", "{entry}");
    }
}

/// Proxy mode without a DHCP server: the client tries again and again, and the log says why it gets nowhere.
#[test]
fn without_any_dhcp_server_a_proxy_says_that_it_cannot_boot_alone() {
    let vlan = Vlan::start("proxy", &[]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    for attempt in 1..=3 {
        client.send(&client.message(DISCOVER).uefi().transaction(attempt));
    }
    let found = finding(&vlan, "no-dhcp-server");
    assert!(
        text(&found).contains("compute1") && text(&found).contains("a proxy alone cannot boot"),
        "{found}"
    );
    let again = vlan.entry("a new attempt", |entry| {
        let steps = entry["because"].as_array();
        steps.is_some_and(|steps| steps.iter().any(|step| step == "a new attempt, number 2"))
    });
    assert_eq!(again["type"], "DISCOVER");
}

/// The site's server gives the address: which, and from whom, and no complaint.
#[test]
fn the_address_that_the_site_gave_is_known_with_its_server() {
    let vlan = Vlan::start("proxy", &[]);
    vlan.site();
    let lease = vlan.udhcpc("lc0", &["-B"]);
    let address = lease.lines().find_map(|line| line.strip_prefix("ip=")).unwrap();
    let found = finding(&vlan, "address-learned");
    assert_eq!(text(&found), format!("compute1 has {address} from {SITE}"));
    assert_eq!(findings(&vlan), ["server-seen", "address-learned"]);
}

/// [M3]: an authoritative server that refuses our node is said; bootlace itself refuses nobody's.
#[test]
fn a_nak_of_another_server_for_our_node_is_said() {
    let vlan = Vlan::start("proxy", &[]);
    let _site = dnsmasq(&vlan, "dhcp", &[POOL, "--dhcp-authoritative"]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    let answer = {
        client.send(&client.message(REQUEST).option(50, &[10, 99, 0, 5]));
        client.receive(LIMIT).expect("dnsmasq's NAK")
    };
    assert_eq!(answer.option(54), Some(&[10, 77, 0, 2][..]));
    let found = finding(&vlan, "foreign-nak");
    assert_eq!((found["server"].as_str(), found["node"].as_str()), (Some(SITE), Some("compute1")));
}
