//! BSS over the records, through its routes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::openchami::testing::Harness;

const NODES: &str = "nodes:
- {name: compute1, nid: 1, xname: x1000c0s0b0n0, groups: [compute], interfaces: [{mac_addr: '52:54:00:be:ef:01', ip_addrs: [{name: m, ip_addr: 172.16.0.1}]}]}
- {name: compute2, nid: 2, xname: x1000c0s0b1n0, groups: [compute], interfaces: [{mac_addr: '52:54:00:be:ef:02', ip_addrs: [{name: m, ip_addr: 172.16.0.2}]}]}
";

const PARAMETERS: &str = "/boot/v1/bootparameters";

fn two_nodes() -> Harness {
    Harness::new().files(NODES, "")
}

fn mac(n: u8) -> String {
    format!("52:54:00:be:ef:0{n}")
}

/// Sends a body and asserts the status.
#[track_caller]
fn send(on: &mut Harness, method: &str, body: Value, status: u16) -> String {
    let reply = on.send(method, PARAMETERS, &body.to_string());
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body_text());
    match status {
        200..300 => assert!(reply.body.is_empty()),
        _ => assert_eq!(reply.value()["status"], status),
    }
    reply.value()["detail"].as_str().unwrap_or_default().to_owned()
}

/// The sets as (identifiers, kernel, params).
fn sets(on: &mut Harness, query: &str) -> Vec<(String, String, String)> {
    let reply = on.get(&format!("{PARAMETERS}{query}"));
    assert_eq!(reply.kind, "application/json; charset=UTF-8");
    let text = |set: &Value, key: &str| set[key].as_str().unwrap_or_default().to_owned();
    let list = |set: &Value| {
        let of = |key: &str| set[key].as_array().cloned().unwrap_or_default();
        let all: Vec<Value> = [of("hosts"), of("macs"), of("nids")].concat();
        all.iter().map(|one| one.to_string().replace('"', "")).collect::<Vec<_>>().join(" ")
    };
    let sets = reply.value();
    let sets = sets.as_array().cloned().unwrap_or_default();
    sets.iter().map(|set| (list(set), text(set, "kernel"), text(set, "params"))).collect()
}

#[test]
fn identifiers_that_boot_the_same_are_shown_as_one_set() {
    let mut on = two_nodes();
    assert_eq!(on.get(PARAMETERS).value(), Value::Null);
    send(&mut on, "POST", json!({"macs": [mac(1)], "kernel": "http://h/k", "params": "ro"}), 201);
    send(
        &mut on,
        "PUT",
        json!({"hosts": ["x1000c0s0b1n0"], "nids": [7], "kernel": "http://h/k", "params": "ro"}),
        200,
    );
    let all = format!("x1000c0s0b1n0 {} 7", mac(1));
    assert_eq!(sets(&mut on, ""), [(all, "http://h/k".to_owned(), "ro".to_owned())]);
    assert_eq!(sets(&mut on, "?nid=7")[0].0, "7", "what was asked for, no more");
    let both = format!("?mac=52:54:00:BE:EF:01&name=X1000c0s0b01n0&mac={}", mac(9));
    assert_eq!(sets(&mut on, &both)[0].0, format!("x1000c0s0b1n0 {}", mac(1)));
    assert_eq!(sets(&mut on, "?mac=")[0].0.matches(' ').count(), 2, "an empty filter is none");
    let shown = on.get(PARAMETERS).value();
    assert_eq!(shown[0]["cloud-init"]["phone-home"]["fqdn"], "");
    assert_eq!(shown[0].get("initrd"), None);
}

#[test]
fn a_get_that_finds_nothing_names_what_was_asked_for() {
    let mut on = two_nodes();
    for (query, words) in [
        ("?mac=52:54:00:00:00:99", "MACs"),
        ("?name=x9c0s0b0n0", "Hosts"),
        ("?nid=1,2", "NIDs"),
        ("?mac=zz&name=a", "Hosts or MACs"),
        ("?mac=zz&name=a&nid=3", "Hosts, MACs or NIDs"),
    ] {
        let reply = on.get(&format!("{PARAMETERS}{query}"));
        assert_eq!(reply.status, 404, "{query}");
        assert_eq!(reply.value()["detail"], format!("Cannot find boot parameters for requested {words}"));
    }
    let reply = on.get(&format!("{PARAMETERS}?nid=x"));
    assert_eq!(
        (reply.status.as_u16(), &reply.value()["detail"]),
        (400, &json!("Bad Request - Invalid nid 'x'"))
    );
    let reply = on.send("GET", PARAMETERS, "{");
    assert_eq!(
        (reply.status.as_u16(), &reply.value()["detail"]),
        (400, &json!("Failed to interpret request body '{'"))
    );
    send(&mut on, "POST", json!({"macs": [mac(1)], "kernel": "http://h/k"}), 201);
    let asked = on.send("GET", PARAMETERS, &json!({"macs": [mac(1), mac(2)]}).to_string());
    assert_eq!(asked.value()[0]["macs"], json!([mac(1)]));
}

