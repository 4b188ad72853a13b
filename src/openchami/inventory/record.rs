//! What every table of the inventory has in common: a file layer that nobody writes, a stored layer that the
//! API writes, and one view over both in which each field that a file states wins.

use std::borrow::Cow;
use std::sync::Arc;

use imbl::OrdMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::records::Origin;

use super::Index;
use super::draft::Touch;

/// A record of one table. Its JSON form is what the store keeps, and names the fields that a file may own.
pub trait Record: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the table in the store. Never changes: it is in people's files.
    const TABLE: &'static str;

    /// What the record is called in messages: `component`, `group`.
    const WHAT: &'static str;

    /// Key within the table.
    fn key(&self) -> Cow<'_, str>;

    /// What it can be found by besides its key.
    fn terms(&self) -> Vec<(Index, String)> {
        Vec::new()
    }

    /// Which records of the boot side follow from it.
    fn touches(&self) -> Vec<Touch> {
        Vec::new()
    }

    /// Whether a field (of the JSON form) says what the file's says, which need not be the same text: a MAC has
    /// several spellings.
    fn agrees(_field: &str, written: Option<&Value>, stated: Option<&Value>) -> bool {
        written == stated
    }
}

/// A record as a file states it.
#[derive(Clone, Debug)]
pub struct Filed<R> {
    /// The record; fields that the file does not state hold their defaults.
    pub record: Arc<R>,
    /// Names of the fields (of the JSON form) that the file states, and the key in the file that does so.
    pub owned: Arc<[(&'static str, &'static str)]>,
    /// Where.
    pub origin: Origin,
}

impl<R: Record> Filed<R> {
    /// Another record with what the file states in place of what it says itself.
    pub fn over(&self, record: &R) -> Arc<R> {
        merged(self, record)
    }

    /// Checks that `record` says nothing else than the file does.
    pub fn check(&self, record: &R) -> Result<(), Owned> {
        let (Ok(wanted), Ok(stated)) = (serde_json::to_value(record), serde_json::to_value(&*self.record))
        else {
            return Ok(());
        };
        let differs = |field: &&str| !R::agrees(field, wanted.get(field), stated.get(field));
        match self.owned.iter().find(|(field, _)| differs(field)) {
            Some((_, yaml)) => Err(owned::<R>(&record.key(), &self.origin, yaml)),
            None => Ok(()),
        }
    }
}

/// A write that would change or remove what a file states.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} {key}: {file} line {line} states its `{field}`: change it there")]
pub struct Owned {
    /// What kind of record.
    pub what: &'static str,
    /// Which.
    pub key: String,
    /// The file.
    pub file: String,
    /// Line of the record.
    pub line: usize,
    /// Key of the file.
    pub field: String,
}

/// One table: two layers and the view over them. Cloning costs nothing, every operation the logarithm of its
/// size.
#[derive(Debug)]
pub struct Table<R> {
    files: OrdMap<String, Stated<R>>,
    stored: OrdMap<String, Arc<R>>,
}

/// A record of a file, and how it looks with what is stored beside it.
#[derive(Debug)]
struct Stated<R> {
    filed: Arc<Filed<R>>,
    seen: Arc<R>,
}

impl<R> Clone for Stated<R> {
    fn clone(&self) -> Self {
        Self { filed: Arc::clone(&self.filed), seen: Arc::clone(&self.seen) }
    }
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        Self { files: self.files.clone(), stored: self.stored.clone() }
    }
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { files: OrdMap::new(), stored: OrdMap::new() }
    }
}

/// Two ordered sequences as one; of equal keys the first sequence's value counts.
fn united<'t, R: 'static>(
    files: impl Iterator<Item = (&'t String, &'t Arc<R>)> + 't,
    stored: impl Iterator<Item = (&'t String, &'t Arc<R>)> + 't,
) -> impl Iterator<Item = (&'t String, &'t Arc<R>)> + 't {
    let (mut files, mut stored) = (files.peekable(), stored.peekable());
    std::iter::from_fn(move || match (files.peek(), stored.peek()) {
        (Some((a, _)), Some((b, _))) if a == b => {
            stored.next();
            files.next()
        }
        (Some((a, _)), Some((b, _))) if a > b => stored.next(),
        (Some(_), _) => files.next(),
        (None, _) => stored.next(),
    })
}

impl<R: Record> Table<R> {
    /// The record, as everybody sees it.
    pub fn get(&self, key: &str) -> Option<Arc<R>> {
        match self.files.get(key) {
            Some(file) => Some(Arc::clone(&file.seen)),
            None => self.stored.get(key).cloned(),
        }
    }

