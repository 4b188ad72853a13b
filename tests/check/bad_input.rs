//! Files that are no records: each a clear message and exit code 1, never a panic or a hang.

use std::fs::File;
use std::os::unix::net::UnixListener;

use super::{Folder, NODES, check_in, problems};

/// One file: exit code 1 and exactly these problems.
fn refuse(name: &str, bytes: &[u8], expected: &str) {
    let folder = Folder::with(&[]);
    folder.write(name, bytes);
    let (code, result) = folder.check_json(&[name]);
    assert_eq!((code, problems(&result).join(" ")), (1, expected.to_owned()), "{result:#}");
    // The text form is the same result, and says something.
    let output = folder.check(&[name]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("error["));
}

#[test]
fn empty_truncated_binary_and_foreign_files_are_refused_with_their_place() {
    refuse("empty", b"", "empty@empty:0:0");
    refuse("comments", b"# nothing yet\n", "empty@comments:0:0");
    refuse("elf", b"\x7fELF\x02\x01\x01\0\0\0\0", "binary@elf:0:0");
    refuse("latin1.yaml", b"nodes:\n- name: k\xfcche\n", "not-utf8@latin1.yaml:2:10");
    refuse("utf16.yaml", b"\xff\xfen\0o\0d\0e\0s\0", "not-utf8@utf16.yaml:0:0");
    refuse("cut.json", br#"{"nodes": [{"name": "comp"#, "syntax@cut.json:1:21");
    refuse("cut.yaml", b"nodes:\n- name: a\n  interfaces: [", "syntax@cut.yaml:3:15");
    refuse("tab.yaml", b"nodes:\n\t- name: a\n", "syntax@tab.yaml:2:2");
    refuse("text", b"once upon a time", "unknown-kind@text:0:0");
    refuse("number", b"42", "unknown-kind@number:0:0");
    refuse("list", b"[1, 2, 3]", "unknown-kind@list:0:0");
    refuse("other.yaml", b"apiVersion: v1\nkind: Pod\n", "unknown-kind@other.yaml:0:0");
    refuse("nodes.yaml", b"nodes: {a: b}\nbmcs: []\n", "wrong-type@nodes.yaml:1:8");
    refuse("two.yaml", b"nodes: []\n---\nnodes: []\n", "syntax@two.yaml:2:1");
    refuse("twice.yaml", b"nodes: []\nnodes: []\n", "duplicate-key@twice.yaml:2:1");
    refuse("bell.yaml", b"nodes: [] # \x07\n", "control-character@bell.yaml:1:13");
}

#[test]
fn deep_nesting_and_alias_bombs_are_refused() {
    refuse("deep.json", "[".repeat(200_000).as_bytes(), "too-large@deep.json:1:65");
    let mut bomb = String::from("nodes: &a0 [{x: y}]\n");
    for level in 1..30 {
        bomb += &format!("k{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]\n", level - 1);
    }
    let folder = Folder::with(&[("bomb.yaml", &bomb)]);
    let (code, result) = folder.check_json(&["bomb.yaml"]);
    assert_eq!((code, &result["diagnostics"][0]["code"]), (1, &"too-large".into()));
}

#[test]
fn what_is_no_regular_file_is_named_and_not_opened() {
    let folder = Folder::with(&[("dir/x", "")]);
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    nix::unistd::mkfifo(&folder.path().join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o600))
        .unwrap();
    let (code, result) = folder.check_json(&["missing.yaml", "dir", "fifo", "socket", "/dev/zero"]);
    assert_eq!(code, 1);
    assert_eq!(
        problems(&result),
        [
            "cannot-read@missing.yaml:0:0",
            "cannot-read@dir:0:0",
            "cannot-read@fifo:0:0",
            "cannot-read@socket:0:0",
            "cannot-read@/dev/zero:0:0"
        ]
    );
}

#[test]
fn a_disk_image_given_by_mistake_is_not_read() {
    let folder = Folder::with(&[]);
    File::create(folder.path().join("disk.img")).unwrap().set_len(300 << 20).unwrap();
    let (code, result) = folder.check_json(&["disk.img"]);
    assert_eq!((code, problems(&result)), (1, vec!["too-large@disk.img:0:0".to_owned()]));
}

