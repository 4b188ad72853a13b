//! What a client of each of the 42 registered architectures is offered, and the firmware of its own ways.

use super::*;
use crate::client::Platform;
use crate::client::arch::ARCHITECTURES;

/// All loaders that the registry names.
fn all_loaders() -> Loaders {
    let names = ARCHITECTURES.iter().filter_map(|row| row.loader);
    let loader = |name: &str| {
        let loader = Loader { name: name.into(), path: name.into(), size: 1, content: Arc::from([0_u8]) };
        (name.to_owned(), Arc::new(loader))
    };
    Loaders::new(names.map(loader).collect())
}

/// What is offered to a code in each mode, in short: the file, or the reason.
fn offered(mode: Mode, code: u16, class: &[u8]) -> String {
    let code = code.to_be_bytes();
    let mut ask = ask(mode, &[(93, &code), (60, class)]);
    ask.loaders = all_loaders();
    match ask.decide().verdict {
        Verdict::Silence(reason) => reason.name().to_owned(),
        Verdict::WouldAnswer(_) => "observed".to_owned(),
        Verdict::Answer(answer) => match (answer.without_boot, answer.reply.option(209)) {
            (Some(reason), _) => format!("lease, {reason}"),
            (None, Some(file)) => format!("config {}", String::from_utf8_lossy(file)),
            (None, None) if answer.reply.file.is_empty() => match answer.reply.option(43) {
                Some(menu) if menu.len() == 32 => "pi menu".to_owned(),
                _ => format!("next server {}", answer.reply.siaddr),
            },
            (None, None) => answer.reply.file,
        },
    }
}

/// [I1] [I2] [H1] [H2]: every registered architecture, as its firmware asks, in both modes.
#[test]
fn each_of_the_42_architectures_gets_its_loader_its_own_form_or_a_reason() {
    let http = |file: &str| format!("http://10.0.0.1:8081/{file}");
    let config = "config http://10.0.0.1:8081/pxelinux.cfg/01-52-54-00-be-ef-01".to_owned();
    let next = "next server 10.0.0.1".to_owned();
    for (code, by_tftp) in [
        (0, Some("undionly.kpxe")),
        (6, Some("snponly-i386.efi")),
        (7, Some("snponly-x86_64.efi")),
        (9, Some("snponly-x86_64.efi")),
        (10, Some("snponly-arm32.efi")),
        (11, Some("snponly-arm64.efi")),
        (25, Some("snponly-riscv32.efi")),
        (27, Some("snponly-riscv64.efi")),
        (39, Some("snponly-loong64.efi")),
        (15, None),
    ] {
        assert_eq!(ARCHITECTURES[code].transport == crate::client::Transport::Tftp, by_tftp.is_some());
        if let Some(file) = by_tftp {
            assert_eq!(ARCHITECTURES[code].loader, Some(file), "{code}");
        }
    }
    for (code, file) in [
        (15, "snponly-i386.efi"),
        (16, "snponly-x86_64.efi"),
        (17, "snponly-x86_64.efi"),
        (18, "snponly-arm32.efi"),
        (19, "snponly-arm64.efi"),
        (20, "undionly.kpxe"),
        (26, "snponly-riscv32.efi"),
        (28, "snponly-riscv64.efi"),
        (40, "snponly-loong64.efi"),
    ] {
        assert_eq!(ARCHITECTURES[code].loader, Some(file), "{code}");
    }
    for row in &ARCHITECTURES {
        let (class, expected): (&[u8], [String; 2]) = match (row.code, row.loader) {
            (14, _) => (b"udhcp 1.35", ["not-pxe".to_owned(), config.clone()]),
            (21 | 22, _) => (b"U-Boot.armv8", ["not-pxe".to_owned(), next.clone()]),
            (41, _) => (b"PXEClient:Arch:00041:UNDI:002001", ["pi menu".to_owned(), "pi menu".to_owned()]),
            (_, None) => {
                let class: &[u8] = if row.transport == crate::client::Transport::Http {
                    b"HTTPClient"
                } else {
                    b"PXEClient"
                };
                (class, ["no-loader".to_owned(), "lease, no-loader".to_owned()])
            }
            (_, Some(file)) if row.transport == crate::client::Transport::Http => {
                (b"HTTPClient", [http(file), http(file)])
            }
            (_, Some(file)) => (b"PXEClient", [file.to_owned(), file.to_owned()]),
        };
        for (mode, expected) in [Mode::Proxy, Mode::Reservation].into_iter().zip(expected) {
            let offered = offered(mode, row.code, class);
            assert_eq!(offered, expected, "architecture {} ({}) in {}", row.code, row.title, mode.name());
        }
    }
    for unassigned in [42, 65535] {
        assert_eq!(offered(Mode::Proxy, unassigned, b"PXEClient"), "no-loader", "{unassigned} [I2]");
    }
}

