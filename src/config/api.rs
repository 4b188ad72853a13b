//! Settings of the administrative listener: where it listens, who may use it, how it proves itself.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::http::query::authority;

use super::diagnostic::{Code, quoted};
use super::table::{At, KeyPath, Table, Unknown};

/// Keys of bootlace.yaml that [`read`] reads.
pub const API_KEYS: [&str; 7] =
    ["api", "api_tls", "api_tokens", "public_inventory", "api_hosts", "trusted_proxies", "tls_name"];
/// Keys of `api_tls`.
pub const API_TLS_KEYS: [&str; 2] = ["certificate", "key"];
/// Keys of `api_tokens`.
pub const API_TOKENS_KEYS: [&str; 3] = ["jwks", "issuer", "audience"];

/// Where the API is served when nothing is said: this machine only.
pub const API_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8082);

/// Where the API is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApiListen {
    /// Nowhere.
    Off,
    /// At one address.
    At(SocketAddr),
}

impl Default for ApiListen {
    fn default() -> Self {
        Self::At(API_ADDRESS)
    }
}

impl std::str::FromStr for ApiListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<SocketAddr>() {
            _ if text == "none" => Ok(Self::Off),
            Ok(address) if address.port() != 0 && !address.ip().is_multicast() => Ok(Self::At(address)),
            _ => Err(format!(
                "'{}' is no place for the API: use ADDRESS:PORT, such as {API_ADDRESS} or 0.0.0.0:8443, or none",
                text.escape_debug()
            )),
        }
    }
}

impl std::fmt::Display for ApiListen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("none"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// `api_tls`: a certificate of the operator's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// PEM: the certificate, then those between it and the root.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// Where the keys are that other issuers sign tokens with (RFC 7517, 5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// An http or https URL.
    Url(String),
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// `api_tokens`: stated at all, it makes tokens needed on loopback too.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct TokenSettings {
    /// Keys of another issuer.
    pub jwks: Option<KeySource>,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must be or hold.
    pub audience: Option<String>,
}

/// Everything about the administrative listener.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct ApiSettings {
    /// Where it listens.
    pub listen: ApiListen,
    /// A certificate of the operator's own; else one is made where TLS is needed.
    pub tls: Option<TlsFiles>,
    /// Who makes tokens.
    pub tokens: Option<TokenSettings>,
    /// The lists of components and network cards need no token.
    pub public_inventory: bool,
    /// Names, in lower case and with or without port, under which the API may be asked without a token.
    pub hosts: Vec<String>,
    /// Proxies whose X-Forwarded-For counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Further names and addresses in the certificate that is made.
    pub tls_names: Vec<String>,
}

/// The same keys as written. `None`: not written.
#[derive(Clone, Default, Debug)]
pub struct WrittenApi {
    /// `api`
    pub listen: Option<ApiListen>,
    /// `api_tls`
    pub tls: Option<TlsFiles>,
    /// `api_tokens`
    pub tokens: Option<TokenSettings>,
    /// `public_inventory`
    pub public_inventory: Option<bool>,
    /// `api_hosts`
    pub hosts: Vec<String>,
    /// `trusted_proxies`
    pub trusted_proxies: Vec<IpNet>,
    /// `tls_name`
    pub tls_names: Vec<String>,
}

/// Flags of the same. `None` and false: nothing said.
#[derive(Clone, Default, Debug)]
pub struct ApiFlags {
    /// `--api`
    pub listen: Option<ApiListen>,
    /// `--public-inventory`
    pub public_inventory: bool,
    /// `--tls-name`, repeated
    pub tls_names: Option<Vec<String>>,
}

impl WrittenApi {
    /// Settings from what is written and the flags; a flag wins.
    pub fn with(self, flags: &ApiFlags) -> ApiSettings {
        ApiSettings {
            listen: flags.listen.or(self.listen).unwrap_or_default(),
            tls: self.tls,
            tokens: self.tokens,
            public_inventory: flags.public_inventory || self.public_inventory.unwrap_or_default(),
            hosts: self.hosts,
            trusted_proxies: self.trusted_proxies,
            tls_names: flags.tls_names.clone().unwrap_or(self.tls_names),
        }
    }
}

/// Reads the keys; paths are relative to `folder`.
pub fn read(table: &mut Table<'_, '_>, folder: &Path) -> WrittenApi {
    WrittenApi {
        listen: table.text("api").and_then(|text| checked(table, "api", text, |text| text.parse())),
        tls: tls(table, folder),
        tokens: tokens(table, folder),
        public_inventory: table.truth("public_inventory"),
        hosts: each(table, "api_hosts", host),
        trusted_proxies: each(table, "trusted_proxies", proxy),
        tls_names: each(table, "tls_name", tls_name),
    }
}

