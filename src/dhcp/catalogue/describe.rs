//! Wire form to text and JSON. Total: whatever the bytes are, a line comes out and nothing panics.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::print::{colons, escaped, guess, hex, quoted};
use super::{Kind, domain, label, message_type, row, suboptions};
use crate::client::arch::Arch;
use crate::dhcp::{ipxe, pxe, relay, user_class, v6};

/// Decoded text of one option.
///
/// Unknown options are hexadecimal digits with their text when they look like text; a value whose length or content
/// its type forbids is `[malformed: why] digits`. Never contains a control character.
pub fn describe(code: u8, value: &[u8]) -> String {
    describe_in(code, value, None)
}

/// [`describe`] with the vendor class (option 60) of the same packet, which decides what option 43 means.
pub fn describe_in(code: u8, value: &[u8], class: Option<&[u8]>) -> String {
    let kind = row(code).map_or(Kind::Bytes, |row| row.kind);
    text(kind, value, class).unwrap_or_else(|why| malformed(&why, value))
}

/// How every unreadable value is shown.
pub(crate) fn malformed(why: &str, value: &[u8]) -> String {
    format!("[malformed: {why}] {}", hex(value)).trim_end().to_owned()
}

fn text(kind: Kind, value: &[u8], class: Option<&[u8]>) -> Result<String, String> {
    let text = match kind {
        Kind::Ip => address(value)?.to_string(),
        Kind::IpList => join(&addresses(value)?, ","),
        Kind::IpPairs => join(&pairs(value)?, ","),
        Kind::U8 => u8_value(value)?.to_string(),
        Kind::U16 => u16_value(value)?.to_string(),
        Kind::U16List => join(&u16_list(value)?, ","),
        Kind::U32 => u32_value(value)?.to_string(),
        Kind::I32 => u32_value(value)?.cast_signed().to_string(),
        Kind::Bool => if bool_value(value)? { "Y" } else { "N" }.to_owned(),
        Kind::Empty if value.is_empty() => String::new(),
        Kind::Empty => return Err("needs no value".to_owned()),
        Kind::Text | Kind::VendorClass => quoted(at_least_one(value)?),
        Kind::Bytes => guess(value),
        Kind::DomainList => domain::decode_list(value)?.join(","),
        Kind::Routes => routes(value)?.join(","),
        Kind::Uris => uris(value)?.join(","),
        Kind::MessageType => {
            let number = u8_value(value)?;
            message_type(number).map_or_else(|| format!("type {number}"), str::to_owned)
        }
        Kind::Overload => match u8_value(value)? {
            1 => "file".to_owned(),
            2 => "sname".to_owned(),
            3 => "file,sname".to_owned(),
            _ => return Err("needs 1, 2 or 3".to_owned()),
        },
        Kind::ParamList => {
            join(&value.iter().map(|code| format!("{} ({code})", label(*code))).collect::<Vec<_>>(), ", ")
        }
        Kind::ClientId => client_id(value)?,
        Kind::UserClass => user_class::describe(value),
        Kind::Fqdn => fqdn(value)?,
        Kind::Relay => relay::describe(value),
        Kind::ArchList => {
            let names = architectures(value)?.into_iter().map(|arch| format!("{} ({arch})", arch.0));
            names.collect::<Vec<_>>().join(",")
        }
        Kind::Ndi => match value {
            [kind, major, minor] => format!("{kind}.{major}.{minor}"),
            _ => return Err("needs 3 bytes".to_owned()),
        },
        Kind::Uuid => uuid(value)?,
        Kind::SipServers => sip_servers(value)?.join(","),
        Kind::SlpAgents => match value {
            [mandatory, list @ ..] => {
                format!("{}{}", mandatory_text(*mandatory), join(&addresses(list)?, ","))
            }
            [] => return Err("needs 5 bytes or more".to_owned()),
        },
        Kind::SlpScope => match value {
            [mandatory, scope @ ..] => format!("{}{}", mandatory_text(*mandatory), quoted(scope)),
            [] => return Err("needs 1 byte or more".to_owned()),
        },
        Kind::Vendor43 => pxe::describe_vendor_options(value, class),
        Kind::ViClass => vendor_blocks(value, |data| {
            let mut items = Vec::new();
            let mut rest = data;
            while let [length, tail @ ..] = rest {
                let (item, tail) = tail.split_at_checked(usize::from(*length)).ok_or("class cut off")?;
                items.push(quoted(item));
                rest = tail;
            }
            Ok(items.join(" "))
        })?,
        Kind::ViInfo => vendor_blocks(value, |data| {
            Ok(suboptions::plain(data).text(|code, value| format!("{code}={}", guess(value))))
        })?,
        Kind::Ipxe => ipxe::describe(value),
    };
    Ok(text)
}

