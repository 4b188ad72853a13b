//! `/service`: whether BSS runs, and on what.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::openchami::api::{Ask, Reply};

fn ok(value: &Value) -> Reply {
    Reply::json(StatusCode::OK, value)
}

/// What the records are kept in. They are always answered from memory; without a state folder nothing that the
/// API is told could be kept.
fn storage(ask: &Ask<'_>) -> Value {
    let status = if ask.settings().state.is_some() { "connected" } else { "read-only" };
    json!({"name": "embedded", "status": status})
}

/// `GET …/status`
pub fn status(_: &Ask<'_>) -> Reply {
    ok(&json!({"bss-status": "running"}))
}

/// `GET …/status/all`
pub fn status_all(ask: &Ask<'_>) -> Reply {
    ok(&json!({
        "bss-version": env!("CARGO_PKG_VERSION"),
        "bss-status": "running",
        "bss-status-hsm": "connected",
        "bss-storage-backend": storage(ask),
    }))
}

/// `GET …/version`
pub fn version(_: &Ask<'_>) -> Reply {
    ok(&json!({"bss-version": env!("CARGO_PKG_VERSION")}))
}

/// `GET …/hsm`: SMD is the same process.
pub fn hsm(_: &Ask<'_>) -> Reply {
    ok(&json!({"bss-status-hsm": "connected"}))
}

/// `GET …/storage/status`
pub fn storage_status(ask: &Ask<'_>) -> Reply {
    ok(&json!({"bss-storage-backend": storage(ask)}))
}
