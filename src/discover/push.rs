//! The edge that sends [`Request`]s to an SMD, one after the other: later ones build on earlier ones.
//!
//! On the wire as the OpenCHAMI command line is: JSON without a Content-Type, any 2xx is success, a refusal is
//! noted and the rest is sent all the same. Redirects are not followed: a token would go along.

use std::error::Error;
use std::time::Duration;

use reqwest::{Certificate, Client, Response, StatusCode, redirect};
use serde::Serialize;

use super::{BaseUrl, Request};
use crate::records::Bmc;

/// An SMD limits its own work to 60 seconds; ours is longer, so that its answer is what is seen.
const REQUEST_LIMIT: Duration = Duration::from_secs(75);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Answers are read up to here, bytes: enough for every message, and no more for whoever else answers.
const ANSWER_MAX: usize = 64 * 1024;
/// Longest list that is read, bytes: some hundred thousand endpoints.
const LIST_MAX: usize = 256 << 20;
/// Longest part of a foreign answer that is shown, characters.
const SHOWN_MAX: usize = 300;
/// After so many requests in a row without any answer the rest is not tried.
const SILENT_MAX: usize = 3;

/// An SMD, and how to reach it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where.
    pub base: BaseUrl,
    /// Bearer token.
    pub token: Option<String>,
    /// Certificates to trust in place of the system's, PEM.
    pub ca: Option<Vec<u8>>,
    /// Any certificate will do, and a token may go over plain http.
    pub insecure: bool,
}

/// Why a [`Target`] cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A token would cross the network readable.
    #[error(
        "the token is not sent to {0} over plain http: use https, or --insecure if the network is trusted"
    )]
    TokenInClear(BaseUrl),
    /// A token that no header can carry.
    #[error("the token holds a line break or another character that no HTTP header can carry")]
    Token,
    /// No certificate in the file given with `--ca`.
    #[error("the CA file holds no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A CA file that cannot be read as PEM.
    #[error("cannot use the CA file")]
    Certificate(#[source] reqwest::Error),
    /// The TLS part cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] reqwest::Error),
}

/// A connection to an SMD.
#[derive(Debug)]
pub struct Smd {
    client: Client,
    base: BaseUrl,
    token: Option<String>,
}

/// What an SMD took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was new.
    Created,
    /// It existed and was overwritten.
    Overwritten,
}

/// What went wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What it was about.
    pub subject: String,
    /// Method of the request that failed.
    pub method: String,
    /// Its URL.
    pub url: String,
    /// Status of the answer; `None` when there was none.
    pub status: Option<u16>,
    /// What the SMD said, or why there was no answer.
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { subject, method, url, status, message } = self;
        match status {
            Some(status) => write!(f, "{subject}: {method} {url} was answered {status}: {message}"),
            None => write!(f, "{subject}: {method} {url} failed: {message}"),
        }
    }
}

/// Hears of each result: number of the request, counted from 0, and what came of it.
pub type Progress<'p> = dyn FnMut(usize, &Request, &Result<Sent, Failure>) + 'p;

/// What a push came to.
#[derive(Debug, Default)]
pub struct Pushed {
    /// Requests that were taken.
    pub taken: usize,
    /// How many of them overwrote something.
    pub overwritten: usize,
    /// Requests that were not.
    pub failures: Vec<Failure>,
    /// Requests that were not even tried, because nobody answers.
    pub untried: usize,
}

impl Pushed {
    /// True when everything was taken.
    pub fn ok(&self) -> bool {
        self.failures.is_empty() && self.untried == 0
    }
}

