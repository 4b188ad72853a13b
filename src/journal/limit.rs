//! What strangers may write into the log: the first packet of each at once, then one line a minute with the
//! number of packets not shown. Bounded, so that a flood of addresses fills neither log nor memory.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::policy::Reason;

use super::event::{DhcpOutcome, Event, Level, Notice, OutcomeV6};

/// One line per stranger and reason in this time.
const INTERVAL: Duration = Duration::from_secs(60);
/// Strangers told apart; beyond, all of them share one line.
const STRANGERS_MAX: usize = 4096;

/// Who and why.
type Key = (Option<Who>, Reason);

/// A stranger: a card, or a relay with everything behind it [R7].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Who {
    Card([u8; 6]),
    Relay([u8; 4]),
}

#[derive(Debug, Default)]
pub(super) struct Limit {
    shown: HashMap<Key, (Duration, u64)>,
    crowd: Option<(Duration, u64)>,
}

impl Limit {
    /// The events to write in place of `event`: itself, itself with a count before it, or none.
    pub(super) fn pass(&mut self, event: Event, now: Duration) -> Vec<Event> {
        let Some(key) = key(&event) else { return vec![event] };
        if self.shown.len() >= STRANGERS_MAX && !self.shown.contains_key(&key) {
            self.shown.retain(|_, (at, hidden)| *hidden > 0 || now.saturating_sub(*at) < INTERVAL);
        }
        let crowded = self.shown.len() >= STRANGERS_MAX && !self.shown.contains_key(&key);
        let entry = if crowded { &mut self.crowd } else { &mut None };
        let known = if crowded { entry.as_mut() } else { self.shown.get_mut(&key) };
        match known {
            Some((at, hidden)) if now.saturating_sub(*at) < INTERVAL => {
                *hidden += 1;
                Vec::new()
            }
            Some((at, hidden)) => {
                let count = std::mem::take(hidden);
                *at = now;
                if count == 0 { vec![event] } else { vec![hidden_notice(key, count, crowded), event] }
            }
            None => {
                if crowded {
                    self.crowd = Some((now, 0));
                } else {
                    self.shown.insert(key, (now, 0));
                }
                vec![event]
            }
        }
    }
}

/// Packets of strangers, told apart by card and reason.
fn key(event: &Event) -> Option<Key> {
    let Event::Dhcp(dhcp) = event else { return None };
    let reason = match &dhcp.outcome {
        DhcpOutcome::Silent(reason @ (Reason::UnknownRelaySubnet | Reason::UntrustedRelay)) => {
            let giaddr = dhcp.message.get(24..28).and_then(|giaddr| giaddr.try_into().ok());
            return Some((giaddr.map(Who::Relay), *reason));
        }
        DhcpOutcome::Silent(reason @ Reason::UnknownMac) => *reason,
        DhcpOutcome::V6(OutcomeV6::Silent(reason @ (Reason::Dhcpv6NotServed | Reason::UnknownMac))) => {
            *reason
        }
        DhcpOutcome::V6(OutcomeV6::Malformed(_)) => Reason::Malformed,
        DhcpOutcome::Malformed(_) => Reason::Malformed,
        _ => return None,
    };
    let v6 = matches!(dhcp.outcome, DhcpOutcome::V6(_));
    let chaddr = dhcp.message.get(28..34).and_then(|mac| mac.try_into().ok());
    let card = if reason == Reason::UnknownMac && !v6 { chaddr } else { dhcp.source_mac };
    Some((card.map(Who::Card), reason))
}

fn hidden_notice((who, reason): Key, count: u64, crowd: bool) -> Event {
    let (field, who) = match who {
        Some(Who::Card([a, b, c, d, e, f])) if !crowd => {
            ("mac", format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"))
        }
        Some(Who::Relay(giaddr)) if !crowd => ("giaddr", Ipv4Addr::from(giaddr).to_string()),
        _ => ("mac", "further clients".to_owned()),
    };
    Event::Notice(Notice {
        level: Level::Info,
        name: "not-shown",
        text: format!("{count} more packets of {who} in the last minute: {reason}"),
        fields: vec![(field, who.clone().into()), ("reason", reason.name().into()), ("count", count.into())],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::event::DhcpEvent;

    fn stranger(last: u16) -> Event {
        let mut message = vec![0; 240];
        message[32..34].copy_from_slice(&last.to_be_bytes());
        Event::Dhcp(Box::new(DhcpEvent {
            interface: "eth0".into(),
            vlan: None,
            port: 67,
            source: ([0, 0, 0, 0], 68).into(),
            destination: ([255; 4], 67).into(),
            source_mac: None,
            message,
            outcome: DhcpOutcome::Silent(Reason::UnknownMac),
            node: None,
            because: Vec::new(),
        }))
    }

    #[test]
    fn a_stranger_is_shown_once_a_minute_with_the_number_not_shown() {
        let mut limit = Limit::default();
        let at = Duration::from_secs;
        assert_eq!(limit.pass(stranger(1), at(0)).len(), 1);
        assert_eq!(limit.pass(stranger(1), at(4)).len(), 0);
        assert_eq!(limit.pass(stranger(1), at(12)).len(), 0);
        assert_eq!(limit.pass(stranger(2), at(12)).len(), 1);
        let later = limit.pass(stranger(1), at(61));
        assert!(
            matches!(&later[..], [Event::Notice(notice), Event::Dhcp(_)] if notice.text.starts_with("2 more"))
        );
    }

    /// [R7]
    #[test]
    fn a_relay_that_is_not_served_is_named_once_a_minute_whoever_asks_through_it() {
        let through = |relay: u8, client: u16| {
            let Event::Dhcp(mut event) = stranger(client) else { panic!() };
            event.message[24..28].copy_from_slice(&[10, 9, 0, relay]);
            event.outcome = DhcpOutcome::Silent(Reason::UnknownRelaySubnet);
            Event::Dhcp(event)
        };
        let mut limit = Limit::default();
        let at = Duration::from_secs;
        assert_eq!(limit.pass(through(1, 1), at(0)).len(), 1);
        assert_eq!(limit.pass(through(1, 2), at(30)).len(), 0);
        assert_eq!(limit.pass(through(2, 1), at(30)).len(), 1, "another relay");
        let later = limit.pass(through(1, 3), at(60));
        let [Event::Notice(notice), Event::Dhcp(_)] = &later[..] else { panic!("{later:?}") };
        assert!(notice.text.starts_with("1 more packets of 10.9.0.1 in the last minute"), "{}", notice.text);
        assert_eq!(notice.fields[0], ("giaddr", "10.9.0.1".into()));
    }

    #[test]
    fn a_flood_of_strangers_fills_neither_log_nor_memory() {
        let mut limit = Limit::default();
        let shown: usize = (0..20_000).map(|n| limit.pass(stranger(n), Duration::from_secs(1)).len()).sum();
        assert!(shown <= STRANGERS_MAX + 1, "{shown}");
        assert!(limit.shown.len() <= STRANGERS_MAX);
    }
}
