//! Modes and state rules beyond DISCOVER and REQUEST, knobs by class, and PXE menus.

use super::*;
use crate::client::Arch;
use crate::config::{AnswerInform, ClassSettings, Menu, MenuItem, OnDecline, Profile};
use crate::dhcp::packet::MessageType::{Ack, Bootp, Nak, Offer};

const STRANGER_SCRIPT: &str = "http://10.0.0.1:8081/boot/v1/bootscript?mac=52:54:00:be:ef:01";

fn outcome(ask: Ask) -> Result<Answer, Reason> {
    match ask.decide().verdict {
        Verdict::Answer(answer) => Ok(*answer),
        Verdict::WouldAnswer(answer) => panic!("only observed: {answer:?}"),
        Verdict::Silence(reason) => Err(reason),
    }
}

fn without_records(mut ask: Ask) -> Ask {
    ask.nodes.clear();
    ask
}

fn without_address(mut ask: Ask) -> Ask {
    ask.nodes[0].nics[0].addresses.clear();
    ask
}

fn message(mut ask: Ask, kind: u8) -> Ask {
    ask.message = kind;
    ask
}

/// A DECLINE or RELEASE for `server`, about `address`.
fn about(mode: Mode, kind: u8, server: Ipv4Addr, address: Ipv4Addr) -> Ask {
    let mut ask = message(ask(mode, &[(54, &server.octets())]), kind);
    match kind {
        4 => ask.options.push((50, address.octets().to_vec())),
        _ => ask.patch.push((12, address.octets().to_vec())),
    }
    ask
}

fn inform(options: &[(u8, &[u8])], ciaddr: [u8; 4]) -> Ask {
    let mut ask = message(reservation(options), 8);
    ask.patch.push((12, ciaddr.to_vec()));
    ask
}

// ---------------------------------------------------------------- modes

/// The table of modes of docs/settings.md, by DISCOVERs of known and unknown clients.
#[test]
fn each_mode_answers_whom_it_should() {
    let uefi = |mode| ask(mode, &[PXE, UEFI]);
    let offered = |ask: Ask| outcome(ask).map(|answer| answer.reply.yiaddr);
    let none = Ok(Ipv4Addr::UNSPECIFIED);
    let leased = Ok(RESERVED);
    let table = [
        // mode, with an address, without one, in no record, an operating system on record
        (
            Mode::Only4011,
            Err(Reason::Only4011),
            Err(Reason::Only4011),
            Err(Reason::UnknownMac),
            Err(Reason::Only4011),
        ),
        (Mode::Proxy, none, none, Err(Reason::UnknownMac), Err(Reason::NotPxe)),
        (Mode::AutoProxy, none, none, none, Err(Reason::NotPxe)),
        (Mode::Reservation, leased, Err(Reason::NoAddress), Err(Reason::UnknownMac), leased),
        (Mode::ReservationProxy, leased, none, Err(Reason::UnknownMac), leased),
    ];
    for (mode, with, without, unknown, system) in table {
        assert_eq!(offered(uefi(mode)), with, "{}, with an address", mode.name());
        assert_eq!(offered(without_address(uefi(mode))), without, "{}, without address", mode.name());
        assert_eq!(offered(without_records(uefi(mode))), unknown, "{}, in no record", mode.name());
        assert_eq!(offered(ask(mode, &[])), system, "{}, an operating system", mode.name());
    }
}

