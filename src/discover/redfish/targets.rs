//! Which BMCs are asked: an address range, a list, magellan's map file, or those of the records.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::Ipv4Net;
use reqwest::Url;

use crate::config::diagnostic::quoted;
use crate::config::table::{KeyPath, Table, Unknown};
use crate::config::tree::Document;
use crate::config::{Code, Findings};
use crate::records::{Bmc, BmcXname, Mac};

/// Addresses of one range: a /16. More is a slip of the pen.
const RANGE_MAX: u32 = 65_536;

/// One BMC to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// False: plain http.
    pub https: bool,
    /// Address or name; IPv6 without brackets.
    pub host: String,
    /// TCP port; `None` is the one of `--port`.
    pub port: Option<u16>,
    /// From a range: nobody said that there is a BMC, so silence is no failure.
    pub from_range: bool,
}

/// Why a text is no [`Target`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A user or password in it.
    #[error("holds a user name or password: they belong into the credentials file")]
    UserInfo,
    /// A path, or something else that is no host.
    #[error("is no host, host:port or https://host:port")]
    NoHost,
}

impl FromStr for Target {
    type Err = TargetError;

    /// Takes `10.0.0.5`, `bmc1.example`, `10.0.0.5:5443`, `fe80::1`, `[fe80::1]:443` and URLs without a path.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let https = !text.starts_with("http://");
        let url = if let Ok(IpAddr::V6(v6)) = text.parse() {
            format!("https://[{v6}]")
        } else if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url = Url::parse(&url).map_err(|_| TargetError::NoHost)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInfo);
        }
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|_| bare && matches!(url.scheme(), "http" | "https"));
        let host = host.filter(|host| !host.is_empty()).ok_or(TargetError::NoHost)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        // The scheme's own port counts as not stated.
        let port = text.rsplit_once(':').and_then(|(_, port)| port.trim_end_matches('/').parse().ok());
        let stated = url
            .port()
            .or(port.filter(|port| url.port_or_known_default() == Some(*port) && !host.contains(':')));
        Ok(Self { https, host, port: stated, from_range: false })
    }
}

impl Target {
    /// `https://host:port`.
    pub fn origin(&self, port: u16) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority(port))
    }

    /// `host:port`, IPv6 in brackets.
    pub fn authority(&self, port: u16) -> String {
        let port = self.port.unwrap_or(port);
        if self.host.contains(':') {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }
}

/// The addresses of a range: `10.0.0.0/24`, `10.0.0.10-10.0.0.20`, `10.0.0.10-20`, or one address.
///
/// # Errors
/// What is wrong, as it follows the text.
pub fn range(text: &str) -> Result<Vec<Target>, String> {
    const FORMS: &str = "is no range: write 10.0.0.0/24, 10.0.0.10-10.0.0.20 or 10.0.0.10-20";
    let (first, last) = if let Ok(net) = text.parse::<Ipv4Net>() {
        let (network, broadcast) = (u32::from(net.network()), u32::from(net.broadcast()));
        if net.prefix_len() >= 31 { (network, broadcast) } else { (network + 1, broadcast - 1) }
    } else if let Some((first, last)) = text.split_once('-') {
        let first: Ipv4Addr = first.trim().parse().map_err(|_| FORMS.to_owned())?;
        let last = last.trim();
        let last = match last.parse::<u8>() {
            Ok(byte) => {
                let [a, b, c, _] = first.octets();
                Ipv4Addr::new(a, b, c, byte)
            }
            Err(_) => last.parse().map_err(|_| FORMS.to_owned())?,
        };
        (u32::from(first), u32::from(last))
    } else {
        let one: Ipv4Addr = text.parse().map_err(|_| FORMS.to_owned())?;
        (u32::from(one), u32::from(one))
    };
    if last < first {
        return Err(format!("ends before it begins ({} to {})", Ipv4Addr::from(first), Ipv4Addr::from(last)));
    }
    if last - first >= RANGE_MAX {
        return Err(format!("holds more than {RANGE_MAX} addresses"));
    }
    let target =
        |ip| Target { https: true, host: Ipv4Addr::from(ip).to_string(), port: None, from_range: true };
    Ok((first..=last).map(target).collect())
}

/// A map file: which BMC has which xname.
#[derive(Debug, Default)]
pub struct Map {
    /// In the order of the file: what a BMC is known by, and its xname.
    pub entries: Vec<(MapKey, BmcXname)>,
}

/// What a map knows a BMC by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapKey {
    /// Address or name.
    Host(String),
    /// Its own network card.
    Mac(Mac),
}

impl Map {
    /// The xname of a BMC, by its card first.
    pub fn xname(&self, host: &str, mac: Option<Mac>) -> Option<&BmcXname> {
        let by_mac =
            |(key, _): &&(MapKey, BmcXname)| matches!(key, MapKey::Mac(known) if Some(*known) == mac);
        let by_host = |(key, _): &&(MapKey, BmcXname)| matches!(key, MapKey::Host(known) if known == host);
        self.entries.iter().find(by_mac).or_else(|| self.entries.iter().find(by_host)).map(|(_, xname)| xname)
    }
}

