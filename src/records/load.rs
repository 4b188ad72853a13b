//! From files to a snapshot: reads nodes.yaml and boot.yaml files together and checks them together.
//!
//! This is the edge of the records: the only part that opens files. [`load`] is what `serve` calls with
//! files whose kind it knows; [`Gathered`] is the same in steps, for `check`, which finds the kind out.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::file::{self, Written};
use crate::config::source::Source;
use crate::config::tree::{self, Document, Kind, Value};
use crate::config::values::KNOB_KEYS;
use crate::config::{Code, Diagnostic, Findings, Settings, Severity};

use super::bmc::Bmc;
use super::boot_file::{self, EntriesFile};
use super::cross_checks::{self, Checked};
use super::nodes_file::{self, NodesFile};
use super::snapshot::Snapshot;

pub use super::addresses::{ServedSubnet, address_problems};

/// Keys that decide what kind a file is; files of ours have about forty.
const KEYS_LOOKED_AT: usize = 200;

/// The kinds of files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// nodes.yaml
    Nodes,
    /// boot.yaml
    Boot,
    /// bootlace.yaml
    Settings,
}

impl FileKind {
    /// Name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Nodes => "node records",
            Self::Boot => "boot entries",
            Self::Settings => "settings (bootlace.yaml)",
        }
    }

    /// Short stable name, for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Boot => "boot",
            Self::Settings => "settings",
        }
    }

    /// Finds out by its content what a file is. `nodes:` as a list of mappings is node records, as a file
    /// name or a list of them it belongs to settings.
    pub fn of(root: &Value<'_>) -> Option<Self> {
        let item = match &root.kind {
            Kind::List(items) => items.first()?,
            _ => root,
        };
        let Kind::Mapping(pairs) = &item.kind else { return None };
        let mappings = |key: &str| match item.child(key).map(|value| &value.kind) {
            Some(Kind::List(items)) => items.iter().any(|item| matches!(item.kind, Kind::Mapping(_))),
            _ => false,
        };
        if mappings("nodes") || mappings("bmcs") || mappings("node") {
            return Some(Self::Nodes);
        }
        let resembling = |known: &[&str]| {
            let near =
                |key: &str| known.contains(&key) || crate::config::table::nearest(key, known).is_some();
            pairs.iter().take(KEYS_LOOKED_AT).filter(|pair| near(&pair.key)).count()
        };
        let boot = resembling(&[&boot_file::BSS_KEYS[..], &boot_file::OUR_KEYS[..]].concat());
        let node = resembling(&["xname", "nid", "bmc", "bmc_mac", "bmc_ip", "serial", "uuid"]);
        let settings = resembling(&[&file::KEYS[..], &KNOB_KEYS[..]].concat());
        let only = |keys: &[&str]| pairs.iter().all(|pair| keys.contains(&pair.key.as_ref()));
        let is_list = |key: &str| {
            item.child(key).is_none_or(|value| value.is_null() || matches!(&value.kind, Kind::List(_)))
        };
        if matches!(root.kind, Kind::List(_)) {
            return if node > 0 && item.child("kernel").is_none() {
                Some(Self::Nodes)
            } else {
                Some(Self::Boot)
            };
        }
        if only(&["nodes", "bmcs"]) && is_list("nodes") && is_list("bmcs") && !has_texts(item.child("nodes"))
        {
            return Some(Self::Nodes);
        }
        match (node, boot, settings) {
            _ if item.child("kernel").is_some() => Some(Self::Boot),
            (1.., _, _) => Some(Self::Nodes),
            (0, 0, 0) => None,
            (_, boot, settings) if boot > settings => Some(Self::Boot),
            _ => Some(Self::Settings),
        }
    }
}

fn has_texts(value: Option<&Value<'_>>) -> bool {
    matches!(value.map(|value| &value.kind), Some(Kind::List(items)) if !items.is_empty())
}

/// Files read so far.
#[derive(Debug, Default)]
pub struct Gathered {
    /// What is wrong so far.
    pub findings: Findings,
    /// The settings file, when one was among the files.
    pub settings: Option<(Arc<PathBuf>, Written)>,
    /// Files in the order they were given, with what each is.
    pub files: Vec<(PathBuf, Option<FileKind>)>,
    nodes: Vec<NodesFile>,
    boot: Vec<EntriesFile>,
    /// A file of records could not be read whole, so what it should match cannot be said.
    damaged: bool,
    seen: HashSet<PathBuf>,
}

