//! `bootlace firmware`: fetch, list and verify boot loaders.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::arch::ARCHITECTURES;
use crate::client::{Arch, arch::ArchRow};
use crate::firmware::record::{Finding, Record};
use crate::firmware::{
    FirmwareError, Loaders, Progress, archive, default_folder, fetch, installer, manifest,
};

/// Subcommands of `bootlace firmware`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Get loaders: iPXE of Debian's newest stable release, or files that you have.
    Fetch(FetchArgs),
    /// Show which loader serves which architecture, and whether it is there.
    List(ListArgs),
    /// Check the loaders against the checksums recorded when they were fetched.
    Verify(ListArgs),
    /// Get kernel and initrd of the Debian installer, to have something to boot.
    Installer(InstallerArgs),
}

/// Flags of `bootlace firmware fetch`.
#[derive(Debug, clap::Args)]
pub struct FetchArgs {
    /// Folder to fill [default: /var/lib/bootlace/firmware as root, else the user's data folder].
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Take the loaders of this folder instead of Debian's.
    #[arg(long, value_name = "DIR", conflicts_with = "suite")]
    from: Option<PathBuf>,
    /// Release of Debian to take them from.
    #[arg(long, value_name = "NAME", default_value = archive::STABLE)]
    suite: String,
    /// Fetch anew what is there already.
    #[arg(long)]
    force: bool,
}

/// Flags of `bootlace firmware list` and `verify`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Loader folder [default: /var/lib/bootlace/firmware as root, else the user's data folder].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Flags of `bootlace firmware installer`.
#[derive(Debug, clap::Args)]
pub struct InstallerArgs {
    /// Folder to put linux and initrd.gz into, such as one in the asset folder.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Debian's name of the machines' architecture.
    #[arg(long, value_name = "ARCH", default_value = "amd64")]
    arch: String,
    /// And its boot loaders that are not iPXE: shim and signed GRUB, and PXELINUX on amd64.
    #[arg(long)]
    loaders: bool,
}

/// Runs one.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Fetch(args) => run_fetch(args),
        Command::List(args) => run_list(args),
        Command::Verify(args) => run_verify(args),
        Command::Installer(args) => run_installer(args),
    }
}

