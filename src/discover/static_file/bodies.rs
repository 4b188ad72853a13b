//! JSON bodies of a static push, key by key in the order of the original.
//!
//! Keys are SMD's: capital ones where it has its own records, small ones inside of Systems and Managers, which
//! follow the inventory that a crawler sends.

use serde::Serialize;
use uuid::Uuid;

#[derive(Serialize)]
pub(super) struct Component<'a> {
    #[serde(rename = "ID")]
    pub(super) id: &'a str,
    #[serde(rename = "Type")]
    pub(super) kind: &'static str,
    #[serde(rename = "State")]
    pub(super) state: &'static str,
    #[serde(rename = "Enabled")]
    pub(super) enabled: bool,
    #[serde(rename = "NID", skip_serializing_if = "Option::is_none")]
    pub(super) nid: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Components<T> {
    #[serde(rename = "Components")]
    pub(super) components: Vec<T>,
}

#[derive(Serialize)]
pub(super) struct Forced<'a> {
    #[serde(rename = "Component")]
    pub(super) component: Component<'a>,
    #[serde(rename = "Force")]
    pub(super) force: bool,
}

#[derive(Serialize)]
pub(super) struct Numbered<'a> {
    #[serde(rename = "ID")]
    pub(super) id: &'a str,
    #[serde(rename = "Type")]
    pub(super) kind: &'static str,
    #[serde(rename = "NID")]
    pub(super) nid: u32,
}

#[derive(Serialize)]
pub(super) struct Endpoint<'a> {
    #[serde(rename = "ID")]
    pub(super) id: &'a str,
    #[serde(rename = "Type")]
    pub(super) kind: &'static str,
    #[serde(rename = "Name", skip_serializing_if = "str::is_empty")]
    pub(super) name: &'a str,
    #[serde(rename = "FQDN", skip_serializing_if = "str::is_empty")]
    pub(super) fqdn: &'a str,
    #[serde(rename = "UUID")]
    pub(super) uuid: Uuid,
    #[serde(rename = "MACAddr", skip_serializing_if = "String::is_empty")]
    pub(super) mac: String,
    #[serde(rename = "IPAddress", skip_serializing_if = "String::is_empty")]
    pub(super) ip: String,
    #[serde(rename = "DiscoveryInfo")]
    pub(super) discovery: DiscoveryInfo,
    #[serde(rename = "SchemaVersion")]
    pub(super) schema_version: u8,
    /// `null` for a controller without nodes.
    #[serde(rename = "Systems")]
    pub(super) systems: Option<Vec<System<'a>>>,
    #[serde(rename = "Managers")]
    pub(super) managers: [Manager<'a>; 1],
}

#[derive(Serialize)]
pub(super) struct DiscoveryInfo {
    #[serde(rename = "LastAttempt")]
    pub(super) last_attempt: &'static str,
}

#[derive(Serialize)]
pub(super) struct System<'a> {
    pub(super) uri: String,
    pub(super) uuid: Uuid,
    pub(super) name: &'a str,
    /// `null` for a node without cards.
    pub(super) ethernet_interfaces: Option<Vec<Card<'a>>>,
    pub(super) actions: Option<[&'static str; 12]>,
}

#[derive(Serialize)]
pub(super) struct Manager<'a> {
    #[serde(flatten)]
    pub(super) system: System<'a>,
    pub(super) description: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

#[derive(Serialize)]
pub(super) struct Card<'a> {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) mac: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) ip: String,
    pub(super) name: &'a str,
    pub(super) description: String,
}

#[derive(Serialize)]
pub(super) struct Interface<'a> {
    #[serde(rename = "ID")]
    pub(super) id: &'a str,
    #[serde(rename = "ComponentID")]
    pub(super) component: &'a str,
    #[serde(rename = "Type")]
    pub(super) kind: &'static str,
    #[serde(rename = "Description")]
    pub(super) description: String,
    #[serde(rename = "MACAddress")]
    pub(super) mac: String,
    #[serde(rename = "IPAddresses")]
    pub(super) addresses: Vec<Address<'a>>,
}

#[derive(Serialize)]
pub(super) struct Address<'a> {
    #[serde(rename = "IPAddress")]
    pub(super) address: String,
    #[serde(rename = "Network")]
    pub(super) network: &'a str,
}

#[derive(Serialize)]
pub(super) struct Group<'a> {
    pub(super) label: &'a str,
    pub(super) description: String,
    pub(super) members: Members<'a>,
}

#[derive(Serialize)]
pub(super) struct Members<'a> {
    pub(super) ids: Vec<&'a str>,
}
