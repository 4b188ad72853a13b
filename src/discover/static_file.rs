//! What `ochami discover static` sends for a nodes.yaml, as values.
//!
//! Order, bodies and fallbacks are those of the OpenCHAMI command line (ochami 0.10): Components first, so that
//! the node numbers of the file hold before endpoints would invent others, then one RedfishEndpoint per BMC, the
//! EthernetInterfaces where the old discovery method is asked for, and the groups. Where the original is random
//! (groups) the order of the file is kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reqwest::Method;
use serde::Serialize;
use uuid::Uuid;

use crate::config::source::{Place, Source, Span};
use crate::config::tree::{Document, Kind, Value};
use crate::config::{Code, Findings};
use crate::openchami::endpoint::STATIC_ACTIONS;
use crate::records::nodes_file::{self, NodesFile};
use crate::records::{Bmc, BmcXname, Mac, Node};

use super::{BaseUrl, Request};
use bodies::{
    Address, Card, Component, Components, DiscoveryInfo, Endpoint, Forced, Group, Interface, Manager,
    Members, Numbered, System,
};

mod bodies;

const COMPONENTS: &str = "/hsm/v2/State/Components";
const ENDPOINTS: &str = "/hsm/v2/Inventory/RedfishEndpoints";
const INTERFACES: &str = "/hsm/v2/Inventory/EthernetInterfaces";
const GROUPS: &str = "/hsm/v2/groups";

/// How the original's two flags are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Records that exist already are overwritten.
    pub overwrite: bool,
    /// Which requests carry the interfaces.
    pub method: DiscoveryMethod,
}

/// `--discovery-version`: how the cards of the nodes reach the SMD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiscoveryMethod {
    /// By requests of their own too, which carry the names of their networks.
    Separate,
    /// Inside of the RedfishEndpoints only.
    WithinEndpoints,
}

/// The records of a file as the OpenCHAMI tools see them.
#[derive(Debug)]
pub struct StaticFile {
    nodes: Vec<StaticNode>,
    bmcs: Vec<Bmc>,
}

#[derive(Debug)]
struct StaticNode {
    node: Node,
    /// Never empty: a node without xname is an error of the file.
    xname: String,
    /// Index of its controller; `None` when the file has none for it.
    bmc: Option<usize>,
    /// For each card, the network's name of each address.
    networks: Vec<Vec<String>>,
}

impl StaticFile {
    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Number of controllers.
    pub fn bmcs(&self) -> usize {
        self.bmcs.len()
    }
}

/// Reads the records of a parsed file. What is wrong is in `findings`; with an error there, nothing of the
/// file may be sent. A node that only repeats the xname of an earlier one is left out, with a warning.
pub fn read(document: &Document<'_>, findings: &mut Findings) -> StaticFile {
    let NodesFile { source, nodes, bmcs } = nodes_file::read(document, findings);
    let mut bmcs: Vec<Bmc> = bmcs.into_iter().map(|(bmc, _)| bmc).collect();
    let items = list(&document.root, "nodes");
    let deprecated =
        items.iter().any(|item| item.child("bmc_ip").is_some() || item.child("bmc_mac").is_some());
    let mut known = KnownBmcs::of(&bmcs);
    let mut seen = HashMap::new();
    let mut kept = Vec::with_capacity(nodes.len());
    // A record that is no mapping is an error, after which nothing is sent: the pairing may be wrong then.
    for ((node, places), item) in nodes.into_iter().zip(items) {
        let Some(xname) = node.xname.as_ref() else {
            let place = place(&source, places.head);
            findings
                .error(
                    Code::MissingXname,
                    &place,
                    format!("{} has no xname, by which an SMD knows it", node.label()),
                )
                .key("xname")
                .advise("write xname: x1000c0s0b0n0");
            continue;
        };
        let text = xname.to_string();
        if let Some(first) = seen.get(&text) {
            let message = format!("component with xname {text} already exists (duplicate?), not adding");
            findings
                .warning(Code::DuplicateXname, &place(&source, places.xname), message)
                .also(&place(&source, *first), "first stated here");
            continue;
        }
        seen.insert(text.clone(), places.xname);
        let bmc = if deprecated {
            Some(known.of_old_form(item, &node, &mut bmcs))
        } else {
            known.of_new_form(item, &BmcXname::of_node(xname))
        };
        if bmc.is_none() {
            let message = format!(
                "no such BMC: {} is not under bmcs:, so the interfaces of {} are not sent",
                BmcXname::of_node(xname),
                node.label()
            );
            findings
                .warning(Code::UnknownBmc, &place(&source, places.head), message)
                .key("bmc")
                .advise("add it under bmcs:, with its mac and ip");
        }
        kept.push(StaticNode { networks: networks(item, deprecated), node, xname: text, bmc });
    }
    StaticFile { nodes: kept, bmcs }
}

