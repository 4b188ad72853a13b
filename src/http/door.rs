//! The boot-facing door: which paths there are, and what is answered.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;

use crate::boot::tree::{self, Ask, Found, Kind, Miss};
use crate::journal::{Event, HttpEvent, Level, Notice};
use crate::link::{Peer, PeerSource, Peers};
use crate::openchami::api::Api;
use crate::openchami::api::route::normalise;
use crate::openchami::boot_service::boot_once;
use crate::openchami::bss;
use crate::openchami::bss::script::{Answered, Asked, service_of};
use crate::policy::Reason;
use crate::records::{Mac, Snapshot};
use crate::world::{Current, World};

use super::body::Body;
use super::files::{self, set};
use super::listener::Sink;
use super::query;
use super::services;
use super::wire::{self, Ledger};

/// First path elements that belong to the OpenCHAMI interfaces and the page: never looked up in the assets.
pub const TAKEN: [&str; 7] =
    ["boot/v1", "hsm/v2", "cloud-init", "apis", "boot-service", "metadata-service", "page"];
/// Characters of a path and of a User-Agent in an event.
const PATH_SHOWN: usize = 512;
const AGENT_SHOWN: usize = 128;
const PLAIN: &str = "text/plain; charset=utf-8";

/// What answers are made from; one for all connections.
pub struct Door {
    /// Settings, records, loaders, templates.
    pub world: Current,
    /// The OpenCHAMI services.
    pub api: Api,
    /// Who is behind an address.
    pub peers: Peers,
    /// Where events go.
    pub sink: Sink,
}

/// One connection.
pub struct Caller {
    /// Asking address and port.
    pub peer: SocketAddr,
    /// Our address and port.
    pub local: SocketAddr,
    /// There are too many connections: this one is only told to come again.
    pub turned_away: bool,
    /// Follows what is written.
    pub ledger: Arc<Mutex<Ledger>>,
    /// The peer's MAC, once it is known; an address does not change hands within a connection.
    pub mac: OnceLock<(Mac, PeerSource)>,
}

/// An answer and what the log shall say of it.
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    pub(super) what: &'static str,
    pub(super) node: Option<String>,
    pub(super) reason: Option<Reason>,
    pub(super) detail: Option<String>,
}

impl Answer {
    fn text(status: StatusCode, kind: &str, text: String) -> Self {
        let mut response = Response::new(Body::from_bytes(text));
        *response.status_mut() = status;
        set(response.headers_mut(), header::CONTENT_TYPE, kind);
        let length = response.body().length();
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        Self { response, what: "-", node: None, reason: None, detail: None }
    }

    pub(super) fn plain(status: StatusCode, text: &str) -> Self {
        Self::text(status, PLAIN, format!("{text}\n"))
    }

    /// A refusal in words, by its reason.
    fn refused(reason: Reason, detail: Option<String>) -> Self {
        let text = format!("{} ({})", reason.text(), reason.name());
        Self { reason: Some(reason), detail, ..Self::plain(StatusCode::FORBIDDEN, &text) }
    }

    fn not_found() -> Self {
        Self::plain(StatusCode::NOT_FOUND, "there is no such file")
    }

    /// RFC 7807, as the OpenCHAMI services answer.
    fn problem(status: StatusCode, detail: &str) -> Self {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "detail": detail,
            "status": status.as_u16(),
        });
        let answer = Self::text(status, "application/problem+json", format!("{body}\n"));
        Self { detail: Some(detail.to_owned()), ..answer }
    }
}

/// Answers one request. What is told of it is given to the caller's ledger.
pub async fn answer(door: Arc<Door>, caller: Arc<Caller>, mut request: Request<Incoming>) -> Response<Body> {
    let started = Instant::now();
    let head = request.method() == Method::HEAD;
    let Answer { mut response, what, node, reason, detail } = decide(&door, &caller, &mut request).await;
    let size = response.body().length();
    if head {
        *response.body_mut() = Body::default();
    }
    let agent =
        request.headers().get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let path = request.uri().path_and_query().map_or("*", |path| path.as_str());
    let event = HttpEvent {
        peer: caller.peer,
        local: caller.local,
        mac: caller.mac.get().map(|(mac, _)| *mac),
        node,
        method: query::printable(request.method().as_str(), 16),
        path: query::printable(path, PATH_SHOWN),
        status: response.status().as_u16(),
        bytes: 0,
        size,
        what,
        reason,
        detail,
        agent: agent.map(|agent| query::printable(&agent, AGENT_SHOWN)),
        duration: Duration::ZERO,
    };
    let length = response.body().length();
    if let Ok(mut ledger) = caller.ledger.lock() {
        ledger.expect(event, length, started);
    }
    response
}

