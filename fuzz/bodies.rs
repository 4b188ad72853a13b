//! What each fuzz target does with its bytes: plain functions that a fault makes panic. `fuzz_targets/` runs them
//! under libFuzzer, `tests/properties` over captures, seeds and mutations of both with every `make test`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a target fails loudly")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bootlace::client::Client;
use bootlace::config::file::{Flags, Written};
use bootlace::config::source::Source;
use bootlace::config::{FirmwareSource, HttpListen, Mode, diagnostic, file, tree};
use bootlace::dhcp::catalogue::{describe, describe_in, domain, json_value, parse_option};
use bootlace::dhcp::{MessageType, Packet, Reply, catalogue, code, v6};
use bootlace::firmware::{Loader, Loaders};
use bootlace::link::delivery::Port;
use bootlace::policy::offers::{Firmware, Offer, outcome};
use bootlace::policy::servers::{Servers, Sighting};
use bootlace::policy::{Answer, Arrival, Decision, Request, Seen, Verdict};
use bootlace::records::{BootEntry, BootFile, Nic, Node, Origin, Selectors, Snapshot};
use bootlace::records::{boot_file, load::FileKind, nodes_file};
use bootlace::tftp;
use bootlace::world::World;

/// Every mode by name; those that this version has are tried.
const MODES: [&str; 6] = ["proxy", "reservation", "auto-proxy", "reservation+proxy", "4011-only", "observe"];
/// Our address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// What nodes have reserved.
pub const RESERVED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 11);
/// Cards on record: the one of crafted packets, and those of the captures.
pub const CARDS: [&str; 2] = ["52:54:00:be:ef:01", "52:54:00:12:34:56"];

/// DHCPv4: parse, print in every form, write again, read the same.
pub fn dhcp4(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else { return };
    packet.shown(|shown| {
        let _ = (shown.summary(), shown.brief(), shown.details(), shown.json().to_string());
    });
    let client = Client::of(&packet);
    let offer = Offer::of(&packet, SERVER, false);
    for firmware in [Firmware::UefiPxe, Firmware::UefiHttp, Firmware::Ipxe, Firmware::BiosRom] {
        let _ = outcome(firmware, &[offer.clone(), Offer { ours: true, ..offer.clone() }]);
    }
    let _ = client.netboots();
    let mut reply = Reply {
        message: packet.message_type().unwrap_or(MessageType::Offer),
        xid: packet.xid(),
        flags: packet.flags(),
        htype: packet.htype(),
        hlen: packet.hlen(),
        chaddr: packet.chaddr(),
        ciaddr: packet.ciaddr(),
        yiaddr: packet.yiaddr(),
        siaddr: packet.siaddr(),
        giaddr: packet.giaddr(),
        sname: String::new(),
        file: String::new(),
        options: Vec::new(),
        has_options: true,
        may_overload: false,
    };
    // Overload would have the empty file and sname read as options.
    for (code, value) in packet.options.iter().filter(|(code, _)| !matches!(*code, 52 | 53)) {
        reply.set(code, value);
    }
    let encoded = reply.encode(usize::MAX).bytes;
    // Split values take more room than they had; a message that is too long then is not looked at.
    let Ok(again) = Packet::parse(&encoded) else {
        return assert!(encoded.len() > bootlace::dhcp::packet::MAX_LEN, "our own reply cannot be read");
    };
    assert_eq!(again.options.warnings, [], "our own reply reads without a complaint");
    assert_eq!((again.xid(), again.chaddr()), (packet.xid(), packet.chaddr()));
    for (code, value) in &reply.options {
        assert_eq!(again.options.get(*code), Some(&value[..]), "option {code}");
    }
}

/// DHCPv6: parse and print.
pub fn dhcp6(bytes: &[u8]) {
    let _ = v6::duid(bytes);
    if let Ok(message) = v6::Message::parse(bytes) {
        let _ = (message.summary(), message.json().to_string(), message.mac(), message.arch());
        let _ = (message.type_name(), message.from_client());
    }
}

