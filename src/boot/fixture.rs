//! The first two nodes of the OpenCHAMI tutorial and some odd ones, for the tests of this folder.

#![allow(clippy::unwrap_used, reason = "a test may fail so")]

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::boot::template::Templates;
use crate::client::Cpu;
use crate::config::{FirmwareSource, Settings};
use crate::firmware::{Loader, Loaders};
use crate::link::{Peer, PeerSource};
use crate::records::{BootEntry, BootFile, Nic, Node, Origin, Selectors, Snapshot};
use crate::world::World;

pub const KERNEL: &str = "http://172.16.0.254:9000/boot-images/vmlinuz-5.14.0";
pub const INITRD: &str = "http://172.16.0.254:9000/boot-images/initramfs-5.14.0.img";
pub const PARAMS: &str = "nomodeset ro root=live:http://172.16.0.254:9000/boot-images/rocky9 ip=dhcp \
    console=ttyS0,115200 ds=nocloud-net;s=http://172.16.0.254:8081/cloud-init";

pub fn settings() -> Settings {
    // What a test does not say is what an empty bootlace.yaml says.
    Settings {
        firmware: FirmwareSource::None,
        http: vec![":8081".parse().unwrap()],
        ..crate::config::file::Written::default().with(&crate::config::file::Flags::default())
    }
}

pub fn node(n: u8) -> Node {
    Node {
        name: Some(format!("compute{n}")),
        xname: Some(format!("x1000c0s0b{}n0", n - 1).parse().unwrap()),
        nid: Some(n.into()),
        nics: vec![Nic {
            mac: format!("52:54:00:be:ef:{n:02x}").parse().unwrap(),
            addresses: vec![IpAddr::from([172, 16, 0, n])],
        }],
        netboot: true,
        origin: Origin { file: Arc::new(PathBuf::from("nodes.yaml")), line: n.into() },
        ..Node::default()
    }
}

pub fn entry(name: &str, macs: &[u8]) -> BootEntry {
    BootEntry {
        name: name.to_owned(),
        selectors: Selectors {
            macs: macs.iter().map(|n| format!("52:54:00:be:ef:{n:02x}").parse().unwrap()).collect(),
            ..Selectors::default()
        },
        arch: Vec::new(),
        kernel: BootFile::Url(KERNEL.to_owned()),
        initrd: Some(BootFile::Url(INITRD.to_owned())),
        params: PARAMS.to_owned(),
        loader: None,
        script: None,
        priority: 0,
        cloud_init: serde_json::Value::Null,
        origin: Origin::default(),
    }
}

/// An entry for every known node on one kind of processor.
pub fn default_for(name: &str, cpu: Cpu) -> BootEntry {
    let selectors = Selectors { default: true, ..Selectors::default() };
    BootEntry { arch: vec![cpu], selectors, ..entry(name, &[]) }
}

pub fn world(nodes: Vec<Node>, entries: Vec<BootEntry>) -> World {
    let loader = Loader {
        name: "snponly-x86_64.efi".to_owned(),
        path: "/f/snponly.efi".into(),
        size: 3,
        content: Arc::from(&b"MZ!"[..]),
    };
    World::new(
        settings(),
        Snapshot::new(nodes, entries),
        Loaders::new([("snponly-x86_64.efi".to_owned(), Arc::new(loader))].into()),
        Templates::default(),
    )
}

pub fn peer(world: &World, n: u8) -> Peer {
    let node = world.records.by_mac(format!("52:54:00:be:ef:{n:02x}").parse().unwrap()).cloned();
    let mac = node.as_ref().map(|node| node.nics[0].mac);
    let by = if node.is_some() { PeerSource::Neighbour } else { PeerSource::Unknown };
    Peer { address: IpAddr::from([172, 16, 0, n]), mac, node, by }
}
