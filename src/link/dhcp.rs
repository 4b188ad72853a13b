//! The DHCP shell: takes packets from the sockets of each interface, has them decided, sends what was
//! decided and notes it. No branch on protocol content beyond telling the ports apart.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::client::Client;
use crate::config::{InterfaceSettings, Mode, Settings, Transport};
use crate::dhcp::Packet;
use crate::dhcp::reply::Encoded;
use crate::journal::event::{DhcpEvent, DhcpOutcome, Sent};
use crate::journal::{Event, Journal, Level, Notice, findings};
use crate::policy::servers::{Servers, Sighting};
use crate::policy::{self, Answer, Arrival, Fact, Reason, Request, Seen, Verdict};
use crate::world::{Current, World};

use super::delayed::Delayed;
use super::delivery::{Delivery, PXE_PORT, Port, SERVER_PORT};
use super::dhcp_v6::{self, OwnV6};
use super::frame::{self, Datagram};
use super::raw::RawSocket;
use super::router::Advertiser;
use super::udp_dhcp::{self, DhcpSocket};
use super::udp_v6::SocketV6;
use super::upkeep::{self, Watch};
use super::{Interface, LinkError, Links, Peers};

const BROADCAST_MAC: [u8; 6] = [0xff; 6];

/// The open sockets of one interface.
#[derive(Debug)]
pub struct Listener {
    /// The interface.
    pub interface: Interface,
    /// What could not be had and what that costs, to be said once.
    pub costs: Vec<String>,
    raw: Option<RawSocket>,
    dhcp: Option<DhcpSocket>,
    pxe: Option<DhcpSocket>,
    pub(super) v6: Option<SocketV6>,
    advertiser: Option<Advertiser>,
}

impl Listener {
    /// Opens what the transport allows. Fails when neither a raw socket nor port 67 can be had, when a
    /// transport that was asked for by name cannot, or when port 4011 is taken and there are no raw frames
    /// to serve it with. Needs a tokio runtime.
    ///
    /// Only what the mode of `settings` answers on is bound: port 67 stays another daemon's in `4011-only`, and
    /// `observe`, which sends nothing, has nothing but its ear on the wire.
    pub fn open(settings: &InterfaceSettings, interface: Interface) -> Result<Self, LinkError> {
        let mode = settings.mode.unwrap_or_default();
        let name = || interface.name.to_string();
        let mut costs = Vec::new();
        let raw = match settings.transport {
            Transport::Udp => None,
            _ if interface.mac.is_none() => None,
            _ => Some(RawSocket::open(&interface)),
        };
        let dhcp = match settings.transport {
            Transport::Raw => None,
            _ if !mode.answers_on_67() => None,
            _ => Some(DhcpSocket::bind(&interface, SERVER_PORT)),
        };
        let (raw, dhcp) = match (settings.transport, raw, dhcp) {
            (Transport::Raw, Some(Err(cause)), _) => {
                return Err(LinkError::Raw { interface: name(), cause: cause.to_string() });
            }
            (Transport::Raw, None, _) => {
                return Err(LinkError::Raw {
                    interface: name(),
                    cause: "it has no link-layer address".into(),
                });
            }
            (Transport::Udp, _, Some(Err(cause))) => {
                return Err(LinkError::Bind { interface: name(), port: SERVER_PORT, cause });
            }
            (_, raw, dhcp) => {
                let raw_error = match &raw {
                    Some(Err(cause)) => cause.to_string(),
                    _ => "the interface has no link-layer address".to_owned(),
                };
                let udp_error = match &dhcp {
                    Some(Err(cause)) => cause.to_string(),
                    _ if !mode.answers_on_67() => format!("not in mode {}", mode.name()),
                    _ => String::new(),
                };
                let (raw, dhcp) = (raw.and_then(Result::ok), dhcp.and_then(Result::ok));
                if raw.is_none() && dhcp.is_none() && mode != Mode::Only4011 {
                    return Err(LinkError::NoTransport { interface: name(), raw: raw_error, udp: udp_error });
                }
                if raw.is_none() && settings.transport == Transport::Auto {
                    costs.push(format!(
                        "no raw socket on {} ({raw_error}): clients without an address are answered by broadcast, \
                         and other servers' answers are not seen",
                        interface.name
                    ));
                }
                if dhcp.is_none() && settings.transport == Transport::Auto && mode.answers_on_67() {
                    costs.push(format!(
                        "no UDP port 67 on {} ({udp_error}): working beside its owner by raw frames",
                        interface.name
                    ));
                }
                (raw, dhcp)
            }
        };
        // An unbound 4011 answers with an ICMP error, which aborts some ROMs.
        let pxe = match mode.answers().then(|| DhcpSocket::bind(&interface, PXE_PORT)).transpose() {
            Ok(pxe) => pxe,
            // Its owner keeps the kernel from refusing anybody, and raw frames answer beside it.
            Err(cause) if raw.is_some() => {
                costs.push(format!(
                    "no UDP port 4011 on {} ({cause}): requests to it are answered by raw frames, beside its \
                     owner's answers if it gives any",
                    interface.name
                ));
                None
            }
            Err(cause) => return Err(LinkError::Bind { interface: name(), port: PXE_PORT, cause }),
        };
        if raw.is_some() {
            for socket in dhcp.iter().chain(&pxe) {
                socket.close_for_receiving().map_err(|cause| LinkError::Bind {
                    interface: name(),
                    port: SERVER_PORT,
                    cause,
                })?;
            }
        }
        let v6 = dhcp_v6::open(settings, &interface, raw.is_some(), &mut costs);
        let advertiser = Advertiser::open(settings, &interface, &mut costs);
        Ok(Self { interface, costs, raw, dhcp, pxe, v6, advertiser })
    }

