//! DHCPv6 options to text and JSON. Total, as for DHCPv4: a line comes out of any bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use super::super::describe::{
    architectures, at_least_one, exactly, groups, join, malformed, u8_value, u16_list, u16_value, u32_value,
    uris,
};
use super::super::domain;
use super::super::print::{colons, escaped, guess, hex, quoted};
use super::{Inside, Item, Kind, List, label, name, row, titled};
use crate::dhcp::{Packet, v6};

/// Decoded text of one option; options inside it in brackets.
///
/// Unknown options are hexadecimal digits with their text when they look like text; a value whose length or content
/// its type forbids is `[malformed: why] digits`. Never contains a control character.
pub fn describe(item: &Item<'_>) -> String {
    let text = match &item.inside {
        Some(inside) => holder(kind(item.code), inside),
        None => leaf(kind(item.code), item.value),
    };
    text.unwrap_or_else(|why| malformed(&why, item.value))
}

/// Options as JSON: code, name, length and value of each, then the exact bytes, or the options inside it.
pub fn json(list: &List<'_>) -> Value {
    list.items.iter().map(item_json).collect()
}

fn item_json(item: &Item<'_>) -> Value {
    let mut map = Map::new();
    map.insert("code".to_owned(), json!(item.code));
    map.insert("name".to_owned(), json!(name(item.code)));
    map.insert("length".to_owned(), json!(item.value.len()));
    let held =
        item.inside.as_ref().and_then(|inside| Some((fields(kind(item.code), inside.head).ok()?, inside)));
    match held {
        Some((text, inside)) => {
            map.insert("value".to_owned(), json!(text));
            map.insert("options".to_owned(), json(&inside.options));
            if !inside.options.rest.is_empty() {
                map.insert("unreadable".to_owned(), json!(hex(inside.options.rest)));
            }
        }
        None => {
            let value = typed_json(kind(item.code), item.value).unwrap_or_else(|_| json!(describe(item)));
            map.insert("value".to_owned(), value);
            map.insert("hex".to_owned(), json!(hex(item.value)));
        }
    }
    Value::Object(map)
}

fn kind(code: u16) -> Kind {
    row(code).map_or(Kind::Bytes, |row| row.kind)
}

/// A value that holds options: its fields, then they.
fn holder(kind: Kind, inside: &Inside<'_>) -> Result<String, String> {
    let mut parts: Vec<String> =
        Some(fields(kind, inside.head)?).filter(|text| !text.is_empty()).into_iter().collect();
    let List { items, rest } = &inside.options;
    if !items.is_empty() {
        let text = |item: &Item<'_>| titled(format!("{} ({})", label(item.code), item.code), &describe(item));
        let items = items.iter().map(text);
        parts.push(format!("[{}]", items.collect::<Vec<_>>().join(", ")));
    }
    if !rest.is_empty() {
        parts.push(malformed("last option cut off", rest));
    }
    Ok(parts.join(" "))
}

/// The fields before the options inside.
fn fields(kind: Kind, head: &[u8]) -> Result<String, String> {
    Ok(match (kind, head) {
        (Kind::Options, []) => String::new(),
        (Kind::AddressSelection, [flags]) => format!("flags 0x{flags:02x}"),
        (Kind::IaTa, iaid) => format!("iaid 0x{}", hex(iaid)),
        (Kind::Ia, _) => {
            let [iaid, t1, t2] = exactly::<12>(head).map(words)?;
            format!("iaid 0x{iaid:08x} T1 {} T2 {}", seconds(t1), seconds(t2))
        }
        (Kind::IaAddress, _) => {
            let (address, times) = head.split_at(16);
            let [preferred, valid] = exactly::<8>(times).map(words)?;
            format!("{} preferred {} valid {}", ip(address)?, seconds(preferred), seconds(valid))
        }
        (Kind::IaPrefix, _) => {
            let (times, prefix) = head.split_at(8);
            let [preferred, valid] = exactly::<8>(times).map(words)?;
            format!("{} preferred {} valid {}", full_prefix(prefix)?, seconds(preferred), seconds(valid))
        }
        (Kind::Message, _) => message(head)?,
        (Kind::LeaseQuery, [kind, link @ ..]) => format!("type {kind} link {}", ip(link)?),
        (Kind::RelayData, _) => {
            let (peer, inner) = head.split_at(16);
            format!("relay {} {}", ip(peer)?, message(inner)?)
        }
        (Kind::S46Rule, [flags, ea, length, a, b, c, d, prefix @ ..]) => {
            let v4 = Ipv4Addr::new(*a, *b, *c, *d);
            format!("flags 0x{flags:02x} ea-bits {ea} {v4}/{length} {}", short_prefix(prefix)?)
        }
        (Kind::S46Binding, [a, b, c, d, prefix @ ..]) => {
            format!("{} {}", Ipv4Addr::new(*a, *b, *c, *d), short_prefix(prefix)?)
        }
        (Kind::LinkLayerBlock, [kind1, kind2, _, _, rest @ ..]) => {
            let (address, tail) = rest.split_at_checked(rest.len().saturating_sub(8)).ok_or("cut off")?;
            let [more, valid] = exactly::<8>(tail).map(words)?;
            let address = link_layer(u16::from_be_bytes([*kind1, *kind2]), address);
            format!("{address} and {more} more valid {}", seconds(valid))
        }
        _ => return Err("fields cut off".to_owned()),
    })
}

