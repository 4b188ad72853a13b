//! Checks between records: duplicates, entries against nodes, nodes against settings, files on disk.
//!
//! One pass each with hash look-ups, so that a hundred thousand nodes cost seconds and not hours.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::client::Cpu;
use crate::config::diagnostic::quoted;
use crate::config::source::{Place, Source, Span};
use crate::config::{Code, Diagnostic, Findings, Mode, Settings, Severity};
use crate::dhcp::catalogue::print::escaped;

use super::addresses::address_check;
use super::bmc::{Bmc, BmcXname};
use super::boot_file::{EntriesFile, EntryPlaces};
use super::entry::BootFile;
use super::id::Xname;
use super::key::NodeKey;
use super::nodes_file::{BmcPlaces, NodePlaces, NodesFile};
use super::snapshot::Snapshot;

/// Paths that bootlace's HTTP takes before the asset folder.
const RESERVED_PATHS: [&str; 7] =
    ["boot/v1", "hsm/v2", "cloud-init", "apis", "boot-service", "metadata-service", "page"];

/// Records with their places, indexed.
#[derive(Debug)]
pub struct Checked {
    /// The records.
    pub snapshot: Snapshot,
    /// The BMCs.
    pub bmcs: Vec<(Bmc, BmcPlaces, Arc<Source>)>,
    /// By the node's place in the files.
    node_places: Vec<(NodePlaces, Arc<Source>)>,
    /// By the entry's place in the files.
    entry_places: Vec<(EntryPlaces, Arc<Source>)>,
}

impl Checked {
    /// Puts the files together and reports identities that are stated twice.
    pub fn new(nodes: Vec<NodesFile>, boot: Vec<EntriesFile>, findings: &mut Findings) -> Self {
        let (mut records, mut node_places, mut bmcs) = (Vec::new(), Vec::new(), Vec::new());
        for file in nodes {
            for (node, places) in file.nodes {
                records.push(node);
                node_places.push((places, Arc::clone(&file.source)));
            }
            bmcs.extend(file.bmcs.into_iter().map(|(bmc, places)| (bmc, places, Arc::clone(&file.source))));
        }
        let (mut entries, mut entry_places) = (Vec::new(), Vec::new());
        for file in boot {
            for (entry, places) in file.entries {
                entries.push(entry);
                entry_places.push((places, Arc::clone(&file.source)));
            }
        }
        let checked = Self { snapshot: Snapshot::new(records, entries), bmcs, node_places, entry_places };
        checked.duplicates(findings);
        checked
    }

    fn node_place(&self, index: usize, span: impl Fn(&NodePlaces) -> Span) -> Place {
        let (places, source) = &self.node_places[index];
        Place { source: Arc::clone(source), span: span(places) }
    }

    fn entry_place(&self, index: usize, span: impl Fn(&EntryPlaces) -> Span) -> Place {
        let (places, source) = &self.entry_places[index];
        Place { source: Arc::clone(source), span: span(places) }
    }

