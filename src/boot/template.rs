//! Script templates: the built-in ones from `ipxe/`, and the user's in their place.
//!
//! The variables of [`Values`] are described for users in `docs/scripts.md`. An undefined variable is an
//! error, not an empty text: a kernel line that misses a word boots the wrong thing.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig};
use serde::Serialize;

use crate::records::{Mac, Node};

use super::text;

/// Longest text that the `plain` filter lets through, characters: two lines of a console.
const PLAIN_MAX: usize = 160;

/// The built-in templates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    /// Boots kernel and initrd.
    Default,
    /// Says why a node is not booted, waits, asks again.
    Wait,
    /// Says why a node is not booted and hands back to the firmware.
    Exit,
    /// Boots the node's own disk.
    Local,
    /// Asks the node for its processor, then again for its script.
    Arch,
    /// What UEFI builds of iPXE fetch by themselves.
    Autoexec,
    /// What OpenCHAMI's builds of iPXE fetch.
    Config,
    /// What PXELINUX, U-Boot and petitboot fetch below `pxelinux.cfg/`.
    Extlinux,
    /// What GRUB fetches.
    Grub,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Default,
        Self::Wait,
        Self::Exit,
        Self::Local,
        Self::Arch,
        Self::Autoexec,
        Self::Config,
        Self::Extlinux,
        Self::Grub,
    ];

    /// Name of the file that holds it, or that overrides it in the user's folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Default => "default.ipxe",
            Self::Wait => "wait.ipxe",
            Self::Exit => "exit.ipxe",
            Self::Local => "local.ipxe",
            Self::Arch => "arch.ipxe",
            Self::Autoexec => "autoexec.ipxe",
            Self::Config => "config.ipxe",
            Self::Extlinux => "extlinux.conf",
            Self::Grub => "grub.cfg",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Default => include_str!("../../ipxe/default.ipxe"),
            Self::Wait => include_str!("../../ipxe/wait.ipxe"),
            Self::Exit => include_str!("../../ipxe/exit.ipxe"),
            Self::Local => include_str!("../../ipxe/local.ipxe"),
            Self::Arch => include_str!("../../ipxe/arch.ipxe"),
            Self::Autoexec => include_str!("../../ipxe/autoexec.ipxe"),
            Self::Config => include_str!("../../ipxe/config.ipxe"),
            Self::Extlinux => include_str!("../../ipxe/extlinux.conf"),
            Self::Grub => include_str!("../../ipxe/grub.cfg"),
        }
    }
}

/// What a template may use. `None` and the empty text are defined values.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Values {
    /// The node; `None` for a machine that is in no record.
    pub node: Option<NodeValues>,
    /// The MAC that was asked with, else the node's first.
    pub mac: Option<String>,
    /// Base of bootlace's HTTP as the node reaches it, `http://10.0.0.1:8081`.
    pub server: String,
    /// Where to ask (again) for the script; carries the next retry number.
    pub url: String,
    /// URL of the kernel.
    pub kernel: Option<String>,
    /// URL of the initial RAM disk.
    pub initrd: Option<String>,
    /// The whole kernel command line, escaped for iPXE.
    pub params: String,
    /// Lines that must stand before the kernel line, usually none.
    pub setup: Vec<String>,
    /// Name of the boot entry.
    pub entry: Option<String>,
    /// Kind of selector by which the entry matched.
    pub by: Option<&'static str>,
    /// How often the node asked before.
    pub retry: u32,
    /// Seconds to wait before asking again.
    pub delay: u32,
    /// Stable name of the reason why the node is not booted.
    pub reason: Option<&'static str>,
    /// The same as a sentence for the node's console.
    pub message: String,
    /// Further sentences for the node's console.
    pub notes: Vec<String>,
}

/// What a template may say about a node.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names are those of the record's keys")]
pub struct NodeValues {
    /// What a person calls it: name, else xname, else MAC.
    pub label: String,
    pub name: Option<String>,
    /// The same that DHCP hands out.
    pub hostname: String,
    pub xname: Option<String>,
    pub nid: Option<u32>,
    pub macs: Vec<String>,
    pub ip: Option<String>,
    pub uuid: Option<String>,
    pub serial: Option<String>,
    pub arch: Option<&'static str>,
    pub role: String,
    pub subrole: Option<String>,
    pub groups: Vec<String>,
    pub profile: Option<String>,
    /// The record's free mapping.
    pub extra: serde_json::Value,
}

