//! bootlace.yaml as written, the flags beside it, and the one function that makes settings of both.
//!
//! Every key is optional and every default safe: mode `proxy`, known nodes only. A flag wins over the
//! file. Paths of the file are relative to the file, paths on flags to the working directory.

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::journal::log::LogFormat;

use super::api::{self, API_KEYS, ApiFlags, WrittenApi};
use super::class::{self, ClassSettings};
use super::diagnostic::{Code, Diagnostic, Findings, Severity, quoted};
use super::menu::{self, Menu};
use super::mode::Mode;
use super::settings::{
    FirmwareSource, HTTP_PORT, HostnameSource, HttpListen, InterfaceSettings, Knobs, LEASE, NoBootEntry,
    Profile, RASPBERRY_PI_MENU, Settings, SubnetSettings, Transport,
};
use super::source::Source;
use super::state::{self, StateFolder};
use super::table::{KeyPath, Table, Unknown};
use super::tree::{self, Document, Kind};
use super::v6::{SettingsV6, SubnetV6, SwitchesV6};
use super::values::{self, KNOB_KEYS};

/// Keys of bootlace.yaml besides the wire knobs.
pub const KEYS: [&str; 25] = [
    "mode",
    "interfaces",
    "observe_as",
    "nodes",
    "boot",
    "assets",
    "templates",
    "cloud_init",
    "network_config",
    "firmware",
    "http",
    "hostname",
    "no_boot_entry",
    "subnets",
    "trusted_relays",
    "profiles",
    "raspberry_pi_menu",
    "classes",
    "pxe_classes",
    "menu",
    "known_servers",
    "log_format",
    "dhcpv6",
    "router_advertisements",
    "state",
];
/// Keys of an item of `interfaces:` besides the wire knobs.
pub const INTERFACE_KEYS: [&str; 6] =
    ["name", "mode", "address", "transport", "dhcpv6", "router_advertisements"];
/// Keys of an item of `subnets:` besides the wire knobs.
pub const SUBNET_KEYS: [&str; 6] = ["subnet", "router", "dns", "domain", "lease", "options"];
/// Keys of a profile besides the wire knobs.
pub const PROFILE_KEYS: [&str; 5] = ["loader", "script", "installer", "options", "menu"];

/// What the command line says. `None`: nothing.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--interface`, repeated.
    pub interfaces: Option<Vec<String>>,
    /// `--mode`; holds on every served interface.
    pub mode: Option<Mode>,
    /// `--nodes`, repeated.
    pub nodes: Option<Vec<PathBuf>>,
    /// `--boot`, repeated.
    pub boot: Option<Vec<PathBuf>>,
    /// `--assets`.
    pub assets: Option<PathBuf>,
    /// `--templates`.
    pub templates: Option<PathBuf>,
    /// `--cloud-init`.
    pub cloud_init: Option<PathBuf>,
    /// `--firmware`.
    pub firmware: Option<FirmwareSource>,
    /// `--http`, repeated.
    pub http: Option<Vec<HttpListen>>,
    /// `--state`.
    pub state: Option<StateFolder>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
    /// Flags of the administrative listener.
    pub api: ApiFlags,
}

/// The keys of bootlace.yaml. `None`: not written.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// `mode`
    pub mode: Option<Mode>,
    /// `interfaces`
    pub interfaces: Vec<InterfaceSettings>,
    /// `nodes`
    pub nodes: Vec<PathBuf>,
    /// `boot`
    pub boot: Vec<PathBuf>,
    /// `assets`
    pub assets: Option<PathBuf>,
    /// `templates`
    pub templates: Option<PathBuf>,
    /// `cloud_init`
    pub cloud_init: Option<PathBuf>,
    /// `network_config`
    pub network_config: Option<bool>,
    /// `firmware`
    pub firmware: Option<FirmwareSource>,
    /// `http`; an empty list switches HTTP off.
    pub http: Option<Vec<HttpListen>>,
    /// `hostname`
    pub hostname: Option<HostnameSource>,
    /// `no_boot_entry`
    pub no_boot_entry: Option<NoBootEntry>,
    /// `subnets`
    pub subnets: Vec<SubnetSettings>,
    /// `trusted_relays`
    pub trusted_relays: HashSet<Ipv4Addr>,
    /// `profiles`
    pub profiles: BTreeMap<String, Profile>,
    /// `raspberry_pi_menu`
    pub raspberry_pi_menu: Option<String>,
    /// `known_servers`
    pub known_servers: Vec<Ipv4Addr>,
    /// `log_format`
    pub log_format: Option<LogFormat>,
    /// `state`
    pub state: Option<StateFolder>,
    /// Wire knobs at the top level.
    pub knobs: Knobs,
    /// `dhcpv6`, `router_advertisements` and the IPv6 items of `subnets`
    pub v6: SettingsV6,
    /// `observe_as`
    pub observe_as: Option<Mode>,
    /// `classes`
    pub classes: Vec<ClassSettings>,
    /// `pxe_classes`
    pub pxe_classes: Vec<String>,
    /// `menu`
    pub menu: Option<Menu>,
    /// `api` and the keys beside it
    pub api: WrittenApi,
}

