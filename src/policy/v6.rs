//! The decision for DHCPv6 (RFC 8415): who is served, with which address and which boot file URL.
//!
//! Stateless: the record decides, so every stage of a boot gets the same address whatever DUID and IAID it
//! comes with [S3], and a restart between ADVERTISE and REQUEST harms nobody. There is no proxyDHCPv6 [S11]:
//! beside another server only INFORMATION-REQUEST is answered, with the URL.

mod boot;
mod identity;

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;

use ipnet::Ipv6Net;

use crate::config::{LEASE, Mode};
use crate::dhcp::v6::reply::{self, Lifetimes};
use crate::dhcp::v6::{Ia, Message, Reply};
use crate::records::{Mac, Node};
use crate::world::World;

use super::Reason;
use super::decide::Trail;

pub(crate) use identity::mac_of;

/// Port that clients listen on.
pub const CLIENT_PORT: u16 = 546;
/// Port that servers and relays listen on.
pub const SERVER_PORT: u16 = 547;
/// Identity associations answered at most: a crafted packet holds hundreds.
const ASSOCIATIONS_MAX: usize = 16;

const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const REPLY: u8 = 7;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const INFORMATION_REQUEST: u8 = 11;

/// Status codes (RFC 8415, 21.13).
mod status {
    pub const SUCCESS: u16 = 0;
    pub const NO_ADDRESSES: u16 = 2;
    pub const NO_BINDING: u16 = 3;
    pub const NOT_ON_LINK: u16 = 4;
    pub const USE_MULTICAST: u16 = 5;
    pub const NO_PREFIX: u16 = 6;
}

/// Option codes.
mod code {
    pub const CLIENT_ID: u16 = 1;
    pub const SERVER_ID: u16 = 2;
    pub const IA_NA: u16 = 3;
    pub const IA_PD: u16 = 25;
    pub const PREFERENCE: u16 = 7;
    pub const STATUS: u16 = 13;
    pub const RAPID_COMMIT: u16 = 14;
    pub const DNS: u16 = 23;
    pub const SEARCH: u16 = 24;
}

/// How a DHCPv6 message came to us.
#[derive(Clone, Debug)]
pub struct ArrivalV6 {
    /// Name of the interface.
    pub interface: Arc<str>,
    /// Mode there.
    pub mode: Mode,
    /// Whether DHCPv6 is served there (`dhcpv6`).
    pub served: bool,
    /// Our card there: our DUID is made of it. `None` where there is none, and then nothing can be answered.
    pub mac: Option<Mac>,
    /// Our own addresses there with their networks, link-local ones left out.
    pub addresses: Vec<Ipv6Net>,
    /// IP source of the message: the client, or the last relay.
    pub source: SocketAddrV6,
    /// Link-layer source of the frame, where frames are seen.
    pub source_mac: Option<Mac>,
    /// It was sent to one of our own addresses and not to the group.
    pub unicast: bool,
}

/// One DHCPv6 message with everything known about it.
#[derive(Clone, Copy, Debug)]
pub struct RequestV6<'a> {
    /// The client's message, out of the relay messages around it.
    pub message: &'a Message<'a>,
    /// How it came.
    pub arrival: &'a ArrivalV6,
}

/// What happens to one DHCPv6 message, and why.
#[derive(Clone, Debug)]
pub struct DecisionV6 {
    /// The answer, or the reason for silence.
    pub verdict: VerdictV6,
    /// The node record that matched.
    pub node: Option<Arc<Node>>,
    /// The steps that led here, in order, in words with rule tags.
    pub because: Vec<String>,
    /// The address that a REPLY gave to a card, for the shell to remember.
    pub learned: Option<(Ipv6Addr, Mac)>,
}

/// Answer or silence.
#[derive(Clone, Debug)]
pub enum VerdictV6 {
    /// This is sent.
    Answer(Box<AnswerV6>),
    /// Nothing is sent: the interface or the node is only observed. This would have been.
    WouldAnswer(Box<AnswerV6>),
    /// Nothing is sent.
    Silence(Reason),
}

