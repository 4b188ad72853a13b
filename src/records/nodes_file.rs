//! nodes.yaml and nodes.json: OpenCHAMI's static discovery file in both forms, plus keys of ours.
//!
//! Every shape that `ochami discover static` accepts is accepted here, and the keys it does not know are
//! ignored there. Any entry of `nodes` with `bmc_ip` or `bmc_mac` makes the whole file the deprecated
//! form, in which BMCs are stated at their nodes. What is read keeps its places, so that checks across
//! files can point at both ends of a contradiction.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::client::{Arch, Cpu};
use crate::config::diagnostic::{quoted, shown};
use crate::config::file::usable;
use crate::config::source::{Source, Span};
use crate::config::table::{At, KeyPath, Table, Unknown, nearest};
use crate::config::tree::{Document, Kind, Value};
use crate::config::values::{self, KNOB_KEYS};
use crate::config::{Code, Findings};

use super::bmc::{Bmc, BmcXname};
use super::id::{Mac, Uuid, Xname};
use super::node::{Nic, Node, NodeArch, Origin};
use super::switch_port::{self, SwitchPort};

/// Keys of a node in the new form, as OpenCHAMI has them.
pub const NEW_KEYS: [&str; 6] = ["name", "nid", "xname", "bmc", "groups", "interfaces"];
/// Keys of a node in the deprecated form.
pub const OLD_KEYS: [&str; 10] =
    ["name", "nid", "xname", "group", "groups", "interfaces", "bmc_mac", "bmc_ip", "bmc_fqdn", "bmc_xname"];
/// Keys of ours in both forms, besides the wire knobs.
pub const OUR_KEYS: [&str; 15] = [
    "uuid",
    "serial",
    "client_id",
    "circuit_id",
    "remote_id",
    "arch",
    "role",
    "subrole",
    "netboot",
    "profile",
    "options",
    "mode",
    "loader",
    "installer",
    "extra",
];
/// Keys of an item of `bmcs:`.
pub const BMC_KEYS: [&str; 5] = ["name", "xname", "mac", "ip", "fqdn"];
const INTERFACE_KEYS: [&str; 2] = ["mac_addr", "ip_addrs"];
// The network's key is `name` in the new form and `network` in the old; files in the field mix them.
const ADDRESS_KEYS: [&str; 3] = ["ip_addr", "name", "network"];
/// BSS and SMD keep node numbers in 32 signed bits.
pub const NID_MAX: i64 = i32::MAX as i64;

/// What one file holds.
#[derive(Debug)]
pub struct NodesFile {
    /// The file.
    pub source: Arc<Source>,
    /// Nodes in the order of the file.
    pub nodes: Vec<(Node, NodePlaces)>,
    /// BMCs in the order of the file.
    pub bmcs: Vec<(Bmc, BmcPlaces)>,
}

/// Where the parts of a node are stated.
#[derive(Clone, Debug, Default)]
pub struct NodePlaces {
    /// First key of the record.
    pub head: Span,
    /// `name`
    pub name: Span,
    /// `xname`
    pub xname: Span,
    /// `nid`
    pub nid: Span,
    /// `uuid`
    pub uuid: Span,
    /// `serial`
    pub serial: Span,
    /// `circuit_id`, else `remote_id`
    pub port: Span,
    /// `client_id`
    pub client_id: Span,
    /// `profile`
    pub profile: Span,
    /// Per card: the MAC and the addresses.
    pub nics: Vec<(Span, Vec<Span>)>,
}

/// Where the parts of a BMC are stated.
#[derive(Clone, Copy, Debug, Default)]
pub struct BmcPlaces {
    /// First key of the record.
    pub head: Span,
    /// The xname; `None` when it follows from a node's.
    pub xname: Option<Span>,
    /// The MAC.
    pub mac: Span,
    /// The address.
    pub ip: Span,
}

