//! `Inventory/RedfishEndpoints`: BMCs and other controllers. Writing one also writes what it manages.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::redfish_body::{Body, Names, checked_address, checked_mac};
use super::redfish_discovery::{Cards, store_managed};
use super::{Answer, Refusal, Remarks, body, deleted, location, plain, remove_all, values};
use crate::openchami::api::json::{Keys, form};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{Component, ComponentEndpoint, Draft, Index, Inventory, RedfishEndpoint};
use crate::openchami::xname::Location;

const COLLECTION: &str = "/hsm/v2/Inventory/RedfishEndpoints";

/// An endpoint as SMD shows it, but for the password, which nobody is shown.
fn shown(record: &RedfishEndpoint) -> Value {
    let mut shown = Map::new();
    let mut member = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    member("ID", record.id.as_str().into());
    member("Type", record.id.kind().into());
    if !record.name.is_empty() {
        member("Name", record.name.as_str().into());
    }
    member("Hostname", record.hostname.as_str().into());
    member("Domain", record.domain.as_str().into());
    member("FQDN", record.fqdn.as_str().into());
    member("Enabled", record.enabled.into());
    let optional = [("UUID", &record.uuid), ("MACAddr", &record.mac_addr)];
    let more = [("IPAddress", &record.ip_address), ("TemplateID", &record.template_id)];
    for (name, text) in optional.into_iter().chain(more).filter(|(_, text)| !text.is_empty()) {
        member(name, text.as_str().into());
    }
    member("User", record.user.as_str().into());
    member("Password", "".into());
    for (name, set) in [("UseSSDP", record.use_ssdp), ("MACRequired", record.mac_required)] {
        if set {
            member(name, true.into());
        }
    }
    member("RediscoverOnUpdate", record.rediscover_on_update.into());
    member("DiscoveryInfo", record.discovery_info.clone().into());
    shown.into()
}

fn list_of(records: &[Arc<RedfishEndpoint>]) -> Reply {
    let shown: Vec<Value> = records.iter().map(|record| shown(record)).collect();
    Reply::json(StatusCode::OK, &json!({"RedfishEndpoints": shown}))
}

pub(super) fn list(ask: &Ask<'_>) -> Answer {
    let (inventory, request) = (ask.inventory(), ask.request);
    let values_of = |name: &'static str| -> Vec<&str> { request.parameters(name).collect() };
    let ids: Vec<Location> = {
        let wrong = |text: &str| Refusal::bad(format!("bad query param: '{text}' is not an xname"));
        let read = |text: &str| text.parse().map_err(|_| wrong(text));
        request.parameters("id").map(read).collect::<Result<_, _>>()?
    };
    let mut kinds = Vec::new();
    for text in request.parameters("type") {
        let wrong = || Refusal::bad("bad query param: Argument was not a valid HMS Type");
        kinds.push(values::hms_type(text).ok_or_else(wrong)?);
    }
    let (fqdns, uuids, statuses) = (values_of("fqdn"), values_of("uuid"), values_of("laststatus"));
    let (macs, addresses) = (values_of("macaddr"), values_of("ipaddress"));
    let same_address = |text: &str, record: &RedfishEndpoint| {
        let address = text.parse::<IpAddr>();
        text == record.ip_address || address.is_ok() && address.ok() == record.ip_address.parse().ok()
    };
    let status = |record: &RedfishEndpoint| {
        let status = record.discovery_info.get("LastDiscoveryStatus").and_then(Value::as_str);
        status.unwrap_or_default().to_owned()
    };
    let matches = |record: &Arc<RedfishEndpoint>| {
        (ids.is_empty() || ids.contains(&record.id))
            && (fqdns.is_empty() || fqdns.contains(&record.fqdn.as_str()))
            && (kinds.is_empty() || kinds.contains(&record.id.kind()))
            && (uuids.is_empty() || uuids.contains(&record.uuid.as_str()))
            && (macs.is_empty() || macs.iter().any(|mac| mac.eq_ignore_ascii_case(&record.mac_addr)))
            && (addresses.is_empty() || addresses.iter().any(|text| same_address(text, record)))
            && (statuses.is_empty() || statuses.contains(&status(record).as_str()))
    };
    let candidates: Vec<Arc<RedfishEndpoint>> = if !ids.is_empty() {
        ids.iter().filter_map(|id| inventory.redfish_endpoints.get(id.as_str())).collect()
    } else if !fqdns.is_empty() {
        let terms = fqdns.iter().map(|fqdn| fqdn.to_ascii_lowercase());
        terms.flat_map(|term| inventory.find(Index::Fqdn, &term).collect::<Vec<_>>()).collect()
    } else {
        inventory.redfish_endpoints.iter().collect()
    };
    Ok(list_of(&candidates.into_iter().filter(matches).collect::<Vec<_>>()))
}

