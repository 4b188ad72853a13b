//! `partitions`: parts of the system. A component is in one at most.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::groups::{Id, Ids, known, locations, tags, wanted};
use super::{Answer, Refusal, body, deleted, plain};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{Draft, Index, Inventory, Partition, PartitionMember};
use crate::openchami::xname::Location;

const COLLECTION: &str = "/hsm/v2/partitions";

#[derive(Deserialize, Default)]
#[serde(default)]
struct Given {
    name: String,
    description: Option<String>,
    tags: Option<Vec<String>>,
    members: Ids,
}

/// A name: `p1`, or `p1.2` for a part of it.
fn name(text: &str) -> Result<String, String> {
    let lower = text.trim().to_ascii_lowercase();
    let number = |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    let fits = lower.strip_prefix('p').is_some_and(|rest| match rest.split_once('.') {
        Some((hard, soft)) => number(hard) && number(soft),
        None => number(rest),
    });
    if fits { Ok(lower) } else { Err(format!("'{text}' is not a partition name such as p1 or p1.2")) }
}

fn ids(inventory: &Inventory, name: &str) -> Vec<String> {
    inventory.keys(Index::PartitionOf, name).map(str::to_owned).collect()
}

fn shown(inventory: &Inventory, partition: &Partition) -> Value {
    let mut shown = json!({"name": partition.name, "description": partition.description});
    if !partition.tags.is_empty() {
        shown["tags"] = json!(partition.tags);
    }
    shown["members"] = json!({"ids": ids(inventory, &partition.name)});
    shown
}

pub(super) fn list(ask: &Ask<'_>) -> Answer {
    let names: Vec<String> = ask.request.parameters("partition").map(str::to_ascii_lowercase).collect();
    let tags: Vec<String> = ask.request.parameters("tag").map(str::to_ascii_lowercase).collect();
    let matches = |partition: &Arc<Partition>| {
        (names.is_empty() || names.contains(&partition.name))
            && (tags.is_empty() || partition.tags.iter().any(|tag| tags.contains(tag)))
    };
    let found = ask.inventory().partitions.iter().filter(matches);
    let shown: Vec<Value> = found.map(|partition| shown(ask.inventory(), &partition)).collect();
    Ok(Reply::json(StatusCode::OK, &shown))
}

pub(super) fn names(ask: &Ask<'_>) -> Reply {
    let names: Vec<String> =
        ask.inventory().partitions.iter().map(|partition| partition.name.clone()).collect();
    Reply::json(StatusCode::OK, &names)
}

/// The partition in the path, of which there must be one.
fn find(inventory: &Inventory, ask: &Ask<'_>) -> Result<Arc<Partition>, Refusal> {
    let text = ask.variable("name");
    let name = name(text).map_err(|_| Refusal::bad("Invalid partition name."))?;
    inventory.partitions.get(&name).ok_or_else(|| Refusal::not_found(format!("No such partition: {text}")))
}

pub(super) fn one(ask: &Ask<'_>) -> Answer {
    let partition = find(ask.inventory(), ask)?;
    Ok(Reply::json(StatusCode::OK, &shown(ask.inventory(), &partition)))
}

pub(super) fn members(ask: &Ask<'_>) -> Answer {
    let partition = find(ask.inventory(), ask)?;
    Ok(Reply::json(StatusCode::OK, &json!({"ids": ids(ask.inventory(), &partition.name)})))
}

fn join(draft: &mut Draft<'_>, partition: &Partition, ids: &[Location]) -> Result<(), Refusal> {
    known(draft.inventory(), ids)?;
    for id in ids {
        let there = draft.inventory().partition_members.get(id.as_str());
        if there.is_some_and(|there| there.partition != partition.name) {
            return Err(Refusal::conflict("member in another partition"));
        }
        draft.put(PartitionMember { partition: partition.name.clone(), id: id.clone() })?;
    }
    Ok(())
}

