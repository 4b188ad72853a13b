//! boot-service over the records, through its routes.

use serde_json::{Value, json};

use crate::openchami::api::Reply;
use crate::openchami::testing::Harness;

const CONFIGURATIONS: &str = "/boot-service/bootconfigurations";
const NODES: &str = "/boot-service/nodes";
const BMCS: &str = "/boot-service/bmcs";

const FILE: &str = "nodes:
- {name: compute1, nid: 1, xname: x1000c0s0b0n0, groups: [compute], interfaces: [{mac_addr: '52:54:00:be:ef:01', ip_addrs: [{name: m, ip_addr: 172.16.0.1}]}]}
";

#[track_caller]
fn is(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body_text());
    reply.value()
}

/// Asserts a refusal in the form of these services, and gives its text.
#[track_caller]
fn refused(reply: &Reply, status: u16) -> String {
    let body = is(reply, status);
    assert_eq!(body["code"], status);
    body["error"].as_str().unwrap().to_owned()
}

fn add(on: &mut Harness, collection: &str, name: &str, spec: Value) -> Value {
    let body =
        json!({"metadata": {"name": name, "uid": "", "createdAt": "0001-01-01T00:00:00Z"}, "spec": spec});
    let reply = on.send("POST", collection, &body.to_string());
    is(&reply, 201)
}

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap().to_owned()
}

