//! What of each response really went to the kernel.
//!
//! hyper says when a response was handed to it, not when its bytes left, and a client that goes away in the
//! middle is exactly what the log must show [W12]. So the bytes are counted where they leave: the [`Ledger`]
//! follows them, head by head and body by body, and gives each response's event when its last byte is out.

use std::collections::VecDeque;
use std::time::Instant;

use crate::journal::HttpEvent;

/// A response on its way.
#[derive(Debug)]
struct Entry {
    event: HttpEvent,
    started: Instant,
    /// Body bytes that will be written.
    length: u64,
}

/// Follows the bytes of one connection.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: VecDeque<Entry>,
    /// How much of the blank line that ends a head has been seen, bytes.
    matched: usize,
    in_body: bool,
    /// All bytes that left, for the watchdog.
    written: u64,
}

/// The end of a response's head.
const HEAD_END: &[u8; 4] = b"\r\n\r\n";

impl Ledger {
    /// A response with `length` body bytes is about to be written; `event` tells of it.
    pub fn expect(&mut self, event: HttpEvent, length: u64, started: Instant) {
        self.entries.push_back(Entry { event, started, length });
    }

    /// `bytes` were taken by the kernel. Returns the events of the responses that are complete now.
    pub fn wrote(&mut self, mut bytes: &[u8], now: Instant) -> Vec<HttpEvent> {
        self.written += bytes.len() as u64;
        let mut complete = Vec::new();
        loop {
            if !self.in_body {
                bytes = self.head(bytes);
                if !self.in_body {
                    break;
                }
            }
            // A head without an entry is hyper's own answer to a request that could not be read.
            let Some(entry) = self.entries.front_mut() else {
                self.in_body = false;
                continue;
            };
            let left = usize::try_from(entry.length - entry.event.bytes).unwrap_or(usize::MAX);
            let taken = bytes.len().min(left);
            entry.event.bytes += taken as u64;
            bytes = &bytes[taken..];
            if entry.event.bytes < entry.length {
                break;
            }
            self.in_body = false;
            complete.extend(self.entries.pop_front().map(|entry| entry.ended(now)));
        }
        complete
    }

    /// Looks for the end of a head; returns what follows it.
    fn head<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        for (index, byte) in bytes.iter().enumerate() {
            self.matched = match (*byte == HEAD_END[self.matched], byte) {
                (true, _) => self.matched + 1,
                (false, b'\r') => 1,
                (false, _) => 0,
            };
            if self.matched == HEAD_END.len() {
                self.matched = 0;
                self.in_body = true;
                return &bytes[index + 1..];
            }
        }
        &[]
    }

    /// The connection has ended: events of the responses that did not get out whole.
    pub fn close(&mut self, why: &str, now: Instant) -> Vec<HttpEvent> {
        self.entries
            .drain(..)
            .map(|mut entry| {
                let left = format!("{why} after {} of {} bytes", entry.event.bytes, entry.length);
                add(&mut entry.event.detail, &left);
                entry.ended(now)
            })
            .collect()
    }

    /// Bytes that left so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// True while a response is not out.
    pub fn busy(&self) -> bool {
        !self.entries.is_empty()
    }
}

impl Entry {
    fn ended(mut self, now: Instant) -> HttpEvent {
        self.event.duration = now.saturating_duration_since(self.started);
        self.event
    }
}

/// Adds a remark to an event's detail.
pub fn add(detail: &mut Option<String>, remark: &str) {
    match detail {
        Some(text) => {
            text.push_str("; ");
            text.push_str(remark);
        }
        None => *detail = Some(remark.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn event(path: &str) -> HttpEvent {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        HttpEvent {
            peer: address,
            local: address,
            mac: None,
            node: None,
            method: "GET".to_owned(),
            path: path.to_owned(),
            status: 200,
            bytes: 0,
            size: 0,
            what: "-",
            reason: None,
            detail: None,
            agent: None,
            duration: Duration::ZERO,
        }
    }

    /// However the kernel cuts the stream, each response is told once and in order.
    #[test]
    fn responses_are_told_when_their_last_byte_left() {
        // A HEAD answer, a body that looks like the end of a head, and a plain one.
        let stream = b"HTTP/1.1 200\r\nA: b\r\n\r\nHTTP/1.1 200\r\n\r\n\r\n\r\nHTTP/1.1 200\r\r\n\r\nxyz";
        for cut in 1..stream.len() {
            let now = Instant::now();
            let mut ledger = Ledger::default();
            for (path, length) in [("a", 0), ("b", 4), ("c", 3)] {
                ledger.expect(event(path), length, now);
            }
            let mut told = Vec::new();
            for piece in stream.chunks(cut) {
                told.extend(ledger.wrote(piece, now).into_iter().map(|event| (event.path, event.bytes)));
            }
            assert_eq!(told, [("a".to_owned(), 0), ("b".to_owned(), 4), ("c".to_owned(), 3)], "cut at {cut}");
            assert!(!ledger.busy());
        }
    }

    /// [W12]
    #[test]
    fn a_client_that_goes_away_is_told_with_the_bytes_it_got() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        ledger.expect(event("a"), 100, now);
        assert!(ledger.wrote(b"HTTP/1.1 200 OK\r\n\r\n1234567", now).is_empty());
        let ended = ledger.close("the client went away", now);
        assert_eq!(
            (ended[0].bytes, ended[0].detail.as_deref()),
            (7, Some("the client went away after 7 of 100 bytes"))
        );
    }

    #[test]
    fn an_answer_of_the_http_library_itself_disturbs_nothing() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        assert!(ledger.wrote(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", now).is_empty());
        ledger.expect(event("a"), 0, now);
        assert_eq!(ledger.wrote(b"HTTP/1.1 200 OK\r\n\r\n", now).len(), 1);
    }
}
