//! cloud-init's defaults.yaml, groups.yaml and nodes.yaml of what the store holds, as `--cloud-init` reads them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::source::Source;
use crate::config::{Diagnostic, Findings};
use crate::openchami::cloud_init::files::{self, CloudFiles};
use crate::openchami::inventory::{CloudGroup, ClusterDefaults, InstanceInfo, Inventory, Live, Record};
use crate::openchami::xname::Location;

use super::Files;

/// The files by their names within an export, and what each is called by itself.
pub(super) const FILES: [(&str, &str); 3] = [
    ("cloud-init/defaults.yaml", files::DEFAULTS),
    ("cloud-init/groups.yaml", files::GROUPS),
    ("cloud-init/nodes.yaml", files::NODES),
];

/// Files without a record.
const NO_DEFAULTS: &str = "{}\n";
const NO_RECORDS: &str = "[]\n";

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DefaultsYaml<'r> {
    #[serde(skip_serializing_if = "str::is_empty")]
    base_url: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cluster_name: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    short_name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nid_length: Option<u8>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    public_keys: &'r [String],
    #[serde(rename = "cloud_provider", skip_serializing_if = "str::is_empty")]
    cloud_provider: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    region: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    availability_zone: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    boot_subnet: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    wg_subnet: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct GroupYaml<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'r str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    meta_data: &'r Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileYaml<'r>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    versions: &'r Map<String, Value>,
}

#[derive(Serialize)]
struct FileYaml<'r> {
    #[serde(skip_serializing_if = "str::is_empty")]
    filename: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'r str>,
    content: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct InfoYaml<'r> {
    id: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    instance_id: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    local_hostname: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    hostname: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    instance_type: &'r str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    public_keys: &'r [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    cloud_init_base_url: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cluster_name: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    region: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    availability_zone: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cloud_provider: &'r str,
}

/// Writes the files, also those that hold nothing: one of an earlier export must not stay in their place.
pub(super) fn write(inventory: &Inventory, files: &mut Files) {
    let defaults = defaults_of(inventory).and_then(|record| yaml(&defaults(record)));
    let groups = inventory.cloud_groups.stored().filter(|group| is_plain(group));
    let groups: Vec<GroupYaml<'_>> = groups.map(|record| group(record)).collect();
    let infos: Vec<InfoYaml<'_>> = infos_of(inventory).values().map(|record| info(record)).collect();
    let (groups, infos) = (yaml(&groups), yaml(&infos));
    for ((name, _), text) in FILES.into_iter().zip([defaults, groups, infos]) {
        let nothing = if name == FILES[0].0 { NO_DEFAULTS } else { NO_RECORDS };
        files.insert(name.to_owned(), text.unwrap_or_else(|| nothing.to_owned()));
    }
}

/// Lays what the files hold into an inventory that holds nothing of cloud-init.
pub(super) fn read(files: &Files, live: &mut Live) -> Result<(), Vec<Diagnostic>> {
    let (mut cloud, mut findings) = (CloudFiles::default(), Findings::default());
    for (name, alone) in FILES {
        if let Some(text) = files.get(name) {
            cloud.add(&Arc::new(Source::new(Path::new(alone), text.clone())), &mut findings);
        }
    }
    if findings.has_errors() {
        return Err(findings.into_list());
    }
    live.inventory.lay_cloud_files(&cloud);
    Ok(())
}

/// The uids of the records that the files hold by other keys, by table and name.
pub(super) fn uids(inventory: &Inventory) -> Map<String, Value> {
    let mut uids = Map::new();
    let mut add = |table: &str, name: &str, uid: &str| {
        let of_table = uids.entry(table).or_insert_with(|| Value::Object(Map::new()));
        of_table[name] = uid.into();
    };
    if let Some(defaults) = defaults_of(inventory) {
        add(ClusterDefaults::TABLE, files::DEFAULTS, &defaults.metadata.uid);
    }
    for (name, info) in infos_of(inventory) {
        add(InstanceInfo::TABLE, name, &info.metadata.uid);
    }
    uids
}

/// Gives the records of the files the uids that they have in the store.
pub(super) fn rekey(tables: &mut Map<String, Value>, uids: &Map<String, Value>) {
    for (table, uids) in uids {
        let Some(Value::Object(records)) = tables.get_mut(table) else { continue };
        for (key, mut record) in std::mem::take(records) {
            let uid = record["metadata"]["name"].as_str().and_then(|name| uids.get(name)).cloned();
            let key = uid.as_ref().and_then(Value::as_str).map_or(key, str::to_owned);
            if let Some(uid) = uid {
                record["metadata"]["uid"] = uid;
            }
            records.insert(key, record);
        }
    }
}

/// The set that counts among those of the store.
fn defaults_of(inventory: &Inventory) -> Option<&ClusterDefaults> {
    let stored = inventory.cluster_defaults.stored().map(|record| &**record);
    stored.max_by(|a, b| a.metadata.updated_at.cmp(&b.metadata.updated_at))
}

/// Instance info that a node's xname names; of several for one node the first.
fn infos_of(inventory: &Inventory) -> BTreeMap<&str, &InstanceInfo> {
    let mut infos = BTreeMap::new();
    for record in inventory.instance_infos.stored() {
        let name = record.metadata.name.as_str();
        if name.parse::<Location>().is_ok_and(|at| at.as_str() == name) {
            infos.entry(name).or_insert(&**record);
        }
    }
    infos
}

