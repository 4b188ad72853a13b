use serde_json::json;

use super::{GROUP, Harness, NODES, endpoint, ok, problem};

/// The file that `discover static` of the fixture reads.
const FILE: &str = r#"bmcs:
- {name: bmc1, xname: x1000c0s0b0, mac: "DE:CA:FC:0F:FE:E1", ip: 172.16.0.101}
- {name: bmc2, xname: x1000c0s0b1, mac: "de:ca:fc:0f:fe:e2", ip: 172.16.0.102}
nodes:
- {name: compute1, nid: 1, xname: x1000c0s0b0n0, bmc: x1000c0s0b0, groups: [compute], interfaces: [
    {mac_addr: "52:54:00:be:ef:01", ip_addrs: [{name: management, ip_addr: 172.16.0.1}]}]}
- {name: compute2, nid: 2, xname: x1000c0s0b1n0, bmc: bmc2, groups: [compute], interfaces: [
    {mac_addr: "52:54:00:be:ef:02", ip_addrs: [
      {name: management, ip_addr: 172.16.0.2}, {name: ib, ip_addr: 10.1.0.2}]}]}
"#;

fn served() -> Harness {
    Harness::new().files(FILE, "")
}

#[test]
fn nodes_of_a_file_look_as_if_they_had_been_discovered() {
    let (mut filed, mut pushed) = (served(), super::discovered());
    for list in ["State/Components", "groups", "memberships"] {
        let path = format!("/hsm/v2/{list}");
        assert_eq!(filed.get(&path).value(), pushed.get(&path).value(), "{list}");
    }
    // UUIDs and reset types are the pushing client's, times are nobody's.
    let without = |mut value: serde_json::Value, keys: &[&str]| {
        for record in value.as_array_mut().unwrap() {
            for key in keys {
                record.as_object_mut().unwrap().remove(*key);
            }
        }
        value
    };
    let cards = "/hsm/v2/Inventory/EthernetInterfaces";
    assert_eq!(
        without(filed.get(cards).value(), &["LastUpdate"]),
        without(pushed.get(cards).value(), &["LastUpdate"])
    );
    let endpoints = "/hsm/v2/Inventory/RedfishEndpoints";
    let of = |on: &mut Harness| {
        without(on.get(endpoints).value()["RedfishEndpoints"].clone(), &["UUID", "MACAddr"])
    };
    assert_eq!(of(&mut filed), of(&mut pushed));
}

#[test]
fn pushing_the_file_that_is_served_succeeds_with_and_without_overwrite() {
    let mut on = served();
    for _ in 0..2 {
        ok(&on.send("POST", "/hsm/v2/State/Components", NODES), 204);
        for n in 1..=2 {
            let mut body = endpoint(n);
            if n == 1 {
                // The client sends the MAC as the file spells it.
                body["MACAddr"] = "DE:CA:FC:0F:FE:E1".into();
            }
            ok(&on.send("POST", "/hsm/v2/Inventory/RedfishEndpoints", &body.to_string()), 201);
            ok(
                &on.send(
                    "PUT",
                    &format!("/hsm/v2/Inventory/RedfishEndpoints/x1000c0s0b{}", n - 1),
                    &body.to_string(),
                ),
                200,
            );
            let node = json!({"Force": true, "Component": {"ID": format!("x1000c0s0b{}n0", n - 1), "Type": "Node",
                "State": "On", "Enabled": true, "NID": n}});
            ok(
                &on.send(
                    "PUT",
                    &format!("/hsm/v2/State/Components/x1000c0s0b{}n0", n - 1),
                    &node.to_string(),
                ),
                204,
            );
        }
        ok(
            &on.send(
                "PATCH",
                "/hsm/v2/State/Components/BulkNID",
                r#"{"Components":[{"ID":"x1000c0s0b0n0","NID":1},{"ID":"x1000c0s0b1n0","NID":2}]}"#,
            ),
            204,
        );
        // The form of discovery version 1: every address, with its network.
        let card = json!({"ID": "", "ComponentID": "x1000c0s0b1n0", "Type": "Node",
            "Description": "Interface 0 for compute2", "MACAddress": "52:54:00:be:ef:02",
            "IPAddresses": [{"IPAddress": "172.16.0.2", "Network": "management"},
                {"IPAddress": "10.1.0.2", "Network": "ib"}]});
        ok(&on.send("POST", "/hsm/v2/Inventory/EthernetInterfaces", &card.to_string()), 201);
        ok(&on.send("PATCH", "/hsm/v2/Inventory/EthernetInterfaces/525400beef02", &card.to_string()), 200);
        ok(&on.send("POST", "/hsm/v2/groups", GROUP), 201);
        ok(&on.send("PATCH", "/hsm/v2/groups/compute", GROUP), 204);
        on.restart();
    }
    let card = on.get("/hsm/v2/Inventory/EthernetInterfaces/525400beef02").value();
    assert_eq!(card["IPAddresses"][0], json!({"IPAddress": "172.16.0.2", "Network": "management"}));
}

