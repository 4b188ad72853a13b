//! The body of a Redfish endpoint as `ochami discover static` and magellan send it: the endpoint itself, and with
//! `Systems`, `Managers` or `PDUInventory` what it manages.
//!
//! Names are compared without case and without `_`, because magellan spells them differently when the data went
//! through YAML on its way. Everything may be missing; a MAC or an address that is there and malformed is refused.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use super::Refusal;
use super::ethernet_interfaces::address;
use crate::openchami::endpoint::{NicInfo, host_and_domain};
use crate::openchami::inventory::RedfishEndpoint;
use crate::openchami::xname::Location;
use crate::records::Mac;

/// A Redfish endpoint as it is sent.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Body {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) fqdn: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) uuid: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) usessdp: Option<bool>,
    pub(super) macrequired: Option<bool>,
    pub(super) macaddr: Option<String>,
    pub(super) ipaddress: Option<String>,
    pub(super) rediscoveronupdate: Option<bool>,
    pub(super) templateid: Option<String>,
    systems: Vec<Value>,
    managers: Vec<Value>,
    pub(super) pduinventory: Option<PduInventory>,
}

/// One node of a BMC.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct System {
    pub(super) uri: String,
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) nodeid: String,
    pub(super) systemtype: String,
    pub(super) actions: Vec<String>,
    pub(super) ethernetinterfaces: Vec<Nic>,
    pub(super) power: Power,
    manufacturer: String,
    #[serde(alias = "modelnumber")]
    model: String,
    #[serde(alias = "serialnumber")]
    serial: String,
    biosversion: String,
    processorcount: Option<Number>,
    processortype: String,
    memorytotal: Option<Number>,
    serialconsole: Consoles,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Power {
    pub(super) state: String,
}

/// The ways to a node's serial console; magellan's JSON has a typing error in IPMI.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Consoles {
    #[serde(alias = "impi")]
    ipmi: Option<Console>,
    ssh: Option<Console>,
    telnet: Option<Console>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Console {
    enabled: bool,
    port: u16,
}

/// The BMC itself.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Manager {
    pub(super) uri: String,
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) actions: Vec<String>,
    pub(super) ethernetinterfaces: Vec<Nic>,
    #[serde(alias = "commandshellsupported")]
    pub(super) commandshell: Vec<String>,
    model: String,
    firmwareversion: String,
}

/// A network card.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Nic {
    mac: String,
    ip: String,
    name: String,
    pub(super) description: String,
    enabled: bool,
    uri: String,
}

/// What a power distribution unit that speaks JAWS says.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PduInventory {
    pub(super) outlets: Vec<Outlet>,
}

/// One outlet.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Outlet {
    pub(super) originalid: String,
    pub(super) idsuffix: String,
    pub(super) name: String,
    sockettype: String,
}

/// Reads the members of a list; the first wrong one is named.
fn each<T: for<'de> Deserialize<'de>>(list: &[Value]) -> Result<Vec<T>, Refusal> {
    let wrong = |error: serde_json::Error| Refusal::bad(format!("error decoding JSON {error}"));
    list.iter().map(|value| T::deserialize(value).map_err(wrong)).collect()
}

impl Body {
    /// Its systems.
    pub(super) fn systems(&self) -> Result<Vec<System>, Refusal> {
        // The form of schema version 0 holds raw Redfish documents; nobody sends it any more.
        if self.systems.iter().any(|system| system.get("data").is_some()) {
            let advice = "Systems of SchemaVersion 0 (with Data) are not read: send SchemaVersion 1";
            return Err(Refusal::bad(format!("couldn't validate endpoint data: {advice}")));
        }
        each(&self.systems)
    }

    /// Its managers.
    pub(super) fn managers(&self) -> Result<Vec<Manager>, Refusal> {
        each(&self.managers)
    }

    /// The record that this makes out of `there`: a default, or what is replaced. A password that is not given is
    /// kept, because it is never shown and so cannot be sent back.
    pub(super) fn record(
        &self,
        id: Location,
        there: Option<&RedfishEndpoint>,
    ) -> Result<RedfishEndpoint, String> {
        let text = |given: &Option<String>| given.as_deref().unwrap_or_default().trim().to_owned();
        let named = [
            ("Name", &self.name),
            ("Hostname", &self.hostname),
            ("Domain", &self.domain),
            ("FQDN", &self.fqdn),
            ("UUID", &self.uuid),
            ("User", &self.user),
            ("TemplateID", &self.templateid),
        ];
        for (what, value) in named {
            if let Some(c) = value.as_deref().unwrap_or_default().chars().find(|c| c.is_control()) {
                return Err(format!("{what} holds the control character {c:?}"));
            }
        }
        let names = Names::of(&text(&self.hostname), &text(&self.domain), &text(&self.fqdn), &id)?;
        let mut discovery_info = Map::new();
        discovery_info.insert("LastDiscoveryStatus".to_owned(), json!("NotYetQueried"));
        let password = match (text(&self.password), there) {
            (given, Some(there)) if given.is_empty() => there.password.clone(),
            (given, _) => given,
        };
        Ok(RedfishEndpoint {
            id,
            name: text(&self.name),
            enabled: self.enabled.unwrap_or(true),
            uuid: text(&self.uuid),
            user: text(&self.user),
            password,
            use_ssdp: self.usessdp.unwrap_or(false),
            mac_required: self.macrequired.unwrap_or(false),
            mac_addr: checked_mac(&text(&self.macaddr))?,
            ip_address: checked_address(&text(&self.ipaddress), &names)?,
            rediscover_on_update: self.rediscoveronupdate.unwrap_or(false),
            template_id: text(&self.templateid),
            discovery_info: there.map_or(discovery_info, |there| there.discovery_info.clone()),
            hostname: names.hostname,
            domain: names.domain,
            fqdn: names.fqdn,
        })
    }
}

