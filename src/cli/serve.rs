//! `bootlace serve`: the life of the appliance. Load settings and records (everything that is wrong is
//! said), open sockets, say what listens where, serve until told to stop, drain with a limit.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::config::api::{ApiFlags, ApiListen};
use crate::config::file::Flags;
use crate::config::{FirmwareSource, HttpListen, InterfaceSettings, Mode, Settings, StateFolder};
use crate::journal::log::{self, LogFormat};
use crate::journal::{Event, Journal, Level, Notice};
use crate::link::dhcp::{self, Listener};
use crate::link::{Interface, LinkError, Links, Peers};
use crate::openchami::start::Running;
use crate::reload::{self, Assembled};
use crate::{control, firmware, http, openchami, tftp};

/// How long open transfers may go on after a signal.
const DRAIN: Duration = Duration::from_secs(5);

/// Flags of `bootlace serve`. Each is also a key of bootlace.yaml; a flag wins.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Interface to serve; may be repeated.
    #[arg(long = "interface", value_name = "IF")]
    interfaces: Vec<String>,
    /// proxy: boot data beside another DHCP server; auto-proxy: for clients in no record too; reservation:
    /// addresses too; reservation+proxy: addresses for nodes that have one; 4011-only: beside a daemon that
    /// owns port 67; observe: send nothing.
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// Node records (OpenCHAMI's nodes.yaml or .json); may be repeated.
    #[arg(long, value_name = "FILE")]
    nodes: Vec<PathBuf>,
    /// Boot entries (boot.yaml); may be repeated.
    #[arg(long, value_name = "FILE")]
    boot: Vec<PathBuf>,
    /// Folder whose files are served by TFTP and HTTP: kernels, initrds, images.
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Folder with script templates that replace the built-in ones.
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// Folder with cloud-init's defaults.yaml, groups.yaml and nodes.yaml, as `ochami cloud-init` takes them.
    #[arg(long, value_name = "DIR")]
    cloud_init: Option<PathBuf>,
    /// Folder with loaders, or `none` [default: where `bootlace firmware fetch` puts them].
    #[arg(long, value_name = "DIR|none")]
    firmware: Option<PathBuf>,
    /// HTTP listener; may be repeated [default: :8081, on the served interfaces].
    #[arg(long, value_name = "ADDR:PORT")]
    http: Vec<HttpListen>,
    /// Folder of what outlives bootlace, or `none` [default: $STATE_DIRECTORY; for root /var/lib/bootlace if it
    /// exists].
    #[arg(long, value_name = "DIR|none")]
    state: Option<PathBuf>,
    /// Where the API is served [default: 127.0.0.1:8082]; off loopback it speaks TLS and needs tokens.
    #[arg(long, value_name = "ADDR:PORT|none")]
    api: Option<ApiListen>,
    /// Let everybody who reaches the API list components and network cards, without a token.
    #[arg(long)]
    public_inventory: bool,
    /// Further name or address in the certificate that is made for the API; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = crate::config::api::tls_name)]
    tls_name: Vec<String>,
    /// Form of the log on stderr [default: text].
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

impl Args {
    /// The same in another mode.
    pub(super) fn in_mode(self, mode: Mode) -> Self {
        Self { mode: Some(mode), ..self }
    }

    fn flags(self) -> Flags {
        Flags {
            config: self.config,
            interfaces: some(self.interfaces),
            mode: self.mode,
            nodes: some(self.nodes),
            boot: some(self.boot),
            assets: self.assets,
            templates: self.templates,
            cloud_init: self.cloud_init,
            firmware: self.firmware.map(|path| {
                if path.as_os_str() == "none" { FirmwareSource::None } else { FirmwareSource::Folder(path) }
            }),
            http: some(self.http),
            state: self.state.map(|path| StateFolder::read(&path, Path::new(""))),
            api: ApiFlags {
                listen: self.api,
                public_inventory: self.public_inventory,
                tls_names: some(self.tls_name),
            },
            log_format: self.log_format,
        }
    }
}

