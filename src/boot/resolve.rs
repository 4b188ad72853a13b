//! Which boot entry a node gets: one resolver for every door (DHCP, TFTP, HTTP, API).

use std::sync::Arc;

use crate::client::Cpu;
use crate::records::{BootEntry, Node, Snapshot};

/// The kind of selector that matched, best first: MAC > NID > host > group > profile > role > Default.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names are the meaning")]
pub enum SelectorKind {
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
pub fn resolve(records: &Snapshot, node: &Node, cpu: Option<Cpu>) -> Option<Match> {
    let best = records.best_entry(node, cpu)?;
    Some(Match { entry: best.entry, by: best.by })
}