impl Smd {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn new(target: &Target) -> Result<Self, TargetError> {
        let Target { base, token, ca, insecure } = target;
        if let Some(token) = token {
            if !(base.is_https() || base.is_loopback() || *insecure) {
                return Err(TargetError::TokenInClear(base.clone()));
            }
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(TargetError::Token);
            }
        }
        let mut builder = Client::builder()
            .user_agent(concat!("bootlace/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT);
        if base.is_loopback() {
            builder = builder.no_proxy();
        }
        if let Some(pem) = ca {
            let certificates = Certificate::from_pem_bundle(pem).map_err(TargetError::Certificate)?;
            if certificates.is_empty() {
                return Err(TargetError::NoCertificate);
            }
            builder = builder.tls_certs_only(certificates);
        } else if *insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if !base.is_https() {
            // The system's certificates need not be there when nobody asks for them.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(TargetError::Tls)?;
        Ok(Self { client, base: base.clone(), token: token.clone() })
    }

    /// Sends one request; on 409 the one that overwrites, where there is one.
    ///
    /// # Errors
    /// Any answer that is no 2xx, or none.
    pub async fn send(&self, request: &Request) -> Result<Sent, Failure> {
        match self.send_once(request).await {
            Ok(()) => Ok(Sent::Created),
            Err(failure) => match &request.on_conflict {
                Some(again) if failure.status == Some(StatusCode::CONFLICT.as_u16()) => {
                    self.send_once(again).await.map(|()| Sent::Overwritten)
                }
                _ => Err(failure),
            },
        }
    }

    async fn send_once(&self, request: &Request) -> Result<(), Failure> {
        let url = self.base.join(&request.path);
        let failure = |status: Option<u16>, message| Failure {
            subject: request.subject.clone(),
            method: request.method.to_string(),
            url: url.clone(),
            status,
            message,
        };
        let mut builder = self.client.request(request.method.clone(), &url).body(request.body.clone());
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        let response = builder.send().await.map_err(|cause| failure(None, reason(&cause)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let to = response.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_owned);
        let message = match to {
            Some(to) if status.is_redirection() => format!("it redirects to {}; give that URL", shown(&to)),
            _ => said(&answer(response, ANSWER_MAX).await, status),
        };
        Err(failure(Some(status.as_u16()), message))
    }

    /// The BMCs that the SMD knows: xname, card, address.
    ///
    /// # Errors
    /// Any answer that is no 2xx and no list of RedfishEndpoints, or none.
    pub async fn known_bmcs(&self) -> Result<Vec<Bmc>, Failure> {
        let url = self.base.join("/hsm/v2/Inventory/RedfishEndpoints");
        let failure = |status: Option<StatusCode>, message| Failure {
            subject: "RedfishEndpoints that it knows".to_owned(),
            method: "GET".to_owned(),
            url: url.clone(),
            status: status.map(|status| status.as_u16()),
            message,
        };
        let mut builder = self.client.get(&url);
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        let response = builder.send().await.map_err(|cause| failure(None, reason(&cause)))?;
        let status = response.status();
        if !status.is_success() {
            return Err(failure(Some(status), said(&answer(response, ANSWER_MAX).await, status)));
        }
        let text = answer(response, LIST_MAX).await;
        let no_list = || failure(Some(status), "the answer is no list of RedfishEndpoints".to_owned());
        let list: serde_json::Value = serde_json::from_str(&text).map_err(|_| no_list())?;
        let list = list.get("RedfishEndpoints").and_then(|list| list.as_array()).ok_or_else(no_list)?;
        let text = |endpoint: &serde_json::Value, key: &str| {
            endpoint.get(key).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
        };
        let bmc = |endpoint| Bmc {
            xname: text(endpoint, "ID").parse().ok(),
            mac: text(endpoint, "MACAddr").parse().ok(),
            // Crawlers send the address as name.
            ip: text(endpoint, "IPAddress").parse().or_else(|_| text(endpoint, "FQDN").parse()).ok(),
            fqdn: Some(text(endpoint, "FQDN")),
            ..Bmc::default()
        };
        Ok(list.iter().map(bmc).filter(|bmc| bmc.xname.is_some()).collect())
    }

    /// Sends everything in order; `progress` hears of each result. Goes on after a refusal, and stops when
    /// nobody answers any more.
    pub async fn push(&self, requests: &[Request], progress: &mut Progress<'_>) -> Pushed {
        let mut pushed = Pushed::default();
        let mut silent = 0;
        for (index, request) in requests.iter().enumerate() {
            let result = self.send(request).await;
            progress(index, request, &result);
            match result {
                Ok(sent) => {
                    pushed.taken += 1;
                    pushed.overwritten += usize::from(sent == Sent::Overwritten);
                    silent = 0;
                }
                Err(failure) => {
                    silent = if failure.status.is_none() { silent + 1 } else { 0 };
                    pushed.failures.push(failure);
                }
            }
            if silent == SILENT_MAX {
                pushed.untried = requests.len() - index - 1;
                break;
            }
        }
        pushed
    }
}

/// The causes of an error in one line, without the URL that is said anyway.
pub(super) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    // The innermost cause is what happened (connection refused, certificate unknown); the others wrap it.
    causes.pop().map_or_else(|| error.to_string(), |cause| shown(&cause))
}

async fn answer(mut response: Response, limit: usize) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= limit {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What an answer says: the details of problem documents, else its text. SMD 2.20.4 and 2.20.5 answer several
/// documents in one body and 409 to what they stored whole.
fn said(body: &str, status: StatusCode) -> String {
    let mut details = Vec::new();
    let mut stored = false;
    for document in serde_json::Deserializer::from_str(body).into_iter::<serde_json::Value>() {
        let Ok(document) = document else { break };
        if let Some(detail) = document.get("detail").and_then(|detail| detail.as_str()) {
            details.push(shown(detail));
        }
        stored |= document.get(0).is_some_and(|first| first.get("URI").is_some());
    }
    if details.is_empty() {
        let text = body.trim();
        return if text.is_empty() {
            status.canonical_reason().unwrap_or("no explanation").to_owned()
        } else {
            shown(text)
        };
    }
    let mut text = details.join("; ");
    if stored {
        text.push_str(
            " (and yet it says that it stored it: releases 2.20.4 and 2.20.5 of SMD answer like this)",
        );
    }
    text
}

/// Foreign text for a terminal: one line, no control characters, not too long.
fn shown(text: &str) -> String {
    let mut line: String =
        text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "servers of the tests")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Arc;

    use reqwest::Method;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    /// What comes of one request to `base`.
    fn sent(base: &str, ca: Option<&str>, insecure: bool) -> Result<Sent, Option<u16>> {
        let base = base.parse().unwrap();
        let ca = ca.map(|pem| pem.as_bytes().to_vec());
        let target = Target { base, token: Some("t".to_owned()), ca, insecure };
        let (method, path) = (Method::POST, "/hsm/v2/groups".to_owned());
        let (body, subject) = (String::new(), String::new());
        let request = Request { method, path, body, subject, on_conflict: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let smd = Smd::new(&target).map_err(|_| None)?;
        runtime.block_on(smd.send(&request)).map_err(|failure| failure.status)
    }

    /// An SMD with a certificate of its own that takes everything: where it is, and the certificate.
    fn smd_by_tls() -> (SocketAddr, String) {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![own.cert.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(tls, stream.unwrap());
                // Who does not trust it goes away without a question.
                if stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
                }
            }
        });
        (at, own.cert.pem())
    }