/// Runs it until a signal. Usage errors give 2, everything else that stops it 1.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let flags = args.flags();
    let loaded = crate::config::load(&flags);
    log::start(
        loaded.settings.as_ref().map(|settings| settings.log_format).or(flags.log_format).unwrap_or_default(),
    );
    let (journal, writer) = Journal::start();
    let code = serve(&flags, loaded, &journal).unwrap_or_else(|problem| {
        journal.say(Level::Error, "failed", format!("{problem:#}"));
        ExitCode::FAILURE
    });
    drop(journal);
    writer.finish();
    Ok(code)
}

fn serve(flags: &Flags, loaded: crate::config::Loaded, journal: &Journal) -> anyhow::Result<ExitCode> {
    reload::report(journal, &loaded.diagnostics);
    let settings =
        loaded.settings.ok_or_else(|| anyhow!("the settings are not usable: nothing was started"))?;
    if settings.interfaces.is_empty() {
        let known: Vec<_> =
            pnet::datalink::interfaces().into_iter().map(|interface| interface.name).collect();
        journal.say(
            Level::Error,
            "failed",
            format!("no interface to serve: name one with --interface IF (there are: {})", known.join(", ")),
        );
        return Ok(ExitCode::from(2));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = settings.interfaces.iter().find(|interface| !names.insert(&interface.name)) {
        return Err(anyhow!("interface {} is named twice", twice.name));
    }
    let interfaces: Vec<Interface> =
        settings.interfaces.iter().map(Interface::find).collect::<Result<_, _>>()?;
    let Assembled { world, warnings } = reload::assemble(settings, flags.config.as_deref(), &interfaces)
        .map_err(|problems| {
            reload::report(journal, &problems);
            anyhow!("the files say no: nothing was started")
        })?;
    reload::report(journal, &warnings);
    loaders_or_advice(&world, journal)?;

    // One thread each, so that a long window or a large file never delays an OFFER.
    let single = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (for_dhcp, for_tftp) = (single()?, single()?);
    let for_http = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listeners: Vec<(InterfaceSettings, Listener)> = {
        let _in_runtime = for_dhcp.enter();
        let pairs = world.settings.interfaces.iter().zip(&interfaces);
        pairs
            .map(|(settings, interface)| {
                // The mode in force settles which ports are bound.
                let mode = Some(settings.mode.unwrap_or(world.settings.mode));
                let settings = InterfaceSettings { mode, ..settings.clone() };
                let listener = Listener::open(&settings, interface.clone())?;
                Ok((settings, listener))
            })
            .collect::<Result<_, LinkError>>()?
    };
    for cost in listeners.iter().flat_map(|(_, listener)| &listener.costs) {
        journal.say(Level::Warn, "transport", cost.clone());
    }
    let answering: Vec<Interface> = answering(&world.settings, &interfaces);
    let answers = |interface: &Interface| answering.contains(interface);
    for interface in answering.iter().filter(|interface| !interface.has_its_address()) {
        let text = format!(
            "{} has no address: {} is another machine's, and TFTP and HTTP there are its task",
            interface.label(),
            interface.address
        );
        journal.say(Level::Warn, "transport", text);
    }
    let transports: Vec<_> = listeners.iter().map(|(_, listener)| listener.transport()).collect();
    let links = Links::new(interfaces.clone()).answering_on(answers);
    let tftp_server = if answering.is_empty() {
        None
    } else {
        let _in_runtime = for_tftp.enter();
        Some(bind_tftp(&world.settings, &answering)?.follow(&links))
    };
    let mut listen = world.settings.http.clone();
    listen.retain(|listen| may_listen(listen, &interfaces, &answering));
    let addresses = http::addresses(&listen, answering.iter());
    let http_listeners = {
        let _in_runtime = for_http.enter();
        http::bind(&addresses)?
    };

    let admin = {
        let _in_runtime = for_http.enter();
        http::admin::bind(&world.settings, world.settings.state.as_deref())?
    };
    let control = control::folder(world.settings.state.as_deref()).and_then(|folder| {
        let bound = control::server::bind(&folder);
        // Commands can do without it, machines boot without it.
        bound.inspect_err(|error| journal.say(Level::Warn, "control", error.to_string())).ok()
    });
    let api = admin.as_ref().map(http::admin::AdminListener::url);
    let ready = ready(&world, &interfaces, &transports, &addresses, api);
    let running = openchami::start::start(world, journal)?;
    let current = running.current.clone();
    let peers = Peers::on(links.clone());
    let (stop, stopped) = watch::channel(false);
    let (failed, mut failures) = mpsc::channel::<anyhow::Error>(4);
    let mut threads = Vec::new();
    {
        let (current, peers, journal, stopped) =
            (current.clone(), peers.clone(), journal.clone(), stopped.clone());
        let (failed, links) = (failed.clone(), links.clone());
        threads.push(std::thread::spawn(move || {
            let ended = for_dhcp.block_on(dhcp::serve(listeners, links, current, peers, journal, stopped));
            report_end(ended.map_err(anyhow::Error::from), &failed);
        }));
    }
    if let Some(tftp_server) = tftp_server {
        let (current, peers, journal, stopped) =
            (current.clone(), peers.clone(), journal.clone(), stopped.clone());
        let failed = failed.clone();
        threads.push(std::thread::spawn(move || {
            let ended = for_tftp.block_on(tftp_server.run(
                current,
                peers,
                move |event| journal.note(Event::Tftp(event)),
                stopped,
            ));
            report_end(ended.map_err(anyhow::Error::from), &failed);
        }));
    }
    let http_journal = journal.clone();
    let for_admin = peers.clone();
    let http_task = for_http.spawn(http::serve(
        http_listeners,
        listen,
        links.clone(),
        running.api.clone(),
        peers,
        http_journal,
        stopped.clone(),
    ));
    let admin_task = admin.map(|listener| {
        let (peers, current) = (for_admin, running.current.clone());
        let who: http::admin::Identify = Arc::new(move |address| {
            let (asker, doubt) = http::services::asker(&peers, &current.load().records, address);
            (asker, doubt.map(|doubt| doubt.to_string()))
        });
        let journal = journal.clone();
        let sink: http::Sink = Arc::new(move |event| journal.note(event));
        let (api, world) = (running.api.clone(), running.current.clone());
        for_http.spawn(http::admin::serve(listener, api, world, who, sink, stopped.clone()))
    });
    let control_task = control.map(|listener| {
        let handler = openchami::api::local::handler(running.api.clone());
        for_http.spawn(control::server::serve(listener, handler, stopped))
    });

    let ended = for_http.block_on(async {
        let result = tokio::select! {
            result = until_signal(ready, flags, &running, &links, journal) => result,
            failure = failures.recv() => Err(failure.unwrap_or_else(|| anyhow!("a server thread ended"))),
        };
        // Nobody listens for `stop` any more only when everything has ended already.
        let _ = stop.send(true);
        let _ = tokio::time::timeout(DRAIN, http_task).await;
        if let Some(task) = admin_task {
            let _ = tokio::time::timeout(DRAIN, task).await;
        }
        if let Some(task) = control_task {
            // Whatever ends it then, its socket goes with the process.
            let _ = tokio::time::timeout(DRAIN, task).await;
        }
        result
    });
    for_http.shutdown_timeout(Duration::from_secs(1));
    for thread in threads {
        // A panic was printed by its own thread; the process ends either way.
        let _ = thread.join();
    }
    running.writer.close();
    ended?;
    journal.say(Level::Info, "stopped", "stopped");
    Ok(ExitCode::SUCCESS)
}

fn report_end(ended: anyhow::Result<()>, failed: &mpsc::Sender<anyhow::Error>) {
    if let Err(problem) = ended {
        // Full or closed: another failure ends the process already.
        let _ = failed.try_send(problem);
    }
}

/// Reloads on SIGHUP and on changes of the files, returns on SIGTERM and SIGINT.
async fn until_signal(
    ready: Event,
    flags: &Flags,
    running: &Running,
    links: &Links,
    journal: &Journal,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    // A file that reaches a limit on file sizes is an error of that write, not the end of the process.
    let _too_large = signal(SignalKind::from_raw(nix::libc::SIGXFSZ)).context("cannot listen for SIGXFSZ")?;
    let mut watcher =
        reload::Watcher::new(&running.current.load().settings, flags.config.as_deref(), journal);
    // Said only now: who waits for it may send a signal or change a file at once.
    journal.note(ready);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => {}
            () = watcher.changed() => {}
        }
        reload::reload(flags, running, &links.interfaces(), journal).await;
        watcher.follow(&running.current.load().settings, flags.config.as_deref());
    }
}