/// What a record, a boot entry or a profile names is taken for every architecture that takes a loader.
#[test]
fn a_loader_that_somebody_wrote_down_serves_an_architecture_that_has_none() {
    for code in [1_u16, 12, 24, 31, 33, 41] {
        let bytes = code.to_be_bytes();
        let http = code == 24;
        let class: &[u8] = if http { b"HTTPClient" } else { b"PXEClient" };
        let mut ask = ask(Mode::Reservation, &[(93, &bytes), (60, class)]);
        ask.nodes[0].loader = Some("own/loader".into());
        let expected = if http { "http://10.0.0.1:8081/own/loader" } else { "own/loader" };
        assert_eq!(ask.reply().file, expected, "{code}");
    }
}

fn pi(mode: Mode) -> Ask {
    let mut ask = ask(mode, &[BIOS, (60, b"PXEClient:Arch:00000:UNDI:002001")]);
    let mac = [0xb8, 0x27, 0xeb, 1, 2, 3];
    ask.patch.push((28, mac.to_vec()));
    ask.nodes[0].nics[0].mac = Mac::new(mac).unwrap();
    ask
}

/// [I3]: the 32 bytes that the ROM looks for, beside 60 = PXEClient, and our address by every field (quirks 28, 29).
#[test]
fn a_raspberry_pi_gets_the_menu_text_that_its_rom_looks_for() {
    let mut menu = vec![6, 1, 3, 10, 4, 0, 0x50, 0x58, 0x45, 9, 0x14, 0, 0, 0x11];
    menu.extend_from_slice(b"Raspberry Pi Boot");
    menu.push(255);
    assert_eq!(menu.len(), 32);
    for mode in [Mode::Proxy, Mode::Reservation] {
        let reply = pi(mode).reply();
        assert_eq!(reply.option(43), Some(&menu[..]));
        assert_eq!(reply.option(60), Some(&b"PXEClient"[..]));
        assert_eq!(reply.option(66), Some(&b"10.0.0.1"[..]));
        assert_eq!((reply.siaddr, reply.file.as_str()), (SERVER, ""));
        assert_eq!(reply.option(54), Some(&SERVER.octets()[..]));
    }
    let mut other = pi(Mode::Proxy);
    other.settings.raspberry_pi_menu = "Boot".into();
    assert_eq!(&other.reply().option(43).unwrap()[9..], b"\x09\x07\x00\x00\x04Boot\xff");
}

/// [M1]: rpi-eeprom#82, the REQUEST lacks option 60 (quirk 31).
#[test]
fn a_raspberry_pis_request_without_option_60_is_answered_like_its_discover() {
    let offer = pi(Mode::Reservation).reply();
    let mut request = pi(Mode::Reservation).request(Some(SERVER), Some(RESERVED), None);
    request.options.retain(|(code, _)| !matches!(code, 60 | 93));
    let ack = request.reply();
    for code in [43, 60, 66] {
        assert_eq!(ack.option(code), offer.option(code), "{code}");
    }
    // The system on the card asks without option 60, too: in proxy it must not be taken for firmware.
    let mut system = pi(Mode::Proxy);
    system.options.clear();
    assert_eq!(system.silence(), Reason::NotPxe);
}

/// [P6]: some Pi firmware stops at a pad between options (quirk 31).
#[test]
fn padding_stands_behind_the_end_only() {
    let encoded = pi(Mode::Proxy).reply().encode(548).bytes;
    let mut at = 240;
    while encoded[at] != 255 {
        assert_ne!(encoded[at], 0, "a pad at {at}");
        at += 2 + usize::from(encoded[at + 1]);
    }
    assert!(encoded[at + 1..].iter().all(|byte| *byte == 0));
}

