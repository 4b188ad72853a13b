//! YAML and JSON as a tree in which every key and value knows its place.
//!
//! Built from the parser's events instead of serde, because one run shall name every problem: serde stops
//! at the first, and has no place for the first of two equal keys. Scalars keep the text that was written
//! (`no`, `0755`, `52:54:00:12:34:56`); what reads them decides the type. Limits hold against files made
//! to exhaust memory: depth, number of values, and values that aliases repeat.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_yaml::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, Tag};

use super::diagnostic::{Code, Diagnostic, Findings, Severity, quoted};
use super::source::{Place, Source, Span};

/// Nesting of lists and mappings. Records need 6; the parser's and our own recursion stay shallow.
const DEPTH_MAX: usize = 64;
/// Longest key, bytes.
const KEY_MAX: usize = 1024;
/// Values in one file; a node record has about 25.
const VALUES_MAX: usize = 24_000_000;
/// Values that aliases may add: a shared mapping in 100 000 nodes, but no "billion laughs".
const ALIASED_MAX: usize = 2_000_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Value<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// Where it is.
    pub span: Span,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind<'a> {
    /// Text as written.
    Scalar {
        /// The text, escapes resolved.
        text: Cow<'a, str>,
        /// Without quotes: may be a number, a truth value or null.
        plain: bool,
    },
    /// A list.
    List(Vec<Value<'a>>),
    /// A mapping, in the order of the file.
    Mapping(Vec<Pair<'a>>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// The key.
    pub key: Cow<'a, str>,
    /// Where the key is.
    pub span: Span,
    /// The value.
    pub value: Value<'a>,
}

/// A parsed file.
#[derive(Debug)]
pub struct Document<'a> {
    /// Its text.
    pub source: &'a Arc<Source>,
    /// Its content.
    pub root: Value<'a>,
}

impl Value<'_> {
    /// True for nothing, `~` and `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// True for null and for empty text.
    pub fn is_blank(&self) -> bool {
        self.is_null() || matches!(&self.kind, Kind::Scalar { text, .. } if text.is_empty())
    }

    /// The value of a key of a mapping.
    pub fn child(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Mapping(pairs) => pairs.iter().find(|pair| pair.key == key).map(|pair| &pair.value),
            _ => None,
        }
    }

    /// "a list", "a mapping", "a number", … for messages.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::List(_) => "a list",
            Kind::Mapping(_) => "a mapping",
            Kind::Scalar { .. } if self.is_null() => "empty",
            Kind::Scalar { plain: false, .. } => "text",
            Kind::Scalar { text, .. } => match to_json_scalar(text) {
                serde_json::Value::Bool(_) => "true or false",
                serde_json::Value::Number(_) => "a number",
                _ => "text",
            },
        }
    }

    /// The same without places: plain scalars get their type by YAML 1.2's core schema.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Scalar { text, plain: false } => serde_json::Value::String(text.to_string()),
            Kind::Scalar { text, plain: true } => to_json_scalar(text),
            Kind::List(items) => items.iter().map(Value::to_json).collect(),
            Kind::Mapping(pairs) => serde_json::Value::Object(
                pairs.iter().map(|pair| (pair.key.to_string(), pair.value.to_json())).collect(),
            ),
        }
    }
}

/// A whole number as YAML 1.2 and JSON write it: decimal, `0x…`, `0o…`.
pub fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value = match (digits.strip_prefix("0x"), digits.strip_prefix("0o")) {
        (Some(hex), _) => i64::from_str_radix(hex, 16),
        (_, Some(octal)) => i64::from_str_radix(octal, 8),
        _ => digits.parse(),
    };
    value.ok().map(|value: i64| if negative { -value } else { value })
}

fn to_json_scalar(text: &str) -> serde_json::Value {
    use serde_json::Value as Json;
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        _ => match integer(text) {
            Some(number) => Json::from(number),
            // Rust also reads "inf" and "nan", which are words here.
            None if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => text
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map_or_else(|| Json::String(text.to_owned()), Json::Number),
            None => Json::String(text.to_owned()),
        },
    }
}

/// Parses a file. Syntax errors end the parse; duplicate keys, aliases and the like are collected.
/// `None`: nothing can be read from it, and `findings` says why.
pub fn parse<'a>(source: &'a Arc<Source>, findings: &mut Findings) -> Option<Document<'a>> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
        emit_comments: false,
    };
    let mut parser = Parser::new_from_str_with_options(&source.text, options);
    let mut builder = Builder {
        source,
        findings,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        values: 0,
        aliased: 0,
    };
    while let Some(next) = parser.next_event() {
        let step = match next {
            Ok((event, span)) => builder.take(event, span_of(&span)),
            Err(error) => Err(syntax_error(source, &error)),
        };
        if let Err(problem) = step {
            builder.findings.add(*problem);
            return None;
        }
    }
    match builder.root {
        Some(root) if !root.is_null() => Some(Document { source, root }),
        _ => {
            let message = "the file is empty".to_owned();
            findings.add(Diagnostic::of_file(Severity::Error, Code::Empty, &source.path, message));
            None
        }
    }
}

