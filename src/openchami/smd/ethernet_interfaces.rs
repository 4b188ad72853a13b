//! `Inventory/EthernetInterfaces`: network cards, what DHCP knows machines by.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::StatusCode;
use serde::{Deserialize, Serialize, Serializer};

use super::{Answer, Refusal, Remarks, body, deleted, plain, remove_all, values};
use crate::openchami::api::{Ask, Reply, Request};
use crate::openchami::inventory::{Draft, EthernetInterface, Index, Inventory, IpEntry};
use crate::openchami::xname::Location;
use crate::records::Mac;
use crate::records::id::MacError;

/// The collection's path, as replies name it whatever prefix was asked.
pub(super) const COLLECTION: &str = "/hsm/v2/Inventory/EthernetInterfaces";

/// A card as SMD shows it.
#[derive(Serialize)]
struct Shown<'c> {
    #[serde(rename = "ID")]
    id: &'c str,
    #[serde(rename = "Description")]
    description: &'c str,
    #[serde(rename = "MACAddress")]
    mac: &'c str,
    #[serde(rename = "LastUpdate")]
    last_update: &'c str,
    #[serde(rename = "ComponentID")]
    component_id: &'c str,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "IPAddresses")]
    addresses: &'c [IpEntry],
}

impl<'c> Shown<'c> {
    fn of(card: &'c EthernetInterface) -> Self {
        Self {
            id: &card.id,
            description: &card.description,
            mac: &card.mac,
            last_update: &card.last_update,
            component_id: &card.component_id,
            kind: card.component_id.parse::<Location>().map_or("", |id| id.kind()),
            addresses: &card.addresses,
        }
    }
}

struct Items<'c>(&'c [Arc<EthernetInterface>]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|card| Shown::of(card)))
    }
}

pub(super) fn shown(card: &EthernetInterface) -> Reply {
    Reply::json(StatusCode::OK, &Shown::of(card))
}

/// The key that an id in a path or query means: lower case, without separators.
pub(super) fn key(id: &str) -> String {
    id.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect::<String>().to_lowercase()
}

/// What is asked of the list.
struct Filter<'q> {
    keys: Option<Vec<String>>,
    addresses: Option<Vec<IpAddr>>,
    components: Option<Vec<Location>>,
    kinds: Vec<&'static str>,
    networks: Vec<&'q str>,
    older: Option<jiff::Timestamp>,
    newer: Option<jiff::Timestamp>,
}

impl<'q> Filter<'q> {
    fn of(request: &'q Request) -> Result<Self, Refusal> {
        let mut keys: Option<Vec<String>> = None;
        for (name, what) in [("id", "ID"), ("macaddress", "MAC address")] {
            let mut wanted = Vec::new();
            for text in request.parameters(name) {
                if text.trim().is_empty() {
                    return Err(Refusal::bad(format!("Invalid component ethernet interface {what}.")));
                }
                wanted.push(key(text.trim()));
            }
            if !wanted.is_empty() {
                keys = Some(match keys {
                    Some(both) => both.into_iter().filter(|key| wanted.contains(key)).collect(),
                    None => wanted,
                });
            }
        }
        let mut components = Vec::new();
        for text in request.parameters("componentid") {
            components.push(text.parse().map_err(|_| Refusal::bad("Invalid CompID."))?);
        }
        let mut kinds = Vec::new();
        for text in request.parameters("type") {
            kinds.push(values::hms_type(text).ok_or_else(|| Refusal::bad("Invalid HMS type."))?);
        }
        // metadata-service asks by `ipaddr`, which the reference does not know and answers with everything.
        let asked: Vec<&str> = request.parameters("ipaddress").chain(request.parameters("ipaddr")).collect();
        let time = |name: &str| -> Result<Option<jiff::Timestamp>, Refusal> {
            let wrong = "bad query param: Argument was not in a valid RFC3339 time format";
            let text = request.parameter(name);
            text.map(|text| text.parse().map_err(|_| Refusal::bad(wrong))).transpose()
        };
        Ok(Self {
            keys,
            // A text that is no address is no card's.
            addresses: (!asked.is_empty())
                .then(|| asked.iter().filter_map(|ip| ip.trim().parse().ok()).collect()),
            components: (!components.is_empty()).then_some(components),
            kinds,
            networks: request.parameters("network").collect(),
            older: time("olderthan")?,
            newer: time("newerthan")?,
        })
    }

