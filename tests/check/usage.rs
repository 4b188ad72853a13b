//! Flags, exit codes, what is printed where.

use super::{Folder, NODES, problems};

const TYPO: &str = "nodes:\n- name: küche\n  xname: x1000c0s0b0n0\n  serail: A1\n  interfaces:\n  - mac_addr: 52:54:00:00:00:01\n";

#[test]
fn wrong_usage_is_2_and_says_how() {
    let folder = Folder::with(&[]);
    for arguments in [&[][..], &["--no-such-flag"], &["--config"]] {
        let output = folder.check(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains("Usage: bootlace check") || stderr.contains("--help"),
            "{arguments:?}: {stderr}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_text_points_at_the_mistake_and_ends_with_a_summary() {
    let folder = Folder::with(&[("nodes.yaml", TYPO)]);
    let output = folder.check(&["nodes.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "error[unknown-key]: the key 'serail' is not known here");
    assert!(text.contains("nodes.yaml:4:3"), "{text}");
    let at = lines.iter().position(|line| line.contains("serail: A1")).unwrap();
    assert_eq!(lines[at].find("serail"), lines[at + 1].find("^^^^^^ did you mean 'serial'?"), "{text}");
    assert_eq!(*lines.last().unwrap(), "1 node: 1 error");
    assert!(!text.contains('\u{1b}'), "colour only on a terminal");
}

#[test]
fn json_is_one_document_with_every_detail() {
    let folder = Folder::with(&[("nodes.yaml", TYPO)]);
    let (code, result) = folder.check_json(&["nodes.yaml"]);
    assert_eq!(code, 1);
    assert_eq!(result["ok"], false);
    assert_eq!(result["files"][0], serde_json::json!({"file": "nodes.yaml", "kind": "nodes"}));
    assert_eq!((&result["nodes"], &result["errors"], &result["warnings"]), (&1.into(), &1.into(), &0.into()));
    let expected = serde_json::json!({
        "file": "nodes.yaml", "line": 4, "column": 3, "severity": "error", "code": "unknown-key",
        "key": "nodes[0].serail", "message": "the key 'serail' is not known here",
        "advice": "write serial:", "source_line": "  serail: A1", "related": [],
    });
    assert_eq!(result["diagnostics"][0], expected);
}

#[test]
fn warnings_are_0_and_with_strict_1() {
    let folder = Folder::with(&[("nodes.yaml", &NODES.replace("  groups:", "  rack: 7\n  groups:"))]);
    let (code, result) = folder.check_json(&["nodes.yaml"]);
    assert_eq!((code, &result["ok"], &result["warnings"]), (0, &true.into(), &5.into()));
    let (code, result) = folder.check_json(&["--strict", "nodes.yaml"]);
    assert_eq!((code, &result["ok"]), (1, &false.into()));
    let output = folder.check(&["nodes.yaml"]);
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("\n5 nodes: 5 warnings\n"));
}

#[test]
fn what_a_file_is_its_content_says_and_not_its_name() {
    let folder = Folder::with(&[
        ("a", NODES),
        ("b.yaml", "kernel: local\nhosts: [Default]\n"),
        ("nodes.yaml", "mode: proxy\n"),
        ("c", "nodes: []\n"),
        ("d", "- {macs: [52:54:00:be:ef:01], kernel: local}\n"),
    ]);
    let (_, result) = folder.check_json(&["a", "b.yaml", "nodes.yaml", "c", "d"]);
    let kinds: Vec<&str> =
        result["files"].as_array().unwrap().iter().map(|f| f["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["nodes", "boot", "settings", "nodes", "boot"], "{result:#}");
    assert_eq!(problems(&result), Vec::<String>::new());
    // `nodes:` with file names is settings.
    for text in ["nodes: a\n", "nodes: [a]\n", "nodes: [a]\nboot: b.yaml\n"] {
        folder.write("s", text.as_bytes());
        let (_, result) = folder.check_json(&["s"]);
        assert_eq!(result["files"][0]["kind"], "settings", "{text}");
        assert_eq!(result["nodes"], 5, "{text}");
    }
}

#[test]
fn a_second_settings_file_and_a_file_of_another_kind_are_errors() {
    let folder = Folder::with(&[("a", "mode: proxy\n"), ("b", "mode: proxy\n"), ("n", NODES)]);
    let (code, result) = folder.check_json(&["a", "b"]);
    assert_eq!((code, problems(&result)), (1, vec!["wrong-kind@b:0:0".to_owned()]));
    let (code, result) = folder.check_json(&["--config", "n"]);
    assert_eq!((code, problems(&result)), (1, vec!["wrong-kind@n:0:0".to_owned()]));
    folder.write("s", b"boot: n\n");
    let (code, result) = folder.check_json(&["s"]);
    assert_eq!((code, problems(&result)), (1, vec!["wrong-kind@n:0:0".to_owned()]));
}

#[test]
fn settings_alone_are_checked_too() {
    let folder = Folder::with(&[("bootlace.yaml", "mode: dhcp\n")]);
    let output = folder.check(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("modes: observe, 4011-only, proxy"), "{text}");
    assert!(text.ends_with("\nsettings: 1 error\n"), "{text}");
}
