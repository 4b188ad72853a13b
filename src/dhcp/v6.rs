//! DHCPv6 (RFC 8415): a typed view of what came, in one line and as JSON; what goes out is in [`reply`].
//!
//! The walk over options is our own and never recurses: a library that nests without limit dies of a crafted
//! packet, and one that reads the lists of options 15 and 16 wrongly loses what the firmware says.

pub mod reply;

pub use reply::Reply;

use std::net::Ipv6Addr;

use serde_json::{Value, json};

use super::catalogue::print::{colons, escaped, guess, hex, quoted};
use super::catalogue::v6 as options;
use super::pxe::VendorClass;
use crate::client::arch::Arch;
use crate::records::Mac;

/// Relays that a message may have passed (RFC 8415, 7.6: HOP_COUNT_LIMIT).
const MAX_RELAYS: usize = 8;

/// Why bytes are no DHCPv6 message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum V6Error {
    /// Shorter than the fixed header of its type.
    #[error("is shorter than a DHCPv6 header")]
    Short,
    /// A message type that RFC 8415 and its successors do not know.
    #[error("has message type {0}, which DHCPv6 does not have")]
    Kind(u8),
    /// A relayed message without the message inside, or relayed too often.
    #[error("is a relayed message without a client's message inside, or passed more than 8 relays")]
    Relay,
}

/// One identity association that a client asks for (RFC 8415, 21.4, 21.5, 21.21).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ia {
    /// Its option: 3 (IA_NA), 4 (IA_TA) or 25 (IA_PD).
    pub code: u16,
    /// Its number, chosen by the client.
    pub id: u32,
    /// Addresses inside it (option 5).
    pub addresses: Vec<Ipv6Addr>,
}

/// One relay that a message passed (RFC 8415, 9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop<'a> {
    /// Relays between it and the client.
    pub count: u8,
    /// An address of the client's link, or unspecified.
    pub link: Ipv6Addr,
    /// Whom it had the message from: the client, or the relay before.
    pub peer: Ipv6Addr,
    /// Its interface (option 18), echoed to it.
    pub interface_id: Option<&'a [u8]>,
}

