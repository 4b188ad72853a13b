//! Whether SMD runs, and the words it knows.

use hyper::StatusCode;
use serde_json::{Map, Value};

use super::values::{self, ARCHS, CLASSES, FLAGS, NET_TYPES, ROLES, STATES, SUB_ROLES};
use crate::openchami::api::{Ask, Reply, route};

/// What the records are in memory for: they can always be read.
pub(super) fn ready(_: &Ask<'_>) -> Reply {
    Reply::message("HSM is healthy")
}

pub(super) fn liveness(_: &Ask<'_>) -> Reply {
    Reply::no_content()
}

/// Names of the enumerations, each with its words in a fixed order.
fn all() -> [(&'static str, Vec<&'static str>); 8] {
    [
        ("Arch", ARCHS.to_vec()),
        ("Class", CLASSES.to_vec()),
        ("Flag", FLAGS.to_vec()),
        ("NetType", NET_TYPES.to_vec()),
        ("Role", ROLES.to_vec()),
        ("State", STATES.to_vec()),
        ("SubRole", SUB_ROLES.to_vec()),
        ("Type", values::types().collect()),
    ]
}

fn document(enumerations: impl Iterator<Item = (&'static str, Vec<&'static str>)>) -> Reply {
    let members: Map<String, Value> =
        enumerations.map(|(name, words)| (name.to_owned(), words.into())).collect();
    Reply::json(StatusCode::OK, &members)
}

pub(super) fn values(_: &Ask<'_>) -> Reply {
    document(all().into_iter())
}

pub(super) fn values_of(ask: &Ask<'_>) -> Reply {
    let kind = ask.variable("kind");
    match all().into_iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)) {
        Some(found) => document(std::iter::once(found)),
        None => route::not_found(),
    }
}
