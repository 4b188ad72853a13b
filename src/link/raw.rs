//! Raw frames (`AF_PACKET`), filtered in the kernel to DHCP: works beside a daemon that owns port 67, reaches
//! clients that have no address yet [D1], and shows what other servers answer.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use nix::sys::socket::{LinkAddr, MsgFlags, recvmsg};
use pnet::datalink::{self, Config};
use socket2::{Domain, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::Interface;

/// A storm puts thousands of DISCOVERs into the first second; each takes about 1.3 KiB here.
const RECEIVE_BUFFER: usize = 8 << 20;
/// `sll_pkttype` of frames that this machine sends itself.
const PACKET_OUTGOING: u8 = 4;
/// `sll_pkttype` of frames to another machine.
const PACKET_OTHERHOST: u8 = 3;
/// Longest frame kept; no DHCP client sends more (dhcp::packet::MAX_LEN plus headers).
const FRAME_MAX: usize = 4096 + 64;

/// A raw socket on one interface.
#[derive(Debug)]
pub struct RawSocket {
    /// The descriptor of a packet socket: tokio asks nothing of a `UdpSocket` but that it can be polled.
    poll: UdpSocket,
    socket: Socket,
}

impl RawSocket {
    /// Opens, filters and binds it. Needs CAP_NET_RAW. Must be called within a tokio runtime.
    pub fn open(interface: &Interface) -> io::Result<Self> {
        // Protocol 0 receives nothing until `bind`, so no frame passes before the filter stands.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.attach_filter(&filter())?;
        // Failing leaves the kernel's default, which is smaller but works.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let found = datalink::interfaces().into_iter().find(|found| found.index == interface.index);
        let found = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let clone = socket.try_clone()?;
        // pnet binds the descriptor it is given to the interface and all protocols; its own reader and writer
        // are not used, and it closes its descriptor when they are dropped.
        let config = Config { socket_fd: Some(clone.into_raw_fd()), promiscuous: false, ..Config::default() };
        drop(datalink::channel(&found, config)?);
        socket.set_nonblocking(true)?;
        let poll = UdpSocket::from_std(OwnedFd::from(socket.try_clone()?).into())?;
        Ok(Self { poll, socket })
    }

    /// Waits for the next frame that came from outside and copies it into `buffer`. True when it was meant
    /// for this machine; another's is seen only while somebody else holds the card in promiscuous mode.
    pub async fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            buffer.resize(FRAME_MAX, 0);
            let read = || {
                let mut parts = [io::IoSliceMut::new(buffer)];
                let message =
                    recvmsg::<LinkAddr>(self.socket.as_raw_fd(), &mut parts, None, MsgFlags::empty())?;
                Ok((message.bytes, message.address.map_or(0, |from| from.pkttype())))
            };
            match self.poll.async_io(Interest::READABLE, read).await {
                // Our own frame (loop guard, spec 6.5): the next one.
                Ok((_, PACKET_OUTGOING)) => {}
                Ok((length, kind)) => {
                    buffer.truncate(length);
                    return Ok(kind != PACKET_OTHERHOST);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends one frame.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(drop)
    }
}

/// Classic BPF: untagged IPv4 UDP to 67, 68 or 4011, unfragmented; IPv6 UDP to 547.
///
/// Frames of VLANs above this interface pass here too, with their tag moved aside; they belong to the VLAN's
/// own interface [D5].
fn filter() -> Vec<SockFilter> {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_HALF_INDEXED: u16 = 0x48;
    const LOAD_INDEX_IP_HEADER: u16 = 0xb1;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    /// SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT
    const VLAN_TAG_PRESENT: u32 = 0xffff_f000 + 48;
    let op = SockFilter::new;
    vec![
        op(LOAD_BYTE, 0, 0, VLAN_TAG_PRESENT),
        op(JUMP_EQUAL, 0, 17, 0),
        op(LOAD_HALF, 0, 0, 12),
        op(JUMP_EQUAL, 0, 9, 0x0800),
        op(LOAD_BYTE, 0, 0, 23),
        op(JUMP_EQUAL, 0, 13, 17),
        op(LOAD_HALF, 0, 0, 20),
        op(JUMP_SET, 11, 0, 0x1fff),
        op(LOAD_INDEX_IP_HEADER, 0, 0, 14),
        op(LOAD_HALF_INDEXED, 0, 0, 16),
        op(JUMP_EQUAL, 7, 0, 67),
        op(JUMP_EQUAL, 6, 0, 68),
        op(JUMP_EQUAL, 5, 6, 4011),
        op(JUMP_EQUAL, 0, 5, 0x86dd),
        op(LOAD_BYTE, 0, 0, 20),
        op(JUMP_EQUAL, 0, 3, 17),
        op(LOAD_HALF, 0, 0, 56),
        op(JUMP_EQUAL, 0, 1, 547),
        op(RETURN, 0, 0, 0x0004_0000),
        op(RETURN, 0, 0, 0),
    ]
}