fn place(source: &Arc<Source>, span: Span) -> Place {
    Place { source: Arc::clone(source), span }
}

fn list<'v, 'a>(value: &'v Value<'a>, key: &str) -> &'v [Value<'a>] {
    match value.child(key).map(|value| &value.kind) {
        Some(Kind::List(items)) => items,
        _ => &[],
    }
}

fn text<'v>(value: &'v Value<'_>, key: &str) -> &'v str {
    match value.child(key) {
        Some(child) if child.is_null() => "",
        Some(Value { kind: Kind::Scalar { text, .. }, .. }) => text,
        _ => "",
    }
}

/// Names of networks, card by card as the records have them: without cards that have no MAC and addresses
/// that are empty. The key is `name` in the new form and `network` in the old one; files in the field mix them.
fn networks(item: &Value<'_>, deprecated: bool) -> Vec<Vec<String>> {
    let keys = if deprecated { ["network", "name"] } else { ["name", "network"] };
    let name = |address: &Value<'_>| {
        keys.iter().map(|key| text(address, key)).find(|name| !name.is_empty()).unwrap_or_default().to_owned()
    };
    let stated = |address: &&Value<'_>| !text(address, "ip_addr").is_empty();
    list(item, "interfaces")
        .iter()
        .filter(|card| !text(card, "mac_addr").is_empty())
        .map(|card| list(card, "ip_addrs").iter().filter(stated).map(name).collect())
        .collect()
}

/// What the file calls its controllers.
struct KnownBmcs {
    /// Names, xnames and MACs in lower case.
    by_alias: HashMap<String, usize>,
}

impl KnownBmcs {
    fn of(bmcs: &[Bmc]) -> Self {
        let mut by_alias = HashMap::new();
        for (index, bmc) in bmcs.iter().enumerate() {
            let xname = bmc.xname.as_ref().map(BmcXname::to_string);
            let mac = bmc.mac.map(|mac| mac.to_string());
            for alias in [xname, mac, bmc.name.clone()].into_iter().flatten() {
                by_alias.entry(alias.to_ascii_lowercase()).or_insert(index);
            }
        }
        Self { by_alias }
    }

    fn get(&self, alias: &str) -> Option<usize> {
        let mac = alias.parse::<Mac>().map(|mac| mac.to_string());
        self.by_alias.get(&mac.unwrap_or_else(|_| alias.to_ascii_lowercase())).copied()
    }

    /// What `bmc:` says, else the node's xname without its last part.
    fn of_new_form(&self, item: &Value<'_>, derived: &BmcXname) -> Option<usize> {
        match text(item, "bmc") {
            "" => self.get(derived.as_str()),
            named => self.get(named),
        }
    }

    /// The deprecated form states the controller at the node; it takes the name of its first node. A node that
    /// states none has one all the same, of which only the xname is known.
    fn of_old_form(&mut self, item: &Value<'_>, node: &Node, bmcs: &mut Vec<Bmc>) -> usize {
        let derived = node.xname.as_ref().map(BmcXname::of_node);
        let mac = Some(text(item, "bmc_mac")).filter(|mac| !mac.is_empty()).and_then(|mac| self.get(mac));
        let stated = Some(text(item, "bmc_xname")).filter(|xname| !xname.is_empty());
        let xname = || self.get(stated.or(derived.as_ref().map(BmcXname::as_str))?);
        let index = mac.or_else(xname).unwrap_or_else(|| {
            bmcs.push(Bmc { xname: derived.clone(), origin: node.origin.clone(), ..Bmc::default() });
            let index = bmcs.len() - 1;
            self.by_alias.extend(derived.map(|xname| (xname.to_string(), index)));
            index
        });
        if bmcs[index].name.is_none() {
            bmcs[index].name = node.name.clone();
        }
        index
    }
}

