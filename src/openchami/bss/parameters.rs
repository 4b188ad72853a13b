//! `/bootparameters`: who boots what, as sets of parameters with `hosts`, `macs` and `nids`.
//!
//! A set is a view: identifiers whose units boot the same are shown together, whatever units they are in. Unlike
//! the reference a write takes all identifiers that it is given, not the first kind alone, and one without any is
//! refused: it would change every node.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{BootUnit, Draft, Inventory, Owned};

use super::assign::{Content, assign, check_files, current};
use super::body::{self, Said};
use super::identifier::{self, Identifier};

/// As BSS writes it on these routes, also without a body.
pub const KIND: &str = "application/json; charset=UTF-8";

/// Why a request is refused.
#[derive(Debug)]
pub struct Refused {
    /// Status.
    pub status: StatusCode,
    /// What is wrong.
    pub detail: String,
}

impl Refused {
    /// 400 with BSS's beginning of the detail.
    pub fn bad(detail: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, detail: format!("Bad Request: {detail}") }
    }
}

impl From<Owned> for Refused {
    fn from(owned: Owned) -> Self {
        Self { status: StatusCode::CONFLICT, detail: owned.to_string() }
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        Reply::problem(refused.status, &refused.detail)
    }
}

/// `GET`: everything, or what the query or else the body asks for.
pub fn get(ask: &Ask<'_>) -> Reply {
    let inventory = ask.inventory();
    let asked = match body::asked(ask.request) {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            let sets = all(inventory);
            // The reference has no empty list here, and its clients expect none.
            return if sets.is_empty() { json(&Value::Null) } else { json(&sets) };
        }
        Err(refused) => return refused.into(),
    };
    let named = asked.identifiers.into_iter().flat_map(|identifier| {
        identifier.units(inventory).into_iter().map(move |unit| (unit, Some(identifier.clone())))
    });
    let sets = sets(named);
    if sets.is_empty() {
        let detail = format!("Cannot find boot parameters for requested {}", asked.kinds);
        return Reply::problem(StatusCode::NOT_FOUND, &detail);
    }
    json(&sets)
}

/// All sets, oldest first.
pub fn all(inventory: &Inventory) -> Vec<impl Serialize + use<>> {
    let mut units: Vec<Arc<BootUnit>> = inventory.boot_units.iter().collect();
    units.sort_by(|a, b| {
        let (a, b) = (&a.metadata, &b.metadata);
        a.created_at.cmp(&b.created_at).then_with(|| a.uid.cmp(&b.uid))
    });
    sets(units.into_iter().flat_map(|unit| {
        // A unit for groups alone is shown without identifiers: what it boots is no secret.
        let named: Vec<_> = identifier::of(&unit).map(Some).collect();
        let named = if named.is_empty() { vec![None] } else { named };
        named.into_iter().map(move |identifier| (Arc::clone(&unit), identifier))
    }))
}

/// A set as it is shown.
#[derive(Serialize, Default)]
struct Set {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    macs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nids: Vec<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    params: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    kernel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    initrd: String,
    #[serde(rename = "cloud-init")]
    cloud_init: Value,
}

/// Puts together what boots the same.
fn sets(named: impl Iterator<Item = (Arc<BootUnit>, Option<Identifier>)>) -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut seen: HashSet<(usize, Identifier)> = HashSet::new();
    // Units come in a row, so most are looked up once.
    let mut last: Option<(Arc<BootUnit>, usize)> = None;
    for (unit, identifier) in named {
        let place = match &last {
            Some((known, place)) if Arc::ptr_eq(known, &unit) => *place,
            _ => *places.entry(unit.content_key()).or_insert_with(|| {
                let Content { kernel, initrd, params, cloud_init } = Content::of(&unit);
                let cloud_init = body::cloud_init_shown(&cloud_init);
                sets.push(Set { params, kernel, initrd, cloud_init, ..Set::default() });
                sets.len() - 1
            }),
        };
        last = Some((unit, place));
        let Some(identifier) = identifier else { continue };
        if !seen.insert((place, identifier.clone())) {
            continue;
        }
        let set = &mut sets[place];
        match identifier {
            Identifier::Host(text) | Identifier::Role(text) => set.hosts.push(text),
            Identifier::Mac(mac) => set.macs.push(mac),
            Identifier::Nid(nid) => set.nids.push(nid),
        }
    }
    sets
}

fn json(value: &impl Serialize) -> Reply {
    Reply { kind: KIND, ..Reply::json(StatusCode::OK, value) }
}

