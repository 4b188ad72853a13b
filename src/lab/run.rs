//! `bootlace lab run`: one node of the records boots, and every stage is named as it happens.

#![allow(clippy::disallowed_methods, reason = "the lab is a shell: it runs on the real clock")]

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::Mode;

use super::appliance::{Appliance, Service};
use super::guest::{Accel, AccelChoice, Firmware, Guest, Machine};
use super::records::{Files, Lan, boot_paths, find, load};
use super::router::Router;
use super::sandbox::Sandbox;
use super::site::SiteDhcp;
use super::stages::{Stage, Tracker};
use super::terminal::{Raw, keys, signals};
use super::{LabError, programs};

/// How long `bootlace serve` may take until it listens.
const READY: Duration = Duration::from_secs(30);

/// What the parts of a lab tell its main loop.
#[derive(Debug)]
pub enum Heard {
    /// The guest wrote this to its serial console.
    Serial(Vec<u8>),
    /// The guest ended.
    GuestEnded,
    /// bootlace logged something.
    Journal(Value),
    /// bootlace ended.
    JournalEnded,
    /// The user typed.
    Keys(Vec<u8>),
    /// The user wants to leave the console.
    Leave,
    /// SIGINT (2), SIGTERM (15) or SIGHUP (1).
    Signal(u8),
}

/// The stage that makes a run a success.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Until {
    /// The boot script was served.
    Script,
    /// The kernel writes to the console.
    Kernel,
    /// The installer asks its first question.
    #[default]
    Installer,
}

impl Until {
    /// The stage meant.
    pub fn stage(self) -> Stage {
        match self {
            Self::Script => Stage::Script,
            Self::Kernel => Stage::Started,
            Self::Installer => Stage::Installer,
        }
    }

    /// Three times what emulation on a busy machine takes.
    pub fn usual_limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Script => 90,
            Self::Kernel => 180,
            Self::Installer => 420,
        })
    }
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "script" => Ok(Self::Script),
            "kernel" => Ok(Self::Kernel),
            "installer" => Ok(Self::Installer),
            other => Err(format!("'{other}' is no stage to wait for: use script, kernel or installer")),
        }
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The `bootlace` program to serve with.
    pub program: PathBuf,
    /// Firmware of the guest.
    pub firmware: Firmware,
    /// Mode of bootlace; in proxy mode the lab has a site DHCP server.
    pub mode: Mode,
    /// When it has succeeded.
    pub until: Until,
    /// Which node; the first on record when not said.
    pub node: Option<String>,
    /// The user's nodes.yaml.
    pub nodes: Option<PathBuf>,
    /// The user's boot.yaml.
    pub boot: Option<PathBuf>,
    /// Asset folder with what the boot entry names.
    pub assets: PathBuf,
    /// Loaders; `None`: without any (BIOS guests need none).
    pub loaders: Option<PathBuf>,
    /// Processor.
    pub accel: AccelChoice,
    /// Limit to the stage, from the guest's start.
    pub limit: Duration,
    /// Whether the user's terminal becomes the console.
    pub attach: bool,
}

/// What a run says while it runs.
#[derive(Debug)]
pub enum Report<'a> {
    /// In words: what is being set up.
    Said(String),
    /// A stage was reached, so long after the guest's start.
    Stage(Stage, Duration),
    /// The guest's console, as it came.
    Console(&'a [u8]),
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// Its stage was reached, and nothing more was wanted.
    Reached,
    /// The user left the console.
    Left,
    /// The guest switched itself off.
    GuestOff,
    /// The stage was not reached in time.
    TimedOut,
    /// A signal ended it.
    Signal(u8),
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Whether the stage was reached.
    pub reached: bool,
    /// Stages with the time from the guest's start.
    pub stages: Vec<(Stage, Duration)>,
    /// How the processor was run.
    pub accel: Accel,
    /// The node's label.
    pub node: String,
    /// What was seen last, for the user when it was not reached.
    pub last: String,
}

