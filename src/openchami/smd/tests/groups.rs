use serde_json::json;

use super::{column, discovered, ok, problem};

const GROUPS: &str = "/hsm/v2/groups";

#[test]
fn a_group_is_refused_for_its_name_or_its_members() {
    let mut on = discovered();
    for (body, status, detail) in [
        (
            json!({"description": "x"}),
            400,
            "couldn't validate group: group or partition field has invalid characters",
        ),
        (json!({"label": "a/b"}), 400, "couldn't validate group: group or partition field"),
        (
            json!({"label": "a", "members": {"ids": ["bogus"]}}),
            400,
            "couldn't validate group: got HMSTypeInvalid",
        ),
        (
            json!({"label": "a", "members": {"ids": ["x1000c0s9b0n0"]}}),
            400,
            "linked component does not exist",
        ),
        (
            json!({"label": "a", "tags": ["no blanks"]}),
            400,
            "couldn't validate group: group or partition field",
        ),
        (json!({"label": "a", "description": "x\ny"}), 400, "description holds the control character"),
        (
            json!({"label": "a", "members": {"ids": ["x1000c0s0b0n0", "X1000c0s0b0n0"]}}),
            409,
            "operation would conflict with an existing group that has the same label or duplicate ids",
        ),
        (json!({"label": "Compute"}), 409, "operation would conflict with an existing group"),
    ] {
        problem(&on.send("POST", GROUPS, &body.to_string()), status, detail);
    }
    assert_eq!(on.get("/hsm/v2/groups/labels").value(), json!(["compute"]));
}

