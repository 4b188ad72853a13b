//! `groups`: named sets of components. A group's members are records of their own, so adding one costs the same
//! in a group of any size.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::filters::partition_of;
use super::{Answer, Refusal, body, deleted, plain};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{Draft, Group, Inventory, Member, Owned};
use crate::openchami::xname::Location;

const COLLECTION: &str = "/hsm/v2/groups";

/// What labels, tags and names of exclusive groups may be: lower case letters, digits and `-:._`.
fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'_')
    };
    !text.is_empty() && text.bytes().all(allowed)
}

/// A label in its stored form.
fn label(text: &str) -> Result<String, String> {
    let lower = text.trim().to_ascii_lowercase();
    if is_label(&lower) {
        Ok(lower)
    } else {
        Err("group or partition field has invalid characters".to_owned())
    }
}

/// Tags in their stored form, each once.
pub(super) fn tags(given: &[String]) -> Result<Vec<String>, String> {
    let mut tags = Vec::with_capacity(given.len());
    for tag in given {
        let tag = label(tag)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Ids {
    pub(super) ids: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Given {
    label: String,
    description: Option<String>,
    exclusivegroup: String,
    tags: Option<Vec<String>>,
    members: Ids,
}

/// The locations in a list of members, in order; a text that is none is refused.
pub(super) fn locations(ids: &[String]) -> Result<Vec<Location>, String> {
    // SMD's own words for this.
    let wrong = |_| "got HMSTypeInvalid instead of valid type".to_owned();
    ids.iter().map(|id| id.parse().map_err(wrong)).collect()
}

/// Members must be there.
pub(super) fn known(inventory: &Inventory, ids: &[Location]) -> Result<(), Refusal> {
    match ids.iter().find(|id| !inventory.components.contains(id.as_str())) {
        Some(_) => Err(Refusal::bad("linked component does not exist")),
        None => Ok(()),
    }
}

/// A group as SMD shows it, with the members that are in `partition` too if one is given.
fn shown(inventory: &Inventory, group: &Group, partition: Option<&str>) -> Value {
    let mut shown = json!({"label": group.label, "description": group.description});
    if !group.exclusive_group.is_empty() {
        shown["exclusiveGroup"] = group.exclusive_group.as_str().into();
    }
    if !group.tags.is_empty() {
        shown["tags"] = json!(group.tags);
    }
    shown["members"] = json!({"ids": ids(inventory, &group.label, partition)});
    shown
}

fn ids(inventory: &Inventory, label: &str, partition: Option<&str>) -> Vec<String> {
    let mut ids = inventory.members_of(label);
    if let Some(wanted) = partition {
        ids.retain(|id| partition_of(inventory, id).as_deref() == Some(wanted));
    }
    ids
}

/// The partition that the query restricts members to.
fn partition(ask: &Ask<'_>) -> Option<String> {
    ask.request.parameter("partition").map(str::to_ascii_lowercase)
}

pub(super) fn list(ask: &Ask<'_>) -> Answer {
    let inventory = ask.inventory();
    let labels: Vec<String> = ask.request.parameters("group").map(str::to_ascii_lowercase).collect();
    let tags: Vec<String> = ask.request.parameters("tag").map(str::to_ascii_lowercase).collect();
    let partition = partition(ask);
    let groups: Vec<Arc<Group>> = if labels.is_empty() {
        inventory.groups.iter().collect()
    } else {
        let labels: BTreeSet<&String> = labels.iter().collect();
        labels.into_iter().filter_map(|label| inventory.groups.get(label)).collect()
    };
    let tagged =
        groups.iter().filter(|group| tags.is_empty() || group.tags.iter().any(|tag| tags.contains(tag)));
    let shown: Vec<Value> = tagged.map(|group| shown(inventory, group, partition.as_deref())).collect();
    Ok(Reply::json(StatusCode::OK, &shown))
}

pub(super) fn labels(ask: &Ask<'_>) -> Reply {
    let labels: Vec<String> = ask.inventory().groups.iter().map(|group| group.label.clone()).collect();
    Reply::json(StatusCode::OK, &labels)
}

/// The group in the path, of which there must be one.
fn find(inventory: &Inventory, ask: &Ask<'_>) -> Result<Arc<Group>, Refusal> {
    let text = ask.variable("label");
    let label = label(text).map_err(|_| Refusal::bad("Invalid group label."))?;
    inventory.groups.get(&label).ok_or_else(|| Refusal::not_found(format!("No such group: {text}")))
}

pub(super) fn one(ask: &Ask<'_>) -> Answer {
    let group = find(ask.inventory(), ask)?;
    Ok(Reply::json(StatusCode::OK, &shown(ask.inventory(), &group, partition(ask).as_deref())))
}

pub(super) fn members(ask: &Ask<'_>) -> Answer {
    let group = find(ask.inventory(), ask)?;
    let ids = ids(ask.inventory(), &group.label, partition(ask).as_deref());
    Ok(Reply::json(StatusCode::OK, &json!({"ids": ids})))
}

/// Groups of one exclusive group share no member.
fn exclusive(inventory: &Inventory, group: &Group, ids: &[Location]) -> Result<(), Refusal> {
    if group.exclusive_group.is_empty() {
        return Ok(());
    }
    for id in ids {
        for other in inventory.groups_of(id.as_str()).iter().filter(|other| **other != group.label) {
            let other = inventory.groups.get(other);
            if other.is_some_and(|other| other.exclusive_group == group.exclusive_group) {
                return Err(Refusal::conflict("member in another exclusive group"));
            }
        }
    }
    Ok(())
}

fn join(draft: &mut Draft<'_>, group: &Group, ids: &[Location]) -> Result<(), Refusal> {
    known(draft.inventory(), ids)?;
    exclusive(draft.inventory(), group, ids)?;
    for id in ids {
        draft.put(Member { group: group.label.clone(), id: id.clone() })?;
    }
    Ok(())
}

pub(super) fn add(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Given = body(ask)?;
    let wrong = |what: String| Refusal::bad(format!("couldn't validate group: {what}"));
    let description = given.description.unwrap_or_default();
    plain("description", &description)?;
    let exclusive_group = match given.exclusivegroup.as_str() {
        "" => String::new(),
        text => label(text).map_err(wrong)?,
    };
    let group = Group {
        label: label(&given.label).map_err(wrong)?,
        description,
        exclusive_group,
        tags: tags(given.tags.as_deref().unwrap_or_default()).map_err(wrong)?,
    };
    let ids = locations(&given.members.ids).map_err(wrong)?;
    let twice = ids.iter().collect::<BTreeSet<_>>().len() < ids.len();
    let groups = &draft.inventory().groups;
    // The group of a file may be sent by whoever has the file; its members come together.
    let taken = groups.contains(&group.label) && groups.filed(&group.label).is_none();
    if taken || twice {
        return Err(Refusal::conflict("group that has the same label or duplicate ids found in request"));
    }
    draft.put(group.clone())?;
    join(draft, &group, &ids)?;
    let uri = format!("{COLLECTION}/{}", group.label);
    Ok(Reply::created(&[uri], COLLECTION))
}

/// Changes description and tags; members come to those that are there. SMD ignores members here, so that a second
/// `discover static --overwrite` would not bring new nodes into their groups.
pub(super) fn patch(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Given = body(ask)?;
    if given.description.is_none() && given.tags.is_none() && given.members.ids.is_empty() {
        return Err(Refusal::bad("Request must have at least one patch field."));
    }
    let wrong = |what: String| Refusal::bad(format!("couldn't validate group: {what}"));
    plain("description", given.description.as_deref().unwrap_or_default())?;
    let mut group = Group::clone(&*find(draft.inventory(), ask).map_err(no_such_group)?);
    if let Some(description) = given.description {
        group.description = description;
    }
    if let Some(given) = &given.tags {
        group.tags = tags(given).map_err(wrong)?;
    }
    let ids = locations(&given.members.ids).map_err(wrong)?;
    draft.put(group.clone())?;
    join(draft, &group, &ids)?;
    Ok(Reply::no_content())
}

/// Writes say it in other words than reads.
fn no_such_group(refusal: Refusal) -> Refusal {
    match refusal.status {
        StatusCode::NOT_FOUND => Refusal::not_found("no such group."),
        _ => refusal,
    }
}

pub(super) fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let group = find(draft.inventory(), ask).map_err(no_such_group)?;
    let mut owned: Vec<Owned> = Vec::new();
    for id in draft.inventory().members_of(&group.label) {
        owned.extend(draft.remove::<Member>(&Member::key_of(&group.label, &id)).err());
    }
    if !owned.is_empty() {
        return Err(Refusal::owned(&owned));
    }
    draft.remove::<Group>(&group.label)?;
    Ok(deleted(1))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Id {
    pub(super) id: String,
}

pub(super) fn add_member(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Id = body(ask)?;
    let group = find(draft.inventory(), ask)?;
    let id: Location = given.id.parse().map_err(|_| Refusal::bad("invalid xname ID"))?;
    let key = Member::key_of(&group.label, id.as_str());
    let members = &draft.inventory().members;
    if members.contains(&key) && members.filed(&key).is_none() {
        return Err(Refusal::conflict("member in the same group"));
    }
    join(draft, &group, std::slice::from_ref(&id))?;
    Ok(Reply::created(&[format!("{COLLECTION}/{}/members/{id}", group.label)], COLLECTION))
}

/// The members that a PUT lists, in order and each once, or which of them are no xnames.
pub(super) fn wanted(ids: &[String]) -> Result<Vec<Location>, Refusal> {
    let wrong: Vec<&str> =
        ids.iter().filter(|id| id.parse::<Location>().is_err()).map(String::as_str).collect();
    if !wrong.is_empty() {
        let shown = wrong.join(" ");
        return Err(Refusal::bad(format!("invalid xname IDs: [{shown}]")));
    }
    let set: BTreeSet<Location> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    Ok(set.into_iter().collect())
}

pub(super) fn put_members(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let given: Ids = body(ask)?;
    let group = find(draft.inventory(), ask)?;
    let ids = wanted(&given.ids)?;
    let kept: BTreeSet<&str> = ids.iter().map(Location::as_str).collect();
    let mut owned: Vec<Owned> = Vec::new();
    for id in draft.inventory().members_of(&group.label) {
        if !kept.contains(id.as_str()) {
            owned.extend(draft.remove::<Member>(&Member::key_of(&group.label, &id)).err());
        }
    }
    if !owned.is_empty() {
        return Err(Refusal::owned(&owned));
    }
    join(draft, &group, &ids)?;
    if ids.is_empty() {
        return Ok(Reply::no_content());
    }
    let uris: Vec<String> =
        ids.iter().map(|id| format!("{COLLECTION}/{}/members/{id}", group.label)).collect();
    Ok(Reply::created(&uris, COLLECTION))
}

pub(super) fn delete_member(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let group = find(draft.inventory(), ask).map_err(no_such_group)?;
    let id = super::location(ask, "invalid xname ID")?;
    if !draft.remove::<Member>(&Member::key_of(&group.label, id.as_str()))? {
        return Err(Refusal::not_found("group has no such member."));
    }
    Ok(deleted(1))
}
