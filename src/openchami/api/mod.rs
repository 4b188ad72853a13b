//! The doors' side of the services: requests and replies as values, the table of routes, and the one place where
//! a request meets the records.

pub mod json;
pub mod local;
pub mod message;
pub mod route;

use std::sync::Arc;

use hyper::StatusCode;

use crate::config::Settings;
use crate::store::writer::{WriteError, Writer};
use crate::store::{Change, CommitError};
use crate::world::{Current, World};

use super::inventory::{Draft, Inventory};
pub use message::{Asker, Reply, Request};
pub use route::{Access, Found, Handler, Route, Routed, Service, route};

/// A request that found its route, and what it may look at.
pub struct Ask<'a> {
    /// The request.
    pub request: &'a Request,
    /// Its route.
    pub found: &'a Found,
    /// Settings, loaders, templates and records of now. A handler that writes reads records from its draft.
    pub world: &'a World,
}

impl Ask<'_> {
    /// A variable of the path.
    pub fn variable(&self, name: &str) -> &str {
        self.found.variables.get(name).map_or("", String::as_str)
    }

    /// The records.
    pub fn inventory(&self) -> &Inventory {
        &self.world.inventory
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.world.settings
    }

    /// Now, as the services write it: RFC 3339 with microseconds.
    pub fn time(&self) -> String {
        self.request.now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
    }

    /// A refusal in the form of the route's service.
    pub fn refuse(&self, status: StatusCode, detail: &str) -> Reply {
        self.found.route.service.refuse(status, detail)
    }
}

/// The services, to be asked by any door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    current: Current,
    writer: Arc<Writer<World>>,
}

impl Api {
    /// Answers from `current`; writes go through `writer`, which publishes to it.
    pub fn new(current: Current, writer: Arc<Writer<World>>) -> Self {
        Self { current, writer }
    }

    /// Answers a request that found its route and may use it.
    pub async fn answer(&self, found: Found, request: Request) -> Reply {
        let handler = match found.route.handler {
            Handler::Read(handler) => {
                let world = self.current.load();
                return handler(&Ask { request: &request, found: &found, world: &world });
            }
            Handler::Write(handler) => handler,
        };
        let service = found.route.service;
        let job = move |world: &mut World, changes: &mut Vec<Change>| {
            let mut live = world.live();
            let mut draft = Draft::new(&mut live, changes);
            let reply = handler(&Ask { request: &request, found: &found, world }, &mut draft);
            if reply.refuses() {
                return Err(reply);
            }
            draft.finish();
            *world = world.with(&live);
            Ok(reply)
        };
        match self.writer.submit(job).await {
            Ok(Ok(reply) | Err(reply)) => reply,
            Err(error) => refused_by_store(service, &error),
        }
    }
}

/// What the client is told when a write could not be made durable.
fn refused_by_store(service: Service, error: &WriteError) -> Reply {
    let status = match error {
        WriteError::Commit(CommitError::Full { .. }) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    service.refuse(status, &error.to_string())
}
