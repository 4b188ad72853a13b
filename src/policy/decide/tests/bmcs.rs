//! BMCs on record: an address where we hand out addresses, and never anything to boot.

use super::*;
use crate::config::{HostnameSource, SubnetSettings};
use crate::dhcp::packet::MessageType::{Ack, Bootp, Nak, Offer};

const BMC_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 101);

fn bmc() -> Bmc {
    Bmc {
        xname: Some("x1000c0s0b0".parse().unwrap()),
        mac: Some(Mac::new(MAC).unwrap()),
        ip: Some(BMC_ADDRESS.into()),
        ..Bmc::default()
    }
}

/// The client is a BMC; the only node is another machine, on the same switch port.
fn from_bmc(mode: Mode, options: &[(u8, &[u8])]) -> Ask {
    let mut ask = ask(mode, options);
    ask.nodes[0].nics[0].mac = Mac::new([0x52, 0x54, 0, 0xbe, 0xef, 2]).unwrap();
    ask.bmcs = vec![bmc()];
    ask
}

fn reserved(options: &[(u8, &[u8])]) -> Ask {
    from_bmc(Mode::Reservation, options)
}

/// A subnet with an option for everybody and several that boot something.
fn subnet() -> SubnetSettings {
    let text = "{subnets: [{subnet: 10.0.0.0/24, router: 10.0.0.254, dns: [10.0.0.53], domain: site, lease: 2h,
        options: {ntp-servers: [10.0.0.123], 43: {hex: '060108ff'}, 66: a, 67: b, 150: [10.0.0.9], 209: c, 114: d}}]}";
    let source = Arc::new(crate::config::source::Source::new("b.yaml", text.to_owned()));
    let mut findings = crate::config::Findings::default();
    let document = crate::config::tree::parse(&source, &mut findings).unwrap();
    let written = crate::config::file::interpret(&document, &mut findings);
    assert!(!findings.has_errors(), "{:?}", findings.into_list());
    written.with(&crate::config::file::Flags::default()).subnets.remove(0)
}

fn booting(reply: &Reply) -> Vec<u8> {
    let codes = reply.options.iter().map(|(code, _)| *code);
    codes
        .filter(|code| matches!(code, 43 | 60 | 66 | 67 | 97 | 114 | 128..=135 | 150 | 175 | 208..=211))
        .collect()
}

#[test]
fn a_bmc_gets_its_address_and_the_networks_options_and_nothing_to_boot() {
    for options in [&[][..], &[PXE, UEFI, (97, &[0; 17])], &[PXE, BIOS, IPXE, FEATURES], &[HTTP, HTTP_ARCH]] {
        for (ask, message) in [
            (reserved(options), Offer),
            (reserved(options).request(Some(SERVER), Some(BMC_ADDRESS), None), Ack),
            (reserved(options).request(None, Some(BMC_ADDRESS), None), Ack),
            (reserved(options).request(None, None, Some(BMC_ADDRESS)), Ack),
        ] {
            let mut ask = ask;
            ask.settings.subnets = vec![subnet()];
            let answer = ask.answer();
            let reply = answer.reply;
            assert_eq!((reply.message, reply.yiaddr), (message, BMC_ADDRESS), "{options:?}");
            assert_eq!(answer.without_boot, None);
            assert_eq!((reply.file.as_str(), reply.siaddr), ("", Ipv4Addr::UNSPECIFIED));
            assert_eq!(booting(&reply), [0_u8; 0], "{options:?}");
            for (code, value) in [
                (1, &[255, 255, 255, 0][..]),
                (3, &[10, 0, 0, 254]),
                (6, &[10, 0, 0, 53]),
                (15, b"site"),
                (42, &[10, 0, 0, 123]),
                (51, &7200_u32.to_be_bytes()),
                (54, &SERVER.octets()),
                (12, b"x1000c0s0b0"),
            ] {
                assert_eq!(reply.option(code), Some(value), "option {code} for {options:?}");
            }
        }
    }
}

#[test]
fn a_bmcs_host_name_is_its_name_or_xname_and_goes_out_only_if_listed() {
    let named = |source, name: Option<&str>, listed: &[u8]| {
        let mut ask = reserved(&[(55, listed)]);
        ask.settings.hostname = source;
        ask.bmcs[0].name = name.map(str::to_owned);
        ask.reply().option(12).map(|name| String::from_utf8(name.to_vec()).unwrap())
    };
    use HostnameSource::{Name, Nid, Xname};
    for (source, name, expected) in [
        (Name, Some("bmc1"), "bmc1"),
        (Name, None, "x1000c0s0b0"),
        (Nid, Some("bmc1"), "bmc1"),
        (Xname, Some("bmc1"), "x1000c0s0b0"),
    ] {
        assert_eq!(named(source, name, &[1, 12]).as_deref(), Some(expected));
        assert_eq!(named(source, name, &[1, 3]), None);
    }
}