/// A client's or server's message, taken out of the relay messages around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// The bytes it was read from, with the relay messages around it.
    pub payload: &'a [u8],
    /// Message type, such as 1 for SOLICIT.
    pub kind: u8,
    /// Transaction id, 24 bits.
    pub xid: u32,
    /// Relays it passed, the one next to us first.
    pub hops: Vec<Hop<'a>>,
    /// Link-layer address that the first relay added (option 79, RFC 6939).
    pub relayed_mac: Option<Mac>,
    /// Client DUID (option 1).
    pub client_duid: Option<&'a [u8]>,
    /// Server DUID (option 2).
    pub server_duid: Option<&'a [u8]>,
    /// Architectures (option 61), in the client's order.
    pub archs: Vec<Arch>,
    /// Enterprise number and texts of the vendor class (option 16).
    pub vendor_class: Option<(u32, Vec<&'a [u8]>)>,
    /// User classes (option 15).
    pub user_classes: Vec<&'a [u8]>,
    /// Boot file URL (option 59), in replies.
    pub boot_url: Option<&'a [u8]>,
    /// Identity associations, in the client's order.
    pub ias: Vec<Ia>,
    /// Addresses inside IA_NA (options 3 and 5).
    pub addresses: Vec<Ipv6Addr>,
    /// Rapid commit (option 14): a SOLICIT may be answered by a REPLY.
    pub rapid_commit: bool,
    /// Status code and text (option 13).
    pub status: Option<(u16, &'a [u8])>,
    /// Option codes asked for (option 6).
    pub requested: Vec<u16>,
    /// Time since the client began, in hundredths of a second (option 8).
    pub elapsed: Option<u16>,
    /// True when the last option leaves the packet; everything before it counts.
    pub truncated: bool,
}

impl<'a> Message<'a> {
    /// Reads the payload of a packet to or from port 547.
    ///
    /// # Errors
    /// [`V6Error`] when it is no DHCPv6. A bad option is no error: it is left out.
    pub fn parse(payload: &'a [u8]) -> Result<Self, V6Error> {
        let mut inner = payload;
        let mut hops: Vec<Hop<'a>> = Vec::new();
        let mut relayed_mac = None;
        // RELAY-FORW and RELAY-REPL: type, hop count, link address, peer address, options (RFC 8415, 9).
        while let [12 | 13, ..] = inner {
            if hops.len() == MAX_RELAYS {
                return Err(V6Error::Relay);
            }
            let (header, options) = inner.split_first_chunk::<34>().ok_or(V6Error::Short)?;
            let address = |bytes: &[u8]| bytes.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes));
            let mut hop = Hop {
                count: header[1],
                link: address(&header[2..]).ok_or(V6Error::Short)?,
                peer: address(&header[18..]).ok_or(V6Error::Short)?,
                interface_id: None,
            };
            let mut next = None;
            for (code, value) in Options(options) {
                match (code, value) {
                    (9, message) => next = Some(message),
                    (18, id) => hop.interface_id = Some(id),
                    // Hardware type 1 and six bytes. The innermost relay is the one at the client's link.
                    (79, [0, 1, mac @ ..]) => relayed_mac = mac_of(mac).or(relayed_mac),
                    _ => {}
                }
            }
            inner = next.ok_or(V6Error::Relay)?;
            hops.push(hop);
        }
        let ([kind, x1, x2, x3], options) = inner.split_first_chunk::<4>().ok_or(V6Error::Short)?;
        if type_name(*kind).is_none() {
            return Err(V6Error::Kind(*kind));
        }
        let mut message = Self {
            payload,
            kind: *kind,
            xid: u32::from_be_bytes([0, *x1, *x2, *x3]),
            hops,
            relayed_mac,
            client_duid: None,
            server_duid: None,
            archs: Vec::new(),
            vendor_class: None,
            user_classes: Vec::new(),
            boot_url: None,
            ias: Vec::new(),
            addresses: Vec::new(),
            rapid_commit: false,
            status: None,
            requested: Vec::new(),
            elapsed: None,
            truncated: false,
        };
        let mut walk = Options(options);
        for (code, value) in &mut walk {
            message.take(code, value);
        }
        message.truncated = !walk.0.is_empty();
        Ok(message)
    }

    fn take(&mut self, code: u16, value: &'a [u8]) {
        match (code, value) {
            (1, duid) => self.client_duid = Some(duid),
            (2, duid) => self.server_duid = Some(duid),
            // IAID, T1, T2, then options; IA_TA has no times. Each IAADDR begins with the address.
            (3 | 4 | 25, [a, b, c, d, ..]) => {
                let inside = Options(value.get(if code == 4 { 4 } else { 12 }..).unwrap_or_default());
                let addresses: Vec<Ipv6Addr> = inside
                    .filter(|(code, _)| *code == 5)
                    .filter_map(|(_, value)| value.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes)))
                    .collect();
                if code == 3 {
                    self.addresses.extend(&addresses);
                }
                self.ias.push(Ia { code, id: u32::from_be_bytes([*a, *b, *c, *d]), addresses });
            }
            (6, list) => self.requested = numbers(list),
            (8, [high, low]) => self.elapsed = Some(u16::from_be_bytes([*high, *low])),
            (14, []) => self.rapid_commit = true,
            (13, [high, low, text @ ..]) => self.status = Some((u16::from_be_bytes([*high, *low]), text)),
            // Microsoft's form has no inner lengths: keep it as one class rather than lose it.
            (15, classes) => {
                self.user_classes = items(classes).unwrap_or_else(|| vec![classes]);
            }
            (16, [a, b, c, d, classes @ ..]) => {
                let texts = items(classes).unwrap_or_else(|| vec![classes]);
                self.vendor_class = Some((u32::from_be_bytes([*a, *b, *c, *d]), texts));
            }
            (59, url) => self.boot_url = Some(url),
            (61, list) => self.archs = numbers(list).into_iter().map(Arch).collect(),
            _ => {}
        }
    }

    /// Message type in capitals, such as `SOLICIT`.
    pub fn type_name(&self) -> &'static str {
        type_name(self.kind).unwrap_or("UNKNOWN")
    }

    /// True when the client lists an option (6), or sends no list.
    pub fn wants(&self, code: u16) -> bool {
        self.requested.is_empty() || self.requested.contains(&code)
    }

    /// True for iPXE's user class.
    pub fn is_ipxe(&self) -> bool {
        // Old builds send the bare text, without the inner length.
        self.user_classes.iter().any(|class| *class == b"iPXE")
    }

    /// True for the types that clients send.
    pub fn from_client(&self) -> bool {
        matches!(self.kind, 1 | 3..=6 | 8 | 9 | 11)
    }

    /// The client's architecture: option 61, else out of the vendor class, since some clients leave 61 out or it
    /// is filtered [S9].
    pub fn arch(&self) -> Option<Arch> {
        let from_class = || {
            let (_, texts) = self.vendor_class.as_ref()?;
            texts.iter().find_map(|text| VendorClass::parse(text).arch)
        };
        self.archs.first().copied().or_else(from_class)
    }

    /// The client's MAC as far as the message tells it: from the relay, else from the DUID [S2].
    pub fn mac(&self) -> Option<Mac> {
        self.relayed_mac.or_else(|| match self.client_duid? {
            [0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..] => mac_of(mac),
            _ => None,
        })
    }

    /// One line in the manner of the DHCPv4 summary.
    pub fn summary(&self) -> String {
        let mut parts = vec![format!("DHCPv6, {}, xid 0x{:06x}", self.type_name(), self.xid)];
        if !self.hops.is_empty() {
            parts.push(format!("relays {}", self.hops.len()));
        }
        if let Some(mac) = self.relayed_mac {
            parts.push(format!("relay says {mac}"));
        }
        parts.extend(self.client_duid.map(|id| format!("client {}", duid(id))));
        parts.extend(self.server_duid.map(|id| format!("server {}", duid(id))));
        parts.extend(
            self.elapsed
                .filter(|time| *time > 0)
                .map(|time| format!("elapsed {}.{:02}s", time / 100, time % 100)),
        );
        parts.extend(self.arch().map(|arch| format!("arch {arch} ({})", arch.0)));
        if let Some((enterprise, texts)) = &self.vendor_class {
            let texts = texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(",");
            parts.push(format!("class {texts} (enterprise {enterprise})"));
        }
        parts.extend(self.user_classes.iter().map(|class| format!("user class {}", quoted(class))));
        parts.extend(self.addresses.iter().map(|address| format!("address {address}")));
        parts.extend(self.boot_url.map(|url| format!("boot file {}", quoted(url))));
        parts.extend(
            self.status
                .filter(|(code, _)| *code != 0)
                .map(|(code, text)| format!("status {code} {}", quoted(text))),
        );
        if self.truncated {
            parts.push("[malformed: last option cut off]".to_owned());
        }
        parts.join(", ")
    }

    /// One line per option in wire order, those of the outermost relay first and what it relayed inside them:
    /// `Elapsed time (8), length 2: 1.50s`.
    pub fn details(&self) -> Vec<String> {
        options::read_message(self.payload).lines()
    }

    /// The same as JSON, and every option in wire order with its code, name, length, value and either its exact bytes
    /// or the options inside it.
    pub fn json(&self) -> Value {
        let text = |bytes: &&[u8]| escaped(bytes);
        json!({
            "message": self.type_name(),
            "xid": format!("0x{:06x}", self.xid),
            "relays": self.hops.len(),
            "mac": self.mac(),
            "client_duid": self.client_duid.map(hex),
            "server_duid": self.server_duid.map(hex),
            "arch": self.arch().map(|arch| json!({ "code": arch.0, "name": arch.name() })),
            "vendor_class": self.vendor_class.as_ref().map(|(enterprise, texts)| json!({
                "enterprise": enterprise,
                "data": texts.iter().map(text).collect::<Vec<_>>(),
            })),
            "user_class": self.user_classes.iter().map(text).collect::<Vec<_>>(),
            "addresses": self.addresses,
            "boot_file_url": self.boot_url.map(escaped),
            "status": self.status.map(|(code, _)| code),
            "requested_options": self.requested,
            "truncated": self.truncated,
            "options": options::json(&options::read_message(self.payload)),
        })
    }
}

