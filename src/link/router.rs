//! Router advertisements where they are asked for [S5]: "addresses come by DHCPv6" (M and O set), the prefixes of
//! our own addresses on this link, and lifetime 0, which says that we route nothing (RFC 4861, 4.2 and 6.2).

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::config::InterfaceSettings;
use crate::records::Mac;

use super::Interface;
use super::dhcp::now;
use super::dhcp_v6::OwnV6;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
/// Time between advertisements that nobody asked for (RFC 4861, 6.2.1: MaxRtrAdvInterval).
const INTERVAL: Duration = Duration::from_secs(200);
/// Time between any two advertisements to all nodes (RFC 4861, 10: MIN_DELAY_BETWEEN_RAS).
const MIN_DELAY: Duration = Duration::from_secs(3);
/// How long a prefix is good for, seconds (RFC 4861, 6.2.1: AdvValidLifetime).
const PREFIX_LIFETIME: u32 = 2_592_000;

/// When advertisements leave. Pure; the shell asks for the next one and says what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    last: Option<Duration>,
    due: Duration,
}

impl Schedule {
    /// The first one at once.
    pub fn new(now: Duration) -> Self {
        Self { last: None, due: now }
    }

    /// When the next one leaves.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// A host asked: soon, but never within the minimum delay after the last, however many ask.
    pub fn solicited(&mut self, now: Duration) {
        let earliest = self.last.map_or(now, |last| last + MIN_DELAY);
        self.due = self.due.min(earliest.max(now));
    }

    /// One has left.
    pub fn sent(&mut self, now: Duration) {
        self.last = Some(now);
        self.due = now + INTERVAL;
    }
}

/// The message. The kernel fills in the checksum.
pub fn advertisement(mac: Option<Mac>, mtu: u16, prefixes: &[ipnet::Ipv6Net]) -> Vec<u8> {
    const MANAGED_AND_OTHER: u8 = 0xc0;
    const ON_LINK: u8 = 0x80;
    // Type, code, checksum, hop limit unspecified, flags, lifetime 0, reachable and retransmission times unspecified.
    let mut bytes = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 0, MANAGED_AND_OTHER, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    if let Some(mac) = mac {
        bytes.extend([1, 1]);
        bytes.extend(mac.bytes());
    }
    bytes.extend([5, 1, 0, 0]);
    bytes.extend(u32::from(mtu).to_be_bytes());
    let mut told: Vec<ipnet::Ipv6Net> = Vec::new();
    for prefix in prefixes.iter().map(ipnet::Ipv6Net::trunc) {
        if told.contains(&prefix) {
            continue;
        }
        told.push(prefix);
        bytes.extend([3, 4, prefix.prefix_len(), ON_LINK]);
        bytes.extend(PREFIX_LIFETIME.to_be_bytes());
        bytes.extend(PREFIX_LIFETIME.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(prefix.addr().octets());
    }
    bytes
}

/// Sends them on one interface.
#[derive(Debug)]
pub(super) struct Advertiser {
    /// The descriptor of a raw socket: tokio asks nothing of a `UdpSocket` but that it can be polled.
    poll: UdpSocket,
    interface: Interface,
}

impl Advertiser {
    /// Opens what is needed, where advertisements are asked for. Must be called within a tokio runtime.
    pub fn open(
        settings: &InterfaceSettings,
        interface: &Interface,
        costs: &mut Vec<String>,
    ) -> Option<Self> {
        // `observe` sends nothing.
        if !settings.v6.advertises() || !settings.mode.unwrap_or_default().answers() {
            return None;
        }
        let poll = Self::socket(interface).inspect_err(|error| {
            costs.push(format!("no router advertisements on {}: {error}", interface.name));
        });
        Some(Self { poll: poll.ok()?, interface: interface.clone() })
    }

    fn socket(interface: &Interface) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        socket.set_nonblocking(true)?;
        // Hosts drop what could have passed a router (RFC 4861, 6.1.2).
        socket.set_multicast_hops_v6(255)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_if_v6(interface.index)?;
        socket.join_multicast_v6(&ALL_ROUTERS, interface.index)?;
        UdpSocket::from_std(OwnedFd::from(socket).into())
    }

    /// Advertises until the interface goes away.
    pub async fn run(&self) -> io::Error {
        let start: Instant = now();
        let elapsed = || now().duration_since(start);
        let mut schedule = Schedule::new(elapsed());
        loop {
            let wait = schedule.due().saturating_sub(elapsed());
            tokio::select! {
                solicited = self.solicited() => match solicited {
                    Ok(true) => schedule.solicited(elapsed()),
                    Ok(false) => {}
                    Err(cause) => return cause,
                },
                () = tokio::time::sleep(wait) => {
                    // A link that is down for a moment gets the next one.
                    let _ = self.advertise();
                    schedule.sent(elapsed());
                }
            }
        }
    }

    /// Waits for an ICMPv6 message; true for a router solicitation.
    async fn solicited(&self) -> io::Result<bool> {
        let receive = || {
            let mut buffer = [0; 64];
            let length = recv(self.poll.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            Ok(buffer.first().copied().filter(|_| length > 0))
        };
        self.poll.async_io(Interest::READABLE, receive).await.map(|kind| kind == Some(ROUTER_SOLICITATION))
    }

    fn advertise(&self) -> io::Result<()> {
        let prefixes = OwnV6::of(&self.interface).addresses;
        let bytes = advertisement(self.interface.mac, self.interface.mtu, &prefixes);
        let to = SockAddr::from(SocketAddrV6::new(ALL_NODES, 0, 0, self.interface.index));
        SockRef::from(&self.poll).send_to(&bytes, &to).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [S5]: managed and other, no router, the prefix on the link and not for autoconfiguration.
    #[test]
    fn an_advertisement_sends_hosts_to_dhcpv6_and_offers_no_route() {
        let mac = Mac::new([2, 0, 0, 0, 0, 1]).ok();
        let nets = ["fd00:1::1/64", "fd00:1::2/64", "fd00:2::1/48"].map(|net| net.parse().unwrap());
        let bytes = advertisement(mac, 1500, &nets);
        assert_eq!(bytes[..8], [134, 0, 0, 0, 0, 0xc0, 0, 0]);
        assert_eq!(bytes[16..32], [1, 1, 2, 0, 0, 0, 0, 1, 5, 1, 0, 0, 0, 0, 0x05, 0xdc]);
        assert_eq!(bytes[32..36], [3, 4, 64, 0x80]);
        assert_eq!(bytes[48..64], "fd00:1::".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!((bytes[66], bytes.len()), (48, 32 + 2 * 32), "each prefix once");
    }

    /// [S5]: a thousand hosts that ask at once get one answer in three seconds.
    #[test]
    fn advertisements_are_rate_limited_however_many_hosts_ask() {
        let second = Duration::from_secs;
        let mut schedule = Schedule::new(second(0));
        assert_eq!(schedule.due(), second(0));
        schedule.sent(second(0));
        assert_eq!(schedule.due(), INTERVAL);
        for _ in 0..1000 {
            schedule.solicited(second(1));
        }
        assert_eq!(schedule.due(), second(3));
        schedule.sent(second(3));
        schedule.solicited(second(20));
        assert_eq!(schedule.due(), second(20));
    }
}
