//! The table of classes row by row, and each order of preference pair by pair.

use super::*;

const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SITE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const THIRD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

/// An offer of an address and nothing else.
fn plain(server: Ipv4Addr) -> Offer {
    Offer {
        server,
        ours: server == US,
        bootp: false,
        yiaddr: Ipv4Addr::new(10, 0, 0, 100),
        siaddr: Ipv4Addr::UNSPECIFIED,
        class: Class::Other,
        discovery: false,
        direct: false,
        menu: false,
        file: None,
        priority: 0,
        no_pxedhcp: false,
        dns: false,
        length: 300,
    }
}

fn with_file(server: Ipv4Addr) -> Offer {
    Offer { siaddr: server, file: Some("loader.efi".into()), ..plain(server) }
}

fn pxe10(server: Ipv4Addr) -> Offer {
    Offer { class: Class::Pxe, discovery: true, direct: true, ..with_file(server) }
}

fn binl(server: Ipv4Addr) -> Offer {
    Offer { class: Class::Pxe, ..plain(server) }
}

fn proxied(offer: Offer) -> Offer {
    Offer { yiaddr: Ipv4Addr::UNSPECIFIED, ..offer }
}

fn http_offer(server: Ipv4Addr, url: &str) -> Offer {
    Offer { class: Class::Http, file: Some(url.into()), ..plain(server) }
}

fn fetched(server: Ipv4Addr) -> Next {
    Next::Fetch { server, file: "loader.efi".into() }
}

/// Every offer in both orders of arrival: where the kinds differ, arrival does not matter.
fn prefers(firmware: Firmware, better: &Offer, worse: &Offer, rest: &[Offer], what: &str) {
    for better_first in [true, false] {
        let mut offers = rest.to_vec();
        let pair = if better_first { [better, worse] } else { [worse, better] };
        offers.extend(pair.map(Clone::clone));
        let outcome = outcome(firmware, &offers);
        assert_eq!(outcome.boot.map(|boot| &offers[boot]), Some(better), "{what}: {}", outcome.why);
    }
}

/// [X1] [X4]: the table, one row a line: address given, 60 = PXEClient, discovery sub-option in 43.
#[test]
fn edk2_files_each_offer_under_its_class() {
    let rows = [
        (true, false, false, Edk2Class::DhcpOnly),
        (true, false, true, Edk2Class::DhcpOnly),
        (true, true, true, Edk2Class::DhcpPxe10),
        (true, true, false, Edk2Class::DhcpBinl),
        (false, true, true, Edk2Class::ProxyPxe10),
        (false, true, false, Edk2Class::ProxyBinl),
        (false, false, false, Edk2Class::Dropped),
        (false, false, true, Edk2Class::Dropped),
    ];
    for (address, pxe, discovery, class) in rows {
        let offer = Offer {
            yiaddr: if address { SITE } else { Ipv4Addr::UNSPECIFIED },
            class: if pxe { Class::Pxe } else { Class::Other },
            discovery,
            ..with_file(SITE)
        };
        assert_eq!(Edk2Class::of(&offer), class, "{address} {pxe} {discovery}");
    }
    assert_eq!(Edk2Class::of(&Offer { bootp: true, ..with_file(SITE) }), Edk2Class::Bootp);
}

/// [X1] [X4]: DhcpPxe10 > DhcpOnly+ProxyPxe10 > DhcpBinl > DhcpOnly+ProxyBinl > DhcpOnly with file > BOOTP.
#[test]
fn edk2_prefers_in_its_order_whatever_arrives_first() {
    let address = [plain(THIRD)];
    let order = [
        pxe10(SITE),
        proxied(pxe10(US)),
        binl(SITE),
        proxied(binl(US)),
        with_file(SITE),
        Offer { bootp: true, ..with_file(US) },
    ];
    for pair in order.windows(2) {
        prefers(Firmware::UefiPxe, &pair[0], &pair[1], &address, "with a plain address beside them");
    }
}

/// [X4]: quirk 2 of docs/quirks.md, the classic mistake.
#[test]
fn sixty_without_43_makes_uefi_ask_4011_and_stop_with_nobody_there() {
    let offers = [with_file(THIRD), proxied(binl(US)), binl(SITE)];
    let outcome = outcome(Firmware::UefiPxe, &offers);
    assert_eq!((outcome.address, outcome.boot), (Some(2), Some(2)));
    assert_eq!(outcome.next, Next::Ask4011(SITE));
    assert!(outcome.why.contains("with nobody there the boot stops"), "{}", outcome.why);
    let elsewhere = Offer { siaddr: THIRD, ..binl(SITE) };
    assert_eq!(super::outcome(Firmware::UefiPxe, &[elsewhere]).next, Next::Ask4011(THIRD));
}

