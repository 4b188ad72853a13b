//! The boot file URL (option 59, RFC 5970) in the form that each kind of client takes.

use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::boot::{resolve, urls};
use crate::client::{Arch, Transport};
use crate::config::{Mode, NoBootEntry};
use crate::dhcp::v6::reply::vendor_class;
use crate::dhcp::v6::{Message, Reply};
use crate::policy::Reason;
use crate::policy::decide::Trail;
use crate::policy::target::{forced_arch, loader_name, says_cpu};
use crate::records::{Mac, Node};
use crate::world::World;

use super::RequestV6;

const VENDOR_CLASS: u16 = 16;
const BOOT_FILE_URL: u16 = 59;
/// Intel, whose number PXE and HTTP Boot use in option 16.
const INTEL: u32 = 343;

/// What option 16 says the client is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pxe,
    Http,
    Other,
}

fn kind(message: &Message<'_>) -> Kind {
    let texts = message.vendor_class.iter().flat_map(|(_, texts)| texts);
    for text in texts {
        if text.starts_with(b"PXEClient") {
            return Kind::Pxe;
        }
        if text.starts_with(b"HTTPClient") {
            return Kind::Http;
        }
    }
    Kind::Other
}

/// True for a client that wants a boot file: firmware, iPXE, or whoever lists option 59.
pub(super) fn asks(message: &Message<'_>) -> bool {
    kind(message) != Kind::Other
        || message.is_ipxe()
        || !message.archs.is_empty()
        || message.requested.contains(&BOOT_FILE_URL)
}

/// Adds the boot file URL. Never option 60: EDK2 reads its first text as the file's size and drops the reply.
#[allow(clippy::too_many_arguments, reason = "one rule's inputs, each of another kind")]
pub(super) fn url(
    reply: &mut Reply,
    request: &RequestV6<'_>,
    node: &Arc<Node>,
    card: Option<Mac>,
    address: Option<Ipv6Addr>,
    mode: Mode,
    world: &World,
    trail: &mut Trail,
) -> Result<(), Reason> {
    let message = request.message;
    if !asks(message) {
        return Err(Reason::NotPxe);
    }
    let found = target(request, node, card, address, mode, world, trail);
    match found {
        Ok(url) => {
            reply.add(BOOT_FILE_URL, url.as_bytes());
            if kind(message) == Kind::Http {
                // Without it the firmware takes no notice of the URL [S7].
                reply.add(VENDOR_CLASS, vendor_class(INTEL, b"HTTPClient"));
                trail.step("HTTP Boot: option 16 HTTPClient [S7]");
            }
            Ok(())
        }
        Err(reason) => {
            trail.step(format!("no boot file URL: {}", reason.text()));
            Err(reason)
        }
    }
}

fn target(
    request: &RequestV6<'_>,
    node: &Arc<Node>,
    card: Option<Mac>,
    address: Option<Ipv6Addr>,
    mode: Mode,
    world: &World,
    trail: &mut Trail,
) -> Result<String, Reason> {
    if !node.netboot {
        return Err(Reason::NetbootOff);
    }
    let message = request.message;
    let known = message.archs.iter().copied().find(|arch| arch.row().is_some_and(|row| row.loader.is_some()));
    let arch = forced_arch(node)
        .or(known)
        .or_else(|| message.arch())
        .or_else(|| node.cpu().and_then(|cpu| cpu.usual_arch()));
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
    let own = own_address(request, address).ok_or(Reason::NoOwnAddressV6)?;
    let base = urls::base_v6(&world.settings, own);
    if message.is_ipxe() {
        trail.step("iPXE: its script [I7]");
        let base = base.ok_or(Reason::NoLoader)?;
        return Ok(match card {
            Some(mac) => urls::bootscript(&base, mac),
            None => urls::bootscript_by_name(&base, node),
        });
    }
    let arch = arch.ok_or(Reason::NoArchitecture)?;
    if !arch.is_uefi() {
        trail.step(format!("{arch} does not boot over IPv6: PXE there is for UEFI [S11]"));
        return Err(Reason::NoLoader);
    }
    let entry = entry.as_ref().map(|found| found.entry.as_ref());
    let loader = loader_name(node, entry, world, arch).ok_or_else(|| {
        trail.step(format!("no loader for architecture {} ({arch})", arch.0));
        Reason::NoLoader
    })?;
    let kind = kind(message);
    let by_http = kind == Kind::Http
        || kind == Kind::Other && arch.row().is_some_and(|row| row.transport == Transport::Http);
    let url = if loader.contains("://") {
        loader
    } else if by_http {
        format!("{}/{loader}", base.ok_or(Reason::NoLoader)?)
    } else {
        // Brackets, no port: what EDK2 and shim can read [S8].
        format!("tftp://[{own}]/{loader}")
    };
    trail.step(format!("boot file {url} for {arch}"));
    Ok(url)
}

/// Our address for URLs: in the network of the client's address, else the interface's first.
fn own_address(request: &RequestV6<'_>, address: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
    let own = &request.arrival.addresses;
    let near = own.iter().find(|net| address.is_some_and(|address| net.contains(&address)));
    near.or_else(|| own.first()).map(ipnet::Ipv6Net::addr)
}
