//! Relay agent information, option 82 (RFC 3046 and its successors): what the relay adds about where the
//! client is plugged in. The echo in a reply is the raw bytes; this is only their meaning.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::catalogue::print::{guess, hex, quoted};
use super::catalogue::suboptions;

/// Name of a sub-option, in tcpdump's manner.
fn name(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "Circuit-ID",
        2 => "Remote-ID",
        4 => "DOCSIS-Device-Class",
        5 => "Link-Selection",
        6 => "Subscriber-ID",
        7 => "RADIUS-Attributes",
        8 => "Authentication",
        9 => "Vendor-Information",
        10 => "Relay-Flags",
        11 => "Server-ID-Override",
        12 => "Relay-ID",
        13 => "Access-Technology",
        14 => "Access-Network",
        15 => "Access-Point",
        16 => "Access-Point-BSSID",
        17 => "Operator-ID",
        18 => "Operator-Realm",
        19 => "Source-Port",
        150 => "Link-Selection-Cisco",
        151 => "VSS",
        152 => "VSS-Control",
        _ => return None,
    })
}

/// What an option 82 says, as far as it can be read. A sub-option of a wrong length says nothing here and
/// still stands in [`describe`]. Of a sub-option stated twice the first counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RelayInfo<'a> {
    /// 82.1: the port on the relay, in the relay's own form (RFC 3046).
    pub circuit_id: Option<&'a [u8]>,
    /// 82.2: the relay or what hangs on it, in the relay's own form (RFC 3046).
    pub remote_id: Option<&'a [u8]>,
    /// 82.5: an address of the client's subnet, where giaddr is none (RFC 3527).
    pub link_selection: Option<Ipv4Addr>,
    /// 82.6: who pays for the line (RFC 3993).
    pub subscriber_id: Option<&'a [u8]>,
    /// 82.9: enterprise numbers with data (RFC 4243).
    pub vendor: Option<&'a [u8]>,
    /// 82.10: true when the client sent its request by unicast to the relay (RFC 5010).
    pub unicast: Option<bool>,
    /// 82.11: what option 54 shall be, so that renewals pass the relay too (RFC 5107).
    pub server_id: Option<Ipv4Addr>,
    /// 82.12: the relay's own DUID (RFC 6925).
    pub relay_id: Option<&'a [u8]>,
    /// 82.19 is there: the relay listens on the source port of its request (RFC 8357).
    pub source_port: bool,
    /// 82.151: VRF of the client, a type byte and a name (RFC 6607).
    pub vss: Option<&'a [u8]>,
    /// 82.152 is there. A server that knows VRFs takes it out; we echo it, which tells the relay that we
    /// do not (RFC 6607).
    pub vss_control: bool,
    /// Bytes behind the last whole sub-option.
    pub rest: &'a [u8],
}

impl<'a> RelayInfo<'a> {
    /// Reads the value of an option 82. Never fails: what cannot be read is `rest`.
    pub fn parse(value: &'a [u8]) -> Self {
        let read = suboptions::plain(value);
        let first = |code: u8| read.items.iter().find(|(known, _)| *known == code).map(|(_, value)| *value);
        let filled = |code: u8| first(code).filter(|value| !value.is_empty());
        let address = |code: u8| {
            let address = Ipv4Addr::from(<[u8; 4]>::try_from(first(code)?).ok()?);
            // Nobody can be named by these, and nobody's subnet holds them.
            (!address.is_unspecified() && !address.is_multicast() && !address.is_broadcast())
                .then_some(address)
        };
        Self {
            circuit_id: filled(1),
            remote_id: filled(2),
            link_selection: address(5),
            subscriber_id: filled(6),
            vendor: filled(9),
            unicast: first(10).and_then(|flags| flags.first()).map(|flags| flags & 0x80 != 0),
            server_id: address(11),
            relay_id: filled(12),
            source_port: first(19).is_some(),
            vss: filled(151),
            vss_control: first(152).is_some(),
            rest: read.rest,
        }
    }
}

impl RelayInfo<'_> {
    /// The same as JSON; what is not said is left out. Identifiers are text, or `0x` and digits.
    pub fn json(&self) -> Value {
        let bytes = |value: Option<&[u8]>| value.map(|value| Value::from(id_text(value)));
        let address = |value: Option<Ipv4Addr>| value.map(|value| Value::from(value.to_string()));
        let flag = |set: bool| set.then_some(Value::Bool(true));
        let fields = [
            ("circuit_id", bytes(self.circuit_id)),
            ("remote_id", bytes(self.remote_id)),
            ("link_selection", address(self.link_selection)),
            ("subscriber_id", bytes(self.subscriber_id)),
            ("vendor", bytes(self.vendor)),
            ("unicast", self.unicast.map(Value::Bool)),
            ("server_id", address(self.server_id)),
            ("relay_id", bytes(self.relay_id)),
            ("source_port", flag(self.source_port)),
            ("vss", bytes(self.vss)),
            ("vss_control", flag(self.vss_control)),
            ("unreadable", (!self.rest.is_empty()).then(|| Value::from(hex(self.rest)))),
        ];
        let said = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(said.collect())
    }
}

