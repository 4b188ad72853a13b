//! Boot entries by what selects them: the best entry of a node without a walk through all entries.
//!
//! `boot::resolve` states the rules one entry at a time; this index gives the same answer (a test compares
//! them) for a hundred thousand nodes that each have their own entry, or one entry that lists them all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::boot::SelectorKind;
use crate::client::Cpu;

use super::entry::BootEntry;
use super::id::{Mac, Xname};
use super::node::Node;

/// Rivals that are named in a tie.
const RIVALS_MAX: usize = 8;

/// Indices of entries in the order in which they win: higher priority, then name, then file order.
type Bucket = Vec<u32>;

/// Entries by selector.
#[derive(Debug, Default)]
pub struct SelectorIndex {
    macs: HashMap<Mac, Bucket>,
    nids: HashMap<u32, Bucket>,
    xnames: HashMap<Xname, Bucket>,
    names: HashMap<String, Bucket>,
    groups: HashMap<String, Bucket>,
    profiles: HashMap<String, Bucket>,
    /// Lower case: roles are compared without case.
    roles: HashMap<String, Bucket>,
    default: Bucket,
}

/// The entry that wins, and who comes as close as only a name can decide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Best {
    /// Index of the entry in `Snapshot::entries`.
    pub entry: usize,
    /// What matched.
    pub by: SelectorKind,
    /// Entries with the same kind of match and the same priority, at most eight.
    pub rivals: Vec<usize>,
}

impl SelectorIndex {
    /// Indexes `entries`.
    pub fn new(entries: &[BootEntry]) -> Self {
        let mut order: Vec<u32> = (0..entries.len() as u32).collect();
        let entry = |index: &u32| &entries[*index as usize];
        order.sort_by(|a, b| {
            let (a, b) = (entry(a), entry(b));
            b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name))
        });
        let mut index = Self::default();
        for at in order {
            let s = &entries[at as usize].selectors;
            put(&mut index.macs, s.macs.iter().copied(), at);
            put(&mut index.nids, s.nids.iter().copied(), at);
            put(&mut index.xnames, s.xnames.iter().cloned(), at);
            put(&mut index.names, s.names.iter().cloned(), at);
            put(&mut index.groups, s.groups.iter().cloned(), at);
            put(&mut index.profiles, s.profile.iter().cloned(), at);
            put(&mut index.roles, s.roles.iter().map(|role| role.to_ascii_lowercase()), at);
            if s.default {
                index.default.push(at);
            }
        }
        index
    }

    /// The best entry for `node`; `cpu` as in [`crate::boot::resolve()`].
    pub fn best(&self, entries: &[Arc<BootEntry>], node: &Node, cpu: Option<Cpu>) -> Option<Best> {
        use SelectorKind::*;
        let role = node.role_or_default().to_ascii_lowercase();
        // Lower kinds are looked at only while nothing matched, so an entry found here matches by no better.
        [Mac, Nid, Host, Group, Profile, Role, Default].into_iter().find_map(|kind| {
            let buckets: Vec<&Bucket> = match kind {
                Mac => node.nics.iter().filter_map(|nic| self.macs.get(&nic.mac)).collect(),
                Nid => node.nid.and_then(|nid| self.nids.get(&nid)).into_iter().collect(),
                Host => {
                    let xname = node.xname.as_ref().and_then(|xname| self.xnames.get(xname));
                    let name = node.name.as_ref().and_then(|name| self.names.get(name));
                    xname.into_iter().chain(name).collect()
                }
                Group => node.groups.iter().filter_map(|group| self.groups.get(group)).collect(),
                Profile => node.profile.iter().filter_map(|name| self.profiles.get(name)).collect(),
                Role => self.roles.get(&role).into_iter().collect(),
                Default => vec![&self.default],
            };
            best_of(&buckets, entries, cpu).map(|(entry, rivals)| Best { entry, by: kind, rivals })
        })
    }
}

fn put<K: Hash + Eq>(map: &mut HashMap<K, Bucket>, keys: impl Iterator<Item = K>, at: u32) {
    for key in keys {
        let bucket = map.entry(key).or_default();
        // One entry may state a selector twice.
        if bucket.last() != Some(&at) {
            bucket.push(at);
        }
    }
}

