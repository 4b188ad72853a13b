//! Replies that wait before they leave (`reply_delay`), in the order of their time. Bounded: when it is full a
//! reply is handed back and leaves at once, which is what the client would get without the setting.

use std::collections::BTreeMap;
use std::time::Instant;

/// Replies that may wait on one interface.
const WAITING_MAX: usize = 1024;

/// What waits, by when it is due.
#[derive(Debug)]
pub(super) struct Delayed<T> {
    waiting: BTreeMap<(Instant, u64), T>,
    /// Tells apart what is due at one moment, first come first served.
    pushed: u64,
}

impl<T> Default for Delayed<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), pushed: 0 }
    }
}

impl<T> Delayed<T> {
    /// Lets `item` wait until `due`; gives it back when there is no room.
    pub(super) fn push(&mut self, due: Instant, item: T) -> Result<(), T> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(item);
        }
        self.pushed += 1;
        self.waiting.insert((due, self.pushed), item);
        Ok(())
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes one that is due.
    pub(super) fn take(&mut self, now: Instant) -> Option<T> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any moment does")]
    fn replies_leave_in_the_order_of_their_time_and_the_queue_is_bounded() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut delayed = Delayed::default();
        for (seconds, item) in [(3, 'c'), (1, 'a'), (3, 'd'), (2, 'b')] {
            delayed.push(at(seconds), item).unwrap();
        }
        assert_eq!(delayed.next(), Some(at(1)));
        assert_eq!(delayed.take(at(0)), None);
        let due: Vec<char> = std::iter::from_fn(|| delayed.take(at(3))).collect();
        assert_eq!(due, ['a', 'b', 'c', 'd']);
        for n in 0..WAITING_MAX {
            delayed.push(at(n as u64), 'x').unwrap();
        }
        assert_eq!(delayed.push(at(1), 'y'), Err('y'), "handed back, to be sent at once");
    }
}
