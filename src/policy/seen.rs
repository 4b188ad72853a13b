//! What rules need from before: a bounded value that `decide` reads and the shell updates with the facts
//! that decisions carry.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::records::Mac;

use super::decide::Fact;
use super::ways::Ways;

/// How long a named loader counts for the loop guard [L1].
const LOOP_WINDOW: Duration = Duration::from_secs(120);
/// Chain-loads within the window that make a loop [L1].
const LOOP_COUNT: usize = 3;
/// How long a declined address is withheld.
const WITHHELD: Duration = Duration::from_secs(600);
/// Clients remembered at most; beyond, all outdated ones are forgotten, and if none is, everything.
const CLIENTS_MAX: usize = 65_536;

/// Memory of the decisions before.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    chained: HashMap<Mac, Vec<(u32, Duration)>>,
    declined: HashMap<Ipv4Addr, Duration>,
    /// Ways by which requests were answered [D4].
    pub(super) ways: Ways,
}

impl Seen {
    /// True when iPXE on this card was sent to a loader again and again without reaching the script [L1].
    /// `now` is any monotonic time since a fixed start.
    pub fn loops(&self, mac: Mac, now: Duration) -> bool {
        self.chained.get(&mac).is_some_and(|times| {
            times.iter().filter(|(_, at)| now.saturating_sub(*at) <= LOOP_WINDOW).count() >= LOOP_COUNT
        })
    }

    /// True for an address that a client declined less than ten minutes ago.
    pub fn withheld(&self, address: Ipv4Addr, now: Duration) -> bool {
        self.declined.get(&address).is_some_and(|at| now.saturating_sub(*at) < WITHHELD)
    }

    /// Takes in what a decision asked to remember.
    pub fn remember(&mut self, fact: &Fact, now: Duration) {
        match *fact {
            Fact::Chained { mac, xid } => {
                if self.chained.len() >= CLIENTS_MAX && !self.chained.contains_key(&mac) {
                    self.chained.retain(|_, times| {
                        times.iter().any(|(_, at)| now.saturating_sub(*at) <= LOOP_WINDOW)
                    });
                    if self.chained.len() >= CLIENTS_MAX {
                        self.chained.clear();
                    }
                }
                let times = self.chained.entry(mac).or_default();
                times.retain(|(_, at)| now.saturating_sub(*at) <= LOOP_WINDOW);
                // One attempt is one transaction: retransmissions and the REQUEST repeat its xid.
                if !times.iter().any(|(known, _)| *known == xid) && times.len() < LOOP_COUNT {
                    times.push((xid, now));
                }
            }
            Fact::Scripted { mac } => {
                self.chained.remove(&mac);
            }
            Fact::Declined { address } => {
                // Only reserved addresses come here, so there are at most as many as nodes on record.
                self.declined.retain(|_, at| now.saturating_sub(*at) < WITHHELD);
                self.declined.insert(address, now);
            }
            Fact::Answered { asked, way } => self.ways.remember(asked, way, now),
            Fact::Learned { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declined_address_is_withheld_for_ten_minutes() {
        let address = Ipv4Addr::new(10, 0, 0, 5);
        let mut seen = Seen::default();
        let at = Duration::from_secs;
        assert!(!seen.withheld(address, at(1)));
        seen.remember(&Fact::Declined { address }, at(1));
        assert!(seen.withheld(address, at(600)));
        assert!(!seen.withheld(address, at(601)));
    }

    /// [L1]
    #[test]
    fn three_chain_loads_in_two_minutes_are_a_loop_and_retransmissions_count_once() {
        let mac = Mac::new([2, 0, 0, 0, 0, 1]).unwrap();
        let mut seen = Seen::default();
        let at = Duration::from_secs;
        for (xid, second) in [(1, 0), (1, 1), (2, 40), (3, 80)] {
            assert!(!seen.loops(mac, at(second)));
            seen.remember(&Fact::Chained { mac, xid }, at(second));
        }
        assert!(seen.loops(mac, at(81)));
        assert!(!seen.loops(mac, at(300)));
        seen.remember(&Fact::Scripted { mac }, at(82));
        assert!(!seen.loops(mac, at(83)));
    }
}
