//! The address behind a proxy.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use ipnet::IpNet;

/// The header in which proxies hand addresses on.
pub const FORWARDED_FOR: &str = "x-forwarded-for";

/// Is this address one of `trusted`?
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|net| net.contains(&address))
}

/// Who asks: `peer`, or where that is a trusted proxy the rightmost address of X-Forwarded-For that is none. What
/// stands left of that one, its sender made up. None: a trusted proxy hands on what is no address.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut client = peer.to_canonical();
    if !is_trusted(client, trusted) {
        return Some(client);
    }
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        for entry in line.to_str().ok()?.rsplit(',') {
            client = address(entry.trim())?;
            if !is_trusted(client, trusted) {
                return Some(client);
            }
        }
    }
    Some(client)
}

/// An address, also with a port, as some proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(peer: &str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = ["10.0.0.0/24".parse().unwrap(), "fd00::1/128".parse().unwrap()];
        client(peer.parse().unwrap(), &headers, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_its_rightmost_stranger() {
        for (peer, lines, expected) in [
            ("192.0.2.1", &["1.2.3.4"][..], Some("192.0.2.1")),
            ("10.0.0.1", &["1.2.3.4"], Some("1.2.3.4")),
            ("::ffff:10.0.0.1", &["::ffff:1.2.3.4"], Some("1.2.3.4")),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"], Some("1.2.3.4")),
            ("10.0.0.1", &["6.6.6.6", "1.2.3.4", "10.0.0.2"], Some("1.2.3.4")),
            ("fd00::1", &["[2001:db8::5]:443"], Some("2001:db8::5")),
            ("10.0.0.1", &["1.2.3.4:555"], Some("1.2.3.4")),
            ("10.0.0.1", &["1.2.3.4, unknown"], None),
            ("10.0.0.1", &["unknown, 1.2.3.4"], Some("1.2.3.4")),
            ("10.0.0.1", &[""], None),
            ("10.0.0.1", &["10.0.0.3,10.0.0.2"], Some("10.0.0.3")),
            ("10.0.0.1", &[], Some("10.0.0.1")),
        ] {
            assert_eq!(asked(peer, lines).as_deref(), expected, "{peer} {lines:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_stranger_sends_changes_who_it_is(text in "[ -~]{0,40}") {
            let client = asked("192.0.2.1", &[&text]);
            prop_assert_eq!(client.as_deref(), Some("192.0.2.1"));
        }

        #[test]
        fn what_a_client_puts_before_the_proxys_own_entry_counts_nothing(text in "[ -~]{0,40}") {
            let line = format!("{text}, 192.0.2.7");
            let client = asked("10.0.0.1", &[&line]);
            prop_assert_eq!(client.as_deref(), Some("192.0.2.7"));
        }
    }
}
