//! What SMD promises, asked on the harness. The same promises over HTTP are in `tests/openchami`.

mod any;
mod components;
mod files;
mod groups;
mod interfaces;
mod redfish;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::openchami::api::Reply;
use crate::openchami::testing::Harness;

/// Asserts a problem with this status and start of the detail.
#[track_caller]
fn problem(reply: &Reply, status: u16, detail: &str) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body_text());
    assert_eq!(reply.kind, "application/problem+json");
    let value = reply.value();
    let said = value["detail"].as_str().unwrap();
    assert!(said.starts_with(detail), "{said}");
}

#[track_caller]
fn ok(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body_text());
    if reply.status == StatusCode::NO_CONTENT { Value::Null } else { reply.value() }
}

/// Texts of a member of every record in a list.
fn column(list: &Value, name: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    list.as_array().unwrap().iter().map(|record| text(&record[name])).collect()
}

/// What `discover static` sends for a BMC with one node; `n` from 1.
fn endpoint(n: u8) -> Value {
    let (bmc, at) = (format!("x1000c0s0b{}", n - 1), format!("x1000c0s0b{}n0", n - 1));
    json!({
        "ID": bmc, "Type": "NodeBMC", "Name": format!("bmc{n}"), "UUID": format!("7594cce1-02af-4764-aa39-3438e7dad00{n}"),
        "MACAddr": format!("de:ca:fc:0f:fe:e{n}"), "IPAddress": format!("172.16.0.10{n}"),
        "DiscoveryInfo": {"LastAttempt": "0001-01-01T00:00:00Z"}, "SchemaVersion": 1,
        "Systems": [{"uri": format!("https://h/redfish/v1/Systems/{at}"), "uuid": format!("398d93fa-fb16-4a53-8316-1de1be6481d{n}"),
            "name": format!("compute{n}"), "actions": ["On", "ForceOff"],
            "ethernet_interfaces": [{"mac": format!("52:54:00:be:ef:0{n}"), "ip": format!("172.16.0.{n}"),
                "name": at, "description": format!("Interface 0 for compute{n}")}]}],
        "Managers": [{"uri": format!("https://h/redfish/v1/Managers/{bmc}"), "uuid": format!("7594cce1-02af-4764-aa39-3438e7dad00{n}"),
            "name": bmc, "actions": null, "description": "", "type": "NodeBMC",
            "ethernet_interfaces": [{"mac": format!("de:ca:fc:0f:fe:e{n}"), "ip": format!("172.16.0.10{n}"),
                "name": bmc, "description": format!("Interface for BMC {bmc}")}]}],
    })
}

const NODES: &str = r#"{"Components":[
    {"ID":"x1000c0s0b0n0","Type":"Node","State":"On","Enabled":true,"NID":1},
    {"ID":"x1000c0s0b1n0","Type":"Node","State":"On","Enabled":true,"NID":2}]}"#;
const GROUP: &str = r#"{"label":"compute","description":"The compute group","members":{"ids":["x1000c0s0b0n0","x1000c0s0b1n0"]}}"#;

/// The state after `discover static` of two nodes.
fn discovered() -> Harness {
    let mut on = Harness::new();
    ok(&on.send("POST", "/hsm/v2/State/Components", NODES), 204);
    for n in 1..=2 {
        ok(&on.send("POST", "/hsm/v2/Inventory/RedfishEndpoints", &endpoint(n).to_string()), 201);
    }
    ok(&on.send("POST", "/hsm/v2/groups", GROUP), 201);
    on
}
