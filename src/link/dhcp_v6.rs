//! The shell of DHCPv6: which addresses are ours, and each message decided, sent and noted.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;
use pnet::ipnetwork::IpNetwork;

use crate::config::InterfaceSettings;
use crate::dhcp::v6::Message;
use crate::journal::Event;
use crate::journal::event::{DhcpEvent, DhcpOutcome, OutcomeV6};
use crate::policy::v6::SERVER_PORT;
use crate::policy::{ArrivalV6, RequestV6, VerdictV6, decide_v6};
use crate::records::Mac;

use super::Interface;
use super::dhcp::{Shell, in_force, now};
use super::udp_v6::SocketV6;

/// How long the addresses of the interface are believed without looking: they come and go with router
/// advertisements.
const BELIEVED: Duration = Duration::from_secs(2);

/// Our addresses on one interface.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnV6 {
    /// The link-local one.
    pub link_local: Option<Ipv6Addr>,
    /// The others, with their networks.
    pub addresses: Vec<Ipv6Net>,
    read: Option<Instant>,
}

impl OwnV6 {
    /// Asks the kernel.
    pub fn of(interface: &Interface) -> Self {
        let mut own = Self { read: Some(now()), ..Self::default() };
        let all = pnet::datalink::interfaces();
        for ip in all.iter().filter(|found| found.index == interface.index).flat_map(|found| &found.ips) {
            let IpNetwork::V6(v6) = ip else { continue };
            if v6.ip().is_unicast_link_local() {
                own.link_local.get_or_insert(v6.ip());
            } else if let Ok(net) = Ipv6Net::new(v6.ip(), v6.prefix()) {
                own.addresses.push(net);
            }
        }
        own
    }
}

/// How a message came.
#[derive(Clone, Copy)]
struct WayV6 {
    source: SocketAddrV6,
    destination: Ipv6Addr,
    asker: Option<[u8; 6]>,
}

/// Opens port 547 where DHCPv6 is served. Without it answers leave as frames, if there is a raw socket.
pub(super) fn open(
    settings: &InterfaceSettings,
    interface: &Interface,
    raw: bool,
    costs: &mut Vec<String>,
) -> Option<SocketV6> {
    // Where nothing is answered the port is left to others, as 67 is.
    if !settings.v6.serves() || !settings.mode.unwrap_or_default().answers_on_67() {
        return None;
    }
    let opened = SocketV6::bind(interface, SERVER_PORT)
        .and_then(|socket| if raw { socket.close_for_receiving().map(|()| socket) } else { Ok(socket) });
    opened
        .inspect_err(|error| {
            let instead = if raw { "answers leave as raw frames" } else { "DHCPv6 is not served there" };
            costs.push(format!("no UDP port {SERVER_PORT} on {} ({error}): {instead}", interface.name));
        })
        .ok()
}

impl Shell {
    /// One DHCPv6 message: decided, sent, noted. Without a frame the card is not known.
    pub(super) fn message_v6(
        &self,
        payload: &[u8],
        source: SocketAddrV6,
        destination: Ipv6Addr,
        asker: Option<[u8; 6]>,
    ) {
        let way = WayV6 { source, destination, asker };
        let own = self.own_v6();
        let ours = |address: Ipv6Addr| {
            own.link_local == Some(address) || own.addresses.iter().any(|net| net.addr() == address)
        };
        // Another server's traffic with a relay is none of our business.
        if !destination.is_multicast() && !ours(destination) {
            return;
        }
        let message = match Message::parse(payload) {
            Ok(message) => message,
            Err(error) => {
                return self.note_v6(payload, way, OutcomeV6::Malformed(error), None, Vec::new());
            }
        };
        let world = self.current.load();
        let interface = &self.listener.interface;
        let (mode, _) = in_force(&world.settings, &interface.name);
        let settings = world.settings.interfaces.iter().find(|known| known.name == *interface.name);
        let arrival = ArrivalV6 {
            interface: Arc::clone(&interface.name),
            mode,
            served: settings.is_some_and(|settings| settings.v6.serves()),
            mac: interface.mac,
            addresses: own.addresses,
            source,
            source_mac: asker.and_then(|mac| Mac::new(mac).ok()),
            unicast: !destination.is_multicast(),
        };
        let decision = decide_v6(&RequestV6 { message: &message, arrival: &arrival }, &world);
        if let Some((address, mac)) = decision.learned {
            self.peers.learn_v6(address, mac);
        }
        let outcome = match decision.verdict {
            VerdictV6::Silence(reason) => OutcomeV6::Silent(reason),
            VerdictV6::WouldAnswer(answer) => OutcomeV6::WouldAnswer {
                message: answer.bytes,
                to: answer.to,
                without_boot: answer.without_boot,
            },
            VerdictV6::Answer(answer) => {
                match self.listener.send_v6(&answer.bytes, own.link_local, answer.to, asker) {
                    Ok(()) => OutcomeV6::Answered {
                        message: answer.bytes,
                        to: answer.to,
                        without_boot: answer.without_boot,
                    },
                    Err(error) => OutcomeV6::SendFailed { to: answer.to, error: error.to_string() },
                }
            }
        };
        let node = decision.node.map(|node| node.label());
        self.note_v6(payload, way, outcome, node, decision.because);
    }

    fn own_v6(&self) -> OwnV6 {
        let mut own = self.own_v6.lock().unwrap_or_else(PoisonError::into_inner);
        if own.read.is_none_or(|read| now().duration_since(read) >= BELIEVED) {
            *own = OwnV6::of(&self.listener.interface);
        }
        own.clone()
    }

    fn note_v6(
        &self,
        payload: &[u8],
        way: WayV6,
        outcome: OutcomeV6,
        node: Option<String>,
        because: Vec<String>,
    ) {
        self.journal.note(Event::Dhcp(Box::new(DhcpEvent {
            interface: Arc::clone(&self.listener.interface.name),
            vlan: self.listener.interface.vlan,
            port: SERVER_PORT,
            source: SocketAddr::V6(way.source),
            destination: SocketAddr::V6(SocketAddrV6::new(way.destination, SERVER_PORT, 0, 0)),
            source_mac: way.asker,
            message: payload.to_vec(),
            outcome: DhcpOutcome::V6(outcome),
            node,
            because,
        })));
    }
}
