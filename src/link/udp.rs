//! UDP sockets as TFTP needs them: one that hears requests on an interface and knows which of our addresses
//! each was sent to, one per transfer that sends a whole window in one call, and one place to wait on all.
//!
//! All are bound to their interface, so that answers leave where the request came in and another program may
//! serve other interfaces.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, getsockopt, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Receive buffer of a request socket, bytes: the first second of a boot storm, while each small request
/// costs the kernel about 800 bytes of it.
const REQUEST_BUFFER: usize = 4 << 20;
/// Datagrams in one segmented send at most (the kernel's UDP_MAX_SEGMENTS of older versions).
const SEGMENTS_MAX: usize = 64;
/// Bytes in one segmented send at most: all of it must fit one IPv4 packet before it is cut.
const SEGMENTED_BYTES_MAX: usize = 65_000;

mod option {
    //! The one socket option that neither socket2 nor nix names.
    use nix::{libc, setsockopt_impl, sockopt_impl};

    sockopt_impl!(
        /// Whether datagrams forbid fragmentation (`IP_MTU_DISCOVER`).
        MtuDiscover,
        SetOnly,
        libc::IPPROTO_IP,
        libc::IP_MTU_DISCOVER,
        libc::c_int
    );
    sockopt_impl!(
        /// The same for IPv6 (`IPV6_MTU_DISCOVER`).
        MtuDiscoverV6,
        SetOnly,
        libc::IPPROTO_IPV6,
        libc::IPV6_MTU_DISCOVER,
        libc::c_int
    );
}

/// Which addresses a request socket hears on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv6() { Self::V6 } else { Self::V4 }
    }
}

/// A socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
    /// Another program holds the port.
    #[error(
        "cannot listen on UDP port {port} of {interface}: another program has it ('ss -lunp sport = :{port}' \
         names it); stop it or serve another interface"
    )]
    PortInUse {
        /// The interface.
        interface: String,
        /// The port.
        port: u16,
    },
    /// The port or the binding to an interface needs a privilege.
    #[error(
        "cannot listen on UDP port {port} of {interface}: not allowed; run as root or with CAP_NET_BIND_SERVICE"
    )]
    NotAllowed {
        /// The interface.
        interface: String,
        /// The port.
        port: u16,
    },
    /// There is no such interface.
    #[error(
        "cannot listen on UDP port {port} of {interface}: there is no such interface ('ip link' lists them)"
    )]
    NoInterface {
        /// The interface.
        interface: String,
        /// The port.
        port: u16,
    },
    /// Anything else.
    #[error("cannot open a UDP socket on {interface}")]
    Open {
        /// The interface.
        interface: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
}

/// Hears requests to one port on one interface.
#[derive(Debug)]
pub struct RequestSocket {
    socket: UdpSocket,
}

/// A datagram that arrived on a [`RequestSocket`].
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its length, bytes.
    pub length: usize,
    /// Who sent it.
    pub peer: SocketAddr,
    /// Our address it was sent to; `None` for broadcast and multicast.
    pub destination: Option<IpAddr>,
}

impl RequestSocket {
    /// Listens on `port` of `interface`, on all its addresses of one family.
    pub fn bind(interface: &str, port: u16, family: Family) -> Result<Self, UdpError> {
        let name = || interface.to_owned();
        Self::open(interface, port, family).map_err(|cause| {
            match Errno::from_raw(cause.raw_os_error().unwrap_or(0)) {
                Errno::EADDRINUSE => UdpError::PortInUse { interface: name(), port },
                Errno::EACCES | Errno::EPERM => UdpError::NotAllowed { interface: name(), port },
                Errno::ENODEV => UdpError::NoInterface { interface: name(), port },
                _ => UdpError::Open { interface: name(), cause },
            }
        })
    }

    fn open(interface: &str, port: u16, family: Family) -> io::Result<Self> {
        let socket = device_socket(interface, family)?;
        // Beyond the system's limit only with CAP_NET_ADMIN; less is no reason to fail.
        if setsockopt(&socket, sockopt::RcvBufForce, &REQUEST_BUFFER).is_err() {
            socket.set_recv_buffer_size(REQUEST_BUFFER)?;
        }
        let any: IpAddr = match family {
            Family::V4 => {
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
                Ipv4Addr::UNSPECIFIED.into()
            }
            Family::V6 => {
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                Ipv6Addr::UNSPECIFIED.into()
            }
        };
        socket.bind(&SocketAddr::from((any, port)).into())?;
        Ok(Self { socket: socket.into() })
    }

