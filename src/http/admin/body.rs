//! The body of a request, within bounds: its length, how slowly it may come, and the memory of all bodies
//! together.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Memory is counted in pieces of this size, bytes.
const PIECE: usize = 64 << 10;
/// Memory for all bodies at once, bytes: two that hold a whole system.
const TOTAL: usize = 512 << 20;

/// How slowly a body may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Time that every body has.
    pub grace: Duration,
    /// Beyond that, bytes for each second.
    pub rate: u32,
}

/// A line of 1 Mbit/s is fast enough, and a client that means harm does not keep its place for long.
pub(super) const PACE: Pace = Pace { grace: Duration::from_secs(30), rate: 64 << 10 };

/// Why a body was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BadBody {
    #[error("the body is larger than the {limit} bytes that are taken here")]
    TooLarge { limit: usize },
    #[error("the body comes too slowly")]
    TooSlow,
    #[error("the body ends before it is complete")]
    Cut,
    #[error("too many large requests at once; try again")]
    Busy,
}

impl BadBody {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Cut => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Memory for the bodies of all requests.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Semaphore>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOTAL / PIECE)))
    }
}

/// Keeps a body's share of the memory.
#[derive(Debug, Default)]
pub(super) struct Share(Option<OwnedSemaphorePermit>, usize);

impl Share {
    /// Makes room for `length` bytes in all.
    fn grow(&mut self, memory: &Memory, length: usize) -> Result<(), BadBody> {
        let pieces = length.div_ceil(PIECE);
        let missing = u32::try_from(pieces.saturating_sub(self.1)).map_err(|_| BadBody::Busy)?;
        if missing == 0 {
            return Ok(());
        }
        let more = Arc::clone(&memory.0).try_acquire_many_owned(missing).map_err(|_| BadBody::Busy)?;
        match &mut self.0 {
            Some(held) => held.merge(more),
            held => *held = Some(more),
        }
        self.1 = pieces;
        Ok(())
    }
}

/// Reads a body of at most `limit` bytes. Its memory is counted as long as the share is kept.
pub(super) async fn collect<B>(
    mut body: B,
    limit: usize,
    memory: &Memory,
    pace: Pace,
) -> Result<(Bytes, Share), BadBody>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut share = Share::default();
    // What is announced as too large is not even begun with.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BadBody::TooLarge { limit });
    }
    share.grow(memory, announced)?;
    let start = Instant::now() + pace.grace;
    let mut content = BytesMut::with_capacity(announced.min(limit));
    loop {
        let deadline = start + Duration::from_secs(content.len() as u64) / pace.rate;
        let frame = tokio::time::timeout_at(deadline, body.frame()).await.map_err(|_| BadBody::TooSlow)?;
        let Some(frame) = frame else { return Ok((content.freeze(), share)) };
        // Trailers say nothing to us.
        let Ok(data) = frame.map_err(|_| BadBody::Cut)?.into_data() else { continue };
        if content.len() + data.len() > limit {
            return Err(BadBody::TooLarge { limit });
        }
        share.grow(memory, content.len() + data.len())?;
        content.extend_from_slice(&data);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;

    /// Gives its pieces, then nothing for ever.
    struct Stuck(Vec<&'static [u8]>);

    impl Body for Stuck {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.pop() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece))))),
                None => Poll::Pending,
            }
        }
    }

    fn read<B: Body<Data = Bytes> + Unpin>(body: B, limit: usize, memory: &Memory) -> Result<Bytes, BadBody> {
        let pace = Pace { grace: Duration::from_millis(20), rate: 64 << 10 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(collect(body, limit, memory, pace)).map(|(content, _)| content)
    }

    #[test]
    fn a_body_is_taken_up_to_its_limit_and_not_a_byte_more() {
        let memory = Memory::default();
        let of = |text: &'static str| Full::new(Bytes::from_static(text.as_bytes()));
        assert_eq!(read(of("12345"), 5, &memory).unwrap(), "12345");
        assert_eq!(read(of(""), 5, &memory).unwrap(), "");
        assert_eq!(read(of("123456"), 5, &memory), Err(BadBody::TooLarge { limit: 5 }));
        // Its length is not announced here: it is counted as it comes.
        assert_eq!(read(Stuck(vec![b"456", b"123"]), 5, &memory), Err(BadBody::TooLarge { limit: 5 }));
        assert_eq!(memory.0.available_permits(), TOTAL / PIECE, "memory is given back");
    }

    #[test]
    fn a_body_that_does_not_go_on_is_given_up() {
        assert_eq!(read(Stuck(vec![b"123"]), 5, &Memory::default()), Err(BadBody::TooSlow));
    }

    #[test]
    fn bodies_that_do_not_fit_into_memory_together_are_told_to_come_again() {
        let memory = Memory(Arc::new(Semaphore::new(1)));
        assert!(read(Full::new(Bytes::from(vec![0; PIECE])), 1 << 30, &memory).is_ok());
        assert_eq!(read(Full::new(Bytes::from(vec![0; PIECE + 1])), 1 << 30, &memory), Err(BadBody::Busy));
    }
}
