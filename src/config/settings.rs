//! Settings as the program uses them: all names resolved, all conflicts settled, every default here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::api::ApiSettings;
use super::class::ClassSettings;
use super::menu::Menu;
use super::mode::Mode;
use crate::dhcp::catalogue::TypedOption;
use crate::journal::log::LogFormat;
use crate::tftp::Rollover;

use super::v6::{SettingsV6, SwitchesV6};

/// Port of the boot-facing HTTP listener where nothing is said.
pub const HTTP_PORT: u16 = 8081;
/// Lease of a reservation where nothing is said (option 51).
pub const LEASE: Duration = Duration::from_secs(3600);

/// Menu text that a Raspberry Pi looks for where nothing is said.
pub const RASPBERRY_PI_MENU: &str = "Raspberry Pi Boot";

/// How DHCP packets are received and sent on an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Raw frames where allowed, else the bound UDP port.
    #[default]
    Auto,
    /// Raw frames only; port 67 is left to another daemon.
    Raw,
    /// The bound UDP port only.
    Udp,
}

/// One served interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceSettings {
    /// Kernel name, such as `eth0`.
    pub name: String,
    /// Mode on this interface, if not the general one.
    pub mode: Option<Mode>,
    /// Our address there, if not the interface's first.
    pub address: Option<Ipv4Addr>,
    /// Transport there.
    pub transport: Transport,
    /// Wire knobs of this interface.
    pub knobs: Knobs,
    /// IPv6 there; in settings in use, what holds.
    pub v6: SwitchesV6,
    /// What is said of this interface while it is only observed: the mode that it would have otherwise.
    pub observe_as: Option<Mode>,
    /// The address that it is served at, once it is known. Not a key of the file.
    pub served_at: Option<Ipv4Addr>,
    /// The network of that address. Not a key of the file either.
    pub served_in: Option<Ipv4Net>,
}

/// Option 67 towards clients [P7].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootfileOption {
    /// Only the `file` header field.
    Omit,
    /// Without a trailing NUL (default).
    Plain,
    /// With a trailing NUL.
    Nul,
}

/// Shape of a full offer to UEFI PXE [X4].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UefiOffer {
    /// Without options 60 and 43, like any DHCP server (default).
    Plain,
    /// With 60 and 43 = 06 01 08 ff: wins against every other server.
    Pxe,
}

/// Option 43 towards PXE clients [X6].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Option43 {
    /// Discovery control 06 01 08 ff: use the file name, skip discovery.
    Bypass,
    /// No option 43.
    None,
    /// The boot menu of the profile or the top level.
    Menu,
}

/// What follows a DECLINE (RFC 2131 section 4.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDecline {
    /// The address is withheld for ten minutes (default).
    Withhold,
    /// The address is offered again at once.
    Insist,
}

/// Whose INFORM is answered (RFC 2131 section 4.3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerInform {
    /// Nodes on record (default).
    Known,
    /// Everybody with an address of a served subnet.
    Subnet,
}

/// Settings of the wire that may stand at top level, interface, subnet, class, profile or node; the more
/// specific wins. `None`: not said here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Knobs {
    /// [P7]
    pub bootfile_option: Option<BootfileOption>,
    /// [X4]
    pub uefi_offer: Option<UefiOffer>,
    /// [X6]
    pub option_43: Option<Option43>,
    /// Largest TFTP block, bytes [T3].
    pub blksize_max: Option<u16>,
    /// Largest TFTP window, blocks [T9].
    pub windowsize_max: Option<u16>,
    /// TFTP answers from port 69 and from no other: NAT, containers and strict firewalls [T1].
    pub single_port: Option<bool>,
    /// TFTP's block number after 65535 [T7].
    pub rollover: Option<Rollover>,
    /// False: DHCP answers this client nothing at all.
    pub dhcp: Option<bool>,
    /// A proxy answers REQUESTs on port 67, too: ROMs that expect it (quirk of boards that never send 97).
    pub answer_request: Option<bool>,
    /// Whose INFORM is answered.
    pub answer_inform: Option<AnswerInform>,
    /// Plain BOOTP is answered.
    pub bootp: Option<bool>,
    /// What follows a DECLINE.
    pub on_decline: Option<OnDecline>,
    /// How long a reply waits before it leaves: ROMs that choke on quick ones.
    pub reply_delay: Option<Duration>,
    /// iPXE's option 175.1: among equal offers iPXE takes the one with the highest.
    pub ipxe_priority: Option<i8>,
}

