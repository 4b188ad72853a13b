//! Reading a mapping by hand: typed access that reports what is wrong and goes on.
//!
//! Every accessor returns `None` both for an absent and for a wrong value; the wrong one was reported.
//! An empty value counts as absent, as it does for the OpenCHAMI tools.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use super::diagnostic::{Code, Diagnostic, Findings, quoted, shown};
use super::source::{Place, Source, Span};
use super::tree::{Kind, Pair, Value, integer};

/// Unknown keys of one mapping that are reported; more is another kind of file.
const UNKNOWN_MAX: usize = 100;

/// Longest text of one value, bytes: the longest kernel command line that anything takes is far below.
const TEXT_MAX: usize = 65_536;

/// The way to a value, written only when something is wrong there.
#[derive(Clone, Copy, Debug)]
pub enum KeyPath<'p> {
    /// The whole file.
    Root,
    /// A key of a mapping.
    Key(&'p KeyPath<'p>, &'p str),
    /// An item of a list, counted from 0 as in `jq`.
    Item(&'p KeyPath<'p>, usize),
}

impl fmt::Display for KeyPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place in the file that is being read.
    pub span: Span,
}

/// What happens to keys nobody knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// Error: the file is ours alone (bootlace.yaml).
    Refuse,
    /// Error where it resembles a known key, else a warning: other tools read the file too.
    Warn,
}

/// A mapping of a file.
pub struct Table<'t, 'a> {
    source: &'t Arc<Source>,
    findings: &'t mut Findings,
    pairs: &'t [Pair<'a>],
    /// Where the mapping begins.
    pub span: Span,
    path: &'t KeyPath<'t>,
}

impl<'t, 'a> Table<'t, 'a> {
    /// Opens `value` as a mapping, or reports that it is none.
    pub fn open(
        value: &'t Value<'a>,
        source: &'t Arc<Source>,
        path: &'t KeyPath<'t>,
        findings: &'t mut Findings,
    ) -> Option<Self> {
        match &value.kind {
            Kind::Mapping(pairs) => {
                // A block mapping begins at its first key, which is what a reader looks for.
                let span = pairs.first().map_or(value.span, |pair| pair.span);
                Some(Self { source, findings, pairs, span, path })
            }
            _ => {
                let place = Place { source: Arc::clone(source), span: value.span };
                let message = format!("a mapping (key: value) is needed here, this is {}", value.kind_name());
                findings.error(Code::WrongType, &place, message).key(path.to_string());
                None
            }
        }
    }

