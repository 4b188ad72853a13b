//! `Inventory/ComponentEndpoints`: what Redfish endpoints say of the things they manage. Read by BSS, by the
//! console service and by metadata-service; written only through the endpoints.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::{Answer, Refusal, deleted, location, remove_all, values};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{ComponentEndpoint, Draft, Index, Inventory};
use crate::openchami::xname::Location;

/// A component endpoint as SMD shows it. The name of the endpoint above is looked up now: it may have changed.
fn shown(inventory: &Inventory, record: &ComponentEndpoint) -> Value {
    let endpoint = inventory.redfish_endpoints.get(record.redfish_endpoint_id.as_str());
    let fqdn =
        endpoint.map_or_else(|| record.redfish_endpoint_id.to_string(), |endpoint| endpoint.fqdn.clone());
    let mut shown = Map::new();
    let mut member = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    member("ID", record.id.as_str().into());
    member("Type", record.id.kind().into());
    member("RedfishType", record.redfish_type.as_str().into());
    member("RedfishSubtype", record.redfish_subtype.as_str().into());
    if !record.uuid.is_empty() {
        member("UUID", record.uuid.as_str().into());
    }
    member("OdataID", record.odata_id.as_str().into());
    member("RedfishEndpointID", record.redfish_endpoint_id.as_str().into());
    member("Enabled", record.enabled.into());
    member("RedfishURL", format!("{fqdn}{}", record.odata_id).into());
    member("RedfishEndpointFQDN", fqdn.into());
    shown.extend(record.info.clone());
    shown.into()
}

pub(super) fn list(ask: &Ask<'_>) -> Answer {
    let (inventory, request) = (ask.inventory(), ask.request);
    let locations = |name: &str| -> Result<Vec<Location>, Refusal> {
        let texts = request.parameters(name);
        let wrong = |text: &str| Refusal::bad(format!("bad query param: '{text}' is not an xname"));
        texts.map(|text| text.parse().map_err(|_| wrong(text))).collect()
    };
    let (ids, above) = (locations("id")?, locations("redfish_ep")?);
    let mut kinds = Vec::new();
    for text in request.parameters("type") {
        let wrong = || Refusal::bad("bad query param: Argument was not a valid HMS Type");
        kinds.push(values::hms_type(text).ok_or_else(wrong)?);
    }
    let redfish_types: Vec<&str> = request.parameters("redfish_type").collect();
    let matches = |record: &Arc<ComponentEndpoint>| {
        (ids.is_empty() || ids.contains(&record.id))
            && (above.is_empty() || above.contains(&record.redfish_endpoint_id))
            && (kinds.is_empty() || kinds.contains(&record.id.kind()))
            && (redfish_types.is_empty() || redfish_types.contains(&record.redfish_type.as_str()))
    };
    let table = &inventory.component_endpoints;
    let candidates: Vec<Arc<ComponentEndpoint>> = if !ids.is_empty() {
        ids.iter().filter_map(|id| table.get(id.as_str())).collect()
    } else if !above.is_empty() {
        above.iter().flat_map(|id| inventory.find(Index::EndpointChild, id.as_str())).collect()
    } else {
        table.iter().collect()
    };
    let found = candidates.iter().filter(|record| matches(record)).map(|record| shown(inventory, record));
    Ok(Reply::json(StatusCode::OK, &json!({"ComponentEndpoints": found.collect::<Vec<_>>()})))
}

pub(super) fn one(ask: &Ask<'_>) -> Answer {
    let id = location(ask, "Argument was not a valid xname ID")?;
    match ask.inventory().component_endpoints.get(id.as_str()) {
        Some(record) => Ok(Reply::json(StatusCode::OK, &shown(ask.inventory(), &record))),
        None => Err(Refusal::not_found("no such xname.")),
    }
}

pub(super) fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let id = location(ask, "Argument was not a valid xname ID")?;
    if !draft.remove::<ComponentEndpoint>(id.as_str())? {
        return Err(Refusal::not_found("no such xname."));
    }
    Ok(deleted(1))
}

pub(super) fn delete_all(draft: &mut Draft<'_>) -> Answer {
    remove_all::<ComponentEndpoint>(draft).map(deleted)
}