/// TFTP: parse, and answer a request's options.
pub fn tftp(bytes: &[u8]) {
    let Ok(tftp::packet::Packet::Read(request)) = tftp::packet::parse(bytes) else { return };
    for mtu in [68, 1500, 65535] {
        let limits = tftp::options::Limits::new(mtu, SERVER.into(), None, None);
        let _ = tftp::options::negotiate(&request, u64::from(mtu), limits);
    }
}

/// The decision: the first byte chooses mode and port, the rest is a packet.
pub fn decide(bytes: &[u8]) {
    let Some((choice, message)) = bytes.split_first() else { return };
    let modes = modes();
    let mode = modes[usize::from(choice & 0x7f) % modes.len()];
    let port = if choice & 0x80 == 0 { Port::Dhcp } else { Port::Pxe };
    check_decision(message, mode, port);
}

/// The modes that this version has.
pub fn modes() -> Vec<Mode> {
    MODES.iter().filter_map(|name| name.parse().ok()).collect()
}

/// Decides a message and checks what holds of every decision.
pub fn check_decision(message: &[u8], mode: Mode, port: Port) {
    let Ok(packet) = Packet::parse(message) else { return };
    let decision = decided(&packet, mode, port);
    let again = decided(&packet, mode, port);
    assert_eq!(decision.because, again.because, "the same for the same");
    let client = Client::of(&packet);
    let mut sent = None;
    if let Verdict::Answer(answer) = &decision.verdict {
        assert!(packet.is_request(), "a reply is answered");
        let foreign = packet.options.address(code::SERVER_ID).filter(|server| *server != SERVER);
        // A relay may override the identifier by its option 82.
        let relayed = packet.options.get(code::RELAY_INFO).is_some();
        if packet.message_type() == Some(MessageType::Request) && port == Port::Dhcp && !relayed {
            assert_eq!(foreign, None, "a REQUEST for another server is answered");
        }
        if decision.node.is_none() {
            assert!(mode.name().contains("auto"), "a stranger is answered in mode {}", mode.name());
        }
        assert!(!decision.because.is_empty(), "an answer says why");
        sent = Some(check_answer(&packet, answer));
    }
    // The same packet teaches about other servers.
    let arrival = arrival(mode, port);
    let request = Request { packet: &packet, arrival: &arrival, client: &client };
    let mut servers = Servers::default();
    for seconds in [0, 4, 12] {
        let sighting = Sighting {
            request,
            own_mac: None,
            source_mac: Some([2; 6]),
            answer: sent.as_deref(),
            world: world(),
        };
        let _ = servers.observe(&sighting, Duration::from_secs(seconds));
    }
}

/// What holds of every reply; gives its wire form.
fn check_answer(packet: &Packet<'_>, answer: &Answer) -> Vec<u8> {
    let encoded = answer.reply.encode(answer.limit);
    let bytes = encoded.bytes;
    let asked = packet.options.get(code::MAX_SIZE).and_then(|value| <[u8; 2]>::try_from(value).ok());
    let most = asked.map_or(548, |size| usize::from(u16::from_be_bytes(size)).saturating_sub(28).max(548));
    assert!(bytes.len() <= most && bytes.len() <= 1472, "{} bytes, {most} allowed [P2]", bytes.len());
    assert!(bytes.len() >= 300, "[P1]");
    let reply = Packet::parse(&bytes).expect("our reply can be read");
    assert!(!reply.is_request());
    assert_eq!(reply.options.warnings, []);
    assert_eq!((reply.xid(), reply.chaddr()), (packet.xid(), packet.chaddr()));
    assert_eq!(reply.giaddr(), packet.giaddr());
    assert_eq!(bytes[240], code::MESSAGE_TYPE, "[P3]");
    reply.shown(|shown| {
        let _ = (shown.details(), shown.json());
    });
    bytes
}

