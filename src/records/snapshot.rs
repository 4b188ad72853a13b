//! All records at one moment, indexed by every identity. Readers never lock: a change makes another snapshot
//! that shares with the old one what did not change.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use imbl::OrdSet;

use crate::client::Cpu;

use super::bmc::Bmc;
use super::entry::BootEntry;
use super::id::{Mac, Uuid, Xname};
use super::key::{BmcKey, EntryKey, Keyed, NodeKey};
use super::multi_map::MultiMap;
use super::node::{Nic, Node};
use super::selector_index::{Best, SelectorIndex};
use super::switch_port::SwitchPort;

type KeyedNode = Keyed<NodeKey, Node>;
type KeyedBmc = Keyed<BmcKey, Bmc>;

/// Nodes, BMCs and boot entries with hash look-ups. Cloning is a matter of pointers; putting and removing one
/// record costs the same among ten and among a million, but for the depth of the trees. Several records may
/// claim one identity: the one with the least key is found, and when it goes the next.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    nodes: OrdSet<KeyedNode>,
    bmcs: OrdSet<KeyedBmc>,
    by_mac: MultiMap<Mac, KeyedNode>,
    by_address: MultiMap<IpAddr, KeyedNode>,
    by_uuid: MultiMap<Uuid, KeyedNode>,
    by_serial: MultiMap<String, KeyedNode>,
    by_client_id: MultiMap<Vec<u8>, KeyedNode>,
    by_port: MultiMap<SwitchPort, KeyedNode>,
    by_xname: MultiMap<Xname, KeyedNode>,
    by_nid: MultiMap<u32, KeyedNode>,
    by_name: MultiMap<String, KeyedNode>,
    bmc_by_mac: MultiMap<Mac, KeyedBmc>,
    bmc_by_address: MultiMap<IpAddr, KeyedBmc>,
    selectors: SelectorIndex,
}

impl Snapshot {
    /// Records as files give them, in their order.
    pub fn new(nodes: Vec<Node>, entries: Vec<BootEntry>) -> Self {
        let mut snapshot = Self::default();
        for (place, node) in (0..).zip(nodes) {
            snapshot.put_node(NodeKey::File(place), node);
        }
        for (place, entry) in (0..).zip(entries) {
            snapshot.put_entry(EntryKey::File(place), entry);
        }
        snapshot
    }

    /// Adds a node, in place of the one with that key.
    pub fn put_node(&mut self, key: NodeKey, node: Node) {
        self.remove_node(&key);
        let keyed = Keyed::new(key, node);
        let held = || keyed.clone();
        let node = keyed.record();
        for nic in &node.nics {
            self.by_mac.put(nic.mac, held());
            for address in &nic.addresses {
                self.by_address.put(*address, held());
            }
        }
        if let Some(uuid) = node.uuid.filter(|uuid| uuid.identifies()) {
            self.by_uuid.put(uuid, held());
        }
        if let Some(serial) = &node.serial {
            self.by_serial.put(serial.clone(), held());
        }
        if let Some(id) = &node.client_id {
            self.by_client_id.put(id.clone(), held());
        }
        if !node.port.is_empty() {
            self.by_port.put(node.port.clone(), held());
        }
        if let Some(xname) = &node.xname {
            self.by_xname.put(xname.clone(), held());
        }
        if let Some(nid) = node.nid {
            self.by_nid.put(nid, held());
        }
        if let Some(name) = &node.name {
            self.by_name.put(name.clone(), held());
        }
        self.nodes.insert(keyed);
    }

