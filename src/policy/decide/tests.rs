//! The decision, rule by rule: a packet in, an answer or a reason out. No network.

mod states;

use std::collections::BTreeMap;

use super::*;
use crate::client::Arch;
use crate::config::{FirmwareSource, HttpListen, NoBootEntry, Option43, Settings, UefiOffer};
use crate::dhcp::catalogue::TypedOption;
use crate::dhcp::reply::limit;
use crate::firmware::{Loader, Loaders};
use crate::records::{BootEntry, BootFile, Nic, Selectors};

mod architectures;
mod bmcs;
mod http_boot;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const RESERVED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const MAC: [u8; 6] = [0x52, 0x54, 0, 0xbe, 0xef, 1];
const BIOS: (u8, &[u8]) = (93, &[0, 0]);
const UEFI: (u8, &[u8]) = (93, &[0, 7]);
const PXE: (u8, &[u8]) = (60, b"PXEClient:Arch:00007:UNDI:003000");
const HTTP: (u8, &[u8]) = (60, b"HTTPClient:Arch:00016:UNDI:003000");
const HTTP_ARCH: (u8, &[u8]) = (93, &[0, 16]);
const IPXE: (u8, &[u8]) = (77, b"iPXE");
const FEATURES: (u8, &[u8]) = (175, &[19, 1, 1, 24, 1, 1, 36, 1, 1]);

fn node() -> Node {
    let mac = Mac::new(MAC).unwrap();
    Node {
        name: Some("compute1".into()),
        xname: Some("x1000c0s0b0n0".parse().unwrap()),
        nid: Some(1),
        nics: vec![Nic { mac, addresses: vec![RESERVED.into()] }],
        netboot: true,
        ..Node::default()
    }
}

fn entry() -> BootEntry {
    BootEntry {
        name: "installer".into(),
        selectors: Selectors { default: true, ..Selectors::default() },
        arch: Vec::new(),
        kernel: BootFile::Asset("linux".into()),
        initrd: None,
        params: String::new(),
        loader: None,
        script: None,
        priority: 0,
        cloud_init: serde_json::Value::Null,
        origin: crate::records::Origin::default(),
    }
}

fn settings() -> Settings {
    // What a test does not say is what an empty bootlace.yaml says.
    Settings {
        firmware: FirmwareSource::None,
        http: vec![HttpListen { address: None, port: 8081 }],
        ..crate::config::file::Written::default().with(&crate::config::file::Flags::default())
    }
}

fn loaders() -> Loaders {
    let mut by_name = BTreeMap::new();
    for name in ["undionly.kpxe", "snponly-x86_64.efi"] {
        let loader = Loader { name: name.into(), path: name.into(), size: 1, content: Arc::from([0_u8]) };
        by_name.insert(name.to_owned(), Arc::new(loader));
    }
    Loaders::new(by_name)
}

/// One question to `decide`, with everything at its most usual.
struct Ask {
    mode: Mode,
    mtu: u16,
    port: Port,
    message: u8,
    options: Vec<(u8, Vec<u8>)>,
    patch: Vec<(usize, Vec<u8>)>,
    settings: Settings,
    nodes: Vec<Node>,
    bmcs: Vec<Bmc>,
    entries: Vec<BootEntry>,
    loaders: Loaders,
    seen: Seen,
}

fn ask(mode: Mode, options: &[(u8, &[u8])]) -> Ask {
    Ask {
        mode,
        mtu: 1500,
        port: Port::Dhcp,
        message: 1,
        options: options.iter().map(|(code, value)| (*code, value.to_vec())).collect(),
        patch: Vec::new(),
        settings: settings(),
        nodes: vec![node()],
        bmcs: Vec::new(),
        entries: vec![entry()],
        loaders: loaders(),
        seen: Seen::default(),
    }
}

impl Ask {
    fn request(
        mut self,
        server: Option<Ipv4Addr>,
        asked: Option<Ipv4Addr>,
        ciaddr: Option<Ipv4Addr>,
    ) -> Self {
        self.message = 3;
        self.options.extend(server.map(|server| (54, server.octets().to_vec())));
        self.options.extend(asked.map(|asked| (50, asked.octets().to_vec())));
        self.patch.extend(ciaddr.map(|ciaddr| (12, ciaddr.octets().to_vec())));
        self
    }

