//! The result as nodes.yaml: what was found once can be kept, edited and served from a file.
//!
//! Written for `bootlace check`: an identity that two machines claim is written for neither of them, but for a MAC,
//! which the first one keeps. What the records said already (name, node number, groups, addresses) is kept.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::net::IpAddr;

use super::inventory::{Card, Inventory, System};
use super::place::Placed;
use crate::config::file::usable;
use crate::records::{BmcXname, Mac, Node, Uuid, Xname};

/// One BMC that was asked, with its machines.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its xname.
    pub xname: &'a BmcXname,
    /// Where it was asked.
    pub host: &'a str,
    /// What it said.
    pub inventory: &'a Inventory,
    /// Its machines' xnames.
    pub placed: &'a [Placed],
}

/// First line of every file that is written.
pub const HEADER: &str = "# Node records, written by bootlace discover redfish.";

/// The file's text, ordered by xname.
pub fn write(found: &[Found<'_>]) -> String {
    let mut order: Vec<&Found<'_>> = found.iter().collect();
    order.sort_by(|a, b| a.xname.cmp(b.xname));
    let machines = || order.iter().flat_map(|bmc| bmc.placed.iter().map(|placed| (*bmc, placed)));
    let system = |bmc: &Found<'_>, placed: &Placed| bmc.inventory.systems.get(placed.system).cloned();
    let all: Vec<System> = machines().filter_map(|(bmc, placed)| system(bmc, placed)).collect();
    let recorded = machines().filter_map(|(_, placed)| placed.record.as_ref()?.name.clone());
    let once = Once::of(&all, recorded);
    let mut text = format!("{HEADER}\n# Reference: docs/settings.md. Check: bootlace check FILE\n\nbmcs:");
    let mut written = Written::default();
    text.push_str(if order.is_empty() { " []\n" } else { "\n" });
    for bmc in &order {
        let _ = writeln!(text, "- xname: {}", bmc.xname);
        if let Some(mac) = bmc.inventory.mac.filter(|mac| written.macs.insert(*mac)) {
            let _ = writeln!(text, "  mac: {mac}");
        }
        match bmc.host.parse::<IpAddr>() {
            Ok(ip) if possible(&ip) && written.ips.insert(ip) => {
                let _ = writeln!(text, "  ip: {ip}");
            }
            Ok(_) => {}
            Err(_) => {
                let _ = writeln!(text, "  fqdn: {}", quoted(bmc.host));
            }
        }
    }
    text.push_str("nodes:\n");
    let head = text.len();
    for (bmc, placed) in machines() {
        let Some(system) = bmc.inventory.systems.get(placed.system) else { continue };
        if written.xnames.insert(&placed.xname) {
            node(&mut text, bmc, placed, system, &once, &mut written);
        }
    }
    if !text[head..].lines().any(|line| line.starts_with('-')) {
        text.insert_str(head - 1, " []");
    }
    text
}

/// What is in the file already.
#[derive(Default)]
struct Written<'a> {
    macs: HashSet<Mac>,
    ips: HashSet<IpAddr>,
    xnames: HashSet<&'a Xname>,
    /// Records whose name, number and groups are used.
    records: HashSet<*const Node>,
}

/// Texts that only one machine has.
struct Once {
    names: HashMap<String, usize>,
    uuids: HashMap<Uuid, usize>,
    serials: HashMap<String, usize>,
}

impl Once {
    fn of(systems: &[System], recorded: impl Iterator<Item = String>) -> Self {
        let mut once = Self { names: HashMap::new(), uuids: HashMap::new(), serials: HashMap::new() };
        for name in recorded {
            *once.names.entry(name.to_ascii_lowercase()).or_default() += 1;
        }
        for system in systems {
            *once.names.entry(system.host_name.to_ascii_lowercase()).or_default() += 1;
            *once.serials.entry(system.serial.clone()).or_default() += 1;
            if let Ok(uuid) = system.uuid.parse() {
                *once.uuids.entry(uuid).or_default() += 1;
            }
        }
        once
    }

