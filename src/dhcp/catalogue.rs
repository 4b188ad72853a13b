//! Every DHCPv4 option once: code, name, type, text form. Decoder, log, settings and explain read it.

/// One option with its value in wire form, as settings or records state it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypedOption {
    /// Option code, 1 to 254.
    pub code: u8,
    /// Value in wire form.
    pub value: Vec<u8>,
}

// Replaced at merge: the catalogue's own function has this signature.
/// Reads an option that settings or records state: by code, with a text or `{hex: …}` value.
pub fn parse_option(name_or_code: &str, value: &serde_json::Value) -> Result<TypedOption, String> {
    let code = match name_or_code {
        "ntp-servers" => 42,
        other => match other.parse() {
            Ok(code @ 1..=254) => code,
            _ => return Err(format!("'{other}' is no DHCP option")),
        },
    };
    let value = match value.get("hex").and_then(serde_json::Value::as_str) {
        Some(hex) => (0..hex.len())
            .step_by(2)
            .map(|at| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<Vec<u8>>>()
            .ok_or_else(|| format!("'{hex}' is not hexadecimal"))?,
        None => match value.as_array() {
            Some(items) => items
                .iter()
                .map(|item| item.as_str()?.parse::<std::net::Ipv4Addr>().ok())
                .collect::<Option<Vec<_>>>()
                .ok_or("needs IPv4 addresses")?
                .iter()
                .flat_map(std::net::Ipv4Addr::octets)
                .collect(),
            None => value.as_str().ok_or("needs text or {hex: ...}")?.as_bytes().to_vec(),
        },
    };
    Ok(TypedOption { code, value })
}
