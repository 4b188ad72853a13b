//! The typed events.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::dhcp::v6::V6Error;
use crate::link::delivery::Delivery;
use crate::policy::Reason;
use crate::records::Mac;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A DHCP packet was seen.
    Dhcp(Box<DhcpEvent>),
    /// A TFTP request ended.
    Tftp(TftpEvent),
    /// An HTTP request was answered.
    Http(HttpEvent),
    /// Something about the appliance itself.
    Notice(Notice),
}

/// How loud an event is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the meaning")]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// One DHCP packet and what came of it.
#[derive(Clone, Debug)]
pub struct DhcpEvent {
    /// Interface it came in on.
    pub interface: Arc<str>,
    /// The VLAN of that interface, when it is a VLAN device [D5].
    pub vlan: Option<u16>,
    /// Server port it came to: 67 or 4011; 547 for DHCPv6.
    pub port: u16,
    /// Its IP source and port.
    pub source: SocketAddr,
    /// Its IP destination and port: a client's port for another server's answer.
    pub destination: SocketAddr,
    /// Its link-layer source, where frames are seen.
    pub source_mac: Option<[u8; 6]>,
    /// The message as received.
    pub message: Vec<u8>,
    /// What came of it.
    pub outcome: DhcpOutcome,
    /// Label of the matching node.
    pub node: Option<String>,
    /// The steps of the decision.
    pub because: Vec<String>,
}

/// What came of a DHCP packet.
#[derive(Clone, Debug)]
pub enum DhcpOutcome {
    /// This was sent.
    Answered(Sent),
    /// Nothing was sent, because this is only observed; this would have been.
    WouldAnswer(Sent),
    /// Nothing was sent.
    Silent(Reason),
    /// Nothing was sent: not a DHCP message.
    Malformed(crate::dhcp::Malformed),
    /// A DHCPv6 message, and what came of it.
    V6(OutcomeV6),
    /// The kernel refused to send it.
    SendFailed {
        /// Where it should have gone.
        way: Delivery,
        /// The kernel's error.
        error: String,
    },
}

/// What came of a DHCPv6 message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutcomeV6 {
    /// This was sent.
    Answered {
        /// The reply as sent, relay messages around it included.
        message: Vec<u8>,
        /// Where it went.
        to: SocketAddrV6,
        /// Why it carries no boot file URL although a boot client asked.
        without_boot: Option<Reason>,
    },
    /// Nothing was sent: only observed. This would have been.
    WouldAnswer {
        /// The reply as it would have been.
        message: Vec<u8>,
        /// Where it would have gone.
        to: SocketAddrV6,
        /// Why it carries no boot file URL although a boot client asked.
        without_boot: Option<Reason>,
    },
    /// Nothing was sent.
    Silent(Reason),
    /// Nothing was sent: not a DHCPv6 message.
    Malformed(V6Error),
    /// The kernel refused to send it.
    SendFailed {
        /// Where it should have gone.
        to: SocketAddrV6,
        /// The kernel's error.
        error: String,
    },
}

/// A reply that left.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The reply as sent.
    pub message: Vec<u8>,
    /// Where it went.
    pub way: Delivery,
    /// It was broadcast because raw frames are not allowed here [D1].
    pub broadcast_instead: bool,
    /// Options left out for want of space [P9].
    pub dropped: Vec<u8>,
    /// Why it carries no boot data although a boot client asked.
    pub without_boot: Option<Reason>,
}

/// How a TFTP request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TftpOutcome {
    /// The last block was confirmed (or never confirmed, as several ROMs do [T8]).
    Sent,
    /// The client asked for the size and ended the transfer itself [T5].
    SizeProbe,
    /// The client ended a running transfer with this ERROR.
    Aborted {
        /// Error code of the client.
        code: u16,
        /// Its text.
        text: String,
    },
    /// The client fell silent; `hint` names a likely cause [T18].
    TimedOut {
        /// Likely cause, when one is known.
        hint: Option<&'static str>,
    },
    /// ERROR 1.
    NotFound,
    /// ERROR 2, or 0 when busy; `detail` adds for example where a link points.
    Refused {
        /// Why.
        reason: Reason,
        /// More to say, such as where a link points.
        detail: Option<String>,
    },
    /// ERROR 4: not a read request that can be served (write, mail mode, unreadable).
    Illegal {
        /// What was wrong.
        why: &'static str,
    },
    /// The file could not be read while sending.
    ReadFailed {
        /// The system's error.
        error: String,
    },
}

/// One TFTP request from start to end.
#[derive(Clone, Debug)]
pub struct TftpEvent {
    /// Asking address and port.
    pub peer: SocketAddr,
    /// Our address that was asked.
    pub local: IpAddr,
    /// Interface it came in on.
    pub interface: Option<String>,
    /// The peer's MAC, when known.
    pub mac: Option<Mac>,
    /// Label of the peer's node, when known.
    pub node: Option<String>,
    /// Name as asked for, printable.
    pub name: String,
    /// How it ended.
    pub outcome: TftpOutcome,
    /// Payload bytes confirmed.
    pub bytes: u64,
    /// Size of the file, bytes.
    pub size: Option<u64>,
    /// Negotiated block size, bytes.
    pub blksize: u16,
    /// Negotiated window, blocks.
    pub windowsize: u16,
    /// Blocks sent again.
    pub resent: u64,
    /// From request to end.
    pub duration: Duration,
}

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct HttpEvent {
    /// Asking address and port.
    pub peer: SocketAddr,
    /// Our address that was asked.
    pub local: SocketAddr,
    /// The peer's MAC, when known.
    pub mac: Option<Mac>,
    /// Label of the node the answer is about.
    pub node: Option<String>,
    /// Method.
    pub method: String,
    /// Path and query, printable.
    pub path: String,
    /// Status code of the answer.
    pub status: u16,
    /// Body bytes handed to the kernel.
    pub bytes: u64,
    /// Body bytes promised.
    pub size: u64,
    /// What was served: `script`, `loader`, `asset`, `generated`, `api`, or `-`.
    pub what: &'static str,
    /// Why it was refused, or why a script is a waiting or exit script.
    pub reason: Option<Reason>,
    /// More to say: the matching boot entry, where a link points, a contradicting claim [W9].
    pub detail: Option<String>,
    /// User-Agent, printable.
    pub agent: Option<String>,
    /// From request to last byte.
    pub duration: Duration,
}

/// Something about the appliance itself.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How loud.
    pub level: Level,
    /// Stable name, such as `ready` or `reload-failed`.
    pub name: &'static str,
    /// In words.
    pub text: String,
    /// Further fields of the JSON form, in order.
    pub fields: Vec<(&'static str, serde_json::Value)>,
}
