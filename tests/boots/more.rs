//! Machines with every other kind of firmware that Debian has, to their kernel where there is one for them.
//!
//! Each conversation is captured, and tshark reads every answer of bootlace as our own decoder does.

use std::path::PathBuf;

use bootlace::config::Mode;
use bootlace::lab::{Firmware, Guest};

use crate::efi32;
use crate::vlan::net::decoded;
use crate::vlan::{LIMIT, PARAMS, PARAMS_ARM64, SERVER, Vlan};

/// The network card of compute1.
const CARD: &str = "52:54:00:be:ef:01";

/// Boots compute1 to the marker of the tiny initial RAM disk, with a capture of bootlace's side.
fn to_the_marker(mode: Mode, firmware: Firmware) -> (Vlan, PathBuf, Guest) {
    let mut vlan = Vlan::start_for(mode, firmware);
    let file = vlan.capture();
    let mut guest = vlan.boot("compute1", firmware);
    let command_line = vlan.command_line(&mut guest);
    assert!(command_line.contains(PARAMS), "{command_line}");
    vlan.end_captures();
    assert!(decoded::agree(&file) > 0, "no answer was captured");
    (vlan, file, guest)
}

/// Names that the journal says were sent whole by TFTP.
fn sent_by_tftp(vlan: &Vlan) -> Vec<String> {
    let entries = vlan.appliance.journal.entries();
    let sent = entries.iter().filter(|entry| entry["event"] == "tftp" && entry["outcome"] == "sent");
    sent.filter_map(|entry| entry["name"].as_str())
        .map(|name| name.trim_start_matches('/').to_owned())
        .collect()
}

fn sent(vlan: &Vlan, end: &str) -> bool {
    sent_by_tftp(vlan).iter().any(|name| name.ends_with(end))
}

/// [H1] [H2] [H3]: the class and a URL come back; [D3]: from an address that is also the server identifier.
fn loads_its_loader_by_url(mode: Mode) -> (Vlan, PathBuf) {
    let (vlan, file, _) = to_the_marker(mode, Firmware::UefiHttp);
    let fields = ["dhcp.option.vendor_class_id", "dhcp.file", "dhcp.ip.your", "dhcp.option.type"];
    let offers = vlan.tshark(&file, &format!("ip.src=={SERVER} && dhcp.option.dhcp==2"), &fields);
    let url = format!("http://{SERVER}:8081/snponly-x86_64.efi");
    let to_firmware: Vec<_> = offers.iter().filter(|offer| offer[0] == "HTTPClient").collect();
    assert!(!to_firmware.is_empty(), "{offers:?}");
    assert!(to_firmware.iter().all(|offer| offer[1] == url), "{offers:?}");
    assert!(to_firmware.iter().all(|offer| !offer[3].split(',').any(|code| code == "43")), "{offers:?}");
    // The journal, not the capture: on a busy machine frames of the bulk are not captured.
    vlan.entry("compute1", "the loader by HTTP", |entry| {
        let by_firmware = entry["agent"].as_str().is_some_and(|agent| agent.starts_with("UefiHttpBoot"));
        entry["event"] == "http" && entry["what"] == "loader" && entry["method"] == "GET" && by_firmware
    });
    assert!(!sent(&vlan, ".efi"), "{:?}", sent_by_tftp(&vlan));
    (vlan, file)
}

/// [H4]: beside another DHCP server, HTTP Boot takes the URL from us and the address from there.
#[test]
fn uefi_http_boot_takes_its_url_from_us_and_its_address_from_the_site() {
    let (vlan, file) = loads_its_loader_by_url(Mode::Proxy);
    let ours = vlan.tshark(&file, &format!("ip.src=={SERVER} && dhcp"), &["dhcp.ip.your"]);
    assert!(ours.iter().all(|reply| reply[0] == "0.0.0.0"), "an address of ours: {ours:?}");
    let on_4011 = vlan.tshark(&file, "udp.port==4011", &["frame.number"]);
    assert!(on_4011.is_empty(), "HTTP Boot never asks a boot server: {on_4011:?}");
    assert!((100..200).contains(&vlan.address("compute1").octets()[3]));
}

