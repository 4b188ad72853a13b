//! Every DHCPv6 option once: code, names, type, text form; and the walk through options inside options.
//!
//! [`read`] keeps every byte: what forms no option stays as the rest of its list, and what is too short for its type
//! stays a plain value that [`describe`] marks. The log and `docs/options.md` read the table in `v6/table.rs`.

mod describe;
mod table;

pub use describe::{describe, json};
pub use table::OPTIONS;

use crate::dhcp::v6::Options;

/// Levels of options inside options that are read: 8 relays (RFC 8415, 7.6: HOP_COUNT_LIMIT), an identity association,
/// an address and its status, and one to spare. Deeper is no packet of anybody's; it is shown as its bytes.
const MAX_DEPTH: usize = 12;

/// What a value means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// One IPv6 address.
    Ip,
    /// One or more IPv6 addresses.
    IpList,
    /// IPv6 addresses; none means something, too (RFC 7341, 7.2).
    IpListOrEmpty,
    /// One byte.
    U8,
    /// 16 bits, network order.
    U16,
    /// One or more 16-bit numbers.
    U16List,
    /// 32 bits, network order; seconds where it is a time.
    U32,
    /// No value: the option's presence is the message.
    Empty,
    /// Characters, not terminated.
    Text,
    /// Bytes whose meaning is the vendor's, or that bootlace does not take apart.
    Bytes,
    /// Domain names in DNS wire form, never compressed (RFC 8415, 10).
    DomainList,
    /// URIs, each with a 16-bit length (RFC 8572).
    Uris,
    /// DHCP unique identifier (RFC 8415, 11).
    Duid,
    /// Option codes of 16 bits.
    CodeList,
    /// Hundredths of a second, 16 bits.
    Elapsed,
    /// Status code and a text for people.
    Status,
    /// User classes, each with a 16-bit length; or one raw string, as Microsoft and old iPXE builds send.
    UserClass,
    /// Enterprise number and vendor classes, each with a 16-bit length.
    VendorClass,
    /// Enterprise number and options of the vendor, code and length of 16 bits each.
    VendorOptions,
    /// Parameters, each with a 16-bit length.
    BootParameters,
    /// Client system architectures.
    ArchList,
    /// Client network interface: type, major, minor.
    Nii,
    /// Flags and a full or partial domain name.
    Fqdn,
    /// Enterprise number and bytes.
    Enterprise,
    /// Hardware type, 16 bits, and address.
    LinkLayer,
    /// Hardware address of 6 bytes.
    Hardware,
    /// DHCPv6 message type.
    MessageType,
    /// Protocol, algorithm, replay detection and information of an authentication.
    Auth,
    /// Time servers: sub-options of addresses and names.
    Ntp,
    /// Sub-options, code and length of 16 bits each, whose values are not taken apart.
    SubOptions,
    /// Prefix length and as many bytes as it needs.
    Prefix,
    /// Prefix length and 16 bytes.
    FullPrefix,
    /// Name server, preference and the domains that it is for.
    Rdnss,
    /// A DHCPv4 message.
    Dhcpv4,
    /// Options and nothing before them.
    Options,
    /// Identity association: IAID, T1, T2, options.
    Ia,
    /// Identity association for temporary addresses: IAID, options.
    IaTa,
    /// Address, preferred and valid lifetime, options.
    IaAddress,
    /// Preferred and valid lifetime, prefix, options.
    IaPrefix,
    /// A whole DHCPv6 message.
    Message,
    /// Query type, link address, options.
    LeaseQuery,
    /// Address of a relay, and the message that it relayed.
    RelayData,
    /// Flags, options.
    AddressSelection,
    /// MAP rule: flags, lengths, IPv4 and IPv6 prefix, options.
    S46Rule,
    /// IPv4 address, IPv6 prefix, options.
    S46Binding,
    /// Hardware type and address, how many more, valid lifetime, options.
    LinkLayerBlock,
}

