//! A boot LAN of two machines in network namespaces: the server with two addresses on one, real clients on
//! the other. The namespaces belong to threads and vanish with them, also when a test fails.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bootlace::boot::template::Templates;
use bootlace::config::file::{Flags, Written};
use bootlace::config::{FirmwareSource, Knobs, Settings};
use bootlace::firmware::{Loader, Loaders};
use bootlace::journal::TftpEvent;
use bootlace::link::Peers;
use bootlace::records::{Node, Snapshot};
use bootlace::tftp::{self, Listen};
use bootlace::world::{Current, World};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;
use tokio::sync::watch;

/// First address of the server, the one it would name as next-server.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// A further address of the same interface.
pub const SERVER_TOO: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// The client machine.
/// The client's card, as the records of the tests have it.
const CLIENT_MAC: &str = "02:00:00:00:00:64";
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 100);
/// Nothing here takes this long on any machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The LAN, seen from the client's machine.
pub struct Lan {
    folder: TempDir,
    events: Arc<(Mutex<Vec<TftpEvent>>, Condvar)>,
    stop: Option<watch::Sender<bool>>,
    server: Option<JoinHandle<()>>,
}

/// What the server knows, beside the asset folder.
#[derive(Default)]
pub struct Known {
    pub nodes: Vec<Node>,
    pub knobs: Knobs,
    pub loaders: Vec<(&'static str, Vec<u8>)>,
}

/// Builds the LAN and runs `test` on the client's machine.
pub fn on_lan(known: Known, test: impl FnOnce(&mut Lan) + Send + 'static) {
    in_namespace(move || {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("assets")).unwrap();
        let current = Current::new(world(known, &folder.path().join("assets")));
        let events: Arc<(Mutex<Vec<TftpEvent>>, Condvar)> = Arc::default();
        let (stop, stopped) = watch::channel(false);
        let (up, is_up) = mpsc::channel();
        let (joined, is_joined) = mpsc::channel();
        let noted = Arc::clone(&events);
        let server = std::thread::spawn(move || {
            enter_namespace();
            up.send(nix::unistd::gettid()).unwrap();
            is_joined.recv().unwrap();
            for address in [SERVER, SERVER_TOO] {
                ip(&format!("address add {address}/24 dev s0"));
            }
            ip("link set s0 up");
            let listen = Listen { interface: "s0".to_owned(), address: SERVER.into(), mtu: 1500 };
            let server = tftp::bind(vec![listen]).unwrap();
            up.send(nix::unistd::gettid()).unwrap();
            let note = move |event| {
                noted.0.lock().unwrap().push(event);
                noted.1.notify_all();
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(server.run(current, Peers::default(), note, stopped)).unwrap();
        });
        let mut lan = Lan { folder, events, stop: Some(stop), server: Some(server) };
        let thread = is_up.recv().expect("the server's machine comes up");
        ip(&format!("link add c0 type veth peer name s0 netns {thread}"));
        ip(&format!("address add {CLIENT}/24 dev c0"));
        ip(&format!("link set c0 address {CLIENT_MAC}"));
        ip("link set c0 up");
        joined.send(()).unwrap();
        is_up.recv().expect("the server listens");
        test(&mut lan);
        lan.stop();
    });
}

/// Runs `test` on a thread with a network namespace of its own.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        enter_namespace();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn enter_namespace() {
    unshare(CloneFlags::CLONE_NEWNET).expect("this test makes network namespaces and needs root (try sudo)");
    ip("link set lo up");
}

fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Lan {
    /// The asset folder.
    pub fn assets(&self) -> PathBuf {
        self.folder.path().join("assets")
    }

    /// Puts a file into the asset folder.
    pub fn asset(&self, name: &str, bytes: &[u8]) {
        let path = self.assets().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What a client wrote into its own folder.
    pub fn fetched(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join(name)).ok()
    }

    /// The client's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a program on the client's machine, in the client's folder.
    pub fn start(&self, command: &[&str]) -> Running {
        let child = Command::new(command[0])
            .args(&command[1..])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}; is it installed?", command[0]));
        Running { child: Some(child), what: command.join(" ") }
    }

    /// Runs a program to its end; whether it succeeded, and all it printed with its exit code.
    pub fn run(&self, command: &[&str]) -> (bool, String) {
        self.start(command).finish()
    }

    /// Waits for the next `count` events and takes them.
    pub fn events(&self, count: usize) -> Vec<TftpEvent> {
        let (events, noted) = &*self.events;
        let enough = |events: &mut Vec<TftpEvent>| events.len() < count;
        let (mut events, wait) = noted.wait_timeout_while(events.lock().unwrap(), LIMIT, enough).unwrap();
        assert!(!wait.timed_out(), "waited for {count} events, saw {events:#?}");
        assert_eq!(events.len(), count, "each request ends in exactly one event: {events:#?}");
        std::mem::take(&mut *events)
    }

    /// Takes the next event.
    pub fn event(&self) -> TftpEvent {
        self.events(1).remove(0)
    }

    /// Stops the server and waits for its end.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(true);
        }
        if let Some(Err(panic)) = self.server.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A program under way; killed when the test ends before it.
pub struct Running {
    child: Option<Child>,
    what: String,
}

impl Running {
    /// Waits for its end; whether it succeeded, and all it printed.
    pub fn finish(mut self) -> (bool, String) {
        let limit = Instant::now() + LIMIT;
        while let Some(child) = &mut self.child {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            assert!(Instant::now() < limit, "'{}' does not end", self.what);
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), format!("{} ({})", String::from_utf8_lossy(&text), output.status))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn world(known: Known, assets: &Path) -> World {
    let loaders: BTreeMap<String, Arc<Loader>> = known
        .loaders
        .into_iter()
        .map(|(name, bytes)| {
            let (size, content) = (bytes.len() as u64, Arc::from(bytes));
            (name.to_owned(), Arc::new(Loader { name: name.to_owned(), path: name.into(), size, content }))
        })
        .collect();
    let settings = Settings {
        assets: Some(assets.to_owned()),
        firmware: FirmwareSource::None,
        http: Vec::new(),
        knobs: known.knobs,
        ..Written::default().with(&Flags::default())
    };
    World::new(settings, Snapshot::new(known.nodes, Vec::new()), Loaders::new(loaders), Templates::default())
}
