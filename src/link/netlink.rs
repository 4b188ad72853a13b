//! The three questions that are put to the kernel by netlink (rtnetlink(7)): what a link is, which link leads
//! to an address, and who is behind an address; and the notices that links or addresses have changed.
//!
//! Each question is one small message, answered at once by the network namespace of the calling thread, at a
//! cost that does not grow with the tables behind it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::records::Mac;

/// Length of `nlmsghdr`, bytes.
const HEADER: usize = 16;
/// The longest answer, bytes: a link with all its statistics takes a few KiB.
const ANSWER_MAX: usize = 32 << 10;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Groups RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR.
const CHANGES: u32 = 0x1 | 0x10 | 0x100;

/// What the kernel says of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LinkFacts {
    /// Largest packet, bytes.
    pub mtu: u32,
    /// The VLAN that it carries, when it is an 802.1Q device.
    pub vlan: Option<u16>,
}

/// Asks for the link with this index.
pub(super) fn link(index: u32) -> Option<LinkFacts> {
    const GET_LINK: u16 = 18;
    let mut question = [0; 16]; // ifinfomsg
    question[4..8].copy_from_slice(&index.to_ne_bytes());
    facts(ask(GET_LINK, &question).ok()?.get(16..)?)
}

/// Reads a link's attributes (if_link.h).
fn facts(attributes: &[u8]) -> Option<LinkFacts> {
    const MTU: u16 = 4;
    const LINK_INFO: u16 = 18;
    const KIND: u16 = 1;
    const DATA: u16 = 2;
    const VLAN_ID: u16 = 1;
    let mtu = u32::from_ne_bytes(attribute(attributes, MTU)?.try_into().ok()?);
    let vlan = attribute(attributes, LINK_INFO)
        .filter(|info| attribute(info, KIND).is_some_and(|kind| kind.starts_with(b"vlan\0")))
        .and_then(|info| attribute(attribute(info, DATA)?, VLAN_ID))
        .and_then(|id| Some(u16::from_ne_bytes(id.try_into().ok()?)));
    Some(LinkFacts { mtu, vlan })
}

/// Index of the link on which `address` is a neighbour by the routing table; `None` when it lies behind a
/// router, or nowhere.
pub(super) fn link_towards(address: Ipv4Addr) -> Option<u32> {
    const GET_ROUTE: u16 = 26;
    // rtnetlink.h
    const DESTINATION: u16 = 1;
    const OUT: u16 = 4;
    const GATEWAY: u16 = 5;
    let mut question = vec![0; 12]; // rtmsg
    question[..2].copy_from_slice(&[AF_INET, 32]);
    push_attribute(&mut question, DESTINATION, address.octets());
    let answer = ask(GET_ROUTE, &question).ok()?;
    let attributes = answer.get(12..)?;
    if attribute(attributes, GATEWAY).is_some() {
        return None;
    }
    Some(u32::from_ne_bytes(attribute(attributes, OUT)?.try_into().ok()?))
}

/// The card behind `address` on the link with this index, as far as the kernel has learned it and still
/// believes it (`NUD_VALID` without `NUD_NOARP`).
pub(super) fn neighbour(index: u32, address: IpAddr) -> Option<Mac> {
    const GET_NEIGHBOUR: u16 = 30;
    // neighbour.h
    const DESTINATION: u16 = 1;
    const LINK_ADDRESS: u16 = 2;
    /// REACHABLE, STALE, DELAY, PROBE, PERMANENT
    const KNOWN: u16 = 0x02 | 0x04 | 0x08 | 0x10 | 0x80;
    let mut question = vec![0; 12]; // ndmsg
    question[4..8].copy_from_slice(&index.to_ne_bytes());
    match address {
        IpAddr::V4(v4) => {
            question[0] = AF_INET;
            push_attribute(&mut question, DESTINATION, v4.octets());
        }
        IpAddr::V6(v6) => {
            question[0] = AF_INET6;
            push_attribute(&mut question, DESTINATION, v6.octets());
        }
    }
    let answer = ask(GET_NEIGHBOUR, &question).ok()?;
    let state = u16::from_ne_bytes(answer.get(8..10)?.try_into().ok()?);
    if state & KNOWN == 0 {
        return None;
    }
    Mac::new(attribute(answer.get(12..)?, LINK_ADDRESS)?.try_into().ok()?).ok()
}

