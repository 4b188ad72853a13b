//! Which node asks by DHCPv6 [S2].

use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::policy::decide::Trail;
use crate::records::{Mac, Node, Snapshot, Uuid};

use super::RequestV6;

/// The record of the client, and the card of the node that asks, where that is known.
///
/// The order of [S2]: the relay's option 79, the MAC of the DUID, the frame's source, the MAC inside the
/// link-local address, the UUID of the DUID. One exception: a frame straight from a known card beats the DUID of
/// another node, since systems that were copied from one disk share their DUID.
pub(super) fn find(
    request: &RequestV6<'_>,
    records: &Snapshot,
    trail: &mut Trail,
) -> Option<(Arc<Node>, Option<Mac>)> {
    let message = request.message;
    let direct = message.hops.is_empty();
    let frame = request.arrival.source_mac.filter(|_| direct);
    // Behind relays the client's own address is what the relay next to it heard.
    let source = message.hops.last().map_or(*request.arrival.source.ip(), |hop| hop.peer);
    let by_address = mac_of(source);
    let by_duid = message.client_duid.and_then(mac_in_duid);
    let keys = [
        (message.relayed_mac, "the relay's option 79"),
        (by_duid, "DUID"),
        (frame, "the frame's source"),
        (by_address, "the link-local address"),
    ];
    let by_mac = |(mac, how): &(Option<Mac>, &'static str)| {
        let mac = (*mac)?;
        Some((Arc::clone(records.by_mac(mac)?), format!("mac {mac} of {how}")))
    };
    let mut found = keys.iter().find_map(by_mac);
    if message.relayed_mac.is_none()
        && let Some((node, _)) = &found
        && let Some((other, key)) = by_mac(&(frame, "the frame's source"))
        && !Arc::ptr_eq(node, &other)
    {
        trail.step(format!("the DUID is {}'s: a copied system", node.label()));
        found = Some((other, key));
    }
    let by_uuid = || {
        let uuid = uuid_in_duid(message.client_duid?)?;
        Some((Arc::clone(records.by_uuid(uuid)?), format!("uuid {uuid} of DUID")))
    };
    let (node, key) = found.or_else(by_uuid)?;
    trail.step(format!("node {} by {key} [S2]", node.label()));
    // The card on this link, best witness first: a DUID may name another card of the machine.
    let card = [message.relayed_mac, frame, by_address, by_duid]
        .into_iter()
        .flatten()
        .find(|mac| node.nic(*mac).is_some());
    Some((node, card))
}

/// The MAC inside a DUID-LLT or DUID-LL of Ethernet.
fn mac_in_duid(duid: &[u8]) -> Option<Mac> {
    match duid {
        [0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..] => Mac::new(mac.try_into().ok()?).ok(),
        _ => None,
    }
}

/// The UUID of a DUID-UUID (RFC 6355); the look-up tries both byte orders.
fn uuid_in_duid(duid: &[u8]) -> Option<Uuid> {
    let [0, 4, uuid @ ..] = duid else { return None };
    Some(Uuid::from_text_order(uuid.try_into().ok()?)).filter(|uuid| uuid.identifies())
}

/// The MAC in a link-local address made of it (RFC 4291, appendix A).
pub(crate) fn mac_of(address: Ipv6Addr) -> Option<Mac> {
    match address.octets() {
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, 0xff, 0xfe, d, e, f] => Mac::new([a ^ 2, b, c, d, e, f]).ok(),
        _ => None,
    }
}
