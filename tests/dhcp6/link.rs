//! The boot VLAN of the DHCPv4 tests with IPv6 on it: `srv` fd00:1::1 with bootlace, `lc0` with compute1, and
//! behind a relay `lc1` with compute2 on fd00:2::/64.

use std::net::{SocketAddrV6, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bootlace::lab::sandbox::{Place, Process};

use crate::vlan::{LIMIT, Vlan, in_host, net};

pub const SERVER: &str = "fd00:1::1";
const NODES: &str = "
nodes:
- name: compute1
  nid: 1
  xname: x1000c0s0b0n0
  arch: x86_64
  interfaces:
  - mac_addr: 52:54:00:be:ef:01
    ip_addrs: [{name: management, ip_addr: 10.77.0.11}, {name: v6, ip_addr: 'fd00:1::11'}]
- name: compute2
  nid: 2
  xname: x1000c0s0b1n0
  arch: x86_64
  interfaces:
  - mac_addr: 52:54:00:be:ef:02
    ip_addrs: [{name: v6, ip_addr: 'fd00:2::22'}]
";

pub struct Link {
    pub vlan: Vlan,
}

/// What is said on the bridge.
pub struct Capture(net::Capture);

/// A crafted client on port 546.
pub struct Client(UdpSocket);

impl Link {
    /// Hosts and records, nothing running.
    pub fn lay() -> Self {
        let link = Self { vlan: Vlan::lay() };
        link.vlan.sandbox.write("nodes.yaml", NODES).unwrap();
        link.run("srv", &["ip", "addr", "add", "fd00:1::1/64", "dev", "eth0", "nodad"]);
        link
    }

    pub fn start(mode: &str, settings: &str) -> Self {
        Self::start_behind(mode, settings, &[])
    }

    pub fn start_behind(mode: &str, settings: &str, wrapper: &[&str]) -> Self {
        Self::lay().serve(mode, settings, wrapper)
    }

    pub fn serve(self, mode: &str, settings: &str, wrapper: &[&str]) -> Self {
        let file = self.vlan.sandbox.write("bootlace.yaml", settings).unwrap();
        let config = file.display().to_string();
        Self { vlan: self.vlan.serve(mode, &["--config", &config], wrapper) }
    }

    pub fn run(&self, host: &str, words: &[&str]) -> String {
        self.vlan
            .sandbox
            .run(Place::Host(host), words)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.vlan.log()))
    }

    pub fn client(&self, host: &str) -> Client {
        Client(in_host(host, || {
            let socket = UdpSocket::bind("[::]:546").unwrap();
            socket2::SockRef::from(&socket).bind_device(Some(b"eth0")).unwrap();
            socket.set_read_timeout(Some(LIMIT)).unwrap();
            socket
        }))
    }

    /// Runs dhclient until it has a lease, and returns its lease file.
    pub fn dhclient(&self, host: &str) -> String {
        let sandbox = &self.vlan.sandbox;
        let conf = "timeout 25;\nalso request dhcp6.bootfile-url;\n";
        let conf = sandbox.write("dhclient6.conf", conf).unwrap();
        let script = sandbox.write("dhclient6-script", "#!/bin/sh\nexit 0\n").unwrap();
        sandbox.run(Place::Net, &["chmod", "+x", script.to_str().unwrap()]).unwrap();
        let leases = self.leases(host);
        let _client = self.vlan.start_in(host, &self.words(&["-d", "-1"], host, &conf, &script));
        self.eventually(|| {
            let text = std::fs::read_to_string(&leases).unwrap_or_default();
            // The second block is the REPLY's.
            text.contains("max-life").then_some(text)
        })
    }

    /// Runs `dhclient -r` for the lease of before.
    pub fn release(&self, host: &str) {
        let work = self.vlan.sandbox.work();
        let (conf, script) = (work.join("dhclient6.conf"), work.join("dhclient6-script"));
        let words = self.words(&["-d", "-r"], host, &conf, &script);
        self.run(host, &words);
    }

    fn leases(&self, host: &str) -> PathBuf {
        self.vlan.sandbox.work().join(format!("{host}.leases6"))
    }

    fn words<'w>(&self, flags: &[&'w str], host: &str, conf: &Path, script: &Path) -> Vec<&'w str> {
        // Words live as long as the test: a handful of short texts.
        let leaked = |path: PathBuf| -> &'static str { path.display().to_string().leak() };
        let mut words = vec!["dhclient", "-6", "-D", "LL", "-cf", leaked(conf.to_owned())];
        words.extend(["-sf", leaked(script.to_owned()), "-lf", leaked(self.leases(host))]);
        words.extend(["-pf", leaked(self.vlan.sandbox.work().join(format!("{host}.pid6")))]);
        words.extend(flags);
        words.push("eth0");
        words
    }

    /// A relay between the VLAN and a link of its own, with `lc1` on it.
    pub fn relay(&self) -> Process {
        let sandbox = &self.vlan.sandbox;
        sandbox.host("relay", None).unwrap();
        sandbox.host("lc1", None).unwrap();
        self.run("relay", &["ip", "addr", "add", "fd00:1::fe/64", "dev", "eth0", "nodad"]);
        self.run("lc1", &["ip", "link", "del", "eth0"]);
        let pair = ["ip", "link", "add", "down0", "type", "veth", "peer", "name", "eth0", "netns", "lc1"];
        self.run("relay", &pair);
        self.run("lc1", &["ip", "link", "set", "eth0", "address", "52:54:00:be:ef:02", "up"]);
        self.run("relay", &["ip", "link", "set", "down0", "up"]);
        self.run("relay", &["ip", "addr", "add", "fd00:2::1/64", "dev", "down0", "nodad"]);
        let up = format!("{SERVER}%eth0");
        self.vlan.start_in("relay", &["dhcrelay", "-6", "-d", "-l", "down0", "-u", &up])
    }

    /// Captures on the bridge.
    pub fn capture(&self, filter: &str) -> Capture {
        Capture(net::Capture::start(&self.vlan.sandbox, Place::Net, "br0", "v6.pcap", filter))
    }

    /// Rows of the fields that tshark finds in the packets that match `filter`.
    pub fn tshark(&self, file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
        let mut words = vec!["tshark", "-n", "-r", file.to_str().unwrap(), "-Y", filter, "-T", "fields"];
        words.extend(fields.iter().flat_map(|field| ["-e", field]));
        let text = self.vlan.sandbox.run(Place::Net, &words).unwrap();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    /// tshark finds nothing malformed and no warning in what we sent.
    pub fn no_complaints(&self, file: &Path) {
        let filter = "(udp.srcport == 547 || icmpv6.type == 134 || tftp) \
            && (_ws.malformed || _ws.expert.severity >= 0x600000)";
        let complaints = self.tshark(file, filter, &["frame.number", "_ws.expert.message"]);
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    /// Asks again and again until there is an answer.
    pub fn eventually<T>(&self, mut ask: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = ask() {
                return found;
            }
            assert!(start.elapsed() < LIMIT, "not in time:\n{}", self.vlan.log());
            std::thread::yield_now();
        }
    }
}