#[test]
fn post_adds_what_is_new_and_refuses_what_is_all_there() {
    let mut on = two_nodes();
    send(
        &mut on,
        "POST",
        json!({"macs": [mac(1), mac(2)], "kernel": "http://h/k", "initrd": "http://h/i"}),
        201,
    );
    send(&mut on, "POST", json!({"macs": [mac(2), mac(3)], "kernel": "http://h/k3"}), 201);
    let kernels: Vec<_> = sets(&mut on, "").into_iter().map(|set| (set.0, set.1)).collect();
    let expected = [(format!("{} {}", mac(1), mac(2)), "http://h/k"), (mac(3), "http://h/k3")];
    assert_eq!(kernels, expected.map(|(macs, kernel)| (macs, kernel.to_owned())));
    let detail = send(&mut on, "POST", json!({"macs": [mac(1), mac(3)], "kernel": "http://h/k"}), 400);
    assert!(detail.contains("data already exists"), "{detail}");
    for (body, words) in [
        (json!({"macs": [mac(4)]}), "kernel URI cannot be blank"),
        (json!({"kernel": "http://h/k"}), "no identifier"),
        (
            json!({"hosts": ["x1000c0s0b0"], "kernel": "http://h/k"}),
            "Bad Request: invalid xname type: NodeBMC",
        ),
        (json!({"hosts": ["Default"], "kernel": "http://h/k"}), "Bad Request: invalid xname: Default"),
        (
            json!({"macs": ["zz:54:00:be:ef:01"], "kernel": "k"}),
            "invalid MAC address format: zz:54:00:be:ef:01",
        ),
    ] {
        let detail = send(&mut on, "POST", body, 400);
        assert!(detail.contains(words), "{detail}");
    }
}

#[test]
fn put_keeps_what_is_blank_and_moves_the_identifier_alone() {
    let mut on = two_nodes();
    send(&mut on, "PUT", json!({"macs": [mac(1), mac(2)], "kernel": "http://h/k", "params": "ro"}), 200);
    send(&mut on, "PUT", json!({"macs": [mac(1)], "params": "quiet"}), 200);
    let expected = [(mac(2), "http://h/k", "ro"), (mac(1), "http://h/k", "quiet")];
    let expected = expected.map(|(macs, kernel, params)| (macs, kernel.to_owned(), params.to_owned()));
    assert_eq!(sets(&mut on, ""), expected);
    // Back again: one set, and no empty unit is left of the other.
    send(&mut on, "PUT", json!({"macs": [mac(1)], "params": "ro"}), 200);
    assert_eq!(sets(&mut on, "").len(), 1);
    assert_eq!(on.world.inventory.boot_units.len(), 1);
    on.restart();
    assert_eq!(sets(&mut on, "")[0].0, format!("{} {}", mac(2), mac(1)));
}

#[test]
fn a_write_without_identifier_or_data_is_refused_and_changes_nothing() {
    let mut on = two_nodes();
    send(&mut on, "PUT", json!({"macs": [mac(1)], "kernel": "http://h/k"}), 200);
    for method in ["PUT", "PATCH", "DELETE"] {
        for body in [json!({}), json!({"kernel": "http://h/k", "params": "x"}), json!({"macs": []})] {
            let detail = send(&mut on, method, body, 400);
            assert!(detail.contains("no identifier"), "{method} {detail}");
        }
    }
    assert!(send(&mut on, "PUT", json!({"macs": [mac(1)]}), 400).contains("No data"));
    assert!(send(&mut on, "PUT", json!({"macs": [mac(5)], "params": "x"}), 400).contains("needs a kernel"));
    assert!(send(&mut on, "PATCH", json!({"macs": [mac(1)]}), 404).contains("must specify"));
    let missing = send(&mut on, "PATCH", json!({"macs": [mac(1), mac(6)], "nids": [9], "params": "x"}), 404);
    assert!(missing.ends_with(&format!("macs=[{}] xnames=[] nids=[9]", mac(6))), "{missing}");
    let reply = on.send("PUT", PARAMETERS, "{");
    assert!(reply.value()["detail"].as_str().unwrap().starts_with("Bad Request: "));
    assert_eq!(sets(&mut on, ""), [(mac(1), "http://h/k".to_owned(), String::new())]);
}