/// What loading gives.
#[derive(Debug)]
pub struct Loaded {
    /// The records, unless something is an error.
    pub snapshot: Option<Snapshot>,
    /// The BMCs of nodes.yaml.
    pub bmcs: Vec<Bmc>,
    /// Number of nodes read, also when something is an error.
    pub nodes: usize,
    /// Number of boot entries read.
    pub entries: usize,
    /// Everything that is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads records and checks them. `settings` are those in force (subnets, profiles, assets are checked
/// against them); `config` is the bootlace.yaml they come from, if any.
pub fn load(
    nodes: &[PathBuf],
    boot: &[PathBuf],
    settings: Option<&Settings>,
    config: Option<&Path>,
) -> Loaded {
    let mut gathered = Gathered::default();
    for path in nodes {
        gathered.add(path, Some(FileKind::Nodes));
    }
    for path in boot {
        gathered.add(path, Some(FileKind::Boot));
    }
    gathered.finish(settings, config)
}

impl Gathered {
    /// Reads one file, as `kind` or as what its content is. A file that was read before is not read again.
    pub fn add(&mut self, path: &Path, kind: Option<FileKind>) {
        // Errors before this file are its neighbours'.
        let before = std::mem::take(&mut self.findings);
        self.read(path, kind);
        let settings = self.files.last().is_some_and(|(_, kind)| *kind == Some(FileKind::Settings));
        self.damaged |= self.findings.has_errors() && !settings;
        let here = std::mem::replace(&mut self.findings, before);
        self.findings.append(here);
    }

    fn read(&mut self, path: &Path, kind: Option<FileKind>) {
        let same = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if !self.seen.insert(same) {
            return;
        }
        match Source::read(path) {
            Ok(source) => self.read_source(path, &source, kind),
            Err(problem) => {
                self.files.push((path.to_owned(), kind));
                self.findings.add(*problem);
            }
        }
    }

    /// Takes a text that lies in no file; its name stands in what is wrong with it.
    pub fn add_text(&mut self, source: Arc<Source>, kind: FileKind) {
        let name = PathBuf::clone(&source.path);
        self.read_source(&name, &source, Some(kind));
        self.damaged |= self.findings.has_errors();
    }

    fn read_source(&mut self, path: &Path, source: &Arc<Source>, kind: Option<FileKind>) {
        let at = self.files.len();
        self.files.push((path.to_owned(), kind));
        let Some(document) = tree::parse(source, &mut self.findings) else { return };
        // A file that only says `nodes:` and is given as node records is that, whatever the value looks like.
        let only_nodes = matches!(&document.root.kind, Kind::Mapping(pairs)
            if pairs.iter().all(|pair| matches!(pair.key.as_ref(), "nodes" | "bmcs")));
        let found = FileKind::of(&document.root).filter(|_| !(kind == Some(FileKind::Nodes) && only_nodes));
        match (kind, found) {
            (Some(expected), Some(other)) if expected != other => self.wrong_kind(&document, expected, other),
            (Some(kind), _) | (None, Some(kind)) => {
                self.files[at].1 = Some(kind);
                self.interpret(&document, kind);
            }
            (None, None) => {
                let message = "the file is neither node records, boot entries nor settings".to_owned();
                let mut problem =
                    Diagnostic::of_file(Severity::Error, Code::UnknownKind, &source.path, message);
                problem.advise(
                    "nodes.yaml has the key nodes:, boot.yaml kernel: and macs: or hosts:, \
                     bootlace.yaml keys such as mode: and interfaces:",
                );
                self.findings.add(problem);
            }
        }
    }

    fn wrong_kind(&mut self, document: &Document<'_>, expected: FileKind, found: FileKind) {
        let message = format!("the file is given as {} and holds {}", expected.title(), found.title());
        let mut problem =
            Diagnostic::of_file(Severity::Error, Code::WrongKind, &document.source.path, message);
        problem.advise(match found {
            FileKind::Nodes => "give it with --nodes, or name it under nodes: in bootlace.yaml",
            FileKind::Boot => "give it with --boot, or name it under boot: in bootlace.yaml",
            FileKind::Settings => "give it with --config",
        });
        self.findings.add(problem);
    }

    fn interpret(&mut self, document: &Document<'_>, kind: FileKind) {
        match kind {
            FileKind::Nodes => self.nodes.push(nodes_file::read(document, &mut self.findings)),
            FileKind::Boot => self.boot.push(boot_file::read(document, &mut self.findings)),
            FileKind::Settings => match &self.settings {
                Some((first, _)) => {
                    self.findings.add(file::second_settings_file(first, &document.source.path));
                }
                None => {
                    let written = file::interpret(document, &mut self.findings);
                    self.settings = Some((Arc::clone(&document.source.path), written));
                }
            },
        }
    }

    /// Checks everything against everything and makes the snapshot.
    pub fn finish(mut self, settings: Option<&Settings>, config: Option<&Path>) -> Loaded {
        let (nodes_given, boot_given) = (!self.nodes.is_empty(), !self.boot.is_empty());
        let checked = Checked::new(self.nodes, self.boot, &mut self.findings);
        let together = nodes_given && boot_given && !self.damaged;
        cross_checks::run(&checked, together, settings, config, &mut self.findings);
        let Checked { snapshot, bmcs, .. } = checked;
        Loaded {
            nodes: snapshot.node_count(),
            entries: snapshot.entry_count(),
            bmcs: bmcs.into_iter().map(|(bmc, ..)| bmc).collect(),
            snapshot: (!self.findings.has_errors()).then_some(snapshot),
            diagnostics: self.findings.into_list(),
        }
    }
}
