//! SMD, the state management database: components and their states, Redfish endpoints and what they say of
//! themselves, network cards, groups, partitions.
//!
//! One file a resource, each a set of pure functions from a request and the records to a reply. A handler that
//! refuses has changed nothing, whatever it wrote before it found out.

mod component_endpoints;
mod component_writes;
mod components;
mod ethernet_interfaces;
mod filters;
mod groups;
mod interface_addresses;
mod memberships;
mod partitions;
mod redfish_body;
mod redfish_discovery;
mod redfish_endpoints;
mod routes;
mod service;
pub mod values;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use hyper::StatusCode;
use serde::de::DeserializeOwned;

use super::api::json::{self, BadJson, Keys};
use super::api::{Ask, Reply};
use super::inventory::{Draft, HasTable, Inventory, Owned, Record};
use super::xname::Location;

pub use routes::ROUTES;

/// What a handler decided.
type Answer = Result<Reply, Refusal>;

/// Why a request is refused: in the reply's `detail`, for a person.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    detail: String,
}

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The conflict of something that is there already; `with` in SMD's words.
    fn conflict(with: &str) -> Self {
        Self::new(StatusCode::CONFLICT, format!("operation would conflict with an existing {with}."))
    }

    /// Several records that files state: all are named, as far as a message can hold them.
    fn owned(problems: &[Owned]) -> Self {
        const NAMED: usize = 20;
        let mut detail = String::new();
        for problem in problems.iter().take(NAMED) {
            let separator = if detail.is_empty() { "" } else { "; " };
            let _ = write!(detail, "{separator}{problem}");
        }
        if problems.len() > NAMED {
            let _ = write!(detail, "; and {} more", problems.len() - NAMED);
        }
        Self::new(StatusCode::CONFLICT, detail)
    }
}

impl From<Owned> for Refusal {
    fn from(owned: Owned) -> Self {
        Self::owned(&[owned])
    }
}

impl From<BadJson> for Refusal {
    /// SMD answers 500 here; no bad input deserves that.
    fn from(error: BadJson) -> Self {
        Self::bad(error.to_string())
    }
}

fn reply(answer: Answer) -> Reply {
    answer.unwrap_or_else(|refusal| Reply::problem(refusal.status, &refusal.detail))
}

/// Reads a body whose field names are lower case without `_` and `-`.
fn body<T: DeserializeOwned>(ask: &Ask<'_>) -> Result<T, Refusal> {
    Ok(json::read(&ask.request.body, Keys { loose: true, free: &[] })?)
}

/// Refuses control characters in texts that end up in scripts, logs and file names.
fn plain(what: &str, text: &str) -> Result<(), Refusal> {
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(Refusal::bad(format!("{what} holds the control character {c:?}"))),
        None => Ok(()),
    }
}

/// The location in the path, where SMD answers `invalid` with 400.
fn location(ask: &Ask<'_>, invalid: &str) -> Result<Location, Refusal> {
    ask.variable("xname").parse().map_err(|_| Refusal::bad(invalid))
}

/// `deleted N entries`, as SMD counts them.
fn deleted(count: usize) -> Reply {
    match count {
        1 => Reply::message("deleted 1 entry"),
        count => Reply::message(&format!("deleted {count} entries")),
    }
}

/// Removes every record of a table: all, or none because a file states one of them. Gives their number.
fn remove_all<R: Record>(draft: &mut Draft<'_>) -> Result<usize, Refusal>
where
    Inventory: HasTable<R>,
{
    let table = HasTable::<R>::table(draft.inventory());
    let stated: Vec<Owned> =
        table.filed_keys().filter_map(|key| draft.check_remove::<R>(key).err()).collect();
    if !stated.is_empty() {
        return Err(Refusal::owned(&stated));
    }
    let keys: Vec<String> = table.iter().map(|record| record.key().into_owned()).collect();
    for key in &keys {
        draft.remove::<R>(key)?;
    }
    match keys.len() {
        0 => Err(Refusal::not_found("no entries to delete")),
        count => Ok(count),
    }
}

/// What a write did besides what was asked, for the log.
#[derive(Default)]
struct Remarks(Vec<String>);

impl Remarks {
    fn add(&mut self, remark: String) {
        // The log line of one request has an end.
        const KEPT: usize = 20;
        if self.0.len() < KEPT {
            self.0.push(remark);
        }
    }

    fn on(self, reply: Reply) -> Reply {
        if self.0.is_empty() { reply } else { Reply { detail: Some(self.0.join("; ")), ..reply } }
    }
}
