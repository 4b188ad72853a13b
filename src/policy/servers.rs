//! Other servers: what their packets say about them, and what that means for our nodes.
//!
//! Learned passively, from replies on the wire and from the server that a broadcast REQUEST names (54). A
//! bounded table; time is an argument; each finding is said once per server and cause, again after a day.
//! What firmware makes of several offers is worked out by [`offers`](super::offers). Unicast answers to
//! others do not reach us on a switched network, so nothing here concludes from an answer not seen, except
//! that a client which goes on asking has none that it can use.

mod attempts;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::client::Class;
use crate::dhcp::catalogue::print::quoted;
use crate::dhcp::{MessageType, Packet, code};
use crate::link::delivery::{PXE_PORT, Port};
use crate::records::Mac;
use crate::world::World;

use super::Request;
use super::offers::{Firmware, Next, Offer, outcome};
use attempts::{Attempts, Repeat};

/// Servers told apart; further ones are not looked at until one has been silent for [`FORGOTTEN`].
const SERVERS_MAX: usize = 64;
/// Findings whose saying is remembered; while there are as many, no new one is said.
const SAID_MAX: usize = 1024;
/// The same finding is said again after this time.
const SAY_AGAIN: Duration = Duration::from_secs(24 * 3600);
/// A server silent for so long makes room for another.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// A server that gave an address this recently is taken to be there.
const RECENT: Duration = Duration::from_secs(600);
/// Retransmissions after our answer that make a hint.
const REPEATS: u32 = 2;
/// DISCOVERs without any REQUEST that mean that nobody gives addresses.
const DISCOVERS: u32 = 3;
/// Own cards and addresses remembered; an appliance has few.
const OWN_MAX: usize = 64;

macro_rules! causes {
    ($($variant:ident, $name:literal, $warns:literal, $text:literal;)*) => {
        /// What was found. The names are stable: they are the events of the log (docs/events.md).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Cause {
            $(#[doc = $text] $variant,)*
        }

        impl Cause {
            /// Every cause, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable name, such as `rogue-boot-server`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// When it is said.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Whether somebody should look at it.
            pub fn warns(self) -> bool {
                match self { $(Self::$variant => $warns,)* }
            }
        }
    };
}

causes! {
    ServerSeen, "server-seen", false, "another DHCP server was seen for the first time";
    AddressLearned, "address-learned", false, "another server gave a node of ours its address";
    RogueServer, "rogue-server", true, "a server was seen that `known_servers` does not name";
    RogueBootServer, "rogue-boot-server", true, "another server offers an address with boot data";
    OtherProxy, "other-proxy", true, "another server sends boot data without an address, or answers on port 4011";
    PxeClassWithout43, "pxe-class-without-43", true, "an offer says PXEClient (60) without PXE data in 43";
    BootDataElsewhere, "boot-data-elsewhere", true, "another server's boot data point to a third machine";
    ForeignOfferOutside, "foreign-offer-outside", true, "another server offers an address outside of our networks";
    ForeignNak, "foreign-nak", true, "another server refuses a node of ours its address";
    DuplicateServerId, "duplicate-server-id", true, "two machines answer with the same server identifier (54)";
    NoDhcpServer, "no-dhcp-server", true, "a client has our boot data and nobody gives it an address";
    Retransmits, "retransmits", true, "a node repeats its request although we answered";
}

/// Something about another server, or about a node's dealings with servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What.
    pub cause: Cause,
    /// Interface it was seen on.
    pub interface: Arc<str>,
    /// The server it is about.
    pub server: Option<Ipv4Addr>,
    /// The server's card, where frames are seen.
    pub server_mac: Option<[u8; 6]>,
    /// The client it was noticed with.
    pub mac: Option<Mac>,
    /// Label of that client's node.
    pub node: Option<String>,
    /// In words, with what firmware will do.
    pub text: String,
}

/// What one packet adds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observation {
    /// What is worth saying now.
    pub findings: Vec<Finding>,
    /// What the packet is in its client's conversation: a repetition, a further attempt.
    pub step: Option<String>,
}

/// One packet with what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The packet, a client's or a server's.
    pub request: Request<'a>,
    /// Our card on that interface.
    pub own_mac: Option<[u8; 6]>,
    /// Link-layer source, where frames are seen.
    pub source_mac: Option<[u8; 6]>,
    /// The reply we sent to it.
    pub answer: Option<&'a [u8]>,
    /// Records and settings.
    pub world: &'a World,
}

#[derive(Clone, Debug)]
struct Server {
    mac: Option<[u8; 6]>,
    last: Duration,
    /// When it last offered or gave an address, or was chosen for one.
    gave: Option<Duration>,
}

