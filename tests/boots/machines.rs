//! BIOS and UEFI machines in both modes, to a running kernel.

use bootlace::config::Mode;
use bootlace::lab::Firmware;

use crate::payload::MARKER;
use crate::vlan::{LIMIT, PARAMS, SERVER, Vlan};

const BIOS: &str = "52:54:00:be:ef:01";

#[test]
fn a_bios_machine_boots_with_the_address_of_its_record() {
    let vlan = Vlan::start(Mode::Reservation);
    let mut guest = vlan.boot("compute1", Firmware::Bios);
    let command_line = vlan.command_line(&mut guest);
    assert!(command_line.contains(PARAMS), "{command_line}");
    assert_eq!(vlan.address("compute1").to_string(), "172.16.0.1");
    // QEMU's ROM is iPXE: it needs no loader and goes straight to its script.
    assert!(vlan.appliance.journal.entries().iter().all(|entry| entry["event"] != "tftp"), "{}", vlan.log());
}

/// The machine is booted beside a DHCP server on another host that knows nothing of booting: [X1], [X2].
#[test]
fn a_uefi_machine_boots_beside_a_dhcp_server_that_knows_nothing_of_booting() {
    let mut vlan = Vlan::start(Mode::Proxy);
    let file = vlan.capture();
    let mut guest = vlan.boot("compute1", Firmware::Uefi);
    let command_line = vlan.command_line(&mut guest);
    vlan.end_captures();
    assert!(command_line.contains(PARAMS), "{command_line}");

    // The address is the site server's, not the record's, and the site server says so too.
    let address = vlan.address("compute1");
    assert!((100..200).contains(&address.octets()[3]), "{address}");
    let given = format!("DHCPACK(eth0) {address} {BIOS}");
    let site = vlan.site.as_ref().unwrap().journal.entries();
    assert!(
        site.iter().any(|entry| entry["text"].as_str().is_some_and(|text| text.contains(&given))),
        "{given}"
    );

    // On the wire: our offers to the firmware say PXEClient, give no address, and carry no option 43.
    let ours = format!("ip.src=={SERVER} && dhcp && !dhcp.option.user_class");
    let fields = ["udp.srcport", "dhcp.option.dhcp", "dhcp.ip.your", "dhcp.option.type", "dhcp.file"];
    let replies = vlan.tshark(&file, &ours, &fields);
    assert!(!replies.is_empty());
    assert!(replies.iter().all(|reply| reply[2] == "0.0.0.0"), "an address of ours: {replies:?}");
    let kind = |reply: &[String], port: &str, message: &str| reply[0] == port && reply[1] == message;
    let options = |reply: &[String]| reply[3].split(',').map(str::to_owned).collect::<Vec<_>>();
    let offers: Vec<_> = replies.iter().filter(|reply| kind(reply, "67", "2")).collect();
    assert!(!offers.is_empty(), "{replies:?}");
    let first = options(offers[0]);
    assert!(first.contains(&"60".to_owned()) && !first.contains(&"43".to_owned()), "{first:?}");
    // The boot file comes by the ACK on port 4011.
    let acks: Vec<_> = replies.iter().filter(|reply| kind(reply, "4011", "5")).collect();
    assert!(acks.iter().any(|ack| ack[4].ends_with(".efi")), "{replies:?}");
    // No ACK of ours on port 67: that one is the DHCP server's.
    assert!(!replies.iter().any(|reply| kind(reply, "67", "5")), "{replies:?}");

    let requests = vlan.tshark(&file, "tftp.opcode==1", &["tftp.source_file"]);
    assert!(requests.iter().any(|request| request[0].ends_with(".efi")), "{requests:?}");
    let gets = vlan.tshark(&file, "http.request", &["http.request.uri"]);
    assert!(
        gets.iter().any(|get| get[0].starts_with("/boot/v1/bootscript?mac=52:54:00:be:ef:01")),
        "{gets:?}"
    );
    let broken = vlan.tshark(&file, "dhcp && _ws.malformed", &["frame.number"]);
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn a_uefi_machine_boots_with_the_address_of_its_record() {
    let vlan = Vlan::start(Mode::Reservation);
    let mut guest = vlan.boot("compute2", Firmware::Uefi);
    let command_line = vlan.command_line(&mut guest);
    assert!(command_line.contains(PARAMS), "{command_line}");
    assert_eq!(vlan.address("compute2").to_string(), "172.16.0.2");
    let loader = vlan.entry("compute2", "loader sent", |entry| {
        entry["event"] == "tftp"
            && entry["outcome"] == "sent"
            && entry["name"].as_str().is_some_and(|name| name.ends_with(".efi"))
    });
    assert_eq!(loader["bytes"], loader["size"]);
}

#[test]
fn a_bios_machine_boots_beside_a_dhcp_server_that_knows_nothing_of_booting() {
    let vlan = Vlan::start(Mode::Proxy);
    let mut guest = vlan.boot("compute1", Firmware::Bios);
    let command_line = vlan.command_line(&mut guest);
    assert!(command_line.contains(PARAMS), "{command_line}");
    let address = vlan.address("compute1");
    assert!((100..200).contains(&address.octets()[3]), "{address}");
}

#[test]
fn five_nodes_boot_at_the_same_time() {
    let vlan = Vlan::start(Mode::Reservation);
    let names = ["compute1", "compute2", "compute3", "compute4", "compute5"];
    let mut guests: Vec<_> = names.iter().map(|name| vlan.boot(name, Firmware::Bios)).collect();
    for guest in &guests {
        guest.console.wait_for(&[MARKER], LIMIT).unwrap_or_else(|error| panic!("{error}\n{}", vlan.log()));
    }
    for (index, (name, guest)) in names.iter().zip(&mut guests).enumerate() {
        assert!(vlan.command_line(guest).contains(PARAMS));
        assert_eq!(vlan.address(name).to_string(), format!("172.16.0.{}", index + 1));
    }
}
