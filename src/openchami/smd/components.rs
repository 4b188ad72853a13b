//! `State/Components`: what is there, by location, by node number, by filter.

use std::sync::Arc;

use hyper::StatusCode;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::filters::{Fields, Filter};
use super::{Answer, Refusal, body};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{Component, Index, Inventory};
use crate::openchami::xname::Location;

/// A component as SMD shows it: empty texts are left out, and so is the number of what has none.
#[derive(Serialize)]
struct Shown<'c> {
    #[serde(rename = "ID")]
    id: &'c str,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "State", skip_serializing_if = "str::is_empty")]
    state: &'c str,
    #[serde(rename = "Flag", skip_serializing_if = "str::is_empty")]
    flag: &'c str,
    #[serde(rename = "Enabled", skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(rename = "SoftwareStatus", skip_serializing_if = "str::is_empty")]
    software_status: &'c str,
    #[serde(rename = "Role", skip_serializing_if = "str::is_empty")]
    role: &'c str,
    #[serde(rename = "SubRole", skip_serializing_if = "str::is_empty")]
    sub_role: &'c str,
    #[serde(rename = "NID", skip_serializing_if = "Option::is_none")]
    nid: Option<i64>,
    #[serde(rename = "Subtype", skip_serializing_if = "str::is_empty")]
    subtype: &'c str,
    #[serde(rename = "NetType", skip_serializing_if = "str::is_empty")]
    net_type: &'c str,
    #[serde(rename = "Arch", skip_serializing_if = "str::is_empty")]
    arch: &'c str,
    #[serde(rename = "Class", skip_serializing_if = "str::is_empty")]
    class: &'c str,
    #[serde(rename = "ReservationDisabled", skip_serializing_if = "std::ops::Not::not")]
    reservation_disabled: bool,
    #[serde(rename = "Locked", skip_serializing_if = "std::ops::Not::not")]
    locked: bool,
}

impl<'c> Shown<'c> {
    fn of(component: &'c Component, fields: Fields) -> Self {
        let all = fields == Fields::All;
        let when = |shown: bool, text: &'c str| if shown { text } else { "" };
        Self {
            id: component.id.as_str(),
            kind: component.id.kind(),
            state: when(all || fields == Fields::State, &component.state),
            flag: when(matches!(fields, Fields::All | Fields::State | Fields::Flag), &component.flag),
            enabled: all.then_some(component.enabled),
            software_status: when(all, &component.software_status),
            role: when(all || fields == Fields::Role, &component.role),
            sub_role: when(all || fields == Fields::Role, &component.sub_role),
            nid: component.nid.filter(|_| all || fields == Fields::Nid),
            subtype: when(all, &component.subtype),
            net_type: when(all, &component.net_type),
            arch: when(all, &component.arch),
            class: when(all, &component.class),
            reservation_disabled: all && component.reservation_disabled,
            locked: all && component.locked,
        }
    }
}

/// `{"Components":[…]}`, written without a copy of the components.
#[derive(Serialize)]
struct List<'c> {
    #[serde(rename = "Components")]
    components: Items<'c>,
}

struct Items<'c>(&'c [Arc<Component>], Fields);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|component| Shown::of(component, self.1)))
    }
}

fn list_reply(components: &[Arc<Component>], fields: Fields) -> Reply {
    Reply::json(StatusCode::OK, &List { components: Items(components, fields) })
}

pub(super) fn list(ask: &Ask<'_>) -> Answer {
    let filter = Filter::of_query(ask.request)?;
    Ok(list_reply(&filter.components(ask.inventory()), filter.fields))
}

pub(super) fn one(ask: &Ask<'_>) -> Answer {
    let id = ask.variable("xname").parse::<Location>().ok();
    match id.and_then(|id| ask.inventory().components.get(id.as_str())) {
        Some(component) => Ok(Reply::json(StatusCode::OK, &Shown::of(&component, Fields::All))),
        None => Err(Refusal::not_found("no such xname.")),
    }
}

pub(super) fn by_nid(ask: &Ask<'_>) -> Answer {
    let nid: i64 =
        ask.variable("nid").parse().map_err(|_| Refusal::bad("a required argument was not an integer"))?;
    if nid < 0 {
        return Err(Refusal::bad("An argument was out of range"));
    }
    // Numbers need not be unique; a node comes before what only has a number by accident.
    let inventory = ask.inventory();
    let found: Vec<Arc<Component>> = inventory.find(Index::Nid, &nid.to_string()).collect();
    match found.iter().find(|component| component.id.is_node()).or(found.first()) {
        Some(component) => Ok(Reply::json(StatusCode::OK, &Shown::of(component, Fields::All))),
        None => Err(Refusal::not_found("no such NID.")),
    }
}

/// The texts in a member of a body that is a list.
fn texts<'b>(body: &'b Map<String, Value>, name: &str) -> Vec<&'b str> {
    let list = body.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

pub(super) fn query_nids(ask: &Ask<'_>) -> Answer {
    let body: Map<String, Value> = body(ask)?;
    let ranges = texts(&body, "nidranges");
    if ranges.is_empty() {
        return Err(Refusal::bad("Missing NID ranges"));
    }
    let mut filter = Filter::of_body(&body)?;
    for range in ranges {
        filter.nid_range(range)?;
    }
    Ok(list_reply(&filter.components(ask.inventory()), filter.fields))
}

/// A component and everything below it, in order; `s0` and `all` are the whole system.
fn with_descendants(inventory: &Inventory, id: &str) -> Result<Vec<Arc<Component>>, Refusal> {
    if matches!(id, "s0" | "all") {
        return Ok(inventory.components.iter().collect());
    }
    let id: Location = id.parse().map_err(|_| Refusal::bad("invalid xname"))?;
    // `x1c0s1` is above `x1c0s1b0`, not above `x1c0s10`.
    let below = |component: &Arc<Component>| {
        component
            .id
            .as_str()
            .strip_prefix(id.as_str())
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    Ok(inventory.components.with_prefix(id.as_str()).filter(below).collect())
}

pub(super) fn query(ask: &Ask<'_>) -> Answer {
    let body: Map<String, Value> = body(ask)?;
    let ids = texts(&body, "componentids");
    if ids.is_empty() {
        return Err(Refusal::bad("Missing IDs"));
    }
    let filter = Filter::of_body(&body)?;
    let mut found = std::collections::BTreeMap::new();
    for id in ids {
        for component in with_descendants(ask.inventory(), id)? {
            found.insert(component.id.to_string(), component);
        }
    }
    let wanted = found.into_values().filter(|component| filter.admits(ask.inventory(), component));
    Ok(list_reply(&wanted.collect::<Vec<_>>(), filter.fields))
}

pub(super) fn query_below(ask: &Ask<'_>) -> Answer {
    let filter = Filter::of_query(ask.request)?;
    let all = with_descendants(ask.inventory(), ask.variable("xname"))?;
    let wanted = all.into_iter().filter(|component| filter.admits(ask.inventory(), component));
    Ok(list_reply(&wanted.collect::<Vec<_>>(), filter.fields))
}
