//! `bootlace discover static` sends what the OpenCHAMI command line was recorded to send, byte for byte.

use std::path::Path;

use serde_json::Value;

use crate::smd::{Seen, Smd};
use crate::{Ran, discover, examples};

/// Where the recorded command line found its SMD.
const RECORDED_BASE: &str = "http://172.16.0.254:8081";

struct Exchange {
    method: String,
    path: String,
    body: String,
    status: u16,
    answer: String,
}

fn recorded(name: &str) -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openchami").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let exchange = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| value[key].as_str().unwrap().to_owned();
        Exchange {
            method: text("method"),
            path: text("path"),
            body: text("body"),
            status: value["status"].as_u64().unwrap() as u16,
            answer: text("answer"),
        }
    };
    text.lines().map(exchange).collect()
}

/// A body with its random UUIDs replaced by their order: two that are equal stay equal.
fn without_uuids(body: &str) -> String {
    let mut text = String::new();
    let mut known: Vec<&str> = Vec::new();
    for (index, part) in body.split('"').enumerate() {
        let separator = if index == 0 { "" } else { "\"" };
        text.push_str(separator);
        if part.len() == 36 && part.parse::<bootlace::records::Uuid>().is_ok() {
            let at = known.iter().position(|uuid| *uuid == part).unwrap_or_else(|| {
                known.push(part);
                known.len() - 1
            });
            text.push_str(&format!("<uuid {at}>"));
        } else {
            text.push_str(part);
        }
    }
    text
}

/// Runs the command against an SMD that answers as recorded, and compares what it was told.
fn replay(recording: &str, file: &str, flags: &[&str]) -> Ran {
    let expected = recorded(recording);
    let script: Vec<(u16, String)> =
        expected.iter().map(|exchange| (exchange.status, exchange.answer.clone())).collect();
    let smd =
        Smd::start(move |index, _| script.get(index).cloned().unwrap_or((500, "one too many".to_owned())));
    let url = smd.url();
    let ran = discover(&examples(), &[&["static", file, "--url", &url], flags].concat(), &[], "");
    let seen = smd.seen();
    for (at, exchange) in expected.iter().enumerate() {
        let Some(seen) = seen.get(at) else { panic!("request {at} was not sent: {}", ran.stderr) };
        let line = (exchange.method.as_str(), exchange.path.as_str());
        assert_eq!((seen.method.as_str(), seen.path.as_str()), line, "request {at}");
        let body = without_uuids(&seen.body.replace(&url, RECORDED_BASE));
        assert_eq!(body, without_uuids(&exchange.body), "request {at}");
        // The original sends neither, and the answers it gets are not looked at.
        assert_eq!(seen.headers.get("content-type"), None, "request {at}");
        assert_eq!(seen.headers.get("authorization"), None, "request {at}");
    }
    assert_eq!(seen.len(), expected.len(), "nothing more is sent");
    ran
}