/// An identifier of a relay: its characters where it is printable text, else its bytes.
pub fn id_text(value: &[u8]) -> String {
    if !value.is_empty() && value.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return value.iter().map(|byte| char::from(*byte)).collect();
    }
    format!("0x{}", hex(value))
}

/// All sub-options in wire order.
pub fn describe(value: &[u8]) -> String {
    suboptions::plain(value).text(|code, value| {
        let name = name(code).map_or_else(|| format!("SubOption-{code}"), str::to_owned);
        let text = match (code, value) {
            (5 | 11 | 150, [a, b, c, d]) => Ipv4Addr::new(*a, *b, *c, *d).to_string(),
            (10, [flags]) => if flags & 0x80 != 0 { "unicast" } else { "broadcast" }.to_owned(),
            // RFC 8357: the relay listens on the source port of its request; the value is empty.
            (19, []) => "as sent".to_owned(),
            (151, [0, name @ ..]) => format!("VRF {}", quoted(name)),
            (151, [255]) => "global".to_owned(),
            (152, []) => "asked".to_owned(),
            // Switch vendors send text or packed VLAN, module and port numbers.
            (1 | 2 | 6, value) if !value.is_empty() && value.iter().all(|b| (b' '..=b'~').contains(b)) => {
                quoted(value)
            }
            _ => guess(value),
        };
        format!("{name} {text}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_port_is_readable_and_addresses_are_addresses() {
        let value = b"\x01\x06ge-0/1\x02\x04\x00\x04\x00\x01\x05\x04\x0a\x00\x05\x00\x0b\x04\x0a\x00\x05\x01";
        assert_eq!(
            describe(value),
            "Circuit-ID \"ge-0/1\", Remote-ID 00040001, Link-Selection 10.0.5.0, Server-ID-Override 10.0.5.1"
        );
    }

    /// [R4]
    #[test]
    fn every_sub_option_that_a_rule_reads_is_read() {
        let value =
            b"\x01\x02p7\x02\x03\x00\xaa\x01\x05\x04\x0a\x00\x05\x00\x06\x01s\x09\x05\x00\x00\x00\x09\x00\
            \x0a\x01\x80\x0b\x04\x0a\x00\x05\x01\x0c\x03\x00\x03\x07\x13\x00\x97\x04\x00red\x98\x00\x63";
        let info = RelayInfo::parse(value);
        let wanted = RelayInfo {
            circuit_id: Some(b"p7"),
            remote_id: Some(&[0, 0xaa, 1]),
            link_selection: Some(Ipv4Addr::new(10, 0, 5, 0)),
            subscriber_id: Some(b"s"),
            vendor: Some(&[0, 0, 0, 9, 0]),
            unicast: Some(true),
            server_id: Some(Ipv4Addr::new(10, 0, 5, 1)),
            relay_id: Some(&[0, 3, 7]),
            source_port: true,
            vss: Some(b"\0red"),
            vss_control: true,
            rest: &[0x63],
        };
        assert_eq!(info, wanted);
        assert_eq!((id_text(b"ge-0/1"), id_text(&[0, 4])), ("ge-0/1".into(), "0x0004".into()));
        let text = describe(value);
        for part in [
            "Subscriber-ID \"s\"",
            "Relay-Flags unicast",
            "VSS VRF \"red\"",
            "VSS-Control asked",
            "[malformed: cut off] 63",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    /// An address that can be nobody's, or of a wrong length, is none.
    #[test]
    fn an_impossible_address_in_option_82_says_nothing() {
        for value in [&[5, 4, 0, 0, 0, 0][..], &[5, 3, 10, 0, 0], &[11, 4, 255, 255, 255, 255], &[11, 0]] {
            let info = RelayInfo::parse(value);
            assert_eq!((info.link_selection, info.server_id), (None, None), "{value:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(value in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = RelayInfo::parse(&value);
            let _ = describe(&value);
        }
    }

    /// 0 and 255 are ordinary codes here, unlike in option 43.
    #[test]
    fn what_cannot_be_read_is_shown_and_hides_nothing_before_it() {
        assert_eq!(describe(b"\xff\x01\x07\x01\x09"), "SubOption-255 07, [malformed: cut off] 0109");
    }
}
