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
    let unit_tests =
        |path: &Path| path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests");
    let mut names = BTreeSet::new();
    for path in paths.iter().filter(|path| !unit_tests(path.strip_prefix(root()).unwrap_or(path))) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
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

/// The groups whose every rule something here tests. The others (TFTP, HTTP, loops, autoexec.ipxe) have pages of their
/// own promises.
const TESTED_GROUPS: &str = "PIDRMXHS";

/// The source of every test function with the comment above it: from `#[test]` up over its comment, down to the brace
/// that rustfmt puts at the same depth.
fn test_functions(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut functions = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if !matches!(line.trim(), "#[test]" | "#[tokio::test]") {
            continue;
        }
        let above =
            |line: &&&str| line.trim_start().starts_with("///") || line.trim_start().starts_with("#[");
        let comment = lines[..at].iter().rev().take_while(above).count();
        let end = lines[at..].iter().position(|below| below.trim() == "}" && depth(below) == depth(line));
        let end = end.map_or(lines.len(), |end| at + end);
        functions.push(lines[at - comment..end].join("\n"));
    }
    functions
}

/// Tags that docs/rules.md names as not tested, with the reason: `- D9: sentence.`
fn excused() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string(root().join("docs/rules.md")).unwrap();
    let (_, section) = page.split_once("## Not tested here").expect("the section of untested rules");
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("- ")?.split_once(": "))
        .map(|(tag, why)| (tag.to_owned(), why.to_owned()))
        .collect()
}

#[test]
fn every_rule_of_the_wire_has_a_test_that_names_it_or_a_reason_why_none_can() {
    let mut paths = Vec::new();
    for folder in ["src", "tests"] {
        files(&root().join(folder), &mut paths);
    }
    let mut tested = BTreeSet::new();
    let mut count = 0;
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs")) {
        for function in test_functions(&std::fs::read_to_string(path).unwrap_or_default()) {
            tested.extend(tags(&function));
            count += 1;
        }
    }
    assert!(count > 200, "test functions are found: {count}");
    let (listed, excused) = (listed(), excused());
    for (tag, why) in &excused {
        assert!(listed.contains_key(tag), "{tag} is excused and no rule");
        assert!(why.len() > 20 && why.ends_with('.'), "{tag}: a sentence says why nothing can test it");
        assert!(!tested.contains(tag), "{tag} has a test: it needs no excuse any more");
    }
    let missing: Vec<_> = listed
        .keys()
        .filter(|tag| tag.starts_with(|group| TESTED_GROUPS.contains(group)))
        .filter(|tag| !tested.contains(*tag) && !excused.contains_key(*tag))
        .collect();
    assert!(missing.is_empty(), "no test names these rules, and docs/rules.md does not say why: {missing:?}");
}

/// Checks a table whose rows are a number from 1 to `last` and three cells, the last of which names tests: every number
/// is there once, every test exists, every row has a test or says why none can stand there.
fn every_row_has_its_tests(page: &str, last: usize) {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let numbers: Vec<usize> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "{page}");

    let mut paths = Vec::new();
    for folder in ["src", "tests"] {
        files(&root().join(folder), &mut paths);
    }
    let code: String = paths.iter().map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect();
    let mut missing = Vec::new();
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        // A test's name has several words and no dot, unlike the name of a setting or a file.
        let named = row[3].split('`').skip(1).step_by(2).filter(|word| !word.contains(['.', '/']));
        for test in named.filter(|test| !code.contains(&format!("fn {test}("))) {
            missing.push(format!("{}: {test}", row[0]));
        }
    }
    assert!(missing.is_empty(), "{page} names tests that are not there:\n{}", missing.join("\n"));
}

#[test]
fn every_quirk_has_a_row_and_the_tests_that_it_names_exist() {
    every_row_has_its_tests("docs/quirks.md", 56);
}

#[test]
fn every_feature_has_a_row_and_the_tests_that_it_names_exist() {
    every_row_has_its_tests("docs/features.md", 57);
    let page = std::fs::read_to_string(root().join("docs/features.md")).unwrap();
    for row in page.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()) {
        let says = row.split('|').nth(3).unwrap().trim();
        assert!(says.starts_with("yes") || says.starts_with("no"), "{row}");
        assert!(row.rsplit('|').nth(1).unwrap().contains('`'), "a test shows it: {row}");
    }
}
