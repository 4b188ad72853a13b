//! What a request says: its query, its `Host`, its User-Agent. All of it may be hostile.

use percent_encoding::percent_decode_str;

use crate::boot::script::Who;

/// The query holds a control character, written out or encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("control characters cannot be part of a query")]
pub struct ControlCharacter;

/// Splits a query into decoded names and values, in order.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, ControlCharacter> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let text = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if text.chars().any(char::is_control) { Err(ControlCharacter) } else { Ok(text) }
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// The first value of this name that is not empty.
pub fn value<'q>(pairs: &'q [(String, String)], name: &str) -> Option<&'q str> {
    pairs.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

/// For whom a script is asked: `mac`, else `name`, else `nid`; a number that is none counts as absent.
pub fn who(pairs: &[(String, String)]) -> Option<Who> {
    if let Some(mac) = value(pairs, "mac") {
        return Some(Who::mac(mac));
    }
    if let Some(name) = value(pairs, "name") {
        return Some(Who::Name(name.to_owned()));
    }
    value(pairs, "nid")?.parse().ok().map(Who::Nid)
}

/// Checks a `Host` header: `host` or `host:port`, where a host is a name, an IPv4 address or an IPv6 address
/// in brackets. Anything else is not used, since it would go into a script.
pub fn authority(host: &str) -> Option<&str> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    let name_fits = match name.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']').is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            (1..=253).contains(&name.len())
                && !name.starts_with(['-', '.'])
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        }
    };
    (port_fits && name_fits).then_some(host)
}

/// Text from the wire for a log line: printable, not longer than `limit` characters.
pub fn printable(text: &str, limit: usize) -> String {
    let mut out: String = text
        .chars()
        .take(limit)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(limit).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_of_mac_name_and_nid_counts_and_an_empty_one_is_absent() {
        let of = |query: &str| who(&pairs(query).unwrap());
        assert_eq!(of("nid=3&name=n&mac=52%3A54%3A00%3Abe%3Aef%3A01"), Some(Who::mac("52:54:00:be:ef:01")));
        assert_eq!(of("mac=&name=a+b&nid=3"), Some(Who::Name("a b".to_owned())));
        assert_eq!(of("nid=3"), Some(Who::Nid(3)));
        assert_eq!(of("nid=three"), None);
        assert_eq!(of("mac=garbage"), Some(Who::NotAMac("garbage".to_owned())));
        assert_eq!(of(""), None);
        assert_eq!(pairs("name=a%0ab"), Err(ControlCharacter));
        assert_eq!(pairs("a=%00"), Err(ControlCharacter));
    }

    #[test]
    fn only_a_plain_host_and_port_is_used() {
        for host in ["10.0.0.1", "10.0.0.1:8081", "boot.example.org:80", "[fe80::1]:80", "[::1]"] {
            assert_eq!(authority(host), Some(host));
        }
        for host in [
            "", ":80", "a b", "a/b", "a:b", "a:0", "a:99999", "a:+1", "a@b:80", "a\nb", "[x]:1", "[::1",
            "::1", "${ip}", ".a", "a:",
        ] {
            assert_eq!(authority(host), None, "{host}");
        }
    }

    proptest! {
        #[test]
        fn a_host_that_is_used_cannot_break_a_script(host in "\\PC{0,40}|[a-z0-9.:\\[\\]$\\{\\} -]{0,20}") {
            if let Some(host) = authority(&host) {
                prop_assert!(host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"[].:-_".contains(&byte)));
            }
        }

        #[test]
        fn any_query_is_read_or_refused(query in "\\PC{0,60}|[a-z=&%0-9+]{0,60}") {
            if let Ok(pairs) = pairs(&query) {
                prop_assert!(!pairs.iter().any(|(k, v)| k.chars().chain(v.chars()).any(char::is_control)));
                who(&pairs);
            }
        }
    }
}