#[test]
fn delete_takes_identifiers_out_and_never_leaves_a_unit_for_everybody() {
    let mut on = two_nodes();
    let body = json!({"macs": [mac(1), mac(2)], "nids": [2], "kernel": "http://h/k"});
    send(&mut on, "PUT", body, 200);
    send(&mut on, "DELETE", json!({"macs": [mac(1), mac(9)], "kernel": "other"}), 200);
    assert_eq!(sets(&mut on, "")[0].0, format!("{} 2", mac(2)));
    assert!(send(&mut on, "DELETE", json!({"macs": [mac(1)]}), 400).contains("nothing to delete"));
    send(&mut on, "DELETE", json!({"macs": [mac(2)], "nids": [2]}), 200);
    assert!(on.world.inventory.boot_units.is_empty() && on.world.records.entry_count() == 0);
}

#[test]
fn default_and_roles_are_said_in_hosts_by_put() {
    let mut on = two_nodes();
    send(&mut on, "PUT", json!({"hosts": ["default"], "kernel": "http://h/default"}), 200);
    assert!(on.get("/boot/v1/bootscript?nid=1").body_text().contains("kernel http://h/default"));
    send(&mut on, "PUT", json!({"hosts": ["compute"], "kernel": "http://h/role"}), 200);
    assert!(on.get("/boot/v1/bootscript?nid=1").body_text().contains("http://h/role"));
    assert_eq!(sets(&mut on, "?name=Compute")[0].1, "http://h/role");
    assert_eq!(sets(&mut on, "?name=Default")[0].0, "Default");
    let stranger = on.get("/boot/v1/bootscript?mac=52:54:00:00:00:99");
    assert!(!stranger.body_text().contains("kernel "), "Default is for known nodes");
}

#[test]
fn what_a_file_states_stays_and_is_named() {
    let boot = "{name: debug, kernel: 'http://h/k', params: ro, macs: ['52:54:00:be:ef:01']}";
    let mut on = Harness::new().files(NODES, boot);
    let same = json!({"macs": [mac(1)], "kernel": "http://h/k", "params": "ro"});
    send(&mut on, "POST", same.clone(), 201);
    send(&mut on, "PUT", same, 200);
    assert_eq!(on.world.inventory.boot_units.stored().count(), 0, "the file says it all");
    let detail = send(&mut on, "PUT", json!({"macs": [mac(1), mac(2)], "kernel": "http://h/other"}), 409);
    assert!(detail.contains("boot.yaml line 1") && detail.contains("`kernel`"), "{detail}");
    let detail = send(&mut on, "DELETE", json!({"macs": [mac(1)]}), 409);
    assert!(detail.contains("boot.yaml line 1") && detail.contains("`macs`"), "{detail}");
    assert_eq!(sets(&mut on, "").len(), 1, "all or nothing");
}

#[test]
fn hosts_are_the_nodes_with_each_mac_once() {
    let mut on = two_nodes();
    let hosts = on.get("/boot/v1/hosts").value();
    assert_eq!(hosts.as_array().unwrap().len(), 2);
    assert_eq!(hosts[0]["ID"], "x1000c0s0b0n0");
    assert_eq!(hosts[0]["Type"], "Node");
    assert_eq!((&hosts[0]["MAC"], &hosts[0]["FQDN"]), (&json!([mac(1)]), &json!("")));
    assert_eq!(hosts[0]["EndpointEnabled"], true);
    for query in ["?mac=52-54-00-BE-EF-02", "?name=x1000c0s0b1n0", "?nid=2"] {
        assert_eq!(on.get(&format!("/boot/v1/hosts{query}")).value()[0]["NID"], 2, "{query}");
    }
    for (query, detail) in [
        ("?mac=52:54:00:00:00:99", "Not Found - Unknown MAC address '52:54:00:00:00:99'"),
        ("?name=x1000c0s0b0", "Not Found - Unknown host name 'x1000c0s0b0'"),
        ("?nid=99", "Not Found - Unknown NID '99'"),
    ] {
        let reply = on.get(&format!("/boot/v1/hosts{query}"));
        assert_eq!((reply.status.as_u16(), reply.value()["detail"].as_str()), (404, Some(detail)));
    }
    assert_eq!(on.get("/boot/v1/hosts?nid=x").status, 400);
    assert_eq!(on.send("POST", "/boot/v1/hosts", "").status, 204);
}

