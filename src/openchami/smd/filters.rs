//! Which components a request asks for. Every name of the query that is not a filter is ignored, a value behind
//! `!` is one that must not match, of several values one must.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::values::{self, ARCHS, CLASSES, ROLES, STATES, SUB_ROLES};
use super::{Refusal, plain};
use crate::openchami::api::Request;
use crate::openchami::inventory::{Component, Index, Inventory, Member, PartitionMember};
use crate::openchami::xname::Location;

/// Numbers looked up one by one; a wider range is found by looking at every component.
const LOOKED_UP: i64 = 4096;

/// Values one of which must match, and values none of which may.
#[derive(Debug)]
struct Choice<T> {
    any: Vec<T>,
    none: Vec<T>,
}

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self { any: Vec::new(), none: Vec::new() }
    }
}

impl<T> Choice<T> {
    fn add(&mut self, negated: bool, value: T) {
        if negated { self.none.push(value) } else { self.any.push(value) }
    }

    fn admits(&self, matches: impl Fn(&T) -> bool) -> bool {
        (self.any.is_empty() || self.any.iter().any(&matches)) && !self.none.iter().any(&matches)
    }
}

/// Which members of a component are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Fields {
    #[default]
    All,
    State,
    Flag,
    Role,
    Nid,
}

/// What a component must be to be listed.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Members that are wanted.
    pub(super) fields: Fields,
    id: Choice<String>,
    nid: Choice<i64>,
    /// First and last number, both included.
    nid_ranges: Vec<(i64, i64)>,
    nid_starts: Vec<i64>,
    nid_ends: Vec<i64>,
    kind: Choice<&'static str>,
    state: Choice<&'static str>,
    flag: Choice<&'static str>,
    role: Choice<&'static str>,
    sub_role: Choice<&'static str>,
    arch: Choice<&'static str>,
    class: Choice<&'static str>,
    enabled: Choice<bool>,
    locked: Choice<bool>,
    reservation_disabled: Choice<bool>,
    software_status: Choice<String>,
    subtype: Choice<String>,
    /// None: in no group.
    group: Choice<Option<String>>,
    /// None: in no partition.
    partition: Choice<Option<String>>,
}

fn bad(what: &str) -> Refusal {
    Refusal::bad(format!("bad query param: {what}"))
}

fn number(text: &str) -> Result<i64, Refusal> {
    text.trim().parse().map_err(|_| bad(&format!("'{text}' is not an integer")))
}

/// A boolean in the spellings that the reference takes.
fn truth(text: &str) -> Result<bool, Refusal> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(bad(&format!("'{text}' is neither true nor false"))),
    }
}

/// `null` is no group.
fn label(text: &str) -> Option<String> {
    (!text.eq_ignore_ascii_case("null")).then(|| text.to_ascii_lowercase())
}

impl Filter {
    /// The filter that a query is.
    pub(super) fn of_query(request: &Request) -> Result<Self, Refusal> {
        let mut filter = Self::default();
        for (name, value) in &request.query {
            filter.add(&name.to_ascii_lowercase(), value)?;
        }
        filter.finish()
    }

