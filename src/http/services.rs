//! The paths of the OpenCHAMI services that face booting nodes: those that say nothing of any node, and those
//! that tell a node what is its own. Everything else of the services is for administrators, and 404 here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;

use crate::link::Peers;
use crate::link::identity::{self, Doubt};
use crate::openchami::access::forwarded;
use crate::openchami::api::route::normalise;
use crate::openchami::api::{self, Access, Asker, Found, Reply, Routed, route};
use crate::records::Snapshot;

use super::body::Body;
use super::door::{Answer, Caller, Door, TAKEN, base};
use super::query;

/// Longest body that a node may send, bytes.
const BODY_MAX: usize = 64 << 10;
/// How long it may take.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// What a request asks of the services here.
pub(super) enum Asked {
    /// It is no path of theirs.
    Nothing,
    /// A path of theirs that is not served on this listener.
    Hidden,
    /// One that has other methods.
    WrongMethod(String),
    /// One that is served here.
    Route(Found),
}

/// Whether a route is for booting nodes.
fn faces_nodes(found: &Found) -> bool {
    matches!(found.route.access, Access::Node | Access::Open)
}

/// Looks a request up.
pub(super) fn asked(method: &Method, path: &str) -> Asked {
    let Ok(path) = percent_decode_str(path).decode_utf8() else { return Asked::Nothing };
    let path = normalise(&path);
    let bare = path.trim_start_matches('/');
    let within =
        |taken: &str| bare.strip_prefix(taken).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match route(method, &path) {
        Routed::Found(found) if faces_nodes(&found) => Asked::Route(found),
        Routed::WrongMethod { allow, .. } => {
            let here = allow.split(',').filter_map(|allowed| allowed.parse::<Method>().ok());
            let here: Vec<Method> = here
                .filter(
                    |allowed| matches!(route(allowed, &path), Routed::Found(found) if faces_nodes(&found)),
                )
                .collect();
            match here.is_empty() {
                true => Asked::Hidden,
                false => Asked::WrongMethod(here.iter().map(Method::as_str).collect::<Vec<_>>().join(",")),
            }
        }
        Routed::Found(_) => Asked::Hidden,
        Routed::NotFound if TAKEN.iter().any(|taken| within(taken)) => Asked::Hidden,
        Routed::NotFound => Asked::Nothing,
    }
}

/// Answers a request that asks for something of the services; `None` where it does not.
pub(super) async fn answer(
    door: &Arc<Door>,
    caller: &Arc<Caller>,
    request: &mut Request<Incoming>,
) -> Option<Answer> {
    let found = match asked(request.method(), request.uri().path()) {
        Asked::Nothing => return None,
        Asked::Hidden => return Some(Answer::plain(StatusCode::NOT_FOUND, "not served on this listener")),
        Asked::WrongMethod(allow) => {
            let reply = Reply::empty(StatusCode::METHOD_NOT_ALLOWED).with("allow", &allow);
            return Some(replied("services", None, reply));
        }
        Asked::Route(found) => found,
    };
    let (service, access) = (found.route.service, found.route.access);
    let what = service.title();
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let refused = |status, text: &str| Some(replied(what, None, service.refuse(status, text)));
    if path.chars().any(char::is_control) {
        return refused(StatusCode::BAD_REQUEST, "control characters cannot be part of a path");
    }
    let Ok(query) = query::pairs(request.uri().query().unwrap_or("")) else {
        return refused(StatusCode::BAD_REQUEST, &query::ControlCharacter.to_string());
    };
    let limit = found.route.limit.min(BODY_MAX);
    let body = match collect(request.body_mut(), limit).await {
        Ok(body) => body,
        Err(status) => {
            let text = format!(
                "the body is longer than {limit} bytes, or did not come in {} s",
                BODY_WAIT.as_secs()
            );
            let reply = service.refuse(status, &text).with("connection", "close");
            return Some(replied(what, None, reply));
        }
    };
    let world = door.world.load();
    // A trusted proxy speaks for others only; who hands on no address is nobody.
    let trusted = &world.settings.api.trusted_proxies;
    let client = forwarded::client(caller.peer.ip(), request.headers(), trusted);
    let address = client.unwrap_or_else(|| caller.peer.ip().to_canonical());
    let (asker, doubt) = match access {
        Access::Node if client.is_some() => {
            let peers = door.peers.clone();
            let identified =
                tokio::task::spawn_blocking(move || asker(&peers, &world.records, address)).await;
            identified.unwrap_or_else(|_| (Asker::unknown(address), None))
        }
        _ => (Asker::unknown(address), None),
    };
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let asked = api::Request {
        method: if request.method() == Method::HEAD { Method::GET } else { request.method().clone() },
        path: normalise(&path),
        query,
        content_type: kind.map(str::to_owned),
        body,
        base: match access {
            // What a node is told to fetch from us must lead to us, whatever it calls us.
            Access::Node => {
                format!("http://{}", SocketAddr::new(caller.local.ip().to_canonical(), caller.local.port()))
            }
            _ => base(request, caller.local),
        },
        asker,
        now: jiff::Timestamp::now(),
    };
    let node = asked.asker.node.clone();
    let mut reply = door.api.answer(found, asked).await;
    if let Some(doubt) = doubt {
        reply.detail = Some(doubt.to_string());
    }
    Some(replied(what, node, reply))
}

