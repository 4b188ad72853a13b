//! Namespaces that leave no trace, and the processes in them.
//!
//! The calling thread moves into a network and a mount namespace of its own. A tmpfs over `/run` makes
//! `ip netns add srv` a private affair too: the names live in that mount namespace only. Children go into a process
//! namespace whose first process, the anchor, dies with the thread (`PR_SET_PDEATHSIG`), and the kernel
//! then kills everything in it. (A death signal for each child would not do: a program that changes its user or
//! group, as dnsmasq does, loses it.) So there is nothing to clean up after a SIGKILL: with the last process
//! inside, the kernel drops mounts, bridge, veths, taps and the named namespaces.

#![allow(clippy::disallowed_methods, reason = "the lab is a shell: real processes, files and time")]

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::marker::PhantomData;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
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
    anchor: Child,
    /// The process namespace of the lab's children.
    inside: File,
    /// The process namespace of this program.
    outside: File,
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

        // From now on children of this thread would be born inside, and the first is the anchor. Threads
        // could not be made any more, so it is only the anchor and what `spawning` brackets.
        let outside = open_namespace("/proc/self/ns/pid")?;
        unshare(CloneFlags::CLONE_NEWPID).map_err(step("process namespace"))?;
        let anchor = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "sleep", "infinity"])
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|cause| LabError::Start { program: "setpriv".into(), cause });
        setns(&outside, CloneFlags::CLONE_NEWPID).map_err(step("process namespace"))?;
        let anchor = anchor?;
        let inside = open_namespace(&format!("/proc/{}/ns/pid", anchor.id()))?;

        let work = PathBuf::from("/run/bootlace-lab");
        std::fs::create_dir(&work).map_err(|cause| LabError::File {
            what: "make",
            path: work.clone(),
            cause,
        })?;
        let sandbox = Self { work, anchor, inside, outside, taps: Cell::new(0), thread_bound: PhantomData };
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

    /// A command that runs at `place`, in a process group of its own; to be started by [`Self::start`] or
    /// [`Self::output`]. Its PID stays the same through `ip netns exec`.
    pub fn command(&self, place: Place<'_>, program: impl AsRef<OsStr>) -> Command {
        let mut command = match place {
            Place::Net => Command::new(program),
            Place::Host(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
        };
        // A shell opened by plain `su` has no sbin, where half of the network programs are.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"));
        command.process_group(0).stdin(Stdio::null());
        command
    }

    /// Starts `command`. `name` is for messages.
    pub fn start(&self, name: &str, command: &mut Command) -> Result<Process, LabError> {
        let child = self.spawning(name, || command.spawn())?;
        Ok(Process { child })
    }

    /// Runs `command` to its end. `name` is for messages.
    pub fn output(&self, name: &str, command: &mut Command) -> Result<Output, LabError> {
        self.spawning(name, || command.output())
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

    /// Does `spawn` with children born inside the lab's process namespace.
    fn spawning<T>(&self, name: &str, spawn: impl FnOnce() -> std::io::Result<T>) -> Result<T, LabError> {
        let step = |cause: Errno| LabError::Namespaces { what: "process namespace", cause };
        setns(&self.inside, CloneFlags::CLONE_NEWPID).map_err(step)?;
        let result = spawn();
        setns(&self.outside, CloneFlags::CLONE_NEWPID).map_err(step)?;
        result.map_err(|cause| LabError::Start { program: name.to_owned(), cause })
    }
}

impl Drop for Sandbox {
    /// Ends whatever still runs inside, also what made itself a daemon.
    fn drop(&mut self) {
        // Both fail only when the anchor is gone already; waiting returns when the last process inside has ended.
        let _ = self.anchor.kill();
        let _ = self.anchor.wait();
    }
}

fn open_namespace(path: &str) -> Result<File, LabError> {
    File::open(path).map_err(|cause| LabError::File { what: "open", path: path.into(), cause })
}

/// A process of the lab. Dropping it ends it: SIGTERM to its group, a moment to tidy up, then SIGKILL.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
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
