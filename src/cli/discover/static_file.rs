//! `bootlace discover static`: the wire behaviour of `ochami discover static`, with messages that name lines.
//!
//! Success prints nothing but, on a terminal, a summary. Exit code 0: all stored; 1: the file says no, or the
//! SMD refused something (the rest was sent all the same); 2: wrong usage.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;
use uuid::Uuid;

use super::{Access, Ticker, print, runtime};
use crate::config::diagnostic::render;
use crate::config::source::{SIZE_MAX, Source};
use crate::config::{Findings, tree};
use crate::discover::push::{Pushed, Smd};
use crate::discover::static_file::{self, DiscoveryMethod, Options, StaticFile};
use crate::discover::{BaseUrl, Request};

/// Flags of `bootlace discover static`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node records (nodes.yaml or nodes.json, new or deprecated form); `-` reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the SMD is; /hsm/v2 is added.
    #[arg(long, value_name = "BASE", default_value = "http://127.0.0.1:8082")]
    url: BaseUrl,
    #[command(flatten)]
    access: Access,
    /// Accept any certificate, and let a token go over plain http.
    #[arg(long)]
    insecure: bool,
    /// Overwrite records that exist.
    #[arg(long)]
    overwrite: bool,
    /// 2: interfaces go inside of the RedfishEndpoints; 1: also by requests of their own.
    #[arg(long, value_name = "1|2", default_value = "2", value_parser = method)]
    discovery_version: DiscoveryMethod,
    /// Take the file as this format only; without it, the content says which it is.
    #[arg(short = 'f', long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Print the result as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Formats of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Yaml,
    #[value(alias = "json-pretty")]
    Json,
}

fn method(text: &str) -> Result<DiscoveryMethod, String> {
    match text {
        "1" => Ok(DiscoveryMethod::Separate),
        "2" => Ok(DiscoveryMethod::WithinEndpoints),
        _ => Err("possible: 1 or 2".to_owned()),
    }
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.access.target(args.url.clone(), args.insecure)?;
    let smd = Smd::new(&target)?;
    let Some(file) = read(&args.file, args.format)? else { return Ok(ExitCode::FAILURE) };
    let options = Options { overwrite: args.overwrite, method: args.discovery_version };
    if options.overwrite && !args.json {
        eprintln!("bootlace discover static: --overwrite: records that exist are overwritten");
    }
    let requests = static_file::requests(&file, &args.url, options, &mut Uuid::new_v4);
    let pushed = push(&smd, &requests)?;
    if args.json {
        let result = json!({
            "ok": pushed.ok(),
            "url": args.url.to_string(),
            "nodes": file.nodes(),
            "bmcs": file.bmcs(),
            "requests": requests.len(),
            "taken": pushed.taken,
            "overwritten": pushed.overwritten,
            "untried": pushed.untried,
            "failed": pushed.failures,
        });
        print(&format!("{result:#}\n"))?;
    } else if std::io::stderr().is_terminal() && pushed.ok() {
        let (nodes, bmcs) = (file.nodes(), file.bmcs());
        eprintln!("stored in {}: {nodes} nodes, {bmcs} BMCs ({} overwritten)", args.url, pushed.overwritten);
    }
    Ok(if pushed.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the file and says what is wrong with it; `None` when nothing of it may be sent.
fn read(path: &Path, format: Option<Format>) -> anyhow::Result<Option<StaticFile>> {
    let mut findings = Findings::default();
    let source = match source(path)? {
        Ok(source) => source,
        Err(problem) => {
            eprint!("{}", render(&[*problem], std::io::stderr().is_terminal()));
            return Ok(None);
        }
    };
    if format == Some(Format::Json)
        && let Err(problem) = serde_json::from_str::<serde::de::IgnoredAny>(&source.text)
    {
        anyhow::bail!("{} is no JSON: {problem}; with -f yaml it is read as YAML", path.display());
    }
    let file =
        tree::parse(&source, &mut findings).map(|document| static_file::read(&document, &mut findings));
    let errors = findings.has_errors();
    let problems = findings.into_list();
    eprint!("{}", render(&problems, std::io::stderr().is_terminal()));
    if errors {
        eprintln!("bootlace discover static: nothing was sent");
    }
    Ok(file.filter(|_| !errors))
}

type Sourced = Result<Arc<Source>, Box<crate::config::Diagnostic>>;

fn source(path: &Path) -> anyhow::Result<Sourced> {
    if path != Path::new("-") {
        return Ok(Source::read(path));
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(SIZE_MAX + 1).read_to_end(&mut bytes).context("cannot read standard input")?;
    anyhow::ensure!(bytes.len() as u64 <= SIZE_MAX, "standard input has more than {SIZE_MAX} bytes");
    Ok(Source::decode(Path::new("(standard input)"), bytes))
}

fn push(smd: &Smd, requests: &[Request]) -> anyhow::Result<Pushed> {
    let ticker = Ticker::new();
    let count = requests.len();
    let pushed = runtime()?.block_on(smd.push(requests, &mut |index, request, result| match result {
        Ok(_) => ticker.show(&format!("{}/{count} {}", index + 1, request.subject)),
        Err(failure) => ticker.say(&format!("bootlace discover static: {failure}")),
    }));
    ticker.clear();
    if pushed.untried > 0 {
        eprintln!("bootlace discover static: nobody answers; {} more requests were not sent", pushed.untried);
    }
    Ok(pushed)
}
