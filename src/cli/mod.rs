//! The command line: one file per command; a command prints, it never decides.
//!
//! Exit codes: 0 done, 1 the files or the system say no, 2 wrong usage.

pub mod boot_once;
pub mod check;
pub mod discover;
pub mod firmware;
pub mod lab;
pub mod observe;
pub mod ochami_config;
pub mod render;
pub mod serve;
pub mod token;
pub mod transfer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A network boot appliance for bare metal: one binary on a boot VLAN that makes machines boot.
#[derive(Debug, Parser)]
#[command(name = "bootlace", version, about, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer the VLAN: DHCP, TFTP and HTTP for the nodes on record.
    Serve(serve::Args),
    /// Watch the VLAN, answer nobody, and say what would be answered: serve --mode observe.
    Observe(serve::Args),
    /// Lint nodes.yaml, boot.yaml and bootlace.yaml: every problem, with its place and its cure.
    Check(check::Args),
    /// Show what a group's cloud-init file becomes on a node.
    Render(render::Args),
    /// Write what the API stored as nodes.yaml, boot.yaml, cloud-init files and rest.json.
    Export(transfer::Args),
    /// Store what an export, or any nodes.yaml and boot.yaml, holds.
    Import(transfer::Args),
    /// Tell an SMD which machines there are: from a file, or by asking their BMCs.
    #[command(subcommand)]
    Discover(discover::Command),
    /// Say what a node boots next: a profile or its own disk, once.
    BootOnce(boot_once::Args),
    /// Fetch, list and verify boot loaders.
    #[command(subcommand)]
    Firmware(firmware::Command),
    /// Make tokens for the API.
    #[command(subcommand)]
    Token(token::Command),
    /// Write the ochami client's configuration for this appliance, and say what else it needs.
    OchamiConfig(ochami_config::Args),
    /// A virtual boot VLAN on this machine.
    #[command(subcommand)]
    Lab(lab::Command),
}

/// Runs one command. `Ok` carries the exit code; an error is printed by the caller and means 1.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Observe(args) => observe::run(args),
        Command::Check(args) => check::run(args),
        Command::Render(args) => render::run(args),
        Command::Export(args) => transfer::export(args),
        Command::Import(args) => transfer::import(args),
        Command::Discover(command) => discover::run(command),
        Command::BootOnce(args) => boot_once::run(args),
        Command::Firmware(command) => firmware::run(command),
        Command::Token(command) => token::run(command),
        Command::OchamiConfig(args) => ochami_config::run(args),
        Command::Lab(command) => lab::run(command),
    }
}
