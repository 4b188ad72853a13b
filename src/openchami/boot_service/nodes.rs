//! `/nodes`: SMD's nodes as resources. The facts (number, role, cards, groups) are SMD's records; what SMD has no
//! place for (name, labels, host name, which card boots) is kept beside them. So a node is registered once, by
//! whichever service.
//!
//! Because the facts are shared, what a PUT leaves out of them stays: a client that only knows this service would
//! otherwise take a node out of its groups by writing it back. A patch removes what it says it removes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::openchami::api::json::{self, Keys};
use crate::openchami::inventory::{
    Component, Draft, Envelope, Group, Index, Inventory, Member, Meta, Owned, PartitionMember, Runtime,
};
use crate::openchami::xname::Location;
use crate::records::boot_file::ROLES;

use super::cards::{self, Interface};
use super::envelope::{Refusal, Resource, clean};

/// What clients say of a node.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    xname: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nid: Option<i64>,
    #[serde(
        rename(serialize = "bootMac", deserialize = "bootmac"),
        skip_serializing_if = "String::is_empty"
    )]
    boot_mac: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    role: String,
    #[serde(
        rename(serialize = "subRole", deserialize = "subrole"),
        skip_serializing_if = "String::is_empty"
    )]
    sub_role: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hostname: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<Interface>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
}

/// A node as a resource.
pub struct Node {
    component: Arc<Component>,
    envelope: Option<Arc<Envelope>>,
    spec: Spec,
}

impl Node {
    fn of(inventory: &Inventory, component: Arc<Component>) -> Self {
        let id = component.id.as_str();
        let envelope = inventory.envelopes.get(id);
        let nothing = Map::new();
        let extra = envelope.as_ref().map_or(&nothing, |envelope| &envelope.extra);
        let text = |key: &str| extra.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let all = cards::of(inventory, id, extra);
        let mut boot_mac = text(BOOT_MAC);
        if boot_mac.is_empty() {
            boot_mac = all.first().map(|card| card.mac.clone()).unwrap_or_default();
        }
        // A card of which only the MAC is known says no more than `bootMac` does.
        let bare = |card: &Interface| card.mac == boot_mac && card.ip.is_empty() && card.kind.is_empty();
        let interfaces = if all.len() == 1 && bare(&all[0]) { Vec::new() } else { all };
        let spec = Spec {
            xname: id.to_owned(),
            nid: component.nid,
            boot_mac,
            role: component.role.clone(),
            sub_role: component.sub_role.clone(),
            hostname: text(HOSTNAME),
            interfaces,
            groups: inventory.groups_of(id),
        };
        Self { component, envelope, spec }
    }

    fn at(inventory: &Inventory, id: &str) -> Option<Self> {
        let component = inventory.components.get(id).filter(|component| component.id.is_node())?;
        Some(Self::of(inventory, component))
    }
}

/// Members of an envelope's extra fields.
const BOOT_MAC: &str = "bootMac";
const HOSTNAME: &str = "hostname";

impl Resource for Node {
    type Spec = Spec;

    const KIND: &'static str = "Node";

