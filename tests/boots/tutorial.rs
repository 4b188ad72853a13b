//! The OpenCHAMI tutorial's way: no files, everything through the API, up to the running kernel.

use bootlace::config::Mode;
use bootlace::lab::Firmware;
use bootlace::lab::records;
use bootlace::lab::sandbox::Place;
use serde_json::{Value, json};

use crate::vlan::{PARAMS, Vlan};

const API: &str = "http://127.0.0.1:8082";

/// A request from bootlace's host, as any client of the API there makes it.
fn api(vlan: &Vlan, method: &str, path: &str, body: Option<&Value>) -> String {
    let url = format!("{API}{path}");
    let text = body.map(Value::to_string).unwrap_or_default();
    let mut words = vec!["curl", "--silent", "--show-error", "--fail-with-body", "-X", method, &url];
    if body.is_some() {
        words.extend(["--data-binary", &text]);
    }
    vlan.sandbox.run(Place::Host("srv"), &words).unwrap()
}

#[test]
fn a_machine_that_only_the_api_knows_boots_what_the_api_says() {
    let vlan = Vlan::start_empty(Mode::Reservation, Firmware::Uefi);
    let nodes = vlan.sandbox.write("tutorial.yaml", records::NODES).unwrap();
    let program = env!("CARGO_BIN_EXE_bootlace");
    let push = [program, "discover", "static", nodes.to_str().unwrap(), "--url", API];
    vlan.sandbox.run(Place::Host("srv"), &push).unwrap();

    let components: Value =
        serde_json::from_str(&api(&vlan, "GET", "/hsm/v2/State/Components", None)).unwrap();
    let components = components["Components"].as_array().unwrap();
    let nodes: Vec<&Value> = components.iter().filter(|component| component["Type"] == "Node").collect();
    let expected: Vec<Value> = (1..=5)
        .map(|n| {
            json!({"ID": format!("x1000c0s0b{}n0", n - 1), "Type": "Node", "State": "On", "Enabled": true,
                "Role": "Compute", "NID": n})
        })
        .collect();
    assert_eq!(nodes, expected.iter().collect::<Vec<_>>());

    let macs: Vec<String> = (1..=5).map(|n| format!("52:54:00:be:ef:0{n}")).collect();
    let at = "http://172.16.0.254:8081";
    let parameters = json!({"macs": macs, "kernel": format!("{at}/linux"),
        "initrd": format!("{at}/tiny.cpio"), "params": PARAMS});
    api(&vlan, "PUT", "/boot/v1/bootparameters", Some(&parameters));
    let read: Value = serde_json::from_str(&api(&vlan, "GET", "/boot/v1/bootparameters", None)).unwrap();
    assert_eq!(read.as_array().map(Vec::len), Some(1), "{read}");
    for key in ["macs", "kernel", "initrd", "params"] {
        assert_eq!(read[0][key], parameters[key], "{key}");
    }

    let mut guest = vlan.boot("compute1", Firmware::Uefi);
    let command_line = vlan.command_line(&mut guest);
    for part in [PARAMS, "xname=x1000c0s0b0n0", "nid=1", "BOOTIF=01-52-54-00-be-ef-01"] {
        assert!(command_line.contains(part), "{part} in {command_line}");
    }
}
