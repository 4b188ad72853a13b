use serde_json::json;

use super::{Harness, column, discovered, ok, problem};

const ALL: &str = "/hsm/v2/State/Components";

/// Components with the numbers 1 to `count` in a cabinet of their own.
fn cabinet(count: usize) -> Harness {
    let nodes: Vec<_> = (1..=count)
        .map(|n| json!({"ID": format!("x2000c{}s{}b0n0", n / 100, n % 100), "State": "On", "NID": n}))
        .collect();
    let mut on = Harness::new();
    ok(&on.send("POST", ALL, &json!({"Components": nodes}).to_string()), 204);
    on
}

#[test]
fn a_post_changes_nothing_of_what_is_there_and_force_only_what_a_controller_reports() {
    let mut on = discovered();
    let body = |force: bool| {
        json!({"Components": [{"ID": "X1000c0s0b0n00", "State": "off", "Flag": "warn", "NID": 77,
            "Role": "Storage", "Enabled": false, "Arch": "arm"}], "Force": force})
        .to_string()
    };
    let before = on.get("/hsm/v2/State/Components/x1000c0s0b0n0").value();
    ok(&on.send("POST", ALL, &body(false)), 204);
    assert_eq!(on.get("/hsm/v2/State/Components/x1000c0s0b0n0").value(), before);
    ok(&on.send("POST", ALL, &body(true)), 204);
    let after = on.get("/hsm/v2/State/Components/x1000c0s0b0n0").value();
    let expected = json!({"ID": "x1000c0s0b0n0", "Type": "Node", "State": "Off", "Flag": "Warning", "Enabled": true,
        "Role": "Compute", "NID": 1, "Arch": "ARM"});
    assert_eq!(after, expected);
}