    /// Whether its interface is still there. One that was made anew under the same name is another.
    pub fn is_attached(&self) -> bool {
        SockRef::from(&self.socket).device().is_ok_and(|device| device.is_some())
    }

    /// Takes one datagram into `buffer`; `None` when there is none now.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        let mut space = nix::cmsg_space!(libc::in6_pktinfo);
        let mut slices = [IoSliceMut::new(buffer)];
        let fd = self.socket.as_raw_fd();
        let message =
            match recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut space), MsgFlags::MSG_DONTWAIT) {
                Ok(message) => message,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        let v4 = |raw: libc::in_addr| Ipv4Addr::from(u32::from_be(raw.s_addr));
        let destination = message.cmsgs()?.find_map(|cmsg| match cmsg {
            // The kernel's idea of "our address for this packet" is the destination itself, unless that was a
            // group or broadcast address.
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let destination = v4(info.ipi_addr);
                Some((destination == v4(info.ipi_spec_dst)).then_some(IpAddr::V4(destination)))
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let destination = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                Some((!destination.is_multicast()).then_some(IpAddr::V6(destination)))
            }
            _ => None,
        });
        let peer = message.address.and_then(|from| {
            let v4 = || from.as_sockaddr_in().map(|from| SocketAddr::V4((*from).into()));
            v4().or_else(|| from.as_sockaddr_in6().map(|from| SocketAddr::V6((*from).into())))
        });
        let (Some(peer), Some(destination)) = (peer, destination) else {
            return Err(io::Error::other("the kernel told no address of a datagram"));
        };
        Ok(Some(Arrival { length: message.bytes, peer, destination }))
    }

    /// Sends a datagram to `peer` from our address `source`.
    pub fn send(&self, bytes: &[u8], source: IpAddr, peer: SocketAddr) -> io::Result<()> {
        self.send_slices(&[IoSlice::new(bytes)], None, source, peer)
    }

    fn send_slices(
        &self,
        slices: &[IoSlice<'_>],
        segments: Option<ControlMessage<'_>>,
        source: IpAddr,
        peer: SocketAddr,
    ) -> io::Result<()> {
        // The interface is not named: the socket is bound to it.
        let (v4, v6);
        let control = match source {
            IpAddr::V4(source) => {
                v4 = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from(source).to_be() },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                ControlMessage::Ipv4PacketInfo(&v4)
            }
            IpAddr::V6(source) => {
                v6 = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                    ipi6_ifindex: 0,
                };
                ControlMessage::Ipv6PacketInfo(&v6)
            }
        };
        let (one, two);
        let controls: &[ControlMessage<'_>] = match segments {
            None => {
                one = [control];
                &one
            }
            Some(segments) => {
                two = [control, segments];
                &two
            }
        };
        let peer = SockaddrStorage::from(peer);
        sendmsg(self.socket.as_raw_fd(), slices, controls, MsgFlags::MSG_DONTWAIT, Some(&peer))?;
        Ok(())
    }
}

/// The socket of one transfer: connected to its client, so that the kernel turns strangers away (they get
/// ICMP "port unreachable") and looks up the route once. Or, in single-port mode, the request socket itself.
#[derive(Debug)]
pub struct TransferSocket {
    way: TransferWay,
    /// The kernel cuts one long send into datagrams; cleared when it or the interface refuses.
    segments: bool,
}

#[derive(Debug)]
enum TransferWay {
    Own(UdpSocket),
    Shared {
        /// Not held: when its interface goes away it is closed and made anew.
        socket: Weak<RequestSocket>,
        source: IpAddr,
        peer: SocketAddr,
        mtu: Option<u32>,
    },
}

impl TransferSocket {
    /// Opens a socket on `interface` with our address `local`, a free port, and `peer` at the other end.
    pub fn open(interface: &str, local: IpAddr, peer: SocketAddr) -> io::Result<Self> {
        let socket = device_socket(interface, Family::of(local))?;
        socket.bind(&SocketAddr::from((local, 0)).into())?;
        socket.connect(&peer.into())?;
        Ok(Self { way: TransferWay::Own(socket.into()), segments: true })
    }

