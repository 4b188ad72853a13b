//! By what a unit of boot parameters is for a node, as BSS spells it: `hosts`, `macs`, `nids`.

use std::fmt;
use std::sync::Arc;

use crate::openchami::inventory::{BootUnit, Index, Inventory, Table};
use crate::openchami::xname::Location;
use crate::records::Mac;
use crate::records::boot_file::ROLES;

/// One entry of `hosts`, `macs` or `nids`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Identifier {
    /// An xname, lower case without leading zeros; `Default`; a pattern with a star; or any other name.
    Host(String),
    /// One of SMD's roles: they are among the `hosts`, too.
    Role(String),
    /// MAC, lower case with colons.
    Mac(String),
    /// Node number.
    Nid(i64),
}

impl Identifier {
    /// An entry of `hosts`.
    pub fn host(text: &str) -> Self {
        let text = text.trim();
        if text.eq_ignore_ascii_case("default") {
            return Self::Host("Default".to_owned());
        }
        if let Some(role) = ROLES.iter().find(|role| role.eq_ignore_ascii_case(text)) {
            return Self::Role((*role).to_owned());
        }
        match text.parse::<Location>() {
            Ok(location) => Self::Host(location.to_string()),
            Err(_) => Self::Host(text.to_owned()),
        }
    }

    /// An entry of `macs`: six pairs with colons, or any other spelling of a MAC.
    pub fn mac(text: &str) -> Option<Self> {
        text.trim().parse::<Mac>().ok().map(|mac| Self::Mac(mac.to_string()))
    }

    /// The units that name it.
    pub fn units(&self, inventory: &Inventory) -> Vec<Arc<BootUnit>> {
        let (index, term) = match self {
            // No name of a host is that of a role, so they share an index.
            Self::Host(text) | Self::Role(text) => (Index::UnitHost, text.clone()),
            Self::Mac(mac) => (Index::UnitMac, mac.clone()),
            Self::Nid(nid) => (Index::UnitNid, nid.to_string()),
        };
        inventory.find(index, &term).collect()
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(text) | Self::Role(text) | Self::Mac(text) => f.write_str(text),
            Self::Nid(nid) => nid.fmt(f),
        }
    }
}

/// All identifiers of a unit.
pub fn of(unit: &BootUnit) -> impl Iterator<Item = Identifier> + '_ {
    let hosts = unit.hosts.iter().map(|host| Identifier::Host(host.clone()));
    let roles = unit.roles.iter().map(|role| Identifier::Role(role.clone()));
    let macs = unit.macs.iter().map(|mac| Identifier::Mac(mac.clone()));
    let nids = unit.nids.iter().map(|nid| Identifier::Nid(*nid));
    hosts.chain(roles).chain(macs).chain(nids)
}

/// Whether a file states the unit.
pub fn filed(units: &Table<BootUnit>, unit: &BootUnit) -> bool {
    units.filed(&unit.metadata.uid).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_hosts_is_an_xname_a_role_the_default_or_a_name() {
        let host = |text: &str| Identifier::Host(text.to_owned());
        assert_eq!(Identifier::host(" X1000C0S07B0N0"), host("x1000c0s7b0n0"));
        assert_eq!(Identifier::host("default"), host("Default"));
        assert_eq!(Identifier::host("compute"), Identifier::Role("Compute".to_owned()));
        assert_eq!(Identifier::host("x1000c0s0b0n*"), host("x1000c0s0b0n*"));
        assert_eq!(Identifier::host("Login1"), host("Login1"));
    }

    #[test]
    fn a_mac_is_taken_in_any_spelling_and_kept_in_one() {
        let expected = Some(Identifier::Mac("52:54:00:be:ef:01".to_owned()));
        for text in ["52:54:00:BE:EF:01", "52-54-00-be-ef-01", "525400beef01"] {
            assert_eq!(Identifier::mac(text), expected);
        }
        assert_eq!(Identifier::mac("zz:54:00:be:ef:01"), None);
    }
}
