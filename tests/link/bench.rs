//! `srv` with bootlace and as many cables to `lc0` as a test needs; the first is `eth0`, over the bridge.

use std::cell::RefCell;
use std::process::Stdio;
use std::time::Instant;

use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::{Place, Process, Sandbox};
use serde_json::Value;

#[path = "../support/net.rs"]
#[allow(dead_code, reason = "each test network uses a part of it")]
mod net;

pub use net::{LIMIT, in_host};
use net::{Overheard, loader_like};

/// Cards of one node.
pub const MAC0: &str = "52:54:00:be:ef:00";
pub const MAC1: &str = "52:54:00:be:ef:01";
pub const MAC2: &str = "52:54:00:be:ef:02";

const NODES: &str = "
nodes:
- name: compute1
  nid: 1
  xname: x1000c0s0b0n0
  interfaces:
  - {mac_addr: '52:54:00:be:ef:00', ip_addrs: [{ip_addr: 10.77.0.11}]}
  - {mac_addr: '52:54:00:be:ef:01', ip_addrs: [{ip_addr: 10.77.10.11}]}
  - {mac_addr: '52:54:00:be:ef:02', ip_addrs: [{ip_addr: 10.77.20.11}]}
";
const BOOT: &str = "{hosts: [Default], kernel: 'http://10.77.0.1/linux', params: quiet}\n";

pub struct Bench {
    heard: RefCell<Overheard>,
    // Ended before the sandbox goes: fields are dropped in order.
    processes: RefCell<Vec<Process>>,
    journal: Option<Journal>,
    pub sandbox: Sandbox,
}

impl Bench {
    /// Hosts and records, nothing running.
    pub fn lay() -> Self {
        let sandbox = Sandbox::enter().expect("namespaces: this test needs root");
        sandbox.host("srv", Some("10.77.0.1/24")).unwrap();
        sandbox.host("lc0", None).unwrap();
        sandbox.write("nodes.yaml", NODES).unwrap();
        sandbox.write("boot.yaml", BOOT).unwrap();
        for loader in ["undionly.kpxe", "snponly-x86_64.efi"] {
            sandbox.write(&format!("firmware/{loader}"), loader_like(loader)).unwrap();
        }
        let mut heard = Overheard::default();
        heard.listen(&sandbox, Place::Net, "br0");
        let bench =
            Self { heard: RefCell::new(heard), processes: RefCell::default(), journal: None, sandbox };
        bench.ip("lc0", &format!("link set eth0 address {MAC0}"));
        bench
    }

    /// Another cable between `srv` and `lc0`, with the same name at both ends, the address at `srv`.
    pub fn cable(&self, name: &str, address: Option<&str>, mac: &str) {
        self.ip("srv", &format!("link add {name} type veth peer name {name} netns lc0"));
        self.ip("lc0", &format!("link set {name} address {mac} up"));
        for host in ["srv", "lc0"] {
            let off = ["ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off"];
            self.sandbox.run(Place::Host(host), &off).unwrap();
        }
        if let Some(address) = address {
            self.ip("srv", &format!("addr add {address} brd + dev {name}"));
        }
        self.ip("srv", &format!("link set {name} up"));
        self.heard.borrow_mut().listen(&self.sandbox, Place::Host("lc0"), name);
    }

    /// Starts `bootlace serve` with these settings and waits for `ready`.
    pub fn serve(mut self, settings: &str) -> Self {
        let process = self.spawn(settings);
        self.processes.borrow_mut().push(process);
        self.entry("ready", |entry| entry["event"] == "ready");
        self
    }

    /// Keeps a process as long as itself, and ends it before the sandbox.
    pub fn hold(&self, process: Process) {
        self.processes.borrow_mut().push(process);
    }

    /// The exit code and the last words of a `bootlace serve` that is refused.
    pub fn refused(mut self, settings: &str) -> (Option<i32>, String) {
        let code = self.spawn(settings).wait(LIMIT).and_then(|status| status.code());
        let ended = self.journal.as_ref().unwrap().wait_for("nothing", LIMIT, |_| false).unwrap_err();
        (code, ended.to_string())
    }

    fn spawn(&mut self, settings: &str) -> Process {
        let usual = "nodes: nodes.yaml\nboot: boot.yaml\nfirmware: firmware\nlog_format: json\n";
        let file = self.sandbox.write("bootlace.yaml", format!("{usual}{settings}\n")).unwrap();
        let mut command = self.sandbox.command(Place::Host("srv"), env!("CARGO_BIN_EXE_bootlace"));
        command.arg("serve").arg("--config").arg(file).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = self.sandbox.start("bootlace serve", &mut command).unwrap();
        self.journal = Some(Journal::follow(process.child().stderr.take().unwrap(), None).unwrap());
        process
    }

    pub fn signal_bootlace(&self, signal: nix::sys::signal::Signal) {
        self.processes.borrow_mut()[0].signal(signal);
    }

    pub fn bootlace_ended(&self) -> bool {
        self.processes.borrow_mut()[0].ended().is_some()
    }

    /// Runs `ip WORDS` in a host.
    pub fn ip(&self, host: &str, words: &str) {
        let words: Vec<&str> = std::iter::once("ip").chain(words.split_whitespace()).collect();
        self.sandbox.run(Place::Host(host), &words).unwrap();
    }

    /// Runs udhcpc once on an interface of `lc0`; returns what it was given, as `name=value` lines.
    pub fn udhcpc(&self, interface: &str, more: &str) -> String {
        let more: Vec<&str> = more.split_whitespace().collect();
        let given = net::udhcpc(&self.sandbox, "lc0", interface, &more);
        given.unwrap_or_else(|said| panic!("{said}\n{}", self.log()))
    }

    /// What `curl` gets in `lc0`, or why it got nothing.
    pub fn curl(&self, url: &str) -> Result<String, String> {
        let words = ["curl", "-sS", "--max-time", "20", "--retry-connrefused", "--retry", "5", url];
        self.sandbox.run(Place::Host("lc0"), &words).map_err(|error| error.to_string())
    }

    /// The loader by TFTP from `server`, asked by `lc0`; its length.
    pub fn tftp(&self, server: &str) -> usize {
        let url = format!("tftp://{server}/snponly-x86_64.efi");
        let file = self.sandbox.work().join("loader");
        let words = ["curl", "-sS", "--max-time", "20", "-o", file.to_str().unwrap(), &url];
        self.sandbox
            .run(Place::Host("lc0"), &words)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        std::fs::read(file).unwrap().len()
    }

    /// Waits for a line of the log.
    pub fn entry(&self, awaited: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let journal = self.journal.as_ref().unwrap();
        journal.wait_for(awaited, LIMIT, wanted).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits for the notice `event` whose text contains `text`.
    pub fn notice(&self, event: &str, text: &str) -> Value {
        self.entry(&format!("{event} with '{text}'"), |entry| {
            entry["event"] == event && entry["text"].as_str().is_some_and(|said| said.contains(text))
        })
    }

    pub fn entries(&self) -> Vec<Value> {
        self.journal.as_ref().map(Journal::entries).unwrap_or_default()
    }

    pub fn log(&self) -> String {
        self.journal.as_ref().map(Journal::tail).unwrap_or_default()
    }
}

/// Every answer of every test reads in tshark as in our own decoder.
impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.heard.borrow_mut().judge();
        }
    }
}

/// Asks until it is answered or [`LIMIT`] is over.
pub fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(answer) = ask() {
            return Some(answer);
        }
    }
    None
}