/// A MAC without a node gets `Default` in auto-proxy only.
#[test]
fn auto_proxy_gives_unknown_clients_the_default_entry_and_profile_and_no_address() {
    let strangers = |options: &[(u8, &[u8])]| without_records(ask(Mode::AutoProxy, options));
    let answer = outcome(strangers(&[PXE, UEFI])).unwrap();
    assert_eq!(
        (answer.reply.yiaddr, answer.reply.file.as_str()),
        (Ipv4Addr::UNSPECIFIED, "snponly-x86_64.efi")
    );
    assert_eq!(strangers(&[PXE, BIOS, IPXE]).reply().file, STRANGER_SCRIPT);
    assert_eq!(strangers(&[PXE, UEFI]).on_4011().reply().file, "snponly-x86_64.efi");
    let mut with_profile = strangers(&[PXE, UEFI]);
    let profile = Profile { loader: Some("grubx64.efi".into()), ..Profile::default() };
    with_profile.settings.profiles.insert(Node::DEFAULT_PROFILE.to_owned(), profile);
    assert_eq!(with_profile.reply().file, "grubx64.efi");
    // Without a `Default` entry it must reach its own disk; a role or group entry is not for strangers.
    let mut for_compute = strangers(&[PXE, UEFI]);
    for_compute.entries[0].selectors = Selectors { roles: vec!["Compute".into()], ..Selectors::default() };
    assert_eq!(for_compute.silence(), Reason::NoBootEntry);
    assert_eq!(strangers(&[]).silence(), Reason::UnknownMac, "an operating system is not booted");
    assert!(strangers(&[PXE, UEFI]).decide().node.is_none(), "no record is claimed");
}

/// [X2] [D3]
#[test]
fn mode_4011_only_answers_on_4011_as_a_proxy_does() {
    let only = ask(Mode::Only4011, &[PXE, UEFI]).on_4011().reply();
    assert_eq!(only, proxy(&[PXE, UEFI]).on_4011().reply());
}

/// Nothing leaves in observe, and what would have is exactly what the other mode sends.
#[test]
fn observe_says_what_the_other_mode_would_send_and_remembers_nothing_of_it() {
    for judged in [Mode::Proxy, Mode::AutoProxy, Mode::Reservation, Mode::ReservationProxy, Mode::Only4011] {
        for on_4011 in [false, true] {
            let question = |mode| {
                let mut ask = ask(mode, &[PXE, UEFI]);
                ask.settings.observe_as = judged;
                if on_4011 { ask.on_4011() } else { ask }
            };
            let decision = question(Mode::Observe).decide();
            assert!(decision.remember.is_empty());
            match (decision.verdict, outcome(question(judged))) {
                (Verdict::WouldAnswer(would), Ok(sent)) => assert_eq!(would.reply, sent.reply),
                (Verdict::Silence(reason), Err(expected)) => assert_eq!(reason, expected),
                (verdict, expected) => panic!("{}: {verdict:?}, not {expected:?}", judged.name()),
            }
        }
    }
    let mut own = reservation(&[PXE, UEFI]);
    own.nodes[0].mode = Some(Mode::Observe);
    assert!(matches!(own.decide().verdict, Verdict::WouldAnswer(answer) if answer.reply.yiaddr == RESERVED));
}

#[test]
fn dhcp_false_is_silence_in_every_mode_and_on_both_ports() {
    for mode in [Mode::Proxy, Mode::AutoProxy, Mode::Reservation, Mode::ReservationProxy] {
        for on_4011 in [false, true] {
            let mut ask = ask(mode, &[PXE, UEFI]);
            ask.nodes[0].knobs.dhcp = Some(false);
            let ask = if on_4011 { ask.on_4011() } else { ask };
            assert_eq!(ask.silence(), Reason::DhcpOff, "{}", mode.name());
        }
    }
}

/// [P9]: options of a record go out in every mode that answers; without a lease only those of booting.
#[test]
fn a_nodes_typed_options_are_sent_in_every_mode() {
    for mode in [Mode::Proxy, Mode::AutoProxy, Mode::Reservation, Mode::ReservationProxy] {
        let mut ask = ask(mode, &[PXE, UEFI]);
        ask.nodes[0].options = vec![
            TypedOption { code: 209, value: b"pxelinux.cfg/own".to_vec() },
            TypedOption { code: 42, value: vec![10, 0, 0, 3] },
            TypedOption { code: 7, value: vec![10, 0, 0, 4] },
            TypedOption { code: 239, value: b"http://10.0.0.1/ztp".to_vec() },
        ];
        let reply = ask.reply();
        assert_eq!(reply.option(209), Some(&b"pxelinux.cfg/own"[..]), "{}", mode.name());
        for of_the_lease in [42, 7, 239] {
            let sent = reply.option(of_the_lease).is_some();
            assert_eq!(sent, mode.gives_addresses(), "{}: {of_the_lease}", mode.name());
        }
    }
}

