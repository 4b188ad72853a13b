//! The human line of each event: like tcpdump's, followed by what was decided and why.

use std::fmt::Write;

use crate::client::{Client, fingerprint};
use crate::dhcp::catalogue::print::{quoted, until_nul};
use crate::dhcp::{Packet, code, v6};

use super::event::{DhcpEvent, DhcpOutcome, Event, HttpEvent, OutcomeV6, TftpEvent, TftpOutcome};

/// The line, without time stamp.
pub(super) fn of(event: &Event) -> String {
    match event {
        Event::Dhcp(event) => dhcp(event),
        Event::Tftp(event) => tftp(event),
        Event::Http(event) => http(event),
        Event::Notice(notice) => {
            let mut line = notice.text.clone();
            if notice.name == "ready" {
                line = "ready".to_owned();
                for (name, value) in &notice.fields {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let _ = write!(line, " {name}={text}");
                }
            }
            line
        }
    }
}

fn dhcp(event: &DhcpEvent) -> String {
    let source = &event.source;
    let interface = interface(event);
    if let DhcpOutcome::V6(outcome) = &event.outcome {
        return v6(event, outcome);
    }
    let mut line = format!("{interface} {} > {}: ", address(source), address(&event.destination));
    match Packet::parse(&event.message) {
        Err(_) => {
            let _ = write!(line, "{} bytes", event.message.len());
        }
        // tcpdump's words for the header, then what the packet means for booting.
        Ok(packet) => {
            packet.shown(|packet| {
                let _ = write!(line, "{}: {}", packet.summary(), packet.brief());
            });
            if packet.is_request()
                && let Some(name) = fingerprint::name(&packet, &Client::of(&packet))
            {
                let _ = write!(line, ", looks like {name}");
            }
        }
    }
    line.push_str(" -> ");
    match &event.outcome {
        DhcpOutcome::Answered(sent) | DhcpOutcome::WouldAnswer(sent) => {
            if matches!(event.outcome, DhcpOutcome::WouldAnswer(_)) {
                line.push_str("would answer ");
            }
            line.push_str(&reply(&sent.message));
            let _ = write!(line, " to {}", sent.way);
            if sent.broadcast_instead {
                line.push_str(" (broadcast: no raw socket)");
            }
            if let Some(reason) = sent.without_boot {
                let _ = write!(line, ", without boot data: {reason}");
            }
            if !sent.dropped.is_empty() {
                let _ = write!(line, ", no space for options {:?}", sent.dropped);
            }
        }
        DhcpOutcome::Silent(reason) => {
            let _ = write!(line, "silence {reason}: {}", reason.text());
        }
        DhcpOutcome::Malformed(error) => {
            let _ = write!(line, "silence malformed: {error}");
        }
        DhcpOutcome::SendFailed { way, error } => {
            let _ = write!(line, "NOT SENT to {way}: {error}");
        }
        DhcpOutcome::V6(_) => {}
    }
    if !event.because.is_empty() {
        let _ = write!(line, " [{}]", event.because.join("; "));
    }
    line
}

/// A DHCPv6 message and its answer, both in the same words.
fn v6(event: &DhcpEvent, outcome: &OutcomeV6) -> String {
    let said = |bytes: &[u8]| match v6::Message::parse(bytes) {
        Ok(message) => {
            [message.summary()].into_iter().chain(message.details()).collect::<Vec<_>>().join("; ")
        }
        Err(error) => format!("DHCPv6, {error}"),
    };
    let (from, to) = (address(&event.source), address(&event.destination));
    let mut line = format!("{} {from} > {to}: {} -> ", interface(event), said(&event.message));
    let _ = match outcome {
        OutcomeV6::Answered { message, to, without_boot }
        | OutcomeV6::WouldAnswer { message, to, without_boot } => {
            if matches!(outcome, OutcomeV6::WouldAnswer { .. }) {
                line.push_str("would answer ");
            }
            let answer = said(message);
            let answer = answer.strip_prefix("DHCPv6, ").unwrap_or(&answer);
            let _ = write!(line, "{answer} to {}", address(&(*to).into()));
            match without_boot {
                Some(reason) => write!(line, ", without boot file: {reason}"),
                None => Ok(()),
            }
        }
        OutcomeV6::Silent(reason) => write!(line, "silence {reason}: {}", reason.text()),
        OutcomeV6::Malformed(error) => write!(line, "silence malformed: {error}"),
        OutcomeV6::SendFailed { to, error } => {
            write!(line, "NOT SENT to {}: {error}", address(&(*to).into()))
        }
    };
    if !event.because.is_empty() {
        let _ = write!(line, " [{}]", event.because.join("; "));
    }
    line
}

/// What our reply gives.
fn reply(message: &[u8]) -> String {
    let Ok(packet) = Packet::parse(message) else { return "reply".to_owned() };
    let mut line = packet.message_type().map_or("BOOTP reply", |message| message.name()).to_owned();
    for (label, value) in [("yiaddr", packet.yiaddr()), ("siaddr", packet.siaddr())] {
        if !value.is_unspecified() {
            let _ = write!(line, " {label} {value}");
        }
    }
    let file = until_nul(packet.file());
    let file = if file.is_empty() { packet.options.get(code::BOOT_FILE).unwrap_or_default() } else { file };
    if !file.is_empty() {
        let _ = write!(line, " file {}", quoted(file));
    }
    if let Some(message) = packet.options.get(code::MESSAGE) {
        let _ = write!(line, " message {}", quoted(message));
    }
    line
}

