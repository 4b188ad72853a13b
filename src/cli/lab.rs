//! `bootlace lab`: a virtual boot VLAN on this machine.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::config::Mode;
use crate::lab::console::Plain;
use crate::lab::run::{End, Outcome, Plan, Report, Until, run as run_lab};
use crate::lab::virt_install::{self, ConsoleTo, Network, VirtType, Wish};
use crate::lab::{AccelChoice, Firmware, firmware, records, supplies, terminal};

/// Subcommands of `bootlace lab`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Boot one node in a virtual machine on a private VLAN, and show its serial console.
    ///
    /// Needs root. Nothing of the machine's own network is touched, and nothing is left afterwards. Exit code 0
    /// when the stage of --until was reached, 1 when not.
    Run(RunArgs),
    /// Print the virt-install command line that boots a node's machine under libvirt.
    VirtInstall(VirtInstallArgs),
}

/// Flags of `bootlace lab run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Firmware of the machine: bios, uefi, uefi-http, secureboot, arm64 ... (--help lists them).
    #[arg(long, value_name = "KIND", default_value = "bios", long_help = firmware::listed())]
    firmware: Firmware,
    /// What bootlace does: proxy (a dnsmasq on the VLAN gives the addresses) or reservation.
    #[arg(long, value_name = "proxy|reservation", default_value = "reservation")]
    mode: Mode,
    /// Stage that counts as success: script, kernel or installer.
    #[arg(long, value_name = "STAGE", default_value = "installer")]
    until: Until,
    /// Node to boot: name, xname or MAC. Default: the first on record.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Node records. Default: five built-in nodes, compute1 to compute5.
    #[arg(long, value_name = "FILE")]
    nodes: Option<PathBuf>,
    /// Boot entries. Default: the Debian installer for every node.
    #[arg(long, value_name = "FILE")]
    boot: Option<PathBuf>,
    /// Folder under which kernel and initrd of the boot entries lie. Default: the Debian installer, fetched.
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Folder that loaders and installer are fetched to, and reused from.
    #[arg(long, value_name = "DIR", default_value = supplies::CACHE)]
    cache: PathBuf,
    /// Processor: kvm, tcg (emulation), or auto: kvm when a trial shows that it works.
    #[arg(long, value_name = "auto|kvm|tcg", default_value = "auto")]
    accel: AccelChoice,
    /// Seconds that the stage may take. Default: 90 for script, 180 for kernel, 420 for installer.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: Option<u64>,
    /// Do not show the machine's console.
    #[arg(long)]
    no_console: bool,
    /// Print the result as JSON on stdout; the console goes to stderr.
    #[arg(long)]
    json: bool,
}

/// Flags of `bootlace lab virt-install`.
#[derive(Debug, clap::Args)]
pub struct VirtInstallArgs {
    /// Name, xname or MAC of the node.
    node: String,
    /// Node records. Default: five built-in nodes, compute1 to compute5.
    #[arg(long, value_name = "FILE")]
    nodes: Option<PathBuf>,
    /// Firmware of the machine.
    #[arg(long, value_name = "bios|uefi", default_value = "bios")]
    firmware: virt_install::Firmware,
    /// What its card is connected to; a libvirt network must have no DHCP of its own.
    #[arg(long, value_name = "bridge=NAME|network=NAME", default_value = "bridge=br0")]
    network: Network,
    /// Memory, MiB.
    #[arg(long, value_name = "MIB", default_value_t = virt_install::MEMORY)]
    memory: u32,
    /// Serial console: a pseudo terminal that virt-install attaches to, or a file.
    #[arg(long, value_name = "pty|file=PATH", default_value = "pty")]
    console: ConsoleTo,
    /// Processor: kvm, or qemu for emulation.
    #[arg(long, value_name = "kvm|qemu", default_value = "kvm")]
    virt_type: VirtType,
}

/// Runs one.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run_one(args),
        Command::VirtInstall(args) => print_virt_install(args),
    }
}

fn print_virt_install(args: VirtInstallArgs) -> anyhow::Result<ExitCode> {
    let snapshot = match &args.nodes {
        Some(path) => records::load(std::slice::from_ref(path), &[])?,
        None => records::built_in(),
    };
    let node = records::find(&snapshot, Some(&args.node))?;
    let wish = Wish {
        firmware: args.firmware,
        network: args.network,
        memory: args.memory,
        console: args.console,
        virt_type: args.virt_type,
    };
    println!("{}", virt_install::shell(&virt_install::command_line(&node, &wish)?));
    Ok(ExitCode::SUCCESS)
}

