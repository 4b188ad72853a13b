//! What the real cloud-init server was asked and answered, asked again here: status, place and what the answer
//! means. Every difference is explained in [`EXPLAINED`]; one that is not, or that does not occur, fails.

use std::collections::BTreeSet;

use bootlace::lab::sandbox::Place;
use serde_json::{Value, json};

use super::support::{API, Answer, HTTP, Site};

/// What is explained: file, number of the exchange, what differs, why.
const EXPLAINED: [(&str, u64, &str, &str); 4] = [
    ("cloud-init", 211, "reply", "the version is our own, without the memory and the host of the process"),
    ("cloud-init", 212, "reply", "the same"),
    (
        "cloud-init-groups",
        370,
        "reply",
        "the start of a cluster's name is no short name: the number names the node, as in DHCP",
    ),
    ("metadata-service", 9, "status", "a group has the name of an SMD group, so there is one of each name"),
];

struct Exchange {
    n: u64,
    client: Option<String>,
    method: String,
    path: String,
    kind: Option<String>,
    body: String,
    status: u16,
    location: Option<String>,
    /// `None`: the recorded answer came from a stub, only its status means something.
    reply: Option<String>,
}

fn read(text: &str, answered: bool) -> Vec<Exchange> {
    let exchange = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        Exchange {
            n: value["n"].as_u64().unwrap(),
            client: text("client"),
            method: text("method").unwrap(),
            path: text("path").unwrap(),
            kind: text("kind"),
            body: text("body").unwrap_or_default(),
            status: value["status"].as_u64().unwrap() as u16,
            location: text("location"),
            reply: answered.then(|| text("reply").unwrap_or_default()),
        }
    };
    text.lines().map(exchange).collect()
}

/// The fixture's two nodes on hosts of their own.
fn site() -> Site {
    let site = Site::f1();
    site.sandbox.host("n2", Some("172.16.0.2/24")).unwrap();
    let mac = ["ip", "link", "set", "eth0", "address", "52:54:00:be:ef:02"];
    site.sandbox.run(Place::Host("n2"), &mac).unwrap();
    site
}

fn ask(site: &Site, exchange: &Exchange) -> Answer {
    let kind = exchange.kind.as_deref().map(|kind| ("Content-Type", kind));
    let (host, to) = match exchange.client.as_deref() {
        Some("172.16.0.1") => ("n1", HTTP),
        Some("172.16.0.2") => ("n2", HTTP),
        Some(_) => ("n77", HTTP),
        None => ("srv", API),
    };
    site.ask(host, to, &exchange.method, &exchange.path, kind.as_slice(), exchange.body.as_bytes())
}

/// What an answer means: JSON and meta-data by value with instance ids aside, anything else as text.
fn meaning(text: &str) -> Value {
    let mut value = match text.starts_with("instance-id:") {
        true => serde_yaml::from_str(text).unwrap(),
        false => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    };
    for place in ["/instance-id", "/instance_data/v1/instance_id"] {
        if let Some(id) = value.pointer_mut(place) {
            assert!(id.as_str().is_some_and(|id| id.len() == 10 && id.starts_with("i-")), "{id}");
            *id = json!("i-");
        }
    }
    value
}

/// Sends all requests of a file and compares.
fn replay(site: &Site, file: &str, exchanges: &[Exchange]) {
    let explained: BTreeSet<(u64, &str)> =
        EXPLAINED.iter().filter(|(of, ..)| *of == file).map(|(_, n, what, _)| (*n, *what)).collect();
    let (mut found, mut wrong) = (BTreeSet::new(), Vec::new());
    let mut differ = |n: u64, what: &'static str, recorded: String, here: String| {
        if explained.contains(&(n, what)) {
            found.insert((n, what));
        } else {
            wrong.push(format!("{n} {what}\n  recorded {recorded}\n  here     {here}"));
        }
    };
    for exchange in exchanges {
        let answer = ask(site, exchange);
        let n = exchange.n;
        if answer.status != exchange.status {
            differ(n, "status", exchange.status.to_string(), format!("{} {}", answer.status, answer.text()));
            continue;
        }
        let location = answer.header("location").map(str::to_owned);
        if location != exchange.location {
            differ(n, "location", format!("{:?}", exchange.location), format!("{location:?}"));
        }
        let Some(recorded) = &exchange.reply else { continue };
        let (recorded, here) = (meaning(recorded), meaning(&answer.text()));
        if recorded != here {
            differ(n, "reply", recorded.to_string(), here.to_string());
        }
    }
    let gone: Vec<_> = explained.difference(&found).collect();
    assert!(wrong.is_empty() && gone.is_empty(), "{}\nnot seen: {gone:?}", wrong.join("\n"));
}

#[test]
fn the_recorded_cloud_init_server_says_the_same() {
    let exchanges = read(include_str!("transcripts/cloud-init.jsonl"), true);
    replay(&site(), "cloud-init", &exchanges);
}

#[test]
fn the_recorded_cloud_init_server_says_the_same_of_two_groups() {
    let site = site();
    let group = json!({"label": "extra", "members": {"ids": ["x1000c0s0b1n0"]}});
    site.post("/hsm/v2/groups", &group).is(201);
    let exchanges = read(include_str!("transcripts/cloud-init-groups.jsonl"), true);
    replay(&site, "cloud-init-groups", &exchanges);
}

/// The answers were a stub's: what counts is that each request is taken, with its status.
#[test]
fn requests_of_the_command_line_for_metadata_service_are_taken() {
    let site = site();
    let mut exchanges = read(include_str!("transcripts/metadata-service.jsonl"), false);
    // The recording's uids are the stub's; a resource can be named as well.
    for exchange in &mut exchanges {
        for (uid, name) in [
            ("clusterdefaults-00000001", "demo-cluster-defaults"),
            ("group-00000001", "compute"),
            ("instanceinfo-00000001", "i1"),
        ] {
            exchange.path = exchange.path.replace(uid, name);
        }
    }
    replay(&site, "metadata-service", &exchanges);
}
