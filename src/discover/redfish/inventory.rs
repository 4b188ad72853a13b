//! Redfish documents as one value, in the form that OpenCHAMI's crawler (magellan) sends.
//!
//! Every property may be missing or of another type than the schema says: then it is left out, as empty texts,
//! zeros and `false` are, and the machine is kept. What could not be read is noted for the operator.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Number, Value};

use super::documents::{DOCUMENTS_MAX, Documents, link, links};
use crate::records::Mac;

/// Longest text that is kept of one property, characters.
const TEXT_MAX: usize = 256;

/// Line ends that are no control characters, and the byte order mark: they would break a written file.
const SEPARATORS: [char; 3] = ['\u{2028}', '\u{2029}', '\u{feff}'];

/// What one BMC says of itself and its machines.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Machines, ordered by (`node_id`, path).
    pub systems: Vec<System>,
    /// Controllers; `None` when the BMC names none.
    pub managers: Option<Vec<Manager>>,
    /// The BMC's own network card, where one of its cards has the address that was asked.
    pub mac: Option<Mac>,
    /// What could not be read, or was left out.
    pub notes: Vec<String>,
}

/// One machine (ComputerSystem).
#[derive(Debug, Clone, Default, Serialize)]
pub struct System {
    /// Full URL.
    pub uri: String,
    /// SMBIOS UUID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// Vendor.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manufacturer: String,
    /// `Physical`, `Virtual`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub system_type: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Serial number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Firmware.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bios_version: String,
    /// Ways to a serial console.
    pub serial_console: SerialConsole,
    /// On or off.
    pub power: Power,
    /// Network cards that have a MAC, ordered by path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ethernet_interfaces: Vec<Card>,
    /// Network adapters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network_interfaces: Vec<NetworkInterface>,
    /// Reset types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// Sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor_count: Option<Number>,
    /// Processor's model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub processor_type: String,
    /// Memory, GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total: Option<Number>,
    /// TPMs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_modules: Vec<String>,
    /// Who manages it.
    pub links: Links,
    /// Redfish `Id`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node_id: String,
    /// The operating system's host name, where the BMC knows it; not sent.
    #[serde(skip)]
    pub host_name: String,
}

/// Power state and what is wished for it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Power {
    /// `On`, `Off`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// Power mode.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// What happens after a power loss.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub restore_policy: String,
}

/// Ways to a machine's serial console.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SerialConsole {
    /// IPMI; the wire has the letters in this order.
    #[serde(rename = "impi", skip_serializing_if = "Option::is_none")]
    pub ipmi: Option<Service>,
    /// Telnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telnet: Option<Service>,
    /// SSH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Service>,
}

/// A service of the BMC.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Service {
    /// TCP or UDP port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Number>,
    /// Whether it answers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
}

/// Links of a machine.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Links {
    /// Paths of its managers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<String>,
}

/// A network card.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    /// Full URL.
    pub uri: String,
    /// Its address.
    pub mac: Mac,
    /// IP address, where the BMC knows one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// In use.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enabled: bool,
}

/// A network interface with its adapter.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NetworkInterface {
    /// Full URL.
    pub uri: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The adapter it is on.
    pub adapter: Adapter,
}

/// A network adapter.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Adapter {
    /// Full URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// Vendor.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manufacturer: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Serial number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// A controller (Manager).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Manager {
    /// Full URL.
    pub uri: String,
    /// UUID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// `BMC`, `EnclosureManager`, …
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Firmware.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub firmware_version: String,
    /// Its cards that have an IPv4 address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ethernet_interfaces: Vec<Card>,
    /// Connection types of its serial console.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serial_console: Vec<String>,
    /// Connection types of its shell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command_shell: Vec<String>,
}

