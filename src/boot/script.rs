//! The boot script of a node: `GET /boot/v1/bootscript` of OpenCHAMI's BSS, as a pure
//! function of records, settings and templates.
//!
//! Always a script, never an error: a machine that is not booted is told why on its own console, and asks
//! again later, so that it is never lost in a firmware menu because of a moment's trouble.

use std::net::IpAddr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::Cpu;
use crate::config::Mode;
use crate::openchami::cloud_init::names;
use crate::policy::Reason;
use crate::records::{BootEntry, BootFile, Instead, Mac, NextBoot, Node, Snapshot, Xname};
use crate::world::World;

use super::kernel_line::{self, COMMAND_LINE_MAX, Identity};
use super::resolve::{Match, SelectorKind, resolve};
use super::seed::seed;
use super::template::{Name, RenderError, Values};
use super::text;

/// Seconds between two tries of a node that has something to boot (BSS's `BSS_RETRY_DELAY`).
const RETRY_DELAY: u32 = 30;
/// Seconds that a node waits that has nothing to boot: the first time, and at most.
const WAIT_DELAY: (u32, u32) = (10, 60);
/// Retry numbers beyond are not counted further.
const RETRY_MAX: u32 = 99_999;
/// Characters of a path under the asset folder that must not stand in a URL as they are.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// By what a script is asked for; the first of `mac`, `name`, `nid` that is present.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// `mac=`
    Mac {
        /// The address.
        mac: Mac,
        /// With dashes, in the letters of the request: what BOOTIF carries.
        dashed: String,
    },
    /// `mac=` with something else.
    NotAMac(String),
    /// `name=`: an xname, or the name in nodes.yaml.
    Name(String),
    /// `nid=`
    Nid(u32),
}

impl Who {
    /// Reads the value of `mac=`, in any spelling that [`Mac`] knows.
    pub fn mac(text: &str) -> Self {
        let Ok(mac) = text.parse() else { return Self::NotAMac(text.to_owned()) };
        let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
        let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
        Self::Mac { mac, dashed: pairs.join("-") }
    }
}

/// One request for a script.
#[derive(Clone, Debug)]
pub struct ScriptRequest {
    /// For whom.
    pub who: Who,
    /// How often it asked before.
    pub retry: u32,
    /// What the client says of its processor (iPXE's `buildarch`).
    pub arch: Option<String>,
    /// Scheme and authority by which the client reaches us, `http://10.0.0.1:8081`.
    pub base: String,
    /// Path that was asked, `/boot/v1/bootscript`: a gateway in between may know no other.
    pub path: String,
    /// Our address that was asked: the mode there says whether a MAC in no record is served.
    pub local: Option<IpAddr>,
}

/// What a node boots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boot {
    /// URL, or `local`.
    pub kernel: String,
    /// URL.
    pub initrd: Option<String>,
    /// Kernel command line, not escaped.
    pub params: String,
}

/// The answer.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The script.
    pub text: String,
    /// Label of the node it is for.
    pub node: Option<String>,
    /// Its xname.
    pub xname: Option<Xname>,
    /// It is the script of a next boot that was asked for once, and of the first try of it.
    pub once: bool,
    /// Name of the boot entry.
    pub entry: Option<String>,
    /// By what the entry matched.
    pub by: Option<SelectorKind>,
    /// Why the node is not booted.
    pub reason: Option<Reason>,
    /// What is booted.
    pub boot: Option<Boot>,
    /// The template that failed; the script says so on the node's console.
    pub problem: Option<RenderError>,
    /// Worth a word in the log: too long a kernel line and the like.
    pub notes: Vec<String>,
}

impl Script {
    /// The form of `json=1`; `None` for a node that boots nothing.
    pub fn json(&self) -> Option<serde_json::Value> {
        let boot = self.boot.as_ref()?;
        let mut value = serde_json::json!({
            "params": format!("kernel {}", boot.params),
            "kernel": {"path": boot.kernel},
        });
        if let Some(initrd) = &boot.initrd {
            value["initrd"] = serde_json::json!({"path": initrd});
        }
        Some(value)
    }
}