    fn duplicates(&self, findings: &mut Findings) {
        let count = self.node_places.len();
        let mut macs = Seen::new(Code::DuplicateMac, "MAC", count);
        let mut ips = Seen::new(Code::DuplicateIp, "address", count);
        let mut nids = Seen::new(Code::DuplicateNid, "NID", count);
        let mut xnames = Seen::new(Code::DuplicateXname, "xname", count);
        let mut uuids = Seen::new(Code::DuplicateUuid, "UUID", 0);
        let mut serials = Seen::new(Code::DuplicateSerial, "serial number", 0);
        let mut client_ids = Seen::new(Code::DuplicateClientId, "client identifier", 0);
        let mut ports = Seen::new(Code::DuplicatePort, "switch port", 0);
        let mut names = Seen::new(Code::DuplicateName, "name", count);
        for (index, node) in self.snapshot.nodes().enumerate() {
            let (places, source) = &self.node_places[index];
            let label = || node.label();
            let at = |span| Owner { index, source, span };
            for (nic, (mac_span, address_spans)) in node.nics.iter().zip(&places.nics) {
                macs.note(nic.mac, at(*mac_span), label, self, findings);
                for (address, span) in nic.addresses.iter().zip(address_spans) {
                    ips.note(*address, at(*span), label, self, findings);
                }
            }
            if let Some(nid) = node.nid {
                nids.note(nid, at(places.nid), label, self, findings);
            }
            if let Some(xname) = &node.xname {
                xnames.note(xname.as_str(), at(places.xname), label, self, findings);
            }
            if let Some(uuid) = node.uuid.filter(|uuid| uuid.identifies()) {
                // Both byte orders are looked up, so both are one identity.
                uuids.note(uuid.min(uuid.swapped()), at(places.uuid), label, self, findings);
            }
            if let Some(serial) = &node.serial {
                serials.note(serial.as_str(), at(places.serial), label, self, findings);
            }
            if let Some(id) = &node.client_id {
                client_ids.note(escaped(id), at(places.client_id), label, self, findings);
            }
            if !node.port.is_empty() {
                ports.note(&node.port, at(places.port), label, self, findings);
            }
            if let Some(name) = &node.name {
                names.note(name.as_str(), at(places.name), label, self, findings);
            }
        }
        let mut bmc_xnames = Seen::new(Code::DuplicateXname, "xname", self.bmcs.len());
        for (index, (bmc, places, source)) in self.bmcs.iter().enumerate() {
            let at = |span| Owner { index: count + index, source, span };
            let label = || bmc.label();
            if let Some(mac) = bmc.mac {
                macs.note(mac, at(places.mac), label, self, findings);
            }
            if let Some(ip) = bmc.ip {
                ips.note(ip, at(places.ip), label, self, findings);
            }
            if let Some(xname) = &bmc.xname {
                // In the deprecated form it follows from the node: two BMCs behind one xname are odd, but
                // nothing that the file states twice.
                bmc_xnames.severity =
                    if places.xname.is_some() { Severity::Error } else { Severity::Warning };
                let span = places.xname.unwrap_or(places.head);
                bmc_xnames.note(BmcXname::as_str(xname), at(span), label, self, findings);
            }
        }
        let mut entry_names = HashMap::new();
        for (index, entry) in self.snapshot.entries().enumerate() {
            if let Some(first) = entry_names.insert(entry.name.as_str(), index) {
                let place = self.entry_place(index, |places| places.name);
                let message = format!("two boot entries have the name {}", quoted(&entry.name));
                findings
                    .warning(Code::DuplicateName, &place, message)
                    .key("name")
                    .also(&self.entry_place(first, |places| places.name), "the other one");
            }
        }
    }

    /// Name of the node or BMC with this number: BMCs count on after the nodes.
    fn owner_label(&self, index: usize) -> String {
        match u32::try_from(index).ok().and_then(|place| self.snapshot.node(&NodeKey::File(place))) {
            Some(node) => node.label(),
            None => self
                .bmcs
                .get(index - self.node_places.len())
                .map_or_else(String::new, |(bmc, ..)| bmc.label()),
        }
    }
}

/// Who states an identity, and where.
#[derive(Clone, Copy)]
struct Owner<'a> {
    index: usize,
    source: &'a Arc<Source>,
    span: Span,
}

impl Owner<'_> {
    fn place(&self) -> Place {
        Place { source: Arc::clone(self.source), span: self.span }
    }
}

/// Identities of one kind seen so far.
struct Seen<'a, K> {
    code: Code,
    what: &'static str,
    severity: Severity,
    owners: HashMap<K, Owner<'a>>,
}

impl<'a, K: Hash + Eq + Display> Seen<'a, K> {
    fn new(code: Code, what: &'static str, expected: usize) -> Self {
        // Two nodes of one name are found by MAC and xname all the same, and OpenCHAMI takes them.
        let severity = if code == Code::DuplicateName { Severity::Warning } else { Severity::Error };
        Self { code, what, severity, owners: HashMap::with_capacity(expected) }
    }

    fn note(
        &mut self,
        key: K,
        owner: Owner<'a>,
        label: impl Fn() -> String,
        checked: &Checked,
        findings: &mut Findings,
    ) {
        let Some(first) = self.owners.get(&key) else {
            self.owners.insert(key, owner);
            return;
        };
        let same_node = first.index == owner.index;
        // Two bonded cards of one node may share their address.
        let severity =
            if same_node && self.code == Code::DuplicateIp { Severity::Warning } else { self.severity };
        let message = if same_node {
            format!("{} {key} is stated twice for {}", self.what, label())
        } else {
            let other = checked.owner_label(first.index);
            format!("{} {key} is stated for {other} and again for {}", self.what, label())
        };
        let mut problem = Diagnostic::new(severity, self.code, &owner.place(), message);
        problem.also(&first.place(), format!("first stated here, for {}", checked.owner_label(first.index)));
        findings.add(problem);
    }
}

/// All checks that need more than one record. `together`: nodes and boot entries were both given,
/// and read whole.
pub fn run(
    checked: &Checked,
    together: bool,
    settings: Option<&Settings>,
    config: Option<&Path>,
    findings: &mut Findings,
) {
    if together {
        entries_and_nodes(checked, findings);
    }
    if let Some(settings) = settings {
        addresses(checked, settings, findings);
        if let Some(config) = config {
            profiles(checked, settings, config, findings);
        }
        assets(checked, settings, findings);
    }
}

