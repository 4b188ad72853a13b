//! The doors' side of the services: requests and replies as values, the table of routes, and the one place where
//! a request meets the records.

pub mod json;
pub mod message;
pub mod route;

use std::sync::Arc;

use hyper::StatusCode;

use crate::config::Settings;
use crate::store::{WriteError, Writer};
use crate::world::{Current, World};

use super::inventory::{Draft, Inventory, Live, Owned, Runtime};
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
        &self.world.live.inventory
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.world.settings
    }

    /// Now, as the services write it: RFC 3339 with microseconds.
    pub fn time(&self) -> String {
        rfc3339(self.request.now)
    }

    /// A refusal in the form of the route's service.
    pub fn refuse(&self, status: StatusCode, detail: &str) -> Reply {
        self.found.route.service.refuse(status, detail)
    }
}

/// A time as the services write it: RFC 3339 with microseconds, so that texts are in the order of times.
pub fn rfc3339(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The services, to be asked by any door. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    current: Current,
    writer: Option<Arc<Writer<Live>>>,
}

impl Api {
    /// Answers from `current`; writes go through `writer`. Without one everything can be read and nothing
    /// written.
    pub fn new(current: Current, writer: Option<Arc<Writer<Live>>>) -> Self {
        Self { current, writer }
    }

    /// Answers a request that found its route and may use it.
    pub async fn answer(&self, found: Found, request: Request) -> Reply {
        let handler = match found.route.handler {
            Handler::Read(handler) => {
                let world = self.current.load();
                return handler(&Ask { request: &request, found: &found, world: &world });
            }
            Handler::Keep(due, read) => return self.keep(due, read, found, request).await,
            Handler::Write(handler) => handler,
        };
        let service = found.route.service;
        let Some(writer) = &self.writer else {
            let text = "nothing can be written: bootlace runs without a state folder (set `state` or --state)";
            return service.refuse(StatusCode::SERVICE_UNAVAILABLE, text);
        };
        let current = self.current.clone();
        let outcome = writer
            .write(move |live, changes| {
                let world = current.load();
                let mut draft = Draft::new(live, changes);
                let reply = handler(&Ask { request: &request, found: &found, world: &world }, &mut draft);
                if reply.refuses() {
                    return Err(reply);
                }
                draft.finish();
                Ok(reply)
            })
            .await;
        match outcome {
            Ok(Ok(reply) | Err(reply)) => reply,
            Err(error) => refused_by_store(service, &error),
        }
    }
}

/// What has to be stored before a reply is given for the first time.
type Due = fn(&Ask<'_>, &Inventory) -> Option<Runtime>;

impl Api {
    /// Stores what is due, as far as that can be, and reads.
    async fn keep(&self, due: Due, read: fn(&Ask<'_>) -> Reply, found: Found, request: Request) -> Reply {
        let world = self.current.load();
        let ask = Ask { request: &request, found: &found, world: &world };
        let Some(writer) = self.writer.as_ref().filter(|_| due(&ask, ask.inventory()).is_some()) else {
            return read(&ask);
        };
        let (in_found, in_request) = (found.clone(), request.clone());
        let kept = writer
            .write(move |live, changes| {
                let mut draft = Draft::new(live, changes);
                let ask = Ask { request: &in_request, found: &in_found, world: &world };
                // Another request may have stored it meanwhile.
                if let Some(record) = due(&ask, draft.inventory()) {
                    draft.put(record)?;
                    draft.finish();
                }
                Ok::<(), Owned>(())
            })
            .await;
        let world = self.current.load();
        let reply = read(&Ask { request: &request, found: &found, world: &world });
        match kept {
            Err(error) => Reply { detail: Some(format!("what was told is not stored: {error}")), ..reply },
            Ok(_) => reply,
        }
    }
}

/// What the client is told when a write could not be made durable.
fn refused_by_store(service: Service, error: &WriteError) -> Reply {
    let status = match error {
        WriteError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    service.refuse(status, &error.to_string())
}