    /// `raw+udp`, `raw` or `udp`, for the line at start-up.
    pub fn transport(&self) -> &'static str {
        match (&self.raw, &self.dhcp) {
            (Some(_), Some(_)) => "raw+udp",
            (Some(_), None) => "raw",
            _ => "udp",
        }
    }

    async fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<Source> {
        if let Some(raw) = &self.raw {
            // Port 67 is another daemon's: what leaves from there are its answers, else they are our own.
            let and_sent = self.dhcp.is_none();
            return raw.receive(buffer, and_sent).await.map(|to_us| Source::Frame { to_us });
        }
        let mut by_v6 = Vec::new();
        let v6 = async {
            match &self.v6 {
                Some(socket) => socket.receive(&mut by_v6).await,
                None => std::future::pending().await,
            }
        };
        match (&self.dhcp, &self.pxe) {
            (Some(dhcp), Some(pxe)) => {
                let mut other = Vec::new();
                tokio::select! {
                    way = v6 => way.map(|(from, to)| {
                        std::mem::swap(buffer, &mut by_v6);
                        Source::DatagramV6(from, to)
                    }),
                    way = dhcp.receive(buffer) => way.map(|(from, to)| Source::Datagram(Port::Dhcp, from, to)),
                    way = pxe.receive(&mut other) => {
                        std::mem::swap(buffer, &mut other);
                        way.map(|(from, to)| Source::Datagram(Port::Pxe, from, to))
                    }
                }
            }
            (None, Some(pxe)) => {
                let (from, to) = pxe.receive(buffer).await?;
                Ok(Source::Datagram(Port::Pxe, from, to))
            }
            _ => std::future::pending().await,
        }
    }

    /// Sends a DHCPv6 reply from its own port, else as a frame back to the card that asked.
    pub(super) fn send_v6(
        &self,
        payload: &[u8],
        own: Option<Ipv6Addr>,
        to: SocketAddrV6,
        asker: Option<[u8; 6]>,
    ) -> io::Result<()> {
        let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
        if let Some(socket) = &self.v6 {
            return socket.send(payload, to);
        }
        let (Some(raw), Some(card), Some(asker), Some(own)) = (&self.raw, self.interface.mac, asker, own)
        else {
            return Err(unsupported());
        };
        let from = SocketAddrV6::new(own, policy::v6::SERVER_PORT, 0, 0);
        let frame = frame::build_v6(card.bytes(), asker, from, to, payload)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        raw.send(&frame)
    }

    /// Sends a reply the way the destination table says; returns the way it really took.
    fn send(
        &self,
        payload: &[u8],
        port: Port,
        delivery: Delivery,
        asker: Option<[u8; 6]>,
    ) -> io::Result<Delivery> {
        // Relays and firewalls drop what does not come from port 67 [D3].
        let port = if matches!(delivery, Delivery::Relay(_)) { Port::Dhcp } else { port };
        let from = SocketAddrV4::new(self.interface.address, port.number());
        let frame_to = |mac: [u8; 6], to: SocketAddrV4| -> io::Result<()> {
            let (Some(raw), Some(own)) = (&self.raw, self.interface.mac) else {
                return Err(io::Error::from(io::ErrorKind::Unsupported));
            };
            let frame = frame::build(own.bytes(), mac, from, to, payload)
                .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            raw.send(&frame)
        };
        let socket = match port {
            Port::Dhcp => self.dhcp.as_ref(),
            Port::Pxe => self.pxe.as_ref(),
        };
        match delivery {
            Delivery::Frame { mac, address } if self.raw.is_some() => {
                frame_to(mac.bytes(), SocketAddrV4::new(address, super::delivery::CLIENT_PORT))?;
                Ok(delivery)
            }
            // Without raw frames nobody can be reached who does not answer ARP: broadcast [D1].
            Delivery::Frame { .. } | Delivery::Broadcast => {
                match (&self.raw, socket) {
                    (Some(_), _) => frame_to(BROADCAST_MAC, frame::BROADCAST)?,
                    (None, Some(socket)) => socket.send(payload, frame::BROADCAST)?,
                    (None, None) => return Err(io::Error::from(io::ErrorKind::Unsupported)),
                }
                Ok(Delivery::Broadcast)
            }
            Delivery::Unicast(to) | Delivery::Relay(to) => {
                // No socket, or no route to a client or relay of another subnet: back to the card that the
                // request came from, which knows the way.
                let interface = &self.interface;
                let lost = self.raw.is_some()
                    && asker.is_some()
                    && !interface.network.contains(to.ip())
                    && !udp_dhcp::has_route(to, &interface.addresses);
                let sent = socket.filter(|_| !lost).map(|socket| socket.send(payload, to));
                match (sent, asker) {
                    (Some(Ok(())), _) => {}
                    (_, Some(mac)) if self.raw.is_some() => frame_to(mac, to)?,
                    (Some(Err(error)), _) => return Err(error),
                    (None, _) => return Err(io::Error::from(io::ErrorKind::Unsupported)),
                }
                Ok(delivery)
            }
        }
    }
}

