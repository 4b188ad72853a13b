//! The cluster defaults: what all nodes share. cloud-init knows one set, metadata-service several, of which the
//! one changed last counts. What defaults.yaml states holds in each.

use std::sync::Arc;

use crate::openchami::api::rfc3339;
use crate::openchami::inventory::{ClusterDefaults, Index, Inventory, Owned};

use super::words;

/// Most digits of the number in a host name.
pub const NID_LENGTH_MAX: u8 = 10;

/// The defaults in force.
pub fn in_force(inventory: &Inventory) -> Option<Arc<ClusterDefaults>> {
    let latest = inventory.cluster_defaults.get(inventory.last(Index::DefaultsUpdated)?)?;
    match inventory.cluster_defaults.filed_records().next() {
        Some(filed) if filed.record.metadata.uid != latest.metadata.uid => Some(filed.over(&latest)),
        _ => Some(latest),
    }
}

/// Checks that a set says nothing else than defaults.yaml does, whichever set it is: the last one counts, and
/// must not take from the file what the file states.
pub fn check(inventory: &Inventory, record: &ClusterDefaults) -> Result<(), Owned> {
    inventory.cluster_defaults.filed_records().try_for_each(|filed| filed.check(record))
}

/// What is wrong with a set of defaults.
pub fn problem(record: &ClusterDefaults) -> Result<(), String> {
    for (field, text) in [
        ("cloud_provider", &record.cloud_provider),
        ("region", &record.region),
        ("availability-zone", &record.availability_zone),
        ("cluster-name", &record.cluster_name),
        ("boot-subnet", &record.boot_subnet),
        ("wg-subnet", &record.wg_subnet),
        ("short-name", &record.short_name),
    ] {
        words::one_line(field, text)?;
    }
    words::base_url("base-url", &record.base_url)?;
    record.public_keys.iter().try_for_each(|key| words::one_line("public-keys", key))?;
    if record.nid_length > NID_LENGTH_MAX {
        return Err(format!("nid-length {} is out of range: 0 to {NID_LENGTH_MAX}", record.nid_length));
    }
    Ok(())
}

/// The time of a change that is made at `now`: later than every change before, so that the last change counts
/// also where the clock was set back.
pub fn next_update(inventory: &Inventory, now: String) -> String {
    let last = inventory.last(Index::DefaultsUpdated).and_then(|key| inventory.cluster_defaults.get(key));
    let Some(last) = last.filter(|last| last.metadata.updated_at >= now) else { return now };
    match last.metadata.updated_at.parse::<jiff::Timestamp>() {
        Ok(time) => rfc3339(time.saturating_add(jiff::SignedDuration::from_micros(1)).unwrap_or(time)),
        Err(_) => now,
    }
}
