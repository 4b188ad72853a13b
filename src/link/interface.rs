//! The machine's network interfaces as the kernel names them now.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::config::InterfaceSettings;
use crate::records::Mac;

use super::{LinkError, netlink};

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
    /// Its IPv6 addresses for boot files, link-local ones left out; none where DHCPv6 is not served.
    pub v6: Vec<Ipv6Addr>,
    /// Largest packet, bytes.
    pub mtu: u16,
    /// The VLAN that it carries, when it is an 802.1Q device [D5].
    pub vlan: Option<u16>,
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
        let facts = netlink::link(found.index);
        let mac = found.mac.and_then(|mac| Mac::new(mac.octets()).ok());
        Ok(Self {
            name: name.as_str().into(),
            index: found.index,
            mac,
            address: own.addr(),
            network: own.trunc(),
            addresses: networks.iter().map(Ipv4Net::addr).collect(),
            v6: if settings.v6.serves() { global_v6(found) } else { Vec::new() },
            // 1500 where the kernel does not say.
            mtu: facts.map_or(1500, |facts| facts.mtu.min(u32::from(u16::MAX)) as u16),
            vlan: facts.and_then(|facts| facts.vlan),
        })
    }

    /// Whether `address` is one of this machine's. That of an interface without any can be another machine's [D6].
    pub fn has_its_address(&self) -> bool {
        let here = |address| self.addresses.contains(&address);
        here(self.address)
            || pnet::datalink::interfaces()
                .iter()
                .any(|other| other.ips.iter().any(|ip| ip.ip() == IpAddr::V4(self.address)))
    }

    /// `eth0.10 (VLAN 10)`, and for every other interface its name.
    pub fn label(&self) -> String {
        match self.vlan {
            Some(vlan) => format!("{} (VLAN {vlan})", self.name),
            None => self.name.to_string(),
        }
    }

    /// What is different in `now`, in words.
    pub fn difference(&self, now: &Self) -> String {
        let mut words = Vec::new();
        if self.address != now.address || self.network != now.network {
            let prefix =
                |interface: &Self| format!("{}/{}", interface.address, interface.network.prefix_len());
            words.push(format!("address {} is now {}", prefix(self), prefix(now)));
        } else if self.addresses != now.addresses {
            words.push("its other addresses changed".to_owned());
        }
        if self.mac != now.mac {
            let mac =
                |interface: &Self| interface.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
            words.push(format!("MAC {} is now {}", mac(self), mac(now)));
        }
        if self.mtu != now.mtu {
            words.push(format!("MTU {} is now {}", self.mtu, now.mtu));
        }
        if self.index != now.index {
            words.push("it was made anew".to_owned());
        }
        words.join(", ")
    }
}

/// Addresses that a client elsewhere on the link can use in a URL: a link-local one needs a scope, which is the
/// client's own affair.
fn global_v6(interface: &pnet::datalink::NetworkInterface) -> Vec<Ipv6Addr> {
    let addresses = interface.ips.iter().filter_map(|ip| match ip.ip() {
        IpAddr::V6(v6) => Some(v6),
        IpAddr::V4(_) => None,
    });
    addresses.filter(|v6| !v6.is_unicast_link_local() && !v6.is_loopback()).collect()
}