/// [H5]: one offer with address and URL is all that HTTP Boot needs.
#[test]
fn uefi_http_boot_takes_url_and_address_of_its_record() {
    let (vlan, _) = loads_its_loader_by_url(Mode::Reservation);
    assert_eq!(vlan.address("compute1").to_string(), "172.16.0.1");
}

/// [I7]: where the ROM holds iPXE (Debian 12) it goes straight to its script; where it holds a driver only, the
/// firmware asks and is given iPXE.
#[test]
fn a_uefi_machine_with_a_rom_on_its_card_boots() {
    let (vlan, _, _) = to_the_marker(Mode::Reservation, Firmware::UefiIpxeRom);
    let entries = vlan.appliance.journal.entries();
    let first = entries.iter().find(|entry| entry["event"] == "dhcp" && entry["mac"] == CARD).unwrap();
    let ipxe_asks_first = first["options"].as_array().unwrap().iter().any(|code| code == 175);
    assert_eq!(sent(&vlan, ".efi"), !ipxe_asks_first, "{:?}", sent_by_tftp(&vlan));
    assert_eq!(vlan.address("compute1").to_string(), "172.16.0.1");
}

/// Debian has no 32-bit loader: compute1 is given a program made by hand, compute2 an address and the reason why there
/// is no more [I2].
#[test]
fn a_32_bit_uefi_machine_runs_the_loader_of_its_entry_and_another_is_told_why_it_has_none() {
    const MARKER: &str = "bootlace-test: 32 bits";
    let boot = format!(
        "- {{macs: ['{CARD}'], kernel: linux, loader: marker32.efi}}\n- {{hosts: [Default], kernel: linux}}\n"
    );
    let files = [("marker32.efi", efi32::program(MARKER))];
    let mut vlan = Vlan::start_with(Mode::Reservation, Firmware::Uefi32, &boot, &files);
    let file = vlan.capture();
    let mut guest = vlan.boot("compute1", Firmware::Uefi32);
    guest.console.wait_for(&[MARKER], LIMIT).unwrap_or_else(|error| panic!("{error}\n{}", vlan.log()));
    assert!(guest.wait(LIMIT).is_some(), "the program switches the machine off");
    assert!(sent(&vlan, "marker32.efi"), "{:?}", sent_by_tftp(&vlan));

    let _other = vlan.boot("compute2", Firmware::Uefi32);
    let answered = vlan.entry("compute2", "answer", |entry| entry["event"] == "dhcp" && entry["arch"] == 6);
    assert_eq!(answered["without_boot"], "no-loader", "{answered}");
    assert_eq!(answered["reply"]["yiaddr"], "172.16.0.2", "{answered}");
    vlan.end_captures();
    assert!(decoded::agree(&file) > 0, "no answer was captured");
}

/// Waits until the kernel of an arm64 machine prints its command line.
fn kernel_of_arm64(vlan: &Vlan, guest: &Guest) {
    let said = guest.console.wait_for(&["Kernel command line:"], LIMIT);
    said.unwrap_or_else(|error| panic!("{error}\n{}", vlan.log()));
    guest.console.wait_for(&[PARAMS_ARM64], LIMIT).unwrap();
}

#[test]
fn an_arm64_uefi_machine_boots_by_ipxe() {
    let mut vlan = Vlan::start_for(Mode::Proxy, Firmware::Arm64);
    let file = vlan.capture();
    let guest = vlan.boot("compute1", Firmware::Arm64);
    kernel_of_arm64(&vlan, &guest);
    vlan.end_captures();
    assert!(decoded::agree(&file) > 0, "no answer was captured");
    assert!(sent(&vlan, "snponly-arm64.efi"), "{:?}", sent_by_tftp(&vlan));
    vlan.script_served("compute1");
}