/// Whether a file of lines can hold it; what cannot be is in `rest.json`.
fn is_plain(group: &CloudGroup) -> bool {
    let lines = |text: &str| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    let known = matches!(group.encoding.as_str(), "" | "plain" | "base64");
    known && lines(&group.content) && lines(&group.description) && lines(&group.filename)
}

fn defaults(record: &ClusterDefaults) -> DefaultsYaml<'_> {
    DefaultsYaml {
        base_url: &record.base_url,
        cluster_name: &record.cluster_name,
        short_name: &record.short_name,
        nid_length: (record.nid_length > 0).then_some(record.nid_length),
        public_keys: &record.public_keys,
        cloud_provider: &record.cloud_provider,
        region: &record.region,
        availability_zone: &record.availability_zone,
        boot_subnet: &record.boot_subnet,
        wg_subnet: &record.wg_subnet,
    }
}

fn group(record: &CloudGroup) -> GroupYaml<'_> {
    let file = FileYaml {
        filename: &record.filename,
        encoding: Some(record.encoding.as_str()).filter(|encoding| !encoding.is_empty()),
        content: &record.content,
    };
    GroupYaml {
        name: &record.metadata.name,
        description: &record.description,
        meta_data: &record.meta_data,
        file: (!record.content.is_empty()).then_some(file),
        versions: &record.versions,
    }
}

fn info(record: &InstanceInfo) -> InfoYaml<'_> {
    InfoYaml {
        id: &record.metadata.name,
        instance_id: &record.instance_id,
        local_hostname: &record.local_hostname,
        hostname: &record.hostname,
        instance_type: &record.instance_type,
        public_keys: &record.public_keys,
        cloud_init_base_url: &record.cloud_init_base_url,
        cluster_name: &record.cluster_name,
        region: &record.region,
        availability_zone: &record.availability_zone,
        cloud_provider: &record.cloud_provider,
    }
}

fn yaml(value: &impl Serialize) -> Option<String> {
    serde_yaml::to_string(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{export, import};
    use super::*;
    use crate::openchami::inventory::Draft;
    use crate::openchami::testing::Harness;

    /// What an import of these files into an empty store holds.
    fn imported(files: &Files) -> Harness {
        let mut on = Harness::new();
        let (mut live, mut changes) = (on.world.live(), Vec::new());
        let mut draft = Draft::new(&mut live, &mut changes);
        import(files, &mut draft).unwrap();
        draft.finish();
        on.world = on.world.with(&live);
        on
    }

    #[test]
    fn cloud_init_is_exported_as_files_that_can_be_edited_and_read_again() {
        let mut on = Harness::new();
        let sent = |on: &mut Harness, method: &str, path: &str, body: Value| {
            let reply = on.send(method, path, &body.to_string());
            assert_eq!(reply.status, 201, "{}", reply.body_text());
        };
        let defaults =
            json!({"base-url": "http://h/c", "cluster-name": "no", "nid-length": 3, "short-name": "1e3"});
        sent(&mut on, "POST", "/cloud-init/admin/cluster-defaults", defaults.clone());
        let content = "## template: jinja\n#cloud-config\na: {{ b }}\n\n  - 'c' \"d\"\n\ttab\n";
        let group = json!({"name": "compute", "description": "two\nlines", "meta-data": {"n": [1, {"k": null}]},
            "file": {"content": content, "encoding": "plain"}});
        sent(&mut on, "POST", "/cloud-init/admin/groups", group);
        sent(
            &mut on,
            "POST",
            "/cloud-init/admin/groups",
            json!({"name": "odd", "file": {"content": "\u{1}", "encoding": "x"}}),
        );
        let info = json!({"local-hostname": "login", "public-keys": ["ssh-rsa A"]});
        sent(&mut on, "PUT", "/cloud-init/admin/instance-info/x1000c0s0b0n0", info);
        let peer =
            json!({"metadata": {"name": "d"}, "spec": {"base_url": "http://h", "cluster_name": "older"}});
        on.now -= jiff::SignedDuration::from_hours(1);
        sent(&mut on, "POST", "/metadata-service/clusterdefaultss", peer);

        let mut files = export(&on.world.inventory);
        let copy = imported(&files);
        assert_eq!(export(&copy.world.inventory), files);
        assert_eq!(copy.world.inventory.stored_json(), on.world.inventory.stored_json());

        // The plain file is what counts for what stands in it.
        let groups = files.get_mut("cloud-init/groups.yaml").unwrap();
        assert!(groups.contains("two") && !groups.contains("odd"), "{groups}");
        *groups = groups.replace("a: {{ b }}", "a: {{ c }}");
        let mut copy = imported(&files);
        let read = copy.get("/cloud-init/admin/groups/compute").value();
        assert_eq!(read["file"]["content"], content.replace("{{ b }}", "{{ c }}"));
        assert_eq!(copy.get("/cloud-init/admin/groups/odd").value()["file"]["encoding"], "x");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_group_comes_back_as_it_was(
            content in "([a-z#:{}'\"|>%@`! -]{0,6}|\n|\t|\u{e9}|\\PC){0,12}",
            description in "[ -~]{0,12}|\\PC{0,6}",
            key in "[a-z-]{1,4}|yes|1e3|~",
        ) {
            let mut on = Harness::new();
            let body = json!({"name": "g", "description": description, "meta-data": {key: content},
                "file": {"content": content}});
            prop_assert_eq!(on.send("POST", "/cloud-init/admin/groups", &body.to_string()).status.as_u16(), 201);
            let files = export(&on.world.inventory);
            prop_assert_eq!(imported(&files).world.inventory.stored_json(), on.world.inventory.stored_json());
        }
    }
}
