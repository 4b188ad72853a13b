//! The `bootlace` command: parse, run, exit code; nothing else is settled here.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // clap prints usage errors itself and exits with 2.
    let cli = bootlace::cli::Cli::parse();
    match bootlace::cli::run(cli) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("bootlace: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
