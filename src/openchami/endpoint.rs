//! What Redfish says of systems and managers, in the form in which SMD shows it.

use serde_json::{Map, Value, json};

use super::inventory::ComponentEndpoint;
use super::xname::Location;

/// Reset types that `discover static` claims for a node nobody asked.
pub const STATIC_ACTIONS: [&str; 12] = [
    "On",
    "ForceOff",
    "GracefulShutdown",
    "GracefulRestart",
    "ForceRestart",
    "Nmi",
    "ForceOn",
    "PushPowerButton",
    "PowerCycle",
    "Suspend",
    "Pause",
    "Resume",
];

/// One card as `EthernetNICInfo` lists it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NicInfo {
    /// MAC as Redfish gave it.
    pub mac: String,
    /// Free text.
    pub description: String,
    /// Name in Redfish.
    pub name: String,
    /// Path in Redfish.
    pub path: String,
    /// Whether Redfish says that it is on.
    pub enabled: bool,
}

/// What Redfish says of a system or a manager.
#[derive(Clone, Debug)]
pub struct Described<'a> {
    /// Where it is.
    pub id: &'a Location,
    /// The Redfish endpoint that says so.
    pub endpoint: &'a Location,
    /// Path in Redfish; empty: the one that a static record has.
    pub path: &'a str,
    /// UUID; empty: none.
    pub uuid: &'a str,
    /// Name in Redfish.
    pub name: &'a str,
    /// Redfish subtype, such as `Physical`.
    pub subtype: &'a str,
    /// Cards.
    pub cards: &'a [NicInfo],
    /// Reset types.
    pub actions: &'a [String],
    /// What else is known, under Redfish's own names.
    pub more: Map<String, Value>,
}

/// Host and domain of a full name. An address stays whole: it has no domain.
pub fn host_and_domain(fqdn: &str) -> (String, String) {
    match fqdn.split_once('.') {
        Some((host, domain)) if fqdn.parse::<std::net::IpAddr>().is_err() => {
            (host.to_owned(), domain.to_owned())
        }
        _ => (fqdn.to_owned(), String::new()),
    }
}

/// The member that lists cards. SMD's own readers know one name, metadata-service looks for the other.
fn nics(info: &mut Map<String, Value>, list: Vec<Value>) {
    info.insert("EthernetNICInfo".to_owned(), list.clone().into());
    info.insert("EthNICInfo".to_owned(), list.into());
}

/// The member that says how it is switched.
fn actions(info: &mut Map<String, Value>, name: &str, path: &str, types: &[String]) {
    let allowed = if types.is_empty() { Value::Null } else { types.into() };
    let reset = json!({
        "ResetType@Redfish.AllowableValues": allowed,
        "@Redfish.ActionInfo": format!("{path}/ResetActionInfo"),
        "target": format!("{path}/Actions/{name}"),
    });
    info.insert("Actions".to_owned(), json!({format!("#{name}"): reset}));
}

fn record(
    described: &Described<'_>,
    kind: &str,
    path: String,
    info: [(&str, Value); 2],
) -> ComponentEndpoint {
    ComponentEndpoint {
        id: described.id.clone(),
        redfish_type: kind.to_owned(),
        redfish_subtype: described.subtype.to_owned(),
        uuid: described.uuid.to_owned(),
        odata_id: path,
        redfish_endpoint_id: described.endpoint.clone(),
        enabled: true,
        info: info.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// A node as its BMC's Redfish shows it.
pub fn system(described: &Described<'_>) -> ComponentEndpoint {
    let path = match described.path {
        "" => format!("/redfish/v1/Systems/{}", described.id),
        path => path.to_owned(),
    };
    let mut system = Map::new();
    system.insert("Name".to_owned(), described.name.into());
    actions(&mut system, "ComputerSystem.Reset", &path, described.actions);
    let cards = described.cards.iter().map(|card| {
        json!({
            "RedfishId": card.path,
            "@odata.id": card.path,
            "Description": card.description,
            "InterfaceEnabled": true,
            "MACAddress": card.mac,
        })
    });
    nics(&mut system, cards.collect());
    system.extend(described.more.clone());
    let kind = ("ComponentEndpointType", "ComponentEndpointComputerSystem".into());
    record(described, "ComputerSystem", path, [kind, ("RedfishSystemInfo", system.into())])
}

/// A BMC as its own Redfish shows it; `shells` are the ways to its command line.
pub fn manager(described: &Described<'_>, shells: &[String]) -> ComponentEndpoint {
    let path = match described.path {
        "" => format!("/redfish/v1/Managers/{}", described.id),
        path => path.to_owned(),
    };
    let mut manager = Map::new();
    manager.insert("Name".to_owned(), described.name.into());
    actions(&mut manager, "Manager.Reset", &path, described.actions);
    let cards = described.cards.iter().map(|card| {
        json!({
            "RedfishId": "",
            "@odata.id": "",
            "Description": card.description,
            "Hostname": card.name,
            "InterfaceEnabled": card.enabled,
            "MACAddress": card.mac,
            "PermanentMACAddress": card.mac,
        })
    });
    nics(&mut manager, cards.collect());
    // The reference says the same of every manager; the console service reads the list.
    manager.insert(
        "CommandShell".to_owned(),
        json!({"ServiceEnabled": true, "MaxConcurrentSessions": 65536, "ConnectTypesSupported": shells}),
    );
    manager.extend(described.more.clone());
    let kind = ("ComponentEndpointType", "ComponentEndpointManager".into());
    record(described, "Manager", path, [kind, ("RedfishManagerInfo", manager.into())])
}

/// An outlet of a power distribution unit.
pub fn outlet(described: &Described<'_>) -> ComponentEndpoint {
    let mut outlet = Map::new();
    outlet.insert("Name".to_owned(), described.name.into());
    outlet.extend(described.more.clone());
    let kind = ("ComponentEndpointType", "ComponentEndpointOutlet".into());
    record(described, "Outlet", described.path.to_owned(), [kind, ("RedfishOutletInfo", outlet.into())])
}
