//! `bootlace render` on files. It needs no root.

use std::path::Path;
use std::process::{Command, Output};

fn render(arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootlace"));
    command.arg("render").args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_examples_are_rendered_for_a_node_by_xname_or_name() {
    for node in ["x1000c0s0b0n0", "X1000C0S0B0N0", "compute1"] {
        let output = render(&[node, "compute", "--nodes", "nodes.yaml", "--cloud-init", "cloud-init"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let rendered = text(&output.stdout);
        assert!(rendered.starts_with("#cloud-config\n"), "{rendered}");
        assert!(rendered.contains("ssh_authorized_keys: ['ssh-ed25519 AAAA"), "{rendered}");
    }
    let all = render(&["compute1", "--nodes", "nodes.yaml", "--cloud-init", "cloud-init"]);
    assert!(text(&all.stdout).starts_with("# --- compute ---\n#cloud-config\n"), "{}", text(&all.stdout));
}

#[test]
fn what_cannot_be_rendered_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let content =
        "- name: compute\n  file:\n    content: |\n      ## template: jinja\n      a\n      {{ ds.nope }}\n";
    std::fs::write(folder.path().join("groups.yaml"), content).unwrap();
    let of = |node: &str, group: &str| {
        let cloud_init = folder.path().to_str().unwrap();
        let output = render(&[node, group, "--nodes", "nodes.yaml", "--cloud-init", cloud_init]);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let said = of("compute1", "compute");
    assert!(said.contains("compute: line 3: ") && said.contains("nope"), "{said}");
    assert!(of("compute99", "compute").contains("there is no node compute99"));
    assert!(of("compute1", "login").contains("is not a member of group login"));
    let output = render(&["compute1"]);
    // The folder's own bootlace.yaml names no cloud-init folder: there is nothing to show, and that is said.
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("gets no group files"), "{}", text(&output.stderr));
}
