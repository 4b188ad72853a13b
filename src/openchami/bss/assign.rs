//! What a BSS write does to the units: identifiers go from where they are into the unit that boots what they
//! shall boot.
//!
//! Units that came through the API are changed; what a file states stays, and a write that says otherwise is
//! refused. A unit that loses its last selector is removed: it must never become one that is for nobody, or be
//! taken for one that is for everybody.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::openchami::boot_service::envelope::fresh_uid;
use crate::openchami::inventory::{BootUnit, Draft, Index, Inventory, Meta, Owned};

use super::identifier::{Identifier, filed};

/// Identifiers that a unit takes at most from here. A unit is written as a whole, so what one identifier costs must not
/// grow with the system; BSS shows all units of equal content as one.
const UNIT_MAX: usize = 1_000;

/// What is booted. Units of equal content are one for BSS.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Content {
    /// As in [`BootUnit`].
    pub kernel: String,
    /// As in [`BootUnit`].
    pub initrd: String,
    /// As in [`BootUnit`].
    pub params: String,
    /// As in [`BootUnit`].
    pub cloud_init: Value,
}

impl Content {
    /// A unit's.
    pub fn of(unit: &BootUnit) -> Self {
        Self {
            kernel: unit.kernel.clone(),
            initrd: unit.initrd.clone(),
            params: unit.params.clone(),
            cloud_init: unit.cloud_init.clone(),
        }
    }

    /// The unit that boots this and is for nobody yet.
    fn unit(&self, metadata: Meta) -> BootUnit {
        let Self { kernel, initrd, params, cloud_init } = self.clone();
        BootUnit { metadata, kernel, initrd, params, cloud_init, ..BootUnit::default() }
    }
}

/// What an identifier boots now: the unit of the API that names it, the one that wins if several do, else the
/// unit of a file.
pub fn current(inventory: &Inventory, identifier: &Identifier) -> Option<Content> {
    let mut units = identifier.units(inventory);
    units.sort_by(|a, b| {
        let stated = |unit: &BootUnit| filed(&inventory.boot_units, unit);
        let by_name = || a.metadata.name.cmp(&b.metadata.name);
        stated(a).cmp(&stated(b)).then(b.priority.cmp(&a.priority)).then_with(by_name)
    });
    units.first().map(|unit| Content::of(unit))
}

/// Checks that no file states something else for these identifiers than they shall have; `None`: they shall be
/// gone. Gives those that a file states just so, for which nothing has to be done.
pub fn check_files(
    draft: &mut Draft<'_>,
    wanted: &[(Identifier, Option<Content>)],
) -> Result<HashSet<Identifier>, Owned> {
    let mut stated = HashSet::new();
    for (identifier, content) in wanted {
        for unit in identifier.units(draft.inventory()) {
            if !filed(&draft.inventory().boot_units, &unit) {
                continue;
            }
            if content.as_ref() == Some(&Content::of(&unit)) {
                stated.insert(identifier.clone());
                continue;
            }
            // Refused with the place in the file, and the key that says otherwise.
            let mut other = BootUnit::clone(&unit);
            match content {
                Some(content) => {
                    let Content { kernel, initrd, params, cloud_init } = content.clone();
                    other = BootUnit { kernel, initrd, params, cloud_init, ..other };
                }
                None => take_out(&mut other, &HashSet::from([identifier.clone()])),
            }
            draft.put(other)?;
        }
    }
    Ok(stated)
}