// ---------------------------------------------------------------- messages

/// RFC 2131 section 4.3.3.
#[test]
fn a_declined_address_is_withheld_unless_the_setting_insists() {
    let decision = about(Mode::Reservation, 4, SERVER, RESERVED).decide();
    assert!(matches!(decision.verdict, Verdict::Silence(Reason::Declined)));
    assert_eq!(decision.remember, [Fact::Declined { address: RESERVED }]);
    for question in [reservation(&[PXE, UEFI]), reservation(&[]).request(Some(SERVER), Some(RESERVED), None)]
    {
        let mut question = question;
        question.seen.remember(&decision.remember[0], Duration::from_secs(999));
        assert_eq!(question.silence(), Reason::AddressWithheld);
    }
    let mut later = reservation(&[]);
    later.seen.remember(&decision.remember[0], Duration::from_secs(399));
    assert_eq!(later.reply().yiaddr, RESERVED);
    let mut insist = about(Mode::Reservation, 4, SERVER, RESERVED);
    insist.settings.knobs.on_decline = Some(OnDecline::Insist);
    let decision = insist.decide();
    assert!(matches!(decision.verdict, Verdict::Silence(Reason::Declined)) && decision.remember.is_empty());
}

#[test]
fn a_decline_says_why_in_the_clients_words() {
    let mut ask = about(Mode::Reservation, 4, SERVER, RESERVED);
    ask.options.push((56, b"answered by 02:00:00:00:00:01".to_vec()));
    let because = ask.decide().because.join("; ");
    assert!(because.contains("answered by 02:00:00:00:00:01"), "{because}");
}

/// A DECLINE of a stranger, for another server or of another address withholds nothing.
#[test]
fn declines_that_are_not_ours_change_nothing() {
    let stranger = without_records(about(Mode::Reservation, 4, SERVER, RESERVED));
    let no_server = message(reservation(&[(50, &RESERVED.octets())]), 4);
    for (ask, expected) in [
        (stranger, Reason::UnknownMac),
        (about(Mode::Reservation, 4, OTHER, RESERVED), Reason::OtherServerChosen),
        (about(Mode::Reservation, 4, SERVER, OTHER), Reason::NotOurs),
        (about(Mode::Proxy, 4, SERVER, RESERVED), Reason::MessageType),
        (no_server, Reason::Malformed),
    ] {
        let decision = ask.decide();
        assert!(matches!(decision.verdict, Verdict::Silence(reason) if reason == expected), "{expected}");
        assert!(decision.remember.is_empty());
    }
}

#[test]
fn a_release_is_only_noted() {
    let decision = about(Mode::Reservation, 7, SERVER, RESERVED).decide();
    assert!(matches!(decision.verdict, Verdict::Silence(Reason::Released)) && decision.remember.is_empty());
    assert_eq!(about(Mode::Reservation, 7, OTHER, RESERVED).silence(), Reason::OtherServerChosen);
}

/// Section 5.1, INFORM row (RFC 2131 section 4.3.5).
#[test]
fn an_inform_is_acked_to_ciaddr_without_address_and_lease_times() {
    let mut ask = inform(&[(55, &[1, 12, 51, 42])], [10, 0, 0, 77]);
    ask.nodes[0].options = vec![TypedOption { code: 51, value: vec![0, 0, 1, 0] }];
    let answer = ask.answer();
    let reply = &answer.reply;
    assert_eq!(
        (reply.message, reply.yiaddr, reply.ciaddr),
        (Ack, Ipv4Addr::UNSPECIFIED, [10, 0, 0, 77].into())
    );
    assert_eq!((reply.option(51), reply.option(58), reply.option(59)), (None, None, None));
    assert_eq!(reply.option(1), Some(&[255, 255, 255, 0][..]));
    assert_eq!(reply.option(12), Some(&b"compute1"[..]));
    assert_eq!(answer.delivery, Delivery::Unicast(SocketAddrV4::new([10, 0, 0, 77].into(), 68)), "row 4");
    assert_eq!(inform(&[PXE, UEFI], [10, 0, 0, 77]).reply().file, "snponly-x86_64.efi");
    assert_eq!(inform(&[], [192, 0, 2, 9]).silence(), Reason::AddressOutside);
    assert_eq!(inform(&[], [0; 4]).silence(), Reason::Malformed);
}

