//! A DHCPv4 reply as a value, and its wire form.
//!
//! The order of options is ours [P3]: 53 first, 67 the last ordinary one, 82 last of all. Header and single
//! options are written by `dhcproto`; order, size limit [P2] and padding [P1] are decided here, because the
//! crate sorts by code and pads nothing.

use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, Flags, HType, Message, Opcode, OptionCode, UnknownOption};
use dhcproto::{Encodable, Encoder};

use super::{MessageType, code};

/// Shortest reply that every relay and ROM accepts [P1].
pub const MIN_LEN: usize = 300;
/// Largest UDP payload towards a client that names no limit [P2].
pub const DEFAULT_LIMIT: usize = 548;

/// Wire order [P3]: EDK2 writes a NUL behind option 67, so nothing that matters may follow it.
const ORDER: [u8; 27] = [
    53, 54, 51, 58, 59, 1, 3, 28, 6, 15, 12, 26, 42, 119, 121, 7, 17, 60, 61, 97, 43, 175, 66, 150, 209, 210,
    114,
];
/// What is dropped first when space runs out, behind the options that no rule names.
const EXPENDABLE: [u8; 14] = [114, 7, 17, 121, 119, 42, 26, 28, 15, 6, 12, 150, 66, 61];
/// What goes when nothing else makes room, 53, 54 and 51 staying: the relay's information (82) behind all that the
/// address can do without.
const LAST_RESORT: [u8; 11] = [209, 210, 175, 43, 97, 3, 118, 60, 1, 67, 82];
/// Option 97 with a UUID: type and 16 bytes.
const UUID_LEN: usize = 17;

/// One reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Option 53; none with [`MessageType::Bootp`].
    pub message: MessageType,
    /// Echo of the request's.
    pub xid: u32,
    /// Echo of the request's, plus broadcast where the reply is broadcast (RFC 2131 section 4.1).
    pub flags: u16,
    /// Hardware type, echo.
    pub htype: u8,
    /// Hardware address length, echo.
    pub hlen: u8,
    /// Hardware address, echo of all 16 bytes.
    pub chaddr: [u8; 16],
    /// The client's own address, where the rules echo it.
    pub ciaddr: Ipv4Addr,
    /// Address given; 0.0.0.0 in proxy replies.
    pub yiaddr: Ipv4Addr,
    /// Next server.
    pub siaddr: Ipv4Addr,
    /// Relay, echo.
    pub giaddr: Ipv4Addr,
    /// Server name [P8]; cut to the field's 63 bytes.
    pub sname: String,
    /// Boot file [P8]; empty when it does not fit into 127 bytes.
    pub file: String,
    /// Options other than 53, any order; [`Reply::encode`] puts them in wire order.
    pub options: Vec<(u8, Vec<u8>)>,
    /// The options follow. False towards a BOOTP client of before RFC 1048, which takes them for something else: it
    /// gets the header alone.
    pub has_options: bool,
    /// Options may go into `file` and `sname` when nothing else helps: no boot client is asking [P5].
    pub may_overload: bool,
}

/// A reply in wire form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    /// UDP payload.
    pub bytes: Vec<u8>,
    /// Options left out for want of space, in the order they were dropped.
    pub dropped: Vec<u8>,
}

