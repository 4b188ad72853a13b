//! One host in a network namespace of its own, with `eth0` 10.77.0.1/24 and records for one node.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::{Place, Process, Sandbox};

const LIMIT: Duration = Duration::from_secs(30);

pub const NODES: &str = "
nodes:
- name: compute1
  nid: 1
  xname: x1000c0s0b0n0
  interfaces:
  - mac_addr: 52:54:00:be:ef:01
    ip_addrs: [{name: management, ip_addr: 10.77.0.11}]
";
const BOOT: &str = "{hosts: [Default], kernel: 'http://10.77.0.1/linux', params: quiet}\n";

pub struct Host {
    sandbox: Sandbox,
}

/// A program that ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A running `bootlace serve`.
pub struct Serve {
    process: Process,
    log: Journal,
    seen: usize,
    pub host: Host,
}

impl Host {
    pub fn new() -> Self {
        let sandbox = Sandbox::enter().expect("namespaces: this test needs root");
        sandbox.host("srv", Some("10.77.0.1/24")).unwrap();
        let host = Self { sandbox };
        host.write("nodes.yaml", NODES);
        host.write("boot.yaml", BOOT);
        host.write("firmware/undionly.kpxe", vec![0; 4096]);
        host.write("empty/.keep", "");
        host
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        self.sandbox.write(name, content).unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.sandbox.work().join(name).display().to_string()
    }

    pub fn ip(&self, words: &[&str]) {
        self.sandbox.run(Place::Host("srv"), &[&["ip"], words].concat()).unwrap();
    }

    /// `bootlace` with these words, to its end.
    pub fn run(&self, words: &[&str]) -> Ended {
        self.run_behind(&[], words)
    }

    fn run_behind(&self, wrapper: &[&str], words: &[&str]) -> Ended {
        let all = [wrapper, &[env!("CARGO_BIN_EXE_bootlace")], words].concat();
        let mut command = self.sandbox.command(Place::Host("srv"), all[0]);
        command.args(&all[1..]);
        let output = self.sandbox.output("bootlace", &mut command).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn usual(&self, more: &[&str]) -> Vec<String> {
        let mut words = vec!["serve".to_owned()];
        let mut flag = |name: &str, value: String| {
            if !more.contains(&name) {
                words.extend([name.to_owned(), value]);
            }
        };
        flag("--interface", "eth0".to_owned());
        flag("--nodes", self.path("nodes.yaml"));
        flag("--boot", self.path("boot.yaml"));
        flag("--firmware", self.path("firmware"));
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    /// `bootlace serve` with the usual flags and these, which is expected to end by itself.
    pub fn refused(&self, more: &[&str]) -> Ended {
        self.refused_behind(&[], more)
    }

    pub fn refused_behind(&self, wrapper: &[&str], more: &[&str]) -> Ended {
        let words = self.usual(more);
        // A server that starts after all would hang the test.
        let timeout = [&["timeout", "30"], wrapper].concat();
        self.run_behind(&timeout, &words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A running `bootlace serve` with the usual flags and these.
    pub fn serve(self, more: &[&str]) -> Serve {
        let words = self.usual(more);
        self.launch(&words)
    }

    /// A running `bootlace serve` with these flags only.
    pub fn serve_with(self, flags: &[&str]) -> Serve {
        let words: Vec<String> = ["serve"].iter().chain(flags).map(|word| (*word).to_owned()).collect();
        self.launch(&words)
    }

    fn launch(self, words: &[String]) -> Serve {
        let mut command = self.sandbox.command(Place::Host("srv"), env!("CARGO_BIN_EXE_bootlace"));
        command.args(words).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = self.sandbox.start("bootlace serve", &mut command).unwrap();
        let log = Journal::follow(process.child().stderr.take().unwrap(), None).unwrap();
        Serve { process, log, seen: 0, host: self }
    }

    /// What listens in this host.
    pub fn listening(&self) -> String {
        self.sandbox.run(Place::Host("srv"), &["ss", "-Htuln"]).unwrap()
    }

    pub fn get(&self, url: &str) -> String {
        self.sandbox.run(Place::Host("srv"), &["curl", "-sS", "--max-time", "20", url]).unwrap()
    }

    pub fn hold_tcp(&self, address: &str) -> TcpListener {
        let address = address.to_owned();
        in_host(move || TcpListener::bind(address).unwrap())
    }

    pub fn hold_udp(&self, address: &str) -> UdpSocket {
        let address = address.to_owned();
        in_host(move || UdpSocket::bind(address).unwrap())
    }
}

impl Serve {
    /// Waits for the next line that contains `text`, behind those already waited for.
    pub fn wait_line(&mut self, text: &str) -> String {
        let start = std::time::Instant::now();
        loop {
            let entries = self.log.entries();
            let line = |entry: &serde_json::Value| match entry["event"].as_str() {
                Some("text") => entry["text"].as_str().unwrap_or_default().to_owned(),
                _ => entry.to_string(),
            };
            if let Some(at) = entries.iter().skip(self.seen).position(|entry| line(entry).contains(text)) {
                self.seen += at + 1;
                return line(&entries[self.seen - 1]);
            }
            assert!(start.elapsed() < LIMIT, "no line with '{text}':\n{}", self.log.tail());
            std::thread::yield_now();
        }
    }

    pub fn signal(&mut self, name: &str) {
        self.process.signal(format!("SIG{name}").parse().unwrap());
    }

    /// Its exit code, once it has ended.
    pub fn code(&mut self) -> Option<i32> {
        self.process.wait(LIMIT).expect("it ends").code()
    }
}

fn in_host<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(move || {
        let namespace = std::fs::File::open(Path::new("/run/netns/srv")).unwrap();
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        work()
    })
    .join()
    .unwrap()
}
