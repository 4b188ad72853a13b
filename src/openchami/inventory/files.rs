//! The records of nodes.yaml and boot.yaml as the OpenCHAMI services show them: what `discover static` of the
//! same file would have made, with UUIDs that follow from the xname instead of random ones.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, json};

use crate::openchami::endpoint::{self, Described, NicInfo};
use crate::openchami::xname::Location;
use crate::records::{Bmc, BootEntry, BootFile, Node, Origin, Snapshot};

use super::{
    BootUnit, Component, Envelope, EthernetInterface, Filed, Group, Inventory, IpEntry, Member, Meta,
    RedfishEndpoint,
};

/// Nodes of the files by xname, with their place in file order.
#[derive(Debug, Default)]
pub(super) struct FileNodes(HashMap<String, (u32, Arc<Node>)>);

impl FileNodes {
    pub(super) fn of(records: &Snapshot) -> Self {
        let numbered = (0..).zip(records.nodes());
        // The first record of an xname wins, as in the snapshot.
        let mut nodes = HashMap::new();
        for (at, node) in numbered {
            if let Some(xname) = &node.xname {
                nodes.entry(xname.to_string()).or_insert((at, Arc::clone(node)));
            }
        }
        Self(nodes)
    }

    pub(super) fn get(&self, xname: &str) -> Option<(u32, &Node)> {
        self.0.get(xname).map(|(at, node)| (*at, &**node))
    }
}

/// Lays the records of the files into an inventory that holds nothing yet.
pub(super) fn lay(inventory: &mut Inventory, records: &Snapshot) {
    for node in records.nodes() {
        if let Some(id) = node.xname.as_ref().and_then(|xname| xname.as_str().parse::<Location>().ok()) {
            lay_node(inventory, node, &id);
        }
    }
    for bmc in records.bmcs() {
        if let Some(id) = bmc.xname.as_ref().and_then(|xname| xname.as_str().parse::<Location>().ok()) {
            lay_bmc(inventory, bmc, &id);
        }
    }
    for entry in records.entries() {
        let owned = OWNED_UNIT.into();
        inventory.lay_filed(Filed { record: Arc::new(unit(entry)), owned, origin: entry.origin.clone() });
    }
}

fn filed<R>(record: R, owned: &[(&'static str, &'static str)], origin: &Origin) -> Filed<R> {
    Filed { record: Arc::new(record), owned: owned.into(), origin: origin.clone() }
}

fn lay_node(inventory: &mut Inventory, node: &Node, id: &Location) {
    let mut owned = vec![("ID", "xname")];
    let mut stated = |given: bool, field, key| owned.extend(given.then_some((field, key)));
    stated(node.nid.is_some(), "NID", "nid");
    stated(node.role.is_some(), "Role", "role");
    stated(node.subrole.is_some(), "SubRole", "subrole");
    let component = Component {
        state: "On".to_owned(),
        role: node.role_or_default().to_owned(),
        sub_role: node.subrole.clone().unwrap_or_default(),
        nid: node.nid.map(i64::from).or_else(|| id.default_nid()),
        ..Component::at(id.clone())
    };
    inventory.lay_filed(filed(component, &owned, &node.origin));

    let name = node.name.clone().unwrap_or_else(|| id.to_string());
    let metadata = Meta { name: name.clone(), ..Meta::never() };
    let envelope = Envelope { id: id.to_string(), metadata, ..Envelope::default() };
    inventory.lay_filed(filed(envelope, &[("id", "xname")], &node.origin));
    let mut cards = Vec::new();
    for (at, nic) in node.nics.iter().enumerate() {
        let description = format!("Interface {at} for {name}");
        cards.push(NicInfo {
            mac: nic.mac.to_string(),
            description: description.clone(),
            ..NicInfo::default()
        });
        // `discover static` sends the first address alone.
        let addresses =
            nic.addresses.first().map(|address| IpEntry { address: *address, network: String::new() });
        let owned: &[_] = match addresses {
            Some(_) => &[("MACAddress", "mac_addr"), ("ComponentID", "xname"), ("IPAddresses", "ip_addrs")],
            None => &[("MACAddress", "mac_addr"), ("ComponentID", "xname")],
        };
        let card = EthernetInterface {
            id: EthernetInterface::id_of(nic.mac),
            description,
            mac: nic.mac.to_string(),
            last_update: Meta::NEVER.to_owned(),
            component_id: id.to_string(),
            addresses: addresses.into_iter().collect(),
            from_endpoint: true,
        };
        inventory.lay_filed(filed(card, owned, &node.origin));
    }
    if let Some(bmc) = id.parent() {
        let system = endpoint::system(&Described {
            id,
            endpoint: &bmc,
            path: "",
            uuid: &uuid(id),
            name: &name,
            subtype: "",
            cards: &cards,
            actions: &endpoint::STATIC_ACTIONS.map(str::to_owned),
            more: Map::new(),
        });
        // Not its endpoint: the file may put the node under another BMC than its own.
        inventory.lay_filed(filed(system, &[("ID", "xname")], &node.origin));
    }
    // SMD keeps labels in lower case.
    for label in node.groups.iter().map(|label| label.to_ascii_lowercase()) {
        if !inventory.groups.contains(&label) {
            let description = format!("The {label} group");
            let group = Group { label: label.clone(), description, ..Group::default() };
            inventory.lay_filed(filed(group, &[("label", "groups")], &node.origin));
        }
        let member = Member { group: label, id: id.clone() };
        inventory.lay_filed(filed(member, &[("id", "groups")], &node.origin));
    }
}