/// Reads the records of a parsed file.
pub fn read(document: &Document<'_>, findings: &mut Findings) -> NodesFile {
    let source = document.source;
    let mut file = NodesFile { source: Arc::clone(source), nodes: Vec::new(), bmcs: Vec::new() };
    if !matches!(document.root.kind, Kind::Mapping(_)) || document.root.child("interfaces").is_some() {
        let place = crate::config::source::Place { source: Arc::clone(source), span: document.root.span };
        findings
            .error(Code::WrongType, &place, "node records stand in a list under the key nodes:")
            .advise("write 'nodes:' above them and begin each record with '- '");
        return file;
    }
    let Some(mut top) = Table::open(&document.root, source, &KeyPath::Root, findings) else { return file };
    top.unknown_keys(&["nodes", "bmcs"], Unknown::Warn);
    let nodes = top.list("nodes");
    let deprecated =
        nodes.iter().any(|node| node.child("bmc_ip").is_some() || node.child("bmc_mac").is_some());
    let mut reader = Reader::new(Arc::clone(source), deprecated);
    if deprecated && let Some(span) = top.key_span("bmcs") {
        let message =
            "bmcs: is ignored: bmc_mac or bmc_ip at a node makes the whole file the deprecated form";
        top.warning(Code::WrongForm, span, "bmcs", message)
            .advise("state the BMCs under bmcs: only, and name them at the nodes with bmc:");
    }
    if !deprecated {
        let path = KeyPath::Key(&KeyPath::Root, "bmcs");
        for (index, item) in top.list("bmcs").iter().enumerate() {
            let path = KeyPath::Item(&path, index);
            if let Some(mut table) = top.open_child(item, &path) {
                file.bmcs.push(reader.bmc(&mut table));
            }
        }
        reader.know(&file.bmcs);
    }
    let path = KeyPath::Key(&KeyPath::Root, "nodes");
    file.nodes.reserve(nodes.len());
    for (index, item) in nodes.iter().enumerate() {
        let path = KeyPath::Item(&path, index);
        if let Some(mut table) = top.open_child(item, &path) {
            let (node, places) = reader.node(&mut table);
            if deprecated {
                reader.bmc_of_node(&mut table, &node, &mut file.bmcs);
            }
            file.nodes.push((node, places));
        }
    }
    file
}

struct Reader {
    source: Arc<Source>,
    deprecated: bool,
    node_keys: Vec<&'static str>,
    /// What `bmc:` of a node may say: names, xnames, MACs, in lower case.
    bmc_names: HashMap<String, usize>,
    /// Deprecated form: BMCs by MAC and by xname.
    bmcs_by_mac: HashMap<Mac, usize>,
    bmcs_by_xname: HashMap<BmcXname, usize>,
}

impl Reader {
    fn new(source: Arc<Source>, deprecated: bool) -> Self {
        let form = if deprecated { &OLD_KEYS[..] } else { &NEW_KEYS[..] };
        Self {
            source,
            deprecated,
            node_keys: [form, &OUR_KEYS[..], &KNOB_KEYS[..]].concat(),
            bmc_names: HashMap::new(),
            bmcs_by_mac: HashMap::new(),
            bmcs_by_xname: HashMap::new(),
        }
    }

    fn origin(&self, head: Span) -> Origin {
        Origin { file: Arc::clone(&self.source.path), line: self.source.line(head.start) }
    }

    fn know(&mut self, bmcs: &[(Bmc, BmcPlaces)]) {
        for (index, (bmc, _)) in bmcs.iter().enumerate() {
            let names = [
                bmc.name.clone(),
                bmc.xname.as_ref().map(BmcXname::to_string),
                bmc.mac.map(|mac| mac.to_string()),
            ];
            for name in names.into_iter().flatten() {
                self.bmc_names.entry(name.to_ascii_lowercase()).or_insert(index);
            }
        }
    }

    fn bmc(&self, table: &mut Table<'_, '_>) -> (Bmc, BmcPlaces) {
        table.unknown_keys(&BMC_KEYS, Unknown::Warn);
        let xname = table.parsed::<BmcXname>("xname");
        if table.absent("xname") {
            let span = table.span;
            table
                .error(Code::MissingKey, span, "xname", "a BMC needs an xname")
                .advise("write xname: x1000c0s0b0");
        }
        let mac = table.parsed::<Mac>("mac");
        let ip = address(table, "ip");
        let places = BmcPlaces {
            head: table.span,
            xname: xname.as_ref().map(|xname| xname.span),
            mac: mac.map(|mac| mac.span).unwrap_or_default(),
            ip: ip.map(|ip| ip.span).unwrap_or_default(),
        };
        let bmc = Bmc {
            xname: xname.map(|xname| xname.value),
            name: owned(table.text("name")),
            mac: mac.map(|mac| mac.value),
            ip: ip.map(|ip| ip.value),
            fqdn: owned(table.text("fqdn")),
            origin: self.origin(table.span),
        };
        (bmc, places)
    }