/// [X1]
#[test]
fn a_proxy_offer_beats_the_file_of_the_dhcp_server() {
    let offers = [with_file(SITE), proxied(binl(US))];
    let outcome = outcome(Firmware::UefiPxe, &offers);
    assert_eq!((outcome.address, outcome.boot, outcome.next), (Some(0), Some(1), Next::Ask4011(US)));
}

/// [X1]: quirk 1.
#[test]
fn a_uefi_proxy_offer_with_43_is_said_to_be_lost_by_much_firmware() {
    let offers = [plain(SITE), proxied(pxe10(US))];
    let outcome = outcome(Firmware::UefiPxe, &offers);
    assert_eq!(outcome.next, fetched(US));
    assert!(outcome.why.contains("loses"), "{}", outcome.why);
}

#[test]
fn a_proxy_alone_boots_nothing() {
    for firmware in [Firmware::UefiPxe, Firmware::Ipxe, Firmware::BiosRom, Firmware::UefiHttp] {
        let outcome = outcome(firmware, &[proxied(pxe10(US))]);
        assert_eq!((outcome.address, outcome.next), (None, Next::NoAddress), "{firmware:?}");
        assert!(outcome.why.contains("a proxy alone cannot boot"), "{}", outcome.why);
        assert_eq!(super::outcome(firmware, &[]).next, Next::NoAddress);
        assert_eq!(super::outcome(firmware, &[plain(SITE)]).next, Next::NothingToBoot);
    }
}

/// The menu of a complete offer is shown unless 43.6 bit 3 says to use the file.
#[test]
fn bit_3_of_43_6_decides_between_file_and_menu() {
    let menu = Offer { direct: false, menu: true, ..pxe10(SITE) };
    for firmware in [Firmware::UefiPxe, Firmware::Ipxe] {
        assert_eq!(outcome(firmware, std::slice::from_ref(&menu)).next, Next::Menu);
        assert_eq!(outcome(firmware, &[pxe10(SITE)]).next, fetched(SITE));
    }
}

/// [X3]
#[test]
fn a_bios_rom_uses_a_proxy_offer_with_siaddr_and_file_and_asks_4011_otherwise() {
    let file = Offer { class: Class::Pxe, ..proxied(with_file(US)) };
    assert_eq!(outcome(Firmware::BiosRom, &[plain(SITE), file.clone()]).next, fetched(US));
    assert_eq!(outcome(Firmware::UefiPxe, &[plain(SITE), file]).next, Next::Ask4011(US));
    assert_eq!(outcome(Firmware::BiosRom, &[plain(SITE), proxied(binl(US))]).next, Next::Ask4011(US));
}

/// [H5] [H3]: the order, with what each form needs beside it.
#[test]
fn http_boot_prefers_in_its_order() {
    let with_dns = |offer: Offer| Offer { dns: true, ..offer };
    let address = [plain(THIRD), with_dns(plain(THIRD))];
    let order = [
        http_offer(SITE, "http://10.0.0.2/loader.efi"),
        with_dns(http_offer(SITE, "http://boot.example/loader.efi")),
        proxied(http_offer(US, "http://10.0.0.1/loader.efi")),
        proxied(http_offer(US, "http://boot.example/loader.efi")),
    ];
    for pair in order.windows(2) {
        prefers(Firmware::UefiHttp, &pair[0], &pair[1], &address, "HTTP Boot");
    }
    // Of two plain offers beside a proxy the one without DNS is taken first.
    let offers = [address[1].clone(), address[0].clone(), order[2].clone()];
    assert_eq!(outcome(Firmware::UefiHttp, &offers).address, Some(1));
    // A name needs a name server.
    for offer in [http_offer(SITE, "http://boot.example/l.efi"), proxied(http_offer(US, "https://boot/l"))] {
        assert_eq!(outcome(Firmware::UefiHttp, &[plain(THIRD), offer]).boot, None);
    }
}

