//! `/admin`: cluster defaults and instance info. Groups are in [`super::groups`].

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::openchami::api::json::{self, Keys};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{ClusterDefaults, Draft, InstanceInfo, Meta};

use super::{defaults, instance_info, node, uid};

/// Keys as cloud-init and metadata-service spell them.
const KEYS: Keys = Keys { loose: true, free: &[] };

/// Cluster defaults as they are sent.
#[derive(Deserialize, Default)]
#[serde(default)]
struct DefaultsBody {
    cloudprovider: String,
    region: String,
    availabilityzone: String,
    clustername: String,
    publickeys: Vec<String>,
    baseurl: String,
    bootsubnet: String,
    wgsubnet: String,
    shortname: String,
    nidlength: u8,
}

/// `GET /admin/cluster-defaults`: the members that say something.
pub fn cluster_defaults(ask: &Ask<'_>) -> Reply {
    let defaults = defaults::in_force(ask.inventory()).unwrap_or_default();
    let mut members = Map::new();
    let mut text = |key: &str, text: &str| {
        if !text.is_empty() {
            members.insert(key.to_owned(), text.into());
        }
    };
    text("cloud_provider", &defaults.cloud_provider);
    text("region", &defaults.region);
    text("availability-zone", &defaults.availability_zone);
    text("cluster-name", &defaults.cluster_name);
    text("base-url", &defaults.base_url);
    text("boot-subnet", &defaults.boot_subnet);
    text("wg-subnet", &defaults.wg_subnet);
    text("short-name", &defaults.short_name);
    if !defaults.public_keys.is_empty() {
        members.insert("public-keys".to_owned(), defaults.public_keys.clone().into());
    }
    if defaults.nid_length > 0 {
        members.insert("nid-length".to_owned(), defaults.nid_length.into());
    }
    Reply::json(StatusCode::OK, &Value::Object(members))
}

/// `POST /admin/cluster-defaults`: lays what is said over what there is; nothing can be taken away here.
pub fn set_cluster_defaults(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let body: DefaultsBody = match json::object(&ask.request.body, KEYS) {
        Ok(body) => body,
        Err(error) => return silent(&error.to_string()),
    };
    let time = ask.time();
    let mut record = match defaults::in_force(draft.inventory()) {
        Some(known) => (*known).clone(),
        None => {
            let metadata = Meta {
                name: "default".to_owned(),
                uid: uid("clusterdefaults", draft.inventory().salt(), &time),
                created_at: time.clone(),
                ..Meta::default()
            };
            ClusterDefaults { metadata, ..ClusterDefaults::default() }
        }
    };
    record.metadata.updated_at = defaults::next_update(draft.inventory(), time);
    let base_url = body.baseurl.trim_end_matches('/').to_owned();
    for (field, said) in [
        (&mut record.cloud_provider, body.cloudprovider),
        (&mut record.region, body.region),
        (&mut record.availability_zone, body.availabilityzone),
        (&mut record.cluster_name, body.clustername),
        (&mut record.base_url, base_url),
        (&mut record.boot_subnet, body.bootsubnet),
        (&mut record.wg_subnet, body.wgsubnet),
        (&mut record.short_name, body.shortname),
    ] {
        if !said.is_empty() {
            *field = said;
        }
    }
    if !body.publickeys.is_empty() {
        record.public_keys = body.publickeys;
    }
    if body.nidlength > 0 {
        record.nid_length = body.nidlength;
    }
    if let Err(problem) = defaults::problem(&record) {
        return silent(&problem);
    }
    let stored = defaults::check(draft.inventory(), &record).and_then(|()| draft.put(record));
    match stored {
        Ok(()) => Reply::empty(StatusCode::CREATED),
        Err(owned) => ask.refuse(StatusCode::CONFLICT, &owned.to_string()),
    }
}

/// A 400 without a body, as the reference sends it; the log says what is wrong.
fn silent(detail: &str) -> Reply {
    Reply { detail: Some(detail.to_owned()), ..Reply::empty(StatusCode::BAD_REQUEST) }
}

/// Instance info as it is sent. Its `id` is in the path, too, and is taken from there.
#[derive(Deserialize, Default)]
#[serde(default)]
struct InfoBody {
    instanceid: String,
    localhostname: String,
    hostname: String,
    clustername: String,
    region: String,
    availabilityzone: String,
    cloudprovider: String,
    instancetype: String,
    cloudinitbaseurl: String,
    publickeys: Vec<String>,
}

/// `PUT /admin/instance-info/{id}`: replaces everything but an instance id that is stored already.
pub fn set_instance_info(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let id = node::normal(ask.variable("id"));
    let body: InfoBody = match json::object(&ask.request.body, KEYS) {
        Ok(body) => body,
        Err(error) => return ask.refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let time = ask.time();
    let known = instance_info::of(draft.inventory(), &id);
    let (mut metadata, kept) = match &known {
        Some(known) => (known.metadata.clone(), known.instance_id.clone()),
        None => {
            let uid = uid("instanceinfo", draft.inventory().salt(), &id);
            (Meta { name: id, uid, created_at: time.clone(), ..Meta::default() }, String::new())
        }
    };
    metadata.updated_at = time;
    let record = InstanceInfo {
        metadata,
        description: known.as_ref().map(|known| known.description.clone()).unwrap_or_default(),
        default_profile: known.as_ref().map(|known| known.default_profile.clone()).unwrap_or_default(),
        instance_id: if kept.is_empty() { body.instanceid } else { kept },
        local_hostname: body.localhostname,
        hostname: body.hostname,
        cluster_name: body.clustername,
        region: body.region,
        availability_zone: body.availabilityzone,
        cloud_provider: body.cloudprovider,
        instance_type: body.instancetype,
        cloud_init_base_url: body.cloudinitbaseurl.trim_end_matches('/').to_owned(),
        public_keys: body.publickeys,
    };
    if let Err(problem) = instance_info::problem(&record) {
        return ask.refuse(StatusCode::BAD_REQUEST, &problem);
    }
    match draft.put(record) {
        Ok(()) => Reply::empty(StatusCode::CREATED),
        Err(owned) => ask.refuse(StatusCode::CONFLICT, &owned.to_string()),
    }
}