async fn decide(door: &Arc<Door>, caller: &Arc<Caller>, request: &mut Request<Incoming>) -> Answer {
    if caller.turned_away {
        return busy(caller.peer);
    }
    if !is_bootscript(request.uri().path())
        && let Some(answer) = services::answer(door, caller, request).await
    {
        return answer;
    }
    // CONNECT and OPTIONS carry no path; they are turned down like every other method [W3].
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = Answer::plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here");
        set(answer.response.headers_mut(), header::ALLOW, "GET, HEAD");
        return answer;
    }
    // Decoded once: what is still encoded then is part of a name [W10].
    let name: Vec<u8> = percent_decode_str(request.uri().path()).collect();
    if name.iter().any(|byte| byte.is_ascii_control() && *byte != 0) {
        return Answer::plain(StatusCode::BAD_REQUEST, "control characters cannot be part of a path");
    }
    let path = match tree::normalise(&name) {
        Ok(path) => path,
        Err(reason) => return Answer::refused(reason, None),
    };
    match path.as_str() {
        "health" => Answer::plain(StatusCode::OK, "ok"),
        path if service_of(&format!("/{path}")).is_some() => bootscript(door, caller, request, path).await,
        path => file(door, caller, request.headers(), path).await,
    }
}

/// Paths of boot scripts, which [`bootscript`] answers.
fn is_bootscript(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    service_of(&normalise(&path)).is_some()
}

/// Too many connections: iPXE asks again by itself [W8]. The jitter keeps them from coming back all at once.
fn busy(peer: SocketAddr) -> Answer {
    let seed = match peer.ip() {
        IpAddr::V4(v4) => u32::from(v4),
        IpAddr::V6(v6) => u128::from(v6) as u32,
    };
    let seconds = 1 + seed.wrapping_mul(31).wrapping_add(peer.port().into()) % 8;
    let text = format!("{}; try again in {seconds} s", Reason::Busy.text());
    let mut answer = Answer::plain(StatusCode::SERVICE_UNAVAILABLE, &text);
    set(answer.response.headers_mut(), header::RETRY_AFTER, &seconds.to_string());
    set(answer.response.headers_mut(), header::CONNECTION, "close");
    Answer { reason: Some(Reason::Busy), ..answer }
}

/// `GET …/bootscript` of BSS and boot-service. Fetching it begins the boot that the operator asked for once,
/// unless another machine fetches it.
async fn bootscript(
    door: &Arc<Door>,
    caller: &Arc<Caller>,
    request: &Request<Incoming>,
    path: &str,
) -> Answer {
    let Ok(pairs) = query::pairs(request.uri().query().unwrap_or("")) else {
        return Answer::problem(StatusCode::BAD_REQUEST, &query::ControlCharacter.to_string());
    };
    let path = format!("/{path}");
    let Some(service) = service_of(&path) else { return Answer::not_found() };
    let world = door.world.load();
    let (base, local) = (base(request, caller.local), Some(caller.local.ip()));
    let asked = Asked { service, path, query: &pairs, base, local };
    let Answered { reply, script, claimed } = bss::script::answer(&world, &asked);
    let Some(script) = script else { return services::replied("script", None, reply) };
    if let Some(problem) = &script.problem {
        (door.sink)(Event::Notice(Notice {
            level: Level::Error,
            name: "template-failed",
            text: format!(
                "no boot script for {}: {problem}",
                script.node.as_deref().unwrap_or("an unknown node")
            ),
            fields: vec![("template", problem.template.clone().into()), ("node", script.node.clone().into())],
        }));
    }
    let answer = services::replied("script", script.node.clone(), reply);
    let mut answer = Answer { reason: script.reason, ..answer };
    let peer = who_is(door, caller).await;
    if let (Some(peer), Some(mac)) = (&peer, claimed)
        && let Some(other) = contradiction(peer, mac)
    {
        wire::add(&mut answer.detail, &format!("asked for {mac} from the address of {other}"));
        return answer;
    }
    bss::script::note(door.world.history(), Some(&script), jiff::Timestamp::now());
    // HEAD boots nothing.
    let begins = script.once && *request.method() == Method::GET;
    if let (true, Some(xname)) = (begins, &script.xname) {
        let id = xname.to_string();
        // Without a note the next boot gets the same once more; this one goes on.
        let failed = match door.api.change(move |_, draft| boot_once::take(draft, &id)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed {
            wire::add(&mut answer.detail, &format!("that its next boot began is not noted: {error}"));
        }
    }
    answer
}

/// Another machine that sits at the asking address, by the neighbour table or an ACK [W9]. An address in a
/// record alone proves nothing, and behind a relay there is no neighbour entry.
fn contradiction(peer: &Peer, claimed: Mac) -> Option<String> {
    let seen = peer.mac.filter(|_| matches!(peer.by, PeerSource::Neighbour | PeerSource::Learned))?;
    match &peer.node {
        Some(node) if node.nic(claimed).is_some() => None,
        _ if seen == claimed => None,
        Some(node) => Some(format!("{} ({seen})", node.label())),
        None => Some(seen.to_string()),
    }
}

/// Scheme and authority by which the client reached us; a `Host` that is none is not used.
pub(super) fn base(request: &Request<Incoming>, local: SocketAddr) -> String {
    let stated = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST).and_then(|host| host.to_str().ok()),
    };
    match stated.and_then(query::authority) {
        Some(host) => format!("http://{host}"),
        None => format!("http://{}", SocketAddr::new(local.ip().to_canonical(), local.port())),
    }
}