/// Who is at an address, by everything but what it says; and why it is taken for nobody. Asks the kernel.
pub fn asker(peers: &Peers, records: &Snapshot, address: IpAddr) -> (Asker, Option<Doubt>) {
    match identity::node_at(records, address, peers.evidence(address)) {
        Ok((node, mac)) => {
            let xname = node.xname.as_ref().map(ToString::to_string);
            let doubt = xname.is_none().then(|| Doubt::NoXname(node.label()));
            (Asker { address, mac, node: xname }, doubt)
        }
        Err(doubt) => (Asker::unknown(address), Some(doubt)),
    }
}

async fn collect(body: &mut Incoming, limit: usize) -> Result<bytes::Bytes, StatusCode> {
    match tokio::time::timeout(BODY_WAIT, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// The reply on the wire.
pub(super) fn replied(what: &'static str, node: Option<String>, reply: Reply) -> Answer {
    let mut response = Response::new(Body::from_bytes(reply.body));
    *response.status_mut() = reply.status;
    let length = response.body().length();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
    if !reply.kind.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.kind));
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    Answer { response, what, node, reason: None, detail: reply.detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(method: &str, path: &str) -> String {
        match asked(&method.parse().unwrap(), path) {
            Asked::Nothing => "nothing".to_owned(),
            Asked::Hidden => "hidden".to_owned(),
            Asked::WrongMethod(allow) => allow,
            Asked::Route(found) => format!("{} {}", found.prefix, found.route.path),
        }
    }

    #[test]
    fn nodes_find_their_own_paths_in_every_spelling() {
        for (path, expected) in [
            ("/cloud-init/meta-data", "/cloud-init /meta-data"),
            ("/cloud-init//meta-data/", "/cloud-init /meta-data"),
            ("/cloud-initmeta-data", "/cloud-init /meta-data"),
            ("/cloud-inituser-data", "/cloud-init /user-data"),
            ("/cloud-initvendor-data", "/cloud-init /vendor-data"),
            ("/cloud-initnetwork-config", "/cloud-init /network-config"),
            ("/metadata-servicemeta-data", "/metadata-service /meta-data"),
            ("/metadata-service/network-config", "/metadata-service /network-config"),
            ("/cloud-init/gpu.a.yaml", "/cloud-init /{group}.yaml"),
            ("/apis/cloud-init/compute.yaml", "/apis/cloud-init /{group}.yaml"),
        ] {
            assert_eq!(outcome("GET", path), expected, "{path}");
        }
        for path in ["/phone-home/i-1", "/cloud-init/phone-home/x", "/metadata-service/phone-home/x"] {
            assert!(outcome("POST", path).ends_with("/phone-home/{id}"), "{path}");
        }
    }

    #[test]
    fn what_is_for_administrators_is_hidden() {
        for (method, path) in [
            ("GET", "/cloud-init/admin/impersonation/x1000c0s0b0n0/meta-data"),
            ("GET", "/cloud-init/admin/groups"),
            ("POST", "/cloud-init/admin/groups"),
            ("GET", "/cloud-init/admin/cluster-defaults"),
            ("PUT", "/cloud-init/admin/instance-info/x1000c0s0b0n0"),
            ("GET", "/cloud-init/version"),
            ("GET", "/metadata-service/groups"),
            ("DELETE", "/metadata-service/groups/compute"),
            ("POST", "/cloud-init/wg-init"),
            ("GET", "/cloud-init"),
            ("GET", "/hsm/v2/State/Nothing"),
            ("PUT", "/boot/v1/nothing"),
            ("GET", "/boot/v1/bootparameters"),
            ("GET", "/boot/v1/dumpstate"),
            ("GET", "/boot/v1/hosts"),
            ("GET", "/boot/v1/endpoint-history"),
            ("GET", "/boot/v1/service/version"),
            ("PUT", "/boot-service/boot-once/x1000c0s0b0n0"),
            ("GET", "/boot-service/nodes"),
            ("GET", "/cloud-init/%61dmin/groups"),
        ] {
            assert_eq!(outcome(method, path), "hidden", "{method} {path}");
        }
        assert_eq!(outcome("POST", "/cloud-init/meta-data"), "GET");
        assert_eq!(outcome("GET", "/phone-home/x"), "POST");
        assert_eq!(outcome("GET", "/images/vmlinuz"), "nothing");
        assert_eq!(outcome("GET", "/cloud-images/meta-data"), "nothing");
    }
}