/// What `receive` filled the buffer with, and of a datagram its source and destination.
enum Source {
    Frame { to_us: bool },
    Datagram(Port, SocketAddrV4, SocketAddrV4),
    DatagramV6(SocketAddrV6, Ipv6Addr),
}

/// Serves until `stop` turns true or a socket fails for no reason that can pass. Interfaces may come and go
/// and change meanwhile; `links` is kept true.
pub async fn serve(
    listeners: Vec<(InterfaceSettings, Listener)>,
    links: Links,
    current: Current,
    peers: Peers,
    journal: Journal,
    mut stop: watch::Receiver<bool>,
) -> Result<(), LinkError> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let servers = Arc::new(Mutex::new(Servers::default()));
    let mut tasks = tokio::task::JoinSet::new();
    for (settings, listener) in listeners {
        let (current, peers, seen, start) = (current.clone(), peers.clone(), Arc::clone(&seen), now());
        let servers = Arc::clone(&servers);
        let shell_journal = journal.clone();
        let shell = move |listener| Shell {
            listener,
            current: current.clone(),
            peers: peers.clone(),
            journal: shell_journal.clone(),
            seen: Arc::clone(&seen),
            servers: Arc::clone(&servers),
            start,
            own_v6: Mutex::default(),
            delayed: Delayed::default(),
        };
        tasks.spawn(upkeep::keep(listener, settings, links.clone(), journal.clone(), shell));
    }
    tokio::select! {
        ended = tasks.join_next() => match ended {
            Some(Ok(error)) => Err(error),
            _ => Ok(()),
        },
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    }
}

pub(super) struct Shell {
    pub(super) listener: Listener,
    pub(super) current: Current,
    pub(super) peers: Peers,
    pub(super) journal: Journal,
    seen: Arc<Mutex<Seen>>,
    servers: Arc<Mutex<Servers>>,
    start: Instant,
    pub(super) own_v6: Mutex<OwnV6>,
    delayed: Delayed<Pending>,
}

