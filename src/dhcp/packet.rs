//! A checked view of one DHCPv4 message (RFC 2131 section 2) over the received bytes.
//!
//! The one boundary between the wire and the rest: whoever holds a [`Packet`] holds 240 bytes with a magic
//! cookie and a hardware address length that fits. Options are scanned once, without losing what stands
//! behind a malformed one [P6]; repeated codes are joined over options, `file` and `sname` (RFC 3396
//! section 7) [P4], overload is followed [P5].

use std::net::Ipv4Addr;

use super::{code, text};

/// Shortest message: header and magic cookie.
pub const HEADER_LEN: usize = 240;
/// Longest message that is looked at; no client sends more.
pub const MAX_LEN: usize = 4096;
/// RFC 2131 section 3.
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Why bytes are no DHCP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// Shorter than header and cookie.
    #[error("{0} bytes are too short for a DHCP message (240 at least)")]
    Short(usize),
    /// Longer than any client sends.
    #[error("{0} bytes are too long for a DHCP request (4096 at most)")]
    Long(usize),
    /// Neither a request nor a reply.
    #[error("op {0} is neither request (1) nor reply (2)")]
    Op(u8),
    /// Hardware address longer than its field.
    #[error("hlen {0} is longer than the 16 bytes of chaddr")]
    HardwareLength(u8),
    /// More relays than RFC 1542 section 4.1.1 allows.
    #[error("{0} hops are more than the 16 allowed")]
    Hops(u8),
}

/// Option 53.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the meaning")]
pub enum MessageType {
    Discover,
    Offer,
    Request,
    Decline,
    Ack,
    Nak,
    Release,
    Inform,
    /// No option 53: plain BOOTP (RFC 951). Only of replies of ours; a request without it has no type.
    Bootp,
    Other(u8),
}

impl MessageType {
    /// From the option's value.
    pub fn from_code(value: u8) -> Self {
        match value {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            other => Self::Other(other),
        }
    }

    /// The option's value.
    pub fn to_code(self) -> u8 {
        match self {
            Self::Discover => 1,
            Self::Offer => 2,
            Self::Request => 3,
            Self::Decline => 4,
            Self::Ack => 5,
            Self::Nak => 6,
            Self::Release => 7,
            Self::Inform => 8,
            Self::Bootp => 0,
            Self::Other(value) => value,
        }
    }

    /// Upper-case name, as people say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discover => "DISCOVER",
            Self::Offer => "OFFER",
            Self::Request => "REQUEST",
            Self::Decline => "DECLINE",
            Self::Ack => "ACK",
            Self::Nak => "NAK",
            Self::Release => "RELEASE",
            Self::Inform => "INFORM",
            Self::Bootp => "BOOTP",
            Self::Other(_) => "type?",
        }
    }
}

/// A whole message.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    /// The options, joined.
    pub options: Options<'a>,
}