impl Reply {
    /// The value of an option.
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(known, _)| *known == code).map(|(_, value)| value.as_slice())
    }

    /// Sets an option, replacing a value already there.
    pub fn set(&mut self, code: u8, value: impl Into<Vec<u8>>) {
        self.options.retain(|(known, _)| *known != code);
        self.options.push((code, value.into()));
    }

    /// Options in wire order, 53 included [P3].
    pub fn ordered(&self) -> Vec<(u8, Vec<u8>)> {
        let mut options = self.options.clone();
        if self.message != MessageType::Bootp {
            options.push((code::MESSAGE_TYPE, vec![self.message.to_code()]));
        }
        options.sort_by_key(|(code, _)| rank(*code));
        options
    }

    /// Wire form of at most `limit` bytes (see [`limit`]); what does not fit is dropped, least important
    /// first, boot data and 82 only when nothing else is left [P9][R2], 53 and 54 never.
    pub fn encode(&self, limit: usize) -> Encoded {
        let mut options = self.ordered();
        let mut dropped = Vec::new();
        let size = |options: &[(u8, Vec<u8>)]| -> usize {
            // Header, End, and per option its split parts' two-byte heads (RFC 3396).
            241 + options
                .iter()
                .map(|(_, value)| value.len() + 2 * value.len().div_ceil(255).max(1))
                .sum::<usize>()
        };
        while size(&options) > limit.max(MIN_LEN) {
            let victim = options
                .iter()
                .position(|(code, _)| {
                    !ORDER.contains(code)
                        && !matches!(
                            *code,
                            // RFC 3011: a client discards a reply without its 118.
                            code::BOOT_FILE | code::RELAY_INFO | code::MESSAGE | code::SUBNET_SELECTION
                        )
                })
                .or_else(|| {
                    EXPENDABLE.iter().find_map(|code| options.iter().position(|(known, _)| known == code))
                })
                .or_else(|| self.last_resort(&options));
            let Some(victim) = victim else { break };
            dropped.push(options.remove(victim).0);
        }
        let overloaded = if size(&options) > limit.max(MIN_LEN) && self.may_overload {
            self.overload(&mut options, |options| size(options) <= limit.max(MIN_LEN))
        } else {
            Overloaded::default()
        };
        // Whoever may be sent an overloaded reply loses these only when that made too little room.
        while size(&options) > limit.max(MIN_LEN) {
            let at = |code: &u8| options.iter().position(|(known, _)| known == code);
            let Some(victim) = LAST_RESORT.iter().find_map(at) else { break };
            dropped.push(options.remove(victim).0);
        }
        let mut bytes = self.header();
        if !self.has_options {
            bytes.resize(MIN_LEN, 0);
            bytes[236..].fill(0);
            return Encoded { bytes, dropped: Vec::new() };
        }
        overloaded.write(&mut bytes);
        for (code, value) in &options {
            write_option(&mut bytes, *code, value);
        }
        bytes.push(code::END);
        if bytes.len() < MIN_LEN {
            bytes.resize(MIN_LEN, 0);
        }
        Encoded { bytes, dropped }
    }

    /// Moves whole options into `file` and `sname` until `fits`, and says so by option 52 [P5]. What a client
    /// must find at its place (53, 54, 82) stays; a field in use stays as well.
    fn overload(
        &self,
        options: &mut Vec<(u8, Vec<u8>)>,
        fits: impl Fn(&[(u8, Vec<u8>)]) -> bool,
    ) -> Overloaded {
        let mut moved = Overloaded::default();
        // Known before anything is moved, so that its own three bytes are counted.
        let place = options.iter().position(|(code, _)| rank(*code) > 1).unwrap_or(options.len());
        options.insert(place, (code::OVERLOAD, vec![0]));
        for (bit, room, used) in [(1, 128, !self.file.is_empty()), (2, 64, !self.sname.is_empty())] {
            let mut area = Vec::new();
            let mut at = options.len();
            while !used && at > 0 && !fits(options) {
                at -= 1;
                let (code, value) = &options[at];
                let fixed =
                    [code::MESSAGE_TYPE, code::SERVER_ID, code::OVERLOAD, code::RELAY_INFO].contains(code);
                // One byte is the area's end.
                if !fixed && value.len() <= 255 && area.len() + value.len() + 2 < room {
                    write_option(&mut area, *code, value);
                    options.remove(at);
                }
            }
            if !area.is_empty() {
                area.push(code::END);
                moved.flags |= bit;
            }
            if bit == 1 {
                moved.file = area;
            } else {
                moved.sname = area;
            }
        }
        options.retain(|(code, _)| *code != code::OVERLOAD || moved.flags != 0);
        for (code, value) in options {
            if *code == code::OVERLOAD {
                *value = vec![moved.flags];
            }
        }
        moved
    }

    /// What makes room for echoes of unusual length: an option 97 that is no UUID, then what a long 82 needs, which is
    /// neither cut nor left out for anything else [R2]: times that the client can work out itself (RFC 2131 section
    /// 4.4.5), a boot file name that `file` holds too, what firmware can do without. An 82 that does not even fit
    /// beside the address goes last: no reply is longer than the client takes [P2].
    fn last_resort(&self, options: &[(u8, Vec<u8>)]) -> Option<usize> {
        let at = |code: u8| options.iter().position(|(known, _)| *known == code);
        let named_twice = !self.file.is_empty() && self.file.len() < 128;
        at(code::UUID)
            .filter(|at| options[*at].1.len() > UUID_LEN)
            .or_else(|| at(code::REBINDING_TIME))
            .or_else(|| at(code::RENEWAL_TIME))
            .or_else(|| at(code::BOOT_FILE).filter(|_| named_twice))
    }

    /// The 240 bytes before the options.
    fn header(&self) -> Vec<u8> {
        let mut message = Message::new_with_id(
            self.xid,
            self.ciaddr,
            self.yiaddr,
            self.siaddr,
            self.giaddr,
            &self.chaddr[..usize::from(self.hlen.min(16))],
        );
        message
            .set_opcode(Opcode::BootReply)
            .set_htype(HType::from(self.htype))
            .set_flags(Flags::new(self.flags));
        let mut bytes = Vec::with_capacity(DEFAULT_LIMIT);
        // The encoder fails only on a fixed-size buffer; a Vec grows.
        if message.encode(&mut Encoder::new(&mut bytes)).is_err() {
            bytes.clear();
        }
        bytes.resize(240, 0);
        // All 16 bytes are echoed, and the strings go in whole: the crate would assert on long ones.
        bytes[28..44].copy_from_slice(&self.chaddr);
        put_text(&mut bytes[44..108], &self.sname);
        if self.file.len() < 128 {
            put_text(&mut bytes[108..236], &self.file);
        }
        bytes
    }
}

