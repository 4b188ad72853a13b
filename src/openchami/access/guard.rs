//! May this request use this route? Asked after route and method are known, before the body is read.
//!
//! Where tokens are on, a token decides. Where they are off, only this machine can reach the listener; then what
//! a browser on it could be talked into is refused: other sites' pages, names that another site's DNS points at
//! us, and what a proxy forwards from elsewhere.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{AUTHORIZATION, HOST, ORIGIN};
use hyper::{HeaderMap, Method, StatusCode};
use ipnet::IpNet;
use jiff::Timestamp;

use super::forwarded::{FORWARDED_FOR, is_trusted};
use super::token::{BadToken, Claims, Verifier};
use crate::openchami::api::Access;

/// What holds on the listener.
#[derive(Clone, Debug)]
pub struct Policy<'a> {
    /// Tokens are on: without a good one only open routes answer.
    pub tokens: bool,
    /// What tokens are checked by.
    pub verifier: &'a Verifier,
    /// [`Access::Inventory`] needs no token.
    pub public_inventory: bool,
    /// Names, in lower case, by which the listener may be asked without a token.
    pub hosts: &'a [String],
    /// Proxies that may hand on requests.
    pub trusted_proxies: &'a [IpNet],
}

/// What is known of a request before its body.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Who may use the route.
    pub access: Access,
    /// The method.
    pub method: &'a Method,
    /// Host and port in the request line, where it has them; they count more than the `Host` header.
    pub authority: Option<&'a str>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// Asking address.
    pub peer: IpAddr,
    /// Our address and port.
    pub local: SocketAddr,
}

/// Why a request may not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// 401: no good token. 403: never this way. 503: cannot be told yet.
    pub status: StatusCode,
    /// In words; the body of the answer.
    pub text: String,
    /// The token is signed by a key that is not known.
    pub unknown_key: bool,
}

impl Refusal {
    fn forbidden(text: String) -> Self {
        Self { status: StatusCode::FORBIDDEN, text, unknown_key: false }
    }

    fn keys_missing() -> Self {
        let text = "the keys of the token issuer could not be fetched yet; try again".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, text, unknown_key: true }
    }
}

impl From<BadToken> for Refusal {
    fn from(bad: BadToken) -> Self {
        let unknown_key = bad == BadToken::UnknownKey;
        Self { status: StatusCode::UNAUTHORIZED, text: bad.to_string(), unknown_key }
    }
}

/// Lets a request pass, with the claims of its token where that decided.
pub fn check(policy: &Policy<'_>, seen: &Seen<'_>, now: Timestamp) -> Result<Option<Claims>, Refusal> {
    let reads = matches!(*seen.method, Method::GET | Method::HEAD);
    if !policy.tokens {
        // Who has a token of ours is no stranger's page.
        if let Some(Ok(claims)) = bearer(seen.headers).map(|token| policy.verifier.verify(token, now)) {
            return Ok(Some(claims));
        }
        return not_from_elsewhere(policy, seen).map(|()| None).map_err(Refusal::forbidden);
    }
    match seen.access {
        Access::Open | Access::Public | Access::Node => return Ok(None),
        Access::Inventory if policy.public_inventory && reads => return Ok(None),
        Access::Inventory | Access::Admin | Access::Local => {}
    }
    let token = bearer(seen.headers).ok_or(BadToken::None)?;
    match policy.verifier.verify(token, now) {
        // While an issuer's keys are missing nobody can tell who else may write, so nobody does.
        Ok(_) if policy.verifier.incomplete && !reads => Err(Refusal::keys_missing()),
        Ok(claims) => Ok(Some(claims)),
        Err(BadToken::UnknownKey) if policy.verifier.incomplete => Err(Refusal::keys_missing()),
        Err(bad) => Err(bad.into()),
    }
}

/// The token of an `Authorization: Bearer` header (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Refuses what did not come from a program on this very machine that meant us.
fn not_from_elsewhere(policy: &Policy<'_>, seen: &Seen<'_>) -> Result<(), String> {
    // A node or an open path may be asked through a proxy that is trusted: neither depends on who is local.
    let by_proxy = matches!(seen.access, Access::Open | Access::Public | Access::Node)
        && is_trusted(seen.peer, policy.trusted_proxies);
    if let Some(name) = [FORWARDED_FOR, "forwarded"].into_iter().find(|name| seen.headers.contains_key(*name))
        && !by_proxy
    {
        return Err(format!(
            "forwarded requests ({name}) need a token, which this listener does not ask for: set api_tokens"
        ));
    }
    let stated = seen.headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    for host in stated.chain(seen.authority) {
        if !ours(host, policy.hosts) {
            return Err(format!(
                "the host {} is not this machine's loopback; a name that is meant belongs into api_hosts",
                shown(host)
            ));
        }
    }
    let own = seen.authority.or_else(|| seen.headers.get(HOST)?.to_str().ok());
    for origin in seen.headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or("?");
        if !same_origin(origin, own, seen.local) {
            return Err(format!("pages of {} may not use this API", shown(origin)));
        }
    }
    let from_page = seen.headers.get_all("sec-fetch-site").iter();
    if from_page.into_iter().any(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site")) {
        return Err("pages of other sites may not use this API".to_owned());
    }
    Ok(())
}

/// Host and port of an authority; the host without brackets.
fn split(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port)
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost"),
    }
}

/// Does a `Host` mean us, as far as this machine can know?
fn ours(authority: &str, hosts: &[String]) -> bool {
    if crate::http::query::authority(authority).is_none() {
        return false;
    }
    let (host, _) = split(authority);
    let named = |named: &String| {
        // A name without a port is meant with any.
        named.eq_ignore_ascii_case(authority)
            || split(named).1.is_none() && split(named).0.eq_ignore_ascii_case(host)
    };
    is_loopback(host) || hosts.iter().any(named)
}

/// Is the page from this listener itself?
fn same_origin(origin: &str, own: Option<&str>, local: SocketAddr) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let usual = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let (host, port) = split(authority);
    let port = port.unwrap_or(usual);
    let as_asked = own.is_some_and(|own| {
        let (own, own_port) = split(own);
        own.eq_ignore_ascii_case(host) && own_port.unwrap_or(usual) == port
    });
    as_asked || is_loopback(host) && port == local.port()
}

/// Text of a header for an answer.
fn shown(text: &str) -> String {
    crate::http::query::printable(text, 80)
}

#[cfg(test)]
mod tests;
