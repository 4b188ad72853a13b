//! `POST /phone-home/{id}`: cloud-init on a node says that it is done. Believed only of the node itself.

use hyper::StatusCode;

use crate::openchami::api::{Ask, Reply};
use crate::openchami::boot_service::boot_once;
use crate::openchami::inventory::{Draft, Runtime};

use super::{form, instance_id, node};

/// Longest body, bytes: a handful of host keys.
pub const LIMIT: usize = 64 << 10;

/// Takes the call: the node is `Ready` from now on.
pub fn post(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let inventory = draft.inventory();
    let wanted = node::normal(ask.variable("id"));
    let caller = ask
        .request
        .asker
        .node
        .as_deref()
        .filter(|caller| wanted == **caller || wanted == instance_id::of(inventory, caller));
    let Some(id) = caller.map(str::to_owned) else {
        let text = match &ask.request.asker.node {
            Some(node) => format!("{node} cannot phone home for {wanted}"),
            None => format!("only {wanted} itself can phone home for it, and this address is no node's"),
        };
        return ask.refuse(StatusCode::FORBIDDEN, &text);
    };
    if let Err(problem) = form::check(&ask.request.body) {
        return ask.refuse(StatusCode::BAD_REQUEST, &problem);
    }
    let Some(component) = inventory.components.get(&id) else {
        return ask.refuse(StatusCode::NOT_FOUND, &format!("node {id} not found in SMD"));
    };
    let mut component = (*component).clone();
    component.state = "Ready".to_owned();
    component.flag = "OK".to_owned();
    let ready = || {
        draft.put(component)?;
        // What the operator wanted of this boot has happened.
        boot_once::done(draft, &id)?;
        let known = draft.inventory().runtime.get(&id);
        let known =
            known.map_or_else(|| Runtime { id: id.clone(), ..Runtime::default() }, |known| (*known).clone());
        draft.put(Runtime { phoned_home: ask.time(), ..known })
    };
    match ready() {
        Ok(()) => Reply { detail: Some(format!("{id} is Ready")), ..Reply::empty(StatusCode::OK) },
        Err(owned) => ask.refuse(StatusCode::CONFLICT, &owned.to_string()),
    }
}
