//! The records behind all OpenCHAMI services. Field names in JSON are the store's and, where a service shows
//! the record as it is, the service's own (SMD's casing). Empty fields are left out.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Index;
use super::draft::Touch;
use super::record::Record;
use crate::openchami::xname::Location;
use crate::records::{Mac, Uuid};

fn no(flag: &bool) -> bool {
    !*flag
}

fn yes() -> bool {
    true
}

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

/// Envelope data of a resource of the newer services.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// Name; not unique.
    #[serde(default)]
    pub name: String,
    /// Kind in lower case, a hyphen and eight hexadecimal digits.
    #[serde(default)]
    pub uid: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub labels: Map<String, Value>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub annotations: Map<String, Value>,
    /// RFC 3339.
    #[serde(default)]
    pub created_at: String,
    /// RFC 3339.
    #[serde(default)]
    pub updated_at: String,
}

impl Meta {
    /// The time of what has none: of records that stand in files.
    pub const NEVER: &str = "0001-01-01T00:00:00Z";

    /// No name, and the times of a record that stands in a file.
    pub fn never() -> Self {
        Self { created_at: Self::NEVER.to_owned(), updated_at: Self::NEVER.to_owned(), ..Self::default() }
    }
}

/// One unit of boot parameters: what a BootConfiguration, a BSS parameter set and an entry of boot.yaml are.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BootUnit {
    /// Name, uid, times.
    pub metadata: Meta,
    /// Node xnames in lower case, `Default`, beginnings of xnames with a star in place of a number, names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// MACs, lower case with colons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<String>,
    /// Node numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nids: Vec<i64>,
    /// Groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Profile.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// Kernel: a URL, a path of the asset folder, or `local`.
    #[serde(default)]
    pub kernel: String,
    /// Initial RAM disk.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub initrd: String,
    /// Kernel command line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub params: String,
    /// Higher wins among units that match by the same kind of selector.
    #[serde(default)]
    pub priority: i64,
    /// BSS's `cloud-init` member.
    #[serde(rename = "cloud-init", default, skip_serializing_if = "Value::is_null")]
    pub cloud_init: Value,
}

impl BootUnit {
    /// Whether it selects anything at all.
    pub fn selects(&self) -> bool {
        let lists = [&self.hosts, &self.macs, &self.groups, &self.roles];
        lists.iter().any(|list| !list.is_empty()) || !self.nids.is_empty() || !self.profile.is_empty()
    }

    /// What it boots, as 16 hexadecimal digits: the same for units that boot the same.
    pub fn content_key(&self) -> String {
        let content = serde_json::json!([self.kernel, self.initrd, self.params, self.cloud_init]);
        let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, content.to_string().as_bytes());
        hash.simple().to_string()[..16].to_owned()
    }
}

impl Record for BootUnit {
    const TABLE: &'static str = "boot_units";
    const WHAT: &'static str = "boot configuration";

    fn key(&self) -> Cow<'_, str> {
        self.metadata.uid.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        let macs = self.macs.iter().map(|mac| (Index::UnitMac, mac.clone()));
        let hosts = self.hosts.iter().chain(&self.roles);
        let hosts = hosts.map(|host| (Index::UnitHost, host.clone()));
        let nids = self.nids.iter().map(|nid| (Index::UnitNid, nid.to_string()));
        let once = [(Index::UnitName, self.metadata.name.clone()), (Index::UnitContent, self.content_key())];
        macs.chain(hosts).chain(nids).chain(once).collect()
    }

    fn touches(&self) -> Vec<Touch> {
        vec![Touch::Unit(self.metadata.uid.clone())]
    }
}

/// A group's cloud-init data, one record for cloud-init and metadata-service. Not an SMD group: which nodes
/// read it is decided by membership in the SMD group of the same name.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudGroup {
    /// Name (the key) and, for metadata-service, uid and times.
    pub metadata: Meta,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Keys that the node's templates may use.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub meta_data: Map<String, Value>,
    /// What the node gets: as stored, base64 text where `encoding` is `base64`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
    /// Name of the file it came from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filename: String,
    /// `plain` or `base64`; empty means plain.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub encoding: String,
    /// cloud-init's `versions`, kept as it was sent.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub versions: Map<String, Value>,
    /// metadata-service's `osVersion`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub os_version: String,
}

impl Record for CloudGroup {
    const TABLE: &'static str = "cloud_groups";
    const WHAT: &'static str = "cloud-init group";