fn span_of(span: &granit_parser::Span) -> Span {
    let byte = |marker: &granit_parser::Marker| marker.byte_offset().unwrap_or_default() as u32;
    Span { start: byte(&span.start), end: byte(&span.end) }
}

fn syntax_error(source: &Arc<Source>, error: &granit_parser::ScanError) -> Box<Diagnostic> {
    let at = error.marker().byte_offset().unwrap_or_default() as u32;
    let place = Place { source: Arc::clone(source), span: Span { start: at, end: at + 1 } };
    let truncated = at as usize >= source.text.trim_end().len();
    let (code, message) = match error.kind() {
        ErrorKind::RecursionLimitExceeded => {
            (Code::TooLarge, format!("lists and mappings are nested more than {DEPTH_MAX} deep"))
        }
        _ => (Code::Syntax, format!("the file cannot be read as YAML or JSON: {}", error.info())),
    };
    let mut problem = Box::new(Diagnostic::new(Severity::Error, code, &place, message));
    match error.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            problem.advise("indent with blanks, not with tabs");
        }
        ErrorKind::MappingValueNotAllowed => {
            problem.advise(
                "if the ': ' belongs to the text, put the text in quotes; else check the indentation",
            );
        }
        ErrorKind::UnknownAnchor => {
            problem.advise("a value that begins with '*' needs quotes");
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::UnclosedFlowCollection { .. } => {
            problem.advise("what is opened here is never closed; the file may be cut off");
        }
        _ if truncated && code == Code::Syntax => {
            problem.advise("the file ends in the middle of something: it may be cut off");
        }
        _ => {}
    }
    problem
}

/// A list or mapping that is being read.
struct Open<'a> {
    span: Span,
    anchor: usize,
    mapping: bool,
    items: Vec<Value<'a>>,
    pairs: Vec<Pair<'a>>,
    /// A key that waits for its value; a second `Option` for keys that are no text.
    key: Option<(Option<Cow<'a, str>>, Span)>,
    /// Mappings behind `<<`.
    merged: Vec<Value<'a>>,
}

struct Builder<'a, 'f> {
    source: &'a Arc<Source>,
    findings: &'f mut Findings,
    open: Vec<Open<'a>>,
    root: Option<Value<'a>>,
    anchors: HashMap<usize, (Value<'a>, usize)>,
    values: usize,
    aliased: usize,
}

type Step = Result<(), Box<Diagnostic>>;

impl<'a> Builder<'a, '_> {
    fn place(&self, span: Span) -> Place {
        Place { source: Arc::clone(self.source), span }
    }

    fn refuse(&self, code: Code, span: Span, message: impl Into<String>) -> Box<Diagnostic> {
        Box::new(Diagnostic::new(Severity::Error, code, &self.place(span), message.into()))
    }