#[test]
fn a_write_that_contradicts_a_file_names_file_line_and_key() {
    let mut on = served();
    let nid = r#"{"Components":[{"ID":"x1000c0s0b0n0","State":"On","NID":7}]}"#;
    let mut wrong_mac = endpoint(1);
    wrong_mac["MACAddr"] = "de:ca:fc:0f:fe:e9".into();
    let mut wrong_ip = endpoint(1);
    wrong_ip["Systems"][0]["ethernet_interfaces"][0]["ip"] = "172.16.0.99".into();
    for (method, path, body, line, key) in [
        ("POST", "State/Components", nid.to_owned(), 5, "nid"),
        ("PATCH", "State/Components/BulkNID", nid.to_owned(), 5, "nid"),
        ("PATCH", "State/Components/x1000c0s0b1n0/NID", r#"{"NID":9}"#.to_owned(), 7, "nid"),
        ("DELETE", "State/Components/x1000c0s0b0n0", String::new(), 5, "xname"),
        ("POST", "Inventory/RedfishEndpoints", wrong_mac.to_string(), 2, "mac"),
        ("PUT", "Inventory/RedfishEndpoints/x1000c0s0b0", wrong_ip.to_string(), 5, "ip_addrs"),
        ("DELETE", "Inventory/RedfishEndpoints/x1000c0s0b0", String::new(), 2, "xname"),
        (
            "PATCH",
            "Inventory/EthernetInterfaces/525400beef01",
            r#"{"ComponentID":"x1000c0s0b1n0"}"#.to_owned(),
            5,
            "xname",
        ),
        (
            "DELETE",
            "Inventory/EthernetInterfaces/525400beef01/IPAddresses/172.16.0.1",
            String::new(),
            5,
            "ip_addrs",
        ),
        ("DELETE", "Inventory/EthernetInterfaces/decafc0ffee1", String::new(), 2, "mac"),
        ("DELETE", "Inventory/ComponentEndpoints/x1000c0s0b0n0", String::new(), 5, "xname"),
        ("DELETE", "groups/compute/members/x1000c0s0b0n0", String::new(), 5, "groups"),
        ("PUT", "groups/compute/members", r#"{"ids":["x1000c0s0b1n0"]}"#.to_owned(), 5, "groups"),
        ("DELETE", "groups/compute", String::new(), 5, "groups"),
    ] {
        let reply = on.send(method, &format!("/hsm/v2/{path}"), &body);
        assert_eq!(reply.status.as_u16(), 409, "{method} {path}: {}", reply.body_text());
        let detail = reply.value()["detail"].as_str().unwrap().to_owned();
        let place = format!("nodes.yaml line {line} states its `{key}`");
        assert!(detail.contains(&place), "{method} {path}: {detail}");
    }
    on.restart();
    let mut fresh = served();
    assert_eq!(on.get("/hsm/v2/State/Components").value(), fresh.get("/hsm/v2/State/Components").value());
}

#[test]
fn deleting_a_collection_that_a_file_states_a_part_of_names_every_part_and_deletes_nothing() {
    let mut on = served();
    ok(
        &on.send(
            "POST",
            "/hsm/v2/State/Components",
            r#"{"Components":[{"ID":"x2000c0s0b0n0","State":"On"}]}"#,
        ),
        204,
    );
    let reply = on.send("DELETE", "/hsm/v2/State/Components", "");
    problem(&reply, 409, "component x1000c0s0b0: ");
    let detail = reply.value()["detail"].as_str().unwrap().to_owned();
    for id in ["x1000c0s0b0n0", "x1000c0s0b1", "x1000c0s0b1n0"] {
        assert!(detail.contains(&format!("component {id}: ")), "{detail}");
    }
    ok(&on.get("/hsm/v2/State/Components/x2000c0s0b0n0"), 200);
}

#[test]
fn what_a_file_does_not_state_can_be_written() {
    let mut on = served();
    ok(&on.send("PATCH", "/hsm/v2/State/Components/x1000c0s0b0n0/StateData", r#"{"State":"Ready"}"#), 204);
    ok(&on.send("PATCH", "/hsm/v2/State/Components/x1000c0s0b0n0/Enabled", r#"{"Enabled":false}"#), 204);
    ok(&on.send("PATCH", "/hsm/v2/State/Components/x1000c0s0b0n0/Role", r#"{"Role":"Service"}"#), 204);
    ok(&on.send("PATCH", "/hsm/v2/groups/compute", r#"{"description":"ours"}"#), 204);
    ok(&on.send("POST", "/hsm/v2/groups/compute/members", r#"{"id":"x1000c0s0b0n0"}"#), 201);
    on.restart();
    let node = on.get("/hsm/v2/State/Components/x1000c0s0b0n0").value();
    let expected = json!({"ID": "x1000c0s0b0n0", "Type": "Node", "State": "Ready", "Flag": "OK",
        "Enabled": false, "Role": "Service", "NID": 1});
    assert_eq!(node, expected);
    assert_eq!(on.get("/hsm/v2/groups/compute").value()["description"], "ours");
    let booted = on.world.records.by_mac("52:54:00:be:ef:01".parse().unwrap()).unwrap();
    assert!(booted.disabled);
    assert_eq!(booted.role_or_default(), "Service");
}
