//! `memberships`: the groups and the partition of each component. cloud-init, boot-service and the Ansible plugin
//! ask here.

use hyper::StatusCode;
use serde::{Serialize, Serializer};

use super::filters::{Filter, partition_of};
use super::{Answer, Refusal, location};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::Inventory;

#[derive(Serialize)]
struct Shown<'c> {
    id: &'c str,
    #[serde(rename = "groupLabels")]
    groups: Vec<String>,
    #[serde(rename = "partitionName")]
    partition: String,
}

impl<'c> Shown<'c> {
    fn of(inventory: &Inventory, id: &'c str) -> Self {
        let partition = partition_of(inventory, id).unwrap_or_default();
        Self { id, groups: inventory.groups_of(id), partition }
    }
}

struct List<'c>(&'c Inventory, Vec<&'c str>);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.1.iter().map(|id| Shown::of(self.0, id)))
    }
}

pub(super) fn list(ask: &Ask<'_>) -> Answer {
    let found = Filter::of_query(ask.request)?.components(ask.inventory());
    let ids = found.iter().map(|component| component.id.as_str()).collect();
    Ok(Reply::json(StatusCode::OK, &List(ask.inventory(), ids)))
}

pub(super) fn one(ask: &Ask<'_>) -> Answer {
    let id = location(ask, "invalid xname")?;
    if !ask.inventory().components.contains(id.as_str()) {
        return Err(Refusal::not_found(format!("No such xname: {id}")));
    }
    Ok(Reply::json(StatusCode::OK, &Shown::of(ask.inventory(), id.as_str())))
}
