//! Building a [`World`] from settings and files, at start and again on SIGHUP or a change on disk: all of it
//! or nothing. A file that is wrong changes nothing and says so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::boot::template::Templates;
use crate::config::diagnostic::{Code, Diagnostic, Severity};
use crate::config::file::Flags;
use crate::config::{ApiSettings, FirmwareSource, Settings};
use crate::firmware::Loaders;
use crate::journal::{Event, Journal, Level, Notice};
use crate::link::Interface;
use crate::link::dhcp::in_force;
use crate::openchami::cloud_init::{self, files::CloudFiles};
use crate::openchami::start::Running;
use crate::records::{self, BmcKey, load::ServedSubnet};
use crate::world::World;

/// Editors and copies write in several steps: wait until the files have been quiet this long.
const SETTLE: Duration = Duration::from_millis(200);

/// A world that can be served, and what is worth a warning.
#[derive(Debug)]
pub struct Assembled {
    /// The world.
    pub world: World,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

/// Reads everything that `settings` name; `config` is the bootlace.yaml they come from, if any. Gives a
/// world, or all problems.
pub fn assemble(
    mut settings: Settings,
    config: Option<&Path>,
    interfaces: &[Interface],
) -> Result<Assembled, Vec<Diagnostic>> {
    for own in &mut settings.interfaces {
        let found = interfaces.iter().find(|interface| *interface.name == *own.name);
        own.served_at = found.map(|interface| interface.address);
        own.served_in = found.map(|interface| interface.network);
    }
    let loaded = records::load::load(&settings.nodes, &settings.boot, Some(&settings), config);
    let mut problems = loaded.diagnostics;
    if let Some(snapshot) = &loaded.snapshot {
        problems.extend(records::load::address_problems(snapshot, &served_subnets(&settings, interfaces)));
    }
    let templates = Templates::load(settings.templates.as_deref()).unwrap_or_else(|found| {
        problems.extend(found.into_iter().map(|problem| {
            let mut diagnostic =
                Diagnostic::of_file(Severity::Error, Code::BadTemplate, &problem.file, problem.message);
            diagnostic.line = problem.line;
            diagnostic
        }));
        Templates::default()
    });
    let loaders = match &settings.firmware {
        FirmwareSource::None => Loaders::default(),
        FirmwareSource::Folder(folder) => match Loaders::from_folder(folder) {
            Ok((loaders, found)) => {
                problems.extend(found.into_iter().map(|problem| {
                    Diagnostic::of_file(Severity::Warning, Code::BadLoader, &problem.path, problem.what)
                }));
                loaders
            }
            // An absent folder is the same as an empty one: `serve` says which command fills it.
            Err(_) => Loaders::default(),
        },
    };
    if let Some(assets) = settings.assets.as_ref().filter(|assets| !assets.is_dir()) {
        let mut problem =
            Diagnostic::of_file(Severity::Error, Code::CannotRead, assets, "is not a folder".to_owned());
        problem.advise("`assets` names the folder with kernels and initrds");
        problems.push(problem);
    }
    let mut cloud_files = CloudFiles::default();
    if let Some(folder) = &settings.cloud_init {
        let found;
        (cloud_files, found) = cloud_init::files::load(folder);
        problems.extend(found);
    }
    match loaded.snapshot {
        Some(mut records) if !problems.iter().any(Diagnostic::is_error) => {
            for (place, bmc) in (0..).zip(loaded.bmcs) {
                records.put_bmc(BmcKey::File(place), bmc);
            }
            let mut world = World::new(settings, records, loaders, templates);
            world.inventory.lay_cloud_files(&cloud_files);
            Ok(Assembled { world, warnings: problems })
        }
        _ => Err(problems),
    }
}

/// The networks that addresses are handed out in: only where an interface's mode does that.
fn served_subnets(settings: &Settings, interfaces: &[Interface]) -> Vec<ServedSubnet> {
    let gives = |interface: &&Interface| in_force(settings, &interface.name).0.gives_addresses();
    let own = interfaces.iter().filter(gives);
    own.map(|interface| {
        let router = settings.subnet_of(interface.address).and_then(|subnet| subnet.router);
        (interface.network, interface.address, router)
    })
    .collect()
}

/// Writes problems into the log.
pub fn report(journal: &Journal, problems: &[Diagnostic]) {
    for problem in problems {
        let level = if problem.is_error() { Level::Error } else { Level::Warn };
        let line = problem.one_line();
        let text = line.replacen(": error: ", ": ", 1).replacen(": warning: ", ": ", 1);
        let fields = match serde_json::to_value(problem) {
            Ok(value) => vec![("problem", value)],
            Err(_) => Vec::new(),
        };
        journal.note(Event::Notice(Notice { level, name: "problem", text, fields }));
    }
}

/// Reads everything again and swaps the world, or keeps the old one and says why.
pub async fn reload(flags: &Flags, running: &Running, interfaces: &[Interface], journal: &Journal) {
    let loaded = crate::config::load(flags);
    report(journal, &loaded.diagnostics);
    let Some(mut settings) = loaded.settings else {
        return journal.say(
            Level::Error,
            "reload-failed",
            "reload failed: the old records and settings stay in force",
        );
    };
    let old = running.current.load();
    for key in keep_what_needs_a_restart(&mut settings, &old.settings) {
        journal.note(Event::Notice(Notice {
            level: Level::Warn,
            name: "restart-needed",
            text: format!("`{key}` changed: that needs a restart; the old value stays in force"),
            fields: vec![("key", key.into())],
        }));
    }
    match assemble(settings, flags.config.as_deref(), interfaces) {
        Err(problems) => {
            report(journal, &problems);
            journal.say(
                Level::Error,
                "reload-failed",
                "reload failed: the old records and settings stay in force",
            );
        }
        Ok(Assembled { world, warnings }) => {
            report(journal, &warnings);
            let (nodes, entries) = (world.records.node_count(), world.records.entry_count());
            // In turn with the writes of the API: what they stored comes under the new files.
            let over_the_store = move |old: &World| world.with(&world.live().over(&old.inventory));
            if let Err(error) = running.writer.replace(over_the_store).await {
                return journal.say(Level::Error, "reload-failed", format!("reload failed: {error}"));
            }
            journal.note(Event::Notice(Notice {
                level: Level::Info,
                name: "reloaded",
                text: format!("reloaded: {nodes} nodes, {entries} boot entries"),
                fields: vec![("nodes", nodes.into()), ("entries", entries.into())],
            }));
        }
    }
}

/// Puts back the old values of keys that open sockets stand on; names the keys that had changed.
fn keep_what_needs_a_restart(new: &mut Settings, old: &Settings) -> Vec<&'static str> {
    let mut changed = Vec::new();
    let sockets = |settings: &Settings| {
        let each = settings.interfaces.iter();
        each.map(|interface| (interface.name.clone(), interface.address, interface.transport))
            .collect::<Vec<_>>()
    };
    if sockets(new) != sockets(old) {
        changed.push("interfaces");
        new.interfaces.clone_from(&old.interfaces);
    }
    for (new, old) in new.interfaces.iter_mut().zip(&old.interfaces) {
        let switches = [
            ("dhcpv6", new.v6.dhcpv6 != old.v6.dhcpv6),
            ("router_advertisements", new.v6.router_advertisements != old.v6.router_advertisements),
        ];
        for (key, _) in switches.into_iter().filter(|(_, differs)| *differs) {
            if !changed.contains(&key) {
                changed.push(key);
            }
        }
        new.v6 = old.v6;
    }
    // Which ports are bound depends on the mode.
    let ports = |settings: &Settings| {
        let modes = settings.interfaces.iter().map(|own| own.mode.unwrap_or(settings.mode));
        modes.map(|mode| (mode.answers(), mode.answers_on_67())).collect::<Vec<_>>()
    };
    if ports(new) != ports(old) {
        changed.push("mode");
        new.mode = old.mode;
        new.interfaces.clone_from(&old.interfaces);
    }
    if new.http != old.http {
        changed.push("http");
        new.http.clone_from(&old.http);
    }
    let listener = [
        ("api", new.api.listen != old.api.listen),
        ("api_tls", new.api.tls != old.api.tls),
        ("api_tokens", new.api.tokens != old.api.tokens),
        ("tls_name", new.api.tls_names != old.api.tls_names),
    ];
    changed.extend(listener.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key));
    new.api = ApiSettings {
        public_inventory: new.api.public_inventory,
        hosts: std::mem::take(&mut new.api.hosts),
        trusted_proxies: std::mem::take(&mut new.api.trusted_proxies),
        ..old.api.clone()
    };
    if new.log_format != old.log_format {
        changed.push("log_format");
        new.log_format = old.log_format;
    }
    changed
}

