//! One node record.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::client::{Arch, Cpu};
use crate::config::{Knobs, Mode};
use crate::dhcp::catalogue::TypedOption;

use super::id::{Mac, Uuid, Xname};
use super::switch_port::SwitchPort;

/// Where a record was stated.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Origin {
    /// The file.
    pub file: Arc<PathBuf>,
    /// Line of the record's first key, counted from 1.
    pub line: usize,
}

/// One network card of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its address, the node's identity on the wire.
    pub mac: Mac,
    /// Addresses in the order of the file; the first IPv4 one is the reservation.
    pub addresses: Vec<IpAddr>,
}

impl Nic {
    /// The address that reservation mode hands to this card.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|address| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        })
    }
}

/// What `arch:` of a node record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeArch {
    /// Only the processor is known; the firmware kind comes from the packet.
    Cpu(Cpu),
    /// The architecture code is forced, whatever the packet says [I2].
    Code(Arch),
}

/// What a node boots whatever selects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// What the entries for this profile say.
    Profile(String),
    /// Its own disk.
    Local,
}

/// What the operator said of a node's next boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextBoot {
    /// What it boots.
    pub what: Instead,
    /// The boot has begun: only its further tries get the same.
    pub taken: bool,
    /// It holds for every boot, until the operator says otherwise.
    pub stays: bool,
}

/// One machine, as nodes.yaml states it.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Name of the file's `name` key.
    pub name: Option<String>,
    /// Location name.
    pub xname: Option<Xname>,
    /// Node number.
    pub nid: Option<u32>,
    /// Network cards; a node may boot from any of them.
    pub nics: Vec<Nic>,
    /// System UUID, matched in both byte orders.
    pub uuid: Option<Uuid>,
    /// System serial number.
    pub serial: Option<String>,
    /// Option 61 as the node sends it, matched byte by byte.
    pub client_id: Option<Vec<u8>>,
    /// Where it is plugged in, as option 82 names it [R4].
    pub port: SwitchPort,
    /// Processor, or forced architecture code.
    pub arch: Option<NodeArch>,
    /// Role, `Compute` where nothing is said (OpenCHAMI's default).
    pub role: Option<String>,
    /// Sub-role.
    pub subrole: Option<String>,
    /// False: DHCP, TFTP and HTTP all refuse to boot it.
    pub netboot: bool,
    /// SMD's `Enabled: false`: it gets its address and loader, and its boot script waits until it is enabled
    /// again.
    pub disabled: bool,
    /// Profile of bootlace.yaml.
    pub profile: Option<String>,
    /// DHCP options of this node.
    pub options: Vec<TypedOption>,
    /// Mode of this node; can only restrict the interface's.
    pub mode: Option<Mode>,
    /// Name of the first file in place of the architecture's default.
    pub loader: Option<String>,
    /// Installer for an ONIE switch: a URL or a file of the asset folder.
    pub installer: Option<String>,
    /// Wire knobs of this node.
    pub knobs: Knobs,
    /// Groups it is a member of.
    pub groups: Vec<String>,
    /// What it boots in place of what selects it, if the operator said so.
    pub next_boot: Option<NextBoot>,
    /// Free mapping for templates.
    pub extra: serde_json::Value,
    /// Where it was stated.
    pub origin: Origin,
}

impl Node {
    /// Stands for a client in no record, where the mode serves such (`auto-proxy`): the profile named
    /// [`Self::DEFAULT_PROFILE`], no name, and no role that a boot entry could select by.
    pub fn stranger(mac: Mac) -> Self {
        Self {
            nics: vec![Nic { mac, addresses: Vec::new() }],
            role: Some(String::new()),
            netboot: true,
            profile: Some(Self::DEFAULT_PROFILE.to_owned()),
            ..Self::default()
        }
    }

    /// Profile of clients in no record.
    pub const DEFAULT_PROFILE: &str = "default";

    /// What a person calls it: name, else xname, else first MAC.
    pub fn label(&self) -> String {
        self.name
            .clone()
            .or_else(|| self.xname.as_ref().map(Xname::to_string))
            .or_else(|| self.nics.first().map(|nic| nic.mac.to_string()))
            .unwrap_or_else(|| "(unnamed)".to_owned())
    }

    /// Whether both are the record of one node, perhaps at two moments: other files or another write may have
    /// changed the rest.
    pub fn is_same(&self, other: &Self) -> bool {
        self.origin == other.origin && self.xname == other.xname
    }

    /// The role used for matching boot entries.
    pub fn role_or_default(&self) -> &str {
        self.role.as_deref().unwrap_or("Compute")
    }

    /// The card with this MAC.
    pub fn nic(&self, mac: Mac) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.mac == mac)
    }

    /// The address reserved for a client that asks with `mac`: its own card's, else the node's first
    /// (a client found by UUID may ask with a MAC that no record holds).
    pub fn ipv4_for(&self, mac: Option<Mac>) -> Option<Ipv4Addr> {
        match mac.and_then(|mac| self.nic(mac)) {
            Some(nic) => nic.ipv4(),
            None => self.nics.iter().find_map(Nic::ipv4),
        }
    }

    /// The processor, as far as the record says.
    pub fn cpu(&self) -> Option<Cpu> {
        self.arch.map(|arch| match arch {
            NodeArch::Cpu(cpu) => cpu,
            NodeArch::Code(code) => code.cpu(),
        })
    }
}
