//! The one entry to the decision, and its vocabulary.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::client::{Class, Client, Kind};
use crate::config::{Knobs, Mode};
use crate::dhcp::catalogue::print::escaped;
use crate::dhcp::{MessageType, Packet, Reply, code};
use crate::link::delivery::{Delivery, Port, delivery};
use crate::records::{Bmc, Mac, Node, Snapshot};
use crate::world::World;

use super::ways::Asked;
use super::{Reason, Seen, bmc, fields, inform, proxy, relayed, reservation};

/// How a packet came to us.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Name of the interface.
    pub interface: Arc<str>,
    /// Our address there: server identifier and next server [D3].
    pub address: Ipv4Addr,
    /// The interface's own network.
    pub network: Ipv4Net,
    /// Largest packet there, bytes.
    pub mtu: u16,
    /// Mode there.
    pub mode: Mode,
    /// Wire knobs there, general ones already underneath.
    pub knobs: Knobs,
    /// Port asked.
    pub port: Port,
    /// IP source of the request.
    pub source: SocketAddrV4,
}

/// One DHCPv4 request with everything known about it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The message.
    pub packet: &'a Packet<'a>,
    /// How it came.
    pub arrival: &'a Arrival,
    /// Who asks.
    pub client: &'a Client,
}

/// What happens to one request, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The answer, or the reason for silence.
    pub verdict: Verdict,
    /// The node record that matched.
    pub node: Option<Arc<Node>>,
    /// The BMC whose card asked; then there is no node.
    pub bmc: Option<Arc<Bmc>>,
    /// The steps that led here, in order, in words with rule tags.
    pub because: Vec<String>,
    /// Facts for the shell to remember.
    pub remember: Vec<Fact>,
}

/// Answer or silence.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// This is sent.
    Answer(Box<Answer>),
    /// Nothing is sent: the interface or the node is only observed. This would have been.
    WouldAnswer(Box<Answer>),
    /// Nothing is sent.
    Silence(Reason),
}

/// A reply and its way.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The reply.
    pub reply: Reply,
    /// UDP payload limit towards this client [P2].
    pub limit: usize,
    /// Where it goes.
    pub delivery: Delivery,
    /// Why it carries no boot data, when it was a boot client that asked.
    pub without_boot: Option<Reason>,
    /// How long it waits before it leaves; everybody else is served meanwhile.
    pub delay: Duration,
}

/// Something to remember.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// An ACK gave this address to this card.
    Learned {
        /// The address.
        address: Ipv4Addr,
        /// The card.
        mac: Mac,
    },
    /// A client found this reserved address in use.
    Declined {
        /// The address.
        address: Ipv4Addr,
    },
    /// iPXE on this card was sent to a loader once more [L1].
    Chained {
        /// The card.
        mac: Mac,
        /// The transaction.
        xid: u32,
    },
    /// A request that came by this way was answered [D4].
    Answered {
        /// The request.
        asked: Asked,
        /// giaddr; 0.0.0.0 for a direct one.
        way: Ipv4Addr,
    },
    /// iPXE on this card was sent to its script.
    Scripted {
        /// The card.
        mac: Mac,
    },
}

/// The steps so far; the modes add to it.
#[derive(Debug, Default)]
pub(super) struct Trail {
    pub(super) because: Vec<String>,
    pub(super) remember: Vec<Fact>,
}

impl Trail {
    /// Adds one step.
    pub(super) fn step(&mut self, text: impl Into<String>) {
        self.because.push(text.into());
    }
}

