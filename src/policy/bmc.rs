//! BMCs: where we hand out addresses, a BMC on record gets its own, like any node, and never anything to boot.

use std::sync::Arc;
use std::time::Duration;

use crate::client::{Class, Client, Kind};
use crate::config::{HostnameSource, Mode};
use crate::dhcp::{MessageType, Reply, code};
use crate::records::{Bmc, BmcXname, Nic, Node, Snapshot};
use crate::world::World;

use super::decide::{Request, Trail};
use super::{Reason, Seen, fields, reservation};

/// The BMC whose card asks. A card that a node claims as well is the node's.
pub(super) fn find(request: &Request<'_>, records: &Snapshot, trail: &mut Trail) -> Option<Arc<Bmc>> {
    let mac = request.client.mac.filter(|_| request.packet.is_request())?;
    let bmc = records.bmc_by_mac(mac).filter(|_| records.by_mac(mac).is_none())?;
    trail.step(format!("{} by mac {mac}", bmc.label()));
    Some(Arc::clone(bmc))
}

/// Answers a BMC's DISCOVER, REQUEST and so on.
pub(super) fn answer(
    request: &Request<'_>,
    bmc: &Bmc,
    mode: Mode,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<(Reply, Option<Reason>), Reason> {
    if !mode.gives_addresses() {
        return Err(Reason::BmcBootsNothing);
    }
    let node = Arc::new(stand_in(bmc));
    if fields::knobs(request, &node, node.ipv4_for(None), world).dhcp == Some(false) {
        return Err(Reason::DhcpOff);
    }
    // Whatever it says that it wants to boot, it is taken for a system that asks for its address.
    let client = Client { class: Class::Other, kind: Kind::Other, ipxe: None, ..request.client.clone() };
    let request = &Request { client: &client, ..*request };
    let (mut reply, _) = reservation::answer(request, &node, world, seen, now, trail)?;
    // A subnet's options may be meant for boot clients.
    reply.options.retain(|(code, _)| !boots(*code));
    if reply.message != MessageType::Nak
        && reply.option(code::HOST_NAME).is_none()
        && fields::wanted(request, code::HOST_NAME)
        && let Some(name) = hostname(bmc, world.settings.hostname)
    {
        reply.set(code::HOST_NAME, name.into_bytes());
    }
    Ok((reply, None))
}

/// What the rules of a reservation need to know, as a node that nothing boots.
fn stand_in(bmc: &Bmc) -> Node {
    let card = |mac| Nic { mac, addresses: bmc.ip.into_iter().collect() };
    Node { nics: bmc.mac.map(card).into_iter().collect(), netboot: false, ..Node::default() }
}

/// True for options by which firmware finds a program to boot: PXE's (RFC 4578), PXELINUX's (RFC 5071), iPXE's
/// and the general ones.
fn boots(code: u8) -> bool {
    matches!(
        code,
        code::VENDOR_SPECIFIC
            | code::VENDOR_CLASS
            | code::TFTP_SERVER
            | code::BOOT_FILE
            | code::ARCH
            | code::UNDI
            | code::UUID
            | code::DEFAULT_URL
            | 128..=135
            | code::TFTP_SERVER_ADDRESS
            | code::IPXE
            | 208..=211
    )
}

/// The host name by the setting, as for nodes. A BMC has no number; where the wanted name is not on record, the
/// other one is taken.
fn hostname(bmc: &Bmc, source: HostnameSource) -> Option<String> {
    let name = bmc.name.clone();
    let xname = bmc.xname.as_ref().map(BmcXname::to_string);
    match source {
        HostnameSource::Name | HostnameSource::Nid => name.or(xname),
        HostnameSource::Xname => xname.or(name),
    }
}
