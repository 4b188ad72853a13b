//! A DHCPv4 packet as text and JSON: the one form that log, `decode` and captures share.
//!
//! [`Packet::summary`] and [`Packet::details`] follow `tcpdump -vvv`: same field order, same names, so that a
//! test can compare both line by line; what tcpdump does not decode (43, 77, 97, 119, 175 and more) is decoded
//! here. [`Packet::brief`] says what the packet means for booting.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::catalogue::print::{colons, escaped, hex, quoted, until_nul};
use super::catalogue::{describe, describe_in, json_value, label, message_type, name};
use super::ipxe::{self, Ipxe};
use super::user_class;
use crate::client::arch::Arch;

/// The fixed fields of a packet (RFC 2131, 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// 1 request, 2 reply.
    pub op: u8,
    /// Hardware type, 1 for Ethernet.
    pub htype: u8,
    /// Length of the hardware address, bytes.
    pub hlen: u8,
    /// Relays passed.
    pub hops: u8,
    /// Transaction id.
    pub xid: u32,
    /// Seconds by the client's count; iPXE keeps its state here.
    pub secs: u16,
    /// Bit 15: answer by broadcast.
    pub flags: u16,
    /// The client's address, when it owns one.
    pub ciaddr: Ipv4Addr,
    /// The address offered or given.
    pub yiaddr: Ipv4Addr,
    /// Next server.
    pub siaddr: Ipv4Addr,
    /// Relay.
    pub giaddr: Ipv4Addr,
    /// Hardware address, `hlen` bytes (at most 16).
    pub chaddr: &'a [u8],
    /// Server name field, up to 64 bytes, as on the wire.
    pub sname: &'a [u8],
    /// Boot file field, up to 128 bytes, as on the wire.
    pub file: &'a [u8],
}

/// A packet as it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// Fixed fields.
    pub header: Header<'a>,
    /// Length of the UDP payload, bytes.
    pub length: usize,
    /// Code and joined value of each option, in wire order, without padding and end.
    pub options: &'a [(u8, &'a [u8])],
}

/// What iPXE keeps in `secs`: which offers it has, and how often it has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpxeState {
    /// Bit 0: it has an offer of a proxyDHCP server.
    pub proxy_offer: bool,
    /// Bit 1: it has an offer with an address.
    pub dhcp_offer: bool,
    /// Bits 2 and up: packets sent so far.
    pub sent: u16,
}

impl IpxeState {
    /// Reads `secs` of a client that is iPXE; from any other client it is time and means nothing here.
    pub fn from_secs(secs: u16) -> Self {
        Self { proxy_offer: secs & 1 != 0, dhcp_offer: secs & 2 != 0, sent: secs >> 2 }
    }
}

impl<'a> Packet<'a> {
    /// The line that tcpdump begins with, then addresses and names of the header when they are set.
    pub fn summary(&self) -> String {
        let mut line = self.first_line();
        let from_is_named = self.is_request() && self.is_ethernet();
        for (name, text) in self.header_fields() {
            if !(from_is_named && name == CLIENT) {
                let _ = write!(line, ", {name} {text}");
            }
        }
        line
    }

    /// One line per set header field and one per option, in wire order: `Server-ID (54), length 4: 10.0.0.1`.
    pub fn details(&self) -> Vec<String> {
        let class = self.option(60);
        let fields = self.header_fields().into_iter().map(|(name, text)| format!("{name} {text}"));
        let options = self.options.iter().map(|(code, value)| {
            let text = describe_in(*code, value, class);
            format!("{} ({code}), length {}: {text}", label(*code), value.len()).trim_end().to_owned()
        });
        fields.chain(options).collect()
    }

