//! Where packets come in: VLANs and interfaces without an address.

use bootlace::lab::sandbox::Place;

use crate::vlan::Vlan;

/// [D5]: what arrives with a tag belongs to the VLAN's own interface, also where there is none.
#[test]
fn a_tagged_request_is_not_the_untagged_interfaces_business() {
    let vlan = Vlan::start("reservation", &[]);
    let run = |words: &[&str]| vlan.sandbox.run(Place::Host("lc0"), words);
    run(&["ip", "link", "add", "link", "eth0", "name", "eth0.5", "type", "vlan", "id", "5"]).unwrap();
    run(&["ip", "link", "set", "eth0.5", "up"]).unwrap();
    let tagged = run(&["udhcpc", "-i", "eth0.5", "-t", "2", "-T", "1", "-n", "-q", "-f", "-s", "/bin/true"]);
    assert!(tagged.is_err(), "nobody answers there: {tagged:?}");
    let lease = vlan.udhcpc("lc0", &[]);
    assert!(lease.contains("ip=10.77.0.11"), "{lease}");
    let entries = vlan.entries();
    let discovers = entries.iter().filter(|entry| entry["type"] == "DISCOVER");
    let transactions: std::collections::HashSet<_> = discovers.map(|entry| entry["xid"].as_str()).collect();
    assert_eq!(transactions.len(), 1, "{}", vlan.log());
}

/// [D6]: an interface without an address serves raw frames by the address that the settings name.
#[test]
fn an_interface_without_an_address_serves_with_the_configured_one() {
    let vlan = Vlan::lay();
    vlan.sandbox.run(Place::Host("srv"), &["ip", "-4", "addr", "flush", "dev", "eth0"]).unwrap();
    let settings = "
interfaces: [{name: eth0, address: 10.77.0.1}]
subnets: [{subnet: 10.77.0.0/24}]
http: []
";
    let config = vlan.sandbox.write("bootlace.yaml", settings).unwrap();
    let vlan = vlan.serve("reservation", &["--config", config.to_str().unwrap()], &[]);
    let lease = vlan.udhcpc("lc0", &[]);
    assert!(lease.contains("ip=10.77.0.11") && lease.contains("serverid=10.77.0.1"), "{lease}");
}