    fn on_4011(mut self) -> Self {
        self.port = Port::Pxe;
        self.message = 3;
        self.patch.push((12, vec![10, 0, 0, 77]));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
        bytes[28..34].copy_from_slice(&MAC);
        for (at, value) in &self.patch {
            bytes[*at..*at + value.len()].copy_from_slice(value);
        }
        bytes.extend_from_slice(&[99, 130, 83, 99]);
        if self.message != 0 {
            bytes.extend_from_slice(&[53, 1, self.message]);
        }
        for (code, value) in &self.options {
            bytes.extend_from_slice(&[*code, value.len() as u8]);
            bytes.extend_from_slice(value);
        }
        bytes.push(255);
        bytes
    }

    fn decide(self) -> Decision {
        let bytes = self.bytes();
        let mut records = Snapshot::new(self.nodes, self.entries);
        for (place, bmc) in (0..).zip(self.bmcs) {
            records.put_bmc(crate::records::BmcKey::File(place), bmc);
        }
        let templates = crate::boot::template::Templates::default();
        let world = World::new(self.settings, records, self.loaders, templates);
        let source = match self.port {
            Port::Dhcp => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
            Port::Pxe => SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 77), 4011),
        };
        let arrival = Arrival {
            interface: "eth0".into(),
            address: SERVER,
            network: "10.0.0.0/24".parse().unwrap(),
            mtu: self.mtu,
            mode: self.mode,
            knobs: world.settings.knobs,
            port: self.port,
            source,
        };
        let packet = Packet::parse(&bytes).unwrap();
        let client = Client::of(&packet);
        let request = Request { packet: &packet, arrival: &arrival, client: &client };
        decide(&request, &world, &self.seen, Duration::from_secs(1000))
    }

    fn reply(self) -> Reply {
        self.answer().reply
    }

    fn answer(self) -> Answer {
        let decision = self.decide();
        match decision.verdict {
            Verdict::Answer(answer) => *answer,
            Verdict::WouldAnswer(answer) => panic!("only observed: {answer:?}"),
            Verdict::Silence(reason) => panic!("silence {reason} {:?}", decision.because),
        }
    }

    fn silence(self) -> Reason {
        match self.decide().verdict {
            Verdict::Silence(reason) => reason,
            Verdict::Answer(answer) | Verdict::WouldAnswer(answer) => panic!("{answer:?}"),
        }
    }
}

fn proxy(options: &[(u8, &[u8])]) -> Ask {
    ask(Mode::Proxy, options)
}

fn reservation(options: &[(u8, &[u8])]) -> Ask {
    ask(Mode::Reservation, options)
}

// ---------------------------------------------------------------- proxy

/// [X1] [P8]
#[test]
fn uefi_proxy_offer_carries_no_option_43() {
    let reply = proxy(&[PXE, UEFI, (97, &[0; 17])]).reply();
    assert_eq!(reply.message, MessageType::Offer);
    assert_eq!(reply.yiaddr, Ipv4Addr::UNSPECIFIED);
    assert_eq!(
        (reply.siaddr, reply.sname.as_str(), reply.file.as_str()),
        (SERVER, "10.0.0.1", "snponly-x86_64.efi")
    );
    assert_eq!(reply.option(43), None);
    assert_eq!(reply.option(60), Some(&b"PXEClient"[..]));
    assert_eq!(reply.option(54), Some(&SERVER.octets()[..]));
    assert_eq!(reply.option(97), Some(&[0; 17][..]));
    assert_eq!(reply.option(51), None);
}

/// [X2] [X7] [D3]
#[test]
fn uefi_on_4011_gets_an_ack_with_the_same_file_at_its_source_port() {
    let answer = proxy(&[PXE, UEFI, (97, &[0; 17])]).on_4011().answer();
    assert_eq!(answer.reply.message, MessageType::Ack);
    assert_eq!(answer.reply.ciaddr, Ipv4Addr::new(10, 0, 0, 77));
    assert_eq!(answer.reply.yiaddr, Ipv4Addr::UNSPECIFIED);
    assert_eq!(answer.reply.file, proxy(&[PXE, UEFI]).reply().file);
    assert_eq!(answer.reply.option(67), Some(&b"snponly-x86_64.efi"[..]));
    assert_eq!(answer.reply.option(43), None);
    assert_eq!(answer.delivery, Delivery::Unicast(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 77), 4011)));
}

