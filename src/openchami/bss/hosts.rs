//! `/hosts`: the nodes as BSS sees them, SMD's components with their MACs.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{Component, Index, Inventory};
use crate::openchami::xname::Location;
use crate::records::Mac;

use super::parameters::KIND;

/// `GET`: all nodes, or those that `name`, `mac` and `nid` name.
pub fn get(ask: &Ask<'_>) -> Reply {
    match asked(ask) {
        Ok(hosts) => Reply { kind: KIND, ..Reply::json(StatusCode::OK, &hosts) },
        Err((status, detail)) => Reply::problem(status, &detail),
    }
}

/// `POST`: the reference reads SMD anew; here is nothing to be read.
pub fn post(_: &Ask<'_>) -> Reply {
    Reply { kind: KIND, ..Reply::empty(StatusCode::NO_CONTENT) }
}

/// All nodes.
pub fn all(inventory: &Inventory) -> Vec<Value> {
    let nodes = inventory.components.iter().filter(|component| component.id.is_node());
    nodes.map(|component| host(inventory, &component)).collect()
}

fn asked(ask: &Ask<'_>) -> Result<Vec<Value>, (StatusCode, String)> {
    let inventory = ask.inventory();
    let values = |name: &'static str| -> Vec<String> {
        let values = ask.request.parameters(name).flat_map(|value| value.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    };
    let (names, macs, nids) = (values("name"), values("mac"), values("nid"));
    if names.is_empty() && macs.is_empty() && nids.is_empty() {
        return Ok(all(inventory));
    }
    let unknown = |what: &str, text: &str| {
        (StatusCode::NOT_FOUND, format!("Not Found - Unknown {what} '{}'", text.escape_debug()))
    };
    let mut hosts = Vec::new();
    let node = |id: &str| inventory.components.get(id).filter(|component| component.id.is_node());
    for name in &names {
        let id = name.parse::<Location>().map(String::from);
        let found = id.ok().and_then(|id| node(&id)).ok_or_else(|| unknown("host name", name))?;
        hosts.push(host(inventory, &found));
    }
    for text in &macs {
        let card = text.parse::<Mac>().ok().and_then(|mac| {
            inventory.ethernet_interfaces.get(&crate::openchami::inventory::EthernetInterface::id_of(mac))
        });
        let found = card.and_then(|card| node(&card.component_id));
        hosts.push(host(inventory, &*found.ok_or_else(|| unknown("MAC address", text))?));
    }
    for text in &nids {
        if text.parse::<i64>().is_err() {
            let detail = format!("Bad Request - Invalid nid '{}'", text.escape_debug());
            return Err((StatusCode::BAD_REQUEST, detail));
        }
        // Numbers are not unique.
        let found: Vec<_> =
            inventory.find::<Component>(Index::Nid, text).filter(|one| one.id.is_node()).collect();
        if found.is_empty() {
            return Err(unknown("NID", text));
        }
        hosts.extend(found.iter().map(|found| host(inventory, found)));
    }
    Ok(hosts)
}

fn host(inventory: &Inventory, component: &Component) -> Value {
    let id = component.id.as_str();
    // The member names are SMD's.
    let mut host = serde_json::to_value(component).unwrap_or_default();
    let macs: Vec<String> = inventory.cards_of(id).iter().map(|card| card.mac.clone()).collect();
    let endpoint = inventory.component_endpoints.get(id);
    if let Value::Object(members) = &mut host {
        members.insert("Type".to_owned(), component.id.kind().into());
        members.insert("FQDN".to_owned(), "".into());
        members.insert("MAC".to_owned(), json!(macs));
        members.insert("EndpointEnabled".to_owned(), endpoint.is_none_or(|endpoint| endpoint.enabled).into());
    }
    host
}
