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
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NicInfo {
    /// MAC as Redfish gave it.
    pub mac: String,
    /// Free text.
    pub description: String,
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
fn nics(info: &mut Map<String, Value>, cards: &[NicInfo]) {
    let list: Vec<Value> = cards
        .iter()
        .map(|card| {
            json!({
                "RedfishId": "",
                "@odata.id": "",
                "Description": card.description,
                "InterfaceEnabled": true,
                "MACAddress": card.mac,
            })
        })
        .collect();
    info.insert("EthernetNICInfo".to_owned(), list.clone().into());
    info.insert("EthNICInfo".to_owned(), list.into());
}

/// A node as its BMC's Redfish shows it.
pub fn system(
    id: &Location,
    bmc: &Location,
    uuid: &str,
    name: &str,
    cards: &[NicInfo],
    actions: &[impl AsRef<str>],
) -> ComponentEndpoint {
    let path = format!("/redfish/v1/Systems/{id}");
    let actions: Vec<&str> = actions.iter().map(AsRef::as_ref).collect();
    let mut system = Map::new();
    system.insert("Name".to_owned(), name.into());
    system.insert(
        "Actions".to_owned(),
        json!({"#ComputerSystem.Reset": {
            "ResetType@Redfish.AllowableValues": actions,
            "target": format!("{path}/Actions/ComputerSystem.Reset"),
            "@Redfish.ActionInfo": format!("{path}/ResetActionInfo"),
        }}),
    );
    nics(&mut system, cards);
    let mut info = Map::new();
    info.insert("ComponentEndpointType".to_owned(), "ComponentEndpointComputerSystem".into());
    info.insert("RedfishSystemInfo".to_owned(), system.into());
    ComponentEndpoint {
        id: id.clone(),
        redfish_type: "ComputerSystem".to_owned(),
        redfish_subtype: String::new(),
        uuid: uuid.to_owned(),
        odata_id: path,
        redfish_endpoint_id: bmc.clone(),
        enabled: true,
        info,
    }
}

/// A BMC as its own Redfish shows it.
pub fn manager(id: &Location, uuid: &str, name: &str, cards: &[NicInfo]) -> ComponentEndpoint {
    let path = format!("/redfish/v1/Managers/{id}");
    let mut manager = Map::new();
    manager.insert("Name".to_owned(), name.into());
    manager.insert(
        "Actions".to_owned(),
        json!({"#Manager.Reset": {
            "ResetType@Redfish.AllowableValues": [],
            "target": format!("{path}/Actions/Manager.Reset"),
        }}),
    );
    nics(&mut manager, cards);
    manager.insert(
        "CommandShell".to_owned(),
        json!({"ServiceEnabled": false, "MaxConcurrentSessions": 0, "ConnectTypesSupported": []}),
    );
    let mut info = Map::new();
    info.insert("ComponentEndpointType".to_owned(), "ComponentEndpointManager".into());
    info.insert("RedfishManagerInfo".to_owned(), manager.into());
    ComponentEndpoint {
        id: id.clone(),
        redfish_type: "Manager".to_owned(),
        redfish_subtype: String::new(),
        uuid: uuid.to_owned(),
        odata_id: path,
        redfish_endpoint_id: id.clone(),
        enabled: true,
        info,
    }
}