/// [P8]: U-Boot reads `file` and `siaddr` and few options (quirks 25, 26).
#[test]
fn u_boot_gets_the_header_and_no_boot_options() {
    let u_boot =
        || ask(Mode::Reservation, &[(93, &[0, 22]), (60, b"U-Boot.armv8"), (55, &[1, 3, 6, 12, 17])]);
    let reply = u_boot().reply();
    assert_eq!((reply.siaddr, reply.file.as_str()), (SERVER, ""));
    for code in [43, 60, 66, 67, 209, 210] {
        assert_eq!(reply.option(code), None, "{code}");
    }
    let mut stated = u_boot();
    stated.nodes[0].loader = Some("boot.scr.uimg".into());
    assert_eq!(stated.reply().file, "boot.scr.uimg");
    let by_class = ask(Mode::Reservation, &[(60, b"U-Boot")]);
    assert_eq!(by_class.reply().siaddr, SERVER);
}

/// udhcpc and U-Boot take any OFFER for a lease: one without an address would leave them without network.
#[test]
fn a_client_that_mistakes_proxies_gets_nothing_from_one() {
    for options in [
        &[(60, &b"U-Boot.armv8"[..]), (93, &[0, 22])][..],
        &[(60, b"udhcp 1.35"), (93, &[0, 14])],
        &[(60, b"onie_vendor:x86_64-kvm_x86_64-r0")],
    ] {
        let decision = ask(Mode::Proxy, options).decide();
        assert!(matches!(decision.verdict, Verdict::Silence(Reason::NotPxe)), "{options:?}");
        assert!(decision.because.last().unwrap().contains("without an address"), "{:?}", decision.because);
    }
}

#[test]
fn petitboot_gets_its_file_and_prefix_by_url_and_by_tftp_where_there_is_no_http() {
    let petitboot = || ask(Mode::Reservation, &[(60, b"udhcp 1.35"), (93, &[0, 14])]);
    let reply = petitboot().reply();
    assert_eq!(reply.option(210), Some(&b"http://10.0.0.1:8081/"[..]));
    assert_eq!(reply.option(209), Some(&b"http://10.0.0.1:8081/pxelinux.cfg/01-52-54-00-be-ef-01"[..]));
    assert_eq!((reply.option(60), reply.option(43)), (None, None));
    let mut by_tftp = petitboot();
    by_tftp.settings.http.clear();
    assert_eq!(by_tftp.reply().option(210), Some(&b"tftp://10.0.0.1/"[..]));
}

/// Options 125 (enterprise 42623, sub-option 1) and 114, from the record, else the profile.
#[test]
fn an_onie_switch_gets_its_installer() {
    let switch = |installer: Option<&str>| {
        let onie: &[u8] = b"onie_vendor:x86_64-kvm_x86_64-r0";
        let mut ask = ask(Mode::Reservation, &[(60, onie), (55, &[1, 3, 114, 125])]);
        ask.entries.clear();
        ask.nodes[0].installer = installer.map(str::to_owned);
        ask
    };
    let reply = switch(Some("onie/sonic.bin")).reply();
    let url = b"http://10.0.0.1:8081/onie/sonic.bin";
    assert_eq!(reply.option(114), Some(&url[..]));
    let mut vendor = vec![0, 0, 0xa6, 0x7f, url.len() as u8 + 2, 1, url.len() as u8];
    vendor.extend_from_slice(url);
    assert_eq!(reply.option(125), Some(&vendor[..]));
    assert_eq!(reply.option(60), None);
    let elsewhere = switch(Some("http://files/onie.bin")).reply();
    assert_eq!(elsewhere.option(114), Some(&b"http://files/onie.bin"[..]));
    assert_eq!(switch(None).answer().without_boot, Some(Reason::NoLoader));
    let mut profile = switch(None);
    profile.nodes[0].profile = Some("switch".into());
    let stated = crate::config::Profile { installer: Some("x".into()), ..Default::default() };
    profile.settings.profiles.insert("switch".into(), stated);
    assert_eq!(profile.reply().option(114), Some(&b"http://10.0.0.1:8081/x"[..]));
    let mut off = switch(Some("x"));
    off.nodes[0].netboot = false;
    assert_eq!(off.answer().without_boot, Some(Reason::NetbootOff));
}

