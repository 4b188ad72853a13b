//! A client that puts frames together byte by byte, so that a test can send what no kernel would.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use bootlace::dhcp::Packet;
use bootlace::link::frame;
use pnet::datalink::{Channel, Config, DataLinkReceiver, DataLinkSender};
use socket2::{Domain, Protocol, Socket, Type};

use crate::bench::{LIMIT, in_host};

pub const DISCOVER: u8 = 1;
pub const OFFER: u8 = 2;
pub const REQUEST: u8 = 3;
pub const ACK: u8 = 5;
const ETHERNET: usize = 14;

/// A card of `lc0`.
pub struct Card {
    pub mac: [u8; 6],
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
    xid: u32,
}

/// An answer, and the tag of its frame.
#[derive(Debug)]
pub struct Answer {
    pub source: SocketAddrV4,
    pub source_mac: [u8; 6],
    pub message: Vec<u8>,
}

impl Card {
    pub fn open(interface: &'static str, mac: &str) -> Self {
        let bytes: Vec<u8> = mac.split(':').map(|part| u8::from_str_radix(part, 16).unwrap()).collect();
        let (sender, receiver) = in_host("lc0", move || {
            let all = pnet::datalink::interfaces();
            let found = all.iter().find(|found| found.name == interface).unwrap();
            let config = Config { read_timeout: Some(Duration::from_millis(20)), ..Config::default() };
            match pnet::datalink::channel(found, config).unwrap() {
                Channel::Ethernet(sender, receiver) => (sender, receiver),
                _ => unreachable!("no other kind is made"),
            }
        });
        Self { mac: bytes.try_into().unwrap(), sender, receiver, xid: 0xb007_0000 }
    }

    /// A UEFI client's message, with a transaction of its own and a broadcast answer.
    pub fn message(&mut self, kind: u8) -> Vec<u8> {
        self.xid += 1;
        let mut bytes = vec![0; 236];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&self.xid.to_be_bytes());
        bytes[10] = 0x80;
        bytes[28..34].copy_from_slice(&self.mac);
        bytes.extend_from_slice(&[99, 130, 83, 99, 53, 1, kind, 60, 32]);
        bytes.extend_from_slice(b"PXEClient:Arch:00007:UNDI:003000");
        bytes.extend_from_slice(&[93, 2, 0, 7, 255]);
        bytes
    }

    /// A frame to everybody, port 67, from a client without address.
    pub fn broadcast(&self, message: &[u8]) -> Vec<u8> {
        let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        frame::build(self.mac, [0xff; 6], from, SocketAddrV4::new(Ipv4Addr::BROADCAST, 67), message).unwrap()
    }

    pub fn send(&mut self, frame: &[u8]) {
        self.sender.send_to(frame, None).unwrap().unwrap();
    }

    /// Sends a DISCOVER and returns every answer that comes until one is accepted.
    pub fn discover(&mut self, accepted: impl Fn(&Answer) -> bool) -> Vec<Answer> {
        let message = self.message(DISCOVER);
        let frame = self.broadcast(&message);
        self.send(&frame);
        self.answers(&message, LIMIT, accepted)
    }

    /// The answers to `message` until one is accepted or `limit` is over.
    pub fn answers(
        &mut self,
        message: &[u8],
        limit: Duration,
        accepted: impl Fn(&Answer) -> bool,
    ) -> Vec<Answer> {
        let start = Instant::now();
        let mut answers = Vec::new();
        while start.elapsed() < limit {
            let Ok(bytes) = self.receiver.next() else { continue };
            let Some(frame::Datagram::V4 { source_mac, source, payload, .. }) = frame::strip(bytes) else {
                continue;
            };
            if payload.first() != Some(&2) || payload.get(4..8) != message.get(4..8) {
                continue;
            }
            let answer = Answer { source, source_mac, message: payload.to_vec() };
            let last = accepted(&answer);
            answers.push(answer);
            if last {
                break;
            }
        }
        answers
    }
}

/// The same frame behind an 802.1Q tag.
pub fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let tag = [[0x81, 0x00], vlan.to_be_bytes()].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}

/// The two halves of a frame, as a router with a small MTU would cut it: `first` bytes of IP payload, then the rest.
pub fn fragments(frame: &[u8], first: usize) -> [Vec<u8>; 2] {
    let (header, payload) = (&frame[..ETHERNET + 20], &frame[ETHERNET + 20..]);
    let half = |part: &[u8], offset: u16| {
        let mut bytes = [header, part].concat();
        bytes[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
        bytes[ETHERNET + 6..ETHERNET + 8].copy_from_slice(&offset.to_be_bytes());
        bytes[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&[0, 0]);
        let sum: u32 = bytes[ETHERNET..ETHERNET + 20]
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
            .sum();
        let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
        bytes[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    const MORE: u16 = 0x2000;
    [half(&payload[..first], MORE), half(&payload[first..], first as u16 / 8)]
}

impl Answer {
    fn packet(&self) -> Packet<'_> {
        Packet::parse(&self.message).unwrap()
    }

    pub fn kind(&self) -> u8 {
        self.packet().message_type().unwrap().to_code()
    }

    pub fn yiaddr(&self) -> Ipv4Addr {
        self.packet().yiaddr()
    }

    pub fn siaddr(&self) -> Ipv4Addr {
        self.packet().siaddr()
    }

    pub fn file(&self) -> String {
        let packet = self.packet();
        let file = packet.file().split(|byte| *byte == 0).next().unwrap();
        String::from_utf8(file.to_vec()).unwrap()
    }

    /// Option 54.
    pub fn server(&self) -> Ipv4Addr {
        let packet = self.packet();
        let value: [u8; 4] = packet.options.get(54).unwrap().try_into().unwrap();
        value.into()
    }
}

/// A request to port 4011 of `server` from `lc0`, which has an address; the answer and where it came from.
pub fn ask_4011(message: Vec<u8>, server: Ipv4Addr) -> Option<(SocketAddr, Answer)> {
    in_host("lc0", move || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 4011)).into()).unwrap();
        let socket: UdpSocket = socket.into();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.send_to(&message, (server, 4011)).unwrap();
        let mut buffer = vec![0; 2048];
        let (length, from) = socket.recv_from(&mut buffer).ok()?;
        buffer.truncate(length);
        let SocketAddr::V4(source) = from else { return None };
        Some((from, Answer { source, source_mac: [0; 6], message: buffer }))
    })
}
