//! What cloud-init and metadata-service show.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::Index;
use super::super::record::Record;
use super::Meta;

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
