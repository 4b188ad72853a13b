//! Which node was served which document when: BSS's `endpoint-history`. In memory, the last time of each only,
//! and of a bounded number of nodes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// Entries that are kept; beyond, those that were not served for the longest time go.
const MOST: usize = 200_000;

/// What is served.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Endpoint {
    /// The boot script.
    Bootscript,
    /// User-data of cloud-init.
    UserData,
}

impl Endpoint {
    /// Name in `endpoint-history`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootscript => "bootscript",
            Self::UserData => "user-data",
        }
    }
}

/// One line of the history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Xname of the node.
    pub node: String,
    /// What it was served.
    pub endpoint: Endpoint,
    /// When last, seconds since 1970.
    pub last: i64,
}

/// The history. Shared by all doors; noting costs a short lock.
#[derive(Debug, Default)]
pub struct History(Mutex<Served>);

#[derive(Debug, Default)]
struct Served {
    turn: u64,
    entries: HashMap<(String, Endpoint), (u64, i64)>,
    /// The same by age.
    order: BTreeMap<u64, (String, Endpoint)>,
}

impl History {
    /// Notes that a node was served at `now`, seconds since 1970.
    pub fn note(&self, node: &str, endpoint: Endpoint, now: i64) {
        self.note_among(MOST, node, endpoint, now);
    }

    fn note_among(&self, most: usize, node: &str, endpoint: Endpoint, now: i64) {
        // Nothing in here panics halfway, so a poisoned lock holds whole data.
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Served { turn, entries, order } = &mut *served;
        *turn += 1;
        let key = (node.to_owned(), endpoint);
        if let Some((old, _)) = entries.insert(key.clone(), (*turn, now)) {
            order.remove(&old);
        }
        order.insert(*turn, key);
        if entries.len() > most
            && let Some((_, oldest)) = order.pop_first()
        {
            entries.remove(&oldest);
        }
    }

    /// The entries of a node, or of all; of one endpoint, or of both; in the order of their names.
    pub fn entries(&self, node: Option<&str>, endpoint: Option<Endpoint>) -> Vec<Entry> {
        let served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let both = [Endpoint::Bootscript, Endpoint::UserData];
        let wanted = |one: Endpoint| endpoint.is_none_or(|wanted| wanted == one);
        let entry =
            |node: &str, endpoint: Endpoint, last: i64| Entry { node: node.to_owned(), endpoint, last };
        let mut found: Vec<Entry> = match node {
            Some(node) => {
                let of =
                    |one: Endpoint| Some(entry(node, one, served.entries.get(&(node.to_owned(), one))?.1));
                both.into_iter().filter(|one| wanted(*one)).filter_map(of).collect()
            }
            None => {
                let all = served.entries.iter().filter(|((_, one), _)| wanted(*one));
                all.map(|((node, one), (_, last))| entry(node, *one, *last)).collect()
            }
        };
        found.sort_by(|a, b| (&a.node, a.endpoint).cmp(&(&b.node, b.endpoint)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_and_endpoint_has_one_entry_with_its_last_time() {
        let history = History::default();
        for (now, node, endpoint) in [
            (1, "x1c0s0b0n1", Endpoint::Bootscript),
            (2, "x1c0s0b0n0", Endpoint::Bootscript),
            (3, "x1c0s0b0n1", Endpoint::UserData),
            (4, "x1c0s0b0n1", Endpoint::Bootscript),
        ] {
            history.note(node, endpoint, now);
        }
        let times = |node, endpoint| -> Vec<i64> {
            history.entries(node, endpoint).into_iter().map(|entry| entry.last).collect()
        };
        assert_eq!(times(None, None), [2, 4, 3]);
        assert_eq!(times(Some("x1c0s0b0n1"), None), [4, 3]);
        assert_eq!(times(Some("x1c0s0b0n1"), Some(Endpoint::UserData)), [3]);
        assert_eq!(times(Some("x9c0s0b0n0"), None), [0; 0]);
    }

    #[test]
    fn the_node_that_was_served_longest_ago_goes_first() {
        let history = History::default();
        for (now, node) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
            history.note_among(2, node, Endpoint::Bootscript, now);
        }
        let left: Vec<String> = history.entries(None, None).into_iter().map(|entry| entry.node).collect();
        assert_eq!(left, ["a", "c"]);
    }
}
