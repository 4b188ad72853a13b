//! A persistent map from an identity to everybody who claims it.
//!
//! Cloning costs nothing, a change copies only the path to what changes. Through the API two nodes may claim
//! one NID or address: the least holder is the one that is found, and when it goes the next one is.

use std::borrow::Borrow;
use std::hash::Hash;

use imbl::{HashMap, OrdSet};

/// Holders by key, each key's in their order.
#[derive(Clone, Debug)]
pub(super) struct MultiMap<K, H: Ord> {
    by_key: HashMap<K, Holders<H>>,
}

/// Never empty. Nearly every identity has one holder, and then needs no tree.
#[derive(Clone, Debug)]
enum Holders<H: Ord> {
    One(H),
    Several(OrdSet<H>),
}

impl<K, H: Ord> Default for MultiMap<K, H> {
    fn default() -> Self {
        Self { by_key: HashMap::default() }
    }
}

impl<K: Hash + Eq + Clone, H: Ord + Clone> MultiMap<K, H> {
    /// Adds a holder; an equal one is replaced.
    pub(super) fn put(&mut self, key: K, holder: H) {
        let Some(holders) = self.by_key.get_mut(&key) else {
            self.by_key.insert(key, Holders::One(holder));
            return;
        };
        match holders {
            Holders::One(only) if *only == holder => *only = holder,
            Holders::One(only) => {
                *holders = Holders::Several([only.clone(), holder].into_iter().collect());
            }
            Holders::Several(all) => {
                all.remove(&holder);
                all.insert(holder);
            }
        }
    }

    /// Takes a holder away, if it is one.
    pub(super) fn take(&mut self, key: &K, holder: &H) {
        let Some(holders) = self.by_key.get_mut(key) else { return };
        match holders {
            Holders::One(only) => {
                if only == holder {
                    self.by_key.remove(key);
                }
            }
            Holders::Several(all) => {
                all.remove(holder);
                if all.len() == 1
                    && let Some(last) = all.get_min().cloned()
                {
                    *holders = Holders::One(last);
                }
            }
        }
    }

    /// The least holder.
    pub(super) fn first<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&H>
    where
        K: Borrow<Q>,
    {
        match self.by_key.get(key)? {
            Holders::One(only) => Some(only),
            Holders::Several(all) => all.get_min(),
        }
    }

    /// All holders in their order.
    pub(super) fn all<'a, Q: Hash + Eq + ?Sized>(
        &'a self,
        key: &Q,
    ) -> impl Iterator<Item = &'a H> + use<'a, K, H, Q>
    where
        K: Borrow<Q>,
    {
        let (one, several) = match self.by_key.get(key) {
            None => (None, None),
            Some(Holders::One(only)) => (Some(only), None),
            Some(Holders::Several(all)) => (None, Some(all.iter())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    /// How many hold it.
    pub(super) fn count(&self, key: &K) -> usize {
        match self.by_key.get(key) {
            None => 0,
            Some(Holders::One(_)) => 1,
            Some(Holders::Several(all)) => all.len(),
        }
    }

    /// True when nobody holds anything.
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_next_holder_is_found_when_the_least_goes() {
        let mut map = MultiMap::default();
        for holder in [3, 1, 2] {
            map.put("nid", holder);
        }
        let before = map.clone();
        for least in [1, 2, 3] {
            assert_eq!(map.first("nid"), Some(&least));
            map.take(&"nid", &least);
        }
        assert!(map.first("nid").is_none() && map.is_empty());
        assert_eq!(before.all("nid").collect::<Vec<_>>(), [&1, &2, &3], "an older state stays as it was");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn after_any_changes_the_holders_are_those_put_and_not_taken(
            changes in proptest::collection::vec((any::<bool>(), 0u8..3, 0u8..6), 0..60),
        ) {
            let mut map = MultiMap::default();
            let mut plain: BTreeSet<(u8, u8)> = BTreeSet::new();
            for (put, key, holder) in changes {
                if put {
                    map.put(key, holder);
                    plain.insert((key, holder));
                } else {
                    map.take(&key, &holder);
                    plain.remove(&(key, holder));
                }
            }
            for key in 0..3 {
                let expected: Vec<u8> = plain.iter().filter(|(k, _)| *k == key).map(|(_, h)| *h).collect();
                prop_assert_eq!(map.all(&key).copied().collect::<Vec<_>>(), expected.clone());
                prop_assert_eq!(map.first(&key), expected.first());
                prop_assert_eq!(map.count(&key), expected.len());
            }
            prop_assert_eq!(map.is_empty(), plain.is_empty());
        }
    }
}
