//! nodes.yaml and boot.yaml of what the store holds.

use std::collections::HashSet;

use serde::Serialize;

use crate::openchami::inventory::{BootUnit, Component, ComponentEndpoint, Inventory, RedfishEndpoint};

/// A file without nodes.
pub(super) const NO_NODES: &str = "nodes: []\n";
/// A file without boot entries.
pub(super) const NO_ENTRIES: &str = "[]\n";

#[derive(Serialize)]
struct NodesYaml {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bmcs: Vec<BmcYaml>,
    nodes: Vec<NodeYaml>,
}

#[derive(Serialize)]
struct BmcYaml {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    xname: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fqdn: Option<String>,
}

#[derive(Serialize)]
struct NodeYaml {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nid: Option<i64>,
    xname: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bmc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subrole: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    interfaces: Vec<NicYaml>,
}

#[derive(Serialize)]
struct NicYaml {
    mac_addr: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ip_addrs: Vec<IpYaml>,
}

#[derive(Serialize)]
struct IpYaml {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    ip_addr: String,
}

/// Values that nodes.yaml allows once: the API allows them twice.
#[derive(Default)]
struct Taken {
    nids: HashSet<i64>,
    addresses: HashSet<String>,
    names: HashSet<String>,
    macs: HashSet<String>,
}

/// nodes.yaml: the nodes with a card, and the BMCs that are named by Redfish endpoints.
pub(super) fn nodes(inventory: &Inventory) -> String {
    let mut taken = Taken::default();
    let endpoints = inventory.redfish_endpoints.stored().filter(|endpoint| endpoint.id.kind() == "NodeBMC");
    let bmcs: Vec<BmcYaml> = endpoints.map(|endpoint| bmc(endpoint, &mut taken)).collect();
    let known: HashSet<&str> = bmcs.iter().map(|bmc| bmc.xname.as_str()).collect();
    let components = inventory.components.stored().filter(|component| component.id.kind() == "Node");
    let nodes: Vec<NodeYaml> =
        components.filter_map(|component| node(inventory, component, &known, &mut taken)).collect();
    if nodes.is_empty() && bmcs.is_empty() {
        return NO_NODES.to_owned();
    }
    yaml(&NodesYaml { bmcs, nodes }).unwrap_or_else(|| NO_NODES.to_owned())
}

fn bmc(endpoint: &RedfishEndpoint, taken: &mut Taken) -> BmcYaml {
    let mac = endpoint.mac_addr.parse::<crate::records::Mac>().ok().map(|mac| mac.to_string());
    let ip = Some(endpoint.ip_address.clone()).filter(|ip| ip.parse::<std::net::IpAddr>().is_ok());
    BmcYaml {
        name: if taken.names.insert(endpoint.name.clone()) { endpoint.name.clone() } else { String::new() },
        xname: endpoint.id.to_string(),
        mac: mac.filter(|mac| taken.macs.insert(mac.clone())),
        ip: ip.filter(|ip| taken.addresses.insert(ip.clone())),
        fqdn: Some(endpoint.fqdn.clone()).filter(|fqdn| *fqdn != endpoint.id.as_str() && !fqdn.is_empty()),
    }
}

fn node(
    inventory: &Inventory,
    component: &Component,
    bmcs: &HashSet<&str>,
    taken: &mut Taken,
) -> Option<NodeYaml> {
    let id = component.id.as_str();
    let mut interfaces = Vec::new();
    for card in inventory.cards_of(id) {
        let Ok(mac) = card.mac.parse::<crate::records::Mac>() else { continue };
        if !taken.macs.insert(mac.to_string()) {
            continue;
        }
        let addresses = card.addresses.iter().filter(|ip| taken.addresses.insert(ip.address.to_string()));
        let ip_addrs =
            addresses.map(|ip| IpYaml { name: ip.network.clone(), ip_addr: ip.address.to_string() });
        interfaces.push(NicYaml { mac_addr: mac.to_string(), ip_addrs: ip_addrs.collect() });
    }
    if interfaces.is_empty() || id.parse::<crate::records::Xname>().is_err() {
        // nodes.yaml knows no node without a card.
        return None;
    }
    let name = inventory.component_endpoints.get(id).and_then(|endpoint| system_name(&endpoint));
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let nid = component.nid.filter(|nid| (0..=i64::from(u32::MAX)).contains(nid));
    Some(NodeYaml {
        name: name.filter(|name| name != id && taken.names.insert(name.clone())),
        nid: nid.filter(|nid| taken.nids.insert(*nid)),
        xname: id.to_owned(),
        bmc: component.id.parent().map(|bmc| bmc.to_string()).filter(|bmc| bmcs.contains(bmc.as_str())),
        role: some(&component.role).filter(|role| role != "Compute"),
        subrole: some(&component.sub_role),
        groups: inventory.groups_of(id),
        interfaces,
    })
}

fn system_name(endpoint: &ComponentEndpoint) -> Option<String> {
    let name = endpoint.info.get("RedfishSystemInfo")?.get("Name")?.as_str()?;
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

#[derive(Serialize)]
struct EntryYaml<'u> {
    name: &'u str,
    kernel: &'u str,
    #[serde(skip_serializing_if = "str::is_empty")]
    initrd: &'u str,
    #[serde(skip_serializing_if = "str::is_empty")]
    params: &'u str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    hosts: &'u [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    macs: &'u [String],
    #[serde(skip_serializing_if = "<[i64]>::is_empty")]
    nids: &'u [i64],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'u [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    roles: &'u [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    profile: &'u str,
    #[serde(skip_serializing_if = "is_zero")]
    priority: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// boot.yaml: the units that select somebody, each name once.
pub(super) fn boot(inventory: &Inventory) -> String {
    let mut names = HashSet::new();
    let selects = |unit: &BootUnit| {
        let machines = unit.macs.len() + unit.nids.len() + unit.hosts.len();
        machines + unit.groups.len() + unit.roles.len() > 0 || !unit.profile.is_empty()
    };
    let units = inventory.boot_units.stored().filter(|unit| selects(unit) && !unit.kernel.is_empty());
    let units = units.filter(|unit| !unit.metadata.name.is_empty() && names.insert(&unit.metadata.name));
    let entries: Vec<EntryYaml<'_>> = units
        .map(|unit| EntryYaml {
            name: &unit.metadata.name,
            kernel: &unit.kernel,
            initrd: &unit.initrd,
            params: &unit.params,
            hosts: &unit.hosts,
            macs: &unit.macs,
            nids: &unit.nids,
            groups: &unit.groups,
            roles: &unit.roles,
            profile: &unit.profile,
            priority: unit.priority,
        })
        .collect();
    if entries.is_empty() {
        return NO_ENTRIES.to_owned();
    }
    yaml(&entries).unwrap_or_else(|| NO_ENTRIES.to_owned())
}

/// Text, or nothing where a value has no YAML form.
fn yaml(value: &impl Serialize) -> Option<String> {
    serde_yaml::to_string(value).ok()
}
