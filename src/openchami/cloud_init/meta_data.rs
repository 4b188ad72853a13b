//! `meta-data`: one YAML document, keys in the order of the reference, from which the node takes its names and
//! which its templates read as `ds.meta_data`.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::openchami::api::{Ask, Reply, Service};
use crate::openchami::inventory::{CloudGroup, InstanceInfo, Inventory, Runtime};

use super::node::{self, Subject};
use super::{defaults, instance_id, instance_info, names, yaml};

const YAML: &str = "application/x-yaml";

/// Description of a group that cloud-init has nothing for.
const NO_DESCRIPTION: &str = "No description Found";

/// `GET /meta-data`
pub fn get(ask: &Ask<'_>) -> Reply {
    let id = match node::subject(ask) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    match Subject::find(ask, &id) {
        Some(subject) => {
            let body = yaml::document(&document(ask, &subject)).into();
            Reply { kind: YAML, body, ..Reply::empty(StatusCode::OK) }
        }
        None if ask.found.route.service == Service::Metadata => {
            ask.refuse(StatusCode::NOT_FOUND, "node not found")
        }
        None => ask.refuse(StatusCode::NOT_FOUND, &format!("node {id} not found in SMD")),
    }
}

/// The instance id, where this is the first time that somebody is told it.
pub fn to_keep(ask: &Ask<'_>, inventory: &Inventory) -> Option<Runtime> {
    instance_id::to_keep(inventory, &node::subject(ask).ok()?)
}

/// The members that are not empty.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn always(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.always(key, text);
        }
    }
}

fn document(ask: &Ask<'_>, subject: &Subject) -> Map<String, Value> {
    let inventory = ask.inventory();
    let defaults = defaults::in_force(inventory).unwrap_or_default();
    let info = instance_info::of(inventory, &subject.id).unwrap_or_default();
    let instance_id = instance_id::of(inventory, &subject.id);
    let source = ask.settings().hostname;
    let names = names::of(inventory, &subject.id, subject.nid(), subject.node.as_deref(), source);

    let mut v1 = Members::default();
    v1.text("availability_zone", &defaults.availability_zone);
    v1.always("instance_id", instance_id.as_str());
    v1.text("instance_type", &info.instance_type);
    v1.text("region", &defaults.region);
    v1.always("local_ipv4", subject.ipv4(inventory).unwrap_or_default());
    v1.text("cloud_provider", &defaults.cloud_provider);
    let keys: Vec<&String> = defaults.public_keys.iter().chain(&info.public_keys).collect();
    v1.always("public_keys", json!(keys));
    v1.always(
        "vendor_data",
        vendor_data(ask, subject, &defaults.cluster_name, &base_url(&info, &defaults.base_url)),
    );

    let mut top = Members::default();
    top.always("instance-id", instance_id);
    top.always("local-hostname", names.local);
    top.always("hostname", names.second);
    top.always("cluster-name", defaults.cluster_name.as_str());
    top.always("instance_data", json!({"v1": v1.0}));
    top.0
}

fn base_url(info: &InstanceInfo, general: &str) -> String {
    if info.cloud_init_base_url.is_empty() { general.to_owned() } else { info.cloud_init_base_url.clone() }
}

fn vendor_data(ask: &Ask<'_>, subject: &Subject, cluster_name: &str, base_url: &str) -> Value {
    let newer = ask.found.route.service == Service::Metadata;
    let mut members = Members::default();
    members.always("version", "1.0");
    members.text("cloud_init_base_url", base_url);
    if newer {
        members.always("nid", subject.nid());
        members.text("role", &subject.component.role);
        members.text("sub_role", &subject.component.sub_role);
    }
    members.text("cluster_name", cluster_name);
    let described = if newer { "description" } else { "Description" };
    let groups: Map<String, Value> = subject
        .groups
        .iter()
        .map(|(label, group)| (label.clone(), group_members(group.as_deref(), described)))
        .collect();
    members.always("groups", groups);
    if newer && let Some(node) = &subject.node {
        if let Some(nic) = node.nics.first() {
            members.always("mac", nic.mac.to_string());
        }
        let cards = node.nics.iter().map(|nic| {
            let ip = nic.addresses.first().map(ToString::to_string);
            json!({"mac": nic.mac.to_string(), "ip": ip.unwrap_or_default()})
        });
        members.always("interfaces", cards.collect::<Vec<_>>());
    }
    members.0.into()
}

/// A group's description and its own keys, which a key of the same name replaces.
fn group_members(group: Option<&CloudGroup>, described: &str) -> Value {
    let mut members = Members::default();
    let description = group.map(|group| group.description.as_str()).filter(|text| !text.is_empty());
    members.always(described, description.unwrap_or(NO_DESCRIPTION));
    for (key, value) in group.iter().flat_map(|group| &group.meta_data) {
        members.always(key, value.clone());
    }
    members.0.into()
}