#[test]
fn the_history_has_the_last_script_of_each_node() {
    let mut on = two_nodes();
    assert_eq!(on.get("/boot/v1/endpoint-history").value(), json!([]));
    for query in ["mac=52:54:00:be:ef:01", "nid=2", "name=x1000c0s0b0n0", "mac=52:54:00:00:00:99"] {
        on.get(&format!("/apis/bss/boot/v1/bootscript?{query}"));
    }
    let all = on.get("/boot/v1/endpoint-history").value();
    let names: Vec<&str> =
        all.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["x1000c0s0b0n0", "x1000c0s0b1n0"]);
    let one = on.get("/boot/v1/endpoint-history?name=X1000c0s0b0n0&endpoint=bootscript").value();
    assert_eq!((one.as_array().unwrap().len(), &one[0]["endpoint"]), (1, &json!("bootscript")));
    assert!(one[0]["last_epoch"].as_i64() > all[1]["last_epoch"].as_i64(), "its last time counts");
    assert_eq!(on.get("/boot/v1/endpoint-history?endpoint=user-data").value(), json!([]));
    assert_eq!(on.get("/boot/v1/endpoint-history?endpoint=other").value(), json!([]));
}

#[test]
fn a_script_chains_by_the_address_and_path_that_were_asked() {
    let mut on = two_nodes();
    send(&mut on, "PUT", json!({"macs": [mac(1)], "kernel": "http://h/k"}), 200);
    for prefix in ["/boot/v1", "/apis/bss/boot/v1", "/boot-service", "/apis/boot-service"] {
        for (who, chained) in [(mac(1), "retry=5"), (mac(9), "retry=5")] {
            let script = on.get(&format!("{prefix}/bootscript?mac={who}&retry=4"));
            let expected = format!("http://172.16.0.254:8081{prefix}/bootscript?mac={who}&{chained}");
            let chain = script.body_text().lines().find(|line| line.starts_with("chain ")).unwrap();
            assert!(chain.contains(&expected), "{chain}");
        }
    }
}

#[test]
fn a_script_without_question_is_refused_in_the_form_of_its_service() {
    let mut on = two_nodes();
    let reply = on.get("/boot/v1/bootscript?nid=one");
    assert_eq!(reply.status, 400);
    assert_eq!(reply.value()["detail"], "Need a mac=, name=, or nid= parameter");
    let reply = on.get("/boot-service/bootscript?foo=bar");
    assert_eq!((reply.status.as_u16(), &reply.value()["title"]), (400, &json!("Missing node identifier")));
}

#[test]
fn a_script_as_json_has_kernel_initrd_and_the_assembled_line() {
    let mut on = two_nodes();
    send(
        &mut on,
        "PUT",
        json!({"macs": [mac(1)], "kernel": "http://h/k", "initrd": "http://h/i", "params": "ro"}),
        200,
    );
    let reply = on.get("/boot/v1/bootscript?mac=52:54:00:be:ef:01&json=1");
    let params = "kernel initrd=initrd ro xname=x1000c0s0b0n0 nid=1 BOOTIF=01-52-54-00-be-ef-01";
    assert_eq!(reply.kind, "application/json; charset=UTF-8");
    assert_eq!(
        reply.value(),
        json!({"params": params, "kernel": {"path": "http://h/k"}, "initrd": {"path": "http://h/i"}})
    );
    assert_eq!(on.get("/boot/v1/bootscript?mac=52:54:00:be:ef:02&json=1").status, 404);
}

#[test]
fn markup_and_commands_in_parameters_reach_the_kernel_as_they_are() {
    let mut on = two_nodes();
    let params = r#"a="b c" x=1&y=2 <t> 'q' +plus"#;
    send(&mut on, "PUT", json!({"macs": [mac(1)], "kernel": "http://h/k?a=1&b=2", "params": params}), 200);
    for prefix in ["/boot/v1", "/boot-service"] {
        let script = on.get(&format!("{prefix}/bootscript?mac=52:54:00:be:ef:01"));
        let expected = format!("kernel --name kernel http://h/k?a=1&b=2 {params} xname=");
        assert!(script.body_text().contains(&expected), "{}", script.body_text());
    }
    let detail = send(&mut on, "PUT", json!({"macs": [mac(1)], "params": "ro\nsanboot"}), 400);
    assert!(detail.contains("control character"), "{detail}");
}

