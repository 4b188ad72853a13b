//! Node records: what nodes.yaml and boot.yaml say, parsed, checked and indexed.
//!
//! Identity types ([`id`]), the records themselves ([`node`], [`entry`]) and the immutable [`Snapshot`]
//! that every packet and request is decided from. The file formats are in [`nodes_file`] and [`boot_file`];
//! [`load`] reads them together and checks them against each other ([`cross_checks`]).

pub mod addresses;
pub mod bmc;
pub mod boot_file;
pub mod cross_checks;
pub mod entry;
pub mod id;
mod key;
pub mod load;
mod multi_map;
pub mod node;
pub mod nodes_file;
pub mod selector_index;
pub mod snapshot;
pub mod switch_port;

pub use bmc::{Bmc, BmcXname};
pub use entry::{BootEntry, BootFile, Selectors};
pub use id::{Mac, Uuid, Xname};
pub use key::{BmcKey, EntryKey, Key, NodeKey};
pub use node::{Instead, NextBoot, Nic, Node, Origin};
pub use selector_index::Best;
pub use snapshot::Snapshot;
pub use switch_port::SwitchPort;
