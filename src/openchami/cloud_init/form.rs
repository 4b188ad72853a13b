//! Bodies of `application/x-www-form-urlencoded`, as far as they are looked at: whether they are such.

/// Checks the percent-encoding of names and values. Everything else is allowed, also nothing at all.
pub fn check(body: &[u8]) -> Result<(), String> {
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let digits = rest.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if digits.is_none() {
            let shown = String::from_utf8_lossy(&rest[at..rest.len().min(at + 3)]).into_owned();
            return Err(format!(
                "the form is not encoded as a form is: {}",
                crate::config::diagnostic::quoted(&shown)
            ));
        }
        rest = &rest[at + 3..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_needs_two_digits() {
        assert!(check(b"").is_ok());
        assert!(check(b"pub_key_rsa=ssh-rsa+AAAA%2B%3d%0A&instance_id=i-1").is_ok());
        for bad in [&b"a=%"[..], b"a=%2", b"a=%zz", b"a=%2g&b"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