/// Writes the script for a request.
pub fn bootscript(world: &World, request: &ScriptRequest) -> Script {
    let stranger = stranger(world, request);
    let Some(node) = find(&world.records, &request.who).or(stranger.as_ref()) else {
        return unknown(world, request);
    };
    let mac = match &request.who {
        Who::Mac { mac, .. } => Some(*mac),
        _ => None,
    };
    let hostname = names::hostname(&world.inventory, node, world.settings.hostname);
    let mut values = Values::of_node(node, mac, hostname);
    values.server = request.base.clone();
    values.retry = request.retry;
    let who = match values.mac.clone() {
        Some(mac) => format!("mac={mac}"),
        None => claim(&request.who),
    };
    values.url = again(request, &who);
    let label = node.label();
    let script = Script { node: Some(label.clone()), xname: node.xname.clone(), ..Script::default() };

    if !node.netboot {
        values.message = format!("{label} is not booted: its record says netboot: false (netboot-off)");
        return refuse(world, script, Name::Exit, values, Reason::NetbootOff);
    }
    if node.disabled {
        values.message = format!("{label} waits: it is disabled, Enabled is false (node-disabled)");
        values.delay = wait_delay(request.retry);
        return refuse(world, script, Name::Wait, values, Reason::NodeDisabled);
    }
    let (node, once) = in_this_boot(node, request.retry);
    match choose(&world.records, &node, request.arch.as_deref()) {
        Choice::Entry(Match { entry, by }) => {
            values.entry = Some(entry.name.clone());
            values.by = Some(by.name());
            let once = once && by == SelectorKind::Once;
            let script = Script { entry: Some(entry.name.clone()), by: Some(by), once, ..script };
            boot(world, request, &node, &entry, script, values)
        }
        Choice::AskProcessor => {
            values.url =
                format!("{}{}?{who}&retry={}&arch=${{arch}}", request.base, request.path, request.retry);
            render(world, script, Name::Arch.file(), &values)
        }
        Choice::Nothing => {
            values.message = format!("{label} has nothing to boot: no boot entry matches it (no-boot-entry)");
            values.delay = wait_delay(request.retry);
            refuse(world, script, Name::Wait, values, Reason::NoBootEntry)
        }
    }
}

/// The node that a request is about.
fn find<'w>(records: &'w Snapshot, who: &Who) -> Option<&'w Arc<Node>> {
    match who {
        Who::Mac { mac, .. } => records.by_mac(*mac),
        Who::NotAMac(_) => None,
        Who::Name(name) => {
            let by_xname = name.parse::<Xname>().ok().and_then(|xname| records.by_xname(&xname));
            by_xname.or_else(|| records.by_name(name))
        }
        Who::Nid(nid) => records.by_nid(*nid),
    }
}

/// The node as its next boot shows it: with the profile of that boot, so that the profile's template counts. The
/// tries after the first belong to the same boot, also when it was taken meanwhile. True: nobody took it yet.
fn in_this_boot(node: &Arc<Node>, retry: u32) -> (Arc<Node>, bool) {
    match &node.next_boot {
        Some(next) if !next.taken || retry > 0 => {
            let mut node = Node::clone(node);
            node.next_boot = Some(NextBoot { taken: false, ..next.clone() });
            if let Instead::Profile(profile) = &next.what {
                node.profile = Some(profile.clone());
            }
            (Arc::new(node), !next.taken && !next.stays)
        }
        _ => (Arc::clone(node), false),
    }
}

/// What stands for a MAC in no record where DHCP serves such, mode `auto-proxy`. Everywhere else the `Default`
/// entry is for known nodes only.
fn stranger(world: &World, request: &ScriptRequest) -> Option<Arc<Node>> {
    let Who::Mac { mac, .. } = request.who else { return None };
    let serves = world.settings.mode_at(request.local?) == Mode::AutoProxy;
    (serves && world.records.by_mac(mac).is_none()).then(|| Arc::new(Node::stranger(mac)))
}

