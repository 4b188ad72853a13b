//! Namespaces that leave no trace, and the processes in them.
//!
//! The calling thread moves into a network and a mount namespace of its own. A tmpfs over `/run` makes
//! `ip netns add srv` a private affair too: the names live in that mount namespace only. Nothing here has a name
//! that another process could see, so there is nothing to clean up after a SIGKILL: with the last thread or
//! process inside, the kernel drops mounts, bridge, veths, taps and the named namespaces.

#![allow(clippy::disallowed_methods, reason = "the lab is a shell: real processes, files and time")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::LabError;

/// How long a process may take to end by itself after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How often an ending process is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Where a process of the lab runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// The namespace of the bridge and the taps, where QEMU runs.
    Net,
    /// The namespace of a host made by [`Sandbox::host`].
    Host(&'a str),
}

/// A private corner of the machine; see the module. It cannot leave its thread.
#[derive(Debug)]
pub struct Sandbox {
    work: PathBuf,
    /// Hosts made so far, in the order of their making.
    pub(super) hosts: RefCell<BTreeSet<String>>,
    /// Taps made so far.
    pub(super) taps: Cell<u32>,
    // Namespaces belong to the thread, and children must be started from it.
    thread_bound: PhantomData<*const ()>,
}

impl Sandbox {
    /// Moves the calling thread into new namespaces and makes the bridge `br0` in them. There is no way back for
    /// the thread: leave it to the sandbox. Threads that it starts later are inside as well.
    pub fn enter() -> Result<Self, LabError> {
        super::require_root()?;
        let step = |what| move |cause: Errno| LabError::Namespaces { what, cause };
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(step("namespaces"))?;
        const NONE: Option<&str> = None;
        // Without this, what is mounted here would be mounted for the whole machine.
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).map_err(step("mounts"))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("tmpfs"), "/run", Some("tmpfs"), flags, Some("mode=0755")).map_err(step("/run"))?;
        // sysfs shows the interfaces of the namespace that mounted it.
        mount(Some("sysfs"), "/sys", Some("sysfs"), flags | MsFlags::MS_NOEXEC, NONE)
            .map_err(step("/sys"))?;

        let work = PathBuf::from("/run/bootlace-lab");
        std::fs::create_dir(&work).map_err(|cause| LabError::File {
            what: "make",
            path: work.clone(),
            cause,
        })?;
        let sandbox = Self { work, hosts: RefCell::default(), taps: Cell::new(0), thread_bound: PhantomData };
        sandbox.make_bridge()?;
        Ok(sandbox)
    }

    /// A folder for small working files, in memory, gone with the sandbox.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// A working file with this content.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf, LabError> {
        let path = self.work.join(name);
        let failed = |cause| LabError::File { what: "write", path: path.clone(), cause };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::write(&path, content).map_err(failed)?;
        Ok(path)
    }

    /// A command that runs at `place`, in a process group of its own, and is killed by the kernel when this thread
    /// ends. Its PID stays the same through the programs it is wrapped in. Start it from this thread.
    pub fn command(&self, place: Place<'_>, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        if let Place::Host(name) = place {
            command.args(["ip", "netns", "exec", name]);
        }
        // A shell opened by plain `su` has no sbin, where half of the network programs are.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"));
        command.arg(program).process_group(0).stdin(Stdio::null());
        command
    }

    /// Runs a short command to its end and returns what it wrote to stdout.
    pub fn run(&self, place: Place<'_>, command: &[&str]) -> Result<String, LabError> {
        let Some((program, args)) = command.split_first() else {
            return Ok(String::new());
        };
        let output = self
            .command(place, program)
            .args(args)
            .output()
            .map_err(|cause| LabError::Start { program: (*program).to_owned(), cause })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(LabError::Command {
            command: command.join(" "),
            said: if said.is_empty() { output.status.to_string() } else { said },
        })
    }
}

/// A process of the lab. Dropping it ends it: SIGTERM to its group, a moment to tidy up, then SIGKILL.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `command`, made by [`Sandbox::command`]. `name` is for messages.
    pub fn start(name: &str, command: &mut Command) -> Result<Self, LabError> {
        let child = command.spawn().map_err(|cause| LabError::Start { program: name.to_owned(), cause })?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its pipes, as far as they were asked for and not yet taken.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its exit status, when it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Sends a signal to its process group. Does nothing once it has ended.
    pub fn signal(&mut self, signal: Signal) {
        // Asked first: a number that has been waited for may belong to somebody else by now.
        if self.ended().is_none()
            && let Ok(pid) = i32::try_from(self.child.id())
        {
            // It may have ended since: then there is nothing left to signal.
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }

    /// Ends it and says how it ended.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        if let Some(status) = self.wait(GRACE) {
            return Some(status);
        }
        self.signal(Signal::SIGKILL);
        self.wait(GRACE)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
