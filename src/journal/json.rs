//! The JSON form of each event: the same facts as the line, with stable names (docs/events.md).

use serde_json::{Map, Value, json};

use crate::client::{Client, fingerprint};
use crate::dhcp::catalogue::print::{escaped, until_nul};
use crate::dhcp::relay::RelayInfo;
use crate::dhcp::{Packet, code, v6};
use crate::policy::Reason;

use super::event::{DhcpEvent, DhcpOutcome, Event, HttpEvent, Level, OutcomeV6, TftpEvent, TftpOutcome};

/// Level, name and fields.
pub(super) fn of(event: &Event) -> (Level, &'static str, Map<String, Value>) {
    let (level, name, value) = match event {
        Event::Dhcp(event) => (dhcp_level(event), "dhcp", dhcp(event)),
        Event::Tftp(event) => (tftp_level(event), "tftp", tftp(event)),
        Event::Http(event) => (http_level(event), "http", http(event)),
        Event::Notice(notice) => {
            let mut fields = Map::new();
            for (name, value) in &notice.fields {
                fields.insert((*name).to_owned(), value.clone());
            }
            if !notice.text.is_empty() {
                fields.insert("text".to_owned(), notice.text.clone().into());
            }
            (notice.level, notice.name, Value::Object(fields))
        }
    };
    let Value::Object(fields) = value else { return (level, name, Map::new()) };
    // A field that says nothing is left out.
    (level, name, fields.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

fn dhcp_level(event: &DhcpEvent) -> Level {
    match &event.outcome {
        // Somebody else sits on an address of ours: only people can settle that.
        DhcpOutcome::Silent(Reason::Declined) => Level::Error,
        DhcpOutcome::SendFailed { .. } | DhcpOutcome::V6(OutcomeV6::SendFailed { .. }) => Level::Error,
        DhcpOutcome::Answered(sent) if sent.without_boot == Some(Reason::NoLoader) => Level::Warn,
        DhcpOutcome::Silent(
            Reason::NoLoader | Reason::AddressOutside | Reason::NoAddress | Reason::AddressWithheld,
        ) => Level::Warn,
        _ => Level::Info,
    }
}

fn dhcp(event: &DhcpEvent) -> Value {
    let mut fields = json!({
        "interface": &*event.interface,
        "vlan": event.vlan,
        "port": event.port,
        "source": event.source,
        "destination": event.destination,
        "node": event.node,
    });
    let mut add = |name: &str, value: Value| {
        fields[name] = value;
    };
    match Packet::parse(&event.message) {
        _ if matches!(event.outcome, DhcpOutcome::V6(_)) => {}
        Ok(packet) => {
            for (name, value) in message(&packet) {
                add(&name, value);
            }
        }
        Err(_) => add("length", event.message.len().into()),
    }
    match &event.outcome {
        DhcpOutcome::Answered(sent) | DhcpOutcome::WouldAnswer(sent) => {
            let mut reply = Packet::parse(&sent.message).map(|packet| message(&packet)).unwrap_or_default();
            reply.insert("to".to_owned(), sent.way.to_string().into());
            let sends = matches!(event.outcome, DhcpOutcome::Answered(_));
            add("verdict", if sends { "answer" } else { "would-answer" }.into());
            add("reply", Value::Object(reply));
            add("without_boot", json!(sent.without_boot));
            if !sent.dropped.is_empty() {
                add("left_out", json!(sent.dropped));
            }
        }
        DhcpOutcome::Silent(reason) => silence(&mut add, *reason, reason.text()),
        DhcpOutcome::Malformed(error) => silence(&mut add, Reason::Malformed, &error.to_string()),
        DhcpOutcome::V6(outcome) => v6_outcome(&mut add, &event.message, outcome),
        DhcpOutcome::SendFailed { way, error } => {
            add("verdict", "send-failed".into());
            add("to", way.to_string().into());
            add("error", error.clone().into());
        }
    }
    if !event.because.is_empty() {
        add("because", json!(event.because));
    }
    fields
}

fn v6_outcome(add: &mut impl FnMut(&str, Value), request: &[u8], outcome: &OutcomeV6) {
    match v6::Message::parse(request) {
        Ok(message) => add("v6", message.json()),
        Err(_) => add("length", request.len().into()),
    }
    match outcome {
        OutcomeV6::Answered { message, to, without_boot }
        | OutcomeV6::WouldAnswer { message, to, without_boot } => {
            let sends = matches!(outcome, OutcomeV6::Answered { .. });
            let mut reply = v6::Message::parse(message).map(|message| message.json()).unwrap_or_default();
            reply["to"] = to.to_string().into();
            add("verdict", if sends { "answer" } else { "would-answer" }.into());
            add("reply", reply);
            add("without_boot", json!(without_boot));
        }
        OutcomeV6::Silent(reason) => silence(add, *reason, reason.text()),
        OutcomeV6::Malformed(error) => silence(add, Reason::Malformed, &error.to_string()),
        OutcomeV6::SendFailed { to, error } => {
            add("verdict", "send-failed".into());
            add("to", to.to_string().into());
            add("error", error.clone().into());
        }
    }
}

fn silence(add: &mut impl FnMut(&str, Value), reason: Reason, text: &str) {
    add("verdict", "silence".into());
    add("reason", reason.name().into());
    add("text", text.into());
}

/// Header fields that are set, the client, and the options that matter for booting.
fn message(packet: &Packet<'_>) -> Map<String, Value> {
    let client = Client::of(packet);
    let set = |address: std::net::Ipv4Addr| (!address.is_unspecified()).then(|| address.to_string());
    let text = |bytes: &[u8]| {
        let text = until_nul(bytes);
        (!text.is_empty()).then(|| escaped(text))
    };
    let fields = json!({
        "type": packet.message_type().map_or("BOOTP", |message| message.name()),
        "xid": format!("0x{:08x}", packet.xid()),
        "mac": client.mac,
        "secs": packet.secs(),
        "broadcast": packet.broadcast(),
        "ciaddr": set(packet.ciaddr()),
        "yiaddr": set(packet.yiaddr()),
        "siaddr": set(packet.siaddr()),
        "giaddr": set(packet.giaddr()),
        "file": text(packet.file()),
        "requested": packet.options.address(code::REQUESTED_ADDRESS),
        "server": packet.options.address(code::SERVER_ID),
        "arch": client.arch.map(|arch| arch.0),
        "arch_name": client.arch.map(|arch| arch.name()),
        "class": client.vendor_class,
        "client": packet.is_request().then(|| fingerprint::name(packet, &client)).flatten(),
        "uuid": client.uuid,
        "ipxe": client.ipxe.as_ref().map(|_| true),
        "ipxe_version": client.ipxe.as_ref().and_then(|ipxe| ipxe.version.clone()),
        "message": packet.options.get(code::MESSAGE).map(escaped),
        "relay": packet.options.get(code::RELAY_INFO).map(|value| RelayInfo::parse(value).json()),
        "options": packet.options.iter().map(|(code, _)| code).collect::<Vec<u8>>(),
    });
    match fields {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

fn tftp_level(event: &TftpEvent) -> Level {
    match &event.outcome {
        // Loaders probe for dozens of files that need not exist [T15].
        TftpOutcome::NotFound => Level::Debug,
        TftpOutcome::TimedOut { .. } | TftpOutcome::ReadFailed { .. } => Level::Warn,
        _ => Level::Info,
    }
}

fn tftp(event: &TftpEvent) -> Value {
    let (outcome, extra) = match &event.outcome {
        TftpOutcome::Sent => ("sent", json!({})),
        TftpOutcome::SizeProbe => ("size-probe", json!({})),
        TftpOutcome::Aborted { code, text } => ("aborted", json!({"error_code": code, "text": text})),
        TftpOutcome::TimedOut { hint } => ("timed-out", json!({"hint": hint})),
        TftpOutcome::NotFound => ("not-found", json!({})),
        TftpOutcome::Refused { reason, detail } => ("refused", json!({"reason": reason, "detail": detail})),
        TftpOutcome::Illegal { why } => ("illegal", json!({"text": why})),
        TftpOutcome::ReadFailed { error } => ("read-failed", json!({"error": error})),
    };
    let mut fields = json!({
        "peer": event.peer,
        "local": event.local,
        "interface": event.interface,
        "mac": event.mac,
        "node": event.node,
        "name": event.name,
        "outcome": outcome,
        "bytes": event.bytes,
        "size": event.size,
        "blksize": event.blksize,
        "windowsize": event.windowsize,
        "resent": event.resent,
        "seconds": event.duration.as_secs_f64(),
    });
    if let (Value::Object(fields), Value::Object(extra)) = (&mut fields, extra) {
        fields.extend(extra);
    }
    fields
}

fn http_level(event: &HttpEvent) -> Level {
    if event.status >= 500 { Level::Warn } else { Level::Info }
}

fn http(event: &HttpEvent) -> Value {
    json!({
        "peer": event.peer,
        "local": event.local,
        "mac": event.mac,
        "node": event.node,
        "method": event.method,
        "path": event.path,
        "status": event.status,
        "bytes": event.bytes,
        "size": event.size,
        "what": event.what,
        "reason": event.reason,
        "detail": event.detail,
        "agent": event.agent,
        "seconds": event.duration.as_secs_f64(),
    })
}