/// A finding as it is remembered: interface, cause, server, and the client where it is about one.
type Said = (Arc<str>, Cause, Option<Ipv4Addr>, Option<Mac>);

/// The servers seen on all interfaces, and the conversations that are needed to judge them.
#[derive(Debug, Default)]
pub struct Servers {
    own_macs: Vec<[u8; 6]>,
    own_addresses: Vec<Ipv4Addr>,
    known: HashMap<(Arc<str>, Ipv4Addr), Server>,
    attempts: Attempts,
    said: HashMap<Said, Duration>,
}

impl Servers {
    /// Takes in one packet. `now` is monotonic time since a fixed start.
    pub fn observe(&mut self, sighting: &Sighting<'_>, now: Duration) -> Observation {
        self.remember_ourselves(sighting);
        if sighting.source_mac.is_some_and(|mac| self.own_macs.contains(&mac)) {
            // A reply of ours, seen on another interface of the same VLAN.
            return Observation::default();
        }
        let mut observation = Observation::default();
        if sighting.request.packet.is_request() {
            self.request(sighting, now, &mut observation);
        } else {
            self.reply(sighting, now, &mut observation.findings);
        }
        observation
    }

    fn remember_ourselves(&mut self, sighting: &Sighting<'_>) {
        let address = sighting.request.arrival.address;
        if !address.is_unspecified() && !self.own_addresses.contains(&address) {
            self.own_addresses.truncate(OWN_MAX - 1);
            self.own_addresses.push(address);
        }
        if let Some(mac) = sighting.own_mac.filter(|mac| !self.own_macs.contains(mac)) {
            self.own_macs.truncate(OWN_MAX - 1);
            self.own_macs.push(mac);
        }
    }

    /// A client's message: which server it chose, and whether it asks again.
    fn request(&mut self, sighting: &Sighting<'_>, now: Duration, observation: &mut Observation) {
        let Request { packet, arrival, client } = sighting.request;
        if arrival.port != Port::Dhcp {
            return;
        }
        let message = packet.message_type();
        if message == Some(MessageType::Request)
            && let Some(chosen) = packet.options.address(code::SERVER_ID)
            && !self.own_addresses.contains(&chosen)
        {
            self.touch(sighting, chosen, None, true, now, &mut observation.findings);
        }
        let Some(mac) = client.mac else { return };
        let answer = sighting.answer.and_then(|bytes| Packet::parse(bytes).ok());
        let offer = answer.as_ref().map(|packet| Offer::of(packet, arrival.address, true));
        let repeat = self.attempts.request(&arrival.interface, mac, packet, Firmware::of(client), offer, now);
        observation.step = repeat.step(packet.xid());
        let Some(node) = label(sighting) else { return };
        let Some(answer) = answer else { return };
        let only_boot_data = answer.yiaddr().is_unspecified();
        if only_boot_data && repeat.discovers >= DISCOVERS && !self.anybody_gives(&arrival.interface, now) {
            let text = format!(
                "{node} asked {} times and nobody gives it an address: bootlace sends boot data only on {} \
                 ({}), and a proxy alone cannot boot a machine. Is the DHCP server down, or in another VLAN?",
                repeat.discovers,
                arrival.interface,
                arrival.mode.name(),
            );
            // Of the network, not of the node: once for all of them.
            self.say(sighting, Cause::NoDhcpServer, None, None, text, now, &mut observation.findings);
        } else if repeat.repeats >= REPEATS && repeat.answered {
            let text = retransmission(&node, packet, repeat, only_boot_data);
            self.say(sighting, Cause::Retransmits, None, Some(mac), text, now, &mut observation.findings);
        }
    }

    /// Another server's message.
    fn reply(&mut self, sighting: &Sighting<'_>, now: Duration, findings: &mut Vec<Finding>) {
        let Request { packet, arrival, client } = sighting.request;
        let source = *arrival.source.ip();
        let offer = Offer::of(packet, source, false);
        let server = offer.server;
        // A relay hands on the answers of many servers, ours too, from its own address.
        let direct = source == server && packet.giaddr().is_unspecified();
        if self.own_addresses.contains(&server) {
            if !direct {
                return;
            }
            let text = format!(
                "another machine{} answers as {server}, which is our own server identifier: clients cannot tell \
                 us apart, and a REQUEST meant for one is taken by both. Give one of the two another address",
                card(sighting.source_mac)
            );
            return self.say(sighting, Cause::DuplicateServerId, Some(server), None, text, now, findings);
        }
        let message = packet.message_type();
        let gives = offer.gives_address() && message != Some(MessageType::Nak);
        let server_mac = sighting.source_mac.filter(|_| direct);
        if !self.touch(sighting, server, server_mac, gives, now, findings) {
            return;
        }
        let offers = client
            .mac
            .and_then(|mac| self.attempts.offer(&arrival.interface, mac, packet.xid(), offer.clone()));
        let node = label(sighting);
        if message == Some(MessageType::Ack)
            && gives
            && let Some(node) = &node
        {
            let text = format!("{node} has {} from {server}", offer.yiaddr);
            self.say(sighting, Cause::AddressLearned, Some(server), client.mac, text, now, findings);
        }
        if sighting.world.settings.known_servers.contains(&server) {
            return;
        }
        if message == Some(MessageType::Nak) {
            if let Some(node) = &node {
                let why = packet.options.get(code::MESSAGE).map(|text| format!(": {}", quoted(text)));
                let text = format!(
                    "{server} refuses {node} its address{}. The client starts over; iPXE of 2021 to 2023 obeys \
                     anybody's NAK, and then does not boot",
                    why.unwrap_or_default()
                );
                self.say(sighting, Cause::ForeignNak, Some(server), client.mac, text, now, findings);
            }
            return;
        }
        for (cause, text) in boot_findings(sighting, &offer, offers.as_ref()) {
            self.say(sighting, cause, Some(server), None, text, now, findings);
        }
    }