/// [M3]
#[test]
fn a_bmc_that_asks_for_another_address_gets_a_nak_and_one_of_another_server_silence() {
    let wrong = Ipv4Addr::new(10, 0, 0, 77);
    let nak = reserved(&[]).request(Some(SERVER), Some(wrong), None).reply();
    assert_eq!((nak.message, nak.option(12)), (Nak, None));
    let elsewhere = reserved(&[]).request(Some(OTHER), Some(BMC_ADDRESS), None);
    assert_eq!(elsewhere.silence(), Reason::OtherServerChosen);
    let mut decline = reserved(&[(54, &SERVER.octets()), (50, &BMC_ADDRESS.octets())]);
    decline.message = 4;
    let decision = decline.decide();
    assert!(matches!(decision.verdict, Verdict::Silence(Reason::Declined)));
    assert_eq!(decision.remember, [Fact::Declined { address: BMC_ADDRESS }]);
}

#[test]
fn a_bmc_is_answered_only_where_addresses_are_handed_out() {
    for mode in [Mode::Only4011, Mode::Proxy, Mode::AutoProxy] {
        for options in [&[][..], &[PXE, UEFI]] {
            assert_eq!(from_bmc(mode, options).silence(), Reason::BmcBootsNothing, "{}", mode.name());
        }
        assert_eq!(from_bmc(mode, &[PXE, UEFI]).on_4011().silence(), Reason::BmcBootsNothing);
    }
    assert_eq!(from_bmc(Mode::ReservationProxy, &[]).reply().yiaddr, BMC_ADDRESS);
    let observed = from_bmc(Mode::Observe, &[]).decide();
    assert!(matches!(observed.verdict, Verdict::Silence(Reason::BmcBootsNothing)), "{observed:?}");
    let pxe = reserved(&[PXE, UEFI]).on_4011();
    assert_eq!(pxe.silence(), Reason::MessageType, "it has no boot server to ask");
}

#[test]
fn a_bmc_without_a_usable_address_or_with_dhcp_off_is_left_alone() {
    for (address, reason) in [
        (None, Reason::NoAddress),
        (Some("fd00::1"), Reason::NoAddress),
        (Some("192.168.9.9"), Reason::AddressOutside),
    ] {
        let mut ask = reserved(&[]);
        ask.bmcs[0].ip = address.map(|address| address.parse().unwrap());
        assert_eq!(ask.silence(), reason, "{address:?}");
    }
    let mut off = reserved(&[]);
    off.settings.subnets = vec![subnet()];
    off.settings.subnets[0].knobs.dhcp = Some(false);
    assert_eq!(off.silence(), Reason::DhcpOff);
}

#[test]
fn a_bmc_is_nobody_else_by_uuid_client_id_or_port_and_a_node_goes_before_it() {
    let mut ask = reserved(&[(97, &[0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), (61, b"rack")]);
    ask.nodes[0].uuid = Some(crate::records::Uuid::from_text_order([1; 16]));
    ask.nodes[0].client_id = Some(b"rack".to_vec());
    let decision = ask.decide();
    assert!(decision.node.is_none() && decision.bmc.is_some(), "{:?}", decision.because);
    assert_eq!(decision.because[0], "BMC x1000c0s0b0 by mac 52:54:00:be:ef:01");
    let mut both = reservation(&[PXE, UEFI]);
    both.bmcs = vec![bmc()];
    let decision = both.decide();
    assert!(decision.node.is_some() && decision.bmc.is_none());
    assert!(matches!(decision.verdict, Verdict::Answer(answer) if answer.reply.yiaddr == RESERVED));
}

#[test]
fn plain_bootp_of_a_bmc_is_answered_where_bootp_is_served() {
    let mut ask = reserved(&[]);
    ask.message = 0;
    ask.settings.knobs.bootp = Some(true);
    let answer = ask.answer();
    assert_eq!((answer.reply.message, answer.reply.yiaddr), (Bootp, BMC_ADDRESS));
    assert_eq!((answer.without_boot, answer.reply.file.as_str(), booting(&answer.reply)), (None, "", vec![]));
}
