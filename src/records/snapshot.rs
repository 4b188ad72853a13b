//! All records at one moment, indexed by every identity. Immutable: readers never lock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::client::Cpu;

use super::entry::BootEntry;
use super::id::{Mac, Uuid, Xname};
use super::node::{Nic, Node};
use super::selector_index::{Best, SelectorIndex};
use super::switch_port::SwitchPort;

/// Nodes and boot entries with hash look-ups. Building is one pass; the first record of an identity wins
/// (duplicates were reported as errors before).
#[derive(Debug, Default)]
pub struct Snapshot {
    nodes: Vec<Arc<Node>>,
    entries: Vec<Arc<BootEntry>>,
    by_mac: HashMap<Mac, usize>,
    by_ip: HashMap<Ipv4Addr, usize>,
    by_ipv6: HashMap<Ipv6Addr, usize>,
    by_uuid: HashMap<Uuid, usize>,
    by_serial: HashMap<String, usize>,
    by_client_id: HashMap<Vec<u8>, usize>,
    by_port: HashMap<SwitchPort, usize>,
    by_xname: HashMap<Xname, usize>,
    by_nid: HashMap<u32, usize>,
    by_name: HashMap<String, usize>,
    selectors: SelectorIndex,
}

impl Snapshot {
    /// Indexes `nodes` and keeps `entries` in file order.
    pub fn new(nodes: Vec<Node>, entries: Vec<BootEntry>) -> Self {
        let selectors = SelectorIndex::new(&entries);
        let entries = entries.into_iter().map(Arc::new).collect();
        let mut snapshot = Self { entries, selectors, ..Self::default() };
        for (index, node) in nodes.into_iter().enumerate() {
            for nic in &node.nics {
                snapshot.by_mac.entry(nic.mac).or_insert(index);
                if let Some(ip) = nic.ipv4() {
                    snapshot.by_ip.entry(ip).or_insert(index);
                }
                for address in &nic.addresses {
                    if let IpAddr::V6(v6) = address {
                        snapshot.by_ipv6.entry(*v6).or_insert(index);
                    }
                }
            }
            if let Some(uuid) = node.uuid.filter(|uuid| uuid.identifies()) {
                snapshot.by_uuid.entry(uuid).or_insert(index);
            }
            if let Some(serial) = &node.serial {
                snapshot.by_serial.entry(serial.clone()).or_insert(index);
            }
            if let Some(id) = &node.client_id {
                snapshot.by_client_id.entry(id.clone()).or_insert(index);
            }
            if !node.port.is_empty() {
                snapshot.by_port.entry(node.port.clone()).or_insert(index);
            }
            if let Some(xname) = &node.xname {
                snapshot.by_xname.entry(xname.clone()).or_insert(index);
            }
            if let Some(nid) = node.nid {
                snapshot.by_nid.entry(nid).or_insert(index);
            }
            if let Some(name) = &node.name {
                snapshot.by_name.entry(name.clone()).or_insert(index);
            }
            snapshot.nodes.push(Arc::new(node));
        }
        snapshot
    }

    /// All nodes in file order.
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// All boot entries in file order.
    pub fn entries(&self) -> &[Arc<BootEntry>] {
        &self.entries
    }

    /// The boot entry that wins for `node`, by the rules of [`crate::boot::resolve`], at the cost of a few
    /// hash look-ups whatever the number of entries and selectors.
    pub fn best_entry(&self, node: &Node, cpu: Option<Cpu>) -> Option<Best> {
        self.selectors.best(&self.entries, node, node.cpu().or(cpu))
    }

    /// The node that owns a card.
    pub fn by_mac(&self, mac: Mac) -> Option<&Arc<Node>> {
        self.by_mac.get(&mac).map(|index| &self.nodes[*index])
    }

    /// The node and card that hold a recorded address.
    pub fn by_ip(&self, ip: Ipv4Addr) -> Option<(&Arc<Node>, &Nic)> {
        let node = &self.nodes[*self.by_ip.get(&ip)?];
        node.nics.iter().find(|nic| nic.ipv4() == Some(ip)).map(|nic| (node, nic))
    }

    /// The node and card that hold a recorded IPv6 address.
    pub fn by_ipv6(&self, ip: Ipv6Addr) -> Option<(&Arc<Node>, &Nic)> {
        let node = &self.nodes[*self.by_ipv6.get(&ip)?];
        node.nics.iter().find(|nic| nic.addresses.contains(&IpAddr::V6(ip))).map(|nic| (node, nic))
    }

    /// The node with this UUID, in either byte order (spec 2.4).
    pub fn by_uuid(&self, uuid: Uuid) -> Option<&Arc<Node>> {
        let index = self.by_uuid.get(&uuid).or_else(|| self.by_uuid.get(&uuid.swapped()))?;
        Some(&self.nodes[*index])
    }

    /// The node whose option 61 is `id`; a text in the record also means the text behind a type byte of 0
    /// (RFC 2132 section 9.14).
    pub fn by_client_id(&self, id: &[u8]) -> Option<&Arc<Node>> {
        let index = self.by_client_id.get(id).or_else(|| self.by_client_id.get(id.strip_prefix(&[0])?))?;
        Some(&self.nodes[*index])
    }

    /// The node with this serial number.
    pub fn by_serial(&self, serial: &str) -> Option<&Arc<Node>> {
        self.by_serial.get(serial).map(|index| &self.nodes[*index])
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
                let index = *self.by_port.get(&port)?;
                Some((&self.nodes[index], port))
            },
        )
    }

    /// The node at this location.
    pub fn by_xname(&self, xname: &Xname) -> Option<&Arc<Node>> {
        self.by_xname.get(xname).map(|index| &self.nodes[*index])
    }

    /// The node with this number.
    pub fn by_nid(&self, nid: u32) -> Option<&Arc<Node>> {
        self.by_nid.get(&nid).map(|index| &self.nodes[*index])
    }

    /// The node with this name in the file.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Node>> {
        self.by_name.get(name).map(|index| &self.nodes[*index])
    }
}