/// A value without options inside, or too short, or too deep to look for them.
fn leaf(kind: Kind, value: &[u8]) -> Result<String, String> {
    Ok(match kind {
        Kind::Ip => ip(value)?.to_string(),
        Kind::IpList => join(&ips(value)?, ","),
        Kind::IpListOrEmpty if value.is_empty() => String::new(),
        Kind::IpListOrEmpty => join(&ips(value)?, ","),
        Kind::U8 => u8_value(value)?.to_string(),
        Kind::U16 => u16_value(value)?.to_string(),
        Kind::U16List => join(&u16_list(value)?, ","),
        Kind::U32 => u32_value(value)?.to_string(),
        Kind::Empty if value.is_empty() => String::new(),
        Kind::Empty => return Err("needs no value".to_owned()),
        Kind::Text => quoted(at_least_one(value)?),
        Kind::Bytes => guess(value),
        Kind::DomainList => names(value)?.join(","),
        Kind::Uris => uris(value)?.join(","),
        // Type and at least one byte (RFC 8415, 11.1).
        Kind::Duid if value.len() < 3 => return Err("needs 3 bytes or more".to_owned()),
        Kind::Duid => v6::duid(value),
        Kind::CodeList => {
            let codes = u16_list(value)?;
            codes.iter().map(|code| format!("{} ({code})", label(*code))).collect::<Vec<_>>().join(", ")
        }
        Kind::Elapsed => {
            let time = u16_value(value)?;
            format!("{}.{:02}s", time / 100, time % 100)
        }
        Kind::Status => status(value)?,
        Kind::UserClass => {
            // A bare text is what Microsoft's and iPXE's old builds send.
            let classes = v6::items(at_least_one(value)?).unwrap_or_else(|| vec![value]);
            quoted_list(&classes)
        }
        Kind::VendorClass => {
            let (enterprise, classes) = enterprise(value)?;
            let classes = v6::items(classes).ok_or("class cut off")?;
            format!("enterprise {enterprise} [{}]", quoted_list(&classes))
        }
        Kind::VendorOptions => {
            let (enterprise, options) = enterprise(value)?;
            format!("enterprise {enterprise} [{}]", sub_options(options, |_, value| guess(value)))
        }
        Kind::BootParameters => quoted_list(&v6::items(at_least_one(value)?).ok_or("parameter cut off")?),
        Kind::ArchList => {
            let names = architectures(value)?.into_iter().map(|arch| format!("{} ({arch})", arch.0));
            names.collect::<Vec<_>>().join(",")
        }
        Kind::Nii => match value {
            [kind, major, minor] => format!("{kind}.{major}.{minor}"),
            _ => return Err("needs 3 bytes".to_owned()),
        },
        Kind::Fqdn => fqdn(value)?,
        Kind::Enterprise => {
            let (enterprise, data) = enterprise(value)?;
            format!("enterprise {enterprise} {}", guess(data)).trim_end().to_owned()
        }
        Kind::LinkLayer => match value {
            [a, b, address @ ..] if !address.is_empty() => link_layer(u16::from_be_bytes([*a, *b]), address),
            _ => return Err("needs 3 bytes or more".to_owned()),
        },
        Kind::Hardware => colons(&exactly::<6>(value)?),
        Kind::MessageType => message_type(u8_value(value)?),
        Kind::Auth => match value {
            [protocol, algorithm, detection, rest @ ..] if rest.len() >= 8 => {
                let (replay, information) = rest.split_at(8);
                let head = format!("protocol {protocol} algorithm {algorithm} rdm {detection}");
                format!("{head} replay 0x{} {}", hex(replay), hex(information)).trim_end().to_owned()
            }
            _ => return Err("needs 11 bytes or more".to_owned()),
        },
        Kind::Ntp => sub_options(at_least_one(value)?, |code, value| {
            let text = match code {
                1 => ip(value).map(|address| address.to_string()),
                2 => ip(value).map(|address| address.to_string()),
                3 => names(value).map(|names| names.join(",")),
                _ => Ok(guess(value)),
            };
            text.unwrap_or_else(|why| malformed(&why, value))
        }),
        Kind::SubOptions => sub_options(value, |_, value| guess(value)),
        Kind::Prefix => short_prefix(value)?,
        Kind::FullPrefix => full_prefix(value)?,
        Kind::Rdnss => {
            let (address, rest) = value.split_at_checked(16).ok_or("needs 17 bytes or more")?;
            let (preference, domains) = rest.split_first().ok_or("needs 17 bytes or more")?;
            format!("{} preference {} {}", ip(address)?, preference & 3, names(domains)?.join(","))
        }
        Kind::Dhcpv4 => match Packet::parse(value) {
            Ok(packet) => packet.shown(|packet| format!("{}: {}", packet.summary(), packet.brief())),
            Err(error) => return Err(error.to_string()),
        },
        Kind::Options
        | Kind::Ia
        | Kind::IaTa
        | Kind::IaAddress
        | Kind::IaPrefix
        | Kind::Message
        | Kind::LeaseQuery
        | Kind::RelayData
        | Kind::AddressSelection
        | Kind::S46Rule
        | Kind::S46Binding
        | Kind::LinkLayerBlock => {
            let deep = kind.head(value).is_some();
            return Err(if deep { "nested too deep" } else { "too short for its fields" }.to_owned());
        }
    })
}