/// Decides one DHCPv4 message. Total: every message gets an answer or a reason. `now` is monotonic time
/// since a fixed start, used for the loop guard only.
pub fn decide(request: &Request<'_>, world: &World, seen: &Seen, now: Duration) -> Decision {
    let mut trail = Trail::default();
    // Some vendors' firmware says another word and means `PXEClient` (`pxe_classes`).
    let as_pxe = fields::synonym(request.packet, world)
        .map(|_| Client { class: Class::Pxe, ..request.client.clone() });
    let request = &Request { client: as_pxe.as_ref().unwrap_or(request.client), ..*request };
    let bmc = bmc::find(request, &world.records, &mut trail);
    let node = if bmc.is_some() {
        None
    } else {
        find_node(request, &world.records, &mut trail)
            .or_else(|| relayed::find_node(request, world, &mut trail))
    };
    let (mode, observed) = mode_of(request, node.as_deref(), world, &mut trail);
    let stranger = if node.is_none() && bmc.is_none() { stranger(request, mode, &mut trail) } else { None };
    let subject = node.as_ref().or(stranger.as_ref());
    let asker = Asker { node: subject, bmc: bmc.as_deref() };
    let verdict = match verdict(request, asker, mode, world, seen, now, &mut trail) {
        Ok((mut reply, without_boot)) => {
            relayed::finish(request, world, &mut reply, &mut trail);
            let mut limit = match request.packet.message_type() {
                // RFC 951: there is no way to say that more than 300 bytes are welcome.
                None => crate::dhcp::reply::MIN_LEN,
                Some(_) => crate::dhcp::reply::limit(max_size(request.packet), request.arrival.mtu),
            };
            if request.client.class == Class::Http {
                limit = limit.min(HTTP_BOOT_LIMIT);
            }
            let delivery = delivery(request.packet, &reply, request.arrival.port, request.arrival.source);
            let address = Some(reply.yiaddr).filter(|address| !address.is_unspecified());
            let delay = subject
                .and_then(|node| fields::knobs(request, node, address, world).reply_delay)
                .unwrap_or_default();
            let answer = Box::new(Answer { reply, limit, delivery, without_boot, delay });
            if observed {
                // What was not sent has no consequences.
                trail.remember.clear();
                Verdict::WouldAnswer(answer)
            } else {
                Verdict::Answer(answer)
            }
        }
        Err(reason) => Verdict::Silence(reason),
    };
    Decision { verdict, node, bmc, because: trail.because, remember: trail.remember }
}

/// Largest offer that UEFI HTTP Boot looks at, bytes of UDP payload [H6].
const HTTP_BOOT_LIMIT: usize = 1472;

type Reply2 = (Reply, Option<Reason>);

/// The mode that this request is judged by, and whether nothing is sent. The interface's is the ceiling, the
/// record can only restrict it; who is only observed is judged as if he were not.
fn mode_of(request: &Request<'_>, node: Option<&Node>, world: &World, trail: &mut Trail) -> (Mode, bool) {
    let ceiling = request.arrival.mode;
    let wish = node.and_then(|node| node.mode);
    let mode = ceiling.restricted_by(wish);
    if mode != ceiling {
        trail.step(format!("the record restricts the mode to {}", mode.name()));
    }
    if mode.answers() {
        return (mode, false);
    }
    let general =
        if ceiling.answers() { ceiling } else { world.settings.observed_as(&request.arrival.interface) };
    let judged = general.restricted_by(wish.filter(|wish| wish.answers()));
    if request.packet.is_request() {
        trail.step(format!("only observed; judged as in mode {}", judged.name()));
    }
    (judged, true)
}

/// The record that stands for a client in no record, where the mode serves such.
fn stranger(request: &Request<'_>, mode: Mode, trail: &mut Trail) -> Option<Arc<Node>> {
    if mode != Mode::AutoProxy || !request.packet.is_request() || !request.client.netboots() {
        return None;
    }
    let mac = request.client.mac?;
    trail.step(format!("{mac} is in no record: profile {}", Node::DEFAULT_PROFILE));
    Some(Arc::new(Node::stranger(mac)))
}

/// Whose record the request is judged by.
#[derive(Clone, Copy)]
struct Asker<'a> {
    node: Option<&'a Arc<Node>>,
    bmc: Option<&'a Bmc>,
}