    /// Enters a server; false when the table has no room for it.
    fn touch(
        &mut self,
        sighting: &Sighting<'_>,
        server: Ipv4Addr,
        mac: Option<[u8; 6]>,
        gives: bool,
        now: Duration,
        findings: &mut Vec<Finding>,
    ) -> bool {
        let key = (Arc::clone(&sighting.request.arrival.interface), server);
        let interface = Arc::clone(&key.0);
        let new = !self.known.contains_key(&key);
        if new && self.known.len() >= SERVERS_MAX {
            self.known.retain(|_, known| now.saturating_sub(known.last) < FORGOTTEN);
            if self.known.len() >= SERVERS_MAX {
                return false;
            }
        }
        let entry = self.known.entry(key).or_insert(Server { mac, last: now, gave: None });
        let before = entry.mac;
        entry.last = now;
        entry.mac = entry.mac.or(mac);
        if gives {
            entry.gave = Some(now);
        }
        if let (Some(before), Some(mac)) = (before, mac)
            && before != mac
        {
            let text = format!(
                "two machines{} and{} answer as DHCP server {server}: clients cannot tell them apart. A fail-over \
                 pair does this once, a doubled address again and again",
                card(Some(before)),
                card(Some(mac))
            );
            self.say(sighting, Cause::DuplicateServerId, Some(server), None, text, now, findings);
        }
        if new {
            let harmless = &sighting.world.settings.known_servers;
            let (cause, more) = if harmless.is_empty() || harmless.contains(&server) {
                (Cause::ServerSeen, "")
            } else {
                (Cause::RogueServer, ", which known_servers does not name")
            };
            let what = if gives { "DHCP server" } else { "server" };
            let text = format!("{what} {server}{} on {interface}{more}", card(mac));
            self.say(sighting, cause, Some(server), None, text, now, findings);
        }
        true
    }