/// The value of an option as JSON: numbers, addresses and lists by their type, anything else as the text of
/// [`describe_in`].
pub fn json_value(code: u8, value: &[u8], class: Option<&[u8]>) -> Value {
    let kind = row(code).map_or(Kind::Bytes, |row| row.kind);
    typed_json(kind, value).unwrap_or_else(|_| Value::String(describe_in(code, value, class)))
}

/// `Err` for every kind and value that has no better form than its text.
fn typed_json(kind: Kind, value: &[u8]) -> Result<Value, String> {
    Ok(match kind {
        Kind::IpList => addresses(value)?.into_iter().map(|address| json!(address.to_string())).collect(),
        Kind::IpPairs => json!(pairs(value)?),
        Kind::U8 => json!(u8_value(value)?),
        Kind::U16 => json!(u16_value(value)?),
        Kind::U16List => json!(u16_list(value)?),
        Kind::U32 => json!(u32_value(value)?),
        Kind::I32 => json!(u32_value(value)?.cast_signed()),
        Kind::Bool => json!(bool_value(value)?),
        Kind::Text | Kind::VendorClass => json!(escaped(at_least_one(value)?)),
        Kind::DomainList => json!(domain::decode_list(value)?),
        Kind::Routes => json!(routes(value)?),
        Kind::Uris => json!(uris(value)?),
        Kind::ParamList => json!(value),
        Kind::UserClass => {
            user_class::classes(value).into_iter().map(|class| json!(escaped(class))).collect()
        }
        Kind::ArchList => architectures(value)?
            .into_iter()
            .map(|arch| json!({ "code": arch.0, "name": arch.name() }))
            .collect(),
        Kind::SipServers => json!(sip_servers(value)?),
        _ => return Err("text".to_owned()),
    })
}

/// Architecture codes of option 93 (and of DHCPv6 option 61).
///
/// # Errors
/// A sentence when the length is odd or zero (RFC 4578, 2.1).
pub(crate) fn architectures(value: &[u8]) -> Result<Vec<Arch>, String> {
    Ok(u16_list(value)?.into_iter().map(Arch).collect())
}

pub(super) fn join<T: ToString>(items: &[T], separator: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
}

pub(super) fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], String> {
    value.try_into().map_err(|_| format!("needs {N} byte{}", if N == 1 { "" } else { "s" }))
}

pub(super) fn at_least_one(value: &[u8]) -> Result<&[u8], String> {
    if value.is_empty() { Err("needs 1 byte or more".to_owned()) } else { Ok(value) }
}

pub(super) fn groups<const N: usize>(value: &[u8]) -> Result<&[[u8; N]], String> {
    match value.as_chunks::<N>() {
        (groups, []) if !groups.is_empty() => Ok(groups),
        _ => Err(format!("needs a multiple of {N} bytes")),
    }
}

fn address(value: &[u8]) -> Result<Ipv4Addr, String> {
    exactly::<4>(value).map(Ipv4Addr::from)
}

fn addresses(value: &[u8]) -> Result<Vec<Ipv4Addr>, String> {
    Ok(groups::<4>(value)?.iter().map(|group| Ipv4Addr::from(*group)).collect())
}

fn pairs(value: &[u8]) -> Result<Vec<String>, String> {
    let pair = |[a, b, c, d, e, f, g, h]: &[u8; 8]| {
        format!("{}:{}", Ipv4Addr::new(*a, *b, *c, *d), Ipv4Addr::new(*e, *f, *g, *h))
    };
    Ok(groups::<8>(value)?.iter().map(pair).collect())
}

pub(super) fn u8_value(value: &[u8]) -> Result<u8, String> {
    exactly::<1>(value).map(|[byte]| byte)
}

pub(super) fn u16_value(value: &[u8]) -> Result<u16, String> {
    exactly::<2>(value).map(u16::from_be_bytes)
}

pub(super) fn u16_list(value: &[u8]) -> Result<Vec<u16>, String> {
    Ok(groups::<2>(value)?.iter().map(|group| u16::from_be_bytes(*group)).collect())
}

pub(super) fn u32_value(value: &[u8]) -> Result<u32, String> {
    exactly::<4>(value).map(u32::from_be_bytes)
}

fn bool_value(value: &[u8]) -> Result<bool, String> {
    match exactly::<1>(value)? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err("needs 0 or 1".to_owned()),
    }
}

/// Classless routes: prefix length, as many bytes as the prefix needs, router (RFC 3442).
fn routes(value: &[u8]) -> Result<Vec<String>, String> {
    let mut routes = Vec::new();
    let mut rest = at_least_one(value)?;
    while let [prefix, tail @ ..] = rest {
        if *prefix > 32 {
            return Err("prefix longer than 32 bits".to_owned());
        }
        let significant = usize::from(prefix.div_ceil(8));
        let (route, tail) = tail.split_at_checked(significant + 4).ok_or("route cut off")?;
        let (network, router) = route.split_at(significant);
        let mut padded = [0; 4];
        padded[..significant].copy_from_slice(network);
        let router = address(router)?;
        routes.push(if *prefix == 0 {
            format!("default via {router}")
        } else {
            format!("{}/{prefix} via {router}", Ipv4Addr::from(padded))
        });
        rest = tail;
    }
    Ok(routes)
}