    fn key(&self) -> Cow<'_, str> {
        self.metadata.name.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        vec![(Index::CloudGroupUid, self.metadata.uid.clone())]
    }
}

/// What all nodes of the cluster share. cloud-init has one; of several that metadata-service was given the one
/// changed last counts.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ClusterDefaults {
    /// Name, uid, times.
    pub metadata: Meta,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// URL by which nodes reach cloud-init.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base_url: String,
    /// Name of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// Start of host names.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub short_name: String,
    /// Digits of the number in host names; 0: four.
    #[serde(default)]
    pub nid_length: u8,
    /// Keys for every node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
    /// Cloud provider.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cloud_provider: String,
    /// Region.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Availability zone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub availability_zone: String,
    /// Boot subnet, kept as it was sent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub boot_subnet: String,
    /// WireGuard subnet, kept as it was sent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wg_subnet: String,
}

impl Record for ClusterDefaults {
    const TABLE: &'static str = "cluster_defaults";
    const WHAT: &'static str = "cluster defaults";

    fn key(&self) -> Cow<'_, str> {
        self.metadata.uid.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        vec![
            (Index::DefaultsUpdated, self.metadata.updated_at.clone()),
            (Index::DefaultsName, self.metadata.name.clone()),
        ]
    }
}

/// What cloud-init tells one node beside what its records say.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct InstanceInfo {
    /// Name (the node's xname or what metadata-service was given), uid, times.
    pub metadata: Meta,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Instance id that was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance_id: String,
    /// Host name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub local_hostname: String,
    /// Host name of the second kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// Kept as it was sent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// Kept as it was sent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Kept as it was sent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub availability_zone: String,
    /// Kept as it was sent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cloud_provider: String,
    /// Instance type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance_type: String,
    /// URL by which this node reaches cloud-init.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cloud_init_base_url: String,
    /// Keys for this node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
    /// Profile.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default_profile: String,
}

impl Record for InstanceInfo {
    const TABLE: &'static str = "instance_infos";
    const WHAT: &'static str = "instance info";

    fn key(&self) -> Cow<'_, str> {
        self.metadata.uid.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        let mut names = vec![(Index::InstanceOf, self.metadata.name.clone())];
        if !self.instance_id.is_empty() && self.instance_id != self.metadata.name {
            names.push((Index::InstanceOf, self.instance_id.clone()));
        }
        names
    }
}

/// A WireGuard peer: stored for those who read it back, used for nothing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct WireGuardPeer {
    /// Name, uid, times.
    pub metadata: Meta,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Public key.
    #[serde(default)]
    pub public_key: String,
    /// Address range.
    #[serde(default)]
    pub allowed_ip: String,
}

impl Record for WireGuardPeer {
    const TABLE: &'static str = "wireguard_peers";
    const WHAT: &'static str = "WireGuard peer";

    fn key(&self) -> Cow<'_, str> {
        self.metadata.uid.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        vec![(Index::PeerName, self.metadata.name.clone())]
    }
}

/// What the newer services keep of a node or BMC beside SMD's facts: labels, annotations, name, times.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Location of the node or BMC.
    pub id: String,
    /// Name, times, labels; the uid follows from the location.
    pub metadata: Meta,
    /// Fields that SMD has no place for.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Record for Envelope {
    const TABLE: &'static str = "envelopes";
    const WHAT: &'static str = "node";

    fn key(&self) -> Cow<'_, str> {
        self.id.as_str().into()
    }

    fn terms(&self) -> Vec<(Index, String)> {
        vec![(Index::EnvelopeName, self.metadata.name.clone())]
    }
}

/// What happened to a node and must outlive a restart.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    /// Xname of the node.
    pub id: String,
    /// Instance id that the node read first and keeps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance_id: String,
    /// What the next boot takes in place of the resolved unit: a profile, or `local`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next_boot: String,
    /// The node fetched the script of its next boot; only tries of that same boot still get it.
    #[serde(default, skip_serializing_if = "no")]
    pub taken: bool,
    /// After the node said that its next boot is done: what every later one takes, until the operator says
    /// otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub then: String,
    /// When the node called home last, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phoned_home: String,
}

impl Record for Runtime {
    const TABLE: &'static str = "runtime";
    const WHAT: &'static str = "node state";

    fn key(&self) -> Cow<'_, str> {
        self.id.as_str().into()
    }

    fn touches(&self) -> Vec<Touch> {
        vec![Touch::Node(self.id.clone())]
    }
}
