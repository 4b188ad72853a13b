//! Keys about relays: `trusted_relays` in bootlace.yaml, `circuit_id` and `remote_id` in nodes.yaml.

use super::{Folder, problems};

/// One node of this port and nothing else but a card.
fn node(name: &str, last: u8, port: &str) -> String {
    format!(
        "- {{name: {name}, xname: x1c0s0b{last}n0, interfaces: [{{mac_addr: 52:54:00:00:00:0{last}}}], {port}}}\n"
    )
}

fn check(file: &str, text: &str) -> (i32, String, String) {
    let folder = Folder::with(&[(file, text)]);
    let (code, result) = folder.check_json(&[file]);
    (code, problems(&result).join(" "), result["diagnostics"][0]["message"].to_string())
}

#[test]
fn trusted_relays_are_addresses_each_once() {
    let right = ["trusted_relays: 10.0.0.1", "trusted_relays: [10.0.0.1, 10.0.0.2]", "trusted_relays: []"];
    for text in right {
        let (code, found, _) = check("bootlace.yaml", &format!("mode: proxy\n{text}\n"));
        assert_eq!((code, found.as_str()), (0, ""), "{text}");
    }
    for (text, place, what) in [
        ("trusted_relays: [10.0.0.1, relay7]", "wrong-value@bootlace.yaml:2:28", "relay7"),
        ("trusted_relays: [10.0.0.0/24]", "wrong-value@bootlace.yaml:2:18", "10.0.0.0/24"),
        ("trusted_relays: [0.0.0.0]", "wrong-value@bootlace.yaml:2:18", "cannot be a relay's address"),
        ("trusted_relays: [10.0.0.1, 10.0.0.1]", "wrong-value@bootlace.yaml:2:28", "listed twice"),
        ("trusted_relay: [10.0.0.1]", "unknown-key@bootlace.yaml:2:1", "trusted_relay"),
    ] {
        let (code, found, message) = check("bootlace.yaml", &format!("mode: proxy\n{text}\n"));
        assert_eq!((code, found.as_str()), (1, place), "{text}");
        assert!(message.contains(what), "{text}: {message}");
    }
}

#[test]
fn a_switch_port_is_text_or_hex() {
    for port in [
        "circuit_id: ge-0/0/12",
        "circuit_id: '0004'",
        "circuit_id: {hex: 0004000a0102}",
        "remote_id: {hex: \"52:54:00:aa:00:01\"}",
        "circuit_id: p1, remote_id: sw1",
    ] {
        let (code, found, _) = check("nodes.yaml", &format!("nodes:\n{}", node("a", 1, port)));
        assert_eq!((code, found.as_str()), (0, ""), "{port}");
    }
    let long = format!("circuit_id: {}", "x".repeat(256));
    for (port, what) in [
        ("circuit_id: {hex: 000}", "no even number of hexadecimal digits"),
        ("circuit_id: {hex: 00zz}", "no even number of hexadecimal digits"),
        ("circuit_id: {}", "needs hex"),
        ("circuit_id: {text: p1}", "text"),
        ("remote_id: [1, 2]", "remote_id"),
        (&long, "256 bytes, 1 to 255 are possible"),
    ] {
        let (code, _, message) = check("nodes.yaml", &format!("nodes:\n{}", node("a", 1, port)));
        assert_eq!(code, 1, "{port}");
        assert!(message.contains(what), "{port}: {message}");
    }
}

#[test]
fn a_switch_port_is_an_identity_and_belongs_to_one_node() {
    let alone = "nodes:\n- {name: a, xname: x1c0s0b1n0, circuit_id: p1}\n";
    let (code, found, _) = check("nodes.yaml", alone);
    assert_eq!((code, found.as_str()), (0, ""));
    let two = |first: &str, second: &str| format!("nodes:\n{}{}", node("a", 1, first), node("b", 2, second));
    // One circuit id on two switches, and alone as well, are three ports.
    for (first, second) in [
        ("circuit_id: p1, remote_id: s1", "circuit_id: p1, remote_id: s2"),
        ("circuit_id: p1", "circuit_id: p1, remote_id: s2"),
        ("circuit_id: p1", "remote_id: p1"),
    ] {
        assert_eq!(check("nodes.yaml", &two(first, second)).0, 0, "{first}; {second}");
    }
    let text = two("circuit_id: p1, remote_id: s1", "remote_id: {hex: 7331}, circuit_id: p1");
    let (code, found, message) = check("nodes.yaml", &text);
    assert_eq!(code, 1);
    assert!(found.starts_with("duplicate-port@nodes.yaml:3:"), "{found}");
    assert!(
        message.contains("switch port circuit-id p1 remote-id s1 is stated for a and again for b"),
        "{message}"
    );
}
