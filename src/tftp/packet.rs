//! TFTP packets (RFC 1350, RFC 2347): bytes to a typed view, and back for the kinds that we send.
//!
//! Reading is tolerant where real firmware is sloppy [T13]: an option tail that breaks off counts as far as
//! it goes, longer ACKs are fine, the mode may lack its NUL. Nothing here panics on any bytes.

use std::fmt;

/// Block size when none is negotiated, bytes (RFC 1350, 2).
pub const BLKSIZE_DEFAULT: u16 = 512;
/// Bytes of a DATA header: opcode and block number.
pub const DATA_HEADER: usize = 4;

const RRQ: u16 = 1;
const WRQ: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

/// The error codes of RFC 1350, 5 that a read-only server has a use for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum ErrorCode {
    Undefined,
    NotFound,
    AccessViolation,
    IllegalOperation,
}

impl ErrorCode {
    /// Number on the wire.
    pub fn number(self) -> u16 {
        match self {
            Self::Undefined => 0,
            Self::NotFound => 1,
            Self::AccessViolation => 2,
            Self::IllegalOperation => 4,
        }
    }
}

/// How the bytes of a file travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As they are.
    Octet,
    /// LF as CR LF, CR as CR NUL (RFC 1350, 1).
    Netascii,
    /// Obsolete mail mode or an unknown word: refused [T11].
    Other,
}

/// A read request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadRequest<'a> {
    /// File name as it stands on the wire.
    pub name: &'a [u8],
    /// Transfer mode.
    pub mode: Mode,
    /// Options in the order of the packet, name and value as they stand on the wire.
    pub options: Vec<(&'a [u8], &'a [u8])>,
}

/// A packet as the server sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packet<'a> {
    /// RRQ.
    Read(ReadRequest<'a>),
    /// WRQ; only the name matters, it is refused.
    Write {
        /// File name as it stands on the wire.
        name: &'a [u8],
    },
    /// DATA.
    Data {
        /// Block number.
        block: u16,
        /// Payload.
        payload: &'a [u8],
    },
    /// ACK.
    Ack {
        /// Block number.
        block: u16,
    },
    /// ERROR.
    Error {
        /// Code.
        code: u16,
        /// Text without its NUL.
        text: &'a [u8],
    },
    /// OACK.
    OptionAck {
        /// Options in order.
        options: Vec<(&'a [u8], &'a [u8])>,
    },
}

/// Why bytes are no TFTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PacketError {
    /// Too short for its kind.
    #[error("the packet is cut off")]
    Short,
    /// The opcode is none of RFC 1350 and RFC 2347.
    #[error("opcode {0} is not TFTP")]
    Opcode(u16),
    /// A request whose name has no end or no mode behind it.
    #[error("the request has no file name and mode")]
    NoName,
}

/// Reads one packet.
pub fn parse(bytes: &[u8]) -> Result<Packet<'_>, PacketError> {
    let (opcode, body) = bytes.split_first_chunk::<2>().ok_or(PacketError::Short)?;
    match u16::from_be_bytes(*opcode) {
        RRQ => {
            let (name, rest) = text(body).ok_or(PacketError::NoName)?;
            // Some loaders send the mode without its NUL when no option follows.
            let (mode, rest) = text(rest).unwrap_or((rest, &[]));
            if name.is_empty() || mode.is_empty() {
                return Err(PacketError::NoName);
            }
            Ok(Packet::Read(ReadRequest { name, mode: Mode::parse(mode), options: options(rest) }))
        }
        WRQ => text(body).map(|(name, _)| Packet::Write { name }).ok_or(PacketError::NoName),
        DATA => number(body).map(|(block, payload)| Packet::Data { block, payload }),
        ACK => number(body).map(|(block, _)| Packet::Ack { block }),
        ERROR => number(body).map(|(code, tail)| {
            let end = tail.iter().position(|byte| *byte == 0).unwrap_or(tail.len());
            Packet::Error { code, text: &tail[..end] }
        }),
        OACK => Ok(Packet::OptionAck { options: options(body) }),
        other => Err(PacketError::Opcode(other)),
    }
}

impl Mode {
    fn parse(word: &[u8]) -> Self {
        if word.eq_ignore_ascii_case(b"octet") {
            Self::Octet
        } else if word.eq_ignore_ascii_case(b"netascii") {
            Self::Netascii
        } else {
            Self::Other
        }
    }
}

/// A NUL-terminated text and what follows it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// A 16-bit number and what follows it.
fn number(bytes: &[u8]) -> Result<(u16, &[u8]), PacketError> {
    let (number, rest) = bytes.split_first_chunk::<2>().ok_or(PacketError::Short)?;
    Ok((u16::from_be_bytes(*number), rest))
}

/// Option pairs up to the first one that is not whole: a cut-off value could mean something else [T13].
fn options(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut pairs = Vec::new();
    while let Some((name, rest)) = text(bytes)
        && let Some((value, rest)) = text(rest)
        && !name.is_empty()
    {
        pairs.push((name, value));
        bytes = rest;
    }
    pairs
}

/// Header of the DATA packet of a block.
pub fn data_header(block: u16) -> [u8; DATA_HEADER] {
    let [op_high, op_low] = DATA.to_be_bytes();
    let [high, low] = block.to_be_bytes();
    [op_high, op_low, high, low]
}

