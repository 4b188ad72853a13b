//! `/health` and `/service`: whether boot-service runs.

use hyper::StatusCode;
use serde_json::json;

use crate::openchami::api::{Ask, Reply};

/// Name that the reference answers with on `/service`.
const NAME: &str = "boot-script-service";

/// `GET /health`
pub fn health(_: &Ask<'_>) -> Reply {
    Reply::json(StatusCode::OK, &json!({"status": "ok", "service": "boot-service"}))
}

/// `GET /service/status`
pub fn status(ask: &Ask<'_>) -> Reply {
    Reply::json(
        StatusCode::OK,
        &json!({
            "service_name": NAME,
            "service_version": env!("CARGO_PKG_VERSION"),
            "service_status": "running",
            "details": {"timestamp": ask.time()},
        }),
    )
}

/// `GET /service/version`
pub fn version(_: &Ask<'_>) -> Reply {
    let version = json!({"service_name": NAME, "service_version": env!("CARGO_PKG_VERSION")});
    Reply::json(StatusCode::OK, &version)
}
