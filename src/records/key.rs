//! Where a record comes from, as the key that it is kept under.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::bmc::BmcXname;
use super::id::Xname;

/// The key of a record. Records from files stand before those of the store: where both claim an identity, the
/// file's is found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key<S> {
    /// Place in the files, counted from 0 through all files of that kind.
    File(u32),
    /// The name that the store keeps it under.
    Stored(S),
}

/// The key of a node.
pub type NodeKey = Key<Xname>;
/// The key of a boot entry; in the store its uid.
pub type EntryKey = Key<String>;
/// The key of a BMC.
pub type BmcKey = Key<BmcXname>;

impl<S> Key<S> {
    /// The place in the files; `None` for a record of the store.
    pub fn in_files(&self) -> Option<usize> {
        match self {
            Self::File(place) => Some(*place as usize),
            Self::Stored(_) => None,
        }
    }
}

/// A record with its key. Equal and ordered by the key alone; a clone is another pointer to the same.
#[derive(Debug)]
pub(super) struct Keyed<K, R>(Arc<(K, Arc<R>)>);

impl<K, R> Keyed<K, R> {
    pub(super) fn new(key: K, record: R) -> Self {
        Self(Arc::new((key, Arc::new(record))))
    }

    pub(super) fn key(&self) -> &K {
        &self.0.0
    }

    pub(super) fn record(&self) -> &Arc<R> {
        &self.0.1
    }
}

impl<K, R> Clone for Keyed<K, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: PartialEq, R> PartialEq for Keyed<K, R> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<K: Eq, R> Eq for Keyed<K, R> {}

impl<K: Ord, R> PartialOrd for Keyed<K, R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord, R> Ord for Keyed<K, R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}

impl<K, R> Borrow<K> for Keyed<K, R> {
    fn borrow(&self) -> &K {
        self.key()
    }
}
