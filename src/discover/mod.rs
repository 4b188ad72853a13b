//! Telling an SMD which machines there are: from a file ([`static_file`]), or by asking their BMCs ([`redfish`]).
//!
//! Both end in requests to the `/hsm/v2` of a State Management Database, bootlace's own or a real one. What is
//! sent is a value ([`Request`]), made by pure functions; [`push`] is the edge that sends it.

pub mod push;
pub mod redfish;
pub mod static_file;

use std::fmt;
use std::str::FromStr;

use reqwest::{Method, Url};

use crate::config::api::is_loopback;

/// One request to an SMD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Path below the base URL, from `/hsm/v2` on.
    pub path: String,
    /// JSON, as it goes over the wire.
    pub body: String,
    /// What it is about, for people: `RedfishEndpoint x1000c0s0b0`.
    pub subject: String,
    /// What is sent when the answer is 409 (the record exists), and only then.
    pub on_conflict: Option<Box<Request>>,
}

/// Where an SMD is: scheme, host and port, and a path in front of `/hsm/v2` where a gateway wants one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a text is no [`BaseUrl`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// No URL, or one of another scheme.
    #[error("is no http or https URL, such as http://127.0.0.1:8082")]
    NotHttp,
    /// A user name or password in it, which would be shown in every message.
    #[error("holds a user name or password, which has no place in a URL: give a token with --token-file")]
    UserInfo,
    /// A query or fragment, which no base URL has.
    #[error("holds a query or fragment; only scheme, host, port and path belong here")]
    Query,
}

impl BaseUrl {
    /// The URL of a path that begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// `http://host:port`, without a path.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// True for TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// True when the host is an address of this machine that no network sees.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    /// Slashes at the end and the `/hsm/v2` that is added anyway are taken away.
    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let mut url = Url::parse(text).map_err(|_| BaseUrlError::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(BaseUrlError::NotHttp);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BaseUrlError::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::Query);
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/hsm/v2").unwrap_or(path).to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_with_and_without_slash_and_api_path() {
        for text in ["http://h:8082", "http://h:8082/", "http://h:8082//", "http://h:8082/hsm/v2/"] {
            let base: BaseUrl = text.parse().unwrap();
            assert_eq!(base.join("/hsm/v2/groups"), "http://h:8082/hsm/v2/groups", "{text}");
            assert_eq!(base.to_string(), "http://h:8082", "{text}");
        }
        let base: BaseUrl = "https://h/apis/smd/".parse().unwrap();
        assert_eq!(base.join("/hsm/v2/groups"), "https://h/apis/smd/hsm/v2/groups");
        assert_eq!(base.origin(), "https://h");
    }

    #[test]
    fn what_is_no_base_url_is_refused_with_the_reason() {
        for (text, problem) in [
            ("h:8082", BaseUrlError::NotHttp),
            ("ftp://h", BaseUrlError::NotHttp),
            ("", BaseUrlError::NotHttp),
            ("http://u:p@h", BaseUrlError::UserInfo),
            ("http://h/?a=b", BaseUrlError::Query),
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(problem), "{text}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_network() {
        for (text, expected) in [
            ("http://127.0.0.9:1", true),
            ("http://[::1]", true),
            ("http://localhost", true),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().is_loopback(), expected, "{text}");
        }
    }
}
