//! INFORM and plain BOOTP on port 67: options for who has an address already, and a reservation without
//! lease for who knows nothing of leases (RFC 2131 section 4.3.5, RFC 1534).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{AnswerInform, Mode};
use crate::dhcp::{MessageType, Reply, code};
use crate::records::Node;
use crate::world::World;

use super::decide::{Fact, Request, Trail};
use super::target::target;
use super::{Reason, Seen, fields, relayed, reservation};

/// Answers an INFORM: an ACK to ciaddr without address and lease times (RFC 2131 section 4.3.5). `node` is
/// `None` for somebody in no record.
pub(super) fn inform(
    request: &Request<'_>,
    node: Option<&Arc<Node>>,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<(Reply, Option<Reason>), Reason> {
    let ciaddr = request.packet.ciaddr();
    if ciaddr.is_unspecified() {
        return Err(Reason::Malformed);
    }
    let nobody = Arc::new(Node::default());
    let subject = node.unwrap_or(&nobody);
    let knobs = fields::knobs(request, subject, Some(ciaddr), world);
    if node.is_none() && knobs.answer_inform != Some(AnswerInform::Subnet) {
        return Err(Reason::UnknownMac);
    }
    let network = relayed::network_for(request, ciaddr, world).ok_or_else(|| {
        trail.step(format!("{ciaddr} is in none of our networks here"));
        Reason::AddressOutside
    })?;
    trail.step("INFORM: options for an address that the client has already");
    let mut reply = fields::reply(request, MessageType::Ack);
    reply.ciaddr = ciaddr;
    reservation::network_options(&mut reply, request, node.map(|node| &**node), ciaddr, network, world);
    let without_boot = match node {
        Some(node) if request.client.netboots() => {
            reservation::boot(&mut reply, request, node, knobs, world, seen, now, trail).err()
        }
        _ => None,
    };
    fields::stated(&mut reply, request, subject, Some(ciaddr), world, trail);
    for lease_time in [code::LEASE_TIME, code::RENEWAL_TIME, code::REBINDING_TIME] {
        reply.options.retain(|(code, _)| *code != lease_time);
    }
    Ok((reply, without_boot))
}

/// Answers plain BOOTP (RFC 951): the reserved address for ever, and the file. RFC 1534: none of DHCP's own
/// options.
pub(super) fn bootp(
    request: &Request<'_>,
    node: &Arc<Node>,
    reserved: Ipv4Addr,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<(Reply, Option<Reason>), Reason> {
    let knobs = fields::knobs(request, node, Some(reserved), world);
    if knobs.bootp != Some(true) {
        return Err(Reason::BootpNotServed);
    }
    let network = relayed::network_for(request, reserved, world).ok_or(Reason::AddressOutside)?;
    trail.step(format!("BOOTP: {reserved} reserved, without lease"));
    let mut reply = fields::reply(request, MessageType::Bootp);
    reply.yiaddr = reserved;
    reply.ciaddr = request.packet.ciaddr();
    reservation::network_options(&mut reply, request, Some(node), reserved, network, world);
    let without_boot = match target(request, node, Mode::Reservation, world, seen, now, trail) {
        Ok(target) => {
            fields::boot_data(&mut reply, request, &target, knobs, trail);
            None
        }
        Err(reason) => {
            trail.step(format!("no boot data: {}", reason.text()));
            Some(reason)
        }
    };
    fields::stated(&mut reply, request, node, Some(reserved), world, trail);
    reply.has_options = request.packet.has_cookie();
    reply.options.retain(|(code, _)| {
        !matches!(*code, code::REQUESTED_ADDRESS..=code::CLIENT_ID if *code != code::VENDOR_CLASS)
    });
    if let Some(mac) = request.client.mac {
        trail.remember.push(Fact::Learned { address: reserved, mac });
    }
    Ok((reply, without_boot))
}