/// The waiting script for somebody in no record. Never the `Default` entry: that is for known nodes.
fn unknown(world: &World, request: &ScriptRequest) -> Script {
    let shown = |text: &str| text::plain(text, 64);
    let mut values = Values { server: request.base.clone(), retry: request.retry, ..Values::default() };
    values.message = match &request.who {
        Who::Mac { mac, .. } => {
            values.mac = Some(mac.to_string());
            if let Some(entry) = world.records.entry_by_mac(*mac) {
                values
                    .notes
                    .push(format!("boot entry {} names this MAC, but a node record must, too", entry.name));
            }
            format!("MAC {mac} is in no node record, so nothing is booted (unknown-mac)")
        }
        Who::NotAMac(text) => {
            format!("'{}' is no MAC address, so nothing is booted (unknown-mac)", shown(text))
        }
        Who::Name(name) => format!("no node is named '{}', so nothing is booted (unknown-mac)", shown(name)),
        Who::Nid(nid) => format!("no node has the number {nid}, so nothing is booted (unknown-mac)"),
    };
    values.url = again(request, &claim(&request.who));
    values.delay = wait_delay(request.retry);
    refuse(world, Script::default(), Name::Wait, values, Reason::UnknownMac)
}

/// The script that boots `entry`.
fn boot(
    world: &World,
    request: &ScriptRequest,
    node: &Node,
    entry: &BootEntry,
    mut script: Script,
    mut values: Values,
) -> Script {
    values.delay = RETRY_DELAY;
    let Some(kernel) = url(&request.base, &entry.kernel) else {
        script.boot = Some(Boot { kernel: "local".to_owned(), initrd: None, params: String::new() });
        let template = entry.script.as_deref().unwrap_or(Name::Local.file());
        return render(world, script, template, &values);
    };
    let initrd = entry.initrd.as_ref().and_then(|file| url(&request.base, file));
    let seed = seed(&world.inventory, node, &request.base);
    let identity = Identity {
        xname: node.xname.as_ref().map(Xname::as_str),
        nid: node.nid,
        bootif: match &request.who {
            Who::Mac { dashed, .. } => Some(dashed),
            _ => None,
        },
        seed: seed.as_deref(),
    };
    let params = kernel_line::assemble(&entry.params, initrd.is_some(), &identity);
    let escaped = kernel_line::escape(&params);
    if escaped.expands {
        values.notes.push("iPXE replaces the variables of its own in the kernel parameters".to_owned());
    }
    if params.len() > COMMAND_LINE_MAX {
        let length = params.len();
        values.notes.push(format!("kernel line of {length} bytes: most kernels keep {COMMAND_LINE_MAX}"));
    }
    if [Some(&kernel), initrd.as_ref()].into_iter().flatten().any(|url| url.starts_with("s3://")) {
        values.notes.push("iPXE cannot fetch s3:// URLs, the boot entry needs http://".to_owned());
    }
    values.params = escaped.line;
    values.setup = escaped.setup;
    values.kernel = Some(kernel.clone());
    values.initrd.clone_from(&initrd);
    script.boot = Some(Boot { kernel, initrd, params });
    script.notes.clone_from(&values.notes);

    let profile = world.settings.profile(node.profile.as_deref());
    let template = entry.script.as_deref().or_else(|| profile?.script.as_deref());
    render(world, script, template.unwrap_or(Name::Default.file()), &values)
}

/// A script that says why the node is not booted.
fn refuse(world: &World, script: Script, template: Name, mut values: Values, reason: Reason) -> Script {
    values.reason = Some(reason.name());
    render(world, Script { reason: Some(reason), ..script }, template.file(), &values)
}