/// What loading settings gives.
#[derive(Debug)]
pub struct Loaded {
    /// The settings, unless something is an error.
    pub settings: Option<Settings>,
    /// Everything that is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the file that `flags` name, if any, and puts the flags over it.
pub fn load(flags: &Flags) -> Loaded {
    let mut findings = Findings::default();
    let written = match &flags.config {
        None => Written::default(),
        Some(path) => read(path, &mut findings),
    };
    let settings = (!findings.has_errors()).then(|| written.with(flags));
    Loaded { settings, diagnostics: findings.into_list() }
}

fn read(path: &Path, findings: &mut Findings) -> Written {
    match Source::read(path) {
        Ok(source) => match tree::parse(&source, findings) {
            Some(document) => interpret(&document, findings),
            None => Written::default(),
        },
        Err(problem) => {
            findings.add(*problem);
            Written::default()
        }
    }
}

/// Reads the settings of a parsed bootlace.yaml.
pub fn interpret(document: &Document<'_>, findings: &mut Findings) -> Written {
    let source: &Arc<Source> = document.source;
    let folder = source.path.parent().unwrap_or(Path::new(""));
    let mut written = Written::default();
    let Some(mut table) = Table::open(&document.root, source, &KeyPath::Root, findings) else {
        return written;
    };
    table.unknown_keys(&[&KEYS[..], &API_KEYS[..], &KNOB_KEYS[..]].concat(), Unknown::Refuse);
    written.mode = values::mode(&mut table);
    written.interfaces = interfaces(&mut table);
    written.nodes = paths(&mut table, "nodes", folder);
    written.boot = paths(&mut table, "boot", folder);
    written.assets = existing_folder(&mut table, "assets", folder);
    written.templates = existing_folder(&mut table, "templates", folder);
    written.cloud_init = existing_folder(&mut table, "cloud_init", folder);
    written.network_config = table.truth("network_config");
    written.firmware = table.text("firmware").map(|text| match text.value {
        "none" => FirmwareSource::None,
        path => FirmwareSource::Folder(folder.join(path)),
    });
    if table.value("http").is_some() {
        let items = table.one_or_more("http");
        let texts = table.texts("http", items);
        let mut listeners: Vec<HttpListen> = Vec::new();
        let mut seen = HashSet::new();
        for text in texts {
            match text.value.parse::<HttpListen>() {
                Ok(listen) if !seen.insert(listen.to_string()) => {
                    table.error(Code::WrongValue, text.span, "http", format!("{listen} is listed twice"));
                }
                Ok(listen) => listeners.push(listen),
                Err(problem) => {
                    table.error(Code::WrongValue, text.span, "http", problem);
                }
            }
        }
        written.http = Some(listeners);
    }
    written.hostname = table.choice(
        "hostname",
        &[("name", HostnameSource::Name), ("nid", HostnameSource::Nid), ("xname", HostnameSource::Xname)],
    );
    written.log_format = table.choice("log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    written.state = state::state(&mut table, folder);
    written.raspberry_pi_menu = raspberry_pi_menu(&mut table);
    written.no_boot_entry = table.choice(
        "no_boot_entry",
        &[("auto", NoBootEntry::Auto), ("silent", NoBootEntry::Silent), ("wait", NoBootEntry::Wait)],
    );
    (written.subnets, written.v6.subnets) = subnets(&mut table);
    written.trusted_relays = trusted_relays(&mut table);
    written.v6.switches = values::switches_v6(&mut table);
    written.profiles = profiles(&mut table);
    written.observe_as = observe_as(&mut table);
    written.classes = class::classes(&mut table);
    let items = table.one_or_more("pxe_classes");
    written.pxe_classes =
        table.texts("pxe_classes", items).into_iter().map(|text| text.value.to_owned()).collect();
    written.menu = menu::menu(&mut table);
    written.api = api::read(&mut table, folder);
    let known = table.one_or_more("known_servers");
    let known = table.texts("known_servers", known);
    written.known_servers =
        known.into_iter().filter_map(|text| Some(table.parsed_text("known_servers", text)?.value)).collect();
    written.knobs = values::knobs(&mut table);
    written
}

/// `observe_as`: a mode that answers, since the point is what would be answered.
fn observe_as(table: &mut Table<'_, '_>) -> Option<Mode> {
    let mode = values::mode_of(table, "observe_as")?;
    if mode.answers() {
        return Some(mode);
    }
    let span = table.text("observe_as").map_or(table.span, |text| text.span);
    table
        .error(Code::WrongValue, span, "observe_as", "observe answers nothing, so there is nothing to tell")
        .advise("name the mode whose answers you want to be told");
    None
}

fn paths(table: &mut Table<'_, '_>, key: &str, folder: &Path) -> Vec<PathBuf> {
    let items = table.one_or_more(key);
    if items.iter().any(|item| matches!(item.kind, Kind::Mapping(_))) {
        let span = items[0].span;
        table
            .error(Code::WrongType, span, key, format!("{key} names files here, the records stand in them"))
            .advise(format!("move the records to an own file and write {key}: FILE"));
        return Vec::new();
    }
    table.texts(key, items).into_iter().map(|text| folder.join(text.value)).collect()
}

fn existing_folder(table: &mut Table<'_, '_>, key: &str, folder: &Path) -> Option<PathBuf> {
    let text = table.text(key)?;
    let path = folder.join(text.value);
    if !path.is_dir() {
        let message = format!("{key}: {} is no folder on this machine", quoted(&path.to_string_lossy()));
        table.warning(Code::CannotRead, text.span, key, message);
    }
    Some(path)
}

fn interfaces(table: &mut Table<'_, '_>) -> Vec<InterfaceSettings> {
    let path = KeyPath::Key(table.path(), "interfaces");
    let mut interfaces: Vec<InterfaceSettings> = Vec::new();
    let mut seen = HashSet::new();
    for (index, item) in table.one_or_more("interfaces").iter().enumerate() {
        // The plain name is enough where nothing else is to say.
        let (interface, span) = if let Kind::Scalar { .. } = item.kind {
            let Some(name) = table.text_of("interfaces", item) else { continue };
            let interface = InterfaceSettings { name: name.value.to_owned(), ..Default::default() };
            (interface, name.span)
        } else {
            let path = KeyPath::Item(&path, index);
            let Some(mut inner) = table.open_child(item, &path) else { continue };
            inner.unknown_keys(&[&INTERFACE_KEYS[..], &KNOB_KEYS[..]].concat(), Unknown::Refuse);
            let name = inner.text("name");
            if name.is_none() {
                let message = "an interface needs its name";
                inner.error(Code::MissingKey, inner.span, "name", message).advise("write name: eth0");
            }
            let address = inner.parsed::<Ipv4Addr>("address");
            if let Some(address) = address
                && !usable(address.value)
            {
                let message = format!("{} cannot be an interface's address", address.value);
                inner.error(Code::WrongValue, address.span, "address", message);
            }
            let interface = InterfaceSettings {
                name: name.map(|name| name.value.to_owned()).unwrap_or_default(),
                mode: values::mode(&mut inner),
                address: address.map(|address| address.value),
                transport: inner
                    .choice(
                        "transport",
                        &[("auto", Transport::Auto), ("raw", Transport::Raw), ("udp", Transport::Udp)],
                    )
                    .unwrap_or_default(),
                knobs: values::knobs(&mut inner),
                v6: values::switches_v6(&mut inner),
                observe_as: None,
                served_at: None,
                served_in: None,
            };
            (interface, name.map_or(item.span, |name| name.span))
        };
        let name = &interface.name;
        // Linux: 15 bytes, no slash, no blank (dev_valid_name).
        if name.len() > 15 || name.contains(['/', ' ', ':']) {
            let message = format!("{} cannot be an interface's name", quoted(name));
            table.error(Code::WrongValue, span, "interfaces", message).advise("see `ip link` for the names");
        } else if !name.is_empty() && !seen.insert(name.clone()) {
            let message = format!("interface {name} is listed twice");
            table.error(Code::WrongValue, span, "interfaces", message);
        }
        interfaces.push(interface);
    }
    interfaces
}

fn subnets(table: &mut Table<'_, '_>) -> (Vec<SubnetSettings>, Vec<SubnetV6>) {
    let path = KeyPath::Key(table.path(), "subnets");
    let mut subnets: Vec<SubnetSettings> = Vec::new();
    let mut of_v6: Vec<SubnetV6> = Vec::new();
    let mut seen = HashSet::new();
    for (index, item) in table.list("subnets").iter().enumerate() {
        let path = KeyPath::Item(&path, index);
        let Some(mut inner) = table.open_child(item, &path) else { continue };
        inner.unknown_keys(&[&SUBNET_KEYS[..], &KNOB_KEYS[..]].concat(), Unknown::Refuse);
        if subnets_v6::is_v6(&inner) {
            of_v6.extend(subnets_v6::read(&mut inner, &of_v6));
            continue;
        }
        let net = subnet_of(&mut inner, &mut seen);
        let router = inner.parsed::<Ipv4Addr>("router");
        if let (Some(net), Some(router)) = (net, router)
            && !is_host(net, router.value)
        {
            let message = format!("the router {} is no host of {net}", router.value);
            inner
                .error(Code::WrongValue, router.span, "router", message)
                .advise("a router must be reachable without a router");
        }
        let servers = inner.one_or_more("dns");
        let dns = inner.texts("dns", servers);
        let dns = dns.into_iter().filter_map(|text| Some(inner.parsed_text("dns", text)?.value)).collect();
        let lease = values::lease(&mut inner);
        let domain = inner.text("domain").map(|domain| domain.value.to_owned());
        let options = values::options(&mut inner);
        let knobs = values::knobs(&mut inner);
        let Some(subnet) = net else { continue };
        let router = router.map(|router| router.value);
        let lease: Duration = lease.unwrap_or(LEASE);
        subnets.push(SubnetSettings { subnet, router, dns, domain, lease, options, knobs });
    }
    (subnets, of_v6)
}

/// Addresses of relays: what stands in giaddr, so no host name and no network.
fn trusted_relays(table: &mut Table<'_, '_>) -> HashSet<Ipv4Addr> {
    const KEY: &str = "trusted_relays";
    let mut relays = HashSet::new();
    let items = table.one_or_more(KEY);
    for text in table.texts(KEY, items) {
        let Some(relay) = table.parsed_text::<Ipv4Addr>(KEY, text) else { continue };
        let problem = if !usable(relay.value) {
            format!("{} cannot be a relay's address", relay.value)
        } else if !relays.insert(relay.value) {
            format!("{} is listed twice", relay.value)
        } else {
            continue;
        };
        table.error(Code::WrongValue, relay.span, KEY, problem);
    }
    relays
}

fn subnet_of(table: &mut Table<'_, '_>, seen: &mut HashSet<Ipv4Net>) -> Option<Ipv4Net> {
    let Some(text) = table.text("subnet") else {
        if table.value("subnet").is_none() {
            table
                .error(Code::MissingKey, table.span, "subnet", "a subnet needs its network")
                .advise("write subnet: 10.0.0.0/24");
        }
        return None;
    };
    let Ok(net) = text.value.parse::<Ipv4Net>() else {
        let message = format!("subnet {} is no IPv4 network", quoted(text.value));
        table.error(Code::WrongValue, text.span, "subnet", message).advise("write it as 10.0.0.0/24");
        return None;
    };
    if net.addr() != net.network() {
        let message = format!("subnet {net} has bits of a host in it");
        table
            .error(Code::WrongValue, text.span, "subnet", message)
            .advise(format!("the network is {}", net.trunc()));
        return None;
    }
    if !seen.insert(net) {
        table.error(Code::WrongValue, text.span, "subnet", format!("subnet {net} is listed twice"));
        return None;
    }
    Some(net)
}

/// The text goes into one PXE menu item, beside 15 bytes of option 43's 255 [P4].
fn raspberry_pi_menu(table: &mut Table<'_, '_>) -> Option<String> {
    let text = table.text("raspberry_pi_menu")?;
    if !(1..=200).contains(&text.value.len()) || !text.value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        table
            .error(
                Code::WrongValue,
                text.span,
                "raspberry_pi_menu",
                "needs 1 to 200 printable ASCII characters",
            )
            .advise("write what the EEPROM's PXE_OPTION43 says; leave the key away for 'Raspberry Pi Boot'");
        return None;
    }
    Some(text.value.to_owned())
}

fn profiles(table: &mut Table<'_, '_>) -> BTreeMap<String, Profile> {
    let mut profiles = BTreeMap::new();
    let Some(value) = table.value("profiles") else { return profiles };
    let path = KeyPath::Key(table.path(), "profiles");
    let Some(mut all) = table.open_child(value, &path) else { return profiles };
    for pair in all.pairs() {
        let path = KeyPath::Key(&path, &pair.key);
        if pair.value.is_null() {
            profiles.insert(pair.key.to_string(), Profile::default());
            continue;
        }
        let Some(mut inner) = all.open_child(&pair.value, &path) else { continue };
        inner.unknown_keys(&[&PROFILE_KEYS[..], &KNOB_KEYS[..]].concat(), Unknown::Refuse);
        let profile = Profile {
            loader: values::served_name(&mut inner, "loader"),
            script: values::served_name(&mut inner, "script"),
            installer: values::served_name(&mut inner, "installer"),
            options: values::options(&mut inner),
            knobs: values::knobs(&mut inner),
            menu: menu::menu(&mut inner),
        };
        profiles.insert(pair.key.to_string(), profile);
    }
    profiles
}

/// True for an address that one machine can have.
pub fn usable(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast() || address.is_loopback())
}