#[test]
fn apples_boot_server_discovery_is_no_pxe() {
    let mut inform = ask(Mode::Reservation, &[(60, b"AAPLBSDPC/i386/iMac14,2")]);
    inform.message = 8;
    assert_eq!(inform.silence(), Reason::AppleBsdp);
    // Its DHCP is an ordinary client's.
    let lease = ask(Mode::Reservation, &[(60, b"AAPLBSDPC/i386/iMac14,2")]).answer();
    assert_eq!((lease.reply.yiaddr, lease.reply.siaddr), (RESERVED, Ipv4Addr::UNSPECIFIED));
}

/// RFC 4390: chaddr is empty, the broadcast flag is set; 61 alone says who it is (quirk 53).
#[test]
fn an_infiniband_client_is_known_by_option_61_and_answered_by_broadcast() {
    let id: &[u8] = &[0xff, 0, 0, 0, 1, 0, 3, 0, 1, 2, 3];
    let infiniband = |recorded: Option<&[u8]>| {
        let mut ask = ask(Mode::Reservation, &[PXE, UEFI, (61, id)]);
        ask.patch = vec![(1, vec![32, 0]), (10, vec![0x80, 0]), (28, vec![0; 16])];
        ask.nodes[0].client_id = recorded.map(<[u8]>::to_vec);
        ask
    };
    let decision = infiniband(Some(id)).decide();
    assert!(decision.because[0].contains("by client id"), "{:?}", decision.because);
    let answer = infiniband(Some(id)).answer();
    assert_eq!((answer.delivery, answer.reply.yiaddr), (Delivery::Broadcast, RESERVED));
    assert_eq!((answer.reply.htype, answer.reply.hlen, answer.reply.chaddr), (32, 0, [0; 16]));
    assert_eq!(infiniband(None).silence(), Reason::UnknownMac);
}

/// MAC, then UUID, then 61; a text in the record also means the text behind a type byte.
#[test]
fn the_key_that_matched_is_told_and_mac_and_uuid_come_before_61() {
    let other = || Node { client_id: Some(b"rack7".to_vec()), name: Some("by61".into()), ..node() };
    let with_id = |id: &[u8]| {
        let mut ask = ask(Mode::Reservation, &[(61, id)]);
        ask.nodes = vec![Node { nics: Vec::new(), ..other() }];
        ask.decide().because.first().cloned()
    };
    assert_eq!(with_id(b"rack7").as_deref(), Some("node by61 by client id rack7"));
    assert!(with_id(b"\0rack7").is_some_and(|step| step.starts_with("node by61 by client id")));
    assert_eq!(with_id(b"rack8"), None);
    let mut both = ask(Mode::Reservation, &[(61, b"rack7")]);
    both.nodes = vec![node(), Node { nics: Vec::new(), ..other() }];
    assert_eq!(both.decide().because[0], "node compute1 by mac 52:54:00:be:ef:01");
}

#[test]
fn every_platform_of_the_registry_is_covered() {
    let count = |platform| ARCHITECTURES.iter().filter(|row| row.platform == platform).count();
    let platforms = [
        (Platform::Bios, 2),
        (Platform::Uefi, 26),
        (Platform::UBoot, 4),
        (Platform::Petitboot, 1),
        (Platform::OpenFirmware, 1),
        (Platform::S390, 2),
        (Platform::RaspberryPi, 1),
        (Platform::Other, 5),
    ];
    assert_eq!(platforms.iter().map(|(_, count)| count).sum::<usize>(), 42);
    for (platform, expected) in platforms {
        assert_eq!(count(platform), expected, "{platform:?}");
    }
}

/// PXE may come from any card of a node, each with its own address (quirk 52).
#[test]
fn a_second_card_of_a_node_boots_with_the_address_of_its_own() {
    let second = [0x52, 0x54, 0, 0xbe, 0xef, 2];
    let address = Ipv4Addr::new(10, 0, 0, 6);
    let mut ask = ask(Mode::Reservation, &[PXE, UEFI]);
    ask.nodes[0].nics.push(Nic { mac: Mac::new(second).unwrap(), addresses: vec![address.into()] });
    ask.patch.push((28, second.to_vec()));
    let decision = ask.decide();
    assert_eq!(decision.because[0], "node compute1 by mac 52:54:00:be:ef:02");
    let Verdict::Answer(answer) = decision.verdict else { panic!("silence") };
    assert_eq!((answer.reply.yiaddr, answer.reply.file.as_str()), (address, "snponly-x86_64.efi"));
}