/// Fills in the text. Where the template fails, a script takes its place that says so and asks again: the
/// operator repairs the template, and the machine boots.
fn render(world: &World, mut script: Script, template: &str, values: &Values) -> Script {
    let rendered = match world.templates.resolve(template) {
        Some(name) => world.templates.render(&name, values),
        None => Err(RenderError {
            template: template.to_owned(),
            line: None,
            message: "there is no such template".to_owned(),
        }),
    };
    match rendered {
        Ok(text) => script.text = text,
        Err(problem) => {
            let message = text::plain(&problem.to_string(), 160);
            let (url, delay) = (&values.url, RETRY_DELAY);
            script.text = format!(
                "#!ipxe\necho\necho bootlace: {message}\n:again\necho bootlace: asking again in {delay} s\n\
                 sleep {delay}\nchain --autofree --replace {url} || goto again\n"
            );
            script.problem = Some(problem);
        }
    }
    script
}

/// Which entry, as far as the processor is known.
enum Choice {
    Entry(Match),
    AskProcessor,
    Nothing,
}

/// Finds the entry. When it depends on the processor and nobody has said which one this is, the node is asked:
/// `arch` restricts, and another entry would win for another processor.
fn choose(records: &Snapshot, node: &Node, arch: Option<&str>) -> Choice {
    let cpu = arch.and_then(|text| text.parse::<Cpu>().ok());
    let found = resolve(records, node, cpu).or_else(|| {
        // A 32-bit iPXE of a BIOS machine says i386 on a 64-bit processor, too.
        (cpu == Some(Cpu::I386)).then(|| resolve(records, node, Some(Cpu::X86_64))).flatten()
    });
    let Some(found) = found else { return Choice::Nothing };
    if node.cpu().is_some() || arch.is_some() || found.entry.arch.is_empty() {
        return Choice::Entry(found);
    }
    let differs =
        |cpu| resolve(records, node, Some(cpu)).is_some_and(|other| !Arc::ptr_eq(&other.entry, &found.entry));
    if Cpu::ALL.into_iter().any(differs) { Choice::AskProcessor } else { Choice::Entry(found) }
}

/// The URL of a kernel or initrd; `None` for the node's own disk.
fn url(base: &str, file: &BootFile) -> Option<String> {
    match file {
        BootFile::Local => None,
        // Passed on as it is, but it must stay one word of one line.
        BootFile::Url(url) => Some(one_word(url)),
        BootFile::Asset(path) => Some(format!("{base}/{}", encoded_path(path.trim_start_matches('/')))),
    }
}

/// A URL as one word of one line.
pub(super) fn one_word(url: &str) -> String {
    url.chars()
        .filter(|c| !c.is_control())
        .map(|c| if c.is_whitespace() { "%20".to_owned() } else { c.to_string() })
        .collect()
}

/// A path under the asset folder as it stands in a URL.
pub(super) fn encoded_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// The query that names the asker as it named itself.
fn claim(who: &Who) -> String {
    let encoded = |text: &str| -> String {
        let short: String = text.chars().take(64).collect();
        utf8_percent_encode(&short, NON_ALPHANUMERIC).to_string()
    };
    match who {
        Who::Mac { mac, .. } => format!("mac={mac}"),
        Who::NotAMac(text) => format!("mac={}", encoded(text)),
        Who::Name(name) => format!("name={}", encoded(name)),
        Who::Nid(nid) => format!("nid={nid}"),
    }
}

/// The URL under which to ask again.
fn again(request: &ScriptRequest, who: &str) -> String {
    let retry = request.retry.saturating_add(1).min(RETRY_MAX);
    format!("{}{}?{who}&retry={retry}", request.base, request.path)
}

/// Seconds to wait, longer with every try.
fn wait_delay(retry: u32) -> u32 {
    WAIT_DELAY.0.saturating_mul(retry.saturating_add(1)).min(WAIT_DELAY.1)
}

#[cfg(test)]
mod tests;
