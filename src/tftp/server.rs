//! The TFTP server: one loop that hears requests and serves all transfers [T16].
//!
//! It waits for readable sockets and, while transfers run, for a coarse tick that does their time-outs; no
//! timer and no task per transfer. In every turn the request sockets and each transfer get one turn: a
//! transfer sends one window at most before the next one's.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tokio::sync::{oneshot, watch};

use crate::journal::{TftpEvent, TftpOutcome};
use crate::link::udp::{self, Family, Readiness, RequestSocket, TransferSocket, UdpError, Woken};
use crate::link::{Interface, Link, Links, Peer, Peers};
use crate::policy::Reason;
use crate::world::Current;

use super::lookup::{self, Refusal};
use super::options::{self, Limits};
use super::packet::{self, BLKSIZE_DEFAULT, ErrorCode, Mode, Packet, Printable, ReadRequest};
use super::payload::Payload;
use super::running::{Key, Running, Scratch};
use super::transfer::{Again, Transfer};

/// The well-known port.
pub const PORT: u16 = 69;
/// Transfers at the same time; beyond, clients are told "busy" and ask again [T16].
pub const TRANSFERS_MAX: usize = 8192;
/// How often time-outs are looked at while transfers run.
const TICK: Duration = Duration::from_millis(10);
/// Requests taken in one turn, so that a storm of them does not starve what runs.
const REQUESTS_PER_TURN: usize = 64;
/// Longest request that is read, bytes; RFC 2347 allows 512, some firmware sends more [T13].
const REQUEST_MAX: usize = 2048;

/// Where to serve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    /// Kernel name of the interface.
    pub interface: String,
    /// Our address there: its family is served, and the journal names it. Answers come from whichever address
    /// was asked [T1].
    pub address: IpAddr,
    /// MTU of the interface, bytes [T3].
    pub mtu: u32,
}