/// It first asks as U-Boot, then as the UEFI that it also is, and gets GRUB with the grub.cfg of its node.
#[test]
fn an_arm64_u_boot_machine_boots_by_grub() {
    let mut vlan = Vlan::start_for(Mode::Reservation, Firmware::Arm64UBoot);
    let file = vlan.capture();
    let guest = vlan.boot("compute1", Firmware::Arm64UBoot);
    kernel_of_arm64(&vlan, &guest);
    vlan.end_captures();
    assert!(decoded::agree(&file) > 0, "no answer was captured");
    let asked = vlan.entry("compute1", "U-Boot's request", |entry| {
        entry["event"] == "dhcp" && entry["class"].as_str().is_some_and(|class| class.starts_with("U-Boot"))
    });
    assert_eq!(asked["verdict"], "answer", "{asked}");
    assert!(sent(&vlan, "grub.cfg") && sent(&vlan, "linux"), "{:?}", sent_by_tftp(&vlan));
}

/// shim, signed GRUB, the grub.cfg made for the node, signed kernel: a chain that firmware and shim verify to its end.
#[test]
fn a_secure_boot_machine_boots_debians_signed_chain_with_the_address_of_its_record() {
    let (vlan, _, guest) = to_the_marker(Mode::Reservation, Firmware::SecureBoot);
    let said = guest.console.text();
    assert!(said.contains("Secure boot enabled"), "the kernel does not say so: {}", guest.console.tail());
    let sent = sent_by_tftp(&vlan);
    let place =
        |end: &str| sent.iter().position(|name| name.ends_with(end)).unwrap_or_else(|| panic!("{sent:?}"));
    let way = ["bootnetx64.efi", "grubx64.efi", "grub.cfg", "linux", "tiny.cpio"].map(place);
    assert!(way.is_sorted(), "{sent:?}");
}

/// A BIOS ROM that is not iPXE gives PXELINUX its address and server; all files come by TFTP.
fn boots_by_pxelinux(mode: Mode) -> Vlan {
    let (vlan, _, _) = to_the_marker(mode, Firmware::BiosPxelinux);
    for end in ["pxelinux.0", "ldlinux.c32", "pxelinux.cfg/01-52-54-00-be-ef-01", "linux", "tiny.cpio"] {
        assert!(sent(&vlan, end), "{end}: {:?}", sent_by_tftp(&vlan));
    }
    let entries = vlan.appliance.journal.entries();
    assert!(entries.iter().all(|entry| entry["event"] != "http"), "{}", vlan.log());
    vlan
}

#[test]
fn a_bios_machine_boots_by_pxelinux_with_the_address_of_its_record() {
    boots_by_pxelinux(Mode::Reservation);
}

#[test]
fn a_bios_machine_boots_by_pxelinux_beside_a_dhcp_server_that_knows_nothing_of_booting() {
    boots_by_pxelinux(Mode::Proxy);
}

/// [X3]: the offer to a BIOS ROM has the file and tells it in option 43 to ask no further.
#[test]
fn a_bios_rom_that_is_not_ipxe_is_given_undionly_and_comes_back_for_its_script() {
    let (vlan, file, _) = to_the_marker(Mode::Proxy, Firmware::BiosChain);
    let offers = format!("ip.src=={SERVER} && dhcp.option.dhcp==2 && dhcp.file==\"undionly.kpxe\"");
    let offers = vlan.tshark(&file, &offers, &["dhcp.option.type", "dhcp.ip.server"]);
    assert!(!offers.is_empty(), "{}", vlan.log());
    assert!(offers.iter().all(|offer| offer[0].split(',').any(|code| code == "43")), "{offers:?}");
    assert_eq!(sent_by_tftp(&vlan), ["undionly.kpxe"]);
    let script = vlan.script_served("compute1");
    assert_eq!(script["mac"], CARD, "{script}");
    assert!((100..200).contains(&vlan.address("compute1").octets()[3]));
}