#[test]
fn a_configuration_is_an_envelope_with_a_uid_of_its_kind() {
    let mut on = Harness::new();
    assert_eq!(on.get(CONFIGURATIONS).value(), json!([]));
    let spec = json!({"macs": ["52:54:00:be:ef:01"], "kernel": "http://h/k", "params": "console=ttyS0", "priority": 42});
    let made = add(&mut on, CONFIGURATIONS, "compute", spec.clone());
    assert_eq!((&made["apiVersion"], &made["kind"]), (&json!("v1"), &json!("BootConfiguration")));
    assert_eq!((&made["spec"], &made["status"]), (&spec, &json!({})));
    let digits = uid(&made).strip_prefix("bootconfiguration-").unwrap().to_owned();
    assert!(digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{digits}");
    assert!(made["metadata"].get("labels").is_none());
    assert_eq!(made["metadata"]["createdAt"], made["metadata"]["updatedAt"]);
    let place = format!("{CONFIGURATIONS}/{}", uid(&made));
    assert_eq!(is(&on.get(&place), 200), made);
    assert_eq!(is(&on.get(&format!("{CONFIGURATIONS}/compute")), 200), made, "a name is as good");
    on.restart();
    assert_eq!(on.get(CONFIGURATIONS).value(), json!([made]));
    let gone = is(&on.send("DELETE", &place, ""), 200);
    assert_eq!(gone, json!({"message": "BootConfiguration deleted successfully", "uid": uid(&made)}));
    assert!(refused(&on.get(&place), 404).starts_with("BootConfiguration not found: "));
    assert!(refused(&on.send("DELETE", &place, ""), 404).contains("not found"));
}

#[test]
fn adding_the_same_again_gives_the_one_that_is_there() {
    let mut on = Harness::new();
    let spec = json!({"macs": ["52:54:00:be:ef:01"], "kernel": "/k"});
    let made = add(&mut on, CONFIGURATIONS, "a", spec.clone());
    let again = json!({"metadata": {"name": "a"}, "spec": {"macs": ["52-54-00-BE-EF-01"], "kernel": "/k"}});
    assert_eq!(is(&on.send("POST", CONFIGURATIONS, &again.to_string()), 200), made);
    let other = add(&mut on, CONFIGURATIONS, "a", json!({"kernel": "/k2"}));
    assert_ne!(uid(&other), uid(&made), "names need not be unique");
    let both = refused(&on.get(&format!("{CONFIGURATIONS}/a")), 409);
    assert!(both.contains(&uid(&made)) && both.contains(&uid(&other)), "{both}");
}

#[test]
fn put_replaces_the_spec_and_an_empty_name_keeps_the_old_one() {
    let mut on = Harness::new();
    let made = add(
        &mut on,
        CONFIGURATIONS,
        "a",
        json!({"macs": ["52:54:00:be:ef:01"], "kernel": "/k", "initrd": "/i"}),
    );
    let place = format!("{CONFIGURATIONS}/{}", uid(&made));
    let body = json!({"metadata": {"name": ""}, "spec": {"kernel": "/k2", "nids": [1]}});
    let put = is(&on.send("PUT", &place, &body.to_string()), 200);
    assert_eq!(
        (&put["spec"], &put["metadata"]["name"]),
        (&json!({"nids": [1], "kernel": "/k2"}), &json!("a"))
    );
    assert_eq!(put["metadata"]["createdAt"], made["metadata"]["createdAt"]);
    assert_ne!(put["metadata"]["updatedAt"], made["metadata"]["updatedAt"]);
    let body = json!({"metadata": {"name": "b", "labels": {"x": "y"}}, "spec": {"kernel": "/k2"}});
    let put = is(&on.send("PUT", &place, &body.to_string()), 200);
    assert_eq!((&put["metadata"]["name"], &put["metadata"]["labels"]), (&json!("b"), &json!({"x": "y"})));
    let text = refused(&on.send("PUT", &place, r#"{"spec":{"kernel":""}}"#), 400);
    assert_eq!(text, "validation failed: kernel field is required");
}

#[test]
fn a_patch_is_for_the_spec_in_any_of_its_forms() {
    let mut on = Harness::new();
    let spec = json!({"macs": ["52:54:00:be:ef:01"], "kernel": "/k", "priority": 7});
    let place = format!("{CONFIGURATIONS}/{}", uid(&add(&mut on, CONFIGURATIONS, "a", spec)));
    let mut patch = |kind: &str, body: Value| on.send_as("PATCH", &place, &body.to_string(), Some(kind));
    let merge = "application/merge-patch+json";
    let patched = is(&patch(merge, json!({"params": "quiet", "priority": null})), 200);
    let expected = json!({"macs": ["52:54:00:be:ef:01"], "kernel": "/k", "params": "quiet"});
    assert_eq!(patched["spec"], expected);
    let wrapped = is(&patch("application/json", json!({"spec": {"Params": "ro"}})), 200);
    assert_eq!(wrapped["spec"]["params"], "ro");
    let ops = json!([
        {"op": "add", "path": "/priority", "value": 9},
        {"op": "remove", "path": "/initrd"},
        {"op": "add", "path": "/hosts/-", "value": "X1000c0s0b0n0"},
    ]);
    let patched = is(&patch("application/json-patch+json", ops), 200);
    assert_eq!(
        (&patched["spec"]["hosts"], &patched["spec"]["priority"]),
        (&json!(["x1000c0s0b0n0"]), &json!(9))
    );
    let replaced =
        patch("application/json-patch+json", json!([{"op": "replace", "path": "/initrd", "value": "/i"}]));
    assert!(refused(&replaced, 422).starts_with("failed to apply patch to spec: "));
    let shorthand =
        is(&patch("application/shorthand-patch+json", json!({"hosts": null, "params": "x"})), 200);
    assert_eq!(shorthand["spec"].get("hosts"), None);
    assert!(refused(&patch(merge, json!({"kernel": null})), 400).contains("kernel field is required"));
    assert!(refused(&patch(merge, json!({"macs": 5})), 400).starts_with("invalid request body: "));
    assert!(refused(&on.send("PATCH", &place, "{bad"), 400).starts_with("invalid request body: "));
}

#[test]
fn values_that_cannot_be_are_named() {
    let mut on = Harness::new();
    for (spec, text) in [
        (json!({"hosts": ["kk"], "kernel": "/k"}), "invalid host XName format: kk"),
        (json!({"hosts": ["x1000c0s0b0"], "kernel": "/k"}), "invalid host XName format: x1000c0s0b0"),
        (json!({"hosts": ["x1000c0s*b0n0"], "kernel": "/k"}), "invalid host XName format: x1000c0s*b0n0"),
        (json!({"hosts": ["*"], "kernel": "/k"}), "invalid host XName format: *"),
        (json!({"hosts": ["x9*"], "kernel": "/k"}), "invalid host XName format: x9*"),
        (json!({"macs": ["zz"], "kernel": "/k"}), "invalid MAC address format: zz"),
        (json!({"nids": [-1], "kernel": "/k"}), "invalid nid: -1"),
        (json!({"kernel": "relative/k"}), "invalid kernel URL or path: relative/k"),
        (json!({"kernel": "ftp://x/k"}), "invalid kernel URL or path: ftp://x/k"),
        (json!({"kernel": "http://h/a b"}), "invalid kernel URL or path: http://h/a b"),
        (json!({"kernel": "/../etc/passwd"}), "invalid kernel URL or path: /../etc/passwd"),
        (json!({"kernel": "/k", "initrd": "i"}), "invalid initrd URL or path: i"),
        (json!({"kernel": "/k", "priority": 101}), "priority must be between 0 and 100"),
    ] {
        let reply = on.send("POST", CONFIGURATIONS, &json!({"spec": spec}).to_string());
        assert_eq!(refused(&reply, 400), format!("validation failed: {text}"));
    }
    let newline =
        on.send("POST", CONFIGURATIONS, &json!({"spec": {"kernel": "/k", "params": "a\nb"}}).to_string());
    assert!(refused(&newline, 400).contains("control character"));
    for body in ["", "{bad", "7", r#"{"spec":[]}"#] {
        assert!(refused(&on.send("POST", CONFIGURATIONS, body), 400).starts_with("invalid request body: "));
    }
    for (host, kernel) in
        [("default", "/k"), ("x1000c0s0b0n*", "http://h/k"), ("Compute", "local"), ("x*", "https://h/k")]
    {
        add(&mut on, CONFIGURATIONS, host, json!({"hosts": [host], "kernel": kernel}));
    }
}

#[test]
fn bss_and_boot_service_show_one_unit() {
    let mut on = Harness::new().files(FILE, "");
    let spec =
        json!({"macs": ["52:54:00:be:ef:01"], "kernel": "http://h/k", "groups": ["compute"], "priority": 5});
    let made = add(&mut on, CONFIGURATIONS, "compute", spec);
    let set = on.get("/boot/v1/bootparameters?mac=52:54:00:be:ef:01").value();
    assert_eq!((&set[0]["kernel"], set[0].get("groups")), (&json!("http://h/k"), None));
    let script = on.get("/boot/v1/bootscript?mac=52:54:00:be:ef:01");
    assert!(script.body_text().contains("kernel --name kernel http://h/k "));
    // Another node with the same parameters joins that unit.
    let put = json!({"macs": ["52:54:00:be:ef:02"], "kernel": "http://h/k"}).to_string();
    is(&on.send("PUT", "/boot-service/bootparameters", &put), 200);
    let joined = on.get(&format!("{CONFIGURATIONS}/{}", uid(&made))).value();
    assert_eq!(joined["spec"]["macs"], json!(["52:54:00:be:ef:01", "52:54:00:be:ef:02"]));
    assert_eq!(joined["spec"]["priority"], 5);
    // Taken out by BSS: the group still selects, so the unit stays.
    let out = json!({"macs": ["52:54:00:be:ef:01", "52:54:00:be:ef:02"]}).to_string();
    is(&on.send("DELETE", "/boot/v1/bootparameters", &out), 200);
    let left = on.get(&format!("{CONFIGURATIONS}/{}", uid(&made))).value();
    assert_eq!((left["spec"].get("macs"), &left["spec"]["groups"]), (None, &json!(["compute"])));
}

#[test]
fn a_configuration_of_a_file_is_shown_and_stays() {
    let boot = "{name: debug, kernel: amd64/linux, params: ro, hosts: [Default, compute1]}";
    let mut on = Harness::new().files(FILE, boot);
    let all = on.get(CONFIGURATIONS).value();
    assert_eq!(all[0]["spec"]["kernel"], "amd64/linux");
    let place = format!("{CONFIGURATIONS}/debug");
    for (method, body) in [
        ("PATCH", r#"{"params":"quiet"}"#),
        ("DELETE", ""),
        (
            "PUT",
            r#"{"metadata":{"name":"x"},"spec":{"kernel":"amd64/linux","params":"ro","hosts":["default","compute1"]}}"#,
        ),
    ] {
        let text = refused(&on.send(method, &place, body), 409);
        assert!(text.contains("boot.yaml line 1"), "{method} {text}");
    }
    let same = is(&on.send("PATCH", &place, r#"{"params":"ro"}"#), 200);
    assert_eq!(same["spec"], all[0]["spec"]);
}

#[test]
fn a_node_is_registered_once_for_all_services() {
    let mut on = Harness::new();
    let spec = json!({"xname": "X1000c0s0b00n0", "nid": 1, "bootMac": "52:54:00:BE:EF:01", "role": "Compute",
        "subRole": "Worker", "hostname": "nid0001", "groups": ["compute", "debug"],
        "interfaces": [{"mac": "52:54:00:be:ef:01", "ip": "172.16.0.1", "type": "management"}]});
    let made = add(&mut on, NODES, "n1", spec);
    assert_eq!(made["kind"], "Node");
    assert!(uid(&made).starts_with("node-"));
    assert_eq!(
        made["spec"],
        json!({"xname": "x1000c0s0b0n0", "nid": 1, "bootMac": "52:54:00:be:ef:01", "role": "Compute",
            "subRole": "Worker", "hostname": "nid0001", "groups": ["compute", "debug"],
            "interfaces": [{"mac": "52:54:00:be:ef:01", "ip": "172.16.0.1", "type": "management"}]})
    );
    let inventory = &on.world.inventory;
    let component = inventory.components.get("x1000c0s0b0n0").unwrap();
    assert_eq!(
        (component.nid, component.role.as_str(), component.state.as_str()),
        (Some(1), "Compute", "On")
    );
    assert_eq!(inventory.members_of("compute"), ["x1000c0s0b0n0"]);
    assert_eq!(inventory.ethernet_interfaces.get("525400beef01").unwrap().component_id, "x1000c0s0b0n0");
    // The boot side knows it at once.
    let script = on.get("/boot/v1/bootscript?mac=52:54:00:be:ef:01");
    assert!(script.body_text().contains("x1000c0s0b0n0 has nothing to boot"));
    for place in ["n1", "x1000c0s0b0n0", &uid(&made)] {
        assert_eq!(on.get(&format!("{NODES}/{place}")).value(), made, "{place}");
    }
    let plain = add(&mut on, NODES, "n2", json!({"xname": "x1000c0s1b0n0", "bootMac": "52:54:00:be:ef:02"}));
    let nid = 1001 * 16384 + 32;
    let expected =
        json!({"xname": "x1000c0s1b0n0", "nid": nid, "bootMac": "52:54:00:be:ef:02", "role": "Compute"});
    assert_eq!(plain["spec"], expected);
    on.restart();
    assert_eq!(on.get(NODES).value(), json!([made, plain]));
}

#[test]
fn what_a_put_leaves_out_of_a_node_stays_and_a_patch_removes_what_it_says() {
    let mut on = Harness::new();
    let spec = json!({"xname": "x1000c0s0b0n0", "nid": 7, "role": "Service", "hostname": "h", "groups": ["a", "b"],
        "interfaces": [{"mac": "52:54:00:be:ef:01", "ip": "172.16.0.1"}, {"mac": "52:54:00:be:ef:02"}]});
    let place = format!("{NODES}/{}", uid(&add(&mut on, NODES, "n1", spec)));
    let put = is(&on.send("PUT", &place, r#"{"spec":{"xname":"x1000c0s0b0n0"}}"#), 200);
    assert_eq!((&put["spec"]["nid"], &put["spec"]["role"]), (&json!(7), &json!("Service")));
    assert_eq!((&put["spec"]["groups"], put["spec"].get("hostname")), (&json!(["a", "b"]), None));
    let cards = |object: &Value| object["spec"]["interfaces"].as_array().map_or(0, Vec::len);
    assert_eq!(cards(&put), 2);
    let patch = json!([{"op": "remove", "path": "/interfaces/1"}, {"op": "remove", "path": "/groups/0"}]);
    let patched = on.send_as("PATCH", &place, &patch.to_string(), Some("application/json-patch+json"));
    let patched = is(&patched, 200);
    assert_eq!((cards(&patched), &patched["spec"]["groups"]), (1, &json!(["b"])));
    assert!(on.world.inventory.ethernet_interfaces.get("525400beef02").is_none());
    assert_eq!(on.world.inventory.members_of("a"), [""; 0]);
    let none = is(&on.send("PATCH", &place, r#"{"groups":null,"nid":null}"#), 200);
    assert_eq!((none["spec"].get("groups"), &none["spec"]["nid"]), (None, &json!(1001 * 16384)));
    is(&on.send("DELETE", &place, ""), 200);
    assert!(on.world.inventory.components.is_empty() && on.world.inventory.ethernet_interfaces.is_empty());
    assert_eq!(on.world.records.node_count(), 0);
}

#[test]
fn a_node_of_a_file_can_be_added_and_labelled_but_says_what_the_file_says() {
    let mut on = Harness::new().files(FILE, "");
    let listed = on.get(NODES).value();
    assert_eq!(listed[0]["metadata"]["name"], "compute1");
    assert_eq!(listed[0]["spec"]["interfaces"], json!([{"mac": "52:54:00:be:ef:01", "ip": "172.16.0.1"}]));
    let known = on.get(&format!("{NODES}/{}", uid(&listed[0]))).value();
    assert_eq!(known, listed[0]);
    let body = json!({"metadata": {"name": "compute1", "labels": {"rack": "r1"}}, "spec": {"xname": "x1000c0s0b0n0", "groups": ["gpu"]}});
    let made = is(&on.send("POST", NODES, &body.to_string()), 201);
    assert_eq!(made["spec"]["groups"], json!(["compute", "gpu"]));
    assert_eq!(made["metadata"]["labels"], json!({"rack": "r1"}));
    assert!(
        refused(
            &on.send(
                "POST",
                NODES,
                &json!({"metadata": {"name": "compute1"}, "spec": {"xname": "x1000c0s0b0n0", "nid": 9}})
                    .to_string()
            ),
            409
        )
        .contains("registered already")
    );
    for (method, body, field) in [
        ("PATCH", r#"{"nid":2}"#, "nid"),
        ("PUT", r#"{"metadata":{"name":"other"},"spec":{"xname":"x1000c0s0b0n0"}}"#, "name"),
        ("PATCH", r#"{"groups":[]}"#, "groups"),
        ("DELETE", "", ""),
    ] {
        let text = refused(&on.send(method, &format!("{NODES}/compute1"), body), 409);
        assert!(text.contains("nodes.yaml line 2") && text.contains(field), "{method} {text}");
    }
}

#[test]
fn wrong_nodes_are_refused_and_change_nothing() {
    let mut on = Harness::new();
    add(&mut on, NODES, "n1", json!({"xname": "x1000c0s0b0n0", "bootMac": "52:54:00:be:ef:01"}));
    for (spec, text) in [
        (json!({"xname": "foo"}), "invalid XName format: foo"),
        (json!({"xname": "x1000c0s9b0"}), "invalid XName format: x1000c0s9b0"),
        (json!({"xname": "x1c0s0b0n0", "bootMac": "zz"}), "invalid MAC address format: zz"),
        (
            json!({"xname": "x1c0s0b0n0", "interfaces": [{"mac": "52:54:00:be:ef:09", "ip": "172.16.0.300"}]}),
            "invalid IP address: 172.16.0.300",
        ),
        (json!({"xname": "x1c0s0b0n0", "nid": -1}), "nid must be between"),
        (json!({"xname": "x1c0s0b0n0", "groups": ["a b"]}), "invalid group name: a b"),
        (json!({"xname": "x1c0s0b0n0", "role": "a\nb"}), "role holds the control character"),
        (json!({"xname": "x1c0s0b0n0", "subRole": "a\nb"}), "subRole holds the control character"),
        (json!({"xname": "x1c0s0b0n0", "hostname": "a\nb"}), "hostname holds the control character"),
    ] {
        let reply = on.send("POST", NODES, &json!({"metadata": {"name": "bad"}, "spec": spec}).to_string());
        assert!(
            refused(&reply, 400).starts_with(&format!("validation failed: {text}")),
            "{}",
            reply.body_text()
        );
    }
    let named = json!({"metadata": {"name": "a\nb"}, "spec": {"xname": "x1c0s0b0n0"}}).to_string();
    assert!(refused(&on.send("POST", NODES, &named), 400).contains("the name holds the control character"));
    let taken = json!({"spec": {"xname": "x1c0s0b0n0", "groups": ["g"], "bootMac": "52:54:00:be:ef:01"}});
    let text = refused(&on.send("POST", NODES, &taken.to_string()), 409);
    assert!(text.contains("is a card of x1000c0s0b0n0 already"), "{text}");
    assert_eq!(on.get(NODES).value().as_array().unwrap().len(), 1);
    assert!(on.world.inventory.groups.is_empty(), "all or nothing");
    let moved =
        refused(&on.send("PUT", &format!("{NODES}/n1"), r#"{"spec":{"xname":"x1000c0s1b0n0"}}"#), 400);
    assert!(moved.contains("xname cannot change"), "{moved}");
}

#[test]
fn a_bmc_has_a_card_a_description_and_a_status() {
    let mut on = Harness::new();
    let spec = json!({"xname": "x1000c0s0b0", "description": "d",
        "interface": {"mac": "52:54:00:aa:00:01", "ip": "172.16.0.101", "type": "management"}});
    let made = add(&mut on, BMCS, "b1", spec.clone());
    assert_eq!(
        (&made["kind"], &made["spec"], &made["status"]),
        (&json!("BMC"), &spec, &json!({"ready": false}))
    );
    assert!(uid(&made).starts_with("bmc-"));
    let place = format!("{BMCS}/{}", uid(&made));
    assert_eq!(
        is(&on.send("PATCH", &format!("{place}/status"), r#"{"ready":true}"#), 200)["status"]["ready"],
        true
    );
    assert_eq!(
        is(&on.send("PUT", &format!("{place}/status"), r#"{"status":{"ready":false}}"#), 200)["status"]["ready"],
        true
    );
    let patched =
        is(&on.send("PATCH", &place, r#"{"interface":{"mac":"52:54:00:aa:00:02"},"description":null}"#), 200);
    assert_eq!(patched["spec"]["interface"]["mac"], "52:54:00:aa:00:02");
    assert_eq!((patched["spec"].get("description"), &patched["status"]["ready"]), (None, &json!(true)));
    assert!(on.world.inventory.ethernet_interfaces.get("525400aa0001").is_none());
    assert_eq!(on.get(BMCS).value(), json!([patched]));
    assert_eq!(on.get(NODES).value(), json!([]));
    let long = json!({"spec": {"xname": "x1000c0s1b0", "description": "d".repeat(201)}});
    assert!(refused(&on.send("POST", BMCS, &long.to_string()), 400).contains("at most 200"));
    is(&on.send("DELETE", &place, ""), 200);
    assert!(on.world.inventory.components.is_empty());
}

#[test]
fn the_script_is_asked_by_any_kind_of_identifier() {
    let mut on = Harness::new().files(FILE, "{kernel: 'http://h/k', hosts: [Default]}");
    for query in [
        "host=x1000c0s0b0n0",
        "host=X1000C0S0B0N0",
        "mac=52-54-00-be-ef-01",
        "mac=525400BEEF01",
        "nid=01",
        "host=1",
        "host=52:54:00:be:ef:01",
        "mac=x1000c0s0b0n0",
        "mac=&nid=1",
        "name=compute1",
        "host=compute1&mac=zz",
    ] {
        let script = on.get(&format!("/boot-service/bootscript?{query}"));
        assert!(script.body_text().contains("xname=x1000c0s0b0n0 nid=1"), "{query} {}", script.body_text());
    }
    let unknown = on.get("/boot-service/bootscript?nid=abc");
    assert!(unknown.status == 200 && unknown.body_text().contains("no node is named 'abc'"));
}

#[test]
fn a_disabled_node_waits_and_is_told_why() {
    let mut on = Harness::new().files(FILE, "{kernel: 'http://h/k', hosts: [Default]}");
    let mut live = on.world.live();
    let mut changes = Vec::new();
    let mut draft = crate::openchami::inventory::Draft::new(&mut live, &mut changes);
    let component = draft.inventory().components.get("x1000c0s0b0n0").unwrap();
    draft.put(crate::openchami::inventory::Component { enabled: false, ..(*component).clone() }).unwrap();
    draft.finish();
    on.world = on.world.with(&live);
    let script = on.get("/boot/v1/bootscript?mac=52:54:00:be:ef:01");
    assert!(script.body_text().contains("compute1 waits: it is disabled"), "{}", script.body_text());
    assert!(!script.body_text().contains("kernel "));
}

#[test]
fn health_and_service_say_that_it_runs() {
    let mut on = Harness::new();
    assert_eq!(on.get("/boot-service/health").value(), json!({"status": "ok", "service": "boot-service"}));
    assert_eq!(on.get("/apis/boot-service/service/status").value()["service_status"], "running");
    assert_eq!(on.get("/boot-service/service/version").value()["service_version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_was_deleted_in_smd_can_be_added_again_and_is_new() {
    let mut on = Harness::new();
    for (collection, spec) in [
        (NODES, json!({"xname": "x1000c0s0b0n0", "hostname": "old"})),
        (BMCS, json!({"xname": "x1000c0s0b0", "description": "old"})),
    ] {
        let xname = spec["xname"].as_str().unwrap().to_owned();
        add(&mut on, collection, "first", spec);
        is(&on.send("DELETE", &format!("/hsm/v2/State/Components/{xname}"), ""), 200);
        let again = json!({"metadata": {"name": "second"}, "spec": {"xname": xname}});
        let made = is(&on.send("POST", collection, &again.to_string()), 201);
        assert_eq!((&made["metadata"]["name"], made["spec"].get("hostname")), (&json!("second"), None));
        assert_eq!(made["spec"].get("description"), None);
        let third = json!({"metadata": {"name": "third"}, "spec": {"xname": xname}});
        assert!(
            refused(&on.send("POST", collection, &third.to_string()), 409).contains("registered already")
        );
    }
}

#[test]
fn a_deleted_bmc_is_in_no_group_any_more() {
    let mut on = Harness::new();
    add(&mut on, BMCS, "b1", json!({"xname": "x1000c0s0b0"}));
    let members = json!({"ids": ["x1000c0s0b0"]});
    let group = json!({"label": "rack", "members": members}).to_string();
    assert_eq!(on.send("POST", "/hsm/v2/groups", &group).status, 201);
    let partition = json!({"name": "p1", "members": members}).to_string();
    assert_eq!(on.send("POST", "/hsm/v2/partitions", &partition).status, 201);
    is(&on.send("DELETE", &format!("{BMCS}/b1"), ""), 200);
    for place in ["groups/rack", "partitions/p1"] {
        assert_eq!(on.get(&format!("/hsm/v2/{place}")).value()["members"], json!({"ids": []}), "{place}");
    }
}

#[test]
fn a_node_joins_one_group_of_an_exclusive_group() {
    let mut on = Harness::new();
    for label in ["red", "blue"] {
        let group = json!({"label": label, "exclusiveGroup": "colour"}).to_string();
        assert_eq!(on.send("POST", "/hsm/v2/groups", &group).status, 201);
    }
    let both = json!({"spec": {"xname": "x1000c0s0b0n0", "groups": ["red", "blue"]}}).to_string();
    assert!(refused(&on.send("POST", NODES, &both), 409).contains("exclusive group colour"));
    assert_eq!(on.get(NODES).value(), json!([]), "all or nothing");
    add(&mut on, NODES, "n1", json!({"xname": "x1000c0s0b0n0", "groups": ["red"]}));
    let more = r#"{"groups":["red","blue"]}"#;
    assert!(refused(&on.send("PATCH", &format!("{NODES}/n1"), more), 409).contains("is in red already"));
    let other = is(&on.send("PATCH", &format!("{NODES}/n1"), r#"{"groups":["blue"]}"#), 200);
    assert_eq!(other["spec"]["groups"], json!(["blue"]));
}

mod once {
    use super::*;
    use crate::openchami::boot_service::boot_once;
    use crate::openchami::inventory::Draft;

    const BOOT: &str = "- {name: debug, kernel: 'http://h/debug', macs: ['52:54:00:be:ef:01']}
- {name: installer, kernel: 'http://h/install', profile: install}
";
    const ONCE: &str = "/boot-service/boot-once/compute1";

    fn site() -> Harness {
        Harness::new().files(FILE, BOOT)
    }

    /// What the node would boot, by its script.
    fn boots(on: &mut Harness, retry: u32) -> String {
        let script = on.get(&format!("/boot/v1/bootscript?mac=52:54:00:be:ef:01&retry={retry}"));
        let text = script.body_text();
        let kernel = text.lines().find_map(|line| line.strip_prefix("kernel --name kernel "));
        match kernel {
            Some(kernel) => kernel.split(' ').next().unwrap().to_owned(),
            None if text.contains("boots its own disk") => "local".to_owned(),
            None => text.to_owned(),
        }
    }

    /// As the door does when the node itself fetches the script.
    fn take(on: &mut Harness) {
        let mut live = on.world.live();
        let mut changes = Vec::new();
        let mut draft = Draft::new(&mut live, &mut changes);
        boot_once::take(&mut draft, "x1000c0s0b0n0").unwrap();
        draft.finish();
        on.world = on.world.with(&live);
    }

    #[test]
    fn a_profile_is_taken_once_and_done_lets_the_node_boot_its_own_disk() {
        let mut on = site();
        assert_eq!(boots(&mut on, 0), "http://h/debug");
        let set = is(&on.send("PUT", ONCE, r#"{"boot":"install"}"#), 200);
        let pending = json!({"node": "x1000c0s0b0n0", "boot": "install", "taken": false, "then": "local"});
        assert_eq!(set, pending);
        assert_eq!(boots(&mut on, 0), "http://h/install");
        assert_eq!(boots(&mut on, 0), "http://h/install", "a look at the admin listener takes nothing");
        take(&mut on);
        assert_eq!(boots(&mut on, 1), "http://h/install", "a further try of the same boot");
        assert_eq!(boots(&mut on, 0), "http://h/debug", "another boot, and nobody said that it is done");
        let done = is(&on.from("x1000c0s0b0n0").get("/boot/v1/done?mac=52:54:00:be:ef:01"), 200);
        assert_eq!((&done["boot"], &done["then"]), (&json!(""), &json!("local")));
        for retry in [0, 0, 3] {
            assert_eq!(boots(&mut on, retry), "local");
        }
        on.restart();
        assert_eq!(boots(&mut on, 0), "local", "it outlives a restart");
        is(&on.send("DELETE", ONCE, ""), 200);
        assert_eq!(boots(&mut on, 0), "http://h/debug");
        assert!(refused(&on.send("DELETE", ONCE, ""), 404).contains("nothing is asked"));
    }

    #[test]
    fn asked_for_again_it_is_taken_again() {
        let mut on = site();
        is(&on.send("PUT", ONCE, r#"{"boot":"install"}"#), 200);
        take(&mut on);
        assert_eq!(boots(&mut on, 0), "http://h/debug");
        assert_eq!(is(&on.send("PUT", ONCE, r#"{"boot":"install"}"#), 200)["taken"], false);
        assert_eq!(boots(&mut on, 0), "http://h/install");
    }

    #[test]
    fn a_node_that_is_deleted_and_added_again_was_asked_for_nothing() {
        let (mut on, once) = (Harness::new(), "/boot-service/boot-once/x1000c0s0b0n0");
        let node = json!({"xname": "x1000c0s0b0n0", "bootMac": "52:54:00:be:ef:01"});
        add(&mut on, NODES, "compute1", node.clone());
        is(&on.send("PUT", once, r#"{"boot":"local"}"#), 200);
        is(&on.send("DELETE", &format!("{NODES}/compute1"), ""), 200);
        add(&mut on, NODES, "compute1", node);
        assert_eq!(is(&on.get(once), 200)["boot"], "");
        on.restart();
        assert_eq!(is(&on.get(once), 200)["boot"], "");
    }

    #[test]
    fn local_is_one_boot_from_the_own_disk() {
        let mut on = site();
        is(&on.send("PUT", "/boot-service/boot-once/x1000c0s0b0n0", r#"{"boot":"local"}"#), 200);
        assert_eq!(boots(&mut on, 0), "local");
        take(&mut on);
        assert_eq!(boots(&mut on, 0), "http://h/debug");
        assert_eq!(is(&on.get(ONCE), 200)["boot"], "");
    }

    #[test]
    fn what_follows_can_be_said() {
        let mut on = site();
        is(
            &on.send("PUT", "/boot-service/boot-once/52-54-00-be-ef-01", r#"{"boot":"install","then":""}"#),
            200,
        );
        take(&mut on);
        is(&on.from("x1000c0s0b0n0").send("POST", "/apis/bss/boot/v1/done", ""), 200);
        assert_eq!(boots(&mut on, 0), "http://h/debug");
    }

    #[test]
    fn only_the_node_itself_says_that_it_is_done() {
        let mut on = site();
        is(&on.send("PUT", ONCE, r#"{"boot":"install"}"#), 200);
        assert_eq!(on.from_stranger().get("/boot/v1/done?mac=52:54:00:be:ef:01").status, 403);
        assert_eq!(on.from("x1000c0s0b0n0").get("/boot/v1/done?mac=52:54:00:be:ef:02").status, 403);
        assert_eq!(is(&on.get(ONCE), 200)["boot"], "install");
    }

    #[test]
    fn a_phone_home_counts_once_that_boot_has_begun() {
        let mut on = site();
        is(&on.send("PUT", ONCE, r#"{"boot":"install"}"#), 200);
        let home = "/phone-home/x1000c0s0b0n0";
        assert_eq!(on.from("x1000c0s0b0n0").send("POST", home, "").status, 200);
        assert_eq!(boots(&mut on, 0), "http://h/install", "the system that ran before called");
        take(&mut on);
        assert_eq!(on.send("POST", home, "").status, 200);
        assert_eq!(boots(&mut on, 0), "local");
    }

    #[test]
    fn a_profile_that_nothing_is_for_is_refused() {
        let mut on = site();
        let text = refused(&on.send("PUT", ONCE, r#"{"boot":"instal"}"#), 400);
        assert!(text.contains("no boot entry is for the profile instal"), "{text}");
        assert!(refused(&on.send("PUT", ONCE, r#"{"boot":"install","then":"x"}"#), 400).contains("(then)"));
        assert!(refused(&on.send("PUT", ONCE, "{}"), 400).starts_with("invalid request body"));
        assert!(refused(&on.get("/boot-service/boot-once/nobody"), 404).contains("no node has"));
    }
}