/// Makes the value. `origin` is `https://host:port`, `address` the one that was asked.
pub fn inventory(documents: &Documents, origin: &str, address: Option<IpAddr>) -> Inventory {
    let mut notes: Vec<String> =
        documents.problems().map(|(path, problem)| format!("{path}: {problem}")).collect();
    if documents.len() >= DOCUMENTS_MAX {
        notes
            .push(format!("it has more than the {DOCUMENTS_MAX} documents that are read; some are left out"));
    }
    let mut systems: Vec<(String, System)> = Vec::new();
    for path in documents.systems() {
        if let Some(document) = documents.get(path) {
            systems.push((path.to_owned(), system(documents, path, document, origin, &mut notes)));
        }
    }
    systems.sort_by(|(a_path, a), (b_path, b)| (&a.node_id, a_path).cmp(&(&b.node_id, b_path)));
    let mut mac = None;
    let mut managers = Vec::new();
    for path in documents.managers() {
        if let Some(document) = documents.get(path) {
            let (manager, own) = manager(documents, path, document, origin, address, &mut notes);
            mac = mac.or(own);
            managers.push(manager);
        }
    }
    Inventory {
        systems: systems.into_iter().map(|(_, system)| system).collect(),
        managers: (!managers.is_empty()).then_some(managers),
        mac,
        notes,
    }
}

fn system(
    documents: &Documents,
    path: &str,
    document: &Value,
    origin: &str,
    notes: &mut Vec<String>,
) -> System {
    let inner = |key: &str, name: &str| text(document.get(key), name);
    let summary = |key: &str, name: &str| number(document.get(key)?.get(name));
    let console = document.get("SerialConsole");
    let reset = document.get("Actions").and_then(|actions| actions.get("#ComputerSystem.Reset"));
    System {
        uri: format!("{origin}{path}"),
        uuid: text(Some(document), "UUID"),
        manufacturer: text(Some(document), "Manufacturer"),
        system_type: text(Some(document), "SystemType"),
        name: text(Some(document), "Name"),
        model: text(Some(document), "Model"),
        serial: text(Some(document), "SerialNumber"),
        bios_version: text(Some(document), "BiosVersion"),
        serial_console: SerialConsole {
            ipmi: console.and_then(|console| service(console.get("IPMI"))),
            telnet: console.and_then(|console| service(console.get("Telnet"))),
            ssh: console.and_then(|console| service(console.get("SSH"))),
        },
        power: Power {
            state: text(Some(document), "PowerState"),
            mode: text(Some(document), "PowerMode"),
            restore_policy: text(Some(document), "PowerRestorePolicy"),
        },
        ethernet_interfaces: cards(documents, document, origin, notes)
            .into_iter()
            .map(|(card, ..)| card)
            .collect(),
        network_interfaces: network_interfaces(documents, document, origin),
        actions: texts(reset.and_then(|reset| reset.get("ResetType@Redfish.AllowableValues"))),
        processor_count: summary("ProcessorSummary", "Count"),
        processor_type: inner("ProcessorSummary", "Model"),
        memory_total: summary("MemorySummary", "TotalSystemMemoryGiB"),
        trusted_modules: trusted_modules(document.get("TrustedModules")),
        links: Links {
            managers: links(document.get("Links").and_then(|links| links.get("ManagedBy")))
                .map(str::to_owned)
                .collect(),
        },
        node_id: text(Some(document), "Id"),
        host_name: text(Some(document), "HostName"),
    }
}

fn manager(
    documents: &Documents,
    path: &str,
    document: &Value,
    origin: &str,
    address: Option<IpAddr>,
    notes: &mut Vec<String>,
) -> (Manager, Option<Mac>) {
    let cards = cards(documents, document, origin, notes);
    let asked = |ips: &[IpAddr]| address.is_some_and(|address| ips.contains(&address));
    let own = cards.iter().find(|(_, ips)| asked(ips)).map(|(card, _)| card.mac);
    let connections = |key: &str| texts(document.get(key).and_then(|of| of.get("ConnectTypesSupported")));
    let manager = Manager {
        uri: format!("{origin}{path}"),
        uuid: text(Some(document), "UUID"),
        name: text(Some(document), "Name"),
        description: text(Some(document), "Description"),
        model: text(Some(document), "Model"),
        kind: text(Some(document), "ManagerType"),
        firmware_version: text(Some(document), "FirmwareVersion"),
        // A card inside of the machine (to the host, to a shelf) has no address and belongs to no network.
        ethernet_interfaces: cards
            .into_iter()
            .map(|(card, _)| card)
            .filter(|card| card.ip.is_some_and(|ip| ip.is_ipv4()))
            .collect(),
        serial_console: connections("SerialConsole"),
        command_shell: connections("CommandShell"),
    };
    (manager, own)
}