impl Knobs {
    /// What holds when `specific` stands inside `self`.
    pub fn overlaid(self, specific: Self) -> Self {
        Self {
            bootfile_option: specific.bootfile_option.or(self.bootfile_option),
            uefi_offer: specific.uefi_offer.or(self.uefi_offer),
            option_43: specific.option_43.or(self.option_43),
            blksize_max: specific.blksize_max.or(self.blksize_max),
            windowsize_max: specific.windowsize_max.or(self.windowsize_max),
            single_port: specific.single_port.or(self.single_port),
            rollover: specific.rollover.or(self.rollover),
            dhcp: specific.dhcp.or(self.dhcp),
            answer_request: specific.answer_request.or(self.answer_request),
            answer_inform: specific.answer_inform.or(self.answer_inform),
            bootp: specific.bootp.or(self.bootp),
            on_decline: specific.on_decline.or(self.on_decline),
            reply_delay: specific.reply_delay.or(self.reply_delay),
            ipxe_priority: specific.ipxe_priority.or(self.ipxe_priority),
        }
    }
}

/// Where a node's host name (option 12, scripts) comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostnameSource {
    /// `name` of the record.
    #[default]
    Name,
    /// `nid0001`.
    Nid,
    /// The xname.
    Xname,
}

/// What happens to a node without boot entry, and in auto-proxy to a client in no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoBootEntry {
    /// Silence in proxy (it must reach its own disk), the waiting script in reservation.
    #[default]
    Auto,
    /// No boot data.
    Silent,
    /// The waiting script.
    Wait,
}

/// Where loaders come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirmwareSource {
    /// A folder, usually filled by `bootlace firmware fetch`.
    Folder(PathBuf),
    /// `--firmware none`: no loaders are served.
    None,
}

/// One HTTP listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpListen {
    /// `None`: each served interface's own addresses.
    pub address: Option<IpAddr>,
    /// TCP port.
    pub port: u16,
}

impl std::str::FromStr for HttpListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(port) = text.strip_prefix(':') {
            if let Ok(port) = port.parse::<u16>()
                && port != 0
            {
                return Ok(Self { address: None, port });
            }
        } else if let Ok(socket) = text.parse::<SocketAddr>()
            && socket.port() != 0
        {
            return Ok(Self { address: Some(socket.ip()), port: socket.port() });
        }
        Err(format!(
            "'{text}' is no listener: use ADDRESS:PORT, or :PORT for the served interfaces' own addresses"
        ))
    }
}

impl std::fmt::Display for HttpListen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

/// One subnet that nodes live in.
#[derive(Clone, Debug, PartialEq)]
pub struct SubnetSettings {
    /// The network.
    pub subnet: Ipv4Net,
    /// Option 3; without it none is sent.
    pub router: Option<Ipv4Addr>,
    /// Option 6.
    pub dns: Vec<Ipv4Addr>,
    /// Option 15.
    pub domain: Option<String>,
    /// Option 51.
    pub lease: Duration,
    /// Further options.
    pub options: Vec<TypedOption>,
    /// Wire knobs of this subnet.
    pub knobs: Knobs,
}

/// A named set of settings that node records refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// First file in place of the architecture's default.
    pub loader: Option<String>,
    /// Script template in place of the default.
    pub script: Option<String>,
    /// Installer for ONIE switches: a URL or a file of the asset folder.
    pub installer: Option<String>,
    /// Further DHCP options.
    pub options: Vec<TypedOption>,
    /// Wire knobs of this profile.
    pub knobs: Knobs,
    /// PXE boot menu, for `option_43: menu`.
    pub menu: Option<Menu>,
}