    /// Sends from the port that the request came to [T1]. What the client sends then arrives at `requests`, whose
    /// reader hands it on; [`Self::receive`] has nothing.
    pub fn share(
        requests: &Arc<RequestSocket>,
        interface: &str,
        local: IpAddr,
        peer: SocketAddr,
    ) -> io::Result<Self> {
        // Only a connected socket knows its route.
        let mtu = Self::open(interface, local, peer)?.path_mtu();
        let way = TransferWay::Shared { socket: Arc::downgrade(requests), source: local, peer, mtu };
        Ok(Self { way, segments: true })
    }

    /// Has `ready` name it by `token`; one that shares the request socket has nothing to wait for.
    pub fn watched_by(self, ready: &Readiness, token: u64) -> io::Result<Self> {
        if let TransferWay::Own(socket) = &self.way {
            ready.add(socket, token)?;
        }
        Ok(self)
    }

    /// Whether the client's packets arrive at the request socket.
    pub fn is_shared(&self) -> bool {
        matches!(self.way, TransferWay::Shared { .. })
    }

    /// MTU of the route to the peer, bytes.
    pub fn path_mtu(&self) -> Option<u32> {
        match &self.way {
            // Read for IPv4 only; over IPv6 the link's MTU holds, and routers fragment nothing.
            TransferWay::Own(socket) => {
                getsockopt(socket, sockopt::IpMtu).ok().and_then(|mtu| u32::try_from(mtu).ok())
            }
            TransferWay::Shared { mtu, .. } => *mtu,
        }
    }