fn checked<T>(
    table: &mut Table<'_, '_>,
    key: &str,
    text: At<&str>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    match read(text.value) {
        Ok(value) => Some(value),
        Err(problem) => {
            table.error(Code::WrongValue, text.span, key, problem);
            None
        }
    }
}

/// One value or a list; what stands twice counts once.
fn each<T: Clone + Eq + std::hash::Hash>(
    table: &mut Table<'_, '_>,
    key: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let items = table.one_or_more(key);
    let mut seen = HashSet::new();
    let texts = table.texts(key, items);
    let values = texts.into_iter().filter_map(|text| checked(table, key, text, &read));
    values.filter(|value| seen.insert(value.clone())).collect()
}

fn host(text: &str) -> Result<String, String> {
    match authority(text) {
        Some(host) => Ok(host.to_ascii_lowercase()),
        None => Err(format!("{} is no host: use NAME, ADDRESS or either with :PORT", quoted(text))),
    }
}

fn proxy(text: &str) -> Result<IpNet, String> {
    let net = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            format!("{} is no address and no network: use 10.0.0.1 or 10.0.0.0/24", quoted(text))
        })?,
    };
    if net.addr() != net.network() {
        return Err(format!("{net} has bits of a host in it: the network is {}", net.trunc()));
    }
    Ok(net)
}

/// A name or address that a certificate can be made for.
pub fn tls_name(text: &str) -> Result<String, String> {
    match rustls::pki_types::ServerName::try_from(text) {
        Ok(_) => Ok(text.to_ascii_lowercase()),
        Err(_) => Err(format!("{} is neither a DNS name nor an address", quoted(text))),
    }
}

fn tls(table: &mut Table<'_, '_>, folder: &Path) -> Option<TlsFiles> {
    let value = table.value("api_tls")?;
    let path = KeyPath::Key(table.path(), "api_tls");
    let mut inner = table.open_child(value, &path)?;
    inner.unknown_keys(&API_TLS_KEYS, Unknown::Refuse);
    let mut file = |key: &str| {
        if inner.value(key).is_none() {
            let message = format!("api_tls needs {key}, a PEM file");
            inner.error(Code::MissingKey, inner.span, key, message).advise(
                "write api_tls: {certificate: FILE, key: FILE}; without api_tls bootlace makes a certificate",
            );
        }
        inner.text(key).map(|text| folder.join(text.value))
    };
    let (certificate, key) = (file("certificate"), file("key"));
    Some(TlsFiles { certificate: certificate?, key: key? })
}

fn tokens(table: &mut Table<'_, '_>, folder: &Path) -> Option<TokenSettings> {
    let value = table.value("api_tokens")?;
    let path = KeyPath::Key(table.path(), "api_tokens");
    let mut inner = table.open_child(value, &path)?;
    inner.unknown_keys(&API_TOKENS_KEYS, Unknown::Refuse);
    let text = inner.text("jwks");
    let jwks = text.and_then(|text| checked(&mut inner, "jwks", text, |text| key_source(text, folder)));
    if let (Some(text), Some(KeySource::Url(url))) = (text, &jwks)
        && crosses_in_the_open(url)
    {
        inner
            .warning(
                Code::PlainHttp,
                text.span,
                "jwks",
                "whoever sits between here and there can answer with keys of their own, and so write every record",
            )
            .advise("use an https URL, or a file");
    }
    let mut word = |key: &str| inner.text(key).map(|text| text.value.to_owned());
    Some(TokenSettings { jwks, issuer: word("issuer"), audience: word("audience") })
}

/// Whether what `url` names comes over plain http from another machine.
fn crosses_in_the_open(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url))
}

/// Whether the host of `url` is an address of this machine that no network sees.
pub fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

