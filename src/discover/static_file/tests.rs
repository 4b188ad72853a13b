use super::*;
use crate::config::tree;

fn read_text(text: &str) -> (StaticFile, Vec<crate::config::Diagnostic>) {
    let source = Arc::new(Source::new("nodes.yaml", text.to_owned()));
    let mut findings = Findings::default();
    let document = tree::parse(&source, &mut findings).unwrap();
    let file = read(&document, &mut findings);
    (file, findings.into_list())
}

fn plan(text: &str, overwrite: bool, method: DiscoveryMethod) -> Vec<Request> {
    let (file, problems) = read_text(text);
    assert!(problems.iter().all(|problem| !problem.is_error()), "{problems:?}");
    let base = "http://172.16.0.254:8081".parse().unwrap();
    requests(&file, &base, Options { overwrite, method }, &mut || Uuid::nil())
}

/// `POST /hsm/v2/groups` and what follows on a conflict, as one word.
fn lines(requests: &[Request]) -> Vec<String> {
    let line = |request: &Request| format!("{} {}", request.method, request.path);
    requests
        .iter()
        .map(|request| match &request.on_conflict {
            Some(again) => format!("{} | {}", line(request), line(again)),
            None => line(request),
        })
        .collect()
}

const TWO: &str = "bmcs:
- {name: bmc1, xname: x1000c0s0b0, mac: 'DE:CA:FC:0F:FE:E1', ip: 172.16.0.101}
nodes:
- {name: b, xname: x1000c0s0b0n1, nid: 2, bmc: 'de-ca-fc-0f-fe-e1', groups: [g, h], interfaces: [
   {mac_addr: '52:54:00:be:ef:02', ip_addrs: [{name: m, ip_addr: 172.16.0.2}, {ip_addr: 172.16.1.2}]}]}
- {name: a, xname: x1000c0s0b0n0, bmc: bmc1, groups: [g], interfaces: [{mac_addr: '52:54:00:be:ef:01'}]}
";

#[test]
fn components_go_before_endpoints_and_groups_go_last() {
    let requests = plan(TWO, false, DiscoveryMethod::WithinEndpoints);
    assert_eq!(
        lines(&requests),
        [
            "POST /hsm/v2/State/Components",
            "POST /hsm/v2/Inventory/RedfishEndpoints",
            "POST /hsm/v2/groups",
            "POST /hsm/v2/groups",
        ]
    );
    // The node number that the file does not state is left to the SMD.
    assert_eq!(
        requests[0].body,
        r#"{"Components":[{"ID":"x1000c0s0b0n1","Type":"Node","State":"On","Enabled":true,"NID":2},{"ID":"x1000c0s0b0n0","Type":"Node","State":"On","Enabled":true}]}"#
    );
    let endpoint: serde_json::Value = serde_json::from_str(&requests[1].body).unwrap();
    assert_eq!(endpoint["Systems"][0]["name"], "b", "the order of the file");
    assert_eq!(endpoint["Systems"][1]["ethernet_interfaces"][0].get("ip"), None, "a card without an address");
    assert_eq!(
        requests[2].body,
        r#"{"label":"g","description":"The g group","members":{"ids":["x1000c0s0b0n1","x1000c0s0b0n0"]}}"#
    );
}