    /// Takes one datagram of the peer; `None` when there is none now.
    ///
    /// `ConnectionRefused`: the peer's host reported that nobody listens there.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        let TransferWay::Own(socket) = &self.way else { return Ok(None) };
        match socket.recv(buffer) {
            Ok(length) => Ok(Some(&buffer[..length])),
            Err(error) if is_transient(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends one datagram. What a full buffer refuses counts as lost.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self.send_slices(&[IoSlice::new(bytes)], None) {
            Err(error) if !is_transient(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends `slices` as one datagram, or as datagrams of `segment` bytes each.
    fn send_slices(&self, slices: &[IoSlice<'_>], segment: Option<u16>) -> io::Result<()> {
        let flags = MsgFlags::MSG_DONTWAIT;
        let segments = segment.as_ref().map(ControlMessage::UdpGsoSegments);
        match &self.way {
            TransferWay::Own(socket) => {
                sendmsg::<()>(socket.as_raw_fd(), slices, segments.as_slice(), flags, None)?;
            }
            TransferWay::Shared { socket, source, peer, .. } => {
                // Its interface is away: lost, as on any wire. The client may still be there when it is back.
                let Some(socket) = socket.upgrade() else { return Ok(()) };
                socket.send_slices(slices, segments, *source, *peer)?;
            }
        }
        Ok(())
    }

    /// Sends `headers.len()` datagrams: each header followed by the next `block` bytes of `payload`, the last
    /// by what is left. Says how many went out; fewer than asked when the socket's buffer is full.
    pub fn send_blocks<const H: usize>(
        &mut self,
        headers: &[[u8; H]],
        payload: &[u8],
        block: usize,
    ) -> io::Result<usize> {
        let mut done = 0;
        while done < headers.len() {
            let room =
                if self.segments { (SEGMENTED_BYTES_MAX / (H + block)).clamp(1, SEGMENTS_MAX) } else { 1 };
            let group = &headers[done..headers.len().min(done + room)];
            let start = payload.len().min(done * block);
            let end = payload.len().min((done + group.len()) * block);
            match self.send_group(group, &payload[start..end], block) {
                Ok(()) => done += group.len(),
                Err(error) if group.len() > 1 && refuses_segments(&error) => self.segments = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_transient(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn send_group<const H: usize>(
        &self,
        headers: &[[u8; H]],
        payload: &[u8],
        block: usize,
    ) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); 2 * SEGMENTS_MAX];
        let pieces = payload.chunks(block.max(1)).chain(std::iter::repeat(&[][..]));
        for (pair, (header, piece)) in slices.chunks_exact_mut(2).zip(headers.iter().zip(pieces)) {
            pair[0] = IoSlice::new(header);
            pair[1] = IoSlice::new(piece);
        }
        let segment = match headers.len() {
            1 => None,
            _ => Some(u16::try_from(H + block).map_err(|_| io::Error::from(Errno::EINVAL))?),
        };
        self.send_slices(&slices[..2 * headers.len()], segment)
    }
}

fn device_socket(interface: &str, family: Family) -> io::Result<Socket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    if family == Family::V6 {
        // IPv4 has a socket of its own on the same port.
        socket.set_only_v6(true)?;
    }
    socket.bind_device(Some(interface.as_bytes()))?;
    // Don't-Fragment stays off: a path with a smaller MTU is the network's to handle, blocks are cut to our own
    // interface before.
    match family {
        Family::V4 => setsockopt(&socket, option::MtuDiscover, &libc::IP_PMTUDISC_DONT)?,
        Family::V6 => setsockopt(&socket, option::MtuDiscoverV6, &libc::IPV6_PMTUDISC_DONT)?,
    }
    Ok(socket)
}

/// Nothing there, or no room, for the moment.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || error.raw_os_error() == Some(libc::ENOBUFS)
}

/// What kernels and interfaces without UDP segmentation answer.
fn refuses_segments(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP | libc::ENOPROTOOPT)
    )
}

/// Waits on many sockets at once. Sockets are registered once and not per packet, and level-triggered: what
/// was not read in one turn is ready in the next.
#[derive(Debug)]
pub struct Readiness {
    epoll: Epoll,
    alarm: Arc<EventFd>,
}

/// Ends a wait from another thread, when it is rung and when it is dropped.
#[derive(Debug)]
pub struct Alarm(Arc<EventFd>);

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// Sockets can be read, or the time is over.
    Work,
    /// The [`Alarm`] was rung or dropped.
    Alarm,
}

/// Token of the alarm.
const ALARM: u64 = u64::MAX;

impl Readiness {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let alarm = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&alarm, EpollEvent::new(EpollFlags::EPOLLIN, ALARM))?;
        Ok(Self { epoll, alarm: Arc::new(alarm) })
    }

    /// Makes a handle that ends the waiting.
    pub fn alarm(&self) -> Alarm {
        Alarm(Arc::clone(&self.alarm))
    }

    /// Adds a socket; [`Self::wait`] names it by `token` as long as it has something to read. Closing it
    /// takes it out.
    pub fn add(&self, socket: &impl AsFd, token: u64) -> io::Result<()> {
        Ok(self.epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, token))?)
    }

    /// Waits until sockets can be read, `limit` is over or the alarm rings, and puts the tokens of the sockets
    /// into `tokens`.
    pub fn wait(&self, tokens: &mut Vec<u64>, limit: Option<Duration>) -> io::Result<Woken> {
        const TURN: usize = 256; // sockets named before the caller gets its turn
        let mut events = [EpollEvent::empty(); TURN];
        let limit = match limit {
            Some(limit) => EpollTimeout::try_from(limit).unwrap_or(EpollTimeout::MAX),
            None => EpollTimeout::NONE,
        };
        let count = match self.epoll.wait(&mut events, limit) {
            Err(Errno::EINTR) => 0,
            other => other?,
        };
        tokens.clear();
        tokens.extend(events[..count].iter().map(EpollEvent::data));
        if tokens.contains(&ALARM) {
            // Silenced until it rings again; reading fails only when it is silent already.
            let _ = self.alarm.read();
            tokens.retain(|token| *token != ALARM);
            return Ok(Woken::Alarm);
        }
        Ok(Woken::Work)
    }
}

impl Alarm {
    /// Ends the wait of now, or the next one.
    pub fn ring(&self) {
        // Fails only when the counter is full, and then it rings anyway.
        let _ = self.0.write(1);
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.ring();
    }
}

impl AsFd for RequestSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Lets this process hold `wanted` descriptors, as far as the hard limit allows.
pub fn allow_descriptors(wanted: u64) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted
    {
        // Not being allowed more is no failure: beyond the limit clients hear "busy".
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
    }
}
