//! `bootlace render`: what a group's file is once cloud-init on a node has filled it in, for whoever wants to see
//! it before a node does. From the files, or from a running appliance by its API.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::boot::template::Templates;
use crate::config::Flags;
use crate::config::diagnostic::render as shown;
use crate::firmware::Loaders;
use crate::openchami::api::{Ask, Asker, Found, Handler, Reply, Request, Routed, route};
use crate::openchami::cloud_init::files;
use crate::openchami::cloud_init::render::{Rendered, render};
use crate::openchami::history::History;
use crate::openchami::xname::Location;
use crate::records::{self, Node};
use crate::world::World;

/// What is read when nothing is named.
const DEFAULT_CONFIG: &str = "bootlace.yaml";
/// How long the API may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Variable of the environment with a token: a flag can be read by everybody on the machine.
pub(super) const TOKEN: &str = "BOOTLACE_TOKEN";
/// Base of the API's paths for administrators.
const IMPERSONATION: &str = "/cloud-init/admin/impersonation";

/// Flags of `bootlace render`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node: its xname, or its name in nodes.yaml.
    node: String,
    /// The group; without one all that the node gets.
    group: Option<String>,
    /// Ask a running appliance: base URL of its API, such as http://127.0.0.1:8082.
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "nodes", "cloud_init"])]
    url: Option<String>,
    /// Token for the API, as `bootlace token new` prints it [default: the variable BOOTLACE_TOKEN].
    #[arg(long, requires = "url")]
    token: Option<String>,
    /// Certificate of the CA that the API's certificate is checked with.
    #[arg(long, value_name = "FILE", requires = "url")]
    cacert: Option<PathBuf>,
    /// Settings that name the files.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Node records; may be repeated.
    #[arg(long, value_name = "FILE")]
    nodes: Vec<PathBuf>,
    /// Folder with cloud-init's defaults.yaml, groups.yaml and nodes.yaml.
    #[arg(long, value_name = "DIR")]
    cloud_init: Option<PathBuf>,
}

/// Where documents come from.
enum Source {
    /// Files, as an appliance without a store would serve them.
    Files(Box<World>),
    /// A running appliance.
    Api(Api),
}

