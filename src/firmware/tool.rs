//! Runs a program of Debian's package tools, can be interrupted, and keeps what the program said.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::FirmwareError;

/// How often a running program is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// What a long task tells its caller, and how the caller ends it.
#[derive(Clone, Copy)]
pub struct Progress<'a> {
    say: &'a dyn Fn(&str),
    stop: &'a AtomicBool,
}

impl<'a> Progress<'a> {
    /// `say` gets one line per step; once `stop` is true the task cleans up and ends with
    /// [`FirmwareError::Interrupted`].
    pub fn new(say: &'a dyn Fn(&str), stop: &'a AtomicBool) -> Self {
        Self { say, stop }
    }

    pub(super) fn say(self, line: &str) {
        (self.say)(line);
    }

    pub(super) fn check(self) -> Result<(), FirmwareError> {
        if self.stop.load(Ordering::Relaxed) { Err(FirmwareError::Interrupted) } else { Ok(()) }
    }

    /// Waits a moment for something outside; an interruption ends the task.
    pub(super) fn glance(self) -> Result<(), FirmwareError> {
        thread::sleep(GLANCE);
        self.check()
    }
}

/// What a program left behind.
#[derive(Debug)]
pub(super) struct Done {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The program's complaints: its `E:` and `Err:` lines, else its last words; each line led by a line break.
    pub fn complaints(&self) -> String {
        let complaint = |line: &&str| line.starts_with("E:") || line.starts_with("W:");
        let mut lines: Vec<&str> = self.stderr.lines().filter(complaint).take(6).collect();
        if lines.is_empty() {
            lines = self.stderr.lines().rev().take(3).collect();
            lines.reverse();
        }
        if lines.is_empty() {
            lines.push("(it said nothing)");
        }
        lines.iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// Runs `command` to its end, without standard input and in the C locale.
pub(super) fn run(
    program: &'static str,
    command: &mut Command,
    progress: Progress<'_>,
) -> Result<Done, FirmwareError> {
    progress.check()?;
    let mut child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| FirmwareError::NoTool { program, cause })?;
    let stdout = gather(child.stdout.take());
    let stderr = gather(child.stderr.take());
    let ended = wait(program, &mut child, progress);
    let (stdout, stderr) = (gathered(stdout), gathered(stderr));
    // A Ctrl-C reaches the program as well as us: its failure is then not the news.
    progress.check()?;
    Ok(Done { ok: ended?, stdout, stderr })
}

fn wait(program: &'static str, child: &mut Child, progress: Progress<'_>) -> Result<bool, FirmwareError> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) => {}
            Err(cause) => return Err(FirmwareError::NoTool { program, cause }),
        }
        if let Err(interrupted) = progress.glance() {
            // apt ends its own helpers on SIGTERM; the child is ours and not yet waited for, so the PID is its.
            if let Ok(pid) = i32::try_from(child.id()) {
                // A child that has just ended needs no signal.
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            let _ = child.wait();
            return Err(interrupted);
        }
    }
}

fn gather(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn gathered(reader: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}
