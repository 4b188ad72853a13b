//! What `ochami` and magellan sent to the real SMD and what it answered, sent again here: status, place and what
//! the answer means. Every difference is explained in [`EXPLAINED`]; one that is not, or that does not occur,
//! fails.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::support::Site;

/// What is explained: file, numbers of the exchanges, what differs, why.
const EXPLAINED: &[(&str, &[u64], &str, &str)] = &[
    (
        "smd",
        &[
            55, 56, 57, 58, 59, 104, 105, 106, 107, 108, 136, 138, 140, 142, 144, 148, 149, 150, 151, 152,
            265, 271,
        ],
        "status",
        "201: the recorded release stores everything and answers 409, because it inserts the BMC's card twice",
    ),
    (
        "smd",
        &[29, 30, 31, 32, 33, 48, 49, 50, 51, 52, 153, 154, 155, 156, 157, 175, 177, 179, 181, 183],
        "status",
        "201: the same card of the same component came with the endpoint, now it has its network too",
    ),
    ("smd", &[66], "reply", "the flag Warning is listed once"),
    ("smd", &[75, 76], "reply", "the cards of a component are listed under a second name as well"),
    (
        "smd-magellan",
        &[1, 2, 3, 10],
        "status",
        "201: a card without address is normal, and the BMC's comes once",
    ),
    (
        "smd-magellan",
        &[4, 9],
        "reply",
        "nodes have a role and a number of their own, and are off where Redfish says so",
    ),
    ("smd-magellan", &[5], "reply", "cards without address are stored"),
    (
        "smd-magellan",
        &[7],
        "reply",
        "the second name of the list of cards, and what else Redfish said of the node",
    ),
];

struct Exchange {
    n: u64,
    fresh: Option<String>,
    method: String,
    path: String,
    body: String,
    status: u16,
    location: Option<String>,
    /// `None`: several documents in one answer, of which only the status can be compared.
    reply: Option<String>,
}

fn read(text: &str) -> Vec<Exchange> {
    let exchange = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        Exchange {
            n: value["n"].as_u64().unwrap(),
            fresh: text("fresh"),
            method: text("method").unwrap(),
            path: text("path").unwrap(),
            body: text("body").unwrap_or_default(),
            status: value["status"].as_u64().unwrap() as u16,
            location: text("location"),
            reply: text("reply"),
        }
    };
    text.lines().map(exchange).collect()
}

/// What an answer means: lists have no order, times and random UUIDs no meaning.
fn meaning(text: &str) -> Value {
    fn plain(value: Value) -> Value {
        match value {
            Value::Object(members) => members
                .into_iter()
                .filter(|(key, _)| !matches!(key.as_str(), "LastUpdate" | "UUID"))
                .map(|(key, value)| (key, plain(value)))
                .collect(),
            Value::Array(items) => {
                let mut items: Vec<Value> = items.into_iter().map(plain).collect();
                items.sort_by_key(|item| item["ID"].as_str().map_or_else(|| item.to_string(), str::to_owned));
                items.into()
            }
            other => other,
        }
    }
    plain(serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
}

/// An appliance whose store is empty again.
fn emptied(site: &Site) {
    site.stop();
    let state = site.sandbox.work().join("state");
    std::fs::remove_dir_all(&state).unwrap();
    site.start();
}

/// Sends all requests of a file and compares.
fn replay(file: &str, text: &str) {
    let exchanges = read(text);
    // The first step is the static discovery that others start from.
    let discovery: Vec<&Exchange> = exchanges
        .iter()
        .enumerate()
        .take_while(|(at, one)| *at == 0 || one.fresh.is_none())
        .map(|(_, one)| one)
        .collect();
    let of_file = EXPLAINED.iter().filter(|(of, ..)| *of == file);
    let explained: BTreeMap<(u64, &str), &str> =
        of_file.flat_map(|(_, ns, what, why)| ns.iter().map(move |n| ((*n, *what), *why))).collect();
    let (mut found, mut wrong) = (BTreeMap::new(), Vec::new());
    let mut differ =
        |n: u64, what: &'static str, recorded: String, here: String| match explained.get(&(n, what)) {
            Some(why) => drop(found.insert((n, what), *why)),
            None => wrong.push(format!("{n} {what}\n  recorded {recorded}\n  here     {here}")),
        };
    let site = Site::f0();
    for (at, exchange) in exchanges.iter().enumerate() {
        if let Some(fresh) = &exchange.fresh
            && at > 0
        {
            emptied(&site);
            if fresh == "discovered" {
                for one in discovery.iter().take_while(|one| one.method == "POST") {
                    site.send(&one.method, &one.path, one.body.as_bytes()).is(one.status);
                }
            }
        }
        let answer = site.send(&exchange.method, &exchange.path, exchange.body.as_bytes());
        let n = exchange.n;
        if answer.status != exchange.status {
            differ(n, "status", exchange.status.to_string(), format!("{} {}", answer.status, answer.text()));
            continue;
        }
        let location = answer.header("location").map(str::to_owned);
        if exchange.location.is_some() && location != exchange.location {
            differ(n, "location", format!("{:?}", exchange.location), format!("{location:?}"));
        }
        let recorded = meaning(exchange.reply.as_deref().unwrap_or_default());
        let here = meaning(&answer.text());
        if recorded != here && (exchange.reply.is_some() || exchange.status == 204) {
            differ(n, "reply", recorded.to_string(), here.to_string());
        }
    }
    let gone: Vec<_> = explained.iter().filter(|(key, _)| !found.contains_key(key)).collect();
    assert!(wrong.is_empty() && gone.is_empty(), "{}\nexplained and not seen: {gone:#?}", wrong.join("\n"));
}

#[test]
fn the_recorded_smd_says_the_same_to_ochami() {
    replay("smd", include_str!("transcripts/smd.jsonl"));
}

#[test]
fn the_recorded_smd_says_the_same_to_magellan() {
    replay("smd-magellan", include_str!("transcripts/smd-magellan.jsonl"));
}
