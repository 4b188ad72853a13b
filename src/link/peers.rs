//! Who is behind an address: kernel neighbour table, then addresses learned from ACKs on the wire, then the
//! recorded address. Who cannot be mapped is anonymous: loaders and assets, nothing that belongs to a node.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use crate::records::{Mac, Node, Snapshot};

use super::identity::Evidence;
use super::{Links, netlink};

/// Addresses remembered from ACKs at most; the oldest half is forgotten beyond.
const LEARNED_MAX: usize = 65_536;

/// How a peer was mapped to a MAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerSource {
    /// The kernel's neighbour table.
    Neighbour,
    /// A DHCP ACK seen on the wire.
    Learned,
    /// The address in a node record.
    Record,
    /// Not at all.
    Unknown,
}

impl PeerSource {
    /// The same for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Neighbour => "neighbour table",
            Self::Learned => "DHCP ACK",
            Self::Record => "record",
            Self::Unknown => "unknown",
        }
    }
}

/// The asking side of a TFTP or HTTP request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its MAC.
    pub mac: Option<Mac>,
    /// Its node record.
    pub node: Option<Arc<Node>>,
    /// How that is known.
    pub by: PeerSource,
}

/// The table. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    learned: Arc<Mutex<HashMap<Ipv4Addr, (Mac, u64)>>>,
    links: Links,
    v6: super::peers_v6::PeersV6,
}

impl Peers {
    /// A table that also asks for neighbours on the served links, where the routes lead elsewhere.
    pub fn on(links: Links) -> Self {
        Self { links, ..Self::default() }
    }

    /// The kernel's neighbour entry for an address: on the link that the route to it takes, else on a served
    /// one (an interface without an address has no route to its clients [D6]).
    fn neighbour(&self, address: Ipv4Addr) -> Option<Mac> {
        let routed = netlink::link_towards(address);
        routed.and_then(|index| netlink::neighbour(index, address.into())).or_else(|| {
            let served = self.links.indexes();
            served
                .into_iter()
                .filter(|index| Some(*index) != routed)
                .find_map(|index| netlink::neighbour(index, address.into()))
        })
    }

    /// Remembers that an ACK gave `address` to `mac`.
    pub fn learn(&self, address: Ipv4Addr, mac: Mac) {
        let Ok(mut learned) = self.learned.lock() else { return };
        if learned.len() >= LEARNED_MAX && !learned.contains_key(&address) {
            let mut ages: Vec<u64> = learned.values().map(|(_, age)| *age).collect();
            let middle = ages.len() / 2;
            let (_, median, _) = ages.select_nth_unstable(middle);
            let median = *median;
            learned.retain(|_, (_, age)| *age > median);
        }
        let age = learned.values().map(|(_, age)| *age).max().unwrap_or(0) + 1;
        learned.insert(address, (mac, age));
    }

    /// Remembers that a DHCPv6 REPLY gave `address` to `mac`.
    pub fn learn_v6(&self, address: Ipv6Addr, mac: Mac) {
        self.v6.learn(address, mac);
    }

    /// What the kernel and the wire say of an address, for [`node_at`](super::identity::node_at). May ask the
    /// kernel.
    pub fn evidence(&self, address: IpAddr) -> Evidence {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let learned = self.learned.lock().ok().and_then(|learned| Some(learned.get(&v4)?.0));
                Evidence { neighbour: self.neighbour(v4), learned }
            }
            IpAddr::V6(v6) => self.v6.evidence(&self.links, v6),
        }
    }

    /// Maps an address to a MAC and a node.
    pub fn who(&self, records: &Snapshot, address: IpAddr) -> Peer {
        let v4 = match address {
            IpAddr::V4(v4) => v4,
            IpAddr::V6(v6) => return self.v6.who(records, &self.links, v6),
        };
        let learned = || Some((self.learned.lock().ok()?.get(&v4)?.0, PeerSource::Learned));
        // An address that two records claim tells nobody's identity.
        let sole = || records.by_ip(v4).filter(|_| records.owners_of_ip(address) == 1);
        let recorded = || sole().map(|(_, nic)| (nic.mac, PeerSource::Record));
        match self.neighbour(v4).map(|mac| (mac, PeerSource::Neighbour)).or_else(learned).or_else(recorded) {
            Some((mac, by)) => Peer { address, mac: Some(mac), node: records.by_mac(mac).cloned(), by },
            None => Peer { address, mac: None, node: None, by: PeerSource::Unknown },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loopback has no neighbours, and nothing is learned: the record is all there is.
    #[test]
    fn a_recorded_address_tells_its_node_unless_another_record_claims_it_or_it_is_a_bmcs() {
        use crate::records::{Bmc, BmcKey, Nic, NodeKey};
        let address = |last| IpAddr::from([127, 9, 0, last]);
        let node = |n: u8, last| Node {
            nics: vec![Nic {
                mac: Mac::new([2, 0, 0, 0, 0, n]).unwrap(),
                addresses: vec![address(n), address(last)],
            }],
            ..Node::default()
        };
        let mut records = Snapshot::new(vec![node(1, 11), node(2, 22)], Vec::new());
        records.put_bmc(BmcKey::File(0), Bmc { ip: Some(address(99)), ..Bmc::default() });
        let who = |records: &Snapshot, last| {
            let peer = Peers::default().who(records, address(last));
            (peer.node.map(|node| node.label()), peer.by)
        };
        for last in [1, 11] {
            let expected = (Some("02:00:00:00:00:01".to_owned()), PeerSource::Record);
            assert_eq!(who(&records, last), expected, "any recorded address, not the reserved one alone");
        }
        assert_eq!(who(&records, 99), (None, PeerSource::Unknown));
        records.put_node(NodeKey::File(2), node(3, 11));
        assert_eq!(who(&records, 11), (None, PeerSource::Unknown));
        records.remove_node(&NodeKey::File(2));
        records.put_bmc(BmcKey::File(1), Bmc { ip: Some(address(11)), ..Bmc::default() });
        assert_eq!(who(&records, 11), (None, PeerSource::Unknown));
        assert_eq!(who(&records, 1).1, PeerSource::Record);
    }

    #[test]
    fn learned_addresses_are_bounded() {
        let peers = Peers::default();
        let mac = Mac::new([2, 0, 0, 0, 0, 1]).unwrap();
        for n in 0..70_000_u32 {
            // Direct insertion keeps the test quick; `learn` does the pruning.
            if n % 1000 == 0 || n >= 69_999 {
                peers.learn(Ipv4Addr::from(n), mac);
            } else {
                peers.learned.lock().unwrap().entry(Ipv4Addr::from(n)).or_insert((mac, u64::from(n)));
            }
        }
        assert!(peers.learned.lock().unwrap().len() <= LEARNED_MAX + 1000);
    }
}