    fn take(&mut self, event: Event<'a>, span: Span) -> Step {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && self.tag(tag.as_deref(), span);
                let value = Value { kind: Kind::Scalar { text, plain }, span };
                self.anchor(anchor, &value)?;
                self.put(value)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.start(span, anchor, false)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.start(span, anchor, true)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(id) => {
                let Some((value, size)) = self.anchors.get(&id) else {
                    return Err(self.refuse(Code::Syntax, span, "the alias stands inside of what it names"));
                };
                self.aliased += size;
                if self.aliased > ALIASED_MAX {
                    let message = format!("the file's aliases expand to more than {ALIASED_MAX} values");
                    return Err(self.refuse(Code::TooLarge, span, message));
                }
                let value = Value { kind: value.kind.clone(), span };
                self.put(value)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                let mut problem = self.refuse(Code::Syntax, span, "a second document begins here");
                problem.advise("one file is one document: remove the '---', or put this part in an own file");
                Err(problem)
            }
            _ => Ok(()),
        }
    }

    /// False for text by tag. Tags outside of YAML's own are errors: nobody here knows their meaning.
    fn tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else { return true };
        match tag.core_suffix() {
            Some("str") => false,
            Some("int" | "float" | "bool" | "null" | "seq" | "map") => true,
            _ => {
                let place = self.place(span);
                let message = format!("the tag {} has no meaning here", quoted(&tag.original()));
                self.findings.error(Code::Syntax, &place, message).advise("remove it");
                true
            }
        }
    }

    fn start(&mut self, span: Span, anchor: usize, mapping: bool) -> Step {
        if self.open.len() >= DEPTH_MAX {
            let message = format!("lists and mappings are nested more than {DEPTH_MAX} deep");
            return Err(self.refuse(Code::TooLarge, span, message));
        }
        let (items, pairs, merged) = (Vec::new(), Vec::new(), Vec::new());
        self.open.push(Open { span, anchor, mapping, items, pairs, key: None, merged });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Step {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        // A block collection "ends" where the next thing begins: underline its beginning only.
        let span =
            Span { start: open.span.start, end: open.span.end.max(open.span.start + 1).min(end.end.max(1)) };
        let kind = if open.mapping {
            self.duplicate_keys(&open.pairs);
            merge(&mut open.pairs, open.merged);
            open.pairs.shrink_to_fit();
            Kind::Mapping(open.pairs)
        } else {
            open.items.shrink_to_fit();
            Kind::List(open.items)
        };
        let value = Value { kind, span };
        self.anchor(open.anchor, &value)?;
        self.put(value)
    }

    fn anchor(&mut self, id: usize, value: &Value<'a>) -> Step {
        if id != 0 {
            let size = size(value);
            // The copy that is kept for aliases costs memory too.
            self.aliased += size;
            if self.aliased > ALIASED_MAX {
                let message = format!("the file's anchors and aliases hold more than {ALIASED_MAX} values");
                return Err(self.refuse(Code::TooLarge, value.span, message));
            }
            self.anchors.insert(id, (value.clone(), size));
        }
        Ok(())
    }

    fn put(&mut self, value: Value<'a>) -> Step {
        self.values += 1;
        if self.values > VALUES_MAX {
            let message = format!("the file has more than {VALUES_MAX} values");
            return Err(self.refuse(Code::TooLarge, value.span, message));
        }
        let place = self.place(value.span);
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        if !open.mapping {
            open.items.push(value);
            return Ok(());
        }
        match open.key.take() {
            None => {
                let span = value.span;
                let key = match value.kind {
                    Kind::Scalar { text, .. } if text.len() <= KEY_MAX => Some(text),
                    Kind::Scalar { .. } => {
                        let message = format!("a key has at most {KEY_MAX} bytes");
                        self.findings.error(Code::TooLarge, &place, message);
                        None
                    }
                    _ => {
                        self.findings.error(Code::Syntax, &place, "a key is text, not a list or mapping");
                        None
                    }
                };
                open.key = Some((key, span));
            }
            Some((Some(key), _)) if key == "<<" => {
                let ok = |value: &Value<'_>| matches!(value.kind, Kind::Mapping(_));
                match value.kind {
                    Kind::Mapping(_) => open.merged.push(value),
                    Kind::List(items) if items.iter().all(ok) => open.merged.extend(items),
                    _ => {
                        self.findings
                            .error(Code::WrongType, &place, "'<<' takes a mapping or a list of mappings")
                            .key("<<");
                    }
                }
            }
            Some((Some(key), span)) => open.pairs.push(Pair { key, span, value }),
            Some((None, _)) => {}
        }
        Ok(())
    }

    fn duplicate_keys(&mut self, pairs: &[Pair<'a>]) {
        let mut report = |first: Span, second: &Pair<'a>| {
            let place = Place { source: Arc::clone(self.source), span: second.span };
            let first = Place { source: Arc::clone(self.source), span: first };
            let message = format!("the key {} is stated twice", quoted(&second.key));
            self.findings
                .error(Code::DuplicateKey, &place, message)
                .key(second.key.to_string())
                .advise("keep one of the two")
                .also(&first, "first stated here");
        };
        if pairs.len() <= 16 {
            for (index, pair) in pairs.iter().enumerate() {
                if let Some(first) = pairs[..index].iter().find(|earlier| earlier.key == pair.key) {
                    report(first.span, pair);
                }
            }
        } else {
            let mut seen: HashMap<&str, Span> = HashMap::with_capacity(pairs.len());
            for pair in pairs {
                if let Some(first) = seen.get(pair.key.as_ref()) {
                    report(*first, pair);
                } else {
                    seen.insert(&pair.key, pair.span);
                }
            }
        }
    }
}

/// YAML's merge key: what is stated itself wins, then the earlier of several merged mappings.
fn merge<'a>(pairs: &mut Vec<Pair<'a>>, merged: Vec<Value<'a>>) {
    if merged.is_empty() {
        return;
    }
    let mut known: HashSet<Cow<'a, str>> = pairs.iter().map(|pair| pair.key.clone()).collect();
    for value in merged {
        let Kind::Mapping(more) = value.kind else { continue };
        pairs.extend(more.into_iter().filter(|pair| known.insert(pair.key.clone())));
    }
}