/// Gives each identifier its content, or takes it away, in the units of the API. `now` is the time they carry.
pub fn assign(
    draft: &mut Draft<'_>,
    wanted: Vec<(Identifier, Option<Content>)>,
    now: &str,
) -> Result<(), Owned> {
    let mut edits: BTreeMap<String, Edit> = BTreeMap::new();
    let mut homes: HashMap<String, String> = HashMap::new();
    for (identifier, content) in wanted {
        let mut there = false;
        for unit in identifier.units(draft.inventory()) {
            if filed(&draft.inventory().boot_units, &unit) {
                continue;
            }
            if !there && content.as_ref() == Some(&Content::of(&unit)) {
                there = true;
                continue;
            }
            let edit = edits.entry(unit.metadata.uid.clone()).or_insert_with(|| Edit::of(&unit));
            edit.out.insert(identifier.clone());
        }
        if let Some(content) = content.filter(|_| !there) {
            let key = content.unit(Meta::default()).content_key();
            let uid = match homes.remove(&key) {
                Some(uid) => uid,
                None => home(draft.inventory(), &mut edits, &content, &key, now),
            };
            if let Some(edit) = edits.get_mut(&uid) {
                edit.into.push(identifier);
                if edit.has_room() {
                    homes.insert(key, uid);
                }
            }
        }
    }
    for (uid, edit) in edits {
        let mut unit = edit.unit;
        take_out(&mut unit, &edit.out);
        for identifier in edit.into {
            match identifier {
                Identifier::Host(host) => unit.hosts.push(host),
                Identifier::Role(role) => unit.roles.push(role),
                Identifier::Mac(mac) => unit.macs.push(mac),
                Identifier::Nid(nid) => unit.nids.push(nid),
            }
        }
        if unit.selects() {
            unit.metadata.updated_at = now.to_owned();
            draft.put(unit)?;
        } else {
            draft.remove::<BootUnit>(&uid)?;
        }
    }
    Ok(())
}

/// Changes of one unit, collected so that it is written once.
struct Edit {
    unit: BootUnit,
    out: HashSet<Identifier>,
    into: Vec<Identifier>,
}

impl Edit {
    fn of(unit: &BootUnit) -> Self {
        Self { unit: unit.clone(), out: HashSet::new(), into: Vec::new() }
    }

    fn has_room(&self) -> bool {
        count(&self.unit) + self.into.len() < UNIT_MAX + self.out.len()
    }
}

/// The uid of a unit of the API with this content and room, a new one if there is none; it is among the edits then.
fn home(
    inventory: &Inventory,
    edits: &mut BTreeMap<String, Edit>,
    content: &Content,
    key: &str,
    now: &str,
) -> String {
    let has_room = |unit: &BootUnit| match edits.get(&unit.metadata.uid) {
        Some(edit) => edit.has_room(),
        None => count(unit) < UNIT_MAX,
    };
    let known = inventory
        .find::<BootUnit>(Index::UnitContent, key)
        .find(|unit| Content::of(unit) == *content && !filed(&inventory.boot_units, unit) && has_room(unit));
    if let Some(unit) = known {
        let uid = unit.metadata.uid.clone();
        edits.entry(uid.clone()).or_insert_with(|| Edit::of(&unit));
        return uid;
    }
    let taken = |uid: &str| inventory.boot_units.contains(uid) || edits.contains_key(uid);
    let uid = fresh_uid(inventory, "BootConfiguration", key, taken);
    let meta = Meta {
        name: format!("bss-{}", &key[..8]),
        uid: uid.clone(),
        created_at: now.to_owned(),
        updated_at: now.to_owned(),
        ..Meta::default()
    };
    edits.insert(uid.clone(), Edit::of(&content.unit(meta)));
    uid
}

fn count(unit: &BootUnit) -> usize {
    unit.hosts.len() + unit.roles.len() + unit.macs.len() + unit.nids.len()
}

fn take_out(unit: &mut BootUnit, out: &HashSet<Identifier>) {
    unit.hosts.retain(|host| !out.contains(&Identifier::Host(host.clone())));
    unit.roles.retain(|role| !out.contains(&Identifier::Role(role.clone())));
    unit.macs.retain(|mac| !out.contains(&Identifier::Mac(mac.clone())));
    unit.nids.retain(|nid| !out.contains(&Identifier::Nid(*nid)));
}
