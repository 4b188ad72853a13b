//! Proxy mode: boot data beside another DHCP server, never an address.

use std::sync::Arc;
use std::time::Duration;

use crate::client::Class;
use crate::config::Mode;
use crate::dhcp::{MessageType, Reply, code};
use crate::link::delivery::Port;
use crate::records::Node;
use crate::world::World;

use super::decide::{Request, Trail};
use super::target::target;
use super::{Reason, Seen, fields, menu, other_firmware, relayed};

/// Answers a known node's DISCOVER on 67 or its request on 4011.
pub(super) fn answer(
    request: &Request<'_>,
    node: &Arc<Node>,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<(Reply, Option<Reason>), Reason> {
    let packet = request.packet;
    let port = request.arrival.port;
    let message = packet.message_type().ok_or(Reason::BootpNotServed)?;
    let knobs = fields::knobs(request, node, None, world);
    if port == Port::Dhcp && !matches!(message, MessageType::Discover | MessageType::Request) {
        return Err(Reason::MessageType);
    }
    let insists = knobs.answer_request == Some(true) && request.client.netboots();
    if port == Port::Dhcp && message == MessageType::Request && insists {
        trail.step("this client expects a proxy's answer to its REQUEST, by setting");
    } else if port == Port::Dhcp && message == MessageType::Request {
        // The DHCP server's business: an ACK of ours would confuse both.
        return match packet.options.address(code::SERVER_ID) {
            Some(chosen) if !relayed::names_us(chosen, request, world) => {
                trail.step(format!("the client takes {chosen}'s offer"));
                Err(Reason::OtherServerChosen)
            }
            _ => Err(Reason::ProxyRequest),
        };
    }
    if !request.client.netboots() {
        return Err(Reason::NotPxe);
    }
    if request.client.class == Class::Other && request.client.kind.mistakes_proxies() {
        trail.step("this client would take an offer without an address for its lease");
        return Err(Reason::NotPxe);
    }
    if !node.netboot {
        return Err(Reason::NetbootOff);
    }
    let http = request.client.class == Class::Http;
    if port == Port::Pxe && http {
        // HTTP Boot never asks a boot server [X8][H4].
        return Err(Reason::MessageType);
    }
    boot_offer(request, node, Mode::Proxy, world, seen, now, trail).map(|reply| (reply, None))
}

/// The proxyDHCP OFFER, or the ACK of port 4011, which names the same file [X7].
pub(super) fn boot_offer(
    request: &Request<'_>,
    node: &Arc<Node>,
    mode: Mode,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<Reply, Reason> {
    let on_4011 = request.arrival.port == Port::Pxe;
    let mut target = target(request, node, mode, world, seen, now, trail)?;
    let knobs = fields::knobs(request, node, None, world);
    let menu = menu::shown(request, node, knobs, world, trail);
    let item = on_4011.then(|| boot_item(request)).flatten();
    if let (Some(menu), Some(item)) = (menu, &item) {
        menu::choose(menu, item, &mut target, trail)?;
    }
    let discover = request.packet.message_type() == Some(MessageType::Discover);
    let mut reply = fields::reply(request, if discover { MessageType::Offer } else { MessageType::Ack });
    if on_4011 {
        reply.ciaddr = request.packet.ciaddr();
    } else {
        // Row 6 of the destination table: a broadcast proxy reply says so in its flags.
        reply.flags |= 0x8000;
    }
    let http = request.client.class == Class::Http;
    let class = if http { b"HTTPClient" } else { fields::pxe_class(request, world) };
    reply.set(code::VENDOR_CLASS, class);
    fields::boot_data(&mut reply, request, &target, knobs, trail);
    let uefi = target.arch.is_some_and(|arch| arch.is_uefi());
    if other_firmware::fill(&mut reply, &target, world, trail) {
        // Its own form says everything.
    } else if http {
        trail.step("HTTP Boot: 60 HTTPClient and a URL, no 43 [H1][H4]");
        trail.step(fields::HTTP_BOOT_HINT);
    } else if let Some(item) = item {
        // [X2]: the item asked for is echoed or the client discards the answer.
        reply.set(code::VENDOR_SPECIFIC, item);
        trail.step("43.71 echoed [X2]");
    } else if let Some(menu) = menu.filter(|_| on_4011 || !uefi) {
        reply.set(code::VENDOR_SPECIFIC, menu::option(menu, request.arrival.address));
        trail.step("43 = the boot menu [X6]");
    } else if uefi {
        // EDK2's lineage never caches the first proxy offer with discovery sub-options [X1].
        trail.step(if on_4011 { "UEFI on 4011: ACK without 43 [X2]" } else { "UEFI: no 43, then 4011 [X1]" });
    } else {
        fields::bypass_discovery(&mut reply, knobs, trail);
        trail.step("BIOS: 43 = 06 01 08 ff and file [X3]");
    }
    fields::ipxe_priority(&mut reply, request, knobs, trail);
    fields::stated(&mut reply, request, node, None, world, trail);
    Ok(reply)
}

/// Sub-option 71 of option 43 as the boot server must echo it, end included. A request with credentials
/// wanted (BIS, bit 15 of the layer) is answered without: there are none.
fn boot_item(request: &Request<'_>) -> Option<Vec<u8>> {
    let mut rest = request.packet.options.get(code::VENDOR_SPECIFIC)?;
    while let [sub, length, tail @ ..] = rest {
        if *sub == code::END {
            return None;
        }
        let value = tail.get(..usize::from(*length))?;
        if *sub == 71 && value.len() == 4 {
            return Some(vec![71, 4, value[0], value[1], value[2] & 0x7f, value[3], 255]);
        }
        rest = &tail[value.len()..];
    }
    None
}