    const SHARED: &'static [&'static str] = &["nid", "bootMac", "role", "subRole", "interfaces", "groups"];

    fn read(spec: Value, old: Option<&Self>) -> Result<Spec, Refusal> {
        let mut spec: Spec = json::form(spec, Keys::default())?;
        let location = spec.xname.parse::<Location>().ok().filter(Location::is_node);
        let Some(location) = location else {
            return Err(Refusal::Invalid(format!("invalid XName format: {}", spec.xname.escape_debug())));
        };
        spec.xname = location.to_string();
        if let Some(old) = old.filter(|old| old.component.id != location) {
            return Err(Refusal::Invalid(format!(
                "xname cannot change from {} to {location}: add a node there and delete this one",
                old.component.id
            )));
        }
        if spec.nid.is_some_and(|nid| u32::try_from(nid).is_err()) {
            return Err(Refusal::Invalid("nid must be between 0 and 4294967295".to_owned()));
        }
        for (key, text) in [("role", &spec.role), ("subRole", &spec.sub_role), ("hostname", &spec.hostname)] {
            clean(key, text)?;
        }
        if let Some(role) = ROLES.iter().find(|role| role.eq_ignore_ascii_case(&spec.role)) {
            spec.role = (*role).to_owned();
        }
        if !spec.boot_mac.is_empty() {
            spec.boot_mac = cards::checked_mac(&spec.boot_mac)?;
        }
        let read = spec.interfaces.into_iter().filter_map(|card| card.read().transpose());
        spec.interfaces = read.collect::<Result<_, _>>()?;
        for group in &mut spec.groups {
            *group = group.to_lowercase();
            let right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-:._".contains(c);
            if group.is_empty() || !group.chars().all(right) {
                return Err(Refusal::Invalid(format!(
                    "invalid group name: {} (letters, digits, '-', ':', '.', '_')",
                    group.escape_debug()
                )));
            }
        }
        Ok(spec)
    }

    fn all(inventory: &Inventory) -> Vec<Self> {
        let nodes = inventory.components.iter().filter(|component| component.id.is_node());
        nodes.map(|component| Self::of(inventory, component)).collect()
    }

    fn by_uid(inventory: &Inventory, uid: &str) -> Vec<Self> {
        let found = inventory.find::<Component>(Index::ComponentUid, uid).filter(|one| one.id.is_node());
        found.map(|component| Self::of(inventory, component)).collect()
    }

    fn by_name(inventory: &Inventory, name: &str) -> Vec<Self> {
        let at = name.parse::<Location>().ok().and_then(|id| Self::at(inventory, id.as_str()));
        if at.is_some() {
            return at.into_iter().collect();
        }
        let named = inventory.keys(Index::EnvelopeName, name);
        named.filter_map(|id| Self::at(inventory, id)).collect()
    }

    fn meta(&self) -> Meta {
        let uid = self.component.uid().unwrap_or_default();
        match &self.envelope {
            Some(envelope) => Meta { uid, ..envelope.metadata.clone() },
            None => Meta { uid, name: self.component.id.to_string(), ..Meta::never() },
        }
    }

    fn spec(&self) -> Spec {
        self.spec.clone()
    }

    fn says(&self, spec: &Spec) -> bool {
        let own = &self.spec;
        let kept = |said: &str, own: &str| said.is_empty() || said == own;
        spec.xname == own.xname
            && spec.nid.is_none_or(|nid| Some(nid) == own.nid)
            && kept(&spec.boot_mac, &own.boot_mac)
            && kept(&spec.role, &own.role)
            && kept(&spec.sub_role, &own.sub_role)
            && kept(&spec.hostname, &own.hostname)
            && spec.interfaces.iter().all(|card| own.interfaces.contains(card))
            && spec.groups.iter().all(|group| own.groups.contains(group))
    }

    fn put(draft: &mut Draft<'_>, old: Option<&Self>, meta: Meta, spec: Spec) -> Result<Self, Refusal> {
        let Ok(id) = spec.xname.parse::<Location>() else {
            return Err(Refusal::Invalid(format!("invalid XName format: {}", spec.xname.escape_debug())));
        };
        if old.is_none() && is_registered(draft.inventory(), &id) {
            return Err(registered(&id));
        }
        let mut extra = Map::new();
        let now = meta.updated_at.clone();
        put_component(draft, &id, &spec, old.is_some())?;
        put_cards(draft, &id, &spec, old.is_some(), &now)?;
        put_groups(draft, &id, &spec, old.is_some())?;
        for (key, text) in [(BOOT_MAC, &spec.boot_mac), (HOSTNAME, &spec.hostname)] {
            if !text.is_empty() {
                extra.insert(key.to_owned(), text.clone().into());
            }
        }
        cards::remember_types(&mut extra, &spec.interfaces);
        put_envelope(draft, &id, meta, extra)?;
        Self::at(draft.inventory(), id.as_str()).ok_or_else(|| Refusal::NotFound(format!("{id} is gone")))
    }

    fn remove(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let id = self.component.id.as_str();
        leave_groups(draft, id)?;
        cards::keep_only(draft, id, &[])?;
        draft.remove::<Component>(id)?;
        draft.remove::<Envelope>(id)?;
        draft.remove::<Runtime>(id)?;
        Ok(())
    }
}

/// Whether somebody added it here before. SMD may have deleted it since: then it can be added again.
pub(super) fn is_registered(inventory: &Inventory, id: &Location) -> bool {
    inventory.components.contains(id.as_str()) && inventory.envelopes.is_stored(id.as_str())
}

pub(super) fn registered(id: &Location) -> Refusal {
    Refusal::Conflict(format!("{id} is registered already: change it with PUT or PATCH"))
}

