//! `bootlace serve` as a program that scripts rely on: start, refusals with the right exit code and nothing
//! half-started, signals, reloads. Needs root, as every test that makes namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and is a shell"
)]

mod host;

use host::{Ended, Host};

// ---------------------------------------------------------------- starting and stopping

#[test]
fn ready_is_one_line_that_names_interface_mode_http_and_nodes() {
    let mut serve = Host::new().serve(&["--mode", "proxy", "--http", "10.77.0.1:9000", "--http", ":8081"]);
    let line = serve.wait_line("ready interface=");
    assert!(
        line.contains("ready interface=eth0 mode=proxy http=10.77.0.1:9000,10.77.0.1:8081 nodes=1"),
        "{line}"
    );
    serve.signal("TERM");
    assert_eq!(serve.code(), Some(0));
}

#[test]
fn sigint_ends_it_with_0_too() {
    let mut serve = Host::new().serve(&["--log-format", "json"]);
    let ready = serve.wait_line("\"event\":\"ready\"");
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    assert_eq!((ready["interface"].as_str(), ready["nodes"].as_u64()), (Some("eth0"), Some(1)));
    serve.signal("INT");
    assert_eq!(serve.code(), Some(0));
}

/// The log is on stderr, all of it: stdout belongs to a command's result.
#[test]
fn nothing_is_written_to_stdout() {
    let host = Host::new();
    let ended = host.refused(&["--interface", "eth9"]);
    assert_eq!(ended.stdout, "");
}

/// Everything works by settings alone; a flag wins over its key.
#[test]
fn every_flag_is_a_key_of_the_settings_file_and_a_flag_wins() {
    let host = Host::new();
    let settings = "
mode: reservation
interfaces: [{name: eth0}]
nodes: nodes.yaml
boot: boot.yaml
assets: assets
firmware: firmware
http: ['10.77.0.1:9001']
log_format: json
";
    host.write("bootlace.yaml", settings);
    host.write("assets/x", "x");
    let config = host.path("bootlace.yaml");
    let mut serve = host.serve_with(&["--config", &config]);
    let ready: serde_json::Value = serde_json::from_str(&serve.wait_line("\"ready\"")).unwrap();
    assert_eq!(
        (ready["mode"].as_str(), ready["http"].as_str()),
        (Some("reservation"), Some("10.77.0.1:9001"))
    );
    serve.signal("TERM");
    assert_eq!(serve.code(), Some(0));
    let mut serve = serve.host.serve_with(&["--config", &config, "--mode", "proxy", "--http", ":9002"]);
    let ready: serde_json::Value = serde_json::from_str(&serve.wait_line("\"ready\"")).unwrap();
    assert_eq!((ready["mode"].as_str(), ready["http"].as_str()), (Some("proxy"), Some("10.77.0.1:9002")));
}

// ---------------------------------------------------------------- refusals

fn says(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "lacks '{word}':\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("ready interface"), "{}", ended.stderr);
}

#[test]
fn a_missing_interface_is_named_with_those_there_are() {
    says(&Host::new().refused(&["--interface", "eth9"]), 1, &["no interface eth9", "eth0"]);
}

#[test]
fn no_interface_at_all_is_wrong_usage() {
    let host = Host::new();
    says(&host.run(&["serve", "--firmware", "none"]), 2, &["--interface", "eth0"]);
}

#[test]
fn wrong_flags_are_wrong_usage() {
    let host = Host::new();
    says(&host.run(&["serve", "--mode", "sometimes"]), 2, &["sometimes", "proxy"]);
    says(&host.run(&["serve", "--http", "nowhere"]), 2, &["nowhere", "ADDRESS:PORT"]);
    says(&host.run(&["serve", "--no-such-flag"]), 2, &["--no-such-flag"]);
}

#[test]
fn an_interface_without_address_says_what_to_do() {
    let host = Host::new();
    host.ip(&["addr", "flush", "dev", "eth0"]);
    says(&host.refused(&[]), 1, &["eth0 has no IPv4 address", "address:"]);
}

#[test]
fn an_http_port_in_use_is_named_and_nothing_stays_open() {
    let host = Host::new();
    let holder = host.hold_tcp("10.77.0.1:8081");
    says(&host.refused(&[]), 1, &["10.77.0.1:8081", "use"]);
    drop(holder);
    assert_eq!(host.listening(), "", "nothing half-started");
}

#[test]
fn a_tftp_port_in_use_is_named() {
    let host = Host::new();
    let holder = host.hold_udp("10.77.0.1:69");
    says(&host.refused(&[]), 1, &["UDP port 69 of eth0", "another program has it"]);
    drop(holder);
}

#[test]
fn without_loaders_it_says_which_command_gets_them() {
    let host = Host::new();
    let empty = host.path("empty");
    says(&host.refused(&["--firmware", &empty]), 1, &["no loader", "bootlace firmware fetch --to"]);
    let mut serve = host.serve(&["--firmware", "none"]);
    serve.wait_line("ready ");
}