/// The decision of this world about a message.
pub fn decided(packet: &Packet<'_>, mode: Mode, port: Port) -> Decision {
    let arrival = arrival(mode, port);
    let client = Client::of(packet);
    let request = Request { packet, arrival: &arrival, client: &client };
    bootlace::policy::decide(&request, world(), &Seen::default(), Duration::from_secs(1000))
}

fn arrival(mode: Mode, port: Port) -> Arrival {
    Arrival {
        interface: "eth0".into(),
        address: SERVER,
        network: "10.77.0.0/24".parse().unwrap(),
        mtu: 1500,
        mode,
        knobs: Default::default(),
        port,
        source: match port {
            Port::Dhcp => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
            Port::Pxe => SocketAddrV4::new(RESERVED, 4011),
        },
    }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let nics =
            CARDS.iter().map(|card| Nic { mac: card.parse().unwrap(), addresses: vec![RESERVED.into()] });
        let node =
            Node { name: Some("compute1".into()), nics: nics.collect(), netboot: true, ..Node::default() };
        let entry = BootEntry {
            name: "lab".into(),
            selectors: Selectors { default: true, ..Selectors::default() },
            arch: Vec::new(),
            kernel: BootFile::Asset("linux".into()),
            initrd: None,
            params: String::new(),
            loader: None,
            script: None,
            priority: 0,
            cloud_init: serde_json::Value::Null,
            origin: Origin::default(),
        };
        let flags = Flags {
            firmware: Some(FirmwareSource::None),
            http: Some(vec![HttpListen { address: None, port: 8081 }]),
            ..Flags::default()
        };
        let mut loaders = BTreeMap::new();
        for name in ["undionly.kpxe", "snponly-x86_64.efi", "snponly-arm64.efi"] {
            let content = Arc::from([0_u8]);
            let loader = Loader { name: name.into(), path: name.into(), size: 1, content };
            loaders.insert(name.to_owned(), Arc::new(loader));
        }
        World::new(
            Written::default().with(&flags),
            Snapshot::new(vec![node], vec![entry]),
            Loaders::new(loaders),
            bootlace::boot::template::Templates::default(),
        )
    })
}

/// Options as text: the first byte is a code, the rest a value; and the same bytes as settings state options.
pub fn option_text(bytes: &[u8]) {
    let Some((number, value)) = bytes.split_first() else { return };
    let _ = describe(*number, value);
    for class in [None, Some(&b"PXEClient"[..]), Some(&b"Cisco AP"[..]), Some(value)] {
        let _ = describe_in(*number, value, class);
        let _ = json_value(*number, value, class).to_string();
    }
    let _ = domain::decode_list(value);
    let text = String::from_utf8_lossy(value);
    let (name, stated) = text.split_once(':').unwrap_or(("", &text));
    for name in [name, &number.to_string()] {
        for stated in [serde_json::from_str(stated).ok(), Some(stated.trim().into())].into_iter().flatten() {
            if let Ok(option) = parse_option(name, &stated) {
                assert!(option.value.len() <= catalogue::MAX_VALUE);
                let _ = describe(option.code, &option.value);
            }
        }
    }
}

/// Files: any text as records, boot entries and settings, with every problem shown.
pub fn yaml(bytes: &[u8]) {
    let path = Path::new("fuzz.yaml");
    let mut findings = diagnostic::Findings::default();
    let problems = match Source::decode(path, bytes.to_vec()) {
        Err(problem) => vec![*problem],
        Ok(source) => {
            if let Some(document) = tree::parse(&source, &mut findings) {
                let _ = FileKind::of(&document.root);
                let _ = document.root.to_json();
                let _ = nodes_file::read(&document, &mut findings);
                let _ = boot_file::read(&document, &mut findings);
                let _ = file::interpret(&document, &mut findings);
            }
            findings.into_list()
        }
    };
    let _ = diagnostic::render(&problems, false);
}