/// R01: an empty store.
#[test]
fn a_new_file_is_pushed_as_recorded_and_nothing_is_printed() {
    let ran = replay("discover-static.jsonl", "nodes.yaml", &[]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn a_file_of_the_deprecated_form_is_pushed_as_recorded() {
    let ran = replay("discover-static-deprecated-form.jsonl", "nodes-old-form.yaml", &["-f", "yaml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
}

/// R02: everything exists already; the rest is sent all the same.
#[test]
fn a_second_run_is_refused_record_by_record_and_exits_with_1() {
    let ran = replay("discover-static-second-run.jsonl", "nodes.yaml", &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    let said = "RedfishEndpoint x1000c0s0b4: POST http://";
    assert!(
        ran.stderr.contains(said) && ran.stderr.contains("was answered 409: operation would"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.stderr.lines().count(), 6, "five endpoints and a group: {}", ran.stderr);
}

/// R03: the fallbacks on 409.
#[test]
fn overwriting_goes_on_with_put_and_patch_as_recorded() {
    let ran = replay("discover-static-overwrite.jsonl", "nodes.yaml", &["--overwrite"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.lines().count()),
        (Some(0), "", 1),
        "{}",
        ran.stderr
    );
}

/// R04, with the fallbacks of the interfaces.
#[test]
fn discovery_version_1_sends_the_interfaces_again_with_their_networks() {
    let flags = ["--discovery-version", "1", "--overwrite"];
    let ran = replay("discover-static-version-1-overwrite.jsonl", "nodes.yaml", &flags);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// R10: the second node of an xname is left out with a warning.
#[test]
fn a_repeated_node_is_warned_of_and_the_rest_is_pushed() {
    let smd = Smd::willing();
    let folder = tempfile::tempdir().unwrap();
    let text = "bmcs: [{name: bmc1, xname: x1000c0s0b0, mac: 'de:ca:fc:0f:fe:e1', ip: 172.16.0.101}]
nodes:
- {name: a, nid: 1, xname: x1000c0s0b0n0, interfaces: [{mac_addr: '52:54:00:be:ef:01', ip_addrs: [{ip_addr: 172.16.0.1}]}]}
- {name: b, nid: 2, xname: x1000c0s0b1n0, bmc: bmc1, interfaces: [{mac_addr: '52:54:00:be:ef:02', ip_addrs: [{ip_addr: 172.16.0.2}]}]}
- {name: c, nid: 3, xname: x1000c0s0b0n0, interfaces: [{mac_addr: '52:54:00:be:ef:03', ip_addrs: [{ip_addr: 172.16.0.3}]}]}
";
    let ran = discover(folder.path(), &["static", "-", "--url", &smd.url()], &[], text);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("x1000c0s0b0n0 already exists (duplicate?), not adding"), "{}", ran.stderr);
    let components = smd.seen()[0].json();
    assert_eq!(components["Components"].as_array().unwrap().len(), 2);
    assert!(!smd.seen().iter().any(|seen| seen.body.contains("be:ef:03")), "its card is not sent either");
}

#[test]
fn a_wrong_file_is_named_with_its_line_and_nothing_is_sent() {
    let smd = Smd::willing();
    let folder = tempfile::tempdir().unwrap();
    for (text, said) in [
        ("- {name: a}\n", "nodes:"),
        (
            "nodes:\n- {name: a, xname: x1000c0s0b0n0, interface: [{mac_addr: '52:54:00:be:ef:01'}]}\n",
            "interfaces",
        ),
        ("nodes:\n- {name: a, xname: x1000c0s0b0n0, interfaces: [{mac_addr: '52:54:00'}]}\n", "mac_addr"),
    ] {
        let ran = discover(folder.path(), &["static", "-", "--url", &smd.url()], &[], text);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert!(ran.stderr.contains(said) && ran.stderr.contains("nothing was sent"), "{}", ran.stderr);
    }
    let ran = discover(&examples(), &["static", "nodes.yaml", "-f", "json", "--url", &smd.url()], &[], "");
    assert!(ran.code == Some(1) && ran.stderr.contains("nodes.yaml is no JSON"), "{}", ran.stderr);
    assert!(smd.seen().is_empty());
}

#[test]
fn a_token_file_lets_in_and_the_summary_is_json() {
    let smd = Smd::start(|index, _| {
        if index == 1 { (409, "{\"detail\":\"exists\"}".to_owned()) } else { (204, String::new()) }
    });
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "abc.def.ghi\n").unwrap();
    let url = format!("{}/hsm/v2/", smd.url());
    let file = token.to_str().unwrap();
    let ran = discover(
        &examples(),
        &["static", "nodes.yaml", "--url", &url, "--token-file", file, "--json"],
        &[],
        "",
    );
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let result: Value = serde_json::from_str(&ran.stdout).unwrap();
    let counts =
        ["nodes", "bmcs", "requests", "taken", "overwritten", "untried"].map(|key| result[key].as_u64());
    assert_eq!(counts, [5, 5, 7, 6, 0, 0].map(Some), "{result}");
    assert_eq!((&result["ok"], &result["failed"][0]["status"]), (&false.into(), &409.into()));
    assert_eq!(result["failed"][0]["message"], "exists");
    let authorized =
        |seen: &Seen| seen.headers.get("authorization").is_some_and(|value| value == "Bearer abc.def.ghi");
    assert!(smd.seen().iter().all(authorized));
}

#[test]
fn an_smd_that_is_not_there_is_said_once_for_all() {
    // A port that was free a moment ago, and that nobody else is given while we hold it without listening.
    let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    held.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let address = held.local_addr().unwrap().as_socket().unwrap();
    let url = format!("http://{address}");
    let ran = discover(&examples(), &["static", "nodes.yaml", "--url", &url], &[], "");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("refused"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nobody answers; 4 more requests were not sent"), "{}", ran.stderr);
}