struct Api {
    base: String,
    token: Option<String>,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// Runs it. 1: something cannot be rendered.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (source, id) = match &args.url {
        Some(url) => (Source::Api(Api::new(url, &args)?), args.node.clone()),
        None => {
            let world = files_world(&args)?;
            let id = xname(&world, &args.node)?;
            (Source::Files(Box::new(world)), id)
        }
    };
    let meta_data = source.get(&id, "meta-data")?;
    let meta_data: Value =
        serde_yaml::from_str(&meta_data).with_context(|| format!("the meta-data of {id} is no YAML"))?;
    let groups = match &args.group {
        Some(group) => vec![group.clone()],
        None => listed(&source.get(&id, "vendor-data")?),
    };
    if groups.is_empty() {
        eprintln!("bootlace render: {id} gets no group files: it is in no group that has one");
    }
    let mut failed = false;
    for group in &groups {
        let content = source.get(&id, &format!("{}.yaml", encoded(group)))?;
        if args.group.is_none() {
            println!("# --- {group} ---");
        }
        match render(&content, &meta_data) {
            Ok(Rendered::Template(text) | Rendered::AsItIs(text)) if text.ends_with('\n') => print!("{text}"),
            Ok(Rendered::Template(text) | Rendered::AsItIs(text)) => println!("{text}"),
            Err(problem) => {
                failed = true;
                eprintln!("bootlace render: {group}: {problem}");
            }
        }
        if content.contains("{{") && matches!(render(&content, &meta_data), Ok(Rendered::AsItIs(_))) {
            eprintln!("bootlace render: {group}: no template: its first line is not '## template: jinja'");
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Names of the group files that vendor-data lists.
fn listed(vendor_data: &str) -> Vec<String> {
    let last = |line: &str| {
        let name = line.rsplit_once('/')?.1.strip_suffix(".yaml")?;
        Some(percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned())
    };
    vendor_data.lines().filter(|line| !line.starts_with('#')).filter_map(last).collect()
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The files as an appliance would serve them.
fn files_world(args: &Args) -> anyhow::Result<World> {
    let named = args.config.is_some() || !args.nodes.is_empty() || args.cloud_init.is_some();
    let config = args.config.clone().or_else(|| {
        let default = PathBuf::from(DEFAULT_CONFIG);
        (!named && default.exists()).then_some(default)
    });
    if config.is_none() && !named {
        bail!(
            "no files given: name them with --config, or --nodes and --cloud-init, or a running appliance's API \
             with --url http://127.0.0.1:8082"
        );
    }
    let flags = Flags {
        config,
        nodes: (!args.nodes.is_empty()).then(|| args.nodes.clone()),
        cloud_init: args.cloud_init.clone(),
        ..Flags::default()
    };
    let loaded = crate::config::load(&flags);
    let mut problems = loaded.diagnostics;
    let settings = loaded.settings.ok_or_else(|| anyhow!("{}", shown(&problems, false)))?;
    let records = records::load::load(&settings.nodes, &[], Some(&settings), flags.config.as_deref());
    problems = records.diagnostics;
    let mut cloud = files::CloudFiles::default();
    if let Some(folder) = &settings.cloud_init {
        let found;
        (cloud, found) = files::load(folder);
        problems.extend(found);
    }
    problems.retain(crate::config::Diagnostic::is_error);
    let snapshot = records.snapshot.filter(|_| problems.is_empty());
    let snapshot = snapshot.ok_or_else(|| anyhow!("the files have errors:\n{}", shown(&problems, false)))?;
    let mut world = World::new(settings, snapshot, Loaders::default(), Templates::default());
    world.inventory.lay_cloud_files(&cloud);
    Ok(world)
}

fn xname(world: &World, node: &str) -> anyhow::Result<String> {
    let by_name = || world.records.by_name(node).cloned();
    let at: Option<Location> = node.parse().ok();
    let found: Option<std::sync::Arc<Node>> = match &at {
        Some(at) => at.as_str().parse().ok().and_then(|xname| world.records.by_xname(&xname).cloned()),
        None => by_name(),
    };
    let found = found.ok_or_else(|| anyhow!("there is no node {node} in the files"))?;
    let xname = found
        .xname
        .as_ref()
        .ok_or_else(|| anyhow!("{node} has no xname, by which cloud-init knows nodes"))?;
    Ok(xname.to_string())
}

impl Source {
    /// A document of the node: the very answer of the services.
    fn get(&self, id: &str, document: &str) -> anyhow::Result<String> {
        let path = format!("{IMPERSONATION}/{id}/{document}");
        match self {
            Self::Files(world) => {
                let reply = answered(world, &percent_encoding::percent_decode_str(&path).decode_utf8_lossy())
                    .ok_or_else(|| anyhow!("{id} has no {document}"))?;
                if reply.status != StatusCode::OK {
                    bail!("{}", reply.detail.unwrap_or_else(|| format!("no {document} for {id}")));
                }
                String::from_utf8(reply.body.to_vec()).with_context(|| format!("{document} is no text"))
            }
            Self::Api(api) => api.get(&path),
        }
    }
}

/// What the services answer to an administrator.
fn answered(world: &World, path: &str) -> Option<Reply> {
    let Routed::Found(found) = route(&Method::GET, path) else { return None };
    let request = Request {
        method: Method::GET,
        path: path.to_owned(),
        query: Vec::new(),
        content_type: None,
        body: bytes::Bytes::new(),
        asker: Asker::unknown(std::net::Ipv4Addr::UNSPECIFIED.into()),
        base: "http://bootlace".to_owned(),
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    read(&request, &found, world)
}

fn read(request: &Request, found: &Found, world: &World) -> Option<Reply> {
    let history = History::default();
    let ask = Ask { request, found, world, history: &history };
    match found.route.handler {
        Handler::Read(read) | Handler::Keep(_, read) => Some(read(&ask)),
        Handler::Write(_) => None,
    }
}

impl Api {
    fn new(url: &str, args: &Args) -> anyhow::Result<Self> {
        let mut client =
            reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &args.cacert {
            client = client.add_root_certificate(certificate(file)?);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            token: args.token.clone().or_else(|| std::env::var(TOKEN).ok()),
            client: client.build().context("cannot prepare requests")?,
            runtime,
        })
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.get(&url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        self.runtime.block_on(async {
            let response = request.send().await.with_context(|| format!("cannot ask {url}"))?;
            let status = response.status();
            let text = response.text().await.with_context(|| format!("the answer of {url} broke off"))?;
            if !status.is_success() {
                bail!("{url} answers {status}: {}", text.trim());
            }
            Ok(text)
        })
    }
}

#[allow(clippy::disallowed_methods, reason = "cli/ is a shell: it reads the files it is given")]
pub(super) fn certificate(file: &Path) -> anyhow::Result<reqwest::Certificate> {
    let pem = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    reqwest::Certificate::from_pem(&pem)
        .with_context(|| format!("{} is no certificate (PEM)", file.display()))
}