/// A DUID in words (RFC 8415, 11; RFC 6355).
pub fn duid(duid: &[u8]) -> String {
    match duid {
        [0, 1, 0, 1, t1, t2, t3, t4, mac @ ..] if mac.len() == 6 => {
            format!("DUID-LLT {} time {}", colons(mac), u32::from_be_bytes([*t1, *t2, *t3, *t4]))
        }
        [0, 2, a, b, c, d, id @ ..] => {
            format!("DUID-EN {} {}", u32::from_be_bytes([*a, *b, *c, *d]), guess(id))
        }
        [0, 3, 0, 1, mac @ ..] if mac.len() == 6 => format!("DUID-LL {}", colons(mac)),
        // Other hardware: InfiniBand's addresses have 20 bytes.
        [0, 1, h1, h2, t1, t2, t3, t4, address @ ..] => {
            let (hardware, time) = (u16::from_be_bytes([*h1, *h2]), u32::from_be_bytes([*t1, *t2, *t3, *t4]));
            format!("DUID-LLT hardware-type {hardware} {} time {time}", colons(address))
        }
        [0, 3, h1, h2, address @ ..] => {
            format!("DUID-LL hardware-type {} {}", u16::from_be_bytes([*h1, *h2]), colons(address))
        }
        [0, 4, uuid @ ..] => match <[u8; 16]>::try_from(uuid) {
            Ok(bytes) => format!("DUID-UUID {}", crate::records::Uuid::from_text_order(bytes)),
            Err(_) => format!("DUID-UUID {}", hex(uuid)),
        },
        _ => format!("DUID {}", hex(duid)),
    }
}