/// `Query/all` and `Query/s0` are the list; the reference knows no other query either.
pub(super) fn query(ask: &Ask<'_>) -> Answer {
    match ask.variable("xname") {
        "all" | "s0" => Ok(list_of(&ask.inventory().redfish_endpoints.iter().collect::<Vec<_>>())),
        _ => Err(Refusal::bad("not yet implemented")),
    }
}

pub(super) fn one(ask: &Ask<'_>) -> Answer {
    let id = ask.variable("xname").parse::<Location>().ok();
    match id.and_then(|id| ask.inventory().redfish_endpoints.get(id.as_str())) {
        Some(record) => Ok(Reply::json(StatusCode::OK, &shown(&record))),
        None => Err(Refusal::not_found("no such xname.")),
    }
}

/// The location of an endpoint, which not everything can be.
fn endpoint_location(text: &str) -> Result<Location, String> {
    if text.trim().is_empty() {
        return Err("No xname ID found".to_owned());
    }
    let id: Location = text.parse().map_err(|_| format!("{text} is not a valid locational xname ID"))?;
    match id.is_endpoint() {
        true => Ok(id),
        false => Err(format!("xname ID {id} has wrong type for RF endpoint: {}", id.kind())),
    }
}

/// Full names are unique.
fn unique_name(inventory: &Inventory, record: &RedfishEndpoint) -> Result<(), Refusal> {
    let term = record.fqdn.to_ascii_lowercase();
    match inventory.keys(Index::Fqdn, &term).any(|key| key != record.id.as_str()) {
        true => Err(same_endpoint()),
        false => Ok(()),
    }
}

fn same_endpoint() -> Refusal {
    Refusal::conflict("resource that has the same FQDN or xname ID")
}

pub(super) fn add(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let mut document: Map<String, Value> = body(ask)?;
    let list = document.remove("redfishendpoints");
    let several = list.is_some();
    let bodies: Vec<Body> = match list {
        Some(list) => form(list, Keys { loose: true, free: &[] })?,
        None => vec![form(document.into(), Keys { loose: true, free: &[] })?],
    };
    if bodies.is_empty() {
        return Err(Refusal::bad("Missing RedfishEndpoints"));
    }
    let (mut uris, mut remarks) = (Vec::new(), Remarks::default());
    for (at, body) in bodies.iter().enumerate() {
        let wrong = |what: String| match several {
            true => Refusal::bad(format!("couldn't validate endpoint data at idx {at}: {what}")),
            false => Refusal::bad(format!("couldn't validate endpoint data: {what}")),
        };
        let id = endpoint_location(&body.id).map_err(wrong)?;
        let endpoints = &draft.inventory().redfish_endpoints;
        let there = endpoints.get(id.as_str());
        // The endpoint of a file may be sent by whoever has the file.
        if there.is_some() && endpoints.filed(id.as_str()).is_none() {
            return Err(same_endpoint());
        }
        let record = body.record(id.clone(), there.as_deref()).map_err(wrong)?;
        unique_name(draft.inventory(), &record)?;
        draft.put(record)?;
        store_managed(ask, draft, &id, body, Cards::Keep, &mut remarks)?;
        uris.push(format!("{COLLECTION}/{id}"));
    }
    Ok(remarks.on(Reply::created(&uris, COLLECTION)))
}

pub(super) fn put(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let mut body: Body = body(ask)?;
    let wrong = |what: String| Refusal::bad(format!("couldn't validate endpoint data: {what}"));
    if body.id.is_empty() {
        ask.variable("xname").clone_into(&mut body.id);
    }
    let id = endpoint_location(&body.id).map_err(wrong)?;
    if ask.variable("xname").parse() != Ok(id.clone()) {
        return Err(Refusal::bad("xname in URL and PUT body do not match"));
    }
    let there = draft.inventory().redfish_endpoints.get(id.as_str());
    let record = body.record(id.clone(), there.as_deref()).map_err(wrong)?;
    unique_name(draft.inventory(), &record)?;
    draft.put(record)?;
    let mut remarks = Remarks::default();
    store_managed(ask, draft, &id, &body, Cards::Move, &mut remarks)?;
    stored(draft, &id).map(|reply| remarks.on(reply))
}

/// The endpoint as it is now.
fn stored(draft: &Draft<'_>, id: &Location) -> Answer {
    match draft.inventory().redfish_endpoints.get(id.as_str()) {
        Some(record) => Ok(Reply::json(StatusCode::OK, &shown(&record))),
        None => Err(Refusal::not_found("no such xname.")),
    }
}