fn best_of(buckets: &[&Bucket], entries: &[Arc<BootEntry>], cpu: Option<Cpu>) -> Option<(usize, Vec<usize>)> {
    let for_cpu =
        |entry: &BootEntry| cpu.is_none_or(|cpu| entry.arch.is_empty() || entry.arch.contains(&cpu));
    let mut top: Vec<usize> = Vec::new();
    for bucket in buckets {
        let mut matching =
            bucket.iter().map(|at| *at as usize).filter(|at| for_cpu(&entries[*at])).peekable();
        let Some(priority) = matching.peek().map(|at| entries[*at].priority) else { continue };
        top.extend(matching.take_while(|at| entries[*at].priority == priority).take(RIVALS_MAX + 1));
    }
    top.sort_by(|a, b| {
        let (x, y) = (&entries[*a], &entries[*b]);
        y.priority.cmp(&x.priority).then_with(|| x.name.cmp(&y.name)).then(a.cmp(b))
    });
    top.dedup();
    let winner = *top.first()?;
    let won = &entries[winner];
    let same_cpu = |other: &BootEntry| {
        won.arch.is_empty() || other.arch.is_empty() || won.arch.iter().any(|cpu| other.arch.contains(cpu))
    };
    let rivals = top[1..].iter().copied();
    let rivals = rivals.filter(|at| entries[*at].priority == won.priority && same_cpu(&entries[*at]));
    Some((winner, rivals.take(RIVALS_MAX).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::{BootFile, Nic, Origin, Selectors, Snapshot};
    use super::*;
    use proptest::prelude::*;

    /// The rules as they are written, entry by entry: what the index must agree with.
    fn resolve_in_a_line(
        records: &Snapshot,
        node: &Node,
        cpu: Option<Cpu>,
    ) -> Option<(SelectorKind, Arc<BootEntry>)> {
        let cpu = node.cpu().or(cpu);
        let entries = records.entries().iter().filter(|entry| match cpu {
            Some(cpu) => entry.arch.is_empty() || entry.arch.contains(&cpu),
            None => true,
        });
        let found = entries.filter_map(|entry| Some((best_selector(entry, node)?, entry)));
        let best = found.min_by(|(a_by, a), (b_by, b)| {
            a_by.cmp(b_by).then(b.priority.cmp(&a.priority)).then_with(|| a.name.cmp(&b.name))
        });
        best.map(|(by, entry)| (by, Arc::clone(entry)))
    }

    /// The best kind of selector by which `entry` names `node`.
    fn best_selector(entry: &BootEntry, node: &Node) -> Option<SelectorKind> {
        let s = &entry.selectors;
        if node.nics.iter().any(|nic| s.macs.contains(&nic.mac)) {
            return Some(SelectorKind::Mac);
        }
        if node.nid.is_some_and(|nid| s.nids.contains(&nid)) {
            return Some(SelectorKind::Nid);
        }
        if node.xname.as_ref().is_some_and(|xname| s.xnames.contains(xname))
            || node.name.as_ref().is_some_and(|name| s.names.contains(name))
        {
            return Some(SelectorKind::Host);
        }
        if node.groups.iter().any(|group| s.groups.contains(group)) {
            return Some(SelectorKind::Group);
        }
        if node.profile.is_some() && node.profile == s.profile {
            return Some(SelectorKind::Profile);
        }
        if s.roles.iter().any(|role| role.eq_ignore_ascii_case(node.role_or_default())) {
            return Some(SelectorKind::Role);
        }
        s.default.then_some(SelectorKind::Default)
    }

    fn mac(last: u8) -> Mac {
        Mac::new([2, 0, 0, 0, 0, last]).unwrap()
    }

    fn entry() -> impl Strategy<Value = BootEntry> {
        let few = || proptest::collection::vec(0u8..4, 0..2);
        (few(), few(), few(), few(), few(), 0u8..8, -1i64..2, 0u8..3).prop_map(
            |(macs, nids, names, groups, roles, bits, priority, name)| BootEntry {
                name: format!("e{name}"),
                selectors: Selectors {
                    macs: macs.into_iter().map(mac).collect(),
                    nids: nids.into_iter().map(u32::from).collect(),
                    names: names.into_iter().map(|n| format!("n{n}")).collect(),
                    groups: groups.into_iter().map(|n| format!("g{n}")).collect(),
                    roles: roles
                        .into_iter()
                        .map(|n| if n == 0 { "Compute".into() } else { format!("R{n}") })
                        .collect(),
                    profile: (bits & 1 > 0).then(|| "p".to_owned()),
                    default: bits & 2 > 0,
                    ..Selectors::default()
                },
                arch: if bits & 4 > 0 { vec![Cpu::X86_64] } else { vec![] },
                kernel: BootFile::Local,
                initrd: None,
                params: String::new(),
                loader: None,
                script: None,
                priority,
                cloud_init: serde_json::Value::Null,
                origin: Origin::default(),
            },
        )
    }

    fn node() -> impl Strategy<Value = Node> {
        let few = || proptest::collection::vec(0u8..4, 0..3);
        (few(), 0u32..4, 0u8..4, few(), 0u8..3, any::<bool>()).prop_map(
            |(macs, nid, name, groups, role, profile)| Node {
                name: Some(format!("n{name}")),
                nid: Some(nid),
                nics: macs.into_iter().map(|m| Nic { mac: mac(m), addresses: vec![] }).collect(),
                groups: groups.into_iter().map(|n| format!("g{n}")).collect(),
                role: (role > 0).then(|| format!("r{role}")),
                profile: profile.then(|| "p".to_owned()),
                ..Node::default()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_index_finds_what_the_rules_find(
            entries in proptest::collection::vec(entry(), 0..8),
            node in node(),
            cpu in proptest::option::of(prop_oneof![Just(Cpu::X86_64), Just(Cpu::Arm64)]),
        ) {
            let records = Snapshot::new(vec![], entries);
            let found = records.best_entry(&node, cpu);
            let expected = resolve_in_a_line(&records, &node, cpu);
            prop_assert_eq!(found.is_some(), expected.is_some());
            if let (Some(found), Some((by, expected))) = (found, expected) {
                prop_assert!(Arc::ptr_eq(&records.entries()[found.entry], &expected));
                prop_assert_eq!(found.by, by);
                for rival in found.rivals {
                    let rival = &records.entries()[rival];
                    prop_assert_eq!(rival.priority, expected.priority);
                    prop_assert_eq!(best_selector(rival, &node), Some(by));
                }
            }
        }
    }
}
