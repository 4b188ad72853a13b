use std::time::Duration;

use hyper::header::HeaderName;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::openchami::access::key::{Grant, TokenKey};

/// A verifier and a good token for it.
fn keys() -> (Verifier, String) {
    let folder = tempfile::tempdir().unwrap();
    let key = TokenKey::open_or_make(folder.path()).unwrap();
    let grant = Grant { subject: "me".into(), audience: "demo".into(), lifetime: Duration::from_secs(60) };
    let token = key.sign(&grant, Uuid::nil(), now()).unwrap();
    (Verifier { own: vec![key.public().unwrap()], ..Verifier::default() }, token)
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    headers
}

struct Case {
    tokens: bool,
    public_inventory: bool,
    access: Access,
    method: Method,
    peer: IpAddr,
    authority: Option<&'static str>,
}

impl Case {
    fn open() -> Self {
        Self {
            tokens: false,
            public_inventory: false,
            access: Access::Admin,
            method: Method::GET,
            peer: IpAddr::from([127, 0, 0, 1]),
            authority: None,
        }
    }

    fn with_tokens() -> Self {
        Self { tokens: true, peer: IpAddr::from([172, 16, 0, 9]), ..Self::open() }
    }

    /// 200, or the status of the refusal, and its text.
    fn ask(&self, verifier: &Verifier, lines: &[(&str, &str)]) -> (u16, String) {
        let hosts = ["boot.example.org".to_owned(), "gate:8443".to_owned()];
        let trusted = ["127.0.0.9/32".parse().unwrap()];
        let policy = Policy {
            tokens: self.tokens,
            verifier,
            public_inventory: self.public_inventory,
            hosts: &hosts,
            trusted_proxies: &trusted,
        };
        let headers = headers(lines);
        let seen = Seen {
            access: self.access,
            method: &self.method,
            authority: self.authority,
            headers: &headers,
            peer: self.peer,
            local: "127.0.0.1:8082".parse().unwrap(),
        };
        match check(&policy, &seen, now()) {
            Ok(_) => (200, String::new()),
            Err(refusal) => (refusal.status.as_u16(), refusal.text),
        }
    }
}

/// R150: what is no bearer token is no token at all.
#[test]
fn with_tokens_on_an_admin_route_needs_a_good_one() {
    let (verifier, token) = keys();
    let case = Case::with_tokens();
    let ask = |value: &str| case.ask(&verifier, &[("authorization", value)]);
    let none = (401, "no token found".to_owned());
    assert_eq!(case.ask(&verifier, &[]), none);
    for value in ["Basic YTpi", "Bearer", "Bearer ", "bearer  ", &token] {
        assert_eq!(ask(value), none, "{value}");
    }
    assert_eq!(ask(&format!("Bearer {token}")).0, 200);
    assert_eq!(ask(&format!("bearer {token}")).0, 200);
    assert_eq!(ask(&format!("Bearer {token}x")), (401, "token is unauthorized".to_owned()));
    // A foreign name and page are no matter where a token decides.
    let lines = [("authorization", &*format!("Bearer {token}")), ("host", "x"), ("origin", "http://x")];
    assert_eq!(case.ask(&verifier, &lines).0, 200);
}

/// R155, R156
#[test]
fn open_and_node_routes_need_no_token_and_inventory_where_it_is_public_and_only_read() {
    let (verifier, _) = keys();
    for (access, public_inventory, method, status) in [
        (Access::Open, false, Method::GET, 200),
        (Access::Public, false, Method::GET, 200),
        (Access::Node, false, Method::GET, 200),
        (Access::Node, false, Method::POST, 200),
        (Access::Inventory, false, Method::GET, 401),
        (Access::Inventory, true, Method::GET, 200),
        (Access::Inventory, true, Method::HEAD, 200),
        (Access::Inventory, true, Method::POST, 401),
        (Access::Admin, true, Method::GET, 401),
    ] {
        let case = Case { access, public_inventory, method, ..Case::with_tokens() };
        let asked = case.ask(&verifier, &[("host", "172.16.0.254:8443")]);
        assert_eq!(asked.0, status, "{access:?} {} {}", case.method, public_inventory);
    }
}

#[test]
fn while_an_issuers_keys_are_missing_nobody_writes_and_our_own_tokens_read() {
    let (own, token) = keys();
    let (_, foreign) = keys();
    let verifier = Verifier { incomplete: true, ..own };
    let ask = |method: Method, token: &str| {
        let case = Case { method, ..Case::with_tokens() };
        case.ask(&verifier, &[("authorization", &format!("Bearer {token}"))]).0
    };
    assert_eq!(ask(Method::GET, &token), 200);
    assert_eq!(ask(Method::POST, &token), 503);
    assert_eq!(ask(Method::GET, &foreign), 503, "it may be the issuer's");
    assert_eq!(ask(Method::POST, &foreign), 503);
    assert_eq!(ask(Method::POST, "nonsense"), 401);
    assert_eq!(Case { method: Method::POST, ..Case::with_tokens() }.ask(&verifier, &[]).0, 401);
}

