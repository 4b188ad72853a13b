//! What test networks in namespaces have in common: a thread inside a host, a loader to serve, captures.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::{Place, Process, Sandbox};
use serde_json::Value;

#[path = "decoded.rs"]
pub mod decoded;

/// Generous: the machine may be busy.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Everything that belongs to DHCP, also with a VLAN's tag.
pub const DHCP: &str = "udp port 67 or udp port 68 or udp port 4011 or udp port 546 or udp port 547 or \
                        (vlan and udp and (port 67 or port 68 or port 4011))";

/// Runs `work` in a thread inside a host's network namespace.
pub fn in_host<T: Send + 'static>(host: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let path = format!("/run/netns/{host}");
    std::thread::spawn(move || {
        let namespace = std::fs::File::open(path).unwrap();
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        work()
    })
    .join()
    .unwrap()
}

/// A file that the loader folder takes for the loader of that name, and for no other's.
pub fn loader_like(name: &str) -> Vec<u8> {
    let mut content = vec![0; 4096];
    content[0x100..0x100 + name.len()].copy_from_slice(name.as_bytes());
    if name.ends_with(".efi") {
        let machine: u16 = match name.rsplit_once('-') {
            Some((_, "i386.efi")) => 0x014c,
            Some((_, "arm32.efi")) => 0x01c2,
            Some((_, "arm64.efi")) => 0xaa64,
            _ => 0x8664,
        };
        // MZ, offset of the PE header, PE signature, machine.
        content[..2].copy_from_slice(b"MZ");
        content[0x3c] = 0x80;
        content[0x80..0x84].copy_from_slice(b"PE\0\0");
        content[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
    }
    content
}

/// Runs udhcpc once on an interface of a host; what it was given, as `name=value` lines, or what it said.
pub fn udhcpc(sandbox: &Sandbox, host: &str, interface: &str, more: &[&str]) -> Result<String, String> {
    let lease = sandbox.work().join(format!("lease-{host}-{interface}"));
    let _ = std::fs::remove_file(&lease);
    let text = format!("#!/bin/sh\n[ \"$1\" = bound ] && env > {}\nexit 0\n", lease.display());
    let script = program(sandbox, "udhcpc.sh", &text);
    let usual = ["udhcpc", "-i", interface, "-f", "-q", "-n", "-t", "8", "-T", "2", "-s", &script];
    let said = sandbox.run(Place::Host(host), &[&usual[..], more].concat());
    std::fs::read_to_string(&lease).map_err(|_| format!("no lease: {said:?}"))
}

/// Writes an executable file; its path.
pub fn program(sandbox: &Sandbox, name: &str, text: &str) -> String {
    let file = sandbox.write(name, text).unwrap().display().to_string();
    sandbox.run(Place::Net, &["chmod", "+x", &file]).unwrap();
    file
}

/// A tcpdump that runs.
pub struct Capture {
    process: Process,
    file: PathBuf,
}

impl Capture {
    /// Captures what matches `filter` on an interface into the work folder's file `name`. Returns when it listens.
    pub fn start(sandbox: &Sandbox, place: Place<'_>, interface: &str, name: &str, filter: &str) -> Self {
        let file = sandbox.work().join(name);
        let mut command = sandbox.command(place, "tcpdump");
        command.args(["-n", "-i", interface, "-s", "1600", "-U", "--immediate-mode", "-Z", "root", "-w"]);
        command.arg(&file).arg(filter).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = sandbox.start("tcpdump", &mut command).unwrap();
        let said = Journal::follow(process.child().stderr.take().unwrap(), None).unwrap();
        let listening =
            |entry: &Value| entry["text"].as_str().is_some_and(|text| text.contains("listening on"));
        said.wait_for("listening on", LIMIT, listening).unwrap();
        Self { process, file }
    }

    /// The file that is being written.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Waits until `found` of the file's bytes so far, and ends the capture.
    pub fn finish(mut self, limit: Duration, found: impl Fn(&[u8]) -> bool) -> PathBuf {
        let start = Instant::now();
        while start.elapsed() < limit && !found(&std::fs::read(&self.file).unwrap_or_default()) {
            std::thread::yield_now();
        }
        self.process.stop();
        self.file
    }
}

/// Captures of all that bootlace says in a test, judged by tshark and by our own decoder when the test ends.
#[derive(Default)]
pub struct Overheard {
    captures: Vec<Capture>,
}

impl Overheard {
    /// One more place to listen at.
    pub fn listen(&mut self, sandbox: &Sandbox, place: Place<'_>, interface: &str) {
        let name = format!("overheard-{}.pcap", self.captures.len());
        self.captures.push(Capture::start(sandbox, place, interface, &name, DHCP));
    }

    /// Ends the captures. Every answer must read as our own decoder reads it.
    ///
    /// # Panics
    /// When one does not.
    pub fn judge(&mut self) {
        for capture in self.captures.drain(..) {
            decoded::agree(&capture.finish(Duration::ZERO, |_| true));
        }
    }
}
