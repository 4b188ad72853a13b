//! metadata-service on a running appliance: the conformance cases R129 to R133 by name.

use serde_json::json;

use super::cloud_init::yaml;
use super::support::{Site, assert_holds};

fn uid_of(uid: &serde_json::Value, kind: &str) -> bool {
    uid.as_str().and_then(|uid| uid.strip_prefix(kind)).is_some_and(|digits| digits.len() == 8)
}

/// F1 with the cluster defaults of R129 and the group of R130.
fn site() -> Site {
    let site = Site::f1();
    let spec = json!({"base_url": "http://172.16.0.254:8081/metadata-service", "cluster_name": "demo",
        "short_name": "de", "nid_length": 2});
    let made = site
        .post("/metadata-service/clusterdefaultss", &json!({"metadata": {"name": "default"}, "spec": spec}))
        .is(201)
        .json();
    assert_holds(&made, &json!({"kind": "ClusterDefaults", "metadata": {"name": "default"}, "spec": spec}));
    assert!(uid_of(&made["metadata"]["uid"], "clusterdefaults-"), "{made}");
    let spec = json!({"template": "#cloud-config\nruncmd: [hostname]\n"});
    let made = site
        .post("/metadata-service/groups", &json!({"metadata": {"name": "compute"}, "spec": spec}))
        .is(201)
        .json();
    assert_holds(&made, &json!({"kind": "Group", "spec": spec}));
    assert!(uid_of(&made["metadata"]["uid"], "group-"), "{made}");
    site
}

#[test]
fn r129_r130_defaults_and_groups_are_envelopes_over_cloud_inits_records() {
    let site = site();
    let groups = site.get("/cloud-init/admin/groups").is(200).json();
    assert_eq!(groups["compute"]["file"]["content"], "#cloud-config\nruncmd: [hostname]\n");
    let defaults = site.get("/cloud-init/admin/cluster-defaults").is(200).json();
    assert_eq!((&defaults["cluster-name"], &defaults["short-name"]), (&json!("demo"), &json!("de")));
    assert_eq!(site.get("/metadata-service/groups").is(200).json().as_array().unwrap().len(), 1);
}

#[test]
fn r131_the_listed_url_has_the_prefix_that_was_asked() {
    let site = site();
    for prefix in ["/metadata-service", "/cloud-init"] {
        let text = site.node_get("n1", &format!("{prefix}/vendor-data")).is(200).text();
        assert_eq!(text, format!("#include\nhttp://172.16.0.254:8081{prefix}/compute.yaml\n"));
        let file = site.node_get("n1", &format!("{prefix}/compute.yaml")).is(200).text();
        assert_eq!(file, "#cloud-config\nruncmd: [hostname]\n");
    }
}

#[test]
fn r132_an_unknown_address_is_no_node() {
    let site = Site::f1();
    for path in ["meta-data", "vendor-data", "network-config", "compute.yaml"] {
        let answer = site.node_get("n77", &format!("/metadata-service/{path}")).is(404);
        assert!(answer.text().contains("node not found"), "{}", answer.text());
    }
    assert_eq!(site.node_get("n77", "/metadata-service/user-data").is(200).text(), "#cloud-config\n");
}

#[test]
fn r133_network_config_says_what_is_on_record_and_no_more() {
    let site = Site::f1();
    let answer = site.node_get("n1", "/metadata-service/network-config").is(200);
    let found = yaml(&answer);
    assert_eq!(found["version"], 2);
    let cards: Vec<_> = found["ethernets"].as_object().unwrap().values().collect();
    assert_eq!(
        cards,
        [&json!({"match": {"macaddress": "52:54:00:be:ef:01"}, "addresses": ["172.16.0.1/24"]})]
    );
    site.node_get("n1", "/cloud-init/network-config").is(404);
}
