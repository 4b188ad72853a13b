//! TFTP packets in a line each, in tcpdump's manner, for the goldens of the captures.

use bootlace::dhcp::catalogue::print::{escaped, quoted};

/// One line for one packet (RFC 1350, 2347). `length` is the payload's length on the wire, bytes.
pub fn describe(payload: &[u8], length: usize) -> String {
    let text = match payload {
        [0, op @ (1 | 2), rest @ ..] => {
            let mut words = rest.split(|byte| *byte == 0);
            let name = quoted(words.next().unwrap_or_default());
            let mode = escaped(words.next().unwrap_or_default());
            let verb = if *op == 1 { "RRQ" } else { "WRQ" };
            format!("{verb} {name} {mode}{}", options(words))
        }
        [0, 3, high, low, ..] => {
            format!("DATA block {}, {} bytes", u16::from_be_bytes([*high, *low]), length - 4)
        }
        [0, 4, high, low, ..] => format!("ACK block {}", u16::from_be_bytes([*high, *low])),
        [0, 5, high, low, message @ ..] => {
            let message = message.split(|byte| *byte == 0).next().unwrap_or_default();
            format!("ERROR {} {}", u16::from_be_bytes([*high, *low]), quoted(message))
        }
        [0, 6, rest @ ..] => format!("OACK{}", options(rest.split(|byte| *byte == 0))),
        _ => "[malformed: no TFTP]".to_owned(),
    };
    format!("TFTP, length {length}, {text}")
}

/// Names and values in pairs.
fn options<'a>(words: impl Iterator<Item = &'a [u8]>) -> String {
    words.filter(|word| !word.is_empty()).map(|word| format!(" {}", escaped(word))).collect()
}