/// Nodes without entry, entries without node, and ties.
fn entries_and_nodes(checked: &Checked, findings: &mut Findings) {
    let records = &checked.snapshot;
    let mut ties: HashSet<(usize, usize)> = HashSet::new();
    let (mut groups, mut profiles, mut roles) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut prefixes = HashSet::new();
    for (index, node) in records.nodes().enumerate() {
        groups.extend(node.groups.iter().map(String::as_str));
        profiles.extend(node.profile.as_deref());
        prefixes.extend(node.xname.iter().flat_map(Xname::prefixes));
        roles.insert(node.role_or_default().to_ascii_lowercase());
        let Some(best) = records.best_entry(node, None) else {
            if node.netboot {
                let place = checked.node_place(index, |places| places.head);
                let message = format!("no boot entry matches {}", node.label());
                findings
                    .warning(Code::NodeWithoutBootEntry, &place, message)
                    .advise("select it by macs:, hosts:, groups: …, or say netboot: false at the node");
            }
            continue;
        };
        for rival in best.rivals {
            // Only records of files are checked here, so every key is a place.
            let (Some(won), Some(lost)) = (best.key.in_files(), rival.key.in_files()) else { continue };
            if ties.insert((won, lost)) {
                let winner = &best.entry;
                let message = format!(
                    "boot entries {} and {} match {} equally well (by {}, priority {})",
                    quoted(&winner.name),
                    quoted(&rival.name),
                    node.label(),
                    best.by.name(),
                    winner.priority,
                );
                findings
                    .warning(Code::Tie, &checked.entry_place(lost, |places| places.head), message)
                    .advise(format!("{} wins by its name; state it with priority:", quoted(&winner.name)))
                    .also(&checked.entry_place(won, |places| places.head), "the one that wins");
            }
        }
    }
    for (index, entry) in records.entries().enumerate() {
        let s = &entry.selectors;
        let matches = s.macs.iter().any(|mac| records.by_mac(*mac).is_some())
            || s.nids.iter().any(|nid| records.by_nid(*nid).is_some())
            || s.xnames.iter().any(|xname| records.by_xname(xname).is_some())
            || s.patterns.iter().any(|prefix| prefixes.contains(prefix.as_str()))
            || s.names.iter().any(|name| records.by_name(name).is_some())
            || s.groups.iter().any(|group| groups.contains(group.as_str()))
            || s.profile.as_deref().is_some_and(|profile| profiles.contains(profile))
            || s.roles.iter().any(|role| roles.contains(&role.to_ascii_lowercase()))
            || (s.default && records.node_count() > 0);
        if !matches {
            let place = checked.entry_place(index, |places| places.head);
            let message = format!("boot entry {} matches no node", quoted(&entry.name));
            findings
                .warning(Code::BootEntryWithoutNode, &place, message)
                .advise("compare its macs:, hosts:, nids: … with the node records");
        }
    }
}

fn addresses(checked: &Checked, settings: &Settings, findings: &mut Findings) {
    let subnets: Vec<(Ipv4Net, Option<Ipv4Addr>)> =
        settings.subnets.iter().map(|subnet| (subnet.subnet, subnet.router)).collect();
    let servers: HashSet<Ipv4Addr> =
        settings.interfaces.iter().filter_map(|interface| interface.address).collect();
    for problem in address_check(&checked.snapshot, &subnets, &servers, Severity::Error) {
        let Some(node) = problem.node.in_files() else { continue };
        let place = checked.node_place(node, |places| {
            let spans = places.nics.get(problem.nic).map(|(_, spans)| spans);
            spans.and_then(|spans| spans.get(problem.address)).copied().unwrap_or(places.head)
        });
        let mut found = Diagnostic::new(problem.severity, problem.code, &place, problem.message);
        found.key("ip_addr").advise(problem.advice);
        findings.add(found);
    }
    let reserving = |mode: Option<Mode>| mode.unwrap_or(settings.mode) == Mode::Reservation;
    let hands_out = if settings.interfaces.is_empty() {
        reserving(None)
    } else {
        settings.interfaces.iter().any(|interface| reserving(interface.mode))
    };
    if !hands_out {
        return;
    }
    for (index, node) in checked.snapshot.nodes().enumerate() {
        let wants = Mode::Reservation.restricted_by(node.mode).gives_addresses();
        if wants && node.ipv4_for(None).is_none() {
            let place = checked.node_place(index, |places| places.head);
            let message =
                format!("{} has no IPv4 address, so it gets none in reservation mode", node.label());
            findings
                .warning(Code::NoAddress, &place, message)
                .advise("write ip_addrs: [{ip_addr: …}] at one of its interfaces, or mode: proxy");
        }
    }
}

