//! The ways on which one request was answered [D4]: a relay on the client's own wire makes two packets of one
//! broadcast, the broadcast itself and the relayed copy.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long two packets count as one request; clients ask again after a second at the earliest.
const WINDOW: Duration = Duration::from_secs(1);
/// Requests remembered at most; beyond, all outdated ones are forgotten, and if none is, everything.
const REQUESTS_MAX: usize = 16_384;
/// Ways of one request that are told apart: direct, a redundant pair of relays, one to spare.
const WAYS_MAX: usize = 4;

/// What makes two packets one request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Asked {
    /// All 16 bytes of the hardware address field.
    pub chaddr: [u8; 16],
    /// Transaction id.
    pub xid: u32,
    /// Option 53, 0 for BOOTP.
    pub message: u8,
}

/// What the ways so far mean for a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judgement {
    /// No other way was answered: an ordinary request, or an ordinary repetition.
    First,
    /// Another way was answered, this one not yet.
    OtherWay,
    /// This way and another one were answered.
    Answered,
}

/// When which way was answered last.
type Times = [Option<(Ipv4Addr, Duration)>; WAYS_MAX];

/// Bounded memory of answered requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    answered: HashMap<Asked, Times>,
}

impl Ways {
    /// Judges a packet that came by `way`: its giaddr, 0.0.0.0 when it came directly.
    pub(super) fn judge(&self, asked: &Asked, way: Ipv4Addr, now: Duration) -> Judgement {
        let times = self.answered.get(asked).into_iter().flatten().flatten();
        let recent = times.filter(|(_, at)| now.saturating_sub(*at) < WINDOW);
        let (mut this, mut other) = (false, false);
        for (known, _) in recent {
            this |= *known == way;
            other |= *known != way;
        }
        match (this, other) {
            (_, false) => Judgement::First,
            (false, true) => Judgement::OtherWay,
            (true, true) => Judgement::Answered,
        }
    }

    /// Notes that the packet that came by `way` is answered.
    pub(super) fn remember(&mut self, asked: Asked, way: Ipv4Addr, now: Duration) {
        if self.answered.len() >= REQUESTS_MAX && !self.answered.contains_key(&asked) {
            let fresh =
                |times: &Times| times.iter().flatten().any(|(_, at)| now.saturating_sub(*at) < WINDOW);
            self.answered.retain(|_, times| fresh(times));
            if self.answered.len() >= REQUESTS_MAX {
                self.answered.clear();
            }
        }
        let times = self.answered.entry(asked).or_default();
        // Its own place, else a free one (None is the least), else the oldest.
        let place = times.iter_mut().min_by_key(|time| match time {
            Some((known, _)) if *known == way => None,
            time => Some(time.map(|(_, at)| at)),
        });
        if let Some(place) = place {
            *place = Some((way, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECT: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
    const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

    fn asked(xid: u32) -> Asked {
        Asked { chaddr: [2; 16], xid, message: 1 }
    }

    /// [D4]
    #[test]
    fn each_way_of_one_request_is_answered_once_within_a_second() {
        let mut ways = Ways::default();
        let at = Duration::from_millis;
        assert_eq!(ways.judge(&asked(1), DIRECT, at(0)), Judgement::First);
        ways.remember(asked(1), DIRECT, at(0));
        assert_eq!(ways.judge(&asked(1), RELAY, at(10)), Judgement::OtherWay);
        ways.remember(asked(1), RELAY, at(10));
        for way in [DIRECT, RELAY] {
            assert_eq!(ways.judge(&asked(1), way, at(500)), Judgement::Answered);
        }
        assert_eq!(ways.judge(&asked(2), RELAY, at(500)), Judgement::First, "another transaction");
        assert_eq!(ways.judge(&asked(1), DIRECT, at(1010)), Judgement::First, "asked again, a second later");
    }

    /// A client that repeats itself without any relay is no duplicate.
    #[test]
    fn a_repetition_by_one_way_alone_is_always_answered() {
        let mut ways = Ways::default();
        for n in 0..10 {
            let now = Duration::from_millis(n * 50);
            assert_eq!(ways.judge(&asked(1), RELAY, now), Judgement::First);
            ways.remember(asked(1), RELAY, now);
        }
    }

    #[test]
    fn a_flood_of_requests_and_of_relays_fills_no_memory() {
        let mut ways = Ways::default();
        for n in 0..40_000 {
            ways.remember(asked(n), DIRECT, Duration::from_micros(u64::from(n)));
            ways.remember(asked(0), Ipv4Addr::from(n), Duration::from_micros(u64::from(n)));
        }
        assert!(ways.answered.len() <= REQUESTS_MAX, "{}", ways.answered.len());
    }
}
