//! What follows from the body of a Redfish endpoint: components, component endpoints and network cards.
//!
//! Which node a system is, nobody says in so many words. In this order: the last element of its URL where that is
//! a node of this BMC, the node that owns one of its MACs, the node with its UUID, the node that had its URL, and
//! for what is left the next node that nothing is known of, systems in the order of their ids and URLs.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::ethernet_interfaces::{same_mac, store};
use super::redfish_body::{Body, Manager, Nic, PduInventory, System, last_segment, path};
use super::{Refusal, Remarks, plain};
use crate::openchami::api::Ask;
use crate::openchami::endpoint::{self, Described, NicInfo};
use crate::openchami::inventory::{
    Component, ComponentEndpoint, Draft, EthernetInterface, Index, Inventory, IpEntry,
};
use crate::openchami::xname::Location;
use crate::records::{Mac, Uuid};

/// Nodes that one BMC can have: what an xname has room for.
const NODES: u32 = 1000;

/// Whether a card that is somebody else's may be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cards {
    /// No: that is a conflict.
    Keep,
    /// Yes: the card was moved to another machine.
    Move,
}

/// A card of a body, checked.
struct Card {
    mac: Mac,
    address: Option<IpAddr>,
    description: String,
}

/// Stores what the body says the endpoint manages.
pub(super) fn store_managed(
    ask: &Ask<'_>,
    draft: &mut Draft<'_>,
    endpoint: &Location,
    body: &Body,
    cards: Cards,
    remarks: &mut Remarks,
) -> Result<(), Refusal> {
    if let Some(pdu) = &body.pduinventory {
        return store_outlets(draft, endpoint, pdu);
    }
    let (systems, managers) = (body.systems()?, body.managers()?);
    let own: Vec<Vec<Card>> = systems
        .iter()
        .map(|system| checked(&system.name, &system.uri, &system.ethernetinterfaces, remarks))
        .collect::<Result<_, _>>()?;
    let places = places(draft.inventory(), endpoint, &systems, &own)?;
    let mut seen: HashMap<Mac, Location> = HashMap::new();
    for ((system, own), id) in systems.iter().zip(&own).zip(&places) {
        store_node(draft, id, &system.power.state)?;
        draft.put(component_endpoint(
            draft.inventory(),
            endpoint,
            id,
            system,
            seen.values().any(|at| at == id),
        ))?;
        for card in own {
            if seen.insert(card.mac, id.clone()).is_some_and(|other| other != *id) {
                return Err(taken(card.mac, id));
            }
            store_card(ask, draft, id, card, cards, remarks)?;
        }
    }
    if managers.is_empty() {
        return Ok(());
    }
    if !draft.inventory().components.contains(endpoint.as_str()) {
        draft.put(Component::at(endpoint.clone()))?;
    }
    for manager in &managers {
        for card in checked(&manager.name, &manager.uri, &manager.ethernetinterfaces, remarks)? {
            // Some BMCs list the port that they share with their node.
            match seen.get(&card.mac) {
                Some(node) => remarks.add(format!("{} of the manager is {node}'s too: left there", card.mac)),
                None => store_card(ask, draft, endpoint, &card, cards, remarks)?,
            }
        }
    }
    draft.put(manager_endpoint(endpoint, &managers))?;
    Ok(())
}

/// The cards of a system or manager that have a MAC. Malformed ones are refused before anything is stored.
fn checked(name: &str, uri: &str, nics: &[Nic], remarks: &mut Remarks) -> Result<Vec<Card>, Refusal> {
    plain("name", name)?;
    plain("uri", uri)?;
    let mut cards = Vec::with_capacity(nics.len());
    for nic in nics {
        plain("description", &nic.description)?;
        let address = nic.address()?;
        match nic.mac()? {
            Some(mac) => cards.push(Card { mac, address, description: nic.description.clone() }),
            None => {
                remarks.add(format!("a network card of {name} ('{}') has no MAC: left out", nic.description))
            }
        }
    }
    Ok(cards)
}

/// The UUID of a system, if it tells machines apart.
fn identity(system: &System) -> Option<String> {
    let uuid: Uuid = system.uuid.parse().ok()?;
    uuid.identifies().then(|| uuid.to_string())
}

