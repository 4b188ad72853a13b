//! What cloud-init's server says of itself.

use hyper::StatusCode;
use serde_json::json;

use crate::openchami::api::{Ask, Reply};

/// `GET /version`
pub fn version(_: &Ask<'_>) -> Reply {
    let version = env!("CARGO_PKG_VERSION");
    let body =
        json!({"process_name": "bootlace", "build_info": format!("Version: {version}"), "version": version});
    Reply::json(StatusCode::OK, &body)
}