/// [X2]: a boot item is echoed, without the credentials that nobody has.
#[test]
fn a_boot_item_asked_for_on_4011_is_echoed() {
    let reply = proxy(&[PXE, UEFI, (43, &[71, 4, 0, 0, 0x80, 0, 255])]).on_4011().reply();
    assert_eq!(reply.option(43), Some(&[71, 4, 0, 0, 0, 0, 255][..]));
}

/// [X3]
#[test]
fn bios_proxy_offer_says_use_the_file_and_skip_discovery() {
    let reply = proxy(&[PXE, BIOS]).reply();
    assert_eq!(reply.option(43), Some(&[6, 1, 8, 255][..]));
    assert_eq!((reply.file.as_str(), reply.siaddr), ("undionly.kpxe", SERVER));
    assert_eq!(proxy(&[PXE, BIOS]).on_4011().reply().option(43), Some(&[6, 1, 8, 255][..]));
}

/// [X6]
#[test]
fn option_43_can_be_switched_off_per_node() {
    let mut ask = proxy(&[PXE, BIOS]);
    ask.nodes[0].knobs.option_43 = Some(Option43::None);
    assert_eq!(ask.reply().option(43), None);
}

/// [I7]
#[test]
fn ipxe_gets_its_script_whether_known_by_77_or_by_175() {
    for evidence in [IPXE, FEATURES] {
        let reply = proxy(&[PXE, BIOS, evidence]).reply();
        assert_eq!(reply.file, "http://10.0.0.1:8081/boot/v1/bootscript?mac=52:54:00:be:ef:01");
        assert_eq!(reply.option(67), Some(reply.file.as_bytes()));
        // iPXE ignores a proxy reply whose siaddr is 0, also when the file is a URL.
        assert_eq!(reply.siaddr, SERVER);
    }
}

/// [L2]
#[test]
fn a_bios_ipxe_without_http_is_chained_by_a_full_tftp_url() {
    let reply = proxy(&[PXE, BIOS, (175, &[24, 1, 1])]).reply();
    assert_eq!(reply.file, "tftp://10.0.0.1/undionly.kpxe");
}

/// [L1]
#[test]
fn an_ipxe_that_loops_through_its_loader_gets_the_script_if_it_speaks_http() {
    let features: (u8, &[u8]) = (175, &[19, 1, 1]);
    assert_eq!(proxy(&[PXE, UEFI, features]).reply().file, "snponly-x86_64.efi");
    let mut looping = proxy(&[PXE, UEFI, features]);
    for xid in 0..3 {
        looping.seen.remember(&Fact::Chained { mac: Mac::new(MAC).unwrap(), xid }, Duration::from_secs(990));
    }
    assert!(looping.reply().file.contains("bootscript"));
}

/// [H1] [H2] [H3] [H4] [X8]
#[test]
fn http_boot_gets_the_class_echoed_and_a_url_in_proxy_and_in_reservation() {
    for mode in [Mode::Proxy, Mode::Reservation] {
        let reply = ask(mode, &[HTTP, HTTP_ARCH]).reply();
        assert_eq!(reply.option(60), Some(&b"HTTPClient"[..]));
        assert_eq!(reply.option(67), Some(&b"http://10.0.0.1:8081/snponly-x86_64.efi"[..]));
        assert_eq!(reply.option(43), None);
        assert_eq!(reply.yiaddr.is_unspecified(), mode == Mode::Proxy);
    }
    assert_eq!(proxy(&[HTTP, HTTP_ARCH]).on_4011().silence(), Reason::MessageType);
}

/// [H2]: without a URL there must be no HTTPClient either, or the firmware drops the address.
#[test]
fn an_http_boot_lease_without_boot_data_carries_no_60() {
    let mut ask = reservation(&[HTTP, HTTP_ARCH]);
    ask.loaders = Loaders::default();
    let answer = ask.answer();
    assert_eq!(answer.without_boot, Some(Reason::NoLoader));
    assert_eq!((answer.reply.option(60), answer.reply.option(67)), (None, None));
}

#[test]
fn a_proxy_never_answers_a_request_on_67() {
    assert_eq!(
        proxy(&[PXE, UEFI]).request(Some(OTHER), Some(RESERVED), None).silence(),
        Reason::OtherServerChosen
    );
    assert_eq!(proxy(&[PXE, UEFI]).request(None, Some(RESERVED), None).silence(), Reason::ProxyRequest);
}