    #[test]
    fn only_an_smd_with_a_certificate_that_is_trusted_gets_anything() {
        let (at, own) = smd_by_tls();
        let (_, other) = smd_by_tls();
        let base = format!("https://{at}");
        assert_eq!(sent(&base, Some(&own), false), Ok(Sent::Created));
        assert_eq!(sent(&base, None, true), Ok(Sent::Created));
        assert_eq!(sent(&base, Some(&other), false), Err(None));
        assert_eq!(sent(&base, None, false), Err(None));
    }

    #[test]
    fn a_redirect_is_named_and_not_followed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                let head = match request[..length].starts_with(b"POST /elsewhere") {
                    true => "HTTP/1.1 204 No Content".to_owned(),
                    false => format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{at}/elsewhere"),
                };
                let _ = stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes());
            }
        });
        assert_eq!(sent(&format!("http://{at}"), None, false), Err(Some(307)));
    }

    #[test]
    fn what_an_smd_says_is_one_line_without_control_characters() {
        let problem = r#"{"type":"about:blank","title":"Conflict","detail":"same MAC","status":409}"#;
        assert_eq!(said(problem, StatusCode::CONFLICT), "same MAC");
        let several = format!("{problem}\n{problem}\n[{{\"URI\":\"/hsm/v2/x\"}}]\n");
        let text = said(&several, StatusCode::CONFLICT);
        assert!(text.starts_with("same MAC; same MAC (and yet it says that it stored it"), "{text}");
        assert_eq!(said("", StatusCode::BAD_GATEWAY), "Bad Gateway");
        assert_eq!(said("no\ntoken \u{1b}[31mfound", StatusCode::UNAUTHORIZED), "no token  [31mfound");
        assert_eq!(said(&"x".repeat(1000), StatusCode::BAD_REQUEST).chars().count(), SHOWN_MAX + 1);
    }

    #[test]
    fn a_token_goes_over_plain_http_on_loopback_only() {
        let target = |base: &str, token: &str, insecure| Target {
            base: base.parse().unwrap(),
            token: Some(token.to_owned()),
            ca: None,
            insecure,
        };
        assert!(matches!(
            Smd::new(&target("http://10.0.0.1", "t", false)),
            Err(TargetError::TokenInClear(_))
        ));
        assert!(matches!(Smd::new(&target("http://127.0.0.1", "a\nb", false)), Err(TargetError::Token)));
        for (base, insecure) in [("http://10.0.0.1", true), ("http://127.0.0.1:8082", false)] {
            assert!(Smd::new(&target(base, "t", insecure)).is_ok(), "{base}");
        }
    }
}