/// Options in other fields than their own [P5].
#[derive(Default)]
struct Overloaded {
    /// Value of option 52.
    flags: u8,
    file: Vec<u8>,
    sname: Vec<u8>,
}

impl Overloaded {
    /// Puts them into a header.
    fn write(&self, header: &mut [u8]) {
        for (at, area) in [(44, &self.sname), (108, &self.file)] {
            if let Some(field) = header.get_mut(at..at + area.len()) {
                field.copy_from_slice(area);
            }
        }
    }
}

/// UDP payload limit for a client that sent option 57 = `max_size` on a link with this `mtu` [P2]: clients
/// disagree on whether the value counts the 28 header bytes, so the cautious reading is taken.
pub fn limit(max_size: Option<u16>, mtu: u16) -> usize {
    match max_size {
        None => DEFAULT_LIMIT,
        Some(max_size) => DEFAULT_LIMIT.max(usize::from(max_size.min(mtu)).saturating_sub(28)),
    }
}

fn rank(code: u8) -> usize {
    match code {
        code::BOOT_FILE => usize::from(u8::MAX) + 1,
        code::RELAY_INFO => usize::from(u8::MAX) + 2,
        _ => ORDER.iter().position(|known| *known == code).unwrap_or(ORDER.len()),
    }
}

/// One option, split at 255 bytes (RFC 3396); the empty value is written too, which the crate would omit.
fn write_option(bytes: &mut Vec<u8>, code: u8, value: &[u8]) {
    if value.is_empty() {
        bytes.extend_from_slice(&[code, 0]);
        return;
    }
    let option = DhcpOption::Unknown(UnknownOption::new(OptionCode::from(code), value.to_vec()));
    let before = bytes.len();
    let mut encoded = Vec::with_capacity(value.len() + 2);
    if option.encode(&mut Encoder::new(&mut encoded)).is_ok() {
        bytes.extend_from_slice(&encoded);
    } else {
        bytes.truncate(before);
    }
}

