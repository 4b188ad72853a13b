use serde_json::{Value, json};

use super::{Harness, column, discovered, endpoint, ok, problem};

const ALL: &str = "/hsm/v2/Inventory/RedfishEndpoints";

/// What magellan sends for a BMC whose systems have URIs that say nothing of xnames.
fn crawled(bmc: &str, systems: &Value) -> Value {
    json!({
        "ID": bmc, "Type": "", "Name": "", "FQDN": "127.0.1.13", "User": "root", "MACRequired": true,
        "RediscoverOnUpdate": false, "SchemaVersion": 1, "MACAddr": "02:CC:00:00:13:00", "Systems": systems,
        "Managers": [{"uri": "https://127.0.1.13:5443/redfish/v1/Managers/BMC", "name": "BMC", "type": "BMC",
            "uuid": "22222222-0000-0000-0000-02cc00001300", "command_shell": ["SSH"], "serial_console": null,
            "ethernet_interfaces": [{"mac": "02:CC:00:00:13:00", "ip": "127.0.1.13", "name": "eth0",
                "description": "management port", "enabled": true}]}],
    })
}

fn system(name: &str, uuid: &str, mac: &str, power: &str) -> Value {
    json!({
        "uri": format!("https://127.0.1.13:5443/redfish/v1/Systems/{name}"), "uuid": uuid, "name": name,
        "node_id": name, "system_type": "Physical", "power": {"state": power}, "actions": ["On"],
        "serial": "S1", "model": "M1", "manufacturer": "Kray", "processor_count": 2, "memory_total": 256,
        "serial_console": {"impi": {"enabled": true, "port": 623}, "ssh": {"enabled": false, "port": 2200}},
        "ethernet_interfaces": [{"mac": mac, "name": "NIC", "description": "onboard port 1", "enabled": true}],
    })
}

fn component(on: &mut Harness, id: &str) -> Value {
    on.get(&format!("/hsm/v2/State/Components/{id}")).value()
}

fn owner(on: &mut Harness, mac: &str) -> Value {
    on.get(&format!("/hsm/v2/Inventory/EthernetInterfaces/{mac}")).value()["ComponentID"].clone()
}

#[test]
fn an_endpoint_brings_its_components_and_cards() {
    let mut on = discovered();
    assert_eq!(
        component(&mut on, "x1000c0s0b0"),
        json!({"ID": "x1000c0s0b0", "Type": "NodeBMC", "Enabled": true})
    );
    let node = json!({"ID": "x1000c0s0b0n0", "Type": "Node", "State": "On", "Enabled": true, "Role": "Compute", "NID": 1});
    assert_eq!(component(&mut on, "x1000c0s0b0n0"), node);
    let cards = on.get("/hsm/v2/Inventory/EthernetInterfaces").value();
    assert_eq!(column(&cards, "ID"), ["525400beef01", "525400beef02", "decafc0ffee1", "decafc0ffee2"]);
    assert!(
        on.world.records.bmc_by_mac("de:ca:fc:0f:fe:e1".parse().unwrap()).is_some(),
        "DHCP knows the BMC"
    );
    let shown = on.get("/hsm/v2/Inventory/ComponentEndpoints/x1000c0s0b0n0").value();
    assert_eq!(shown["RedfishURL"], "x1000c0s0b0/redfish/v1/Systems/x1000c0s0b0n0");
    for list in ["EthernetNICInfo", "EthNICInfo"] {
        assert_eq!(shown["RedfishSystemInfo"][list][0]["MACAddress"], "52:54:00:be:ef:01", "{list}");
    }
    on.restart();
    assert_eq!(component(&mut on, "x1000c0s0b0n0"), node);
}

