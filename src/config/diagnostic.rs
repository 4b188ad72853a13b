//! What is wrong with a file, where, and what would be right.
//!
//! Diagnostics are collected, never thrown: one run names every problem. Each carries the excerpt it
//! points at, so it can be shown after the file is gone (a reload, another process reading the JSON).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::source::{Place, Source, Span};

/// Diagnostics of one code that are shown in full as text; JSON has them all.
const SHOWN_PER_CODE: usize = 100;
/// Problems that are kept: a file made to be wrong in every byte must not exhaust memory.
const KEPT_MAX: usize = 200_000;
/// Longest part of a source line that is kept, characters: a JSON file may be one line of megabytes.
const EXCERPT_MAX: usize = 160;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is not taken.
    Error,
    /// The file is taken; something is probably not as meant.
    Warning,
}

macro_rules! codes {
    ($($variant:ident, $name:literal, $text:literal;)*) => {
        /// Kind of problem. The names are stable: JSON and docs use them.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Code {
            $(#[doc = $text] $variant,)*
        }

        impl Code {
            /// Every code, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable name, such as `duplicate-mac`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The same in words.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    CannotRead, "cannot-read", "the file or folder cannot be read";
    TooLarge, "too-large", "the file is larger than what is read, or expands to more";
    TooMany, "too-many", "more problems, or more of something, than are looked at";
    Binary, "binary", "the file is no text";
    NotUtf8, "not-utf8", "the file is text in another encoding than UTF-8";
    ControlCharacter, "control-character", "a control character where text is needed";
    Syntax, "syntax", "the file is no YAML or JSON";
    Empty, "empty", "the file says nothing";
    UnknownKind, "unknown-kind", "the content is neither node records, boot entries nor settings";
    WrongKind, "wrong-kind", "a file of another kind than the one it is given as";
    DuplicateKey, "duplicate-key", "one key twice in a mapping";
    UnknownKey, "unknown-key", "a key that is not known";
    MissingKey, "missing-key", "a key that is needed is not there";
    WrongType, "wrong-type", "a value of another type than the key's";
    WrongValue, "wrong-value", "a value that the key cannot have";
    WrongForm, "wrong-form", "a key of the other form of nodes.yaml";
    NoIdentity, "no-identity", "a node without MAC, UUID and serial number, or without name and xname";
    MissingXname, "missing-xname", "a node without xname";
    MissingMac, "missing-mac", "an interface without MAC, which is skipped";
    NoAddress, "no-address", "a node without IPv4 address where addresses are handed out";
    DuplicateMac, "duplicate-mac", "one MAC at two places";
    DuplicateIp, "duplicate-ip", "one IP address at two places";
    DuplicateNid, "duplicate-nid", "one node number at two nodes";
    DuplicateXname, "duplicate-xname", "one xname at two places";
    DuplicateUuid, "duplicate-uuid", "one system UUID at two nodes";
    DuplicateSerial, "duplicate-serial", "one serial number at two nodes";
    DuplicateClientId, "duplicate-client-id", "one client_id (option 61) at two nodes";
    DuplicatePort, "duplicate-port", "one switch port (circuit_id, remote_id) at two nodes";
    DuplicateName, "duplicate-name", "one name at two nodes or boot entries";
    UnknownBmc, "unknown-bmc", "a BMC that is not in the file";
    UndefinedProfile, "undefined-profile", "a profile that bootlace.yaml does not define";
    AddressOutside, "address-outside", "an address outside of every subnet";
    AddressOfServer, "address-of-server", "a node's address is the server's own";
    AddressOfRouter, "address-of-router", "a node's address is the router's";
    AddressReserved, "address-reserved", "a node's address is its subnet's network or broadcast address";
    NoSelector, "no-selector", "a boot entry that names no node";
    Pointless, "pointless", "a key that has no effect here";
    LongParams, "long-params", "a kernel command line longer than kernels take";
    NodeWithoutBootEntry, "node-without-boot-entry", "no boot entry matches a node";
    BootEntryWithoutNode, "boot-entry-without-node", "a boot entry matches no node";
    Tie, "tie", "two boot entries match a node equally well";
    MissingAsset, "missing-asset", "a kernel or initrd that is not in the asset folder";
    AssetHidden, "asset-hidden", "an asset under a path that bootlace itself serves";
    LargeInitrd, "large-initrd", "an initrd of more than 1 GiB that BIOS machines may get, or of more than 4 GiB";
    BadTemplate, "bad-template", "a script template that cannot be used";
    BadLoader, "bad-loader", "a file in the firmware folder that cannot be used";
    PlainHttp, "plain-http", "keys that are trusted come over plain http from another machine";
    UnreachableUrl, "unreachable-url", "a URL of a scheme that iPXE does not fetch";
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The source line that a diagnostic points at, shortened where it is long.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Excerpt {
    /// Text of the line, or of the part around the problem.
    pub text: String,
    /// What is underlined: bytes of `text`.
    pub underlined: (usize, usize),
    /// True when `text` is only a part of the line.
    pub shortened: bool,
}

/// A further place that belongs to the problem, such as the first statement of a duplicate.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Related {
    /// File.
    #[serde(serialize_with = "as_text")]
    pub file: Arc<PathBuf>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1 in characters; 0 where only the line is known.
    pub column: usize,
    /// What is there.
    pub message: String,
    /// The line itself.
    #[serde(rename = "source_line", serialize_with = "line_only")]
    pub excerpt: Option<Excerpt>,
}

/// One problem.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Diagnostic {
    /// File.
    #[serde(serialize_with = "as_text")]
    pub file: Arc<PathBuf>,
    /// Line, counted from 1; 0: the whole file.
    pub line: usize,
    /// Column, counted from 1 in characters; 0 where only the line is known.
    pub column: usize,
    /// How bad.
    pub severity: Severity,
    /// Kind of problem.
    pub code: Code,
    /// The key, as a path: `nodes[3].interfaces[0].mac_addr`.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub advice: Option<String>,
    /// What stands at the caret in the text form.
    #[serde(skip)]
    pub label: Option<String>,
    /// The source line.
    #[serde(rename = "source_line", serialize_with = "line_only")]
    pub excerpt: Option<Excerpt>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
}

fn as_text<S: serde::Serializer>(path: &Arc<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn line_only<S: serde::Serializer>(excerpt: &Option<Excerpt>, serializer: S) -> Result<S::Ok, S::Error> {
    excerpt.as_ref().map(|excerpt| &excerpt.text).serialize(serializer)
}

impl Diagnostic {
    /// A problem at a place.
    pub fn new(severity: Severity, code: Code, place: &Place, message: String) -> Self {
        Self {
            line: place.line(),
            column: place.column(),
            excerpt: Some(excerpt(&place.source, place.span)),
            ..Self::of_file(severity, code, &place.source.path, message)
        }
    }

    /// A problem of a whole file.
    pub fn of_file(severity: Severity, code: Code, file: &Path, message: String) -> Self {
        Self {
            file: Arc::new(file.to_owned()),
            line: 0,
            column: 0,
            severity,
            code,
            key: None,
            message,
            advice: None,
            label: None,
            excerpt: None,
            related: Vec::new(),
        }
    }

    /// Adds the key's path.
    pub fn key(&mut self, key: impl Into<String>) -> &mut Self {
        self.key = Some(key.into());
        self
    }

    /// Adds what would be right.
    pub fn advise(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds what stands at the caret.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(label.into());
        self
    }

    /// Adds a further place.
    pub fn also(&mut self, place: &Place, message: impl Into<String>) -> &mut Self {
        self.related.push(Related {
            file: Arc::clone(&place.source.path),
            line: place.line(),
            column: place.column(),
            message: message.into(),
            excerpt: Some(excerpt(&place.source, place.span)),
        });
        self
    }

    /// True for errors.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// One line without excerpt, for a log: `nodes.yaml:3:5: error: … (advice)`.
    pub fn one_line(&self) -> String {
        use std::fmt::Write;
        let mut text = self.file.display().to_string();
        // Writing to a String cannot fail.
        if self.line > 0 {
            let _ = write!(text, ":{}", self.line);
        }
        if self.column > 0 {
            let _ = write!(text, ":{}", self.column);
        }
        let severity = if self.is_error() { "error" } else { "warning" };
        let _ = write!(text, ": {severity}: {}", self.message);
        if let Some(advice) = &self.advice {
            let _ = write!(text, " ({advice})");
        }
        text
    }
}

/// Collects problems; what a YAML alias repeats is reported once.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Diagnostic>,
    /// The last problem that was counted only.
    unkept: Option<Diagnostic>,
    unkept_count: usize,
    errors: bool,
}

impl Findings {
    /// Notes an error.
    pub fn error(&mut self, code: Code, place: &Place, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Diagnostic::new(Severity::Error, code, place, message.into()))
    }

    /// Notes a warning.
    pub fn warning(&mut self, code: Code, place: &Place, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Diagnostic::new(Severity::Warning, code, place, message.into()))
    }

    /// Notes a problem.
    pub fn add(&mut self, problem: Diagnostic) -> &mut Diagnostic {
        self.errors |= problem.is_error();
        let at = self.list.len();
        if at >= KEPT_MAX {
            self.unkept_count += 1;
            return self.unkept.insert(problem);
        }
        self.list.push(problem);
        &mut self.list[at]
    }

    /// Adds what another collector has.
    pub fn append(&mut self, more: Self) {
        for problem in more.list {
            self.add(problem);
        }
        self.errors |= more.errors;
        self.unkept_count += more.unkept_count;
        self.unkept = more.unkept.or(self.unkept.take());
    }

    /// True when something is an error.
    pub fn has_errors(&self) -> bool {
        self.errors
    }

    /// The problems, file by file in the order of the places, each once.
    pub fn into_list(self) -> Vec<Diagnostic> {
        let mut list = self.list;
        if let Some(last) = self.unkept {
            let message = format!("{} more problems are not listed", self.unkept_count);
            let severity = if self.errors { Severity::Error } else { Severity::Warning };
            list.push(Diagnostic::of_file(severity, Code::TooMany, &last.file, message));
        }
        let mut files: HashMap<Arc<PathBuf>, usize> = HashMap::new();
        for problem in &list {
            let next = files.len();
            files.entry(Arc::clone(&problem.file)).or_insert(next);
        }
        list.sort_by_key(|problem| {
            (files.get(&problem.file).copied(), problem.line, problem.column, problem.severity)
        });
        // An alias repeats a mistake under another key; its place is the same.
        list.dedup_by(|a, b| {
            (&a.file, a.line, a.column, &a.message) == (&b.file, b.line, b.column, &b.message)
        });
        list
    }
}

