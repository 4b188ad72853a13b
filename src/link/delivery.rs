//! How a reply leaves: the destination table of RFC 2131 section 4.1 as a pure function. The first row that
//! matches wins.
//!
//! | row | when | to |
//! |---|---|---|
//! | 1 | it came through a relay | giaddr, port 67 |
//! | 2 | it came to port 4011 | ciaddr, else the source address, at the source port |
//! | 3 | NAK | broadcast |
//! | 4 | the client has its address (ciaddr), and this is no DISCOVER | ciaddr, port 68 |
//! | 5 | the client asks for a broadcast, or is no Ethernet card | broadcast |
//! | 6 | a proxy's reply: no address given | broadcast, with the broadcast flag |
//! | 7 | else | the address being given, port 68, in a frame to the card |

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::dhcp::relay::RelayInfo;
use crate::dhcp::{MessageType, Packet, Reply, code};
use crate::records::Mac;

/// Server port.
pub const SERVER_PORT: u16 = 67;
/// Client port.
pub const CLIENT_PORT: u16 = 68;
/// PXE boot server port.
pub const PXE_PORT: u16 = 4011;

/// The port a request came in on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// UDP 67.
    Dhcp,
    /// UDP 4011.
    Pxe,
}

impl Port {
    /// Its number, also the source port of replies [D3].
    pub fn number(self) -> u16 {
        match self {
            Self::Dhcp => SERVER_PORT,
            Self::Pxe => PXE_PORT,
        }
    }
}

/// Where a reply goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Row 1: to the relay's giaddr, port 67, from our port 67, by whatever route leads there; never to the
    /// packet's source, which many relays rewrite [R2][R6].
    Relay(SocketAddrV4),
    /// Row 2: back to a client that has an address, at the port it asked from.
    Unicast(SocketAddrV4),
    /// Rows 3, 5 and 6: 255.255.255.255:68 on the interface the request came in on [D2].
    Broadcast,
    /// Row 7: a raw frame to a client that cannot answer ARP yet [D1].
    Frame {
        /// Link-layer destination.
        mac: Mac,
        /// IP destination, the address being given.
        address: Ipv4Addr,
    },
}

/// Decides where `reply` to `request` goes, first matching row wins. `source` is the request's IP source.
pub fn delivery(request: &Packet<'_>, reply: &Reply, port: Port, source: SocketAddrV4) -> Delivery {
    let giaddr = request.giaddr();
    if !giaddr.is_unspecified() {
        // RFC 8357: a relay may listen on the port that it sent from, and says so.
        let info = request.options.get(code::RELAY_INFO).map(RelayInfo::parse).unwrap_or_default();
        let port = if info.source_port { source.port() } else { SERVER_PORT };
        return Delivery::Relay(SocketAddrV4::new(giaddr, port));
    }
    if port == Port::Pxe {
        let ciaddr = request.ciaddr();
        let address = if ciaddr.is_unspecified() { *source.ip() } else { ciaddr };
        return Delivery::Unicast(SocketAddrV4::new(address, source.port()));
    }
    if reply.message == MessageType::Nak {
        return Delivery::Broadcast;
    }
    // Row 4: a client that renews or rebinds owns its address and answers ARP.
    if !request.ciaddr().is_unspecified() && request.message_type() != Some(MessageType::Discover) {
        return Delivery::Unicast(SocketAddrV4::new(request.ciaddr(), CLIENT_PORT));
    }
    if request.broadcast() || request.hlen() != 6 || request.htype() != 1 || reply.yiaddr.is_unspecified() {
        return Delivery::Broadcast;
    }
    let chaddr = request.chaddr();
    match Mac::new([chaddr[0], chaddr[1], chaddr[2], chaddr[3], chaddr[4], chaddr[5]]) {
        Ok(mac) => Delivery::Frame { mac, address: reply.yiaddr },
        Err(_) => Delivery::Broadcast,
    }
}

impl std::fmt::Display for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Relay(to) => write!(f, "relay {to}"),
            Self::Unicast(to) => to.fmt(f),
            Self::Broadcast => f.write_str("255.255.255.255:68"),
            Self::Frame { mac, address } => write!(f, "{address}:68 at {mac}"),
        }
    }
}
