//! Groups as resources: the records of cloud-init's groups, so that a name is there once.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::openchami::api::json::{self, Keys};
use crate::openchami::boot_service::envelope::{Refusal, Resource, clean};
use crate::openchami::cloud_init::group_file;
use crate::openchami::inventory::{CloudGroup, Draft, Index, Inventory, Meta};

const KEYS: Keys = Keys { loose: true, free: &["metadata"] };

/// What a client says of a group.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Free text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What nodes get. It is not rendered here, and its variables are not looked at.
    pub template: String,
    /// Texts alone; another value is shown as its JSON.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub meta_data: Map<String, Value>,
    /// Free text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os_version: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Sent {
    description: String,
    template: String,
    metadata: Option<Map<String, Value>>,
    osversion: String,
}

/// A value as the text that metadata-service's clients expect.
fn as_text(value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        other => Value::String(other.to_string()),
    }
}

/// What nodes get as text; base64 text stays what it is where it holds no text.
fn template(group: &CloudGroup) -> String {
    let content = group_file::content(group).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    content.unwrap_or_else(|| group.content.clone())
}

impl Resource for CloudGroup {
    type Spec = Spec;

    const KIND: &'static str = "Group";

    fn read(spec: Value, _: Option<&Self>) -> Result<Spec, Refusal> {
        let sent: Sent = json::form(spec, KEYS)?;
        if sent.template.is_empty() {
            return Err(Refusal::Invalid("template field is required".to_owned()));
        }
        clean("osVersion", &sent.osversion)?;
        let members = sent.metadata.unwrap_or_default();
        Ok(Spec {
            description: sent.description,
            template: sent.template,
            meta_data: members.iter().map(|(key, value)| (key.clone(), as_text(value))).collect(),
            os_version: sent.osversion,
        })
    }

    fn all(inventory: &Inventory) -> Vec<Self> {
        inventory.cloud_groups.iter().map(|record| (*record).clone()).collect()
    }

    fn by_uid(inventory: &Inventory, uid: &str) -> Vec<Self> {
        inventory.find::<Self>(Index::CloudGroupUid, uid).map(|record| (*record).clone()).collect()
    }

    fn by_name(inventory: &Inventory, name: &str) -> Vec<Self> {
        inventory.cloud_groups.get(name).map(|record| (*record).clone()).into_iter().collect()
    }

    fn meta(&self) -> Meta {
        self.metadata.clone()
    }

    fn spec(&self) -> Spec {
        Spec {
            description: self.description.clone(),
            template: template(self),
            meta_data: self.meta_data.iter().map(|(key, value)| (key.clone(), as_text(value))).collect(),
            os_version: self.os_version.clone(),
        }
    }

    fn put(draft: &mut Draft<'_>, old: Option<&Self>, meta: Meta, spec: Spec) -> Result<Self, Refusal> {
        if meta.name.trim().is_empty() {
            let text = "name is required: that of the SMD group whose nodes read it";
            return Err(Refusal::Invalid(text.to_owned()));
        }
        let taken = draft.inventory().cloud_groups.contains(&meta.name);
        match old {
            Some(old) if old.metadata.name == meta.name => {}
            _ if taken && draft.inventory().cloud_groups.filed(&meta.name).is_none() => {
                return Err(Refusal::Conflict(format!("there is a group '{}' already", meta.name)));
            }
            Some(old) => drop(draft.remove::<Self>(&old.metadata.name)?),
            None => {}
        }
        let mut group = old.cloned().unwrap_or_default();
        // What cloud-init keeps in another form stays in it as long as it means the same.
        if old.is_none_or(|old| template(old) != spec.template) {
            group.content = spec.template;
            group.encoding = "plain".to_owned();
        }
        let known = std::mem::take(&mut group.meta_data);
        let same = |key: &str, text: &Value| known.get(key).filter(|value| as_text(value) == *text).cloned();
        let members = spec.meta_data.iter();
        group.meta_data = members
            .map(|(key, text)| (key.clone(), same(key, text).unwrap_or_else(|| text.clone())))
            .collect();
        group.description = spec.description;
        group.os_version = spec.os_version;
        group.metadata = meta;
        draft.put(group.clone())?;
        Ok(group)
    }

    fn remove(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        draft.remove::<Self>(&self.metadata.name)?;
        Ok(())
    }
}
