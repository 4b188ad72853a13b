//! What metadata-service says of itself.

use hyper::StatusCode;
use serde_json::json;

use crate::openchami::api::{Ask, Reply};

/// `GET /health`
pub fn get(_: &Ask<'_>) -> Reply {
    let version = env!("CARGO_PKG_VERSION");
    Reply::json(StatusCode::OK, &json!({"service": "metadata-service", "status": "ok", "version": version}))
}