    /// Takes a node out; false if there is none with that key.
    pub fn remove_node(&mut self, key: &NodeKey) -> bool {
        let Some(keyed) = self.nodes.remove(key) else { return false };
        let node = keyed.record();
        for nic in &node.nics {
            self.by_mac.take(&nic.mac, &keyed);
            for address in &nic.addresses {
                self.by_address.take(address, &keyed);
            }
        }
        if let Some(uuid) = &node.uuid {
            self.by_uuid.take(uuid, &keyed);
        }
        if let Some(serial) = &node.serial {
            self.by_serial.take(serial, &keyed);
        }
        if let Some(id) = &node.client_id {
            self.by_client_id.take(id, &keyed);
        }
        self.by_port.take(&node.port, &keyed);
        if let Some(xname) = &node.xname {
            self.by_xname.take(xname, &keyed);
        }
        if let Some(nid) = &node.nid {
            self.by_nid.take(nid, &keyed);
        }
        if let Some(name) = &node.name {
            self.by_name.take(name, &keyed);
        }
        true
    }

    /// The node with that key.
    pub fn node(&self, key: &NodeKey) -> Option<&Arc<Node>> {
        self.nodes.get(key).map(Keyed::record)
    }

    /// All nodes: those of the files in their order, then those of the store by xname.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().map(Keyed::record)
    }

    /// All nodes with their keys, in the order of [`Self::nodes`].
    pub fn nodes_by_key(&self) -> impl Iterator<Item = (&NodeKey, &Arc<Node>)> {
        self.nodes.iter().map(|keyed| (keyed.key(), keyed.record()))
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a boot entry, in place of the one with that key.
    pub fn put_entry(&mut self, key: EntryKey, entry: BootEntry) {
        self.selectors.put(key, entry);
    }

    /// Takes a boot entry out; false if there is none with that key.
    pub fn remove_entry(&mut self, key: &EntryKey) -> bool {
        self.selectors.remove(key)
    }

    /// The boot entry with that key.
    pub fn entry(&self, key: &EntryKey) -> Option<&Arc<BootEntry>> {
        self.selectors.get(key)
    }

    /// All boot entries: those of the files in their order, then those of the store by uid.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<BootEntry>> {
        self.selectors.iter().map(|(_, entry)| entry)
    }

    /// All boot entries with their keys, in the order of [`Self::entries`].
    pub fn entries_by_key(&self) -> impl Iterator<Item = (&EntryKey, &Arc<BootEntry>)> {
        self.selectors.iter()
    }

    /// Number of boot entries.
    pub fn entry_count(&self) -> usize {
        self.selectors.len()
    }

    /// The boot entry that wins for `node`, by the rules of [`crate::boot::resolve`], at the cost of a few
    /// hash look-ups whatever the number of entries and selectors.
    pub fn best_entry(&self, node: &Node, cpu: Option<Cpu>) -> Option<Best> {
        self.selectors.best(node, node.cpu().or(cpu))
    }

    /// The best boot entry of those that name this card, whether a node has it or not.
    pub fn entry_by_mac(&self, mac: Mac) -> Option<&Arc<BootEntry>> {
        self.selectors.by_mac(mac)
    }

    /// Whether a boot entry is for this profile.
    pub fn has_profile(&self, profile: &str) -> bool {
        self.selectors.has_profile(profile)
    }

    /// Adds a BMC, in place of the one with that key.
    pub fn put_bmc(&mut self, key: BmcKey, bmc: Bmc) {
        self.remove_bmc(&key);
        let keyed = Keyed::new(key, bmc);
        if let Some(mac) = keyed.record().mac {
            self.bmc_by_mac.put(mac, keyed.clone());
        }
        if let Some(address) = keyed.record().ip {
            self.bmc_by_address.put(address, keyed.clone());
        }
        self.bmcs.insert(keyed);
    }

    /// Takes a BMC out; false if there is none with that key.
    pub fn remove_bmc(&mut self, key: &BmcKey) -> bool {
        let Some(keyed) = self.bmcs.remove(key) else { return false };
        if let Some(mac) = &keyed.record().mac {
            self.bmc_by_mac.take(mac, &keyed);
        }
        if let Some(address) = &keyed.record().ip {
            self.bmc_by_address.take(address, &keyed);
        }
        true
    }

    /// All BMCs: those of the files in their order, then those of the store by xname.
    pub fn bmcs(&self) -> impl Iterator<Item = &Arc<Bmc>> {
        self.bmcs.iter().map(Keyed::record)
    }

    /// The BMC that owns a card.
    pub fn bmc_by_mac(&self, mac: Mac) -> Option<&Arc<Bmc>> {
        self.bmc_by_mac.first(&mac).map(Keyed::record)
    }

    /// The node that owns a card.
    pub fn by_mac(&self, mac: Mac) -> Option<&Arc<Node>> {
        self.by_mac.first(&mac).map(Keyed::record)
    }

    /// The node and card that hold a recorded address, reserved or not.
    pub fn by_ip(&self, ip: Ipv4Addr) -> Option<(&Arc<Node>, &Nic)> {
        self.by_address(ip.into())
    }

    /// The node and card that hold a recorded IPv6 address.
    pub fn by_ipv6(&self, ip: Ipv6Addr) -> Option<(&Arc<Node>, &Nic)> {
        self.by_address(ip.into())
    }

    fn by_address(&self, address: IpAddr) -> Option<(&Arc<Node>, &Nic)> {
        let node = self.by_address.first(&address)?.record();
        node.nics.iter().find(|nic| nic.addresses.contains(&address)).map(|nic| (node, nic))
    }

    /// How many nodes and BMCs have this address on record. Where it is more than one, the address tells
    /// nobody's identity.
    pub fn owners_of_ip(&self, address: IpAddr) -> usize {
        self.by_address.count(&address) + self.bmc_by_address.count(&address)
    }

    /// The nodes that have this address on record, reserved or not.
    pub fn nodes_at(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Node>> {
        self.by_address.all(&address).map(Keyed::record)
    }

    /// The BMCs that have this address on record.
    pub fn bmcs_at(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Bmc>> {
        self.bmc_by_address.all(&address).map(Keyed::record)
    }

    /// The node with this UUID, in either byte order.
    pub fn by_uuid(&self, uuid: Uuid) -> Option<&Arc<Node>> {
        self.by_uuid.first(&uuid).or_else(|| self.by_uuid.first(&uuid.swapped())).map(Keyed::record)
    }

    /// The node whose option 61 is `id`; a text in the record also means the text behind a type byte of 0
    /// (RFC 2132 section 9.14).
    pub fn by_client_id(&self, id: &[u8]) -> Option<&Arc<Node>> {
        let exact = self.by_client_id.first(id);
        exact.or_else(|| self.by_client_id.first(id.strip_prefix(&[0])?)).map(Keyed::record)
    }

    /// The node with this serial number.
    pub fn by_serial(&self, serial: &str) -> Option<&Arc<Node>> {
        self.by_serial.first(serial).map(Keyed::record)
    }

    /// The node behind the port that option 82 names, and what of it the record states: both identifiers,
    /// else the circuit id alone, else the remote id alone [R4].
    pub fn by_port(
        &self,
        circuit_id: Option<&[u8]>,
        remote_id: Option<&[u8]>,
    ) -> Option<(&Arc<Node>, SwitchPort)> {
        if self.by_port.is_empty() {
            return None;
        }
        [(circuit_id, remote_id), (circuit_id, None), (None, remote_id)].into_iter().find_map(
            |(circuit, remote)| {
                let port =
                    SwitchPort { circuit_id: circuit.map(Into::into), remote_id: remote.map(Into::into) };
                let node = self.by_port.first(&port)?.record();
                Some((node, port))
            },
        )
    }

    /// The node at this location.
    pub fn by_xname(&self, xname: &Xname) -> Option<&Arc<Node>> {
        self.by_xname.first(xname).map(Keyed::record)
    }

    /// The node with this number.
    pub fn by_nid(&self, nid: u32) -> Option<&Arc<Node>> {
        self.by_nid.first(&nid).map(Keyed::record)
    }

    /// The node with this name in the file.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Node>> {
        self.by_name.first(name).map(Keyed::record)
    }
}

#[cfg(test)]
mod tests;
