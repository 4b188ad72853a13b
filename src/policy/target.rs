//! What a client shall boot: a loader by name, a loader by URL, the script, or nothing and why.

use std::time::Duration;

use crate::boot::{resolve, urls};
use crate::client::{Arch, Class, Kind, Platform, Transport};
use crate::config::Mode;
use crate::config::NoBootEntry;
use crate::records::{BootEntry, Node};
use crate::world::World;

use super::decide::{Fact, Request, Trail};
use super::other_firmware::{self, Form};
use super::{Reason, Seen};

/// The first file of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    /// Name or URL, for `file` and option 67.
    pub(super) file: String,
    /// The client's architecture, as forced by the record or sent.
    pub(super) arch: Option<Arch>,
    /// In which form the client takes it.
    pub(super) form: Form,
}

/// Finds the first file for this client of this node.
pub(super) fn target(
    request: &Request<'_>,
    node: &Node,
    mode: Mode,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<Target, Reason> {
    let client = request.client;
    let arch = forced_arch(node).or(client.arch).or_else(|| node.cpu().and_then(|cpu| cpu.usual_arch()));
    if !node.netboot {
        return Err(Reason::NetbootOff);
    }
    if client.kind == Kind::Onie {
        // A switch boots from its own disk; what it wants is an installer, and no boot entry says that.
        return other_firmware::installer(request, node, world, trail);
    }
    let entry = resolve(&world.records, node, arch.map(Arch::cpu).filter(|_| arch.is_some_and(says_cpu)));
    match &entry {
        Some(found) => trail.step(format!("boot entry {} by {}", found.entry.name, found.by.name())),
        None => {
            let silent = match world.settings.no_boot_entry {
                NoBootEntry::Auto => !mode.gives_addresses(),
                NoBootEntry::Silent => true,
                NoBootEntry::Wait => false,
            };
            if silent {
                return Err(Reason::NoBootEntry);
            }
            trail.step("no boot entry: the waiting script");
        }
    }
    let entry = entry.as_ref().map(|found| found.entry.as_ref());
    let base = urls::base(&world.settings, request.arrival.address);
    if let Some(ipxe) = &client.ipxe
        && let Some(base) = &base
    {
        let runs = ipxe.runs_scripts(arch.map(Arch::platform));
        // [L1]: a build that keeps coming back gets the script as soon as it can fetch it at all.
        let looping = client.mac.is_some_and(|mac| seen.loops(mac, now)) && ipxe.speaks_http();
        if runs || looping {
            trail.step(if runs {
                "iPXE: its script [I7]"
            } else {
                "iPXE loops through its loader: its script [L1]"
            });
            if let Some(mac) = client.mac {
                trail.remember.push(Fact::Scripted { mac });
            }
            return Ok(Target { file: script_url(base, request, node), arch, form: Form::Loader });
        }
        trail.step("iPXE without the features our script needs: a full build first");
    }
    let stated = other_firmware::stated_loader(node, entry, world);
    if let Some(target) = other_firmware::target(request, arch, stated.as_deref(), base.as_deref(), trail) {
        return Ok(target);
    }
    let arch = arch.ok_or(Reason::NoArchitecture)?;
    let loader = stated.or_else(|| default_loader(world, arch)).ok_or_else(|| {
        trail.step(format!("no loader for architecture {} ({arch})", arch.0));
        Reason::NoLoader
    })?;
    let by_http = client.class == Class::Http
        || client.class != Class::Pxe && arch.row().is_some_and(|row| row.transport == Transport::Http);
    let file = if loader.contains("://") {
        loader
    } else if by_http {
        // [H2]: an absolute URL with an IP literal [H3], or nothing at all.
        format!("{}/{loader}", base.ok_or(Reason::NoLoader)?)
    } else if client.ipxe.is_some() && arch.platform() == Platform::Bios {
        // [L2]: a bare name would be fetched over the ROM's own stack.
        format!("tftp://{}/{loader}", request.arrival.address)
    } else {
        loader
    };
    trail.step(format!("loader {file} for {arch}"));
    if client.ipxe.is_some()
        && let Some(mac) = client.mac
    {
        trail.remember.push(Fact::Chained { mac, xid: request.packet.xid() });
    }
    Ok(Target { file, arch: Some(arch), form: Form::Loader })
}

/// An architecture code that the record forces [I2].
pub(super) fn forced_arch(node: &Node) -> Option<Arch> {
    match node.arch {
        Some(crate::records::node::NodeArch::Code(arch)) => Some(arch),
        _ => None,
    }
}

/// Whether an architecture code tells the processor: a BIOS client says 0 on 32 and on 64 bits.
pub(super) fn says_cpu(arch: Arch) -> bool {
    !arch.is_bios()
}

/// The architecture's default first file, if it is on disk. A name that somebody wrote down is taken at its
/// word instead: it may be a file of the asset folder.
fn default_loader(world: &World, arch: Arch) -> Option<String> {
    world.loaders.for_arch(arch)?;
    arch.row()?.loader.map(str::to_owned)
}

/// The first file: node, boot entry, profile, then the architecture's default.
pub(super) fn loader_name(
    node: &Node,
    entry: Option<&BootEntry>,
    world: &World,
    arch: Arch,
) -> Option<String> {
    other_firmware::stated_loader(node, entry, world).or_else(|| default_loader(world, arch))
}

/// The script's URL, by the card that asks; a node known only by its UUID asks by name.
fn script_url(base: &str, request: &Request<'_>, node: &Node) -> String {
    match request.client.mac {
        Some(mac) if node.nic(mac).is_some() => urls::bootscript(base, mac),
        _ => urls::bootscript_by_name(base, node),
    }
}