/// [H1] [H2] [H4] [H6]
#[test]
fn http_boot_ignores_other_classes_and_loses_offers_without_a_url_or_too_long() {
    let pxe = [plain(SITE), proxied(pxe10(US))];
    assert_eq!(outcome(Firmware::UefiHttp, &pxe).next, Next::NothingToBoot);
    let no_url = http_offer(SITE, "loader.efi");
    assert_eq!(outcome(Firmware::UefiHttp, &[no_url]).next, Next::NoAddress);
    let long = Offer { length: 1473, ..http_offer(SITE, "http://10.0.0.2/l.efi") };
    assert_eq!(outcome(Firmware::UefiHttp, &[long]).next, Next::NoAddress);
    let v6 = http_offer(SITE, "http://[fe80::1]:8081/l.efi");
    assert_eq!(outcome(Firmware::UefiHttp, &[v6]).boot, Some(0));
}

/// Quirk 13 of docs/quirks.md.
#[test]
fn ipxe_takes_the_last_offer_of_the_highest_priority() {
    let offers = [with_file(US), with_file(SITE), plain(THIRD)];
    assert_eq!(outcome(Firmware::Ipxe, &offers).address, Some(2));
    let mut offers = offers;
    offers[0].priority = 1;
    offers[2].priority = -1;
    let outcome = outcome(Firmware::Ipxe, &offers);
    assert_eq!((outcome.address, outcome.boot, outcome.next), (Some(0), Some(0), fetched(US)));
}

/// [X5]: 175.176.
#[test]
fn ipxe_boots_by_the_proxy_unless_the_address_says_no_pxedhcp() {
    let mut offers = [with_file(SITE), proxied(Offer { class: Class::Pxe, ..with_file(US) })];
    let by_proxy = outcome(Firmware::Ipxe, &offers);
    assert_eq!((by_proxy.address, by_proxy.boot, by_proxy.next), (Some(0), Some(1), fetched(US)));
    offers[1].siaddr = Ipv4Addr::UNSPECIFIED;
    assert_eq!(outcome(Firmware::Ipxe, &offers).next, Next::Ask4011(US));
    offers[0].no_pxedhcp = true;
    assert_eq!(outcome(Firmware::Ipxe, &offers).boot, Some(0));
}

/// Quirk 55: what is no PXE class has no PXE data in 43.
#[test]
fn an_offer_is_read_as_firmware_reads_it() {
    let reply = |options: &[(u8, &[u8])]| {
        let mut bytes = vec![0; 236];
        bytes[..3].copy_from_slice(&[2, 1, 6]);
        bytes[16..20].copy_from_slice(&[10, 0, 0, 100]);
        bytes[108..112].copy_from_slice(b"file");
        bytes.extend_from_slice(&[99, 130, 83, 99]);
        for (code, value) in options {
            bytes.extend_from_slice(&[*code, value.len() as u8]);
            bytes.extend_from_slice(value);
        }
        bytes.push(255);
        Offer::of(&Packet::parse(&bytes).unwrap(), SITE, false)
    };
    let unrelated = reply(&[(53, &[2]), (60, b"other"), (43, &[6, 1, 8, 255])]);
    assert_eq!((unrelated.class, unrelated.discovery, unrelated.direct), (Class::Other, false, false));
    let pxe = reply(&[(53, &[2]), (54, &[10, 0, 0, 9]), (60, b"PXEClient"), (43, &[6, 1, 8, 255])]);
    assert_eq!((pxe.class, pxe.discovery, pxe.direct, pxe.menu), (Class::Pxe, true, true, false));
    assert_eq!((pxe.server, pxe.file.as_deref()), (Ipv4Addr::new(10, 0, 0, 9), Some("file")));
    let ipxe = reply(&[(53, &[2]), (67, b"name\0"), (175, &[1, 1, 0xff, 176, 1, 1])]);
    assert_eq!((ipxe.priority, ipxe.no_pxedhcp, ipxe.file.as_deref()), (-1, true, Some("name")));
    assert!(reply(&[]).bootp && ipxe.server == SITE);
}

#[test]
fn each_client_has_the_rules_of_its_firmware() {
    let firmware = |options: &[(u8, &[u8])]| {
        let bytes = crate::client::tests::discover(options);
        Firmware::of(&Client::of(&Packet::parse(&bytes).unwrap()))
    };
    assert_eq!(firmware(&[(60, b"PXEClient"), (93, &[0, 7])]), Some(Firmware::UefiPxe));
    assert_eq!(firmware(&[(60, b"PXEClient"), (93, &[0, 0])]), Some(Firmware::BiosRom));
    assert_eq!(firmware(&[(60, b"HTTPClient"), (93, &[0, 16])]), Some(Firmware::UefiHttp));
    assert_eq!(firmware(&[(60, b"PXEClient"), (93, &[0, 7]), (77, b"iPXE")]), Some(Firmware::Ipxe));
    assert_eq!(firmware(&[(60, b"udhcp 1.35")]), None);
}
