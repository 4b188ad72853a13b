//! `bootlace serve` with an empty store on a small boot VLAN: `srv` 172.16.0.254 with the appliance, `n1`
//! 172.16.0.1 with the MAC of the first node, `n77` 172.16.0.77 in no record.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::{Place, Process, Sandbox};
use serde_json::{Value, json};

pub use crate::net::in_host;
use crate::net::loader_like;

/// Generous: the machine may be busy.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The boot-facing listener.
pub const HTTP: &str = "172.16.0.254:8081";
/// The admin listener.
pub const API: &str = "127.0.0.1:8082";

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Asserts the status and gives the answer back.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Asserts an RFC 7807 problem with this status and, unless empty, this start of its detail.
    #[track_caller]
    pub fn problem(self, status: u16, detail: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        let said = problem["detail"].as_str().unwrap_or_default();
        assert!(said.starts_with(detail), "{said}");
        answer
    }

    /// Asserts SMD's message of success.
    #[track_caller]
    pub fn message(self, message: &str) -> Self {
        let answer = self.is(200);
        assert_eq!(answer.json(), json!({"code": 0, "message": message}));
        answer
    }
}

/// True if everything in `expected` is in `found`: objects may have more keys, lists are compared whole.
pub fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| holds(found, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| holds(f, e))
        }
        _ => found == expected,
    }
}

#[track_caller]
pub fn assert_holds(found: &Value, expected: &Value) {
    assert!(holds(found, expected), "{found:#}\ndoes not hold\n{expected:#}");
}

pub struct Site {
    // Ended before the sandbox goes: fields are dropped in order.
    process: RefCell<Option<Process>>,
    journal: RefCell<Option<Journal>>,
    more: Vec<String>,
    pub sandbox: Sandbox,
}

impl Site {
    /// Fixture F0: an empty store, no tokens.
    pub fn f0() -> Self {
        Self::with(&[])
    }

    /// F0 with further flags.
    pub fn with(more: &[&str]) -> Self {
        Self::prepared(|_| more.iter().map(|word| (*word).to_owned()).collect())
    }

    /// F0 with the flags that `prepare` gives, after it made what they name.
    pub fn prepared(prepare: impl FnOnce(&Sandbox) -> Vec<String>) -> Self {
        let sandbox = Sandbox::enter().expect("namespaces: this test needs root");
        sandbox.host("srv", Some("172.16.0.254/24")).unwrap();
        sandbox.host("n1", Some("172.16.0.1/24")).unwrap();
        sandbox.host("n77", Some("172.16.0.77/24")).unwrap();
        let mac = ["ip", "link", "set", "eth0", "address", "52:54:00:be:ef:01"];
        sandbox.run(Place::Host("n1"), &mac).unwrap();
        for loader in ["undionly.kpxe", "snponly-x86_64.efi"] {
            sandbox.write(&format!("firmware/{loader}"), loader_like(loader)).unwrap();
        }
        let more = prepare(&sandbox);
        let site = Self { process: RefCell::default(), journal: RefCell::default(), more, sandbox };
        site.start();
        site
    }

    /// Starts the appliance on the state that is there.
    pub fn start(&self) {
        let path = |name: &str| self.sandbox.work().join(name).display().to_string();
        let mut command = self.sandbox.command(Place::Host("srv"), env!("CARGO_BIN_EXE_bootlace"));
        command.args(["serve", "--interface", "eth0", "--log-format", "json"]);
        command.args(["--http", HTTP, "--state", &path("state"), "--firmware", &path("firmware")]);
        for (flag, usual) in [("--api", API), ("--mode", "reservation")] {
            if !self.more.iter().any(|word| word == flag) {
                command.args([flag, usual]);
            }
        }
        command.args(&self.more).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = self.sandbox.start("bootlace serve", &mut command).unwrap();
        let journal = Journal::follow(process.child().stderr.take().unwrap(), None).unwrap();
        journal.wait_for("ready", LIMIT, |entry| entry["event"] == "ready").unwrap();
        *self.process.borrow_mut() = Some(process);
        *self.journal.borrow_mut() = Some(journal);
    }

    /// Stops it as an operator would.
    pub fn stop(&self) {
        if let Some(mut process) = self.process.borrow_mut().take() {
            process.stop();
        }
    }

