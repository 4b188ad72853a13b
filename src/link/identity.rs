//! Which node is behind an address, for what only that node may read. Stricter than [`super::Peers::who`], which
//! serves what is no secret: here every source that knows the address must name the same node.
//!
//! An on-link asker is the MAC that the kernel's neighbour table has for it; else the address was learned from an
//! ACK on the wire; else it is on record. Nothing that a request says counts. On one link a machine can still
//! forge MAC and address of another.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::records::{Mac, Node, Snapshot};

use super::peers::PeerSource;

/// What is known of an address besides the records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// The kernel's neighbour table.
    pub neighbour: Option<Mac>,
    /// The last ACK that gave it, ours or another server's.
    pub learned: Option<Mac>,
}

/// Why an address is taken for no node's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// Nothing is known of it.
    Unknown,
    /// It belongs to a card that is no node's: a stranger's or a BMC's.
    Stranger(Mac, PeerSource),
    /// It is on record for several nodes, or a node and a BMC.
    Shared(Vec<String>),
    /// It is a node's, but the services know nodes by their xname and its record has none.
    NoXname(String),
    /// The sources name different nodes.
    Contradiction(Vec<(PeerSource, String)>),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the address is no node's"),
            Self::Stranger(mac, by) => {
                write!(f, "the address is {mac}'s ({}), which is no node's card", by.name())
            }
            Self::Shared(names) => write!(f, "the address is on record for {}", names.join(" and ")),
            Self::NoXname(node) => write!(f, "the address is {node}'s, whose record has no xname"),
            Self::Contradiction(named) => {
                let parts: Vec<String> =
                    named.iter().map(|(by, node)| format!("{node} ({})", by.name())).collect();
                write!(f, "the address is {}", parts.join(" and "))
            }
        }
    }
}

/// The one node that `address` can be, and the card that says so.
pub fn node_at(
    records: &Snapshot,
    address: IpAddr,
    evidence: Evidence,
) -> Result<(Arc<Node>, Option<Mac>), Doubt> {
    let recorded: Vec<&Arc<Node>> = records.nodes_at(address).collect();
    if records.owners_of_ip(address) > 1 {
        let mut names: Vec<String> = recorded.iter().map(|node| node.label()).collect();
        names.extend(records.bmcs_at(address).map(|bmc| bmc.label()));
        return Err(Doubt::Shared(names));
    }
    let mut named: Vec<(PeerSource, &Arc<Node>)> = Vec::new();
    if let Some(mac) = evidence.neighbour {
        // On the link, the card decides: an unknown one at a node's address is not that node.
        let node = records.by_mac(mac).ok_or(Doubt::Stranger(mac, PeerSource::Neighbour))?;
        named.push((PeerSource::Neighbour, node));
    }
    if let Some(mac) = evidence.learned {
        match records.by_mac(mac) {
            Some(node) => named.push((PeerSource::Learned, node)),
            None if named.is_empty() => return Err(Doubt::Stranger(mac, PeerSource::Learned)),
            // A lease of a machine that has gone says nothing of the one that is there now.
            None => {}
        }
    }
    named.extend(recorded.first().map(|node| (PeerSource::Record, *node)));
    let Some((_, node)) = named.first() else { return Err(Doubt::Unknown) };
    if named.iter().any(|(_, other)| !Arc::ptr_eq(node, other)) {
        return Err(Doubt::Contradiction(named.iter().map(|(by, node)| (*by, node.label())).collect()));
    }
    Ok((Arc::clone(node), evidence.neighbour.or(evidence.learned)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Bmc, BmcKey, Nic};

    fn mac(n: u8) -> Mac {
        Mac::new([2, 0, 0, 0, 0, n]).unwrap()
    }

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    fn node(name: &str, cards: &[(u8, &[u8])]) -> Node {
        let nics = cards.iter().map(|(card, addresses)| Nic {
            mac: mac(*card),
            addresses: addresses.iter().map(|address| ip(*address)).collect(),
        });
        Node { name: Some(name.to_owned()), nics: nics.collect(), netboot: true, ..Node::default() }
    }

    fn records() -> Snapshot {
        let nodes = vec![
            node("a", &[(1, &[1]), (11, &[11, 12])]),
            node("b", &[(2, &[2])]),
            node("c", &[(3, &[50])]),
            node("d", &[(4, &[50])]),
            node("e", &[(5, &[60])]),
        ];
        let mut records = Snapshot::new(nodes, Vec::new());
        let bmc = |card, address| Bmc { mac: Some(mac(card)), ip: Some(ip(address)), ..Bmc::default() };
        records.put_bmc(BmcKey::File(0), bmc(100, 100));
        records.put_bmc(BmcKey::File(1), bmc(101, 60));
        records
    }

    fn who(address: u8, neighbour: Option<u8>, learned: Option<u8>) -> Result<String, Doubt> {
        let evidence = Evidence { neighbour: neighbour.map(mac), learned: learned.map(mac) };
        node_at(&records(), ip(address), evidence).map(|(node, _)| node.label())
    }

    #[test]
    fn each_source_alone_tells_the_node() {
        assert_eq!(who(77, Some(1), None), Ok("a".to_owned()));
        assert_eq!(who(77, None, Some(2)), Ok("b".to_owned()));
        assert_eq!(who(1, None, None), Ok("a".to_owned()));
        // Any address of any card.
        assert_eq!(who(12, None, None), Ok("a".to_owned()));
        assert_eq!(who(1, Some(11), Some(1)), Ok("a".to_owned()));
        assert_eq!(who(77, None, None), Err(Doubt::Unknown));
    }

    #[test]
    fn a_stranger_at_a_nodes_address_is_a_stranger() {
        assert_eq!(who(1, Some(9), None), Err(Doubt::Stranger(mac(9), PeerSource::Neighbour)));
        assert_eq!(who(1, None, Some(9)), Err(Doubt::Stranger(mac(9), PeerSource::Learned)));
        // The lease of another that is gone does not speak against who is there.
        assert_eq!(who(1, Some(1), Some(9)), Ok("a".to_owned()));
    }

    #[test]
    fn sources_that_name_two_nodes_name_nobody() {
        for (address, neighbour, learned) in [(2, Some(1), None), (77, Some(1), Some(2)), (2, None, Some(1))]
        {
            assert!(matches!(who(address, neighbour, learned), Err(Doubt::Contradiction(_))), "{address}");
        }
    }

    #[test]
    fn an_address_of_two_is_nobodys() {
        assert_eq!(who(50, None, None), Err(Doubt::Shared(vec!["c".to_owned(), "d".to_owned()])));
        assert!(matches!(who(50, Some(3), None), Err(Doubt::Shared(_))));
        assert!(matches!(who(60, None, None), Err(Doubt::Shared(names)) if names[0] == "e"));
    }

    #[test]
    fn a_bmc_is_nobody() {
        assert_eq!(who(100, None, None), Err(Doubt::Unknown));
        assert_eq!(who(100, Some(100), None), Err(Doubt::Stranger(mac(100), PeerSource::Neighbour)));
    }
}
