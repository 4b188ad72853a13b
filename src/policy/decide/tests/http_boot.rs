//! UEFI HTTP Boot: what a server can do for it.

use super::*;

fn http_boot(mode: Mode) -> Ask {
    ask(mode, &[HTTP, HTTP_ARCH, (57, &[0x05, 0xc0])])
}

/// [H5]: of all selectable forms firmware prefers an offer whose URL names an address; both of ours do, so the
/// choice never hangs on a name server.
#[test]
fn both_forms_of_an_http_boot_offer_name_an_address() {
    for mode in [Mode::Proxy, Mode::Reservation] {
        let reply = http_boot(mode).reply();
        let url = String::from_utf8(reply.option(67).unwrap().to_vec()).unwrap();
        let host = url.strip_prefix("http://").and_then(|rest| rest.split(':').next()).unwrap();
        assert_eq!(host.parse(), Ok(SERVER), "{url}");
        assert_eq!(reply.yiaddr.is_unspecified(), mode == Mode::Proxy);
        assert_eq!(reply.option(6), None, "no name server is needed");
    }
}

/// [H6]: firmware ignores an offer over 1472 bytes, whatever size it says it takes.
#[test]
fn an_http_boot_offer_stays_within_1472_bytes_also_where_frames_are_larger() {
    for (size, limit) in [(&[0x05_u8, 0xc0][..], 1444), (&[0xff, 0], 1472)] {
        let mut ask = ask(Mode::Reservation, &[HTTP, HTTP_ARCH, (57, size)]);
        ask.mtu = 9000;
        assert_eq!(ask.answer().limit, limit, "{size:?}");
    }
    let mut pxe = ask(Mode::Reservation, &[PXE, UEFI, (57, &[0xff, 0])]);
    pxe.mtu = 9000;
    assert_eq!(pxe.answer().limit, 8972, "only HTTP Boot has that bound");
}

/// [H8] [H11]: the server cannot see why firmware does not connect, so the decision says what that would mean.
#[test]
fn the_decision_says_what_it_means_when_no_get_follows() {
    for mode in [Mode::Proxy, Mode::Reservation] {
        let because = http_boot(mode).decide().because.join("; ");
        assert!(because.contains("[H8]") && because.contains("[H11]"), "{because}");
    }
}

/// [H9]: the other clients that say HTTPClient get a URL by the same rules, or nothing.
#[test]
fn every_http_architecture_is_answered_by_the_same_rules() {
    for arch in [15_u8, 16, 17, 18, 19, 20, 23, 24, 26, 28, 30, 38, 40] {
        let mut ask = ask(Mode::Proxy, &[(60, b"HTTPClient"), (93, &[0, arch])]);
        ask.nodes[0].loader = Some("boot.efi".into());
        let reply = ask.reply();
        assert_eq!(reply.option(67), Some(&b"http://10.0.0.1:8081/boot.efi"[..]), "{arch}");
        assert_eq!((reply.option(60), reply.option(43)), (Some(&b"HTTPClient"[..]), None), "{arch}");
    }
}

/// [H10]: the first file may be anything that somebody names: a shim, GRUB, an image, a file elsewhere.
#[test]
fn the_first_file_by_http_may_be_a_shim_a_loader_an_image_or_elsewhere() {
    for (loader, url) in [
        (
            "debian-installer/amd64/bootnetx64.efi",
            "http://10.0.0.1:8081/debian-installer/amd64/bootnetx64.efi",
        ),
        ("images/installer.iso", "http://10.0.0.1:8081/images/installer.iso"),
        ("http://10.9.9.9/shimx64.efi", "http://10.9.9.9/shimx64.efi"),
        ("https://10.9.9.9/shimx64.efi", "https://10.9.9.9/shimx64.efi"),
    ] {
        let mut ask = http_boot(Mode::Reservation);
        ask.nodes[0].loader = Some(loader.into());
        assert_eq!(ask.reply().file, url);
    }
}