/// Takes a component that goes out of its groups and its partition.
pub(super) fn leave_groups(draft: &mut Draft<'_>, id: &str) -> Result<(), Refusal> {
    for group in draft.inventory().groups_of(id) {
        draft.remove::<Member>(&Member::key_of(&group, id))?;
    }
    draft.remove::<PartitionMember>(id)?;
    Ok(())
}

/// Stores what SMD knows of a node itself. What is not said has SMD's default, or stays where nothing is replaced.
fn put_component(draft: &mut Draft<'_>, id: &Location, spec: &Spec, replaces: bool) -> Result<(), Refusal> {
    let known = draft.inventory().components.get(id.as_str());
    let made = Component {
        state: "On".to_owned(),
        flag: "OK".to_owned(),
        role: "Compute".to_owned(),
        nid: id.default_nid(),
        ..Component::at(id.clone())
    };
    let mut component = known.as_deref().cloned().unwrap_or_else(|| made.clone());
    if replaces {
        let Component { nid, role, sub_role, .. } = made;
        component = Component { nid, role, sub_role, ..component };
    }
    component.nid = spec.nid.or(component.nid);
    for (said, field) in [(&spec.role, &mut component.role), (&spec.sub_role, &mut component.sub_role)] {
        if !said.is_empty() {
            field.clone_from(said);
        }
    }
    if known.as_deref() != Some(&component) {
        draft.put(component)?;
    }
    Ok(())
}

/// Stores the cards that are named; where the list replaces one, others go.
fn put_cards(
    draft: &mut Draft<'_>,
    id: &Location,
    spec: &Spec,
    replaces: bool,
    now: &str,
) -> Result<(), Refusal> {
    let booting = Interface { mac: spec.boot_mac.clone(), ..Interface::default() };
    let boots = Some(&booting).filter(|card| !card.mac.is_empty());
    if replaces {
        let kept: Vec<&str> = spec.interfaces.iter().chain(boots).map(|card| card.mac.as_str()).collect();
        cards::keep_only(draft, id.as_str(), &kept)?;
    }
    for card in spec.interfaces.iter().chain(boots) {
        cards::store(draft, id, card, now)?;
    }
    Ok(())
}

/// Puts the node into the groups that are named, making those that are not there; where the list replaces one, it
/// leaves others.
fn put_groups(draft: &mut Draft<'_>, id: &Location, spec: &Spec, replaces: bool) -> Result<(), Refusal> {
    let present = draft.inventory().groups_of(id.as_str());
    for label in present.iter().filter(|label| replaces && !spec.groups.contains(label)) {
        draft.remove::<Member>(&Member::key_of(label, id.as_str()))?;
    }
    for label in spec.groups.iter().filter(|label| !present.contains(label)) {
        let group = match draft.inventory().groups.get(label) {
            Some(group) => group,
            None => {
                let group = Group { label: label.clone(), ..Group::default() };
                draft.put(group.clone())?;
                Arc::new(group)
            }
        };
        let exclusive = &group.exclusive_group;
        let rival = draft.inventory().groups_of(id.as_str()).into_iter().find(|other| {
            let other = draft.inventory().groups.get(other);
            !exclusive.is_empty() && other.is_some_and(|other| other.exclusive_group == *exclusive)
        });
        if let Some(rival) = rival {
            return Err(Refusal::Conflict(format!(
                "{id} is in {rival} already, which excludes {label} (exclusive group {exclusive})"
            )));
        }
        draft.put(Member { group: label.clone(), id: id.clone() })?;
    }
    Ok(())
}

/// Stores name, labels and extra fields. The name that a file states stays.
pub(super) fn put_envelope(
    draft: &mut Draft<'_>,
    id: &Location,
    meta: Meta,
    extra: Map<String, Value>,
) -> Result<(), Refusal> {
    let mut meta = meta;
    if let Some(filed) = draft.inventory().envelopes.filed(id.as_str())
        && filed.record.metadata.name != meta.name
    {
        if meta.name.is_empty() {
            meta.name.clone_from(&filed.record.metadata.name);
            let metadata = Meta { uid: String::new(), ..meta };
            return Ok(draft.put(Envelope { id: id.to_string(), metadata, extra })?);
        }
        return Err(Refusal::Owned(Owned {
            what: "node",
            key: id.to_string(),
            file: filed.origin.file.display().to_string(),
            line: filed.origin.line,
            field: "name".to_owned(),
        }));
    }
    let metadata = Meta { uid: String::new(), ..meta };
    Ok(draft.put(Envelope { id: id.to_string(), metadata, extra })?)
}
