//! From the inventory to the records that DHCP, TFTP and HTTP answer from.

use std::sync::Arc;

use crate::records::{
    Bmc, BmcKey, BmcXname, BootEntry, BootFile, EntryKey, Instead, Mac, NextBoot, Nic, Node, NodeKey, Origin,
    Selectors, Snapshot, Xname,
};

use super::draft::{Live, Touch};
use super::files::{self, FileNodes};
use super::{BootUnit, Inventory, Record, Runtime};

impl Live {
    /// The records of the files alone: what holds before a store was read.
    pub fn of_files(records: Snapshot) -> Self {
        let mut live = Self { records, ..Self::default() };
        live.inventory.file_nodes = Arc::new(FileNodes::of(&live.records));
        files::lay(&mut live.inventory, &live.records);
        live
    }

    /// Lays a record that a store holds under those of the files; after the last one, [`Self::restored`] is to
    /// be called. False: the value is no such record.
    pub fn restore(&mut self, table: &str, value: &[u8]) -> bool {
        self.inventory.restore(table, value)
    }

    /// Ends a restoration; `salt` is what the store makes instance ids from.
    pub fn restored(&mut self, salt: [u8; 16]) {
        self.inventory.salt = salt;
        self.derive_all();
    }

    /// These files over the stored records of another inventory.
    pub fn over(mut self, old: &Inventory) -> Self {
        self.inventory.salt = old.salt;
        self.inventory.lay_all_stored(old);
        self.derive_all();
        self
    }

    fn derive_all(&mut self) {
        let mut touched = std::collections::BTreeSet::new();
        let inventory = &self.inventory;
        touched.extend(inventory.components.stored().flat_map(|record| record.touches()));
        touched.extend(inventory.ethernet_interfaces.stored().flat_map(|record| record.touches()));
        touched.extend(inventory.members.stored().flat_map(|record| record.touches()));
        touched.extend(inventory.boot_units.stored().flat_map(|record| record.touches()));
        touched.extend(inventory.runtime.stored().flat_map(|record| record.touches()));
        for touch in touched {
            self.derive(&touch);
        }
    }

    /// Brings one record of the boot side to what the inventory says.
    pub(super) fn derive(&mut self, touch: &Touch) {
        match touch {
            Touch::Node(id) => self.derive_node(id),
            Touch::Bmc(id) => self.derive_bmc(id),
            Touch::Unit(uid) => {
                let key = EntryKey::Stored(uid.clone());
                let stated = self.inventory.boot_units.filed(uid).is_some();
                match self.inventory.boot_units.get(uid).filter(|_| !stated) {
                    Some(unit) => self.records.put_entry(key, entry(&unit)),
                    None => drop(self.records.remove_entry(&key)),
                }
            }
        }
    }

    fn derive_node(&mut self, id: &str) {
        let Ok(xname) = id.parse::<Xname>() else { return };
        let (key, stated) = match self.inventory.file_nodes.get(id) {
            Some((at, node)) => (NodeKey::File(at), Some(node)),
            None => (NodeKey::Stored(xname.clone()), None),
        };
        match node(&self.inventory, id, xname, stated) {
            Some(node) => self.records.put_node(key, node),
            None => drop(self.records.remove_node(&key)),
        }
    }

    /// Something that is no node and has cards: a BMC that may be given its address.
    fn derive_bmc(&mut self, id: &str) {
        let Ok(xname) = id.parse::<BmcXname>() else { return };
        let filed = self.inventory.redfish_endpoints.filed(id).is_some();
        let bmc = bmc(&self.inventory, id, &xname).filter(|_| !filed);
        let key = BmcKey::Stored(xname);
        match bmc {
            Some(bmc) => self.records.put_bmc(key, bmc),
            None => drop(self.records.remove_bmc(&key)),
        }
    }
}