/// A reply and its way.
#[derive(Clone, Debug)]
pub struct AnswerV6 {
    /// The message to the client.
    pub reply: Reply,
    /// The bytes that leave: the message, inside relay messages where the request was.
    pub bytes: Vec<u8>,
    /// Where they go: the client's own address at port 546, or the relay's at 547.
    pub to: SocketAddrV6,
    /// Why it carries no boot file URL, when it was a boot client that asked.
    pub without_boot: Option<Reason>,
}

/// What one node may have on this link.
struct Offer<'a> {
    node: &'a Arc<Node>,
    card: Option<Mac>,
    address: Result<Ipv6Addr, Reason>,
}

/// Decides one DHCPv6 message. Total: every message gets an answer or a reason.
pub fn decide_v6(request: &RequestV6<'_>, world: &World) -> DecisionV6 {
    let mut trail = Trail::default();
    let mut found = None;
    let mut learned = None;
    let mut observed = false;
    let verdict = match verdict(request, world, &mut trail, &mut found, &mut learned, &mut observed) {
        Ok((reply, without_boot)) => {
            let RequestV6 { message, arrival } = request;
            let mut to = arrival.source;
            to.set_port(if message.hops.is_empty() { CLIENT_PORT } else { SERVER_PORT });
            let bytes = reply.encode(&message.hops);
            let answer = Box::new(AnswerV6 { reply, bytes, to, without_boot });
            if observed {
                // What was not sent has no consequences.
                learned = None;
                VerdictV6::WouldAnswer(answer)
            } else {
                VerdictV6::Answer(answer)
            }
        }
        Err(reason) => VerdictV6::Silence(reason),
    };
    DecisionV6 { verdict, node: found, because: trail.because, learned }
}

/// DUID-LL of a card (RFC 8415, 11.4): the same after every restart, without a file to keep.
pub fn duid(mac: Mac) -> Vec<u8> {
    [&[0, 3, 0, 1][..], &mac.bytes()].concat()
}

type Answered = (Reply, Option<Reason>);

fn verdict(
    request: &RequestV6<'_>,
    world: &World,
    trail: &mut Trail,
    found: &mut Option<Arc<Node>>,
    learned: &mut Option<(Ipv6Addr, Mac)>,
    observed: &mut bool,
) -> Result<Answered, Reason> {
    let RequestV6 { message, arrival } = request;
    if !message.from_client() {
        return Err(Reason::NotARequest);
    }
    if !arrival.served {
        return Err(Reason::Dhcpv6NotServed);
    }
    if let Some(hop) = message.hops.first() {
        trail.step(format!("relayed by {}", arrival.source.ip()));
        trail.step(format!("the client is at {}", message.hops.last().unwrap_or(hop).peer));
    }
    let own = duid(arrival.mac.ok_or(Reason::NoOwnAddressV6)?);
    well_formed(message)?;
    if message.server_duid.is_some_and(|server| server != own) {
        // RFC 8415, 16: a message that names another server is that server's.
        trail.step(format!("for server {}", crate::dhcp::v6::duid(message.server_duid.unwrap_or_default())));
        return Err(Reason::OtherServerChosen);
    }
    let Some((node, card)) = identity::find(request, &world.records, trail) else {
        return Err(Reason::UnknownMac);
    };
    *found = Some(Arc::clone(&node));
    let mode;
    (mode, *observed) = mode_of(arrival, &node, world, trail);
    if !mode.answers_on_67() {
        return Err(Reason::Only4011);
    }
    let mut reply = Reply { kind: REPLY, xid: message.xid, options: Vec::new() };
    if let Some(client) = message.client_duid {
        reply.add(code::CLIENT_ID, client);
    }
    reply.add(code::SERVER_ID, own);
    if message.kind == INFORMATION_REQUEST {
        let asks = boot::asks(message);
        if !mode.gives_addresses() && !asks {
            // Name servers are the network's business where somebody else gives the addresses.
            return Err(Reason::NotPxe);
        }
        let boot = boot::url(&mut reply, request, &node, card, None, mode, world, trail);
        if !mode.gives_addresses() {
            boot?;
            return Ok((reply, None));
        }
        network(&mut reply, message, node_address(&node, card), world);
        return Ok((reply, boot.err().filter(|_| asks)));
    }
    if !mode.gives_addresses() {
        trail.step("there is no proxyDHCPv6: only INFORMATION-REQUEST is answered in this mode [S11]");
        return Err(Reason::NoProxyV6);
    }
    if arrival.unicast
        && message.hops.is_empty()
        && matches!(message.kind, REQUEST | RENEW | RELEASE | DECLINE)
    {
        trail.step("sent to our own address, which nobody was told to do");
        reply.add(code::STATUS, reply::status(status::USE_MULTICAST, "use the group ff02::1:2"));
        return Ok((reply, None));
    }
    let offer = Offer { node: &node, card, address: reserved(request, &node, card, world) };
    match message.kind {
        SOLICIT | REQUEST | RENEW | REBIND => {
            assign(reply, request, &offer, mode, world, trail).inspect(|(reply, _)| {
                if reply.kind == REPLY
                    && let (Ok(address), Some(card)) = (offer.address, offer.card)
                {
                    *learned = Some((address, card));
                }
            })
        }
        CONFIRM => confirm(reply, request, &offer, world, trail),
        _ => Ok((end(reply, message, &offer, trail), None)),
    }
}

