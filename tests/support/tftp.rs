//! A TFTP client for tests: builds requests and follows a transfer, without sockets or a clock; and a port that
//! does so over a network.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bootlace::tftp::packet::{self, Packet};
use bootlace::tftp::server::PORT;

/// A read request.
pub fn read_request(name: &str, mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    request(1, name.as_bytes(), mode, options)
}

/// A request with any opcode and name.
pub fn request(opcode: u8, name: &[u8], mode: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0, opcode];
    bytes.extend(name);
    bytes.extend(format!("\0{mode}\0").as_bytes());
    for (name, value) in options {
        bytes.extend(format!("{name}\0{value}\0").as_bytes());
    }
    bytes
}

/// An ACK.
pub fn ack(block: u16) -> Vec<u8> {
    let [high, low] = block.to_be_bytes();
    vec![0, 4, high, low]
}

/// An ERROR.
pub fn error(code: u8, text: &str) -> Vec<u8> {
    let mut bytes = vec![0, 5, 0, code];
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes
}

/// The receiving side of a transfer (RFC 1350 and RFC 7440): takes DATA in order and says what to confirm.
pub struct Receiver {
    blksize: usize,
    windowsize: u64,
    /// Blocks received in order.
    received: u64,
    /// Blocks received in order when the last ACK left.
    confirmed: u64,
    /// Last block out of order: the ACK is repeated once for each run of such blocks with rising numbers.
    stray: Option<u16>,
    /// The block number that follows 65535: 0 or 1.
    pub restarts_at: u16,
    /// What arrived.
    pub bytes: Vec<u8>,
    /// The short last block arrived.
    pub complete: bool,
}

impl Receiver {
    /// After negotiation.
    pub fn new(blksize: u16, windowsize: u16) -> Self {
        let (blksize, windowsize) = (usize::from(blksize), u64::from(windowsize));
        Self {
            blksize,
            windowsize,
            received: 0,
            confirmed: 0,
            stray: None,
            restarts_at: 0,
            bytes: Vec::new(),
            complete: false,
        }
    }

    /// Takes one block; the number to acknowledge now, if any.
    pub fn on_data(&mut self, number: u16, payload: &[u8]) -> Option<u16> {
        if number != self.number(self.received + 1) || self.complete {
            let same_run = self.stray.is_some_and(|last| (number.wrapping_sub(last) as i16) > 0);
            self.stray = Some(number);
            return (!same_run || self.windowsize == 1).then(|| self.acknowledge());
        }
        self.stray = None;
        self.received += 1;
        self.bytes.extend(payload);
        self.complete = payload.len() < self.blksize;
        (self.complete || self.received - self.confirmed == self.windowsize).then(|| self.acknowledge())
    }

    /// Nothing came for a while: the number to acknowledge again.
    pub fn acknowledge(&mut self) -> u16 {
        self.confirmed = self.received;
        self.number(self.received)
    }

    fn number(&self, block: u64) -> u16 {
        match (self.restarts_at, block) {
            (0, _) | (_, 0) => block as u16,
            _ => ((block - 1) % 65_535 + 1) as u16,
        }
    }
}

/// A client's port.
pub struct Port(pub UdpSocket);

impl Port {
    pub fn open(address: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(socket)
    }

    pub fn ask(&self, server: Ipv4Addr, bytes: &[u8]) {
        self.send((server, PORT).into(), bytes);
    }

    pub fn send(&self, to: SocketAddr, bytes: &[u8]) {
        self.0.send_to(bytes, to).unwrap();
    }

    /// Next packet and its sender.
    pub fn next(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 65_536];
        let (length, from) = self.0.recv_from(&mut buffer).expect("the server answers");
        (buffer[..length].to_vec(), from)
    }

    /// What is there without waiting.
    pub fn pending(&self) -> Option<Vec<u8>> {
        self.0.set_nonblocking(true).unwrap();
        let mut buffer = [0; 2048];
        let result = self.0.recv_from(&mut buffer);
        self.0.set_nonblocking(false).unwrap();
        match result {
            Ok((length, _)) => Some(buffer[..length].to_vec()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                None
            }
        }
    }

    /// Expects an OACK; its options as text, and the transfer's port.
    pub fn option_ack(&self) -> (String, SocketAddr) {
        let (bytes, from) = self.next();
        let Ok(Packet::OptionAck { options }) = packet::parse(&bytes) else { panic!("no OACK: {bytes:?}") };
        let text = |(name, value): (&[u8], &[u8])| {
            format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        (options.into_iter().map(text).collect::<Vec<_>>().join(" "), from)
    }

    /// Expects an ERROR.
    pub fn error(&self) -> (u16, String) {
        let (bytes, _) = self.next();
        match packet::parse(&bytes) {
            Ok(Packet::Error { code, text }) => (code, String::from_utf8_lossy(text).into_owned()),
            other => panic!("no ERROR: {other:?}"),
        }
    }

    /// Follows a transfer whose next packet is DATA 1 to its end.
    pub fn fetch(&self, blksize: u16, windowsize: u16) -> Vec<u8> {
        self.fetch_by(Receiver::new(blksize, windowsize)).0
    }

    /// The same by this receiver; and the server's port, which is one.
    pub fn fetch_by(&self, mut receiver: Receiver) -> (Vec<u8>, u16) {
        let mut port = None;
        while !receiver.complete {
            let (bytes, from) = self.next();
            assert_eq!(*port.get_or_insert(from.port()), from.port(), "the port changed");
            let Ok(Packet::Data { block, payload }) = packet::parse(&bytes) else {
                panic!("no DATA: {bytes:?}")
            };
            if let Some(number) = receiver.on_data(block, payload) {
                self.send(from, &ack(number));
            }
        }
        (receiver.bytes, port.unwrap_or_default())
    }
}
