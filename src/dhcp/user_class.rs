//! User class, option 77: RFC 3004's list, or the raw string that iPXE and others send.

use super::catalogue::print::quoted;

/// The classes of the value.
///
/// It is a list when walking length-prefixed items consumes exactly the whole value and every item is
/// non-empty; else it is one raw string. iPXE sends the bare four bytes `iPXE`, whose `i` would be a length of
/// 105.
pub fn classes(value: &[u8]) -> Vec<&[u8]> {
    if value.is_empty() { Vec::new() } else { list(value).unwrap_or_else(|| vec![value]) }
}

/// True when the sender calls itself iPXE (one of the signs of [I7]).
pub fn says_ipxe(value: &[u8]) -> bool {
    classes(value).iter().any(|class| class.windows(4).any(|part| part == b"iPXE"))
}

/// The classes in quotes.
pub fn describe(value: &[u8]) -> String {
    classes(value).into_iter().map(quoted).collect::<Vec<_>>().join(",")
}

fn list(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while let [length, tail @ ..] = rest {
        let (item, tail) = tail.split_at_checked(usize::from(*length))?;
        if item.is_empty() {
            return None;
        }
        items.push(item);
        rest = tail;
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [I7] and quirk 7: both forms are understood.
    #[test]
    fn a_user_class_is_read_as_list_and_as_raw_string() {
        assert_eq!(classes(b"iPXE"), [b"iPXE"]);
        assert_eq!(classes(b"\x04iPXE"), [b"iPXE"]);
        assert_eq!(classes(b"\x04iPXE\x03lab"), [&b"iPXE"[..], b"lab"]);
        // A list that leaves bytes over or holds an empty item is a raw string.
        assert_eq!(classes(b"\x04iPXEx"), [b"\x04iPXEx"]);
        assert_eq!(classes(b"\x04iPXE\x00"), [b"\x04iPXE\x00"]);
        assert!(classes(b"").is_empty());
        assert!(says_ipxe(b"iPXE") && says_ipxe(b"\x04iPXE") && !says_ipxe(b"gPXE"));
    }
}