    fn name<'s>(&self, system: &'s System) -> Option<&'s str> {
        let name = &system.host_name;
        (!name.is_empty() && self.names.get(&name.to_ascii_lowercase()) == Some(&1)).then_some(name)
    }

    fn uuid(&self, system: &System) -> Option<Uuid> {
        let uuid = system.uuid.parse::<Uuid>().ok()?;
        (uuid.identifies() && self.uuids.get(&uuid) == Some(&1)).then_some(uuid)
    }

    fn serial<'s>(&self, system: &'s System) -> Option<&'s str> {
        let serial = &system.serial;
        (!serial.is_empty() && self.serials.get(serial) == Some(&1)).then_some(serial)
    }
}

fn node(
    text: &mut String,
    bmc: &Found<'_>,
    placed: &Placed,
    system: &System,
    once: &Once,
    written: &mut Written<'_>,
) {
    let cards: Vec<&Card> =
        system.ethernet_interfaces.iter().filter(|card| written.macs.insert(card.mac)).collect();
    // Where the BMC itself says the xname, its UUIDs and serial numbers are often made up.
    let (uuid, serial) =
        if placed.named_by_bmc { (None, None) } else { (once.uuid(system), once.serial(system)) };
    if cards.is_empty() && uuid.is_none() && serial.is_none() {
        let _ = writeln!(
            text,
            "# {} is left out: it has no card, UUID or serial number of its own",
            placed.xname
        );
        return;
    }
    let about = [&system.manufacturer, &system.model].map(String::as_str).join(" ");
    if !about.trim().is_empty() {
        let _ = writeln!(text, "# {}", about.trim());
    }
    let _ = writeln!(text, "- xname: {}", placed.xname);
    // A record that two machines have cards of gives its name and number to the first.
    let record = placed.record.as_deref().filter(|record| written.records.insert(*record as *const Node));
    if let Some(name) = record.and_then(|record| record.name.as_deref()).or(once.name(system)) {
        let _ = writeln!(text, "  name: {}", quoted(name));
    }
    if let Some(nid) = record.and_then(|record| record.nid) {
        let _ = writeln!(text, "  nid: {nid}");
    }
    let _ = writeln!(text, "  bmc: {}", bmc.xname);
    if let Some(uuid) = uuid {
        let _ = writeln!(text, "  uuid: {uuid}");
    }
    if let Some(serial) = serial {
        let _ = writeln!(text, "  serial: {}", quoted(serial));
    }
    if let Some(groups) = record.map(|record| &record.groups).filter(|groups| !groups.is_empty()) {
        let groups: Vec<String> = groups.iter().map(|group| quoted(group)).collect();
        let _ = writeln!(text, "  groups: [{}]", groups.join(", "));
    }
    text.push_str(if cards.is_empty() { "  interfaces: []\n" } else { "  interfaces:\n" });
    for card in cards {
        let about = if card.description.is_empty() { &card.name } else { &card.description };
        let comment = if about.is_empty() { String::new() } else { format!("   # {about}") };
        let _ = writeln!(text, "  - mac_addr: {}{comment}", card.mac);
        let recorded = record.and_then(|record| record.nic(card.mac)).map(|nic| nic.addresses.clone());
        let addresses =
            recorded.filter(|addresses| !addresses.is_empty()).unwrap_or(card.ip.into_iter().collect());
        let stated: Vec<String> = addresses
            .into_iter()
            .filter(|ip| possible(ip) && written.ips.insert(*ip))
            .map(|ip| format!("{{ip_addr: {}}}", quoted(&ip.to_string())))
            .collect();
        if !stated.is_empty() {
            let _ = writeln!(text, "    ip_addrs: [{}]", stated.join(", "));
        }
    }
}

/// An address that a machine can have on a network; nodes.yaml takes no other.
fn possible(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => usable(*v4),
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast() || v6.is_loopback()),
    }
}

