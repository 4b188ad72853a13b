//! A server in this process on a port that the system chose, and the clients that ask it.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bootlace::boot::template::Templates;
use bootlace::config::{FirmwareSource, HttpListen, Settings};
use bootlace::firmware::{Loader, Loaders};
use bootlace::http::{self, Limits};
use bootlace::journal::{Event, HttpEvent, Notice};
use bootlace::link::Peers;
use bootlace::openchami::api::Api;
use bootlace::records::{BootEntry, BootFile, Nic, Node, Origin, Selectors, Snapshot};
use bootlace::world::{Current, World};
use tokio::sync::watch;

/// How long a condition is waited for. Generous: the machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Server {
    pub address: SocketAddr,
    pub peers: Peers,
    pub world: Current,
    events: Arc<Mutex<Vec<Event>>>,
    stop: Option<watch::Sender<bool>>,
    thread: Option<std::thread::JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Server {
    /// Serves `nodes` and `entries`, an asset folder and a loader.
    pub fn start(nodes: Vec<Node>, entries: Vec<BootEntry>) -> Self {
        Self::start_with(nodes, entries, Limits { served: 256, turned_away: 16 })
    }

    pub fn start_with(nodes: Vec<Node>, entries: Vec<BootEntry>, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("assets")).unwrap();
        let listeners = http::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = listeners[0].address();
        let world = Current::new(World::new(
            settings(folder.path().join("assets"), address.port()),
            Snapshot::new(nodes, entries),
            loaders(),
            Templates::default(),
        ));
        let (stop, stopped) = watch::channel(false);
        let events = Arc::new(Mutex::new(Vec::new()));
        let peers = Peers::default();
        let thread = {
            let (world, peers, events) = (world.clone(), peers.clone(), Arc::clone(&events));
            std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                let sink: http::Sink = Arc::new(move |event| events.lock().unwrap().push(event));
                runtime
                    .unwrap()
                    .block_on(http::serve_into(
                        listeners,
                        Api::read_only(world).unwrap(),
                        peers,
                        sink,
                        limits,
                        stopped,
                    ))
                    .unwrap();
            })
        };
        Self { address, peers, world, events, stop: Some(stop), thread: Some(thread), folder }
    }

    pub fn asset(&self, name: &str) -> PathBuf {
        self.folder.path().join("assets").join(name)
    }

    pub fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Puts a changed world in force.
    pub fn change(&self, change: impl FnOnce(&mut World)) {
        let old = self.world.load();
        let mut world = World::new(
            old.settings.clone(),
            Snapshot::new(
                old.records.nodes().map(|node| (**node).clone()).collect(),
                old.records.entries().map(|entry| (**entry).clone()).collect(),
            ),
            old.loaders.clone(),
            Templates::load(old.settings.templates.as_deref()).unwrap(),
        );
        change(&mut world);
        self.world.swap(world);
    }

    /// Waits for the event of a request whose path begins so.
    pub fn event(&self, path: &str) -> HttpEvent {
        self.wait_for(&format!("an event for {path}"), |event| match event {
            Event::Http(http) if http.path.starts_with(path) => Some(http.clone()),
            _ => None,
        })
    }

    pub fn notice(&self, name: &str) -> Notice {
        self.wait_for(&format!("a notice {name}"), |event| match event {
            Event::Notice(notice) if notice.name == name => Some(notice.clone()),
            _ => None,
        })
    }

    fn wait_for<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let mut found = None;
        until(what, || {
            found = self.events.lock().unwrap().iter().find_map(&pick);
            found.is_some()
        });
        found.unwrap()
    }

    /// Tells the server to stop, without waiting.
    pub fn stop(&self) {
        let _ = self.stop.as_ref().unwrap().send(true);
    }

    /// True when the server has ended.
    pub fn ended(&self) -> bool {
        self.thread.as_ref().unwrap().is_finished()
    }

    /// Sends raw bytes and reads until the server closes.
    pub fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

/// Waits until `condition` holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What curl got.
pub struct Got {
    pub status: u16,
    /// Header lines, lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Runs curl for one URL, taking the path as it is written.
pub fn curl(arguments: &[&str], url: &str) -> Got {
    let folder = tempfile::tempdir().unwrap();
    let (head, body) = (folder.path().join("head"), folder.path().join("body"));
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--path-as-is", "--globoff", "--max-time", "60", "--noproxy", "*"])
        .arg("--dump-header")
        .arg(&head)
        .arg("--output")
        .arg(&body)
        .args(arguments)
        .arg(url)
        .output()
        .expect("curl is needed for this test");
    assert!(output.status.success(), "curl {arguments:?} {url}: {}", String::from_utf8_lossy(&output.stderr));
    let head = std::fs::read_to_string(head).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = if Path::new(&body).exists() { std::fs::read(body).unwrap() } else { Vec::new() };
    Got { status, headers, body }
}

pub fn get(url: &str) -> Got {
    curl(&[], url)
}

fn settings(assets: PathBuf, port: u16) -> Settings {
    // What a test does not say is what an empty bootlace.yaml says.
    Settings {
        assets: Some(assets),
        firmware: FirmwareSource::None,
        http: vec![HttpListen { address: None, port }],
        ..bootlace::config::file::Written::default().with(&bootlace::config::file::Flags::default())
    }
}

fn loaders() -> Loaders {
    let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let loader = Loader {
        name: "snponly-x86_64.efi".to_owned(),
        path: "/f/snponly.efi".into(),
        size: content.len() as u64,
        content: content.into(),
    };
    Loaders::new([("snponly-x86_64.efi".to_owned(), Arc::new(loader))].into())
}

/// Node number `n`, whose address is 127.0.0.`n`: a client that calls from there is the node.
pub fn node(n: u16) -> Node {
    let [high, low] = n.to_be_bytes();
    Node {
        name: Some(format!("compute{n}")),
        xname: Some(format!("x1000c{}s{}b{}n0", n / 100, n / 10 % 10, n % 10).parse().unwrap()),
        nid: Some(n.into()),
        nics: vec![Nic {
            mac: format!("52:54:00:be:{high:02x}:{low:02x}").parse().unwrap(),
            addresses: vec![IpAddr::from(Ipv4Addr::new(127, 0, high, low))],
        }],
        netboot: true,
        origin: Origin { file: Arc::new(PathBuf::from("nodes.yaml")), line: n.into() },
        ..Node::default()
    }
}

/// An entry for one node, with kernel and initrd in the asset folder.
pub fn entry(name: &str, n: u16) -> BootEntry {
    BootEntry {
        name: name.to_owned(),
        selectors: Selectors { nids: vec![n.into()], ..Selectors::default() },
        arch: Vec::new(),
        kernel: BootFile::Asset("linux".to_owned()),
        initrd: Some(BootFile::Asset("initrd.gz".to_owned())),
        params: "ro".to_owned(),
        loader: None,
        script: None,
        priority: 0,
        cloud_init: serde_json::Value::Null,
        origin: Origin::default(),
    }
}
