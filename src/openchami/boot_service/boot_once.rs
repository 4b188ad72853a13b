//! Boot once: what a node's next boot takes in place of what selects it, and what comes after it.
//!
//! The operator names a profile or `local`. The first script that the node fetches takes it; further tries of the
//! same boot get the same. When the node says that it is done, by `/boot/v1/done` or by cloud-init's phone-home,
//! what was named to come afterwards holds from then on: usually its own disk. So a machine is installed once,
//! and an installation that failed is not repeated for ever.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::openchami::api::json::{self, Keys};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{Draft, Inventory, Owned, Runtime};
use crate::openchami::xname::Location;
use crate::records::{Mac, Snapshot, Xname};

use super::envelope::{Refusal, clean};

/// The word for the node's own disk.
pub const LOCAL: &str = "local";

#[derive(Deserialize)]
struct Said {
    /// A profile, or `local`.
    boot: String,
    /// What comes after it; `null` and absence: `local` after a profile, nothing special after `local`.
    #[serde(default)]
    then: Option<String>,
}

/// `GET /boot-once/{node}`
pub fn get(ask: &Ask<'_>) -> Reply {
    match node(ask) {
        Ok(id) => Reply::json(StatusCode::OK, &shown(&id, ask.inventory())),
        Err(refusal) => refusal.reply(ask),
    }
}

/// `PUT /boot-once/{node}`: `{"boot": "install", "then": "local"}`
pub fn put(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut set = || {
        let id = node(ask)?;
        let said: Said = json::read(&ask.request.body, Keys::default())?;
        let then =
            said.then.unwrap_or_else(|| if said.boot == LOCAL { String::new() } else { LOCAL.to_owned() });
        if said.boot.is_empty() {
            return Err(Refusal::Invalid("boot is empty: it needs to be a profile or local".to_owned()));
        }
        for (key, profile) in [("boot", &said.boot), ("then", &then)] {
            known_profile(ask.records(), key, profile)?;
        }
        let old = runtime(draft.inventory(), &id);
        draft.put(Runtime { next_boot: said.boot, taken: false, then, ..old })?;
        Ok(id)
    };
    match set() {
        Ok(id) => Reply::json(StatusCode::OK, &shown(&id, draft.inventory())),
        Err(refusal) => Refusal::reply(&refusal, ask),
    }
}

/// `DELETE /boot-once/{node}`: the node boots what selects it again.
pub fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut reset = || {
        let id = node(ask)?;
        let old = runtime(draft.inventory(), &id);
        if old.next_boot.is_empty() && old.then.is_empty() {
            return Err(Refusal::NotFound(format!("nothing is asked for the next boot of {id}")));
        }
        draft.put(Runtime { next_boot: String::new(), taken: false, then: String::new(), ..old })?;
        Ok(id)
    };
    match reset() {
        Ok(id) => Reply::json(StatusCode::OK, &shown(&id, draft.inventory())),
        Err(refusal) => Refusal::reply(&refusal, ask),
    }
}

/// `/boot/v1/done`: the node that asks finished the boot that was asked for. `mac=` may say which card it boots
/// from, but only one of its own.
pub fn done_by_node(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let Some(id) = &ask.request.asker.node else {
        let text = format!("{} is no known node's address", ask.request.asker.address);
        return ask.refuse(StatusCode::FORBIDDEN, &text);
    };
    if let Some(text) = ask.request.parameter("mac").filter(|text| !text.is_empty()) {
        let cards = draft.inventory().cards_of(id);
        let own = |mac: Mac| cards.iter().any(|card| card.mac == mac.to_string());
        if !text.parse::<Mac>().is_ok_and(own) {
            let text = format!("{} is no card of the node that asks, {id}", text.escape_debug());
            return ask.refuse(StatusCode::FORBIDDEN, &text);
        }
    }
    match finish(draft, id) {
        Ok(changed) => {
            let text = if changed {
                "done: the next boot is what was asked to follow"
            } else {
                "nothing was asked for"
            };
            Reply {
                detail: Some(text.to_owned()),
                ..Reply::json(StatusCode::OK, &shown(id, draft.inventory()))
            }
        }
        Err(owned) => ask.refuse(StatusCode::CONFLICT, &owned.to_string()),
    }
}

/// A node is up: if that is the boot it was asked for, what was to follow holds from now on. The system that ran
/// before may call as well, so the boot has to have begun. False: nothing was asked for, or it is not that boot.
pub fn done(draft: &mut Draft<'_>, id: &str) -> Result<bool, Owned> {
    if !runtime(draft.inventory(), id).taken {
        return Ok(false);
    }
    finish(draft, id)
}

/// The boot that was asked for is done, says who knows.
fn finish(draft: &mut Draft<'_>, id: &str) -> Result<bool, Owned> {
    let old = runtime(draft.inventory(), id);
    if old.next_boot.is_empty() {
        return Ok(false);
    }
    draft.put(Runtime { next_boot: String::new(), taken: false, ..old })?;
    Ok(true)
}

/// A node fetched the script of its next boot: the boot after it is another one.
pub fn take(draft: &mut Draft<'_>, id: &str) -> Result<(), Owned> {
    let old = runtime(draft.inventory(), id);
    // `local` has nothing that could say it is done.
    let taken = match old.next_boot.as_str() {
        "" => return Ok(()),
        LOCAL => Runtime { next_boot: String::new(), taken: false, ..old },
        _ => Runtime { taken: true, ..old },
    };
    draft.put(taken)
}

fn runtime(inventory: &Inventory, id: &str) -> Runtime {
    let known = inventory.runtime.get(id);
    known.map_or_else(|| Runtime { id: id.to_owned(), ..Runtime::default() }, |known| Runtime::clone(&known))
}

fn shown(id: &str, inventory: &Inventory) -> Value {
    let Runtime { next_boot, taken, then, .. } = runtime(inventory, id);
    json!({"node": id, "boot": next_boot, "taken": taken, "then": then})
}

/// The xname of the node that the path names: by xname, name or MAC.
fn node(ask: &Ask<'_>) -> Result<String, Refusal> {
    let text = ask.variable("node");
    let records = ask.records();
    let found = text.parse::<Location>().ok().and_then(|at| at.as_str().parse::<Xname>().ok());
    let found = found.and_then(|xname| records.by_xname(&xname));
    let found = found.or_else(|| records.by_name(text));
    let found = found.or_else(|| text.parse::<Mac>().ok().and_then(|mac| records.by_mac(mac)));
    let Some(node) = found else {
        return Err(Refusal::NotFound(format!("no node has the xname, name or MAC {text}")));
    };
    match &node.xname {
        Some(xname) => Ok(xname.to_string()),
        None => Err(Refusal::Conflict(format!(
            "{text} has no xname in its record, which is what this is kept by"
        ))),
    }
}

/// Refuses a profile that no boot entry is for: the node would boot as always.
fn known_profile(records: &Snapshot, key: &str, profile: &str) -> Result<(), Refusal> {
    clean(key, profile)?;
    if profile.is_empty() || profile == LOCAL || records.has_profile(profile) {
        return Ok(());
    }
    Err(Refusal::Invalid(format!(
        "no boot entry is for the profile {profile} ({key}): add one with `profile: {profile}`, or say local"
    )))
}