/// The requests of a file, in the order in which they are sent. `fresh` gives a new random UUID for each call:
/// as in the original, two runs of one file carry different ones.
pub fn requests(
    file: &StaticFile,
    base: &BaseUrl,
    options: Options,
    fresh: &mut dyn FnMut() -> Uuid,
) -> Vec<Request> {
    let mut requests = components(file, options);
    requests.extend(endpoints(file, base, options, fresh));
    if options.method == DiscoveryMethod::Separate {
        requests.extend(interfaces(file, options));
    }
    requests.extend(groups(file, options));
    requests
}

fn request(method: Method, path: String, subject: String, body: &impl Serialize) -> Request {
    // Maps with text keys, lists and texts: such values have no way to fail.
    let body = serde_json::to_string(body).unwrap_or_default();
    Request { method, path, body, subject, on_conflict: None }
}

/// The same record again, for an SMD that has it already.
fn or_else(mut first: Request, method: Method, path: String, body: Option<String>) -> Request {
    let body = body.unwrap_or_else(|| first.body.clone());
    let again = Request { method, path, body, subject: first.subject.clone(), on_conflict: None };
    first.on_conflict = Some(Box::new(again));
    first
}

fn component(node: &StaticNode) -> Component<'_> {
    Component { id: &node.xname, kind: "Node", state: "On", enabled: true, nid: node.node.nid }
}

fn numbered(node: &StaticNode) -> Option<Numbered<'_>> {
    Some(Numbered { id: &node.xname, kind: "", nid: node.node.nid? })
}

fn components(file: &StaticFile, options: Options) -> Vec<Request> {
    if file.nodes.is_empty() {
        return Vec::new();
    }
    if !options.overwrite {
        let body = Components { components: file.nodes.iter().map(component).collect() };
        return vec![request(
            Method::POST,
            COMPONENTS.to_owned(),
            "Components of all nodes".to_owned(),
            &body,
        )];
    }
    let put = |node: &StaticNode| {
        let body = Forced { component: component(node), force: true };
        request(
            Method::PUT,
            format!("{COMPONENTS}/{}", node.xname),
            format!("Component {}", node.xname),
            &body,
        )
    };
    // A PUT leaves the NID of a node that exists as it is. A node without one has no place in this request: an
    // SMD refuses all of it then.
    let numbers = Components { components: file.nodes.iter().filter_map(numbered).collect() };
    let path = format!("{COMPONENTS}/BulkNID");
    let patch = (!numbers.components.is_empty())
        .then(|| request(Method::PATCH, path, "NIDs of all nodes".to_owned(), &numbers));
    file.nodes.iter().map(put).chain(patch).collect()
}

fn endpoints(
    file: &StaticFile,
    base: &BaseUrl,
    options: Options,
    fresh: &mut dyn FnMut() -> Uuid,
) -> Vec<Request> {
    let mut systems: Vec<Vec<System<'_>>> = file.bmcs.iter().map(|_| Vec::new()).collect();
    for node in &file.nodes {
        if let Some(bmc) = node.bmc {
            let uri = format!("{}/redfish/v1/Systems/{}", base.origin(), node.xname);
            let name = name(node);
            let cards: Vec<Card<'_>> = cards(node);
            let ethernet_interfaces = (!cards.is_empty()).then_some(cards);
            systems[bmc].push(System {
                uri,
                uuid: fresh(),
                name,
                ethernet_interfaces,
                actions: Some(STATIC_ACTIONS),
            });
        }
    }
    let mut requests = Vec::with_capacity(file.bmcs.len());
    for (bmc, systems) in file.bmcs.iter().zip(systems) {
        let Some(xname) = bmc.xname.as_ref().map(BmcXname::as_str) else { continue };
        let mac = bmc.mac.map(|mac| mac.to_string()).unwrap_or_default();
        let ip = bmc.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let card = Card {
            mac: mac.clone(),
            ip: ip.clone(),
            name: xname,
            description: format!("Interface for BMC {xname}"),
        };
        // The endpoint has the UUID of its manager.
        let uuid = fresh();
        let manager = System {
            uri: format!("{}/redfish/v1/Managers/{xname}", base.origin()),
            uuid,
            name: xname,
            ethernet_interfaces: Some(vec![card]),
            actions: None,
        };
        let body = Endpoint {
            id: xname,
            kind: "NodeBMC",
            name: bmc.name.as_deref().unwrap_or_default(),
            fqdn: bmc.fqdn.as_deref().unwrap_or_default(),
            uuid,
            mac,
            ip,
            discovery: DiscoveryInfo { last_attempt: "0001-01-01T00:00:00Z" },
            schema_version: 1,
            systems: (!systems.is_empty()).then_some(systems),
            managers: [Manager { system: manager, description: "", kind: "NodeBMC" }],
        };
        let first = request(Method::POST, ENDPOINTS.to_owned(), format!("RedfishEndpoint {xname}"), &body);
        requests.push(if options.overwrite {
            or_else(first, Method::PUT, format!("{ENDPOINTS}/{xname}"), None)
        } else {
            first
        });
    }
    requests
}