/// Runs `plan` to its end; everything is removed when this returns.
///
/// The calling thread stays in the lab's (then empty) namespaces: this is the last thing it does.
pub fn run(plan: &Plan, report: &mut dyn FnMut(Report<'_>)) -> Result<Outcome, LabError> {
    let mut needed = vec!["setpriv", "ip", "sysctl", "ethtool", "qemu-system-x86_64"];
    if !plan.mode.gives_addresses() {
        needed.push("dnsmasq");
    }
    programs::require(&needed)?;

    let (tell, heard) = channel();
    signals(tell.clone())?;
    let sandbox = Sandbox::enter()?;
    let files = Files::or_built_in(&sandbox, plan.nodes.as_ref(), plan.boot.as_ref())?;
    let records = load(std::slice::from_ref(&files.nodes), std::slice::from_ref(&files.boot))?;
    let node = find(&records, plan.node.as_deref())?;
    let lan = Lan::around(&records, &node)?;
    let machine = Machine::of(&node, plan.firmware)?;

    // Declared in the order of their making, so they end in the opposite one: the guest first.
    let _router = Router::start(&sandbox, "router")?;
    let _site = match plan.mode {
        mode if mode.gives_addresses() => None,
        _ => {
            sandbox.host("dhcp", Some(&format!("{}/24", lan.site)))?;
            report(Report::Said(format!(
                "site DHCP server (dnsmasq) at {} gives {} to {} and knows nothing of booting",
                lan.site, lan.first, lan.last
            )));
            Some(SiteDhcp::start(&sandbox, "dhcp", lan.first, lan.last)?)
        }
    };
    sandbox.host("srv", Some(&format!("{}/24", lan.server)))?;
    let service = Service {
        program: &plan.program,
        mode: plan.mode,
        nodes: files.nodes,
        boot: files.boot,
        assets: plan.assets.clone(),
        loaders: plan.loaders.clone(),
        more: Vec::new(),
    };
    let appliance = Appliance::start(&sandbox, "srv", &service, Some(tell.clone()))?;
    appliance.wait_ready(READY)?;
    report(Report::Said(format!("bootlace serves at {} in mode {}", lan.server, plan.mode.name())));

    let guest = Guest::start(&sandbox, &machine, plan.accel, Some(tell.clone()))?;
    report(Report::Said(format!(
        "{} ({}, {}) starts, {}",
        machine.name,
        machine.mac,
        plan.firmware.name(),
        guest.accel
    )));
    let (kernel, initrd) = boot_paths(&records, &node);
    let mut watch = Watch {
        plan,
        tracker: Tracker::new(machine.mac, kernel, initrd),
        start: Instant::now(),
        stages: Vec::new(),
        guest,
        appliance,
    };
    let raw = if plan.attach { Some(attach(tell, report)?) } else { None };
    let end = watch.follow(&heard, report);
    drop(raw);
    let end = end?;
    Ok(Outcome {
        reached: watch.reached(),
        last: if watch.reached() { String::new() } else { watch.last_seen() },
        accel: watch.guest.accel,
        stages: watch.stages,
        node: machine.name,
        end,
    })
}

/// Makes the user's terminal the guest's console.
fn attach(tell: Sender<Heard>, report: &mut dyn FnMut(Report<'_>)) -> Result<Raw, LabError> {
    report(Report::Said(
        "this terminal is now the node's serial console; Ctrl-] leaves and removes the lab".into(),
    ));
    let raw =
        Raw::enter().map_err(|cause| LabError::Start { program: "the terminal's raw mode".into(), cause })?;
    keys(tell)?;
    Ok(raw)
}

/// One guest on its way.
struct Watch<'a> {
    plan: &'a Plan,
    tracker: Tracker,
    start: Instant,
    stages: Vec<(Stage, Duration)>,
    guest: Guest,
    appliance: Appliance,
}

impl Watch<'_> {
    fn follow(
        &mut self,
        heard: &Receiver<Heard>,
        report: &mut dyn FnMut(Report<'_>),
    ) -> Result<End, LabError> {
        loop {
            if self.reached() && !self.plan.attach {
                return Ok(End::Reached);
            }
            // A person at the console decides when it is over, once the stage is reached.
            let left = match self.reached() {
                true => Duration::MAX,
                false => self.plan.limit.saturating_sub(self.start.elapsed()),
            };
            let reached = match heard.recv_timeout(left) {
                Ok(Heard::Serial(bytes)) => {
                    report(Report::Console(&bytes));
                    self.tracker.serial(&bytes)
                }
                Ok(Heard::Journal(entry)) => self.tracker.journal(&entry),
                Ok(Heard::Keys(bytes)) => {
                    // A guest that is ending takes no more keys.
                    let _ = self.guest.keys(&bytes);
                    continue;
                }
                Ok(Heard::Leave) => return Ok(End::Left),
                Ok(Heard::Signal(number)) => return Ok(End::Signal(number)),
                Ok(Heard::GuestEnded) => return Ok(End::GuestOff),
                Ok(Heard::JournalEnded) | Err(RecvTimeoutError::Disconnected) => {
                    let status = self.appliance.stop().map_or("killed".into(), |status| status.to_string());
                    let said = self.appliance.journal.tail();
                    return Err(LabError::Ended { program: "bootlace serve".into(), status, said });
                }
                Err(RecvTimeoutError::Timeout) => return Ok(End::TimedOut),
            };
            let elapsed = self.start.elapsed();
            for stage in reached {
                self.stages.push((stage, elapsed));
                report(Report::Stage(stage, elapsed));
            }
        }
    }

    fn reached(&self) -> bool {
        self.stages.iter().any(|(stage, _)| *stage == self.plan.until.stage())
    }

    /// What a person needs to find out why it went no further.
    fn last_seen(&self) -> String {
        let furthest = self.tracker.furthest();
        let reached = furthest.map_or("nothing: not a byte on the serial port", Stage::text);
        let next = Stage::ALL.into_iter().find(|stage| Some(*stage) > furthest);
        let indent = |text: String| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
        format!(
            "  last stage: {reached}\n  console:\n{}{}  journal of bootlace:\n{}  hint: {}",
            indent(self.guest.console.tail()),
            indent(self.guest.complaints.tail()),
            indent(self.appliance.journal.tail()),
            next.map_or("", Stage::hint)
        )
    }
}
