//! What bootlace adds to the services' interfaces. Commands reach it through the control socket.

use hyper::{Method, StatusCode};
use serde_json::json;

use super::api::Ask;
use super::api::message::Reply;
use super::api::route::{Access, BULK, Handler, Route, SMALL, Service};
use super::inventory::Draft;
use super::transfer::{self, Files};

/// Its routes.
pub const ROUTES: &[Route] = &[
    Route {
        service: Service::Own,
        method: Method::GET,
        path: "/export",
        access: Access::Local,
        limit: SMALL,
        summary: "Everything that the store holds, as files by name",
        handler: Handler::Read(export),
    },
    Route {
        service: Service::Own,
        method: Method::POST,
        path: "/import",
        access: Access::Local,
        limit: BULK,
        summary: "Store what files by name hold, all of it or nothing",
        handler: Handler::Write(import),
    },
];

fn export(ask: &Ask<'_>) -> Reply {
    Reply::json(StatusCode::OK, &transfer::export(ask.inventory()))
}

fn import(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let files: Files = match serde_json::from_slice(&ask.request.body) {
        Ok(files) => files,
        Err(error) => return ask.refuse(StatusCode::BAD_REQUEST, &format!("error decoding JSON {error}")),
    };
    match transfer::import(&files, draft) {
        Ok(records) => Reply::json(StatusCode::OK, &json!({"records": records})),
        Err(error @ transfer::ImportError::Record { .. }) => {
            ask.refuse(StatusCode::CONFLICT, &error.to_string())
        }
        Err(error) => ask.refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}