#[test]
fn overwriting_puts_components_and_falls_back_on_conflicts() {
    let requests = plan(TWO, true, DiscoveryMethod::Separate);
    assert_eq!(
        lines(&requests),
        [
            "PUT /hsm/v2/State/Components/x1000c0s0b0n1",
            "PUT /hsm/v2/State/Components/x1000c0s0b0n0",
            "PATCH /hsm/v2/State/Components/BulkNID",
            "POST /hsm/v2/Inventory/RedfishEndpoints | PUT /hsm/v2/Inventory/RedfishEndpoints/x1000c0s0b0",
            "POST /hsm/v2/Inventory/EthernetInterfaces | PATCH /hsm/v2/Inventory/EthernetInterfaces/525400beef02",
            "POST /hsm/v2/Inventory/EthernetInterfaces | PATCH /hsm/v2/Inventory/EthernetInterfaces/525400beef01",
            "POST /hsm/v2/groups | PATCH /hsm/v2/groups/g",
            "POST /hsm/v2/groups | PATCH /hsm/v2/groups/h",
        ]
    );
    assert_eq!(requests[2].body, r#"{"Components":[{"ID":"x1000c0s0b0n1","Type":"","NID":2}]}"#);
    let both: serde_json::Value = serde_json::from_str(&requests[4].body).unwrap();
    let expected = serde_json::json!([
        {"IPAddress": "172.16.0.2", "Network": "m"}, {"IPAddress": "172.16.1.2", "Network": ""}
    ]);
    assert_eq!((&both["ID"], &both["IPAddresses"]), (&"".into(), &expected));
    let again: serde_json::Value =
        serde_json::from_str(&requests[4].on_conflict.as_ref().unwrap().body).unwrap();
    assert_eq!(again["ID"], "525400beef02");
}

#[test]
fn a_controller_without_nodes_has_null_for_systems_and_is_sent_alone() {
    let requests = plan(
        "bmcs: [{xname: x1000c0s0b0, mac: '02:00:00:00:00:01'}]",
        false,
        DiscoveryMethod::WithinEndpoints,
    );
    assert_eq!(lines(&requests), ["POST /hsm/v2/Inventory/RedfishEndpoints"]);
    let body: serde_json::Value = serde_json::from_str(&requests[0].body).unwrap();
    assert!(body["Systems"].is_null() && body.get("Name").is_none() && body.get("IPAddress").is_none());
}

#[test]
fn the_deprecated_form_takes_the_controller_from_the_node() {
    let text = "nodes:
- {name: a, xname: x1000c0s0b0n0, bmc_mac: '02:00:00:00:00:01', bmc_ip: 10.0.0.1, group: g, interfaces: [
   {mac_addr: '52:54:00:be:ef:01', ip_addrs: [{network: m, ip_addr: 172.16.0.1}]}]}
- {name: b, xname: x1000c0s0b0n1, bmc_mac: '02:00:00:00:00:01', bmc_ip: 10.0.0.1, interfaces: [
   {mac_addr: '52:54:00:be:ef:02'}]}
- {name: c, xname: x1000c0s1b0n0, interfaces: [{mac_addr: '52:54:00:be:ef:03'}]}
";
    let requests = plan(text, false, DiscoveryMethod::Separate);
    let bodies: Vec<serde_json::Value> =
        requests.iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect();
    assert_eq!((&bodies[1]["Name"], &bodies[1]["ID"]), (&"a".into(), &"x1000c0s0b0".into()));
    assert_eq!(bodies[1]["Systems"].as_array().unwrap().len(), 2);
    assert_eq!((&bodies[2]["Name"], &bodies[2]["ID"]), (&"c".into(), &"x1000c0s1b0".into()));
    assert_eq!(bodies[3]["IPAddresses"][0]["Network"], "m");
    assert_eq!(requests.last().unwrap().path, "/hsm/v2/groups");
}

#[test]
fn a_node_whose_bmc_is_unknown_is_sent_without_its_cards_and_said() {
    let text = "bmcs: [{xname: x1000c0s1b0}]
nodes: [{name: a, xname: x1000c0s0b0n0, interfaces: [{mac_addr: '52:54:00:be:ef:01'}]}]";
    let (file, problems) = read_text(text);
    assert_eq!((problems.len(), problems[0].code), (1, Code::UnknownBmc));
    assert!(problems[0].message.contains("x1000c0s0b0 is not under bmcs:"), "{}", problems[0].message);
    assert_eq!((file.nodes(), file.bmcs()), (1, 1));
    assert_eq!(plan(text, false, DiscoveryMethod::Separate).len(), 2);
}

#[test]
fn a_repeated_xname_is_left_out_and_a_missing_one_is_an_error() {
    let twice = "bmcs: [{xname: x1000c0s0b0}]
nodes:
- {name: a, xname: x1000c0s0b0n0, interfaces: [{mac_addr: '52:54:00:be:ef:01'}]}
- {name: b, xname: X1000C0S0B0N0, interfaces: [{mac_addr: '52:54:00:be:ef:02'}]}
";
    let (file, problems) = read_text(twice);
    assert_eq!((file.nodes(), problems.len(), problems[0].is_error()), (1, 1, false));
    assert!(problems[0].message.ends_with("already exists (duplicate?), not adding"), "{problems:?}");
    let (_, problems) = read_text("nodes: [{name: a, interfaces: [{mac_addr: '52:54:00:be:ef:01'}]}]");
    let error = problems.iter().find(|problem| problem.is_error()).unwrap();
    assert_eq!((error.code, error.line), (Code::MissingXname, 1));
}

#[test]
fn a_label_never_leads_to_another_path() {
    let text = "nodes: [{name: a, xname: x1000c0s0b0n0, groups: ['a/../b?c'], interfaces: [\
                {mac_addr: '52:54:00:be:ef:01'}]}]";
    let requests = plan(text, true, DiscoveryMethod::WithinEndpoints);
    let path = &requests.last().unwrap().on_conflict.as_ref().unwrap().path;
    assert_eq!(path, "/hsm/v2/groups/a%2F..%2Fb%3Fc");
}
