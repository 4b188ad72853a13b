//! `bootlace discover redfish`: asks BMCs what they manage; stores it in an SMD, or writes it as nodes.yaml.
//!
//! A table of good and bad BMCs goes to standard output (with `--json` the whole result instead). Exit code 0: every
//! BMC was read and stored; 1: one was not (the others are all the same), or a file says no; 2: wrong usage.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::{Access, Ticker, print, runtime};
use crate::config::diagnostic::render;
use crate::config::source::Source;
use crate::config::tree::Document;
use crate::config::{Diagnostic, Findings, tree};
use crate::discover::BaseUrl;
use crate::discover::push::Smd;
use crate::discover::redfish::crawl::{Fault, Outcome, Plan, crawl};
use crate::discover::redfish::credentials::{self, Credential, Credentials};
use crate::discover::redfish::nodes_yaml::{self, Found};
use crate::discover::redfish::pins::Pins;
use crate::discover::redfish::place::Known;
use crate::discover::redfish::session::Limits;
use crate::discover::redfish::targets::{self, Target};
use crate::records::{Snapshot, load};

/// Notes of one BMC that the table shows.
const NOTES_SHOWN: usize = 5;

/// Flags of `bootlace discover redfish`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ask every address of a range: 10.0.0.0/24, 10.0.0.10-10.0.0.20 or 10.0.0.10-20.
    #[arg(long, value_name = "RANGE", value_delimiter = ',')]
    range: Vec<String>,
    /// Ask these BMCs: address, name, host:port or URL.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    host: Vec<Target>,
    /// Which address has which xname, in magellan's form; asked when neither --range nor --host is given.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Node records: xnames of BMCs and nodes; their BMCs are asked when neither --range nor --host is given.
    #[arg(long, value_name = "FILE")]
    nodes: Vec<PathBuf>,
    /// Port of BMCs that state none.
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    port: u16,
    /// Names and passwords; without it, BOOTLACE_BMC_USER and BOOTLACE_BMC_PASSWORD hold for every BMC.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Let names and passwords go over plain http to BMCs given as http://...
    #[arg(long)]
    insecure: bool,
    /// Folder for the BMCs' certificates [default: that of --output, else /var/lib/bootlace or the user's].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How many BMCs are asked at a time.
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// How long one BMC may take for everything, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Store the result in the SMD at this base URL.
    #[arg(long, value_name = "BASE")]
    send: Option<BaseUrl>,
    #[command(flatten)]
    access: Access,
    /// Write the result as nodes.yaml.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the result as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut ranges = Vec::new();
    for text in &args.range {
        match targets::range(text) {
            Ok(more) => ranges.extend(more),
            Err(problem) => {
                eprintln!("bootlace discover redfish: --range {text:?} {problem}");
                return Ok(ExitCode::from(2));
            }
        }
    }
    if args.range.is_empty() && args.host.is_empty() && args.map.is_none() && args.nodes.is_empty() {
        eprintln!("bootlace discover redfish: say which BMCs: --range, --host, --map or --nodes");
        return Ok(ExitCode::from(2));
    }
    let Some((credentials, mut known)) = files(&args)? else { return Ok(ExitCode::FAILURE) };
    let targets = targets::targets(ranges, args.host, &known.map, &known.bmcs);
    anyhow::ensure!(!targets.is_empty(), "neither the map nor the records name the address of a BMC");
    let folder = state_folder(args.state.as_deref(), args.output.as_deref());
    let mut pins = Pins::read(&folder)?;
    let runtime = runtime()?;
    let smd = match args.send {
        // A token goes where the user says; plain http to BMCs has nothing to do with it.
        Some(base) => Some(Smd::new(&args.access.target(base, false)?)?),
        None => None,
    };
    if let Some(smd) = &smd {
        let stored = runtime.block_on(smd.known_bmcs()).map_err(|problem| anyhow::anyhow!("{problem}"))?;
        known.bmcs.extend(stored);
    }
    let whole = Duration::from_secs(args.timeout);
    let limits = Limits {
        whole,
        request: Duration::from_secs(10).min(whole),
        probe: Duration::from_secs(5).min(whole),
    };
    let jobs = usize::from(args.jobs);
    let plan = Plan { targets, port: args.port, credentials, insecure: args.insecure, limits, jobs, known };
    let ticker = Ticker::new();
    let outcomes = runtime.block_on(crawl(Arc::new(plan), &mut pins, &now, &mut |step| {
        ticker.show(&format!("{}/{} BMCs asked, {} is done", step.done, step.all, step.target));
    }))?;
    ticker.clear();
    let (nothing, mut outcomes): (Vec<Outcome>, Vec<Outcome>) = outcomes
        .into_iter()
        .partition(|outcome| matches!(&outcome.result, Err(fault) if fault.is_nothing(&outcome.target)));
    // What an SMD refuses is known all the same.
    if let Some(path) = &args.output {
        write_nodes(path, &outcomes)?;
    }
    if let Some(smd) = &smd {
        for outcome in &mut outcomes {
            let Ok(machines) = &outcome.result else { continue };
            if let Err(failure) = runtime.block_on(smd.send(&machines.endpoint.request())) {
                outcome.result = Err(Fault::NotStored(failure.to_string()));
            }
        }
    }
    let ok = !outcomes.is_empty() && outcomes.iter().all(|outcome| outcome.result.is_ok());
    if args.json {
        let bmcs: Vec<_> = outcomes.iter().map(Outcome::json).collect();
        let result = json!({ "ok": ok, "bmcs": bmcs, "no_bmc_at": nothing.len() });
        print(&format!("{result:#}\n"))?;
    } else {
        print(&table(&outcomes, nothing.len(), pins.path()))?;
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[allow(clippy::disallowed_methods, reason = "a command is the edge that asks the clock")]
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Where the certificates are kept: one place for all runs of one user.
fn state_folder(state: Option<&Path>, output: Option<&Path>) -> PathBuf {
    let beside = |output: &Path| match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let firmware = crate::firmware::default_folder();
    let common = || firmware.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    state.map(Path::to_owned).or_else(|| output.map(beside)).unwrap_or_else(common)
}

/// Reads map, records and credentials; says what is wrong with them. `None`: something is an error.
fn files(args: &Args) -> anyhow::Result<Option<(Credentials, Known)>> {
    let mut findings = Findings::default();
    let map = args.map.as_deref().map(|path| read(path, &mut findings, targets::map));
    let file = args.credentials.as_deref().map(|path| read(path, &mut findings, credentials::read));
    if let Some(path) = &args.credentials {
        warn_of_readers(path);
    }
    let mut credentials = file.unwrap_or_default();
    credentials.default = credentials.default.or(from_environment()?);
    let errors = findings.has_errors();
    let mut problems = findings.into_list();
    let (mut nodes, mut bmcs) = (Snapshot::default(), Vec::new());
    let mut records = true;
    if !args.nodes.is_empty() {
        let loaded = load::load(&args.nodes, &[], None, None);
        problems.extend(loaded.diagnostics);
        bmcs = loaded.bmcs;
        records = loaded.snapshot.is_some();
        nodes = loaded.snapshot.unwrap_or_default();
    }
    show(&problems);
    if errors || !records {
        eprintln!("bootlace discover redfish: nobody was asked");
        return Ok(None);
    }
    Ok(Some((credentials, Known { map: map.unwrap_or_default(), bmcs, nodes })))
}

fn show(problems: &[Diagnostic]) {
    eprint!("{}", render(problems, std::io::stderr().is_terminal()));
}

fn read<T: Default>(
    path: &Path,
    findings: &mut Findings,
    interpret: impl FnOnce(&Document<'_>, &mut Findings) -> T,
) -> T {
    match Source::read(path) {
        Ok(source) => {
            let document = tree::parse(&source, findings);
            document.map(|document| interpret(&document, findings)).unwrap_or_default()
        }
        Err(problem) => {
            findings.add(*problem);
            T::default()
        }
    }
}

fn from_environment() -> anyhow::Result<Option<Credential>> {
    let (user, password) = ("BOOTLACE_BMC_USER", "BOOTLACE_BMC_PASSWORD");
    match (std::env::var(user), std::env::var(password)) {
        (Ok(user), Ok(password)) => Ok(Some(Credential { user, password })),
        (Err(_), Err(_)) => Ok(None),
        (Ok(_), Err(_)) => anyhow::bail!("{user} is set and {password} is not, or is no text"),
        (Err(_), Ok(_)) => anyhow::bail!("{password} is set and {user} is not, or is no text"),
    }
}

/// Passwords that everybody on the machine can read are worth a word.
fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        eprintln!(
            "bootlace discover redfish: other users of this machine can read {0}: chmod 600 {0}",
            path.display()
        );
    }
}

