//! The per-node files of the served tree: `autoexec.ipxe` and `config.ipxe`.
//!
//! UEFI builds of iPXE fetch `autoexec.ipxe` by themselves, OpenCHAMI's builds fetch
//! `config.ipxe`. Both carry the node on to its boot script, by an absolute URL [A4].

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{Mode, NoBootEntry};
use crate::link::Peer;
use crate::openchami::cloud_init::names;
use crate::records::{Mac, Node};
use crate::world::World;

use super::template::{Name, Values};
use super::tree::Miss;
use super::{resolve, text, urls};

/// A generated file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum File {
    /// `autoexec.ipxe`
    Autoexec,
    /// `config.ipxe`
    Config,
}

impl File {
    /// The generated file of this name (the last element of a path), if there is one.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "autoexec.ipxe" => Some(Self::Autoexec),
            "config.ipxe" => Some(Self::Config),
            _ => None,
        }
    }
}

/// Generates `file` for `peer`, who reaches us at `local`. Nobody known, and a node that is to reach its own
/// disk, quickly get "not found" [A2].
pub fn render(world: &World, file: File, peer: &Peer, local: IpAddr) -> Result<String, Miss> {
    let Some(mac) = peer.mac else { return Err(Miss::NotFound) };
    let node = &asking(world, peer, local).ok_or(Miss::NotFound)?;
    let base = match local {
        IpAddr::V4(v4) => urls::base(&world.settings, v4),
        IpAddr::V6(v6) => urls::base_v6(&world.settings, v6),
    };
    let Some(base) = base else { return Err(Miss::NotFound) };
    if stays_silent(world, node, Some(mac), local) {
        return Err(Miss::NotFound);
    }
    let name = match file {
        File::Autoexec => Name::Autoexec,
        File::Config => Name::Config,
    };
    let hostname = names::hostname(&world.inventory, node, world.settings.hostname);
    let mut values = Values::of_node(node, Some(mac), hostname);
    values.url = format!("{}&arch=${{buildarch}}", urls::bootscript(&base, mac));
    values.server = base;
    world.templates.render(name.file(), &values).or_else(|problem| {
        // The node must still boot: the file does nothing but carry it on.
        Ok(format!(
            "#!ipxe\necho bootlace: {}\nchain --autofree --replace {}\n",
            text::plain(&problem.to_string(), 200),
            values.url
        ))
    })
}

/// The node behind a peer. In auto-proxy DHCP boots clients in no record, so their files are there as well.
pub(super) fn asking(world: &World, peer: &Peer, local: IpAddr) -> Option<Arc<Node>> {
    let serves_strangers = || world.settings.mode_at(local) == Mode::AutoProxy;
    match (&peer.node, peer.mac) {
        (Some(node), _) => Some(Arc::clone(node)),
        (None, Some(mac)) if serves_strangers() => Some(Arc::new(Node::stranger(mac))),
        _ => None,
    }
}

/// True if DHCP gives this node no boot data at `local` because no boot entry matches it.
pub(super) fn stays_silent(world: &World, node: &Node, mac: Option<Mac>, local: IpAddr) -> bool {
    let mode = world.settings.mode_at(local).restricted_by(node.mode);
    let silent = match world.settings.no_boot_entry {
        NoBootEntry::Silent => true,
        NoBootEntry::Wait => false,
        NoBootEntry::Auto => !mode.settled(node.ipv4_for(mac).is_some()).gives_addresses(),
    };
    silent && resolve(&world.records, node, None).is_none()
}
