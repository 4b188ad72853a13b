//! The network cards of a node or BMC as boot-service shows and takes them: one address a card.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::openchami::inventory::{Draft, EthernetInterface, Inventory, IpEntry};
use crate::openchami::xname::Location;
use crate::records::Mac;

use super::envelope::{Refusal, clean};

/// A card.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// MAC, lower case with colons.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac: String,
    /// First address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// What it is for, such as `management`; kept as it was sent.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// Member of an envelope's extra fields that holds the types by MAC.
const TYPES: &str = "types";

impl Interface {
    /// Checks MAC and address, and writes them in one way. A card without MAC is none.
    pub fn read(self) -> Result<Option<Self>, Refusal> {
        clean("the type of an interface", &self.kind)?;
        let (mac, ip) = (self.mac.trim(), self.ip.trim());
        if mac.is_empty() {
            return Ok(None);
        }
        let mac = checked_mac(mac)?;
        if ip.is_empty() {
            return Ok(Some(Self { mac, ip: String::new(), ..self }));
        }
        let address: IpAddr =
            ip.parse().map_err(|_| Refusal::Invalid(format!("invalid IP address: {}", ip.escape_debug())))?;
        Ok(Some(Self { mac, ip: address.to_string(), ..self }))
    }
}

/// A MAC in lower case with colons.
pub fn checked_mac(text: &str) -> Result<String, Refusal> {
    let mac = text.trim().parse::<Mac>();
    mac.map(|mac| mac.to_string())
        .map_err(|why| Refusal::Invalid(format!("invalid MAC address format: {} {why}", text.escape_debug())))
}

/// The cards of a component, in the order of their MACs.
pub fn of(inventory: &Inventory, id: &str, extra: &Map<String, Value>) -> Vec<Interface> {
    let kind = |mac: &str| extra.get(TYPES).and_then(|types| types.get(mac)).and_then(Value::as_str);
    let cards = inventory.cards_of(id);
    let show = |card: &std::sync::Arc<EthernetInterface>| Interface {
        mac: card.mac.clone(),
        ip: card.addresses.first().map(|ip| ip.address.to_string()).unwrap_or_default(),
        kind: kind(&card.mac).unwrap_or_default().to_owned(),
    };
    cards.iter().map(show).collect()
}

/// The types of cards, for an envelope's extra fields.
pub fn remember_types(extra: &mut Map<String, Value>, cards: &[Interface]) {
    let typed = cards.iter().filter(|card| !card.kind.is_empty());
    let types: Map<String, Value> = typed.map(|card| (card.mac.clone(), card.kind.clone().into())).collect();
    if types.is_empty() {
        extra.shift_remove(TYPES);
    } else {
        extra.insert(TYPES.to_owned(), Value::Object(types));
    }
}

/// Stores a card of a component. An address is put first among those that the card has; none given leaves them.
pub fn store(draft: &mut Draft<'_>, id: &Location, card: &Interface, now: &str) -> Result<(), Refusal> {
    let Ok(mac) = card.mac.parse::<Mac>() else { return Ok(()) };
    let key = EthernetInterface::id_of(mac);
    let known = draft.inventory().ethernet_interfaces.get(&key);
    if let Some(known) = &known
        && !known.component_id.is_empty()
        && known.component_id != id.as_str()
    {
        return Err(Refusal::Conflict(format!("{mac} is a card of {} already", known.component_id)));
    }
    let mut record = known.as_deref().cloned().unwrap_or_else(|| EthernetInterface {
        id: key,
        description: format!("Interface of {id}"),
        mac: mac.to_string(),
        last_update: String::new(),
        component_id: String::new(),
        addresses: Vec::new(),
        from_endpoint: false,
    });
    record.component_id = id.to_string();
    if let Ok(address) = card.ip.parse::<IpAddr>()
        && record.addresses.first().map(|ip| ip.address) != Some(address)
    {
        let network = record.addresses.first().map(|ip| ip.network.clone()).unwrap_or_default();
        match record.addresses.first_mut() {
            Some(first) => first.address = address,
            None => record.addresses.push(IpEntry { address, network }),
        }
    }
    if known.as_deref() != Some(&record) {
        record.last_update = now.to_owned();
        draft.put(record)?;
    }
    Ok(())
}

/// Removes those cards of a component that are not among `kept`.
pub fn keep_only(draft: &mut Draft<'_>, id: &str, kept: &[&str]) -> Result<(), Refusal> {
    for card in draft.inventory().cards_of(id) {
        if !kept.contains(&card.mac.as_str()) {
            draft.remove::<EthernetInterface>(&card.id)?;
        }
    }
    Ok(())
}