/// Watches the files that a world is built from. Folders are watched, not files: editors replace files.
#[derive(Debug)]
pub struct Watcher {
    events: mpsc::Receiver<Vec<PathBuf>>,
    notify: Option<notify::RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    whole: BTreeSet<PathBuf>,
}

impl Watcher {
    /// Watches what `settings` name, and the settings file. Where the kernel cannot, that is said once and
    /// SIGHUP is left.
    pub fn new(settings: &Settings, config: Option<&Path>, journal: &Journal) -> Self {
        let (sender, events) = mpsc::channel(64);
        let notify = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !matches!(event.kind, EventKind::Access(_))
            {
                // A full queue holds enough reasons to reload already.
                let _ = sender.try_send(event.paths);
            }
        });
        let notify = match notify {
            Ok(notify) => Some(notify),
            Err(error) => {
                let text = format!("cannot watch files ({error}): after a change, send SIGHUP");
                journal.say(Level::Warn, "watch-failed", text);
                None
            }
        };
        let mut watcher =
            Self { events, notify, folders: BTreeSet::new(), files: BTreeSet::new(), whole: BTreeSet::new() };
        watcher.follow(settings, config);
        watcher
    }

    /// Watches what these settings name from now on.
    pub fn follow(&mut self, settings: &Settings, config: Option<&Path>) {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self.files = settings.nodes.iter().chain(&settings.boot).map(|path| absolute(path)).collect();
        self.files.extend(config.map(absolute));
        self.files.extend(
            settings
                .cloud_init
                .iter()
                .flat_map(|folder| cloud_init::files::paths(folder))
                .map(|path| absolute(&path)),
        );
        self.whole = settings.templates.iter().map(|path| absolute(path)).collect();
        if let FirmwareSource::Folder(folder) = &settings.firmware {
            self.whole.insert(absolute(folder));
        }
        let mut wanted: BTreeSet<PathBuf> =
            self.files.iter().filter_map(|file| file.parent().map(Path::to_owned)).collect();
        wanted.extend(self.whole.iter().cloned());
        if let Some(notify) = &mut self.notify {
            for gone in self.folders.difference(&wanted) {
                // A folder that was removed is no longer watched anyway.
                let _ = notify.unwatch(gone);
            }
            self.folders = wanted
                .into_iter()
                .filter(|folder| {
                    self.folders.contains(folder) || notify.watch(folder, RecursiveMode::NonRecursive).is_ok()
                })
                .collect();
        }
    }

    /// Returns when one of the files changed and has been quiet for a moment.
    pub async fn changed(&mut self) {
        loop {
            let Some(paths) = self.events.recv().await else {
                return std::future::pending().await;
            };
            if !paths.iter().any(|path| self.concerns(path)) {
                continue;
            }
            while let Ok(Some(_)) = tokio::time::timeout(SETTLE, self.events.recv()).await {}
            return;
        }
    }

    fn concerns(&self, path: &Path) -> bool {
        self.files.contains(path) || path.parent().is_some_and(|folder| self.whole.contains(folder))
    }
}