    /// What the packet means for booting: type, architecture, classes, iPXE and its features, identity, addresses.
    pub fn brief(&self) -> String {
        let mut parts = vec![self.message()];
        for arch in self.archs() {
            parts.push(format!("arch {arch} ({})", arch.0));
        }
        if let Some(class) = self.option(60) {
            parts.push(format!("class {}", quoted(class)));
        }
        if let Some(value) = self.option(77) {
            parts.push(format!("user class {}", user_class::describe(value)));
        }
        if let Some(ipxe) = self.ipxe() {
            parts.push(ipxe_text(&ipxe));
        }
        if let Some(state) = self.ipxe_state() {
            let offers = match (state.dhcp_offer, state.proxy_offer) {
                (true, true) => "has both offers, ",
                (true, false) => "has a DHCP offer, ",
                (false, true) => "has a proxy offer, ",
                // Its request to port 4011 is a conversation of its own and never carries the bits.
                (false, false) => "",
            };
            parts.push(format!("{offers}sent {}", state.sent));
        }
        if let Some(value) = self.option(43) {
            parts.push(format!("43 [{}]", describe_in(43, value, self.option(60))));
        }
        parts.extend(self.option(97).map(|value| format!("uuid {}", describe(97, value))));
        let address =
            |name: &str, code: u8| self.option(code).map(|value| format!("{name} {}", describe(code, value)));
        parts.extend(address("wants", 50));
        parts.extend(address("server", 54));
        parts.extend(self.option(56).map(|value| format!("says {}", quoted(value))));
        parts.join(", ")
    }