impl Values {
    /// What is known of a node that asks with `mac`; `hostname` as
    /// [`names::hostname`](crate::openchami::cloud_init::names::hostname) gives it.
    pub fn of_node(node: &Node, mac: Option<Mac>, hostname: Option<String>) -> Self {
        let text = |text: &Option<String>| text.clone();
        let xname = node.xname.as_ref().map(ToString::to_string);
        let values = NodeValues {
            label: node.label(),
            name: text(&node.name),
            hostname: hostname.unwrap_or_else(|| node.label()),
            xname,
            nid: node.nid,
            macs: node.nics.iter().map(|nic| nic.mac.to_string()).collect(),
            ip: node.ipv4_for(mac).map(|ip| ip.to_string()),
            uuid: node.uuid.map(|uuid| uuid.to_string()),
            serial: text(&node.serial),
            arch: node.cpu().map(|cpu| cpu.name()),
            role: node.role_or_default().to_owned(),
            subrole: text(&node.subrole),
            groups: node.groups.clone(),
            profile: text(&node.profile),
            extra: node.extra.clone(),
        };
        let mac = mac.or_else(|| node.nics.first().map(|nic| nic.mac));
        Self { node: Some(values), mac: mac.map(|mac| mac.to_string()), delay: 5, ..Self::default() }
    }
}

/// What is wrong with a template file, found at load time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {message}", file.display())]
pub struct TemplateProblem {
    /// The file.
    pub file: PathBuf,
    /// Line, counted from 1; 1 where the whole file is meant.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Why a template gave no script for one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderError {
    /// Name of the template.
    pub template: String,
    /// Line in it, where known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "script template {}", self.template)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Compiled templates.
#[derive(Clone, Debug)]
pub struct Templates {
    environment: Environment<'static>,
}

impl Default for Templates {
    /// The built-in ones.
    fn default() -> Self {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build();
        environment.set_syntax(syntax.unwrap_or_default());
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_filter("plain", |value: String| text::plain(&value, PLAIN_MAX));
        for name in Name::ALL {
            // They compile, a test says so; one that did not would be reported when it is asked for.
            let _ = environment.add_template(name.file(), name.source());
        }
        Self { environment }
    }
}

impl Templates {
    /// The built-in templates, and over them every `*.ipxe` file of `folder`, `extlinux.conf` and `grub.cfg`: one
    /// with the name of a built-in template replaces it, any other can be named by `script:`. All problems are
    /// reported at once.
    #[allow(clippy::disallowed_methods, reason = "templates are read at start and reload only")]
    pub fn load(folder: Option<&Path>) -> Result<Self, Vec<TemplateProblem>> {
        let mut templates = Self::default();
        let Some(folder) = folder else { return Ok(templates) };
        let whole =
            |file: &Path, message: String| TemplateProblem { file: file.to_owned(), line: 1, message };
        let listing = std::fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        });
        let mut files = match listing {
            Ok(files) => files,
            Err(error) => {
                return Err(vec![whole(folder, format!("cannot read the templates folder: {error}"))]);
            }
        };
        files.sort();
        let mut problems = Vec::new();
        let built_in = |file: &Path| Name::ALL.iter().any(|name| file.ends_with(name.file()));
        for file in files
            .iter()
            .filter(|file| file.extension().is_some_and(|extension| extension == "ipxe") || built_in(file))
        {
            // Asked first: opening a FIFO would wait for a writer for ever.
            if !std::fs::metadata(file).is_ok_and(|about| about.is_file()) {
                problems.push(whole(file, "is not a regular file".to_owned()));
                continue;
            }
            match (std::fs::read_to_string(file), file.file_name().and_then(|name| name.to_str())) {
                (Ok(source), Some(name)) => problems.extend(templates.add(file, name, source)),
                (Err(error), _) => problems.push(whole(file, format!("cannot read it: {error}"))),
                (_, None) => problems.push(whole(file, "the name is not UTF-8".to_owned())),
            }
        }
        if problems.is_empty() { Ok(templates) } else { Err(problems) }
    }

    /// Compiles one template of the user's and says what is wrong with it.
    fn add(&mut self, file: &Path, name: &str, source: String) -> Vec<TemplateProblem> {
        let problem = |line, message| TemplateProblem { file: file.to_owned(), line, message };
        let mut problems = Vec::new();
        if name.ends_with(".ipxe") && !source.starts_with("#!ipxe") {
            problems
                .push(problem(1, "the first line must be #!ipxe, else iPXE runs nothing of it".to_owned()));
        }
        if let Err(error) = self.environment.add_template_owned(name.to_owned(), source.clone()) {
            problems.push(problem(error.line().unwrap_or(1), describe(&error)));
            return problems;
        }
        let Ok(template) = self.environment.get_template(name) else { return problems };
        let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        unknown.sort();
        let known = variables();
        let globals: HashSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        for variable in
            unknown.iter().filter(|name| !known.contains(name) && !globals.contains(name.as_str()))
        {
            let line =
                source.lines().position(|line| line.contains(variable.as_str())).map_or(1, |at| at + 1);
            let nearest = known
                .iter()
                .map(|name| (strsim::damerau_levenshtein(name, variable), name))
                .min()
                .filter(|(distance, _)| *distance <= 2);
            let hint = match nearest {
                Some((_, name)) => format!("did you mean '{name}'?"),
                None => format!("there are {}", known.join(", ")),
            };
            problems.push(problem(line, format!("no variable '{variable}': {hint}")));
        }
        problems
    }

    /// The name under which a `script:` key's template is known: as written, or with `.ipxe` added.
    pub fn resolve(&self, script: &str) -> Option<String> {
        let with_extension = format!("{script}.ipxe");
        [script, with_extension.as_str()]
            .into_iter()
            .find(|name| self.environment.get_template(name).is_ok())
            .map(str::to_owned)
    }

    /// Renders one template.
    pub fn render(&self, template: &str, values: &Values) -> Result<String, RenderError> {
        self.environment
            .get_template(template)
            .and_then(|compiled| compiled.render(Value::from(Serde(values))))
            .map_err(|error| RenderError {
                template: error.name().unwrap_or(template).to_owned(),
                line: error.line(),
                message: describe(&error),
            })
    }
}