fn run_fetch(args: FetchArgs) -> anyhow::Result<ExitCode> {
    let to = args.to.unwrap_or_else(default_folder);
    let from = match args.from {
        Some(path) => fetch::Origin::Folder(path),
        None => fetch::Origin::Debian { suite: args.suite },
    };
    let fetched = interruptibly(|progress| fetch::fetch(&to, &from, args.force, progress))?;
    for problem in &fetched.problems {
        say(&format!("not taken: {problem}"));
    }
    let (folder, title) = (to.display(), fetched.record.source.title());
    let count = fetched.record.files.len();
    if fetched.fresh {
        say(&format!("{count} loaders in {folder}, from {title}"));
    } else {
        let since = &fetched.record.fetched;
        say(&format!(
            "nothing to do: {count} loaders in {folder} are as fetched on {since}, from {title} (--force looks for \
             newer ones)"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn run_installer(args: InstallerArgs) -> anyhow::Result<ExitCode> {
    let extra = if args.loaders { installer::Extra::Loaders } else { installer::Extra::Nothing };
    let got = interruptibly(|progress| installer::fetch(&args.to, &args.arch, extra, progress))?;
    let (linux, initrd) = (got.linux.display(), got.initrd.display());
    let news = if got.fresh { "fetched" } else { "nothing to do:" };
    say(&format!("{news} {linux} and {initrd}, Debian installer {}", got.version));
    Ok(ExitCode::SUCCESS)
}

/// What `list` says of an architecture's loader.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Presence {
    Present,
    Missing,
    None,
}

/// One row of `list`.
#[derive(Serialize)]
struct Row {
    code: u16,
    name: &'static str,
    title: &'static str,
    loader: Option<&'static str>,
    /// Debian's package and the file in it.
    package: Option<&'static str>,
    package_file: Option<&'static str>,
    status: Presence,
    /// File on disk that serves it.
    file: Option<PathBuf>,
    size: Option<u64>,
    version: Option<String>,
    note: Option<&'static str>,
}

/// `list` as JSON.
#[derive(Serialize)]
struct List<'a> {
    folder: &'a Path,
    source: Option<&'a crate::firmware::record::Source>,
    architectures: Vec<Row>,
}

fn run_list(args: ListArgs) -> anyhow::Result<ExitCode> {
    let folder = args.dir.unwrap_or_else(default_folder);
    let (loaders, problems) = match Loaders::from_folder(&folder) {
        // A folder that is not there yet holds no loader; the list says so row by row.
        Err(FirmwareError::Folder { cause, .. }) if cause.kind() == ErrorKind::NotFound => Default::default(),
        read => read?,
    };
    let record = Record::read(&folder).ok();
    let rows: Vec<Row> = ARCHITECTURES.iter().map(|row| describe(row, &loaders, record.as_ref())).collect();
    let source = record.as_ref().map(|record| &record.source);
    if args.json {
        print(&json(&List { folder: &folder, source, architectures: rows })?)?;
    } else {
        let source = source.map_or_else(|| "no manifest.json".to_owned(), |source| source.title());
        print(&table(&format!("{} ({source})", folder.display()), &rows))?;
    }
    for problem in &problems {
        say(&format!("not served: {problem}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(row: &ArchRow, loaders: &Loaders, record: Option<&Record>) -> Row {
    let table = manifest::builtin();
    let reason = table.arch(Arch(row.code)).and_then(|entry| entry.none.as_deref());
    let entry = row.loader.and_then(|name| table.loader(name));
    let package_file = entry.and_then(|entry| entry.debian.as_deref());
    let found = loaders.for_arch(Arch(row.code));
    let version = found.and_then(|loader| {
        let file = loader.path.file_name()?.to_str()?;
        let record = record.filter(|record| record.files.iter().any(|known| known.file == file))?;
        match &record.source {
            crate::firmware::record::Source::Debian { version, .. } => Some(version.clone()),
            crate::firmware::record::Source::Folder { .. } => None,
        }
    });
    let status = match (row.loader, found) {
        (_, Some(_)) => Presence::Present,
        (Some(_), None) => Presence::Missing,
        (None, None) => Presence::None,
    };
    Row {
        code: row.code,
        name: row.name,
        title: row.title,
        loader: row.loader,
        package: package_file.map(|_| table.package.as_str()),
        package_file,
        status,
        file: found.map(|loader| loader.path.clone()),
        size: found.map(|loader| loader.size),
        version,
        note: reason.or_else(|| entry.and_then(|entry| entry.note.as_deref())),
    }
}

fn table(title: &str, rows: &[Row]) -> String {
    let mut text =
        format!("{title}\n{:>4}  {:<20} {:<20} {:<24} STATUS\n", "CODE", "ARCHITECTURE", "LOADER", "FROM");
    for row in rows {
        let from = match (row.package, row.package_file) {
            (Some(package), Some(file)) => format!("{package}: {file}"),
            _ => "-".to_owned(),
        };
        let mut status = match row.status {
            Presence::Present => format!("present {}", row.version.as_deref().unwrap_or_default()),
            Presence::Missing => "missing".to_owned(),
            Presence::None => "none".to_owned(),
        };
        if let Some(note) = row.note {
            status = format!("{}: {note}", status.trim_end());
        }
        let line = format!(
            "{:>4}  {:<20} {:<20} {:<24} {status}",
            row.code,
            row.name,
            row.loader.unwrap_or("-"),
            from
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One file of `verify` as JSON.
#[derive(Serialize)]
struct Verified<'a> {
    file: &'a str,
    finding: Finding,
    sha256: &'a str,
}

fn run_verify(args: ListArgs) -> anyhow::Result<ExitCode> {
    let folder = args.dir.unwrap_or_else(default_folder);
    let record = Record::read(&folder)?;
    let findings = record.verify(&folder);
    let good = findings.iter().all(|(_, finding)| *finding == Finding::Good);
    if args.json {
        let files: Vec<_> = findings
            .iter()
            .map(|(file, finding)| Verified { file: &file.file, finding: *finding, sha256: &file.sha256 })
            .collect();
        print(&json(&serde_json::json!({ "folder": folder, "good": good, "files": files }))?)?;
    }
    for (file, finding) in &findings {
        let path = folder.join(&file.file);
        let what = match finding {
            Finding::Good => continue,
            Finding::Missing => "is missing",
            Finding::Changed => "does not have the recorded checksum",
            Finding::Unreadable => "cannot be read as a regular file",
        };
        say(&format!("{} {what}", path.display()));
    }
    if good {
        if !args.json {
            let count = findings.len();
            print(&format!(
                "{count} loaders in {} are as fetched, from {}\n",
                folder.display(),
                record.source.title()
            ))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("fetch them anew: {} --force", crate::firmware::fetch_command(Some(&folder))));
    Ok(ExitCode::FAILURE)
}

fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Writes a result. A reader that went away (`| head`) wants no more and is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => Err(cause).context("cannot write the result"),
        _ => Ok(()),
    }
}

fn say(line: &str) {
    eprintln!("bootlace: {line}");
}

/// Runs a task that SIGINT and SIGTERM end in good order: its programs are stopped, its unfinished files removed.
pub(super) fn interruptibly<T>(
    task: impl FnOnce(Progress<'_>) -> Result<T, FirmwareError>,
) -> anyhow::Result<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_io()
        .build()
        .context("cannot start the signal handling")?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let open = |kind| signal(kind).context("cannot listen for signals");
        (open(SignalKind::interrupt())?, open(SignalKind::terminate())?)
    };
    let raise = stop.clone();
    // Ends with the runtime, at the end of this function.
    runtime.spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        raise.store(true, Ordering::Relaxed);
    });
    let result = task(Progress::new(&say, &stop));
    runtime.shutdown_background();
    Ok(result?)
}
