//! One read transfer: which block to send when, and when it is over. No sockets, no files, no clock.
//!
//! The driver hands in packets ([`Transfer::on_ack`], [`Transfer::on_error`]), then asks [`Transfer::poll`]
//! what to do until it says [`Step::Wait`], and asks again at [`Transfer::wake_at`] at the latest. Blocks are
//! counted in 64 bits; only the number on the wire wraps [T7].
//!
//! What must not be touched lightly: a repeated ACK never triggers a resend by itself (Sorcerer's
//! Apprentice: two of everything for the rest of the transfer), and only progress moves the time-out.

use std::time::{Duration, Instant};

use crate::journal::TftpOutcome;

use super::numbers::Rollover;
use super::options::Agreed;
use super::round_trip::RoundTrip;

/// Silence after which a client that had answered before is given up [T6].
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Resends of the first packet to a client that never answered: bounds what a forged request can cause [T6].
pub const FIRST_RESENDS: u32 = 6;
/// Resends of the last blocks before their confirmation is done without [T8].
pub const LAST_RESENDS: u32 = 2;
/// Time for the same: with an adaptive time-out two resends are over in 0.2 s, and a busy client must still
/// find us when it lost the last block.
pub const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// A request identical to that of a running transfer is the network's late copy while blocks are still being
/// confirmed; after this much silence it is a client that started again from the same port [T5].
pub const STALLED: Duration = Duration::from_secs(1);
/// Pause between the parts of a window that is sent in bursts.
pub const BURST_PAUSE: Duration = Duration::from_millis(10);

/// Windows in a row whose tail is lost before bursts are halved.
const TAIL_LOSSES: u32 = 2;
/// Smallest burst before single blocks, blocks [T9].
const BURST_MIN: u64 = 4;
/// Windows in a row without loss before bursts are doubled again.
const GOOD_WINDOWS: u32 = 32;

/// What to do now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing until the next packet or [`Transfer::wake_at`].
    Wait,
    /// Send the OACK.
    OptionAck,
    /// Send these blocks.
    Blocks {
        /// Number of the first, counted from 1 and never wrapped.
        first: u64,
        /// How many.
        count: u16,
    },
    /// The transfer is over.
    Ended(TftpOutcome),
}

/// What a request from the address and port of a running transfer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// The client missed the first answer, which is due again (ask [`Transfer::poll`]) [T14].
    Resend,
    /// A late copy of the request: drop it [T5].
    LateCopy,
    /// The client started again: end this transfer and begin anew [T5].
    Replace,
}

/// One read transfer.
#[derive(Clone, Debug)]
pub struct Transfer {
    blksize: u64,
    windowsize: u64,
    tells_size: bool,
    patience: Duration,
    /// Payload bytes altogether; not known before the end in netascii.
    total: Option<u64>,
    /// The OACK is out (or due) and ACK 0 has not come.
    offering: bool,
    offer_due: bool,
    /// There was an OACK at all.
    offered: bool,
    /// Blocks the client has confirmed.
    confirmed: u64,
    /// Next block of the present window to send.
    next: u64,
    /// Highest block ever sent.
    highest: u64,
    /// The client has confirmed something.
    heard: bool,
    /// What is in flight was sent once, so its confirmation is a sample (Karn).
    sent_once: bool,
    /// The present window was sent again because nothing came back.
    timed_out: bool,
    /// Blocks sent back to back. Shrinks below the window when a switch or the client's receive ring loses
    /// the tail of every window. The window itself stays: the client confirms after as many blocks as were
    /// agreed (RFC 7440, 4), so a smaller one would stand still until a time-out each time.
    burst: u64,
    burst_at: Instant,
    tail_losses: u32,
    good_windows: u32,
    resends: u32,
    last_sent: Instant,
    last_progress: Instant,
    deadline: Instant,
    round_trip: RoundTrip,
    resent: u64,
    rollover: Rollover,
    ended: Option<TftpOutcome>,
}

impl Transfer {
    /// Starts a transfer of `total` payload bytes, or of an unknown number (netascii).
    pub fn new(agreed: &Agreed, total: Option<u64>, now: Instant) -> Self {
        let offered = agreed.option_ack.is_some();
        let round_trip = RoundTrip::new(agreed.timeout);
        let windowsize = u64::from(agreed.windowsize.max(1));
        Self {
            blksize: u64::from(agreed.blksize.max(1)),
            windowsize,
            tells_size: agreed.tells_size,
            patience: PATIENCE.max(agreed.timeout.unwrap_or_default()),
            total,
            offering: offered,
            offer_due: offered,
            offered,
            confirmed: 0,
            next: 1,
            highest: 0,
            heard: false,
            sent_once: true,
            timed_out: false,
            burst: windowsize,
            burst_at: now,
            tail_losses: 0,
            good_windows: 0,
            resends: 0,
            last_sent: now,
            last_progress: now,
            deadline: now + round_trip.timeout(),
            round_trip,
            resent: 0,
            rollover: Rollover::default(),
            ended: None,
        }
    }