/// TFTP cannot be served, or not any longer.
#[derive(Debug, thiserror::Error)]
pub enum TftpError {
    /// The port cannot be opened.
    #[error("TFTP is not served")]
    Listen(#[from] UdpError),
    /// The request socket failed.
    #[error("cannot receive TFTP requests on {interface}")]
    Receive {
        /// The interface.
        interface: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// Waiting for sockets failed.
    #[error("cannot wait for TFTP packets")]
    Wait(#[source] io::Error),
}

/// Bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    ears: Vec<Ear>,
    links: Option<watch::Receiver<Vec<Link>>>,
}

/// A request socket and where it listens.
#[derive(Debug)]
struct Ear {
    listen: Listen,
    /// `None` while the interface is away.
    socket: Option<Arc<RequestSocket>>,
}

/// Opens port 69 on every interface, or on none.
pub fn bind(listen: Vec<Listen>) -> Result<Server, TftpError> {
    // A socket and perhaps a file for each transfer, and the rest of the process.
    udp::allow_descriptors(2 * TRANSFERS_MAX as u64 + 1024);
    let ears = listen
        .into_iter()
        .map(|listen| {
            let family = Family::of(listen.address);
            Ok(Ear { socket: Some(Arc::new(RequestSocket::bind(&listen.interface, PORT, family)?)), listen })
        })
        .collect::<Result<_, UdpError>>()?;
    Ok(Server { ears, links: None })
}

impl From<&Interface> for Listen {
    fn from(interface: &Interface) -> Self {
        let (address, mtu) = (interface.address.into(), interface.mtu.into());
        Self { interface: interface.name.to_string(), address, mtu }
    }
}

impl Server {
    /// Follows the interfaces as they go, come back and change.
    pub fn follow(self, links: &Links) -> Self {
        Self { links: Some(links.subscribe()), ..self }
    }

    /// Serves until `stop` turns true or its sender is gone. Every request ends in one event given to `note`,
    /// which must not block.
    ///
    /// The loop has a thread of its own: it opens and reads files of the local disk in place, and neither
    /// disturbs other tasks nor is disturbed by them. Dropping the future ends it too.
    pub async fn run(
        self,
        current: Current,
        peers: Peers,
        note: impl Fn(TftpEvent) + Send + 'static,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), TftpError> {
        let ready = Readiness::new().map_err(TftpError::Wait)?;
        for (index, ear) in self.ears.iter().enumerate() {
            if let Some(socket) = &ear.socket {
                ready.add(&**socket, index as u64).map_err(TftpError::Wait)?;
            }
        }
        let alarm = ready.alarm();
        let (update, updates) = mpsc::channel();
        let mut links = self.links;
        let (running, ended) = oneshot::channel::<()>();
        let service = Service {
            ears: self.ears,
            current,
            peers,
            note,
            ready,
            updates,
            slots: Vec::new(),
            free: Vec::new(),
            by_peer: HashMap::new(),
            scratch: Scratch::default(),
        };
        let thread = std::thread::Builder::new()
            .name("tftp".to_owned())
            .spawn(move || {
                let _running = running;
                service.serve()
            })
            .map_err(TftpError::Wait)?;
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            _ = ended => {}
            () = async {
                while let Some(links) = changed(&mut links).await {
                    // The thread has ended: so does this in a moment.
                    let _ = update.send(links);
                    alarm.ring();
                }
                std::future::pending().await
            } => {}
        }
        // The service ends when nobody can send it updates any more.
        drop(update);
        drop(alarm);
        // Its end is a matter of one turn.
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The served interfaces after their next change; `None` when there is nothing to follow.
async fn changed(links: &mut Option<watch::Receiver<Vec<Link>>>) -> Option<Vec<Link>> {
    let links = links.as_mut()?;
    links.changed().await.ok()?;
    Some(links.borrow_and_update().clone())
}

#[allow(clippy::disallowed_methods, reason = "the shell has the clock")]
fn now() -> Instant {
    Instant::now()
}

/// What the loop holds.
struct Service<N> {
    ears: Vec<Ear>,
    current: Current,
    peers: Peers,
    note: N,
    ready: Readiness,
    updates: mpsc::Receiver<Vec<Link>>,
    slots: Vec<Option<Running>>,
    free: Vec<usize>,
    by_peer: HashMap<Key, usize>,
    scratch: Scratch,
}

/// A request and the way it came.
struct Asked<'a> {
    ear: usize,
    peer: SocketAddr,
    local: IpAddr,
    name: &'a [u8],
    now: Instant,
}

impl<N: Fn(TftpEvent)> Service<N> {
    fn serve(mut self) -> Result<(), TftpError> {
        let mut tokens = Vec::new();
        let mut ticked = now();
        loop {
            let limit = (!self.by_peer.is_empty()).then_some(TICK);
            let woken = self.ready.wait(&mut tokens, limit).map_err(TftpError::Wait)?;
            let now = now();
            if woken == Woken::Alarm {
                loop {
                    match self.updates.try_recv() {
                        Ok(links) => self.follow(&links),
                        Err(mpsc::TryRecvError::Empty) => break,
                        Err(mpsc::TryRecvError::Disconnected) => {
                            self.stop(now);
                            return Ok(());
                        }
                    }
                }
            }
            for token in &tokens {
                self.on_readable(*token as usize, now)?;
            }
            if now.duration_since(ticked) >= TICK {
                ticked = now;
                self.on_tick(now);
            }
        }
    }

    /// Closes the request sockets of interfaces that are away and opens those of interfaces that are back.
    /// Running transfers are left alone: their clients may be reached again before they give up.
    fn follow(&mut self, links: &[Link]) {
        for (index, ear) in self.ears.iter_mut().enumerate() {
            let Some(link) = links.iter().find(|link| *link.interface.name == *ear.listen.interface) else {
                continue; // loopback
            };
            if !link.present {
                ear.socket = None;
                continue;
            }
            let (now, before) = (Listen::from(&link.interface), ear.listen.address);
            // The socket of IPv6 hears all addresses of the interface; its own is for the journal.
            let v6 = || link.interface.v6.first().map_or(before, |first| IpAddr::V6(*first));
            let address = if before.is_ipv6() { v6() } else { now.address };
            ear.listen = Listen { address, ..now };
            if !ear.socket.as_ref().is_some_and(|socket| socket.is_attached()) {
                ear.socket = None;
                let socket = RequestSocket::bind(&ear.listen.interface, PORT, Family::of(address)).ok();
                ear.socket =
                    socket.filter(|socket| self.ready.add(socket, index as u64).is_ok()).map(Arc::new);
            }
        }
    }

    /// Tokens below the number of request sockets are theirs, the others are slots.
    fn on_readable(&mut self, token: usize, now: Instant) -> Result<(), TftpError> {
        match token.checked_sub(self.ears.len()) {
            None => self.hear(token, now),
            Some(slot) => {
                if let Some(running) = self.slots.get_mut(slot).and_then(Option::as_mut) {
                    running.receive(now);
                    self.drive(slot, now);
                }
                Ok(())
            }
        }
    }

    fn on_tick(&mut self, now: Instant) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].as_ref().is_some_and(|running| running.transfer.wake_at() <= now) {
                self.drive(slot, now);
            }
        }
    }

    fn stop(&mut self, now: Instant) {
        const WHY: &str = "bootlace is stopping";
        for slot in 0..self.slots.len() {
            if let Some(running) = &self.slots[slot] {
                running.say_error(WHY);
                self.finish(slot, TftpOutcome::Aborted { code: 0, text: WHY.to_owned() }, now);
            }
        }
    }

    fn hear(&mut self, ear: usize, now: Instant) -> Result<(), TftpError> {
        let mut buffer = [0; REQUEST_MAX];
        for _ in 0..REQUESTS_PER_TURN {
            let Ear { listen, socket: Some(socket) } = &self.ears[ear] else { break };
            let arrival = socket
                .receive(&mut buffer)
                .map_err(|cause| TftpError::Receive { interface: listen.interface.clone(), cause })?;
            let Some(arrival) = arrival else { break };
            let local = arrival.destination.unwrap_or(listen.address);
            let asked = Asked { ear, peer: arrival.peer, local, name: b"-", now };
            self.on_datagram(asked, arrival.destination.is_some(), &buffer[..arrival.length]);
        }
        Ok(())
    }

    fn on_datagram(&mut self, asked: Asked<'_>, addressed_to_us: bool, bytes: &[u8]) {
        let packet = packet::parse(bytes);
        let packet = match packet {
            Ok(Packet::Read(_) | Packet::Write { .. }) => packet,
            other => match self.shared(&asked) {
                Some((slot, running)) => {
                    running.take(other.ok(), asked.now);
                    return self.drive(slot, asked.now);
                }
                None => other,
            },
        };
        let name = match &packet {
            Ok(Packet::Read(ReadRequest { name, .. }) | Packet::Write { name }) => name,
            _ => asked.name,
        };
        let asked = Asked { name, ..asked };
        if !addressed_to_us || asked.peer.port() == 0 {
            // A request to everybody is not answered by anybody (RFC 1123, 4.2.3.5).
            let why =
                if addressed_to_us { "there is no port to answer to" } else { "sent to a broadcast address" };
            let outcome = TftpOutcome::Refused { reason: Reason::NotOurs, detail: Some(why.to_owned()) };
            (self.note)(self.event(&asked, None, outcome));
            return;
        }
        let refusal = match &packet {
            Ok(Packet::Read(request)) => match self.on_read(&asked, request, bytes) {
                Ok(()) => return,
                Err((refusal, peer)) => return self.refuse(&asked, peer.as_ref(), refusal),
            },
            Ok(Packet::Write { .. }) => {
                Refusal::illegal(ErrorCode::AccessViolation, "write requests are not served")
            }
            // BSD's client acknowledges even the ERROR that refused it; that means nothing.
            Ok(Packet::Ack { .. }) => return,
            Ok(Packet::Error { .. } | Packet::Data { .. } | Packet::OptionAck { .. }) => {
                // Not answered: two servers would send each other ERRORs for ever.
                let outcome = TftpOutcome::Illegal { why: "belongs to no transfer" };
                (self.note)(self.event(&asked, None, outcome));
                return;
            }
            Err(_) => Refusal::illegal(ErrorCode::IllegalOperation, "not a TFTP request"),
        };
        self.refuse(&asked, None, refusal);
    }

    /// The running transfer of a client whose packets come to the request port [T1].
    fn shared(&mut self, asked: &Asked<'_>) -> Option<(usize, &mut Running)> {
        let slot = *self.by_peer.get(&(asked.peer, asked.local))?;
        let running = self.slots.get_mut(slot)?.as_mut()?;
        running.socket.is_shared().then_some((slot, running))
    }

    fn on_read(
        &mut self,
        asked: &Asked<'_>,
        request: &ReadRequest<'_>,
        bytes: &[u8],
    ) -> Result<(), (Refusal, Option<Peer>)> {
        let key = (asked.peer, asked.local);
        if let Some(slot) = self.by_peer.get(&key).copied()
            && self.is_copy(slot, bytes, asked.now)
        {
            return Ok(());
        }
        if request.mode == Mode::Other {
            let why = "the mode is neither octet nor netascii";
            return Err((Refusal::illegal(ErrorCode::IllegalOperation, why), None));
        }
        if self.by_peer.len() >= TRANSFERS_MAX {
            return Err((Refusal::busy(), None));
        }
        let world = self.current.load();
        let peer = self.peers.who(&world.records, asked.peer.ip());
        let listen = &self.ears[asked.ear].listen;
        let found = match lookup::find(&world, &peer, asked.local, asked.name) {
            Ok(found) => found,
            Err(refusal) => return Err((refusal, Some(peer))),
        };
        let slot = self.free.last().copied().unwrap_or(self.slots.len());
        let token = (self.ears.len() + slot) as u64;
        let knobs = lookup::knobs(&world.settings, &listen.interface, &peer);
        let shared = self.ears[asked.ear].socket.as_ref().filter(|_| knobs.single_port.unwrap_or_default());
        let socket = match shared {
            Some(requests) => TransferSocket::share(requests, &listen.interface, asked.local, asked.peer),
            None => TransferSocket::open(&listen.interface, asked.local, asked.peer),
        };
        let socket = match socket.and_then(|socket| socket.watched_by(&self.ready, token)) {
            Ok(socket) => socket,
            Err(error) => return Err((no_socket(&error), Some(peer))),
        };
        let mtu = socket.path_mtu().unwrap_or(listen.mtu).min(listen.mtu);
        let limits = Limits::new(mtu, asked.local, knobs.blksize_max, knobs.windowsize_max);
        let agreed = options::negotiate(request, found.size, limits);
        let payload = match request.mode {
            Mode::Netascii => Payload::netascii(found.content, found.size),
            _ => Payload::octet(found.content, found.size),
        };
        let event = TftpEvent {
            size: Some(found.size),
            blksize: agreed.blksize,
            windowsize: agreed.windowsize,
            ..self.event(asked, Some(&peer), TftpOutcome::Sent)
        };
        let running = Running {
            key,
            request: bytes.into(),
            transfer: Transfer::new(&agreed, payload.total(), asked.now)
                .with_rollover(knobs.rollover.unwrap_or_default()),
            payload,
            socket,
            option_ack: agreed.option_ack,
            started: asked.now,
            event,
        };
        if self.free.pop().is_some() {
            self.slots[slot] = Some(running);
        } else {
            self.slots.push(Some(running));
        }
        self.by_peer.insert(key, slot);
        self.drive(slot, asked.now);
        Ok(())
    }

    /// A request from the address and port of a running transfer: true when it is a copy that begins nothing
    /// [T14]; else the running transfer is ended to make place [T5].
    fn is_copy(&mut self, slot: usize, bytes: &[u8], now: Instant) -> bool {
        let Some(running) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return false };
        let again =
            if *running.request == *bytes { running.transfer.on_same_request(now) } else { Again::Replace };
        if again == Again::Replace {
            running.transfer.on_other_request();
        }
        self.drive(slot, now);
        again != Again::Replace
    }

    fn drive(&mut self, slot: usize, now: Instant) {
        let running = self.slots.get_mut(slot).and_then(Option::as_mut);
        if let Some(outcome) = running.and_then(|running| running.drive(now, &mut self.scratch)) {
            self.finish(slot, outcome, now);
        }
    }

    fn finish(&mut self, slot: usize, outcome: TftpOutcome, now: Instant) {
        let Some(running) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.free.push(slot);
        self.by_peer.remove(&running.key);
        (self.note)(TftpEvent {
            outcome,
            bytes: running.transfer.bytes(),
            resent: running.transfer.resent(),
            duration: now.duration_since(running.started),
            ..running.event
        });
    }

    fn refuse(&self, asked: &Asked<'_>, peer: Option<&Peer>, refusal: Refusal) {
        // Best effort, as everything by UDP: a client that misses it asks again.
        let bytes = packet::error(refusal.code, refusal.text);
        if let Some(socket) = &self.ears[asked.ear].socket {
            let _ = socket.send(&bytes, asked.local, asked.peer);
        }
        (self.note)(self.event(asked, peer, refusal.outcome));
    }

    fn event(&self, asked: &Asked<'_>, peer: Option<&Peer>, outcome: TftpOutcome) -> TftpEvent {
        TftpEvent {
            peer: asked.peer,
            local: asked.local,
            interface: Some(self.ears[asked.ear].listen.interface.clone()),
            mac: peer.and_then(|peer| peer.mac),
            node: peer.and_then(|peer| peer.node.as_ref()).map(|node| node.label()),
            name: Printable(asked.name).to_string(),
            outcome,
            bytes: 0,
            size: None,
            blksize: BLKSIZE_DEFAULT,
            windowsize: 1,
            resent: 0,
            duration: Duration::ZERO,
        }
    }
}

/// No descriptor or memory left is "busy"; anything else is a failure of ours.
fn no_socket(error: &io::Error) -> Refusal {
    match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
        Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM => Refusal::busy(),
        _ => Refusal::failed(format!("cannot open a socket for the transfer: {error}")),
    }
}
