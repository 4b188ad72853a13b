//! Who is behind an address: kernel neighbour table, then addresses learned from ACKs on the wire, then the
//! recorded address. Who cannot be mapped is anonymous: loaders and assets, nothing that belongs to a node.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use crate::records::{Mac, Node, Snapshot};

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
    v6: super::peers_v6::PeersV6,
}

impl Peers {
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

    /// Maps an address to a MAC and a node.
    pub fn who(&self, records: &Snapshot, address: IpAddr) -> Peer {
        let v4 = match address {
            IpAddr::V4(v4) => v4,
            IpAddr::V6(v6) => return self.v6.who(records, v6),
        };
        let learned = || Some((self.learned.lock().ok()?.get(&v4)?.0, PeerSource::Learned));
        let recorded = || records.by_ip(v4).map(|(_, nic)| (nic.mac, PeerSource::Record));
        match neighbour(v4).map(|mac| (mac, PeerSource::Neighbour)).or_else(learned).or_else(recorded) {
            Some((mac, by)) => Peer { address, mac: Some(mac), node: records.by_mac(mac).cloned(), by },
            None => Peer { address, mac: None, node: None, by: PeerSource::Unknown },
        }
    }
}

/// The kernel's neighbour entry for an address on a local link.
#[allow(clippy::disallowed_methods, reason = "link/ is the edge")]
fn neighbour(address: Ipv4Addr) -> Option<Mac> {
    neighbour_in(&std::fs::read_to_string("/proc/thread-self/net/arp").ok()?, address)
}

/// Finds a complete entry (flag 0x2) in the text of `/proc/net/arp` (the calling thread's network namespace).
fn neighbour_in(table: &str, address: Ipv4Addr) -> Option<Mac> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let found: Ipv4Addr = fields.next()?.parse().ok()?;
        let flags = u32::from_str_radix(fields.nth(1)?.trim_start_matches("0x"), 16).ok()?;
        let mac = fields.next()?;
        (found == address && flags & 2 == 2).then(|| mac.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_neighbour_is_nobody() {
        let table = "IP address HW type Flags HW address Mask Device\n\
            10.0.0.5 0x1 0x0 00:00:00:00:00:00 * eth0\n10.0.0.6 0x1 0x2 52:54:00:00:00:06 * eth0\n";
        assert_eq!(neighbour_in(table, Ipv4Addr::new(10, 0, 0, 5)), None);
        assert_eq!(neighbour_in(table, Ipv4Addr::new(10, 0, 0, 6)).unwrap().to_string(), "52:54:00:00:00:06");
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