/// A file of the tree.
async fn file(door: &Arc<Door>, caller: &Arc<Caller>, headers: &HeaderMap, path: &str) -> Answer {
    let world = door.world.load();
    let opened = {
        let (door, caller, world, path) =
            (Arc::clone(door), Arc::clone(caller), Arc::clone(&world), path.to_owned());
        tokio::task::spawn_blocking(move || {
            let peer = identify(&door.peers, &world, &caller);
            let local = caller.local.ip().to_canonical();
            let ask = Ask { path: &path, peer: &peer, local, door: tree::Door::Http };
            let found = tree::open(&world, &ask).map(|found| (files::etag(&found), found));
            (peer.node.map(|node| node.label()), found)
        })
        .await
    };
    let Ok((node, found)) = opened else { return unreadable("the request was not finished".to_owned()) };
    let answer = match found {
        Ok((etag, found)) => served(path, &found, &etag, headers),
        Err(Miss::NotFound) => Answer::not_found(),
        Err(Miss::Refused(reason)) => Answer::refused(reason, None),
        Err(Miss::Outside(target)) => {
            Answer::refused(Reason::OutsideFolder, Some(format!("the link points to {}", target.display())))
        }
        Err(Miss::NotAFile) => Answer::refused(Reason::NotAFile, None),
        Err(Miss::Unreadable(error)) => unreadable(error),
    };
    Answer { node, ..answer }
}

fn served(path: &str, found: &Found, etag: &str, headers: &HeaderMap) -> Answer {
    let what = match found.kind {
        Kind::Loader => "loader",
        Kind::Generated => "generated",
        Kind::Asset => "asset",
    };
    let response = files::response(path, found, etag, headers);
    Answer { response, what, node: None, reason: None, detail: None }
}

/// The file is there and cannot be read: the client may ask again, the log says why.
fn unreadable(error: String) -> Answer {
    let mut answer =
        Answer::plain(StatusCode::SERVICE_UNAVAILABLE, "the file cannot be read, see the server's log");
    set(answer.response.headers_mut(), header::RETRY_AFTER, "5");
    Answer { detail: Some(format!("cannot read it: {error}")), ..answer }
}

/// Who is calling; asks off the runtime, since it may read the kernel's tables.
async fn who_is(door: &Arc<Door>, caller: &Arc<Caller>) -> Option<Peer> {
    let world = door.world.load();
    if let Some(peer) = known(&world.records, caller) {
        return Some(peer);
    }
    let (door, caller) = (Arc::clone(door), Arc::clone(caller));
    tokio::task::spawn_blocking(move || identify(&door.peers, &world, &caller)).await.ok()
}

fn identify(peers: &Peers, world: &World, caller: &Caller) -> Peer {
    if let Some(peer) = known(&world.records, caller) {
        return peer;
    }
    let peer = peers.who(&world.records, caller.peer.ip().to_canonical());
    if let Some(mac) = peer.mac {
        // Set twice only by requests of one connection, with the same value.
        let _ = caller.mac.set((mac, peer.by));
    }
    peer
}

/// The peer as this connection knows it already, with the record of now.
fn known(records: &Snapshot, caller: &Caller) -> Option<Peer> {
    let (mac, by) = *caller.mac.get()?;
    let address = caller.peer.ip().to_canonical();
    Some(Peer { address, mac: Some(mac), node: records.by_mac(mac).cloned(), by })
}
