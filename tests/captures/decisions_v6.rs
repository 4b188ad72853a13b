//! Every DHCPv6 client packet of the captures through the decision, with goldens beside them
//! (`.decisions6.txt`), read and written as the texts are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bootlace::config::file::{Flags, Written};
use bootlace::config::{FirmwareSource, HttpListen, Mode};
use bootlace::dhcp::v6::Message;
use bootlace::firmware::{Loader, Loaders};
use bootlace::policy::v6::{SERVER_PORT, duid};
use bootlace::policy::{ArrivalV6, RequestV6, VerdictV6, decide_v6};
use bootlace::records::{BootEntry, BootFile, Mac, Nic, Node, Origin, Selectors, Snapshot};
use bootlace::world::World;

use crate::pcap::{self, Datagram};
use crate::{captures, compare};

const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// [S1] [S2] [S3]: firmware with a DUID-LLT, iPXE with a DUID-UUID of zeros, one address for both.
#[test]
fn every_dhcpv6_client_packet_gets_the_decision_expected() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in captures() {
        let asked: Vec<Datagram> = pcap::datagrams(&file)
            .into_iter()
            .filter(|datagram| datagram.destination.port() == SERVER_PORT)
            .collect();
        if !asked.is_empty() {
            seen += asked.len();
            wrong.extend(compare(&file.with_extension("decisions6.txt"), &decisions(&file, &asked)));
        }
    }
    assert!(seen >= 7, "the captures hold DHCPv6");
    assert!(
        wrong.is_empty(),
        "\n{}\nBLESS=1 cargo test --test captures writes the new text",
        wrong.join("\n")
    );
}

fn decisions(file: &Path, asked: &[Datagram]) -> String {
    let mut text = format!("{}, mode reservation\n", file.file_stem().unwrap().to_str().unwrap());
    let world = world(Mac::new(asked[0].source_mac).unwrap());
    for datagram in asked {
        let SocketAddr::V6(source) = datagram.source else { continue };
        let bytes = to_us(&datagram.payload);
        let message = Message::parse(&bytes).unwrap();
        let arrival = ArrivalV6 {
            interface: "eth0".into(),
            mode: Mode::Reservation,
            served: true,
            mac: Mac::new(OWN).ok(),
            addresses: vec!["fd77::1/64".parse().unwrap()],
            source,
            source_mac: Mac::new(datagram.source_mac).ok(),
            unicast: false,
        };
        let decision = decide_v6(&RequestV6 { message: &message, arrival: &arrival }, &world);
        write!(text, "#{} {} ", datagram.number, message.type_name()).unwrap();
        match decision.verdict {
            VerdictV6::Silence(reason) => writeln!(text, "silence {reason}").unwrap(),
            VerdictV6::Answer(answer) | VerdictV6::WouldAnswer(answer) => {
                let reply = Message::parse(&answer.bytes).unwrap();
                writeln!(text, "to {}\n    {}", answer.to, reply.summary()).unwrap();
                let codes: Vec<String> =
                    answer.reply.options.iter().map(|(code, _)| code.to_string()).collect();
                writeln!(text, "    options {} in {} bytes", codes.join(" "), answer.bytes.len()).unwrap();
            }
        }
        for step in decision.because {
            writeln!(text, "    because {step}").unwrap();
        }
    }
    text
}

/// The packet as the client would have sent it to us: option 2 holds our DUID in place of the captured server's.
fn to_us(payload: &[u8]) -> Vec<u8> {
    let (header, mut rest) = payload.split_at(4);
    let mut bytes = header.to_vec();
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = &tail[..length];
        if head[..2] == [0, 2] {
            let own = duid(Mac::new(OWN).unwrap());
            bytes.extend([0, 2, 0, own.len() as u8]);
            bytes.extend(own);
        } else {
            bytes.extend(head);
            bytes.extend(value);
        }
        rest = &tail[length..];
    }
    bytes
}

/// The lab of the captures, with its client on record.
fn world(mac: Mac) -> World {
    let node = Node {
        name: Some("client".into()),
        nics: vec![Nic { mac, addresses: vec!["fd77::11".parse().unwrap()] }],
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
        mode: Some(Mode::Reservation),
        firmware: Some(FirmwareSource::None),
        http: Some(vec![HttpListen { address: None, port: 8081 }]),
        ..Flags::default()
    };
    let name = "snponly-x86_64.efi";
    let loader = Loader { name: name.into(), path: name.into(), size: 1, content: Arc::from([0_u8]) };
    World::new(
        Written::default().with(&flags),
        Snapshot::new(vec![node], vec![entry]),
        Loaders::new(BTreeMap::from([(name.to_owned(), Arc::new(loader))])),
        bootlace::boot::template::Templates::default(),
    )
}
