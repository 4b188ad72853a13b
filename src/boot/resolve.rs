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
    let cpu = node.cpu().or(cpu);
    records
        .entries()
        .iter()
        .filter(|entry| match cpu {
            Some(cpu) => entry.arch.is_empty() || entry.arch.contains(&cpu),
            None => true,
        })
        .filter_map(|entry| Some((best_selector(entry, node)?, entry)))
        .min_by(|(a_by, a), (b_by, b)| {
            a_by.cmp(b_by).then(b.priority.cmp(&a.priority)).then_with(|| a.name.cmp(&b.name))
        })
        .map(|(by, entry)| Match { entry: Arc::clone(entry), by })
}

/// The best kind of selector by which `entry` names `node`.
pub fn best_selector(entry: &BootEntry, node: &Node) -> Option<SelectorKind> {
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
