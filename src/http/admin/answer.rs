//! From a request to a question that the services understand, and from their reply to a response.
//!
//! In this order: is the path one, where does it lead, may this request go there, what does it bring. So who has
//! no token learns which paths there are (they are public knowledge) and nothing of any record.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::super::body::Body;
use super::super::query::{self, printable};
use super::super::wire::{self, Ledger};
use super::Identify;
use super::body::{self, Memory, PACE};
use crate::journal::HttpEvent;
use crate::openchami::access::forwarded;
use crate::openchami::access::guard::{self, Policy, Refusal, Seen};
use crate::openchami::access::keys::Tokens;
use crate::openchami::api::route::normalise;
use crate::openchami::api::{self, Access, Api, Asker, Found, Reply, Routed, Service, route};
use crate::openchami::openapi;
use crate::world::Current;

/// Characters of a path and of a User-Agent in an event.
const PATH_SHOWN: usize = 512;
const AGENT_SHOWN: usize = 128;
/// Characters of a token's subject in an event.
const SUBJECT_SHOWN: usize = 64;

/// What requests are answered from; one for all connections.
pub(super) struct Desk {
    api: Api,
    world: Current,
    who: Identify,
    tokens: Arc<Tokens>,
    needed: bool,
    memory: Memory,
}

impl Desk {
    /// `needed`: requests need a token.
    pub(super) fn new(api: Api, world: Current, who: Identify, tokens: Arc<Tokens>, needed: bool) -> Self {
        Self { api, world, who, tokens, needed, memory: Memory::default() }
    }
}

