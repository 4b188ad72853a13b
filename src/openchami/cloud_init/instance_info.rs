//! Which instance info is a node's.

use std::sync::Arc;

use crate::openchami::inventory::{Index, InstanceInfo, Inventory};

use super::words;

/// The instance info of a component. It is found by its name or its `instance_id`; a name counts more, and of
/// equal ones the one that was changed last.
pub fn of(inventory: &Inventory, id: &str) -> Option<Arc<InstanceInfo>> {
    let found = inventory.find::<InstanceInfo>(Index::InstanceOf, id);
    found.max_by(|a, b| {
        let rank = |info: &InstanceInfo| (info.metadata.name == id, info.metadata.updated_at.clone());
        rank(a).cmp(&rank(b))
    })
}

/// What is wrong with an instance info.
pub fn problem(record: &InstanceInfo) -> Result<(), String> {
    for (field, text) in [
        ("id", &record.metadata.name),
        ("instance-id", &record.instance_id),
        ("local-hostname", &record.local_hostname),
        ("hostname", &record.hostname),
        ("cluster-name", &record.cluster_name),
        ("region", &record.region),
        ("availability-zone", &record.availability_zone),
        ("cloud-provider", &record.cloud_provider),
        ("instance-type", &record.instance_type),
    ] {
        words::one_line(field, text)?;
    }
    words::base_url("cloud-init-base-url", &record.cloud_init_base_url)?;
    record.public_keys.iter().try_for_each(|key| words::one_line("public-keys", key))
}