/// `Err` for every kind and value that has no better form than its text.
fn typed_json(kind: Kind, value: &[u8]) -> Result<Value, String> {
    let texts = |items: Vec<&[u8]>| items.into_iter().map(escaped).collect::<Value>();
    Ok(match kind {
        Kind::IpList => json!(ips(value)?),
        Kind::U8 => json!(u8_value(value)?),
        Kind::U16 | Kind::Elapsed => json!(u16_value(value)?),
        Kind::U16List | Kind::CodeList => json!(u16_list(value)?),
        Kind::U32 => json!(u32_value(value)?),
        Kind::Text => json!(escaped(at_least_one(value)?)),
        Kind::DomainList => json!(names(value)?),
        Kind::Uris => json!(uris(value)?),
        Kind::UserClass => texts(v6::items(at_least_one(value)?).unwrap_or_else(|| vec![value])),
        Kind::BootParameters => texts(v6::items(at_least_one(value)?).ok_or("parameter cut off")?),
        Kind::ArchList => architectures(value)?
            .into_iter()
            .map(|arch| json!({ "code": arch.0, "name": arch.name() }))
            .collect(),
        _ => return Err("text".to_owned()),
    })
}

fn ip(value: &[u8]) -> Result<Ipv6Addr, String> {
    exactly::<16>(value).map(Ipv6Addr::from)
}

fn ips(value: &[u8]) -> Result<Vec<Ipv6Addr>, String> {
    Ok(groups::<16>(value)?.iter().map(|group| Ipv6Addr::from(*group)).collect())
}

/// 32-bit numbers, network order.
fn words<const BYTES: usize, const N: usize>(bytes: [u8; BYTES]) -> [u32; N] {
    let (words, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|index| words.get(index).map_or(0, |word| u32::from_be_bytes(*word)))
}

/// All ones means forever (RFC 8415, 7.7).
fn seconds(time: u32) -> String {
    if time == u32::MAX { "infinite".to_owned() } else { time.to_string() }
}

/// Names in wire form. A pointer is forbidden here (RFC 8415, 10), though some DHCPv4 options allow it.
fn names(value: &[u8]) -> Result<Vec<String>, String> {
    let mut rest = value;
    while let [size, tail @ ..] = rest {
        if *size >= 0xc0 {
            return Err("compressed name, which DHCPv6 forbids".to_owned());
        }
        rest = tail.get(usize::from(*size)..).unwrap_or_default();
    }
    domain::decode_list(value).map_err(str::to_owned)
}

/// RFC 4704, 4: flags N, O, S; a partial name has no final zero byte, no name at all is allowed.
fn fqdn(value: &[u8]) -> Result<String, String> {
    let (flags, name) = value.split_first().ok_or("needs 1 byte or more")?;
    let letters: String = [(0x04, 'N'), (0x02, 'O'), (0x01, 'S')]
        .into_iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, letter)| letter)
        .collect();
    let mut text = if letters.is_empty() { String::new() } else { format!("[{letters}] ") };
    if !name.is_empty() {
        let closed = [name, &[0]].concat();
        let names = names(name).or_else(|_| names(&closed))?;
        text += &format!("\"{}\"", names.join(","));
    }
    Ok(text.trim_end().to_owned())
}