fn key_source(text: &str, folder: &Path) -> Result<KeySource, String> {
    if !text.contains("://") {
        return Ok(KeySource::File(folder.join(text)));
    }
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(KeySource::Url(text.to_owned()))
        }
        _ => Err(format!("{} is no JWKS: use a file, or an http or https URL", quoted(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::{Flags, interpret};
    use crate::config::source::Source;
    use crate::config::{Findings, tree};

    fn read(text: &str) -> (ApiSettings, Vec<String>) {
        let source = std::sync::Arc::new(Source::new("/etc/bootlace/bootlace.yaml", text.to_owned()));
        let mut findings = Findings::default();
        let document = tree::parse(&source, &mut findings).unwrap();
        let written = interpret(&document, &mut findings);
        let problems = findings.into_list().into_iter().map(|problem| problem.one_line()).collect();
        (written.with(&Flags::default()).api, problems)
    }

    #[test]
    fn without_a_key_the_api_is_for_this_machine() {
        let (api, problems) = read("mode: proxy");
        assert_eq!((api, problems), (ApiSettings::default(), Vec::new()));
        assert_eq!(ApiListen::default().to_string(), "127.0.0.1:8082");
    }

    #[test]
    fn every_key_reaches_the_settings_and_a_flag_wins() {
        let text = "
api: 172.16.0.254:8443
api_tls: {certificate: c.pem, key: /k.pem}
api_tokens: {jwks: 'https://id.example.org/jwks', issuer: i, audience: a}
public_inventory: true
api_hosts: [Boot.example.org, 'gate:8443', boot.example.org]
trusted_proxies: [10.0.0.1, fd00::/64]
tls_name: boot.example.org
";
        let (api, problems) = read(text);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(api.listen.to_string(), "172.16.0.254:8443");
        let files = TlsFiles { certificate: "/etc/bootlace/c.pem".into(), key: "/k.pem".into() };
        assert_eq!(api.tls, Some(files));
        let tokens = api.tokens.clone().unwrap();
        assert_eq!(tokens.jwks, Some(KeySource::Url("https://id.example.org/jwks".into())));
        assert_eq!((tokens.issuer.as_deref(), tokens.audience.as_deref()), (Some("i"), Some("a")));
        assert!(api.public_inventory);
        assert_eq!(api.hosts, ["boot.example.org", "gate:8443"]);
        assert_eq!(api.trusted_proxies, ["10.0.0.1/32".parse().unwrap(), "fd00::/64".parse().unwrap()]);
        assert_eq!(api.tls_names, ["boot.example.org"]);
        let flags = ApiFlags {
            listen: Some(ApiListen::Off),
            public_inventory: false,
            tls_names: Some(vec!["x".into()]),
        };
        let written =
            WrittenApi { listen: Some(api.listen), tls_names: api.tls_names, ..WrittenApi::default() };
        let with_flags = written.with(&flags);
        assert_eq!((with_flags.listen, with_flags.tls_names), (ApiListen::Off, vec!["x".to_owned()]));
        assert_eq!(
            read("api_tokens: {}").0.tokens,
            Some(TokenSettings::default()),
            "own tokens, on loopback too"
        );
        for safe in
            ["https://id.example.org/jwks", "http://127.0.0.1:1/jwks", "http://[::1]/x", "http://localhost/x"]
        {
            let (api, problems) = read(&format!("api_tokens: {{jwks: '{safe}'}}"));
            assert_eq!((api.tokens.unwrap().jwks, problems), (Some(KeySource::Url(safe.into())), Vec::new()));
        }
        let jwks = read("api_tokens: {jwks: keys.json}").0.tokens.unwrap().jwks;
        assert_eq!(jwks, Some(KeySource::File("/etc/bootlace/keys.json".into())));
    }

    #[test]
    fn what_cannot_be_is_said_with_its_place_and_what_would_be_right() {
        for (text, words) in [
            ("api: ':8082'", "use ADDRESS:PORT"),
            ("api: 127.0.0.1:0", "use ADDRESS:PORT"),
            ("api: off", "or none"),
            ("api_tls: x.pem", "a mapping"),
            ("api_tls: {certificate: x.pem}", "needs key"),
            ("api_tls: {cert: x.pem, certificate: y, key: z}", "cert"),
            ("api_tokens: {jwks: 'ftp://x/y'}", "is no JWKS"),
            ("api_tokens: {jwk: x}", "jwks"),
            ("api_tokens: {jwks: 'http://10.0.0.1/jwks'}", "sits between"),
            ("api_hosts: 'http://x'", "is no host"),
            ("trusted_proxies: 10.0.0.1/24", "10.0.0.0/24"),
            ("trusted_proxies: everybody", "is no address"),
            ("tls_name: 'a b'", "neither a DNS name"),
            ("public_inventory: maybe", "public_inventory"),
        ] {
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].contains(words) && problems[0].contains(":1:"), "{text}: {}", problems[0]);
        }
    }
}