/// Everything bootlace.yaml and the flags say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// General mode.
    pub mode: Mode,
    /// Served interfaces.
    pub interfaces: Vec<InterfaceSettings>,
    /// nodes.yaml files.
    pub nodes: Vec<PathBuf>,
    /// boot.yaml files.
    pub boot: Vec<PathBuf>,
    /// Asset folder.
    pub assets: Option<PathBuf>,
    /// Folder with cloud-init's defaults.yaml, groups.yaml, nodes.yaml.
    pub cloud_init: Option<PathBuf>,
    /// `/cloud-init/network-config` is served.
    pub network_config: bool,
    /// Folder with script templates that override the built-in ones by name.
    pub templates: Option<PathBuf>,
    /// Loaders.
    pub firmware: FirmwareSource,
    /// Boot-facing HTTP listeners.
    pub http: Vec<HttpListen>,
    /// Source of host names.
    pub hostname: HostnameSource,
    /// Known node without boot entry.
    pub no_boot_entry: NoBootEntry,
    /// Subnets; an interface's own prefix needs none.
    pub subnets: Vec<SubnetSettings>,
    /// giaddr of the relays that are answered; empty: any relay of a known subnet [R8].
    pub trusted_relays: std::collections::HashSet<Ipv4Addr>,
    /// Profiles by name.
    pub profiles: std::collections::BTreeMap<String, Profile>,
    /// Text of the menu item in option 43 that a Raspberry Pi's ROM looks for (its EEPROM's `PXE_OPTION43`).
    pub raspberry_pi_menu: String,
    /// Other DHCP and boot servers that belong here: their offers are no findings.
    pub known_servers: Vec<Ipv4Addr>,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Folder of what outlives bootlace; without one nothing can be written through the API.
    pub state: Option<PathBuf>,
    /// General wire knobs.
    pub knobs: Knobs,
    /// IPv6.
    pub v6: SettingsV6,
    /// Wire knobs by kind of client; of several that match, the later one wins.
    pub classes: Vec<ClassSettings>,
    /// Further beginnings of option 60 that mean `PXEClient`.
    pub pxe_classes: Vec<String>,
    /// PXE boot menu, for `option_43: menu`.
    pub menu: Option<Menu>,
    /// The administrative listener.
    pub api: ApiSettings,
    /// The mode that `observe` says the answers of.
    pub observe_as: Mode,
}

impl Settings {
    /// The profile a node refers to.
    pub fn profile(&self, name: Option<&str>) -> Option<&Profile> {
        self.profiles.get(name?)
    }

    /// The mode that an interface's packets are judged by while nothing is sent there.
    pub fn observed_as(&self, interface: &str) -> Mode {
        let own = self.interfaces.iter().find(|own| own.name == interface);
        own.and_then(|own| own.observe_as).unwrap_or(self.observe_as)
    }

    /// The mode of the interface that holds `address`. Where that is not known, the mode that all
    /// interfaces share, else the general one.
    pub fn mode_at(&self, address: IpAddr) -> Mode {
        let of = |interface: &InterfaceSettings| interface.mode.unwrap_or(self.mode);
        let holds = |interface: &&InterfaceSettings| {
            interface.address.or(interface.served_at).map(IpAddr::V4) == Some(address)
        };
        if let Some(interface) = self.interfaces.iter().find(holds) {
            return of(interface);
        }
        let mut modes = self.interfaces.iter().map(of);
        match modes.next() {
            Some(first) if modes.all(|mode| mode == first) => first,
            _ => self.mode,
        }
    }

    /// Length of the prefix that `address` has on its link: that of the configured subnet, else of a served
    /// interface's own network.
    pub fn prefix_of(&self, address: Ipv4Addr) -> Option<u8> {
        let own = || {
            let networks = self.interfaces.iter().filter_map(|interface| interface.served_in);
            networks.filter(|network| network.contains(&address)).max_by_key(Ipv4Net::prefix_len)
        };
        self.subnet_of(address).map(|subnet| subnet.subnet).or_else(own).map(|network| network.prefix_len())
    }

    /// The PXE boot menu of a profile, else the general one.
    pub fn menu(&self, profile: Option<&str>) -> Option<&Menu> {
        self.profile(profile).and_then(|profile| profile.menu.as_ref()).or(self.menu.as_ref())
    }

    /// The subnet with the longest prefix that holds `address`.
    pub fn subnet_of(&self, address: Ipv4Addr) -> Option<&SubnetSettings> {
        self.subnets
            .iter()
            .filter(|subnet| subnet.subnet.contains(&address))
            .max_by_key(|subnet| subnet.subnet.prefix_len())
    }
}