/// Which node each system is.
fn places(
    inventory: &Inventory,
    endpoint: &Location,
    systems: &[System],
    cards: &[Vec<Card>],
) -> Result<Vec<Location>, Refusal> {
    let below = |id: &Location| id.is_node() && id.parent().as_ref() == Some(endpoint);
    let mut places: Vec<Option<Location>> =
        systems.iter().map(|system| last_segment(&system.uri).parse().ok().filter(below)).collect();
    let mut taken: HashSet<Location> = places.iter().flatten().cloned().collect();
    for (place, cards) in places.iter_mut().zip(cards).filter(|(place, _)| place.is_none()) {
        *place = cards.iter().find_map(|card| owner(inventory, card.mac)).filter(|id| !taken.contains(id));
        taken.extend(place.clone());
    }
    for (place, system) in places.iter_mut().zip(systems).filter(|(place, _)| place.is_none()) {
        let same = |record: &Arc<ComponentEndpoint>| record.id.is_node() && !taken.contains(&record.id);
        let uuid = identity(system);
        let by_uuid = uuid.and_then(|uuid| inventory.find(Index::SystemUuid, &uuid).find(same));
        let uri = path(&system.uri);
        let had_url =
            |record: &Arc<ComponentEndpoint>| same(record) && !uri.is_empty() && record.odata_id == uri;
        let found = by_uuid.or_else(|| inventory.find(Index::EndpointChild, endpoint.as_str()).find(had_url));
        *place = found.map(|record| record.id.clone());
        taken.extend(place.clone());
    }
    let mut left: Vec<usize> = (0..systems.len()).filter(|at| places[*at].is_none()).collect();
    left.sort_by_key(|at| (&systems[*at].nodeid, &systems[*at].uri));
    for at in left {
        // The same machine listed twice is one machine. An empty UUID says nothing.
        let uuid = identity(&systems[at]);
        let twin = (0..systems.len()).find(|other| {
            *other != at && places[*other].is_some() && uuid.is_some() && identity(&systems[*other]) == uuid
        });
        let place = match twin.and_then(|twin| places[twin].clone()) {
            Some(place) => place,
            None => next(inventory, endpoint, &taken)?,
        };
        taken.insert(place.clone());
        places[at] = Some(place);
    }
    Ok(places.into_iter().flatten().collect())
}

/// The node that owns a card.
fn owner(inventory: &Inventory, mac: Mac) -> Option<Location> {
    let card = inventory.ethernet_interfaces.get(&EthernetInterface::id_of(mac))?;
    let id: Location = card.component_id.parse().ok()?;
    (id.is_node() && inventory.components.contains(id.as_str())).then_some(id)
}

/// The first node of a BMC that no system and no card is known of. It may exist: whoever numbers nodes before
/// they are discovered wants these.
fn next(inventory: &Inventory, endpoint: &Location, taken: &HashSet<Location>) -> Result<Location, Refusal> {
    let refused =
        |_| Refusal::bad(format!("couldn't validate endpoint data: {endpoint} cannot have Systems"));
    for number in 0..NODES {
        let id: Location = format!("{endpoint}n{number}").parse().map_err(refused)?;
        let known = taken.contains(&id)
            || inventory.component_endpoints.contains(id.as_str())
            || inventory.keys(Index::CardOf, id.as_str()).next().is_some();
        if !known {
            return Ok(id);
        }
    }
    Err(Refusal::bad(format!("couldn't validate endpoint data: {endpoint} has {NODES} nodes already")))
}

/// A node's state by what Redfish says of its power. `Ready` was said by the node itself: that it has power is no
/// news, that it has none is.
fn state(power: &str, before: &str) -> &'static str {
    let off = ["off", "poweringoff"].contains(&power.to_ascii_lowercase().as_str());
    match (off, before) {
        (true, _) => "Off",
        (false, "Ready") => "Ready",
        (false, _) => "On",
    }
}

fn store_node(draft: &mut Draft<'_>, id: &Location, power: &str) -> Result<(), Refusal> {
    let inventory = draft.inventory();
    let node = match inventory.components.get(id.as_str()) {
        Some(there) => Component {
            state: state(power, &there.state).to_owned(),
            flag: String::new(),
            ..Component::clone(&there)
        },
        None => {
            let unused = |nid: &i64| inventory.keys(Index::Nid, &nid.to_string()).next().is_none();
            let nid = id.default_nid().filter(unused).unwrap_or_else(|| inventory.unused_nid());
            Component {
                state: state(power, "").to_owned(),
                role: "Compute".to_owned(),
                nid: Some(nid),
                ..Component::at(id.clone())
            }
        }
    };
    Ok(draft.put(node)?)
}

/// The component endpoint of a system; `again`: of a machine that the body lists for the second time, whose cards
/// come to the first ones.
fn component_endpoint(
    inventory: &Inventory,
    endpoint: &Location,
    id: &Location,
    system: &System,
    again: bool,
) -> ComponentEndpoint {
    let cards: Vec<NicInfo> = system.ethernetinterfaces.iter().map(Nic::info).collect();
    let mut record = endpoint::system(&Described {
        id,
        endpoint,
        path: path(&system.uri),
        uuid: &system.uuid,
        name: &system.name,
        subtype: &system.systemtype,
        cards: &cards,
        actions: &system.actions,
        more: system.more(),
    });
    if again
        && let Some(first) = inventory.component_endpoints.get(id.as_str())
        && let Some(info) = record.info.get_mut("RedfishSystemInfo")
    {
        for list in ["EthernetNICInfo", "EthNICInfo"] {
            let mut both = first.info["RedfishSystemInfo"][list].as_array().cloned().unwrap_or_default();
            let more = info[list].as_array().cloned().unwrap_or_default();
            both.extend(more.into_iter().filter(|card| !both.contains(card)).collect::<Vec<_>>());
            info[list] = both.into();
        }
    }
    record
}