    fn admits(&self, card: &EthernetInterface) -> bool {
        let owner = card.component_id.parse::<Location>().ok();
        let holds = |wanted: &Vec<IpAddr>| card.addresses.iter().any(|ip| wanted.contains(&ip.address));
        let owned_by = |wanted: &Vec<Location>| owner.as_ref().is_some_and(|owner| wanted.contains(owner));
        let updated: Option<jiff::Timestamp> = card.last_update.parse().ok();
        self.keys.as_ref().is_none_or(|keys| keys.contains(&card.id))
            && self.addresses.as_ref().is_none_or(holds)
            && self.components.as_ref().is_none_or(owned_by)
            && (self.kinds.is_empty() || owner.as_ref().is_some_and(|id| self.kinds.contains(&id.kind())))
            && (self.networks.is_empty()
                || card.addresses.iter().any(|ip| self.networks.contains(&ip.network.as_str())))
            && self.older.is_none_or(|time| updated.is_some_and(|updated| updated < time))
            && self.newer.is_none_or(|time| updated.is_some_and(|updated| updated > time))
    }

    fn cards(&self, inventory: &Inventory) -> Vec<Arc<EthernetInterface>> {
        let table = &inventory.ethernet_interfaces;
        let by = |index: Index, terms: Vec<String>| -> Vec<String> {
            terms.iter().flat_map(|term| inventory.keys(index, term).map(str::to_owned)).collect()
        };
        let keys = if let Some(keys) = &self.keys {
            Some(keys.clone())
        } else if let Some(ips) = &self.addresses {
            Some(by(Index::Address, ips.iter().map(IpAddr::to_string).collect()))
        } else {
            let ids = self.components.as_ref();
            ids.map(|ids| by(Index::CardOf, ids.iter().map(Location::to_string).collect()))
        };
        match keys {
            Some(mut keys) => {
                keys.sort();
                keys.dedup();
                let found = keys.iter().filter_map(|key| table.get(key));
                found.filter(|card| self.admits(card)).collect()
            }
            None => table.iter().filter(|card| self.admits(card)).collect(),
        }
    }
}

pub(super) fn list(ask: &Ask<'_>) -> Answer {
    let cards = Filter::of(ask.request)?.cards(ask.inventory());
    Ok(Reply::json(StatusCode::OK, &Items(&cards)))
}

pub(super) fn one(ask: &Ask<'_>) -> Answer {
    find(ask.inventory(), ask.variable("id")).map(|card| shown(&card))
}

/// The card with an id.
pub(super) fn find(inventory: &Inventory, id: &str) -> Result<Arc<EthernetInterface>, Refusal> {
    let missing = || Refusal::not_found(format!("No such component ethernet interface: {id}"));
    inventory.ethernet_interfaces.get(&key(id)).ok_or_else(missing)
}

/// An address as a client sends it.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct GivenIp {
    /// Empty: none.
    pub(super) ipaddress: String,
    /// Name of its network.
    pub(super) network: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Given {
    description: Option<String>,
    macaddress: String,
    componentid: Option<String>,
    ipaddresses: Option<Vec<GivenIp>>,
}

/// Reads a MAC in any of the spellings that clients use.
pub(super) fn mac(text: &str) -> Result<Mac, Refusal> {
    text.trim().parse().map_err(|error| match error {
        MacError::Length => Refusal::bad("MAC string has invalid length"),
        error => Refusal::bad(format!("MAC '{text}': {error}")),
    })
}

/// Reads an address; what is empty or means "none" is none.
pub(super) fn address(text: &str) -> Result<Option<IpAddr>, Refusal> {
    match text.trim() {
        "" => Ok(None),
        text => {
            let wrong = |_| Refusal::bad(format!("Invalid CompEthInterface IP Address: '{text}'"));
            let address: IpAddr = text.parse().map_err(wrong)?;
            // Redfish shows a card without address as 0.0.0.0.
            Ok((!address.is_unspecified()).then_some(address))
        }
    }
}

impl Given {
    fn component(&self) -> Result<Option<String>, Refusal> {
        match self.componentid.as_deref() {
            None => Ok(None),
            Some("") => Ok(Some(String::new())),
            Some(text) => {
                let wrong = |_| Refusal::bad("Invalid CompEthInterface component ID");
                text.parse::<Location>().map_err(wrong).map(|id| Some(id.to_string()))
            }
        }
    }

