//! One boot entry: BSS's boot parameters plus the selectors and keys of ours.

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
    /// By what xnames begin with: `x1000c0s0b0n*` is kept as `x1000c0s0b0n`. Same kind as `xnames`.
    pub patterns: Vec<String>,
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

/// Why a text with a star is no host pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No star at the end, or another one before it.
    #[error("is no pattern: it needs exactly one star, at the end")]
    Star,
    /// What stands before the star is not the beginning of a node's xname, up to a number.
    #[error("is no pattern of node xnames: the star stands in place of a number of x1000c0s0b0n0")]
    Prefix,
}

/// The prefix that a pattern of [`Selectors::patterns`] is kept as: `x1000c0s0b0n` of `x1000c0s0b0n*`, lower
/// case. The star stands for a number and for all that follows it.
pub fn host_pattern(text: &str) -> Result<String, PatternError> {
    let prefix = text.strip_suffix('*').filter(|prefix| !prefix.contains('*')).ok_or(PatternError::Star)?;
    let lower = prefix.to_ascii_lowercase();
    // A prefix is right if the shortest rest makes it an xname that has it.
    let rests = ["0c0s0b0n0", "0s0b0n0", "0b0n0", "0n0", "0"];
    let xname = |rest| format!("{lower}{rest}").parse::<Xname>().ok();
    let right = |xname: Xname| xname.prefixes().any(|whole| whole == lower);
    if rests.into_iter().filter_map(xname).any(right) { Ok(lower) } else { Err(PatternError::Prefix) }
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

impl BootEntry {
    /// The node's own disk, for nobody.
    pub fn local(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            selectors: Selectors::default(),
            arch: Vec::new(),
            kernel: BootFile::Local,
            initrd: None,
            params: String::new(),
            loader: None,
            script: None,
            priority: 0,
            cloud_init: serde_json::Value::Null,
            origin: Origin::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_one_star_at_the_end_in_place_of_a_number() {
        for (text, prefix) in
            [("x*", "x"), ("X1000c*", "x1000c"), ("x1000c0s*", "x1000c0s"), ("x1000c0s0b0n*", "x1000c0s0b0n")]
        {
            assert_eq!(host_pattern(text).as_deref(), Ok(prefix));
        }
        for text in ["x1000c0s0b0n", "*x", "x1000c*s0b0n0", "x*c*", "x1000c0s0b0n**"] {
            assert_eq!(host_pattern(text), Err(PatternError::Star), "{text}");
        }
        for text in ["*", "compute*", "x1000*", "x1000c0s0b0n1*", "x1000m*", "x1000c0r*", "xc*", "xé*"] {
            assert_eq!(host_pattern(text), Err(PatternError::Prefix), "{text}");
        }
    }
}