fn size(value: &Value<'_>) -> usize {
    1 + match &value.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => items.iter().map(size).sum(),
        Kind::Mapping(pairs) => pairs.iter().map(|pair| size(&pair.value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (Option<serde_json::Value>, Vec<Diagnostic>) {
        let source = Arc::new(Source::new("f.yaml", text.to_owned()));
        let mut findings = Findings::default();
        let json = parse(&source, &mut findings).map(|document| document.root.to_json());
        (json, findings.into_list())
    }

    #[test]
    fn yaml_and_json_give_the_same_tree() {
        let yaml = "a: [1, -2, 0x10, 1.5, true, ~, x]\nb: {c: '1'}\nd: |\n  line\n";
        let json = "{\"a\":[1,-2,16,1.5,true,null,\"x\"],\n\t\"b\":{\"c\":\"1\"},\n\t\"d\":\"line\\n\"}";
        let (a, problems) = read(yaml);
        assert!(problems.is_empty(), "{problems:?}");
        let (b, problems) = read(json);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(a, b);
        assert_eq!(a, serde_json::from_str(json).ok());
    }

    #[test]
    fn plain_words_that_other_readers_turn_into_values_stay_what_was_written() {
        let source = Arc::new(Source::new("f", "a: no\nb: 0755\nc: 52:54:00:12:34:56\nd: 1_000\n".into()));
        let document = parse(&source, &mut Findings::default()).unwrap();
        for (key, expected) in [("a", "no"), ("b", "0755"), ("c", "52:54:00:12:34:56"), ("d", "1_000")] {
            let Kind::Scalar { text, .. } = &document.root.child(key).unwrap().kind else { panic!() };
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_key_stated_twice_is_reported_with_both_places() {
        for text in ["a: 1\nb: 2\na: 3\n", "{\"a\": 1,\n\"b\": 2,\n\"a\": 3}"] {
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!((problems[0].code, problems[0].line), (Code::DuplicateKey, 3));
            assert_eq!(problems[0].related[0].line, 1);
        }
        let many: String = (0..40).map(|n| format!("k{n}: x\n")).chain(["k7: y\n".to_owned()]).collect();
        let (_, problems) = read(&many);
        assert_eq!((problems.len(), problems[0].line, problems[0].related[0].line), (1, 41, 8));
    }

    #[test]
    fn anchors_aliases_and_merge_keys_are_resolved() {
        let (json, problems) = read("d: &d {x: 1, y: 2}\ne: {<<: *d, y: 3}\nf: *d\n");
        assert!(problems.is_empty(), "{problems:?}");
        let expected =
            serde_json::json!({"d": {"x": 1, "y": 2}, "e": {"y": 3, "x": 1}, "f": {"x": 1, "y": 2}});
        assert_eq!(json, Some(expected));
    }

    #[test]
    fn an_alias_bomb_is_refused_at_the_alias() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let before = level - 1;
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(",")));
        }
        let (json, problems) = read(&bomb);
        assert!(json.is_none());
        assert_eq!(problems[0].code, Code::TooLarge);
        let flat = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(10_000), "*a,".repeat(1000));
        assert_eq!(read(&flat).1[0].code, Code::TooLarge);
        let (_, problems) = read("a: &a [*a]\n");
        assert!(problems[0].message.contains("inside of what it names"), "{problems:?}");
    }

    #[test]
    fn deep_nesting_is_refused() {
        for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(100_000)]
        {
            let (json, problems) = read(&text);
            assert!(json.is_none());
            assert_eq!(problems[0].code, Code::TooLarge, "{}", problems[0].message);
        }
    }

    #[test]
    fn a_file_that_is_cut_off_says_so() {
        let (json, problems) = read("nodes:\n- {name: \"comp");
        assert!(json.is_none());
        assert_eq!(problems[0].code, Code::Syntax);
        assert!(problems[0].advice.as_deref().unwrap().contains("cut off"), "{problems:?}");
    }

    #[test]
    fn an_empty_file_and_a_second_document_are_errors() {
        for text in ["", "# only a comment\n", "---\n", "~", "\u{feff}"] {
            assert_eq!(read(text).1[0].code, Code::Empty, "{text:?}");
        }
        assert_eq!(read("a: 1\n---\nb: 2\n").1[0].line, 2);
        assert!(read("---\na: 1\n...\n").1.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_text_makes_the_reader_panic_or_leave_the_file(
            text in "([a-c:\\-\\[\\]{},&*<|>'\"?!#% \n\tä]|: |- |\\*a|&a |<<: ){0,80}"
        ) {
            let (_, problems) = read(&text);
            for problem in &problems {
                prop_assert!(problem.line <= text.lines().count() + 1);
            }
            super::super::diagnostic::render(&problems, true);
        }
    }
}