#[test]
fn a_password_is_kept_and_never_shown() {
    let mut on = Harness::new();
    let body = json!({"ID": "x1000c0s7b0", "User": "root", "Password": "secret"});
    ok(&on.send("POST", ALL, &body.to_string()), 201);
    let place = format!("{ALL}/x1000c0s7b0");
    let shown = on.get(&place).value();
    assert_eq!((&shown["User"], &shown["Password"]), (&json!("root"), &json!("")));
    // A client that reads, changes and writes back sends the empty text.
    ok(&on.send("PUT", &place, &shown.to_string()), 200);
    assert_eq!(on.world.inventory.redfish_endpoints.get("x1000c0s7b0").unwrap().password, "secret");
    ok(&on.send("PATCH", &place, r#"{"Password":"new"}"#), 200);
    assert_eq!(on.world.inventory.redfish_endpoints.get("x1000c0s7b0").unwrap().password, "new");
    assert!(!on.get(ALL).body_text().contains("new"));
    assert_eq!(
        on.get("/hsm/v2/State/Components").value(),
        json!({"Components": []}),
        "an endpoint alone is no component"
    );
}

#[test]
fn an_endpoint_is_refused_for_what_is_wrong_with_it() {
    let mut on = discovered();
    for (body, status, detail) in [
        (json!({}), 400, "couldn't validate endpoint data: No xname ID found"),
        (json!({"RedfishEndpoints": []}), 400, "Missing RedfishEndpoints"),
        (
            json!({"ID": "foo"}),
            400,
            "couldn't validate endpoint data: foo is not a valid locational xname ID",
        ),
        (
            json!({"ID": "x1000c0s7b0n0"}),
            400,
            "couldn't validate endpoint data: xname ID x1000c0s7b0n0 has wrong type for RF endpoint: Node",
        ),
        (
            json!({"ID": "x1000c0s7b0", "IPAddress": "1.2.3"}),
            400,
            "couldn't validate endpoint data: IPAddress is not a valid IP address: '1.2.3'",
        ),
        (json!({"ID": "x1000c0s7b0", "MACAddr": "zz"}), 400, "couldn't validate endpoint data: MACAddr 'zz'"),
        (
            json!({"ID": "x1000c0s7b0", "Hostname": "a.b"}),
            400,
            "couldn't validate endpoint data: Hostname is not",
        ),
        (
            json!({"ID": "x1000c0s7b0", "FQDN": "x1000c0s0b0"}),
            409,
            "operation would conflict with an existing resource that has the same FQDN or xname ID.",
        ),
        (json!({"ID": "x1000c0s7b0", "Name": "a\r\nb"}), 400, "couldn't validate endpoint data: Name holds"),
        (
            json!({"ID": "x1000c0s7b0", "Systems": [{"Data": {}}]}),
            400,
            "couldn't validate endpoint data: Systems of SchemaVersion 0",
        ),
        (json!({"ID": "x1000c0s7b0", "Systems": [7]}), 400, "error decoding JSON "),
        (
            json!({"RedfishEndpoints": [{"ID": "x1000c0s7b0"}, {"ID": "foo"}]}),
            400,
            "couldn't validate endpoint data at idx 1: ",
        ),
    ] {
        problem(&on.send("POST", ALL, &body.to_string()), status, detail);
    }
    assert_eq!(on.get(ALL).value()["RedfishEndpoints"].as_array().unwrap().len(), 2);
}

#[test]
fn a_malformed_card_stores_nothing_at_all() {
    let mut on = Harness::new();
    for (at, mac, ip, detail) in [
        ("Systems", "not-a-mac", "172.16.0.1", "MAC 'not-a-mac' of a network card"),
        ("Systems", "52:54:00:be:ef:01", "172.16.0.x", "Invalid CompEthInterface IP Address: '172.16.0.x'"),
        ("Managers", "52:54:00:be:ef", "", "MAC '52:54:00:be:ef' of a network card"),
    ] {
        let mut body = endpoint(1);
        body[at][0]["ethernet_interfaces"] =
            json!([{"mac": "52:54:00:be:ef:77", "ip": ""}, {"mac": mac, "ip": ip}]);
        problem(&on.send("POST", ALL, &body.to_string()), 400, detail);
        for list in ["State/Components", "Inventory/RedfishEndpoints", "Inventory/ComponentEndpoints"] {
            let shown = on.get(&format!("/hsm/v2/{list}")).body_text().to_owned();
            assert!(shown.contains("[]"), "{list}: {shown}");
        }
        assert_eq!(on.get("/hsm/v2/Inventory/EthernetInterfaces").value(), json!([]));
    }
}

#[test]
fn a_card_without_mac_is_left_out_and_named_and_one_without_address_is_normal() {
    let mut on = Harness::new();
    let mut body = endpoint(1);
    body["Systems"][0]["ethernet_interfaces"] = json!([{"mac": "", "ip": "", "description": "usb0"},
        {"mac": "52:54:00:be:ef:01"}, {"mac": "52:54:00:be:ef:03", "ip": "0.0.0.0"}]);
    let created = on.send("POST", ALL, &body.to_string());
    assert_eq!(ok(&created, 201), json!([{"URI": format!("{ALL}/x1000c0s0b0")}]));
    assert_eq!(created.detail.as_deref(), Some("a network card of compute1 ('usb0') has no MAC: left out"));
    let cards = on.get("/hsm/v2/Inventory/EthernetInterfaces?componentid=x1000c0s0b0n0").value();
    assert_eq!(column(&cards, "IPAddresses"), ["[]", "[]"]);
}

#[test]
fn a_system_is_the_node_of_its_url_whatever_its_place_in_the_list() {
    let mut on = Harness::new();
    let nic = |n: u8| json!([{"mac": format!("52:54:00:be:ef:0{n}"), "ip": ""}]);
    let mut body = endpoint(1);
    body["Systems"] = json!([
        {"uri": "https://h/redfish/v1/Systems/x1000c0s0b0n3", "name": "b", "ethernet_interfaces": nic(2)},
        {"uri": "https://h/redfish/v1/Systems/x1000c0s0b0n1", "name": "a", "ethernet_interfaces": nic(1)},
        // Of another BMC: its URL does not count.
        {"uri": "https://h/redfish/v1/Systems/x1000c0s0b5n0", "name": "c", "ethernet_interfaces": nic(3)},
    ]);
    ok(&on.send("POST", ALL, &body.to_string()), 201);
    let mut owners = |n: u8| owner(&mut on, &format!("525400beef0{n}"));
    let expected = ["x1000c0s0b0n1", "x1000c0s0b0n3", "x1000c0s0b0n0"];
    assert_eq!([owners(1), owners(2), owners(3)], expected.map(Value::from));
}

#[test]
fn systems_stay_the_nodes_they_were_in_whatever_order_they_are_listed() {
    let (a, b) = (
        system("Node0", "aaaaaaaa-0000-0000-0000-000000000000", "02:cc:00:00:13:10", "Off"),
        system("Node1", "aaaaaaaa-0000-0000-0000-000000000001", "02:cc:00:00:13:20", "On"),
    );
    let mut on = Harness::new();
    ok(&on.send("POST", ALL, &crawled("x1000c0s2b0", &json!([b, a])).to_string()), 201);
    let place = format!("{ALL}/x1000c0s2b0");
    for order in [json!([a, b]), json!([b, a])] {
        ok(&on.send("PUT", &place, &crawled("x1000c0s2b0", &order).to_string()), 200);
        assert_eq!(owner(&mut on, "02cc00001310"), "x1000c0s2b0n0");
        assert_eq!(owner(&mut on, "02cc00001320"), "x1000c0s2b0n1");
    }
    // Another board with the UUID of Node1 in place of it: rule 3; and one with nothing but its URL.
    let mut moved = b.clone();
    moved["ethernet_interfaces"][0]["mac"] = "02:cc:00:00:13:99".into();
    let mut bare = a.clone();
    bare["ethernet_interfaces"] = json!([]);
    bare["uuid"] = "".into();
    ok(&on.send("PUT", &place, &crawled("x1000c0s2b0", &json!([moved, bare])).to_string()), 200);
    assert_eq!(owner(&mut on, "02cc00001399"), "x1000c0s2b0n1");
    let components = on.get("/hsm/v2/State/Components").value();
    assert_eq!(column(&components["Components"], "ID"), ["x1000c0s2b0", "x1000c0s2b0n0", "x1000c0s2b0n1"]);
}

#[test]
fn empty_uuids_are_two_machines_and_equal_ones_are_one() {
    let of = |uuids: [&str; 2]| {
        let systems: Vec<Value> = (0..2)
            .map(|n| system(&format!("S{n}"), uuids[n], &format!("02:cc:00:00:13:{n}1"), "On"))
            .collect();
        let mut on = Harness::new();
        ok(&on.send("POST", ALL, &crawled("x1000c0s2b0", &json!(systems)).to_string()), 201);
        (owner(&mut on, "02cc00001301"), owner(&mut on, "02cc00001311"))
    };
    let (first, second) = (json!("x1000c0s2b0n0"), json!("x1000c0s2b0n1"));
    assert_eq!(of(["", ""]), (first.clone(), second.clone()));
    assert_eq!(of(["00000000-0000-0000-0000-000000000000"; 2]), (first.clone(), second));
    assert_eq!(of(["aaaaaaaa-0000-0000-0000-000000000001"; 2]), (first.clone(), first));
}

#[test]
fn a_node_that_somebody_numbered_before_is_the_one_that_is_discovered() {
    let mut on = Harness::new();
    ok(
        &on.send(
            "POST",
            "/hsm/v2/State/Components",
            r#"{"Components":[{"ID":"x1000c0s2b0n0","State":"Off","NID":40,"Role":"Service"}]}"#,
        ),
        204,
    );
    let body = crawled("x1000c0s2b0", &json!([system("Node0", "", "02:cc:00:00:13:10", "On")]));
    ok(&on.send("POST", ALL, &body.to_string()), 201);
    let expected = json!({"ID": "x1000c0s2b0n0", "Type": "Node", "State": "On", "Enabled": true, "Role": "Service", "NID": 40});
    assert_eq!(component(&mut on, "x1000c0s2b0n0"), expected);
}

#[test]
fn a_discovered_node_has_a_role_and_a_number_of_its_own() {
    let mut on = Harness::new();
    // The number of x1000c0s2b0n0's place is taken, and 20000000 is the highest that ever was.
    let taken = json!({"Components": [
        {"ID": "x1000c0s9b0n0", "State": "On", "NID": 16_400_448},
        {"ID": "x1000c0s9b0n1", "State": "On", "NID": 20_000_000},
    ]});
    ok(&on.send("POST", "/hsm/v2/State/Components", &taken.to_string()), 204);
    ok(&on.send("DELETE", "/hsm/v2/State/Components/x1000c0s9b0n1", ""), 200);
    let systems = json!([
        system("Node0", "", "02:cc:00:00:13:10", "Off"),
        system("Node1", "", "02:cc:00:00:13:20", "On")
    ]);
    ok(&on.send("POST", ALL, &crawled("x1000c0s2b0", &systems).to_string()), 201);
    let first = component(&mut on, "x1000c0s2b0n0");
    assert_eq!(
        (&first["NID"], &first["Role"], &first["State"]),
        (&json!(20_000_001), &json!("Compute"), &json!("Off"))
    );
    assert_eq!(component(&mut on, "x1000c0s2b0n1")["NID"], 16_400_449);
}

#[test]
fn a_node_that_said_it_is_ready_stays_so_until_its_power_goes() {
    let mut on = discovered();
    let place = format!("{ALL}/x1000c0s0b0");
    ok(&on.send("PATCH", "/hsm/v2/State/Components/x1000c0s0b0n0/StateData", r#"{"State":"Ready"}"#), 204);
    for (power, expected) in [("", "Ready"), ("On", "Ready"), ("Off", "Off"), ("On", "On")] {
        let mut body = endpoint(1);
        body["Systems"][0]["power"] = json!({"state": power});
        ok(&on.send("PUT", &place, &body.to_string()), 200);
        assert_eq!(component(&mut on, "x1000c0s0b0n0")["State"], expected, "power {power:?}");
    }
}

#[test]
fn both_spellings_of_magellan_say_the_same() {
    let json_form = crawled(
        "x1000c0s2b0",
        &json!([system("Node0", "aaaaaaaa-0000-0000-0000-000000000000", "02:cc:00:00:13:10", "Off")]),
    );
    let yaml_form = json_form.to_string();
    let yaml_form = [
        ("ethernet_interfaces", "ethernetinterfaces"),
        ("system_type", "systemtype"),
        ("node_id", "nodeid"),
        ("\"model\":\"M1\"", "\"modelnumber\":\"M1\""),
        ("\"serial\":", "\"serialnumber\":"),
        ("serial_console\":{\"impi", "serialconsole\":{\"ipmi"),
        ("processor_count", "processorcount"),
        ("memory_total", "memorytotal"),
        ("command_shell", "commandshellsupported"),
    ]
    .iter()
    .fold(yaml_form, |text, (from, to)| text.replace(from, to));
    let stored = |body: &str| {
        let mut on = Harness::new();
        ok(&on.send("POST", ALL, body), 201);
        let lists = ["Inventory/ComponentEndpoints", "State/Components", "Inventory/RedfishEndpoints"];
        let lists = lists.map(|list| on.get(&format!("/hsm/v2/{list}")).value());
        (lists, column(&on.get("/hsm/v2/Inventory/EthernetInterfaces").value(), "MACAddress"))
    };
    let (lists, macs) = stored(&json_form.to_string());
    assert_eq!(stored(&yaml_form), (lists.clone(), macs.clone()));
    assert_eq!(macs, ["02:cc:00:00:13:00", "02:cc:00:00:13:10"]);
    let info = &lists[0]["ComponentEndpoints"][1]["RedfishSystemInfo"];
    assert_eq!(
        info["SerialConsole"],
        json!({"IPMI": {"ServiceEnabled": true, "Port": 623}, "SSH": {"ServiceEnabled": false, "Port": 2200}})
    );
    assert_eq!((&info["Model"], &info["MemorySummary"]["TotalSystemMemoryGiB"]), (&json!("M1"), &json!(256)));
    let endpoint = &lists[2]["RedfishEndpoints"][0];
    assert_eq!((&endpoint["Hostname"], &endpoint["IPAddress"]), (&json!("127.0.1.13"), &json!("127.0.1.13")));
    assert_eq!(endpoint["MACAddr"], "02:CC:00:00:13:00", "kept as the BMC spells it");
}

#[test]
fn a_mac_of_another_machine_is_a_conflict_for_post_and_a_move_for_put() {
    let mut on = discovered();
    let mut body = endpoint(3);
    body["Systems"][0]["ethernet_interfaces"][0]["mac"] = "52:54:00:be:ef:01".into();
    let conflict = "operation would conflict with an existing component ethernet interface that has the same \
        MAC address. 52:54:00:be:ef:01";
    problem(&on.send("POST", ALL, &body.to_string()), 409, conflict);
    problem(&on.get("/hsm/v2/State/Components/x1000c0s0b2n0"), 404, "no such xname.");
    let moved = on.send("PUT", &format!("{ALL}/x1000c0s0b2"), &body.to_string());
    ok(&moved, 200);
    let remark = "52:54:00:be:ef:01 was x1000c0s0b0n0's and is x1000c0s0b2n0's now";
    assert_eq!(moved.detail.as_deref(), Some(remark));
    assert_eq!(owner(&mut on, "525400beef01"), "x1000c0s0b2n0");
}

#[test]
fn a_pdu_brings_its_outlets() {
    let mut on = Harness::new();
    let body = json!({"ID": "x3000m0", "Type": "Node", "FQDN": "x3000m0", "Hostname": "x3000m0", "Enabled": true,
    "RediscoverOnUpdate": false, "PDUInventory": {"Outlets": [
        {"original_id": "AA1", "id_suffix": "p0v1", "name": "Master_Outlet_1", "state": "On", "socket_type": "C13"},
        {"original_id": "BA12", "id_suffix": "p1v12", "name": "Link1_Outlet_12", "state": "Off", "socket_type": "C19"},
    ]}});
    ok(&on.send("POST", ALL, &body.to_string()), 201);
    let components = on.get("/hsm/v2/State/Components").value();
    assert_eq!(
        column(&components["Components"], "Type"),
        ["CabinetPDUController", "CabinetPDUPowerConnector", "CabinetPDUPowerConnector"]
    );
    assert_eq!(column(&components["Components"], "State"), ["On", "On", "On"]);
    let outlet = on.get("/hsm/v2/Inventory/ComponentEndpoints/x3000m0p1v12").value();
    assert_eq!(
        (&outlet["RedfishType"], &outlet["OdataID"]),
        (&json!("Outlet"), &json!("/jaws/monitor/outlets/BA12"))
    );
    let wrong = json!({"ID": "x3000m1", "PDUInventory": {"Outlets": [{"id_suffix": "q9"}]}});
    problem(
        &on.send("POST", ALL, &wrong.to_string()),
        400,
        "couldn't validate endpoint data: 'x3000m1q9' is no outlet's xname",
    );
}

#[test]
fn a_patch_renames_an_endpoint_and_says_what_it_cannot_find() {
    let mut on = discovered();
    let place = format!("{ALL}/x1000c0s0b0");
    let shown = ok(&on.send("PATCH", &place, r#"{"Name":"front","Enabled":false}"#), 200);
    assert_eq!(
        (&shown["Name"], &shown["Enabled"], &shown["Hostname"]),
        (&json!("front"), &json!(false), &json!("x1000c0s0b0"))
    );
    let shown = ok(&on.send("PATCH", &place, r#"{"FQDN":"front.lab"}"#), 200);
    assert_eq!(
        (&shown["Hostname"], &shown["Domain"], &shown["FQDN"]),
        (&json!("front"), &json!("lab"), &json!("front.lab"))
    );
    let below = on.get("/hsm/v2/Inventory/ComponentEndpoints/x1000c0s0b0n0").value();
    assert_eq!(below["RedfishURL"], "front.lab/redfish/v1/Systems/x1000c0s0b0n0");
    problem(
        &on.send("PATCH", &format!("{ALL}/x1000c0s0b1"), r#"{"FQDN":"FRONT.lab"}"#),
        409,
        "operation would conflict",
    );
    for name in ["Name", "UUID", "User", "Password", "TemplateID"] {
        let said = json!({"Enabled": true, name: "a\nb"}).to_string();
        problem(&on.send("PATCH", &place, &said), 400, &format!("{name} holds the control character"));
    }
    assert_eq!(on.get(&place).value(), shown);
    problem(&on.send("PATCH", &format!("{ALL}/x1000c0s9b0"), "{}"), 404, "No such entry: x1000c0s9b0");
    problem(&on.send("PATCH", &format!("{ALL}/bogus"), "{}"), 400, "xname in URL is not valid");
}

#[test]
fn a_put_makes_or_replaces_and_a_delete_leaves_cards_and_empty_components() {
    let mut on = discovered();
    let place = format!("{ALL}/X1000c0s0b0");
    problem(&on.send("PUT", &place, &endpoint(2).to_string()), 400, "xname in URL and PUT body do not match");
    assert_eq!(
        ok(&on.send("PUT", &format!("{ALL}/x1000c0s0b2"), &endpoint(3).to_string()), 200)["ID"],
        "x1000c0s0b2"
    );
    assert_eq!(ok(&on.send("DELETE", &place, ""), 200)["message"], "deleted 1 entry");
    problem(&on.send("DELETE", &place, ""), 404, "no such xname.");
    problem(&on.send("DELETE", &format!("{ALL}/bogus"), ""), 400, "Argument was not a valid xname ID");
    problem(&on.get("/hsm/v2/Inventory/ComponentEndpoints/x1000c0s0b0n0"), 404, "no such xname.");
    let node = component(&mut on, "x1000c0s0b0n0");
    assert_eq!((&node["State"], &node["Flag"]), (&json!("Empty"), &json!("OK")));
    assert_eq!(owner(&mut on, "525400beef01"), "x1000c0s0b0n0", "cards stay");
    assert_eq!(ok(&on.send("DELETE", ALL, ""), 200)["message"], "deleted 2 entries");
    problem(&on.send("DELETE", ALL, ""), 404, "no entries to delete");
}

#[test]
fn endpoints_are_found_by_what_is_asked() {
    let mut on = discovered();
    let mut ids = |query: &str| column(&on.get(&format!("{ALL}?{query}")).value()["RedfishEndpoints"], "ID");
    let first = ["x1000c0s0b0"];
    assert_eq!(ids("id=x1000C0s0b0"), first);
    assert_eq!(ids("fqdn=x1000c0s0b0&type=nodebmc"), first);
    assert_eq!(ids("macaddr=DE:CA:FC:0F:FE:E1"), first);
    assert_eq!(ids("ipaddress=172.16.0.101"), first);
    assert_eq!(ids("uuid=7594cce1-02af-4764-aa39-3438e7dad001"), first);
    assert_eq!(ids("laststatus=NotYetQueried").len(), 2);
    assert_eq!(ids("laststatus=DiscoverOK").len(), 0);
    assert_eq!(on.get(&format!("{ALL}/Query/all")).value(), on.get(ALL).value());
    problem(&on.get(&format!("{ALL}/Query/x1000c0s0b0")), 400, "not yet implemented");
}
