//! Clients behind relays, and clients that name their subnet themselves: which subnet they are in [R1], whose
//! word counts [R7][R8], what option 82 changes in a reply [R2][R3] and which node it means [R4].
//!
//! The rest of the decision asks here and does not look at giaddr, option 82 or option 118 itself.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::config::SubnetSettings;
use crate::dhcp::relay::{self, RelayInfo};
use crate::dhcp::{MessageType, Reply, code};
use crate::link::delivery::Port;
use crate::records::Node;
use crate::world::World;

use super::decide::{Fact, Request, Trail};
use super::ways::{Asked, Judgement};
use super::{Reason, Seen};

/// What tells the subnet of a client, in the order in which it counts [R1].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// Option 82.5 (RFC 3527).
    LinkSelection,
    /// Option 118 (RFC 3011).
    SubnetSelection,
    /// giaddr (RFC 2131 section 4.3.1).
    Giaddr,
    /// ciaddr of a client that renews by unicast, past its relay [R5].
    Ciaddr,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::LinkSelection => "link selection (82.5)",
            Self::SubnetSelection => "subnet selection (118)",
            Self::Giaddr => "giaddr",
            Self::Ciaddr => "ciaddr",
        }
    }
}

/// Whether the request is served as far as its way here is concerned: relay trusted, subnet known, not the third
/// copy of one request. A direct request from the interface's own subnet always is.
pub(super) fn admit(
    request: &Request<'_>,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<(), Reason> {
    let packet = request.packet;
    let giaddr = packet.giaddr();
    let trusted = &world.settings.trusted_relays;
    if is_relayed(request) {
        let value = packet.options.get(code::RELAY_INFO);
        let about = value.map(|value| format!(" ({})", relay::describe(value))).unwrap_or_default();
        trail.step(format!("relayed by {giaddr}{about}"));
        if !trusted.is_empty() && !trusted.contains(&giaddr) {
            trail.step(format!("{giaddr} is not in trusted_relays [R8]"));
            return Err(Reason::UntrustedRelay);
        }
        if packet.hops() > 1 && value.is_some() && trusted.is_empty() {
            let hops = packet.hops();
            trail.step(format!(
                "{hops} relays: option 82 is taken at its word, trusted_relays is not set [R8]"
            ));
        }
    }
    if let Some((address, by)) = selected(request, world)
        && by != By::Ciaddr
    {
        let Some(network) = known_network(request, address, world) else {
            trail.step(format!("{address} by {} is in none of our subnets [R7]", by.name()));
            return Err(Reason::UnknownRelaySubnet);
        };
        trail.step(format!("subnet {network} by {} [R1]", by.name()));
    }
    match asked(request).map_or(Judgement::First, |asked| seen.ways.judge(&asked, giaddr, now)) {
        Judgement::First => Ok(()),
        Judgement::OtherWay => {
            trail.step("duplicate via relay: the same request came another way, which was answered too [D4]");
            Ok(())
        }
        Judgement::Answered => {
            trail.step("duplicate via relay: both ways were answered already [D4]");
            Err(Reason::DuplicateViaRelay)
        }
    }
}

/// What an answer owes to its way: 82.11 as server identifier [R3], and the broadcast bit in a NAK, so that the
/// relay broadcasts it [R2]. Remembers the way for [D4].
pub(super) fn finish(request: &Request<'_>, world: &World, reply: &mut Reply, trail: &mut Trail) {
    // BOOTP has no option 54 (RFC 1534).
    if let Some(server) = info(request, world).server_id
        && reply.message != MessageType::Bootp
    {
        trail.step(format!("server identifier {server} by 82.11 [R3]"));
        reply.set(code::SERVER_ID, server.octets());
    }
    if is_relayed(request) && reply.message == MessageType::Nak {
        reply.flags |= 0x8000;
    }
    if let Some(asked) = asked(request) {
        trail.remember.push(Fact::Answered { asked, way: request.packet.giaddr() });
    }
}

