//! The per-node files of the served tree: `autoexec.ipxe` and `config.ipxe`.
//!
//! UEFI builds of iPXE fetch `autoexec.ipxe` by themselves (netboot.md 9.4), OpenCHAMI's builds fetch
//! `config.ipxe` (openchami.md f.5). Both carry the node on to its boot script, by an absolute URL [A4].

use std::net::IpAddr;

use crate::config::{Mode, NoBootEntry, Settings};
use crate::link::Peer;
use crate::records::Node;
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
    let (Some(node), Some(mac), IpAddr::V4(v4)) = (&peer.node, peer.mac, local) else {
        return Err(Miss::NotFound);
    };
    let Some(base) = urls::base(&world.settings, v4) else { return Err(Miss::NotFound) };
    if stays_silent(world, node, local) {
        return Err(Miss::NotFound);
    }
    let name = match file {
        File::Autoexec => Name::Autoexec,
        File::Config => Name::Config,
    };
    let mut values = Values::of_node(node, Some(mac), world.settings.hostname);
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

/// True if DHCP gives this node no boot data at `local` because no boot entry matches it.
pub(super) fn stays_silent(world: &World, node: &Node, local: IpAddr) -> bool {
    let silent = match world.settings.no_boot_entry {
        NoBootEntry::Silent => true,
        NoBootEntry::Wait => false,
        NoBootEntry::Auto => mode_at(&world.settings, local).restricted_by(node.mode) == Mode::Proxy,
    };
    silent && resolve(&world.records, node, None).is_none()
}

/// The mode of the interface that holds `local`. Where the settings do not say which one that is, the mode
/// that all interfaces share, else the general one.
fn mode_at(settings: &Settings, local: IpAddr) -> Mode {
    let of = |interface: &crate::config::InterfaceSettings| interface.mode.unwrap_or(settings.mode);
    if let Some(interface) =
        settings.interfaces.iter().find(|interface| interface.address.map(IpAddr::V4) == Some(local))
    {
        return of(interface);
    }
    let mut modes = settings.interfaces.iter().map(of);
    match modes.next() {
        Some(first) if modes.all(|mode| mode == first) => first,
        _ => settings.mode,
    }
}
