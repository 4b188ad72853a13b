//! `bootlace observe`: `serve --mode observe` under its own name.

use std::process::ExitCode;

use crate::config::Mode;

use super::serve;

/// Watches the VLAN until a signal; sends nothing.
pub fn run(args: serve::Args) -> anyhow::Result<ExitCode> {
    serve::run(args.in_mode(Mode::Observe))
}