/// Text that a user or file wrote, made safe and short for a message: control characters escaped.
pub fn shown(text: &str) -> String {
    const MAX: usize = 80;
    let mut short: String = text.chars().take(MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX).is_some() {
        short.push('…');
    }
    // escape_debug also escapes quotes; in a message they read better plain.
    short.replace("\\\"", "\"").replace("\\'", "'")
}

/// The same in quotes.
pub fn quoted(text: &str) -> String {
    format!("'{}'", shown(text))
}

/// All problems as text, each with its source line and a caret; at most a hundred of each kind.
pub fn render(problems: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    let mut shown: HashMap<Code, usize> = HashMap::new();
    let mut hidden: Vec<(Code, usize)> = Vec::new();
    for problem in problems {
        let count = shown.entry(problem.code).or_default();
        *count += 1;
        if *count > SHOWN_PER_CODE {
            match hidden.iter_mut().find(|(code, _)| *code == problem.code) {
                Some((_, more)) => *more += 1,
                None => hidden.push((problem.code, 1)),
            }
            continue;
        }
        text.push_str(&render_one(&renderer, problem));
        text.push_str("\n\n");
    }
    for (code, more) in hidden {
        text.push_str(&format!("... and {more} more of {} (--json lists all)\n\n", code.name()));
    }
    text
}

