use serde_json::json;

use super::{column, discovered, ok, problem};

const ALL: &str = "/hsm/v2/Inventory/EthernetInterfaces";

#[test]
fn a_card_is_found_by_whatever_identifies_it() {
    let mut on = discovered();
    let body = json!({"MACAddress": "5254.00BE.EF11", "ComponentID": "x1000c0s0b0n0",
        "IPAddresses": [{"IPAddress": "10.1.0.1", "Network": "ib"}, {"IPAddress": "fd00::1"}]});
    ok(&on.send("POST", ALL, &body.to_string()), 201);
    let mut ids = |query: &str| column(&on.get(&format!("{ALL}/?{query}")).value(), "ID");
    assert_eq!(ids("MACAddress=52%3A54%3A00%3ABE%3AEF%3A11"), ["525400beef11"]);
    assert_eq!(ids("macaddress=52-54-00-be-ef-11&id=525400BEEF01"), Vec::<String>::new());
    assert_eq!(ids("ComponentID=X1000c0s0b0n0"), ["525400beef01", "525400beef11"]);
    assert_eq!(ids("IPAddress=172.16.0.2&ipaddress=10.1.0.1"), ["525400beef02", "525400beef11"]);
    assert_eq!(ids("ipaddr=172.16.0.2"), ["525400beef02"], "as metadata-service asks");
    assert_eq!(ids("ipaddress=fd00:0::1"), ["525400beef11"]);
    assert_eq!(ids("Network=ib"), ["525400beef11"]);
    assert_eq!(ids("type=nodebmc"), ["decafc0ffee1", "decafc0ffee2"]);
    assert_eq!(ids("NewerThan=2020-01-01T00:00:00Z").len(), 5);
    assert_eq!(ids("OlderThan=2020-01-01T00:00:00Z").len(), 0);
    assert_eq!(ids("NewerThan=2100-01-01T00:00:00Z").len(), 0);
    assert_eq!(ids("OlderThan=2100-01-01T00:00:00Z").len(), 5);
    assert_eq!(ids("ComponentID=x1000c0s0b0n0&ipaddress=172.16.0.2").len(), 0, "both have to fit");
    assert_eq!(ids("ComponentID=x9c0s0b0n0").len(), 0);
    assert_eq!(ids("colour=blue").len(), 5);
    for (query, detail) in [
        ("id=", "Invalid component ethernet interface ID."),
        ("macaddress=", "Invalid component ethernet interface MAC address."),
        ("componentid=bogus", "Invalid CompID."),
        ("type=bogus", "Invalid HMS type."),
        ("olderthan=yesterday", "bad query param: Argument was not in a valid RFC3339 time format"),
    ] {
        problem(&on.get(&format!("{ALL}?{query}")), 400, detail);
    }
}