fn profiles(checked: &Checked, settings: &Settings, config: &Path, findings: &mut Findings) {
    let names: Vec<&str> = settings.profiles.keys().map(String::as_str).collect();
    let mut undefined = |name: &str, place: Place| {
        let message = format!("profile {} is not defined in {}", quoted(name), config.display());
        findings.error(Code::UndefinedProfile, &place, message).key("profile").advise(
            match crate::config::table::nearest(name, &names) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("define it: profiles: {{{name}: {{}}}}"),
            },
        );
    };
    for (index, node) in checked.snapshot.nodes().enumerate() {
        if let Some(name) = node.profile.as_deref().filter(|name| !settings.profiles.contains_key(*name)) {
            undefined(name, checked.node_place(index, |places| places.profile));
        }
    }
    for (index, entry) in checked.snapshot.entries().enumerate() {
        let profile = entry.selectors.profile.as_deref();
        if let Some(name) = profile.filter(|name| !settings.profiles.contains_key(*name)) {
            undefined(name, checked.entry_place(index, |places| places.profile));
        }
    }
}

/// Kernels and initrds that are not there, and files that bootlace's own paths hide.
fn assets(checked: &Checked, settings: &Settings, findings: &mut Findings) {
    let folder = settings.assets.as_deref().filter(|folder| folder.is_dir());
    for hidden in folder.iter().flat_map(|folder| RESERVED_PATHS.map(|path| folder.join(path))) {
        if hidden.symlink_metadata().is_ok() {
            let message =
                "HTTP requests for this asset reach bootlace's own pages, never the file".to_owned();
            let mut problem = Diagnostic::of_file(Severity::Warning, Code::AssetHidden, &hidden, message);
            problem.advise("move it to another path of the asset folder");
            findings.add(problem);
        }
    }
    // Many entries name one file: each is looked for once.
    let mut looked_for: HashMap<&str, Result<u64, &'static str>> = HashMap::new();
    for (index, entry) in checked.snapshot.entries().enumerate() {
        let files = [("kernel", Some(&entry.kernel)), ("initrd", entry.initrd.as_ref())];
        for (key, file) in files {
            let Some(BootFile::Asset(path)) = file else { continue };
            let place = || {
                checked
                    .entry_place(index, |places| if key == "kernel" { places.kernel } else { places.initrd })
            };
            if hidden_path(path) {
                let message = format!("{} is under a path that bootlace itself serves", quoted(path));
                findings
                    .warning(Code::AssetHidden, &place(), message)
                    .key(key)
                    .advise("move it to another path of the asset folder");
            }
            let Some(folder) = folder else {
                if settings.assets.is_none() {
                    let message =
                        format!("{} is a path under the asset folder, and none is set", quoted(path));
                    findings
                        .warning(Code::MissingAsset, &place(), message)
                        .key(key)
                        .advise("set assets: or --assets, or write a URL");
                }
                continue;
            };
            let found =
                looked_for.entry(path).or_insert_with(|| match std::fs::metadata(folder.join(path)) {
                    Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
                    Ok(_) => Err("is no regular file"),
                    Err(_) => Err("is not there"),
                });
            match found {
                Err(problem) => {
                    let message = format!("{} in {} {problem}", quoted(path), folder.display());
                    findings.warning(Code::MissingAsset, &place(), message).key(key);
                }
                Ok(size) if key == "initrd" => {
                    if let Some(problem) = too_large(*size, &entry.arch) {
                        let message = format!("{} has {} MiB: {problem}", quoted(path), *size >> 20);
                        findings
                            .warning(Code::LargeInitrd, &place(), message)
                            .key(key)
                            .advise("boot a small initrd that fetches the root image by HTTP");
                    }
                }
                Ok(_) => {}
            }
        }
    }
}

/// What an initrd of `size` bytes is too large for. A BIOS machine's loader reaches memory below 4 GiB alone, where
/// the kernel also unpacks it; the kernel unpacks no single archive of more than 4 GiB.
fn too_large(size: u64, processors: &[Cpu]) -> Option<&'static str> {
    const GIB: u64 = 1 << 30;
    let bios = processors.is_empty() || processors.iter().any(|cpu| matches!(cpu, Cpu::I386 | Cpu::X86_64));
    match size {
        size if size > 4 * GIB => Some("no kernel unpacks more than 4 GiB at once"),
        size if size > GIB && bios => {
            Some("a BIOS machine has less than 4 GiB for it, packed and unpacked together")
        }
        _ => None,
    }
}

fn hidden_path(path: &str) -> bool {
    RESERVED_PATHS.iter().any(|reserved| {
        path.strip_prefix(reserved).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
