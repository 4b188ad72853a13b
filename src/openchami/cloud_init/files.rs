//! `--cloud-init DIR`: `defaults.yaml`, `groups.yaml` and `nodes.yaml`, each in the form that
//! `ochami cloud-init … -d` takes. What they state, the API cannot change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::config::diagnostic::quoted;
use crate::config::source::{Place, Source, Span};
use crate::config::table::{KeyPath, Table, Unknown};
use crate::config::tree::{self, Document, Kind};
use crate::config::{Code, Diagnostic, Findings, Severity};
use crate::openchami::inventory::{CloudGroup, ClusterDefaults, Filed, InstanceInfo, Meta};
use crate::openchami::xname::Location;
use crate::records::Origin;

use super::defaults::NID_LENGTH_MAX;
use super::{group_file, uid, words};

/// Cluster defaults.
pub const DEFAULTS: &str = "defaults.yaml";
/// Groups.
pub const GROUPS: &str = "groups.yaml";
/// Instance info.
pub const NODES: &str = "nodes.yaml";
/// The files of the folder.
pub const FILES: [&str; 3] = [DEFAULTS, GROUPS, NODES];

/// Keys of defaults.yaml.
pub const DEFAULTS_KEYS: [&str; 10] = [
    "base-url",
    "cluster-name",
    "short-name",
    "nid-length",
    "public-keys",
    "cloud_provider",
    "region",
    "availability-zone",
    "boot-subnet",
    "wg-subnet",
];
/// Keys of an item of groups.yaml.
pub const GROUP_KEYS: [&str; 5] = ["name", "description", "meta-data", "file", "versions"];
/// Keys of `file` of an item of groups.yaml.
pub const FILE_KEYS: [&str; 3] = ["content", "filename", "encoding"];
/// Keys of an item of nodes.yaml.
pub const NODE_KEYS: [&str; 11] = [
    "id",
    "instance-id",
    "local-hostname",
    "hostname",
    "cluster-name",
    "region",
    "availability-zone",
    "cloud-provider",
    "instance-type",
    "cloud-init-base-url",
    "public-keys",
];

/// Longest file of a group, bytes: as long as the API takes.
const CONTENT_MAX: usize = 1 << 20;

/// Time of records that stand in files: they have none.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What the folder states.
#[derive(Clone, Debug, Default)]
pub struct CloudFiles {
    /// `defaults.yaml`
    pub defaults: Option<Filed<ClusterDefaults>>,
    /// `groups.yaml`
    pub groups: Vec<Filed<CloudGroup>>,
    /// `nodes.yaml`
    pub infos: Vec<Filed<InstanceInfo>>,
}

/// The files that a folder may hold, for whoever watches them.
pub fn paths(folder: &Path) -> impl Iterator<Item = PathBuf> {
    FILES.into_iter().map(move |name| folder.join(name))
}

/// Reads a folder. Every problem is named; what is wrong is left out.
pub fn load(folder: &Path) -> (CloudFiles, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let mut files = CloudFiles::default();
    if !folder.is_dir() {
        let mut problem =
            Diagnostic::of_file(Severity::Error, Code::CannotRead, folder, "is not a folder".to_owned());
        problem.advise(format!("--cloud-init names a folder with {}", FILES.join(", ")));
        findings.add(problem);
        return (files, findings.into_list());
    }
    let mut found = false;
    for path in paths(folder).filter(|path| path.exists()) {
        found = true;
        match Source::read(&path) {
            Ok(source) => files.add(&source, &mut findings),
            Err(problem) => drop(findings.add(*problem)),
        }
    }
    if !found {
        let message = format!("holds none of {}", FILES.join(", "));
        findings.add(Diagnostic::of_file(Severity::Warning, Code::Empty, folder, message));
    }
    (files, findings.into_list())
}

impl CloudFiles {
    /// Adds one file; its name says what it is.
    pub fn add(&mut self, source: &Arc<Source>, findings: &mut Findings) {
        let Some(document) = tree::parse(source, findings) else { return };
        match source.path.file_name().and_then(|name| name.to_str()) {
            Some(DEFAULTS) => {
                if let Some(mut table) = Table::open(&document.root, source, &KeyPath::Root, findings) {
                    let read = defaults(&mut table, source);
                    self.defaults = (!read.owned.is_empty()).then_some(read);
                }
            }
            Some(GROUPS) => self.groups = items(&document, findings, "name", group),
            _ => self.infos = items(&document, findings, "id", info),
        }
    }
}