    /// Deprecated form: the BMC stated at a node. Several nodes may state the same one; it is known by its
    /// MAC, else by its xname.
    fn bmc_of_node(&mut self, table: &mut Table<'_, '_>, node: &Node, bmcs: &mut Vec<(Bmc, BmcPlaces)>) {
        let mac = table.parsed::<Mac>("bmc_mac");
        let ip = address(table, "bmc_ip");
        let stated = table.parsed::<BmcXname>("bmc_xname");
        let fqdn = owned(table.text("bmc_fqdn"));
        if mac.is_none() && ip.is_none() && stated.is_none() && fqdn.is_none() {
            return;
        }
        let places = BmcPlaces {
            head: table.span,
            xname: stated.as_ref().map(|xname| xname.span),
            mac: mac.map(|mac| mac.span).unwrap_or_default(),
            ip: ip.map(|ip| ip.span).unwrap_or_default(),
        };
        let bmc = Bmc {
            xname: stated.map(|xname| xname.value).or_else(|| node.xname.as_ref().map(BmcXname::of_node)),
            name: None,
            mac: mac.map(|mac| mac.value),
            ip: ip.map(|ip| ip.value),
            fqdn,
            origin: self.origin(table.span),
        };
        let known = match (bmc.mac, &bmc.xname) {
            (Some(mac), _) => self.bmcs_by_mac.get(&mac),
            (None, Some(xname)) => self.bmcs_by_xname.get(xname),
            (None, None) => None,
        };
        if let Some(known) = known {
            let (first, first_places) = &bmcs[*known];
            if let (Some(ip), Some(other)) = (bmc.ip, first.ip)
                && ip != other
            {
                let first = table.place(first_places.ip);
                table
                    .error(
                        Code::WrongValue,
                        places.ip,
                        "bmc_ip",
                        format!("one BMC has two addresses, {other} and {ip}"),
                    )
                    .also(&first, "first stated here");
            }
            return;
        }
        let index = bmcs.len();
        if let Some(mac) = bmc.mac {
            self.bmcs_by_mac.insert(mac, index);
        }
        if let Some(xname) = &bmc.xname {
            self.bmcs_by_xname.entry(xname.clone()).or_insert(index);
        }
        bmcs.push((bmc, places));
    }

    fn node(&self, table: &mut Table<'_, '_>) -> (Node, NodePlaces) {
        self.keys(table);
        let head = table.span;
        let name = table.text("name");
        let xname = self.xname(table);
        let nid = table.integer("nid", 0..=NID_MAX).filter(|nid| nid.value != 0);
        let uuid = table.parsed::<Uuid>("uuid");
        if let Some(shared) = uuid.filter(|uuid| !uuid.value.identifies()) {
            let message = format!("many machines have the UUID {}, it identifies none", shared.value);
            table.warning(Code::WrongValue, shared.span, "uuid", message).advise("leave it away");
        }
        let serial = table.text("serial");
        let port = SwitchPort::read(table);
        let client_id = switch_port::identifier(table, "client_id");
        let profile = table.text("profile");
        let (nics, nic_places) = interfaces(table);
        let node = Node {
            name: owned(name),
            xname: xname.as_ref().map(|xname| xname.value.clone()),
            nid: nid.map(|nid| nid.value as u32),
            nics,
            uuid: uuid.map(|uuid| uuid.value),
            serial: owned(serial),
            client_id: client_id.as_ref().map(|id| id.value.clone()),
            port: port.as_ref().map(|port| port.value.clone()).unwrap_or_default(),
            arch: arch(table),
            role: owned(table.text("role")),
            subrole: owned(table.text("subrole")),
            netboot: table.truth("netboot").unwrap_or(true),
            disabled: false,
            next_boot: None,
            profile: owned(profile),
            options: values::options(table),
            mode: values::mode(table),
            loader: values::served_name(table, "loader"),
            installer: values::served_name(table, "installer"),
            knobs: values::knobs(table),
            groups: self.groups(table),
            extra: extra(table),
            origin: self.origin(head),
        };
        self.identity(table, &node);
        let places = NodePlaces {
            head,
            name: span_or(head, name),
            xname: xname.map_or(head, |xname| xname.span),
            nid: nid.map_or(head, |nid| nid.span),
            uuid: uuid.map_or(head, |uuid| uuid.span),
            serial: span_or(head, serial),
            port: port.map_or(head, |port| port.span),
            client_id: client_id.map_or(head, |id| id.span),
            profile: span_or(head, profile),
            nics: nic_places,
        };
        (node, places)
    }

