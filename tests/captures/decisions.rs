//! Every client packet of the captures through the decision: an answer or a reason, with its steps. Goldens
//! beside the captures (`.decisions.txt`), read and written as the texts are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;

use bootlace::client::Client;
use bootlace::config::file::{Flags, Written};
use bootlace::config::{FirmwareSource, HttpListen, Mode};
use bootlace::dhcp::Packet;
use bootlace::firmware::{Loader, Loaders};
use bootlace::link::delivery::Port;
use bootlace::policy::{Arrival, Request, Seen, Verdict, decide};
use bootlace::records::{BootEntry, BootFile, Mac, Nic, Node, Origin, Selectors, Snapshot};
use bootlace::world::World;

use crate::pcap::{self, Datagram};
use crate::{captures, compare};

/// The boot server of the captures.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// What the client gets reserved: its lease in the captures, found by its REQUEST.
const LEASE_IF_NONE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 150);

#[test]
fn every_client_packet_gets_the_decision_expected() {
    let mut wrong = Vec::new();
    for file in captures() {
        let text = decisions(&file);
        wrong.extend(compare(&file.with_extension("decisions.txt"), &text));
    }
    assert!(
        wrong.is_empty(),
        "\n{}\nBLESS=1 cargo test --test captures writes the new text",
        wrong.join("\n")
    );
}

fn decisions(file: &Path) -> String {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let mode = if name.ends_with("-proxy") { Mode::Proxy } else { Mode::Reservation };
    let datagrams: Vec<Datagram> = pcap::datagrams(file).into_iter().filter(is_request).collect();
    let mut text = format!("mode {}\n", mode.name());
    let Some(first) = datagrams.first() else { return text };
    let world = world(mode, &datagrams, Packet::parse(&first.payload).unwrap());
    for datagram in &datagrams {
        let packet = Packet::parse(&datagram.payload).unwrap();
        let SocketAddr::V4(source) = datagram.source else { continue };
        let arrival = arrival(mode, datagram.destination.port(), source);
        let client = Client::of(&packet);
        let request = Request { packet: &packet, arrival: &arrival, client: &client };
        let decision = decide(&request, &world, &Seen::default(), datagram.time);
        let message = packet.message_type().map_or("BOOTP", |message| message.name());
        write!(text, "#{} {message} ", datagram.number).unwrap();
        match decision.verdict {
            Verdict::Silence(reason) => writeln!(text, "silence {reason}").unwrap(),
            Verdict::Answer(answer) | Verdict::WouldAnswer(answer) => {
                let encoded = answer.reply.encode(answer.limit).bytes;
                let reply = Packet::parse(&encoded).unwrap();
                let codes: Vec<String> = reply.options.iter().map(|(code, _)| code.to_string()).collect();
                writeln!(text, "{} to {}", answer.reply.message.name(), answer.delivery).unwrap();
                writeln!(text, "    yiaddr {} file {:?}", reply.yiaddr(), answer.reply.file).unwrap();
                writeln!(text, "    options {} in {} bytes", codes.join(" "), encoded.len()).unwrap();
            }
        }
        for step in decision.because {
            writeln!(text, "    because {step}").unwrap();
        }
    }
    text
}

fn is_request(datagram: &Datagram) -> bool {
    matches!(datagram.destination.port(), 67 | 4011) && datagram.payload.first() == Some(&1)
}

/// The lab of the captures, with its client on record.
fn world(mode: Mode, datagrams: &[Datagram], first: Packet<'_>) -> World {
    let lease =
        datagrams.iter().find_map(|datagram| Packet::parse(&datagram.payload).unwrap().options.address(50));
    let chaddr = first.chaddr();
    let mac = Mac::new(chaddr[..6].try_into().unwrap()).unwrap();
    let node = Node {
        name: Some("client".into()),
        nics: vec![Nic { mac, addresses: vec![lease.unwrap_or(LEASE_IF_NONE).into()] }],
        netboot: true,
        ..Node::default()
    };
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
        mode: Some(mode),
        firmware: Some(FirmwareSource::None),
        http: Some(vec![HttpListen { address: None, port: 8081 }]),
        ..Flags::default()
    };
    let mut loaders = BTreeMap::new();
    for name in ["undionly.kpxe", "snponly-x86_64.efi", "snponly-arm64.efi"] {
        let loader = Loader { name: name.into(), path: name.into(), size: 1, content: Arc::from([0_u8]) };
        loaders.insert(name.to_owned(), Arc::new(loader));
    }
    World::new(
        Written::default().with(&flags),
        Snapshot::new(vec![node], vec![entry]),
        Loaders::new(loaders),
        bootlace::boot::template::Templates::default(),
    )
}

fn arrival(mode: Mode, port: u16, source: SocketAddrV4) -> Arrival {
    Arrival {
        interface: "eth0".into(),
        address: SERVER,
        network: "10.77.0.0/24".parse().unwrap(),
        mtu: 1500,
        mode,
        knobs: Default::default(),
        port: if port == 4011 { Port::Pxe } else { Port::Dhcp },
        source,
    }
}
