//! The VLAN of a test: bootlace at 172.16.0.254 with the five nodes of the example, and what else it needs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bootlace::config::Mode;
use bootlace::lab::appliance::{Appliance, Service};
use bootlace::lab::router::Router;
use bootlace::lab::sandbox::{Place, Sandbox};
use bootlace::lab::site::SiteDhcp;
use bootlace::lab::{AccelChoice, Firmware, Guest, Machine, records};
use serde_json::Value;

use crate::payload::{self, MARKER};

#[path = "../support/net.rs"]
#[allow(dead_code, reason = "each test network uses a part of it")]
pub mod net;

/// Three times what emulation takes on a quiet machine, and once more for a busy one.
pub const LIMIT: Duration = Duration::from_secs(240);
pub const SERVER: &str = "172.16.0.254";
/// Kernel parameters of the test's boot entry. The kernel's check of the timer ends it where an emulated processor
/// has to wait for a real one.
pub const PARAMS: &str = "console=ttyS0 panic=-1 no_timer_check bootlace.test=yes";
/// The same on an arm64 machine.
pub const PARAMS_ARM64: &str = "console=ttyAMA0 panic=-1 bootlace.test=yes";
/// Enough for firmware, kernel and the tiny initial RAM disk.
const MEMORY: u32 = 384;
const MEMORY_ARM64: u32 = 1024;

/// Held while machines run: one boot keeps a processor busy.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct Vlan {
    // Ended in this order.
    heard: net::Overheard,
    captures: Vec<net::Capture>,
    pub appliance: Appliance,
    pub site: Option<SiteDhcp>,
    _router: Router,
    pub nodes: PathBuf,
    pub sandbox: Sandbox,
    _alone: MutexGuard<'static, ()>,
}

impl Vlan {
    /// bootlace in `mode`; in proxy mode with a site DHCP server on a host of its own.
    pub fn start(mode: Mode) -> Self {
        Self::start_for(mode, Firmware::Uefi)
    }

    /// The same with what a machine with `firmware` needs in the asset folder and in the boot entry.
    pub fn start_for(mode: Mode, firmware: Firmware) -> Self {
        let loader = firmware.loader().map(|name| format!(", loader: {name}")).unwrap_or_default();
        let boot = match firmware.is_arm64() {
            // No initial RAM disk: the kernel gets as far as looking for a root file system.
            true => format!("{{hosts: [Default], kernel: linux, params: '{PARAMS_ARM64}'{loader}}}\n"),
            false => format!(
                "{{hosts: [Default], kernel: linux, initrd: tiny.cpio, params: '{PARAMS}'{loader}}}\n"
            ),
        };
        Self::start_with(mode, firmware, &boot, &[])
    }

    /// The same with this boot.yaml, and further files in the asset folder.
    pub fn start_with(mode: Mode, firmware: Firmware, boot: &str, files: &[(&str, Vec<u8>)]) -> Self {
        Self::start_on(mode, firmware, records::NODES, boot, files, false)
    }

    /// bootlace with an empty store and no records.
    pub fn start_empty(mode: Mode, firmware: Firmware) -> Self {
        Self::start_on(mode, firmware, "nodes: []\n", "[]\n", &[], true)
    }

    fn start_on(
        mode: Mode,
        firmware: Firmware,
        nodes: &str,
        boot: &str,
        files: &[(&str, Vec<u8>)],
        store: bool,
    ) -> Self {
        let _alone = alone();
        let supplies = payload::supplies_for(firmware);
        let sandbox = Sandbox::enter().expect("this test needs root");
        let assets = payload::tiny(&sandbox, &supplies);
        for (name, content) in files {
            sandbox.write(&format!("assets/{name}"), content).unwrap();
        }
        let nodes = sandbox.write("nodes.yaml", nodes).unwrap();
        let boot = sandbox.write("boot.yaml", boot).unwrap();
        let _router = Router::start(&sandbox, "router").unwrap();
        let site = (mode == Mode::Proxy).then(|| {
            sandbox.host("dhcp", Some("172.16.0.253/24")).unwrap();
            let address = |last| Ipv4Addr::new(172, 16, 0, last);
            SiteDhcp::start(&sandbox, "dhcp", address(100), address(199)).unwrap()
        });
        sandbox.host("srv", Some("172.16.0.254/24")).unwrap();
        let service = Service {
            program: Path::new(env!("CARGO_BIN_EXE_bootlace")),
            mode,
            nodes: nodes.clone(),
            boot,
            assets,
            loaders: supplies.loaders,
            more: if store {
                vec!["--state".to_owned(), sandbox.work().join("state").display().to_string()]
            } else {
                Vec::new()
            },
        };
        let mut heard = net::Overheard::default();
        heard.listen(&sandbox, Place::Net, "p-srv");
        let appliance = Appliance::start(&sandbox, "srv", &service, None).unwrap();
        appliance.wait_ready(LIMIT).unwrap();
        Self { heard, captures: Vec::new(), appliance, site, _router, nodes, sandbox, _alone }
    }