/// The mode that this request is judged by, and whether nothing is sent: as for DHCPv4. The interface's is the
/// ceiling, the record can only restrict it; who is only observed is judged as if he were not.
fn mode_of(arrival: &ArrivalV6, node: &Node, world: &World, trail: &mut Trail) -> (Mode, bool) {
    let mode = arrival.mode.restricted_by(node.mode);
    if mode != arrival.mode {
        trail.step(format!("the record restricts the mode to {}", mode.name()));
    }
    if mode.answers() {
        return (mode, false);
    }
    let general =
        if arrival.mode.answers() { arrival.mode } else { world.settings.observed_as(&arrival.interface) };
    let judged = general.restricted_by(node.mode.filter(|wish| wish.answers()));
    trail.step(format!("only observed; judged as in mode {}", judged.name()));
    (judged, true)
}

/// What RFC 8415, 16 wants discarded: a client without an identity, a server where none may be named.
fn well_formed(message: &Message<'_>) -> Result<(), Reason> {
    let (client, server) = (message.client_duid, message.server_duid);
    // A DUID has 130 bytes at most (RFC 8415, 11.1).
    let known = client.is_some_and(|duid| (3..=130).contains(&duid.len()));
    let ok = match message.kind {
        SOLICIT | CONFIRM | REBIND => known && server.is_none(),
        REQUEST | RENEW | RELEASE | DECLINE => known && server.is_some(),
        INFORMATION_REQUEST => (client.is_none() || known) && message.ias.is_empty(),
        _ => false,
    };
    if ok { Ok(()) } else { Err(Reason::Malformed) }
}

/// The first IPv6 address on record: of the card that asks, else of the node's first that has one.
fn node_address(node: &Node, card: Option<Mac>) -> Option<Ipv6Addr> {
    let first = |nic: &crate::records::Nic| {
        nic.addresses.iter().find_map(|address| match address {
            std::net::IpAddr::V6(v6) => Some(*v6),
            std::net::IpAddr::V4(_) => None,
        })
    };
    match card.and_then(|mac| node.nic(mac)) {
        Some(nic) => first(nic),
        None => node.nics.iter().find_map(first),
    }
}

/// The address that this node gets on this link.
fn reserved(
    request: &RequestV6<'_>,
    node: &Node,
    card: Option<Mac>,
    world: &World,
) -> Result<Ipv6Addr, Reason> {
    let address = node_address(node, card).ok_or(Reason::NoAddress)?;
    if on_link(request, address, world) { Ok(address) } else { Err(Reason::AddressOutside) }
}