    /// The filter that the members of a body are, their names in lower case: texts, numbers and booleans, alone
    /// or in lists.
    pub(super) fn of_body(body: &Map<String, Value>) -> Result<Self, Refusal> {
        let mut filter = Self::default();
        for (name, value) in body {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                one => std::slice::from_ref(one),
            };
            for value in values {
                match value {
                    Value::String(text) => filter.add(name, text)?,
                    Value::Number(_) | Value::Bool(_) => filter.add(name, &value.to_string())?,
                    _ => {}
                }
            }
        }
        filter.finish()
    }

    fn add(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let negated = value.starts_with('!');
        let text = value.strip_prefix('!').unwrap_or(value);
        plain(name, value)?;
        let word = |words: &[&'static str], what: &str| {
            values::word(words, text).ok_or_else(|| bad(&format!("Argument was not a valid HMS {what}")))
        };
        match name {
            "id" => {
                let id: Location = text.parse().map_err(|_| bad(&format!("'{text}' is not an xname")))?;
                self.id.add(negated, id.to_string());
            }
            "nid" => self.nid.add(negated, number(text)?),
            "nidstart" | "nid_start" => self.nid_starts.push(number(text)?),
            "nidend" | "nid_end" => self.nid_ends.push(number(text)?),
            "type" => {
                let kind = values::hms_type(text).ok_or_else(|| bad("Argument was not a valid HMS Type"))?;
                self.kind.add(negated, kind);
            }
            "state" => self.state.add(negated, word(STATES, "State")?),
            "flag" => {
                let flag = values::flag(text).ok_or_else(|| bad("Argument was not a valid HMS Flag"))?;
                self.flag.add(negated, flag);
            }
            "role" => self.role.add(negated, word(ROLES, "Role")?),
            "subrole" => self.sub_role.add(negated, word(SUB_ROLES, "SubRole")?),
            "arch" => self.arch.add(negated, word(ARCHS, "Arch")?),
            "class" => self.class.add(negated, word(CLASSES, "Class")?),
            "enabled" => self.enabled.add(negated, truth(text)?),
            "locked" => self.locked.add(negated, truth(text)?),
            "reservation_disabled" | "reservationdisabled" => {
                self.reservation_disabled.add(negated, truth(text)?);
            }
            "softwarestatus" => self.software_status.add(negated, text.to_owned()),
            "subtype" => self.subtype.add(negated, text.to_owned()),
            "group" => self.group.add(negated, label(text)),
            "partition" => self.partition.add(negated, label(text)),
            "stateonly" => self.only(text, Fields::State)?,
            "flagonly" => self.only(text, Fields::Flag)?,
            "roleonly" => self.only(text, Fields::Role)?,
            "nidonly" => self.only(text, Fields::Nid)?,
            _ => {}
        }
        Ok(())
    }

    fn only(&mut self, text: &str, fields: Fields) -> Result<(), Refusal> {
        if truth(text)? {
            self.fields = fields;
        }
        Ok(())
    }

    /// Pairs the starts and ends of ranges in their order; one without its partner is open.
    fn finish(mut self) -> Result<Self, Refusal> {
        for at in 0..self.nid_starts.len().max(self.nid_ends.len()) {
            let first = self.nid_starts.get(at).copied().unwrap_or(0);
            let last = self.nid_ends.get(at).copied().unwrap_or(i64::MAX);
            self.nid_ranges.push((first, last));
        }
        Ok(self)
    }

    /// Restricts to numbers such as `7` and ranges such as `1-3`.
    pub(super) fn nid_range(&mut self, text: &str) -> Result<(), Refusal> {
        let wrong = || bad(&format!("'{text}' is neither a number nor a range such as 1-3"));
        let part = |text: &str| text.trim().parse::<i64>().map_err(|_| wrong());
        let range = match text.trim().split_once('-') {
            Some((first, last)) => (part(first)?, part(last)?),
            None => {
                let nid = part(text)?;
                (nid, nid)
            }
        };
        if range.0 > range.1 {
            return Err(wrong());
        }
        self.nid_ranges.push(range);
        Ok(())
    }

    /// The components that match, in order. Ids, numbers, groups and partitions are looked up; only a filter
    /// without any of them looks at every component.
    pub(super) fn components(&self, inventory: &Inventory) -> Vec<Arc<Component>> {
        match self.keys(inventory) {
            Some(keys) => {
                let found = keys.iter().filter_map(|key| inventory.components.get(key));
                let sorted: BTreeMap<String, _> =
                    found.map(|component| (component.id.to_string(), component)).collect();
                sorted.into_values().filter(|component| self.admits(inventory, component)).collect()
            }
            None => {
                let all = inventory.components.iter();
                all.filter(|component| self.admits(inventory, component)).collect()
            }
        }
    }

    /// Keys among which all matches are, if an index gives them.
    fn keys(&self, inventory: &Inventory) -> Option<Vec<String>> {
        if !self.id.any.is_empty() {
            return Some(self.id.any.clone());
        }
        let by_nid = |nid: i64| {
            let found: Vec<String> =
                inventory.keys(Index::Nid, &nid.to_string()).map(str::to_owned).collect();
            found
        };
        if !self.nid.any.is_empty() {
            return Some(self.nid.any.iter().flat_map(|nid| by_nid(*nid)).collect());
        }
        let numbers =
            self.nid_ranges.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1));
        if !self.nid_ranges.is_empty() && numbers.fold(0, i64::saturating_add) <= LOOKED_UP {
            return Some(self.nid_ranges.iter().flat_map(|(a, b)| *a..=*b).flat_map(by_nid).collect());
        }
        let named = |choice: &Choice<Option<String>>| -> Option<Vec<String>> {
            if choice.any.is_empty() { None } else { choice.any.iter().cloned().collect() }
        };
        if let Some(labels) = named(&self.group) {
            return Some(labels.iter().flat_map(|label| inventory.members_of(label)).collect());
        }
        let names = named(&self.partition)?;
        let members = names.iter().flat_map(|name| inventory.keys(Index::PartitionOf, name));
        Some(members.map(str::to_owned).collect())
    }

    /// Whether a component matches.
    pub(super) fn admits(&self, inventory: &Inventory, component: &Component) -> bool {
        let id = component.id.as_str();
        let same = |text: &str, word: &&'static str| text.eq_ignore_ascii_case(word);
        let within = |nid: i64| self.nid_ranges.iter().any(|(first, last)| (*first..=*last).contains(&nid));
        let in_group = |label: &Option<String>| match label {
            Some(label) => inventory.members.contains(&Member::key_of(label, id)),
            None => inventory.keys(Index::GroupsOf, id).next().is_none(),
        };
        self.id.admits(|wanted| wanted == id)
            && self.nid.admits(|nid| component.nid == Some(*nid))
            && (self.nid_ranges.is_empty() || component.nid.is_some_and(within))
            && self.kind.admits(|kind| *kind == component.id.kind())
            && self.state.admits(|state| same(&component.state, state))
            && self.flag.admits(|flag| same(&component.flag, flag))
            && self.role.admits(|role| same(&component.role, role))
            && self.sub_role.admits(|role| same(&component.sub_role, role))
            && self.arch.admits(|arch| same(&component.arch, arch))
            && self.class.admits(|class| same(&component.class, class))
            && self.enabled.admits(|enabled| *enabled == component.enabled)
            && self.locked.admits(|locked| *locked == component.locked)
            && self.reservation_disabled.admits(|disabled| *disabled == component.reservation_disabled)
            && self.software_status.admits(|status| *status == component.software_status)
            && self.subtype.admits(|subtype| *subtype == component.subtype)
            && self.group.admits(in_group)
            && self.partition.admits(|partition| partition_of(inventory, id) == *partition)
    }
}

/// Partition of a component.
pub(super) fn partition_of(inventory: &Inventory, id: &str) -> Option<String> {
    let member: Option<Arc<PartitionMember>> = inventory.partition_members.get(id);
    member.map(|member| member.partition.clone())
}
