//! What the API wrote, on disk: one embedded database file in the state folder, durable before it is
//! acknowledged.
//!
//! [`Store`] knows tables of keys and bytes, nothing of nodes: who owns a table gives its bytes a meaning. At
//! start [`Store::load`] streams everything into memory; afterwards the file is only written, through
//! [`writer::Writer`], which lets waiting changes share one [`Store::commit`]. Answers never wait for the disk.
//!
//! Two things to know. Opening never writes: the file is first read whole under a layer that keeps all writes
//! in memory, so a damaged or newer file stays as it was, and a full disk does not keep the
//! appliance from starting. And every commit is a two-phase one: a crash is then settled by the file's header
//! alone, never by taking a step back to older data because a page looks wrong; damage is an error.

mod check;
mod error;
mod file;
mod schema;
pub mod writer;

pub use error::{CommitError, StoreError};

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, TableDefinition, TableHandle as _,
    WriteTransaction,
};

use check::{Overlay, Shared};
use schema::META;

/// Memory that the database may use for pages, in bytes. Records live in our own memory; this is for the
/// branches that a commit touches.
const CACHE: usize = 32 << 20;

/// The type that all tables of records have.
fn table(name: &str) -> TableDefinition<'_, &'static str, &'static [u8]> {
    TableDefinition::new(name)
}

/// One key's new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The table; made when it is first written to.
    pub table: &'static str,
    /// The key in it.
    pub key: String,
    /// The value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

impl Change {
    /// Bytes that this change writes, for limits.
    pub(crate) fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// The open database file. One process has it at a time.
#[derive(Debug)]
pub struct Store {
    name: PathBuf,
    backend: Arc<dyn StorageBackend>,
    /// Which file it is, to notice when it was taken away under us; none on a medium that is no file.
    identity: Option<file::Identity>,
    salt: [u8; 16],
    /// Open for writing since the first commit; none before it, and after an error until the next commit.
    database: Option<Database>,
    /// The number of the last commit that was tried. It is in the file, too.
    sequence: u64,
    unsettled: Option<Unsettled>,
}

/// A commit that failed and may be in the file all the same (a failed sync says nothing about the header). Its
/// writer was told that it failed, so it is taken back when it shows up.
#[derive(Debug)]
struct Unsettled {
    sequence: u64,
    /// What the keys had before, in the order in which they were written.
    before: Vec<Change>,
}

impl Store {
    /// Opens `bootlace.redb` in `folder`; makes the folder (mode 0700) and the file (0600) where they are missing.
    ///
    /// Reads the whole file and checks every page. Writes nothing to a file that is there.
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        let (name, backend, identity) = file::open(folder)?;
        let mut store = Store::on(&name, backend)?;
        store.identity = Some(identity);
        Ok(store)
    }

    /// Opens a store on any medium that has one; `name` is for messages.
    pub fn on(name: &Path, backend: Arc<dyn StorageBackend>) -> Result<Store, StoreError> {
        let found = check::check(name, &backend)?;
        Ok(Store {
            name: name.to_owned(),
            backend,
            identity: None,
            salt: found.salt,
            database: None,
            sequence: found.sequence,
            unsettled: None,
        })
    }

    /// The file's name, for messages.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Random bytes made once with the file: what identifiers that must not be guessed or clash are derived from.
    pub fn salt(&self) -> [u8; 16] {
        self.salt
    }

    /// Gives all that is stored to `each(table, key, value)`, in one state of the file. Tables of other versions
    /// are given as well: whoever does not know one leaves it.
    pub fn load(&self, mut each: impl FnMut(&str, &str, &[u8])) -> Result<(), StoreError> {
        let mut read = |database: &Database| -> Result<(), redb::Error> {
            let read = database.begin_read()?;
            let names: Vec<String> = read.list_tables()?.map(|table| table.name().to_owned()).collect();
            for name in names.iter().filter(|name| *name != META.name()) {
                for entry in read.open_table(table(name))?.iter()? {
                    let (key, value) = entry?;
                    each(name, key.value(), value.value());
                }
            }
            Ok(())
        };
        let outcome = guarded(|| match &self.database {
            Some(database) => read(database),
            // Before the first commit the file is only looked at.
            None => {
                let database = look(&self.backend)?;
                schema::migrate(&database, schema::MIGRATIONS)?;
                read(&database)
            }
        });
        outcome.map_err(|problem| StoreError::of(&self.name, problem))
    }

