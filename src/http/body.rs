//! Response bodies of a known length: bytes in memory, or parts of a file read by descriptor.
//!
//! A file of the asset folder may be replaced or cut while it is sent, so it is read (`pread`) and never
//! mapped. Reading happens off the runtime, one chunk at a time and only when the connection has room for it:
//! a slow reader costs its socket and at most one chunk.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

/// Memory that all chunks in flight may take together, bytes.
const CHUNKS_TOTAL: u64 = 256 << 20;
/// Smallest and largest chunk, bytes.
const CHUNK: (u64, u64) = (32 << 10, 512 << 10);

/// File bodies being sent now, of all listeners.
static SENDING: AtomicU64 = AtomicU64::new(0);

/// Bytes per read: large, and smaller when a thousand machines load at once.
fn chunk_size(sending: u64) -> u64 {
    (CHUNKS_TOTAL / sending.max(1)).clamp(CHUNK.0, CHUNK.1)
}

/// A piece of a body.
#[derive(Debug)]
pub enum Piece {
    /// Bytes.
    Memory(Bytes),
    /// Part of a file.
    File {
        /// The file.
        file: Arc<File>,
        /// Where to begin, bytes.
        offset: u64,
        /// How much, bytes.
        length: u64,
    },
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

/// Counts one file body as long as it lives.
#[derive(Debug)]
struct Sending;

impl Sending {
    fn new() -> Self {
        SENDING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        SENDING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body.
#[derive(Debug, Default)]
pub struct Body {
    pieces: VecDeque<Piece>,
    /// Bytes not handed over yet.
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    _counted: Option<Sending>,
}

impl Body {
    /// From pieces, sent one after the other.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let pieces: VecDeque<Piece> = pieces.into_iter().filter(|piece| piece.length() > 0).collect();
        let left = pieces.iter().map(Piece::length).sum();
        let counted = pieces.iter().any(|piece| matches!(piece, Piece::File { .. })).then(Sending::new);
        Self { pieces, left, reading: None, _counted: counted }
    }

    /// From bytes.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new([Piece::Memory(bytes.into())])
    }

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        self.left
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let chunk = match this.pieces.front_mut() {
            None => return Poll::Ready(None),
            Some(Piece::Memory(bytes)) => std::mem::take(bytes),
            Some(Piece::File { file, offset, length }) => {
                let reading = this.reading.get_or_insert_with(|| {
                    let (file, offset) = (Arc::clone(file), *offset);
                    let wanted = (*length).min(chunk_size(SENDING.load(Ordering::Relaxed)));
                    tokio::task::spawn_blocking(move || read(&file, offset, wanted))
                });
                let outcome = ready!(Pin::new(reading).poll(cx));
                this.reading = None;
                let chunk = match outcome.map_err(io::Error::other).flatten() {
                    Ok(chunk) => chunk,
                    Err(error) => {
                        this.pieces.clear();
                        return Poll::Ready(Some(Err(error)));
                    }
                };
                *offset += chunk.len() as u64;
                *length -= chunk.len() as u64;
                chunk
            }
        };
        if this.pieces.front().is_some_and(|piece| piece.length() == 0) {
            this.pieces.pop_front();
        }
        this.left -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads exactly `wanted` bytes. A file that has become shorter is an error: what was promised in
/// Content-Length cannot be kept, and the client must see a broken transfer rather than a wrong file.
fn read(file: &File, offset: u64, wanted: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; wanted as usize];
    match file.read_exact_at(&mut buffer, offset) {
        Ok(()) => Ok(buffer.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let at = offset + wanted;
            Err(io::Error::new(
                error.kind(),
                format!("the file became shorter than {at} bytes while it was sent"),
            ))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_shrink_when_everybody_loads_at_once() {
        assert_eq!(
            [chunk_size(0), chunk_size(1), chunk_size(1024), chunk_size(1 << 20)],
            [512 << 10, 512 << 10, 256 << 10, 32 << 10]
        );
    }

    #[test]
    fn an_empty_body_ends_at_once() {
        let body = Body::from_bytes("");
        assert!(hyper::body::Body::is_end_stream(&body) && body.length() == 0);
    }
}