/// `POST`: parameters for identifiers that have none; those that have some keep them.
pub fn post(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut posted = || -> Result<(), Refused> {
        let said = Said::read(&ask.request.body)?;
        let identifiers = said.node_identifiers()?;
        if said.kernel.is_empty() {
            return Err(Refused::bad("could not create boot parameters: kernel URI cannot be blank"));
        }
        let content = said.over(Content::default());
        let wanted: Vec<_> = identifiers.into_iter().map(|id| (id, Some(content.clone()))).collect();
        let stated = check_files(draft, &wanted)?;
        let mut fresh = wanted;
        fresh.retain(|(identifier, _)| identifier.units(draft.inventory()).is_empty());
        if fresh.is_empty() && stated.is_empty() {
            return Err(Refused::bad(
                "data already exists for every identifier; use PUT or PATCH to change it",
            ));
        }
        Ok(assign(draft, fresh, &ask.time())?)
    };
    written(ask, StatusCode::CREATED, posted())
}

/// `PUT`: what is given replaces what is there, what is blank stays; unknown identifiers are added.
pub fn put(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut put = || -> Result<(), Refused> {
        let said = Said::read(&ask.request.body)?;
        let identifiers = said.identifiers()?;
        if said.is_blank() {
            return Err(Refused::bad("No data: it needs kernel, initrd or params"));
        }
        let mut wanted = Vec::with_capacity(identifiers.len());
        for identifier in identifiers {
            let content = said.over(current(draft.inventory(), &identifier).unwrap_or_default());
            if content.kernel.is_empty() {
                return Err(Refused::bad(format!("No data: {identifier} is new, so it needs a kernel")));
            }
            wanted.push((identifier, Some(content)));
        }
        change(ask, draft, wanted)
    };
    written(ask, StatusCode::OK, put())
}

/// `PATCH`: as PUT, for identifiers that have parameters already.
pub fn patch(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut patched = || -> Result<(), Refused> {
        let said = Said::read(&ask.request.body)?;
        let identifiers = said.identifiers()?;
        let not_found = |detail: String| Refused { status: StatusCode::NOT_FOUND, detail };
        if said.is_blank() {
            return Err(not_found(
                "Not Found: must specify at least one of params, kernel, or initrd".to_owned(),
            ));
        }
        let mut wanted = Vec::with_capacity(identifiers.len());
        let mut missing = Vec::new();
        for identifier in identifiers {
            match current(draft.inventory(), &identifier) {
                Some(content) => wanted.push((identifier, Some(said.over(content)))),
                None => missing.push(identifier),
            }
        }
        if !missing.is_empty() {
            let detail = format!("Not Found: data does not exist: {}", body::listed(&missing));
            return Err(not_found(detail));
        }
        change(ask, draft, wanted)
    };
    let reply = written(ask, StatusCode::OK, patched());
    Reply { headers: Vec::new(), ..reply }
}

/// `DELETE`: takes identifiers out; what else the body says does not matter.
pub fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut deleted = || -> Result<(), Refused> {
        let said = Said::read(&ask.request.body)?;
        let mut identifiers = said.identifiers()?;
        identifiers.retain(|identifier| !identifier.units(draft.inventory()).is_empty());
        if identifiers.is_empty() {
            return Err(Refused::bad(
                "nothing to delete: no boot parameters are stored for these identifiers",
            ));
        }
        change(ask, draft, identifiers.into_iter().map(|identifier| (identifier, None)).collect())
    };
    let reply = written(ask, StatusCode::OK, deleted());
    Reply { headers: Vec::new(), ..reply }
}

fn change(
    ask: &Ask<'_>,
    draft: &mut Draft<'_>,
    mut wanted: Vec<(Identifier, Option<Content>)>,
) -> Result<(), Refused> {
    let stated = check_files(draft, &wanted)?;
    wanted.retain(|(identifier, _)| !stated.contains(identifier));
    Ok(assign(draft, wanted, &ask.time())?)
}

/// Success has no body, and a token that the reference would refer to later; nothing depends on it.
fn written(ask: &Ask<'_>, status: StatusCode, outcome: Result<(), Refused>) -> Reply {
    match outcome {
        Ok(()) => {
            let space = uuid::Uuid::from_bytes(*ask.inventory().salt());
            let token = uuid::Uuid::new_v5(&space, ask.time().as_bytes()).to_string();
            Reply { kind: KIND, ..Reply::empty(status) }.with("bss-referral-token", &token)
        }
        Err(refused) => refused.into(),
    }
}