fn put_text(field: &mut [u8], text: &str) {
    let length = text.len().min(field.len() - 1);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp::Packet;

    fn reply() -> Reply {
        Reply {
            message: MessageType::Offer,
            xid: 0x1234_5678,
            flags: 0x8000,
            htype: 1,
            hlen: 6,
            chaddr: [0x52, 0x54, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::new(10, 0, 0, 5),
            siaddr: Ipv4Addr::new(10, 0, 0, 1),
            giaddr: Ipv4Addr::UNSPECIFIED,
            sname: "10.0.0.1".into(),
            file: "undionly.kpxe".into(),
            options: vec![
                (82, vec![1, 1, 7]),
                (67, b"undionly.kpxe".to_vec()),
                (43, vec![6, 1, 8, 255]),
                (54, vec![10, 0, 0, 1]),
                (200, vec![1]),
            ],
            has_options: true,
            may_overload: false,
        }
    }

    fn codes(bytes: &[u8]) -> Vec<u8> {
        Packet::parse(bytes).unwrap().options.iter().map(|(code, _)| code).collect()
    }

    /// [P3]
    #[test]
    fn message_type_is_first_boot_file_last_ordinary_and_relay_information_last() {
        assert_eq!(codes(&reply().encode(548).bytes), [53, 54, 43, 200, 67, 82]);
    }

    /// [P1]
    #[test]
    fn a_short_reply_is_padded_to_300_bytes_behind_the_end() {
        let encoded = reply().encode(548);
        assert_eq!(encoded.bytes.len(), 300);
        let end = encoded.bytes.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(encoded.bytes[end], 255);
    }

    /// [P8]
    #[test]
    fn header_fields_carry_next_server_name_file_and_all_of_chaddr() {
        let encoded = reply().encode(548);
        let packet = Packet::parse(&encoded.bytes).unwrap();
        assert_eq!(packet.siaddr(), Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(&packet.file()[..14], b"undionly.kpxe\0");
        assert_eq!(&packet.sname()[..9], b"10.0.0.1\0");
        assert_eq!(packet.chaddr()[15], 9);
        assert_eq!(
            (packet.xid(), packet.flags(), packet.htype(), packet.hlen()),
            (0x1234_5678, 0x8000, 1, 6)
        );
        assert!(!packet.is_request());
    }

    /// [P8]: a name that does not fit `file` goes by option 67 alone.
    #[test]
    fn a_name_over_127_bytes_leaves_the_file_field_empty() {
        let mut long = reply();
        long.file = "x".repeat(128);
        assert_eq!(Packet::parse(&long.encode(1472).bytes).unwrap().file()[0], 0);
    }

    /// [P2] [P9]
    #[test]
    fn over_the_limit_unimportant_options_go_first_and_boot_data_stays() {
        let mut big = reply();
        big.set(200, vec![0; 200]);
        big.set(42, vec![0; 80]);
        big.set(66, b"10.0.0.1".to_vec());
        let encoded = big.encode(300);
        assert_eq!(encoded.dropped, [200, 42]);
        assert!(encoded.bytes.len() <= 300);
        assert_eq!(codes(&encoded.bytes), [53, 54, 43, 66, 67, 82]);
    }

    /// [P5]
    #[test]
    fn overload_is_the_last_resort_and_never_for_boot_clients() {
        let mut big = reply();
        (big.file, big.sname) = (String::new(), String::new());
        // Neither may be dropped: 82 is an echo, 43 boot data.
        big.set(82, vec![7; 200]);
        big.set(43, vec![6; 60]);
        big.set(42, vec![0; 80]);
        let codes = |bytes: &[u8]| codes(bytes).into_iter().collect::<std::collections::BTreeSet<u8>>();
        let boot_client = big.encode(548);
        assert!(boot_client.bytes.len() <= 548 && !codes(&boot_client.bytes).contains(&52));
        big.set(175, vec![5; 60]);
        let boot_client = big.encode(548);
        assert_eq!(
            (boot_client.dropped, codes(&boot_client.bytes).contains(&52)),
            (vec![200, 42, 175], false)
        );
        big.may_overload = true;
        assert!(!codes(&big.encode(1400).bytes).contains(&52), "room enough");
        for length in [40, 60] {
            big.set(60, vec![b'x'; length]);
            let encoded = big.encode(548);
            assert!(encoded.bytes.len() <= 548, "{}", encoded.bytes.len());
            let read = Packet::parse(&encoded.bytes).unwrap();
            assert!(read.options.warnings.is_empty(), "{:?}", read.options.warnings);
            assert!(read.options.get(52).is_some());
            for code in [54, 82, 43, 175, 60, 67] {
                assert_eq!(read.options.get(code), big.option(code), "option {code}");
            }
        }
        big.file = "undionly.kpxe".into();
        let encoded = big.encode(548);
        assert_eq!(
            &Packet::parse(&encoded.bytes).unwrap().file()[..14],
            b"undionly.kpxe\0",
            "a file in use stays"
        );
    }

    /// [R2]: everything else goes first, and nothing of option 82 is lost.
    #[test]
    fn the_longest_relay_information_stays_whole_and_last() {
        let mut big = reply();
        let relay: Vec<u8> = (0..=254).collect();
        big.set(82, relay.clone());
        for (code, length) in [(51, 4), (58, 4), (59, 4), (97, 17), (118, 4)] {
            big.set(code, vec![1; length]);
        }
        let encoded = big.encode(548);
        assert!(encoded.bytes.len() <= 548, "{}", encoded.bytes.len());
        assert_eq!(encoded.dropped, [200, 59, 58, 67]);
        assert_eq!(codes(&encoded.bytes), [53, 54, 51, 97, 43, 118, 82]);
        let read = Packet::parse(&encoded.bytes).unwrap();
        assert_eq!(read.options.get(82), Some(&relay[..]));
        assert_eq!(&read.file()[..14], b"undionly.kpxe\0", "the name is still there");
    }

    /// [P4]
    #[test]
    fn a_value_over_255_bytes_is_split_and_reads_back_whole() {
        let mut big = reply();
        big.set(200, (0..=255).chain(0..45).collect::<Vec<u8>>());
        let encoded = big.encode(1472);
        assert_eq!(Packet::parse(&encoded.bytes).unwrap().options.get(200), big.option(200));
    }

    /// [P2]
    #[test]
    fn the_size_limit_takes_the_cautious_reading_of_option_57() {
        assert_eq!(limit(None, 1500), 548);
        assert_eq!(limit(Some(100), 1500), 548);
        assert_eq!(limit(Some(1472), 1500), 1444);
        assert_eq!(limit(Some(9000), 1500), 1472);
    }
}