pub(crate) fn type_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "SOLICIT",
        2 => "ADVERTISE",
        3 => "REQUEST",
        4 => "CONFIRM",
        5 => "RENEW",
        6 => "REBIND",
        7 => "REPLY",
        8 => "RELEASE",
        9 => "DECLINE",
        10 => "RECONFIGURE",
        11 => "INFORMATION-REQUEST",
        _ => return None,
    })
}

/// 16-bit code, 16-bit length, value; ends before the first option that leaves the packet.
pub(crate) struct Options<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([c1, c2, l1, l2], rest) = self.0.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l1, *l2])))?;
        self.0 = rest;
        Some((u16::from_be_bytes([*c1, *c2]), value))
    }
}

fn numbers(list: &[u8]) -> Vec<u16> {
    list.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
}

/// Items with a 16-bit length that fill the value exactly.
pub(crate) fn items(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (size, tail) = rest.split_first_chunk::<2>()?;
        let (item, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        items.push(item);
        rest = tail;
    }
    Some(items)
}

fn mac_of(bytes: &[u8]) -> Option<Mac> {
    Mac::new(bytes.try_into().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn option(code: u16, value: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes()[..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    }

    fn solicit(options: &[Vec<u8>]) -> Vec<u8> {
        [&[1, 0xab, 0xcd, 0xef][..], &options.concat()].concat()
    }

    fn relayed(inside: &[u8], further: &[Vec<u8>]) -> Vec<u8> {
        [&[12; 1][..], &[0; 33], &further.concat(), &option(9, inside)].concat()
    }

    /// [S9]: the architecture survives a filtered option 61.
    #[test]
    fn the_architecture_comes_from_61_or_else_from_the_vendor_class() {
        let text = b"\x00\x00\x01\x57\x00\x20PXEClient:Arch:00011:UNDI:003010";
        let with = solicit(&[option(16, text), option(61, &[0, 7])]);
        assert_eq!(Message::parse(&with).unwrap().arch(), Some(Arch(7)));
        let without = solicit(&[option(16, text)]);
        assert_eq!(Message::parse(&without).unwrap().arch(), Some(Arch(11)));
    }

    /// [S2]: option 79 before the DUID; a DUID-UUID names no MAC.
    #[test]
    fn a_client_is_known_by_the_relay_or_by_its_duid() {
        let llt = option(1, b"\x00\x01\x00\x01\x01\x02\x03\x04\x52\x54\x00\x00\x00\x01");
        let direct = solicit(std::slice::from_ref(&llt));
        assert_eq!(Message::parse(&direct).unwrap().mac().unwrap().to_string(), "52:54:00:00:00:01");
        let through = relayed(&direct, &[option(79, b"\x00\x01\x52\x54\x00\x00\x00\x02")]);
        let message = Message::parse(&through).unwrap();
        assert_eq!(message.mac().unwrap().to_string(), "52:54:00:00:00:02");
        assert_eq!(
            message.summary(),
            "DHCPv6, SOLICIT, xid 0xabcdef, relays 1, relay says 52:54:00:00:00:02, \
             client DUID-LLT 52:54:00:00:00:01 time 16909060"
        );
        let uuid = solicit(&[option(1, &[&[0, 4][..], &[7; 16]].concat())]);
        assert_eq!(Message::parse(&uuid).unwrap().mac(), None);
    }

    #[test]
    fn nesting_ends_after_eight_relays() {
        let mut packet = solicit(&[]);
        for _ in 0..8 {
            packet = relayed(&packet, &[]);
        }
        assert_eq!(Message::parse(&packet).unwrap().hops.len(), 8);
        assert_eq!(Message::parse(&relayed(&packet, &[])), Err(V6Error::Relay));
    }

    #[test]
    fn what_is_no_dhcpv6_is_said_and_a_cut_option_hides_nothing_before_it() {
        assert_eq!(Message::parse(&[]), Err(V6Error::Short));
        assert_eq!(Message::parse(&[99, 0, 0, 0]), Err(V6Error::Kind(99)));
        assert_eq!(Message::parse(&[12, 0]), Err(V6Error::Short));
        let mut packet = solicit(&[option(61, &[0, 7])]);
        packet.extend([0, 59, 0, 9, b'x']);
        let message = Message::parse(&packet).unwrap();
        assert_eq!(
            message.summary(),
            "DHCPv6, SOLICIT, xid 0xabcdef, arch x64-uefi (7), [malformed: last option cut off]"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn any_bytes_are_a_message_or_an_error_and_never_a_control_character(
            kind in 0..15_u8, bytes in prop::collection::vec(prop_oneof![Just(0_u8), 1..20_u8, any::<u8>()], 0..200),
        ) {
            let packet = [&[kind][..], &bytes].concat();
            if let Ok(message) = Message::parse(&packet) {
                let text = message.summary() + &message.json().to_string();
                prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
            }
        }
    }
}