impl<'a> Packet<'a> {
    /// Checks the boundary and scans the options.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() < HEADER_LEN {
            // A BOOTP request without cookie is at least 236 bytes; both are too short to be DHCP.
            return Err(Malformed::Short(bytes.len()));
        }
        if bytes.len() > MAX_LEN {
            return Err(Malformed::Long(bytes.len()));
        }
        if !matches!(bytes[0], 1 | 2) {
            return Err(Malformed::Op(bytes[0]));
        }
        if bytes[2] > 16 {
            return Err(Malformed::HardwareLength(bytes[2]));
        }
        if bytes[3] > 16 {
            return Err(Malformed::Hops(bytes[3]));
        }
        // Without the cookie it is BOOTP of before RFC 1048: whose the vendor area is, nobody can tell.
        let options = if has_cookie(bytes) { Options::scan(bytes) } else { Options::default() };
        Ok(Self { bytes, options })
    }

    /// Whether the magic cookie of RFC 1048 is there, and with it options. A BOOTP client without it reads none.
    pub fn has_cookie(&self) -> bool {
        has_cookie(self.bytes)
    }

    /// The message as received.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// True for op 1.
    pub fn is_request(&self) -> bool {
        self.bytes[0] == 1
    }

    /// Hardware type.
    pub fn htype(&self) -> u8 {
        self.bytes[1]
    }

    /// Hardware address length, 16 at most.
    pub fn hlen(&self) -> u8 {
        self.bytes[2]
    }

    /// Relay hops.
    pub fn hops(&self) -> u8 {
        self.bytes[3]
    }

    /// Transaction id.
    pub fn xid(&self) -> u32 {
        u32::from_be_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    /// Seconds, or iPXE's state bits.
    pub fn secs(&self) -> u16 {
        u16::from_be_bytes([self.bytes[8], self.bytes[9]])
    }

    /// Flags; bit 15 is broadcast.
    pub fn flags(&self) -> u16 {
        u16::from_be_bytes([self.bytes[10], self.bytes[11]])
    }

    /// The client asks for a broadcast answer.
    pub fn broadcast(&self) -> bool {
        self.flags() & 0x8000 != 0
    }

    /// Address the client owns.
    pub fn ciaddr(&self) -> Ipv4Addr {
        self.address(12)
    }

    /// Address being given.
    pub fn yiaddr(&self) -> Ipv4Addr {
        self.address(16)
    }

    /// Next server.
    pub fn siaddr(&self) -> Ipv4Addr {
        self.address(20)
    }

    /// Relay.
    pub fn giaddr(&self) -> Ipv4Addr {
        self.address(24)
    }

    /// All 16 bytes of the hardware address field.
    pub fn chaddr(&self) -> [u8; 16] {
        let mut field = [0; 16];
        field.copy_from_slice(&self.bytes[28..44]);
        field
    }

    /// The 64 bytes of `sname`.
    pub fn sname(&self) -> &'a [u8] {
        &self.bytes[44..108]
    }

    /// The 128 bytes of `file`.
    pub fn file(&self) -> &'a [u8] {
        &self.bytes[108..236]
    }

    /// Option 53; `None` is BOOTP.
    pub fn message_type(&self) -> Option<MessageType> {
        self.options.get(code::MESSAGE_TYPE)?.first().map(|value| MessageType::from_code(*value))
    }

    /// Hands the message to `show` in the form that prints itself.
    pub fn shown<R>(&self, show: impl FnOnce(&text::Packet<'_>) -> R) -> R {
        let chaddr = self.chaddr();
        let options: Vec<(u8, &[u8])> = self.options.iter().collect();
        show(&text::Packet {
            header: text::Header {
                op: self.bytes[0],
                htype: self.htype(),
                hlen: self.hlen(),
                hops: self.hops(),
                xid: self.xid(),
                secs: self.secs(),
                flags: self.flags(),
                ciaddr: self.ciaddr(),
                yiaddr: self.yiaddr(),
                siaddr: self.siaddr(),
                giaddr: self.giaddr(),
                chaddr: &chaddr[..usize::from(self.hlen())],
                sname: self.sname(),
                file: self.file(),
            },
            length: self.bytes.len(),
            options: &options,
        })
    }

    fn address(&self, at: usize) -> Ipv4Addr {
        Ipv4Addr::new(self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3])
    }
}

/// The options of a message by code.
#[derive(Default, Clone, Debug)]
pub struct Options<'a> {
    /// Codes with their (joined) values, in order of first appearance.
    entries: Vec<(u8, Value<'a>)>,
    /// What could not be read, for the log.
    pub warnings: Vec<OptionWarning>,
}

#[derive(Clone, Debug)]
enum Value<'a> {
    Whole(&'a [u8]),
    Joined(Vec<u8>),
}

impl Value<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Value::Whole(bytes) => bytes,
            Value::Joined(bytes) => bytes,
        }
    }
}

/// Something odd about the options that did not stop the scan [P6].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptionWarning {
    /// The last option claims more bytes than there are; what is there was kept.
    Truncated {
        /// Its code.
        code: u8,
        /// Bytes claimed.
        claimed: u8,
        /// Bytes present.
        present: u8,
    },
    /// No End option (255).
    NoEnd,
}

impl std::fmt::Display for OptionWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated { code, claimed, present } => {
                write!(f, "option {code} claims {claimed} bytes, {present} are there")
            }
            Self::NoEnd => f.write_str("no end option (255)"),
        }
    }
}

impl<'a> Options<'a> {
    fn scan(message: &'a [u8]) -> Self {
        let mut options = Self { entries: Vec::with_capacity(24), warnings: Vec::new() };
        options.area(&message[HEADER_LEN..], true);
        // RFC 3396 section 7: the aggregate is options, then file, then sname.
        match options.get(code::OVERLOAD).and_then(|value| value.first().copied()) {
            Some(1) => options.area(&message[108..236], false),
            Some(2) => options.area(&message[44..108], false),
            Some(3) => {
                options.area(&message[108..236], false);
                options.area(&message[44..108], false);
            }
            _ => {}
        }
        options
    }

