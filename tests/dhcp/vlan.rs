//! A small boot VLAN for DHCP tests: `srv` 10.77.0.1 with bootlace, `dhcp` 10.77.0.2 for a site's server,
//! `lc0` with one client.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::{Place, Process, Sandbox};
use bootlace::lab::site::SiteDhcp;
use serde_json::Value;

#[path = "../support/net.rs"]
#[allow(dead_code, reason = "each test network uses a part of it")]
pub mod net;

pub use net::{LIMIT, in_host};
use net::{Overheard, loader_like};

pub const SERVER: &str = "10.77.0.1";
pub const SITE: &str = "10.77.0.2";
pub const KNOWN: &str = "52:54:00:be:ef:01";
pub const STRANGER: &str = "52:54:00:99:99:99";
pub const BMC: &str = "de:ca:fc:0f:fe:e1";

const NODES: &str = "
bmcs:
- {xname: x1000c0s0b0, mac: de:ca:fc:0f:fe:e1, ip: 10.77.0.101}
nodes:
- name: compute1
  nid: 1
  xname: x1000c0s0b0n0
  interfaces:
  - mac_addr: 52:54:00:be:ef:01
    ip_addrs: [{name: management, ip_addr: 10.77.0.11}]
";
const BOOT: &str = "{hosts: [Default], kernel: 'http://10.77.0.1/linux', params: quiet}\n";

pub struct Vlan {
    heard: RefCell<Overheard>,
    // Ended before the sandbox goes: fields are dropped in order.
    processes: RefCell<Vec<Process>>,
    site: RefCell<Option<SiteDhcp>>,
    journal: Option<Journal>,
    pub sandbox: Sandbox,
}

/// What is said on the client's side.
pub struct Capture(net::Capture);

impl Vlan {
    /// Hosts and records, nothing running.
    pub fn lay() -> Self {
        let sandbox = Sandbox::enter().expect("namespaces: this test needs root");
        sandbox.host("srv", Some("10.77.0.1/24")).unwrap();
        sandbox.host("dhcp", Some("10.77.0.2/24")).unwrap();
        sandbox.host("lc0", None).unwrap();
        sandbox.write("nodes.yaml", NODES).unwrap();
        sandbox.write("boot.yaml", BOOT).unwrap();
        for loader in ["undionly.kpxe", "snponly-x86_64.efi"] {
            sandbox.write(&format!("firmware/{loader}"), loader_like(loader)).unwrap();
        }
        let mut heard = Overheard::default();
        heard.listen(&sandbox, Place::Net, "br0");
        let heard = RefCell::new(heard);
        let vlan =
            Self { heard, processes: RefCell::default(), site: RefCell::default(), journal: None, sandbox };
        vlan.set_mac("lc0", KNOWN);
        vlan
    }

    /// With `bootlace serve` ready in `mode`.
    pub fn start(mode: &str, more: &[&str]) -> Self {
        Self::lay().serve(mode, more, &[])
    }

    /// Starts `bootlace serve`, behind `wrapper`, and waits for `ready`.
    pub fn serve(mut self, mode: &str, more: &[&str], wrapper: &[&str]) -> Self {
        let work = self.sandbox.work().to_owned();
        let path = |name: &str| work.join(name).display().to_string();
        let program = env!("CARGO_BIN_EXE_bootlace");
        let mut words: Vec<String> = wrapper.iter().map(|word| (*word).to_owned()).collect();
        words.extend(
            [program, "serve", "--interface", "eth0", "--mode", mode, "--log-format", "json"]
                .map(str::to_owned),
        );
        words.extend(["--nodes".to_owned(), path("nodes.yaml"), "--boot".to_owned(), path("boot.yaml")]);
        words.extend(["--firmware".to_owned(), path("firmware")]);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let mut command = self.sandbox.command(Place::Host("srv"), &words[0]);
        command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = self.sandbox.start("bootlace serve", &mut command).unwrap();
        let journal = Journal::follow(process.child().stderr.take().unwrap(), None).unwrap();
        journal.wait_for("ready", LIMIT, |entry| entry["event"] == "ready").unwrap();
        self.processes.borrow_mut().push(process);
        self.journal = Some(journal);
        self
    }

    /// Starts the site's own DHCP server, which knows nothing of booting.
    pub fn site(&self) {
        let address = |last| std::net::Ipv4Addr::new(10, 77, 0, last);
        *self.site.borrow_mut() =
            Some(SiteDhcp::start(&self.sandbox, "dhcp", address(100), address(199)).unwrap());
    }

    pub fn set_mac(&self, host: &str, mac: &str) {
        self.sandbox.run(Place::Host(host), &["ip", "link", "set", "eth0", "address", mac]).unwrap();
    }

    /// Runs udhcpc once and returns what it was given, as `name=value` lines.
    pub fn udhcpc(&self, host: &str, more: &[&str]) -> String {
        let given = net::udhcpc(&self.sandbox, host, "eth0", more);
        given.unwrap_or_else(|said| panic!("{said}\n{}", self.log()))
    }

    /// Starts a program in a host; it is ended with the VLAN at the latest.
    pub fn start_in(&self, host: &str, words: &[&str]) -> Process {
        let mut command = self.sandbox.command(Place::Host(host), words[0]);
        command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
        self.sandbox.start(words[0], &mut command).unwrap()
    }

    /// Waits until a file contains `text`.
    pub fn wait_file(&self, file: &Path, text: &str) -> Option<String> {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            let content = std::fs::read_to_string(file).unwrap_or_default();
            if content.contains(text) {
                return Some(content);
            }
            std::thread::yield_now();
        }
        None
    }

    /// Waits until `condition` holds.
    pub fn until(&self, awaited: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < LIMIT, "waited for {awaited}\n{}", self.log());
            std::thread::yield_now();
        }
    }

    /// Waits for a line of the log.
    pub fn entry(&self, awaited: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.journal
            .as_ref()
            .unwrap()
            .wait_for(awaited, LIMIT, wanted)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn entries(&self) -> Vec<Value> {
        self.journal.as_ref().map(Journal::entries).unwrap_or_default()
    }

    pub fn log(&self) -> String {
        self.journal.as_ref().map(Journal::tail).unwrap_or_default()
    }

    /// Holds a UDP port in a host, as another daemon would.
    pub fn hold_port(&self, host: &str, port: u16) -> std::net::UdpSocket {
        in_host(host, move || std::net::UdpSocket::bind(("0.0.0.0", port)).unwrap())
    }

    /// Captures DHCP on the client's side of the bridge.
    pub fn capture(&self) -> Capture {
        Capture(net::Capture::start(&self.sandbox, Place::Net, "br0", "capture.pcap", net::DHCP))
    }
}

/// Every answer of every test reads in tshark as in our own decoder.
impl Drop for Vlan {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.heard.borrow_mut().judge();
        }
    }
}

impl Capture {
    /// Waits until `answers` replies are in the file, and ends the capture.
    pub fn finish(self, limit: Duration, answers: usize) -> PathBuf {
        // A reply's BOOTP header: op 2, Ethernet, 6 bytes, no hops; then the xid of our client.
        const REPLY: [u8; 8] = [2, 1, 6, 0, 0xb0, 0x07, 0x1a, 0xce];
        self.0.finish(limit, |content| content.windows(8).filter(|bytes| **bytes == REPLY).count() >= answers)
    }
}
