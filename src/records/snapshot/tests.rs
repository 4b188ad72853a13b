//! Look-ups after puts and removals.

use proptest::prelude::*;

use super::super::Key;
use super::*;

fn node(name: &str, nid: u32, mac: u8, address: &str) -> Node {
    let mac = Mac::new([2, 0, 0, 0, 0, mac]).unwrap();
    Node {
        name: Some(name.to_owned()),
        nid: Some(nid),
        nics: vec![Nic { mac, addresses: vec![address.parse().unwrap()] }],
        ..Node::default()
    }
}

fn stored(n: u8) -> NodeKey {
    Key::Stored(format!("x1000c0s{n}b0n0").parse().unwrap())
}

fn label(found: Option<&Arc<Node>>) -> Option<String> {
    found.map(|node| node.label())
}

#[test]
fn of_two_nodes_with_one_nid_the_least_key_is_found_and_then_the_other() {
    let mut records = Snapshot::new(vec![node("file", 7, 1, "10.0.0.1")], vec![]);
    records.put_node(stored(2), node("b", 7, 3, "10.0.0.3"));
    records.put_node(stored(1), node("a", 7, 2, "10.0.0.2"));
    let labels: Vec<String> = records.nodes().map(|node| node.label()).collect();
    assert_eq!(labels, ["file", "a", "b"]);
    for (key, name) in [(Key::File(0), "file"), (stored(1), "a"), (stored(2), "b")] {
        assert_eq!(label(records.by_nid(7)).as_deref(), Some(name));
        assert!(records.remove_node(&key) && !records.remove_node(&key));
    }
    assert!(records.by_nid(7).is_none() && records.node_count() == 0);
}

#[test]
fn a_node_that_is_put_again_loses_the_identities_that_it_no_longer_states() {
    let mut records = Snapshot::default();
    records.put_node(stored(1), node("old", 1, 1, "10.0.0.1"));
    let before = records.clone();
    records.put_node(stored(1), node("new", 2, 2, "10.0.0.2"));
    assert!(records.by_name("old").is_none() && records.by_nid(1).is_none());
    assert!(records.by_mac(Mac::new([2, 0, 0, 0, 0, 1]).unwrap()).is_none());
    assert!(records.by_ip(Ipv4Addr::new(10, 0, 0, 1)).is_none());
    assert_eq!(label(records.by_nid(2)).as_deref(), Some("new"));
    assert_eq!(label(records.node(&stored(1))).as_deref(), Some("new"));
    assert_eq!(label(before.by_nid(1)).as_deref(), Some("old"), "readers of the older state see no change");
}

