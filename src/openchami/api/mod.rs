//! The doors' side of the services: requests and replies as values, the table of routes, and the one place where
//! a request meets the records.

pub mod json;
pub mod local;
pub mod message;
pub mod route;

use std::sync::Arc;

use hyper::StatusCode;

use crate::config::Settings;
use crate::records::Snapshot;
use crate::store::writer::{WriteError, Writer};
use crate::store::{Change, CommitError};
use crate::world::{Current, World};

use super::history::History;
use super::inventory::{Draft, Inventory, Owned, Runtime};
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
    /// Which node was served what when.
    pub history: &'a History,
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

    /// Nodes and boot entries as the boot side answers from them.
    pub fn records(&self) -> &Snapshot {
        &self.world.records
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

    /// Answers from `current`, and writes nothing.
    pub fn read_only(current: Current) -> std::io::Result<Self> {
        let world = World::clone(&current.load());
        let writer = Writer::start(None, world, |_: &World| {})?;
        Ok(Self::new(current, Arc::new(writer)))
    }

    /// The world in force.
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// Answers a request that found its route and may use it.
    pub async fn answer(&self, found: Found, request: Request) -> Reply {
        let handler = match found.route.handler {
            Handler::Read(handler) => {
                let (world, history) = (self.current.load(), Arc::clone(self.current.history()));
                let Route { service, access, .. } = *found.route;
                let read = move || {
                    handler(&Ask { request: &request, found: &found, world: &world, history: &history })
                };
                // A list of everything takes a while; the threads here answer booting machines, too.
                if matches!(access, Access::Admin | Access::Inventory | Access::Local) {
                    let reply = tokio::task::spawn_blocking(read).await;
                    let failed = "the request failed by a fault of the program, see its log";
                    return reply.unwrap_or_else(|_| service.refuse(StatusCode::SERVICE_UNAVAILABLE, failed));
                }
                return read();
            }
            Handler::Keep(due, read) => return self.keep(due, read, found, request).await,
            Handler::Write(handler) => handler,
        };
        let service = found.route.service;
        let history = Arc::clone(self.current.history());
        let answered = self.change(move |world, draft| {
            let ask = Ask { request: &request, found: &found, world, history: &history };
            let reply = handler(&ask, draft);
            if reply.refuses() { Err(reply) } else { Ok(reply) }
        });
        match answered.await {
            Ok(Ok(reply) | Err(reply)) => reply,
            Err(error) => refused_by_store(service, &error),
        }
    }

    /// Runs a change of the records. What it wrote is stored and in force when this returns, or undone if it gave
    /// an error.
    pub async fn change<T, E>(
        &self,
        change: impl FnOnce(&World, &mut Draft<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, WriteError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let job = move |world: &mut World, changes: &mut Vec<Change>| {
            let mut live = world.live();
            let mut draft = Draft::new(&mut live, changes);
            let done = change(world, &mut draft)?;
            draft.finish();
            *world = world.with(&live);
            Ok(done)
        };
        self.writer.submit(job).await
    }
}

/// What has to be stored before a reply is given for the first time.
type Due = fn(&Ask<'_>, &Inventory) -> Option<Runtime>;

impl Api {
    /// Stores what is due, as far as that can be, and reads.
    async fn keep(&self, due: Due, read: fn(&Ask<'_>) -> Reply, found: Found, request: Request) -> Reply {
        let (world, history) = (self.current.load(), self.current.history());
        let ask = Ask { request: &request, found: &found, world: &world, history };
        if due(&ask, ask.inventory()).is_none() {
            return read(&ask);
        }
        let (found_there, request_there, history_there) =
            (found.clone(), request.clone(), Arc::clone(history));
        let kept = self.change(move |world, draft| {
            let (request, found, history) = (&request_there, &found_there, &history_there);
            let ask = Ask { request, found, world, history };
            // Another request may have stored it meanwhile.
            match due(&ask, ask.inventory()) {
                Some(record) => draft.put(record),
                None => Ok::<(), Owned>(()),
            }
        });
        let kept = kept.await;
        let world = self.current.load();
        let reply = read(&Ask { request: &request, found: &found, world: &world, history });
        match kept {
            // Said at the start already.
            Ok(_) | Err(WriteError::NoStore) => reply,
            Err(error) => Reply { detail: Some(format!("what was told is not stored: {error}")), ..reply },
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