#[test]
fn one_wrong_component_refuses_the_whole_post() {
    let mut on = Harness::new();
    for (wrong, detail) in [
        (json!({"ID": "bogus", "State": "On"}), "couldn't validate components: xname ID 'bogus' is invalid"),
        (json!({"ID": "x1000c0s0b0n1"}), "couldn't validate components: state '' is invalid"),
        (
            json!({"ID": "x1000c0s0b0n1", "State": "On", "Role": "King"}),
            "couldn't validate components: role 'King' is invalid",
        ),
        (json!({"ID": "x1000c0s0b0n1", "State": "On", "NID": "seven"}), "couldn't validate components: NID"),
        (
            json!({"ID": "x1000c0s0b0n1", "State": "On", "SoftwareStatus": "a\nb"}),
            "couldn't validate components: softwareStatus holds",
        ),
    ] {
        let body = json!({"Components": [{"ID": "x1000c0s0b0n0", "State": "On"}, wrong]});
        problem(&on.send("POST", ALL, &body.to_string()), 400, detail);
    }
    problem(&on.send("POST", ALL, "{"), 400, "error decoding JSON ");
    problem(&on.send("POST", ALL, r#"{"Components":[{"ID":7}]}"#), 400, "error decoding JSON ");
    assert_eq!(on.get(ALL).value(), json!({"Components": []}));
}

#[test]
fn a_node_nobody_numbered_gets_the_number_of_its_place() {
    let mut on = Harness::new();
    ok(
        &on.send(
            "POST",
            ALL,
            r#"{"components":[{"id":"x1000c0s1b0n0","state":"ready"},{"ID":"x1000c0s1b0","State":"On"}]}"#,
        ),
        204,
    );
    let found = on.get("/hsm/v2/State/Components/x1000c0s1b0n0").value();
    assert_eq!(
        (&found["NID"], &found["Role"], &found["Flag"]),
        (&json!(16_400_416), &json!("Compute"), &json!("OK"))
    );
    let bmc = on.get("/hsm/v2/State/Components/x1000c0s1b0").value();
    assert!(bmc.get("NID").is_none() && bmc.get("Role").is_none(), "{bmc}");
}

#[test]
fn what_was_never_populated_comes_alive_by_force_only() {
    let mut on = Harness::new();
    let states = ["Unknown", "Empty", "Populated", "Off"];
    let nodes: Vec<_> =
        (0..).zip(states).map(|(n, state)| json!({"ID": format!("x1c0s0b0n{n}"), "State": state})).collect();
    ok(&on.send("POST", ALL, &json!({"Components": nodes}).to_string()), 204);
    for (n, before) in (0..).zip(states) {
        let place = format!("{ALL}/x1c0s0b0n{n}");
        ok(&on.send("PATCH", &format!("{place}/StateData"), r#"{"State":"Ready","ExtendedInfo":{}}"#), 204);
        let expected = if before == "Off" { "Ready" } else { before };
        assert_eq!(on.get(&place).value()["State"], expected, "from {before}");
        let empty = on.send("PATCH", &format!("{place}/StateData"), r#"{"State":"Empty"}"#);
        problem(&empty, 400, "operation not allowed and not forced.");
        ok(
            &on.send(
                "PATCH",
                &format!("{place}/StateData"),
                r#"{"State":"Ready","Flag":"Alert","Force":true}"#,
            ),
            204,
        );
        let after = on.get(&place).value();
        assert_eq!((&after["State"], &after["Flag"]), (&json!("Ready"), &json!("Alert")));
    }
}

#[test]
fn each_patch_changes_its_field_of_one_and_of_several_and_passes_over_strangers() {
    let mut on = discovered();
    let place = "/hsm/v2/State/Components/x1000c0s0b0n0";
    for (path, body) in [
        ("FlagOnly", json!({"Flag": "locked"})),
        ("Enabled", json!({"Enabled": false})),
        ("SoftwareStatus", json!({"SoftwareStatus": "AdminDown"})),
        ("Role", json!({"Role": "application", "SubRole": "worker"})),
        ("NID", json!({"NID": "9"})),
    ] {
        ok(&on.send("PATCH", &format!("{place}/{path}"), &body.to_string()), 204);
        ok(&on.send("PATCH", &format!("{ALL}/x9c0s0b0n0/{path}"), &body.to_string()), 204);
    }
    let expected = json!({"ID": "x1000c0s0b0n0", "Type": "Node", "State": "On", "Flag": "Locked", "Enabled": false,
        "SoftwareStatus": "AdminDown", "Role": "Application", "SubRole": "Worker", "NID": 9});
    assert_eq!(on.get(place).value(), expected);
    let ids = json!(["x1000c0s0b0n0", "X1000C0S0B1N0", "x9c0s0b0n0"]);
    for (path, body) in [
        ("BulkStateData", json!({"ComponentIDs": ids, "State": "Ready"})),
        ("BulkFlagOnly", json!({"ComponentIDs": ids, "Flag": "OK"})),
        ("BulkEnabled", json!({"ComponentIDs": ids, "Enabled": true})),
        ("BulkSoftwareStatus", json!({"ComponentIDs": ids, "SoftwareStatus": ""})),
        ("BulkRole", json!({"ComponentIDs": ids, "Role": "Storage"})),
        (
            "BulkNID",
            json!({"Components": [{"ID": "x1000c0s0b0n0", "NID": -1}, {"ID": "x9c0s0b0n0", "NID": 3}]}),
        ),
    ] {
        ok(&on.send("PATCH", &format!("{ALL}/{path}"), &body.to_string()), 204);
    }
    let expected = json!({"ID": "x1000c0s0b0n0", "Type": "Node", "State": "Ready", "Flag": "OK", "Enabled": true, "Role": "Storage"});
    assert_eq!(on.get(place).value(), expected);
    on.restart();
    assert_eq!(on.get(place).value(), expected);
}

#[test]
fn a_patch_says_what_is_missing_or_wrong() {
    let mut on = discovered();
    let one = |path: &str| format!("{ALL}/x1000c0s0b0n0/{path}");
    for (path, body, detail) in [
        (one("StateData"), "{}", "Missing State"),
        (one("StateData"), r#"{"State":"Tired"}"#, "Argument was not a valid HMS State"),
        (one("FlagOnly"), "{}", "Missing Flag"),
        (one("Enabled"), "{}", "Missing Enabled field"),
        (one("SoftwareStatus"), "{}", "Missing SoftwareStatus"),
        (one("Role"), "{}", "Missing Role"),
        (one("Role"), r#"{"Role":"King"}"#, "a required argument did not match any valid input"),
        (one("NID"), "{}", "Missing NID"),
        (one("NID"), r#"{"ID":"x1000c0s0b1n0","NID":4}"#, "ID in URL and PATCH body do not match"),
        (format!("{ALL}/bogus/NID"), r#"{"NID":4}"#, "invalid xname ID"),
        (format!("{ALL}/BulkEnabled"), r#"{"Enabled":true}"#, "Missing IDs"),
        (format!("{ALL}/BulkEnabled"), r#"{"ComponentIDs":["bogus"],"Enabled":true}"#, "invalid xname ID"),
        (format!("{ALL}/BulkNID"), "{}", "Missing Components"),
        (
            format!("{ALL}/BulkNID"),
            r#"{"Components":[{"ID":"x1000c0s0b0n0"}]}"#,
            "operation 'Bulk Update NID' failed: NID value missing.",
        ),
    ] {
        problem(&on.send("PATCH", &path, body), 400, detail);
    }
}

#[test]
fn a_number_that_two_have_is_accepted_and_named_in_the_log() {
    let mut on = discovered();
    let reply =
        on.send("PATCH", &format!("{ALL}/BulkNID"), r#"{"Components":[{"ID":"x1000c0s0b0n0","NID":2}]}"#);
    ok(&reply, 204);
    assert_eq!(reply.detail.as_deref(), Some("NID 2 of x1000c0s0b0n0 is also x1000c0s0b1n0's"));
    assert_eq!(column(&on.get(&format!("{ALL}?nid=2")).value()["Components"], "ID").len(), 2);
    ok(&on.get(&format!("{ALL}/ByNID/2")), 200);
}

#[test]
fn filters_or_and_exclude_and_ignore_what_is_no_filter() {
    let mut on = discovered();
    ok(&on.send("PATCH", "/hsm/v2/State/Components/x1000c0s0b1n0/StateData", r#"{"State":"Ready"}"#), 204);
    let mut ids = |query: &str| column(&on.get(&format!("{ALL}?{query}")).value()["Components"], "ID");
    let (a, b) = ("x1000c0s0b0n0", "x1000c0s0b1n0");
    assert_eq!(ids("type=node&role=COMPUTE"), [a, b]);
    assert_eq!(ids("Type=Node&state=ready"), [b]);
    assert_eq!(ids("state=on&state=ready"), [a, b]);
    assert_eq!(ids("type=Node&state=!ready"), [a]);
    assert_eq!(ids("type=!node"), ["x1000c0s0b0", "x1000c0s0b1"]);
    assert_eq!(ids("id=X1000c0s0b1n0&id=x1000c0s0b0"), ["x1000c0s0b0", b]);
    assert_eq!(ids("nid=2"), [b]);
    assert_eq!(ids("nid_start=1&nid_end=1"), [a]);
    assert_eq!(ids("nid_start=2"), [b]);
    assert_eq!(ids("nid=!2&type=node"), [a]);
    assert_eq!(ids("group=Compute&state=On"), [a]);
    assert_eq!(ids("group=!compute"), ["x1000c0s0b0", "x1000c0s0b1"]);
    assert_eq!(ids("group=NULL"), ["x1000c0s0b0", "x1000c0s0b1"]);
    assert_eq!(ids("group=nope"), Vec::<String>::new());
    assert_eq!(ids("enabled=true&colour=blue").len(), 4);
    assert_eq!(ids("enabled=!true").len(), 0);
    let only = on.get(&format!("{ALL}?id={b}&stateonly=true")).value();
    assert_eq!(only, json!({"Components": [{"ID": b, "Type": "Node", "State": "Ready", "Flag": "OK"}]}));
    let only = on.get(&format!("{ALL}?id={b}&nidonly=1")).value();
    assert_eq!(only, json!({"Components": [{"ID": b, "Type": "Node", "NID": 2}]}));
    for query in ["type=Bogus", "state=tired", "nid=x", "enabled=maybe", "id=bogus", "stateonly=perhaps"] {
        problem(&on.get(&format!("{ALL}?{query}")), 400, "bad query param: ");
    }
}

#[test]
fn every_filter_looks_at_its_own_field() {
    let mut on = discovered();
    let (a, b, odd) = ("x1000c0s0b0n0", "x1000c0s0b1n0", "x2000c0s0b0n0");
    let component = json!({"ID": odd, "State": "On", "Flag": "Warning", "Role": "Service", "SubRole": "Worker",
        "Arch": "ARM", "Class": "River", "SoftwareStatus": "up", "Subtype": "s"});
    ok(&on.send("POST", ALL, &json!({"Components": [component]}).to_string()), 204);
    let partition = json!({"name": "p1", "members": {"ids": [odd]}}).to_string();
    ok(&on.send("POST", "/hsm/v2/partitions", &partition), 201);
    let mut ids =
        |query: &str| column(&on.get(&format!("{ALL}?type=node&{query}")).value()["Components"], "ID");
    for (name, value) in [
        ("id", odd),
        ("flag", "warning"),
        ("role", "service"),
        ("subrole", "worker"),
        ("arch", "arm"),
        ("class", "river"),
        ("softwarestatus", "up"),
        ("subtype", "s"),
        ("partition", "p1"),
    ] {
        assert_eq!(ids(&format!("{name}={value}")), [odd], "{name}");
        assert_eq!(ids(&format!("{name}=!{value}")), [a, b], "{name}");
    }
    assert_eq!(ids("partition=null"), [a, b]);
    for name in ["locked", "reservation_disabled"] {
        assert_eq!(ids(&format!("{name}=true")).len(), 0, "{name}");
        assert_eq!(ids(&format!("{name}=false")).len(), 3, "{name}");
    }
}

#[test]
fn an_index_finds_what_a_scan_finds() {
    let mut on = cabinet(500);
    let mut count =
        |query: &str| on.get(&format!("{ALL}?{query}")).value()["Components"].as_array().unwrap().len();
    assert_eq!(count("nid_start=10&nid_end=19"), 10);
    assert_eq!(count("nid_start=10&nid_end=5000"), 491);
    assert_eq!(count("nid_start=10&nid_end=500000"), 491);
    assert_eq!(count("nid=7&nid=8&nid=7"), 2);
    let body = r#"{"NIDRanges":["1-3","7","400-9000"],"state":["On"],"type":"node"}"#;
    let found = on.send("POST", &format!("{ALL}/ByNID/Query"), body).value();
    assert_eq!(found["Components"].as_array().unwrap().len(), 105);
    for (body, detail) in [
        ("{}", "Missing NID ranges"),
        (r#"{"NIDRanges":["3-1"]}"#, "bad query param"),
        (r#"{"NIDRanges":["a"]}"#, "bad query param"),
    ] {
        problem(&on.send("POST", &format!("{ALL}/ByNID/Query"), body), 400, detail);
    }
}

#[test]
fn a_query_by_location_takes_all_that_is_below_it() {
    let mut on = discovered();
    ok(&on.send("POST", ALL, r#"{"Components":[{"ID":"x1000c0s0b10n0","State":"On"}]}"#), 204);
    let below = on.get(&format!("{ALL}/Query/x1000c0s0b1")).value();
    assert_eq!(column(&below["Components"], "ID"), ["x1000c0s0b1", "x1000c0s0b1n0"]);
    let body = r#"{"ComponentIDs":["x1000c0s0b0","x1000c0s0b0n0"],"type":["Node"],"stateonly":true}"#;
    let found = on.send("POST", &format!("{ALL}/Query"), body).value();
    assert_eq!(found, json!({"Components": [{"ID": "x1000c0s0b0n0", "Type": "Node", "State": "On"}]}));
    problem(&on.send("POST", &format!("{ALL}/Query"), "{}"), 400, "Missing IDs");
    assert_eq!(on.get(&format!("{ALL}/Query/s0")).value()["Components"].as_array().unwrap().len(), 5);
}

#[test]
fn a_number_is_looked_up_and_nonsense_is_named() {
    let mut on = discovered();
    problem(&on.get(&format!("{ALL}/ByNID/x")), 400, "a required argument was not an integer");
    problem(&on.get(&format!("{ALL}/ByNID/-3")), 400, "An argument was out of range");
    problem(&on.get(&format!("{ALL}/bogus")), 404, "no such xname.");
}

#[test]
fn a_deleted_component_is_in_no_group_any_more() {
    let mut on = discovered();
    let node = format!("{ALL}/x1000c0s0b1n0");
    assert_eq!(ok(&on.send("DELETE", &node, ""), 200)["message"], "deleted 1 entry");
    assert_eq!(on.get("/hsm/v2/groups/compute/members").value(), json!({"ids": ["x1000c0s0b0n0"]}));
    problem(&on.send("DELETE", &node, ""), 404, "no such xname.");
    problem(&on.send("DELETE", &format!("{ALL}/bogus"), ""), 400, "invalid xname");
    assert_eq!(ok(&on.send("DELETE", ALL, ""), 200)["message"], "deleted 3 entries");
    assert_eq!(on.get("/hsm/v2/groups/compute/members").value(), json!({"ids": []}));
    problem(&on.send("DELETE", ALL, ""), 404, "no entries to delete");
    on.restart();
    assert_eq!(on.get(ALL).value(), json!({"Components": []}));
}

#[test]
fn a_put_is_of_the_component_in_its_path() {
    let mut on = Harness::new();
    let place = format!("{ALL}/x1000c0s0b0n0");
    let other = r#"{"Component":{"ID":"x1000c0s0b1n0","State":"On"}}"#;
    problem(&on.send("PUT", &place, other), 400, "ID in URL and POST body do not match");
    problem(
        &on.send("PUT", &place, r#"{"Component":{"State":"x"}}"#),
        400,
        "couldn't validate component: state 'x' is invalid",
    );
    ok(&on.send("PUT", &place, r#"{"Component":{"State":"On"}}"#), 204);
    assert_eq!(on.get(&place).value()["State"], "On");
    ok(&on.send("PUT", &place, r#"{"Component":{"State":"Off"}}"#), 204);
    assert_eq!(on.get(&place).value()["State"], "On", "without force nothing changes");
}