#[test]
fn a_card_without_address_or_owner_is_stored_and_a_malformed_one_is_not() {
    let mut on = discovered();
    let created = on.send("POST", ALL, r#"{"MACAddress":"525400beef21","IPAddresses":[{"IPAddress":""}]}"#);
    assert_eq!(ok(&created, 201), json!({"URI": format!("{ALL}/525400beef21")}));
    let shown = on.get(&format!("{ALL}/52:54:00:BE:EF:21")).value();
    assert_eq!(
        (&shown["ComponentID"], &shown["Type"], &shown["IPAddresses"]),
        (&json!(""), &json!(""), &json!([]))
    );
    for (body, detail) in [
        (r#"{"MACAddress":""}"#, "MAC string has invalid length"),
        (r#"{"MACAddress":"zz:54:00:aa:00:01"}"#, "MAC 'zz:54:00:aa:00:01': 'z' is not a hexadecimal digit"),
        (
            r#"{"MACAddress":"52:54:00:be:ef:22","IPAddresses":[{"IPAddress":"172.16.0.300"}]}"#,
            "Invalid CompEthInterface IP Address: '172.16.0.300'",
        ),
        (
            r#"{"MACAddress":"52:54:00:be:ef:22","ComponentID":"bogus"}"#,
            "Invalid CompEthInterface component ID",
        ),
        (
            r#"{"MACAddress":"52:54:00:be:ef:22","Description":"a\u0000b"}"#,
            "Description holds the control character",
        ),
        (r#"[{"MACAddress":"52:54:00:be:ef:22"}]"#, "error decoding JSON "),
    ] {
        problem(&on.send("POST", ALL, body), 400, detail);
    }
    assert_eq!(on.get(ALL).value().as_array().unwrap().len(), 5);
}

#[test]
fn a_card_of_an_endpoint_may_be_sent_again_and_then_has_its_network() {
    let mut on = discovered();
    let body = json!({"ID": "", "ComponentID": "x1000c0s0b0n0", "Type": "Node",
        "Description": "Interface 0 for compute1", "MACAddress": "52:54:00:be:ef:01",
        "IPAddresses": [{"IPAddress": "172.16.0.1", "Network": "management"}]});
    let body = body.to_string();
    for _ in 0..2 {
        ok(&on.send("POST", ALL, &body), 201);
    }
    let shown = on.get(&format!("{ALL}/525400beef01")).value();
    assert_eq!(shown["IPAddresses"], json!([{"IPAddress": "172.16.0.1", "Network": "management"}]));
    let real = "operation would conflict with an existing component ethernet interface that has the same MAC address.";
    problem(&on.send("POST", ALL, &body.replace("x1000c0s0b0n0", "x1000c0s0b1n0")), 409, real);
}

#[test]
fn a_patch_replaces_what_it_names() {
    let mut on = discovered();
    let place = format!("{ALL}/525400BEEF01");
    let shown = on.send(
        "PATCH",
        &place,
        r#"{"IPAddresses":[{"IPAddress":"172.16.0.50"},{"IPAddress":"172.16.0.2"}]}"#,
    );
    assert_eq!(shown.detail.as_deref(), Some("172.16.0.2 of 525400beef01 is also 525400beef02's"));
    let shown = ok(&shown, 200);
    assert_eq!(column(&shown["IPAddresses"], "IPAddress"), ["172.16.0.50", "172.16.0.2"]);
    assert_eq!(shown["Description"], "Interface 0 for compute1");
    let node = on.world.records.by_mac("52:54:00:be:ef:01".parse().unwrap()).unwrap().clone();
    assert_eq!(node.nics[0].ipv4(), Some("172.16.0.50".parse().unwrap()), "DHCP hands out the first");
    ok(&on.send("PATCH", &place, r#"{"ComponentID":"x1000c0s0b1n0"}"#), 200);
    let node = on.world.records.by_mac("52:54:00:be:ef:01".parse().unwrap()).unwrap();
    assert_eq!(node.xname.as_ref().unwrap().as_str(), "x1000c0s0b1n0", "DHCP knows whose it is now");
    problem(&on.send("PATCH", &place, "{}"), 400, "Request must have at least one patch field.");
    problem(
        &on.send("PATCH", &format!("{ALL}/525400beef77"), r#"{"Description":"x"}"#),
        404,
        "No such component ethernet interface: 525400beef77",
    );
}

#[test]
fn addresses_come_and_go_one_by_one() {
    let mut on = discovered();
    let list = format!("{ALL}/525400beef01/IPAddresses");
    let created = on.send("POST", &list, r#"{"IPAddress":"172.16.0.9","Network":"mgmt"}"#);
    assert_eq!(ok(&created, 201), json!({"URI": format!("{list}/172.16.0.9")}));
    let twice = "operation would conflict with an existing IP Address on the same ethernet interface.";
    problem(&on.send("POST", &list, r#"{"IPAddress":"172.16.0.9"}"#), 409, twice);
    for body in [r#"{"IPAddress":""}"#, r#"{"IPAddress":"x"}"#, "{}"] {
        problem(&on.send("POST", &list, body), 400, "Invalid CompEthInterface IP Address");
    }
    problem(
        &on.send("POST", &format!("{ALL}/525400beef77/IPAddresses"), r#"{"IPAddress":"172.16.0.9"}"#),
        404,
        "no such component ethernet interface.",
    );
    ok(&on.send("PATCH", &format!("{list}/172.16.0.9"), r#"{"Network":"storage"}"#), 200);
    assert_eq!(
        on.get(&list).value(),
        json!([{"IPAddress": "172.16.0.1"}, {"IPAddress": "172.16.0.9", "Network": "storage"}])
    );
    problem(
        &on.send("PATCH", &format!("{list}/172.16.0.10"), r#"{"Network":"x"}"#),
        404,
        "no such IP address in component ethernet interface.",
    );
    ok(&on.send("DELETE", &format!("{list}/172.16.0.9"), ""), 200);
    problem(
        &on.send("DELETE", &format!("{list}/172.16.0.9"), ""),
        404,
        "component ethernet interface has no such ip address.",
    );
}

#[test]
fn a_deleted_card_is_no_longer_answered_by_dhcp() {
    let mut on = discovered();
    let mac = "52:54:00:be:ef:01".parse().unwrap();
    assert!(on.world.records.by_mac(mac).is_some());
    ok(&on.send("DELETE", &format!("{ALL}/525400BEEF01"), ""), 200);
    assert!(on.world.records.by_mac(mac).is_none());
    problem(
        &on.send("DELETE", &format!("{ALL}/525400beef01"), ""),
        404,
        "no such component ethernet interface.",
    );
    assert_eq!(ok(&on.send("DELETE", ALL, ""), 200)["message"], "deleted 3 entries");
    problem(&on.send("DELETE", ALL, ""), 404, "no entries to delete");
}