    /// Writes `changes`, in their order, as one transaction: all of them or none. When this returns `Ok` they are
    /// on the disk.
    ///
    /// After an error nothing of them counts, and the next commit opens the database anew: once the disk has room
    /// again, writing goes on.
    pub fn commit(&mut self, changes: &[Change]) -> Result<(), CommitError> {
        if changes.is_empty() {
            return Ok(());
        }
        if let Some(identity) = &self.identity {
            identity.verify(&self.name)?;
        }
        let outcome = guarded(|| self.try_commit(changes));
        if outcome.is_ok() {
            self.unsettled = None;
        } else if let Some(broken) = self.database.take() {
            // Closing tries to write, which fails again or panics on a lock that a panic left: no matter.
            let _ = guarded(|| {
                drop(broken);
                Ok(())
            });
        }
        outcome.map_err(|problem| CommitError::of(&self.name, problem))
    }

    fn try_commit(&mut self, changes: &[Change]) -> Result<(), redb::Error> {
        if self.database.is_none() {
            self.database = Some(self.reopen()?);
        }
        let Some(database) = &self.database else { return Err(redb::Error::DatabaseClosed) };
        let mut write = database.begin_write()?;
        write.set_two_phase_commit(true);
        if let Some(unsettled) = &self.unsettled {
            for change in unsettled.before.iter().rev() {
                apply(&write, change)?;
            }
        }
        let before = apply_all(&write, changes)?;
        // A number of its own for every attempt: the file tells which one it holds.
        self.sequence += 1;
        schema::set_sequence(&write, self.sequence)?;
        self.unsettled = Some(Unsettled { sequence: self.sequence, before });
        write.commit()?;
        Ok(())
    }

    /// Opens the database for writing, and finds out whether the commit that failed last is in it.
    fn reopen(&mut self) -> Result<Database, redb::Error> {
        let database = builder().create_with_backend(Shared(Arc::clone(&self.backend)))?;
        schema::migrate(&database, schema::MIGRATIONS)?;
        let sequence = schema::facts(&database)?.sequence;
        self.unsettled = self.unsettled.take().filter(|unsettled| unsettled.sequence == sequence);
        Ok(database)
    }
}

/// Applies `changes`; gives what the keys had before.
fn apply_all(write: &WriteTransaction, changes: &[Change]) -> Result<Vec<Change>, redb::Error> {
    let mut tables = BTreeMap::new();
    let mut before = Vec::with_capacity(changes.len());
    for change in changes {
        let table = match tables.entry(change.table) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(write.open_table(table(change.table))?)
            }
        };
        let old = match &change.value {
            Some(value) => table.insert(change.key.as_str(), value.as_slice())?,
            None => table.remove(change.key.as_str())?,
        };
        let value = old.map(|old| old.value().to_vec());
        before.push(Change { table: change.table, key: change.key.clone(), value });
    }
    Ok(before)
}

fn apply(write: &WriteTransaction, change: &Change) -> Result<(), redb::Error> {
    let mut table = write.open_table(table(change.table))?;
    match &change.value {
        Some(value) => table.insert(change.key.as_str(), value.as_slice())?,
        None => table.remove(change.key.as_str())?,
    };
    Ok(())
}

/// The database as the medium has it, repaired if need be, in a layer that is thrown away.
fn look(backend: &Arc<dyn StorageBackend>) -> Result<Database, redb::Error> {
    Ok(builder().create_with_backend(Overlay::over(Arc::clone(backend))?)?)
}

fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// Runs `work` on the database. The database answers some damage with a panic; here that is an error like others.
fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(redb::Error::Corrupted(format!("the database gave up: {}", panic_text(&*panic))))
    })
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
