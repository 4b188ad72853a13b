//! Which xname a BMC and its machines have.
//!
//! An xname says where a machine is; no address says that. So none is invented for a BMC: it comes from the map,
//! the records or the SMD, or the BMC is left for the operator to name.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::inventory::System;
use super::targets::Map;
use crate::records::{Bmc, BmcXname, Mac, Node, Snapshot, Uuid, Xname};

/// An xname's last number has three digits.
const NUMBERS: u32 = 1000;

/// What is known before a BMC is asked.
#[derive(Debug, Default)]
pub struct Known {
    /// The map file.
    pub map: Map,
    /// BMCs of the records, then those that the SMD has already.
    pub bmcs: Vec<Bmc>,
    /// Nodes of the records.
    pub nodes: Snapshot,
}

impl Known {
    /// The xname of the BMC at `host`, whose own card is `mac` as far as that is known: by the map, then by a
    /// BMC with this card, then by one with this address.
    pub fn bmc(&self, host: &str, mac: Option<Mac>) -> Option<BmcXname> {
        let address = host.parse::<IpAddr>().ok();
        let by_mac = || self.bmcs.iter().find(|bmc| mac.is_some() && bmc.mac == mac);
        let by_host = |bmc: &&Bmc| {
            (address.is_some() && bmc.ip == address)
                || bmc.fqdn.as_deref().is_some_and(|fqdn| fqdn.eq_ignore_ascii_case(host))
        };
        let recorded = || by_mac().or_else(|| self.bmcs.iter().find(by_host))?.xname.clone();
        self.map.xname(host, mac).cloned().or_else(recorded)
    }
}

/// A machine and its xname.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Index in the inventory's list.
    pub system: usize,
    /// Its xname.
    pub xname: Xname,
    /// Its record, where there is one.
    pub record: Option<Arc<Node>>,
    /// The BMC itself names it by this xname; its UUID need not identify it then.
    pub named_by_bmc: bool,
}

/// Gives every machine below `bmc` an xname (decision on Redfish Systems): the last segment of its URI where that
/// is one below this BMC; else that of a node on record with one of its cards; else of one with its UUID; else the
/// next free number. `systems` are in the inventory's order, so that the numbers are the same in every run. Numbers
/// in `claimed`, what the records say of the machines of all BMCs, are not free. The result is ordered by xname. A
/// BMC that can have no nodes (of a switch, of a cabinet) gives none.
pub fn place(systems: &[System], bmc: &BmcXname, nodes: &Snapshot, claimed: &HashSet<Xname>) -> Vec<Placed> {
    let mut taken: HashSet<Xname> = HashSet::new();
    let mut placed: Vec<Option<Placed>> = Vec::with_capacity(systems.len());
    for (index, system) in systems.iter().enumerate() {
        let segment = system.uri.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
        let named = segment.parse::<Xname>().ok().filter(|xname| BmcXname::of_node(xname) == *bmc);
        let record = record(system, nodes);
        let recorded = || record.as_ref().and_then(|record| record.xname.clone());
        let named_by_bmc = named.is_some();
        let xname = named.or_else(recorded).filter(|xname| taken.insert(xname.clone()));
        placed.push(xname.map(|xname| Placed { system: index, xname, record, named_by_bmc }));
    }
    let mut number = 0;
    for (index, place) in placed.iter_mut().enumerate() {
        while place.is_none() && number < NUMBERS {
            let xname = format!("{bmc}n{number}").parse::<Xname>().ok();
            number += 1;
            let free = xname.filter(|xname| !claimed.contains(xname) && taken.insert(xname.clone()));
            // With new cards in it, a machine is still the one at this place.
            *place = free.map(|xname| {
                let record = record(&systems[index], nodes).filter(|record| record.xname.is_none());
                let record = record.or_else(|| nodes.by_xname(&xname).cloned());
                Placed { system: index, xname, record, named_by_bmc: false }
            });
        }
    }
    let mut placed: Vec<Placed> = placed.into_iter().flatten().collect();
    placed.sort_by(|a, b| key(&a.xname).cmp(&key(&b.xname)));
    placed
}

/// The xnames that the records have for machines, by their cards and UUIDs.
pub fn claims<'a>(systems: &'a [System], nodes: &'a Snapshot) -> impl Iterator<Item = Xname> + 'a {
    systems.iter().filter_map(|system| record(system, nodes)?.xname.clone())
}

/// Numbers by value: n10 comes after n9.
fn key(xname: &Xname) -> (&str, u32) {
    let (bmc, number) = xname.as_str().rsplit_once('n').unwrap_or_default();
    (bmc, number.parse().unwrap_or_default())
}

