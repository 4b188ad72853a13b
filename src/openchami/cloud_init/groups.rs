//! `/admin/groups`: what cloud-init has for the members of an SMD group of the same name.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::openchami::api::json::{self as body, Keys};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{CloudGroup, Draft, Meta};

use super::{group_file, uid, words};

/// `meta-data` and `versions` are the administrator's own: their keys stay as they are written.
const KEYS: Keys = Keys { loose: true, free: &["metadata", "versions"] };

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupBody {
    name: String,
    description: String,
    metadata: Option<Map<String, Value>>,
    file: FileBody,
    versions: Option<Map<String, Value>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FileBody {
    content: String,
    filename: String,
    encoding: String,
}

/// A group as cloud-init shows it.
fn shown(group: &CloudGroup) -> Value {
    let mut members = Map::new();
    members.insert("name".to_owned(), group.metadata.name.as_str().into());
    if !group.description.is_empty() {
        members.insert("description".to_owned(), group.description.as_str().into());
    }
    if !group.meta_data.is_empty() {
        members.insert("meta-data".to_owned(), group.meta_data.clone().into());
    }
    let file = json!({"content": group.content, "filename": group.filename, "encoding": group.encoding});
    members.insert("file".to_owned(), file);
    if !group.versions.is_empty() {
        members.insert("versions".to_owned(), group.versions.clone().into());
    }
    members.into()
}

/// `GET /admin/groups`: an object by name.
pub fn list(ask: &Ask<'_>) -> Reply {
    let groups = ask.inventory().cloud_groups.iter();
    let all: Map<String, Value> = groups.map(|group| (group.metadata.name.clone(), shown(&group))).collect();
    Reply::json(StatusCode::OK, &Value::Object(all))
}

/// `GET /admin/groups/{name}`
pub fn get(ask: &Ask<'_>) -> Reply {
    let name = ask.variable("name");
    match ask.inventory().cloud_groups.get(name) {
        Some(group) => Reply::json(StatusCode::OK, &shown(&group)),
        None => ask.refuse(StatusCode::NOT_FOUND, &format!("group ({name}) not found in memstore")),
    }
}

/// `POST /admin/groups`: a new one. One that a file states may be sent again.
pub fn add(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let sent = match read(ask) {
        Ok(sent) => sent,
        Err(reply) => return reply,
    };
    let groups = &draft.inventory().cloud_groups;
    if groups.contains(&sent.name) && groups.filed(&sent.name).is_none() {
        let text = format!("group '{}' not added as it already exists", sent.name);
        return ask.refuse(StatusCode::CONFLICT, &text);
    }
    let (name, place) = (sent.name.clone(), sent.name.clone());
    put(ask, draft, sent, name, &place)
}

/// `PUT /admin/groups/{name}`: stored under the name in the path, whatever the body's is; `Location` shows the
/// body's, as the reference does.
pub fn set(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let sent = match read(ask) {
        Ok(sent) => sent,
        Err(reply) => return reply,
    };
    let place = sent.name.clone();
    put(ask, draft, sent, ask.variable("name").to_owned(), &place)
}

/// `DELETE /admin/groups/{name}`: 200 also for one that is not there.
pub fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    match draft.remove::<CloudGroup>(ask.variable("name")) {
        Ok(true) => Reply::empty(StatusCode::OK),
        Ok(false) => {
            Reply { detail: Some("there was no such group".to_owned()), ..Reply::empty(StatusCode::OK) }
        }
        Err(owned) => ask.refuse(StatusCode::CONFLICT, &owned.to_string()),
    }
}

fn read(ask: &Ask<'_>) -> Result<GroupBody, Reply> {
    let unusable = |text: &str| ask.refuse(StatusCode::UNPROCESSABLE_ENTITY, text);
    let sent: GroupBody =
        body::object(&ask.request.body, KEYS).map_err(|error| unusable(&error.to_string()))?;
    if sent.name.trim().is_empty() {
        return Err(unusable("name is required"));
    }
    words::one_line("name", &sent.name).map_err(|text| ask.refuse(StatusCode::BAD_REQUEST, &text))?;
    Ok(sent)
}

fn put(ask: &Ask<'_>, draft: &mut Draft<'_>, sent: GroupBody, name: String, place: &str) -> Reply {
    let time = ask.time();
    let known = draft.inventory().cloud_groups.get(&name);
    let metadata = match &known {
        Some(known) => Meta { updated_at: time, ..known.metadata.clone() },
        None => Meta {
            uid: uid("group", draft.inventory().salt(), &name),
            name,
            created_at: time.clone(),
            updated_at: time,
            ..Meta::default()
        },
    };
    let group = CloudGroup {
        metadata,
        description: sent.description,
        meta_data: sent.metadata.unwrap_or_default(),
        content: sent.file.content,
        filename: sent.file.filename,
        encoding: sent.file.encoding,
        versions: sent.versions.unwrap_or_default(),
        os_version: known.map(|known| known.os_version.clone()).unwrap_or_default(),
    };
    if let Err(error) = group_file::content(&group) {
        let text = format!("file.content of group '{}' is no base64: {error}", group.metadata.name);
        return ask.refuse(StatusCode::UNPROCESSABLE_ENTITY, &text);
    }
    match draft.put(group) {
        Ok(()) => Reply::empty(StatusCode::CREATED).with("location", &format!("/groups/{place}")),
        Err(owned) => ask.refuse(StatusCode::CONFLICT, &owned.to_string()),
    }
}
