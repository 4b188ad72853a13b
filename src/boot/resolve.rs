//! Which boot entry a node gets: one resolver for every door (DHCP, TFTP, HTTP, API).

use std::sync::Arc;

use crate::client::Cpu;
use crate::records::{BootEntry, Instead, Node, Snapshot};

/// The kind of selector that matched, best first: MAC > NID > host > group > profile > role > Default.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names are the meaning")]
pub enum SelectorKind {
    /// None: the operator said what the next boot takes.
    Once,
    Mac,
    Nid,
    Host,
    Group,
    Profile,
    Role,
    Default,
}

impl SelectorKind {
    /// Name for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Once => "boot-once",
            Self::Mac => "mac",
            Self::Nid => "nid",
            Self::Host => "host",
            Self::Group => "group",
            Self::Profile => "profile",
            Self::Role => "role",
            Self::Default => "default",
        }
    }
}

/// The entry that won and by what.
#[derive(Clone, Debug)]
pub struct Match {
    /// The entry.
    pub entry: Arc<BootEntry>,
    /// What matched.
    pub by: SelectorKind,
}

/// Finds the entry for `node`. The best kind of selector decides, then higher priority, then name; one whole
/// entry wins. `cpu` is what the asking client is known to be; an entry's `arch` restricts, and an unknown
/// processor (`None`) matches every restriction, since nothing speaks against it.
///
/// What the operator said of the node's next boot comes before all selectors. A profile that no entry names any
/// more is passed over: the node then boots as always.
pub fn resolve(records: &Snapshot, node: &Node, cpu: Option<Cpu>) -> Option<Match> {
    let next = node.next_boot.as_ref().filter(|next| !next.taken);
    if let Some(found) = next.and_then(|next| instead(records, node, &next.what, cpu)) {
        return Some(found);
    }
    let best = records.best_entry(node, cpu)?;
    Some(Match { entry: best.entry, by: best.by })
}

fn instead(records: &Snapshot, node: &Node, what: &Instead, cpu: Option<Cpu>) -> Option<Match> {
    let entry = match what {
        Instead::Local => Arc::new(BootEntry::local("boot-once")),
        Instead::Profile(profile) => {
            // Nothing of the node but its profile and processor may select.
            let role = Some(String::new());
            let alone = Node { profile: Some(profile.clone()), arch: node.arch, role, ..Node::default() };
            let best = records.best_entry(&alone, cpu).filter(|best| best.by == SelectorKind::Profile)?;
            best.entry
        }
    };
    Some(Match { entry, by: SelectorKind::Once })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::fixture;
    use crate::records::{BootFile, NextBoot, Selectors};

    fn records() -> Snapshot {
        let selectors = Selectors { profile: Some("install".to_owned()), ..Selectors::default() };
        let install = BootEntry { selectors, ..fixture::entry("installer", &[]) };
        Snapshot::new(vec![fixture::node(1)], vec![fixture::entry("debug", &[1]), install])
    }

    fn with(next: Option<NextBoot>) -> (String, SelectorKind) {
        let node = Node { next_boot: next, ..fixture::node(1) };
        let found = resolve(&records(), &node, None).unwrap();
        (found.entry.name.clone(), found.by)
    }

    #[test]
    fn the_next_boot_comes_before_every_selector_until_it_is_taken() {
        let profile = |name: &str, taken| {
            Some(NextBoot { what: Instead::Profile(name.to_owned()), taken, stays: false })
        };
        assert_eq!(with(None), ("debug".to_owned(), SelectorKind::Mac));
        assert_eq!(with(profile("install", false)), ("installer".to_owned(), SelectorKind::Once));
        assert_eq!(with(profile("install", true)), ("debug".to_owned(), SelectorKind::Mac));
        assert_eq!(with(profile("gone", false)), ("debug".to_owned(), SelectorKind::Mac));
    }

    #[test]
    fn a_next_boot_from_the_own_disk_needs_no_entry() {
        let next = Some(NextBoot { what: Instead::Local, taken: false, stays: false });
        assert_eq!(with(next.clone()), ("boot-once".to_owned(), SelectorKind::Once));
        let node = Node { next_boot: next, ..fixture::node(2) };
        assert_eq!(resolve(&records(), &node, None).unwrap().entry.kernel, BootFile::Local);
    }
}