/// Names of the variables, as templates write them.
fn variables() -> Vec<String> {
    match serde_json::to_value(Values::default()) {
        Ok(serde_json::Value::Object(map)) => map.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// A template engine's error in one line.
fn describe(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(file: &str, source: &str) -> Result<Templates, Vec<TemplateProblem>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(file), source).unwrap();
        Templates::load(Some(folder.path()))
    }

    #[test]
    fn every_built_in_template_compiles_and_uses_known_variables_only() {
        let mut templates = Templates::default();
        for name in Name::ALL {
            assert!(templates.environment.get_template(name.file()).is_ok(), "{name:?}");
            assert_eq!(templates.add(Path::new(name.file()), name.file(), name.source().to_owned()), []);
        }
    }

    /// `net0` is the first card, not the one that boots (quirk 14).
    #[test]
    fn no_built_in_template_names_a_card_by_its_number() {
        for name in Name::ALL {
            assert!(!name.source().contains("net0"), "{name:?}");
        }
    }

    #[test]
    fn the_documentation_names_every_variable_and_its_example_works() {
        let text = include_str!("../../docs/scripts.md");
        for variable in variables() {
            assert!(text.contains(&format!("`{variable}`")), "docs/scripts.md lacks {variable}");
        }
        let (_, example) = text.split_once("An example, `gpu.ipxe`").unwrap();
        let lines = example.lines().skip_while(|line| !line.starts_with("    "));
        let source: Vec<&str> = lines.map_while(|line| line.strip_prefix("    ")).collect();
        assert!(source.len() > 10);
        assert_eq!(Templates::default().add(Path::new("gpu"), "gpu", source.join("\n")), []);
    }

    #[test]
    fn a_users_file_replaces_the_built_in_one_and_others_can_be_named() {
        let templates = with("exit.ipxe", "#!ipxe\necho mine {{ message }}\n").unwrap();
        let values = Values { message: "m".to_owned(), ..Values::default() };
        assert_eq!(templates.render("exit.ipxe", &values).unwrap(), "#!ipxe\necho mine m\n");
        let templates = with("gpu.ipxe", "#!ipxe\n{% include 'default.ipxe' %}").unwrap();
        assert_eq!(templates.resolve("gpu").as_deref(), Some("gpu.ipxe"));
        assert_eq!(templates.resolve("gpu.ipxe").as_deref(), Some("gpu.ipxe"));
        assert_eq!(templates.resolve("cpu"), None);
    }

    #[test]
    fn mistakes_are_found_at_load_time_with_their_line() {
        let of = |source: &str| with("a.ipxe", source).unwrap_err().remove(0);
        let typo = of("#!ipxe\necho\nkernel {{ kernle }}\n");
        assert_eq!((typo.line, typo.message.contains("did you mean 'kernel'?")), (3, true), "{typo}");
        let syntax = of("#!ipxe\n{% if %}\n");
        assert_eq!(syntax.line, 2, "{syntax}");
        assert!(of("echo\n").message.contains("#!ipxe"));
    }

    #[test]
    fn all_problems_come_at_once_and_a_fifo_stalls_nobody() {
        let folder = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&folder.path().join("f.ipxe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::write(folder.path().join("b.ipxe"), [0xff, 0xfe]).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "{{").unwrap();
        let problems = Templates::load(Some(folder.path())).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(Templates::load(Some(&folder.path().join("absent"))).is_err());
    }

    #[test]
    fn an_undefined_value_is_an_error_with_its_line() {
        let templates = with("a.ipxe", "#!ipxe\necho {{ node.extra.rack }}\n").unwrap();
        let mut node = Node { name: Some("n".to_owned()), ..Node::default() };
        node.extra = serde_json::json!({"rack": "r7"});
        let render = |node: &Node| templates.render("a.ipxe", &Values::of_node(node, None, None));
        assert_eq!(render(&node).unwrap(), "#!ipxe\necho r7\n");
        node.extra = serde_json::json!({});
        let error = render(&node).unwrap_err();
        assert_eq!(error.line, Some(2), "{error}");
    }
}