#[test]
fn a_proxy_is_silent_to_systems_strangers_and_nodes_that_shall_not_netboot() {
    assert_eq!(proxy(&[(60, b"MSFT 5.0")]).silence(), Reason::NotPxe);
    let mut stranger = proxy(&[PXE, UEFI]);
    stranger.nodes.clear();
    assert_eq!(stranger.silence(), Reason::UnknownMac);
    let mut off = proxy(&[PXE, UEFI]);
    off.nodes[0].netboot = false;
    assert_eq!(off.silence(), Reason::NetbootOff);
    let mut disk = proxy(&[PXE, UEFI]);
    disk.entries.clear();
    assert_eq!(disk.silence(), Reason::NoBootEntry);
}

/// [I1] [I2]
#[test]
fn a_client_without_or_with_unserved_architecture_gets_silence_in_proxy_and_a_bare_lease_in_reservation() {
    assert_eq!(proxy(&[PXE]).silence(), Reason::NoArchitecture);
    assert_eq!(proxy(&[PXE, (93, &[0, 11])]).silence(), Reason::NoLoader);
    assert_eq!(proxy(&[PXE, (93, &[0, 9])]).reply().file, "snponly-x86_64.efi");
    let answer = reservation(&[PXE]).answer();
    assert_eq!((answer.without_boot, answer.reply.yiaddr), (Some(Reason::NoArchitecture), RESERVED));
    assert_eq!((answer.reply.file.as_str(), answer.reply.option(60)), ("", None));
}

/// [I2]
#[test]
fn a_record_can_force_the_architecture() {
    let mut ask = proxy(&[PXE]);
    ask.nodes[0].arch = Some(crate::records::node::NodeArch::Code(Arch::X64_UEFI));
    assert_eq!(ask.reply().file, "snponly-x86_64.efi");
}

/// [I5] [I6]
#[test]
fn the_class_decides_the_transport_and_the_number_the_processor() {
    let reply = proxy(&[HTTP, UEFI]).reply();
    assert_eq!(reply.file, "http://10.0.0.1:8081/snponly-x86_64.efi");
    assert_eq!(proxy(&[PXE, HTTP_ARCH]).reply().file, "snponly-x86_64.efi");
}