/// Whoever asks by an address is found by any recorded one, and by none that two claim.
#[test]
fn owners_of_an_address_are_counted_over_nodes_and_bmcs() {
    let mut records = Snapshot::default();
    let mut first = node("a", 1, 1, "10.0.0.1");
    first.nics[0].addresses.push("10.1.0.1".parse().unwrap());
    first.nics[0].addresses.push("fd00::1".parse().unwrap());
    // A bond: one address on two cards of one node.
    first.nics.push(Nic { mac: Mac::new([2, 0, 0, 0, 0, 9]).unwrap(), ..first.nics[0].clone() });
    records.put_node(stored(1), first);
    let (second, v6): (Ipv4Addr, Ipv6Addr) = ("10.1.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
    assert_eq!(records.owners_of_ip(second.into()), 1);
    assert_eq!(records.by_ip(second).unwrap().1.mac.bytes()[5], 1);
    assert_eq!(label(records.by_ipv6(v6).map(|(node, _)| node)).as_deref(), Some("a"));
    records.put_node(stored(2), node("b", 2, 2, "10.1.0.1"));
    assert_eq!(records.owners_of_ip(second.into()), 2);
    let key: BmcKey = Key::File(0);
    records.put_bmc(key.clone(), Bmc { ip: Some(second.into()), ..Bmc::default() });
    assert_eq!(records.owners_of_ip(second.into()), 3);
    assert!(records.remove_bmc(&key) && records.remove_node(&stored(1)));
    assert_eq!(label(records.by_ip(second).map(|(node, _)| node)).as_deref(), Some("b"));
    assert_eq!(records.owners_of_ip("fd00::1".parse().unwrap()), 0);
}

#[test]
fn a_bmc_is_found_by_its_card_and_is_no_node() {
    let mut records = Snapshot::default();
    let mac = Mac::new([2, 0, 0, 0, 0, 1]).unwrap();
    let bmc = |name: &str| Bmc { name: Some(name.to_owned()), mac: Some(mac), ..Bmc::default() };
    let key = |n: u8| BmcKey::Stored(format!("x1000c0s{n}b0").parse().unwrap());
    records.put_bmc(key(1), bmc("one"));
    records.put_bmc(key(0), bmc("two"));
    assert_eq!(records.bmc_by_mac(mac).unwrap().label(), "BMC two");
    assert!(records.by_mac(mac).is_none() && records.node_count() == 0);
    records.put_bmc(key(0), Bmc::default());
    assert_eq!(records.bmc_by_mac(mac).unwrap().label(), "BMC one");
    assert_eq!(records.bmcs().count(), 2);
}

/// A node of few identities, so that many claim the same.
fn any_node() -> impl Strategy<Value = Node> {
    (0u8..4, 0u8..4, 0u32..3, 0u8..4, 0u8..3).prop_map(|(name, mac, nid, address, rest)| {
        let id = (rest > 0).then(|| vec![rest]);
        Node {
            uuid: Some(Uuid::from_text_order([rest + 1; 16])),
            serial: id.as_ref().map(|_| format!("s{rest}")),
            port: SwitchPort { circuit_id: id.clone(), remote_id: None },
            client_id: id,
            xname: Some(format!("x1c0s0b0n{name}").parse().unwrap()),
            ..node(&format!("n{name}"), nid, mac + 1, &format!("10.0.0.{address}"))
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// The snapshot that changes made is the one that would be built from what is left.
    #[test]
    fn after_any_changes_every_look_up_answers_like_a_walk_through_the_nodes(
        changes in proptest::collection::vec((0u32..5, 0u8..5, proptest::option::of(any_node())), 0..40),
    ) {
        let mut records = Snapshot::default();
        for (place, n, node) in changes {
            let key = if n == 0 { NodeKey::File(place) } else { stored(n) };
            match node {
                Some(node) => records.put_node(key, node),
                None => {
                    records.remove_node(&key);
                }
            }
        }
        let walk = |wanted: &dyn Fn(&Node) -> bool| records.nodes().find(|node| wanted(node)).cloned();
        let same = |found: Option<&Arc<Node>>, expected: Option<Arc<Node>>| match (found, expected) {
            (Some(found), Some(expected)) => Arc::ptr_eq(found, &expected),
            (found, expected) => found.is_none() && expected.is_none(),
        };
        for n in 0u8..5 {
            let mac = Mac::new([2, 0, 0, 0, 0, n + 1]).unwrap();
            let ip = Ipv4Addr::new(10, 0, 0, n);
            let (name, serial) = (format!("n{n}"), format!("s{n}"));
            let xname: Xname = format!("x1c0s0b0n{n}").parse().unwrap();
            let uuid = Uuid::from_text_order([n + 1; 16]);
            prop_assert!(same(records.by_mac(mac), walk(&|node| node.nic(mac).is_some())));
            prop_assert!(same(records.by_ip(ip).map(|(node, _)| node), walk(&|node| node.ipv4_for(None) == Some(ip))));
            prop_assert!(same(records.by_nid(n.into()), walk(&|node| node.nid == Some(n.into()))));
            prop_assert!(same(records.by_name(&name), walk(&|node| node.name.as_ref() == Some(&name))));
            prop_assert!(same(records.by_serial(&serial), walk(&|node| node.serial.as_ref() == Some(&serial))));
            prop_assert!(same(records.by_xname(&xname), walk(&|node| node.xname.as_ref() == Some(&xname))));
            prop_assert!(same(records.by_uuid(uuid), walk(&|node| node.uuid == Some(uuid))));
            prop_assert!(same(records.by_client_id(&[n]), walk(&|node| node.client_id == Some(vec![n]))));
            let port = records.by_port(Some(&[n]), None).map(|(node, _)| node);
            prop_assert!(same(port, walk(&|node| node.port.circuit_id == Some(vec![n]))));
            let owners = records.nodes().filter(|node| node.ipv4_for(None) == Some(ip)).count();
            prop_assert_eq!(records.owners_of_ip(ip.into()), owners);
        }
        let keys: Vec<NodeKey> = records.nodes_by_key().map(|(key, _)| key.clone()).collect();
        prop_assert!(keys.is_sorted() && keys.len() == records.node_count());
        for key in keys {
            records.remove_node(&key);
        }
        prop_assert!(records.by_mac.is_empty() && records.by_address.is_empty() && records.by_uuid.is_empty());
        prop_assert!(records.by_serial.is_empty() && records.by_client_id.is_empty() && records.by_port.is_empty());
        prop_assert!(records.by_xname.is_empty() && records.by_nid.is_empty() && records.by_name.is_empty());
    }
}