fn enterprise(value: &[u8]) -> Result<(u32, &[u8]), String> {
    let (number, rest) = value.split_first_chunk::<4>().ok_or("needs 4 bytes or more")?;
    Ok((u32::from_be_bytes(*number), rest))
}

fn quoted_list(items: &[&[u8]]) -> String {
    items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(",")
}

/// `code=text` of each sub-option, and what could not be read.
fn sub_options(value: &[u8], text: impl Fn(u16, &[u8]) -> String) -> String {
    let mut walker = v6::Options(value);
    let mut parts: Vec<String> =
        walker.by_ref().map(|(code, value)| format!("{code}={}", text(code, value))).collect();
    if !walker.0.is_empty() {
        parts.push(malformed("cut off", walker.0));
    }
    parts.join(", ")
}

/// Hardware types are ARP's; 1 is Ethernet.
fn link_layer(kind: u16, address: &[u8]) -> String {
    match (kind, address.len()) {
        (1, 6) => format!("ether {}", colons(address)),
        _ => format!("hardware-type {kind}, {}", colons(address)),
    }
}

/// Prefix length and as many bytes as it needs.
fn short_prefix(value: &[u8]) -> Result<String, String> {
    let (length, bytes) = value.split_first().ok_or("needs a prefix length")?;
    if *length > 128 {
        return Err("prefix longer than 128 bits".to_owned());
    }
    let mut address = [0; 16];
    let needed = usize::from(length.div_ceil(8));
    if bytes.len() != needed {
        return Err(format!("needs {needed} bytes of prefix"));
    }
    address[..needed].copy_from_slice(bytes);
    Ok(format!("{}/{length}", Ipv6Addr::from(address)))
}

/// Prefix length and 16 bytes.
fn full_prefix(value: &[u8]) -> Result<String, String> {
    let (length, address) = value.split_first().ok_or("needs 17 bytes")?;
    if *length > 128 {
        return Err("prefix longer than 128 bits".to_owned());
    }
    Ok(format!("{}/{length}", ip(address).map_err(|_| "needs 17 bytes")?))
}

fn message_type(kind: u8) -> String {
    match kind {
        12 => "RELAY-FORW".to_owned(),
        13 => "RELAY-REPL".to_owned(),
        _ => v6::type_name(kind).map_or_else(|| format!("message type {kind}"), str::to_owned),
    }
}

/// The fixed header of a message.
fn message(head: &[u8]) -> Result<String, String> {
    match head {
        [kind, hops, addresses @ ..] if addresses.len() == 32 => {
            let (link, peer) = addresses.split_at(16);
            Ok(format!("{} hops {hops} link {} peer {}", message_type(*kind), ip(link)?, ip(peer)?))
        }
        [kind, xid @ ..] if xid.len() == 3 => Ok(format!("{} xid 0x{}", message_type(*kind), hex(xid))),
        _ => Err("message cut off".to_owned()),
    }
}

fn status(value: &[u8]) -> Result<String, String> {
    let (code, text) = value.split_first_chunk::<2>().ok_or("needs 2 bytes or more")?;
    let code = u16::from_be_bytes(*code);
    // RFC 8415, 21.13; RFC 5007, 4.1.3; RFC 7653, 5.3.
    let name = match code {
        0 => "Success",
        1 => "UnspecFail",
        2 => "NoAddrsAvail",
        3 => "NoBinding",
        4 => "NotOnLink",
        5 => "UseMulticast",
        6 => "NoPrefixAvail",
        7 => "UnknownQueryType",
        8 => "MalformedQuery",
        9 => "NotConfigured",
        10 => "NotAllowed",
        11 => "QueryTerminated",
        12 => "DataMissing",
        13 => "CatchUpComplete",
        14 => "NotSupported",
        15 => "TLSConnectionRefused",
        16 => "AddressInUse",
        17 => "ConfigurationConflict",
        18 => "MissingBindingInformation",
        19 => "OutdatedBindingInformation",
        20 => "ServerShuttingDown",
        21 => "DNSUpdateNotSupported",
        22 => "ExcessiveTimeSkew",
        _ => "status",
    };
    let text = if text.is_empty() { String::new() } else { format!(" {}", quoted(text)) };
    Ok(format!("{name} ({code}){text}"))
}
