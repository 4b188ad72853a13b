//! Who is behind an IPv6 address: kernel neighbour table, then what our REPLYs gave, then the recorded address,
//! then the MAC inside a link-local address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use crate::policy::v6::mac_of;
use crate::records::{Mac, Snapshot};

use super::identity::Evidence;
use super::peers::{Peer, PeerSource};
use super::{Links, netlink};

/// Addresses remembered at most; beyond, everything is forgotten: the record says the same again.
const LEARNED_MAX: usize = 65_536;

/// The table. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct PeersV6 {
    learned: Arc<Mutex<HashMap<Ipv6Addr, Mac>>>,
}

impl PeersV6 {
    /// Remembers that a REPLY gave `address` to `mac`.
    pub fn learn(&self, address: Ipv6Addr, mac: Mac) {
        let Ok(mut learned) = self.learned.lock() else { return };
        if learned.len() >= LEARNED_MAX && !learned.contains_key(&address) {
            learned.clear();
        }
        learned.insert(address, mac);
    }

    /// What the kernel and the wire say of an address.
    pub fn evidence(&self, links: &Links, address: Ipv6Addr) -> Evidence {
        let mut indexes = links.indexes().into_iter();
        let neighbour = indexes.find_map(|index| netlink::neighbour(index, address.into()));
        let learned = self.learned.lock().ok().and_then(|learned| learned.get(&address).copied());
        Evidence { neighbour, learned }
    }

    /// Maps an address to a MAC and a node.
    pub fn who(&self, records: &Snapshot, links: &Links, address: Ipv6Addr) -> Peer {
        let learned = || Some((*self.learned.lock().ok()?.get(&address)?, PeerSource::Learned));
        let sole = || records.by_ipv6(address).filter(|_| records.owners_of_ip(address.into()) == 1);
        let recorded = || sole().map(|(_, nic)| (nic.mac, PeerSource::Record));
        let inside = || mac_of(address).map(|mac| (mac, PeerSource::Record));
        let neighbour = |index| netlink::neighbour(index, address.into());
        let found = links
            .indexes()
            .into_iter()
            .find_map(neighbour)
            .map(|mac| (mac, PeerSource::Neighbour))
            .or_else(learned)
            .or_else(recorded)
            .or_else(inside);
        let address = IpAddr::V6(address);
        match found {
            Some((mac, by)) => Peer { address, mac: Some(mac), node: records.by_mac(mac).cloned(), by },
            None => Peer { address, mac: None, node: None, by: PeerSource::Unknown },
        }
    }
}
