//! Ethernet, IPv4 and UDP around a DHCP message: built with valid checksums [D1], stripped leniently [D7].

use std::net::{Ipv4Addr, SocketAddrV4, SocketAddrV6};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

/// What stands around the payload of a received frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram<'a> {
    /// UDP over IPv4.
    V4 {
        /// Link-layer source.
        source_mac: [u8; 6],
        /// IP source and port.
        source: SocketAddrV4,
        /// IP destination and port.
        destination: SocketAddrV4,
        /// UDP payload.
        payload: &'a [u8],
    },
    /// UDP over IPv6.
    V6 {
        /// Link-layer source.
        source_mac: [u8; 6],
        /// IP source and port; the scope is not filled in.
        source: SocketAddrV6,
        /// IP destination and port.
        destination: SocketAddrV6,
        /// UDP payload.
        payload: &'a [u8],
    },
}

/// Takes a frame apart. Checksums are not looked at: frames of virtual peers carry partial ones [D7].
pub fn strip(frame: &[u8]) -> Option<Datagram<'_>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let source_mac = packet.link.as_ref()?.to_header().and_then(|header| header.ethernet2())?.source;
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { return None };
    match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => Some(Datagram::V4 {
            source_mac,
            source: SocketAddrV4::new(ip.header().source_addr(), udp.source_port()),
            destination: SocketAddrV4::new(ip.header().destination_addr(), udp.destination_port()),
            payload: udp.payload(),
        }),
        NetSlice::Ipv6(ip) => Some(Datagram::V6 {
            source_mac,
            source: SocketAddrV6::new(ip.header().source_addr(), udp.source_port(), 0, 0),
            destination: SocketAddrV6::new(ip.header().destination_addr(), udp.destination_port(), 0, 0),
            payload: udp.payload(),
        }),
        NetSlice::Arp(_) => None,
    }
}

/// A frame from us: TTL 64, no fragmentation flag, real checksums. `None` when the payload is too long for
/// one UDP datagram.
pub fn build(
    source_mac: [u8; 6],
    destination_mac: [u8; 6],
    source: SocketAddrV4,
    destination: SocketAddrV4,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let builder = PacketBuilder::ethernet2(source_mac, destination_mac)
        .ipv4(source.ip().octets(), destination.ip().octets(), 64)
        .udp(source.port(), destination.port());
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).ok()?;
    // etherparse sets "don't fragment"; DF stays clear towards ROMs [D1].
    clear_dont_fragment(&mut frame);
    Some(frame)
}

/// The same over IPv6.
pub fn build_v6(
    source_mac: [u8; 6],
    destination_mac: [u8; 6],
    source: SocketAddrV6,
    destination: SocketAddrV6,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let builder = PacketBuilder::ethernet2(source_mac, destination_mac)
        .ipv6(source.ip().octets(), destination.ip().octets(), 64)
        .udp(source.port(), destination.port());
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).ok()?;
    Some(frame)
}

/// Clears DF and mends the header checksum by RFC 1624.
fn clear_dont_fragment(frame: &mut [u8]) {
    const FLAGS: usize = 14 + 6;
    const CHECKSUM: usize = 14 + 10;
    if frame.get(FLAGS).is_some_and(|flags| flags & 0x40 != 0) {
        frame[FLAGS] &= !0x40;
        let old = u32::from(!u16::from_be_bytes([frame[CHECKSUM], frame[CHECKSUM + 1]]));
        let mut sum = old + u32::from(!0x4000_u16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        let new = !(sum as u16);
        frame[CHECKSUM..CHECKSUM + 2].copy_from_slice(&new.to_be_bytes());
    }
}

/// Destination of a broadcast reply.
pub const BROADCAST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, super::delivery::CLIENT_PORT);

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(bytes: &[u8]) -> u16 {
        let mut sum: u32 =
            bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    /// [D1]
    #[test]
    fn a_built_frame_has_valid_checksums_ttl_64_and_no_df() {
        let source = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 67);
        let frame = build([2; 6], [0xff; 6], source, BROADCAST, &[7; 301]).unwrap();
        assert_eq!(checksum(&frame[14..34]), 0, "IP header");
        let mut pseudo = frame[26..34].to_vec();
        pseudo.extend_from_slice(&[0, 17]);
        pseudo.extend_from_slice(&(frame.len() as u16 - 34).to_be_bytes());
        pseudo.extend_from_slice(&frame[34..]);
        assert_eq!(checksum(&pseudo), 0, "UDP");
        assert_ne!(&frame[40..42], &[0, 0], "a zero UDP checksum is dropped by some ROMs");
        assert_eq!((frame[20] & 0x40, frame[22]), (0, 64));
        let Some(Datagram::V4 { source: from, destination, payload, .. }) = strip(&frame) else { panic!() };
        assert_eq!((from, destination, payload), (source, BROADCAST, &[7; 301][..]));
    }

    #[test]
    fn a_frame_over_ipv6_reads_back_with_a_valid_checksum() {
        let address = |last| SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, last].into(), 547, 0, 0);
        let frame = build_v6([2; 6], [4; 6], address(1), address(2), &[7; 99]).unwrap();
        let mut pseudo = frame[22..54].to_vec();
        pseudo.extend_from_slice(&[0, 17]);
        pseudo.extend_from_slice(&(frame.len() as u16 - 54).to_be_bytes());
        pseudo.extend_from_slice(&frame[54..]);
        assert_eq!(checksum(&pseudo), 0, "UDP");
        let Some(Datagram::V6 { source, destination, payload, .. }) = strip(&frame) else { panic!() };
        assert_eq!((source, destination, payload), (address(1), address(2), &[7; 99][..]));
    }

    /// [D7]: virtual peers hand over frames whose checksums are still to be done.
    #[test]
    fn a_frame_with_unfinished_checksums_is_read() {
        let source = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 67);
        let mut frame = build([2; 6], [0xff; 6], source, BROADCAST, &[7; 301]).unwrap();
        for at in [24, 40] {
            frame[at] ^= 0xff;
        }
        let Some(Datagram::V4 { payload, .. }) = strip(&frame) else { panic!("dropped") };
        assert_eq!(payload, &[7; 301][..]);
    }

    proptest::proptest! {
        #[test]
        fn stripping_never_panics(frame in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = strip(&frame);
        }
    }
}
