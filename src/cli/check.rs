//! `bootlace check`: lints nodes.yaml, boot.yaml and bootlace.yaml together.
//!
//! The result goes to stdout. Exit code 0: no error (and with `--strict` no warning), 1: the files say no,
//! 2: wrong usage.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::config::diagnostic::render;
use crate::config::{Diagnostic, Flags, Settings};
use crate::openchami::cloud_init;
use crate::records::load::{FileKind, Gathered, Loaded};

/// What is checked when nothing is named.
const DEFAULT_CONFIG: &str = "bootlace.yaml";

/// Flags of `bootlace check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the result as one JSON document.
    #[arg(long)]
    pub json: bool,
    /// Count warnings as errors.
    #[arg(long)]
    pub strict: bool,
    /// Settings to check; the files they name are checked too.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder with cloud-init's defaults.yaml, groups.yaml and nodes.yaml to check.
    #[arg(long, value_name = "DIR")]
    pub cloud_init: Option<PathBuf>,
    /// Files to check, in any order: what each is, its content says. Default: bootlace.yaml.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// The result as `--json` prints it.
#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    files: Vec<ReportFile>,
    nodes: usize,
    boot_entries: usize,
    errors: usize,
    warnings: usize,
    diagnostics: &'a [Diagnostic],
}

#[derive(Serialize)]
struct ReportFile {
    file: String,
    /// `nodes`, `boot` or `settings`; null where the file could not be read.
    kind: Option<&'static str>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { json, strict, mut config, cloud_init, files } = args;
    if config.is_none() && files.is_empty() && cloud_init.is_none() {
        if !Path::new(DEFAULT_CONFIG).exists() {
            eprintln!(
                "bootlace check: no FILE given, and there is no {DEFAULT_CONFIG} in this folder\n\n\
                 Usage: bootlace check [--json] [--strict] [--config {DEFAULT_CONFIG}] FILE..."
            );
            return Ok(ExitCode::from(2));
        }
        config = Some(PathBuf::from(DEFAULT_CONFIG));
    }
    let mut gathered = Gathered::default();
    if let Some(config) = &config {
        gathered.add(config, Some(FileKind::Settings));
    }
    for file in &files {
        gathered.add(file, None);
    }
    let settings = settings(&mut gathered);
    let settings_file = gathered.settings.as_ref().map(|(path, _)| path.as_ref().clone());
    let kinds = gathered.files.clone();
    let folder = cloud_init.or_else(|| {
        // One that this machine does not have was said with its line.
        gathered.settings.as_ref()?.1.cloud_init.clone().filter(|folder| folder.is_dir())
    });
    let mut loaded = gathered.finish(settings.as_ref(), settings_file.as_deref());
    if let Some(folder) = &folder {
        loaded.diagnostics.extend(cloud_init::files::load(folder).1);
    }
    let errors = loaded.diagnostics.iter().filter(|problem| problem.is_error()).count();
    let warnings = loaded.diagnostics.len() - errors;
    let ok = errors == 0 && !(strict && warnings > 0);
    let text = if json {
        let files = kinds.iter().map(|(file, kind)| ReportFile {
            file: file.display().to_string(),
            kind: kind.map(FileKind::name),
        });
        let report = Report {
            ok,
            files: files.collect(),
            nodes: loaded.nodes,
            boot_entries: loaded.entries,
            errors,
            warnings,
            diagnostics: &loaded.diagnostics,
        };
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let summary = summary(&loaded, &kinds, folder.is_some(), errors, warnings);
        format!("{}{summary}\n", render(&loaded.diagnostics, colour))
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // `bootlace check … | head` is no failure of the check.
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => return Err(cause.into()),
        _ => {}
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The settings of the settings file, after adding the records it names. Wrong settings name files too,
/// but are nothing to check records against.
fn settings(gathered: &mut Gathered) -> Option<Settings> {
    let right = !gathered.findings.has_errors();
    let settings = gathered.settings.as_ref()?.1.clone().with(&Flags::default());
    for path in &settings.nodes {
        gathered.add(path, Some(FileKind::Nodes));
    }
    for path in &settings.boot {
        gathered.add(path, Some(FileKind::Boot));
    }
    right.then_some(settings)
}

/// "5 nodes, 1 boot entry: no problem found"
fn summary(
    loaded: &Loaded,
    files: &[(PathBuf, Option<FileKind>)],
    cloud_init: bool,
    errors: usize,
    warnings: usize,
) -> String {
    let has = |kind| files.iter().any(|(_, found)| *found == Some(kind));
    let mut parts = Vec::new();
    if has(FileKind::Nodes) {
        parts.push(counted(loaded.nodes, "node", "nodes"));
    }
    if has(FileKind::Boot) {
        parts.push(counted(loaded.entries, "boot entry", "boot entries"));
    }
    if parts.is_empty() && cloud_init {
        parts.push("cloud-init".to_owned());
    }
    if parts.is_empty() {
        parts.push(if has(FileKind::Settings) {
            "settings".to_owned()
        } else {
            counted(files.len(), "file", "files")
        });
    }
    let result = match (errors, warnings) {
        (0, 0) => "no problem found".to_owned(),
        (0, _) => counted(warnings, "warning", "warnings"),
        (_, 0) => counted(errors, "error", "errors"),
        _ => format!("{}, {}", counted(errors, "error", "errors"), counted(warnings, "warning", "warnings")),
    };
    format!("{}: {result}", parts.join(", "))
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
