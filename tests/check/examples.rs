//! The files under `config/` are right, and the reference page names every key.

use std::path::Path;

use bootlace::config::Code;
use bootlace::config::api::{API_KEYS, API_TLS_KEYS, API_TOKENS_KEYS};
use bootlace::config::class::{CLASS_KEYS, MATCH_KEYS};
use bootlace::config::file;
use bootlace::config::menu::{ITEM_KEYS, MENU_KEYS};
use bootlace::config::values::KNOB_KEYS;
use bootlace::openchami::cloud_init::files as cloud_files;
use bootlace::records::{boot_file, nodes_file};

use super::{Folder, NODES, check_in};

const OLD_FORM: &str = include_str!("../../config/nodes-old-form.yaml");
const BOOT: &str = include_str!("../../config/boot.yaml");
const SETTINGS: &str = include_str!("../../config/bootlace.yaml");
const REFERENCE: &str = include_str!("../../docs/settings.md");

fn examples(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let output = check_in(&folder, arguments);
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_five_nodes_pass_in_both_forms() {
    for file in ["nodes.yaml", "nodes-old-form.yaml"] {
        let expected = (Some(0), "5 nodes: no problem found\n".to_owned());
        assert_eq!(examples(&["--strict", file]), expected, "{file}");
        let expected = (Some(0), "5 nodes, 2 boot entries: no problem found\n".to_owned());
        assert_eq!(examples(&["--strict", file, "boot.yaml"]), expected, "{file}");
    }
}

#[test]
fn bootlace_yaml_pulls_in_the_files_it_names() {
    let expected = (Some(0), "5 nodes, 2 boot entries: no problem found\n".to_owned());
    assert_eq!(examples(&["--strict", "bootlace.yaml"]), expected);
    // The folder's own bootlace.yaml is what is checked when nothing is named.
    assert_eq!(examples(&["--strict"]), expected);
    // A file that is named twice is read once.
    assert_eq!(examples(&["--strict", "nodes.yaml", "--config", "bootlace.yaml"]), expected);
}

#[test]
fn the_five_nodes_pass_as_json_of_every_layout() {
    let source = std::sync::Arc::new(bootlace::config::source::Source::new("n", NODES.to_owned()));
    let mut findings = bootlace::config::Findings::default();
    let json = bootlace::config::tree::parse(&source, &mut findings).unwrap().root.to_json();
    let pretty = serde_json::to_string_pretty(&json).unwrap();
    for text in [json.to_string(), pretty.replace("  ", "\t"), pretty] {
        let folder = Folder::with(&[("nodes.json", &text)]);
        let output = folder.check(&["--strict", "nodes.json"]);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "5 nodes: no problem found\n", "{text}");
    }
}