impl Kind {
    /// Bytes before the options inside a value; `None` for a kind without any, and for a value too short for its kind.
    fn head(self, value: &[u8]) -> Option<usize> {
        let prefix = |at: usize| Some(at + 1 + usize::from(value.get(at)?.div_ceil(8)));
        let length = match self {
            Self::Options => 0,
            Self::AddressSelection => 1,
            Self::IaTa => 4,
            Self::Ia => 12,
            Self::LeaseQuery => 17,
            Self::IaAddress => 24,
            Self::IaPrefix => 25,
            Self::Message => message_head(value)?,
            Self::RelayData => 16 + message_head(value.get(16..)?)?,
            Self::S46Rule => prefix(7)?,
            Self::S46Binding => prefix(4)?,
            Self::LinkLayerBlock => {
                let length = value.get(2..4)?.first_chunk::<2>()?;
                4 + usize::from(u16::from_be_bytes(*length)) + 8
            }
            _ => return None,
        };
        (length <= value.len()).then_some(length)
    }
}

/// Bytes of a message before its options: 34 of a relay's, 4 of any other (RFC 8415, 8 and 9).
fn message_head(message: &[u8]) -> Option<usize> {
    Some(if matches!(message.first()?, 12 | 13) { 34 } else { 4 })
}

/// One option of the registry.
#[derive(Clone, Copy, Debug)]
pub struct OptionRow {
    /// Code on the wire.
    pub code: u16,
    /// Name in JSON: lower case, hyphens.
    pub name: &'static str,
    /// Name in IANA's registry.
    pub iana: &'static str,
    /// Label of the text form: tshark's where it has one, so that both outputs can be compared.
    pub label: &'static str,
    /// What the value means.
    pub kind: Kind,
    /// Where it is defined.
    pub source: &'static str,
}

/// The row of a code; none where no option is assigned.
pub fn row(code: u16) -> Option<&'static OptionRow> {
    OPTIONS.binary_search_by_key(&code, |row| row.code).ok().map(|index| &OPTIONS[index])
}

/// Name of a code in JSON; `option-N` where none is assigned.
pub fn name(code: u16) -> String {
    row(code).map_or_else(|| format!("option-{code}"), |row| row.name.to_owned())
}

/// Label of a code in the text form; `Unknown` where none is assigned.
pub fn label(code: u16) -> &'static str {
    row(code).map_or("Unknown", |row| row.label)
}

/// One option as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// Code.
    pub code: u16,
    /// Whole value, the options inside it included.
    pub value: &'a [u8],
    /// What lies inside, for a type that holds options and a value long enough for it.
    pub inside: Option<Inside<'a>>,
}

/// The parts of a value that holds options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inside<'a> {
    /// Fields before the options, such as IAID, T1 and T2.
    pub head: &'a [u8],
    /// The options.
    pub options: List<'a>,
}

/// Options in wire order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct List<'a> {
    /// The options.
    pub items: Vec<Item<'a>>,
    /// Bytes behind them that form no further option.
    pub rest: &'a [u8],
}

impl List<'_> {
    /// One line per option, in wire order: `Elapsed time (8), length 2: 1.50s`; then what could not be read.
    pub fn lines(&self) -> Vec<String> {
        let line = |item: &Item<'_>| {
            let title = format!("{} ({}), length {}", label(item.code), item.code, item.value.len());
            titled(title, &describe(item))
        };
        let rest =
            (!self.rest.is_empty()).then(|| super::describe::malformed("last option cut off", self.rest));
        self.items.iter().map(line).chain(rest).collect()
    }
}

/// An option without a text, such as Rapid Commit, is its title alone.
fn titled(title: String, text: &str) -> String {
    if text.is_empty() { title } else { format!("{title}: {text}") }
}

/// Reads options, and the options inside them. Never fails: what is no option is the list's rest.
pub fn read(options: &[u8]) -> List<'_> {
    walk(options, MAX_DEPTH)
}

/// The options of a whole message, those of the outermost relay first.
pub fn read_message(message: &[u8]) -> List<'_> {
    let head = message_head(message).unwrap_or_default();
    message.get(head..).map(read).unwrap_or_default()
}

fn walk(options: &[u8], depth: usize) -> List<'_> {
    let mut walker = Options(options);
    let items = walker.by_ref().map(|(code, value)| item(code, value, depth)).collect();
    List { items, rest: walker.0 }
}

fn item(code: u16, value: &[u8], depth: usize) -> Item<'_> {
    let head = row(code).and_then(|row| row.kind.head(value));
    let inside = head.filter(|_| depth > 1).and_then(|head| value.split_at_checked(head));
    let inside = inside.map(|(head, options)| Inside { head, options: walk(options, depth - 1) });
    Item { code, value, inside }
}

#[cfg(test)]
mod tests;