    fn addresses(&self) -> Result<Option<Vec<IpEntry>>, Refusal> {
        let Some(given) = &self.ipaddresses else { return Ok(None) };
        let mut entries: Vec<IpEntry> = Vec::with_capacity(given.len());
        for ip in given {
            let network = ip.network.clone().unwrap_or_default();
            plain("Network", &network)?;
            let Some(address) = address(&ip.ipaddress)? else { continue };
            if entries.iter().all(|entry| entry.address != address) {
                entries.push(IpEntry { address, network });
            }
        }
        Ok(Some(entries))
    }

    fn description(&self) -> Result<Option<String>, Refusal> {
        plain("Description", self.description.as_deref().unwrap_or_default())?;
        Ok(self.description.clone())
    }
}

/// Says which other cards hold an address of this one: that is allowed, and seldom meant.
pub(super) fn remark_addresses(inventory: &Inventory, card: &EthernetInterface, remarks: &mut Remarks) {
    for ip in &card.addresses {
        let term = ip.address.to_string();
        let other = inventory.keys(Index::Address, &term).find(|key| **key != *card.id);
        if let Some(other) = other {
            remarks.add(format!("{term} of {} is also {other}'s", card.id));
        }
    }
}

/// Stores a card at the time of the request.
pub(super) fn store(
    ask: &Ask<'_>,
    draft: &mut Draft<'_>,
    card: EthernetInterface,
    remarks: &mut Remarks,
) -> Result<(), Refusal> {
    remark_addresses(draft.inventory(), &card, remarks);
    Ok(draft.put(EthernetInterface { last_update: ask.time(), ..card })?)
}

pub(super) fn add(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Given = body(ask)?;
    let mac = mac(&given.macaddress)?;
    let id = EthernetInterface::id_of(mac);
    let component_id = given.component()?.unwrap_or_default();
    let there = draft.inventory().ethernet_interfaces.get(&id);
    let mut new = EthernetInterface {
        id: id.clone(),
        description: String::new(),
        mac: mac.to_string(),
        last_update: String::new(),
        component_id,
        addresses: Vec::new(),
        from_endpoint: false,
    };
    if let Some(there) = &there {
        // Some releases of the CLI send cards again that came with the Redfish endpoint; a file's card may be sent by
        // whoever has the file.
        let stated = draft.inventory().ethernet_interfaces.filed(&id).is_some();
        let again = there.from_endpoint && there.component_id == new.component_id;
        if !stated && !again {
            return Err(same_mac());
        }
        new = EthernetInterface { component_id: new.component_id, ..EthernetInterface::clone(there) };
    }
    new.description = given.description()?.unwrap_or(new.description);
    new.addresses = given.addresses()?.unwrap_or(new.addresses);
    let mut remarks = Remarks::default();
    store(ask, draft, new, &mut remarks)?;
    let uri = format!("{COLLECTION}/{id}");
    let reply = Reply::json(StatusCode::CREATED, &serde_json::json!({"URI": uri}));
    Ok(remarks.on(reply.with("location", &uri)))
}

/// The refusal of a MAC that another card has.
pub(super) fn same_mac() -> Refusal {
    Refusal::conflict("component ethernet interface that has the same MAC address")
}

pub(super) fn patch(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Given = body(ask)?;
    let (description, component, addresses) = (given.description()?, given.component()?, given.addresses()?);
    if description.is_none() && component.is_none() && addresses.is_none() {
        return Err(Refusal::bad("Request must have at least one patch field."));
    }
    let there = find(draft.inventory(), ask.variable("id"))?;
    let changed = EthernetInterface {
        description: description.unwrap_or_else(|| there.description.clone()),
        component_id: component.unwrap_or_else(|| there.component_id.clone()),
        addresses: addresses.unwrap_or_else(|| there.addresses.clone()),
        ..EthernetInterface::clone(&there)
    };
    let mut remarks = Remarks::default();
    store(ask, draft, changed, &mut remarks)?;
    find(draft.inventory(), ask.variable("id")).map(|card| remarks.on(shown(&card)))
}

pub(super) fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    if !draft.remove::<EthernetInterface>(&key(ask.variable("id")))? {
        return Err(Refusal::not_found("no such component ethernet interface."));
    }
    Ok(deleted(1))
}

pub(super) fn delete_all(draft: &mut Draft<'_>) -> Answer {
    remove_all::<EthernetInterface>(draft).map(deleted)
}
