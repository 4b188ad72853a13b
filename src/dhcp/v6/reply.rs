//! DHCPv6 messages of ours, as bytes: options in ascending order of their codes, relay messages around them
//! (RFC 8415, 8, 9 and 21).

use std::net::Ipv6Addr;
use std::time::Duration;

use super::Hop;

/// A message of ours to a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Message type: 2 ADVERTISE or 7 REPLY.
    pub kind: u8,
    /// The client's transaction id, 24 bits.
    pub xid: u32,
    /// Options; a code may stand several times (identity associations).
    pub options: Vec<(u16, Vec<u8>)>,
}

/// How long an address is given (RFC 8415, 21.4 and 21.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// Until the client shall ask this server again, seconds.
    pub renew: u32,
    /// Until it shall ask any server, seconds.
    pub rebind: u32,
    /// Preferred and valid lifetime, seconds.
    pub valid: u32,
}

impl Lifetimes {
    /// By the lease: half of it and four fifths of it, as RFC 8415, 21.4 recommends.
    pub fn of(lease: Duration) -> Self {
        let valid = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
        let rebind = (u64::from(valid) * 4 / 5) as u32;
        Self { renew: valid / 2, rebind, valid }
    }
}

impl Reply {
    /// Adds an option. One that does not fit the 16-bit length is left out: nothing of ours is that long.
    pub fn add(&mut self, code: u16, value: impl Into<Vec<u8>>) {
        let value = value.into();
        if u16::try_from(value.len()).is_ok() {
            self.options.push((code, value));
        }
    }

    /// The first option with this code.
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.iter().find(|(known, _)| *known == code).map(|(_, value)| value.as_slice())
    }

    /// The message as it leaves: inside a RELAY-REPL for every relay that the request passed, the one next to
    /// us outermost, each with its own interface id (RFC 8415, 19.3).
    pub fn encode(&self, hops: &[Hop<'_>]) -> Vec<u8> {
        let [_, x1, x2, x3] = self.xid.to_be_bytes();
        let mut message = vec![self.kind, x1, x2, x3];
        let mut ordered: Vec<&(u16, Vec<u8>)> = self.options.iter().collect();
        // Stable: identity associations keep the client's order.
        ordered.sort_by_key(|(code, _)| *code);
        for (code, value) in ordered {
            message.extend(option(*code, value));
        }
        for hop in hops.iter().rev() {
            let mut outer = vec![13, hop.count];
            outer.extend(hop.link.octets());
            outer.extend(hop.peer.octets());
            if let Some(id) = hop.interface_id {
                outer.extend(option(18, id));
            }
            outer.extend(option(9, &message));
            message = outer;
        }
        message
    }
}

/// Code, length, value.
pub fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let value = &value[..usize::from(length)];
    [&code.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

/// Value of a status code option (13).
pub fn status(code: u16, text: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], text.as_bytes()].concat()
}

/// An IAADDR option (5); lifetimes of zero tell the client to stop using the address.
pub fn address(address: Ipv6Addr, valid: u32) -> Vec<u8> {
    let lifetime = valid.to_be_bytes();
    option(5, &[&address.octets()[..], &lifetime, &lifetime].concat())
}

/// Value of an identity association (3, 4 or 25) with the options `inside`; IA_TA (4) has no times.
pub fn association(code: u16, id: u32, lifetimes: Option<Lifetimes>, inside: &[u8]) -> Vec<u8> {
    let mut value = id.to_be_bytes().to_vec();
    if code != 4 {
        let (renew, rebind) = lifetimes.map_or((0, 0), |times| (times.renew, times.rebind));
        value.extend(renew.to_be_bytes());
        value.extend(rebind.to_be_bytes());
    }
    value.extend(inside);
    value
}

/// Value of a vendor class option (16) with one text.
pub fn vendor_class(enterprise: u32, text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [&enterprise.to_be_bytes()[..], &length.to_be_bytes(), &text[..usize::from(length)]].concat()
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;

    use proptest::prelude::*;

    fn hop(count: u8, id: Option<&[u8]>) -> Hop<'_> {
        Hop { count, link: "fd00::1".parse().unwrap(), peer: "fe80::2".parse().unwrap(), interface_id: id }
    }

    #[test]
    fn options_leave_in_ascending_order_and_associations_in_the_clients() {
        let mut reply = Reply { kind: 7, xid: 0x0102_03ff, options: Vec::new() };
        reply.add(59, *b"tftp://[fd00::1]/x");
        reply.add(3, association(3, 2, None, &[]));
        reply.add(3, association(3, 1, None, &[]));
        reply.add(1, *b"id");
        let bytes = reply.encode(&[]);
        assert_eq!(bytes[..10], [7, 2, 3, 0xff, 0, 1, 0, 2, b'i', b'd']);
        let read = Message::parse(&bytes).unwrap();
        assert_eq!(read.ias.iter().map(|ia| ia.id).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(read.boot_url, Some(&b"tftp://[fd00::1]/x"[..]));
    }

    /// [S1]: what passed eight relays goes back through eight, each with its own interface id.
    #[test]
    fn a_relayed_reply_is_wrapped_once_per_relay_with_a_header_of_34_bytes() {
        let reply = Reply { kind: 7, xid: 5, options: vec![(1, b"x".to_vec())] };
        let hops: Vec<Hop<'_>> =
            (0..8).rev().map(|count| hop(count, (count == 7).then_some(b"e0"))).collect();
        let bytes = reply.encode(&hops);
        assert_eq!(bytes[..2], [13, 7]);
        assert_eq!(bytes[34..40], [0, 18, 0, 2, b'e', b'0']);
        assert_eq!(bytes.len(), 9 + 8 * (34 + 4) + 6);
        let read = Message::parse(&bytes).unwrap();
        assert_eq!((read.kind, read.hops), (7, hops));
    }

    proptest! {
        /// What is written reads back as it was.
        #[test]
        fn encoding_and_decoding_are_each_others_inverse(
            xid in 0..0x0100_0000_u32,
            duid in proptest::collection::vec(any::<u8>(), 1..130),
            url in "[ -~]{0,200}",
            ids in proptest::collection::vec(any::<u32>(), 0..4),
            wide in any::<u128>(),
        ) {
            let mut reply = Reply { kind: 2, xid, options: Vec::new() };
            reply.add(1, duid.clone());
            reply.add(59, url.as_bytes());
            let times = Lifetimes::of(Duration::from_secs(3600));
            for id in &ids {
                reply.add(3, association(3, *id, Some(times), &address(wide.into(), 3600)));
            }
            let bytes = reply.encode(&[]);
            let read = Message::parse(&bytes).unwrap();
            prop_assert_eq!((read.xid, read.client_duid), (xid, Some(&duid[..])));
            prop_assert_eq!(read.boot_url, Some(url.as_bytes()));
            prop_assert_eq!(read.ias.iter().map(|ia| ia.id).collect::<Vec<_>>(), ids);
            prop_assert!(read.addresses.iter().all(|address| *address == Ipv6Addr::from(wide)));
            prop_assert!(!read.truncated);
        }
    }
}
