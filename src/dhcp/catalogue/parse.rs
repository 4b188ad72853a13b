//! Settings to wire form: the typed values of `options:` in nodes.yaml and bootlace.yaml.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::print::escaped;
use super::{Kind, MAX_VALUE, OPTIONS, OptionRow, TypedOption, by_name, domain, row};

/// Reads one option as settings state it: a name or code, and a value of the option's type (text, number,
/// `true`, a list), or `{hex: "01ff"}` for exact bytes.
///
/// # Errors
/// A sentence that names the option, says what is wrong and what would be right: unknown name (with the nearest
/// one), an option that bootlace itself sets, a value of another type or out of range, more than 255 bytes.
pub fn parse_option(name_or_code: &str, value: &Value) -> Result<TypedOption, String> {
    let (code, row) = find(name_or_code)?;
    let title = row.map_or_else(|| format!("option {code}"), |row| format!("option {} ({code})", row.name));
    if let Some(why) = row.and_then(|row| row.refused) {
        return Err(format!("{title} cannot be set: {why}"));
    }
    let kind = row.map_or(Kind::Bytes, |row| row.kind);
    let wire = encode(kind, value)
        .map_err(|why| format!("{title}: {} {why}; needs {}", shown(value), kind.wanted()))?;
    if wire.len() > MAX_VALUE {
        return Err(format!(
            "{title}: the value is {} bytes long; needs at most {MAX_VALUE} bytes, since PXE clients cannot join an \
             option that was split",
            wire.len()
        ));
    }
    Ok(TypedOption { code, value: wire })
}

/// The code and, when it is assigned, the row.
fn find(name_or_code: &str) -> Result<(u8, Option<&'static OptionRow>), String> {
    let text = name_or_code.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse::<u8>() {
            Ok(0) => Err("option 0 cannot be set: it is padding; needs a code from 1 to 254".to_owned()),
            Ok(255) => {
                Err("option 255 cannot be set: it ends the options; needs a code from 1 to 254".to_owned())
            }
            Ok(code) => Ok((code, row(code))),
            Err(_) => Err(format!("option {text} does not exist; needs a code from 1 to 254")),
        };
    }
    if let Some(row) = by_name(text) {
        return Ok((row.code, Some(row)));
    }
    let lower = text.to_ascii_lowercase();
    let names = OPTIONS.iter().flat_map(|row| [(row.name, row), (row.iana, row)]);
    let nearest = names
        .map(|(name, row)| (strsim::jaro_winkler(&lower, &name.to_ascii_lowercase()), row))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= 0.8);
    let advice = nearest.map_or_else(
        || "needs a name such as domain-name-servers or a code from 1 to 254".to_owned(),
        |(_, row)| format!("did you mean '{}' ({})?", row.name, row.code),
    );
    Err(format!("option '{}' does not exist; {advice}", escaped(text.as_bytes())))
}

/// `Err` holds what is wrong with the value, to follow the value in a sentence.
fn encode(kind: Kind, value: &Value) -> Result<Vec<u8>, String> {
    if let Value::Object(map) = value {
        return match (map.iter().next(), map.len()) {
            (Some((key, inner)), 1) => explicit(kind, key, inner),
            _ => Err("is no value of this option".to_owned()),
        };
    }
    match kind {
        Kind::Ip => address(value).map(Vec::from),
        Kind::IpList => list(value, |item| address(item).map(Vec::from)),
        Kind::IpPairs => list(value, pair),
        Kind::U8 => number(value, 0, 0xff).map(|number| vec![number as u8]),
        Kind::U16 => number(value, 0, 0xffff).map(|number| (number as u16).to_be_bytes().to_vec()),
        Kind::U16List => list(value, |item| encode(Kind::U16, item)),
        Kind::U32 => {
            number(value, 0, i64::from(u32::MAX)).map(|number| (number as u32).to_be_bytes().to_vec())
        }
        Kind::I32 => number(value, i64::from(i32::MIN), i64::from(i32::MAX))
            .map(|number| (number as i32).to_be_bytes().to_vec()),
        Kind::Bool => match value {
            Value::Bool(on) => Ok(vec![u8::from(*on)]),
            _ => Err("is neither true nor false".to_owned()),
        },
        Kind::Empty => match value {
            Value::Bool(true) => Ok(Vec::new()),
            _ => Err("is not true".to_owned()),
        },
        Kind::Text | Kind::VendorClass => text(value).map(|text| text.as_bytes().to_vec()),
        Kind::DomainList => list(value, |item| Ok(domain::encode(text(item)?)?)),
        Kind::Routes => list(value, route),
        Kind::Uris => list(value, |item| {
            let uri = text(item)?;
            let length = u16::try_from(uri.len()).map_err(|_| "is too long".to_owned())?;
            Ok([&length.to_be_bytes()[..], uri.as_bytes()].concat())
        }),
        Kind::SipServers => {
            let addresses = list(value, |item| address(item).map(Vec::from)).map(|list| (1, list));
            let names = || list(value, |item| Ok(domain::encode(sip_name(item)?)?)).map(|list| (0, list));
            let (encoding, list) = addresses.or_else(|_| names())?;
            Ok([&[encoding][..], &list].concat())
        }
        // Zero-touch clients take text here (Cisco and Arista PnP), so text needs no mark.
        Kind::Vendor43 if value.is_string() => encode(Kind::Text, value),
        Kind::Vendor43 | Kind::Bytes => Err("does not say its type".to_owned()),
        _ => Err("is no raw value".to_owned()),
    }
}

