//! What bootlace.yaml says about IPv6: whether DHCPv6 is served, router advertisements, IPv6 subnets.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

/// The two switches as written at the top level or at an interface. `None`: not said here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SwitchesV6 {
    /// `dhcpv6`: DHCPv6 is answered.
    pub dhcpv6: Option<bool>,
    /// `router_advertisements`: we advertise the prefixes of our own addresses, as no router [S5].
    pub router_advertisements: Option<bool>,
}

impl SwitchesV6 {
    /// What holds when `specific` stands inside `self`.
    pub fn overlaid(self, specific: Self) -> Self {
        Self {
            dhcpv6: specific.dhcpv6.or(self.dhcpv6),
            router_advertisements: specific.router_advertisements.or(self.router_advertisements),
        }
    }

    /// Whether DHCPv6 is served; no by default: a network may have a server for it already.
    pub fn serves(self) -> bool {
        self.dhcpv6.unwrap_or(false)
    }

    /// Whether router advertisements are sent; no by default [S5].
    pub fn advertises(self) -> bool {
        self.router_advertisements.unwrap_or(false)
    }
}

/// One IPv6 subnet that nodes live in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubnetV6 {
    /// The network.
    pub subnet: Ipv6Net,
    /// Option 23.
    pub dns: Vec<Ipv6Addr>,
    /// Option 24.
    pub domain: Option<String>,
    /// Preferred and valid lifetime.
    pub lease: Duration,
}

/// IPv6 in the settings.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SettingsV6 {
    /// At the top level; an interface's own are in its settings.
    pub switches: SwitchesV6,
    /// IPv6 items of `subnets`.
    pub subnets: Vec<SubnetV6>,
}

impl SettingsV6 {
    /// The subnet with the longest prefix that holds `address`.
    pub fn subnet_of(&self, address: Ipv6Addr) -> Option<&SubnetV6> {
        self.subnets
            .iter()
            .filter(|subnet| subnet.subnet.contains(&address))
            .max_by_key(|subnet| subnet.subnet.prefix_len())
    }
}