/// One connection.
pub(super) struct Caller {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    /// By TLS.
    pub(super) secure: bool,
    /// There are too many connections: this one is only told to come again.
    pub(super) turned_away: bool,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

/// Answers one request, and tells the caller's ledger of it.
pub(super) async fn answer(
    desk: Arc<Desk>,
    caller: Arc<Caller>,
    request: Request<Incoming>,
) -> Response<Body> {
    let started = Instant::now();
    let (head, incoming) = request.into_parts();
    let mut asker = Asker::unknown(caller.peer.ip().to_canonical());
    let reply = decide(&desk, &caller, &head, incoming, &mut asker).await;
    let detail = reply.detail.clone();
    let mut response = response(reply);
    let size = response.body().length();
    if head.method == Method::HEAD {
        *response.body_mut() = Body::default();
    }
    let agent = head.headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let path = head.uri.path_and_query().map_or("*", |path| path.as_str());
    let event = HttpEvent {
        peer: caller.peer,
        local: caller.local,
        mac: asker.mac,
        node: asker.node,
        method: printable(head.method.as_str(), 16),
        path: printable(path, PATH_SHOWN),
        status: response.status().as_u16(),
        bytes: 0,
        size,
        what: "api",
        reason: None,
        detail: detail.map(|detail| printable(&detail, PATH_SHOWN)),
        agent: agent.map(|agent| printable(&agent, AGENT_SHOWN)),
        duration: Duration::ZERO,
    };
    let length = response.body().length();
    if let Ok(mut ledger) = caller.ledger.lock() {
        ledger.expect(event, length, started);
    }
    response
}

/// Where a path leads.
enum Place {
    /// To a route of a service.
    Route(Found),
    /// To the description of a service under a prefix, or of all.
    Description(Option<(Service, &'static str)>),
    /// To our own health.
    Health,
}

impl Place {
    fn access(&self) -> Access {
        match self {
            Self::Route(found) => found.route.access,
            Self::Description(_) | Self::Health => Access::Open,
        }
    }
}

async fn decide(desk: &Desk, caller: &Caller, head: &Parts, incoming: Incoming, asker: &mut Asker) -> Reply {
    if caller.turned_away {
        let busy = Reply::text(StatusCode::SERVICE_UNAVAILABLE, "too many connections; try again\n");
        return closing(busy.with("retry-after", "5"));
    }
    let place = match place(head) {
        Ok(place) => place,
        Err(reply) => return reply,
    };
    let now = Timestamp::now();
    let world = desk.world.load();
    let settings = &world.settings.api;
    let verifier = desk.tokens.verifier();
    let policy = Policy {
        tokens: desk.needed,
        verifier: &verifier,
        public_inventory: settings.public_inventory,
        hosts: &settings.hosts,
        trusted_proxies: &settings.trusted_proxies,
    };
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let seen = Seen {
        access: place.access(),
        method: &head.method,
        authority,
        headers: &head.headers,
        peer: caller.peer.ip(),
        local: caller.local,
    };
    let claims = match guard::check(&policy, &seen, now) {
        Ok(claims) => claims,
        Err(refusal) => {
            if refusal.unknown_key {
                desk.tokens.unknown_key();
            }
            let reply = refused(&refusal);
            return if incoming.is_end_stream() { reply } else { closing(reply) };
        }
    };
    let found = match place {
        Place::Health => return Reply::text(StatusCode::OK, "ok\n"),
        Place::Description(of) => return Reply::json(StatusCode::OK, &openapi::describe(of)),
        Place::Route(found) => found,
    };
    let service = found.route.service;
    let query = match query::pairs(head.uri.query().unwrap_or("")) {
        Ok(query) => query,
        Err(error) => return service.refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let (content, share) = match body::collect(incoming, found.route.limit, &desk.memory, PACE).await {
        Ok(read) => read,
        Err(error) => return closing(service.refuse(error.status(), &error.to_string())),
    };
    let mut doubt = None;
    // A trusted proxy that hands on no address is not the one who asks, and nobody else is known.
    if let Some(address) = forwarded::client(caller.peer.ip(), &head.headers, &settings.trusted_proxies) {
        *asker = Asker::unknown(address);
        if found.route.access == Access::Node {
            let who = Arc::clone(&desk.who);
            if let Ok(known) = tokio::task::spawn_blocking(move || who(address)).await {
                (*asker, doubt) = known;
            }
        }
    }
    let request = api::Request {
        method: if head.method == Method::HEAD { Method::GET } else { head.method.clone() },
        path: path(head).map(|path| normalise(&path)).unwrap_or_default(),
        query,
        content_type: head
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .map(str::to_owned),
        body: content,
        asker: asker.clone(),
        base: base(caller, head),
        now,
    };
    let mut reply = desk.api.answer(found, request).await;
    drop(share);
    if let Some(doubt) = doubt {
        wire::add(&mut reply.detail, &doubt);
    }
    if let Some(claims) = claims.filter(|_| head.method != Method::GET && head.method != Method::HEAD) {
        wire::add(&mut reply.detail, &format!("by {}", printable(&claims.subject, SUBJECT_SHOWN)));
    }
    reply
}

/// The path, decoded once: what is still encoded then is part of a name.
fn path(head: &Parts) -> Option<String> {
    let path = percent_decode_str(head.uri.path()).decode_utf8().ok()?;
    (!path.chars().any(char::is_control)).then(|| path.into_owned())
}

/// Where a request leads, or why nowhere.
fn place(head: &Parts) -> Result<Place, Reply> {
    let bad = |what: &str| {
        let reply = Reply::text(StatusCode::BAD_REQUEST, &format!("{what}\n"));
        Reply { detail: Some(what.to_owned()), ..reply }
    };
    if head.headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(bad("a request has one Host header"));
    }
    let path = path(head).ok_or_else(|| bad("a path is UTF-8 without control characters"))?;
    let path = normalise(&path);
    if let Some(own) = own_page(&path) {
        if matches!(head.method, Method::GET | Method::HEAD) {
            return Ok(own);
        }
        return Err(Reply::empty(StatusCode::METHOD_NOT_ALLOWED).with("allow", "GET"));
    }
    match route(&head.method, &path) {
        // What the control socket alone serves is not found here.
        Routed::Found(found) if found.route.access != Access::Local => Ok(Place::Route(found)),
        Routed::Found(_) | Routed::NotFound | Routed::WrongMethod { service: Service::Own, .. } => {
            Err(route::not_found())
        }
        Routed::WrongMethod { service, allow } => Err(route::wrong_method(service, &allow)),
    }
}

/// Pages that belong to no service.
fn own_page(path: &str) -> Option<Place> {
    if path == "/health" {
        return Some(Place::Health);
    }
    let prefix = path.strip_suffix("/openapi.json")?;
    if prefix.is_empty() {
        return Some(Place::Description(None));
    }
    Service::ALL.into_iter().find_map(|service| {
        let prefix = service.prefixes().iter().find(|known| **known == prefix)?;
        Some(Place::Description(Some((service, prefix))))
    })
}

/// A refusal: text, as OpenCHAMI's services send it.
fn refused(refusal: &Refusal) -> Reply {
    let reply = Reply::text(refusal.status, &format!("{}\n", refusal.text));
    let reply = match refusal.status {
        // Required by RFC 9110, 15.5.2; RFC 6750, 3.
        StatusCode::UNAUTHORIZED => reply.with("www-authenticate", "Bearer"),
        StatusCode::SERVICE_UNAVAILABLE => reply.with("retry-after", "5"),
        _ => reply,
    };
    Reply { detail: Some(refusal.text.clone()), ..reply }
}

/// The request's body was not read to its end, so the connection cannot go on.
fn closing(reply: Reply) -> Reply {
    reply.with("connection", "close")
}

/// Scheme and authority by which the client reached us; a `Host` that is none is not used.
fn base(caller: &Caller, head: &Parts) -> String {
    let scheme = if caller.secure { "https" } else { "http" };
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let stated = head.uri.authority().map(|authority| authority.as_str()).or(host);
    match stated.and_then(query::authority) {
        Some(host) => format!("{scheme}://{host}"),
        None => {
            let local = SocketAddr::new(caller.local.ip().to_canonical(), caller.local.port());
            format!("{scheme}://{local}")
        }
    }
}

/// The reply on the wire.
fn response(reply: Reply) -> Response<Body> {
    let Reply { status, kind, headers, body, .. } = reply;
    let mut response = Response::new(Body::from_bytes(body));
    *response.status_mut() = status;
    let length = response.body().length();
    let own = response.headers_mut();
    if !kind.is_empty() {
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        own.insert(header::CONTENT_LENGTH, length.into());
    }
    // Records change; and what is JSON or text is never to be taken for a page.
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    own.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            own.append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, target: &str, hosts: &[&str]) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn status(method: &str, target: &str) -> u16 {
        match place(&head(method, target, &["localhost"])) {
            Ok(Place::Health) => 1,
            Ok(Place::Description(None)) => 2,
            Ok(Place::Description(Some(_))) => 3,
            Ok(Place::Route(_)) => 200,
            Err(reply) => reply.status.as_u16(),
        }
    }

    #[test]
    fn a_path_is_decoded_once_and_leads_somewhere_or_says_why_not() {
        for (method, target, expected) in [
            ("GET", "/health", 1),
            ("HEAD", "/health/", 1),
            ("POST", "/health", 405),
            ("GET", "/openapi.json", 2),
            ("GET", "/apis/smd/hsm/v2/openapi.json", 3),
            ("GET", "/nowhere/openapi.json", 404),
            ("GET", "/", 404),
            ("GET", "/hsm/v2/service/ready", 200),
            ("HEAD", "/apis/smd/hsm/v2//service/ready/", 200),
            ("GET", "/hsm/v2/%73ervice/ready", 200),
            ("GET", "/hsm/v2/%2573ervice/ready", 404),
            ("OPTIONS", "/hsm/v2/service/ready", 405),
            ("DELETE", "/hsm/v2/service/ready", 405),
            ("GET", "/hsm/v2/service/ready%0a", 400),
            ("GET", "/%00", 400),
            ("GET", "/%c2%85", 400),
            ("GET", "/%ff", 400),
            // Only the control socket has these.
            ("GET", "/bootlace/v1/export", 404),
            ("PUT", "/bootlace/v1/export", 404),
        ] {
            assert_eq!(status(method, target), expected, "{method} {target}");
        }
        let twice = place(&head("GET", "/health", &["localhost", "evil"]));
        assert!(matches!(twice, Err(reply) if reply.status == StatusCode::BAD_REQUEST));
    }

    #[test]
    fn the_base_of_links_is_how_the_client_reached_us_or_our_address() {
        let caller = |secure| Caller {
            peer: "10.0.0.9:5".parse().unwrap(),
            local: "[::ffff:10.0.0.1]:8443".parse().unwrap(),
            secure,
            turned_away: false,
            ledger: Arc::default(),
        };
        let of = |host: &str| base(&caller(true), &head("GET", "/", &[host]));
        assert_eq!(of("boot.example.org:8443"), "https://boot.example.org:8443");
        assert_eq!(of("a b"), "https://10.0.0.1:8443");
        assert_eq!(base(&caller(false), &head("GET", "/", &[])), "http://10.0.0.1:8443");
        assert_eq!(base(&caller(false), &head("GET", "http://proxy/x", &["y"])), "http://proxy");
    }

    #[test]
    fn a_reply_has_its_length_unless_it_has_no_body_and_no_header_of_it_can_break_out() {
        let made = response(Reply::no_content());
        assert!(!made.headers().contains_key("content-length"));
        let reply = Reply::text(StatusCode::CREATED, "x").with("location", "/a\r\nSet-Cookie: b");
        let made = response(reply);
        assert_eq!(made.headers()["location"], "/aSet-Cookie: b");
        assert_eq!(made.headers()["content-length"], "1");
        assert_eq!(made.headers()["x-content-type-options"], "nosniff");
    }
}
