//! A crafted DHCP client: packets byte by byte, so that a test can send what no well-behaved client would.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bootlace::dhcp::Packet;
use bootlace::lab::sandbox::{Place, Sandbox};
use socket2::{Domain, Protocol, Socket, Type};

use crate::net::{LIMIT, in_host};

pub const DISCOVER: u8 = 1;
pub const OFFER: u8 = 2;
pub const REQUEST: u8 = 3;
pub const ACK: u8 = 5;
pub const NAK: u8 = 6;
/// One transaction for all: tests find the answers by it.
const XID: [u8; 4] = [0xb0, 0x07, 0x1a, 0xce];

/// A client on a host of a sandbox, with ports 68 and 4011.
pub struct Client {
    mac: [u8; 6],
    dhcp: UdpSocket,
    pxe: UdpSocket,
    v6: UdpSocket,
}

/// A message being put together; asks for a broadcast answer, as a plain socket can only receive that.
#[derive(Clone)]
pub struct Message(Vec<u8>);

/// An answer.
#[derive(Debug)]
pub struct Answer(Vec<u8>);

impl Client {
    pub fn open(sandbox: &Sandbox, host: &str, mac: &str) -> Self {
        sandbox.run(Place::Host(host), &["ip", "-6", "addr", "show", "dev", "eth0"]).unwrap();
        let bytes: Vec<u8> = mac.split(':').map(|part| u8::from_str_radix(part, 16).unwrap()).collect();
        let open = |port: u16| in_host(host, move || bound(port));
        let v6 = in_host(host, || UdpSocket::bind("[::]:546").unwrap());
        Self { mac: bytes.try_into().unwrap(), dhcp: open(68), pxe: open(4011), v6 }
    }

    pub fn message(&self, kind: u8) -> Message {
        let mut bytes = vec![0; 236];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&XID);
        bytes[10] = 0x80;
        bytes[28..34].copy_from_slice(&self.mac);
        bytes.extend_from_slice(&[99, 130, 83, 99, 53, 1, kind]);
        Message(bytes)
    }

    /// A BOOTP request as of RFC 951: 300 bytes, no cookie, nothing in the vendor area.
    pub fn old_bootp(&self) -> Vec<u8> {
        let mut bytes = self.message(0).0[..236].to_vec();
        bytes.resize(300, 0);
        bytes
    }

    pub fn send(&self, message: &Message) {
        self.send_bytes(&message.finished());
    }

    pub fn send_bytes(&self, bytes: &[u8]) {
        self.dhcp.send_to(bytes, (Ipv4Addr::BROADCAST, 67)).unwrap();
    }

    /// Sends to port 67 of `server` by unicast, as a client that renews.
    pub fn send_to(&self, message: &Message, server: [u8; 4]) {
        self.dhcp.send_to(&message.finished(), (Ipv4Addr::from(server), 67)).unwrap();
    }

    /// Sends to port 67 and waits for an answer of `server`.
    pub fn ask(&self, message: &Message, server: &str) -> Option<Answer> {
        self.send(message);
        self.receive(LIMIT).inspect(|answer| {
            let server: Ipv4Addr = server.parse().unwrap();
            assert_eq!(answer.option(54), Some(&server.octets()[..]));
        })
    }

    /// Sends to port 4011 of `server` and waits for its answer from there [D3].
    pub fn ask_4011(&self, message: &Message, server: [u8; 4]) -> Option<Answer> {
        self.pxe.send_to(&message.finished(), (Ipv4Addr::from(server), 4011)).unwrap();
        self.pxe.set_read_timeout(Some(LIMIT)).unwrap();
        let mut buffer = vec![0; 2048];
        let (length, from) = self.pxe.recv_from(&mut buffer).ok()?;
        assert_eq!(from.port(), 4011);
        buffer.truncate(length);
        Some(Answer(buffer))
    }

    /// The next answer to this client within `limit`.
    pub fn receive(&self, limit: Duration) -> Option<Answer> {
        let start = Instant::now();
        while let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
            self.dhcp.set_read_timeout(Some(left)).unwrap();
            let mut buffer = vec![0; 2048];
            let Ok((length, from)) = self.dhcp.recv_from(&mut buffer) else { continue };
            buffer.truncate(length);
            if buffer.get(4..8) == Some(&XID[..]) {
                assert_eq!(from.port(), 67, "[D3]");
                return Some(Answer(buffer));
            }
        }
        None
    }

    /// A DHCPv6 SOLICIT with a DUID-LL.
    pub fn solicit(&self) {
        let mut bytes = vec![1, 1, 2, 3, 0, 1, 0, 10, 0, 3, 0, 1];
        bytes.extend_from_slice(&self.mac);
        let index = 0;
        let to = std::net::SocketAddrV6::new("ff02::1:2".parse().unwrap(), 547, 0, index);
        socket2::SockRef::from(&self.v6).bind_device(Some(b"eth0")).unwrap();
        let start = Instant::now();
        // The link-local address may still be in the making.
        while self.v6.send_to(&bytes, to).is_err() {
            assert!(start.elapsed() < LIMIT, "no link-local address");
            std::thread::yield_now();
        }
    }
}

fn bound(port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.bind_device(Some(b"eth0")).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()).unwrap();
    socket.into()
}

impl Message {
    pub fn option(mut self, code: u8, value: &[u8]) -> Self {
        self.0.extend_from_slice(&[code, value.len() as u8]);
        self.0.extend_from_slice(value);
        self
    }

    /// Another transaction than that of all others.
    pub fn transaction(mut self, number: u8) -> Self {
        self.0[7] = number;
        self
    }

    pub fn ciaddr(mut self, address: [u8; 4]) -> Self {
        self.0[12..16].copy_from_slice(&address);
        self
    }

    /// Leaves the way of the answer to the server.
    pub fn without_broadcast(mut self) -> Self {
        self.0[10] = 0;
        self
    }

    pub fn uefi(self) -> Self {
        self.option(60, b"PXEClient:Arch:00007:UNDI:003000").option(93, &[0, 7])
    }

    pub fn bios(self) -> Self {
        self.option(60, b"PXEClient:Arch:00000:UNDI:002001").option(93, &[0, 0]).option(97, &[0; 17])
    }

    pub fn http_boot(self) -> Self {
        self.option(60, b"HTTPClient:Arch:00016:UNDI:003000").option(93, &[0, 16])
    }

    pub fn finished(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes.push(255);
        bytes
    }
}

impl Answer {
    fn packet(&self) -> Packet<'_> {
        Packet::parse(&self.0).unwrap()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn kind(&self) -> u8 {
        self.packet().message_type().unwrap().to_code()
    }

    pub fn yiaddr(&self) -> [u8; 4] {
        self.packet().yiaddr().octets()
    }

    pub fn siaddr(&self) -> [u8; 4] {
        self.packet().siaddr().octets()
    }

    pub fn file(&self) -> String {
        let packet = self.packet();
        let file = packet.file().split(|byte| *byte == 0).next().unwrap();
        String::from_utf8(file.to_vec()).unwrap()
    }

    pub fn option(&self, code: u8) -> Option<&[u8]> {
        // Options of an answer are never split or joined here, so the bytes can be borrowed from it.
        let mut rest = &self.0[240..];
        while let [known, tail @ ..] = rest {
            match known {
                0 => rest = tail,
                255 => return None,
                _ => {
                    let length = usize::from(tail[0]);
                    if *known == code {
                        return Some(&tail[1..=length]);
                    }
                    rest = &tail[1 + length..];
                }
            }
        }
        None
    }
}