/// Whether an address is right on the client's link: in the interface's own networks, or behind a relay in the
/// subnet that the relay's link address lies in.
fn on_link(request: &RequestV6<'_>, address: Ipv6Addr, world: &World) -> bool {
    // The relay next to the client knows its link (RFC 8415, 13.1).
    let link = request.message.hops.iter().rev().map(|hop| hop.link).find(|link| !link.is_unspecified());
    let subnet = world.settings.v6.subnet_of(address);
    match link {
        Some(link) => match subnet {
            Some(subnet) => subnet.subnet.contains(&link),
            // Without a subnet in the settings: a link's prefix is 64 bits long [S6].
            None => Ipv6Net::new(link, 64).is_ok_and(|net| net.contains(&address)),
        },
        None => {
            let own = &request.arrival.addresses;
            own.iter().any(|net| net.contains(&address))
                || subnet.is_some_and(|subnet| {
                    own.is_empty() || own.iter().any(|net| subnet.subnet.contains(&net.addr()))
                })
        }
    }
}

/// ADVERTISE and REPLY are built here alike, so they cannot differ.
fn assign(
    mut reply: Reply,
    request: &RequestV6<'_>,
    offer: &Offer<'_>,
    mode: Mode,
    world: &World,
    trail: &mut Trail,
) -> Result<Answered, Reason> {
    let message = request.message;
    match &offer.address {
        Ok(address) => trail.step(format!("{address} reserved [S3]")),
        // Another server may have an address; a REQUEST is for us and must be told.
        Err(reason) if message.kind == SOLICIT => return Err(*reason),
        Err(reason) => trail.step(format!("no address: {}", reason.text())),
    }
    if message.kind == SOLICIT {
        if message.rapid_commit {
            trail.step("rapid commit: REPLY at once");
            reply.add(code::RAPID_COMMIT, []);
        } else {
            reply.kind = ADVERTISE;
            // The record names this node: no need to wait for other servers (RFC 8415, 18.2.1).
            reply.add(code::PREFERENCE, [255]);
        }
    }
    let subnet = offer.address.ok().and_then(|address| world.settings.v6.subnet_of(address));
    let times = Lifetimes::of(subnet.map_or(LEASE, |subnet| subnet.lease));
    let mut given = false;
    for ia in message.ias.iter().take(ASSOCIATIONS_MAX) {
        let inside = association(request, ia, offer, times, &mut given, world, trail);
        let times = inside.1.then_some(times);
        reply.add(ia.code, reply::association(ia.code, ia.id, times, &inside.0));
    }
    let address = offer.address.ok();
    network(&mut reply, message, address, world);
    let boot = boot::url(&mut reply, request, offer.node, offer.card, address, mode, world, trail);
    Ok((reply, boot.err().filter(|_| boot::asks(message))))
}

/// What stands inside the answer to one identity association, and whether that gives an address.
fn association(
    request: &RequestV6<'_>,
    ia: &Ia,
    offer: &Offer<'_>,
    times: Lifetimes,
    given: &mut bool,
    world: &World,
    trail: &mut Trail,
) -> (Vec<u8>, bool) {
    let refused = |code, text: &str| (reply::option(code::STATUS, &reply::status(code, text)), false);
    let message = request.message;
    match ia.code {
        code::IA_NA => {}
        code::IA_PD => {
            trail.step("prefixes are not delegated");
            return refused(status::NO_PREFIX, "prefixes are not delegated");
        }
        _ => {
            trail.step("temporary addresses are not given");
            return refused(status::NO_ADDRESSES, "temporary addresses are not given");
        }
    }
    if message.kind == REQUEST
        && let Some(wrong) = ia.addresses.iter().find(|address| !on_link(request, **address, world))
    {
        trail.step(format!("{wrong} was asked for, which is not on this link"));
        return refused(status::NOT_ON_LINK, "not on this link");
    }
    let extends = matches!(message.kind, RENEW | REBIND);
    match offer.address {
        Ok(_) if *given => refused(status::NO_ADDRESSES, "one address per node"),
        Err(_) if extends => refused(status::NO_BINDING, "no address on record"),
        Err(_) => refused(status::NO_ADDRESSES, "no address on record"),
        Ok(address) => {
            *given = true;
            let mut inside = reply::address(address, times.valid);
            // RFC 8415, 18.3.4: what the client must give up comes back with lifetimes of zero.
            for wrong in ia.addresses.iter().filter(|old| extends && **old != address).take(ASSOCIATIONS_MAX)
            {
                trail.step(format!("{wrong} is not its address any more"));
                inside.extend(reply::address(*wrong, 0));
            }
            (inside, true)
        }
    }
}