/// Reads one item: its key, where that stands, and the record.
type ReadItem<R> = fn(&mut Table<'_, '_>, &Arc<Source>) -> Option<(String, Span, Filed<R>)>;

/// The items of a list, or the one that stands alone; each name once.
fn items<R>(document: &Document<'_>, findings: &mut Findings, key: &str, read: ReadItem<R>) -> Vec<Filed<R>> {
    let source = document.source;
    let alone = std::slice::from_ref(&document.root);
    let list = match &document.root.kind {
        Kind::List(items) => items.as_slice(),
        _ => alone,
    };
    let mut seen = std::collections::HashMap::new();
    let mut records = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let path = KeyPath::Item(&KeyPath::Root, index);
        let Some(mut table) = Table::open(item, source, &path, findings) else { continue };
        let Some((name, span, record)) = read(&mut table, source) else { continue };
        match seen.get(&name) {
            None => {
                seen.insert(name, span);
                records.push(record);
            }
            Some(first) => {
                let first = Place { source: Arc::clone(source), span: *first };
                let message = format!("{key} {} is stated twice", quoted(&name));
                table.error(Code::DuplicateName, span, key, message).also(&first, "first here");
            }
        }
    }
    records
}

/// What of a record is stated: (field of the record, key of the file).
type Stated = Vec<(&'static str, &'static str)>;

fn filed<R>(record: R, stated: Stated, table: &Table<'_, '_>, source: &Arc<Source>) -> Filed<R> {
    let origin = Origin { file: Arc::clone(&source.path), line: source.line(table.span.start) };
    Filed { record: Arc::new(record), owned: stated.into(), origin }
}

/// A text of one line, and the note that it is stated.
fn text(table: &mut Table<'_, '_>, key: &'static str, field: &'static str, stated: &mut Stated) -> String {
    let Some(text) = table.text(key) else { return String::new() };
    stated.push((field, key));
    text.value.to_owned()
}

fn keys(table: &mut Table<'_, '_>, stated: &mut Stated) -> Vec<String> {
    const KEY: &str = "public-keys";
    let items = table.one_or_more(KEY);
    let keys: Vec<String> = table.texts(KEY, items).into_iter().map(|text| text.value.to_owned()).collect();
    if !keys.is_empty() {
        stated.push(("public_keys", KEY));
    }
    keys
}

fn base_url(
    table: &mut Table<'_, '_>,
    key: &'static str,
    field: &'static str,
    stated: &mut Stated,
) -> String {
    let Some(text) = table.text(key) else { return String::new() };
    if let Err(problem) = words::base_url(key, text.value) {
        table.error(Code::WrongValue, text.span, key, problem);
        return String::new();
    }
    stated.push((field, key));
    text.value.trim_end_matches('/').to_owned()
}

fn free(
    table: &mut Table<'_, '_>,
    key: &'static str,
    field: &'static str,
    stated: &mut Stated,
) -> Map<String, Json> {
    let Some(value) = table.value(key) else { return Map::new() };
    match value.to_json() {
        Json::Object(members) => {
            stated.push((field, key));
            members
        }
        _ => {
            let message = format!("{key} needs a mapping, this is {}", value.kind_name());
            table.error(Code::WrongType, value.span, key, message);
            Map::new()
        }
    }
}

fn meta(kind: &str, name: &str) -> Meta {
    Meta {
        name: name.to_owned(),
        // The same in every store: it stands for the file's record, wherever that is read.
        uid: uid(kind, &[0; 16], name),
        created_at: NEVER.to_owned(),
        updated_at: NEVER.to_owned(),
        ..Meta::default()
    }
}

fn defaults(table: &mut Table<'_, '_>, source: &Arc<Source>) -> Filed<ClusterDefaults> {
    table.unknown_keys(&DEFAULTS_KEYS, Unknown::Warn);
    let mut stated = Stated::new();
    let digits = table.integer("nid-length", 1..=i64::from(NID_LENGTH_MAX));
    if digits.is_some() {
        stated.push(("nid_length", "nid-length"));
    }
    let record = ClusterDefaults {
        metadata: meta("clusterdefaults", DEFAULTS),
        description: String::new(),
        base_url: base_url(table, "base-url", "base_url", &mut stated),
        cluster_name: text(table, "cluster-name", "cluster_name", &mut stated),
        short_name: text(table, "short-name", "short_name", &mut stated),
        // In range: it was read within one.
        nid_length: digits.map_or(0, |digits| digits.value as u8),
        public_keys: keys(table, &mut stated),
        cloud_provider: text(table, "cloud_provider", "cloud_provider", &mut stated),
        region: text(table, "region", "region", &mut stated),
        availability_zone: text(table, "availability-zone", "availability_zone", &mut stated),
        boot_subnet: text(table, "boot-subnet", "boot_subnet", &mut stated),
        wg_subnet: text(table, "wg-subnet", "wg_subnet", &mut stated),
    };
    filed(record, stated, table, source)
}

