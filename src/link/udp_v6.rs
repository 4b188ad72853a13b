//! The bound UDP socket for DHCPv6 (547) on one interface, a member of the group that clients and relays ask.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::{Interface, received};

/// All_DHCP_Relay_Agents_and_Servers (RFC 8415, 7.1).
pub const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// A DHCPv6 server's socket.
#[derive(Debug)]
pub struct SocketV6 {
    socket: UdpSocket,
    index: u32,
}

impl SocketV6 {
    /// Binds `port` on `interface` and joins the group. Never shared with another program.
    pub fn bind(interface: &Interface, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_only_v6(true)?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        socket.set_nonblocking(true)?;
        received::tell_destination_v6(&socket)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        // Also with a raw socket: the membership makes card and switches pass the group on.
        socket.join_multicast_v6(&GROUP, interface.index)?;
        let socket = UdpSocket::from_std(OwnedFd::from(socket).into())?;
        Ok(Self { socket, index: interface.index })
    }

    /// Lets nothing in: the raw socket receives, this one holds the port, the membership and sends.
    pub fn close_for_receiving(&self) -> io::Result<()> {
        SockRef::from(&self.socket).attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])
    }

    /// Waits for the next datagram and copies it into `buffer`; returns its source and the address it was sent to.
    pub async fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<(SocketAddrV6, Ipv6Addr)> {
        loop {
            let way = received::receive(&self.socket, buffer).await?;
            if let (SocketAddr::V6(from), IpAddr::V6(to)) = (way.from, way.to) {
                return Ok((from, to));
            }
        }
    }

    /// Sends to `to` on this interface; a link-local address gets its scope here.
    pub fn send(&self, payload: &[u8], to: SocketAddrV6) -> io::Result<()> {
        let mut to = to;
        if to.ip().is_unicast_link_local() {
            to.set_scope_id(self.index);
        }
        self.socket.try_send_to(payload, to.into()).map(drop)
    }
}
