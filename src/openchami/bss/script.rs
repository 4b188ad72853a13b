//! `/bootscript` of BSS and boot-service, at any door: which node is asked for, and the script as an answer.

use std::net::IpAddr;

use hyper::StatusCode;

use crate::boot::script::{self, Script, ScriptRequest, Who};
use crate::http::query;
use crate::openchami::api::message::PROBLEM;
use crate::openchami::api::{Ask, Reply, Service};
use crate::openchami::history::{Endpoint, History};
use crate::records::Mac;
use crate::world::World;

/// BSS writes it in these letters on this route.
const SCRIPT: &str = "text/plain; charset=UTF-8";
const JSON: &str = "application/json; charset=UTF-8";

/// A request for a script.
pub struct Asked<'a> {
    /// BSS or boot-service.
    pub service: Service,
    /// Path that was asked.
    pub path: String,
    /// Its query, decoded.
    pub query: &'a [(String, String)],
    /// Scheme and authority by which the client reaches us.
    pub base: String,
    /// Our address that was asked, at a listener that booting machines use.
    pub local: Option<IpAddr>,
}

/// The answer, and what it was made from.
pub struct Answered {
    /// What the client gets.
    pub reply: Reply,
    /// The script; none where the question was wrong.
    pub script: Option<Script>,
    /// The MAC that the client says it has.
    pub claimed: Option<Mac>,
}

/// The service whose script a path asks for.
pub fn service_of(path: &str) -> Option<Service> {
    let is = |prefix: &&str| path.strip_prefix(*prefix) == Some("/bootscript");
    [Service::Bss, Service::Boot].into_iter().find(|service| service.prefixes().iter().any(is))
}

/// `GET …/bootscript` on the admin listener: a preview, which takes no next boot.
pub fn get(ask: &Ask<'_>) -> Reply {
    let asked = Asked {
        service: ask.found.route.service,
        path: ask.request.path.clone(),
        query: &ask.request.query,
        base: ask.request.base.clone(),
        local: None,
    };
    let Answered { reply, script, .. } = answer(ask.world, &asked);
    note(ask.history, script.as_ref(), ask.request.now);
    reply
}

/// Notes in the history that a node was served its script.
pub fn note(history: &History, script: Option<&Script>, now: jiff::Timestamp) {
    let Some(script) = script else { return };
    let xname = script.xname.as_ref().map(ToString::to_string);
    if let Some(node) = xname.as_ref().or(script.node.as_ref()) {
        history.note(node, Endpoint::Bootscript, now.as_second());
    }
}

/// Answers.
pub fn answer(world: &World, asked: &Asked<'_>) -> Answered {
    let Some(who) = who(asked) else { return Answered { reply: nobody(asked), script: None, claimed: None } };
    let claimed = match &who {
        Who::Mac { mac, .. } => Some(*mac),
        _ => None,
    };
    let request = ScriptRequest {
        who,
        retry: query::value(asked.query, "retry").and_then(|text| text.parse().ok()).unwrap_or(0),
        // An empty value still says that the node was asked.
        arch: asked.query.iter().find(|(name, _)| name == "arch").map(|(_, value)| value.clone()),
        base: asked.base.clone(),
        path: asked.path.clone(),
        local: asked.local,
    };
    let script = script::bootscript(world, &request);
    let reply = if query::value(asked.query, "json") == Some("1") {
        match script.json() {
            Some(json) => Reply { kind: JSON, ..Reply::json(StatusCode::OK, &json) },
            None => {
                let why = script.reason.map_or("nothing to boot", |reason| reason.text());
                Reply::problem(StatusCode::NOT_FOUND, why)
            }
        }
    } else {
        Reply { kind: SCRIPT, ..Reply::text(StatusCode::OK, &script.text) }
    };
    let reply = Reply { detail: remarks(&script), ..reply };
    Answered { reply, script: Some(script), claimed }
}

/// For whom: BSS takes `mac`, else `name`, else `nid`. boot-service takes `host`, `mac`, `nid`, and any of them
/// may hold a MAC, a number or a name; that it has no `name` is no reason to refuse it.
fn who(asked: &Asked<'_>) -> Option<Who> {
    if asked.service == Service::Bss {
        return query::who(asked.query);
    }
    let text = ["host", "mac", "nid", "name"].iter().find_map(|name| query::value(asked.query, name))?;
    Some(match Who::mac(text) {
        mac @ Who::Mac { .. } => mac,
        _ => text.parse().map_or_else(|_| Who::Name(text.to_owned()), Who::Nid),
    })
}

fn nobody(asked: &Asked<'_>) -> Reply {
    if asked.service == Service::Bss {
        return Reply::problem(StatusCode::BAD_REQUEST, "Need a mac=, name=, or nid= parameter");
    }
    let detail = "At least one node identifier (host, mac, or nid) must be provided";
    let body = serde_json::json!({
        "type": "about:blank",
        "title": "Missing node identifier",
        "detail": detail,
        "status": 400,
    });
    Reply { kind: PROBLEM, detail: Some(detail.to_owned()), ..Reply::json(StatusCode::BAD_REQUEST, &body) }
}

/// What the log says of a script beyond its reason.
fn remarks(script: &Script) -> Option<String> {
    let entry = match (&script.entry, script.by) {
        (Some(entry), Some(by)) => Some(format!("entry {entry} by {}", by.name())),
        _ => None,
    };
    let problem = script.problem.iter().map(ToString::to_string);
    let all: Vec<String> = entry.into_iter().chain(script.notes.iter().cloned()).chain(problem).collect();
    (!all.is_empty()).then(|| all.join("; "))
}