    /// The same table with another collector borrowed for a part.
    pub fn open_child<'s>(
        &'s mut self,
        value: &'s Value<'a>,
        path: &'s KeyPath<'s>,
    ) -> Option<Table<'s, 'a>> {
        Table::open(value, self.source, path, self.findings)
    }

    /// The way to this mapping.
    pub fn path(&self) -> &'t KeyPath<'t> {
        self.path
    }

    /// A place in this file.
    pub fn place(&self, span: Span) -> Place {
        Place { source: Arc::clone(self.source), span }
    }

    /// Reports an error about a key of this mapping.
    pub fn error(
        &mut self,
        code: Code,
        span: Span,
        key: &str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let place = self.place(span);
        let key = KeyPath::Key(self.path, key).to_string();
        self.findings.error(code, &place, message).key(key)
    }

    /// Reports a warning about a key of this mapping.
    pub fn warning(
        &mut self,
        code: Code,
        span: Span,
        key: &str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let place = self.place(span);
        let key = KeyPath::Key(self.path, key).to_string();
        self.findings.warning(code, &place, message).key(key)
    }

    /// Every key and value.
    pub fn pairs(&self) -> &'t [Pair<'a>] {
        self.pairs
    }

    /// True when the key is written, be its value empty.
    pub fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|pair| pair.key == key)
    }

    /// Where the key itself is written.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.pairs.iter().find(|pair| pair.key == key).map(|pair| pair.span)
    }

    /// A value that is not empty.
    pub fn value(&self, key: &str) -> Option<&'t Value<'a>> {
        self.pairs.iter().find(|pair| pair.key == key).map(|pair| &pair.value).filter(|v| !v.is_null())
    }

    /// True when nothing is said: no such key, no value, or an empty text.
    pub fn absent(&self, key: &str) -> bool {
        self.value(key).is_none_or(Value::is_blank)
    }

    fn wrong_type(&mut self, key: &str, value: &Value<'_>, needed: &str) -> &mut Diagnostic {
        let message = format!("{key} needs {needed}, this is {}", value.kind_name());
        self.error(Code::WrongType, value.span, key, message)
    }

    /// Text without control characters; numbers count as the text that was written.
    pub fn text(&mut self, key: &str) -> Option<At<&'t str>> {
        let value = self.value(key)?;
        self.text_of(key, value)
    }

    /// The same for an item of a list.
    pub fn text_of(&mut self, key: &str, value: &'t Value<'a>) -> Option<At<&'t str>> {
        let Kind::Scalar { text, .. } = &value.kind else {
            self.wrong_type(key, value, "text");
            return None;
        };
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            let message = format!("{key} holds the control character {}", control.escape_default());
            let problem = self.error(Code::ControlCharacter, value.span, key, message);
            if text.trim_end_matches('\n').contains(char::is_control) {
                problem.advise("put it all on one line");
            } else {
                problem.advise("write '>-' or '|-' instead of '>' or '|': the '-' leaves the line end away");
            }
            return None;
        }
        if text.len() > TEXT_MAX {
            let message = format!("{key} has {} bytes, more than the {TEXT_MAX} that are read", text.len());
            self.error(Code::TooLarge, value.span, key, message);
            return None;
        }
        (!text.is_empty()).then_some(At { value: text.as_ref(), span: value.span })
    }

    /// Text that a type reads; its error follows "KEY 'text': ".
    pub fn parsed<T>(&mut self, key: &str) -> Option<At<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self.text(key)?;
        self.parsed_text(key, text)
    }

    /// The same for an item of a list.
    pub fn parsed_text<T>(&mut self, key: &str, text: At<&str>) -> Option<At<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match text.value.parse() {
            Ok(value) => Some(At { value, span: text.span }),
            Err(problem) => {
                let message = format!("{key} {}: {problem}", quoted(text.value));
                self.error(Code::WrongValue, text.span, key, message);
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let message = format!("{key} {} is not possible", quoted(text.value));
        let advice = match nearest(text.value, &words) {
            Some(near) => format!("did you mean '{near}'? Possible: {}", words.join(", ")),
            None => format!("possible: {}", words.join(", ")),
        };
        self.error(Code::WrongValue, text.span, key, message).advise(advice);
        None
    }

    /// A whole number.
    pub fn integer(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<At<i64>> {
        let value = self.value(key)?;
        self.integer_of(key, value, range)
    }

    /// The same for an item of a list.
    pub fn integer_of(
        &mut self,
        key: &str,
        value: &Value<'_>,
        range: RangeInclusive<i64>,
    ) -> Option<At<i64>> {
        let Kind::Scalar { text, plain } = &value.kind else {
            self.wrong_type(key, value, "a whole number");
            return None;
        };
        match integer(text) {
            Some(_) if !plain => {
                self.wrong_type(key, value, "a whole number")
                    .advise(format!("without quotes: {}", shown(text)));
                None
            }
            Some(number) if range.contains(&number) => Some(At { value: number, span: value.span }),
            Some(number) => {
                let message = format!("{key} {number} is out of range");
                self.error(Code::WrongValue, value.span, key, message).advise(format!(
                    "possible: {} to {}",
                    range.start(),
                    range.end()
                ));
                None
            }
            None => {
                let message = format!("{key} needs a whole number, this is {}", quoted(text));
                self.error(Code::WrongType, value.span, key, message);
                None
            }
        }
    }

    /// `true` or `false`; `yes`, `no`, `on`, `off` as YAML 1.1 has them.
    pub fn truth(&mut self, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        if let Kind::Scalar { text, plain: true } = &value.kind {
            match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => return Some(true),
                "false" | "no" | "off" => return Some(false),
                _ => {}
            }
        }
        self.wrong_type(key, value, "true or false");
        None
    }

    /// The items of a list; nothing for an absent one.
    pub fn list(&mut self, key: &str) -> &'t [Value<'a>] {
        let Some(value) = self.value(key) else { return &[] };
        let Kind::List(items) = &value.kind else {
            let advice = if let Kind::Scalar { text, .. } = &value.kind {
                format!("in brackets: {key}: [{}]", shown(text))
            } else {
                "begin each item with '- '".to_owned()
            };
            self.wrong_type(key, value, "a list").advise(advice);
            return &[];
        };
        items
    }

    /// The items of a list; a single value stands for a list of one.
    pub fn one_or_more(&self, key: &str) -> &'t [Value<'a>] {
        match self.value(key) {
            Some(Value { kind: Kind::List(items), .. }) => items,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        }
    }

    /// Texts of a list.
    pub fn texts(&mut self, key: &str, items: &'t [Value<'a>]) -> Vec<At<&'t str>> {
        items.iter().filter_map(|item| self.text_of(key, item)).collect()
    }

    /// Reports the keys that are not in `known`.
    pub fn unknown_keys(&mut self, known: &[&str], unknown: Unknown) {
        let strange = self.pairs.iter().filter(|pair| !known.contains(&pair.key.as_ref()));
        for (count, pair) in strange.enumerate() {
            if count == UNKNOWN_MAX {
                let message = "more keys of this mapping are not known";
                self.error(Code::TooMany, pair.span, &pair.key, message);
                return;
            }
            let message = format!("the key {} is not known here", quoted(&pair.key));
            match (nearest(&pair.key, known), unknown) {
                (Some(near), _) => {
                    self.error(Code::UnknownKey, pair.span, &pair.key, message)
                        .label(format!("did you mean '{near}'?"))
                        .advise(format!("write {near}:"));
                }
                (None, Unknown::Refuse) => {
                    self.error(Code::UnknownKey, pair.span, &pair.key, message)
                        .advise(format!("known here: {}", known.join(", ")));
                }
                (None, Unknown::Warn) => {
                    self.warning(Code::UnknownKey, pair.span, &pair.key, format!("{message}; it is ignored"));
                }
            }
        }
    }
}