pub(super) fn add(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Given = body(ask)?;
    let wrong = |what: String| Refusal::bad(format!("couldn't validate partition: {what}"));
    let description = given.description.unwrap_or_default();
    plain("description", &description)?;
    let partition = Partition {
        name: name(&given.name).map_err(wrong)?,
        description,
        tags: tags(given.tags.as_deref().unwrap_or_default()).map_err(wrong)?,
    };
    let ids = locations(&given.members.ids).map_err(wrong)?;
    let twice = ids.iter().collect::<BTreeSet<_>>().len() < ids.len();
    if draft.inventory().partitions.contains(&partition.name) || twice {
        return Err(Refusal::conflict("partition that has the same name or duplicate ids found in request"));
    }
    draft.put(partition.clone())?;
    join(draft, &partition, &ids)?;
    let uri = format!("{COLLECTION}/{}", partition.name);
    Ok(Reply::created(&[uri], COLLECTION))
}

/// Changes description and tags, and adds members as the PATCH of a group does.
pub(super) fn patch(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Given = body(ask)?;
    if given.description.is_none() && given.tags.is_none() && given.members.ids.is_empty() {
        return Err(Refusal::bad("Request must have at least one patch field."));
    }
    let wrong = |what: String| Refusal::bad(format!("couldn't validate partition: {what}"));
    plain("description", given.description.as_deref().unwrap_or_default())?;
    let mut partition = Partition::clone(&*find(draft.inventory(), ask).map_err(no_such_partition)?);
    if let Some(description) = given.description {
        partition.description = description;
    }
    if let Some(given) = &given.tags {
        partition.tags = tags(given).map_err(wrong)?;
    }
    let ids = locations(&given.members.ids).map_err(wrong)?;
    draft.put(partition.clone())?;
    join(draft, &partition, &ids)?;
    Ok(Reply::no_content())
}

/// Writes say it in other words than reads.
fn no_such_partition(refusal: Refusal) -> Refusal {
    match refusal.status {
        StatusCode::NOT_FOUND => Refusal::not_found("no such partition."),
        _ => refusal,
    }
}

pub(super) fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let partition = find(draft.inventory(), ask).map_err(no_such_partition)?;
    for id in ids(draft.inventory(), &partition.name) {
        draft.remove::<PartitionMember>(&id)?;
    }
    draft.remove::<Partition>(&partition.name)?;
    Ok(deleted(1))
}

pub(super) fn add_member(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Id = body(ask)?;
    let partition = find(draft.inventory(), ask)?;
    let id: Location = given.id.parse().map_err(|_| Refusal::bad("invalid xname ID"))?;
    let there = draft.inventory().partition_members.get(id.as_str());
    if there.is_some_and(|there| there.partition == partition.name) {
        return Err(Refusal::conflict("member in the same partition"));
    }
    join(draft, &partition, std::slice::from_ref(&id))?;
    Ok(Reply::created(&[format!("{COLLECTION}/{}/members/{id}", partition.name)], COLLECTION))
}

pub(super) fn put_members(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Ids = body(ask)?;
    let partition = find(draft.inventory(), ask)?;
    let ids = wanted(&given.ids)?;
    let kept: BTreeSet<&str> = ids.iter().map(Location::as_str).collect();
    for id in self::ids(draft.inventory(), &partition.name) {
        if !kept.contains(id.as_str()) {
            draft.remove::<PartitionMember>(&id)?;
        }
    }
    join(draft, &partition, &ids)?;
    if ids.is_empty() {
        return Ok(Reply::no_content());
    }
    let uris: Vec<String> =
        ids.iter().map(|id| format!("{COLLECTION}/{}/members/{id}", partition.name)).collect();
    Ok(Reply::created(&uris, COLLECTION))
}

pub(super) fn delete_member(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let partition = find(draft.inventory(), ask).map_err(no_such_partition)?;
    let id = super::location(ask, "invalid xname ID")?;
    let there = draft.inventory().partition_members.get(id.as_str());
    if there.is_none_or(|there| there.partition != partition.name) {
        return Err(Refusal::not_found("partition has no such member."));
    }
    draft.remove::<PartitionMember>(id.as_str())?;
    Ok(deleted(1))
}
