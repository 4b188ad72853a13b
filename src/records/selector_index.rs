//! Boot entries by what selects them: the best entry of a node without a walk through all entries.
//!
//! `boot::resolve` states the rules one entry at a time; this index gives the same answer (a test compares
//! them) for a hundred thousand nodes that each have their own entry, or one entry that lists them all. An
//! entry comes and goes at the cost of what it names, whatever else is indexed; a clone costs nothing.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use imbl::OrdMap;

use crate::boot::SelectorKind;
use crate::client::Cpu;

use super::entry::{BootEntry, Selectors};
use super::id::{Mac, Xname};
use super::key::EntryKey;
use super::multi_map::MultiMap;
use super::node::Node;

/// Rivals that are named in a tie.
const RIVALS_MAX: usize = 8;
/// Beyond so many selectors that an entry loses, those that it keeps are hashed for comparison.
const GONE_ONE_BY_ONE: usize = 8;

/// An entry's place among those that match by the same kind of selector: higher priority, then name, then
/// the order of the files.
#[derive(Debug)]
pub struct Rank {
    /// Priority of the entry.
    pub priority: i64,
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: EntryKey,
    /// What it is restricted to.
    arch: Vec<Cpu>,
}

impl Rank {
    fn of(key: EntryKey, entry: &BootEntry) -> Self {
        Self { priority: entry.priority, name: entry.name.clone(), key, arch: entry.arch.clone() }
    }

    fn allows(&self, cpu: Option<Cpu>) -> bool {
        cpu.is_none_or(|cpu| self.arch.is_empty() || self.arch.contains(&cpu))
    }