/// The node behind the switch port that option 82 names, where no identity of the machine itself is on
/// record [R4].
pub(super) fn find_node(request: &Request<'_>, world: &World, trail: &mut Trail) -> Option<Arc<Node>> {
    if !request.packet.is_request() {
        return None;
    }
    let info = info(request, world);
    let (node, port) = world.records.by_port(info.circuit_id, info.remote_id)?;
    trail.step(format!("node {} by {port}", node.label()));
    Some(Arc::clone(node))
}

/// Whether option 54 of a request names this server: its own address, or the one that the relay put in its
/// place [R3].
pub(super) fn names_us(server: Ipv4Addr, request: &Request<'_>, world: &World) -> bool {
    server == request.arrival.address || info(request, world).server_id == Some(server)
}

/// The network in which `address` can be given to this client. Where relay or client name a subnet, only
/// there; else in any of our subnets: a renewal past the relay comes from a subnet that is not the
/// interface's [R5], and one wire may carry several.
pub(super) fn network_for(request: &Request<'_>, address: Ipv4Addr, world: &World) -> Option<Ipv4Net> {
    match selected(request, world) {
        Some((subnet, by)) if by != By::Ciaddr => {
            known_network(request, subnet, world).filter(|network| network.contains(&address))
        }
        _ => known_network(request, address, world),
    }
}

/// The configured subnet that relay or client name.
pub(super) fn subnet<'w>(request: &Request<'_>, world: &'w World) -> Option<&'w SubnetSettings> {
    world.settings.subnet_of(selected(request, world)?.0)
}

/// Where the client is, in words for the log.
pub(super) fn whereabouts(request: &Request<'_>, world: &World) -> String {
    let interface = || format!("{} is the interface's network", request.arrival.network);
    match selected(request, world) {
        Some((address, by)) => match known_network(request, address, world) {
            Some(network) => format!("the client is in {network} by {}", by.name()),
            None => interface(),
        },
        None => interface(),
    }
}

fn is_relayed(request: &Request<'_>) -> bool {
    !request.packet.giaddr().is_unspecified()
}

/// Option 82, where its word counts: with `trusted_relays` only from one of them, so not from a request that
/// names no relay [R8]. (It is echoed in any case.)
fn info<'p>(request: &Request<'p>, world: &World) -> RelayInfo<'p> {
    let trusted = &world.settings.trusted_relays;
    if !trusted.is_empty() && !trusted.contains(&request.packet.giaddr()) {
        return RelayInfo::default();
    }
    request.packet.options.get(code::RELAY_INFO).map(RelayInfo::parse).unwrap_or_default()
}

/// The address that tells the client's subnet; none for a client of the interface's own [R1].
fn selected(request: &Request<'_>, world: &World) -> Option<(Ipv4Addr, By)> {
    let packet = request.packet;
    if request.arrival.port != Port::Dhcp {
        // A boot server's client has its address already and asks by itself [R6].
        return None;
    }
    if let Some(link) = info(request, world).link_selection {
        return Some((link, By::LinkSelection));
    }
    if let Some(subnet) = packet.options.address(code::SUBNET_SELECTION) {
        return Some((subnet, By::SubnetSelection));
    }
    if is_relayed(request) {
        return Some((packet.giaddr(), By::Giaddr));
    }
    // Some clients set ciaddr in a DISCOVER: ignored.
    let owns = matches!(packet.message_type(), Some(MessageType::Request | MessageType::Inform));
    (owns && !packet.ciaddr().is_unspecified()).then(|| (packet.ciaddr(), By::Ciaddr))
}

/// The subnet of ours that holds `address`: a configured one, else the interface's own.
fn known_network(request: &Request<'_>, address: Ipv4Addr, world: &World) -> Option<Ipv4Net> {
    match world.settings.subnet_of(address) {
        Some(subnet) => Some(subnet.subnet),
        None => Some(request.arrival.network).filter(|network| network.contains(&address)),
    }
}

/// What makes two packets one request [D4]; only port 67 is relayed.
fn asked(request: &Request<'_>) -> Option<Asked> {
    let packet = request.packet;
    (request.arrival.port == Port::Dhcp).then(|| Asked {
        chaddr: packet.chaddr(),
        xid: packet.xid(),
        message: packet.message_type().map_or(0, MessageType::to_code),
    })
}
