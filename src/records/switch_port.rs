//! Where a node is plugged in, as the relay or switch in front of it says in option 82: "the server in rack 3,
//! port 12", whatever card it has [R4].

use std::fmt;

use crate::config::table::{At, KeyPath, Table};
use crate::config::tree::Kind;
use crate::config::{Code, diagnostic::quoted};
use crate::dhcp::relay::id_text;

/// Longest identifier: a sub-option's length is one byte (RFC 3046 section 2).
const LENGTH_MAX: usize = 255;

/// A port by circuit id, remote id, or both; bytes as on the wire, compared exactly. Empty says nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SwitchPort {
    /// 82.1, usually the port.
    pub circuit_id: Option<Vec<u8>>,
    /// 82.2, usually the switch.
    pub remote_id: Option<Vec<u8>>,
}

impl SwitchPort {
    /// True when nothing is said.
    pub fn is_empty(&self) -> bool {
        self.circuit_id.is_none() && self.remote_id.is_none()
    }

    /// Reads `circuit_id` and `remote_id` of a node, and where they stand.
    pub fn read(table: &mut Table<'_, '_>) -> Option<At<Self>> {
        let circuit_id = identifier(table, "circuit_id");
        let remote_id = identifier(table, "remote_id");
        let span = circuit_id.as_ref().or(remote_id.as_ref())?.span;
        let value =
            Self { circuit_id: circuit_id.map(|id| id.value), remote_id: remote_id.map(|id| id.value) };
        Some(At { value, span })
    }
}

impl fmt::Display for SwitchPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.circuit_id, &self.remote_id) {
            (Some(circuit), Some(remote)) => {
                write!(f, "circuit-id {} remote-id {}", id_text(circuit), id_text(remote))
            }
            (Some(circuit), None) => write!(f, "circuit-id {}", id_text(circuit)),
            (None, Some(remote)) => write!(f, "remote-id {}", id_text(remote)),
            (None, None) => Ok(()),
        }
    }
}

/// Text, sent as it is written, or `{hex: …}` for relays that pack numbers.
pub(super) fn identifier(table: &mut Table<'_, '_>, key: &str) -> Option<At<Vec<u8>>> {
    let value = table.value(key)?;
    let (bytes, span) = if let Kind::Mapping(_) = value.kind {
        let path = KeyPath::Key(table.path(), key);
        let mut inner = table.open_child(value, &path)?;
        inner.unknown_keys(&["hex"], crate::config::table::Unknown::Refuse);
        let Some(text) = inner.text("hex") else {
            if inner.absent("hex") {
                let span = inner.span;
                inner
                    .error(Code::MissingKey, span, "hex", format!("{key} as a mapping needs hex"))
                    .advise(format!("write {key}: {{hex: \"0004000a\"}}, or {key}: \"text\""));
            }
            return None;
        };
        let Some(bytes) = from_hex(text.value) else {
            let message = format!("{} is no even number of hexadecimal digits", quoted(text.value));
            inner.error(Code::WrongValue, text.span, "hex", message).advise("write hex: \"0004000a\"");
            return None;
        };
        (bytes, text.span)
    } else {
        let text = table.text(key)?;
        (text.value.as_bytes().to_vec(), text.span)
    };
    if bytes.is_empty() || bytes.len() > LENGTH_MAX {
        let message = format!("{key} has {} bytes, 1 to {LENGTH_MAX} are possible", bytes.len());
        table.error(Code::WrongValue, span, key, message);
        return None;
    }
    Some(At { value: bytes, span })
}

/// Digits in pairs, with or without colons between them.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
