//! `bootlace lab` as a command: what it leaves behind (nothing), how it ends, what it says.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::vlan::{alone, eventually};

const LIMIT: Duration = Duration::from_secs(120);

/// `bootlace lab …`
pub fn lab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootlace"));
    command.arg("lab").args(args).stdin(Stdio::null());
    command
}

pub fn cache_flag() -> [String; 2] {
    ["--cache".to_owned(), crate::payload::cache().display().to_string()]
}

fn run_flags() -> Vec<String> {
    let mut flags = vec!["run".to_owned()];
    flags.extend(cache_flag());
    flags
}

fn run(more: &[&str]) -> Command {
    let mut command = lab(&run_flags().iter().map(String::as_str).collect::<Vec<_>>());
    command.args(more);
    command
}

/// A lab in the background, up to its guest's start.
struct Running {
    child: Child,
    /// The process namespace of its children.
    namespace: String,
}

impl Running {
    fn start() -> Self {
        crate::payload::supplies();
        let mut child = run(&["--mode", "proxy", "--no-console"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut all = String::new();
        loop {
            let from = all.len();
            assert!(said.read_line(&mut all).unwrap() > 0, "the lab ended: {all}");
            if all[from..].contains("firmware started") {
                break;
            }
        }
        // Read on, so that it never waits for us.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        let parent = format!("PPid:\t{}\n", child.id());
        let one = processes()
            .into_iter()
            .find(|path| std::fs::read_to_string(path.join("status")).unwrap_or_default().contains(&parent))
            .expect("the lab has children");
        let namespace = process_namespace(&one).unwrap();
        assert_ne!(Some(&namespace), process_namespace(Path::new("/proc/self")).as_ref());
        let inside = inhabitants(&namespace);
        for program in ["bootlace", "dnsmasq", "qemu-system-x86"] {
            assert!(
                inside.iter().any(|comm| comm.trim() == program.get(..15).unwrap_or(program)),
                "{inside:?}"
            );
        }
        Self { child, namespace }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }
}

fn processes() -> Vec<PathBuf> {
    std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).collect()
}

fn process_namespace(process: &Path) -> Option<String> {
    Some(std::fs::read_link(process.join("ns/pid")).ok()?.display().to_string())
}

/// Commands of the processes in a process namespace.
fn inhabitants(namespace: &str) -> Vec<String> {
    let inside = processes().into_iter().filter(|path| process_namespace(path).as_deref() == Some(namespace));
    inside.map(|path| std::fs::read_to_string(path.join("comm")).unwrap_or_default()).collect()
}

/// What a lab could leave on the machine: names of network namespaces and interfaces, and its folder.
fn traces() -> BTreeSet<String> {
    let list = |args: &[&str]| {
        let output = Command::new("ip").args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut traces: BTreeSet<String> = list(&["netns", "list"]).into_iter().collect();
    let links = list(&["-o", "link"]);
    traces.extend(links.iter().filter_map(|line| line.split(':').nth(1)).map(str::to_owned));
    traces.extend(Path::new("/run/bootlace-lab").exists().then(|| "folder".to_owned()));
    traces
}

#[test]
fn a_killed_lab_leaves_nothing() {
    let _alone = alone();
    let before = traces();
    let mut lab = Running::start();
    assert_eq!(traces(), before, "a running lab is not to be seen from outside");
    lab.signal(Signal::SIGKILL);
    lab.child.wait().unwrap();
    assert!(
        eventually(LIMIT, || inhabitants(&lab.namespace).is_empty()),
        "{:?}",
        inhabitants(&lab.namespace)
    );
    assert_eq!(traces(), before);
}

#[test]
fn an_interrupted_lab_removes_everything_and_says_130() {
    let _alone = alone();
    let before = traces();
    let mut lab = Running::start();
    lab.signal(Signal::SIGINT);
    assert_eq!(lab.child.wait().unwrap().code(), Some(130));
    assert_eq!(inhabitants(&lab.namespace), Vec::<String>::new(), "all have ended before it did");
    assert_eq!(traces(), before);
}

#[test]
fn a_lab_that_takes_too_long_says_what_it_saw_last() {
    let _alone = alone();
    crate::payload::supplies();
    let output = run(&["--timeout", "1", "--accel", "tcg", "--firmware", "uefi"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for expected in ["within 1 s", "last stage: nothing", "\"event\":\"ready\"", "hint: "] {
        assert!(said.contains(expected), "{expected:?} is not in: {said}");
    }
}

#[test]
fn without_root_the_lab_says_what_it_needs_root_for() {
    // In a user namespace without a mapping nobody is root, and every file can still be read.
    let output = Command::new("unshare")
        .args(["--user", env!("CARGO_BIN_EXE_bootlace"), "lab", "run"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("needs root") && said.contains("sudo"), "{said}");
}

#[test]
fn an_unknown_node_is_answered_with_the_nearest_names() {
    let output = lab(&["virt-install", "conpute3"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    assert!(said.contains("'conpute3'") && said.contains("compute3"), "{said}");
}

#[test]
fn wrong_flags_are_wrong_usage() {
    for flags in [&["run", "--firmware", "coreboot"][..], &["run", "--timeout", "0"], &["virt-install"]] {
        let output = lab(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
    }
}

/// On a terminal the lab is the node's console: keys go to the machine, Ctrl-] leaves, and the terminal is as before.
#[test]
fn on_a_terminal_the_lab_is_the_machines_console_until_ctrl_bracket() {
    let _alone = alone();
    crate::payload::supplies();
    let pty = nix::pty::openpty(None, None).unwrap();
    let before = nix::sys::termios::tcgetattr(pty.slave.as_fd()).unwrap();
    let terminal = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut child = run(&[]).stdin(terminal()).stdout(terminal()).stderr(terminal()).spawn().unwrap();
    let mut master = std::fs::File::from(pty.master);
    let mut keys = master.try_clone().unwrap();
    let mut said = String::new();
    let mut read_until = |pattern: &str| {
        let mut buffer = [0; 4096];
        while !said.contains(pattern) {
            let length = master.read(&mut buffer).unwrap();
            said.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    read_until("Ctrl-] leaves");
    // The iPXE ROM's own prompt, by its own key: keys reach the machine.
    read_until("Press Ctrl-B");
    keys.write_all(b"\x02").unwrap();
    read_until("iPXE>");
    let raw = nix::sys::termios::tcgetattr(pty.slave.as_fd()).unwrap();
    assert_ne!(raw.local_flags, before.local_flags, "raw while attached");
    keys.write_all(&[0x1d]).unwrap();
    // It left before the installer was reached.
    read_until("left before 'installer dialog'");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let after = nix::sys::termios::tcgetattr(pty.slave.as_fd()).unwrap();
    assert_eq!(after.local_flags, before.local_flags);
    assert_eq!(after.input_flags, before.input_flags);
    assert_eq!(after.output_flags, before.output_flags);
}
