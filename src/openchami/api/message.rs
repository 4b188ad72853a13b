//! A request to the services and the reply to it, as values: no socket, no clock.

use std::net::IpAddr;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::records::Mac;

/// A request after the door: decoded, measured, its sender known as far as that can be.
#[derive(Clone, Debug)]
pub struct Request {
    /// HEAD counts as GET.
    pub method: Method,
    /// Path, decoded once, without doubled or trailing slashes: `/hsm/v2/groups`.
    pub path: String,
    /// Names and values of the query in order, decoded.
    pub query: Vec<(String, String)>,
    /// Content-Type, where one was sent; most clients send none.
    pub content_type: Option<String>,
    /// The whole body.
    pub body: Bytes,
    /// Who asks.
    pub asker: Asker,
    /// Scheme and authority by which the client reached us: `http://10.0.0.1:8081`.
    pub base: String,
    /// Time of the request.
    pub now: jiff::Timestamp,
}

impl Request {
    /// First value of a query parameter, its name compared without case.
    pub fn parameter<'r>(&'r self, name: &str) -> Option<&'r str> {
        let named = self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// All values of a query parameter, its name compared without case.
    pub fn parameters<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> + 'r {
        let named = self.query.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

/// Who is behind a request, by the neighbour table, an ACK seen on the wire or a recorded address, never by
/// what the request says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asker {
    /// The address, of a trusted proxy's client where one forwarded it.
    pub address: IpAddr,
    /// The card at that address.
    pub mac: Option<Mac>,
    /// Xname of the one node that it can be. None: unknown, or contradicting itself.
    pub node: Option<String>,
}

impl Asker {
    /// An address of which nothing is known.
    pub fn unknown(address: IpAddr) -> Self {
        Self { address, mac: None, node: None }
    }
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Content-Type; empty: none.
    pub kind: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Bytes,
    /// What the log says of it beyond the status.
    pub detail: Option<String>,
}

/// JSON.
pub const JSON: &str = "application/json";
/// RFC 7807.
pub const PROBLEM: &str = "application/problem+json";
/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

impl Reply {
    /// Status and nothing else.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, kind: "", headers: Vec::new(), body: Bytes::new(), detail: None }
    }

    /// 204, as SMD sends it.
    pub fn no_content() -> Self {
        Self { kind: JSON, ..Self::empty(StatusCode::NO_CONTENT) }
    }

    /// A JSON document.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(mut body) => {
                body.push(b'\n');
                Self { kind: JSON, body: body.into(), ..Self::empty(status) }
            }
            // Only a map whose keys are no texts has no JSON form; we have none.
            Err(error) => Self::text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }

    /// Text.
    pub fn text(status: StatusCode, text: &str) -> Self {
        Self { kind: TEXT, body: text.to_owned().into(), ..Self::empty(status) }
    }

    /// SMD's and BSS's form of an error (RFC 7807).
    pub fn problem(status: StatusCode, detail: &str) -> Self {
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "detail": detail,
            "status": status.as_u16(),
        });
        Self { kind: PROBLEM, detail: Some(detail.to_owned()), ..Self::json(status, &body) }
    }

    /// The newer services' form of an error.
    pub fn error(status: StatusCode, error: &str) -> Self {
        let body = json!({"error": error, "code": status.as_u16()});
        Self { detail: Some(error.to_owned()), ..Self::json(status, &body) }
    }

    /// SMD's form of success without a record.
    pub fn message(message: &str) -> Self {
        Self::json(StatusCode::OK, &json!({"code": 0, "message": message}))
    }

    /// SMD's list of what was created; `collection` is where several are to be looked for.
    pub fn created(uris: &[String], collection: &str) -> Self {
        let list: Vec<Value> = uris.iter().map(|uri| json!({"URI": uri})).collect();
        let place = match uris {
            [one] => one.as_str(),
            _ => collection,
        };
        Self::json(StatusCode::CREATED, &list).with("location", place)
    }

    /// With another header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        // A value from outside must not end the header.
        let value = value.chars().filter(|c| !c.is_control()).collect();
        self.headers.push((name, value));
        self
    }

    /// Whether it refuses: then nothing of the request is kept.
    pub fn refuses(&self) -> bool {
        self.status.is_client_error() || self.status.is_server_error()
    }
}