/// What the comments of the examples show is right too: with all of it switched on nothing is wrong but
/// the asset folder, which this machine does not have.
#[test]
fn every_key_that_the_examples_show_in_a_comment_is_right() {
    let known = [
        &file::KEYS[..],
        &file::INTERFACE_KEYS,
        &file::SUBNET_KEYS,
        &file::PROFILE_KEYS,
        &CLASS_KEYS,
        &MATCH_KEYS,
        &MENU_KEYS,
        &ITEM_KEYS,
        &KNOB_KEYS,
        &API_KEYS,
        &nodes_file::OUR_KEYS,
        &boot_file::BSS_KEYS,
        &boot_file::OUR_KEYS,
        &["ntp-servers", "224"],
    ]
    .concat();
    let mut shown = 0;
    let mut switched_on = |text: &str| {
        let mut lines = String::new();
        for line in text.lines() {
            let commented = line.trim_start().strip_prefix("# ").map(str::trim_start);
            let key = commented.and_then(|rest| rest.split_once(':')).map(|(key, _)| key);
            // "# proxy: …" and the like are prose about a value, not keys.
            let is_key = key.is_some_and(|key| known.contains(&key));
            shown += usize::from(is_key);
            lines += &if is_key { line.replacen("# ", "", 1) } else { line.to_owned() };
            lines += "\n";
        }
        lines
    };
    let folder = Folder::with(&[
        ("nodes.yaml", &switched_on(NODES)),
        ("boot.yaml", &switched_on(BOOT)),
        ("bootlace.yaml", &switched_on(SETTINGS)),
    ]);
    let (code, result) = folder.check_json(&["bootlace.yaml"]);
    assert_eq!((code, &result["errors"]), (0, &0.into()), "{result:#}");
    assert!(shown > 30, "only {shown} keys were switched on");
    let other = |problem: &&serde_json::Value| problem["code"] != "cannot-read" && problem["code"] != "tie";
    let others: Vec<_> = result["diagnostics"].as_array().unwrap().iter().filter(other).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn the_examples_show_every_key() {
    let shows = |text: &str, key: &str| text.contains(&format!("{key}:"));
    let ours =
        [&CLASS_KEYS[..], &MATCH_KEYS, &MENU_KEYS, &ITEM_KEYS, &API_KEYS, &API_TLS_KEYS, &API_TOKENS_KEYS]
            .concat();
    for key in [&file::KEYS[..], &file::INTERFACE_KEYS, &file::SUBNET_KEYS, &file::PROFILE_KEYS, &KNOB_KEYS]
        .concat()
        .into_iter()
        .chain(ours)
    {
        assert!(shows(SETTINGS, key), "bootlace.yaml: {key}");
    }
    for key in [&nodes_file::NEW_KEYS[..], &nodes_file::OUR_KEYS].concat() {
        assert!(shows(NODES, key), "nodes.yaml: {key}");
    }
    for key in [&boot_file::BSS_KEYS[..], &boot_file::OUR_KEYS].concat() {
        assert!(shows(BOOT, key), "boot.yaml: {key}");
    }
    for key in ["bmc_mac", "bmc_ip", "group"] {
        assert!(shows(OLD_FORM, key), "nodes-old-form.yaml: {key}");
    }
}

#[test]
fn the_reference_names_every_key_and_every_problem() {
    let keys = [
        &file::KEYS[..],
        &file::INTERFACE_KEYS,
        &file::SUBNET_KEYS,
        &file::PROFILE_KEYS,
        &CLASS_KEYS,
        &MATCH_KEYS,
        &MENU_KEYS,
        &ITEM_KEYS,
        &KNOB_KEYS,
        &API_KEYS,
        &API_TLS_KEYS,
        &API_TOKENS_KEYS,
        &nodes_file::NEW_KEYS,
        &nodes_file::OLD_KEYS,
        &nodes_file::OUR_KEYS,
        &nodes_file::BMC_KEYS,
        &boot_file::BSS_KEYS,
        &boot_file::OUR_KEYS,
    ]
    .concat();
    for key in keys {
        assert!(REFERENCE.contains(&format!("`{key}`")), "docs/settings.md says nothing of the key {key}");
    }
    for code in Code::ALL {
        let row = format!("| `{}` | {} |", code.name(), code.text());
        assert!(REFERENCE.contains(&row), "docs/settings.md needs the row {row}");
    }
}

#[test]
fn the_cloud_init_examples_are_right_and_show_every_key() {
    let expected = (Some(0), "cloud-init: no problem found\n".to_owned());
    assert_eq!(examples(&["--strict", "--cloud-init", "cloud-init"]), expected);
    let documentation = include_str!("../../docs/openchami.md");
    for (text, keys) in [
        (include_str!("../../config/cloud-init/defaults.yaml"), &cloud_files::DEFAULTS_KEYS[..]),
        (include_str!("../../config/cloud-init/groups.yaml"), &cloud_files::GROUP_KEYS),
        (include_str!("../../config/cloud-init/groups.yaml"), &cloud_files::FILE_KEYS),
        (include_str!("../../config/cloud-init/nodes.yaml"), &cloud_files::NODE_KEYS),
    ] {
        for key in keys {
            assert!(text.contains(&format!("{key}:")), "an example needs the key {key}");
            assert!(documentation.contains(&format!("`{key}`")), "docs/openchami.md says nothing of {key}");
        }
    }
}

#[test]
fn cloud_init_files_that_settings_name_are_checked_with_their_lines() {
    let folder = Folder::with(&[
        ("bootlace.yaml", "cloud_init: .\n"),
        ("groups.yaml", "- name: a\n  file:\n    encoding: rot13\n"),
    ]);
    let (code, result) = folder.check_json(&["bootlace.yaml"]);
    let problem = &result["diagnostics"][0];
    assert_eq!(
        (code, &problem["code"], &problem["line"]),
        (1, &"wrong-value".into(), &3.into()),
        "{result:#}"
    );
}