fn record(system: &System, nodes: &Snapshot) -> Option<Arc<Node>> {
    let by_mac = system.ethernet_interfaces.iter().find_map(|card| nodes.by_mac(card.mac));
    let uuid = || system.uuid.parse::<Uuid>().ok().filter(|uuid| uuid.identifies());
    by_mac.or_else(|| nodes.by_uuid(uuid()?)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::redfish::inventory::Card;
    use crate::records::Nic;

    fn system(uri: &str, mac: &str, uuid: &str) -> System {
        let card = Card {
            uri: String::new(),
            mac: mac.parse().unwrap(),
            ip: None,
            name: String::new(),
            description: String::new(),
            enabled: true,
        };
        System {
            uri: uri.to_owned(),
            uuid: uuid.to_owned(),
            ethernet_interfaces: vec![card],
            ..System::default()
        }
    }

    fn names(systems: &[System], nodes: Vec<Node>) -> Vec<(usize, String)> {
        let bmc = "x1000c0s0b0".parse().unwrap();
        let nodes = Snapshot::new(nodes, Vec::new());
        let placed = place(systems, &bmc, &nodes, &claims(systems, &nodes).collect());
        placed.into_iter().map(|placed| (placed.system, placed.xname.to_string())).collect()
    }

    fn node(xname: &str, mac: &str, uuid: Option<&str>) -> Node {
        let nics = vec![Nic { mac: mac.parse().unwrap(), addresses: Vec::new() }];
        Node {
            xname: xname.parse().ok(),
            nics,
            uuid: uuid.map(|uuid| uuid.parse().unwrap()),
            ..Node::default()
        }
    }

    #[test]
    fn the_bmcs_own_xname_comes_first_then_card_then_uuid_then_a_free_number() {
        let systems = [
            system("https://h/redfish/v1/Systems/a", "02:00:00:00:00:01", ""),
            system(
                "https://h/redfish/v1/Systems/b",
                "02:00:00:00:00:02",
                "11111111-1111-4111-8111-111111111111",
            ),
            system("https://h/redfish/v1/Systems/c", "02:00:00:00:00:03", ""),
            system("https://h/redfish/v1/Systems/x1000c0s0b0n0", "02:00:00:00:00:04", ""),
            system("https://h/redfish/v1/Systems/x1000c0s9b0n3/", "02:00:00:00:00:05", ""),
        ];
        let nodes = vec![
            node("x1000c0s0b0n2", "02:00:00:00:00:01", None),
            node("x1000c0s0b0n11", "02:00:00:00:00:99", Some("11111111-1111-4111-8111-111111111111")),
        ];
        let expected = [(3, "n0"), (2, "n1"), (0, "n2"), (4, "n3"), (1, "n11")];
        assert_eq!(names(&systems, nodes), expected.map(|(index, n)| (index, format!("x1000c0s0b0{n}"))));
    }

    #[test]
    fn machines_without_uuid_are_two_and_two_claims_to_one_xname_are_settled() {
        let systems = [system("/s/a", "02:00:00:00:00:01", ""), system("/s/b", "02:00:00:00:00:02", "")];
        assert_eq!(names(&systems, Vec::new()).len(), 2);
        let mut both = node("x1000c0s0b0n0", "02:00:00:00:00:01", None);
        both.nics.push(Nic { mac: "02:00:00:00:00:02".parse().unwrap(), addresses: Vec::new() });
        let expected = [(0, "x1000c0s0b0n0".to_owned()), (1, "x1000c0s0b0n1".to_owned())];
        assert_eq!(names(&systems, vec![both]), expected);
    }

    #[test]
    fn a_number_that_another_bmcs_machine_has_on_record_is_not_free_and_new_cards_change_no_number() {
        let nodes = Snapshot::new(vec![node("x1000c0s0b0n0", "02:00:00:00:00:01", None)], Vec::new());
        let here = [system("/s/a", "02:00:00:00:00:02", "")];
        let there = [system("/s/a", "02:00:00:00:00:01", "")];
        let bmc = "x1000c0s0b0".parse().unwrap();
        let number = |claimed: &HashSet<Xname>| place(&here, &bmc, &nodes, claimed)[0].clone();
        assert_eq!(number(&claims(&there, &nodes).collect()).xname.as_str(), "x1000c0s0b0n1");
        let same = number(&HashSet::new());
        assert!(same.xname.as_str() == "x1000c0s0b0n0" && same.record.is_some());
    }

    #[test]
    fn a_bmc_is_never_given_an_invented_xname() {
        let mut known = Known::default();
        let mac = "02:00:00:00:00:0a".parse().ok();
        assert_eq!(known.bmc("10.0.0.5", mac), None);
        let at = |xname: &str, ip: &str, mac: Option<Mac>| Bmc {
            xname: xname.parse().ok(),
            ip: ip.parse().ok(),
            mac,
            ..Bmc::default()
        };
        known.bmcs = vec![at("x1000c0s0b0", "10.0.0.5", None), at("x1000c0s1b0", "10.0.0.6", mac)];
        assert_eq!(known.bmc("10.0.0.5", None).unwrap().as_str(), "x1000c0s0b0");
        assert_eq!(
            known.bmc("10.0.0.5", mac).unwrap().as_str(),
            "x1000c0s1b0",
            "it moved to another address"
        );
    }
}