/// Without raw socket and without port 67 there is nothing to serve with.
#[test]
fn without_privileges_it_says_which_it_needs() {
    let host = Host::new();
    let caps = "-net_raw,-net_bind_service";
    let ended = host.refused_behind(&["setpriv", "--bounding-set", caps, "--"], &[]);
    says(&ended, 1, &["CAP_NET_RAW", "CAP_NET_BIND_SERVICE"]);
    assert_eq!(host.listening(), "", "nothing half-started");
}

#[test]
fn bad_record_files_are_refused_with_file_and_line() {
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        ("empty", Vec::new(), &["nodes.yaml"]),
        ("truncated", b"nodes:\n- name: a\n  interfaces: [{mac_addr: \"52:54".to_vec(), &["nodes.yaml:3"]),
        ("binary", (0..=255).cycle().take(5000).collect(), &["nodes.yaml"]),
        ("wrong type", b"nodes: 7\n".to_vec(), &["nodes.yaml:1", "nodes"]),
        (
            "typo",
            b"nodes:\n- name: a\n  xname: x1000c0s0b0n0\n  interface: []\n".to_vec(),
            &["nodes.yaml:4", "interfaces"],
        ),
        ("10 MB of noise", b"a b c: [\n".repeat(1_200_000), &["nodes.yaml"]),
    ];
    for (what, content, words) in cases {
        let host = Host::new();
        host.write("nodes.yaml", content);
        let ended = host.refused(&[]);
        says(&ended, 1, words);
        assert_eq!(host.listening(), "", "{what}: nothing half-started");
    }
}

#[test]
fn missing_files_and_folders_are_named() {
    let host = Host::new();
    let absent = host.path("absent.yaml");
    says(&host.refused(&["--nodes", &absent]), 1, &["absent.yaml"]);
    says(&host.refused(&["--assets", &absent]), 1, &["absent.yaml", "folder"]);
    says(&host.refused(&["--config", &absent]), 1, &["absent.yaml"]);
}

// ---------------------------------------------------------------- reloading

const TWO: &str = "
nodes:
- {name: a, xname: x1000c0s0b0n0, interfaces: [{mac_addr: '52:54:00:be:ef:01', ip_addrs: [{ip_addr: 10.77.0.11}]}]}
- {name: b, xname: x1000c0s0b1n0, interfaces: [{mac_addr: '52:54:00:be:ef:02', ip_addrs: [{ip_addr: 10.77.0.12}]}]}
";

#[test]
fn a_change_on_disk_is_in_force_without_a_restart() {
    let mut serve = Host::new().serve(&[]);
    serve.wait_line("ready ");
    serve.host.write("nodes.yaml", TWO);
    serve.wait_line("reloaded: 2 nodes");
}

/// Editors write a new file and rename it over the old one.
#[test]
fn a_file_that_is_replaced_is_still_watched() {
    let mut serve = Host::new().serve(&[]);
    serve.wait_line("ready ");
    for round in 0..2 {
        let content = if round == 0 { TWO.to_owned() } else { host::NODES.to_owned() };
        serve.host.write("nodes.yaml.new", content);
        std::fs::rename(serve.host.path("nodes.yaml.new"), serve.host.path("nodes.yaml")).unwrap();
        serve.wait_line(if round == 0 { "reloaded: 2 nodes" } else { "reloaded: 1 nodes" });
    }
}

#[test]
fn a_bad_file_at_reload_keeps_the_old_records_and_says_so() {
    let mut serve = Host::new().serve(&["--mode", "reservation"]);
    serve.wait_line("ready ");
    serve.host.write("nodes.yaml", "nodes:\n- name: a\n  xnam: x1\n");
    let line = serve.wait_line("nodes.yaml:3");
    assert!(line.contains("xname"), "{line}");
    serve.wait_line("the old records and settings stay in force");
    let script = serve.host.get("http://10.77.0.1:8081/boot/v1/bootscript?mac=52:54:00:be:ef:01");
    assert!(script.contains("kernel --name kernel http://10.77.0.1/linux"), "{script}");
    // SIGHUP says the same, as long as the file is bad.
    serve.signal("HUP");
    serve.wait_line("the old records and settings stay in force");
    serve.host.write("nodes.yaml", TWO);
    serve.wait_line("reloaded: 2 nodes");
}

#[test]
fn sighup_reloads_and_names_a_key_that_needs_a_restart() {
    let host = Host::new();
    let settings = |http: u16, mode: &str| {
        format!(
            "interfaces: [{{name: eth0}}]\nnodes: nodes.yaml\nboot: boot.yaml\nfirmware: firmware\nhttp: [':{http}']\nmode: {mode}\n"
        )
    };
    host.write("bootlace.yaml", settings(8081, "proxy"));
    let config = host.path("bootlace.yaml");
    let mut serve = host.serve_with(&["--config", &config]);
    serve.wait_line("ready ");
    serve.host.write("bootlace.yaml", settings(9000, "reservation"));
    serve.signal("HUP");
    let line = serve.wait_line("needs a restart");
    assert!(line.contains("`http`"), "{line}");
    serve.wait_line("reloaded:");
    let script = serve.host.get("http://10.77.0.1:8081/boot/v1/bootscript?mac=52:54:00:be:ef:01");
    assert!(script.starts_with("#!ipxe"), "the old listener answers: {script}");
}