/// An ERROR packet. `text` must not hold a NUL.
pub fn error(code: ErrorCode, text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5 + text.len());
    bytes.extend(ERROR.to_be_bytes());
    bytes.extend(code.number().to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes
}

/// An OACK packet; the names are as the client spelt them.
pub fn option_ack<'a>(options: impl IntoIterator<Item = (&'a [u8], u64)>) -> Vec<u8> {
    let mut bytes = OACK.to_be_bytes().to_vec();
    for (name, value) in options {
        bytes.extend(name);
        bytes.push(0);
        bytes.extend(value.to_string().as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Bytes from the wire as printable text for logs: at most 255 bytes of it, everything else escaped.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(255)];
        for chunk in shown.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if shown.len() < self.0.len() { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> ReadRequest<'_> {
        match parse(bytes) {
            Ok(Packet::Read(request)) => request,
            other => panic!("not a read request: {other:?}"),
        }
    }

    #[test]
    fn a_read_request_is_taken_apart() {
        let request = read(b"\0\x01boot/ipxe.efi\0OcTeT\0BLKSIZE\x001468\0tsize\x000\0");
        assert_eq!(request.name, b"boot/ipxe.efi");
        assert_eq!(request.mode, Mode::Octet);
        assert_eq!(request.options, [(&b"BLKSIZE"[..], &b"1468"[..]), (b"tsize", b"0")]);
    }

    /// [T13]
    #[test]
    fn a_broken_option_tail_counts_as_far_as_it_goes() {
        for tail in [&b"tsize"[..], b"tsize\0", b"tsize\x0010", b"\0\0\0", b"\xff"] {
            let mut bytes = b"\0\x01x\0octet\0blksize\x001024\0".to_vec();
            bytes.extend(tail);
            assert_eq!(read(&bytes).options, [(&b"blksize"[..], &b"1024"[..])], "{tail:?}");
        }
        assert_eq!(read(b"\0\x01x\0octet").mode, Mode::Octet);
        assert_eq!(parse(b"\0\x04\0\x07junk"), Ok(Packet::Ack { block: 7 }));
        assert_eq!(parse(b"\0\x05\0\x08no NUL"), Ok(Packet::Error { code: 8, text: b"no NUL" }));
    }

    /// [T11]
    #[test]
    fn mail_and_unknown_modes_are_told_from_those_we_serve() {
        assert_eq!(read(b"\0\x01x\0NETASCII\0").mode, Mode::Netascii);
        assert_eq!(read(b"\0\x01x\0mail\0").mode, Mode::Other);
    }

    #[test]
    fn what_is_no_packet_says_why() {
        let cases: [(&[u8], PacketError); 8] = [
            (b"", PacketError::Short),
            (b"\0", PacketError::Short),
            (b"\0\x01", PacketError::NoName),
            (b"\0\x01name", PacketError::NoName),
            (b"\0\x01name\0", PacketError::NoName),
            (b"\0\x01\0octet\0", PacketError::NoName),
            (b"\0\x04\0", PacketError::Short),
            (b"\0\x07\0\0", PacketError::Opcode(7)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(parse(bytes), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn names_are_printable_in_logs() {
        assert_eq!(Printable(b"undionly.kpxe\xff\n\x1b[2J").to_string(), "undionly.kpxe\\xff\\n\\u{1b}[2J");
        assert_eq!(Printable(&[b'a'; 600]).to_string().chars().count(), 256);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
            let _ = Printable(&bytes).to_string();
        }

        #[test]
        fn nothing_after_an_opcode_makes_the_parser_panic(
            opcode in 0_u8..8, tail in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..80),
        ) {
            let mut bytes = vec![0, opcode];
            bytes.extend(tail);
            let _ = parse(&bytes);
        }

        #[test]
        fn what_we_send_reads_back(
            block: u16, text in "[ -~]{0,80}", payload in proptest::collection::vec(any::<u8>(), 0..32),
            names in proptest::collection::vec("[a-zA-Z]{1,12}", 0..5), value: u64,
        ) {
            let mut data = data_header(block).to_vec();
            data.extend(&payload);
            prop_assert_eq!(parse(&data), Ok(Packet::Data { block, payload: &payload }));

            let bytes = error(ErrorCode::AccessViolation, &text);
            prop_assert_eq!(parse(&bytes), Ok(Packet::Error { code: 2, text: text.as_bytes() }));

            let bytes = option_ack(names.iter().map(|name| (name.as_bytes(), value)));
            let value = value.to_string();
            let options = names.iter().map(|name| (name.as_bytes(), value.as_bytes())).collect();
            prop_assert_eq!(parse(&bytes), Ok(Packet::OptionAck { options }));
        }

        #[test]
        fn a_request_reads_back(
            name in "[!-~]{1,80}", options in proptest::collection::vec(("[a-z]{1,12}", "[ -~]{0,12}"), 0..6),
        ) {
            let mut bytes = b"\0\x01".to_vec();
            bytes.extend(name.as_bytes());
            bytes.extend(b"\0octet\0");
            for (option, value) in &options {
                bytes.extend(format!("{option}\0{value}\0").as_bytes());
            }
            let request = read(&bytes);
            prop_assert_eq!(request.name, name.as_bytes());
            let expected: Vec<_> = options.iter().map(|(o, v)| (o.as_bytes(), v.as_bytes())).collect();
            prop_assert_eq!(request.options, expected);
        }
    }
}
