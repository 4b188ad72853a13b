//! What mutation starts from: packets of the captures, crafted ones for what no capture has, the example files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::bodies::{RESERVED, SERVER};
use crate::pcap::{self, Datagram};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Payloads of the captures whose ports match.
fn captured(wanted: impl Fn(&Datagram) -> bool) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(root().join("tests/captures")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let pcaps = files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "pcap"));
    let found = pcaps.flat_map(|path| pcap::datagrams(path)).filter(wanted).map(|found| found.payload);
    let mut known = HashSet::new();
    found.filter(|payload| known.insert(payload.clone())).collect()
}

fn port(datagram: &Datagram, ports: &[u16]) -> bool {
    ports.contains(&datagram.source.port()) || ports.contains(&datagram.destination.port())
}

/// A request of the first card on record.
pub fn request(kind: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
    bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
    bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0xbe, 0xef, 1]);
    bytes.extend_from_slice(&[99, 130, 83, 99, 53, 1, kind]);
    for (code, value) in options {
        // Long values in pieces (RFC 3396).
        for piece in value.chunks(255) {
            bytes.extend_from_slice(&[*code, piece.len() as u8]);
            bytes.extend_from_slice(piece);
        }
    }
    bytes.push(255);
    bytes
}

/// Kinds of client, as the options that tell.
pub const CLIENTS: [&[(u8, &[u8])]; 6] = [
    &[(60, b"PXEClient:Arch:00000:UNDI:002001"), (93, &[0, 0]), (97, &[0; 17])],
    &[(60, b"PXEClient:Arch:00007:UNDI:003016"), (93, &[0, 7]), (97, &[0; 17]), (57, &[5, 192])],
    &[(60, b"HTTPClient:Arch:00016:UNDI:003001"), (93, &[0, 16])],
    &[(60, b"PXEClient"), (93, &[0, 0]), (77, b"iPXE"), (175, &[19, 1, 1, 24, 1, 1, 36, 1, 1])],
    &[(60, b"PXEClient"), (93, &[0, 41]), (97, b"\0RPi4............")],
    &[(60, b"udhcp 1.35.0"), (61, &[1, 0x52, 0x54, 0, 0xbe, 0xef, 1]), (55, &[1, 3, 6, 12, 15, 42])],
];

pub fn dhcp4() -> Vec<Vec<u8>> {
    let mut seeds = captured(|datagram| port(datagram, &[67, 68, 4011]));
    for client in CLIENTS {
        for kind in 1..=8 {
            seeds.push(request(kind, client));
        }
        let (us, reserved) = (SERVER.octets(), RESERVED.octets());
        let selecting: [(u8, &[u8]); 2] = [(54, &us), (50, &reserved)];
        seeds.push(request(3, &[client, &selecting[..]].concat()));
        seeds.push(request(3, &[client, &[(54, &[10, 77, 0, 2])]].concat()));
        seeds.push(request(3, &[client, &[(43, &[71, 4, 0, 0, 0x80, 0, 255])]].concat()));
        // Echoes that leave no room: 82, 97 and 61 together are longer than a reply may be.
        let large: [(u8, &[u8]); 3] = [(82, &[1; 255]), (61, &[7; 255]), (97, &[9; 600])];
        seeds.push(request(1, &[client, &large[..]].concat()));
    }
    let mut overloaded = request(1, &[(52, &[3]), (43, &[1, 2])]);
    overloaded[108..113].copy_from_slice(&[43, 1, 6, 255, 0]);
    overloaded[44..48].copy_from_slice(&[60, 1, b'x', 255]);
    seeds.push(overloaded);
    seeds
}

pub fn dhcp6() -> Vec<Vec<u8>> {
    let mut seeds = captured(|datagram| port(datagram, &[546, 547]));
    let solicit = seeds.first().cloned().unwrap_or_default();
    // Through a relay: header, addresses, the link-layer address (79), the message (9).
    let mut relayed = vec![12, 0];
    relayed.extend_from_slice(&[0x20; 32]);
    relayed.extend_from_slice(&[0, 79, 0, 8, 0, 1, 0x52, 0x54, 0, 0xbe, 0xef, 1, 0, 9]);
    relayed.extend_from_slice(&(solicit.len() as u16).to_be_bytes());
    relayed.extend_from_slice(&solicit);
    seeds.push(relayed);
    seeds
}

pub fn tftp() -> Vec<Vec<u8>> {
    let mut seeds = captured(|datagram| datagram.destination.port() == 69);
    // A bar stands for NUL.
    let crafted = [
        "|\u{1}loader.efi|octet|tsize|0|blksize|1468|windowsize|4|timeout|6|",
        "|\u{1}//dir\\name|NETASCII|",
        "|\u{1}x|octet|blksize|",
        "|\u{2}x|octet|",
        "|\u{3}|\u{1}data",
        "|\u{4}||",
        "|\u{5}|\u{8}stop|",
        "|\u{6}blksize|512|",
    ];
    seeds.extend(crafted.map(|text| text.replace('|', "\0").into_bytes()));
    seeds
}

/// Every option of every DHCP seed, and options as files state them.
pub fn option_text() -> Vec<Vec<u8>> {
    let mut known = HashSet::new();
    for packet in dhcp4() {
        let Ok(packet) = bootlace::dhcp::Packet::parse(&packet) else { continue };
        known.extend(packet.options.iter().map(|(code, value)| [&[code][..], value].concat()));
    }
    let stated = [
        "ntp-servers:[\"10.0.0.1\"]",
        "domain-name:\"example.org\"",
        "224:{\"hex\":\"01ff\"}",
        "domain-search:[\"a.example\",\"b.example\"]",
        "interface-mtu:9000",
    ];
    known.extend(stated.map(|text| [&[43], text.as_bytes()].concat()));
    known.into_iter().collect()
}

/// The example files, whole, and in pieces that mutation reaches more of.
pub fn yaml() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(root().join("config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "yaml") {
            seeds.push(std::fs::read(&path).unwrap());
        }
    }
    let small = [
        "mode: proxy\ninterfaces: [eth0, {name: eth1, address: 10.0.0.1}]\nknown_servers: 10.0.0.2\n",
        "subnets: [{subnet: 10.0.0.0/24, router: 10.0.0.254, lease: 1h30m, options: {224: {hex: '01'}}}]\n",
        "nodes: [{name: a, nid: 1, xname: x1c0s0b0n0, interfaces: [{mac_addr: '52:54:00:00:00:01'}]}]\n",
        "{kernel: 'http://h/k', hosts: [Default], params: \"a\\tb\", priority: -1}\n",
        "a: &x [1, 2]\nb: *x\n<<: *x\n? {c: d}\n: |\n  text\n",
        "{\"nodes\": [{\"uuid\": \"not one\", \"arch\": 7}]}",
    ];
    seeds.extend(small.map(|text| text.as_bytes().to_vec()));
    seeds
}
