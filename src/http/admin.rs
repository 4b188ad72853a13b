//! The administrative listener: the OpenCHAMI services, for people and programs that may change records.
//!
//! On loopback it speaks plain HTTP and asks for no token; anywhere else it needs TLS and a token, or it does not
//! start. [`answer`] turns a request into a question to the services, [`body`] reads what a request brings within
//! bounds, [`tls`] is the certificate in use.

mod answer;
mod body;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::listener::{self, Arrived, Between, Limits, Listener, Places, Sink};
use super::wire::Ledger;
use crate::config::{ApiListen, Settings};
use crate::journal::{Event, Level, Notice};
use crate::openchami::access::FileError;
use crate::openchami::access::key;
use crate::openchami::access::keys::{KeysError, News, Tokens};
use crate::openchami::api::{Api, Asker};
use crate::world::Current;
use answer::{Caller, Desk};
use tls::Tls;

/// Connections at once; programs of administrators are few, and each may bring a large body.
const LIMITS: Limits = Limits { served: 512, turned_away: 32 };
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the certificate is looked at: files may be replaced, ours renewed.
const CERTIFICATE: Duration = Duration::from_secs(3600);

/// Says who is at an address, and if need be why it is taken for nobody; may read the kernel's tables, so it is
/// asked off the runtime.
pub type Identify = Arc<dyn Fn(IpAddr) -> (Asker, Option<String>) + Send + Sync>;

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The port is taken.
    #[error(
        "cannot serve the API on {address}: another program listens there; stop it, use another --api \
         ADDRESS:PORT, or switch the API off with --api none"
    )]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// No interface has the address.
    #[error(
        "cannot serve the API on {address}: this machine does not have the address {} (or its interface is down); \
         use another --api ADDRESS:PORT, or switch the API off with --api none",
        address.ip()
    )]
    NoSuchAddress {
        /// Where.
        address: SocketAddr,
    },
    /// Anything else about the socket.
    #[error("cannot serve the API on {address}: {cause}")]
    Socket {
        /// Where.
        address: SocketAddr,
        /// The system's error.
        cause: io::Error,
    },
    /// Tokens are needed, and none could ever be good.
    #[error(
        "cannot serve the API on {address}: whoever reaches it could change every record, and there is no key \
         that tokens are checked with; {}, or name another issuer's keys with api_tokens: {{jwks: FILE or URL}}, \
         or serve it on loopback (--api 127.0.0.1:8082)",
        make_a_key(state.as_deref())
    )]
    NoKey {
        /// Where.
        address: SocketAddr,
        /// The state folder.
        state: Option<std::path::PathBuf>,
    },
    /// TLS is needed, and there is no place for a certificate.
    #[error(
        "cannot serve the API on {address}: off loopback it needs TLS, and there is no state folder to keep a \
         certificate in; set state (--state DIR), or api_tls: {{certificate: FILE, key: FILE}}, or serve it on \
         loopback (--api 127.0.0.1:8082)"
    )]
    NoCertificate {
        /// Where.
        address: SocketAddr,
    },
    /// The certificate, or its key.
    #[error("cannot serve the API with TLS")]
    Certificate(#[from] FileError),
    /// The TLS library refuses.
    #[error("cannot serve the API with TLS")]
    Tls(#[from] rustls::Error),
    /// The keys that tokens are checked with.
    #[error("cannot serve the API")]
    Keys(#[from] KeysError),
}

fn make_a_key(state: Option<&Path>) -> String {
    match state {
        Some(state) => format!("make one with `bootlace token new --state {}`", state.display()),
        None => {
            format!(
                "set state (--state DIR) and make {} in it with `bootlace token new --state DIR`",
                key::FILE
            )
        }
    }
}

impl AdminError {
    fn socket(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { address },
            _ => Self::Socket { address, cause },
        }
    }
}

/// The bound listener with all that it needs to judge requests.
#[derive(Debug)]
pub struct AdminListener {
    listener: Listener,
    tls: Option<Arc<Tls>>,
    tokens: Arc<Tokens>,
    needed: bool,
}

impl AdminListener {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The URL that clients use for it.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address())
    }

    /// Whether requests need a token.
    pub fn needs_token(&self) -> bool {
        self.needed
    }
}

