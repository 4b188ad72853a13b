//! One boot entry: BSS's boot parameters plus the selectors and keys of ours (DESIGN: records).

use crate::client::Cpu;

use super::id::{Mac, Xname};
use super::node::Origin;

/// What a boot entry names as kernel or initrd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// The node's own disk (`kernel: local`).
    Local,
    /// An absolute URL, passed on as it is.
    Url(String),
    /// A path under the asset folder, served by bootlace itself.
    Asset(String),
}

/// Which nodes an entry is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// By card.
    pub macs: Vec<Mac>,
    /// By node number.
    pub nids: Vec<u32>,
    /// By xname.
    pub xnames: Vec<Xname>,
    /// By the name in nodes.yaml.
    pub names: Vec<String>,
    /// By group.
    pub groups: Vec<String>,
    /// By profile.
    pub profile: Option<String>,
    /// By role (SMD's role names, also when they stand in `hosts`).
    pub roles: Vec<String>,
    /// `hosts: [Default]`: every known node.
    pub default: bool,
}

/// One unit of boot parameters. The best matching one decides whole; nothing is merged.
#[derive(Clone, Debug)]
pub struct BootEntry {
    /// The file's `name`, else `FILE#N`; breaks ties after priority.
    pub name: String,
    /// Whom it is for.
    pub selectors: Selectors,
    /// Restricts the entry to these processors; empty: any.
    pub arch: Vec<Cpu>,
    /// What to boot.
    pub kernel: BootFile,
    /// Initial RAM disk.
    pub initrd: Option<BootFile>,
    /// Kernel command line.
    pub params: String,
    /// First file in place of the architecture's default.
    pub loader: Option<String>,
    /// Script template in place of the default.
    pub script: Option<String>,
    /// Higher wins among entries that match by the same kind of selector.
    pub priority: i64,
    /// BSS's `cloud-init` member as it was written; null where nothing is said.
    pub cloud_init: serde_json::Value,
    /// Where it was stated.
    pub origin: Origin,
}