#[test]
fn a_node_found_by_uuid_is_sent_to_its_script_by_name() {
    let uuid = [0, 0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut ask = proxy(&[PXE, BIOS, IPXE, (97, &uuid)]);
    ask.nodes[0].nics.clear();
    ask.nodes[0].uuid = Some("00112233-4455-6677-0809-0a0b0c0d0e0f".parse().unwrap());
    assert_eq!(ask.reply().file, "http://10.0.0.1:8081/boot/v1/bootscript?name=x1000c0s0b0n0");
}

#[test]
fn the_more_specific_loader_wins() {
    let mut ask = proxy(&[PXE, UEFI]);
    ask.entries[0].loader = Some("grubx64.efi".into());
    assert_eq!(ask.reply().file, "grubx64.efi");
    let mut ask = proxy(&[PXE, UEFI]);
    ask.entries[0].loader = Some("grubx64.efi".into());
    ask.nodes[0].loader = Some("ipxe.efi".into());
    assert_eq!(ask.reply().file, "ipxe.efi");
}

// ---------------------------------------------------------------- reservation

/// [X5]
#[test]
fn bios_reservation_saves_the_wait_for_a_proxy() {
    let reply = reservation(&[PXE, BIOS]).reply();
    assert_eq!(reply.option(60), Some(&b"PXEClient"[..]));
    assert_eq!(reply.option(43), Some(&[6, 1, 8, 255][..]));
    assert_eq!((reply.yiaddr, reply.siaddr, reply.file.as_str()), (RESERVED, SERVER, "undionly.kpxe"));
}

/// [X5]
#[test]
fn ipxe_reservation_says_no_pxedhcp() {
    let reply = reservation(&[PXE, BIOS, IPXE]).reply();
    assert_eq!(reply.option(175), Some(&[176, 1, 1][..]));
    assert_eq!((reply.option(60), reply.option(43)), (None, None));
}

/// [X4]
#[test]
fn uefi_reservation_is_plain_unless_the_knob_says_pxe() {
    let reply = reservation(&[PXE, UEFI]).reply();
    assert_eq!((reply.option(60), reply.option(43)), (None, None));
    assert_eq!(reply.file, "snponly-x86_64.efi");
    let mut ask = reservation(&[PXE, UEFI]);
    ask.settings.knobs.uefi_offer = Some(UefiOffer::Pxe);
    let reply = ask.reply();
    assert_eq!((reply.option(60), reply.option(43)), (Some(&b"PXEClient"[..]), Some(&[6, 1, 8, 255][..])));
}

/// [X4]: 60 without 43 makes UEFI ask 4011 and fail.
#[test]
fn sixty_never_goes_without_43_in_a_full_offer() {
    let mut ask = reservation(&[PXE, BIOS]);
    ask.settings.knobs.option_43 = Some(Option43::None);
    assert_eq!(ask.reply().option(60), None);
}

/// [M1]
#[test]
fn the_ack_equals_the_offer() {
    for options in [&[PXE, UEFI][..], &[PXE, BIOS], &[PXE, BIOS, IPXE], &[HTTP, HTTP_ARCH], &[]] {
        let offer = reservation(options).reply();
        let ack = reservation(options).request(Some(SERVER), Some(RESERVED), None).reply();
        assert_eq!(ack.message, MessageType::Ack);
        assert_eq!(Reply { message: MessageType::Offer, ..ack }, offer);
    }
}

#[test]
fn the_lease_carries_times_mask_and_what_the_client_listed() {
    let mut ask = reservation(&[(55, &[1, 12, 28])]);
    ask.settings.subnets.push(crate::config::SubnetSettings {
        subnet: "10.0.0.0/16".parse().unwrap(),
        router: Some(Ipv4Addr::new(10, 0, 0, 254)),
        dns: vec![OTHER],
        domain: Some("example.org".into()),
        lease: Duration::from_secs(8000),
        options: vec![
            TypedOption { code: 42, value: vec![10, 0, 0, 3] },
            TypedOption { code: 150, value: vec![1; 4] },
        ],
        knobs: Knobs::default(),
    });
    let reply = ask.reply();
    assert_eq!(reply.option(51), Some(&8000_u32.to_be_bytes()[..]));
    assert_eq!(reply.option(58), Some(&4000_u32.to_be_bytes()[..]));
    assert_eq!(reply.option(59), Some(&7000_u32.to_be_bytes()[..]));
    assert_eq!(reply.option(1), Some(&[255, 255, 0, 0][..]));
    assert_eq!(reply.option(3), Some(&[10, 0, 0, 254][..]));
    assert_eq!(reply.option(12), Some(&b"compute1"[..]));
    assert_eq!(reply.option(28), Some(&[10, 0, 255, 255][..]));
    // [P9]: not listed, so not sent; 150 is a boot option.
    assert_eq!((reply.option(6), reply.option(15), reply.option(42)), (None, None, None));
    assert_eq!(reply.option(150), Some(&[1; 4][..]));
}

/// RFC 6842, RFC 3046 section 2.2
#[test]
fn client_id_and_relay_information_are_echoed_byte_for_byte() {
    let reply = reservation(&[(61, &[1, 2, 3]), (82, &[9, 9, 255])]).reply();
    assert_eq!((reply.option(61), reply.option(82)), (Some(&[1, 2, 3][..]), Some(&[9, 9, 255][..])));
}

/// RFC 2131 section 4.3.2; [M2] [M3]
#[test]
fn a_request_is_acked_nakked_or_left_alone_by_the_table() {
    let wrong = Ipv4Addr::new(10, 0, 0, 99);
    let answered = |ask: Ask| match ask.decide().verdict {
        Verdict::Answer(answer) => Ok(answer.reply.message),
        Verdict::Silence(reason) => Err(reason),
        Verdict::WouldAnswer(answer) => panic!("only observed: {answer:?}"),
    };
    let table = [
        ("selecting, right", Some(SERVER), Some(RESERVED), None, Ok(MessageType::Ack)),
        ("selecting, wrong address", Some(SERVER), Some(wrong), None, Ok(MessageType::Nak)),
        ("another server", Some(OTHER), Some(RESERVED), None, Err(Reason::OtherServerChosen)),
        ("init-reboot, right", None, Some(RESERVED), None, Ok(MessageType::Ack)),
        ("init-reboot, wrong, our subnet", None, Some(wrong), None, Ok(MessageType::Nak)),
        ("init-reboot, no known subnet", None, Some(Ipv4Addr::new(192, 0, 2, 1)), None, Ok(MessageType::Nak)),
        ("renew, right", None, None, Some(RESERVED), Ok(MessageType::Ack)),
        ("renew, wrong", None, None, Some(wrong), Ok(MessageType::Nak)),
        ("neither", None, None, None, Err(Reason::Malformed)),
    ];
    for (row, server, asked, ciaddr, expected) in table {
        assert_eq!(answered(reservation(&[]).request(server, asked, ciaddr)), expected, "{row}");
        let mut stranger = reservation(&[]).request(server, asked, ciaddr);
        stranger.nodes.clear();
        assert_eq!(answered(stranger), Err(Reason::UnknownMac), "a stranger: {row}");
    }
}

#[test]
fn a_nak_says_why_and_gives_nothing() {
    let answer = reservation(&[PXE, UEFI]).request(Some(SERVER), Some(OTHER), None).answer();
    assert_eq!(answer.reply.yiaddr, Ipv4Addr::UNSPECIFIED);
    assert_eq!(answer.reply.option(56), Some(&b"address changed: reserved 10.0.0.5, asked 10.0.0.2"[..]));
    assert_eq!(answer.reply.option(51), None);
    assert_eq!(answer.delivery, Delivery::Broadcast);
}

#[test]
fn reservation_without_address_or_outside_the_subnet_is_silent() {
    let mut ask = reservation(&[]);
    ask.nodes[0].nics[0].addresses.clear();
    assert_eq!(ask.silence(), Reason::NoAddress);
    let mut ask = reservation(&[]);
    ask.nodes[0].nics[0].addresses = vec!["192.0.2.7".parse().unwrap()];
    assert_eq!(ask.silence(), Reason::AddressOutside);
}

#[test]
fn netboot_false_is_a_lease_without_boot_data_in_reservation() {
    let mut ask = reservation(&[PXE, UEFI]);
    ask.nodes[0].netboot = false;
    let answer = ask.answer();
    assert_eq!(answer.without_boot, Some(Reason::NetbootOff));
    assert_eq!((answer.reply.yiaddr, answer.reply.file.as_str()), (RESERVED, ""));
}

#[test]
fn no_boot_entry_is_the_waiting_script_in_reservation() {
    let mut ask = reservation(&[PXE, BIOS, IPXE]);
    ask.entries.clear();
    assert!(ask.reply().file.contains("bootscript"));
    let mut silent = reservation(&[PXE, BIOS, IPXE]);
    silent.entries.clear();
    silent.settings.no_boot_entry = NoBootEntry::Silent;
    assert_eq!(silent.answer().without_boot, Some(Reason::NoBootEntry));
}

#[test]
fn a_node_can_restrict_the_mode_and_never_widen_it() {
    let mut ask = reservation(&[PXE, UEFI]);
    ask.nodes[0].mode = Some(Mode::Proxy);
    assert_eq!(ask.reply().yiaddr, Ipv4Addr::UNSPECIFIED);
    let mut ask = proxy(&[PXE, UEFI]);
    ask.nodes[0].mode = Some(Mode::Reservation);
    assert_eq!(ask.reply().yiaddr, Ipv4Addr::UNSPECIFIED);
}

// ---------------------------------------------------------------- fields and delivery

/// [P7]
#[test]
fn the_boot_file_option_is_plain_nul_terminated_or_omitted_by_setting() {
    use crate::config::BootfileOption::{Nul, Omit};
    let with = |option| {
        let mut ask = proxy(&[PXE, UEFI]);
        ask.settings.knobs.bootfile_option = Some(option);
        ask.reply()
    };
    assert_eq!(proxy(&[PXE, UEFI]).reply().option(67), Some(&b"snponly-x86_64.efi"[..]));
    assert_eq!(with(Nul).option(67), Some(&b"snponly-x86_64.efi\0"[..]));
    assert_eq!((with(Omit).option(67), with(Omit).file.as_str()), (None, "snponly-x86_64.efi"));
}

/// [D1] [D2] and the destination table of `link::delivery`.
#[test]
fn every_reply_leaves_by_the_first_matching_row() {
    let mac = Mac::new(MAC).unwrap();
    let frame = Delivery::Frame { mac, address: RESERVED };
    assert_eq!(reservation(&[]).answer().delivery, frame, "row 7");
    let broadcast = |ask: Ask| {
        let mut ask = ask;
        ask.patch.push((10, vec![0x80]));
        ask
    };
    assert_eq!(broadcast(reservation(&[])).answer().delivery, Delivery::Broadcast, "row 5");
    let mut infiniband = reservation(&[(61, &[1, 0x52, 0x54, 0, 0xbe, 0xef, 1])]);
    infiniband.patch.push((1, vec![32, 0]));
    assert_eq!(infiniband.answer().delivery, Delivery::Broadcast, "row 5, hlen 0");
    let proxied = proxy(&[PXE, UEFI]).answer();
    assert_eq!((proxied.delivery, proxied.reply.flags), (Delivery::Broadcast, 0x8000), "row 6");
    let renewed = reservation(&[]).request(None, None, Some(RESERVED)).answer();
    assert_eq!(renewed.delivery, Delivery::Unicast(SocketAddrV4::new(RESERVED, 68)), "row 4");
}

/// RFC 2131 table 5: ciaddr of a DISCOVER is ignored.
#[test]
fn a_discover_with_ciaddr_is_answered_like_any_other() {
    let mut ask = reservation(&[]);
    ask.patch.push((12, vec![10, 0, 0, 9]));
    assert!(matches!(ask.answer().delivery, Delivery::Frame { .. }));
}

#[test]
fn bootp_and_other_messages_are_left_alone_with_a_reason() {
    let mut bootp = reservation(&[]);
    bootp.message = 0;
    assert_eq!(bootp.silence(), Reason::BootpNotServed);
    for message in [2, 5, 10] {
        let mut other = reservation(&[]);
        other.message = message;
        assert_eq!(other.silence(), Reason::MessageType);
    }
}

#[test]
fn another_servers_ack_teaches_the_address_and_is_not_answered() {
    let mut ask = proxy(&[]);
    ask.message = 5;
    ask.patch.extend([(0, vec![2]), (16, vec![10, 0, 0, 150])]);
    let decision = ask.decide();
    assert!(matches!(decision.verdict, Verdict::Silence(Reason::NotARequest)));
    let learned = Fact::Learned { address: Ipv4Addr::new(10, 0, 0, 150), mac: Mac::new(MAC).unwrap() };
    assert_eq!(decision.remember, [learned]);
}

mod relays;

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// [P1] [P2] [P3] [M3]: whatever is asked, an answer is well formed, within the client's limit, and
        /// goes to nobody who is in no record.
        #[test]
        fn decide_is_total_and_every_answer_is_well_formed(
            options in proptest::collection::vec((1_u8..255, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
            message in 0_u8..9,
            on_4011: bool,
            reserve: bool,
            known: bool,
        ) {
            let mut question = ask(if reserve { Mode::Reservation } else { Mode::Proxy }, &[]);
            question.message = message;
            question.options = options;
            if on_4011 {
                question.port = Port::Pxe;
            }
            if !known {
                question.nodes.clear();
            }
            let bytes = question.bytes();
            let sent = Packet::parse(&bytes).unwrap();
            let decision = question.decide();
            if let Verdict::Answer(answer) = decision.verdict {
                prop_assert!(known);
                let encoded = answer.reply.encode(answer.limit).bytes;
                let own = limit(sent.options.get(57).and_then(|v| v.try_into().ok()).map(u16::from_be_bytes), 1500);
                // What cannot be dropped (echoes of the client's own options) may exceed; ours may not.
                prop_assert!(encoded.len() >= 300);
                prop_assert!(encoded.len() <= own.max(300) || sent.options.get(82).is_some() || sent.options.get(97).is_some());
                let reply = Packet::parse(&encoded).unwrap();
                prop_assert!(reply.options.warnings.is_empty());
                prop_assert_eq!(reply.options.iter().next().map(|(code, _)| code), Some(53));
                prop_assert_eq!((reply.xid(), reply.chaddr()), (sent.xid(), sent.chaddr()));
                prop_assert!(reserve || reply.yiaddr().is_unspecified());
            }
        }
    }
}
