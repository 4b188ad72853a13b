//! Instance info as resources. Whose it is, its name or its `instance_id` says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::openchami::api::json::{self, Keys};
use crate::openchami::boot_service::envelope::{Refusal, Resource};
use crate::openchami::cloud_init::{instance_info, node};
use crate::openchami::inventory::{Draft, Index, InstanceInfo, Inventory, Meta};

const KEYS: Keys = Keys { loose: true, free: &[] };

/// What a client says of one node.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the record")]
pub struct Spec {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub instance_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub local_hostname: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cloud_init_base_url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub default_profile: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Sent {
    description: String,
    instanceid: String,
    localhostname: String,
    hostname: String,
    cloudinitbaseurl: String,
    publickeys: Vec<String>,
    defaultprofile: String,
}

fn record(metadata: Meta, spec: Spec, old: Option<&InstanceInfo>) -> InstanceInfo {
    InstanceInfo {
        metadata,
        description: spec.description,
        instance_id: spec.instance_id,
        local_hostname: spec.local_hostname,
        hostname: spec.hostname,
        cloud_init_base_url: spec.cloud_init_base_url,
        public_keys: spec.public_keys,
        default_profile: spec.default_profile,
        ..old.cloned().unwrap_or_default()
    }
}

impl Resource for InstanceInfo {
    type Spec = Spec;

    const KIND: &'static str = "InstanceInfo";

    fn read(spec: Value, _: Option<&Self>) -> Result<Spec, Refusal> {
        let sent: Sent = json::form(spec, KEYS)?;
        let spec = Spec {
            description: sent.description,
            // An xname here says whose it is, in whatever spelling.
            instance_id: node::normal(&sent.instanceid),
            local_hostname: sent.localhostname,
            hostname: sent.hostname,
            cloud_init_base_url: sent.cloudinitbaseurl.trim_end_matches('/').to_owned(),
            public_keys: sent.publickeys,
            default_profile: sent.defaultprofile,
        };
        if spec.instance_id.is_empty() {
            return Err(Refusal::Invalid("instance_id field is required".to_owned()));
        }
        instance_info::problem(&record(Meta::default(), spec.clone(), None)).map_err(Refusal::Invalid)?;
        Ok(spec)
    }

    fn all(inventory: &Inventory) -> Vec<Self> {
        inventory.instance_infos.iter().map(|record| (*record).clone()).collect()
    }

    fn by_uid(inventory: &Inventory, uid: &str) -> Vec<Self> {
        inventory.instance_infos.get(uid).map(|record| (*record).clone()).into_iter().collect()
    }

    fn by_name(inventory: &Inventory, name: &str) -> Vec<Self> {
        let found = inventory.find::<Self>(Index::InstanceOf, name).map(|record| (*record).clone());
        let (named, other): (Vec<Self>, Vec<Self>) = found.partition(|info| info.metadata.name == name);
        if named.is_empty() { other } else { named }
    }

    fn meta(&self) -> Meta {
        self.metadata.clone()
    }

    fn spec(&self) -> Spec {
        Spec {
            description: self.description.clone(),
            instance_id: self.instance_id.clone(),
            local_hostname: self.local_hostname.clone(),
            hostname: self.hostname.clone(),
            cloud_init_base_url: self.cloud_init_base_url.clone(),
            public_keys: self.public_keys.clone(),
            default_profile: self.default_profile.clone(),
        }
    }

    fn put(draft: &mut Draft<'_>, old: Option<&Self>, meta: Meta, spec: Spec) -> Result<Self, Refusal> {
        let name = node::normal(&meta.name);
        let record = record(Meta { name, ..meta }, spec, old);
        draft.put(record.clone())?;
        Ok(record)
    }

    fn remove(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        draft.remove::<Self>(&self.metadata.uid)?;
        Ok(())
    }
}