/// Checks the MAC of an endpoint; it is kept as it is spelt.
pub(super) fn checked_mac(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    text.parse::<Mac>().map(|_| text.to_owned()).map_err(|error| format!("MACAddr '{text}' {error}"))
}

/// Checks the address of an endpoint; one that is its name is its address too.
pub(super) fn checked_address(text: &str, names: &Names) -> Result<String, String> {
    match text {
        "" if names.hostname.parse::<IpAddr>().is_ok() => Ok(names.hostname.clone()),
        "" => Ok(String::new()),
        text if text.parse::<IpAddr>().is_ok() => Ok(text.to_owned()),
        text => Err(format!("IPAddress is not a valid IP address: '{text}'")),
    }
}

/// Host, domain and full name of an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) hostname: String,
    pub(super) domain: String,
    pub(super) fqdn: String,
}

impl Names {
    /// Completes what is given: the full name is host and domain, the host the first label of the full name. Without
    /// both the location is the full name, and there is no host name.
    pub(super) fn of(hostname: &str, domain: &str, fqdn: &str, id: &Location) -> Result<Self, String> {
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_name = |text: &str| text.chars().all(|c| label(c) || c == '.');
        if !is_address(hostname) && !hostname.chars().all(label) {
            return Err("Hostname is not a basename or IP address.".to_owned());
        }
        if !is_name(domain) || !(is_name(fqdn) || is_address(fqdn)) {
            return Err(format!("'{domain}', '{fqdn}': not a domain and a full name"));
        }
        let (first, rest) = host_and_domain(fqdn);
        let hostname = if hostname.is_empty() { first } else { hostname.to_owned() };
        let domain = match (is_address(&hostname), domain) {
            (true, _) => String::new(),
            (false, "") => rest,
            (false, domain) => domain.to_owned(),
        };
        let host = if hostname.is_empty() { id.as_str() } else { &hostname };
        let whole = if domain.is_empty() { host.to_owned() } else { format!("{host}.{domain}") };
        if !fqdn.is_empty() && !whole.eq_ignore_ascii_case(fqdn) {
            return Err(format!("host/domain conflicts with FQDN: '{whole}' != '{fqdn}'"));
        }
        let fqdn = if fqdn.is_empty() { whole } else { fqdn.to_owned() };
        Ok(Self { hostname, domain, fqdn })
    }
}

impl System {
    /// What Redfish knows more of it, under Redfish's names.
    pub(super) fn more(&self) -> Map<String, Value> {
        let mut more = Map::new();
        let texts = [
            ("Manufacturer", &self.manufacturer),
            ("Model", &self.model),
            ("SerialNumber", &self.serial),
            ("BiosVersion", &self.biosversion),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            more.insert(name.to_owned(), text.as_str().into());
        }
        let mut processors = Map::new();
        if let Some(count) = &self.processorcount {
            processors.insert("Count".to_owned(), count.clone().into());
        }
        if !self.processortype.is_empty() {
            processors.insert("Model".to_owned(), self.processortype.as_str().into());
        }
        if !processors.is_empty() {
            more.insert("ProcessorSummary".to_owned(), processors.into());
        }
        if let Some(total) = &self.memorytotal {
            more.insert("MemorySummary".to_owned(), json!({"TotalSystemMemoryGiB": total}));
        }
        let consoles = &self.serialconsole;
        let shown = [("IPMI", &consoles.ipmi), ("SSH", &consoles.ssh), ("Telnet", &consoles.telnet)];
        let shown: Map<String, Value> = shown
            .into_iter()
            .filter_map(|(name, console)| {
                let console = console.as_ref()?;
                let value = json!({"ServiceEnabled": console.enabled, "Port": console.port});
                Some((name.to_owned(), value))
            })
            .collect();
        if !shown.is_empty() {
            more.insert("SerialConsole".to_owned(), shown.into());
        }
        more
    }
}

