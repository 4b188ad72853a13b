//! What SMD shows: components, what manages them, their network cards, groups and partitions.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::Index;
use super::super::draft::Touch;
use super::super::record::Record;
use super::{no, yes};
use crate::openchami::xname::Location;
use crate::records::{Mac, Uuid};

/// SMD's component: anything with a location, above all nodes and BMCs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Component {
    /// Where and what it is.
    #[serde(rename = "ID")]
    pub id: Location,
    /// HMS state: `On`, `Ready`, … Never owned by a file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// HMS flag; blank after a RedfishEndpoint named the component.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub flag: String,
    /// False: the node gets a script that makes it wait.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Free text of the software on it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub software_status: String,
    /// Role; selects boot parameters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// Sub-role.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sub_role: String,
    /// Node number; not unique in SMD.
    #[serde(rename = "NID", default, skip_serializing_if = "Option::is_none")]
    pub nid: Option<i64>,
    /// Subtype.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subtype: String,
    /// Kind of network.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub net_type: String,
    /// Processor.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arch: String,
    /// Cabinet class.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// SMD's reservations cannot be made.
    #[serde(default, skip_serializing_if = "no")]
    pub reservation_disabled: bool,
    /// Locked against SMD's reservations.
    #[serde(default, skip_serializing_if = "no")]
    pub locked: bool,
}

impl Component {
    /// A component of which only the location is known; no state, no role, no number.
    pub fn at(id: Location) -> Self {
        Self {
            id,
            state: String::new(),
            flag: String::new(),
            enabled: true,
            software_status: String::new(),
            role: String::new(),
            sub_role: String::new(),
            nid: None,
            subtype: String::new(),
            net_type: String::new(),
            arch: String::new(),
            class: String::new(),
            reservation_disabled: false,
            locked: false,
        }
    }

    /// Uid that the newer services show for a node or a BMC: it follows from the location, so that a node that was
    /// never registered with them has one, too. Two may share it, since it is short.
    pub fn uid(&self) -> Option<String> {
        let kind = match self.id.is_node() {
            true => "node",
            false if self.id.is_endpoint() => "bmc",
            false => return None,
        };
        let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, self.id.as_str().as_bytes());
        Some(format!("{kind}-{}", &hash.simple().to_string()[..8]))
    }
}

impl Record for Component {
    const TABLE: &'static str = "components";
    const WHAT: &'static str = "component";

    fn key(&self) -> Cow<'_, str> {
        self.id.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        let nid = self.nid.iter().map(|nid| (Index::Nid, nid.to_string()));
        nid.chain(self.uid().map(|uid| (Index::ComponentUid, uid))).collect()
    }

    fn touches(&self) -> Vec<Touch> {
        vec![Touch::Node(self.id.to_string())]
    }
}

/// A controller that speaks Redfish (or JAWS).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RedfishEndpoint {
    /// Where it is.
    #[serde(rename = "ID")]
    pub id: Location,
    /// Name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Host part of the FQDN, or an address.
    #[serde(default)]
    pub hostname: String,
    /// Domain part of the FQDN.
    #[serde(default)]
    pub domain: String,
    /// Full name; unique.
    #[serde(rename = "FQDN", default)]
    pub fqdn: String,
    /// Whether it may be asked.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Its UUID; a random one from the static push.
    #[serde(rename = "UUID", default, skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// User name.
    #[serde(default)]
    pub user: String,
    /// Password: kept, never shown.
    #[serde(default)]
    pub password: String,
    /// Found by SSDP.
    #[serde(rename = "UseSSDP", default, skip_serializing_if = "no")]
    pub use_ssdp: bool,
    /// A MAC is needed to find it.
    #[serde(rename = "MACRequired", default, skip_serializing_if = "no")]
    pub mac_required: bool,
    /// MAC as it was given; some vendors write it in upper case.
    #[serde(rename = "MACAddr", default, skip_serializing_if = "String::is_empty")]
    pub mac_addr: String,
    /// Address.
    #[serde(rename = "IPAddress", default, skip_serializing_if = "String::is_empty")]
    pub ip_address: String,
    /// Asked again after an update.
    #[serde(default)]
    pub rediscover_on_update: bool,
    /// Template.
    #[serde(rename = "TemplateID", default, skip_serializing_if = "String::is_empty")]
    pub template_id: String,
    /// `LastDiscoveryAttempt`, `LastDiscoveryStatus`, `RedfishVersion`.
    #[serde(default)]
    pub discovery_info: Map<String, Value>,
}

impl Record for RedfishEndpoint {
    const TABLE: &'static str = "redfish_endpoints";
    const WHAT: &'static str = "Redfish endpoint";

    fn key(&self) -> Cow<'_, str> {
        self.id.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        vec![(Index::Fqdn, self.fqdn.to_ascii_lowercase())]
    }

    /// Clients send names, MACs and addresses as their file spells them, and leave out what it leaves out.
    fn agrees(field: &str, written: Option<&Value>, stated: Option<&Value>) -> bool {
        let (Some(Value::String(a)), Some(Value::String(b))) = (written, stated) else {
            return written == stated;
        };
        match field {
            "MACAddr" => a.parse::<Mac>().ok() == b.parse::<Mac>().ok(),
            "IPAddress" => a.parse::<IpAddr>().ok() == b.parse::<IpAddr>().ok(),
            "FQDN" => a.eq_ignore_ascii_case(b),
            _ => a == b,
        }
    }
}