/// Sends one question and returns the answer's body.
fn ask(kind: u16, body: &[u8]) -> io::Result<Vec<u8>> {
    const REQUEST: u16 = 1;
    const ERROR: u16 = 2;
    let socket = open(0)?;
    let mut question = Vec::with_capacity(HEADER + body.len());
    question.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    question.extend(kind.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    question.extend([0; 8]); // sequence and port: one question per socket
    question.extend(body);
    send(socket.as_raw_fd(), &question, MsgFlags::empty())?;
    // The answer is in the socket when `send` returns.
    let mut answer = vec![0; ANSWER_MAX];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    answer.truncate(length);
    let told = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    match told(4) {
        Some(kind) if kind > ERROR => Ok(answer.split_off(HEADER)),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

fn open(groups: u32) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// Appends an attribute whose value needs no padding.
fn push_attribute<const N: usize>(message: &mut Vec<u8>, kind: u16, value: [u8; N]) {
    message.extend((4 + N as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
}

/// The value of the first attribute of this kind.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    /// Without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    const KIND: u16 = 0x3fff;
    loop {
        let (&[l1, l2, k1, k2], _) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([l1, l2]));
        let value = rest.get(4..length)?;
        if u16::from_ne_bytes([k1, k2]) & KIND == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// Tells that links or addresses of this machine have changed; not which: whoever hears it looks at his own.
#[derive(Debug)]
pub(super) struct Changes(UdpSocket);

impl Changes {
    /// Listens from now on. Must be called within a tokio runtime.
    pub fn open() -> io::Result<Self> {
        // tokio asks nothing of a `UdpSocket` but that it can be polled.
        Ok(Self(UdpSocket::from_std(open(CHANGES)?.into())?))
    }

    /// Whether anything changed since the last question. The kernel tells of a change before the command that
    /// made it returns, so no change that was there before a packet is missed when that packet is looked at.
    pub fn pending(&self) -> bool {
        let mut buffer = [0; 4096];
        let mut any = false;
        loop {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::ENOBUFS) => any = true, // ENOBUFS: more changes than could be told
                Err(Errno::EINTR) => {}
                Err(_) => return any,
            }
        }
    }

    /// Waits until something changed.
    pub async fn wait(&self) -> io::Result<()> {
        let look = || if self.pending() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) };
        self.0.async_io(Interest::READABLE, look).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_among_others_and_nested() {
        let mut bytes = vec![5, 0, 3, 0, b'x', 0, 0, 0];
        push_attribute(&mut bytes, 0x8000 | 18, [1, 2, 3, 4]);
        assert_eq!(attribute(&bytes, 3), Some(&b"x"[..]));
        assert_eq!(attribute(&bytes, 18), Some(&[1, 2, 3, 4][..]));
        assert_eq!(attribute(&bytes, 4), None);
    }

    /// An attribute of any length, padded to four bytes.
    fn padded(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// [D5]: the VLAN of an 802.1Q device is its own, not a name's; other kinds have data of other meaning.
    #[test]
    fn a_vlan_device_is_known_by_its_kind_and_carries_its_id() {
        let link = |kind: &[u8]| {
            let data =
                padded(2, &[padded(2, &1_u32.to_ne_bytes()), padded(1, &10_u16.to_ne_bytes())].concat());
            let info = padded(18 | 0x8000, &[padded(1, kind), data].concat());
            facts(&[padded(3, b"boot\0"), padded(4, &1496_u32.to_ne_bytes()), info].concat())
        };
        assert_eq!(link(b"vlan\0"), Some(LinkFacts { mtu: 1496, vlan: Some(10) }));
        assert_eq!(link(b"macvlan\0"), Some(LinkFacts { mtu: 1496, vlan: None }));
    }

    proptest::proptest! {
        #[test]
        fn looking_for_attributes_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let _ = facts(&bytes);
        }
    }

    #[test]
    fn loopback_is_a_link_without_vlan() {
        let index = nix::net::if_::if_nametoindex("lo").unwrap();
        let facts = link(index).unwrap();
        assert_eq!(facts.vlan, None);
        assert!(facts.mtu >= 1280, "{facts:?}");
        assert_eq!(link_towards(Ipv4Addr::LOCALHOST), Some(index));
        assert_eq!(neighbour(index, Ipv4Addr::new(127, 1, 2, 3).into()), None);
    }
}