    fn anybody_gives(&self, interface: &Arc<str>, now: Duration) -> bool {
        self.known.iter().any(|((on, _), server)| {
            on == interface && server.gave.is_some_and(|at| now.saturating_sub(at) < RECENT)
        })
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one finding, each of another kind")]
    fn say(
        &mut self,
        sighting: &Sighting<'_>,
        cause: Cause,
        server: Option<Ipv4Addr>,
        about: Option<Mac>,
        text: String,
        now: Duration,
        findings: &mut Vec<Finding>,
    ) {
        let interface = Arc::clone(&sighting.request.arrival.interface);
        let key = (Arc::clone(&interface), cause, server, about);
        if self.said.get(&key).is_some_and(|at| now.saturating_sub(*at) < SAY_AGAIN) {
            return;
        }
        if self.said.len() >= SAID_MAX {
            self.said.retain(|_, at| now.saturating_sub(*at) < SAY_AGAIN);
            if self.said.len() >= SAID_MAX {
                return;
            }
        }
        self.said.insert(key, now);
        findings.push(Finding {
            cause,
            interface,
            server,
            server_mac: sighting.source_mac.filter(|_| !sighting.request.packet.is_request()),
            mac: sighting.request.client.mac,
            node: label(sighting),
            text,
        });
    }
}

/// What an offer of another server means for booting. `offers` are those of the same transaction, this one
/// among them, with the firmware that asked.
fn boot_findings(
    sighting: &Sighting<'_>,
    offer: &Offer,
    offers: Option<&(Option<Firmware>, Vec<Offer>)>,
) -> Vec<(Cause, String)> {
    let Request { packet, arrival, .. } = sighting.request;
    let server = offer.server;
    let us = arrival.address;
    let mut found = Vec::new();
    let choice = || choice(offer, offers);
    if offer.class == Class::Pxe && offer.gives_address() && !offer.discovery && offer.next_server() != us {
        let text = format!(
            "{server} says PXEClient (60) without PXE data in 43: UEFI firmware asks {} on port 4011 and, with \
             nobody there, stops at \"Start PXE over IPv4\". Remove option 60 there [X4]. {}",
            offer.next_server(),
            choice()
        );
        found.push((Cause::PxeClassWithout43, text));
    } else if offer.gives_address() && offer.boots() && offer.next_server() != us {
        let file = offer.file.as_deref().map(|file| format!(" ({file})")).unwrap_or_default();
        let text = format!("{server} offers addresses with boot data{file}. {}", choice());
        found.push((Cause::RogueBootServer, text));
    }
    if !offer.gives_address() && offer.class != Class::Other || arrival.source.port() == PXE_PORT {
        let text = format!("{server} is another boot server beside ours. {}", choice());
        found.push((Cause::OtherProxy, text));
    }
    if let Some(elsewhere) = elsewhere(packet, offer).filter(|elsewhere| *elsewhere != us) {
        let text = format!(
            "the boot data of {server} point to {elsewhere}, neither to itself nor to us: UEFI firmware with no \
             proxy offer, and phones and switches by option 66, go there"
        );
        found.push((Cause::BootDataElsewhere, text));
    }
    let subnets = &sighting.world.settings;
    if offer.gives_address()
        && packet.giaddr().is_unspecified()
        && !arrival.network.contains(&offer.yiaddr)
        && subnets.subnet_of(offer.yiaddr).is_none()
    {
        let text = format!(
            "{server} offers {}, which is outside of {} and of every configured subnet: a machine that takes it \
             reaches our files only through a router, if at all",
            offer.yiaddr, arrival.network
        );
        found.push((Cause::ForeignOfferOutside, text));
    }
    found
}

/// The machine that siaddr or option 66 name beside a file, when it is a third one. Many servers put their
/// own address into siaddr whether they boot anything or not, which says nothing.
fn elsewhere(packet: &Packet<'_>, offer: &Offer) -> Option<Ipv4Addr> {
    let by_name = packet
        .options
        .get(code::TFTP_SERVER)
        .and_then(|name| std::str::from_utf8(name).ok()?.trim_end_matches('\0').parse::<Ipv4Addr>().ok());
    [Some(offer.siaddr), by_name]
        .into_iter()
        .flatten()
        .find(|address| !address.is_unspecified() && *address != offer.server)
}

/// What the client makes of all offers so far; without a client's own kind, what each kind makes of this one.
fn choice(offer: &Offer, offers: Option<&(Option<Firmware>, Vec<Offer>)>) -> String {
    match offers {
        Some((Some(firmware), offers)) => {
            let outcome = outcome(*firmware, offers);
            let mut text = format!("{} here {}", capital(firmware.name()), outcome.why);
            if let Next::Fetch { server, file } = &outcome.next {
                text += &if file.contains("://") {
                    format!(": {file}")
                } else {
                    format!(": {file} from {server}")
                };
            }
            text
        }
        _ => [Firmware::UefiPxe, Firmware::Ipxe, Firmware::BiosRom]
            .map(|firmware| {
                let outcome = outcome(firmware, std::slice::from_ref(offer));
                format!("{} with this offer alone {}", capital(firmware.name()), outcome.why)
            })
            .join(". "),
    }
}

fn retransmission(node: &str, packet: &Packet<'_>, repeat: Repeat, only_boot_data: bool) -> String {
    let message = packet.message_type().map_or("BOOTP", |message| message.name());
    let please = if only_boot_data {
        "or the client has no offer of an address that it likes, or its firmware ignores proxy offers (then use \
         reservation mode, or put the boot data into the DHCP server)"
    } else {
        "or the client dislikes an option (look at uefi_offer, option_43, bootfile_option)"
    };
    format!(
        "{node} repeats its {message} (xid 0x{:08x}, {} times) although we answered: our answer does not reach it \
         (DHCP snooping on the switch port?), {please}",
        packet.xid(),
        repeat.repeats
    )
}

fn label(sighting: &Sighting<'_>) -> Option<String> {
    let client = sighting.request.client;
    let records = &sighting.world.records;
    let by_mac = client.mac.and_then(|mac| records.by_mac(mac));
    by_mac.or_else(|| client.uuid.and_then(|uuid| records.by_uuid(uuid))).map(|node| node.label())
}

fn card(mac: Option<[u8; 6]>) -> String {
    mac.map(|mac| format!(" ({})", crate::dhcp::catalogue::print::colons(&mac))).unwrap_or_default()
}

fn capital(text: &str) -> String {
    match text.strip_prefix("a ") {
        Some(rest) => format!("A {rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
