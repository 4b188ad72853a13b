//! From the payload of a DHCPv4 packet to what the text form takes: header fields and joined options.

use std::net::Ipv4Addr;

use bootlace::dhcp::text::Header;

/// Code and value of each option, in wire order, values of a repeated code joined (RFC 3396).
pub fn options(payload: &[u8]) -> Vec<(u8, Vec<u8>)> {
    assert_eq!(&payload[236..240], [99, 130, 83, 99], "magic cookie");
    let mut found: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut rest = &payload[240..];
    loop {
        match rest {
            [0, tail @ ..] => rest = tail,
            [255, ..] | [] => return found,
            [code, length, tail @ ..] => {
                let (value, tail) = tail.split_at(usize::from(*length));
                match found.iter_mut().find(|(known, _)| known == code) {
                    Some((_, joined)) => joined.extend_from_slice(value),
                    None => found.push((*code, value.to_vec())),
                }
                rest = tail;
            }
            [_] => panic!("option without length"),
        }
    }
}

/// The fixed fields.
pub fn header(payload: &[u8]) -> Header<'_> {
    let address = |at: usize| Ipv4Addr::from(*payload[at..].first_chunk::<4>().unwrap());
    let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
    Header {
        op: payload[0],
        htype: payload[1],
        hlen: payload[2],
        hops: payload[3],
        xid: u32::from_be_bytes(*payload[4..].first_chunk().unwrap()),
        secs: number(8),
        flags: number(10),
        ciaddr: address(12),
        yiaddr: address(16),
        siaddr: address(20),
        giaddr: address(24),
        chaddr: &payload[28..28 + usize::from(payload[2].min(16))],
        sname: &payload[44..108],
        file: &payload[108..236],
    }
}
