//! What one decision is made from: settings, records and loaders, as one immutable value.
//!
//! A reload builds a new [`World`] and swaps it behind an atomic pointer, or keeps the old one; a write through
//! the API puts changed records into the same surroundings.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::boot::template::Templates;
use crate::config::Settings;
use crate::firmware::Loaders;
use crate::openchami::history::History;
use crate::openchami::inventory::{Inventory, Live};
use crate::records::Snapshot;

/// A part of the world: cheap to clone, copied only by who changes a clone.
#[derive(Debug, Default)]
pub struct Part<T>(Arc<T>);

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> From<T> for Part<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Part<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

/// Settings, records, loaders and templates of one moment. Cloning costs nothing.
#[derive(Clone, Debug)]
pub struct World {
    /// Settings in force.
    pub settings: Part<Settings>,
    /// Nodes and boot entries.
    pub records: Snapshot,
    /// The same as the OpenCHAMI services show it, and what only they know.
    pub inventory: Inventory,
    /// Loaders that can be served.
    pub loaders: Part<Loaders>,
    /// Script templates, compiled.
    pub templates: Part<Templates>,
}

impl World {
    /// A world whose records are those of the files alone.
    pub fn new(
        settings: impl Into<Part<Settings>>,
        records: Snapshot,
        loaders: impl Into<Part<Loaders>>,
        templates: impl Into<Part<Templates>>,
    ) -> Self {
        let Live { records, inventory } = Live::of_files(records);
        let (settings, loaders, templates) = (settings.into(), loaders.into(), templates.into());
        Self { settings, records, inventory, loaders, templates }
    }

    /// The records, to be changed apart.
    pub fn live(&self) -> Live {
        Live { inventory: self.inventory.clone(), records: self.records.clone() }
    }

    /// The same surroundings with other records.
    pub fn with(&self, live: &Live) -> Self {
        Self { inventory: live.inventory.clone(), records: live.records.clone(), ..self.clone() }
    }
}

/// The world in force, and what was served from it; cheap to clone, never locked for reading.
#[derive(Clone, Debug)]
pub struct Current {
    world: Arc<ArcSwap<World>>,
    history: Arc<History>,
}

impl Current {
    /// Starts with `world`.
    pub fn new(world: World) -> Self {
        Self { world: Arc::new(ArcSwap::from_pointee(world)), history: Arc::default() }
    }

    /// The world in force now.
    pub fn load(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Puts another world in force.
    pub fn swap(&self, world: World) {
        self.world.store(Arc::new(world));
    }

    /// Which node was served what when; it outlives every world.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }
}