pub(super) fn patch(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let text = ask.variable("xname");
    let id = endpoint_location(text).map_err(|_| Refusal::bad("xname in URL is not valid"))?;
    let given: Body = body(ask)?;
    if !given.id.is_empty() && given.id.parse() != Ok(id.clone()) {
        return Err(Refusal::bad("xname in URL and PATCH body do not match"));
    }
    let there = draft.inventory().redfish_endpoints.get(id.as_str());
    let there = there.ok_or_else(|| Refusal::not_found(format!("No such entry: {text}")))?;
    let mut record = RedfishEndpoint::clone(&there);
    let wrong = |what: String| Refusal::bad(format!("couldn't validate endpoint data: {what}"));
    let texts = [
        ("Name", &given.name, &mut record.name),
        ("UUID", &given.uuid, &mut record.uuid),
        ("User", &given.user, &mut record.user),
        ("Password", &given.password, &mut record.password),
        ("TemplateID", &given.templateid, &mut record.template_id),
    ];
    for (what, given, field) in texts {
        if let Some(text) = given {
            plain(what, text)?;
            field.clone_from(text);
        }
    }
    let switches = [
        (given.enabled, &mut record.enabled),
        (given.usessdp, &mut record.use_ssdp),
        (given.macrequired, &mut record.mac_required),
        (given.rediscoveronupdate, &mut record.rediscover_on_update),
    ];
    for (given, field) in switches {
        *field = given.unwrap_or(*field);
    }
    let names = patched_names(&given, &record).map_err(wrong)?;
    if let Some(mac) = &given.macaddr {
        record.mac_addr = checked_mac(mac.trim()).map_err(wrong)?;
    }
    if let Some(address) = &given.ipaddress {
        record.ip_address = checked_address(address.trim(), &names).map_err(wrong)?;
    }
    record = RedfishEndpoint { hostname: names.hostname, domain: names.domain, fqdn: names.fqdn, ..record };
    unique_name(draft.inventory(), &record)?;
    draft.put(record)?;
    stored(draft, &id)
}

/// Host, domain and full name after a PATCH: a new full name decides, else host and domain do. An endpoint
/// without host name is named after its location.
fn patched_names(given: &Body, record: &RedfishEndpoint) -> Result<Names, String> {
    let text = |given: &Option<String>| given.as_deref().map(|text| text.trim().to_owned());
    let (hostname, domain, fqdn) = (text(&given.hostname), text(&given.domain), text(&given.fqdn));
    if fqdn.is_some() {
        let given = |text: Option<String>| text.unwrap_or_default();
        return Names::of(&given(hostname), &given(domain), &given(fqdn), &record.id);
    }
    let named = hostname.is_some() || domain.is_some();
    let hostname = hostname.unwrap_or_else(|| record.hostname.clone());
    let hostname = if hostname.is_empty() { record.id.to_string() } else { hostname };
    let domain = domain.unwrap_or_else(|| record.domain.clone());
    match named {
        true => Names::of(&hostname, &domain, "", &record.id),
        false => Ok(Names { hostname, domain, fqdn: record.fqdn.clone() }),
    }
}

/// Removes the component endpoints of what an endpoint manages; the components are not populated any more. Cards
/// stay, and so does what a file states.
fn remove_children(draft: &mut Draft<'_>, id: &str) -> Result<(), Refusal> {
    let children: Vec<String> = draft.inventory().keys(Index::EndpointChild, id).map(str::to_owned).collect();
    for child in children {
        if draft.check_remove::<ComponentEndpoint>(&child).is_err() {
            continue;
        }
        draft.remove::<ComponentEndpoint>(&child)?;
        if let Some(component) = draft.inventory().components.get(&child) {
            let (state, flag) = ("Empty".to_owned(), "OK".to_owned());
            draft.put(Component { state, flag, ..Component::clone(&component) })?;
        }
    }
    Ok(())
}

pub(super) fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let id = location(ask, "Argument was not a valid xname ID")?;
    if !draft.remove::<RedfishEndpoint>(id.as_str())? {
        return Err(Refusal::not_found("no such xname."));
    }
    remove_children(draft, id.as_str())?;
    Ok(deleted(1))
}

pub(super) fn delete_all(draft: &mut Draft<'_>) -> Answer {
    let ids: Vec<String> = draft.inventory().redfish_endpoints.iter().map(|one| one.id.to_string()).collect();
    let count = remove_all::<RedfishEndpoint>(draft)?;
    for id in &ids {
        remove_children(draft, id)?;
    }
    Ok(deleted(count))
}
