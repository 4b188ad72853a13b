//! `bootlace discover`: tells an SMD which machines there are.

mod redfish;
mod static_file;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::discover::BaseUrl;
use crate::discover::push::Target;

/// Largest secret or certificate file, bytes.
const SMALL_FILE_MAX: u64 = 1 << 20;

/// Subcommands of `bootlace discover`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Push the records of a nodes.yaml to an SMD, as `ochami discover static` does.
    Static(static_file::Args),
    /// Ask the machines' BMCs by Redfish; store the result in an SMD, or write it as nodes.yaml.
    Redfish(redfish::Args),
}

/// Runs one.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Static(args) => static_file::run(args),
        Command::Redfish(args) => redfish::run(args),
    }
}

/// How to be let in by an SMD.
#[derive(Debug, clap::Args)]
struct Access {
    /// Bearer token. Other users of this machine can see it in the list of processes; rather use --token-file.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// File that holds the bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// CA certificates (PEM) to trust in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Access {
    fn target(self, base: BaseUrl, insecure: bool) -> anyhow::Result<Target> {
        let token = match (self.token, self.token_file) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => {
                let text = String::from_utf8(small_file(&path)?)
                    .map_err(|_| anyhow::anyhow!("the token file {} is no text", path.display()))?;
                let token = text.trim().to_owned();
                anyhow::ensure!(!token.is_empty(), "the token file {} is empty", path.display());
                Some(token)
            }
            (None, None) => None,
        };
        let ca = self.ca.map(|path| small_file(&path)).transpose()?;
        Ok(Target { base, token, ca, insecure })
    }
}

#[allow(clippy::disallowed_methods, reason = "a command reads the files it is given")]
fn small_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let what = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(what)?.len();
    anyhow::ensure!(size <= SMALL_FILE_MAX, "{} has {size} bytes: not what it should be", path.display());
    std::fs::read(path).with_context(what)
}

/// Progress on one line of a terminal; nothing elsewhere.
struct Ticker {
    shown: bool,
}

impl Ticker {
    fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal() }
    }

    /// Replaces the line.
    fn show(&self, text: &str) {
        if self.shown {
            let width = 78;
            let text: String = text.chars().take(width).collect();
            // A terminal that is gone is no reason to stop.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        }
    }

    /// Removes the line.
    fn clear(&self) {
        self.show("");
    }

    /// Says something that stays.
    fn say(&self, text: &str) {
        self.clear();
        eprintln!("{text}");
    }
}

/// Writes a result to standard output; a reader that went away is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => Err(cause.into()),
        _ => Ok(()),
    }
}

/// The runtime that a command's requests run on.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}