    /// Numbers blocks in another way after 65535 [T7].
    pub fn with_rollover(self, rollover: Rollover) -> Self {
        Self { rollover, ..self }
    }

    /// The number of a block on the wire.
    pub fn number(&self, block: u64) -> u16 {
        self.rollover.on_wire(block)
    }

    /// Takes the block number of an ACK.
    pub fn on_ack(&mut self, number: u16, now: Instant) {
        if self.ended.is_some() {
            return;
        }
        if self.offering {
            // Only ACK 0 confirms an OACK (RFC 2347).
            if number == 0 {
                self.offering = false;
                self.offer_due = false;
                self.progress(now);
                if self.sent_once {
                    self.round_trip.sample(now.saturating_duration_since(self.last_sent));
                }
                self.open_window(now);
            }
            return;
        }
        let advance = self.rollover.advance(self.confirmed, number);
        if advance == 0 {
            self.on_repeated_ack(now);
        } else if advance <= self.highest - self.confirmed {
            self.on_advance(advance, now);
        }
    }

    fn on_advance(&mut self, advance: u64, now: Instant) {
        let window_end = self.window_end();
        self.confirmed += advance;
        self.progress(now);
        if self.last_block() == Some(self.confirmed) {
            self.ended = Some(TftpOutcome::Sent);
            return;
        }
        if self.confirmed < self.highest {
            // An ACK inside the window: the block after it was lost (RFC 7440, 4).
            self.round_trip.forget_doubling();
            self.good_windows = 0;
            if self.timed_out {
                self.on_tail_loss();
            }
        } else if self.confirmed == window_end {
            if self.sent_once {
                self.round_trip.sample(now.saturating_duration_since(self.last_sent));
            }
            if !self.timed_out {
                self.on_good_window();
            }
        }
        self.open_window(now);
    }

    /// The ACK before the window again: its first block was lost, or this echoes a resend. In lockstep that
    /// cannot be told apart, so only the time-out acts [T6]. With a window the client may be believed once
    /// any echo must have come back; believed at once, the traffic would double for ever.
    fn on_repeated_ack(&mut self, now: Instant) {
        let Some(smoothed) = self.round_trip.smoothed() else { return };
        if self.windowsize > 1
            && self.next > self.confirmed + 1
            && now.saturating_duration_since(self.last_sent) > smoothed * 2
        {
            self.send_again(now);
        }
    }

    /// Takes an ERROR of the client: it ends the transfer, always [T5]. One that comes before any block was
    /// confirmed, after the size was told, is how firmware asks for the size.
    pub fn on_error(&mut self, code: u16, text: String) {
        self.end(|transfer| match transfer.is_size_probe() {
            true => TftpOutcome::SizeProbe,
            false => TftpOutcome::Aborted { code, text },
        });
    }

    /// The client's host says that nobody listens on its port any more.
    pub fn on_port_closed(&mut self) {
        self.end(|transfer| match transfer {
            _ if transfer.is_size_probe() => TftpOutcome::SizeProbe,
            _ if transfer.heard && transfer.all_sent() => TftpOutcome::Sent,
            _ => TftpOutcome::Aborted { code: 0, text: "the client closed its port".to_owned() },
        });
    }

    /// Takes the very same request again.
    pub fn on_same_request(&mut self, now: Instant) -> Again {
        if self.ended.is_some()
            || (self.heard && now.saturating_duration_since(self.last_progress) >= STALLED)
        {
            Again::Replace
        } else if self.heard {
            Again::LateCopy
        } else {
            self.send_again(now);
            Again::Resend
        }
    }

    /// The client asked for something else from the same port [T5].
    pub fn on_other_request(&mut self) {
        self.end(|transfer| match transfer.is_size_probe() {
            true => TftpOutcome::SizeProbe,
            false => TftpOutcome::Aborted { code: 0, text: "the client began a new request".to_owned() },
        });
    }

