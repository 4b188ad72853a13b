//! `bootlace firmware`.

use std::process::ExitCode;

/// Subcommands of `bootlace firmware`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {}

/// Runs one.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {}
}