    /// Whether there is such a record.
    pub fn contains(&self, key: &str) -> bool {
        self.files.contains_key(key) || self.stored.contains_key(key)
    }

    /// All records in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = Arc<R>> + '_ {
        let files = self.files.iter().map(|(key, file)| (key, &file.seen));
        united(files, self.stored.iter()).map(|(_, record)| Arc::clone(record))
    }

    /// All records whose key starts with `prefix`, in order.
    pub fn with_prefix<'t>(&'t self, prefix: &'t str) -> impl Iterator<Item = Arc<R>> + 't {
        let from = prefix.to_owned()..;
        let files = self.files.range(from.clone()).map(|(key, file)| (key, &file.seen));
        let all = united(files, self.stored.range(from));
        all.take_while(move |(key, _)| key.starts_with(prefix)).map(|(_, record)| Arc::clone(record))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let both = self.files.keys().filter(|key| self.stored.contains_key(*key)).count();
        self.files.len() + self.stored.len() - both
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.stored.is_empty()
    }

    /// What a file says of it, if one does.
    pub fn filed(&self, key: &str) -> Option<&Arc<Filed<R>>> {
        self.files.get(key).map(|file| &file.filed)
    }

    /// The keys that files state, in order.
    pub fn filed_keys(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether the API wrote such a record, whatever a file says of it.
    pub fn is_stored(&self, key: &str) -> bool {
        self.stored.contains_key(key)
    }

    /// The records of the API, as they are in the store: for export, and to be laid under new files.
    pub fn stored(&self) -> impl Iterator<Item = &Arc<R>> {
        self.stored.values()
    }

    /// The records of the files.
    pub fn filed_records(&self) -> impl Iterator<Item = &Arc<Filed<R>>> {
        self.files.values().map(|file| &file.filed)
    }

    /// Checks that storing `record` changes nothing that a file states.
    pub(super) fn check_put(&self, record: &R) -> Result<(), Owned> {
        self.filed(&record.key()).map_or(Ok(()), |file| file.check(record))
    }

    /// Checks that no file states this record at all.
    pub(super) fn check_remove(&self, key: &str) -> Result<(), Owned> {
        match self.filed(key) {
            Some(file) => {
                let field = file.owned.first().map_or("", |(_, yaml)| yaml);
                Err(owned::<R>(key, &file.origin, field))
            }
            None => Ok(()),
        }
    }

    /// Stores; true if the stored layer changed. A record that says no more than the file does is not stored.
    pub(super) fn put(&mut self, record: R) -> bool {
        let key = record.key();
        let said_by_file = self.filed(&key).is_some_and(|file| *file.record == record);
        match self.stored.get(&*key) {
            None if said_by_file => return false,
            Some(old) if **old == record => return false,
            _ => {}
        }
        self.lay(record);
        true
    }

    /// Stores what the store held, whatever a file says.
    pub(super) fn lay(&mut self, record: R) {
        let key = record.key().into_owned();
        self.stored.insert(key.clone(), Arc::new(record));
        self.see(&key);
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<R>> {
        let removed = self.stored.remove(key);
        self.see(key);
        removed
    }

    pub(super) fn file(&mut self, filed: Filed<R>) {
        let key = filed.record.key().into_owned();
        let seen = Arc::clone(&filed.record);
        self.files.insert(key.clone(), Stated { filed: Arc::new(filed), seen });
        self.see(&key);
    }

    /// Brings the view of a record that a file states up to date.
    fn see(&mut self, key: &str) {
        if let Some(file) = self.files.get_mut(key) {
            file.seen = match self.stored.get(key) {
                Some(stored) => merged(&file.filed, stored),
                None => Arc::clone(&file.filed.record),
            };
        }
    }
}

fn owned<R: Record>(key: &str, origin: &Origin, field: &str) -> Owned {
    Owned {
        what: R::WHAT,
        key: key.to_owned(),
        file: origin.file.display().to_string(),
        line: origin.line,
        field: field.to_owned(),
    }
}

/// The stored record with the fields that the file states.
fn merged<R: Record>(file: &Filed<R>, stored: &R) -> Arc<R> {
    let both = || {
        let mut value = serde_json::to_value(stored).ok()?;
        let stated = serde_json::to_value(&*file.record).ok()?;
        for (field, _) in file.owned.iter() {
            if R::agrees(field, value.get(field), stated.get(field)) {
                continue;
            }
            match stated.get(field) {
                Some(said) => value[*field] = said.clone(),
                None => drop(value.as_object_mut()?.remove(*field)),
            }
        }
        serde_json::from_value(value).ok().map(Arc::new)
    };
    // Both are forms of the same type, so this does not fail; the file's record is a good answer if it did.
    both().unwrap_or_else(|| Arc::clone(&file.record))
}
