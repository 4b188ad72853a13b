//! The instance id by which cloud-init tells one installation of a node from the next: while it stays the same,
//! what runs once per instance does not run again. So it must outlive a restart of ours.

use sha2::{Digest, Sha256};

use crate::openchami::inventory::{Inventory, Runtime};
use crate::openchami::xname::Location;

/// The id of a node that nobody gave one: `i-` and eight hexadecimal digits that follow from the store and the
/// xname, so that it is the same after a restart and differs between two sites.
pub fn derived(salt: &[u8; 16], xname: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(xname.as_bytes());
    let hash = hash.finalize();
    format!("i-{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
}

/// The instance id of a component: the one that was read before, else the one that its instance info asks for,
/// else the derived one. An instance info whose `instance_id` is an xname only says whose it is.
pub fn of(inventory: &Inventory, id: &str) -> String {
    if let Some(runtime) = inventory.runtime.get(id).filter(|runtime| !runtime.instance_id.is_empty()) {
        return runtime.instance_id.clone();
    }
    match super::instance_info::of(inventory, id) {
        Some(info) if !info.instance_id.is_empty() && info.instance_id.parse::<Location>().is_err() => {
            info.instance_id.clone()
        }
        _ => derived(inventory.salt(), id),
    }
}

/// What has to be stored before `id` is told its instance id for the first time: from then on it stays, whatever
/// its instance info says. `None`: nothing.
pub fn to_keep(inventory: &Inventory, id: &str) -> Option<Runtime> {
    if !inventory.components.contains(id) {
        return None;
    }
    let known = inventory.runtime.get(id);
    if known.as_ref().is_some_and(|runtime| !runtime.instance_id.is_empty()) {
        return None;
    }
    let runtime =
        known.map_or_else(|| Runtime { id: id.to_owned(), ..Runtime::default() }, |old| (*old).clone());
    Some(Runtime { instance_id: of(inventory, id), ..runtime })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_from_store_and_xname_alone() {
        let id = derived(&[1; 16], "x1000c0s0b0n0");
        assert_eq!(id, derived(&[1; 16], "x1000c0s0b0n0"));
        assert_ne!(id, derived(&[2; 16], "x1000c0s0b0n0"));
        assert_ne!(id, derived(&[1; 16], "x1000c0s0b0n1"));
        let digits = id.strip_prefix("i-").unwrap();
        assert!(
            digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
        );
    }
}