#[test]
fn an_inform_of_a_stranger_is_answered_only_by_setting() {
    let stranger = |address| without_records(inform(&[(55, &[1, 12])], address));
    assert_eq!(stranger([10, 0, 0, 77]).silence(), Reason::UnknownMac);
    let mut allowed = stranger([10, 0, 0, 77]);
    allowed.settings.knobs.answer_inform = Some(AnswerInform::Subnet);
    let reply = allowed.reply();
    assert_eq!(
        (reply.option(1), reply.option(12), reply.file.as_str()),
        (Some(&[255, 255, 255, 0][..]), None, "")
    );
    let mut outside = stranger([192, 0, 2, 9]);
    outside.settings.knobs.answer_inform = Some(AnswerInform::Subnet);
    assert_eq!(outside.silence(), Reason::AddressOutside);
}

/// Section 5.1, BOOTP row (RFC 951, RFC 1534).
#[test]
fn plain_bootp_gets_its_address_for_ever_and_the_file_only_by_setting() {
    let bootp = || {
        let mut ask = message(reservation(&[]), 0);
        ask.settings.knobs.bootp = Some(true);
        ask.nodes[0].arch = Some(crate::records::node::NodeArch::Code(Arch::BIOS));
        ask
    };
    assert_eq!(message(reservation(&[]), 0).silence(), Reason::BootpNotServed);
    let answer = bootp().answer();
    let reply = &answer.reply;
    assert_eq!((reply.message, reply.yiaddr, reply.siaddr), (Bootp, RESERVED, SERVER));
    assert_eq!(reply.file, "undionly.kpxe");
    for dhcp_only in [50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61] {
        assert_eq!(reply.option(dhcp_only), None, "option {dhcp_only}");
    }
    let encoded = reply.encode(answer.limit).bytes;
    assert_eq!(encoded.len(), 300);
    let read = Packet::parse(&encoded).unwrap();
    assert_eq!((read.message_type(), read.options.get(1)), (None, Some(&[255, 255, 255, 0][..])));
    // RFC 951 alone, without the cookie of RFC 1048: the header says all, nothing stands behind it.
    let reply = Reply { has_options: false, ..answer.reply.clone() };
    let encoded = reply.encode(answer.limit).bytes;
    let read = Packet::parse(&encoded).unwrap();
    assert_eq!((read.yiaddr(), read.siaddr(), read.has_cookie()), (RESERVED, SERVER, false));
    assert_eq!((encoded.len(), encoded[236..].iter().all(|byte| *byte == 0)), (300, true));
    assert_eq!(without_records(bootp()).silence(), Reason::UnknownMac);
    let mut proxied = bootp();
    proxied.mode = Mode::Proxy;
    assert_eq!(proxied.silence(), Reason::BootpNotServed);
}

/// LEASEQUERY (RFC 4388) and messages of servers are none of a client's.
#[test]
fn leasequery_and_other_messages_are_ignored() {
    for kind in [2, 5, 6, 10, 13] {
        for mode in [Mode::Proxy, Mode::Reservation] {
            assert_eq!(message(ask(mode, &[]), kind).silence(), Reason::MessageType, "type {kind}");
        }
    }
}

