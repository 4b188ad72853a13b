//! Bytes of the wire as text that a log can hold: ASCII only, nothing that moves a cursor or starts a line.

use std::fmt::Write as _;

/// Printable ASCII as it is, quotes and backslashes with a backslash, every other byte as `\xNN`.
///
/// Also a byte above 0x7e is escaped: right-to-left marks and terminal controls hide in UTF-8 as well.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

/// [`escaped`] in double quotes.
pub fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escaped(bytes))
}

/// Hexadecimal digits without separators.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hexadecimal pairs with colons, as hardware addresses are written.
pub fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Hexadecimal digits, and the same as characters when they look like text.
pub fn guess(bytes: &[u8]) -> String {
    let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if text.len() >= 2 && text.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        format!("{} ({})", hex(bytes), quoted(bytes))
    } else {
        hex(bytes)
    }
}

/// Bytes up to the first NUL: `sname` and `file` are fixed fields with a terminated string.
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}
