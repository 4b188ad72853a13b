//! The identities of a node, parsed once at the edge: after that the type is the proof.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// An Ethernet address: six bytes, never all zero, never a group address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac([u8; 6]);

/// Why a text or bytes are no [`Mac`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// Not twelve hexadecimal digits.
    #[error("needs 12 hexadecimal digits such as 52:54:00:be:ef:01")]
    Length,
    /// A character that is neither a digit nor a separator.
    #[error("'{0}' is not a hexadecimal digit")]
    Digit(char),
    /// A group (multicast) or all-zero address.
    #[error("is a group or zero address, which no network card can have")]
    NotUnicast,
}

impl Mac {
    /// Checks six bytes from the wire.
    pub fn new(bytes: [u8; 6]) -> Result<Self, MacError> {
        if bytes[0] & 1 == 1 || bytes == [0; 6] { Err(MacError::NotUnicast) } else { Ok(Self(bytes)) }
    }

    /// The six bytes in wire order.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }

    /// `52-54-00-12-34-56`, as in `pxelinux.cfg/01-…` and BOOTIF.
    pub fn dashed(self) -> String {
        self.to_string().replace(':', "-")
    }
}

impl FromStr for Mac {
    type Err = MacError;

    /// Accepts `52:54:00:12:34:56`, `52-54-00-12-34-56`, `5254.0012.3456` and `525400123456`.
    fn from_str(text: &str) -> Result<Self, MacError> {
        let mut digits = Vec::with_capacity(12);
        for c in text.chars() {
            match c.to_digit(16) {
                Some(digit) => digits.push(digit as u8),
                None if matches!(c, ':' | '-' | '.') => {}
                None => return Err(MacError::Digit(c)),
            }
        }
        let separators = text.chars().filter(|c| !c.is_ascii_hexdigit()).count();
        if digits.len() != 12 || !matches!(separators, 0 | 2 | 5) {
            return Err(MacError::Length);
        }
        let mut bytes = [0; 6];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Self::new(bytes)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The location name of a node in OpenCHAMI: `x1000c0s0b0n0` (cabinet, chassis, slot, BMC, node).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct Xname(String);

/// Why a text is no node xname.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a node xname: needs the form x1000c0s0b0n0 (cabinet, chassis, slot, BMC, node)")]
pub struct XnameError;

impl Xname {
    /// The text, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a pattern can have before its star to mean this node: `x`, `x1000c`, … `x1000c0s0b0n`.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        let letters = self.0.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphabetic());
        letters.filter_map(|(at, _)| self.0.get(..=at))
    }
}

impl FromStr for Xname {
    type Err = XnameError;

    fn from_str(text: &str) -> Result<Self, XnameError> {
        // Field widths as in the reference's own check: x\d{3,5} c\d{1,3} s\d{1,3} b\d{1,3} n\d{1,3}.
        let lower = text.to_ascii_lowercase();
        let mut rest = lower.as_str();
        for (letter, widths) in [('x', 1..=5), ('c', 1..=3), ('s', 1..=3), ('b', 1..=3), ('n', 1..=3)] {
            rest = rest.strip_prefix(letter).ok_or(XnameError)?;
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !widths.contains(&digits) {
                return Err(XnameError);
            }
            rest = &rest[digits..];
        }
        if rest.is_empty() { Ok(Self(lower)) } else { Err(XnameError) }
    }
}

impl fmt::Display for Xname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A system UUID in the byte order that people read and write (RFC 9562 text form).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid([u8; 16]);

/// Why a text is no [`Uuid`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a UUID: needs 32 hexadecimal digits such as 00112233-4455-6677-8899-aabbccddeeff")]
pub struct UuidError;

impl Uuid {
    /// From bytes in the order of the text form.
    pub fn from_text_order(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The same bytes with the first three fields swapped: SMBIOS and EFI put them little-endian on the
    /// wire in option 97, some BIOS vendors do not, so both are tried.
    pub fn swapped(self) -> Self {
        let b = self.0;
        Self([
            b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
            b[15],
        ])
    }

    /// False for values that many machines share: all zero, all ff, and a well-known vendor default.
    pub fn identifies(self) -> bool {
        const SHARED: [u8; 16] = [3, 0, 2, 0, 4, 0, 5, 0, 0, 6, 0, 7, 0, 8, 0, 9];
        self.0 != [0; 16] && self.0 != [0xff; 16] && self.0 != SHARED && self.swapped().0 != SHARED
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != '-')
            .map(|c| c.to_digit(16).map(|d| d as u8))
            .collect::<Option<_>>()
            .ok_or(UuidError)?;
        if digits.len() != 32 {
            return Err(UuidError);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_read_in_all_four_spellings() {
        let expected = Mac::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]).unwrap();
        for text in ["52:54:00:12:34:56", "52-54-00-12-34-56", "5254.0012.3456", "525400123456"] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!("52:54:00:12:34".parse::<Mac>(), Err(MacError::Length));
        assert_eq!("52:54:00:12:34:5g".parse::<Mac>(), Err(MacError::Digit('g')));
        assert_eq!("01:00:5e:00:00:01".parse::<Mac>(), Err(MacError::NotUnicast));
    }

    #[test]
    fn an_xname_names_a_node_and_nothing_else() {
        assert!("x1000c0s0b0n0".parse::<Xname>().is_ok());
        for text in ["x1000c0s0b0", "x1000c0s0b0n0x", "compute1", "x1000c0s0b0n1234", ""] {
            assert_eq!(text.parse::<Xname>(), Err(XnameError), "{text}");
        }
    }

    #[test]
    fn a_uuid_is_found_in_both_byte_orders() {
        let uuid: Uuid = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
        assert_eq!(uuid.swapped().to_string(), "33221100-5544-7766-8899-aabbccddeeff");
        assert_eq!(uuid.swapped().swapped(), uuid);
        assert!(!"03000200-0400-0500-0006-000700080009".parse::<Uuid>().unwrap().identifies());
    }
}
