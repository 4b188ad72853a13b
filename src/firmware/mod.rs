//! Loaders: which file serves which architecture, where it comes from, what is on disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::client::Arch;

/// One loader that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// Published name, such as `snponly-x86_64.efi`.
    pub name: String,
    /// File on disk.
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Content, held once in memory: loaders are small and asked for by everybody at the same time.
    pub content: Arc<[u8]>,
}

/// The loaders found in the firmware folder.
#[derive(Clone, Debug, Default)]
pub struct Loaders {
    by_name: BTreeMap<String, Arc<Loader>>,
}

impl Loaders {
    /// From loaders and the further names each is published under.
    pub fn new(by_name: BTreeMap<String, Arc<Loader>>) -> Self {
        Self { by_name }
    }

    /// The loader published under `name` (its own name or an alias).
    pub fn named(&self, name: &str) -> Option<&Arc<Loader>> {
        self.by_name.get(name)
    }

    /// The default first file of an architecture, when it is on disk.
    pub fn for_arch(&self, arch: Arch) -> Option<&Arc<Loader>> {
        self.named(arch.row()?.loader?)
    }

    /// All published names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// True when nothing can be served.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}