impl Capture {
    /// Waits until `count` frames of a kind are in the file, and ends it.
    pub fn stop_after(self, count: usize, wanted: impl Fn(&[u8]) -> bool) -> PathBuf {
        let found = |content: &[u8]| frames(content).iter().filter(|frame| wanted(frame)).count();
        let file = self.0.finish(LIMIT, |content| found(content) >= count);
        let content = std::fs::read(&file).unwrap();
        assert!(found(&content) >= count, "{count} frames are not in the capture");
        file
    }
}

/// A DHCPv6 message of a server or relay.
pub fn answer(frame: &[u8]) -> bool {
    frame.get(20) == Some(&17) && frame.get(54..56) == Some(&[0x02, 0x23])
}

/// A router advertisement.
pub fn advertisement(frame: &[u8]) -> bool {
    frame.get(20) == Some(&58) && frame.get(54) == Some(&134)
}

/// The last block of a TFTP transfer with blocks that fill the link.
pub fn last_block(frame: &[u8]) -> bool {
    frame.get(20) == Some(&17) && frame.get(62..64) == Some(&[0, 3]) && frame.len() < 1500
}

/// The whole IPv6 frames of a capture that is still being written.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((header, tail)) = rest.split_first_chunk::<16>() {
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let Some(frame) = tail.get(..length) else { break };
        if frame.get(12..14) == Some(&[0x86, 0xdd]) {
            frames.push(frame.to_vec());
        }
        rest = &tail[length..];
    }
    frames
}

impl Client {
    pub fn send(&self, bytes: &[u8]) {
        let to = SocketAddrV6::new("ff02::1:2".parse().unwrap(), 547, 0, 0);
        let start = Instant::now();
        // The link-local address may still be in the making.
        while self.0.send_to(bytes, to).is_err() {
            assert!(start.elapsed() < LIMIT, "no link-local address");
            std::thread::yield_now();
        }
    }

    pub fn ask(&self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes);
        let mut buffer = vec![0; 1500];
        let (length, from) = self.0.recv_from(&mut buffer).expect("an answer");
        assert_eq!(from.port(), 547);
        buffer.truncate(length);
        assert_eq!(buffer.get(1..4), bytes.get(1..4), "the transaction");
        buffer
    }
}
