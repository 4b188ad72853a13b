//! `/dumpstate` and `/endpoint-history`.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::openchami::api::{Ask, Reply};
use crate::openchami::history::Endpoint;
use crate::openchami::xname::Location;

use super::parameters::KIND;
use super::{hosts, parameters};

/// `GET /dumpstate`: all nodes and all parameters.
pub fn dumpstate(ask: &Ask<'_>) -> Reply {
    let inventory = ask.inventory();
    let dump = json!({"Components": hosts::all(inventory), "Params": parameters::all(inventory)});
    Reply { kind: KIND, ..Reply::json(StatusCode::OK, &dump) }
}

/// `GET /endpoint-history`: when a node was served what, by `name` and `endpoint` if given.
pub fn history(ask: &Ask<'_>) -> Reply {
    let given = |name| ask.request.parameter(name).filter(|value| !value.is_empty());
    let endpoint = match given("endpoint") {
        None => None,
        Some(text) => {
            match [Endpoint::Bootscript, Endpoint::UserData].iter().find(|one| one.name() == text) {
                Some(endpoint) => Some(*endpoint),
                // Nothing else is recorded.
                None => return Reply { kind: KIND, ..Reply::json(StatusCode::OK, &json!([])) },
            }
        }
    };
    let name = given("name").map(|name| name.parse::<Location>().map_or(name.to_owned(), String::from));
    let entries = ask.history.entries(name.as_deref(), endpoint);
    let list: Vec<Value> = entries
        .iter()
        .map(|entry| json!({"name": entry.node, "endpoint": entry.endpoint.name(), "last_epoch": entry.last}))
        .collect();
    Reply { kind: KIND, ..Reply::json(StatusCode::OK, &list) }
}
