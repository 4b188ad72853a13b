//! What BSS and boot-service were asked and answered, asked again here. Replies are compared by what they mean,
//! scripts by what they boot. Every difference is explained in [`EXPLAINED`]; one that is not, or that does not
//! occur, fails.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::support::{API, Answer, HTTP, Site};

/// What is explained: file, numbers of the exchanges, what differs, why.
const EXPLAINED: &[(&str, &[u64], &str, &str)] = &[
    ("bss", &[189], "reply", "it has a version, and its store is its own"),
    ("bss", &[190], "reply", "the same store"),
    ("bss", &[192], "status", "200: the reference lacks the file with its version"),
    ("bss", &[206, 207, 210], "reply", "each MAC of a node is listed once"),
    ("bss", &[208, 209], "reply", "one entry a node, not one a script"),
    ("bss", &[346], "reply", "no seed of cloud-init where cloud-init has nothing for the node"),
    ("bss", &[357], "status", "400: a delete without identifiers would hit whoever boots that kernel"),
    ("bss", &[358], "reply", "so these parameters are still there"),
    ("boot-service", &[4, 5, 6], "reply", "a node has a role, and its card is registered with its MAC alone"),
    ("boot-service", &[14], "status", "a name is good where a uid is, and here two have it"),
    (
        "boot-service",
        &[20],
        "status",
        "200: removing what is not there is done, a list that is not there is empty",
    ),
    ("boot-service", &[21], "status", "so there are parameters to replace"),
    ("boot-service", &[22], "reply", "and the host stays"),
    ("boot-service", &[43], "reply", "MACs are kept in lower case"),
    ("boot-service", &[44], "reply", "a node has a role and a number"),
    ("boot-service", &[62], "reply", "MACs are kept in lower case"),
    ("boot-service", &[48], "status", "200: a script may be asked by name"),
    ("boot-service", &[52], "reply", "a configuration without selector is for nobody"),
    ("boot-service", &[68], "reply", "selectors are not summed up: a MAC is better than number and host"),
    ("boot-service", &[82, 83], "reply", "a MAC may be spelled with dashes or without"),
    (
        "boot-service",
        &[81, 84, 85, 86, 88, 90, 91, 92, 93],
        "reply",
        "BOOTIF names the card that asks, in its letters, and none where it did not say which",
    ),
    ("boot-service", &[87], "reply", "an xname may be spelled in upper case"),
    ("boot-service", &[101], "reply", "equal by MAC and priority: the name decides, numbers add nothing"),
    ("boot-service", &[104, 105], "status", "200: HEAD is answered like GET"),
];

struct Exchange {
    n: u64,
    /// The store was emptied before.
    fresh: bool,
    /// Configurations were emptied before each.
    scenario: Option<u64>,
    client: bool,
    method: String,
    path: String,
    kind: Option<String>,
    body: String,
    status: u16,
    reply: String,
}

fn read(text: &str) -> Vec<Exchange> {
    let exchange = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        Exchange {
            n: value["n"].as_u64().unwrap(),
            fresh: value["fresh"].as_bool().unwrap_or(false),
            scenario: value["scenario"].as_u64(),
            client: value["client"].is_string(),
            method: text("method").unwrap(),
            path: text("path").unwrap(),
            kind: text("kind"),
            body: text("body").unwrap_or_default(),
            status: value["status"].as_u64().unwrap() as u16,
            reply: text("reply").unwrap_or_default(),
        }
    };
    text.lines().map(exchange).collect()
}

fn ask(site: &Site, exchange: &Exchange, path: &str) -> Answer {
    let kind = exchange.kind.as_deref().map(|kind| ("Content-Type", kind));
    let script = exchange.path.contains("/bootscript");
    let (host, to) = if exchange.client || script { ("n1", HTTP) } else { ("srv", API) };
    site.ask(host, to, &exchange.method, path, kind.as_slice(), exchange.body.as_bytes())
}

/// What a reply means: errors are errors whatever their words, scripts what they boot, and times and generated
/// names nothing.
fn meaning(status: u16, text: &str) -> Value {
    if text.starts_with("#!ipxe") {
        return booted(text);
    }
    match serde_json::from_str(text) {
        Ok(_) if status >= 400 => json!("refused"),
        Ok(value) => plain(value),
        Err(_) => json!(text),
    }
}

/// JSON without times and uids; lists of records have no order.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let noise = ["createdAt", "updatedAt", "uid", "last_epoch"];
            let kept = members.into_iter().filter(|(key, _)| !noise.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key, plain(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(plain).collect();
            if items.iter().all(Value::is_object) {
                items.sort_by_key(Value::to_string);
            }
            Value::Array(items)
        }
        other => other,
    }
}

