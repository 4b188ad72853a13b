//! Bound UDP sockets for DHCP (67) and the PXE boot server (4011), one per interface and port.
//!
//! Beside a raw socket they hold the port, so that the kernel refuses nobody with an ICMP error, and send to
//! clients that answer ARP; without one they receive as well.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::{Interface, received};

/// Whether the kernel has a way to `to` that leaves with one of `own` addresses. Asked of a socket that belongs to
/// no interface: on one that does, Linux takes an address without route for a neighbour, and what is sent is
/// lost without an error. Sends nothing.
pub fn has_route(to: SocketAddrV4, own: &[Ipv4Addr]) -> bool {
    let local = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.connect(&SocketAddr::V4(to).into())?;
        socket.local_addr()
    };
    let local = local().ok().and_then(|address| address.as_socket_ipv4());
    local.is_some_and(|address| own.contains(address.ip()))
}

/// A UDP socket on one interface.
#[derive(Debug)]
pub struct DhcpSocket {
    socket: UdpSocket,
    index: u32,
    source: Ipv4Addr,
    port: u16,
}

impl DhcpSocket {
    /// Binds `port` on `interface`. Never shared with another program: SO_REUSEADDR and SO_REUSEPORT would
    /// take its packets away.
    pub fn bind(interface: &Interface, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        socket.set_broadcast(true)?;
        socket.set_nonblocking(true)?;
        received::tell_destination_v4(&socket)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        let socket = UdpSocket::from_std(OwnedFd::from(socket).into())?;
        Ok(Self { socket, index: interface.index, source: interface.address, port })
    }

    /// Lets nothing in: the raw socket receives, this one holds the port and sends.
    pub fn close_for_receiving(&self) -> io::Result<()> {
        SockRef::from(&self.socket).attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])
    }

    /// Waits for the next datagram and copies it into `buffer`; returns its source and its destination.
    pub async fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<(SocketAddrV4, SocketAddrV4)> {
        loop {
            let way = received::receive(&self.socket, buffer).await?;
            if let (SocketAddr::V4(from), IpAddr::V4(to)) = (way.from, way.to) {
                return Ok((from, SocketAddrV4::new(to, self.port)));
            }
        }
    }

    /// Sends from our address on this interface, whatever the routes say [D2].
    pub fn send(&self, payload: &[u8], to: SocketAddrV4) -> io::Result<()> {
        let info = nix::libc::in_pktinfo {
            ipi_ifindex: self.index as i32,
            ipi_spec_dst: nix::libc::in_addr { s_addr: u32::from(self.source).to_be() },
            ipi_addr: nix::libc::in_addr { s_addr: 0 },
        };
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let parts = [io::IoSlice::new(payload)];
        let to = SockaddrIn::from(to);
        sendmsg(self.socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }
}