fn group(table: &mut Table<'_, '_>, source: &Arc<Source>) -> Option<(String, Span, Filed<CloudGroup>)> {
    table.unknown_keys(&GROUP_KEYS, Unknown::Warn);
    let name = required(table, "name", "a group needs its name: that of the SMD group whose nodes read it");
    // The name owns the record: one without anything else still cannot be removed.
    let mut stated = vec![("metadata.name", "name")];
    let description = long_text(table, "description", "description", &mut stated);
    let meta_data = free(table, "meta-data", "metaData", &mut stated);
    let versions = free(table, "versions", "versions", &mut stated);
    let file = file(table, &mut stated);
    let (name, span) = name?;
    let record = CloudGroup {
        metadata: meta("group", &name),
        description,
        meta_data,
        versions,
        os_version: String::new(),
        ..file?
    };
    Some((name, span, filed(record, stated, table, source)))
}

/// `content`, `filename` and `encoding` of a group; `None` where they are no file.
fn file(table: &mut Table<'_, '_>, stated: &mut Stated) -> Option<CloudGroup> {
    let mut group = CloudGroup::default();
    let Some(value) = table.value("file") else { return Some(group) };
    let path = KeyPath::Key(table.path(), "file");
    let mut inner = table.open_child(value, &path)?;
    inner.unknown_keys(&FILE_KEYS, Unknown::Warn);
    group.content = long_text(&mut inner, "content", "content", stated);
    group.filename = text(&mut inner, "filename", "filename", stated);
    let encoding = inner.choice("encoding", &[("plain", "plain"), ("base64", "base64")]);
    if let Some(encoding) = encoding {
        stated.push(("encoding", "encoding"));
        group.encoding = encoding.to_owned();
    }
    if let Err(error) = group_file::content(&group) {
        let span = inner.value("content").map_or(inner.span, |value| value.span);
        inner
            .error(Code::WrongValue, span, "content", format!("the content is no base64: {error}"))
            .advise("write encoding: plain for text as it is");
        return None;
    }
    Some(group)
}

/// A text that may have lines.
fn long_text(
    table: &mut Table<'_, '_>,
    key: &'static str,
    field: &'static str,
    stated: &mut Stated,
) -> String {
    let Some(value) = table.value(key) else { return String::new() };
    let Kind::Scalar { text, .. } = &value.kind else {
        let message = format!("{key} needs text, this is {}", value.kind_name());
        table
            .error(Code::WrongType, value.span, key, message)
            .advise(format!("write {key}: | and the text in the lines below"));
        return String::new();
    };
    if text.len() > CONTENT_MAX {
        let message = format!("{key} has {} bytes, more than the {CONTENT_MAX} that are served", text.len());
        table.error(Code::TooLarge, value.span, key, message);
        return String::new();
    }
    stated.push((field, key));
    text.to_string()
}

fn info(table: &mut Table<'_, '_>, source: &Arc<Source>) -> Option<(String, Span, Filed<InstanceInfo>)> {
    table.unknown_keys(&NODE_KEYS, Unknown::Warn);
    let id = required(table, "id", "the xname of the node is needed");
    let mut stated = vec![("metadata.name", "id")];
    let mut record = InstanceInfo {
        instance_id: text(table, "instance-id", "instance_id", &mut stated),
        local_hostname: text(table, "local-hostname", "local_hostname", &mut stated),
        hostname: text(table, "hostname", "hostname", &mut stated),
        cluster_name: text(table, "cluster-name", "cluster_name", &mut stated),
        region: text(table, "region", "region", &mut stated),
        availability_zone: text(table, "availability-zone", "availability_zone", &mut stated),
        cloud_provider: text(table, "cloud-provider", "cloud_provider", &mut stated),
        instance_type: text(table, "instance-type", "instance_type", &mut stated),
        cloud_init_base_url: base_url(table, "cloud-init-base-url", "cloud_init_base_url", &mut stated),
        public_keys: keys(table, &mut stated),
        ..InstanceInfo::default()
    };
    let (id, span) = id?;
    let Ok(location) = id.parse::<Location>() else {
        let message = format!("id {} is no xname", quoted(&id));
        table.error(Code::WrongValue, span, "id", message).advise("write it as x1000c0s0b0n0");
        return None;
    };
    let id = location.to_string();
    record.metadata = meta("instanceinfo", &id);
    Some((id, span, filed(record, stated, table, source)))
}