/// What a script of either program boots: kernel, initrd, the words of its command line, and where it goes on.
/// What identifies the node is written by us in every script, by boot-service in none; it escaped the words as
/// if they were HTML.
fn booted(script: &str) -> Value {
    let after = |start: &str| {
        script
            .lines()
            .find_map(|line| line.strip_prefix(start))
            .map(|rest| rest.replace(" || goto boot_retry", ""))
    };
    let ours = "http://172.16.0.254:8081/";
    let place = |url: &str| url.strip_prefix(ours).map_or(url.to_owned(), |path| format!("/{path}"));
    let html = |text: &str| {
        let entities =
            [("&#34;", "\""), ("&#39;", "'"), ("&#43;", "+"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
        entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
    };
    let of_boot_service = script.contains("Boot Service")
        || script.contains("Boot script generation failed")
        || script.contains("Minimal iPXE");
    if of_boot_service {
        let Some(kernel) = after("set kernel ") else { return json!("boots nothing") };
        let initrd = after("set initrd ").map(|url| html(&url));
        return json!({"kernel": place(&html(&kernel)), "initrd": initrd.map(|url| place(&url)),
            "words": words(&html(&after("set params ").unwrap_or_default()))});
    }
    match after("kernel --name kernel ") {
        None => json!("boots nothing"),
        Some(line) => {
            let (kernel, params) = line.split_once(' ').unwrap_or((&line, ""));
            let initrd = after("initrd --name initrd ");
            json!({"kernel": place(kernel), "initrd": initrd.map(|url| place(&url)), "words": words(params)})
        }
    }
}

fn words(params: &str) -> Vec<&str> {
    let own = ["initrd=initrd", "xname=", "nid="];
    params
        .split(' ')
        .filter(|word| !word.is_empty() && !own.iter().any(|start| word.starts_with(start)))
        .collect()
}

/// An appliance whose store is empty again.
fn emptied(site: &Site) {
    site.stop();
    let state = site.sandbox.work().join("state");
    std::fs::remove_dir_all(&state).unwrap();
    site.start();
}

/// The five nodes that the recording of BSS started from.
fn discover(site: &Site) {
    for line in include_str!("discover-static.jsonl").lines() {
        let sent: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| sent[key].as_str().unwrap_or_default();
        let answer = site.send(text("method"), text("path"), text("body").as_bytes());
        assert!(answer.status < 300, "{line}: {}", answer.text());
    }
}

fn replay(site: &Site, file: &str, exchanges: &[Exchange], fresh: fn(&Site)) {
    let of_file = EXPLAINED.iter().filter(|(of, ..)| *of == file);
    let explained: BTreeSet<(u64, &str)> =
        of_file.flat_map(|(_, ns, what, _)| ns.iter().map(move |n| (*n, *what))).collect();
    let (mut found, mut wrong) = (BTreeSet::new(), Vec::new());
    let mut differ = |n: u64, what: &'static str, recorded: String, here: String| {
        if explained.contains(&(n, what)) {
            found.insert((n, what));
        } else {
            wrong.push(format!("{n} {what}\n  recorded {recorded}\n  here     {here}"));
        }
    };
    // What the recording calls a resource, and what it is called here.
    let mut uids: BTreeMap<String, String> = BTreeMap::new();
    let mut scenario = None;
    for (at, exchange) in exchanges.iter().enumerate() {
        if exchange.fresh {
            if at > 0 {
                emptied(site);
                uids.clear();
            }
            fresh(site);
        }
        if exchange.scenario.is_some() && scenario.is_some() && exchange.scenario != scenario {
            for configuration in site.get("/boot-service/bootconfigurations").json().as_array().unwrap() {
                let uid = configuration["metadata"]["uid"].as_str().unwrap();
                site.delete(&format!("/boot-service/bootconfigurations/{uid}")).is(200);
            }
        }
        scenario = exchange.scenario;
        let path = uids.iter().fold(exchange.path.clone(), |path, (theirs, ours)| path.replace(theirs, ours));
        let answer = ask(site, exchange, &path);
        let n = exchange.n;
        if answer.status != exchange.status {
            differ(n, "status", exchange.status.to_string(), format!("{} {}", answer.status, answer.text()));
            continue;
        }
        let (recorded, here) =
            (meaning(exchange.status, &exchange.reply), meaning(answer.status, &answer.text()));
        if recorded != here {
            differ(n, "reply", recorded.to_string(), here.to_string());
        }
        if answer.status == 201 {
            let uid = |text: &str| {
                let value: Value = serde_json::from_str(text).unwrap_or_default();
                value["metadata"]["uid"].as_str().map(str::to_owned)
            };
            if let (Some(theirs), Some(ours)) = (uid(&exchange.reply), uid(&answer.text())) {
                uids.insert(theirs, ours);
            }
        }
    }
    let gone: Vec<_> = explained.difference(&found).collect();
    assert!(wrong.is_empty() && gone.is_empty(), "{}\nnot seen: {gone:?}", wrong.join("\n"));
}

#[test]
fn the_recorded_bss_says_the_same() {
    replay(&Site::f0(), "bss", &read(include_str!("transcripts/bss.jsonl")), discover);
}

#[test]
fn the_recorded_boot_service_says_the_same() {
    replay(&Site::f0(), "boot-service", &read(include_str!("transcripts/boot-service.jsonl")), |_| {});
}
