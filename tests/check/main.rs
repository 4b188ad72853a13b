//! `bootlace check` as a person and a script meet it: the built binary, files on disk, exit codes.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod bad_input;
mod cross_checks;
mod examples;
mod relays;
mod usage;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder with files to check.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// Writes the files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    /// Writes one file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs `bootlace check` in the folder.
    pub fn check(&self, arguments: &[&str]) -> Output {
        check_in(self.path(), arguments)
    }

    /// The same with `--json`: exit code and result.
    pub fn check_json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.check(&[&["--json"], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        (output.status.code().unwrap(), json)
    }
}

/// Runs `bootlace check`; a panic in it fails the test.
pub fn check_in(folder: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_bootlace"))
        .arg("check")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");
    output
}

/// `code@file:line:column` of every problem, errors and warnings alike.
pub fn problems(result: &Value) -> Vec<String> {
    let show = |problem: &Value| {
        let text = |key: &str| problem[key].as_str().unwrap().to_owned();
        format!("{}@{}:{}:{}", text("code"), text("file"), problem["line"], problem["column"])
    };
    result["diagnostics"].as_array().unwrap().iter().map(show).collect()
}

/// Five nodes that need nothing else, in the new form.
pub const NODES: &str = include_str!("../../config/nodes.yaml");
