//! Option negotiation (RFC 2347, 2348, 2349, 7440): what the client asked for, cut to what fits.

use std::net::IpAddr;
use std::time::Duration;

use super::packet::{self, BLKSIZE_DEFAULT, DATA_HEADER, Mode, ReadRequest};

/// Window offered at most where nothing else is set, blocks [T9].
pub const WINDOWSIZE_MAX: u16 = 16;
/// Smallest and largest block of RFC 2348, bytes.
pub const BLKSIZE_RANGE: std::ops::RangeInclusive<u16> = 8..=65_464;
/// UDP header and ours, bytes: what a block needs beside its payload and the IP header on the wire [T3].
const HEADERS: u32 = 8 + DATA_HEADER as u32;

/// The most that is granted to a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest block, bytes.
    pub blksize: u16,
    /// Largest window, blocks.
    pub windowsize: u16,
}

impl Limits {
    /// Limits on a path with this MTU (bytes) under the operator's own (`blksize_max`, `windowsize_max`).
    ///
    /// A block is never larger than one unfragmented packet [T3]: firmware drops fragments. `local` is our
    /// address: IPv6 has the larger header.
    pub fn new(mtu: u32, local: IpAddr, blksize_max: Option<u16>, windowsize_max: Option<u16>) -> Self {
        let ip = if local.is_ipv6() { 40 } else { 20 };
        let path = u16::try_from(mtu.saturating_sub(ip + HEADERS)).unwrap_or(u16::MAX);
        Self {
            blksize: path
                .min(blksize_max.unwrap_or(u16::MAX))
                .clamp(*BLKSIZE_RANGE.start(), *BLKSIZE_RANGE.end()),
            windowsize: windowsize_max.unwrap_or(WINDOWSIZE_MAX).max(1),
        }
    }
}

/// What holds for one transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// Block size, bytes.
    pub blksize: u16,
    /// Blocks per window.
    pub windowsize: u16,
    /// The client's own resend time-out, when it asked for one.
    pub timeout: Option<Duration>,
    /// The client asked for the size and is told.
    pub tells_size: bool,
    /// The OACK to send; `None`: no option was asked or none accepted, so DATA 1 is the first answer [T2].
    pub option_ack: Option<Vec<u8>>,
}

/// Settles the options of a request for a file of `size` bytes.
///
/// Only what was asked for is answered, only if accepted, in the client's order and spelling [T2]. An option
/// that stands twice counts once (RFC 2347). Unknown options, `multicast` among them [T17], are ignored.
/// Netascii is sent without `tsize`, since its length is not known before, and in lockstep [T11].
pub fn negotiate(request: &ReadRequest<'_>, size: u64, limits: Limits) -> Agreed {
    let mut agreed = Agreed {
        blksize: BLKSIZE_DEFAULT,
        windowsize: 1,
        timeout: None,
        tells_size: false,
        option_ack: None,
    };
    let netascii = request.mode == Mode::Netascii;
    let mut accepted: Vec<(&[u8], u64)> = Vec::new();
    for (name, value) in &request.options {
        if accepted.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            continue;
        }
        let Some(asked) = decimal(value) else { continue };
        let granted = if name.eq_ignore_ascii_case(b"blksize") && asked >= u64::from(*BLKSIZE_RANGE.start()) {
            agreed.blksize = at_most(asked, limits.blksize);
            u64::from(agreed.blksize)
        } else if name.eq_ignore_ascii_case(b"windowsize") && asked >= 1 && !netascii {
            agreed.windowsize = at_most(asked, limits.windowsize);
            u64::from(agreed.windowsize)
        } else if name.eq_ignore_ascii_case(b"timeout") && (1..=255).contains(&asked) {
            agreed.timeout = Some(Duration::from_secs(asked));
            asked
        } else if name.eq_ignore_ascii_case(b"tsize") && !netascii {
            agreed.tells_size = true;
            size
        } else {
            continue;
        };
        accepted.push((name, granted));
    }
    if !accepted.is_empty() {
        agreed.option_ack = Some(packet::option_ack(accepted));
    }
    agreed
}

/// `asked`, or `limit` when that is less.
fn at_most(asked: u64, limit: u16) -> u16 {
    u16::try_from(asked).unwrap_or(u16::MAX).min(limit)
}

/// A plain decimal number.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.iter().all(u8::is_ascii_digit) { str::from_utf8(value).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn asking(mode: Mode, options: &[(&'static str, &'static str)]) -> ReadRequest<'static> {
        let options = options.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        ReadRequest { name: b"x", mode, options }
    }

    fn answer(options: &[(&'static str, &'static str)]) -> Option<String> {
        let agreed = negotiate(&asking(Mode::Octet, options), 5_000, Limits::new(1500, V4, None, None));
        agreed.option_ack.map(|bytes| String::from_utf8(bytes[2..].to_vec()).unwrap().replace('\0', " "))
    }

    /// [T2] [T3] [T4] [T9] [T17]
    #[test]
    fn only_what_was_asked_and_accepted_is_answered() {
        type Asked<'a> = &'a [(&'static str, &'static str)];
        let cases: [(Asked<'_>, Option<&str>); 15] = [
            (&[], None),
            (&[("blksize", "1432")], Some("blksize 1432 ")),
            (&[("blksize", "65464")], Some("blksize 1468 ")),
            (&[("blksize", "99999999")], Some("blksize 1468 ")),
            (&[("blksize", "7")], None),
            (&[("blksize", "-1"), ("blksize", "")], None),
            (&[("BlkSize", "1024"), ("TSIZE", "0")], Some("BlkSize 1024 TSIZE 5000 ")),
            (&[("tsize", "0"), ("blksize", "512")], Some("tsize 5000 blksize 512 ")),
            (&[("windowsize", "64")], Some("windowsize 16 ")),
            (&[("windowsize", "4")], Some("windowsize 4 ")),
            (&[("windowsize", "0")], None),
            (&[("timeout", "3")], Some("timeout 3 ")),
            (&[("timeout", "0"), ("timeout", "256")], None),
            (&[("multicast", ""), ("utimeout", "100"), ("rollover", "0")], None),
            (&[("blksize", "600"), ("blksize", "700")], Some("blksize 600 ")),
        ];
        for (options, expected) in cases {
            assert_eq!(answer(options).as_deref(), expected, "{options:?}");
        }
    }

    /// [T3]
    #[test]
    fn the_block_size_follows_path_and_operator() {
        assert_eq!(Limits::new(1500, V4, None, None).blksize, 1468);
        assert_eq!(Limits::new(1500, V4, Some(1024), Some(4)), Limits { blksize: 1024, windowsize: 4 });
        assert_eq!(Limits::new(1500, IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), None, None).blksize, 1448);
        assert_eq!(Limits::new(1400, V4, Some(1468), None).blksize, 1368);
        assert_eq!(Limits::new(65_536, V4, None, None).blksize, 65_464);
        assert_eq!(Limits::new(0, V4, Some(0), Some(0)), Limits { blksize: 8, windowsize: 1 });
    }

    /// [T11]
    #[test]
    fn netascii_tells_no_size_and_opens_no_window() {
        let request = asking(Mode::Netascii, &[("tsize", "0"), ("windowsize", "8"), ("blksize", "1000")]);
        let agreed = negotiate(&request, 5_000, Limits::new(1500, V4, None, None));
        assert_eq!(agreed.option_ack.as_deref(), Some(&b"\0\x06blksize\x001000\0"[..]));
        assert_eq!((agreed.windowsize, agreed.tells_size), (1, false));
    }
}
