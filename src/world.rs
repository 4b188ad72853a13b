//! What one decision is made from: settings, records and loaders, as one immutable value.
//!
//! A reload builds a new [`World`] and swaps it behind an atomic pointer, or keeps the old one.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::boot::template::Templates;
use crate::config::Settings;
use crate::firmware::Loaders;
use crate::records::Snapshot;

/// Settings, records, loaders and templates of one moment. A clone with other records costs the same however
/// many records there are.
#[derive(Clone, Debug)]
pub struct World {
    /// Settings in force.
    pub settings: Settings,
    /// Nodes and boot entries.
    pub records: Snapshot,
    /// Loaders that can be served.
    pub loaders: Loaders,
    /// Script templates, compiled.
    pub templates: Templates,
}

/// The world in force; cheap to clone, never locked.
#[derive(Clone, Debug)]
pub struct Current(Arc<ArcSwap<World>>);

impl Current {
    /// Starts with `world`.
    pub fn new(world: World) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(world)))
    }

    /// The world in force now.
    pub fn load(&self) -> Arc<World> {
        self.0.load_full()
    }

    /// Puts another world in force.
    pub fn swap(&self, world: World) {
        self.0.store(Arc::new(world));
    }
}