/// The served interfaces, and loopback: who tries `tftp OUR_ADDRESS` on this very machine asks over that.
/// Another TFTP server there is no reason not to start.
fn bind_tftp(settings: &Settings, interfaces: &[Interface]) -> Result<tftp::Server, tftp::TftpError> {
    let served = || {
        let pairs = interfaces.iter().zip(&settings.interfaces).filter(|(_, settings)| settings.v6.serves());
        let over_v6 = pairs.map(|(interface, _)| {
            // The socket hears all of them, also those that come later.
            let first = interface.v6.first().copied().unwrap_or(Ipv6Addr::UNSPECIFIED);
            tftp::Listen { address: first.into(), ..tftp::Listen::from(interface) }
        });
        interfaces.iter().map(tftp::Listen::from).chain(over_v6).collect::<Vec<_>>()
    };
    let loopback = interfaces.first().filter(|_| interfaces.iter().all(|interface| &*interface.name != "lo"));
    let with_loopback = loopback.map(|first| {
        let mut all = served();
        all.push(tftp::Listen { interface: "lo".to_owned(), ..first.into() });
        tftp::bind(all)
    });
    match with_loopback {
        Some(Ok(server)) => Ok(server),
        _ => tftp::bind(served()),
    }
}

/// The interfaces where something is sent at all. Nothing listens by TFTP or HTTP on the others.
fn answering(settings: &Settings, interfaces: &[Interface]) -> Vec<Interface> {
    let answers = |interface: &&Interface| dhcp::in_force(settings, &interface.name).0.answers();
    interfaces.iter().filter(answers).cloned().collect()
}