/// CONFIRM asks whether addresses are still right on this link, nothing else (RFC 8415, 18.3.3).
fn confirm(
    mut reply: Reply,
    request: &RequestV6<'_>,
    offer: &Offer<'_>,
    world: &World,
    trail: &mut Trail,
) -> Result<Answered, Reason> {
    let asked: Vec<Ipv6Addr> =
        request.message.ias.iter().flat_map(|ia| ia.addresses.iter().copied()).collect();
    if asked.is_empty() {
        return Err(Reason::Malformed);
    }
    // A client that moved to a card or record with another address must ask anew.
    offer.address?;
    let (code, text) = match asked.iter().find(|address| !on_link(request, **address, world)) {
        Some(wrong) => {
            trail.step(format!("{wrong} is not on this link"));
            (status::NOT_ON_LINK, "not on this link")
        }
        None => {
            trail.step("still on its link");
            (status::SUCCESS, "on this link")
        }
    };
    reply.add(code::STATUS, reply::status(code, text));
    Ok((reply, None))
}

/// RELEASE and DECLINE: there is nothing to forget, and the client is told that it went well. Associations that
/// hold another address than the record's have no binding here (RFC 8415, 18.3.7 and 18.3.8).
fn end(mut reply: Reply, message: &Message<'_>, offer: &Offer<'_>, trail: &mut Trail) -> Reply {
    let what = if message.kind == DECLINE { "declined" } else { "released" };
    let own = offer.address.ok();
    for address in message.ias.iter().flat_map(|ia| &ia.addresses).take(ASSOCIATIONS_MAX) {
        trail.step(format!("{address} {what}"));
    }
    if message.kind == DECLINE {
        trail.step("somebody else on the link uses the address");
    }
    for ia in message.ias.iter().take(ASSOCIATIONS_MAX) {
        if !ia.addresses.iter().any(|address| Some(*address) == own) {
            let none =
                reply::option(code::STATUS, &reply::status(status::NO_BINDING, "no such address here"));
            reply.add(ia.code, reply::association(ia.code, ia.id, None, &none));
        }
    }
    reply.add(code::STATUS, reply::status(status::SUCCESS, what));
    reply
}

/// Name servers and search domain of the node's subnet, where the client wants them.
fn network(reply: &mut Reply, message: &Message<'_>, address: Option<Ipv6Addr>, world: &World) {
    let Some(subnet) = address.and_then(|address| world.settings.v6.subnet_of(address)) else { return };
    if !subnet.dns.is_empty() && message.wants(code::DNS) {
        reply.add(code::DNS, subnet.dns.iter().flat_map(|server| server.octets()).collect::<Vec<u8>>());
    }
    if let Some(name) = subnet.domain.as_deref().and_then(encoded_domain)
        && message.wants(code::SEARCH)
    {
        reply.add(code::SEARCH, name);
    }
}

/// A domain name in DNS form (RFC 1035, 3.1); `None` for one that has none.
fn encoded_domain(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    (bytes.len() <= 255).then_some(bytes)
}

#[cfg(test)]
mod tests;