    fn keys(&self, table: &mut Table<'_, '_>) {
        let foreign: &[&str] = if self.deprecated { &["bmc"] } else { &["bmc_fqdn", "bmc_xname"] };
        for key in foreign {
            if let Some(span) = table.key_span(key) {
                let (this, right) = if self.deprecated {
                    ("deprecated", "bmc_mac and bmc_ip state the BMC here")
                } else {
                    ("new", "state the BMC under bmcs:")
                };
                let message = format!("the key {key} is ignored in the {this} form of the file");
                table.warning(Code::WrongForm, span, key, message).advise(right);
            }
        }
        let mut known = self.node_keys.clone();
        known.extend(foreign);
        table.unknown_keys(&known, Unknown::Warn);
        if self.deprecated {
            return;
        }
        let Some(bmc) = table.text("bmc") else { return };
        let wanted =
            bmc.value.parse::<Mac>().map_or_else(|_| bmc.value.to_ascii_lowercase(), |mac| mac.to_string());
        if !self.bmc_names.contains_key(&wanted) {
            // A guess among thousands helps nobody, and costs too much for thousands of nodes.
            let mut names: Vec<&str> = self.bmc_names.keys().map(String::as_str).collect();
            if names.len() > 100 {
                names.clear();
            }
            names.sort_unstable();
            let near = nearest(&wanted, &names);
            let message = format!("there is no BMC {} in this file", quoted(bmc.value));
            table.error(Code::UnknownBmc, bmc.span, "bmc", message).advise(match near {
                Some(near) => format!("did you mean '{near}'?"),
                None => "name an entry of bmcs: by its name, xname or mac".to_owned(),
            });
        }
    }

    fn xname(&self, table: &mut Table<'_, '_>) -> Option<At<Xname>> {
        let text = table.text("xname")?;
        if let Ok(value) = text.value.parse() {
            return Some(At { value, span: text.span });
        }
        if text.value.parse::<BmcXname>().is_ok() {
            let message = format!("{} is the xname of a BMC, not of a node", quoted(text.value));
            table
                .error(Code::WrongValue, text.span, "xname", message)
                .advise(format!("its first node is {}n0", text.value));
            return None;
        }
        table.parsed_text("xname", text)
    }

    fn groups(&self, table: &mut Table<'_, '_>) -> Vec<String> {
        let items = table.list("groups");
        let listed = table.texts("groups", items);
        let single = if self.deprecated { table.text("group") } else { None };
        let mut seen = HashSet::new();
        let groups = single.into_iter().chain(listed).filter(|group| seen.insert(group.value));
        groups.map(|group| group.value.to_owned()).collect()
    }

    /// A node is found on the wire by MAC, UUID, serial number or switch port, and named by a person by name or xname.
    fn identity(&self, table: &mut Table<'_, '_>, node: &Node) {
        let head = table.span;
        let wire = !node.nics.is_empty()
            || node.uuid.is_some_and(Uuid::identifies)
            || node.serial.is_some()
            || node.client_id.is_some()
            || !node.port.is_empty();
        // A wrong value was reported already; it is not reported a second time as missing.
        let wrong_uuid = node.uuid.is_none() && !table.absent("uuid");
        let wrong_serial = node.serial.is_none() && !table.absent("serial");
        let wrong_port = !(table.absent("circuit_id") && table.absent("remote_id"));
        if !(wire || wrong_uuid || wrong_serial || wrong_port || wrong_mac(table)) {
            table
                .error(Code::NoIdentity, head, "interfaces", format!("{} has no MAC address", node.label()))
                .advise(
                    "write interfaces: [{mac_addr: 52:54:00:be:ef:01}], or uuid:, serial: or circuit_id:",
                );
        }
        if table.absent("name") && table.absent("xname") {
            table
                .error(Code::NoIdentity, head, "name", "a node needs a name or an xname")
                .advise("write name: compute1");
        } else if table.absent("xname") {
            table
                .warning(Code::MissingXname, head, "xname", format!("{} has no xname", node.label()))
                .advise("OpenCHAMI's services know a node by its xname, such as x1000c0s0b0n0");
        }
    }
}

/// True when a MAC was meant and something about it was reported.
fn wrong_mac(table: &Table<'_, '_>) -> bool {
    const IDENTITIES: [&str; 3] = ["interfaces", "uuid", "serial"];
    let typo = |key: &str| !IDENTITIES.contains(&key) && nearest(key, &IDENTITIES).is_some();
    if table.absent("interfaces") && table.pairs().iter().any(|pair| typo(&pair.key)) {
        return true;
    }
    match table.value("interfaces").map(|value| &value.kind) {
        Some(Kind::List(items)) => items
            .iter()
            .any(|item| item.child("mac_addr").is_some_and(|mac| !mac.is_blank()) || !is_mapping(item)),
        Some(_) => true,
        None => false,
    }
}