fn lay_bmc(inventory: &mut Inventory, bmc: &Bmc, id: &Location) {
    let component = Component::at(id.clone());
    inventory.lay_filed(filed(component, &[("ID", "xname")], &bmc.origin));
    let fqdn = bmc.fqdn.clone().unwrap_or_else(|| id.to_string());
    let mut owned = vec![("ID", "xname")];
    let mut stated = |given: bool, field, key| owned.extend(given.then_some((field, key)));
    stated(bmc.name.is_some(), "Name", "name");
    stated(bmc.fqdn.is_some(), "FQDN", "fqdn");
    stated(bmc.mac.is_some(), "MACAddr", "mac");
    stated(bmc.ip.is_some(), "IPAddress", "ip");
    // Without a name of its own it has no host name either, as the reference shows it.
    let (hostname, domain) = bmc.fqdn.as_deref().map(endpoint::host_and_domain).unwrap_or_default();
    let mut discovery_info = Map::new();
    discovery_info.insert("LastDiscoveryStatus".to_owned(), json!("NotYetQueried"));
    let record = RedfishEndpoint {
        id: id.clone(),
        name: bmc.name.clone().unwrap_or_default(),
        hostname,
        domain,
        fqdn,
        enabled: true,
        uuid: uuid(id),
        user: String::new(),
        password: String::new(),
        use_ssdp: false,
        mac_required: false,
        mac_addr: bmc.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        ip_address: bmc.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        rediscover_on_update: false,
        template_id: String::new(),
        discovery_info,
    };
    inventory.lay_filed(filed(record, &owned, &bmc.origin));
    let description = format!("Interface for BMC {id}");
    let cards: Vec<_> = bmc
        .mac
        .map(|mac| NicInfo {
            mac: mac.to_string(),
            description: description.clone(),
            name: id.to_string(),
            ..NicInfo::default()
        })
        .into_iter()
        .collect();
    let described = Described {
        id,
        endpoint: id,
        path: "",
        uuid: &uuid(id),
        name: id.as_str(),
        subtype: "",
        cards: &cards,
        actions: &[],
        more: Map::new(),
    };
    let manager = endpoint::manager(&described, &[]);
    inventory.lay_filed(filed(manager, &[("ID", "xname")], &bmc.origin));
    if let Some(mac) = bmc.mac {
        let card = EthernetInterface {
            id: EthernetInterface::id_of(mac),
            description,
            mac: mac.to_string(),
            last_update: Meta::NEVER.to_owned(),
            component_id: id.to_string(),
            addresses: bmc
                .ip
                .map(|address| IpEntry { address, network: String::new() })
                .into_iter()
                .collect(),
            from_endpoint: true,
        };
        let owned: &[_] = match bmc.ip {
            Some(_) => &[("MACAddress", "mac"), ("ComponentID", "xname"), ("IPAddresses", "ip")],
            None => &[("MACAddress", "mac"), ("ComponentID", "xname")],
        };
        inventory.lay_filed(filed(card, owned, &bmc.origin));
    }
}

/// The UUID of a record that has none of its own: always the same for a location.
fn uuid(id: &Location) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, id.as_str().as_bytes()).to_string()
}

/// Everything that an entry of boot.yaml can say.
const OWNED_UNIT: [(&str, &str); 11] = [
    ("hosts", "hosts"),
    ("macs", "macs"),
    ("nids", "nids"),
    ("groups", "groups"),
    ("roles", "roles"),
    ("profile", "profile"),
    ("kernel", "kernel"),
    ("initrd", "initrd"),
    ("params", "params"),
    ("priority", "priority"),
    ("cloud-init", "cloud-init"),
];

/// An entry of boot.yaml as a unit; its uid follows from its name.
fn unit(entry: &BootEntry) -> BootUnit {
    let s = &entry.selectors;
    let texts = s.xnames.iter().map(ToString::to_string).chain(s.names.iter().cloned());
    let patterns = s.patterns.iter().map(|prefix| format!("{prefix}*"));
    let default = s.default.then(|| "Default".to_owned());
    let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, entry.name.as_bytes());
    BootUnit {
        metadata: Meta {
            name: entry.name.clone(),
            uid: format!("bootconfiguration-{}", &hash.simple().to_string()[..8]),
            ..Meta::never()
        },
        hosts: texts.chain(patterns).chain(default).collect(),
        macs: s.macs.iter().map(ToString::to_string).collect(),
        nids: s.nids.iter().map(|nid| i64::from(*nid)).collect(),
        groups: s.groups.clone(),
        roles: s.roles.clone(),
        profile: s.profile.clone().unwrap_or_default(),
        kernel: file_text(&entry.kernel),
        initrd: entry.initrd.as_ref().map(file_text).unwrap_or_default(),
        params: entry.params.clone(),
        priority: entry.priority,
        cloud_init: entry.cloud_init.clone(),
    }
}

fn file_text(file: &BootFile) -> String {
    match file {
        BootFile::Local => "local".to_owned(),
        BootFile::Url(url) => url.clone(),
        BootFile::Asset(path) => path.clone(),
    }
}