/// Text of the descriptions; a node without a name has none there.
fn name(node: &StaticNode) -> &str {
    node.node.name.as_deref().unwrap_or_default()
}

fn describe(node: &StaticNode, index: usize) -> String {
    format!("Interface {index} for {}", name(node))
}

/// The cards with the first address of each; an endpoint has room for one.
fn cards(node: &StaticNode) -> Vec<Card<'_>> {
    let card = |(index, nic): (usize, &crate::records::Nic)| Card {
        mac: nic.mac.to_string(),
        ip: nic.addresses.first().map(|ip| ip.to_string()).unwrap_or_default(),
        name: &node.xname,
        description: describe(node, index),
    };
    node.node.nics.iter().enumerate().map(card).collect()
}

fn interfaces(file: &StaticFile, options: Options) -> Vec<Request> {
    let mut requests = Vec::new();
    for node in file.nodes.iter().filter(|node| node.bmc.is_some()) {
        for (index, nic) in node.node.nics.iter().enumerate() {
            let names = node.networks.get(index).map(Vec::as_slice).unwrap_or_default();
            let address = |(at, ip): (usize, &std::net::IpAddr)| Address {
                address: ip.to_string(),
                network: names.get(at).map(String::as_str).unwrap_or_default(),
            };
            let mac = nic.mac.to_string();
            let bare = mac.replace(':', "");
            let mut body = Interface {
                id: "",
                component: &node.xname,
                kind: "Node",
                description: describe(node, index),
                mac,
                addresses: nic.addresses.iter().enumerate().map(address).collect(),
            };
            let subject = format!("EthernetInterface {} of {}", body.mac, node.xname);
            let first = request(Method::POST, INTERFACES.to_owned(), subject.clone(), &body);
            requests.push(if options.overwrite {
                body.id = &bare;
                let again = request(Method::PATCH, String::new(), subject, &body).body;
                or_else(first, Method::PATCH, format!("{INTERFACES}/{bare}"), Some(again))
            } else {
                first
            });
        }
    }
    requests
}

fn groups(file: &StaticFile, options: Options) -> Vec<Request> {
    let mut order: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut members = HashSet::new();
    for node in &file.nodes {
        for label in &node.node.groups {
            let index = *known.entry(label).or_insert_with(|| {
                order.push((label, Vec::new()));
                order.len() - 1
            });
            if members.insert((index, node.xname.as_str())) {
                order[index].1.push(&node.xname);
            }
        }
    }
    let group = |(label, ids): (&str, Vec<&str>)| {
        let body = Group { label, description: format!("The {label} group"), members: Members { ids } };
        let first = request(Method::POST, GROUPS.to_owned(), format!("group {label}"), &body);
        if options.overwrite {
            or_else(first, Method::PATCH, format!("{GROUPS}/{}", segment(label)), None)
        } else {
            first
        }
    };
    order.into_iter().map(group).collect()
}

/// A path segment: a label from a file must not lead elsewhere.
fn segment(text: &str) -> String {
    const KEPT: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b':').remove(b'~');
    percent_encoding::utf8_percent_encode(text, &KEPT).to_string()
}

#[cfg(test)]
mod tests;