    /// Whether there is a processor that both are for.
    fn meets(&self, other: &Self) -> bool {
        let any = self.arch.is_empty() || other.arch.is_empty();
        any || self.arch.iter().any(|cpu| other.arch.contains(cpu))
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_priority = other.priority.cmp(&self.priority);
        by_priority.then_with(|| self.name.cmp(&other.name)).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Rank {}

/// Ranks of the entries behind one selector, the winner first.
type Buckets<K> = MultiMap<K, Arc<Rank>>;

/// Entries by key and by selector.
#[derive(Clone, Debug, Default)]
pub struct SelectorIndex {
    entries: OrdMap<EntryKey, (Arc<Rank>, Arc<BootEntry>)>,
    macs: Buckets<Mac>,
    nids: Buckets<u32>,
    xnames: Buckets<Xname>,
    /// By what stands before the star.
    patterns: Buckets<String>,
    names: Buckets<String>,
    groups: Buckets<String>,
    profiles: Buckets<String>,
    /// Lower case: roles are compared without case.
    roles: Buckets<String>,
    default: Buckets<()>,
}

/// The entry that wins, and who comes as close as only a name can decide.
#[derive(Clone, Debug)]
pub struct Best {
    /// Key of the entry.
    pub key: EntryKey,
    /// The entry.
    pub entry: Arc<BootEntry>,
    /// What matched.
    pub by: SelectorKind,
    /// Entries with the same kind of match and the same priority, at most eight.
    pub rivals: Vec<Arc<Rank>>,
}

impl SelectorIndex {
    /// Adds an entry, in place of the one with that key.
    pub fn put(&mut self, key: EntryKey, entry: BootEntry) {
        let mut rank = Arc::new(Rank::of(key.clone(), &entry));
        let nothing = Selectors::default();
        match self.entries.get(&key).cloned() {
            // One more node for an entry that names a hundred thousand must not cost as many steps.
            Some((same, old)) if same == rank && same.arch == rank.arch => {
                rank = same;
                self.change(&rank, &old.selectors, &entry.selectors);
            }
            Some((other, old)) => {
                self.change(&other, &old.selectors, &nothing);
                self.change(&rank, &nothing, &entry.selectors);
            }
            None => self.change(&rank, &nothing, &entry.selectors),
        }
        self.entries.insert(key, (rank, Arc::new(entry)));
    }

    /// Takes an entry out; false if there is none with that key.
    pub fn remove(&mut self, key: &EntryKey) -> bool {
        let Some((rank, entry)) = self.entries.remove(key) else { return false };
        self.change(&rank, &entry.selectors, &Selectors::default());
        true
    }

    /// The entry with that key.
    pub fn get(&self, key: &EntryKey) -> Option<&Arc<BootEntry>> {
        self.entries.get(key).map(|(_, entry)| entry)
    }

    /// All entries by their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&EntryKey, &Arc<BootEntry>)> {
        self.entries.iter().map(|(key, (_, entry))| (key, entry))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether an entry is for this profile.
    pub fn has_profile(&self, profile: &str) -> bool {
        self.profiles.first(profile).is_some()
    }

    /// The best entry of those that name this card.
    pub fn by_mac(&self, mac: Mac) -> Option<&Arc<BootEntry>> {
        self.get(&self.macs.first(&mac)?.key)
    }

    /// The best entry for `node`; `cpu` as in [`crate::boot::resolve()`].
    pub fn best(&self, node: &Node, cpu: Option<Cpu>) -> Option<Best> {
        use SelectorKind::*;
        // Lower kinds are looked at only while nothing matched, so an entry found here matches by no better.
        [Mac, Nid, Host, Group, Profile, Role, Default].into_iter().find_map(|by| {
            let mut top = Top::new(cpu);
            match by {
                // Selects nothing: [`crate::boot::resolve()`] looks at it before all selectors.
                Once => {}
                Mac => node.nics.iter().for_each(|nic| top.look(self.macs.all(&nic.mac))),
                Nid => node.nid.iter().for_each(|nid| top.look(self.nids.all(nid))),
                Host => {
                    if let Some(xname) = &node.xname {
                        top.look(self.xnames.all(xname));
                        if !self.patterns.is_empty() {
                            xname.prefixes().for_each(|prefix| top.look(self.patterns.all(prefix)));
                        }
                    }
                    node.name.iter().for_each(|name| top.look(self.names.all(name)));
                }
                Group => node.groups.iter().for_each(|group| top.look(self.groups.all(group))),
                Profile => node.profile.iter().for_each(|name| top.look(self.profiles.all(name))),
                Role => top.look(self.roles.all(&node.role_or_default().to_ascii_lowercase())),
                Default => top.look(self.default.all(&())),
            }
            let (rank, rivals) = top.winner()?;
            let entry = Arc::clone(self.get(&rank.key)?);
            Some(Best { key: rank.key.clone(), entry, by, rivals })
        })
    }

    /// Moves the entry with this rank from the selectors `old` to the selectors `new`.
    fn change(&mut self, rank: &Arc<Rank>, old: &Selectors, new: &Selectors) {
        let lower =
            |s: &Selectors| -> Vec<String> { s.roles.iter().map(|role| role.to_ascii_lowercase()).collect() };
        let default = |s: &Selectors| if s.default { &[()][..] } else { &[] };
        differ(&mut self.macs, &old.macs, &new.macs, rank);
        differ(&mut self.nids, &old.nids, &new.nids, rank);
        differ(&mut self.xnames, &old.xnames, &new.xnames, rank);
        differ(&mut self.patterns, &old.patterns, &new.patterns, rank);
        differ(&mut self.names, &old.names, &new.names, rank);
        differ(&mut self.groups, &old.groups, &new.groups, rank);
        differ(&mut self.profiles, old.profile.as_slice(), new.profile.as_slice(), rank);
        differ(&mut self.roles, &lower(old), &lower(new), rank);
        differ(&mut self.default, default(old), default(new), rank);
    }
}

/// Changes the buckets by what distinguishes two lists. What both begin and end with is only compared.
fn differ<K: Hash + Eq + Clone>(buckets: &mut Buckets<K>, old: &[K], new: &[K], rank: &Arc<Rank>) {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (gone, come) = (&old[head..], &new[head..]);
    let tail = gone.iter().rev().zip(come.iter().rev()).take_while(|(a, b)| a == b).count();
    let (gone, come) = (&gone[..gone.len() - tail], &come[..come.len() - tail]);
    // An entry may state a selector twice, so what is gone here may still stand there.
    let hashed: Option<HashSet<&K>> = (gone.len() > GONE_ONE_BY_ONE).then(|| new.iter().collect());
    let kept = |key: &K| hashed.as_ref().map_or_else(|| new.contains(key), |hashed| hashed.contains(key));
    for key in gone.iter().filter(|key| !kept(key)) {
        buckets.take(key, rank);
    }
    for key in come {
        buckets.put(key.clone(), Arc::clone(rank));
    }
}

/// The best of several buckets.
struct Top<'a> {
    cpu: Option<Cpu>,
    ranks: Vec<&'a Arc<Rank>>,
}

impl<'a> Top<'a> {
    fn new(cpu: Option<Cpu>) -> Self {
        Self { cpu, ranks: Vec::new() }
    }

    /// Takes the best of one bucket: all that a name decides between.
    fn look(&mut self, bucket: impl Iterator<Item = &'a Arc<Rank>>) {
        let mut matching = bucket.filter(|rank| rank.allows(self.cpu));
        let Some(best) = matching.next() else { return };
        let equal = matching.take_while(|rank| rank.priority == best.priority).take(RIVALS_MAX);
        self.ranks.extend(std::iter::once(best).chain(equal));
    }

    /// The winner and its rivals.
    fn winner(mut self) -> Option<(&'a Arc<Rank>, Vec<Arc<Rank>>)> {
        self.ranks.sort();
        self.ranks.dedup();
        let (won, others) = self.ranks.split_first()?;
        let rivals = others.iter().filter(|rank| rank.priority == won.priority && rank.meets(won));
        Some((won, rivals.take(RIVALS_MAX).map(|rank| Arc::clone(rank)).collect()))
    }
}

#[cfg(test)]
mod tests;