    /// The packet as JSON: fields of the header, the meaning of [`brief`](Self::brief), and every option with code,
    /// name, length, value and exact bytes.
    pub fn json(&self) -> Value {
        let header = &self.header;
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                map.insert(key.to_owned(), value);
            }
        };
        let address = |address: Ipv4Addr| {
            if address.is_unspecified() { Value::Null } else { json!(address.to_string()) }
        };
        let field = |bytes: &[u8]| if bytes.is_empty() { Value::Null } else { json!(escaped(bytes)) };
        put("op", json!(if self.is_request() { "request" } else { "reply" }));
        put("message", json!(self.message()));
        put("length", json!(self.length));
        if !self.is_ethernet() {
            put("htype", json!(header.htype));
        }
        put("hops", if header.hops == 0 { Value::Null } else { json!(header.hops) });
        put("xid", json!(format!("0x{:08x}", header.xid)));
        put("secs", json!(header.secs));
        put("broadcast", json!(header.flags & 0x8000 != 0));
        put("ciaddr", address(header.ciaddr));
        put("yiaddr", address(header.yiaddr));
        put("siaddr", address(header.siaddr));
        put("giaddr", address(header.giaddr));
        put("mac", json!(colons(header.chaddr)));
        put("sname", field(self.sname()));
        put("file", field(self.file()));
        if let Some(ipxe) = self.ipxe() {
            let features: Vec<String> = ipxe.features.iter().map(|code| ipxe::feature_name(*code)).collect();
            let nic = ipxe.bus_text();
            put("ipxe", json!({ "version": ipxe.version_text(), "features": features, "nic": nic }));
        }
        if let Some(state) = self.ipxe_state() {
            put(
                "ipxe_state",
                json!({
                    "dhcp_offer": state.dhcp_offer, "proxy_offer": state.proxy_offer, "sent": state.sent,
                }),
            );
        }
        let class = self.option(60);
        let options = self.options.iter().map(|(code, value)| {
            json!({
                "code": code,
                "name": name(*code),
                "length": value.len(),
                "value": json_value(*code, value, class),
                "hex": hex(value),
            })
        });
        put("options", options.collect());
        Value::Object(map)
    }

    /// Message type in capitals: `DISCOVER`; `BOOTP` without option 53.
    fn message(&self) -> String {
        match self.option(53) {
            Some([number]) => {
                message_type(*number).map_or_else(|| format!("TYPE-{number}"), str::to_ascii_uppercase)
            }
            Some(_) => "TYPE-UNREADABLE".to_owned(),
            None => "BOOTP".to_owned(),
        }
    }

    /// Exactly tcpdump's words, order and omissions.
    fn first_line(&self) -> String {
        let header = &self.header;
        let mut line = match header.op {
            1 => "BOOTP/DHCP, Request".to_owned(),
            2 => "BOOTP/DHCP, Reply".to_owned(),
            op => format!("BOOTP/DHCP, unknown (0x{op:02x})"),
        };
        if self.is_request() && self.is_ethernet() {
            let _ = write!(line, " from {}", colons(header.chaddr));
        }
        let _ = write!(line, ", length {}", self.length);
        if header.htype != 1 {
            let _ = write!(line, ", htype {}", header.htype);
        } else if header.hlen != 6 {
            let _ = write!(line, ", hlen {}", header.hlen);
        }
        if header.hops != 0 {
            let _ = write!(line, ", hops {}", header.hops);
        }
        if header.xid != 0 {
            let _ = write!(line, ", xid 0x{:x}", header.xid);
        }
        if header.secs != 0 {
            let _ = write!(line, ", secs {}", header.secs);
        }
        let broadcast = if header.flags & 0x8000 != 0 { "Broadcast" } else { "none" };
        // The other bits must be zero (RFC 2131, 2); who sets one shall see it.
        let more = if header.flags & 0x7fff != 0 { ", unknown" } else { "" };
        let _ = write!(line, ", Flags [{broadcast}{more}] (0x{:04x})", header.flags);
        line
    }

    fn header_fields(&self) -> Vec<(&'static str, String)> {
        let header = &self.header;
        let addresses = [
            ("Client-IP", header.ciaddr),
            ("Your-IP", header.yiaddr),
            ("Server-IP", header.siaddr),
            ("Gateway-IP", header.giaddr),
        ];
        let mut fields: Vec<(&'static str, String)> = addresses
            .into_iter()
            .filter(|(_, address)| !address.is_unspecified())
            .map(|(name, address)| (name, address.to_string()))
            .collect();
        if self.is_ethernet() {
            fields.push((CLIENT, colons(header.chaddr)));
        } else if !header.chaddr.is_empty() {
            fields.push(("Client-Hardware-Address", colons(header.chaddr)));
        }
        for (name, text) in [("sname", self.sname()), ("file", self.file())] {
            if !text.is_empty() {
                fields.push((name, quoted(text)));
            }
        }
        fields
    }

    /// The name in `sname`, unless option 52 says that it holds options.
    fn sname(&self) -> &'a [u8] {
        if self.overload() & 2 != 0 { &[] } else { until_nul(self.header.sname) }
    }

    /// The name in `file`, unless option 52 says that it holds options.
    fn file(&self) -> &'a [u8] {
        if self.overload() & 1 != 0 { &[] } else { until_nul(self.header.file) }
    }

    fn overload(&self) -> u8 {
        match self.option(52) {
            Some([bits]) => *bits,
            _ => 0,
        }
    }

    fn option(&self, code: u8) -> Option<&'a [u8]> {
        self.options.iter().find(|(found, _)| *found == code).map(|(_, value)| *value)
    }

    fn archs(&self) -> Vec<Arch> {
        let codes = self.option(93).unwrap_or_default().as_chunks::<2>().0;
        codes.iter().map(|code| Arch(u16::from_be_bytes(*code))).collect()
    }

    fn ipxe(&self) -> Option<Ipxe<'a>> {
        self.option(175).map(Ipxe::parse)
    }

    /// Only of a client's packet: in a reply `secs` is an echo at best.
    fn ipxe_state(&self) -> Option<IpxeState> {
        let is_ipxe = self.option(175).is_some() || self.option(77).is_some_and(user_class::says_ipxe);
        (self.is_request() && is_ipxe).then(|| IpxeState::from_secs(self.header.secs))
    }

    fn is_request(&self) -> bool {
        self.header.op == 1
    }

    fn is_ethernet(&self) -> bool {
        self.header.htype == 1 && self.header.hlen == 6
    }
}

const CLIENT: &str = "Client-Ethernet-Address";

fn ipxe_text(ipxe: &Ipxe<'_>) -> String {
    let mut text = "iPXE".to_owned();
    if let Some(version) = ipxe.version_text() {
        let _ = write!(text, " {version}");
    }
    if !ipxe.features.is_empty() {
        let names: Vec<String> = ipxe.features.iter().map(|code| ipxe::feature_name(*code)).collect();
        let _ = write!(text, " ({})", names.join(" "));
    }
    if let Some(bus) = ipxe.bus_text() {
        let _ = write!(text, " on {bus}");
    }
    text
}

#[cfg(test)]
mod tests;
