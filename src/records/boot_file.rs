//! boot.yaml: one BSS boot-parameter mapping or a list of them, plus keys of ours.

use std::sync::Arc;

use crate::client::Cpu;
use crate::config::diagnostic::{quoted, shown};
use crate::config::source::{Source, Span};
use crate::config::table::{At, KeyPath, Table, Unknown};
use crate::config::tree::{Document, Kind, Value};
use crate::config::values;
use crate::config::{Code, Findings};

use super::bmc::BmcXname;
use super::entry::{BootEntry, BootFile, Selectors, host_pattern};
use super::id::Mac;
use super::node::Origin;
use super::nodes_file::NID_MAX;

/// Keys of a boot entry, as BSS has them.
pub const BSS_KEYS: [&str; 7] = ["kernel", "initrd", "params", "macs", "hosts", "nids", "cloud-init"];
/// Keys of ours.
pub const OUR_KEYS: [&str; 8] =
    ["name", "groups", "roles", "profile", "arch", "loader", "script", "priority"];
/// SMD's roles; in `hosts` they select by role, as BSS does it.
pub const ROLES: [&str; 6] = ["Compute", "Service", "System", "Application", "Storage", "Management"];
/// What iPXE fetches (its `--list` of URI openers in Debian's builds); others reach the node unfetched.
const IPXE_SCHEMES: [&str; 7] = ["http", "https", "ftp", "tftp", "nfs", "slam", "x-tftm"];
/// Longest kernel command line that x86 takes, bytes (COMMAND_LINE_SIZE; arm64 has the same).
const PARAMS_MAX: usize = 2048;

/// What one file holds.
#[derive(Debug)]
pub struct EntriesFile {
    /// The file.
    pub source: Arc<Source>,
    /// Entries in the order of the file.
    pub entries: Vec<(BootEntry, EntryPlaces)>,
}

/// Where the parts of an entry are stated.
#[derive(Clone, Copy, Debug, Default)]
pub struct EntryPlaces {
    /// First key of the entry.
    pub head: Span,
    /// `name`
    pub name: Span,
    /// `kernel`
    pub kernel: Span,
    /// `initrd`
    pub initrd: Span,
    /// `profile`
    pub profile: Span,
}

/// Reads the entries of a parsed file.
pub fn read(document: &Document<'_>, findings: &mut Findings) -> EntriesFile {
    let source = document.source;
    let mut file = EntriesFile { source: Arc::clone(source), entries: Vec::new() };
    let root = &document.root;
    if let Kind::List(items) = &root.kind {
        for (index, item) in items.iter().enumerate() {
            let path = KeyPath::Item(&KeyPath::Root, index);
            if let Some(mut table) = Table::open(item, source, &path, findings) {
                file.entries.extend(entry(&mut table, source, index));
            }
        }
    } else if let Some(mut table) = Table::open(root, source, &KeyPath::Root, findings) {
        file.entries.extend(entry(&mut table, source, 0));
    }
    file
}

/// Reads one entry; `None` when it has no kernel that could be booted.
fn entry(table: &mut Table<'_, '_>, source: &Arc<Source>, index: usize) -> Option<(BootEntry, EntryPlaces)> {
    let head = table.span;
    table.unknown_keys(&[&BSS_KEYS[..], &OUR_KEYS[..]].concat(), Unknown::Warn);
    let name = table.text("name");
    let selectors = selectors(table);
    let kernel = boot_file(table, "kernel");
    if table.absent("kernel") {
        table
            .error(Code::MissingKey, head, "kernel", "a boot entry needs a kernel")
            .advise("write kernel: a URL, a path under the asset folder, or local for the node's own disk");
    }
    let initrd = boot_file(table, "initrd");
    let params = table.text("params");
    if let Some(At { value: BootFile::Local, span }) = &initrd {
        table
            .error(Code::WrongValue, *span, "initrd", "initrd cannot be 'local'")
            .advise("only kernel: local means the node's own disk");
    }
    let local = matches!(&kernel, Some(At { value: BootFile::Local, .. }));
    if local {
        for key in ["initrd", "params"] {
            if let Some(span) = table.key_span(key) {
                let message = format!("{key} has no effect where the node boots its own disk");
                table.warning(Code::Pointless, span, key, message);
            }
        }
    }
    if let Some(long) = params.filter(|params| params.value.len() > PARAMS_MAX) {
        let message = format!("params has {} bytes; kernels cut it off after {PARAMS_MAX}", long.value.len());
        table.warning(Code::LongParams, long.span, "params", message);
    }
    let arch = arch(table);
    let loader = values::served_name(table, "loader");
    let script = values::served_name(table, "script");
    let priority = table.integer("priority", i64::MIN..=i64::MAX).map_or(0, |priority| priority.value);
    let cloud_init = table.value("cloud-init").map_or(serde_json::Value::Null, Value::to_json);
    let file_name = source.path.file_name().unwrap_or(source.path.as_os_str()).to_string_lossy();
    let places = EntryPlaces {
        head,
        name: name.map_or(head, |name| name.span),
        kernel: kernel.as_ref().map_or(head, |kernel| kernel.span),
        initrd: initrd.as_ref().map_or(head, |initrd| initrd.span),
        profile: table.text("profile").map_or(head, |profile| profile.span),
    };
    let entry = BootEntry {
        name: name.map_or_else(|| format!("{file_name}#{}", index + 1), |name| name.value.to_owned()),
        selectors,
        arch,
        kernel: kernel?.value,
        initrd: initrd.map(|initrd| initrd.value),
        params: params.map(|params| params.value.to_owned()).unwrap_or_default(),
        loader,
        script,
        priority,
        cloud_init,
        origin: Origin { file: Arc::clone(&source.path), line: source.line(head.start) },
    };
    Some((entry, places))
}