/// Reads keys, makes or reads the certificate and binds the socket that `settings.api` asks for; `state` is the
/// state folder. None: the API is switched off.
pub fn bind(settings: &Settings, state: Option<&Path>) -> Result<Option<AdminListener>, AdminError> {
    let api = &settings.api;
    let ApiListen::At(address) = api.listen else { return Ok(None) };
    let loopback = address.ip().to_canonical().is_loopback();
    let tokens = Tokens::open(&api.tokens.clone().unwrap_or_default(), state)?;
    let needed = !loopback || api.tokens.is_some();
    if needed && !tokens.any() {
        return Err(AdminError::NoKey { address, state: state.map(Path::to_owned) });
    }
    let tls = match (&api.tls, state) {
        (None, _) if loopback => None,
        (None, None) => return Err(AdminError::NoCertificate { address }),
        (Some(files), _) => Some(Tls::with_files(files.clone())),
        (None, Some(state)) => Some(Tls::made(state.to_owned(), address, api.tls_names.clone())),
    };
    // The socket first: a refused start leaves no certificate behind.
    let listener = listener::open(address).map_err(|cause| AdminError::socket(address, cause))?;
    let tls = tls.map(|tls| tls.load(Timestamp::now())).transpose()?.map(Arc::new);
    Ok(Some(AdminListener { listener, tls, tokens: Arc::new(tokens), needed }))
}

/// Serves the API until `stop` says true or its sender is gone; then lets running answers end, for a limited time.
pub async fn serve(
    listener: AdminListener,
    api: Api,
    world: Current,
    who: Identify,
    sink: Sink,
    stop: watch::Receiver<bool>,
) -> Result<(), AdminError> {
    let AdminListener { listener, tls, tokens, needed } = listener;
    let (socket, address) = listener.into_parts();
    let socket = TcpListener::from_std(socket).map_err(|cause| AdminError::socket(address, cause))?;
    let desk = Arc::new(Desk::new(api, world, who, Arc::clone(&tokens), needed));
    let accepting = {
        let (sink, tls) = (Arc::clone(&sink), tls.clone());
        let connect = {
            let sink = Arc::clone(&sink);
            move |arrived, stop| connection(arrived, tls.clone(), Arc::clone(&desk), Arc::clone(&sink), stop)
        };
        listener::accept(socket, Places::new(LIMITS), sink, connect, stop.clone())
    };
    let keys = tokens.follow(|news| tell_keys(&sink, news), stop.clone());
    let certificate = async {
        if let Some(tls) = tls {
            renew(&tls, &sink, stop.clone()).await;
        }
    };
    tokio::join!(accepting, keys, certificate);
    Ok(())
}

async fn connection(
    arrived: Arrived,
    tls: Option<Arc<Tls>>,
    desk: Arc<Desk>,
    sink: Sink,
    mut stop: watch::Receiver<bool>,
) {
    let Arrived { stream, peer, turned_away } = arrived;
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let caller =
        Arc::new(Caller { peer, local, secure: tls.is_some(), turned_away, ledger: Arc::clone(&ledger) });
    let between = Between { peer, local, ledger, sink: Arc::clone(&sink) };
    let answer = move |request| answer::answer(Arc::clone(&desk), Arc::clone(&caller), request);
    let Some(tls) = tls else {
        return listener::converse(stream, between, stop, answer).await;
    };
    let handshake = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return,
        handshake = tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(stream)) => handshake,
    };
    match handshake {
        Ok(Ok(stream)) => listener::converse(stream, between, stop, answer).await,
        Ok(Err(error)) => {
            // Strangers can cause these at will, so they are not shown unasked.
            notice(&sink, Level::Debug, "tls-failed", format!("TLS handshake with {peer} failed: {error}"));
        }
        Err(_) => {
            let text = format!("TLS handshake with {peer} took longer than {} s", HANDSHAKE.as_secs());
            notice(&sink, Level::Debug, "tls-failed", text);
        }
    }
}

/// Looks at the certificate again and again.
async fn renew(tls: &Arc<Tls>, sink: &Sink, mut stop: watch::Receiver<bool>) {
    let mut failed = false;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(CERTIFICATE) => {}
        }
        let tls = Arc::clone(tls);
        let outcome = tokio::task::spawn_blocking(move || tls.renew(Timestamp::now())).await;
        match outcome {
            Ok(Ok(true)) => {
                failed = false;
                notice(sink, Level::Info, "certificate", "the API has a new certificate".to_owned());
            }
            Ok(Ok(false)) => failed = false,
            Ok(Err(error)) if !std::mem::replace(&mut failed, true) => {
                let text = format!("the API keeps its old certificate: {error}");
                notice(sink, Level::Warn, "certificate", text);
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

fn tell_keys(sink: &Sink, news: News) {
    match news {
        News::Read { keys, problems } if problems.is_empty() => {
            notice(
                sink,
                Level::Info,
                "token-keys",
                format!("tokens are checked with {keys} keys of the issuer"),
            );
        }
        News::Read { keys, problems } => {
            let text = format!(
                "tokens are checked with {keys} keys of the issuer; others cannot be used: {}",
                problems.join("; ")
            );
            notice(sink, Level::Warn, "token-keys", text);
        }
        News::Failed(error) => {
            notice(sink, Level::Warn, "token-keys-failed", format!("{error}; it is tried again"));
        }
    }
}

fn notice(sink: &Sink, level: Level, name: &'static str, text: String) {
    sink(Event::Notice(Notice { level, name, text, fields: Vec::new() }));
}