/// Cards with a MAC, and every address of each.
fn cards(
    documents: &Documents,
    machine: &Value,
    origin: &str,
    notes: &mut Vec<String>,
) -> Vec<(Card, Vec<IpAddr>)> {
    let mut paths =
        link(machine, "EthernetInterfaces").map(|path| documents.members(path)).unwrap_or_default();
    paths.sort_unstable();
    paths.dedup();
    let mut cards = Vec::new();
    for path in paths {
        let Some(document) = documents.get(path) else { continue };
        let stated = text(Some(document), "MACAddress");
        let stated = if stated.is_empty() { text(Some(document), "PermanentMACAddress") } else { stated };
        let mac = match stated.parse::<Mac>() {
            Ok(mac) => mac,
            Err(_) if stated.is_empty() => {
                notes.push(format!("{path}: a card without MAC is left out"));
                continue;
            }
            Err(problem) => {
                notes.push(format!("{path}: the MAC {stated:?} {problem}; the card is left out"));
                continue;
            }
        };
        let ips = addresses(document);
        let card = Card {
            uri: format!("{origin}{path}"),
            mac,
            ip: ips.first().copied(),
            name: text(Some(document), "Name"),
            description: text(Some(document), "Description"),
            enabled: document.get("InterfaceEnabled").and_then(Value::as_bool).unwrap_or(false),
        };
        cards.push((card, ips));
    }
    cards
}

/// Addresses that a card has, then those that it is set to have; IPv4 first. Link-local ones are none that
/// anybody can be reached by.
fn addresses(card: &Value) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for key in ["IPv4Addresses", "IPv4StaticAddresses", "IPv6Addresses"] {
        for item in card.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() {
            let ip = item.get("Address").and_then(|ip| ip.as_str()?.parse::<IpAddr>().ok());
            let usable = |ip: &IpAddr| match ip {
                IpAddr::V4(v4) => !(v4.is_unspecified() || v4.is_link_local()),
                IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_unicast_link_local()),
            };
            found.extend(ip.filter(usable));
        }
    }
    found
}

fn network_interfaces(documents: &Documents, machine: &Value, origin: &str) -> Vec<NetworkInterface> {
    let mut paths =
        link(machine, "NetworkInterfaces").map(|path| documents.members(path)).unwrap_or_default();
    paths.sort_unstable();
    paths.dedup();
    let interface = |path: &str| {
        let document = documents.get(path)?;
        let adapter = document.get("Links").and_then(|links| link(links, "NetworkAdapter"));
        let adapter = adapter.and_then(|path| Some((path, documents.get(path)?)));
        Some(NetworkInterface {
            uri: format!("{origin}{path}"),
            name: text(Some(document), "Name"),
            description: text(Some(document), "Description"),
            adapter: adapter.map_or_else(Adapter::default, |(path, adapter)| Adapter {
                uri: format!("{origin}{path}"),
                manufacturer: text(Some(adapter), "Manufacturer"),
                name: text(Some(adapter), "Name"),
                model: text(Some(adapter), "Model"),
                serial: text(Some(adapter), "SerialNumber"),
                description: text(Some(adapter), "Description"),
            }),
        })
    };
    paths.into_iter().filter_map(interface).collect()
}

/// A text property without control characters, shortened; empty where there is none.
fn text(value: Option<&Value>, key: &str) -> String {
    let text = value.and_then(|value| value.get(key)?.as_str()).unwrap_or_default();
    text.trim().chars().filter(|c| !(c.is_control() || SEPARATORS.contains(c))).take(TEXT_MAX).collect()
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A number that is not zero; whole ones without a decimal point.
fn number(value: Option<&Value>) -> Option<Number> {
    let number = value?.as_f64().filter(|number| *number > 0.0)?;
    // Beyond 2^53 an f64 is no exact count any more, and no machine has that much of anything.
    if number.fract() == 0.0 && number < 9.0e15 {
        return Some(Number::from(number as u64));
    }
    Number::from_f64(number)
}

fn service(value: Option<&Value>) -> Option<Service> {
    let value = value.filter(|value| value.is_object())?;
    let enabled = value.get("ServiceEnabled").and_then(Value::as_bool).unwrap_or(false);
    Some(Service { port: number(value.get("Port")), enabled })
}

fn trusted_modules(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let module = |item: &Value| {
        let words = [text(Some(item), "InterfaceType"), text(Some(item), "FirmwareVersion")].join(" ");
        Some(words.trim().to_owned()).filter(|words| !words.is_empty())
    };
    items.iter().filter_map(module).collect()
}