/// How a message came.
#[derive(Clone, Copy)]
struct Way {
    port: Port,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    /// The card that its frame came from, where frames are seen.
    asker: Option<[u8; 6]>,
}

/// An answer that is about to leave, at once or after a delay.
struct Pending {
    encoded: Encoded,
    port: Port,
    delivery: Delivery,
    without_boot: Option<Reason>,
    asker: Option<[u8; 6]>,
    /// Makes the event once it is known what came of it.
    event: Box<dyn FnOnce(DhcpOutcome) -> DhcpEvent + Send>,
}

/// Returns at `due`, never where nothing is.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[allow(clippy::disallowed_methods, reason = "link/ is the edge: the clock is read here")]
pub(super) fn now() -> Instant {
    Instant::now()
}

impl Shell {
    /// Serves until the interface is not any longer what its sockets were opened for.
    pub(super) async fn run(mut self, watch: &Watch) -> io::Result<()> {
        let interface = self.listener.interface.clone();
        let mut buffer = Vec::new();
        let advertiser = self.listener.advertiser.take();
        let advertising = async {
            match &advertiser {
                Some(advertiser) => advertiser.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(advertising);
        loop {
            let due = self.delayed.next();
            let source = tokio::select! {
                source = self.listener.receive(&mut buffer) => Some(source?),
                () = until(due) => None,
                error = &mut advertising => return Err(error),
                moved = watch.until_moved(&interface) => return moved,
            };
            // No answer names an address that is not ours any more; whoever asked now will ask again.
            if watch.moved(&interface) {
                return Ok(());
            }
            let Some(source) = source else {
                while let Some(pending) = self.delayed.take(now()) {
                    self.send(pending);
                }
                continue;
            };
            self.say_dropped();
            match source {
                Source::Datagram(port, source, destination) => {
                    self.message(&buffer, Way { port, source, destination, asker: None });
                }
                Source::DatagramV6(from, to) => self.message_v6(&buffer, from, to, None),
                Source::Frame { to_us } => match frame::strip(&buffer) {
                    Some(Datagram::V4 { source_mac, source, destination, payload }) => {
                        let reply = destination.port() == super::delivery::CLIENT_PORT;
                        if reply || (to_us && self.is_for_us(*destination.ip())) {
                            let port = if destination.port() == PXE_PORT { Port::Pxe } else { Port::Dhcp };
                            let asker = Some(source_mac);
                            self.message(payload, Way { port, source, destination, asker });
                        }
                    }
                    Some(Datagram::V6 { source_mac, source, destination, payload }) if to_us => {
                        self.message_v6(payload, source, *destination.ip(), Some(source_mac));
                    }
                    Some(Datagram::V6 { .. }) | None => {}
                },
            }
        }
    }

    /// Says how many packets came faster than they were taken, rate-limited.
    fn say_dropped(&self) {
        let Some(raw) = &self.listener.raw else { return };
        let Some(count) = raw.dropped(now()) else { return };
        let name = &self.listener.interface.name;
        self.journal.note(Event::Notice(Notice {
            level: Level::Warn,
            name: "dropped",
            text: format!("{name}: {count} packets came faster than they could be taken and were not seen"),
            fields: vec![("interface", name.to_string().into()), ("count", count.into())],
        }));
    }

    fn is_for_us(&self, destination: Ipv4Addr) -> bool {
        let interface = &self.listener.interface;
        destination.is_broadcast()
            || destination == interface.address
            || destination == interface.network.broadcast()
            || interface.addresses.contains(&destination)
    }

    /// One DHCPv4 message: decided, sent, noted.
    fn message(&mut self, payload: &[u8], way: Way) {
        let Way { port, source, asker, .. } = way;
        let packet = match Packet::parse(payload) {
            Ok(packet) => packet,
            Err(error) => {
                let event = self.event(payload, way, None, Vec::new());
                return self.journal.note(Event::Dhcp(Box::new(event(DhcpOutcome::Malformed(error)))));
            }
        };
        let world = self.current.load();
        let arrival = self.arrival(&world, port, source);
        let client = Client::of(&packet);
        let request = Request { packet: &packet, arrival: &arrival, client: &client };
        let elapsed: Duration = now().duration_since(self.start);
        let decision = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let decision = policy::decide(&request, &world, &seen, elapsed);
            for fact in &decision.remember {
                seen.remember(fact, elapsed);
                if let Fact::Learned { address, mac } = fact {
                    self.peers.learn(*address, *mac);
                }
            }
            decision
        };
        let leaving = match &decision.verdict {
            Verdict::Answer(answer) => Some(answer.reply.encode(answer.limit)),
            _ => None,
        };
        let sighting = Sighting {
            request,
            own_mac: self.listener.interface.mac.map(|mac| mac.bytes()),
            source_mac: asker,
            answer: leaving.as_ref().map(|encoded| &*encoded.bytes),
            world: &world,
        };
        let observation =
            self.servers.lock().unwrap_or_else(PoisonError::into_inner).observe(&sighting, elapsed);
        let mut because = decision.because;
        because.extend(observation.step);
        let who = decision.node.map(|node| node.label()).or(decision.bmc.map(|bmc| bmc.label()));
        let event = self.event(payload, way, who, because);
        match (decision.verdict, leaving) {
            (Verdict::Silence(reason), _) => {
                self.journal.note(Event::Dhcp(Box::new(event(DhcpOutcome::Silent(reason)))));
            }
            (Verdict::Answer(answer), Some(encoded)) => {
                let pending = Pending {
                    encoded,
                    port,
                    delivery: answer.delivery,
                    without_boot: answer.without_boot,
                    asker,
                    event: Box::new(event),
                };
                if answer.delay.is_zero() {
                    self.send(pending);
                } else if let Err(pending) = self.delayed.push(now() + answer.delay, pending) {
                    self.send(pending);
                }
            }
            // What is to leave was encoded above.
            (Verdict::WouldAnswer(answer) | Verdict::Answer(answer), _) => {
                self.journal.note(Event::Dhcp(Box::new(event(DhcpOutcome::WouldAnswer(unsent(&answer))))));
            }
        }
        for finding in observation.findings {
            self.journal.note(findings::event(finding));
        }
    }

    /// Sends an answer and notes what came of it.
    fn send(&self, pending: Pending) {
        let Pending { encoded, port, delivery, without_boot, asker, event } = pending;
        let outcome = match self.listener.send(&encoded.bytes, port, delivery, asker) {
            Ok(way) => DhcpOutcome::Answered(Sent {
                message: encoded.bytes,
                way,
                broadcast_instead: way != delivery,
                dropped: encoded.dropped,
                without_boot,
            }),
            Err(error) => DhcpOutcome::SendFailed { way: delivery, error: error.to_string() },
        };
        self.journal.note(Event::Dhcp(Box::new(event(outcome))));
    }

    /// The event of a message, but for what came of it.
    fn event(
        &self,
        payload: &[u8],
        way: Way,
        node: Option<String>,
        because: Vec<String>,
    ) -> impl FnOnce(DhcpOutcome) -> DhcpEvent + Send + use<> {
        let interface = Arc::clone(&self.listener.interface.name);
        let vlan = self.listener.interface.vlan;
        let message = payload.to_vec();
        move |outcome| DhcpEvent {
            interface,
            vlan,
            port: way.port.number(),
            source: way.source.into(),
            destination: way.destination.into(),
            source_mac: way.asker,
            message,
            outcome,
            node,
            because,
        }
    }

    fn arrival(&self, world: &World, port: Port, source: SocketAddrV4) -> Arrival {
        let interface = &self.listener.interface;
        let (mode, knobs) = in_force(&world.settings, &interface.name);
        Arrival {
            interface: Arc::clone(&interface.name),
            address: interface.address,
            network: interface.network,
            mtu: interface.mtu,
            mode,
            knobs,
            port,
            source,
        }
    }
}

/// What would have been sent.
fn unsent(answer: &Answer) -> Sent {
    let encoded = answer.reply.encode(answer.limit);
    Sent {
        message: encoded.bytes,
        way: answer.delivery,
        broadcast_instead: false,
        dropped: encoded.dropped,
        without_boot: answer.without_boot,
    }
}

/// Mode and knobs of an interface under these settings.
pub fn in_force(settings: &Settings, interface: &str) -> (crate::config::Mode, crate::config::Knobs) {
    let own = settings.interfaces.iter().find(|own| own.name == interface);
    let mode = own.and_then(|own| own.mode).unwrap_or(settings.mode);
    (mode, settings.knobs.overlaid(own.map(|own| own.knobs).unwrap_or_default()))
}
