//! Sockets, connections and their bounds.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::journal::{Event, HttpEvent, Level, Notice};
use crate::link::Peers;
use crate::openchami::api::Api;

use super::body::Body;
use super::door::{self, Caller, Door};
use super::wire::Ledger;

/// Connections that wait to be accepted, of one listener: a whole rack that is switched on together.
const BACKLOG: i32 = 4096;
/// Connections served at once, where the limit on open files allows it; each file sent needs another one.
const CONNECTIONS: usize = 16_384;
/// Connections beyond that are told to come again; more than this wait in the backlog.
const TURNED_AWAY: usize = 512;
/// Time for a whole request head, and for an idle connection to ask again: iPXE keeps connections, and
/// nothing may end before 30 s [W11].
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// A response that makes no progress for so long belongs to a machine that is gone.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);
/// How often that is looked at.
const STALL_CHECK: Duration = Duration::from_secs(10);
/// Time for running responses when bootlace stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Largest request head, and how much of a body waits inside hyper, bytes.
const BUFFER: usize = 64 << 10;

/// How many connections there may be at once, of all listeners together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections that are served.
    pub served: usize,
    /// Connections beyond that, which get 503 with Retry-After; more than these wait in the backlog.
    pub turned_away: usize,
}

impl Limits {
    /// What the limit on open files allows. Lifts the soft limit to the hard one where it may: a connection
    /// and the file that it is sent are two descriptors.
    pub fn of_this_process() -> Self {
        Self { served: CONNECTIONS.min(raise_file_limit() / 2), turned_away: TURNED_AWAY }
    }
}

/// Takes the events of all connections; must not block.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// Why HTTP cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The port is taken.
    #[error(
        "cannot listen for HTTP on {address}: another program already does; stop it or use another --http"
    )]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// Ports below 1024 need a privilege.
    #[error("cannot listen for HTTP on {address}: ports below 1024 need root or CAP_NET_BIND_SERVICE")]
    NotAllowed {
        /// Where.
        address: SocketAddr,
    },
    /// No interface has the address.
    #[error("cannot listen for HTTP on {address}: this machine does not have the address {}", address.ip())]
    NoSuchAddress {
        /// Where.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen for HTTP on {address}")]
    Socket {
        /// Where.
        address: SocketAddr,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
}

impl HttpError {
    fn new(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::PermissionDenied => Self::NotAllowed { address },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { address },
            _ => Self::Socket { address, cause },
        }
    }
}

/// A bound socket: from here on clients can connect, and are answered as soon as they are served.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Where it listens; the port is the real one where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket and its address.
    pub(super) fn into_parts(self) -> (std::net::TcpListener, SocketAddr) {
        (self.socket, self.address)
    }
}

/// Binds every address, or none.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<Listener>, HttpError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for (index, address) in addresses.iter().enumerate() {
        // The same listener from two settings is one listener.
        if address.port() == 0 || !addresses[..index].contains(address) {
            listeners.push(bind_one(*address)?);
        }
    }
    Ok(listeners)
}

/// Binds one address.
pub(super) fn bind_one(address: SocketAddr) -> Result<Listener, HttpError> {
    open(address).map_err(|cause| HttpError::new(address, cause))
}

