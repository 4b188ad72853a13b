//! Raw frames (`AF_PACKET`), filtered in the kernel to DHCP: works beside a daemon that owns port 67, reaches
//! clients that have no address yet [D1], and shows what other servers answer.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
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

/// Drops are told at most this often.
const DROPS_TOLD: Duration = Duration::from_secs(10);

/// A raw socket on one interface.
#[derive(Debug)]
pub struct RawSocket {
    drops: Mutex<Drops>,
    /// The descriptor of a packet socket: tokio asks nothing of a `UdpSocket` but that it can be polled.
    poll: UdpSocket,
    socket: Socket,
}

/// Frames that the kernel threw away because the buffer was full.
#[derive(Clone, Copy, Debug, Default)]
struct Drops {
    /// All of them, as the kernel counts; wraps.
    counted: u32,
    /// Those that were told.
    told: u32,
    /// When that was.
    at: Option<Instant>,
}

impl RawSocket {
    /// Opens, filters and binds it. Needs CAP_NET_RAW. Must be called within a tokio runtime.
    pub fn open(interface: &Interface) -> io::Result<Self> {
        // Protocol 0 receives nothing until `bind`, so no frame passes before the filter stands.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.attach_filter(&filter())?;
        // Beyond the system's limit only with CAP_NET_ADMIN; failing leaves less, which works.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        }
        // Without it drops are not counted, and nothing else is lost.
        let _ = setsockopt(&socket, sockopt::RxqOvfl, &1);
        let found = datalink::interfaces().into_iter().find(|found| found.index == interface.index);
        let found = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let clone = socket.try_clone()?;
        // pnet binds the descriptor it is given to the interface and all protocols; its own reader and writer
        // are not used, and it closes its descriptor when they are dropped.
        let config = Config { socket_fd: Some(clone.into_raw_fd()), promiscuous: false, ..Config::default() };
        drop(datalink::channel(&found, config)?);
        socket.set_nonblocking(true)?;
        let poll = UdpSocket::from_std(OwnedFd::from(socket.try_clone()?).into())?;
        Ok(Self { poll, socket, drops: Mutex::default() })
    }

    /// Waits for the next frame that came from outside and copies it into `buffer`. True when it was meant
    /// for this machine; another's is seen only while somebody else holds the card in promiscuous mode.
    ///
    /// `and_sent`: frames that other sockets of this machine send are shown too, as not meant for us. What this
    /// socket sends is never shown.
    pub async fn receive(&self, buffer: &mut Vec<u8>, and_sent: bool) -> io::Result<bool> {
        loop {
            buffer.resize(FRAME_MAX, 0);
            let read = || {
                let mut parts = [io::IoSliceMut::new(buffer)];
                let mut space = nix::cmsg_space!(u32);
                let flags = MsgFlags::empty();
                let message =
                    recvmsg::<LinkAddr>(self.socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::RxqOvfl(count) = control {
                        self.drops.lock().unwrap_or_else(PoisonError::into_inner).counted = count;
                    }
                }
                Ok((message.bytes, message.address.map_or(0, |from| from.pkttype())))
            };
            match self.poll.async_io(Interest::READABLE, read).await {
                // Our own frame (loop guard): the next one.
                Ok((_, PACKET_OUTGOING)) if !and_sent => {}
                Ok((length, kind)) => {
                    buffer.truncate(length);
                    return Ok(kind != PACKET_OTHERHOST && kind != PACKET_OUTGOING);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// How many frames were lost since this was last told; `None` when none were, or it was told just now.
    pub fn dropped(&self, now: Instant) -> Option<u32> {
        let mut drops = self.drops.lock().unwrap_or_else(PoisonError::into_inner);
        let count = drops.counted.wrapping_sub(drops.told);
        if count == 0 || drops.at.is_some_and(|at| now.duration_since(at) < DROPS_TOLD) {
            return None;
        }
        *drops = Drops { told: drops.counted, at: Some(now), ..*drops };
        Some(count)
    }

    /// Sends one frame.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(drop)
    }
}

/// Classic BPF: untagged IPv4 UDP to 67, 68 or 4011, unfragmented; IPv6 UDP to 547.
///
/// Frames of VLANs above this interface pass here too, with their tag moved aside; they belong to the VLAN's
/// own interface [D5]. A tag of VLAN 0 is only a priority, and the frame is untagged.
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
    /// SKF_AD_OFF + SKF_AD_VLAN_TAG
    const VLAN_TAG: u32 = 0xffff_f000 + 44;
    let op = SockFilter::new;
    vec![
        op(LOAD_BYTE, 0, 0, VLAN_TAG_PRESENT),
        op(JUMP_EQUAL, 2, 0, 0),
        op(LOAD_HALF, 0, 0, VLAN_TAG),
        op(JUMP_SET, 17, 0, 0x0fff),
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
