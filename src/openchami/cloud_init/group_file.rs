//! `{group}.yaml`: a group's cloud-config, as it was stored: a template is rendered by the node.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;

use crate::openchami::api::{Ask, Reply, Service};
use crate::openchami::inventory::{CloudGroup, Member};

use super::node;

/// What a member of a group gets that cloud-init has nothing for.
const NOTHING: &str = "#cloud-config";

/// `GET /{group}.yaml`
pub fn get(ask: &Ask<'_>) -> Reply {
    let id = match node::subject(ask) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let label = ask.variable("group");
    let inventory = ask.inventory();
    if !inventory.members.contains(&Member::key_of(label, &id)) {
        let text = match ask.found.route.service {
            Service::Metadata => format!("node {id} is not a member of group {label}"),
            _ => {
                format!("node {id} is not a member of group {label} (node and/or group may not exist in SMD)")
            }
        };
        return ask.refuse(StatusCode::NOT_FOUND, &text);
    }
    let content = inventory.cloud_groups.get(label).and_then(|group| content(&group).ok());
    let reply = Reply::text(StatusCode::OK, NOTHING);
    match content.filter(|content| !content.is_empty()) {
        Some(content) => Reply { body: content.into(), ..reply },
        None => reply,
    }
}

/// Whether a node of the group is given something under the group's name in a URL.
pub fn can_be_read(label: &str, group: &CloudGroup) -> bool {
    // A slash would be read as the end of a path element.
    !label.contains('/') && content(group).is_ok_and(|content| !content.is_empty())
}

/// The bytes that a node reads. The error says why base64 text is none.
pub fn content(group: &CloudGroup) -> Result<Vec<u8>, base64::DecodeError> {
    match group.encoding.as_str() {
        // Line breaks are no part of it: many tools fold base64.
        "base64" => STANDARD.decode(group.content.replace(['\r', '\n'], "")),
        _ => Ok(group.content.clone().into_bytes()),
    }
}
