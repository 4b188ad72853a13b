//! docs/rules.md lists every rule tag that code, tests, templates and documents cite.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and is a shell"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Text files below a folder of the repository.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path
            .extension()
            .is_some_and(|ext| ["rs", "md", "ipxe", "yaml", "sh"].iter().any(|known| ext == *known))
        {
            found.push(path);
        }
    }
}

/// Tags of the form `[X1]`: one of the rule letters and a number.
fn tags(text: &str) -> BTreeSet<String> {
    text.split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']').map(|(tag, _)| tag))
        .filter(|tag| {
            let mut chars = tag.chars();
            chars.next().is_some_and(|first| "PIDRMXHSTWLA".contains(first))
                && (2..=3).contains(&tag.len())
                && chars.all(|c| c.is_ascii_digit())
        })
        .map(str::to_owned)
        .collect()
}

fn listed() -> BTreeMap<String, (String, String)> {
    let page = std::fs::read_to_string(root().join("docs/rules.md")).unwrap();
    page.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [tag, rule, source] = cells[..] else { return None };
            tag.chars()
                .nth(1)
                .is_some_and(|c| c.is_ascii_digit())
                .then(|| (tag.to_owned(), (rule.to_owned(), source.to_owned())))
        })
        .collect()
}

#[test]
fn every_cited_rule_tag_is_listed_with_a_sentence_and_its_source() {
    let listed = listed();
    assert!(listed.len() > 50, "the table is read: {}", listed.len());
    for (tag, (rule, source)) in &listed {
        assert!(rule.ends_with('.') && rule.len() > 20, "{tag}: a sentence");
        assert!(!source.is_empty(), "{tag}: a source");
    }
    let mut paths = Vec::new();
    for folder in ["src", "tests", "ipxe", "docs", "config"] {
        files(&root().join(folder), &mut paths);
    }
    let mut missing = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for tag in tags(&text) {
            if !listed.contains_key(&tag) {
                missing.push(format!("{} cites [{tag}]", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(missing.is_empty(), "not in docs/rules.md:\n{}", missing.join("\n"));
}

#[test]
fn every_listed_rule_is_cited_by_code_or_tests() {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "ipxe"] {
        files(&root().join(folder), &mut paths);
    }
    let cited: BTreeSet<String> =
        paths.iter().flat_map(|path| tags(&std::fs::read_to_string(path).unwrap_or_default())).collect();
    let idle: Vec<_> = listed().into_keys().filter(|tag| !cited.contains(tag)).collect();
    assert!(idle.is_empty(), "in docs/rules.md, cited nowhere: {idle:?}");
}

/// Names of events that the program notes, by the places where it says them.
fn event_names() -> BTreeSet<String> {
    let mut paths = Vec::new();
    files(&root().join("src"), &mut paths);
    let mut names = BTreeSet::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().replace(['\n', ' '], "");
        for before in ["Level::Error,\"", "Level::Warn,\"", "Level::Info,\"", "Level::Debug,\"", ",name:\""] {
            for rest in code.split(before).skip(1) {
                names.extend(rest.split_once('"').map(|(name, _)| name.to_owned()));
            }
        }
    }
    names
}

#[test]
fn every_event_is_listed_in_the_documents() {
    let page = std::fs::read_to_string(root().join("docs/events.md")).unwrap();
    let names = event_names();
    assert!(names.contains("ready") && names.contains("reload-failed"), "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "docs/events.md lacks a row for: {missing:?}");
}