#[test]
fn groups_are_found_by_label_tag_and_partition() {
    let mut on = discovered();
    let body = r#"{"label":"Login","tags":["T1"],"members":{"ids":["x1000c0s0b0n0"]}}"#;
    let created = on.send("POST", GROUPS, body);
    assert_eq!(ok(&created, 201), json!([{"URI": "/hsm/v2/groups/login"}]));
    assert_eq!(created.header("location"), Some("/hsm/v2/groups/login"));
    assert_eq!(column(&on.get("/hsm/v2/groups?tag=t1").value(), "label"), ["login"]);
    assert_eq!(
        column(&on.get("/hsm/v2/groups?group=login&group=COMPUTE&group=no").value(), "label"),
        ["compute", "login"]
    );
    ok(&on.send("POST", "/hsm/v2/partitions", r#"{"name":"p1","members":{"ids":["x1000c0s0b1n0"]}}"#), 201);
    let of_p1 = on.get("/hsm/v2/groups/compute?partition=p1").value();
    assert_eq!(of_p1["members"], json!({"ids": ["x1000c0s0b1n0"]}));
    problem(&on.get("/hsm/v2/groups/a%20b"), 400, "Invalid group label.");
}

#[test]
fn a_patch_adds_members_and_takes_none_away() {
    let mut on = discovered();
    ok(&on.send("POST", GROUPS, r#"{"label":"login","description":"d"}"#), 201);
    ok(&on.send("PATCH", "/hsm/v2/groups/login", r#"{"members":{"ids":["x1000c0s0b0n0"]}}"#), 204);
    ok(
        &on.send("PATCH", "/hsm/v2/groups/login", r#"{"members":{"ids":["x1000c0s0b1n0"]},"tags":["t3"]}"#),
        204,
    );
    let login = on.get("/hsm/v2/groups/login").value();
    let expected = json!({"label": "login", "description": "d", "tags": ["t3"], "members": {"ids": ["x1000c0s0b0n0", "x1000c0s0b1n0"]}});
    assert_eq!(login, expected);
    problem(
        &on.send("PATCH", "/hsm/v2/groups/login", r#"{"label":"login"}"#),
        400,
        "Request must have at least one patch field.",
    );
    problem(&on.send("PATCH", "/hsm/v2/groups/nope", r#"{"description":""}"#), 404, "no such group.");
    problem(
        &on.send(
            "PATCH",
            "/hsm/v2/groups/login",
            r#"{"description":"new","members":{"ids":["x9c0s0b0n0"]}}"#,
        ),
        400,
        "linked component does not exist",
    );
    assert_eq!(on.get("/hsm/v2/groups/login").value(), expected, "a refused PATCH changes nothing");
}

#[test]
fn members_come_and_go_one_by_one_and_all_at_once() {
    let mut on = discovered();
    let members = "/hsm/v2/groups/compute/members";
    problem(
        &on.send("POST", members, r#"{"id":"x1000c0s0b0n0"}"#),
        409,
        "operation would conflict with an existing member in the same group.",
    );
    problem(&on.send("POST", members, r#"{"id":"bogus"}"#), 400, "invalid xname ID");
    problem(&on.send("POST", members, r#"{"id":"x9c0s0b0n0"}"#), 400, "linked component does not exist");
    problem(
        &on.send("POST", "/hsm/v2/groups/nope/members", r#"{"id":"x1000c0s0b0n0"}"#),
        404,
        "No such group: nope",
    );
    problem(
        &on.send("PUT", members, r#"{"ids":["a","x1000c0s0b0n0","b"]}"#),
        400,
        "invalid xname IDs: [a b]",
    );
    problem(&on.send("PUT", members, r#"{"ids":["x9c0s0b0n0"]}"#), 400, "linked component does not exist");
    let put = on.send("PUT", members, r#"{"group":"compute","ids":["x1000c0s0b0","x1000c0s0b1n0"]}"#);
    assert_eq!(ok(&put, 201).as_array().unwrap().len(), 2);
    assert_eq!(put.header("location"), Some("/hsm/v2/groups"));
    assert_eq!(on.get(members).value(), json!({"ids": ["x1000c0s0b0", "x1000c0s0b1n0"]}));
    ok(&on.send("DELETE", &format!("{members}/X1000c0s0b0"), ""), 200);
    problem(&on.send("DELETE", &format!("{members}/x1000c0s0b0"), ""), 404, "group has no such member.");
    ok(&on.send("PUT", members, r#"{"ids":[]}"#), 204);
    assert_eq!(on.get(members).value(), json!({"ids": []}));
    ok(&on.send("DELETE", "/hsm/v2/groups/compute", ""), 200);
    problem(&on.send("DELETE", "/hsm/v2/groups/compute", ""), 404, "no such group.");
}

#[test]
fn groups_of_one_exclusive_group_share_no_member() {
    let mut on = discovered();
    let group = |label: &str, id: &str| {
        json!({"label": label, "exclusiveGroup": "colour", "members": {"ids": [id]}}).to_string()
    };
    ok(&on.send("POST", GROUPS, &group("red", "x1000c0s0b0n0")), 201);
    let other = "operation would conflict with an existing member in another exclusive group.";
    problem(&on.send("POST", GROUPS, &group("blue", "x1000c0s0b0n0")), 409, other);
    ok(&on.send("POST", GROUPS, &group("blue", "x1000c0s0b1n0")), 201);
    problem(&on.send("POST", "/hsm/v2/groups/blue/members", r#"{"id":"x1000c0s0b0n0"}"#), 409, other);
    problem(&on.send("PUT", "/hsm/v2/groups/blue/members", r#"{"ids":["x1000c0s0b0n0"]}"#), 409, other);
    assert_eq!(on.get("/hsm/v2/groups/blue").value()["exclusiveGroup"], "colour");
}

#[test]
fn a_component_is_in_one_partition_at_most() {
    let mut on = discovered();
    for name in ["p", "q1", "p1.x", "", "p1.2.3"] {
        let body = json!({"name": name}).to_string();
        problem(&on.send("POST", "/hsm/v2/partitions", &body), 400, "couldn't validate partition: ");
    }
    let first = r#"{"name":"P1","description":"one","tags":["a"],"members":{"ids":["x1000c0s0b0n0"]}}"#;
    assert_eq!(
        ok(&on.send("POST", "/hsm/v2/partitions", first), 201),
        json!([{"URI": "/hsm/v2/partitions/p1"}])
    );
    problem(
        &on.send("POST", "/hsm/v2/partitions", first),
        409,
        "operation would conflict with an existing partition",
    );
    let second = r#"{"name":"p1.2","members":{"ids":["x1000c0s0b0n0"]}}"#;
    problem(
        &on.send("POST", "/hsm/v2/partitions", second),
        409,
        "operation would conflict with an existing member in another partition.",
    );
    assert_eq!(on.get("/hsm/v2/partitions/names").value(), json!(["p1"]));
    ok(&on.send("POST", "/hsm/v2/partitions/p1/members", r#"{"id":"x1000c0s0b1n0"}"#), 201);
    ok(&on.send("PUT", "/hsm/v2/partitions/p1/members", r#"{"ids":["x1000c0s0b1n0"]}"#), 201);
    let shown = on.get("/hsm/v2/partitions/p1").value();
    assert_eq!(
        shown,
        json!({"name": "p1", "description": "one", "tags": ["a"], "members": {"ids": ["x1000c0s0b1n0"]}})
    );
    assert_eq!(
        column(&on.get("/hsm/v2/State/Components?partition=p1").value()["Components"], "ID"),
        ["x1000c0s0b1n0"]
    );
    assert_eq!(on.get("/hsm/v2/memberships/x1000c0s0b1n0").value()["partitionName"], "p1");
    ok(&on.send("POST", "/hsm/v2/partitions", r#"{"name":"p2"}"#), 201);
    problem(
        &on.send("DELETE", "/hsm/v2/partitions/p2/members/x1000c0s0b1n0", ""),
        404,
        "partition has no such member.",
    );
    assert_eq!(on.get("/hsm/v2/memberships/x1000c0s0b1n0").value()["partitionName"], "p1");
    ok(&on.send("DELETE", "/hsm/v2/partitions/p1/members/x1000c0s0b1n0", ""), 200);
    problem(
        &on.send("DELETE", "/hsm/v2/partitions/p1/members/x1000c0s0b1n0", ""),
        404,
        "partition has no such member.",
    );
    ok(&on.send("DELETE", "/hsm/v2/partitions/p1", ""), 200);
    problem(&on.get("/hsm/v2/partitions/p1"), 404, "No such partition: p1");
}

#[test]
fn memberships_are_one_entry_a_component_by_its_filters() {
    let mut on = discovered();
    assert_eq!(
        column(&on.get("/hsm/v2/memberships?type=node&role=Compute&state=On").value(), "id"),
        ["x1000c0s0b0n0", "x1000c0s0b1n0"]
    );
    assert_eq!(on.get("/hsm/v2/memberships").value().as_array().unwrap().len(), 4);
    problem(&on.get("/hsm/v2/memberships/bogus"), 400, "invalid xname");
    problem(&on.get("/hsm/v2/memberships/x9c0s0b0n0"), 404, "No such xname: x9c0s0b0n0");
}