/// The component endpoint of a BMC: its managers have one location.
fn manager_endpoint(endpoint: &Location, managers: &[Manager]) -> ComponentEndpoint {
    let cards: Vec<NicInfo> =
        managers.iter().flat_map(|manager| &manager.ethernetinterfaces).map(Nic::info).collect();
    let mut shells: Vec<String> = Vec::new();
    for shell in managers.iter().flat_map(|manager| &manager.commandshell) {
        if !shells.contains(shell) {
            shells.push(shell.clone());
        }
    }
    let text = |pick: fn(&Manager) -> &str| {
        managers.iter().map(pick).find(|text| !text.is_empty()).unwrap_or_default()
    };
    let actions = managers.iter().map(|manager| &manager.actions).find(|actions| !actions.is_empty());
    let described = Described {
        id: endpoint,
        endpoint,
        path: path(text(|manager| &manager.uri)),
        uuid: text(|manager| &manager.uuid),
        name: text(|manager| &manager.name),
        subtype: "",
        cards: &cards,
        actions: actions.map(Vec::as_slice).unwrap_or_default(),
        more: managers.first().map(Manager::more).unwrap_or_default(),
    };
    endpoint::manager(&described, &shells)
}

fn taken(mac: Mac, owner: &Location) -> Refusal {
    let refusal = same_mac();
    Refusal { detail: format!("{} {mac} cannot be {owner}'s too", refusal.detail), ..refusal }
}

/// Stores a card of a node or BMC. What the body does not say of a known card stays.
fn store_card(
    ask: &Ask<'_>,
    draft: &mut Draft<'_>,
    owner: &Location,
    card: &Card,
    cards: Cards,
    remarks: &mut Remarks,
) -> Result<(), Refusal> {
    let id = EthernetInterface::id_of(card.mac);
    let there = draft.inventory().ethernet_interfaces.get(&id);
    let mut new = match &there {
        Some(there) => EthernetInterface::clone(there),
        None => EthernetInterface {
            id,
            description: String::new(),
            mac: card.mac.to_string(),
            last_update: String::new(),
            component_id: String::new(),
            addresses: Vec::new(),
            from_endpoint: true,
        },
    };
    if !new.component_id.is_empty() && new.component_id != owner.as_str() {
        if cards == Cards::Keep {
            return Err(taken(card.mac, owner));
        }
        remarks.add(format!("{} was {}'s and is {owner}'s now", new.mac, new.component_id));
    }
    new.component_id = owner.to_string();
    new.from_endpoint = true;
    if !card.description.is_empty() {
        new.description.clone_from(&card.description);
    }
    if let Some(address) = card.address
        && new.addresses.first().is_none_or(|first| first.address != address)
    {
        new.addresses = vec![IpEntry { address, network: String::new() }];
    }
    match there {
        Some(there) if *there == new => Ok(()),
        _ => store(ask, draft, new, remarks),
    }
}

/// Stores a power distribution unit and its outlets.
fn store_outlets(draft: &mut Draft<'_>, endpoint: &Location, pdu: &PduInventory) -> Result<(), Refusal> {
    put_on(draft, endpoint)?;
    for outlet in &pdu.outlets {
        plain("original_id", &outlet.originalid)?;
        plain("name", &outlet.name)?;
        let text = format!("{endpoint}{}", outlet.idsuffix);
        let wrong =
            || Refusal::bad(format!("couldn't validate endpoint data: '{text}' is no outlet's xname"));
        let id: Location = text.parse().map_err(|_| wrong())?;
        if !matches!(id.kind(), "CabinetPDUPowerConnector" | "CabinetPDUOutlet") {
            return Err(wrong());
        }
        put_on(draft, &id)?;
        draft.put(endpoint::outlet(&Described {
            id: &id,
            endpoint,
            path: &format!("/jaws/monitor/outlets/{}", outlet.originalid),
            uuid: "",
            name: &outlet.name,
            subtype: "",
            cards: &[],
            actions: &[],
            more: outlet.more(),
        }))?;
    }
    Ok(())
}

/// A component that is on, as SMD shows everything of a PDU.
fn put_on(draft: &mut Draft<'_>, id: &Location) -> Result<(), Refusal> {
    let there = draft.inventory().components.get(id.as_str());
    let there = there.map_or_else(|| Component::at(id.clone()), |there| Component::clone(&there));
    Ok(draft.put(Component { state: "On".to_owned(), flag: String::new(), ..there })?)
}