fn selectors(table: &mut Table<'_, '_>) -> Selectors {
    let mut selectors = Selectors::default();
    let items = table.list("macs");
    for text in table.texts("macs", items) {
        selectors.macs.extend(table.parsed_text::<Mac>("macs", text).map(|mac| mac.value));
    }
    for item in table.list("nids") {
        let nid = table.integer_of("nids", item, 1..=NID_MAX);
        selectors.nids.extend(nid.map(|nid| nid.value as u32));
    }
    let items = table.list("hosts");
    for text in table.texts("hosts", items) {
        host(table, text, &mut selectors);
    }
    let items = table.one_or_more("groups");
    selectors.groups = table.texts("groups", items).into_iter().map(|text| text.value.to_owned()).collect();
    let items = table.one_or_more("roles");
    selectors.roles.extend(table.texts("roles", items).into_iter().map(|text| text.value.to_owned()));
    selectors.profile = table.text("profile").map(|text| text.value.to_owned());
    const KEYS: [&str; 6] = ["macs", "nids", "hosts", "groups", "roles", "profile"];
    let none = |key: &&str| match table.value(key).map(|value| &value.kind) {
        None => true,
        Some(Kind::List(items)) => items.is_empty(),
        Some(Kind::Scalar { text, .. }) => text.is_empty(),
        Some(Kind::Mapping(_)) => false,
    };
    if KEYS.iter().all(none) {
        let head = table.span;
        table
            .error(Code::NoSelector, head, "macs", "the boot entry names no node, so it is for none")
            .advise(
                "write macs:, nids:, hosts:, groups:, roles: or profile:; hosts: [Default] means every node",
            );
    }
    selectors
}

/// `hosts` takes xnames, patterns of them, names, `Default` and SMD's roles (BSS; decision "stored unit").
fn host(table: &mut Table<'_, '_>, text: At<&str>, selectors: &mut Selectors) {
    if matches!(text.value, "Default" | "default") {
        selectors.default = true;
    } else if ROLES.contains(&text.value) {
        selectors.roles.push(text.value.to_owned());
    } else if let Ok(xname) = text.value.parse() {
        selectors.xnames.push(xname);
    } else if text.value.contains('*') {
        match host_pattern(text.value) {
            Ok(prefix) => selectors.patterns.push(prefix),
            Err(problem) => {
                let message = format!("{} {problem}", quoted(text.value));
                table
                    .error(Code::WrongValue, text.span, "hosts", message)
                    .advise("write one star at the end, in place of a number: x1000c0s0b0n*, x1000c0s*, x*");
            }
        }
    } else if text.value.parse::<BmcXname>().is_ok() {
        let message = format!("{} is the xname of a BMC, not of a node", quoted(text.value));
        table
            .error(Code::WrongValue, text.span, "hosts", message)
            .advise(format!("its first node is {}n0", text.value));
    } else {
        selectors.names.push(text.value.to_owned());
    }
}

fn arch(table: &mut Table<'_, '_>) -> Vec<Cpu> {
    let items = table.one_or_more("arch");
    let mut cpus = Vec::new();
    for text in table.texts("arch", items) {
        match text.value.parse::<Cpu>() {
            Ok(cpu) if cpus.contains(&cpu) => {}
            Ok(cpu) => cpus.push(cpu),
            Err(_) => {
                let message = format!("arch {} is no processor", quoted(text.value));
                table
                    .error(Code::WrongValue, text.span, "arch", message)
                    .advise("possible: x86_64, i386, arm64, arm32, riscv64, riscv32, loong64, ppc64, s390x");
            }
        }
    }
    cpus
}

/// `local`, a URL, or a path under the asset folder.
fn boot_file(table: &mut Table<'_, '_>, key: &str) -> Option<At<BootFile>> {
    let text = table.text(key)?;
    let wrong = |table: &mut Table<'_, '_>, what: &str, advice: String| {
        table
            .error(Code::WrongValue, text.span, key, format!("{key} {} {what}", quoted(text.value)))
            .advise(advice);
        None
    };
    if text.value == "local" {
        return Some(At { value: BootFile::Local, span: text.span });
    }
    if let Some(scheme) = scheme(text.value) {
        let rest = &text.value[scheme.len() + 1..];
        if text.value.contains(char::is_whitespace) {
            return wrong(table, "has a blank in it", "write a blank in a URL as %20".to_owned());
        }
        let Some(target) = rest.strip_prefix("//").filter(|target| !target.starts_with('/')) else {
            let advice = format!("write it as {scheme}://HOST/{}", shown(rest.trim_start_matches('/')));
            return wrong(table, "is no complete URL", advice);
        };
        if target.is_empty() {
            return wrong(table, "is no complete URL", format!("write it as {scheme}://HOST/PATH"));
        }
        if !IPXE_SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
            let message = format!("iPXE does not fetch {scheme}:// URLs");
            table
                .warning(Code::UnreachableUrl, text.span, key, message)
                .advise("serve the file by http, or put it under the asset folder");
        }
        return Some(At { value: BootFile::Url(text.value.to_owned()), span: text.span });
    }
    let path = text.value.trim_start_matches('/');
    if path.is_empty() || path.split('/').any(|part| part == "..") {
        let advice = "name a file relative to the asset folder, without '..'".to_owned();
        return wrong(table, "leaves the asset folder", advice);
    }
    Some(At { value: BootFile::Asset(path.to_owned()), span: text.span })
}

/// The scheme of something that is, or was meant to be, a URL. A file name may hold a ':' too; it is
/// taken for a URL only when a '/' follows.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let word = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    (word && rest.starts_with('/')).then_some(scheme)
}

#[cfg(test)]
mod tests;
