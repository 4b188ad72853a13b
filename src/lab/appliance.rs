//! bootlace itself on the VLAN: `bootlace serve` in a host's namespace, and its journal as it is written.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use serde_json::Value;

use crate::config::Mode;

use super::LabError;
use super::run::Heard;
use super::sandbox::{Place, Process, Sandbox};
use super::watched::Watched;

/// Entries kept; a boot is a few dozen.
const KEPT: usize = 50_000;
/// Entries shown when something was waited for in vain.
const SHOWN: usize = 8;

/// What `bootlace serve` is started with.
#[derive(Clone, Debug)]
pub struct Service<'a> {
    /// The `bootlace` program.
    pub program: &'a Path,
    /// Mode on `eth0`.
    pub mode: Mode,
    /// nodes.yaml.
    pub nodes: PathBuf,
    /// boot.yaml.
    pub boot: PathBuf,
    /// Asset folder.
    pub assets: PathBuf,
    /// Folder with loaders; `None`: serve without any.
    pub loaders: Option<PathBuf>,
    /// Further arguments.
    pub more: Vec<String>,
}

/// A journal being written by a process of the lab: one entry per line. A line of JSON is that value; any other
/// line is `{"event": "text", "text": LINE}`.
#[derive(Clone, Debug)]
pub struct Journal {
    entries: Arc<Watched<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    kept: Vec<Value>,
    ended: bool,
}

impl Journal {
    /// Reads `pipe` to its end in a thread; each entry also goes to `listener`.
    pub fn follow(
        pipe: impl Read + Send + 'static,
        listener: Option<Sender<Heard>>,
    ) -> std::io::Result<Self> {
        let entries = Arc::new(Watched::new(Entries::default()));
        let writer = Arc::clone(&entries);
        std::thread::Builder::new().name("journal".into()).spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let entry = parse(&String::from_utf8_lossy(&line));
                line.clear();
                if let Some(listener) = &listener {
                    // Nobody listens any more: the lab is ending.
                    let _ = listener.send(Heard::Journal(entry.clone()));
                }
                writer.change(|entries| {
                    if entries.kept.len() == KEPT {
                        entries.kept.drain(..KEPT / 2);
                    }
                    entries.kept.push(entry);
                });
            }
            writer.change(|entries| entries.ended = true);
            if let Some(listener) = &listener {
                let _ = listener.send(Heard::JournalEnded);
            }
        })?;
        Ok(Self { entries })
    }

    /// All entries so far.
    pub fn entries(&self) -> Vec<Value> {
        self.entries.look(|entries| entries.kept.clone())
    }

    /// The last entries, as lines.
    pub fn tail(&self) -> String {
        self.entries.look(|entries| tail(&entries.kept))
    }

    /// Waits for an entry that `wanted` accepts, also among those already there.
    pub fn wait_for(
        &self,
        awaited: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, LabError> {
        let found =
            self.entries.wait(limit, |entries| match entries.kept.iter().find(|entry| wanted(entry)) {
                Some(entry) => Some(Some(entry.clone())),
                None => entries.ended.then_some(None),
            });
        match found {
            Some(Some(entry)) => Ok(entry),
            Some(None) => Err(LabError::Ended {
                program: format!("the process, before its journal said '{awaited}',"),
                status: "end of its output".into(),
                said: self.tail(),
            }),
            None => Err(LabError::TimedOut {
                awaited: format!("'{awaited}' in the journal"),
                limit,
                seen: self.tail(),
            }),
        }
    }
}

/// A running `bootlace serve`. Dropping it ends it.
#[derive(Debug)]
pub struct Appliance {
    process: Process,
    /// What it writes.
    pub journal: Journal,
}

impl Appliance {
    /// Starts it on `eth0` of `host`.
    pub fn start(
        sandbox: &Sandbox,
        host: &str,
        service: &Service<'_>,
        listener: Option<Sender<Heard>>,
    ) -> Result<Self, LabError> {
        let program = service.program.display().to_string();
        let mut command = sandbox.command(Place::Host(host), service.program);
        command
            .args(["serve", "--interface", "eth0", "--log-format", "json", "--mode", service.mode.name()])
            .arg("--nodes")
            .arg(&service.nodes)
            .arg("--boot")
            .arg(&service.boot)
            .arg("--assets")
            .arg(&service.assets)
            .arg("--firmware")
            .arg(service.loaders.as_deref().unwrap_or(Path::new("none")))
            // What a service of this machine has stored is nothing for the lab.
            .args(if service.more.iter().any(|word| word == "--state") {
                &[][..]
            } else {
                &["--state", "none"]
            })
            .args(&service.more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = sandbox.start("bootlace serve", &mut command)?;
        let failed = |cause| LabError::Start { program, cause };
        let journal = match process.child().stderr.take() {
            Some(pipe) => Journal::follow(pipe, listener).map_err(failed)?,
            None => return Err(failed(std::io::Error::other("it has no stderr"))),
        };
        Ok(Self { process, journal })
    }

    /// Waits until every listener answers.
    pub fn wait_ready(&self, limit: Duration) -> Result<(), LabError> {
        self.journal.wait_for("ready", limit, |entry| entry["event"] == "ready").map(drop)
    }

    /// The process, to signal it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it by SIGTERM and says how it ended.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.process.stop()
    }
}

fn parse(line: &str) -> Value {
    let line = line.trim_end();
    match serde_json::from_str(line) {
        Ok(Value::Object(entry)) => Value::Object(entry),
        _ => serde_json::json!({ "event": "text", "text": line }),
    }
}

fn tail(entries: &[Value]) -> String {
    let last = &entries[entries.len().saturating_sub(SHOWN)..];
    let line = |entry: &Value| match (&entry["event"], &entry["text"]) {
        (Value::String(event), Value::String(text)) if event == "text" => text.clone(),
        _ => entry.to_string(),
    };
    last.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_json_are_kept_as_text() {
        let journal =
            Journal::follow(&b"{\"event\":\"ready\"}\nbootlace: no such file\n[1]\n"[..], None).unwrap();
        let limit = Duration::from_secs(30);
        journal.wait_for("ready", limit, |entry| entry["event"] == "ready").unwrap();
        let error = journal.wait_for("dhcp", limit, |entry| entry["event"] == "dhcp").unwrap_err();
        assert!(error.to_string().contains("bootlace: no such file\n[1]"), "{error}");
    }
}