fn render_one(renderer: &Renderer, problem: &Diagnostic) -> String {
    let level = if problem.is_error() { Level::ERROR } else { Level::WARNING };
    let title = level.primary_title(problem.message.as_str()).id(problem.code.name());
    let at = (problem.file.as_path(), problem.line, problem.column);
    let label = problem.label.as_deref();
    let mut first = place(Group::with_title(title), at, &problem.excerpt, AnnotationKind::Primary, label);
    if let Some(advice) = &problem.advice {
        first = first.element(Level::HELP.message(advice.as_str()));
    }
    let mut groups = vec![first];
    for related in &problem.related {
        let title = Level::NOTE.secondary_title(related.message.as_str());
        let at = (related.file.as_path(), related.line, related.column);
        groups.push(place(Group::with_title(title), at, &related.excerpt, AnnotationKind::Primary, None));
    }
    renderer.render(&groups)
}

/// Adds `--> file:line:column` and the source line.
fn place<'a>(
    group: Group<'a>,
    (file, line, column): (&Path, usize, usize),
    excerpt: &'a Option<Excerpt>,
    kind: AnnotationKind,
    label: Option<&'a str>,
) -> Group<'a> {
    let file = file.display().to_string();
    let origin = match (line, column) {
        (0, _) => Origin::path(file.clone()),
        (line, 0) => Origin::path(file.clone()).line(line),
        (line, column) => Origin::path(file.clone()).line(line).char_column(column),
    };
    let Some(excerpt) = excerpt else { return group.element(origin) };
    let (start, end) = excerpt.underlined;
    let snippet: Snippet<'a, Annotation<'a>> = Snippet::source(excerpt.text.as_str())
        .line_start(line)
        .annotation(kind.span(start..end).label(label));
    // The renderer counts the column in the text it gets, which is wrong for a shortened line.
    if excerpt.shortened { group.element(origin).element(snippet) } else { group.element(snippet.path(file)) }
}