    /// Switches on the machine of a node of the example.
    pub fn boot(&self, node: &str, firmware: Firmware) -> Guest {
        let node = records::find(&records::built_in(), Some(node)).unwrap();
        let memory = if firmware.is_arm64() { MEMORY_ARM64 } else { MEMORY };
        let machine = Machine { memory, ..Machine::of(&node, firmware).unwrap() };
        Guest::start(&self.sandbox, &machine, AccelChoice::Auto, None).unwrap()
    }

    /// Waits for the marker of the tiny initial RAM disk and the machine's end; returns the kernel's command line.
    pub fn command_line(&self, guest: &mut Guest) -> String {
        guest.console.wait_for(&[MARKER], LIMIT).unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        let status = guest.wait(LIMIT).expect("the machine switches itself off");
        assert!(status.success(), "{status}");
        let text = guest.console.text();
        let line = text.lines().find(|line| line.contains(MARKER)).unwrap();
        line.split_once(MARKER).unwrap().1.trim().to_owned()
    }

    /// The entry of the journal that says that a node's script was served.
    pub fn script_served(&self, node: &str) -> Value {
        self.entry(node, "script", |entry| entry["event"] == "http" && entry["what"] == "script")
    }

    /// The address from which `node` fetched its script.
    pub fn address(&self, node: &str) -> Ipv4Addr {
        let entry = self.script_served(node);
        let peer: std::net::SocketAddrV4 = entry["peer"].as_str().unwrap().parse().unwrap();
        *peer.ip()
    }

    /// Waits for an entry of the journal about `node`.
    pub fn entry(&self, node: &str, awaited: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let wanted = |entry: &Value| entry["node"] == node && wanted(entry);
        let found = self.appliance.journal.wait_for(&format!("{awaited} of {node}"), LIMIT, wanted);
        found.unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn log(&self) -> String {
        let entries = self.appliance.journal.entries();
        entries.iter().map(|entry| format!("{entry}\n")).collect()
    }

    /// Starts to capture what bootlace's host sees and sends; returns the file.
    pub fn capture(&mut self) -> PathBuf {
        // Not the bulk of kernel and initrd.
        let filter = "udp or (tcp and greater 80 and less 600)";
        let capture = net::Capture::start(&self.sandbox, Place::Net, "p-srv", "capture.pcap", filter);
        let file = capture.file().to_owned();
        self.captures.push(capture);
        file
    }

    /// Ends the captures, so that their files are complete.
    pub fn end_captures(&mut self) {
        for capture in self.captures.drain(..) {
            capture.finish(Duration::ZERO, |_| true);
        }
    }

    /// Rows of the fields that tshark finds in the packets that match `filter`.
    pub fn tshark(&self, file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
        // Checksums are looked at only where it is said.
        let checksums = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];
        let mut command = vec!["tshark", "-n", "-r", file.to_str().unwrap(), "-Y", filter, "-T", "fields"];
        command.extend(checksums);
        for field in fields {
            command.extend(["-e", field]);
        }
        let text = self.sandbox.run(Place::Net, &command).unwrap();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }
}

/// Every answer of every test reads in tshark as in our own decoder.
impl Drop for Vlan {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.heard.judge();
        }
    }
}

/// Waits until `condition` holds; false after the limit.
pub fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    condition()
}
