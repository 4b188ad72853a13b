//! The kernel's IPv6 neighbour table, asked by rtnetlink (there is no file for it as there is for ARP).

use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use crate::records::Mac;

/// Bytes before a message's body: length, type, flags, sequence, port (netlink(7)).
const HEADER: usize = 16;
/// Bytes before the attributes of a neighbour message (rtnetlink(7), `ndmsg`).
const NEIGHBOUR: usize = 12;
/// Parts of the answer read at most, so that a table which grows as it is read ends.
const PARTS_MAX: usize = 4096;

/// The card that the kernel last saw at an address on a local link.
pub(super) fn neighbour(address: Ipv6Addr) -> Option<Mac> {
    // Without an answer the other witnesses are asked.
    look_up(address).ok().flatten()
}

fn look_up(address: Ipv6Addr) -> io::Result<Option<Mac>> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        Some(SockProtocol::NetlinkRoute),
    )?;
    let fd = socket.as_raw_fd();
    sendto(fd, &request(), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = vec![0; 32 << 10];
    for _ in 0..PARTS_MAX {
        let length = recv(fd, &mut buffer, MsgFlags::empty())?;
        match in_part(&buffer[..length.min(buffer.len())], address) {
            Part::Found(mac) => return Ok(Some(mac)),
            Part::Last => return Ok(None),
            Part::More => {}
        }
    }
    Ok(None)
}

/// "All neighbours of the family" (RTM_GETNEIGH with NLM_F_DUMP): asking for one address needs its interface.
fn request() -> Vec<u8> {
    let length = (HEADER + NEIGHBOUR) as u32;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(libc::RTM_GETNEIGH.to_ne_bytes());
    bytes.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.push(libc::AF_INET6 as u8);
    bytes.extend([0; NEIGHBOUR - 1]);
    bytes
}

#[derive(PartialEq, Eq, Debug)]
enum Part {
    Found(Mac),
    Last,
    More,
}

/// Looks for an address in one datagram of the answer.
fn in_part(mut rest: &[u8], address: Ipv6Addr) -> Part {
    /// Entries that name a card for sure: reachable, stale, delay, probe, permanent.
    const KNOWN: u16 = 0x02 | 0x04 | 0x08 | 0x10 | 0x80;
    while let Some((header, _)) = rest.split_first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        if i32::from(kind) == libc::NLMSG_DONE || i32::from(kind) == libc::NLMSG_ERROR {
            return Part::Last;
        }
        let Some(message) = rest.get(HEADER..length) else { return Part::Last };
        if kind == libc::RTM_NEWNEIGH && message.len() >= NEIGHBOUR {
            let state = u16::from_ne_bytes([message[8], message[9]]);
            if state & KNOWN != 0
                && let Some(mac) = card(&message[NEIGHBOUR..], address)
            {
                return Part::Found(mac);
            }
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Part::More
}

/// The card in the attributes of an entry, when the entry is this address's.
fn card(mut rest: &[u8], address: Ipv6Addr) -> Option<Mac> {
    let (mut same, mut mac) = (false, None);
    while let Some(([l1, l2, t1, t2], _)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([*l1, *l2]));
        let value = rest.get(4..length)?;
        match u16::from_ne_bytes([*t1, *t2]) {
            libc::NDA_DST => same = value == address.octets(),
            libc::NDA_LLADDR => mac = value.try_into().ok().and_then(|bytes| Mac::new(bytes).ok()),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    mac.filter(|_| same)
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

    fn entry(address: Ipv6Addr, state: u16) -> Vec<u8> {
        let mut body = vec![libc::AF_INET6 as u8, 0, 0, 0, 1, 0, 0, 0];
        body.extend(state.to_ne_bytes());
        body.extend([0, 0]);
        for (kind, value) in [(libc::NDA_DST, &address.octets()[..]), (libc::NDA_LLADDR, &[2, 0, 0, 0, 0, 9])]
        {
            body.extend((4 + value.len() as u16).to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(libc::RTM_NEWNEIGH.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn an_entry_is_found_among_others_and_an_incomplete_one_is_nobody() {
        let other = entry("fd00::2".parse().unwrap(), 2);
        let found = Part::Found(Mac::new([2, 0, 0, 0, 0, 9]).unwrap());
        assert_eq!(in_part(&[other.clone(), entry(ADDRESS, 4)].concat(), ADDRESS), found);
        assert_eq!(in_part(&[other, entry(ADDRESS, 1)].concat(), ADDRESS), Part::More);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_or_run_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = in_part(&bytes, ADDRESS);
        }
    }
}