/// A JSON string is a YAML one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::discover::redfish::place::place;
    use crate::records::{Snapshot, load};

    fn card(last: u8, ip: Option<&str>, about: &str) -> Card {
        Card {
            uri: String::new(),
            mac: Mac::new([2, 0, 0, 0, 0, last]).unwrap(),
            ip: ip.and_then(|ip| ip.parse().ok()),
            name: about.to_owned(),
            description: String::new(),
            enabled: true,
        }
    }

    fn text(inventories: &[(&str, &str, Inventory)]) -> String {
        let nodes = Snapshot::default();
        let places: Vec<(BmcXname, Vec<Placed>)> = inventories
            .iter()
            .map(|(xname, _, inventory)| {
                let xname = xname.parse().unwrap();
                let placed = place(&inventory.systems, &xname, &nodes, &HashSet::new());
                (xname, placed)
            })
            .collect();
        let found = inventories.iter().zip(&places).map(|((_, host, inventory), (xname, placed))| Found {
            xname,
            host,
            inventory,
            placed,
        });
        write(&found.collect::<Vec<_>>())
    }

    fn errors(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes.yaml");
        std::fs::write(&path, text).unwrap();
        let loaded = load::load(&[path], &[], None, None);
        loaded
            .diagnostics
            .iter()
            .filter(|problem| problem.is_error())
            .map(|problem| problem.one_line())
            .collect()
    }

    #[test]
    fn a_bmc_and_its_machine_are_written_with_what_identifies_them() {
        let system = System {
            uri: "https://10.0.0.5:443/redfish/v1/Systems/1".to_owned(),
            uuid: "4C4C4544-0000-1000-8000-B9C04F4D4D32".to_owned(),
            serial: "0123".to_owned(),
            manufacturer: "Acme".to_owned(),
            host_name: "web1".to_owned(),
            ethernet_interfaces: vec![card(1, Some("10.0.1.5"), "port 1"), card(2, None, "")],
            ..System::default()
        };
        let mac = "02:00:00:00:00:0a".parse().ok();
        let inventory = Inventory { systems: vec![system], mac, ..Inventory::default() };
        let text = text(&[("x1000c0s0b0", "10.0.0.5", inventory)]);
        let expected = "
bmcs:
- xname: x1000c0s0b0
  mac: 02:00:00:00:00:0a
  ip: 10.0.0.5
nodes:
# Acme
- xname: x1000c0s0b0n0
  name: \"web1\"
  bmc: x1000c0s0b0
  uuid: 4c4c4544-0000-1000-8000-b9c04f4d4d32
  serial: \"0123\"
  interfaces:
  - mac_addr: 02:00:00:00:00:01   # port 1
    ip_addrs: [{ip_addr: \"10.0.1.5\"}]
  - mac_addr: 02:00:00:00:00:02
";
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(errors(&text), Vec::<String>::new());
    }

    fn any_system() -> impl Strategy<Value = System> {
        let word = || {
            prop::sample::select(vec![
                "", "a", "System", "x: y", "# z", "'\"", "\\", "ä", "- ", "0x1f", "null",
            ])
        };
        let ip = prop::sample::select(vec![
            None,
            Some("10.0.0.1"),
            Some("10.0.0.2"),
            Some("127.0.0.1"),
            Some("2001:db8::1"),
        ]);
        let uuid = prop::sample::select(vec![
            "",
            "4c4c4544-0000-1000-8000-b9c04f4d4d32",
            "00000000-0000-0000-0000-000000000000",
        ]);
        let cards = prop::collection::vec((1..6u8, ip, word()), 0..3);
        (cards, uuid, word(), word(), word(), 0..3u8).prop_map(
            |(cards, uuid, serial, model, host_name, id)| System {
                uri: format!("https://h/redfish/v1/Systems/{id}"),
                uuid: uuid.to_owned(),
                serial: serial.to_owned(),
                model: model.to_owned(),
                host_name: host_name.to_owned(),
                ethernet_interfaces: cards
                    .into_iter()
                    .map(|(last, ip, about)| card(last, ip, about))
                    .collect(),
                ..System::default()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_bmcs_say_the_file_is_one_that_check_takes(
            a in prop::collection::vec(any_system(), 0..3),
            b in prop::collection::vec(any_system(), 0..3),
        ) {
            let mac = Mac::new([2, 0, 0, 0, 0, 1]).ok();
            let inventory = |systems| Inventory { systems, mac, ..Inventory::default() };
            let text = text(&[("x1000c0s0b0", "10.0.0.1", inventory(a)), ("x1000c0s1b0", "bmc1: x", inventory(b))]);
            prop_assert_eq!(errors(&text), Vec::<String>::new(), "{}", text);
        }
    }
}