#[test]
fn one_of_very_many_identifiers_is_written_without_the_others() {
    let mut on = Harness::new();
    let all: Vec<i64> = (1..=5_000).collect();
    send(&mut on, "PUT", json!({"nids": all, "kernel": "http://h/k"}), 200);
    assert_eq!(sets(&mut on, "").len(), 1, "clients see one set");
    let largest =
        |on: &Harness| on.world.inventory.boot_units.iter().map(|unit| unit.nids.len()).max().unwrap();
    assert!(largest(&on) <= 1_000, "a unit is written as a whole");
    send(&mut on, "PUT", json!({"nids": [7, 4_000], "kernel": "http://h/other"}), 200);
    send(&mut on, "PUT", json!({"nids": [7], "kernel": "http://h/k"}), 200);
    let shown: Vec<usize> = sets(&mut on, "").iter().map(|set| set.0.split(' ').count()).collect();
    assert_eq!(shown.iter().sum::<usize>(), 5_000);
    assert_eq!((shown.len(), largest(&on) <= 1_000), (2, true));
}

/// One write of a client: verb, identifiers, what they shall boot.
#[derive(Clone, Debug)]
struct Write {
    method: &'static str,
    macs: Vec<u8>,
    nids: Vec<u8>,
    kernel: Option<u8>,
    params: Option<u8>,
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let few = || proptest::collection::vec(1_u8..5, 0..3);
    let method = proptest::sample::select(vec!["POST", "PUT", "PUT", "PATCH", "DELETE"]);
    let option = || proptest::option::of(0_u8..2);
    let write = (method, few(), few(), option(), option())
        .prop_map(|(method, macs, nids, kernel, params)| Write { method, macs, nids, kernel, params });
    proptest::collection::vec(write, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever units the identifiers wander through, each boots what was said of it last.
    #[test]
    fn every_identifier_boots_what_was_said_of_it_last(writes in writes()) {
        let mut on = Harness::new();
        let mut model: BTreeMap<String, (String, String)> = BTreeMap::new();
        for Write { method, macs, nids, kernel, params } in writes {
            let text = |what: &str, n: Option<u8>| n.map(|n| format!("{what}{n}")).unwrap_or_default();
            let (kernel, params) = (text("http://h/k", kernel), text("p", params));
            let body = json!({
                "macs": macs.iter().map(|n| mac(*n)).collect::<Vec<_>>(), "nids": nids,
                "kernel": kernel, "params": params,
            });
            let done = on.send(method, PARAMETERS, &body.to_string()).status.is_success();
            // Naming one twice says no more than naming it once.
            let ids: BTreeSet<String> =
                macs.iter().map(|n| mac(*n)).chain(nids.iter().map(ToString::to_string)).collect();
            let mut after = model.clone();
            let mut fits = !ids.is_empty();
            let known = ids.iter().filter(|id| model.contains_key(*id)).count();
            for id in &ids {
                let old = model.get(id);
                match method {
                    "DELETE" => drop(after.remove(id)),
                    "POST" if old.is_some() => {}
                    _ => {
                        let (old_kernel, old_params) = old.cloned().unwrap_or_default();
                        let kernel = if kernel.is_empty() { old_kernel } else { kernel.clone() };
                        let params = if params.is_empty() { old_params } else { params.clone() };
                        fits &= !kernel.is_empty();
                        after.insert(id.clone(), (kernel, params));
                    }
                }
            }
            let blank = kernel.is_empty() && params.is_empty();
            fits &= match method {
                "DELETE" => known > 0,
                "POST" => !kernel.is_empty() && known < ids.len(),
                "PATCH" => !blank && known == ids.len(),
                _ => !blank,
            };
            prop_assert_eq!(done, fits, "{} {}", method, body);
            if done {
                model = after;
            }
            let mut shown = BTreeMap::new();
            for (ids, kernel, params) in sets(&mut on, "") {
                for id in ids.split(' ') {
                    let twice = shown.insert(id.to_owned(), (kernel.clone(), params.clone()));
                    prop_assert!(twice.is_none(), "{} is shown twice", id);
                }
            }
            prop_assert_eq!(&shown, &model);
            prop_assert!(on.world.inventory.boot_units.iter().all(|unit| unit.selects()));
        }
        on.restart();
        prop_assert_eq!(sets(&mut on, "").iter().map(|set| set.0.split(' ').count()).sum::<usize>(), model.len());
    }
}
