//! Reservation mode: addresses and boot data for the nodes on record (RFC 2131 section 4.3).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::client::Class;
use crate::config::settings::LEASE;
use crate::config::{Knobs, Mode, OnDecline, UefiOffer};
use crate::dhcp::catalogue::print::escaped;
use crate::dhcp::{MessageType, Reply, code};
use crate::link::delivery::Port;
use crate::openchami::cloud_init::names;
use crate::records::Node;
use crate::world::World;

use super::decide::{Fact, Request, Trail};
use super::target::target;
use super::{Reason, Seen, fields, inform, menu, other_firmware, proxy, relayed};

/// 175.176 (no-pxedhcp) = 1: iPXE neither waits for nor listens to proxies [X5].
const NO_PXEDHCP: [u8; 3] = [176, 1, 1];

/// Answers a known node's DISCOVER or REQUEST, and its request on 4011.
pub(super) fn answer(
    request: &Request<'_>,
    node: &Arc<Node>,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<(Reply, Option<Reason>), Reason> {
    if request.arrival.port == Port::Pxe {
        if request.client.class != Class::Pxe {
            return Err(Reason::MessageType);
        }
        return proxy::boot_offer(request, node, Mode::Reservation, world, seen, now, trail)
            .map(|reply| (reply, None));
    }
    let packet = request.packet;
    if packet.message_type() == Some(MessageType::Inform) {
        return inform::inform(request, Some(node), world, seen, now, trail);
    }
    // [M6]: the card decides, not 61 or 97, so ROM, iPXE and system get the same address.
    let reserved = node.ipv4_for(request.client.mac).ok_or(Reason::NoAddress)?;
    let network = relayed::network_for(request, reserved, world).ok_or_else(|| {
        trail.step(format!("{reserved} is reserved, {}", relayed::whereabouts(request, world)));
        Reason::AddressOutside
    })?;
    match packet.message_type() {
        Some(MessageType::Decline) => return Err(declined(request, node, reserved, world, trail)),
        Some(MessageType::Release) => {
            ours(request, world, trail)?;
            trail.step(format!("released {}", packet.ciaddr()));
            return Err(Reason::Released);
        }
        _ => {}
    }
    if seen.withheld(reserved, now) {
        trail.step(format!("{reserved} was declined within the last ten minutes"));
        return Err(Reason::AddressWithheld);
    }
    if packet.message_type().is_none() {
        return inform::bootp(request, node, reserved, world, seen, now, trail);
    }
    if packet.message_type() == Some(MessageType::Discover) {
        return Ok(lease(request, node, MessageType::Offer, reserved, network, world, seen, now, trail));
    }
    let asked = packet.options.address(code::REQUESTED_ADDRESS);
    let ciaddr = packet.ciaddr();
    let right = match packet.options.address(code::SERVER_ID) {
        // Selecting (RFC 2131 section 4.3.2).
        Some(chosen) if !relayed::names_us(chosen, request, world) => {
            trail.step(format!("lost to server {chosen}"));
            return Err(Reason::OtherServerChosen);
        }
        Some(_) => asked.is_none_or(|asked| asked == reserved),
        None if ciaddr.is_unspecified() => {
            // Init-reboot. An address of another known network may be right there.
            let asked = asked.ok_or(Reason::Malformed)?;
            let elsewhere = !network.contains(&asked) && world.settings.subnet_of(asked).is_some();
            if asked != reserved && elsewhere {
                trail.step(format!("init-reboot with {asked} of another network"));
                return Err(Reason::NotOurs);
            }
            trail.step("init-reboot");
            asked == reserved
        }
        None => {
            trail.step("renew or rebind");
            ciaddr == reserved
        }
    };
    if right {
        return Ok(lease(request, node, MessageType::Ack, reserved, network, world, seen, now, trail));
    }
    // [M3]: only ever for a node of ours.
    let wrong = asked.unwrap_or(ciaddr);
    trail.step(format!("NAK: {reserved} is reserved, {wrong} was asked for"));
    let mut reply = fields::reply(request, MessageType::Nak);
    reply.set(code::MESSAGE, format!("address changed: reserved {reserved}, asked {wrong}"));
    Ok((reply, None))
}

/// DECLINE and RELEASE are for the server that they name, and say nothing without one (RFC 2131 table 5).
fn ours(request: &Request<'_>, world: &World, trail: &mut Trail) -> Result<(), Reason> {
    match request.packet.options.address(code::SERVER_ID) {
        Some(server) if relayed::names_us(server, request, world) => Ok(()),
        Some(server) => {
            trail.step(format!("meant for server {server}"));
            Err(Reason::OtherServerChosen)
        }
        None => Err(Reason::Malformed),
    }
}

/// A client found its address in use (RFC 2131 section 4.3.3): somebody else sits on it, which only people can
/// settle.
fn declined(
    request: &Request<'_>,
    node: &Node,
    reserved: Ipv4Addr,
    world: &World,
    trail: &mut Trail,
) -> Reason {
    if let Err(reason) = ours(request, world, trail) {
        return reason;
    }
    let options = &request.packet.options;
    let said = options.get(code::MESSAGE).map(escaped);
    let said = said.map(|said| format!(": \"{said}\"")).unwrap_or_default();
    match options.address(code::REQUESTED_ADDRESS) {
        Some(address) if address == reserved => {
            let knobs = fields::knobs(request, node, Some(reserved), world);
            if knobs.on_decline == Some(OnDecline::Insist) {
                trail.step(format!("{reserved} declined{said}; offered again, by setting"));
            } else {
                trail.step(format!("{reserved} declined{said}; withheld for ten minutes"));
                trail.remember.push(Fact::Declined { address: reserved });
            }
            Reason::Declined
        }
        Some(address) => {
            trail.step(format!("declined {address}{said}, which is not what is reserved"));
            Reason::NotOurs
        }
        None => Reason::Malformed,
    }
}

/// OFFER and ACK are built here alike, so they cannot differ [M1].
#[allow(clippy::too_many_arguments, reason = "one rule's inputs, each of another kind")]
fn lease(
    request: &Request<'_>,
    node: &Arc<Node>,
    message: MessageType,
    address: Ipv4Addr,
    network: Ipv4Net,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> (Reply, Option<Reason>) {
    let subnet = world.settings.subnet_of(address);
    let knobs = fields::knobs(request, node, Some(address), world);
    let mut reply = fields::reply(request, message);
    reply.yiaddr = address;
    if message == MessageType::Ack {
        reply.ciaddr = request.packet.ciaddr();
        if let Some(mac) = request.client.mac {
            trail.remember.push(Fact::Learned { address, mac });
        }
    }
    let seconds = subnet.map_or(LEASE, |subnet| subnet.lease).as_secs().min(u64::from(u32::MAX)) as u32;
    reply.set(code::LEASE_TIME, seconds.to_be_bytes());
    reply.set(code::RENEWAL_TIME, (seconds / 2).to_be_bytes());
    reply.set(code::REBINDING_TIME, ((u64::from(seconds) * 7 / 8) as u32).to_be_bytes());
    network_options(&mut reply, request, Some(node), address, network, world);
    trail.step(format!("{address} reserved"));
    let without_boot = if request.client.netboots() {
        boot(&mut reply, request, node, knobs, world, seen, now, trail).err()
    } else {
        None
    };
    fields::stated(&mut reply, request, node, Some(address), world, trail);
    (reply, without_boot)
}

/// Mask, router and, as far as the client listed them, broadcast address, name servers and names [P9].
pub(super) fn network_options(
    reply: &mut Reply,
    request: &Request<'_>,
    node: Option<&Node>,
    address: Ipv4Addr,
    network: Ipv4Net,
    world: &World,
) {
    let subnet = world.settings.subnet_of(address);
    reply.set(code::SUBNET_MASK, network.netmask().octets());
    if let Some(router) = subnet.and_then(|subnet| subnet.router) {
        reply.set(code::ROUTER, router.octets());
    }
    let mut listed: Vec<(u8, Vec<u8>)> = vec![(code::BROADCAST, network.broadcast().octets().to_vec())];
    if let Some(subnet) = subnet {
        if !subnet.dns.is_empty() {
            listed.push((code::DNS, subnet.dns.iter().flat_map(|server| server.octets()).collect()));
        }
        if let Some(domain) = &subnet.domain {
            listed.push((code::DOMAIN_NAME, domain.as_bytes().to_vec()));
        }
    }
    let source = world.settings.hostname;
    if let Some(name) = node.and_then(|node| names::hostname(&world.inventory, node, source)) {
        listed.push((code::HOST_NAME, name.into_bytes()));
    }
    for (code, value) in listed {
        if fields::wanted(request, code) {
            reply.set(code, value);
        }
    }
}

/// Adds boot data to a lease, in the form that this firmware takes.
#[allow(clippy::too_many_arguments, reason = "one rule's inputs, each of another kind")]
pub(super) fn boot(
    reply: &mut Reply,
    request: &Request<'_>,
    node: &Arc<Node>,
    knobs: Knobs,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<(), Reason> {
    let target = match target(request, node, Mode::Reservation, world, seen, now, trail) {
        Ok(target) => target,
        Err(reason) => {
            // An address without boot data; for HTTPClient 60 must then be missing as well [H2].
            trail.step(format!("no boot data: {}", reason.text()));
            return Err(reason);
        }
    };
    fields::boot_data(reply, request, &target, knobs, trail);
    if other_firmware::fill(reply, &target, world, trail) {
        return Ok(());
    }
    let uefi = target.arch.is_some_and(|arch| arch.is_uefi());
    if request.client.class == Class::Http {
        reply.set(code::VENDOR_CLASS, *b"HTTPClient");
        trail.step("HTTP Boot: 60 HTTPClient and a URL [H1][H2]");
        trail.step(fields::HTTP_BOOT_HINT);
    } else if request.client.ipxe.is_some() {
        reply.set(code::IPXE, NO_PXEDHCP);
        trail.step("iPXE need not wait for a proxy: 175.176 = 1 [X5]");
    } else if let Some(menu) = menu::shown(request, node, knobs, world, trail) {
        reply.set(code::VENDOR_CLASS, fields::pxe_class(request, world));
        reply.set(code::VENDOR_SPECIFIC, menu::option(menu, request.arrival.address));
        trail.step("60 and 43 = the boot menu [X6]");
    } else if uefi && knobs.uefi_offer != Some(UefiOffer::Pxe) {
        trail.step("UEFI: a plain offer without 60 and 43 [X4]");
    } else {
        // [X5] BIOS ROM; [X4] UEFI with `uefi_offer: pxe`. 60 never goes without 43 here.
        fields::bypass_discovery(reply, knobs, trail);
        if reply.option(code::VENDOR_SPECIFIC).is_some() {
            reply.set(code::VENDOR_CLASS, fields::pxe_class(request, world));
            trail.step("60 and 43 = 06 01 08 ff: no wait for a proxy [X5]");
        }
    }
    fields::ipxe_priority(reply, request, knobs, trail);
    Ok(())
}
