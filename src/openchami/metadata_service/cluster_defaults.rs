//! Cluster defaults as resources. Of several the one that was changed last counts; what defaults.yaml states
//! counts in each.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::openchami::api::json::{self, Keys};
use crate::openchami::boot_service::envelope::{Refusal, Resource};
use crate::openchami::cloud_init::defaults;
use crate::openchami::inventory::{ClusterDefaults, Draft, Index, Inventory, Meta};

const KEYS: Keys = Keys { loose: true, free: &[] };

/// What a client says of cluster defaults.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the record")]
pub struct Spec {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub base_url: String,
    pub cluster_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cloud_provider: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub availability_zone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub short_name: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub nid_length: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Sent {
    description: String,
    baseurl: String,
    clustername: String,
    cloudprovider: String,
    region: String,
    availabilityzone: String,
    shortname: String,
    nidlength: u8,
    publickeys: Vec<String>,
}

fn record(metadata: Meta, spec: Spec, old: Option<&ClusterDefaults>) -> ClusterDefaults {
    let kept = |pick: fn(&ClusterDefaults) -> &String| old.map(|old| pick(old).clone()).unwrap_or_default();
    ClusterDefaults {
        metadata,
        description: spec.description,
        base_url: spec.base_url,
        cluster_name: spec.cluster_name,
        short_name: spec.short_name,
        nid_length: spec.nid_length,
        public_keys: spec.public_keys,
        cloud_provider: spec.cloud_provider,
        region: spec.region,
        availability_zone: spec.availability_zone,
        boot_subnet: kept(|old| &old.boot_subnet),
        wg_subnet: kept(|old| &old.wg_subnet),
    }
}

impl Resource for ClusterDefaults {
    type Spec = Spec;

    const KIND: &'static str = "ClusterDefaults";

    fn read(spec: Value, _: Option<&Self>) -> Result<Spec, Refusal> {
        let sent: Sent = json::form(spec, KEYS)?;
        let spec = Spec {
            description: sent.description,
            base_url: sent.baseurl.trim_end_matches('/').to_owned(),
            cluster_name: sent.clustername,
            cloud_provider: sent.cloudprovider,
            region: sent.region,
            availability_zone: sent.availabilityzone,
            short_name: sent.shortname,
            nid_length: sent.nidlength,
            public_keys: sent.publickeys,
        };
        for (field, text) in [("base_url", &spec.base_url), ("cluster_name", &spec.cluster_name)] {
            if text.is_empty() {
                return Err(Refusal::Invalid(format!("{field} field is required")));
            }
        }
        defaults::problem(&record(Meta::default(), spec.clone(), None)).map_err(Refusal::Invalid)?;
        Ok(spec)
    }

    fn all(inventory: &Inventory) -> Vec<Self> {
        inventory.cluster_defaults.iter().map(|record| (*record).clone()).collect()
    }

    fn by_uid(inventory: &Inventory, uid: &str) -> Vec<Self> {
        inventory.cluster_defaults.get(uid).map(|record| (*record).clone()).into_iter().collect()
    }

    fn by_name(inventory: &Inventory, name: &str) -> Vec<Self> {
        inventory.find::<Self>(Index::DefaultsName, name).map(|record| (*record).clone()).collect()
    }

    fn meta(&self) -> Meta {
        self.metadata.clone()
    }

    fn spec(&self) -> Spec {
        Spec {
            description: self.description.clone(),
            base_url: self.base_url.clone(),
            cluster_name: self.cluster_name.clone(),
            cloud_provider: self.cloud_provider.clone(),
            region: self.region.clone(),
            availability_zone: self.availability_zone.clone(),
            short_name: self.short_name.clone(),
            nid_length: self.nid_length,
            public_keys: self.public_keys.clone(),
        }
    }

    fn put(draft: &mut Draft<'_>, old: Option<&Self>, meta: Meta, spec: Spec) -> Result<Self, Refusal> {
        let updated_at = defaults::next_update(draft.inventory(), meta.updated_at.clone());
        let record = record(Meta { updated_at, ..meta }, spec, old);
        defaults::check(draft.inventory(), &record)?;
        draft.put(record.clone())?;
        Ok(record)
    }

    fn remove(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        draft.remove::<Self>(&self.metadata.uid)?;
        Ok(())
    }
}