/// What a Redfish endpoint says of one of the things it manages.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ComponentEndpoint {
    /// The component.
    #[serde(rename = "ID")]
    pub id: Location,
    /// `ComputerSystem`, `Manager`, `Outlet`.
    pub redfish_type: String,
    /// Redfish subtype.
    #[serde(default)]
    pub redfish_subtype: String,
    /// UUID that Redfish gave.
    #[serde(rename = "UUID", default, skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// Path below the endpoint.
    #[serde(rename = "OdataID", default)]
    pub odata_id: String,
    /// The endpoint.
    #[serde(rename = "RedfishEndpointID")]
    pub redfish_endpoint_id: Location,
    /// Whether it may be asked.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The members that depend on the type: `RedfishSystemInfo`, `RedfishManagerInfo`, …, under their own
    /// names.
    #[serde(default)]
    pub info: Map<String, Value>,
}

impl Record for ComponentEndpoint {
    const TABLE: &'static str = "component_endpoints";
    const WHAT: &'static str = "component endpoint";

    fn key(&self) -> Cow<'_, str> {
        self.id.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        let child = (Index::EndpointChild, self.redfish_endpoint_id.to_string());
        let uuid = self.uuid.parse::<Uuid>().ok().filter(|uuid| uuid.identifies());
        std::iter::once(child).chain(uuid.map(|uuid| (Index::SystemUuid, uuid.to_string()))).collect()
    }
}

/// One address of a network card.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct IpEntry {
    /// The address.
    #[serde(rename = "IPAddress")]
    pub address: IpAddr,
    /// Name of the network.
    #[serde(rename = "Network", default, skip_serializing_if = "String::is_empty")]
    pub network: String,
}

/// A network card: SMD's component Ethernet interface.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EthernetInterface {
    /// MAC without separators.
    #[serde(rename = "ID")]
    pub id: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// MAC, lower case with colons: coresmd compares it as text.
    #[serde(rename = "MACAddress")]
    pub mac: String,
    /// When it was written, RFC 3339. Never owned by a file.
    #[serde(default)]
    pub last_update: String,
    /// Whose card it is; empty: nobody's.
    #[serde(rename = "ComponentID", default)]
    pub component_id: String,
    /// Addresses in order; the first is the one that is handed out.
    #[serde(rename = "IPAddresses", default)]
    pub addresses: Vec<IpEntry>,
    /// It came from the body of a RedfishEndpoint, so a client that also sends it by itself updates it.
    #[serde(rename = "FromEndpoint", default, skip_serializing_if = "no")]
    pub from_endpoint: bool,
}

impl EthernetInterface {
    /// The key of a MAC's interface: its twelve digits.
    pub fn id_of(mac: Mac) -> String {
        mac.to_string().replace(':', "")
    }
}

impl Record for EthernetInterface {
    const TABLE: &'static str = "ethernet_interfaces";
    const WHAT: &'static str = "Ethernet interface";

    fn key(&self) -> Cow<'_, str> {
        self.id.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        let addresses = self.addresses.iter().map(|ip| (Index::Address, ip.address.to_string()));
        addresses.chain([(Index::CardOf, self.component_id.clone())]).collect()
    }

    fn touches(&self) -> Vec<Touch> {
        vec![Touch::Node(self.component_id.clone()), Touch::Bmc(self.component_id.clone())]
    }

    /// SMD shows the first address that a file states, without the name of its network: more addresses after it
    /// and the names are no contradiction.
    fn agrees(field: &str, written: Option<&Value>, stated: Option<&Value>) -> bool {
        if field != "IPAddresses" {
            return written == stated;
        }
        let addresses = |list: Option<&Value>| -> Vec<Value> {
            let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            list.iter().map(|entry| entry["IPAddress"].clone()).collect()
        };
        addresses(written).starts_with(&addresses(stated))
    }
}

/// A group of components; its members are [`Member`] records, so that a change of one costs the same in a
/// group of any size.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Group {
    /// Name, lower case.
    pub label: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Groups of one exclusive group share no member.
    #[serde(rename = "exclusiveGroup", default, skip_serializing_if = "String::is_empty")]
    pub exclusive_group: String,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Record for Group {
    const TABLE: &'static str = "groups";
    const WHAT: &'static str = "group";

    fn key(&self) -> Cow<'_, str> {
        self.label.as_str().into()
    }
}

/// One component in one group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// The group.
    pub group: String,
    /// The member.
    pub id: Location,
}

impl Member {
    /// Its key: a label holds no `/`.
    pub fn key_of(group: &str, id: &str) -> String {
        format!("{group}/{id}")
    }
}

impl Record for Member {
    const TABLE: &'static str = "group_members";
    const WHAT: &'static str = "group member";

    fn key(&self) -> Cow<'_, str> {
        Self::key_of(&self.group, self.id.as_str()).into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        vec![(Index::GroupsOf, self.id.to_string())]
    }

    fn touches(&self) -> Vec<Touch> {
        vec![Touch::Node(self.id.to_string())]
    }
}

/// A partition of the system; a component is in one at most.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Partition {
    /// `p1`, `p1.2`.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Record for Partition {
    const TABLE: &'static str = "partitions";
    const WHAT: &'static str = "partition";

    fn key(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }
}

/// One component in its partition; the key is the component, so it cannot be in two.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PartitionMember {
    /// The partition.
    pub partition: String,
    /// The member.
    pub id: Location,
}

impl Record for PartitionMember {
    const TABLE: &'static str = "partition_members";
    const WHAT: &'static str = "partition member";

    fn key(&self) -> Cow<'_, str> {
        self.id.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        vec![(Index::PartitionOf, self.partition.clone())]
    }
}
