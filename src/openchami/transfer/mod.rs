//! `bootlace export` and `bootlace import`: what the API stored as files that people can read, and back.
//!
//! The plain files hold what their formats can hold. What they cannot goes to `rest.json`: for each record the
//! members that differ from what the plain files alone would give. So export, import and export again give the
//! same files, whatever the plain formats lack.

mod cloud;
mod plain;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::Diagnostic;
use crate::config::source::Source;
use crate::records::load::{FileKind, Gathered};

use super::inventory::{BootUnit, Draft, Inventory, Live, Record as _};

/// Node records.
pub const NODES: &str = "nodes.yaml";
/// Boot entries.
pub const BOOT: &str = "boot.yaml";
/// What the others cannot hold.
pub const REST: &str = "rest.json";
/// All files of an export.
pub const FILES: [&str; 6] = [NODES, BOOT, cloud::FILES[0].0, cloud::FILES[1].0, cloud::FILES[2].0, REST];

/// Files by name.
pub type Files = BTreeMap<String, String>;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The plain files have errors.
    #[error("the files have errors: {}", .0.iter().filter(|d| d.is_error()).map(Diagnostic::one_line).collect::<Vec<_>>().join("; "))]
    Files(Vec<Diagnostic>),
    /// `rest.json` is no object of tables.
    #[error("{REST}: {0}")]
    Rest(String),
    /// A record cannot be stored.
    #[error("{table} {key}: {why}")]
    Record {
        /// Its table.
        table: String,
        /// Its key.
        key: String,
        /// Why.
        why: String,
    },
}

/// Everything that the store holds.
pub fn export(inventory: &Inventory) -> Files {
    let (nodes, boot) = (plain::nodes(inventory), plain::boot(inventory));
    let mut files = Files::from([(NODES.to_owned(), nodes), (BOOT.to_owned(), boot)]);
    cloud::write(inventory, &mut files);
    let (uids, cloud_uids) = (uids(inventory), cloud::uids(inventory));
    let told = match read(&files) {
        Ok(live) => {
            let mut told = json(live.inventory.filed_json());
            rekey(&mut told, &uids);
            cloud::rekey(&mut told, &cloud_uids);
            told
        }
        // Plain files that cannot be read hold nothing; then the rest holds everything.
        Err(_) => {
            cloud::write(&Inventory::default(), &mut files);
            files.insert(NODES.to_owned(), plain::NO_NODES.to_owned());
            files.insert(BOOT.to_owned(), plain::NO_ENTRIES.to_owned());
            Map::new()
        }
    };
    let mut rest = difference(&told, &json(inventory.stored_json()));
    if !cloud_uids.is_empty() {
        rest.insert(CLOUD_UIDS.to_owned(), Value::Object(cloud_uids));
    }
    if !uids.is_empty() {
        rest.insert(UIDS.to_owned(), Value::Object(uids));
    }
    // A map of texts and values has a JSON form.
    let rest = serde_json::to_string_pretty(&rest).unwrap_or_default();
    files.insert(REST.to_owned(), rest + "\n");
    files
}

/// Stores everything that `files` hold; nothing of it where something is wrong. Gives the number of records.
pub fn import(files: &Files, draft: &mut Draft<'_>) -> Result<usize, ImportError> {
    let mut tables = json(read(files).map_err(ImportError::Files)?.inventory.filed_json());
    if let Some(rest) = files.get(REST) {
        let mut rest: Map<String, Value> =
            serde_json::from_str(rest).map_err(|error| ImportError::Rest(error.to_string()))?;
        if let Some(Value::Object(uids)) = rest.remove(UIDS) {
            rekey(&mut tables, &uids);
        }
        if let Some(Value::Object(uids)) = rest.remove(CLOUD_UIDS) {
            cloud::rekey(&mut tables, &uids);
        }
        apply(&mut tables, rest)?;
    }
    let mut stored = 0;
    for (table, records) in tables {
        let Value::Object(records) = records else { continue };
        for (key, value) in records {
            let failed = |why: String| ImportError::Record { table: table.clone(), key: key.clone(), why };
            draft.put_json(&table, value).map_err(|error| failed(error.to_string()))?;
            stored += 1;
        }
    }
    Ok(stored)
}

/// Member of `rest.json` with the uids of the entries of boot.yaml, by name: an entry that was edited there is
/// still the same unit.
const UIDS: &str = "uids";
/// The same of cloud-init's files, by table and name.
const CLOUD_UIDS: &str = "cloud_init_uids";