/// Quirk 6.
#[test]
fn a_proxy_answers_requests_of_a_class_that_expects_it() {
    let request = |knob| {
        let mut ask = proxy(&[PXE, BIOS]).request(Some(OTHER), Some(RESERVED), None);
        let knobs = Knobs { answer_request: knob, ..Knobs::default() };
        ask.settings.classes =
            vec![ClassSettings { archs: vec![Arch(0)], knobs, ..ClassSettings::default() }];
        ask
    };
    assert_eq!(request(None).silence(), Reason::OtherServerChosen);
    let answer = request(Some(true)).answer();
    assert_eq!((answer.reply.message, answer.reply.yiaddr), (Ack, Ipv4Addr::UNSPECIFIED));
    assert_eq!(answer.reply.file, proxy(&[PXE, BIOS]).reply().file);
    assert_eq!(answer.delivery, Delivery::Broadcast);
}

// ---------------------------------------------------------------- knobs

/// Top level < interface < subnet < class < profile < node.
#[test]
fn the_more_specific_knob_wins_and_of_two_classes_the_later() {
    use crate::config::{BootfileOption, SubnetSettings};
    let delay = |seconds| Knobs { reply_delay: Some(Duration::from_secs(seconds)), ..Knobs::default() };
    let class = |seconds, vendor: &str| ClassSettings {
        vendor_classes: vec![vendor.into()],
        knobs: delay(seconds),
        ..ClassSettings::default()
    };
    let mut levels = 0;
    let mut delay_with = |level: u64| {
        levels = levels.max(level);
        let mut ask = reservation(&[PXE, UEFI]);
        ask.settings.knobs = delay(1);
        if level >= 2 {
            ask.settings.subnets = vec![SubnetSettings {
                subnet: "10.0.0.0/24".parse().unwrap(),
                router: None,
                dns: Vec::new(),
                domain: None,
                lease: Duration::from_secs(60),
                options: Vec::new(),
                knobs: delay(2),
            }];
        }
        if level >= 3 {
            ask.settings.classes = vec![class(9, "PXEClient"), class(3, "PXEClient:Arch"), class(9, "HTTP")];
        }
        if level >= 4 {
            ask.nodes[0].profile = Some("gpu".into());
            ask.settings.profiles.insert("gpu".into(), Profile { knobs: delay(4), ..Profile::default() });
        }
        if level >= 5 {
            ask.nodes[0].knobs = Knobs { bootfile_option: Some(BootfileOption::Nul), ..delay(5) };
        }
        ask.answer().delay.as_secs()
    };
    for level in 1..=5 {
        assert_eq!(delay_with(level), level);
    }
}

/// Quirk 13.
#[test]
fn ipxe_priority_is_sent_to_ipxe_beside_no_pxedhcp() {
    let priority = |mode, options: &[(u8, &[u8])]| {
        let mut ask = ask(mode, options);
        ask.settings.knobs.ipxe_priority = Some(-2);
        ask.reply().option(175).map(<[u8]>::to_vec)
    };
    assert_eq!(priority(Mode::Reservation, &[PXE, BIOS, IPXE]), Some(vec![176, 1, 1, 1, 1, 254]));
    assert_eq!(priority(Mode::Proxy, &[PXE, BIOS, IPXE]), Some(vec![1, 1, 254]));
    assert_eq!(priority(Mode::Proxy, &[PXE, BIOS]), None);
}

/// Quirk 47: the word is echoed, since the firmware looks for its own.
#[test]
fn another_word_for_pxeclient_is_understood_and_echoed() {
    let huawei: (u8, &[u8]) = (60, b"HW-Client:Arch:00007");
    assert_eq!(proxy(&[huawei, UEFI]).silence(), Reason::NotPxe);
    let mut ask = proxy(&[huawei, UEFI]);
    ask.settings.pxe_classes = vec!["HW-Client".into()];
    let reply = ask.reply();
    assert_eq!((reply.option(60), reply.file.as_str()), (Some(&b"HW-Client"[..]), "snponly-x86_64.efi"));
}

