//! Every DHCPv4 option once: code, names, type, text form. DHCPv6 has its own in [`v6`].
//!
//! The table in `catalogue/table.rs` is the only place that knows an option. The log, `decode`, settings
//! (`options:` in nodes.yaml and bootlace.yaml), `explain` and `docs/options.md` all read it. Values are plain
//! `(code, bytes)` pairs here: splitting and joining packets (RFC 3396) happens elsewhere, before and after.

mod describe;
pub mod domain;
mod parse;
pub mod print;
pub mod suboptions;
mod table;
pub mod v6;

pub use describe::{describe, describe_in, json_value};
pub use parse::parse_option;
pub use table::OPTIONS;

/// One option with its value in wire form, as settings or records state it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypedOption {
    /// Option code, 1 to 254.
    pub code: u8,
    /// Value in wire form.
    pub value: Vec<u8>,
}

/// Longest value that fits one option. A longer one is split (RFC 3396), which most PXE ROMs cannot join [P4].
pub const MAX_VALUE: usize = 255;

/// What a value means, and so how it is written in settings and in the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// One IPv4 address.
    Ip,
    /// One or more IPv4 addresses.
    IpList,
    /// Pairs of IPv4 addresses: destination and router, or address and mask.
    IpPairs,
    /// One byte.
    U8,
    /// 16 bits, network order.
    U16,
    /// One or more 16-bit numbers.
    U16List,
    /// 32 bits, network order; seconds where it is a time.
    U32,
    /// 32 bits, two's complement.
    I32,
    /// One byte, 0 or 1.
    Bool,
    /// No value: the option's presence is the message.
    Empty,
    /// Characters, not terminated.
    Text,
    /// Bytes whose meaning is the vendor's or needs more context than one option.
    Bytes,
    /// Domain names in DNS wire form (RFC 1035, 3.1), compressed or not.
    DomainList,
    /// Classless static routes (RFC 3442): prefix length, significant bytes, router.
    Routes,
    /// URIs, each with a 16-bit length (RFC 8572).
    Uris,
    /// DHCP message type.
    MessageType,
    /// Which header fields carry options: 1 file, 2 sname, 3 both.
    Overload,
    /// Option codes.
    ParamList,
    /// Vendor class: `PXEClient:Arch:…` and its relatives.
    VendorClass,
    /// Client identifier: hardware type and address, or RFC 4361's IAID and DUID.
    ClientId,
    /// User class, RFC 3004's list or one raw string.
    UserClass,
    /// Client FQDN (RFC 4702).
    Fqdn,
    /// Relay agent information (RFC 3046).
    Relay,
    /// Client system architectures (RFC 4578).
    ArchList,
    /// Client network interface: type, major, minor (RFC 4578).
    Ndi,
    /// Client machine identifier (RFC 4578): type 0 and 16 bytes.
    Uuid,
    /// SIP servers as names or addresses (RFC 3361).
    SipServers,
    /// SLP directory agents (RFC 2610).
    SlpAgents,
    /// SLP scope (RFC 2610).
    SlpScope,
    /// Vendor-specific information: meaning by vendor class, PXE first of all.
    Vendor43,
    /// Vendor-identifying vendor class (RFC 3925).
    ViClass,
    /// Vendor-identifying vendor-specific information (RFC 3925).
    ViInfo,
    /// iPXE's encapsulated options.
    Ipxe,
}

impl Kind {
    /// What a value of this kind looks like in settings, to complete "needs …".
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Ip => "an IPv4 address such as 10.0.0.1",
            Self::IpList => "an IPv4 address or a list of them such as [10.0.0.1, 10.0.0.2]",
            Self::IpPairs => {
                "address pairs such as \"10.1.0.0:10.0.0.1\" (destination:router or address:mask), or a list"
            }
            Self::U8 => "a whole number from 0 to 255",
            Self::U16 => "a whole number from 0 to 65535",
            Self::U16List => "a whole number from 0 to 65535, or a list of them",
            Self::U32 => "a whole number from 0 to 4294967295",
            Self::I32 => "a whole number from -2147483648 to 2147483647",
            Self::Bool => "true or false",
            Self::Empty => "true (the option has no value)",
            Self::Text | Self::VendorClass => "text in quotes",
            Self::DomainList => "a domain name such as example.org, or a list of them",
            Self::Routes => {
                "routes such as \"10.1.0.0/16 via 10.0.0.1\" or \"default via 10.0.0.1\", or a list"
            }
            Self::Uris => "a URI such as \"https://10.0.0.1/ztp\", or a list of them",
            Self::SipServers => "names or IPv4 addresses of SIP servers, not both",
            Self::Vendor43 | Self::Bytes => {
                "a value with its type, such as {hex: \"01ff\"}, {text: \"abc\"}, {ip: 10.0.0.1}, {u8: 1}, \
                 {u16: 1} or {u32: 1}"
            }
            Self::MessageType
            | Self::Overload
            | Self::ParamList
            | Self::ClientId
            | Self::UserClass
            | Self::Fqdn
            | Self::Relay
            | Self::ArchList
            | Self::Ndi
            | Self::Uuid
            | Self::SlpAgents
            | Self::SlpScope
            | Self::ViClass
            | Self::ViInfo
            | Self::Ipxe => "raw bytes such as {hex: \"01ff\"}",
        }
    }
}

/// One option of the registry.
#[derive(Clone, Copy, Debug)]
pub struct OptionRow {
    /// Code on the wire, 1 to 254.
    pub code: u8,
    /// Name in settings and JSON: lower case, hyphens.
    pub name: &'static str,
    /// Name in IANA's registry; for codes that nobody registered, what their users call them.
    pub iana: &'static str,
    /// Label of the text form: tcpdump's where it has one, so that both outputs can be compared line by line.
    pub label: &'static str,
    /// What the value means.
    pub kind: Kind,
    /// Where it is defined.
    pub source: &'static str,
    /// Why settings may not state it, when they may not.
    pub refused: Option<&'static str>,
}

/// The row of a code; none for 0, 255 and unassigned codes.
pub fn row(code: u8) -> Option<&'static OptionRow> {
    OPTIONS.binary_search_by_key(&code, |row| row.code).ok().map(|index| &OPTIONS[index])
}

/// The row of a name: ours or IANA's, in any case, with spaces, hyphens or underscores.
pub fn by_name(name: &str) -> Option<&'static OptionRow> {
    let wanted = normal(name);
    OPTIONS.iter().find(|row| row.name == wanted || normal(row.iana) == wanted)
}

/// Name of a code in settings and JSON; `option-N` where none is assigned.
pub fn name(code: u8) -> String {
    row(code).map_or_else(|| format!("option-{code}"), |row| row.name.to_owned())
}

/// Label of a code in the text form; `Unknown` where none is assigned.
pub fn label(code: u8) -> &'static str {
    match code {
        0 => "PAD",
        255 => "END",
        _ => row(code).map_or("Unknown", |row| row.label),
    }
}

/// DHCP message types (option 53), as tcpdump names them; `None` for numbers without a meaning here.
pub fn message_type(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "Discover",
        2 => "Offer",
        3 => "Request",
        4 => "Decline",
        5 => "ACK",
        6 => "NACK",
        7 => "Release",
        8 => "Inform",
        9 => "Force-Renew",
        10 => "Lease-Query",
        11 => "Lease-Unassigned",
        12 => "Lease-Unknown",
        13 => "Lease-Active",
        _ => return None,
    })
}

fn normal(name: &str) -> String {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
