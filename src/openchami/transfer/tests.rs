use serde_json::{Value, json};

use super::super::inventory::{Draft, Live, RecordsJson};
use super::super::testing::Harness;
use super::*;
use crate::records::Snapshot;

/// A site with records of every table, made through the API.
fn site() -> Harness {
    let mut on = Harness::new();
    let mut send = |method: &str, path: &str, body: Value| {
        let reply = on.send(method, path, &body.to_string());
        assert!(reply.status.is_success(), "{path}: {} {}", reply.status, reply.body_text());
    };
    let nodes: Vec<Value> = (0..3)
        .map(|n| json!({"ID": format!("x1000c0s0b{n}n0"), "State": "On", "NID": n + 1, "Arch": "X86"}))
        .collect();
    send("POST", "/hsm/v2/State/Components", json!({ "Components": nodes }));
    for n in 0..3 {
        let endpoint = json!({"ID": format!("x1000c0s0b{n}"), "Name": format!("bmc{n}"), "SchemaVersion": 1,
            "MACAddr": format!("de:ca:fc:0f:fe:e{n}"), "IPAddress": format!("172.16.0.10{n}"), "Password": "secret",
            "Systems": [{"uri": format!("/redfish/v1/Systems/x1000c0s0b{n}n0"), "name": format!("compute{n}"),
                "uuid": format!("398d93fa-fb16-4a53-8316-1de1be6481d{n}"), "actions": ["On"],
                "ethernet_interfaces": [{"mac": format!("52:54:00:be:ef:0{n}"), "ip": format!("172.16.0.{}", n + 1),
                    "description": "first"}]}],
            "Managers": []});
        send("POST", "/hsm/v2/Inventory/RedfishEndpoints", endpoint);
    }
    // What nodes.yaml allows once: a number and an address twice.
    let twice = json!({"Components": [{"ID": "x1000c0s0b1n0", "NID": 1}]});
    send("PATCH", "/hsm/v2/State/Components/BulkNID", twice);
    let card = json!({"MACAddress": "52:54:00:be:ef:09", "ComponentID": "x1000c0s0b0n0",
        "IPAddresses": [{"IPAddress": "172.16.0.2", "Network": "data"}]});
    send("POST", "/hsm/v2/Inventory/EthernetInterfaces", card);
    send("PATCH", "/hsm/v2/State/Components/x1000c0s0b2n0/Enabled", json!({"Enabled": false}));
    let members = json!({"ids": ["x1000c0s0b0n0", "x1000c0s0b2n0"]});
    send("POST", "/hsm/v2/groups", json!({"label": "compute", "description": "d", "members": members}));
    let macs = json!(["52:54:00:be:ef:00", "52:54:00:be:ef:01"]);
    send("PUT", "/boot/v1/bootparameters", json!({"macs": macs, "kernel": "http://h/k", "params": "quiet"}));
    let spec = json!({"groups": ["compute"], "kernel": "http://h/k2", "priority": 7});
    send("POST", "/boot-service/bootconfigurations", json!({"metadata": {"name": "all"}, "spec": spec}));
    let defaults = json!({"base-url": "http://172.16.0.254:8081/cloud-init", "cluster-name": "demo",
        "nid-length": 2, "public-keys": ["ssh-ed25519 AAAA u@h"], "short-name": "de"});
    send("POST", "/cloud-init/admin/cluster-defaults", defaults);
    let content = "## template: jinja\n#cloud-config\nruncmd: [hostname]\n";
    let group = json!({"name": "compute", "description": "c", "meta-data": {"zone": "a", "n": [1, {"b": null}]},
        "file": {"encoding": "plain", "content": content}});
    send("POST", "/cloud-init/admin/groups", group);
    let info = json!({"id": "x1000c0s0b0n0", "local-hostname": "compute0"});
    send("PUT", "/cloud-init/admin/instance-info/x1000c0s0b0n0", info);
    let members = json!({"ids": ["x1000c0s0b1n0"]});
    send("POST", "/hsm/v2/partitions", json!({"name": "p1", "tags": ["t"], "members": members}));
    let labels = json!({"rack": "r1"});
    let node = json!({"metadata": {"name": "front", "labels": labels}, "spec": {"xname": "x1000c0s0b0n0"}});
    send("POST", "/boot-service/nodes", node);
    send("PUT", "/boot-service/boot-once/x1000c0s0b0n0", json!({"boot": "local"}));
    let peer =
        json!({"metadata": {"name": "peer"}, "spec": {"public_key": "k=", "allowed_ip": "10.0.0.2/32"}});
    send("POST", "/metadata-service/wireguardpeers", peer);
    on
}

/// Imports into an empty store.
fn imported(files: &Files) -> Live {
    let (mut live, mut changes) = (Live::default(), Vec::new());
    let mut draft = Draft::new(&mut live, &mut changes);
    let records = import(files, &mut draft).unwrap();
    draft.finish();
    assert_eq!(changes.len(), records, "everything is stored");
    live
}

#[test]
fn export_import_export_gives_the_same_files_and_records() {
    let on = site();
    let files = export(&on.world.inventory);
    for name in FILES {
        assert!(files.contains_key(name), "{name}");
    }
    let live = imported(&files);
    assert_eq!(live.inventory.stored_json(), on.world.inventory.stored_json());
    assert_eq!(export(&live.inventory), files);
    // What boots follows, too.
    let mac = "52:54:00:be:ef:00".parse().unwrap();
    let node = live.records.by_mac(mac).unwrap();
    assert_eq!(node.xname.as_ref().unwrap().as_str(), "x1000c0s0b0n0");
    assert!(live.records.best_entry(node, None).is_some());
}

