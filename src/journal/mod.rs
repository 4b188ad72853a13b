//! What happened and why, once, as one typed event; the log's text and JSON are read from it.
//!
//! Packet paths hand events to a bounded queue and go on; formatting and writing happen on one thread of the
//! journal's own. When the queue is full an event is counted as lost, and the count is said as soon as there
//! is room: a slow terminal never delays an answer.

pub mod event;
pub mod findings;
mod json;
mod limit;
pub mod log;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

pub use event::{Event, HttpEvent, Level, Notice, TftpEvent, TftpOutcome};
use limit::Limit;

/// Events that may wait for the writer: a second of a storm.
const QUEUE: usize = 16_384;

/// Takes events without ever blocking a packet path. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    queue: SyncSender<Event>,
    lost: Arc<AtomicU64>,
}

/// The writer's end: joining it after the last [`Journal`] is gone waits until everything is written.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

impl Journal {
    /// Starts the writer.
    pub fn start() -> (Self, Writer) {
        let (queue, events) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        let writer = std::thread::spawn(move || write(&events, &counter));
        (Self { queue, lost }, Writer(writer))
    }

    /// Notes one event.
    pub fn note(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes something about the appliance itself.
    pub fn say(&self, level: Level, name: &'static str, text: impl Into<String>) {
        self.note(Event::Notice(Notice { level, name, text: text.into(), fields: Vec::new() }));
    }
}

impl Writer {
    /// Waits until everything is written.
    pub fn finish(self) {
        // The writer only reads a queue and prints; if it panicked there is nothing left to wait for.
        let _ = self.0.join();
    }
}

#[allow(clippy::disallowed_methods, reason = "the log's edge: lines are stamped here")]
fn write(events: &Receiver<Event>, lost: &AtomicU64) {
    let mut limit = Limit::default();
    let start = std::time::Instant::now();
    while let Ok(event) = events.recv() {
        for event in limit.pass(event, start.elapsed()) {
            log::emit(&event);
        }
        let missed = lost.swap(0, Ordering::Relaxed);
        if missed > 0 {
            let text = format!("{missed} events were not written: the log is slower than the network");
            log::emit(&Event::Notice(Notice {
                level: Level::Warn,
                name: "log-lost",
                text,
                fields: vec![("count", missed.into())],
            }));
        }
    }
}
