//! What is live, and a change to it that is not in force yet.

use std::collections::BTreeSet;

use crate::records::Snapshot;
use crate::store::Change;

use super::{HasTable, Inventory, Owned, Record};

/// The inventory, and the records that DHCP, TFTP and HTTP answer from, which follow it. Cloning costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// What the OpenCHAMI services show.
    pub inventory: Inventory,
    /// What the boot side answers from.
    pub records: Snapshot,
}

/// What of the boot side's records a change concerns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Touch {
    /// The node at a location.
    Node(String),
    /// The BMC at a location.
    Bmc(String),
    /// A boot unit, by uid.
    Unit(String),
}

/// A change in progress. Reading it shows what was written so far.
#[derive(Debug)]
pub struct Draft<'l> {
    live: &'l mut Live,
    changes: &'l mut Vec<Change>,
    touched: BTreeSet<Touch>,
}

impl<'l> Draft<'l> {
    /// A change to `live`; what has to be stored for it goes to `changes`.
    pub fn new(live: &'l mut Live, changes: &'l mut Vec<Change>) -> Self {
        Self { live, changes, touched: BTreeSet::new() }
    }

    /// The inventory with what was written so far.
    pub fn inventory(&self) -> &Inventory {
        &self.live.inventory
    }

    /// The boot side's records as they were before this change.
    pub fn records(&self) -> &Snapshot {
        &self.live.records
    }

    /// Stores a record, new or in place of the one with its key. Refused where a file states otherwise.
    pub fn put<R: Record>(&mut self, record: R) -> Result<(), Owned>
    where
        Inventory: HasTable<R>,
    {
        HasTable::<R>::table(&self.live.inventory).check_put(&record)?;
        let key = record.key().into_owned();
        self.touch::<R>(&key);
        let mut stored = None;
        self.live.inventory.change::<R>(&key, |table| {
            if table.put(record.clone()) {
                stored = Some(&record);
            }
        });
        if let Some(record) = stored
            // A record of ours always has a JSON form.
            && let Ok(value) = serde_json::to_vec(record)
        {
            self.changes.push(Change { table: R::TABLE, key: key.clone(), value: Some(value) });
        }
        self.touch::<R>(&key);
        Ok(())
    }

    /// Checks that [`Self::put`] of this record would not be refused, without storing it.
    pub fn check<R: Record>(&self, record: &R) -> Result<(), Owned>
    where
        Inventory: HasTable<R>,
    {
        HasTable::<R>::table(&self.live.inventory).check_put(record)
    }

    /// Checks that no file states a record, so that [`Self::remove`] would not be refused.
    pub fn check_remove<R: Record>(&self, key: &str) -> Result<(), Owned>
    where
        Inventory: HasTable<R>,
    {
        HasTable::<R>::table(&self.live.inventory).check_remove(key)
    }

    /// Removes a record; false if there was none. Refused where a file states it.
    pub fn remove<R: Record>(&mut self, key: &str) -> Result<bool, Owned>
    where
        Inventory: HasTable<R>,
    {
        HasTable::<R>::table(&self.live.inventory).check_remove(key)?;
        if !HasTable::<R>::table(&self.live.inventory).contains(key) {
            return Ok(false);
        }
        self.touch::<R>(key);
        self.live.inventory.change::<R>(key, |table| {
            table.remove(key);
        });
        self.changes.push(Change { table: R::TABLE, key: key.to_owned(), value: None });
        Ok(true)
    }

    fn touch<R: Record>(&mut self, key: &str)
    where
        Inventory: HasTable<R>,
    {
        if let Some(record) = HasTable::<R>::table(&self.live.inventory).get(key) {
            self.touched.extend(record.touches());
        }
    }

    /// Brings the boot side's records to what the inventory says now.
    pub fn finish(self) {
        for touch in &self.touched {
            self.live.derive(touch);
        }
    }
}
