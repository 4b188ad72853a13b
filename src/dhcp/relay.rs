//! Relay agent information, option 82 (RFC 3046 and its successors): what the relay adds about where the
//! client is plugged in. The echo in a reply is the raw bytes; this is only their meaning.

use std::net::Ipv4Addr;

use super::catalogue::print::{guess, quoted};
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
        152 => "Server-ID-Override-Cisco",
        _ => return None,
    })
}

/// All sub-options in wire order.
pub fn describe(value: &[u8]) -> String {
    suboptions::plain(value).text(|code, value| {
        let name = name(code).map_or_else(|| format!("SubOption-{code}"), str::to_owned);
        let text = match (code, value) {
            (5 | 11 | 150 | 152, [a, b, c, d]) => Ipv4Addr::new(*a, *b, *c, *d).to_string(),
            (10, [flags]) => if flags & 0x80 != 0 { "unicast" } else { "broadcast" }.to_owned(),
            // RFC 8357: the relay listens on the source port of its request; the value is empty.
            (19, []) => "as sent".to_owned(),
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

    /// 0 and 255 are ordinary codes here, unlike in option 43.
    #[test]
    fn what_cannot_be_read_is_shown_and_hides_nothing_before_it() {
        assert_eq!(describe(b"\xff\x01\x07\x01\x09"), "SubOption-255 07, [malformed: cut off] 0109");
    }
}