/// True for an address in `net` that is neither the network nor the broadcast address; /31 (RFC 3021) and
/// /32 have neither.
pub fn is_host(net: Ipv4Net, address: Ipv4Addr) -> bool {
    net.contains(&address)
        && (net.prefix_len() >= 31 || (address != net.network() && address != net.broadcast()))
}

impl Written {
    /// Settings from what is written and the flags; a flag wins.
    pub fn with(self, flags: &Flags) -> Settings {
        let interfaces = match &flags.interfaces {
            // The flag says which interfaces; what the file knows about one of them still holds.
            Some(names) => names.iter().map(|name| self.interface(name)).collect(),
            None => self.interfaces.clone(),
        };
        let interfaces = interfaces
            .into_iter()
            .map(|interface: InterfaceSettings| InterfaceSettings {
                // A mode that leaves port 67 alone leaves 547 and router solicitations alone too.
                v6: if flags.mode.or(interface.mode).or(self.mode).unwrap_or_default().answers_on_67() {
                    self.v6.switches.overlaid(interface.v6)
                } else {
                    SwitchesV6::default()
                },
                mode: if flags.mode.is_some() { None } else { interface.mode },
                // `--mode observe` says what this very file would have been answered by.
                observe_as: interface.mode.filter(|mode| mode.answers()),
                ..interface
            })
            .collect();
        Settings {
            mode: flags.mode.or(self.mode).unwrap_or_default(),
            interfaces,
            nodes: flags.nodes.clone().unwrap_or(self.nodes),
            boot: flags.boot.clone().unwrap_or(self.boot),
            assets: flags.assets.clone().or(self.assets),
            templates: flags.templates.clone().or(self.templates),
            cloud_init: flags.cloud_init.clone().or(self.cloud_init),
            network_config: self.network_config.unwrap_or(false),
            firmware: flags
                .firmware
                .clone()
                .or(self.firmware)
                .unwrap_or_else(|| FirmwareSource::Folder(crate::firmware::default_folder())),
            http: flags
                .http
                .clone()
                .or(self.http)
                .unwrap_or_else(|| vec![HttpListen { address: None, port: HTTP_PORT }]),
            hostname: self.hostname.unwrap_or_default(),
            no_boot_entry: self.no_boot_entry.unwrap_or_default(),
            subnets: self.subnets,
            trusted_relays: self.trusted_relays,
            profiles: self.profiles,
            raspberry_pi_menu: self.raspberry_pi_menu.unwrap_or_else(|| RASPBERRY_PI_MENU.to_owned()),
            known_servers: self.known_servers,
            log_format: flags.log_format.or(self.log_format).unwrap_or_default(),
            state: state::settle(flags.state.clone().or(self.state)),
            knobs: self.knobs,
            v6: self.v6,
            classes: self.classes,
            pxe_classes: self.pxe_classes,
            menu: self.menu,
            api: self.api.with(&flags.api),
            observe_as: self.observe_as.or(self.mode.filter(|mode| mode.answers())).unwrap_or_default(),
        }
    }

    fn interface(&self, name: &str) -> InterfaceSettings {
        let known = self.interfaces.iter().find(|interface| interface.name == name);
        known.cloned().unwrap_or_else(|| InterfaceSettings { name: name.to_owned(), ..Default::default() })
    }
}

/// The problem of a second bootlace.yaml.
pub fn second_settings_file(first: &Path, second: &Path) -> Diagnostic {
    let message = format!("settings are in one file, and {} is one already", first.display());
    let mut problem = Diagnostic::of_file(Severity::Error, Code::WrongKind, second, message);
    problem.advise("put all settings into one bootlace.yaml");
    problem
}

mod subnets_v6;

#[cfg(test)]
mod tests;
