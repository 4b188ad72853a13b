//! A folder of loaders that were never built, and the command under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An EFI program's header for a machine (PE format), then `mark`.
pub fn efi(machine: u16, mark: &str) -> Vec<u8> {
    let mut program = vec![0; 0x86];
    program[..2].copy_from_slice(b"MZ");
    program[0x3c] = 0x80;
    program[0x80..0x84].copy_from_slice(b"PE\0\0");
    program[0x84..].copy_from_slice(&machine.to_le_bytes());
    program.extend_from_slice(mark.as_bytes());
    program
}

pub const I386: u16 = 0x014c;
pub const X64: u16 = 0x8664;
pub const ARM64: u16 = 0xaa64;

/// Runs `bootlace firmware ARGUMENTS` as a user whose data folder is `home`.
pub fn firmware(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bootlace"))
        .arg("firmware")
        .args(arguments)
        .env("HOME", home)
        .env_remove("XDG_DATA_HOME")
        .output()
        .unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A package state of the machine that only our command can change: in a mount namespace of its own, folders of the
/// test stand in the place of apt's. For other users than root, who could not change apt's, nothing is put there.
pub struct Machine {
    root: tempfile::TempDir,
}

/// Apt's folders, and a file in each that its hooks or an update would remove or join.
const APT: [(&str, &str); 2] =
    [("/var/lib/apt", "lists/some_Packages"), ("/var/cache/apt", "archives/some.deb")];

impl Machine {
    pub fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        for (folder, file) in APT {
            let path = machine.stand_in(folder).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "of the machine").unwrap();
        }
        fs::write(machine.stand_in("/var/cache/apt").join("pkgcache.bin"), "of the machine").unwrap();
        machine
    }

    fn stand_in(&self, folder: &str) -> PathBuf {
        self.root.path().join(folder.trim_start_matches('/'))
    }

    /// Every path below apt's folders.
    pub fn state(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.root.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                found.push(entry.path());
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    /// Runs `bootlace firmware ARGUMENTS` on this machine.
    pub fn firmware(&self, home: &Path, arguments: &[&str]) -> Output {
        if !nix::unistd::geteuid().is_root() {
            return firmware(home, arguments);
        }
        let mounts: String = APT
            .iter()
            .map(|(folder, _)| format!("mount --bind '{}' {folder} && ", self.stand_in(folder).display()))
            .collect();
        Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &format!("{mounts} exec \"$@\""), "sh"])
            .arg(env!("CARGO_BIN_EXE_bootlace"))
            .arg("firmware")
            .args(arguments)
            .env("HOME", home)
            .env_remove("XDG_DATA_HOME")
            .output()
            .unwrap()
    }
}