/// False for the address of an interface that is only observed, and for all when none is more than that.
fn may_listen(listen: &HttpListen, interfaces: &[Interface], answering: &[Interface]) -> bool {
    let at =
        |own: &[Interface]| own.iter().any(|interface| Some(IpAddr::V4(interface.address)) == listen.address);
    !answering.is_empty() && (!at(interfaces) || at(answering))
}

/// Without any loader nothing but iPXE ROMs can boot: say which command gets them. One missing architecture
/// is only worth a warning.
fn loaders_or_advice(world: &crate::world::World, journal: &Journal) -> anyhow::Result<()> {
    let FirmwareSource::Folder(folder) = &world.settings.firmware else { return Ok(()) };
    let sends = |own: &crate::config::InterfaceSettings| own.mode.unwrap_or(world.settings.mode).answers();
    if world.loaders.is_empty() && world.settings.interfaces.iter().any(sends) {
        return Err(anyhow!("{}", firmware::no_loaders_message(folder)));
    }
    // Debian builds none for some; only what a fetch would bring is worth a warning at every start.
    let missing: Vec<_> = world.loaders.missing().into_iter().filter(|missing| missing.fetchable).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|missing| missing.loader).collect();
        let text = format!(
            "missing loaders: {}; their machines get no answer. Get them: {}",
            names.join(", "),
            firmware::fetch_command(Some(folder))
        );
        let archs: Vec<u16> = missing.iter().flat_map(|missing| &missing.archs).map(|arch| arch.0).collect();
        let fields = vec![("architectures", archs.into())];
        journal.note(Event::Notice(Notice { level: Level::Warn, name: "loaders-missing", text, fields }));
    }
    Ok(())
}

/// The line that says every listener answers.
fn ready(
    world: &crate::world::World,
    interfaces: &[Interface],
    transports: &[&str],
    http: &[SocketAddr],
    api: Option<String>,
) -> Event {
    let settings = &world.settings;
    let join = |items: Vec<String>| items.join(",");
    let modes: BTreeSet<&str> =
        settings.interfaces.iter().map(|interface| interface.mode.unwrap_or(settings.mode).name()).collect();
    let fields = vec![
        ("interface", join(interfaces.iter().map(|interface| interface.name.to_string()).collect()).into()),
        ("mode", join(modes.into_iter().map(str::to_owned).collect()).into()),
        ("http", join(http.iter().map(ToString::to_string).collect()).into()),
        ("nodes", world.records.node_count().into()),
        ("entries", world.records.entry_count().into()),
        ("transport", join(transports.iter().map(|transport| (*transport).to_owned()).collect()).into()),
        ("api", api.unwrap_or_else(|| "none".to_owned()).into()),
    ];
    Event::Notice(Notice { level: Level::Info, name: "ready", text: String::new(), fields })
}
