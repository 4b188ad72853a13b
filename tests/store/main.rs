//! The durable store's promises: what was acknowledged survives a kill, a power cut and a full disk; a file that
//! is not right is refused and left alone; jobs that share a commit are answered one by one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and is a shell"
)]

mod damage;
mod disk_full;
mod kept;
mod kill;
mod power_cut;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;

use bootlace::store::{Change, Store};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

/// All that a store holds, by table and key.
pub type Content = BTreeMap<(String, String), Vec<u8>>;

/// Everything in `store`.
pub fn content(store: &Store) -> Content {
    let mut content = Content::new();
    let each = |table: &str, key: &str, value: &[u8]| {
        content.insert((table.to_owned(), key.to_owned()), value.to_vec());
    };
    store.load(each).unwrap();
    content
}

/// A change that sets `key`.
pub fn put(table: &'static str, key: &str, value: impl AsRef<[u8]>) -> Change {
    Change { table, key: key.to_owned(), value: Some(value.as_ref().to_vec()) }
}

/// A change that removes `key`.
pub fn remove(table: &'static str, key: &str) -> Change {
    Change { table, key: key.to_owned(), value: None }
}

/// What `changes` mean for `content`.
pub fn apply(content: &mut Content, changes: &[Change]) {
    for change in changes {
        let key = (change.table.to_owned(), change.key.clone());
        match &change.value {
            Some(value) => content.insert(key, value.clone()),
            None => content.remove(&key),
        };
    }
}

/// The bytes of a file after `fill` worked on a new store.
pub fn file_after(fill: impl FnOnce(&mut Store)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    fill(&mut store);
    let name = store.name().to_owned();
    drop(store);
    std::fs::read(name).unwrap()
}

/// A medium that holds `bytes`.
pub fn medium(bytes: &[u8]) -> Arc<InMemoryBackend> {
    let medium = InMemoryBackend::new();
    medium.set_len(bytes.len() as u64).unwrap();
    medium.write(0, bytes).unwrap();
    Arc::new(medium)
}

/// All bytes of a medium.
pub fn bytes(medium: &dyn StorageBackend) -> Vec<u8> {
    let mut bytes = vec![0; medium.len().unwrap() as usize];
    medium.read(0, &mut bytes).unwrap();
    bytes
}
