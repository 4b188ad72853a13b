//! The machine's network interfaces as the kernel names them now.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::config::InterfaceSettings;
use crate::records::Mac;

use super::LinkError;

/// One interface that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Kernel name.
    pub name: Arc<str>,
    /// Kernel index.
    pub index: u32,
    /// Link-layer address; `None` on loopback.
    pub mac: Option<Mac>,
    /// Our address: server identifier, next server, HTTP and TFTP host.
    pub address: Ipv4Addr,
    /// The network of that address.
    pub network: Ipv4Net,
    /// All IPv4 addresses of the interface.
    pub addresses: Vec<Ipv4Addr>,
    /// Largest packet, bytes.
    pub mtu: u16,
}

impl Interface {
    /// Finds the interface that settings name.
    pub fn find(settings: &InterfaceSettings) -> Result<Self, LinkError> {
        let all = pnet::datalink::interfaces();
        let name = &settings.name;
        let Some(found) = all.iter().find(|interface| interface.name == *name) else {
            let known: Vec<_> = all.iter().map(|interface| interface.name.as_str()).collect();
            return Err(LinkError::Missing { interface: name.clone(), known: known.join(", ") });
        };
        if !found.is_up() {
            return Err(LinkError::Down { interface: name.clone() });
        }
        let networks: Vec<Ipv4Net> = found
            .ips
            .iter()
            .filter_map(|ip| match ip {
                pnet::ipnetwork::IpNetwork::V4(v4) => Ipv4Net::new(v4.ip(), v4.prefix()).ok(),
                pnet::ipnetwork::IpNetwork::V6(_) => None,
            })
            .collect();
        // An interface without an address can serve, but 54 and siaddr then need a configured one [D6].
        let own = match settings.address {
            None => networks.first().copied(),
            Some(address) => networks
                .iter()
                .find(|network| network.addr() == address)
                .copied()
                .or_else(|| networks.is_empty().then(|| Ipv4Net::new(address, 32).ok()).flatten()),
        };
        let Some(own) = own else {
            return Err(match settings.address {
                None => LinkError::NoAddress { interface: name.clone() },
                Some(address) => LinkError::NotItsAddress { interface: name.clone(), address },
            });
        };
        let mac = found.mac.and_then(|mac| Mac::new(mac.octets()).ok());
        Ok(Self {
            name: name.as_str().into(),
            index: found.index,
            mac,
            address: own.addr(),
            network: own.trunc(),
            addresses: networks.iter().map(Ipv4Net::addr).collect(),
            mtu: mtu(name),
        })
    }
}

/// MTU of an interface, 1500 where the kernel does not say.
#[allow(clippy::disallowed_methods, reason = "link/ is the edge")]
fn mtu(name: &str) -> u16 {
    let text = std::fs::read_to_string(format!("/sys/class/net/{name}/mtu")).unwrap_or_default();
    text.trim().parse::<u32>().map_or(1500, |mtu| mtu.min(u32::from(u16::MAX)) as u16)
}