/// Opens a listening socket.
pub(super) fn open(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of before.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` beside `0.0.0.0` on one port are two listeners.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let socket = std::net::TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok(Listener { socket, address })
}

/// Serves until `stop` says true or its sender is gone; then lets running responses end, for a limited time.
/// The events of all connections go to `sink`.
pub async fn serve_into(
    listeners: Vec<Listener>,
    api: Api,
    peers: Peers,
    sink: Sink,
    limits: Limits,
    stop: watch::Receiver<bool>,
) -> Result<(), HttpError> {
    let hall = Hall::new(api, peers, sink, limits);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(hall.accept(listener, stop.clone())?);
    }
    while accepting.join_next().await.is_some() {}
    Ok(())
}

/// What all listeners share.
pub(super) struct Hall {
    door: Arc<Door>,
    places: Places,
}

impl Hall {
    pub(super) fn new(api: Api, peers: Peers, sink: Sink, limits: Limits) -> Self {
        let door = Arc::new(Door { world: api.current().clone(), api, peers, sink });
        Self { door, places: Places::new(limits) }
    }

    /// Serves one listener until `stop` says true or its sender is gone.
    pub(super) fn accept(
        &self,
        Listener { socket, address }: Listener,
        stop: watch::Receiver<bool>,
    ) -> Result<impl Future<Output = ()> + use<>, HttpError> {
        let socket = TcpListener::from_std(socket).map_err(|cause| HttpError::new(address, cause))?;
        let (door, sink) = (Arc::clone(&self.door), Arc::clone(&self.door.sink));
        let connect = move |arrived, stop| connection(arrived, Arc::clone(&door), stop);
        Ok(accept(socket, self.places.clone(), sink, connect, stop))
    }
}

/// A connection that was accepted.
pub(super) struct Arrived {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// There are too many: it is only told to come again.
    pub(super) turned_away: bool,
}

/// Lifts the soft limit on open files to the hard one and returns what holds then.
fn raise_file_limit() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let wanted = hard.min(4 * CONNECTIONS as u64);
    let reached = match soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() {
        true => wanted,
        false => soft,
    };
    usize::try_from(reached).unwrap_or(usize::MAX)
}

/// Room for connections, shared by all listeners.
#[derive(Clone)]
pub(super) struct Places {
    served: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            served: Arc::new(Semaphore::new(limits.served)),
            turned_away: Arc::new(Semaphore::new(limits.turned_away)),
        }
    }

    /// A place among the served ones, else among those that are turned away; waits where both are full.
    async fn take(&self) -> Option<(OwnedSemaphorePermit, bool)> {
        match Arc::clone(&self.served).try_acquire_owned() {
            Ok(place) => Some((place, false)),
            Err(_) => Some((Arc::clone(&self.turned_away).acquire_owned().await.ok()?, true)),
        }
    }
}

/// Accepts until told to stop, then waits for its connections, each of which `connect` serves.
pub(super) async fn accept<F>(
    socket: TcpListener,
    places: Places,
    sink: Sink,
    connect: impl Fn(Arrived, watch::Receiver<bool>) -> F,
    mut stop: watch::Receiver<bool>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                let Some((place, turned_away)) = places.take().await else { break };
                let serving = connect(Arrived { stream, peer, turned_away }, stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    serving.await;
                });
            }
            Err(error) => {
                // Out of descriptors or memory: it passes, and must not become a busy loop.
                if !std::mem::replace(&mut failing, true) {
                    sink(Event::Notice(Notice {
                        level: Level::Warn,
                        name: "http-accept-failed",
                        text: format!("cannot accept HTTP connections: {error}"),
                        fields: Vec::new(),
                    }));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection of a booting machine to its end.
async fn connection(arrived: Arrived, door: Arc<Door>, stop: watch::Receiver<bool>) {
    let Arrived { stream, peer, turned_away } = arrived;
    let Ok(local) = stream.local_addr() else { return };
    // Scripts are small and waited for; without this they would wait for the client's delayed ACK.
    let _ = stream.set_nodelay(true);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let caller =
        Arc::new(Caller { peer, local, turned_away, ledger: Arc::clone(&ledger), mac: OnceLock::new() });
    let between = Between { peer, local, ledger, sink: Arc::clone(&door.sink) };
    converse(stream, between, stop, move |request| {
        door::answer(Arc::clone(&door), Arc::clone(&caller), request)
    })
    .await;
}

/// Between whom a connection is, and where its events go.
pub(super) struct Between {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    /// Whoever answers tells it what to expect.
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) sink: Sink,
}

/// Speaks HTTP on a stream, plain or TLS, to its end; `answer` answers each request.
pub(super) async fn converse<S, F>(
    stream: S,
    Between { peer, local, ledger, sink }: Between,
    mut stop: watch::Receiver<bool>,
    answer: impl Fn(Request<Incoming>) -> F,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Response<Body>>,
{
    let counted = Counted { stream, ledger: Arc::clone(&ledger), sink: Arc::clone(&sink) };
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        // A client may close its sending half after the request and still wait for the answer.
        .half_close(true)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(counted), service);
    let mut serving = pin!(serving);
    let mut check = tokio::time::interval(STALL_CHECK);
    let mut progress = (0, Instant::now());
    let mut deadline = None;
    let why = loop {
        tokio::select! {
            outcome = serving.as_mut() => break outcome.err().map_or_else(|| "the connection ended".to_owned(), |error| {
                if error.is_parse() {
                    sink(Event::Http(unreadable_request(peer, local, &error)));
                }
                describe(&error)
            }),
            _ = stop.wait_for(|stop| *stop), if deadline.is_none() => {
                serving.as_mut().graceful_shutdown();
                deadline = Some(Instant::now() + DRAIN);
                check.reset_after(DRAIN);
            }
            _ = check.tick() => {
                let now = Instant::now();
                if deadline.is_some_and(|deadline| now >= deadline) {
                    break "bootlace was stopped".to_owned();
                }
                let (written, busy) = lock(&ledger, |ledger| (ledger.written(), ledger.busy()));
                if written != progress.0 || !busy {
                    progress = (written, now);
                } else if now.duration_since(progress.1) >= STALL_TIMEOUT {
                    break format!("the client took nothing for {} s", STALL_TIMEOUT.as_secs());
                }
            }
        }
    };
    for event in lock(&ledger, |ledger| ledger.close(&why, Instant::now())) {
        sink(Event::Http(event));
    }
}

/// What ended a connection, by its innermost cause.
fn describe(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => "the client went away".to_owned(),
        _ if error.is_incomplete_message() => "the client went away".to_owned(),
        _ => cause.to_string(),
    }
}

/// The event of a request that hyper could not read and answered by itself.
fn unreadable_request(peer: SocketAddr, local: SocketAddr, error: &hyper::Error) -> HttpEvent {
    HttpEvent {
        peer,
        local,
        mac: None,
        node: None,
        method: "-".to_owned(),
        path: "-".to_owned(),
        status: if error.is_parse_too_large() { 431 } else { 400 },
        bytes: 0,
        size: 0,
        what: "-",
        reason: Some(crate::policy::Reason::Malformed),
        detail: Some(error.to_string()),
        agent: None,
        duration: Duration::ZERO,
    }
}

/// The ledger has no state that a panic elsewhere could leave half done.
fn lock<T>(ledger: &Mutex<Ledger>, use_it: impl FnOnce(&mut Ledger) -> T) -> T {
    use_it(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A connection whose written bytes are followed.
struct Counted<S> {
    stream: S,
    ledger: Arc<Mutex<Ledger>>,
    sink: Sink,
}

impl<S> Counted<S> {
    fn wrote<'b>(&self, slices: impl Iterator<Item = &'b [u8]>, written: usize) {
        let now = Instant::now();
        let mut left = written;
        let mut complete = Vec::new();
        lock(&self.ledger, |ledger| {
            for slice in slices {
                let taken = &slice[..slice.len().min(left)];
                left -= taken.len();
                complete.extend(ledger.wrote(taken, now));
            }
        });
        for event in complete {
            (self.sink)(Event::Http(event));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = outcome {
            self.wrote([bytes].into_iter(), written);
        }
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(written)) = outcome {
            self.wrote(slices.iter().map(|slice| &**slice), written);
        }
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
