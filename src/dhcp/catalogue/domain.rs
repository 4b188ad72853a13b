//! Domain names in DNS wire form (RFC 1035, 3.1 and 4.1.4), as options 119, 120, 81 and others carry them.

use super::print;

/// Names that one option may hold here. The longest option of a packet holds far fewer real ones; a pointer of two bytes
/// expands to up to 255 characters, so without a limit a small packet would make a huge log line.
const MAX_NAMES: usize = 64;

/// Reads names until the value ends. Pointers are relative to the start of the value (RFC 3397).
///
/// # Errors
/// A sentence when a label leaves the value, a pointer does not point backwards, a name is longer than 255 bytes, or
/// there are more than 64 names.
pub fn decode_list(value: &[u8]) -> Result<Vec<String>, &'static str> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < value.len() {
        if names.len() == MAX_NAMES {
            return Err("more than 64 names");
        }
        let (name, next) = decode(value, at)?;
        names.push(name);
        at = next;
    }
    if names.is_empty() { Err("needs a name") } else { Ok(names) }
}

/// Reads the name at `start`; gives it and the place behind it.
fn decode(value: &[u8], start: usize) -> Result<(String, usize), &'static str> {
    let mut name = String::new();
    let mut at = start;
    let mut behind = None;
    let mut length = 0;
    // Pointers go strictly backwards, so a loop is impossible.
    let mut limit = start;
    loop {
        let &size = value.get(at).ok_or("name without an end")?;
        match size {
            0 => {
                let next = behind.unwrap_or(at + 1);
                return Ok((if name.is_empty() { ".".to_owned() } else { name }, next));
            }
            1..=63 => {
                let end = at + 1 + usize::from(size);
                let label = value.get(at + 1..end).ok_or("label longer than the option")?;
                length += label.len() + 1;
                if length > 254 {
                    return Err("name longer than 255 bytes");
                }
                if !name.is_empty() {
                    name.push('.');
                }
                // A dot inside a label would read as two labels.
                name.push_str(&print::escaped(label).replace('.', "\\."));
                at = end;
            }
            0xc0..=0xff => {
                let &low = value.get(at + 1).ok_or("pointer cut off")?;
                let target = usize::from(size & 0x3f) << 8 | usize::from(low);
                if target >= limit {
                    return Err("pointer that does not point backwards");
                }
                behind.get_or_insert(at + 2);
                limit = target;
                at = target;
            }
            _ => return Err("label of an unknown type"),
        }
    }
}

/// Writes one name, uncompressed and with its end.
///
/// # Errors
/// A sentence when a label is empty, longer than 63 bytes or has characters that a host name cannot have, or when the name
/// is longer than 255 bytes.
pub fn encode(name: &str) -> Result<Vec<u8>, &'static str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        if label.is_empty() {
            return Err("has an empty label");
        }
        if label.len() > 63 {
            return Err("has a label of more than 63 characters");
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err("has characters other than letters, digits, '-', '_' and '.'");
        }
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    if wire.len() > 255 { Err("is longer than 255 bytes") } else { Ok(wire) }
}
