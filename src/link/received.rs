//! A datagram with the address that it was sent to, which `recvfrom` does not tell: the journal shows it, and
//! DHCPv6 judges by it whether a message was meant for one server alone.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::Socket;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Where a datagram came from, and the address in its header that it went to: ours, or one of many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    pub from: SocketAddr,
    pub to: IpAddr,
}

/// Has the kernel tell the destination of what an IPv4 socket receives.
pub(super) fn tell_destination_v4(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?)
}

/// The same for an IPv6 socket.
pub(super) fn tell_destination_v6(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?)
}

/// Waits for the next datagram and copies it into `buffer`, which is cut to its length; longer ones than any DHCP
/// message lose their end.
pub(super) async fn receive(socket: &UdpSocket, buffer: &mut Vec<u8>) -> io::Result<Way> {
    buffer.resize(crate::dhcp::packet::MAX_LEN + 1, 0);
    let (length, way) = socket.async_io(Interest::READABLE, || take(socket, buffer)).await?;
    buffer.truncate(length);
    Ok(way)
}

fn take(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Way)> {
    let mut space = nix::cmsg_space!(libc::in6_pktinfo);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
    let to = message.cmsgs()?.find_map(|cmsg| match cmsg {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr))),
        _ => None,
    });
    let from = message.address.and_then(|from| {
        let v4 = || from.as_sockaddr_in().map(|from| SocketAddr::V4((*from).into()));
        v4().or_else(|| from.as_sockaddr_in6().map(|from| SocketAddr::V6((*from).into())))
    });
    match (from, to) {
        (Some(from), Some(to)) => Ok((message.bytes, Way { from, to })),
        _ => Err(io::Error::other("the kernel told no address of a datagram")),
    }
}
