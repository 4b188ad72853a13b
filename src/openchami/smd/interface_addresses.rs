//! `Inventory/EthernetInterfaces/{id}/IPAddresses`: the addresses of one network card.

use std::net::IpAddr;

use hyper::StatusCode;
use serde_json::json;

use super::ethernet_interfaces::{COLLECTION, GivenIp, address, find, store};
use super::{Answer, Refusal, Remarks, body, deleted, plain};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{Draft, EthernetInterface, Inventory, IpEntry};

pub(super) fn list(ask: &Ask<'_>) -> Answer {
    let card = find(ask.inventory(), ask.variable("id"))?;
    Ok(Reply::json(StatusCode::OK, &card.addresses))
}

/// The card that a write is about, to be changed.
fn card(inventory: &Inventory, ask: &Ask<'_>) -> Result<EthernetInterface, Refusal> {
    let found = find(inventory, ask.variable("id"));
    let missing = |_| Refusal::not_found("no such component ethernet interface.");
    found.map_err(missing).map(|card| EthernetInterface::clone(&card))
}

/// The place of the path's address in the card.
fn position(card: &EthernetInterface, ask: &Ask<'_>, missing: &str) -> Result<usize, Refusal> {
    let wanted: Option<IpAddr> = ask.variable("ip").parse().ok();
    let found = card.addresses.iter().position(|entry| Some(entry.address) == wanted);
    found.ok_or_else(|| Refusal::not_found(missing))
}

pub(super) fn add(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: GivenIp = body(ask)?;
    let network = given.network.unwrap_or_default();
    plain("Network", &network)?;
    let address = address(&given.ipaddress)?;
    let address = address.ok_or_else(|| Refusal::bad("Invalid CompEthInterface IP Address"))?;
    let mut card = card(draft.inventory(), ask)?;
    if card.addresses.iter().any(|entry| entry.address == address) {
        return Err(Refusal::conflict("IP Address on the same ethernet interface"));
    }
    card.addresses.push(IpEntry { address, network });
    let uri = format!("{COLLECTION}/{}/IPAddresses/{address}", card.id);
    let mut remarks = Remarks::default();
    store(ask, draft, card, &mut remarks)?;
    let reply = Reply::json(StatusCode::CREATED, &json!({"URI": uri}));
    Ok(remarks.on(reply.with("location", &uri)))
}

pub(super) fn patch(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: GivenIp = body(ask)?;
    let network = given.network.ok_or_else(|| Refusal::bad("Request must have at least one patch field."))?;
    plain("Network", &network)?;
    let mut card = card(draft.inventory(), ask)?;
    let at = position(&card, ask, "no such IP address in component ethernet interface.")?;
    card.addresses[at].network = network;
    let changed = card.addresses[at].clone();
    store(ask, draft, card, &mut Remarks::default())?;
    Ok(Reply::json(StatusCode::OK, &changed))
}

pub(super) fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let mut card = card(draft.inventory(), ask)?;
    let at = position(&card, ask, "component ethernet interface has no such ip address.")?;
    card.addresses.remove(at);
    store(ask, draft, card, &mut Remarks::default())?;
    Ok(deleted(1))
}
