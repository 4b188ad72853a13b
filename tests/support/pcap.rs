//! A reader of classic pcap files, as large as the tests need: Ethernet, IPv4 and IPv6 without extension
//! headers, UDP.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at a broken file")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// One UDP datagram of a capture.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Number of its frame in the file, from 1, as tshark counts.
    pub number: usize,
    /// Time since the first frame.
    pub time: Duration,
    /// Ethernet source.
    pub source_mac: [u8; 6],
    /// Ethernet destination.
    pub destination_mac: [u8; 6],
    /// Source address and port.
    pub source: SocketAddr,
    /// Destination address and port.
    pub destination: SocketAddr,
    /// Payload as captured.
    pub payload: Vec<u8>,
    /// Length of the payload on the wire, bytes; more than `payload` holds where the capture was cut.
    pub length: usize,
}

/// The UDP datagrams of a file, in order.
///
/// # Panics
/// When the file is missing or no classic Ethernet pcap: a test cannot go on without it.
pub fn datagrams(file: &Path) -> Vec<Datagram> {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (header, mut rest) = bytes.split_at(24);
    let little = match header[..4] {
        [0xd4, 0xc3, 0xb2, 0xa1] => true,
        [0xa1, 0xb2, 0xc3, 0xd4] => false,
        _ => panic!("{}: no classic pcap with microseconds", file.display()),
    };
    let number = |bytes: &[u8]| {
        let bytes = bytes.try_into().unwrap();
        if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    };
    assert_eq!(number(&header[20..]), 1, "{}: link type is not Ethernet", file.display());
    let mut datagrams = Vec::new();
    let mut first = None;
    for index in 1.. {
        if rest.is_empty() {
            break;
        }
        let (record, tail) = rest.split_at(16);
        let (frame, tail) = tail.split_at(number(&record[8..12]) as usize);
        let time = Duration::new(u64::from(number(&record[..4])), number(&record[4..8]) * 1000);
        let start = *first.get_or_insert(time);
        datagrams.extend(udp(frame, index, time - start));
        rest = tail;
    }
    datagrams
}

/// `None` for everything that is not a whole UDP header over IP.
fn udp(frame: &[u8], number: usize, time: Duration) -> Option<Datagram> {
    let (destination_mac, rest) = frame.split_first_chunk::<6>()?;
    let (source_mac, rest) = rest.split_first_chunk::<6>()?;
    // One 802.1Q tag.
    let rest = if rest.starts_with(&[0x81, 0x00]) { rest.get(4..)? } else { rest };
    let (source, destination, segment): (IpAddr, IpAddr, &[u8]) = match rest.get(..2)? {
        [0x08, 0x00] => {
            let packet = rest.get(2..)?;
            let header = usize::from(packet.first()? & 0x0f) * 4;
            if packet.get(9)? != &17 {
                return None;
            }
            let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?).into());
            (address(12)?, address(16)?, packet.get(header..)?)
        }
        [0x86, 0xdd] => {
            let packet = rest.get(2..)?;
            if packet.get(6)? != &17 {
                return None;
            }
            let address = |at: usize| Some(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?).into());
            (address(8)?, address(24)?, packet.get(40..)?)
        }
        _ => return None,
    };
    let (&[s1, s2, d1, d2, l1, l2, _, _], payload) = segment.split_first_chunk::<8>()?;
    let length = usize::from(u16::from_be_bytes([l1, l2])).checked_sub(8)?;
    Some(Datagram {
        number,
        time,
        source_mac: *source_mac,
        destination_mac: *destination_mac,
        source: SocketAddr::new(source, u16::from_be_bytes([s1, s2])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([d1, d2])),
        // A short frame is padded to 60 bytes: what lies behind the datagram is not payload.
        payload: payload[..length.min(payload.len())].to_vec(),
        length,
    })
}
