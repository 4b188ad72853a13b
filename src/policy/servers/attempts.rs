//! The conversations of clients, as far as they tell who was answered by whom and who asks again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::dhcp::{MessageType, Packet};
use crate::policy::offers::{Firmware, Offer};
use crate::records::Mac;

/// Conversations remembered; beyond, outdated ones are forgotten, and if none is, all.
const ATTEMPTS_MAX: usize = 4096;
/// A conversation that was silent for so long is over; the longest wait between two DISCOVERs is 32 s.
const OVER: Duration = Duration::from_secs(90);
/// The same packet within this time is the network's copy (by way of a relay, say), not a retransmission.
const COPY: Duration = Duration::from_millis(500);
/// Offers kept of one transaction: as many as EDK2 collects.
const OFFERS_MAX: usize = 16;

/// What a client did before it got, or was refused, an address.
#[derive(Clone, Debug)]
struct Attempt {
    xid: u32,
    message: Option<MessageType>,
    last: Duration,
    repeats: u32,
    /// DISCOVERs since the last REQUEST, over all transactions.
    discovers: u32,
    /// Transactions since the last REQUEST.
    transactions: u32,
    answered: bool,
    firmware: Option<Firmware>,
    offers: Vec<Offer>,
}

/// Where a client's message stands in its conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Repeat {
    /// How often the same message of the same transaction came before.
    pub(super) repeats: u32,
    /// DISCOVERs since the last REQUEST.
    pub(super) discovers: u32,
    /// Transactions since the last REQUEST.
    pub(super) transactions: u32,
    /// We had answered the same message before.
    pub(super) answered: bool,
}

impl Repeat {
    /// In words, when it is not the first message.
    pub(super) fn step(self, xid: u32) -> Option<String> {
        if self.repeats > 0 {
            let answered = if self.answered { ": it did not get or did not accept our answer" } else { "" };
            Some(format!("sent again, {} times now, with the same xid 0x{xid:08x}{answered}", self.repeats))
        } else if self.transactions > 1 {
            Some(format!("a new attempt, number {}", self.transactions))
        } else {
            None
        }
    }
}

/// The conversations by interface and card.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<(Arc<str>, Mac), Attempt>);

impl Attempts {
    /// Takes in a client's message and our answer to it.
    pub(super) fn request(
        &mut self,
        interface: &Arc<str>,
        mac: Mac,
        packet: &Packet<'_>,
        firmware: Option<Firmware>,
        offer: Option<Offer>,
        now: Duration,
    ) -> Repeat {
        let message = packet.message_type();
        if !matches!(message, Some(MessageType::Discover | MessageType::Request)) {
            return Repeat::default();
        }
        let key = (Arc::clone(interface), mac);
        if self.0.len() >= ATTEMPTS_MAX && !self.0.contains_key(&key) {
            self.0.retain(|_, attempt| now.saturating_sub(attempt.last) < OVER);
            if self.0.len() >= ATTEMPTS_MAX {
                self.0.clear();
            }
        }
        let fresh = Attempt {
            xid: packet.xid(),
            message,
            last: now,
            repeats: 0,
            discovers: 0,
            transactions: 0,
            answered: false,
            firmware,
            offers: Vec::new(),
        };
        let known = self.0.get(&key).is_some_and(|attempt| now.saturating_sub(attempt.last) < OVER);
        let attempt = self.0.entry(key).or_insert_with(|| fresh.clone());
        if !known {
            *attempt = fresh;
        }
        let same_xid = known && attempt.xid == packet.xid();
        let same = same_xid && attempt.message == message;
        let copy = same && now.saturating_sub(attempt.last) < COPY;
        if message == Some(MessageType::Request) {
            attempt.discovers = 0;
            attempt.transactions = 0;
        } else if !copy {
            attempt.discovers += 1;
            attempt.transactions += u32::from(!same_xid);
        }
        if !same_xid {
            attempt.offers.clear();
        }
        if !same {
            attempt.repeats = 0;
            attempt.answered = false;
        } else if !copy {
            attempt.repeats += 1;
        }
        let repeat = Repeat {
            repeats: if copy { 0 } else { attempt.repeats },
            discovers: attempt.discovers,
            transactions: if same_xid { 1 } else { attempt.transactions },
            answered: attempt.answered,
        };
        attempt.xid = packet.xid();
        attempt.message = message;
        attempt.last = now;
        attempt.firmware = firmware;
        attempt.answered |= offer.is_some();
        if let Some(offer) = offer {
            add(&mut attempt.offers, offer);
        }
        repeat
    }

    /// Takes in another server's offer; gives all offers of the transaction, and who asked.
    pub(super) fn offer(
        &mut self,
        interface: &Arc<str>,
        mac: Mac,
        xid: u32,
        offer: Offer,
    ) -> Option<(Option<Firmware>, Vec<Offer>)> {
        let attempt = self.0.get_mut(&(Arc::clone(interface), mac)).filter(|attempt| attempt.xid == xid)?;
        add(&mut attempt.offers, offer);
        Some((attempt.firmware, attempt.offers.clone()))
    }
}

/// A server's offer replaces its earlier one: clients keep one of each transmission, and so do we of all.
fn add(offers: &mut Vec<Offer>, offer: Offer) {
    offers.retain(|known| (known.server, known.ours) != (offer.server, offer.ours));
    if offers.len() < OFFERS_MAX {
        offers.push(offer);
    }
}