    /// Fixture F1: F0 after `discover static` of two nodes.
    pub fn f1() -> Self {
        let site = Self::f0();
        site.discover();
        site
    }

    /// Sends what `ochami discover static` sends for the fixture's two nodes.
    pub fn discover(&self) {
        let nodes = json!({"Components": [
            {"ID": "x1000c0s0b0n0", "Type": "Node", "State": "On", "Enabled": true, "NID": 1},
            {"ID": "x1000c0s0b1n0", "Type": "Node", "State": "On", "Enabled": true, "NID": 2},
        ]});
        self.post("/hsm/v2/State/Components", &nodes).is(204);
        for n in 1..=2 {
            self.post("/hsm/v2/Inventory/RedfishEndpoints", &endpoint(n)).is(201);
        }
        let group = json!({"label": "compute", "description": "The compute group",
            "members": {"ids": ["x1000c0s0b0n0", "x1000c0s0b1n0"]}});
        self.post("/hsm/v2/groups", &group).is(201);
    }

    /// A request to the admin listener.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.ask("srv", API, method, path, &[], body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, b"")
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body.to_string().as_bytes())
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, body.to_string().as_bytes())
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, body.to_string().as_bytes())
    }

    /// A GET from a machine of the VLAN (`n1`, `n77`) to the boot-facing listener.
    pub fn node_get(&self, host: &str, path: &str) -> Answer {
        self.ask(host, HTTP, "GET", path, &[], b"")
    }

    /// Any request from any host to any listener.
    pub fn ask(
        &self,
        host: &str,
        to: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let answered = request(host, to, method, path, headers, body);
        answered.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()))
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&self) {
        if let Some(mut process) = self.process.borrow_mut().take() {
            process.signal(nix::sys::signal::Signal::SIGKILL);
            process.wait(LIMIT);
        }
    }

    pub fn log(&self) -> String {
        self.journal.borrow().as_ref().map(Journal::tail).unwrap_or_default()
    }

    pub fn entries(&self) -> Vec<Value> {
        self.journal.borrow().as_ref().map(Journal::entries).unwrap_or_default()
    }
}

/// The RedfishEndpoint that `discover static` makes of the fixture's BMC number `n`.
pub fn endpoint(n: u8) -> Value {
    let (bmc, at) = (format!("x1000c0s0b{}", n - 1), format!("x1000c0s0b{}n0", n - 1));
    let (bmc_mac, bmc_ip) = (format!("de:ca:fc:0f:fe:e{n}"), format!("172.16.0.10{n}"));
    json!({
        "ID": bmc, "Type": "NodeBMC", "Name": format!("bmc{n}"),
        "UUID": format!("7594cce1-02af-4764-aa39-3438e7dad00{n}"),
        "MACAddr": bmc_mac, "IPAddress": bmc_ip,
        "DiscoveryInfo": {"LastAttempt": "0001-01-01T00:00:00Z"}, "SchemaVersion": 1,
        "Systems": [{
            "uri": format!("http://127.0.0.1:8082/redfish/v1/Systems/{at}"),
            "uuid": format!("398d93fa-fb16-4a53-8316-1de1be6481d{n}"), "name": format!("compute{n}"),
            "ethernet_interfaces": [{"mac": format!("52:54:00:be:ef:0{n}"), "ip": format!("172.16.0.{n}"),
                "name": at, "description": format!("Interface 0 for compute{n}")}],
            "actions": ["On", "ForceOff"],
        }],
        "Managers": [{
            "uri": format!("http://127.0.0.1:8082/redfish/v1/Managers/{bmc}"),
            "uuid": format!("7594cce1-02af-4764-aa39-3438e7dad00{n}"), "name": bmc,
            "ethernet_interfaces": [{"mac": bmc_mac, "ip": bmc_ip, "name": bmc,
                "description": format!("Interface for BMC {bmc}")}],
            "actions": null, "description": "", "type": "NodeBMC",
        }],
    })
}

/// One request on a connection of its own.
pub fn request(
    host: &str,
    to: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method != "GET" {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    let to: SocketAddr = to.parse().unwrap();
    let answer = in_host(host, move || {
        let mut stream = TcpStream::connect_timeout(&to, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(&bytes)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        std::io::Result::Ok(answer)
    })?;
    if answer.windows(4).any(|window| window == b"\r\n\r\n") {
        Ok(parse(&answer))
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// Splits an answer that ends with its connection.
pub fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}
