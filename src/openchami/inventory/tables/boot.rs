//! Boot parameters, and what the newer services keep of nodes beside SMD's facts.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::Index;
use super::super::draft::Touch;
use super::super::record::Record;
use super::no;

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
