//! Where packets come in: VLANs and interfaces without an address.

use std::net::{Ipv4Addr, SocketAddrV4};

use bootlace::config::InterfaceSettings;
use bootlace::lab::sandbox::Place;
use bootlace::link::raw::RawSocket;
use bootlace::link::{Interface, frame};

use crate::client::{Client, DISCOVER};
use crate::vlan::{KNOWN, SERVER, Vlan, in_host};

/// [D5]: what arrives with a tag belongs to the VLAN's own interface, also where there is none.
#[test]
fn a_tagged_request_is_not_the_untagged_interfaces_business() {
    let vlan = Vlan::start("reservation", &[]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let discover = client.message(DISCOVER).transaction(5).finished();
    let mut tagged = frame::build([0x52, 0x54, 0, 0xbe, 0xef, 1], [0xff; 6], from, to, &discover).unwrap();
    // 802.1Q: the tag of VLAN 5 stands before the type of the payload.
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    in_host("lc0", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let address = Some(Ipv4Addr::new(10, 77, 0, 50));
        let settings = InterfaceSettings { name: "eth0".into(), address, ..InterfaceSettings::default() };
        let socket = RawSocket::open(&Interface::find(&settings).unwrap()).unwrap();
        socket.send(&tagged).unwrap();
    });
    // The untagged one behind it is answered; so the other was there before, and was not.
    client.ask(&client.message(DISCOVER), SERVER).expect("an offer");
    vlan.entry("the untagged DISCOVER", |entry| entry["type"] == "DISCOVER");
    let entries = vlan.entries();
    let discovers = entries.iter().filter(|entry| entry["type"] == "DISCOVER");
    assert!(discovers.clone().all(|entry| entry["xid"] == "0xb0071ace"), "{}", vlan.log());
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