    fn area(&mut self, mut rest: &'a [u8], main: bool) {
        loop {
            match *rest {
                [code::PAD, ref tail @ ..] => rest = tail,
                [code::END, ..] => return,
                [code, length, ref tail @ ..] => {
                    let present = tail.len().min(usize::from(length));
                    if present < usize::from(length) {
                        self.warnings.push(OptionWarning::Truncated {
                            code,
                            claimed: length,
                            present: present as u8,
                        });
                    }
                    self.add(code, &tail[..present]);
                    rest = &tail[present..];
                }
                [code] => {
                    self.warnings.push(OptionWarning::Truncated { code, claimed: 0, present: 0 });
                    return;
                }
                [] => {
                    if main {
                        self.warnings.push(OptionWarning::NoEnd);
                    }
                    return;
                }
            }
        }
    }

    fn add(&mut self, code: u8, part: &'a [u8]) {
        match self.entries.iter_mut().find(|(known, _)| *known == code) {
            None => self.entries.push((code, Value::Whole(part))),
            Some((_, value)) => {
                let mut joined = value.bytes().to_vec();
                joined.extend_from_slice(part);
                *value = Value::Joined(joined);
            }
        }
    }

    /// The joined value of a code.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.entries.iter().find(|(known, _)| *known == code).map(|(_, value)| value.bytes())
    }

    /// An IPv4 address value of exactly four bytes.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        <[u8; 4]>::try_from(self.get(code)?).ok().map(Ipv4Addr::from)
    }

    /// Codes and values in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.entries.iter().map(|(code, value)| (*code, value.bytes()))
    }
}

/// True for at least 240 bytes with the cookie at its place.
fn has_cookie(bytes: &[u8]) -> bool {
    bytes.get(236..240) == Some(&COOKIE[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[0] = 1;
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(options);
        bytes
    }

    /// [P4]
    #[test]
    fn pieces_of_a_code_are_joined_also_when_not_adjacent_and_over_overloaded_fields() {
        let mut bytes = message(&[52, 1, 3, 43, 2, 1, 2, 0, 60, 1, b'x', 43, 1, 3, 255]);
        bytes[108..112].copy_from_slice(&[43, 1, 4, 255]);
        bytes[44..48].copy_from_slice(&[43, 1, 5, 255]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.options.get(43), Some(&[1, 2, 3, 4, 5][..]));
        assert_eq!(packet.options.get(60), Some(&b"x"[..]));
        assert!(packet.options.warnings.is_empty());
    }

    /// [P6]
    #[test]
    fn a_truncated_last_option_is_a_warning_and_loses_nothing_before_it() {
        let bytes = message(&[53, 1, 1, 97, 17, 0, 1]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.message_type(), Some(MessageType::Discover));
        assert_eq!(packet.options.get(97), Some(&[0, 1][..]));
        assert_eq!(
            packet.options.warnings,
            [OptionWarning::Truncated { code: 97, claimed: 17, present: 2 }, OptionWarning::NoEnd]
        );
    }

    #[test]
    fn the_boundary_refuses_what_later_code_could_not_survive() {
        let mut bytes = message(&[255]);
        bytes[2] = 17;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), Malformed::HardwareLength(17));
        bytes[2] = 6;
        bytes[3] = 17;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), Malformed::Hops(17));
        bytes[3] = 0;
        assert_eq!(Packet::parse(&bytes[..100]).unwrap_err(), Malformed::Short(100));
    }

    #[test]
    fn without_the_cookie_it_is_bootp_and_the_vendor_area_is_not_read() {
        let mut bytes = message(&[53, 1, 1, 255]);
        assert_eq!(Packet::parse(&bytes).unwrap().message_type(), Some(MessageType::Discover));
        for other in [[0; 4], *b"CMU\0"] {
            bytes[236..240].copy_from_slice(&other);
            let packet = Packet::parse(&bytes).unwrap();
            assert!(!packet.has_cookie() && packet.message_type().is_none());
            assert_eq!(packet.options.iter().count(), 0);
        }
    }

    proptest::proptest! {
        /// [P6]
        #[test]
        fn the_parser_never_panics(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            if bytes.len() > 240 {
                bytes[0] = 1;
                bytes[2] &= 15;
                bytes[3] &= 15;
                bytes[236..240].copy_from_slice(&COOKIE);
            }
            if let Ok(packet) = Packet::parse(&bytes) {
                let total: usize = packet.options.iter().map(|(_, value)| value.len()).sum();
                proptest::prop_assert!(total <= bytes.len());
            }
        }
    }
}