/// Reads a map in magellan's form, `{map_key: bmc-ip-addr, id_map: {172.21.0.1: x0c0s1b0}}`. A key of `id_map`
/// may be a MAC too. Two keys with one xname, and values that are no BMC's xname, are errors.
pub fn map(document: &Document<'_>, findings: &mut Findings) -> Map {
    let mut map = Map::default();
    let Some(mut top) = Table::open(&document.root, document.source, &KeyPath::Root, findings) else {
        return map;
    };
    top.unknown_keys(&["map_key", "id_map"], Unknown::Refuse);
    top.choice("map_key", &[("bmc-ip-addr", ())]);
    let path = KeyPath::Key(&KeyPath::Root, "id_map");
    let Some(value) = top.value("id_map") else {
        let span = top.span;
        top.error(Code::MissingKey, span, "id_map", "a map needs the key id_map")
            .advise("write id_map: {172.21.0.1: x1000c0s0b0}");
        return map;
    };
    let Some(mut ids) = top.open_child(value, &path) else { return map };
    let mut seen = HashMap::new();
    for pair in ids.pairs() {
        let Some(xname) = ids.parsed::<BmcXname>(&pair.key) else { continue };
        if let Some(first) = seen.insert(xname.value.clone(), xname.span) {
            let (first, message) = (ids.place(first), format!("two BMCs have the xname {}", xname.value));
            ids.error(Code::DuplicateXname, xname.span, &pair.key, message).also(&first, "first stated here");
        }
        let key = match (pair.key.parse::<Mac>(), pair.key.parse::<Target>()) {
            (Ok(mac), _) => MapKey::Mac(mac),
            (_, Ok(target)) if target.port.is_none() => MapKey::Host(target.host),
            _ => {
                let message = format!("{} is neither an address, a host name nor a MAC", quoted(&pair.key));
                ids.error(Code::WrongValue, pair.span, &pair.key, message);
                continue;
            }
        };
        map.entries.push((key, xname.value));
    }
    map
}

/// All targets, each once. Those of the map and of the records are asked where nothing else is named;
/// otherwise they only say which xname an address has.
pub fn targets(ranges: Vec<Target>, hosts: Vec<Target>, map: &Map, bmcs: &[Bmc]) -> Vec<Target> {
    let named = |host: &str| host.parse::<Target>().ok();
    let mut all = hosts;
    all.extend(ranges);
    if all.is_empty() {
        all.extend(map.entries.iter().filter_map(|(key, _)| match key {
            MapKey::Host(host) => named(host),
            MapKey::Mac(_) => None,
        }));
        let host = |bmc: &Bmc| bmc.ip.map(|ip| ip.to_string()).or_else(|| bmc.fqdn.clone());
        all.extend(bmcs.iter().filter_map(|bmc| named(&host(bmc)?)));
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|target| seen.insert((target.host.clone(), target.port)));
    all
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => f.write_str(&self.authority(port)),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;
    use crate::config::tree;

    #[test]
    fn a_range_is_read_in_every_spelling() {
        let hosts =
            |text: &str| range(text).map(|all| all.into_iter().map(|one| one.host).collect::<Vec<_>>());
        assert_eq!(hosts("10.0.0.0/30").unwrap(), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(hosts("10.0.0.4/31").unwrap(), ["10.0.0.4", "10.0.0.5"]);
        assert_eq!(hosts("10.0.0.9-10.0.0.10").unwrap(), ["10.0.0.9", "10.0.0.10"]);
        assert_eq!(hosts("10.0.0.9-10").unwrap(), ["10.0.0.9", "10.0.0.10"]);
        assert_eq!(hosts("10.0.0.9").unwrap(), ["10.0.0.9"]);
        for wrong in ["10.0.0.0/8", "10.0.0.9-8", "bmc1", "10.0.0.1-", "", "10.0.0.0/33"] {
            assert!(hosts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_read_in_every_spelling() {
        for (text, origin) in [
            ("10.0.0.5", "https://10.0.0.5:443"),
            ("bmc1.example:5443", "https://bmc1.example:5443"),
            ("https://10.0.0.5:5443/", "https://10.0.0.5:5443"),
            ("http://10.0.0.5", "http://10.0.0.5:443"),
            ("fe80::1", "https://[fe80::1]:443"),
            ("[fe80::1]:5443", "https://[fe80::1]:5443"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().origin(443), origin, "{text}");
        }
        assert_eq!("https://10.0.0.5:443".parse::<Target>().unwrap().origin(5443), "https://10.0.0.5:443");
        for (text, problem) in [
            ("root:x@10.0.0.5", TargetError::UserInfo),
            ("10.0.0.5/redfish", TargetError::NoHost),
            ("", TargetError::NoHost),
        ] {
            assert_eq!(text.parse::<Target>(), Err(problem), "{text}");
        }
    }

    #[test]
    fn a_map_is_magellans_and_knows_macs_too() {
        let read = |text: &str| {
            let source = std::sync::Arc::new(Source::new("map.yaml", text.to_owned()));
            let mut findings = Findings::default();
            let map = tree::parse(&source, &mut findings).map(|document| map(&document, &mut findings));
            (map.unwrap_or_default(), findings.into_list())
        };
        let text = r#"{"map_key": "bmc-ip-addr", "id_map": {"10.0.0.1": "x0c0s1b0", "02:00:00:00:00:01": "x0c0s2b0"}}"#;
        let (map, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        let mac = "02:00:00:00:00:01".parse().ok();
        assert_eq!(map.xname("10.0.0.1", None).unwrap().as_str(), "x0c0s1b0");
        assert_eq!(map.xname("10.0.0.1", mac).unwrap().as_str(), "x0c0s2b0", "the card says it more surely");
        assert_eq!(targets(Vec::new(), Vec::new(), &map, &[]).len(), 1, "a MAC is no place to ask at");
        for wrong in [
            "{map_key: other, id_map: {}}",
            "{id_map: {10.0.0.1: bmc-eleven}}",
            "{id_map: {10.0.0.1: x0c0s1b0, 10.0.0.2: x0c0s1b0}}",
            "{map_key: bmc-ip-addr}",
            "[x]",
        ] {
            assert!(read(wrong).1.iter().any(crate::config::Diagnostic::is_error), "{wrong}");
        }
    }
}