fn tftp(event: &TftpEvent) -> String {
    let mut line = format!("tftp {} > {}", event.peer, event.local);
    who(&mut line, event.node.as_deref(), event.mac.map(|mac| mac.to_string()));
    let _ = write!(line, ": RRQ \"{}\" -> ", event.name);
    match &event.outcome {
        TftpOutcome::Sent => {
            let _ = write!(line, "sent {} bytes in {:.2} s", event.bytes, event.duration.as_secs_f64());
        }
        TftpOutcome::SizeProbe => {
            let _ = write!(line, "size probe: {} bytes [T5]", event.size.unwrap_or(0));
        }
        TftpOutcome::Aborted { code, text } => {
            let _ = write!(line, "ended by the client after {} bytes: error {code} \"{text}\"", event.bytes);
        }
        TftpOutcome::TimedOut { hint } => {
            let _ = write!(line, "the client fell silent after {} bytes", event.bytes);
            if let Some(hint) = hint {
                let _ = write!(line, " ({hint})");
            }
        }
        TftpOutcome::NotFound => line.push_str("not found"),
        TftpOutcome::Refused { reason, detail } => {
            let _ = write!(line, "refused {reason}: {}", reason.text());
            if let Some(detail) = detail {
                let _ = write!(line, " ({detail})");
            }
        }
        TftpOutcome::Illegal { why } => {
            let _ = write!(line, "refused: {why}");
        }
        TftpOutcome::ReadFailed { error } => {
            let _ = write!(line, "cannot read the file: {error}");
        }
    }
    if matches!(event.outcome, TftpOutcome::Sent | TftpOutcome::TimedOut { .. }) {
        let _ = write!(line, ", blksize {} windowsize {}", event.blksize, event.windowsize);
        if event.resent > 0 {
            let _ = write!(line, ", {} blocks sent again", event.resent);
        }
    }
    line
}

fn http(event: &HttpEvent) -> String {
    let mut line = format!("http {} > {}", event.peer, event.local);
    who(&mut line, event.node.as_deref(), event.mac.map(|mac| mac.to_string()));
    let _ = write!(line, ": {} {} -> {} {}", event.method, event.path, event.status, event.what);
    if event.bytes < event.size && event.method != "HEAD" {
        let _ = write!(line, ", the client left after {} of {} bytes", event.bytes, event.size);
    } else {
        let _ = write!(line, ", {} bytes", event.bytes);
    }
    let _ = write!(line, " in {:.2} s", event.duration.as_secs_f64());
    if let Some(reason) = event.reason {
        let _ = write!(line, ", {reason}: {}", reason.text());
    }
    if let Some(detail) = &event.detail {
        let _ = write!(line, " ({detail})");
    }
    if let Some(agent) = &event.agent {
        let _ = write!(line, ", {agent}");
    }
    line
}

fn who(line: &mut String, node: Option<&str>, mac: Option<String>) {
    match (node, mac) {
        (Some(node), _) => {
            let _ = write!(line, " {node}");
        }
        (None, Some(mac)) => {
            let _ = write!(line, " {mac}");
        }
        (None, None) => {}
    }
}

/// The interface, with its VLAN.
fn interface(event: &DhcpEvent) -> String {
    match event.vlan {
        Some(vlan) => format!("{} (VLAN {vlan})", event.interface),
        None => event.interface.to_string(),
    }
}

/// `10.0.0.1.67` in tcpdump's way.
fn address(socket: &std::net::SocketAddr) -> String {
    format!("{}.{}", socket.ip(), socket.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Reason;

    fn line(source: &str, destination: &str, message: Vec<u8>, outcome: DhcpOutcome) -> String {
        of(&Event::Dhcp(Box::new(DhcpEvent {
            interface: "eth0".into(),
            vlan: Some(7),
            port: 67,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            source_mac: None,
            message,
            outcome,
            node: None,
            because: Vec::new(),
        })))
    }

    #[test]
    fn both_ends_of_a_packet_are_shown_as_tcpdump_shows_them() {
        let asked = |from, to| line(from, to, vec![0; 240], DhcpOutcome::Silent(Reason::UnknownMac));
        let broadcast = asked("0.0.0.0:68", "255.255.255.255:67");
        assert!(broadcast.starts_with("eth0 (VLAN 7) 0.0.0.0.68 > 255.255.255.255.67: "), "{broadcast}");
        let answer = asked("10.0.0.2:67", "10.0.0.9:68");
        assert!(answer.starts_with("eth0 (VLAN 7) 10.0.0.2.67 > 10.0.0.9.68: "), "{answer}");
        let solicit = DhcpOutcome::V6(OutcomeV6::Silent(Reason::UnknownMac));
        let v6 = line("[fe80::1]:546", "[ff02::1:2]:547", vec![1, 0, 0, 1], solicit);
        assert!(v6.starts_with("eth0 (VLAN 7) fe80::1.546 > ff02::1:2.547: "), "{v6}");
    }

    #[test]
    fn every_dhcpv6_option_stands_in_the_line_in_wire_order() {
        let solicit =
            vec![1, 0, 0, 1, 0, 14, 0, 0, 0, 6, 0, 4, 0, 59, 0, 23, 0, 8, 0, 2, 0, 150, 1, 0, 0, 1, 7];
        let silent = DhcpOutcome::V6(OutcomeV6::Silent(Reason::UnknownMac));
        let line = line("[fe80::1]:546", "[ff02::1:2]:547", solicit, silent);
        let options = "elapsed 1.50s; Rapid Commit (14), length 0; \
                       Option Request (6), length 4: Boot File URL (59), DNS recursive name server (23); \
                       Elapsed time (8), length 2: 1.50s; Unknown (256), length 1: 07 -> silence unknown-mac";
        assert!(line.contains(options), "{line}");
    }
}