#[test]
fn what_the_api_stored_is_there_after_a_restart_and_a_reload_and_what_it_deleted_is_not() {
    let mut on = site();
    let stored = on.world.inventory.stored_json();
    assert_eq!(stored.len(), 15, "every table has records: {:?}", stored.keys());
    on.restart();
    assert_eq!(on.world.inventory.stored_json(), stored);
    let reloaded = Live::default().over(&on.world.inventory);
    assert_eq!(reloaded.inventory.stored_json(), stored);
    let booted = |records: &Snapshot| {
        let node = records.by_mac("52:54:00:be:ef:00".parse().unwrap()).unwrap();
        (node.groups.clone(), node.nics.len(), node.next_boot.is_some())
    };
    assert_eq!(booted(&reloaded.records), booted(&on.world.records));
    assert_eq!(booted(&reloaded.records), (vec!["compute".to_owned()], 2, true));

    let uids = |on: &mut Harness, collection: &str| -> Vec<String> {
        let list = on.get(collection).value();
        let list = list.as_array().unwrap().iter();
        list.map(|one| format!("{collection}/{}", one["metadata"]["uid"].as_str().unwrap())).collect()
    };
    let of_smd =
        ["groups/compute", "partitions/p1", "Inventory/EthernetInterfaces", "Inventory/RedfishEndpoints"];
    let mut gone: Vec<String> = of_smd.iter().map(|path| format!("/hsm/v2/{path}")).collect();
    for collection in [
        "/boot-service/nodes",
        "/boot-service/bootconfigurations",
        "/metadata-service/groups",
        "/metadata-service/clusterdefaultss",
        "/metadata-service/instanceinfos",
        "/metadata-service/wireguardpeers",
    ] {
        gone.extend(uids(&mut on, collection));
    }
    for path in gone {
        assert_eq!(on.send("DELETE", &path, "").status, 200, "{path}");
    }
    assert_eq!(on.world.inventory.stored_json(), RecordsJson::new());
    on.restart();
    assert_eq!(on.world.inventory.stored_json(), RecordsJson::new());
}

#[test]
fn what_a_person_changes_in_the_plain_files_counts() {
    let on = site();
    let mut files = export(&on.world.inventory);
    for (name, old, new) in [
        (NODES, "\"172.16.0.1\"", "\"172.16.0.61\""),
        (BOOT, "quiet", "verbose"),
        (cloud::FILES[0].0, "short-name: de", "short-name: xy"),
    ] {
        let text = files.get_mut(name).unwrap();
        assert!(text.contains(old), "{name}: {text}");
        *text = text.replace(old, new);
    }
    let live = imported(&files);
    let card = live.inventory.ethernet_interfaces.get("525400beef00").unwrap();
    assert_eq!(card.addresses[0].address.to_string(), "172.16.0.61");
    assert!(live.inventory.boot_units.iter().any(|unit| unit.params == "verbose"));
    assert_eq!(live.inventory.boot_units.len(), on.world.inventory.boot_units.len());
    let defaults: Vec<_> = live.inventory.cluster_defaults.iter().map(|set| set.short_name.clone()).collect();
    assert_eq!(defaults, ["xy"]);
}

#[test]
fn an_address_that_two_bmcs_have_costs_nobody_a_line_of_nodes_yaml() {
    let mut on = site();
    let place = "/hsm/v2/Inventory/RedfishEndpoints/x1000c0s0b1";
    assert_eq!(on.send("PATCH", place, r#"{"IPAddress":"172.16.0.100"}"#).status, 200);
    let files = export(&on.world.inventory);
    for xname in ["x1000c0s0b0", "x1000c0s0b1", "x1000c0s0b2"] {
        assert!(files[NODES].contains(&format!("xname: {xname}\n")), "{}", files[NODES]);
    }
    assert_eq!(imported(&files).inventory.stored_json(), on.world.inventory.stored_json());
}

#[test]
fn an_empty_store_is_exported_and_imported() {
    let files = export(&Live::default().inventory);
    assert_eq!(export(&imported(&files).inventory), files);
}

#[test]
fn wrong_files_are_named_and_nothing_of_them_is_stored() {
    let wrong = |name: &str, text: &str| {
        let files = Files::from([(name.to_owned(), text.to_owned())]);
        let (mut live, mut changes) = (Live::default(), Vec::new());
        let error = import(&files, &mut Draft::new(&mut live, &mut changes)).unwrap_err().to_string();
        assert!(changes.is_empty(), "{error}");
        error
    };
    assert!(wrong(NODES, "nodes: [{xname: bogus}]").contains("nodes.yaml"));
    assert!(wrong(BOOT, "- {kernel: 7, hosts: 3}").contains("boot.yaml"));
    assert!(wrong(REST, "[]").starts_with("rest.json"));
    assert!(wrong(REST, r#"{"components": 3}"#).contains("components"));
    assert!(wrong(REST, r#"{"components": {"x": {"ID": 3}}}"#).contains("components x"));
    assert!(wrong(REST, r#"{"nonsense": {"x": {}}}"#).contains("nonsense"));
}