/// `{hex: …}` for every option; the other marks where the option has no type of its own.
fn explicit(kind: Kind, mark: &str, value: &Value) -> Result<Vec<u8>, String> {
    let untyped = matches!(kind, Kind::Bytes | Kind::Vendor43);
    match mark {
        "hex" => hex(value),
        "text" if untyped => encode(Kind::Text, value),
        "ip" if untyped => encode(Kind::IpList, value),
        "u8" if untyped => encode(Kind::U8, value),
        "u16" if untyped => encode(Kind::U16List, value),
        "u32" if untyped => encode(Kind::U32, value),
        "text" | "ip" | "u8" | "u16" | "u32" => {
            Err("names a type, but the option has its own (only hex overrides it)".to_owned())
        }
        _ => Err(format!("has the unknown mark '{}'", escaped(mark.as_bytes()))),
    }
}

fn hex(value: &Value) -> Result<Vec<u8>, String> {
    let digits = match value {
        // YAML reads unquoted digits as a number, and loses leading zeros on the way.
        Value::Number(_) => return Err("has digits without quotes, which are read as a number".to_owned()),
        _ => text_or_empty(value)?,
    };
    let digits: Vec<u8> = digits
        .chars()
        .filter(|c| !matches!(c, ':' | '-' | '.' | ' '))
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or("has a character that is no hexadecimal digit")?;
    match digits.as_chunks::<2>() {
        (pairs, []) => Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect()),
        _ => Err("has an odd number of hexadecimal digits".to_owned()),
    }
}

/// One value or a list of them, concatenated.
fn list(value: &Value, encode: impl Fn(&Value) -> Result<Vec<u8>, String>) -> Result<Vec<u8>, String> {
    let Value::Array(items) = value else { return encode(value) };
    if items.is_empty() {
        return Err("is an empty list".to_owned());
    }
    let mut wire = Vec::new();
    for item in items {
        wire.extend(encode(item).map_err(|why| format!("has {}, which {why}", shown(item)))?);
    }
    Ok(wire)
}

fn address(value: &Value) -> Result<[u8; 4], String> {
    let address = value.as_str().and_then(|text| text.trim().parse::<Ipv4Addr>().ok());
    address.map(|address| address.octets()).ok_or_else(|| "is no IPv4 address".to_owned())
}

fn pair(value: &Value) -> Result<Vec<u8>, String> {
    let pair = text(value)?.split_once(':').and_then(|(left, right)| {
        Some((left.trim().parse::<Ipv4Addr>().ok()?, right.trim().parse::<Ipv4Addr>().ok()?))
    });
    let (left, right) = pair.ok_or("is no pair of IPv4 addresses")?;
    Ok([left.octets(), right.octets()].concat())
}

/// RFC 3442: prefix length, as many bytes of the network as the prefix needs, router.
fn route(value: &Value) -> Result<Vec<u8>, String> {
    let mut words = text(value)?.split_whitespace();
    let (Some(network), Some("via"), Some(router), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("is no route".to_owned());
    };
    let router: Ipv4Addr = router.parse().map_err(|_| "has no IPv4 address behind 'via'")?;
    let network: ipnet::Ipv4Net = match network {
        "default" => ipnet::Ipv4Net::default(),
        text => text.parse().map_err(|_| "has no network such as 10.1.0.0/16")?,
    };
    if network.addr() != network.network() {
        return Err(format!("has bits behind the prefix (the network is {})", network.trunc()));
    }
    let significant = usize::from(network.prefix_len().div_ceil(8));
    let mut wire = vec![network.prefix_len()];
    wire.extend_from_slice(&network.addr().octets()[..significant]);
    wire.extend_from_slice(&router.octets());
    Ok(wire)
}

/// A name made of numbers is a mistyped address.
fn sip_name(value: &Value) -> Result<&str, String> {
    let name = text(value)?;
    if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err("is neither an IPv4 address nor a name".to_owned());
    }
    Ok(name)
}

fn number(value: &Value, least: i64, most: i64) -> Result<i64, String> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.ok_or("is no whole number")?;
    if (least..=most).contains(&number) { Ok(number) } else { Err("is out of range".to_owned()) }
}

fn text(value: &Value) -> Result<&str, String> {
    match text_or_empty(value)? {
        "" => Err("is empty".to_owned()),
        text if text.chars().any(char::is_control) => {
            Err("has control characters (write them as {hex: …})".to_owned())
        }
        text => Ok(text),
    }
}

fn text_or_empty(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "is no text".to_owned())
}

/// The value as the user wrote it, shortened and printable.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("\"{}\"", escaped(text.as_bytes())),
        Value::Object(map) if map.keys().any(|key| key == "hex") => "the hex value".to_owned(),
        other => escaped(other.to_string().as_bytes()).replace("\\\"", "\""),
    };
    if text.len() > 60 { format!("{}…", &text[..57]) } else { text }
}
