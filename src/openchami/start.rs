//! From a folder to running services: what the store holds comes under what the files say, and one thread takes
//! the writes from then on.

use std::sync::Arc;

use crate::journal::{Event, Journal, Level, Notice};
use crate::store::writer::Writer;
use crate::store::{Store, StoreError};
use crate::world::{Current, World};

use super::api::Api;

/// Why the services cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that writes cannot be started.
    #[error("cannot start the thread that writes")]
    Thread(#[source] std::io::Error),
}

/// What runs.
#[derive(Debug)]
pub struct Running {
    /// The world in force: files and store.
    pub current: Current,
    /// Takes all changes to it.
    pub writer: Arc<Writer<World>>,
    /// The services.
    pub api: Api,
}

/// Starts the services on the world of the files and, if `settings.state` names a folder, on what its store
/// holds. Says in the log where writes go, and names records of the store that cannot be read.
pub fn start(mut world: World, journal: &Journal) -> Result<Running, StartError> {
    let store = match &world.settings.state {
        Some(folder) => Some(Store::open(folder)?),
        None => {
            journal.say(
                Level::Info,
                "read-only",
                "no state folder: the API can be read, writes get 503 (give --state DIR to store them)",
            );
            None
        }
    };
    if let Some(store) = &store {
        let mut live = world.live();
        let mut bad = Vec::new();
        store.load(|table, key, value| {
            if !live.restore(table, value) {
                bad.push(format!("{table} {key}"));
            }
        })?;
        live.restored(store.salt());
        for record in bad {
            let text = format!(
                "{}: the record {record} cannot be read and is left out; it stays in the file",
                store.name().display()
            );
            let fields = vec![("record", record.into())];
            journal.note(Event::Notice(Notice { level: Level::Warn, name: "bad-record", text, fields }));
        }
        world = world.with(&live);
    }
    let current = Current::new(world.clone());
    let readers = current.clone();
    let publish = move |world: &World| readers.swap(world.clone());
    let writer = Arc::new(Writer::start(store, world, publish).map_err(StartError::Thread)?);
    let api = Api::new(current.clone(), Arc::clone(&writer));
    Ok(Running { current, writer, api })
}