/// The known word that `word` was probably meant to be.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
    };
    let typed = plain(word);
    let distance = |candidate: &str| {
        let candidate_plain = plain(candidate);
        // "mac" for "mac_addr": the first word of the key.
        if candidate_plain == typed || candidate.starts_with(&format!("{word}_")) {
            return Some(0);
        }
        let short = typed.len().min(candidate_plain.len());
        let limit = match short {
            0..=2 => 0,
            3..=5 => 1,
            _ => 2,
        };
        // A cheap bound first: a long key cannot be near a short one.
        if typed.len().abs_diff(candidate_plain.len()) > limit {
            return None;
        }
        Some(strsim::damerau_levenshtein(&typed, &candidate_plain)).filter(|distance| *distance <= limit)
    };
    known
        .iter()
        .filter_map(|candidate| Some((distance(candidate)?, *candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_near_and_another_word_is_not() {
        let known = ["name", "nid", "xname", "interfaces", "mac_addr", "ip_addrs", "serial", "role", "macs"];
        for (typo, meant) in [
            ("interface", "interfaces"),
            ("inerfaces", "interfaces"),
            ("serail", "serial"),
            ("mac", "macs"),
            ("Mac-Addr", "mac_addr"),
            ("ip", "ip_addrs"),
            ("Name", "name"),
        ] {
            // "mac" is as near to mac_addr as to macs by rule; either is a help.
            let near = nearest(typo, &known);
            assert!(near == Some(meant) || (typo == "mac" && near == Some("mac_addr")), "{typo}: {near:?}");
        }
        for other in ["rack", "id", "location", "owner", "x", ""] {
            assert_eq!(nearest(other, &known), None, "{other}");
        }
    }
}
