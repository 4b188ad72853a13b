//! SMD over HTTP, case by case: the requests that `ochami` and other services send, and what they must be
//! answered.

use serde_json::{Value, json};

use super::support::{Answer, Site, assert_holds, endpoint};

const COMPONENTS: &str = "/hsm/v2/State/Components";
const ENDPOINTS: &str = "/hsm/v2/Inventory/RedfishEndpoints";
const CARDS: &str = "/hsm/v2/Inventory/EthernetInterfaces";

/// Texts of a member of every record, sorted.
fn column(list: &Value, name: &str) -> Vec<String> {
    let mut texts: Vec<String> =
        list.as_array().unwrap().iter().map(|record| record[name].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

fn node(n: u8) -> Value {
    json!({"ID": format!("x1000c0s0b{}n0", n - 1), "Type": "Node", "State": "On", "Enabled": true, "NID": n})
}

#[track_caller]
fn created(answer: Answer, uri: &str) {
    let answer = answer.is(201);
    assert_eq!(answer.json(), json!([{"URI": uri}]), "exactly one document");
    assert_eq!(answer.header("location"), Some(uri));
}

#[test]
fn r01_discover_static_of_two_nodes_succeeds_on_an_empty_store() {
    let site = Site::f0();
    site.post(COMPONENTS, &json!({"Components": [node(1), node(2)]})).is(204);
    for n in 1..=2 {
        created(site.post(ENDPOINTS, &endpoint(n)), &format!("{ENDPOINTS}/x1000c0s0b{}", n - 1));
    }
    let group = json!({"label": "compute", "description": "The compute group",
        "members": {"ids": ["x1000c0s0b0n0", "x1000c0s0b1n0"]}});
    created(site.post("/hsm/v2/groups", &group), "/hsm/v2/groups/compute");
}

#[test]
fn r02_discover_static_again_conflicts_and_changes_nothing() {
    let site = Site::f1();
    let lists = ["State/Components", "Inventory/RedfishEndpoints", "Inventory/EthernetInterfaces", "groups"];
    let stored = || lists.map(|list| site.get(&format!("/hsm/v2/{list}")).json());
    let before = stored();
    site.post(COMPONENTS, &json!({"Components": [node(1), node(2)]})).is(204);
    for n in 1..=2 {
        let mut again = endpoint(n);
        again["UUID"] = "2ab716f7-0100-41ba-983e-6e78d3fdbf31".into();
        site.post(ENDPOINTS, &again).is(409);
    }
    let group = json!({"label": "compute", "description": "The compute group",
        "members": {"ids": ["x1000c0s0b0n0", "x1000c0s0b1n0"]}});
    site.post("/hsm/v2/groups", &group).is(409);
    assert_eq!(stored(), before);
}

#[test]
fn r03_discover_static_overwrite_succeeds_on_what_is_there() {
    let site = Site::f1();
    for n in 1..=2 {
        let body = json!({"Component": node(n), "Force": true});
        site.put(&format!("{COMPONENTS}/x1000c0s0b{}n0", n - 1), &body).is(204);
    }
    let numbers = json!({"Components": [{"ID": "x1000c0s0b0n0", "Type": "", "NID": 1},
        {"ID": "x1000c0s0b1n0", "Type": "", "NID": 2}]});
    site.patch(&format!("{COMPONENTS}/BulkNID"), &numbers).is(204);
    for n in 1..=2 {
        site.post(ENDPOINTS, &endpoint(n)).is(409);
        site.put(&format!("{ENDPOINTS}/x1000c0s0b{}", n - 1), &endpoint(n)).is(200);
    }
    let group = json!({"label": "compute", "description": "The compute group",
        "members": {"ids": ["x1000c0s0b0n0", "x1000c0s0b1n0"]}});
    site.post("/hsm/v2/groups", &group).is(409);
    site.patch("/hsm/v2/groups/compute", &group).is(204);
    let nodes = site.get(&format!("{COMPONENTS}?type=Node")).json();
    assert!(nodes["Components"].as_array().unwrap().iter().all(|node| node.get("Flag").is_none()), "{nodes}");
}

#[test]
fn r04_cards_that_came_with_the_endpoint_may_be_sent_again_with_their_network() {
    let site = Site::f1();
    for n in 1..=2 {
        let body = json!({"ID": "", "ComponentID": format!("x1000c0s0b{}n0", n - 1), "Type": "Node",
            "Description": format!("Interface 0 for compute{n}"), "MACAddress": format!("52:54:00:be:ef:0{n}"),
            "IPAddresses": [{"IPAddress": format!("172.16.0.{n}"), "Network": "management"}]});
        site.post(CARDS, &body).is(201);
    }
    let card = site.get(&format!("{CARDS}/525400beef02")).json();
    assert_eq!(card["IPAddresses"], json!([{"IPAddress": "172.16.0.2", "Network": "management"}]));
}

#[test]
fn r05_the_tutorials_checkpoint_shows_the_nodes() {
    let site = Site::f1();
    let all = site.get(COMPONENTS).json();
    let nodes: Vec<&Value> =
        all["Components"].as_array().unwrap().iter().filter(|one| one["Type"] == "Node").collect();
    let expected = [1, 2].map(|n| {
        json!({"ID": format!("x1000c0s0b{}n0", n - 1), "Type": "Node", "State": "On", "Enabled": true,
            "Role": "Compute", "NID": n})
    });
    assert_eq!(nodes, expected.iter().collect::<Vec<_>>());
}

#[test]
fn r06_r11_smd_is_healthy() {
    let answer = Site::f0().get("/hsm/v2/service/ready").message("HSM is healthy");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn r09_the_group_has_both_members() {
    let groups = Site::f1().get("/hsm/v2/groups").json();
    assert_eq!(groups[0]["label"], "compute");
    assert_eq!(groups[0]["members"]["ids"].as_array().unwrap().len(), 2);
}

#[test]
fn r10_a_node_that_is_listed_twice_is_sent_once_and_stored_once() {
    let site = Site::f0();
    site.post(COMPONENTS, &json!({"Components": [node(1), node(1)]})).is(204);
    assert_eq!(site.get(COMPONENTS).json()["Components"].as_array().unwrap().len(), 1);
}

#[test]
fn r12_smd_runs() {
    let answer = Site::f0().get("/hsm/v2/service/liveness").is(204);
    assert!(answer.body.is_empty());
}

#[test]
fn r13_the_roles_are_listed() {
    let answer = Site::f0().get("/hsm/v2/service/values/role").is(200).json();
    assert_eq!(answer.as_object().unwrap().len(), 1);
    let roles = answer["Role"].as_array().unwrap();
    for role in ["Compute", "Service", "System", "Application", "Storage", "Management"] {
        assert!(roles.contains(&role.into()), "{role}");
    }
}

#[test]
fn r14_an_empty_store_has_an_empty_list() {
    assert_eq!(Site::f0().get(COMPONENTS).is(200).json(), json!({"Components": []}));
}

#[test]
fn r15_r16_a_posted_component_is_listed_with_its_defaults_and_no_empty_texts() {
    let site = Site::f0();
    let answer = site.post(COMPONENTS, &json!({"Components": [node(1)]})).is(204);
    assert!(answer.body.is_empty());
    let expected = json!({"Components": [{"ID": "x1000c0s0b0n0", "Type": "Node", "State": "On", "Flag": "OK",
        "Enabled": true, "Role": "Compute", "NID": 1}]});
    assert_eq!(site.get(COMPONENTS).json(), expected);
}

#[test]
fn r17_r18_a_component_is_shown_by_its_xname_or_not_found() {
    let site = Site::f1();
    assert_eq!(site.get(&format!("{COMPONENTS}/x1000c0s0b0n0")).is(200).json()["ID"], "x1000c0s0b0n0");
    site.get(&format!("{COMPONENTS}/x1000c0s9b0n0")).problem(404, "no such xname.");
}

#[test]
fn r19_r20_a_component_is_shown_by_its_number_or_not_found() {
    let site = Site::f1();
    assert_eq!(site.get(&format!("{COMPONENTS}/ByNID/2")).is(200).json()["ID"], "x1000c0s0b1n0");
    site.get(&format!("{COMPONENTS}/ByNID/99")).problem(404, "no such NID.");
}

#[test]
fn r21_r22_r57_the_list_is_filtered_without_case_and_a_wrong_type_is_refused() {
    let site = Site::f1();
    let bmcs = site.get(&format!("{COMPONENTS}?type=NodeBMC")).is(200).json();
    assert_eq!(column(&bmcs["Components"], "ID"), ["x1000c0s0b0", "x1000c0s0b1"]);
    for bmc in bmcs["Components"].as_array().unwrap() {
        assert!(bmc.get("NID").is_none() && bmc.get("Role").is_none(), "{bmc}");
    }
    let nodes = site.get(&format!("{COMPONENTS}?type=node&role=compute")).is(200).json();
    assert_eq!(nodes["Components"].as_array().unwrap().len(), 2);
    site.get(&format!("{COMPONENTS}?type=Bogus")).problem(400, "bad query param: ");
}

#[test]
fn r23_r24_a_put_of_what_is_there_and_a_bulk_of_numbers_answer_204() {
    let site = Site::f1();
    let body = json!({"Component": node(1), "Force": true});
    assert!(site.put(&format!("{COMPONENTS}/x1000c0s0b0n0"), &body).is(204).body.is_empty());
    let numbers = json!({"Components": [{"ID": "x1000c0s0b0n0", "Type": "", "NID": 7}]});
    assert!(site.patch(&format!("{COMPONENTS}/BulkNID"), &numbers).is(204).body.is_empty());
    assert_eq!(site.get(&format!("{COMPONENTS}/x1000c0s0b0n0")).json()["NID"], 7);
}

#[test]
fn r25_a_post_of_nothing_is_refused() {
    Site::f0().post(COMPONENTS, &json!({"Components": []})).problem(400, "Missing Components");
}

#[test]
fn r26_a_component_is_deleted_once() {
    let site = Site::f1();
    let place = format!("{COMPONENTS}/x1000c0s0b1n0");
    site.delete(&place).message("deleted 1 entry");
    site.delete(&place).problem(404, "no such xname.");
}

/// R27: the endpoint of the case, with nothing else stored.
fn first_endpoint() -> Site {
    let site = Site::f0();
    created(site.post(ENDPOINTS, &endpoint(1)), &format!("{ENDPOINTS}/x1000c0s0b0"));
    site
}

#[test]
fn r27_r28_an_endpoint_is_created_once_with_one_document() {
    let site = first_endpoint();
    let detail = "operation would conflict with an existing resource that has the same FQDN or xname ID.";
    site.post(ENDPOINTS, &endpoint(1)).problem(409, detail);
}

#[test]
fn r29_a_put_of_the_endpoint_keeps_its_cards() {
    let site = first_endpoint();
    let shown = site.put(&format!("{ENDPOINTS}/x1000c0s0b0"), &endpoint(1)).is(200).json();
    assert_holds(&shown, &json!({"ID": "x1000c0s0b0", "Type": "NodeBMC"}));
    assert_eq!(column(&site.get(CARDS).json(), "ID"), ["525400beef01", "decafc0ffee1"]);
}

#[test]
fn r30_the_endpoint_is_named_after_its_xname_where_it_has_no_name() {
    let list = first_endpoint().get(ENDPOINTS).is(200).json();
    let expected = json!({"RedfishEndpoints": [{"ID": "x1000c0s0b0", "Type": "NodeBMC", "Name": "bmc1",
        "FQDN": "x1000c0s0b0", "MACAddr": "de:ca:fc:0f:fe:e1", "IPAddress": "172.16.0.101", "Enabled": true}]});
    assert_holds(&list, &expected);
}

#[test]
fn r31_an_endpoint_is_found_by_its_address() {
    let list = Site::f1().get(&format!("{ENDPOINTS}?ipaddress=172.16.0.102")).is(200).json();
    assert_eq!(column(&list["RedfishEndpoints"], "ID"), ["x1000c0s0b1"]);
}

#[test]
fn r32_to_r35_cards_are_a_bare_list_and_found_by_id_and_component() {
    let site = Site::f1();
    let list = site.get(CARDS).is(200).json();
    assert_eq!(list.as_array().unwrap().len(), 4);
    let expected = json!({"ID": "525400beef01", "Description": "Interface 0 for compute1",
        "MACAddress": "52:54:00:be:ef:01", "ComponentID": "x1000c0s0b0n0", "Type": "Node",
        "IPAddresses": [{"IPAddress": "172.16.0.1"}]});
    let card = list.as_array().unwrap().iter().find(|card| card["ID"] == "525400beef01").unwrap();
    assert_holds(card, &expected);
    card["LastUpdate"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(site.get(&format!("{CARDS}/525400beef01")).is(200).json(), *card);
    let of = |id: &str| site.get(&format!("{CARDS}?ComponentID={id}")).is(200).json();
    assert_eq!(of("x1000c0s0b0n0"), json!([card]));
    assert_eq!(of("x1000c0s9b0n0"), json!([]));
}

/// R36: one card of a component that is not there.
fn one_card() -> (Site, Value) {
    let site = Site::f0();
    let body = json!({"ID": "", "ComponentID": "x1000c0s0b0n0", "Type": "Node", "Description": "d",
        "MACAddress": "52:54:00:be:ef:09", "IPAddresses": [{"IPAddress": "172.16.0.9", "Network": "management"}]});
    let answer = site.post(CARDS, &body).is(201);
    let uri = format!("{CARDS}/525400beef09");
    assert_eq!(answer.json(), json!({"URI": uri}), "an object, not a list");
    assert_eq!(answer.header("location"), Some(&*uri));
    (site, body)
}

#[test]
fn r36_r37_a_card_is_created_once_for_whichever_component() {
    let (site, mut body) = one_card();
    body["ComponentID"] = "x1000c0s1b0n0".into();
    let detail = "operation would conflict with an existing component ethernet interface that has the same MAC address.";
    site.post(CARDS, &body).problem(409, detail);
}

#[test]
fn r38_r39_a_patch_of_a_card_replaces_its_addresses_and_must_say_something() {
    let (site, _) = one_card();
    let place = format!("{CARDS}/525400beef09");
    let body = json!({"ID": "525400beef09", "ComponentID": "x1000c0s0b0n0", "Type": "Node", "Description": "e",
        "MACAddress": "52:54:00:be:ef:09", "IPAddresses": [{"IPAddress": "172.16.0.10"}]});
    let shown = site.patch(&place, &body).is(200).json();
    assert_holds(&shown, &json!({"Description": "e", "IPAddresses": [{"IPAddress": "172.16.0.10"}]}));
    site.patch(&place, &json!({})).problem(400, "Request must have at least one patch field.");
}

#[test]
fn r40_a_card_is_deleted_once() {
    let (site, _) = one_card();
    let place = format!("{CARDS}/525400beef09");
    site.delete(&place).message("deleted 1 entry");
    site.delete(&place).problem(404, "no such component ethernet interface.");
}

#[test]
fn r41_a_short_mac_is_refused() {
    let body = json!({"MACAddress": "52:54:00", "ComponentID": "x1000c0s0b0n0"});
    Site::f0().post(CARDS, &body).problem(400, "MAC string has invalid length");
}

#[test]
fn r42_component_endpoints_show_the_cards_of_the_nodes() {
    let list = Site::f1().get("/hsm/v2/Inventory/ComponentEndpoints?type=Node").is(200).json();
    let list = list["ComponentEndpoints"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    for record in list {
        let id = record["ID"].as_str().unwrap();
        assert_eq!(record["RedfishEndpointID"], id.trim_end_matches("n0"));
        assert_eq!(record["OdataID"], format!("/redfish/v1/Systems/{id}"));
        assert_eq!(record["ComponentEndpointType"], "ComponentEndpointComputerSystem");
        let mac = &record["RedfishSystemInfo"]["EthernetNICInfo"][0]["MACAddress"];
        assert!(mac.as_str().unwrap().starts_with("52:54:00:be:ef:0"), "{mac}");
    }
}

/// R43: a second group.
fn with_login() -> Site {
    let site = Site::f1();
    let body =
        json!({"label": "login", "description": "The login group", "members": {"ids": ["x1000c0s0b0n0"]}});
    created(site.post("/hsm/v2/groups", &body), "/hsm/v2/groups/login");
    site
}

#[test]
fn r43_r48_r49_r50_a_group_is_created_and_its_members_come_and_go_once() {
    let site = with_login();
    let (members, member) = ("/hsm/v2/groups/login/members", json!({"id": "x1000c0s0b1n0"}));
    let place = format!("{members}/x1000c0s0b1n0");
    created(site.post(members, &member), &place);
    site.post(members, &member)
        .problem(409, "operation would conflict with an existing member in the same group.");
    site.delete(&place).message("deleted 1 entry");
    site.delete(&place).problem(404, "group has no such member.");
}

#[test]
fn r44_a_second_group_of_a_label_is_refused() {
    let detail = "operation would conflict with an existing group that has the same label or duplicate ids \
        found in request.";
    let body = json!({"label": "compute", "description": "x", "members": {"ids": []}});
    Site::f1().post("/hsm/v2/groups", &body).problem(409, detail);
}

#[test]
fn r45_r46_r47_groups_are_listed_with_their_members_and_an_unknown_one_is_named() {
    let site = Site::f1();
    let groups = site.get("/hsm/v2/groups").is(200).json();
    let expected = json!([{"label": "compute", "description": "The compute group",
        "members": {"ids": ["x1000c0s0b0n0", "x1000c0s0b1n0"]}}]);
    assert_eq!(groups, expected);
    assert_eq!(site.get("/hsm/v2/groups/labels").is(200).json(), json!(["compute"]));
    site.get("/hsm/v2/groups/nope").problem(404, "No such group: nope");
}

#[test]
fn r51_a_patch_of_a_group_keeps_the_members_that_it_does_not_name() {
    let site = Site::f1();
    let body = json!({"label": "compute", "description": "new text", "members": {"ids": ["x1000c0s0b0n0"]}});
    site.patch("/hsm/v2/groups/compute", &body).is(204);
    let group = site.get("/hsm/v2/groups/compute").json();
    assert_eq!(group["description"], "new text");
    assert_eq!(group["members"]["ids"], json!(["x1000c0s0b0n0", "x1000c0s0b1n0"]));
}

#[test]
fn r52_r53_r54_memberships_are_an_entry_a_component_and_never_null() {
    let site = Site::f1();
    let of_node = json!({"id": "x1000c0s0b0n0", "groupLabels": ["compute"], "partitionName": ""});
    assert_eq!(site.get("/hsm/v2/memberships/x1000c0s0b0n0").is(200).json(), of_node);
    let nodes = site.get("/hsm/v2/memberships?type=Node").is(200).json();
    assert_eq!(column(&nodes, "id"), ["x1000c0s0b0n0", "x1000c0s0b1n0"]);
    assert_eq!(site.get("/hsm/v2/memberships/x1000c0s0b0").is(200).json()["groupLabels"], json!([]));
}

#[test]
fn r55_r56_a_wrong_path_and_a_wrong_method_say_so() {
    let site = Site::f1();
    let lost = site.get("/hsm/v2/nosuch").is(404);
    assert!(lost.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    assert_eq!(lost.text().trim_end(), "404 page not found");
    let answer = site.patch(COMPONENTS, &json!({})).problem(405, "allow ");
    for method in ["GET", "POST", "DELETE"] {
        assert!(answer.header("allow").unwrap().contains(method), "{method}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(method), "{method}");
    }
}

/// The gateway's prefix, doubled and trailing slashes, keys in another case, a BMC that two clients see.
#[test]
fn a_request_is_understood_the_way_its_clients_write_it() {
    let site = Site::f0();
    site.send(
        "POST",
        "//apis/smd/hsm/v2/State/Components/",
        br#"{"components":[{"id":"X1000c0s0b0n00","STATE":"on"}]}"#,
    )
    .is(204);
    let shown = site.get("/apis/smd/hsm/v2/State/Components/x1000c0s0b0n0").is(200).json();
    assert_eq!(shown["State"], "On");
    site.send("POST", COMPONENTS, b"{").problem(400, "error decoding JSON ");
    site.send("HEAD", COMPONENTS, b"").is(200);
}

/// What the API acknowledged is there after the next start, as it was.
#[test]
fn everything_is_there_after_a_restart() {
    let site = Site::f1();
    let lists = [
        "State/Components",
        "Inventory/RedfishEndpoints",
        "Inventory/EthernetInterfaces",
        "groups",
        "memberships",
    ];
    let stored = || lists.map(|list| site.get(&format!("/hsm/v2/{list}")).is(200).json());
    let before = stored();
    site.stop();
    site.start();
    assert_eq!(stored(), before);
}
