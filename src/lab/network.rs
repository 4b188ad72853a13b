//! The VLAN: a bridge, hosts on it, taps for guests.
//!
//! Every step is an `ip` command, as a person would type it; the sandbox needs a dozen of them and is made in a
//! tenth of a second. Facts behind the switches: a port that waits for spanning tree (15 s) loses the first DHCP
//! packets; without `mcast_snooping 0` IPv6 neighbour discovery needs a querier; with transmit offload,
//! captures show unfinished checksums and 64 KiB frames.

use super::LabError;
use super::sandbox::{Place, Sandbox};

impl Sandbox {
    /// The bridge `br0` in the lab's own namespace.
    pub(super) fn make_bridge(&self) -> Result<(), LabError> {
        let bridge = "ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0";
        self.words(Place::Net, bridge)?;
        // The bridge itself is nobody on the VLAN: without an address of its own it sends nothing.
        self.words(Place::Net, "sysctl -qw net.ipv6.conf.br0.disable_ipv6=1")?;
        self.words(Place::Net, "ip link set lo up")?;
        self.words(Place::Net, "ip link set br0 up")
    }

    /// A host on the VLAN: a network namespace with `eth0` on the bridge. `address` is `ADDRESS/PREFIX`, or
    /// `None` for one that gets its address otherwise.
    pub fn host(&self, name: &str, address: Option<&str>) -> Result<(), LabError> {
        let host = Place::Host(name);
        let port = format!("p-{name}");
        self.run(Place::Net, &["ip", "netns", "add", name])?;
        // Before eth0 exists, so that it starts with these: addresses at once, no router wanted.
        self.words(
            host,
            "sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 \
             net.ipv6.conf.default.router_solicitations=0",
        )?;
        self.words(Place::Net, &format!("ip link add {port} type veth peer name eth0 netns {name}"))?;
        self.words(host, "ethtool -K eth0 tx off tso off gso off gro off")?;
        self.words(Place::Net, &format!("sysctl -qw net.ipv6.conf.{port}.disable_ipv6=1"))?;
        self.words(Place::Net, &format!("ip link set {port} master br0 up"))?;
        if let Some(address) = address {
            self.words(host, &format!("ip addr add {address} brd + dev eth0"))?;
        }
        self.words(host, "ip link set lo up")?;
        self.words(host, "ip link set eth0 up")
    }

    /// A tap for one guest, not connected yet; returns its name.
    pub fn tap(&self) -> Result<String, LabError> {
        let number = self.taps.get();
        self.taps.set(number + 1);
        let tap = format!("tap{number}");
        self.words(Place::Net, &format!("ip tuntap add {tap} mode tap"))?;
        self.words(Place::Net, &format!("sysctl -qw net.ipv6.conf.{tap}.disable_ipv6=1"))?;
        self.words(Place::Net, &format!("ip link set {tap} up"))?;
        Ok(tap)
    }

    /// Connects a tap to the bridge.
    pub fn connect(&self, tap: &str) -> Result<(), LabError> {
        self.words(Place::Net, &format!("ip link set {tap} master br0"))
    }

    /// Runs a command given as words with single spaces, for its effect.
    fn words(&self, place: Place<'_>, command: &str) -> Result<(), LabError> {
        let words: Vec<&str> = command.split_whitespace().collect();
        self.run(place, &words).map(drop)
    }
}
