//! `/bmcs`: SMD's controllers as resources, with their one card.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::openchami::api::json::{self, Keys};
use crate::openchami::inventory::{Component, Draft, Envelope, Index, Inventory, Meta};
use crate::openchami::xname::Location;

use super::cards::{self, Interface};
use super::envelope::{Refusal, Resource, clean};
use super::nodes::{is_registered, leave_groups, put_envelope, registered};

/// Characters of a description at most.
const DESCRIPTION_MAX: usize = 200;
/// Members of an envelope's extra fields.
const DESCRIPTION: &str = "description";
const READY: &str = "ready";

/// What clients say of a BMC.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    xname: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "is_empty")]
    interface: Interface,
}

fn is_empty(card: &Interface) -> bool {
    *card == Interface::default()
}

/// A controller as a resource.
pub struct Bmc {
    component: Arc<Component>,
    envelope: Option<Arc<Envelope>>,
    spec: Spec,
}

impl Bmc {
    fn of(inventory: &Inventory, component: Arc<Component>) -> Self {
        let id = component.id.as_str();
        let envelope = inventory.envelopes.get(id);
        let nothing = Map::new();
        let extra = envelope.as_ref().map_or(&nothing, |envelope| &envelope.extra);
        let description = extra.get(DESCRIPTION).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut all = cards::of(inventory, id, extra);
        // The card by which it is reached.
        all.sort_by_key(|card| card.ip.is_empty());
        let interface = all.into_iter().next().unwrap_or_default();
        let spec = Spec { xname: id.to_owned(), description, interface };
        Self { component, envelope, spec }
    }

    fn at(inventory: &Inventory, id: &str) -> Option<Self> {
        let component = inventory.components.get(id).filter(|component| component.id.is_endpoint())?;
        Some(Self::of(inventory, component))
    }
}

impl Resource for Bmc {
    type Spec = Spec;

    const KIND: &'static str = "BMC";

    const SHARED: &'static [&'static str] = &["interface"];

    fn read(spec: Value, old: Option<&Self>) -> Result<Spec, Refusal> {
        let mut spec: Spec = json::form(spec, Keys::default())?;
        let location = spec.xname.parse::<Location>().ok().filter(Location::is_endpoint);
        let Some(location) = location else {
            let text = spec.xname.escape_debug();
            return Err(Refusal::Invalid(format!(
                "invalid XName format: {text} (a BMC's is like x1000c0s0b0)"
            )));
        };
        spec.xname = location.to_string();
        if let Some(old) = old.filter(|old| old.component.id != location) {
            return Err(Refusal::Invalid(format!(
                "xname cannot change from {} to {location}: add a BMC there and delete this one",
                old.component.id
            )));
        }
        clean(DESCRIPTION, &spec.description)?;
        if spec.description.chars().count() > DESCRIPTION_MAX {
            return Err(Refusal::Invalid(format!(
                "description must have at most {DESCRIPTION_MAX} characters"
            )));
        }
        spec.interface = spec.interface.read()?.unwrap_or_default();
        Ok(spec)
    }

    fn all(inventory: &Inventory) -> Vec<Self> {
        let found = inventory.components.iter().filter(|component| component.id.is_endpoint());
        found.map(|component| Self::of(inventory, component)).collect()
    }

    fn by_uid(inventory: &Inventory, uid: &str) -> Vec<Self> {
        let found = inventory.find::<Component>(Index::ComponentUid, uid).filter(|one| one.id.is_endpoint());
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

    fn status(&self) -> Value {
        let ready = self.envelope.as_ref().and_then(|envelope| envelope.extra.get(READY)).cloned();
        json!({"ready": ready.and_then(|ready| ready.as_bool()).unwrap_or(false)})
    }

    fn put(draft: &mut Draft<'_>, old: Option<&Self>, meta: Meta, spec: Spec) -> Result<Self, Refusal> {
        let Ok(id) = spec.xname.parse::<Location>() else {
            return Err(Refusal::Invalid(format!("invalid XName format: {}", spec.xname.escape_debug())));
        };
        let inventory = draft.inventory();
        if old.is_none() && is_registered(inventory, &id) {
            return Err(registered(&id));
        }
        let known = old.and_then(|old| old.envelope.as_ref());
        let mut extra = known.map(|known| known.extra.clone()).unwrap_or_default();
        if !inventory.components.contains(id.as_str()) {
            draft.put(Component::at(id.clone()))?;
        }
        let card = &spec.interface;
        if let Some(old) =
            old.filter(|old| !old.spec.interface.mac.is_empty() && old.spec.interface.mac != card.mac)
        {
            let all = cards::of(draft.inventory(), id.as_str(), &extra);
            let others =
                all.iter().map(|card| card.mac.as_str()).filter(|mac| *mac != old.spec.interface.mac);
            cards::keep_only(draft, id.as_str(), &others.collect::<Vec<_>>())?;
        }
        if !card.mac.is_empty() {
            cards::store(draft, &id, card, &meta.updated_at)?;
        }
        cards::remember_types(&mut extra, std::slice::from_ref(card));
        extra.shift_remove(DESCRIPTION);
        if !spec.description.is_empty() {
            extra.insert(DESCRIPTION.to_owned(), spec.description.into());
        }
        put_envelope(draft, &id, meta, extra)?;
        Self::at(draft.inventory(), id.as_str()).ok_or_else(|| Refusal::NotFound(format!("{id} is gone")))
    }

    fn remove(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let id = self.component.id.as_str();
        leave_groups(draft, id)?;
        cards::keep_only(draft, id, &[])?;
        draft.remove::<Component>(id)?;
        draft.remove::<Envelope>(id)?;
        Ok(())
    }

    fn set_status(self, draft: &mut Draft<'_>, status: Value) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Said {
            ready: Option<bool>,
        }
        let Some(ready) = json::form::<Said>(status, Keys::default())?.ready else { return Ok(self) };
        let mut extra = self.envelope.as_ref().map(|known| known.extra.clone()).unwrap_or_default();
        extra.insert(READY.to_owned(), ready.into());
        put_envelope(draft, &self.component.id, self.meta(), extra)?;
        let stored = Self::at(draft.inventory(), self.component.id.as_str());
        stored.ok_or_else(|| Refusal::NotFound(format!("{} is gone", self.component.id)))
    }
}