fn verdict(
    request: &Request<'_>,
    asker: Asker<'_>,
    mode: Mode,
    world: &World,
    seen: &Seen,
    now: Duration,
    trail: &mut Trail,
) -> Result<Reply2, Reason> {
    let packet = request.packet;
    if !packet.is_request() {
        learn_from_reply(request, trail);
        return Err(Reason::NotARequest);
    }
    relayed::admit(request, world, seen, now, trail)?;
    let port = request.arrival.port;
    use MessageType::{Decline, Discover, Inform, Release, Request as Asking};
    let answered = match (port, packet.message_type()) {
        (Port::Dhcp, Some(message)) => matches!(message, Discover | Asking | Decline | Release | Inform),
        // BOOTP: no message type. A boot server is asked by REQUEST or INFORM (PXE 2.1; [X2]).
        (Port::Dhcp, None) => true,
        (Port::Pxe, message) => matches!(message, Some(Asking | Inform)),
    };
    if packet.message_type() == Some(Inform) && request.client.kind == Kind::AppleBsdp {
        return Err(Reason::AppleBsdp);
    }
    if !answered {
        return Err(Reason::MessageType);
    }
    if let Some(bmc) = asker.bmc {
        return bmc::answer(request, bmc, mode, world, seen, now, trail);
    }
    let Some(node) = asker.node else {
        return match (port, packet.message_type()) {
            (Port::Dhcp, Some(Inform)) if mode.gives_addresses() => {
                inform::inform(request, None, world, seen, now, trail)
            }
            _ => Err(Reason::UnknownMac),
        };
    };
    let address = node.ipv4_for(request.client.mac).filter(|_| mode.gives_addresses());
    if fields::knobs(request, node, address, world).dhcp == Some(false) {
        return Err(Reason::DhcpOff);
    }
    if mode == Mode::ReservationProxy {
        trail.step(if address.is_some() { "with an address: reservation" } else { "no address: proxy" });
    }
    match mode.settled(address.is_some()) {
        Mode::Observe | Mode::Only4011 if port == Port::Dhcp => Err(Reason::Only4011),
        Mode::Observe | Mode::Only4011 | Mode::Proxy | Mode::AutoProxy => {
            proxy::answer(request, node, world, seen, now, trail)
        }
        Mode::Reservation | Mode::ReservationProxy => {
            reservation::answer(request, node, world, seen, now, trail)
        }
    }
}

/// Finds the record, MAC first, then UUID in both byte orders, then option 61 as it is, and says which
/// key matched.
fn find_node(request: &Request<'_>, records: &Snapshot, trail: &mut Trail) -> Option<Arc<Node>> {
    if !request.packet.is_request() {
        return None;
    }
    let client = request.client;
    let by_mac = client.mac.and_then(|mac| Some((records.by_mac(mac)?, format!("mac {mac}"))));
    let by_id = || {
        let id = request.packet.options.get(code::CLIENT_ID)?;
        Some((records.by_client_id(id)?, format!("client id {}", escaped(id))))
    };
    let (node, key) = by_mac
        .or_else(|| client.uuid.and_then(|uuid| Some((records.by_uuid(uuid)?, format!("uuid {uuid}")))))
        .or_else(by_id)?;
    trail.step(format!("node {} by {key}", node.label()));
    Some(Arc::clone(node))
}

/// An ACK on the wire, ours or another server's, tells which address a card has.
fn learn_from_reply(request: &Request<'_>, trail: &mut Trail) {
    let packet = request.packet;
    if packet.message_type() == Some(MessageType::Ack)
        && !packet.yiaddr().is_unspecified()
        && let Some(mac) = request.client.mac
    {
        trail.step(format!("{mac} has {} from {}", packet.yiaddr(), request.arrival.source.ip()));
        trail.remember.push(Fact::Learned { address: packet.yiaddr(), mac });
    }
}

fn max_size(packet: &Packet<'_>) -> Option<u16> {
    packet.options.get(code::MAX_SIZE)?.try_into().ok().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests;