fn is_mapping(value: &Value<'_>) -> bool {
    matches!(value.kind, Kind::Mapping(_))
}

fn owned(text: Option<At<&str>>) -> Option<String> {
    text.map(|text| text.value.to_owned())
}

fn span_or(head: Span, text: Option<At<&str>>) -> Span {
    text.map_or(head, |text| text.span)
}

/// Cards and their places. A card without MAC is skipped with a warning, an empty address is no address.
fn interfaces(table: &mut Table<'_, '_>) -> (Vec<Nic>, Vec<(Span, Vec<Span>)>) {
    let (mut nics, mut places) = (Vec::new(), Vec::new());
    let path = KeyPath::Key(table.path(), "interfaces");
    for (index, item) in table.list("interfaces").iter().enumerate() {
        let path = KeyPath::Item(&path, index);
        let Some(mut card) = table.open_child(item, &path) else { continue };
        card.unknown_keys(&INTERFACE_KEYS, Unknown::Warn);
        let mac = card.parsed::<Mac>("mac_addr");
        let (addresses, spans) = addresses(&mut card);
        match mac {
            Some(mac) => {
                nics.push(Nic { mac: mac.value, addresses });
                places.push((mac.span, spans));
            }
            None if card.absent("mac_addr") => {
                let span = card.span;
                card.warning(Code::MissingMac, span, "mac_addr", "an interface without mac_addr is skipped");
            }
            None => {}
        }
    }
    (nics, places)
}

fn addresses(card: &mut Table<'_, '_>) -> (Vec<IpAddr>, Vec<Span>) {
    let (mut addresses, mut spans) = (Vec::new(), Vec::new());
    let path = KeyPath::Key(card.path(), "ip_addrs");
    for (index, item) in card.list("ip_addrs").iter().enumerate() {
        let path = KeyPath::Item(&path, index);
        if let Kind::Scalar { text, .. } = &item.kind {
            card.error(Code::WrongType, item.span, "ip_addrs", "an address is a mapping here")
                .advise(format!("write {{ip_addr: {}}}", shown(text)));
            continue;
        }
        let Some(mut inner) = card.open_child(item, &path) else { continue };
        inner.unknown_keys(&ADDRESS_KEYS, Unknown::Warn);
        if let Some(ip) = address(&mut inner, "ip_addr") {
            addresses.push(ip.value);
            spans.push(ip.span);
        }
    }
    (addresses, spans)
}

fn address(table: &mut Table<'_, '_>, key: &str) -> Option<At<IpAddr>> {
    let text = table.text(key)?;
    let Ok(value) = text.value.parse::<IpAddr>() else {
        let message = format!("{key} {} is no IP address", quoted(text.value));
        let bare = text.value.split('/').next().filter(|bare| bare.parse::<IpAddr>().is_ok());
        table.error(Code::WrongValue, text.span, key, message).advise(match bare {
            Some(bare) => format!("without the prefix length: {bare}"),
            None => "write it as 172.16.0.1".to_owned(),
        });
        return None;
    };
    let possible = match value {
        IpAddr::V4(v4) => usable(v4),
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast() || v6.is_loopback()),
    };
    if !possible {
        let message = format!("{key} {value} is an address that no machine can have on a network");
        table.error(Code::WrongValue, text.span, key, message);
        return None;
    }
    Some(At { value, span: text.span })
}

fn arch(table: &mut Table<'_, '_>) -> Option<NodeArch> {
    let text = table.text("arch")?;
    // A processor leaves the firmware kind to the packet; a code or its name forces it [I2].
    if let Ok(cpu) = text.value.parse::<Cpu>() {
        return Some(NodeArch::Cpu(cpu));
    }
    Some(NodeArch::Code(table.parsed_text::<Arch>("arch", text)?.value))
}

fn extra(table: &mut Table<'_, '_>) -> serde_json::Value {
    let Some(value) = table.value("extra") else { return serde_json::Value::Null };
    if !is_mapping(value) {
        let message = format!("extra needs a mapping, this is {}", value.kind_name());
        table.error(Code::WrongType, value.span, "extra", message);
    }
    value.to_json()
}

#[cfg(test)]
mod tests;