impl Manager {
    /// What Redfish knows more of it, under Redfish's names.
    pub(super) fn more(&self) -> Map<String, Value> {
        let texts = [("Model", &self.model), ("FirmwareVersion", &self.firmwareversion)];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        texts.map(|(name, text)| (name.to_owned(), text.as_str().into())).collect()
    }
}

impl Outlet {
    /// What is known more of it.
    pub(super) fn more(&self) -> Map<String, Value> {
        let socket =
            (!self.sockettype.is_empty()).then(|| ("SocketType".to_owned(), self.sockettype.as_str().into()));
        socket.into_iter().collect()
    }
}

impl Nic {
    /// Its MAC; none where Redfish has none, which many show as zeros.
    pub(super) fn mac(&self) -> Result<Option<Mac>, Refusal> {
        let text = self.mac.trim();
        if text.chars().all(|c| matches!(c, '0' | ':' | '-' | '.')) {
            return Ok(None);
        }
        let wrong = |error| Refusal::bad(format!("MAC '{text}' of a network card {error}"));
        text.parse().map(Some).map_err(wrong)
    }

    /// Its address; none while the node is off.
    pub(super) fn address(&self) -> Result<Option<IpAddr>, Refusal> {
        address(&self.ip)
    }

    /// How component endpoints list it.
    pub(super) fn info(&self) -> NicInfo {
        NicInfo {
            mac: self.mac.clone(),
            description: self.description.clone(),
            name: self.name.clone(),
            path: path(&self.uri).to_owned(),
            enabled: self.enabled,
        }
    }
}

/// The path of a URL: hosts in them are whoever was asked, or nobody.
pub(super) fn path(uri: &str) -> &str {
    match uri.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => uri,
    }
}

/// The last element of a URL's path.
pub(super) fn last_segment(uri: &str) -> &str {
    path(uri).trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::openchami::api::json::{self, Keys};

    fn id() -> Location {
        "x1000c0s0b0".parse().unwrap()
    }

    #[test]
    fn a_full_name_follows_from_host_and_domain_and_they_from_it() {
        let of = |host: &str, domain: &str, fqdn: &str| {
            Names::of(host, domain, fqdn, &id()).map(|names| (names.hostname, names.domain, names.fqdn))
        };
        let names = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(of("", "", ""), names("", "", "x1000c0s0b0"));
        assert_eq!(of("", "", "bmc1.lab"), names("bmc1", "lab", "bmc1.lab"));
        assert_eq!(of("", "", "172.21.0.1"), names("172.21.0.1", "", "172.21.0.1"));
        assert_eq!(of("bmc1", "lab", ""), names("bmc1", "lab", "bmc1.lab"));
        assert_eq!(of("", "lab", ""), names("", "lab", "x1000c0s0b0.lab"));
        assert_eq!(of("bmc1", "", "bmc1.lab"), names("bmc1", "lab", "bmc1.lab"));
        assert_eq!(
            of("bmc2", "", "bmc1.lab").unwrap_err(),
            "host/domain conflicts with FQDN: 'bmc2.lab' != 'bmc1.lab'"
        );
        assert_eq!(of("a.b", "", "").unwrap_err(), "Hostname is not a basename or IP address.");
        assert!(of("", "", "a b").is_err());
    }

    #[test]
    fn a_url_says_only_where_on_its_host() {
        assert_eq!(last_segment("https://h:5443/redfish/v1/Systems/x1c0s0b0n0"), "x1c0s0b0n0");
        assert_eq!(path("http://h"), "");
        assert_eq!(path("/redfish/v1/Systems/1"), "/redfish/v1/Systems/1");
        assert_eq!(last_segment(""), "");
    }

    #[test]
    fn a_card_without_mac_is_none_and_a_malformed_one_is_named() {
        let of = |mac: &str| Nic { mac: mac.to_owned(), ..Nic::default() }.mac();
        assert!(of("").unwrap().is_none() && of("00:00:00:00:00:00").unwrap().is_none());
        assert_eq!(of("02:BB:00:00:12:01").unwrap().unwrap().to_string(), "02:bb:00:00:12:01");
        assert!(of("not-a-mac").unwrap_err().detail.contains("'not-a-mac'"));
    }

    proptest! {
        #[test]
        fn any_json_is_a_body_or_refused(text in "\\PC{0,60}", uri in "\\PC{0,30}") {
            let systems = serde_json::json!([{"uri": uri, "uuid": text, "ethernet_interfaces": [{"mac": text, "ip": text}]}]);
            let body = serde_json::json!({"ID": text, "FQDN": text, "Systems": systems});
            let read: Body = json::read(body.to_string().as_bytes(), Keys { loose: true, free: &[] }).unwrap();
            let _ = read.record(id(), None);
            for system in read.systems().unwrap() {
                let _ = (last_segment(&system.uri), system.ethernetinterfaces[0].mac(), system.ethernetinterfaces[0].address());
            }
        }
    }
}