#[test]
fn ten_megabytes_of_one_wrong_value_are_answered_in_short() {
    let folder = Folder::with(&[]);
    folder.write("big.json", format!("{{\"nodes\": \"{}\"}}", "x".repeat(10 << 20)).as_bytes());
    folder.write("mail", "dear all\n".repeat((10 << 20) / 9).as_bytes());
    for name in ["big.json", "mail"] {
        let output = folder.check(&[name]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(output.stdout.len() < 2000, "{name}: {} bytes of output", output.stdout.len());
    }
}

#[test]
fn ten_megabytes_of_mistakes_are_counted_and_shown_in_part() {
    let node = "- {name: n, xname: bad, interfaces: [{mac_addr: bad}]}\n";
    let folder = Folder::with(&[]);
    folder.write("nodes.yaml", format!("nodes:\n{}", node.repeat((10 << 20) / node.len())).as_bytes());
    let output = folder.check(&["nodes.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.len() < 100_000);
    assert!(text.contains("more problems are not listed"), "{}", &text[text.len() - 500..]);
}

#[test]
fn a_hundred_thousand_nodes_load() {
    let mut text = String::from("nodes:\n");
    for n in 0..100_000 {
        let [_, a, b, c] = u32::to_be_bytes(n);
        text += &format!(
            "- name: n{n}\n  nid: {}\n  xname: x1{a}c{b}s{}b{}n0\n  groups: [compute]\n  interfaces:\n  \
             - mac_addr: 02:00:00:{a:02x}:{b:02x}:{c:02x}\n    ip_addrs:\n    - ip_addr: 10.{a}.{b}.{c}\n",
            n + 1,
            c / 16,
            c % 16
        );
    }
    assert!(text.len() > 10 << 20);
    let entries: String = (0..100_000u32)
        .map(|n| {
            let [_, a, b, c] = u32::to_be_bytes(n);
            format!("- {{name: e{n}, macs: [02:00:00:{a:02x}:{b:02x}:{c:02x}], kernel: local}}\n")
        })
        .collect();
    let folder = Folder::with(&[("nodes.yaml", &text), ("boot.yaml", &entries)]);
    let output = folder.check(&["--strict", "nodes.yaml", "boot.yaml"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown, "100000 nodes, 100000 boot entries: no problem found\n");
}

#[test]
fn every_mistake_of_every_file_is_found_in_one_run() {
    let nodes = "nodes:
- name: a
  nid: x
  xname: x1000c0s0b0
  interfaces:
  - mac_addr: zz
- nmae: b
  xname: x1000c0s0b1n0
  interfaces:
  - mac_addr: 52:54:00:00:00:01
    ip_addrs: [{ip_addr: 10.0.0.999}]
";
    let boot = "kernel: ../x\nnids: [-1]\nparam: quiet\n";
    let settings = "moed: proxy\nsubnets: [{subnet: 10.0.0.0/33}]\nnodes: nodes.yaml\nboot: boot.yaml\n";
    let folder = Folder::with(&[("nodes.yaml", nodes), ("boot.yaml", boot), ("bootlace.yaml", settings)]);
    let (code, result) = folder.check_json(&[]);
    assert_eq!(code, 1);
    assert_eq!(
        problems(&result),
        [
            "unknown-key@bootlace.yaml:1:1",
            "wrong-value@bootlace.yaml:2:20",
            "wrong-type@nodes.yaml:3:8",
            "wrong-value@nodes.yaml:4:10",
            "wrong-value@nodes.yaml:6:15",
            "unknown-key@nodes.yaml:7:3",
            "wrong-value@nodes.yaml:11:26",
            "wrong-value@boot.yaml:1:9",
            "wrong-value@boot.yaml:2:8",
            "unknown-key@boot.yaml:3:1",
        ]
    );
}

#[test]
fn terminal_escapes_in_a_file_do_not_reach_the_terminal() {
    let text = NODES.replace("x1000c0s0b0n0", "\"\\e[31mred\"");
    let folder = Folder::with(&[("nodes.yaml", &text)]);
    let output = check_in(folder.path(), &["nodes.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stdout.contains(&0x1b));
}
