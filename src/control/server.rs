//! The running bootlace's side: one socket, whole requests in, whole responses out.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{ControlError, NAME};

/// Mode of the socket: for its owner and group.
const MODE: u32 = 0o660;
/// Commands served at once; more wait in the backlog.
const CONNECTIONS: usize = 64;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// Largest body, bytes: an import of several 100 000 nodes.
const BODY: usize = 256 << 20;
/// Time for a request head, and for an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for running requests when bootlace stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Wait after accepting failed: out of descriptors passes, and must not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A response to come.
pub type Answer = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;
/// What answers requests, their body collected.
pub type Handler = Arc<dyn Fn(Request<Bytes>) -> Answer + Send + Sync>;

/// The bound socket. Commands can connect from here on, and are answered as soon as it is served.
#[derive(Debug)]
pub struct Listener {
    socket: std::os::unix::net::UnixListener,
    path: PathBuf,
    /// Held as long as we listen: what tells a live socket from one that a dead process left.
    _lock: File,
}

impl Listener {
    /// The socket's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The lock is still held, so the file is ours.
        let _ = fs::remove_file(&self.path);
    }
}

/// Binds `control.sock` in `folder`, which is made (0750) where it is missing. The file of a dead process is
/// replaced, a live one is an error.
pub fn bind(folder: &Path) -> Result<Listener, ControlError> {
    let path = folder.join(NAME);
    open(folder, &path).map_err(|problem| match problem {
        TryLockError::WouldBlock => ControlError::InUse { path: path.clone() },
        TryLockError::Error(cause) => ControlError::Bind { path: path.clone(), cause },
    })
}

fn open(folder: &Path, path: &Path) -> Result<Listener, TryLockError> {
    DirBuilder::new().recursive(true).mode(0o750).create(folder).map_err(TryLockError::Error)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.with_extension("lock"))
        .map_err(TryLockError::Error)?;
    lock.try_lock()?;
    let socket = listen(path).map_err(TryLockError::Error)?;
    Ok(Listener { socket, path: path.to_owned(), _lock: lock })
}

fn listen(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::other("something else than a socket is there; move it away")),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(cause),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux makes the file with the socket's own mode, less the umask: at no moment can others open it.
    fchmod(&socket, Mode::from_bits_truncate(MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Answers with `handler` until `stop` says true or its sender is gone; then lets running requests end, for a
/// limited time, and removes the socket.
pub async fn serve(
    listener: Listener,
    handler: Handler,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ControlError> {
    let bound = listener.socket.try_clone().and_then(UnixListener::from_std);
    let socket = bound.map_err(|cause| ControlError::Bind { path: listener.path.clone(), cause })?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&socket, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let (handler, stop) = (Arc::clone(&handler), stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    connection(stream, handler, stop).await;
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(socket);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What is still running then is ended with its set.
    let _ = tokio::time::timeout(DRAIN, ended).await;
    drop(listener);
    Ok(())
}

async fn accept(
    socket: &UnixListener,
    places: &Arc<Semaphore>,
) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    Ok((socket.accept().await?.0, place))
}

/// Serves one connection to its end. Its errors are the client's to tell: it sees that no answer came.
async fn connection(stream: UnixStream, handler: Handler, mut stop: watch::Receiver<bool>) {
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, std::convert::Infallible>(answer(request, &handler).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

async fn answer(request: Request<Incoming>, handler: &Handler) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY).collect()).await {
        Ok(Ok(body)) => handler(Request::from_parts(head, body.to_bytes())).await,
        Ok(Err(problem)) if problem.is::<LengthLimitError>() => {
            let text = format!("the body is larger than {} MiB\n", BODY >> 20);
            refuse(StatusCode::PAYLOAD_TOO_LARGE, text)
        }
        Ok(Err(problem)) => refuse(StatusCode::BAD_REQUEST, format!("the body cannot be read: {problem}\n")),
        Err(_) => {
            let text = format!("the body did not come within {} s\n", BODY_TIMEOUT.as_secs());
            refuse(StatusCode::REQUEST_TIMEOUT, text)
        }
    }
}

fn refuse(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