fn run_one(args: RunArgs) -> anyhow::Result<ExitCode> {
    let attach = !args.no_console && !args.json && terminal::is_interactive();
    let screen = match (args.no_console, attach) {
        (true, _) => Screen::Off,
        (false, true) => Screen::Attached,
        (false, false) => {
            Screen::Lines { plain: Plain::default(), text: String::new(), to_stderr: args.json }
        }
    };
    crate::lab::require_root()?;
    let mut printer = Printer { screen };
    let supplies = super::firmware::interruptibly(|progress| {
        supplies::fetch(&args.cache, args.firmware, args.assets, progress)
    })?;
    let plan = Plan {
        program: std::env::current_exe().context("cannot find the bootlace program itself")?,
        firmware: args.firmware,
        mode: args.mode,
        until: args.until,
        node: args.node,
        nodes: args.nodes,
        boot: args.boot,
        assets: supplies.assets,
        loaders: supplies.loaders,
        accel: args.accel,
        limit: args.timeout.map_or(args.until.usual_limit(), Duration::from_secs),
        attach,
    };
    let outcome = run_lab(&plan, &mut |report| printer.show(report))?;
    printer.finish();
    if args.json {
        println!("{}", as_json(&plan, &outcome));
    }
    Ok(conclude(&plan, &outcome))
}

/// Says how it ended; the exit code of the command.
fn conclude(plan: &Plan, outcome: &Outcome) -> ExitCode {
    let wanted = plan.until.stage().text();
    if let End::Signal(number) = outcome.end {
        eprintln!("lab: interrupted; everything is removed");
        // As a shell counts it: 128 and the signal's number.
        return ExitCode::from(128 + number);
    }
    if outcome.reached {
        eprintln!("lab: {} reached '{wanted}'; everything is removed", outcome.node);
        return ExitCode::SUCCESS;
    }
    let why = match outcome.end {
        End::Left => "left before".to_owned(),
        End::GuestOff => "the machine switched itself off before".to_owned(),
        _ => format!("within {} s the machine did not reach", plan.limit.as_secs()),
    };
    eprintln!("bootlace: {why} '{wanted}'\n{}", outcome.last);
    ExitCode::FAILURE
}

fn as_json(plan: &Plan, outcome: &Outcome) -> serde_json::Value {
    let stages: Vec<_> = outcome
        .stages
        .iter()
        .map(|(stage, after)| json!({"stage": stage.text(), "seconds": rounded(*after)}))
        .collect();
    json!({
        "node": outcome.node,
        "firmware": plan.firmware.name(),
        "mode": plan.mode.name(),
        "until": plan.until.stage().text(),
        "reached": outcome.reached,
        "accel": outcome.accel.name(),
        "stages": stages,
    })
}

/// Seconds with one decimal.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// How the console is shown.
enum Screen {
    Off,
    /// The terminal is the console.
    Attached,
    /// Line by line with a prefix.
    Lines {
        plain: Plain,
        text: String,
        to_stderr: bool,
    },
}

struct Printer {
    screen: Screen,
}

impl Printer {
    fn show(&mut self, report: Report<'_>) {
        // A terminal in raw mode needs the carriage return; elsewhere it would be noise.
        let end = if matches!(self.screen, Screen::Attached) { "\r\n" } else { "\n" };
        match report {
            Report::Said(text) => eprint!("lab: {text}{end}"),
            Report::Stage(stage, after) => {
                let line = format!("lab: {:6.1} s  {}", after.as_secs_f64(), stage.text());
                match self.screen {
                    Screen::Attached => eprint!("\r\n{line}\r\n"),
                    _ => eprintln!("{line}"),
                }
            }
            Report::Console(bytes) => self.console(bytes),
        }
    }

    fn console(&mut self, bytes: &[u8]) {
        match &mut self.screen {
            Screen::Off => {}
            Screen::Attached => {
                let mut stdout = std::io::stdout().lock();
                // A closed terminal ends the lab by SIGHUP.
                let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
            }
            Screen::Lines { plain, text, to_stderr } => {
                plain.filter(bytes, text);
                while let Some(end) = text.find('\n') {
                    let line: String = text.drain(..=end).collect();
                    print_line(line.trim_end(), *to_stderr);
                }
            }
        }
    }

    /// Prints what is left of an unfinished line.
    fn finish(&mut self) {
        if let Screen::Lines { text, to_stderr, .. } = &self.screen {
            print_line(text.trim_end(), *to_stderr);
        }
    }
}

fn print_line(line: &str, to_stderr: bool) {
    if line.is_empty() {
        return;
    }
    if to_stderr {
        eprintln!("console| {line}");
    } else {
        // A reader that went away (`| head`) shall not keep the lab from tidying up.
        let _ = writeln!(std::io::stdout(), "console| {line}");
    }
}