fn uids(inventory: &Inventory) -> Map<String, Value> {
    let named = inventory.boot_units.stored().filter(|unit| !unit.metadata.name.is_empty());
    // Names are not unique: the first one stands in boot.yaml.
    let mut uids = Map::new();
    for unit in named {
        uids.entry(unit.metadata.name.clone()).or_insert_with(|| unit.metadata.uid.clone().into());
    }
    uids
}

/// Gives the units of boot.yaml the uids that they have in the store.
fn rekey(tables: &mut Map<String, Value>, uids: &Map<String, Value>) {
    let Some(Value::Object(units)) = tables.get_mut(BootUnit::TABLE) else { return };
    for (_, mut unit) in std::mem::take(units) {
        if let Some(uid) = unit["metadata"]["name"].as_str().and_then(|name| uids.get(name)) {
            unit["metadata"]["uid"] = uid.clone();
        }
        if let Some(uid) = unit["metadata"]["uid"].as_str() {
            units.insert(uid.to_owned(), unit);
        }
    }
}

/// The plain files as an inventory of their own.
fn read(files: &Files) -> Result<Live, Vec<Diagnostic>> {
    let mut gathered = Gathered::default();
    for (name, kind) in [(NODES, FileKind::Nodes), (BOOT, FileKind::Boot)] {
        if let Some(text) = files.get(name) {
            gathered.add_text(Arc::new(Source::new(Path::new(name), text.clone())), kind);
        }
    }
    let loaded = gathered.finish(None, None);
    let records = loaded.snapshot.ok_or(loaded.diagnostics)?;
    let mut live = Live::of_files(records);
    cloud::read(files, &mut live)?;
    Ok(live)
}

fn json(records: super::inventory::RecordsJson) -> Map<String, Value> {
    let object = |records: BTreeMap<String, Value>| Value::Object(records.into_iter().collect());
    records.into_iter().map(|(table, records)| (table.to_owned(), object(records))).collect()
}

/// What has to be laid over `told` to give `held`, record by record: members that differ, null for what is not
/// there.
fn difference(told: &Map<String, Value>, held: &Map<String, Value>) -> Map<String, Value> {
    let none = Map::new();
    let object = |tables: &Map<String, Value>, table: &str| match tables.get(table) {
        Some(Value::Object(records)) => records.clone(),
        _ => none.clone(),
    };
    let mut tables: Vec<&String> = told.keys().chain(held.keys()).collect();
    tables.sort();
    tables.dedup();
    let mut rest = Map::new();
    for table in tables {
        let (told, held) = (object(told, table), object(held, table));
        let mut records = Map::new();
        for (key, value) in &held {
            match told.get(key) {
                None => drop(records.insert(key.clone(), value.clone())),
                Some(known) if known == value => {}
                Some(known) => drop(records.insert(key.clone(), members(known, value))),
            }
        }
        for key in told.keys().filter(|key| !held.contains_key(*key)) {
            records.insert(key.clone(), Value::Null);
        }
        if !records.is_empty() {
            rest.insert(table.clone(), Value::Object(records));
        }
    }
    rest
}

/// Members of `wanted` that `known` does not have, and nulls for those that it has too many.
fn members(known: &Value, wanted: &Value) -> Value {
    let (Value::Object(known), Value::Object(wanted)) = (known, wanted) else { return wanted.clone() };
    let more = wanted.iter().filter(|(name, value)| known.get(*name) != Some(value));
    let mut out: Map<String, Value> = more.map(|(name, value)| (name.clone(), value.clone())).collect();
    for name in known.keys().filter(|name| !wanted.contains_key(*name)) {
        out.insert(name.clone(), Value::Null);
    }
    Value::Object(out)
}

/// Lays a [`difference`] over what the plain files give.
fn apply(tables: &mut Map<String, Value>, rest: Map<String, Value>) -> Result<(), ImportError> {
    for (table, records) in rest {
        let Value::Object(records) = records else {
            return Err(ImportError::Rest(format!("'{table}' is no object of records")));
        };
        let known = tables.entry(table).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(known) = known else { continue };
        for (key, value) in records {
            match (value, known.get_mut(&key)) {
                (Value::Null, _) => drop(known.remove(&key)),
                (Value::Object(members), Some(Value::Object(record))) => {
                    for (name, value) in members {
                        match value {
                            Value::Null => drop(record.remove(&name)),
                            value => drop(record.insert(name, value)),
                        }
                    }
                }
                (value, _) => drop(known.insert(key, value)),
            }
        }
    }
    Ok(())
}