/// Writes nodes.yaml; a file that is there is kept beside it.
fn write_nodes(path: &Path, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let all: Vec<Found<'_>> = outcomes.iter().filter_map(found).collect();
    if all.is_empty() {
        eprintln!("bootlace discover redfish: no BMC was read; {} is left as it is", path.display());
        return Ok(());
    }
    let what = || format!("cannot write {}", path.display());
    if path.exists() {
        let mut kept = path.as_os_str().to_owned();
        kept.push(".old");
        std::fs::rename(path, &kept).with_context(what)?;
        eprintln!(
            "bootlace discover redfish: the {} that was there is {}",
            path.display(),
            Path::new(&kept).display()
        );
    }
    std::fs::write(path, nodes_yaml::write(&all)).with_context(what)
}

fn found(outcome: &Outcome) -> Option<Found<'_>> {
    let machines = outcome.result.as_ref().ok()?;
    Some(Found {
        xname: outcome.xname.as_ref()?,
        host: &outcome.target.host,
        inventory: &machines.inventory,
        placed: &machines.placed,
    })
}

/// Good and bad BMCs, each with what was found or the reason.
fn table(outcomes: &[Outcome], nothing: usize, pins: &Path) -> String {
    let mut text = String::new();
    let name = |outcome: &Outcome| outcome.xname.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let width = |of: &dyn Fn(&Outcome) -> String| outcomes.iter().map(|one| of(one).len()).max().unwrap_or(0);
    let (hosts, names) = (width(&|one| one.target.to_string()), width(&name));
    for outcome in outcomes {
        let result = match &outcome.result {
            Ok(machines) => {
                let nodes: Vec<&str> = machines.placed.iter().map(|one| one.xname.as_str()).collect();
                let cards: usize =
                    machines.inventory.systems.iter().map(|system| system.ethernet_interfaces.len()).sum();
                format!(
                    "ok      {} ({cards} cards)",
                    if nodes.is_empty() { "no nodes".to_owned() } else { nodes.join(" ") }
                )
            }
            Err(fault) => format!("FAILED  {fault}"),
        };
        let _ = writeln!(text, "{:hosts$}  {:names$}  {result}", outcome.target.to_string(), name(outcome));
        let notes =
            outcome.result.as_ref().map(|machines| machines.inventory.notes.as_slice()).unwrap_or_default();
        for note in notes.iter().take(NOTES_SHOWN) {
            let _ = writeln!(text, "{:hosts$}  {:names$}  note    {note}", "", "");
        }
        if notes.len() > NOTES_SHOWN {
            let _ = writeln!(
                text,
                "{:hosts$}  {:names$}  note    {} more, see --json",
                "",
                "",
                notes.len() - NOTES_SHOWN
            );
        }
    }
    let good = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    let _ = write!(text, "{good} of {} BMCs read", outcomes.len());
    if nothing > 0 {
        let _ = write!(text, "; no BMC at {nothing} more addresses of the range");
    }
    let _ = writeln!(text, "; their certificates are in {}", pins.display());
    text
}