/// Decision on the open listener: it is for programs on this machine that mean it.
#[test]
fn without_tokens_foreign_pages_names_and_forwarded_requests_are_refused() {
    let (verifier, token) = keys();
    let case = Case::open();
    for (lines, status) in [
        (&[][..], 200),
        (&[("host", "127.0.0.1:8082")], 200),
        (&[("host", "127.8.8.8")], 200),
        (&[("host", "[::1]:8082")], 200),
        (&[("host", "LocalHost.:8082")], 200),
        (&[("host", "boot.example.org")], 200),
        (&[("host", "BOOT.example.org:1234")], 200),
        (&[("host", "gate:8443")], 200),
        (&[("host", "gate:8444")], 403),
        (&[("host", "gate")], 403),
        (&[("host", "evil.example.org:8082")], 403),
        (&[("host", "localhost.evil.example.org")], 403),
        (&[("host", "localhost"), ("host", "evil.example.org")], 403),
        (&[("host", "10.0.0.1")], 403),
        (&[("host", "")], 403),
        (&[("host", "localhost/x")], 403),
        (&[("host", "localhost:8082"), ("origin", "http://localhost:8082")], 200),
        (&[("host", "127.0.0.1:8082"), ("origin", "http://localhost:8082")], 200),
        (&[("host", "boot.example.org"), ("origin", "http://boot.example.org")], 200),
        (&[("host", "boot.example.org"), ("origin", "http://boot.example.org:3000")], 403),
        (&[("host", "localhost:8082"), ("origin", "http://localhost:3000")], 403),
        (&[("host", "localhost:8082"), ("origin", "http://evil.example.org")], 403),
        (&[("host", "localhost:8082"), ("origin", "null")], 403),
        (&[("host", "localhost:8082"), ("sec-fetch-site", "cross-site")], 403),
        (&[("host", "localhost:8082"), ("sec-fetch-site", "same-origin")], 200),
        (&[("host", "localhost:8082"), ("sec-fetch-site", "none")], 200),
        (&[("host", "localhost:8082"), ("x-forwarded-for", "127.0.0.1")], 403),
        (&[("host", "localhost:8082"), ("forwarded", "for=127.0.0.1")], 403),
    ] {
        for method in [Method::GET, Method::DELETE] {
            let asked = Case { method, ..Case::open() }.ask(&verifier, lines);
            assert_eq!(asked.0, status, "{lines:?}: {}", asked.1);
        }
    }
    // Who shows a token of ours is no page's victim; a wrong one changes nothing.
    let good = format!("Bearer {token}");
    let foreign = ("host", "evil.example.org");
    assert_eq!(case.ask(&verifier, &[foreign, ("authorization", &good)]).0, 200);
    assert_eq!(case.ask(&verifier, &[foreign, ("authorization", "Bearer x")]).0, 403);
    assert_eq!(case.ask(&verifier, &[("host", "localhost"), ("authorization", "Bearer x")]).0, 200);
}

/// RFC 9112, 3.2.2: what the request line says counts, and the `Host` beside it is judged all the same.
#[test]
fn without_tokens_a_foreign_name_in_the_request_line_is_refused_whatever_host_says() {
    let (verifier, _) = keys();
    for (authority, host, status) in [
        ("127.0.0.1:8082", "127.0.0.1:8082", 200),
        ("gate:8443", "gate:8443", 200),
        ("evil.example.org:8082", "127.0.0.1:8082", 403),
        ("gate:8444", "gate:8443", 403),
        ("127.0.0.1:8082", "evil.example.org", 403),
    ] {
        let asked = Case { authority: Some(authority), ..Case::open() }.ask(&verifier, &[("host", host)]);
        assert_eq!(asked.0, status, "{authority} {host}: {}", asked.1);
    }
}

#[test]
fn a_trusted_proxy_hands_on_what_needs_no_local_trust() {
    let (verifier, _) = keys();
    let forwarded = [("host", "localhost"), ("x-forwarded-for", "172.16.0.1")];
    let proxy = IpAddr::from([127, 0, 0, 9]);
    for (access, status) in
        [(Access::Node, 200), (Access::Open, 200), (Access::Admin, 403), (Access::Inventory, 403)]
    {
        assert_eq!(Case { access, peer: proxy, ..Case::open() }.ask(&verifier, &forwarded).0, status);
        assert_eq!(Case { access, ..Case::open() }.ask(&verifier, &forwarded).0, 403, "{access:?}");
    }
}

proptest! {
    #[test]
    fn no_header_opens_an_admin_route(name in "[a-z-]{1,16}", value in "[ -~]{0,60}") {
        let (verifier, _) = keys();
        let asked = Case::with_tokens().ask(&verifier, &[(&name, value.trim()), ("authorization", value.trim())]);
        prop_assert_eq!(asked.0, 401);
    }

    #[test]
    fn no_host_but_loopback_and_named_ones_is_taken(host in "[ -~]{0,30}|[a-z0-9.:\\[\\]]{0,24}") {
        let (verifier, _) = keys();
        if Case::open().ask(&verifier, &[("host", host.trim())]).0 == 200 {
            let lower = host.trim().to_ascii_lowercase();
            prop_assert!(
                lower.starts_with("localhost") || lower.starts_with("127.") || lower.contains("::")
                    || lower.starts_with("boot.example.org") || lower == "gate:8443",
                "{}", host
            );
        }
    }
}
