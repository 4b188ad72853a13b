//! Node records: what nodes.yaml and boot.yaml say, parsed, checked and indexed.
//!
//! Identity types ([`id`]), the records themselves ([`node`], [`entry`]) and the immutable [`Snapshot`]
//! that every packet and request is decided from. The file formats are in `nodes_file` and `boot_file`.

pub mod entry;
pub mod id;
pub mod node;
pub mod snapshot;

pub use entry::{BootEntry, BootFile, Selectors};
pub use id::{Mac, Uuid, Xname};
pub use node::{Nic, Node, Origin};
pub use snapshot::Snapshot;