/// Cuts out the line of `span`, or the part of a long line around it.
fn excerpt(source: &Source, span: Span) -> Excerpt {
    let (line_start, line) = source.line_text(source.line(span.start));
    let in_line = |at: u32| (at.saturating_sub(line_start) as usize).min(line.len());
    let start = char_start(line, in_line(span.start));
    let end = char_start(line, in_line(span.end)).max(start);
    let (from, to) = if line.len() <= EXCERPT_MAX {
        (0, line.len())
    } else {
        let from = char_start(line, start.saturating_sub(EXCERPT_MAX / 3));
        (from, char_start(line, (from + EXCERPT_MAX).min(line.len())))
    };
    let cut_front = if from > 0 { "…" } else { "" };
    let cut_back = if to < line.len() { "…" } else { "" };
    let text = format!("{cut_front}{}{cut_back}", &line[from..to]);
    let shift = |at: usize| at.clamp(from, to) - from + cut_front.len();
    Excerpt { underlined: (shift(start), shift(end)), shortened: to - from < line.len(), text }
}

/// The start of the character that byte `at` belongs to.
fn char_start(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(text: &str, needle: &str) -> Place {
        let start = text.find(needle).unwrap() as u32;
        let span = Span { start, end: start + needle.len() as u32 };
        Place { source: Arc::new(Source::new("nodes.yaml", text.to_owned())), span }
    }

    #[test]
    fn the_caret_stands_under_what_is_wrong_and_both_places_are_shown() {
        let text = "nodes:\n- nid: 7\n- nid: seven\n";
        let mut findings = Findings::default();
        findings
            .error(Code::WrongType, &place_of(text, "seven"), "nid is no number")
            .advise("write a number")
            .also(&place_of(text, "7"), "the other one");
        let shown = render(&findings.into_list(), false);
        let lines: Vec<&str> = shown.lines().collect();
        let at = lines.iter().position(|line| line.contains("- nid: seven")).unwrap();
        assert_eq!(lines[at].find("seven"), lines[at + 1].find("^^^^^"), "{shown}");
        assert!(shown.contains("nodes.yaml:3:8"), "{shown}");
        assert!(shown.contains("nodes.yaml:2:8"), "{shown}");
        assert!(shown.contains("write a number"), "{shown}");
    }

    #[test]
    fn a_line_of_megabytes_is_shown_as_the_part_around_the_problem() {
        let text = format!("[{}BAD{}]", "\"ä\",".repeat(300_000), ",1".repeat(300_000));
        let problem = Diagnostic::new(Severity::Error, Code::WrongValue, &place_of(&text, "BAD"), "x".into());
        let excerpt = problem.excerpt.clone().unwrap();
        assert!(excerpt.text.len() < 200);
        assert_eq!(&excerpt.text[excerpt.underlined.0..excerpt.underlined.1], "BAD");
        assert!(render(&[problem], false).contains("nodes.yaml:1:1200002"));
    }

    #[test]
    fn a_thousand_equal_problems_do_not_fill_the_screen() {
        let text = "a\n".repeat(1000);
        let source = Arc::new(Source::new("f", text));
        let mut findings = Findings::default();
        for line in 0..1000 {
            let span = Span { start: line * 2, end: line * 2 + 1 };
            findings.warning(Code::Tie, &Place { source: Arc::clone(&source), span }, "t");
        }
        let list = findings.into_list();
        assert_eq!(list.len(), 1000);
        let shown = render(&list, false);
        assert_eq!(shown.matches("warning[tie]").count(), SHOWN_PER_CODE);
        assert!(shown.contains("and 900 more of tie"));
    }

    #[test]
    fn a_value_with_control_characters_cannot_reach_the_terminal() {
        assert_eq!(quoted("a\u{1b}[31m\nb"), "'a\\u{1b}[31m\\nb'");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 83);
    }
}