fn required(table: &mut Table<'_, '_>, key: &str, what: &str) -> Option<(String, Span)> {
    if table.absent(key) {
        let head = table.span;
        table.error(Code::MissingKey, head, key, what);
        return None;
    }
    table.text(key).map(|text| (text.value.to_owned(), text.span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(name: &str, text: &str) -> (CloudFiles, Vec<Diagnostic>) {
        let (mut files, mut findings) = (CloudFiles::default(), Findings::default());
        files.add(&Arc::new(Source::new(name, text.to_owned())), &mut findings);
        (files, findings.into_list())
    }

    #[test]
    fn the_tutorials_defaults_are_read() {
        let text = "base-url: \"http://172.16.0.254:8081/cloud-init/\"\ncluster-name: \"demo\"\nnid-length: 3\n\
                    public-keys:\n  - \"ssh-ed25519 AAAA rocky@head\"\nshort-name: \"nid\"\n";
        let (files, problems) = read(DEFAULTS, text);
        assert_eq!(problems, []);
        let defaults = files.defaults.unwrap();
        assert_eq!(defaults.record.base_url, "http://172.16.0.254:8081/cloud-init");
        assert_eq!((defaults.record.short_name.as_str(), defaults.record.nid_length), ("nid", 3));
        assert_eq!(defaults.origin.line, 1);
        assert!(defaults.owned.contains(&("base_url", "base-url")));
        assert!(!defaults.owned.iter().any(|(field, _)| *field == "region"));
    }

    #[test]
    fn a_groups_content_keeps_its_lines() {
        let text = "- name: compute\n  description: x\n  file:\n    encoding: plain\n    content: |\n      \
                    ## template: jinja\n      #cloud-config\n- name: extra\n  meta-data: {zone: a, n: [1]}\n  \
                    file: {encoding: base64, content: I2Nsb3VkLWNvbmZpZwo=}\n";
        let (files, problems) = read(GROUPS, text);
        assert_eq!(problems, []);
        assert_eq!(files.groups[0].record.content, "## template: jinja\n#cloud-config\n");
        assert_eq!(files.groups[1].origin.line, 8);
        assert_eq!(group_file::content(&files.groups[1].record).unwrap(), b"#cloud-config\n");
        assert_eq!(files.groups[1].record.meta_data["n"], serde_json::json!([1]));
    }

    #[test]
    fn every_problem_is_named_with_its_line() {
        let of = |name: &str, text: &str| -> Vec<(Code, usize)> {
            let problems = read(name, text).1;
            problems.into_iter().map(|problem| (problem.code, problem.line)).collect()
        };
        assert_eq!(
            of(DEFAULTS, "base-url: ftp://h\nnid-length: 11\n"),
            [(Code::WrongValue, 1), (Code::WrongValue, 2)]
        );
        assert_eq!(of(DEFAULTS, "base_url: http://h\n"), [(Code::UnknownKey, 1)]);
        assert_eq!(of(GROUPS, "- description: x\n"), [(Code::MissingKey, 1)]);
        assert_eq!(of(GROUPS, "- name: a\n- name: a\n"), [(Code::DuplicateName, 2)]);
        assert_eq!(of(GROUPS, "name: a\nfile: {encoding: base64, content: '%%'}\n"), [(Code::WrongValue, 2)]);
        assert_eq!(of(GROUPS, "- name: a\n  file: text\n"), [(Code::WrongType, 2)]);
        assert_eq!(of(NODES, "- id: compute1\n"), [(Code::WrongValue, 1)]);
        assert_eq!(of(NODES, "- local-hostname: c\n"), [(Code::MissingKey, 1)]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([a-z-]{1,9}(: ?|\n|- )|\\PC{0,6}|\n {0,4}){0,12}") {
            for name in FILES {
                read(name, &text);
            }
        }
    }
}
