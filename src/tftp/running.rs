//! A transfer with its socket and bytes: carries out what [`Transfer`] says.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::journal::{TftpEvent, TftpOutcome};
use crate::link::udp::TransferSocket;

use super::packet::{self, DATA_HEADER, ErrorCode, Packet, Printable};
use super::payload::Payload;
use super::transfer::{Step, Transfer};

/// ACKs read in one turn at most; what is left is read in the next.
const DRAIN: usize = 64;

/// Who speaks with which of our addresses: what makes a request "from the same port" [T5] [T14].
pub(super) type Key = (SocketAddr, IpAddr);

/// Buffers that all transfers share, so that sending allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    headers: Vec<[u8; DATA_HEADER]>,
}

/// A transfer that is under way.
#[derive(Debug)]
pub(super) struct Running {
    pub key: Key,
    /// The request as it came, to know a copy of it.
    pub request: Box<[u8]>,
    pub transfer: Transfer,
    pub payload: Payload,
    pub socket: TransferSocket,
    pub option_ack: Option<Vec<u8>>,
    pub started: Instant,
    /// The journal's event, but for what the end brings.
    pub event: TftpEvent,
}

impl Running {
    /// Reads what the client sent.
    pub fn receive(&mut self, now: Instant) {
        // Longer texts of an ERROR are cut; an ACK has four bytes.
        let mut buffer = [0; 600];
        // In lockstep one ACK is all there can be, and asking for a second would double the calls per block;
        // with a window the newest ACK counts, so all are read first.
        let most = if self.event.windowsize == 1 { 1 } else { DRAIN };
        for _ in 0..most {
            match self.socket.receive(&mut buffer) {
                Ok(Some(bytes)) => self.take(packet::parse(bytes).ok(), now),
                Ok(None) => return,
                Err(error) => self.on_socket_error(&error),
            }
        }
    }

    /// Takes one packet of the client.
    pub fn take(&mut self, packet: Option<Packet<'_>>, now: Instant) {
        match packet {
            Some(Packet::Ack { block }) => self.transfer.on_ack(block, now),
            Some(Packet::Error { code, text }) => {
                self.transfer.on_error(code, Printable(text).to_string());
            }
            // Nothing else has a meaning here, and a transfer is not ended by noise.
            _ => {}
        }
    }

    /// Sends what is due; says how the transfer ended, when it did.
    pub fn drive(&mut self, now: Instant, scratch: &mut Scratch) -> Option<TftpOutcome> {
        loop {
            let result = match self.transfer.poll(now) {
                Step::Wait => return None,
                Step::Ended(outcome) => return Some(outcome),
                Step::OptionAck => self.socket.send(self.option_ack.as_deref().unwrap_or_default()),
                Step::Blocks { first, count } => match self.send_blocks(first, count, scratch) {
                    Ok(result) => result,
                    Err(error) => {
                        self.say_error("the file cannot be read");
                        return Some(TftpOutcome::ReadFailed { error: error.to_string() });
                    }
                },
            };
            if let Err(error) = result {
                self.on_socket_error(&error);
            }
        }
    }

    /// Ends the transfer on the client's side. One packet, best effort.
    pub fn say_error(&self, text: &str) {
        let _ = self.socket.send(&packet::error(ErrorCode::Undefined, text));
    }

    /// Outer error: reading; inner one: sending.
    fn send_blocks(&mut self, first: u64, count: u16, scratch: &mut Scratch) -> io::Result<io::Result<()>> {
        let blksize = self.event.blksize;
        let blocks = self.payload.load(first, count, blksize, &mut scratch.bytes)?;
        if let Some(total) = blocks.total {
            self.transfer.ends_at(total);
        }
        scratch.headers.clear();
        let numbers = (first..first + u64::from(count)).map(|block| self.transfer.number(block));
        scratch.headers.extend(numbers.map(packet::data_header));
        Ok(self.socket.send_blocks(&scratch.headers, blocks.bytes, usize::from(blksize)).map(|sent| {
            if sent < usize::from(count) {
                self.transfer.cut_short(first + sent as u64);
            }
        }))
    }

    /// A closed port is the client's way to hang up; anything else (no route for a moment, a link that comes
    /// back) is a lost packet, which the time-out mends.
    fn on_socket_error(&mut self, error: &io::Error) {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            self.transfer.on_port_closed();
        }
    }
}