/// The node that the inventory describes at a location, on top of what a file states of it.
fn node(inventory: &Inventory, id: &str, xname: Xname, stated: Option<&Node>) -> Option<Node> {
    let component = inventory.components.get(id)?;
    let mut node = match stated {
        Some(stated) => stated.clone(),
        None => Node { netboot: true, ..Node::default() },
    };
    node.xname = Some(xname);
    node.nid = component.nid.and_then(|nid| u32::try_from(nid).ok());
    node.role = Some(component.role.clone());
    node.subrole = (!component.sub_role.is_empty()).then(|| component.sub_role.clone());
    node.disabled = !component.enabled;
    node.next_boot = inventory.runtime.get(id).and_then(|runtime| next_boot(&runtime));
    if let Some(NextBoot { what: Instead::Profile(profile), taken: false, .. }) = &node.next_boot {
        node.profile = Some(profile.clone());
    }
    for group in inventory.groups_of(id) {
        if !node.groups.contains(&group) {
            node.groups.push(group);
        }
    }
    for card in inventory.cards_of(id) {
        let Ok(mac) = card.mac.parse::<Mac>() else { continue };
        let addresses = || card.addresses.iter().map(|ip| ip.address).collect();
        match node.nics.iter_mut().find(|nic| nic.mac == mac) {
            Some(nic) if nic.addresses.is_empty() => nic.addresses = addresses(),
            Some(_) => {}
            None => node.nics.push(Nic { mac, addresses: addresses() }),
        }
    }
    Some(node)
}

/// What the operator said of a node's next boot, or of all that follow it.
fn next_boot(runtime: &Runtime) -> Option<NextBoot> {
    let instead = |text: &str| match text {
        "" => None,
        "local" => Some(Instead::Local),
        profile => Some(Instead::Profile(profile.to_owned())),
    };
    match instead(&runtime.next_boot) {
        Some(what) => Some(NextBoot { what, taken: runtime.taken, stays: false }),
        None => instead(&runtime.then).map(|what| NextBoot { what, taken: false, stays: true }),
    }
}

fn bmc(inventory: &Inventory, id: &str, xname: &BmcXname) -> Option<Bmc> {
    let cards = inventory.cards_of(id);
    let card = cards.iter().find(|card| !card.addresses.is_empty()).or(cards.first())?;
    Some(Bmc {
        xname: Some(xname.clone()),
        mac: card.mac.parse().ok(),
        ip: card.addresses.first().map(|ip| ip.address),
        ..Bmc::default()
    })
}

/// The boot entry that a unit is.
fn entry(unit: &BootUnit) -> BootEntry {
    let mut selectors = Selectors {
        macs: unit.macs.iter().filter_map(|mac| mac.parse().ok()).collect(),
        nids: unit.nids.iter().filter_map(|nid| u32::try_from(*nid).ok()).collect(),
        groups: unit.groups.clone(),
        profile: (!unit.profile.is_empty()).then(|| unit.profile.clone()),
        roles: unit.roles.clone(),
        ..Selectors::default()
    };
    for host in &unit.hosts {
        if host.eq_ignore_ascii_case("default") {
            selectors.default = true;
        } else if let Some(prefix) = host.strip_suffix('*') {
            selectors.patterns.push(prefix.to_owned());
        } else if let Ok(xname) = host.parse() {
            selectors.xnames.push(xname);
        } else {
            selectors.names.push(host.clone());
        }
    }
    BootEntry {
        name: unit.metadata.name.clone(),
        selectors,
        arch: Vec::new(),
        kernel: boot_file(&unit.kernel),
        initrd: (!unit.initrd.is_empty()).then(|| boot_file(&unit.initrd)),
        params: unit.params.clone(),
        loader: None,
        script: None,
        priority: unit.priority,
        cloud_init: unit.cloud_init.clone(),
        origin: Origin::default(),
    }
}

/// `local`, a URL, or a path of the asset folder.
fn boot_file(text: &str) -> BootFile {
    match text {
        "local" => BootFile::Local,
        _ if text.contains("://") => BootFile::Url(text.to_owned()),
        _ => BootFile::Asset(text.trim_start_matches('/').to_owned()),
    }
}
