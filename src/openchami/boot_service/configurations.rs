//! `/bootconfigurations`: boot units as resources.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::openchami::api::json::{self, Keys};
use crate::openchami::bss::identifier::Identifier;
use crate::openchami::inventory::{BootUnit, Draft, Index, Inventory, Meta, Owned};
use crate::records::entry::host_pattern;

use super::envelope::{Refusal, Resource, clean};

/// What clients say of a boot configuration. Roles stand among the hosts, as BSS has them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    macs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nids: Vec<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    profile: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    kernel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    initrd: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    params: String,
    #[serde(skip_serializing_if = "is_zero")]
    priority: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A boot unit as a resource.
pub struct Configuration(Arc<BootUnit>);

impl Resource for Configuration {
    type Spec = Spec;

    const KIND: &'static str = "BootConfiguration";

    fn read(spec: Value, old: Option<&Self>) -> Result<Spec, Refusal> {
        let mut spec: Spec = json::form(spec, Keys::default())?;
        // What is stored already may have come from BSS or a file, which take more than this service.
        let old = old.map(Self::spec).unwrap_or_default();
        for host in &mut spec.hosts {
            *host = checked_host(host, &old.hosts)?;
        }
        for mac in &mut spec.macs {
            *mac = match Identifier::mac(mac) {
                Some(mac) => mac.to_string(),
                None => return Err(invalid("MAC address format", mac)),
            };
        }
        if let Some(nid) = spec.nids.iter().find(|nid| u32::try_from(**nid).is_err()) {
            return Err(Refusal::Invalid(format!("invalid nid: {nid}")));
        }
        for (key, text) in [("params", &spec.params), ("profile", &spec.profile)] {
            clean(key, text)?;
        }
        for group in &spec.groups {
            clean("groups", group)?;
        }
        if spec.kernel.is_empty() {
            return Err(Refusal::Invalid("kernel field is required".to_owned()));
        }
        for (key, text, old) in [("kernel", &spec.kernel, &old.kernel), ("initrd", &spec.initrd, &old.initrd)]
        {
            let own_disk = key == "kernel" && text == "local";
            if !text.is_empty() && text != old && !own_disk && !is_place(text) {
                return Err(invalid(&format!("{key} URL or path"), text));
            }
        }
        if !(0..=100).contains(&spec.priority) && spec.priority != old.priority {
            return Err(Refusal::Invalid("priority must be between 0 and 100".to_owned()));
        }
        Ok(spec)
    }

    fn all(inventory: &Inventory) -> Vec<Self> {
        inventory.boot_units.iter().map(Self).collect()
    }

    fn by_uid(inventory: &Inventory, uid: &str) -> Vec<Self> {
        inventory.boot_units.get(uid).map(Self).into_iter().collect()
    }

    fn by_name(inventory: &Inventory, name: &str) -> Vec<Self> {
        inventory.find(Index::UnitName, name).map(Self).collect()
    }

    fn meta(&self) -> Meta {
        self.0.metadata.clone()
    }

    fn spec(&self) -> Spec {
        let unit = &self.0;
        // This service writes the word in lower case.
        let host = |host: &String| if host == "Default" { "default".to_owned() } else { host.clone() };
        Spec {
            hosts: unit.hosts.iter().map(host).chain(unit.roles.iter().cloned()).collect(),
            macs: unit.macs.clone(),
            nids: unit.nids.clone(),
            groups: unit.groups.clone(),
            profile: unit.profile.clone(),
            kernel: unit.kernel.clone(),
            initrd: unit.initrd.clone(),
            params: unit.params.clone(),
            priority: unit.priority,
        }
    }

    fn put(draft: &mut Draft<'_>, old: Option<&Self>, meta: Meta, spec: Spec) -> Result<Self, Refusal> {
        let uid = meta.uid.clone();
        if let Some(filed) = draft.inventory().boot_units.filed(&uid)
            && filed.record.metadata.name != meta.name
        {
            return Err(Refusal::Owned(Owned {
                what: "boot configuration",
                key: uid,
                file: filed.origin.file.display().to_string(),
                line: filed.origin.line,
                field: "name".to_owned(),
            }));
        }
        let mut unit = BootUnit {
            metadata: meta,
            macs: spec.macs,
            nids: spec.nids,
            groups: spec.groups,
            profile: spec.profile,
            kernel: spec.kernel,
            initrd: spec.initrd,
            params: spec.params,
            priority: spec.priority,
            cloud_init: old.map(|old| old.0.cloud_init.clone()).unwrap_or_default(),
            ..BootUnit::default()
        };
        for host in spec.hosts {
            match Identifier::host(&host) {
                Identifier::Role(role) => unit.roles.push(role),
                host => unit.hosts.push(host.to_string()),
            }
        }
        draft.put(unit)?;
        let stored = draft.inventory().boot_units.get(&uid);
        stored.map(Self).ok_or_else(|| Refusal::NotFound(format!("{uid} is gone")))
    }

    fn remove(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        draft.remove::<BootUnit>(&self.0.metadata.uid)?;
        Ok(())
    }
}

fn invalid(what: &str, text: &str) -> Refusal {
    Refusal::Invalid(format!("invalid {what}: {}", text.escape_debug()))
}

/// An xname of a node, `default`, a role, a pattern, or what was stored before.
fn checked_host(text: &str, old: &[String]) -> Result<String, Refusal> {
    let wrong = || invalid("host XName format", text);
    match Identifier::host(text) {
        Identifier::Role(role) => Ok(role),
        Identifier::Host(host) if host == "Default" => Ok("default".to_owned()),
        Identifier::Host(host) if old.contains(&host) => Ok(host),
        Identifier::Host(host) if host.contains('*') => {
            host_pattern(&host).map(|prefix| format!("{prefix}*")).map_err(|_| wrong())
        }
        Identifier::Host(host) => match host.parse::<crate::openchami::xname::Location>() {
            Ok(location) if location.is_node() => Ok(host),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

/// A URL that a node can fetch from, or an absolute path: of the asset folder.
fn is_place(text: &str) -> bool {
    let one_word = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let absolute = text.starts_with('/') && !text.split('/').any(|part| part == "..");
    one_word && (absolute || host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')))
}