    /// The driver found the end of a file whose length was not known: `total` payload bytes.
    pub fn ends_at(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// The socket took the blocks before `unsent` only; the rest is due after a pause.
    pub fn cut_short(&mut self, unsent: u64) {
        self.next = self.next.min(unsent.max(self.confirmed + 1));
        self.highest = self.highest.min(self.next - 1);
    }

    /// What to do now. Ask until it says [`Step::Wait`] or [`Step::Ended`].
    pub fn poll(&mut self, now: Instant) -> Step {
        if self.ended.is_none() && now >= self.deadline {
            self.on_time_out(now);
        }
        if let Some(outcome) = &self.ended {
            return Step::Ended(outcome.clone());
        }
        if self.offering {
            if !std::mem::take(&mut self.offer_due) {
                return Step::Wait;
            }
            self.sent(now);
            return Step::OptionAck;
        }
        let window_end = self.window_end();
        if self.next > window_end || now < self.burst_at {
            return Step::Wait;
        }
        let first = self.next;
        let count = (window_end + 1 - first).min(self.burst).min(u64::from(u16::MAX));
        self.resent += (self.highest + 1).saturating_sub(first).min(count);
        self.next = first + count;
        self.highest = self.highest.max(self.next - 1);
        self.burst_at = now + BURST_PAUSE;
        self.sent(now);
        Step::Blocks { first, count: count as u16 }
    }

    /// When [`Self::poll`] has something to do without a packet.
    pub fn wake_at(&self) -> Instant {
        let bursting = !self.offering && self.next <= self.window_end();
        if bursting { self.burst_at.min(self.deadline) } else { self.deadline }
    }

    /// Payload bytes the client has confirmed.
    pub fn bytes(&self) -> u64 {
        let bytes = self.confirmed * self.blksize;
        self.total.map_or(bytes, |total| bytes.min(total))
    }

    /// Blocks sent more than once.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    fn on_time_out(&mut self, now: Instant) {
        let silence = now.saturating_duration_since(self.last_progress);
        let unconfirmed_end =
            self.heard && self.all_sent() && self.resends >= LAST_RESENDS && silence >= LAST_PATIENCE;
        if unconfirmed_end {
            // Several ROMs start the file without a word to us [T8].
            self.ended = Some(TftpOutcome::Sent);
        } else if silence >= self.patience || (!self.heard && self.resends >= FIRST_RESENDS) {
            self.ended = Some(TftpOutcome::TimedOut { hint: self.hint() });
        } else {
            self.resends += 1;
            self.timed_out = true;
            self.round_trip.double();
            self.deadline = now + self.round_trip.timeout();
            self.send_again(now);
        }
    }

    /// Likely cause of a client's silence.
    fn hint(&self) -> Option<&'static str> {
        if self.offered && self.heard && self.confirmed == 0 && self.resends >= 3 && self.blksize > 512 {
            // The small OACK arrived and the large block never does [T18].
            Some("MTU or fragment problem on the path, try blksize_max 1024")
        } else if self.confirmed == u64::from(u16::MAX) {
            Some(
                "the client stopped at block 65535: it needs a larger blksize, or counts block numbers on in \
                 another way (rollover)",
            )
        } else {
            None
        }
    }

    /// The last blocks are out and nothing but their confirmation is missing.
    fn all_sent(&self) -> bool {
        !self.offering && self.last_block().is_some_and(|last| self.highest == last)
    }

    fn is_size_probe(&self) -> bool {
        self.tells_size && self.confirmed == 0
    }

    fn end(&mut self, outcome: impl FnOnce(&Self) -> TftpOutcome) {
        if self.ended.is_none() {
            self.ended = Some(outcome(self));
        }
    }

    fn progress(&mut self, now: Instant) {
        self.heard = true;
        self.resends = 0;
        self.last_progress = now;
    }

    fn open_window(&mut self, now: Instant) {
        self.next = self.confirmed + 1;
        self.timed_out = false;
        // The confirmation of its last block is a sample when that block never left before.
        self.sent_once = self.highest < self.window_end();
        self.burst_at = now;
        self.deadline = now + self.round_trip.timeout();
    }

    fn send_again(&mut self, now: Instant) {
        self.sent_once = false;
        self.offer_due = self.offering;
        self.next = self.confirmed + 1;
        self.burst_at = now;
    }

    fn sent(&mut self, now: Instant) {
        self.last_sent = now;
        self.deadline = now + self.round_trip.timeout();
    }

    fn on_tail_loss(&mut self) {
        self.tail_losses += 1;
        if self.tail_losses >= TAIL_LOSSES {
            self.tail_losses = 0;
            self.burst = if self.burst > BURST_MIN { (self.burst / 2).max(BURST_MIN) } else { 1 };
        }
    }

    fn on_good_window(&mut self) {
        self.tail_losses = 0;
        self.good_windows += 1;
        if self.good_windows >= GOOD_WINDOWS {
            self.good_windows = 0;
            self.burst = (self.burst * 2).min(self.windowsize);
        }
    }

    /// Last block that may be in flight now.
    fn window_end(&self) -> u64 {
        let end = self.confirmed + self.windowsize;
        self.last_block().map_or(end, |last| end.min(last))
    }

    /// A file whose length is a multiple of the block size ends with an empty block [T8].
    fn last_block(&self) -> Option<u64> {
        self.total.map(|total| total / self.blksize + 1)
    }
}