pub(super) fn uris(value: &[u8]) -> Result<Vec<String>, String> {
    let mut uris = Vec::new();
    let mut rest = at_least_one(value)?;
    while !rest.is_empty() {
        let (size, tail) = rest.split_first_chunk::<2>().ok_or("length cut off")?;
        let (uri, tail) =
            tail.split_at_checked(usize::from(u16::from_be_bytes(*size))).ok_or("URI cut off")?;
        uris.push(escaped(uri));
        rest = tail;
    }
    Ok(uris)
}

/// RFC 2132, 9.14 and RFC 4361. Firmware sends type 1 and its MAC, operating systems often a DUID.
fn client_id(value: &[u8]) -> Result<String, String> {
    Ok(match value {
        [1, mac @ ..] if mac.len() == 6 => format!("ether {}", colons(mac)),
        [255, a, b, c, d, duid @ ..] if !duid.is_empty() => {
            format!("iaid 0x{} {}", hex(&[*a, *b, *c, *d]), v6::duid(duid))
        }
        [0, rest @ ..] => quoted(rest),
        [kind, rest @ ..] if !rest.is_empty() => format!("hardware-type {kind}, {}", colons(rest)),
        _ => return Err("needs 2 bytes or more".to_owned()),
    })
}

/// RFC 4702: flags, two obsolete result codes, name in ASCII or (flag E) DNS wire form.
fn fqdn(value: &[u8]) -> Result<String, String> {
    let [flags, result1, result2, name @ ..] = value else {
        return Err("needs 3 bytes or more".to_owned());
    };
    let letters: String = [(0x08, 'N'), (0x04, 'E'), (0x02, 'O'), (0x01, 'S')]
        .into_iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, letter)| letter)
        .collect();
    let mut text = String::new();
    if !letters.is_empty() {
        text = format!("[{letters}] ");
    }
    if (*result1, *result2) != (0, 0) {
        text += &format!("{result1}/{result2} ");
    }
    // A partial name has no final zero byte in the wire form; it is not an error.
    let name = if flags & 0x04 != 0 && !name.is_empty() {
        let mut closed = name.to_vec();
        closed.push(0);
        let names = domain::decode_list(name).or_else(|_| domain::decode_list(&closed))?;
        format!("\"{}\"", names.join(","))
    } else {
        quoted(name)
    };
    Ok(text + &name)
}

/// RFC 4578, 2.3. Both byte orders, because EFI and BIOS vendors differ.
fn uuid(value: &[u8]) -> Result<String, String> {
    use crate::records::Uuid;
    match value {
        [0, bytes @ ..] => {
            let uuid = Uuid::from_text_order(exactly::<16>(bytes).map_err(|_| "needs type 0 and 16 bytes")?);
            let swapped = uuid.swapped();
            let text = if uuid == swapped { uuid.to_string() } else { format!("{swapped} or {uuid}") };
            // All zero, all ff and vendor defaults are no identity; a node cannot be found by them.
            Ok(if uuid.identifies() { text } else { text + " (identifies nothing)" })
        }
        _ => Err("needs type 0 and 16 bytes".to_owned()),
    }
}

fn sip_servers(value: &[u8]) -> Result<Vec<String>, String> {
    match value {
        [0, names @ ..] => Ok(domain::decode_list(names)?),
        [1, list @ ..] => Ok(addresses(list)?.iter().map(Ipv4Addr::to_string).collect()),
        _ => Err("needs encoding 0 or 1".to_owned()),
    }
}

fn mandatory_text(byte: u8) -> &'static str {
    if byte == 0 { "" } else { "mandatory " }
}

/// Options 124 and 125: enterprise number, length, data; repeated.
fn vendor_blocks(
    value: &[u8],
    data_text: impl Fn(&[u8]) -> Result<String, String>,
) -> Result<String, String> {
    let mut blocks = Vec::new();
    let mut rest = at_least_one(value)?;
    while !rest.is_empty() {
        let (enterprise, tail) = rest.split_first_chunk::<4>().ok_or("enterprise number cut off")?;
        let (length, tail) = tail.split_first().ok_or("length cut off")?;
        let (data, tail) = tail.split_at_checked(usize::from(*length)).ok_or("data cut off")?;
        let data = data_text(data)?;
        blocks.push(format!("enterprise {} [{data}]", u32::from_be_bytes(*enterprise)));
        rest = tail;
    }
    Ok(blocks.join(", "))
}