/// [P5]
#[test]
fn only_a_client_that_is_no_firmware_may_be_sent_an_overloaded_reply() {
    let may = |options: &[(u8, &[u8])]| reservation(options).reply().may_overload;
    assert!(may(&[]) && may(&[(60, b"MSFT 5.0")]));
    let uuid = [&[0][..], b"RPi4", &[0; 12]].concat();
    for options in [
        &[PXE, UEFI][..],
        &[HTTP, HTTP_ARCH],
        &[IPXE],
        &[(60, b"U-Boot.armv8")],
        &[(93, &[0, 22])],
        &[(97, &uuid)],
    ] {
        assert!(!may(options), "{options:?}");
    }
}

// ---------------------------------------------------------------- menus

fn with_menu(mut ask: Ask) -> Ask {
    let item = |kind, text: &str, loader: Option<&str>| MenuItem {
        kind,
        text: text.into(),
        loader: loader.map(str::to_owned),
    };
    ask.settings.knobs.option_43 = Some(Option43::Menu);
    ask.settings.menu = Some(Menu {
        prompt: "F8".into(),
        timeout: 5,
        items: vec![item(0x8000, "iPXE", Some("ipxe.pxe")), item(0, "Disk", None)],
    });
    ask
}

/// [X6]: control, one server for what we serve, lines, prompt, end.
const MENU: &[u8] = &[
    6, 1, 7, 8, 7, 0x80, 0, 1, 10, 0, 0, 1, 9, 14, 0x80, 0, 4, b'i', b'P', b'X', b'E', 0, 0, 4, b'D', b'i',
    b's', b'k', 10, 3, 5, b'F', b'8', 255,
];

/// [X6] [X1]
#[test]
fn a_menu_is_shown_to_roms_in_the_offer_and_to_uefi_proxy_clients_on_4011() {
    let of = |ask: Ask| with_menu(ask).reply().option(43).map(<[u8]>::to_vec);
    assert_eq!(of(proxy(&[PXE, BIOS])), Some(MENU.to_vec()));
    assert_eq!(of(proxy(&[PXE, UEFI])), None, "[X1]");
    assert_eq!(of(proxy(&[PXE, UEFI]).on_4011()), Some(MENU.to_vec()));
    for options in [&[PXE, BIOS], &[PXE, UEFI]] {
        let reply = with_menu(reservation(options)).reply();
        assert_eq!((reply.option(43), reply.option(60)), (Some(MENU), Some(&b"PXEClient"[..])));
    }
}

/// [X2] [X6]
#[test]
fn the_item_chosen_is_answered_with_its_file_and_echoed() {
    let asked = |kind: u8| {
        let item = [71, 4, 0x80, kind, 0, 0, 255];
        outcome(with_menu(proxy(&[PXE, BIOS, (43, &item)]).on_4011()))
    };
    let answer = asked(0).unwrap();
    assert_eq!(answer.reply.file, "ipxe.pxe");
    assert_eq!(answer.reply.option(43), Some(&[71, 4, 0x80, 0, 0, 0, 255][..]));
    assert_eq!(asked(9).unwrap_err(), Reason::NoMenuItem);
}

/// Quirk 11.
#[test]
fn ipxe_is_never_shown_a_menu() {
    for ask in [proxy(&[PXE, BIOS, IPXE]), reservation(&[PXE, BIOS, IPXE])] {
        let reply = with_menu(ask).reply();
        assert_eq!((reply.file.as_str(), reply.option(43) == Some(MENU)), (STRANGER_SCRIPT, false));
    }
}

/// [M3]: whatever the mode, a refusal goes only to a node whose address we give.
#[test]
fn only_reserving_modes_say_nak() {
    let wrong = Some(Ipv4Addr::new(10, 0, 0, 99));
    for mode in Mode::ALL {
        let mut question = ask(mode, &[PXE, UEFI]).request(None, wrong, None);
        question.settings.observe_as = Mode::Proxy;
        let naks =
            matches!(question.decide().verdict, Verdict::Answer(answer) if answer.reply.message == Nak);
        assert_eq!(naks, mode.gives_addresses(), "{}", mode.name());
    }
    assert_eq!(reservation(&[]).reply().message, Offer);
}
