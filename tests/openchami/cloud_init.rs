//! The cloud-init server on a running appliance: the conformance cases R90 to R113 by name.

use bootlace::lab::sandbox::Place;
use serde_json::{Value, json};

use super::support::{API, Answer, HTTP, LIMIT, Site, assert_holds};

const NODE: &str = "x1000c0s0b0n0";
const CONTENT: &str = "## template: jinja\n#cloud-config\nruncmd: [hostname]\n";

pub fn group() -> Value {
    json!({"name": "compute", "description": "compute config", "meta-data": {"zone": "a"},
        "file": {"encoding": "plain", "content": CONTENT}})
}

pub fn defaults() -> Value {
    json!({"base-url": "http://172.16.0.254:8081/cloud-init", "cluster-name": "demo", "nid-length": 2,
        "public-keys": ["ssh-ed25519 AAAA u@h"], "short-name": "de"})
}

/// Fixture F2: F1, cluster defaults and a group.
pub fn f2() -> Site {
    let site = Site::f1();
    site.post("/cloud-init/admin/cluster-defaults", &defaults()).is(201);
    site.post("/cloud-init/admin/groups", &group()).is(201);
    site
}

pub fn yaml(answer: &Answer) -> Value {
    serde_yaml::from_str(&answer.text()).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// Waits until the log has such an event.
pub fn logged(site: &Site, event: impl Fn(&Value) -> bool) {
    let deadline = std::time::Instant::now() + LIMIT;
    while !site.entries().iter().any(&event) {
        assert!(std::time::Instant::now() < deadline, "{}", site.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn meta_data(site: &Site) -> Value {
    let answer = site.node_get("n1", "/cloud-init/meta-data").is(200);
    assert_eq!(answer.header("content-type"), Some("application/x-yaml"));
    yaml(&answer)
}

#[test]
fn r90_cluster_defaults_are_empty_at_first() {
    assert_eq!(Site::f1().get("/cloud-init/admin/cluster-defaults").is(200).json(), json!({}));
}

#[test]
fn r91_r92_cluster_defaults_are_set_and_read_back() {
    let site = Site::f1();
    let set = site.post("/cloud-init/admin/cluster-defaults", &defaults()).is(201);
    assert!(set.body.is_empty());
    assert_eq!(site.get("/cloud-init/admin/cluster-defaults").is(200).json(), defaults());
    // Kept over a restart.
    site.stop();
    site.start();
    assert_eq!(site.get("/cloud-init/admin/cluster-defaults").is(200).json(), defaults());
}

#[test]
fn r93_groups_are_an_empty_object_at_first() {
    assert_eq!(Site::f1().get("/cloud-init/admin/groups").is(200).json(), json!({}));
}

#[test]
fn r94_to_r98_a_group_is_added_once_and_read_back() {
    let site = Site::f1();
    let added = site.post("/cloud-init/admin/groups", &group()).is(201);
    assert_eq!((added.header("location"), added.body.len()), (Some("/groups/compute"), 0));
    let again = site.post("/cloud-init/admin/groups", &group()).is(409);
    assert_eq!(again.text().trim(), "group 'compute' not added as it already exists");
    assert!(again.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let all = site.get("/cloud-init/admin/groups").is(200).json();
    assert_holds(&all, &json!({"compute": group()}));
    let one = site.get("/cloud-init/admin/groups/compute").is(200).json();
    let expected = json!({"name": "compute", "description": "compute config", "meta-data": {"zone": "a"},
        "file": {"content": CONTENT, "filename": "", "encoding": "plain"}});
    assert_eq!(one, expected);
    let none = site.get("/cloud-init/admin/groups/nope").is(404);
    assert!(none.text().contains("group (nope) not found"));
}

#[test]
fn r99_put_creates_and_replaces_a_group() {
    let site = Site::f1();
    for description in ["one", "two"] {
        let mut group = group();
        group["description"] = description.into();
        site.put("/cloud-init/admin/groups/compute", &group).is(201);
        assert_eq!(site.get("/cloud-init/admin/groups/compute").json()["description"], description);
    }
}

#[test]
fn r100_a_group_without_a_name_is_refused() {
    let answer = Site::f1().post("/cloud-init/admin/groups", &json!({"description": "x"})).is(422);
    assert!(answer.text().contains("name is required"), "{}", answer.text());
}

#[test]
fn r101_a_deleted_group_is_gone_and_may_be_deleted_again() {
    let site = f2();
    for _ in 0..2 {
        assert!(site.delete("/cloud-init/admin/groups/compute").is(200).body.is_empty());
    }
    site.get("/cloud-init/admin/groups/compute").is(404);
}

#[test]
fn r102_r103_a_node_reads_its_meta_data_and_the_same_id_each_time() {
    let site = f2();
    let found = meta_data(&site);
    let id = found["instance-id"].as_str().unwrap().to_owned();
    assert!(id.strip_prefix("i-").is_some_and(|digits| digits.len() == 8), "{id}");
    assert_holds(
        &found,
        &json!({"local-hostname": "de01", "hostname": "de01", "cluster-name": "demo", "instance_data": {"v1": {
            "instance_id": id, "local_ipv4": "172.16.0.1", "public_keys": ["ssh-ed25519 AAAA u@h"],
            "vendor_data": {"cloud_init_base_url": "http://172.16.0.254:8081/cloud-init",
                "groups": {"compute": {"Description": "compute config", "zone": "a"}}}}}}),
    );
    assert_eq!(
        found["instance_data"]["v1"]["vendor_data"]["groups"]["compute"].as_object().unwrap().len(),
        2
    );
    assert_eq!(meta_data(&site), found);
    // After a restart, by the URL without a slash, and from the other service too.
    site.stop();
    site.start();
    assert_eq!(yaml(&site.node_get("n1", "/cloud-initmeta-data").is(200)), found);
    assert_eq!(yaml(&site.node_get("n1", "/metadata-service/meta-data").is(200))["instance-id"], id.as_str());
}

#[test]
fn r104_instance_info_names_the_node() {
    let site = f2();
    let info = json!({"id": NODE, "local-hostname": "compute1"});
    assert!(site.put(&format!("/cloud-init/admin/instance-info/{NODE}"), &info).is(201).body.is_empty());
    let found = meta_data(&site);
    assert_eq!((&found["local-hostname"], &found["hostname"]), (&json!("compute1"), &json!("de01")));
}

#[test]
fn r105_user_data_is_a_constant_for_everybody() {
    let site = f2();
    for host in ["n1", "n77"] {
        let answer = site.node_get(host, "/cloud-init/user-data").is(200);
        assert_eq!(answer.text(), "#cloud-config");
    }
}

#[test]
fn r106_vendor_data_lists_the_group_files() {
    let answer = f2().node_get("n1", "/cloud-init/vendor-data").is(200);
    assert_eq!(answer.text(), "#include\nhttp://172.16.0.254:8081/cloud-init/compute.yaml\n");
}

#[test]
fn r107_a_group_file_is_not_rendered() {
    assert_eq!(f2().node_get("n1", "/cloud-init/compute.yaml").is(200).text(), CONTENT);
}

#[test]
fn r108_an_unknown_address_gets_422_and_nothing_else() {
    let site = f2();
    for path in ["meta-data", "vendor-data", "compute.yaml"] {
        assert!(site.node_get("n77", &format!("/cloud-init/{path}")).is(422).body.is_empty(), "{path}");
    }
    let path = |entry: &Value| entry["path"] == "/cloud-init/meta-data" && entry["status"] == 422;
    logged(&site, |entry| {
        path(entry) && entry["detail"].as_str().is_some_and(|text| text.contains("no node's"))
    });
}

#[test]
fn r109_a_file_of_another_group_is_not_there() {
    let answer = f2().node_get("n1", "/cloud-init/login.yaml").is(404);
    assert!(answer.text().contains("is not a member of group login"), "{}", answer.text());
}

#[test]
fn r110_r111_an_administrator_reads_what_a_node_would_and_only_on_the_api() {
    let site = f2();
    let path = "/cloud-init/admin/impersonation/x1000c0s0b1n0/meta-data";
    let found = yaml(&site.get(path).is(200));
    assert_holds(
        &found,
        &json!({"local-hostname": "de02", "instance_data": {"v1": {"local_ipv4": "172.16.0.2"}}}),
    );
    let file = format!("/cloud-init/admin/impersonation/{NODE}/compute.yaml");
    assert_eq!(site.get(&file).is(200).text(), CONTENT);
    let vendor_data = site.get(&format!("/cloud-init/admin/impersonation/{NODE}/vendor-data")).is(200).text();
    assert_eq!(vendor_data, "#include\nhttp://172.16.0.254:8081/cloud-init/compute.yaml\n");
    for hidden in [path, file.as_str(), "/cloud-init/admin/groups", "/cloud-init/%61dmin/groups"] {
        site.node_get("n1", hidden).is(404);
    }
}

#[test]
fn r112_nobody_is_made_up() {
    let site = f2();
    let path = "/cloud-init/admin/impersonation/x1000c0s9b0n0";
    let answer = site.get(&format!("{path}/meta-data")).is(404);
    assert_eq!(answer.text().trim(), "node x1000c0s9b0n0 not found in SMD");
    assert_eq!(site.get(&format!("{path}/vendor-data")).is(200).text(), "#include\n");
    assert!(site.get(&format!("{path}/compute.yaml")).is(404).text().contains("is not a member"));
}

#[test]
fn r113_the_version_is_an_object() {
    assert!(f2().get("/cloud-init/version").is(200).json().is_object());
}

#[test]
fn nothing_that_a_stranger_says_makes_it_a_node() {
    let site = f2();
    for header in ["X-Forwarded-For", "X-Real-IP", "Forwarded"] {
        let value = if header == "Forwarded" { "for=172.16.0.1" } else { "172.16.0.1" };
        site.ask("n77", HTTP, "GET", "/cloud-init/meta-data", &[(header, value)], b"").is(422);
    }
    site.node_get("n77", "/cloud-init/meta-data?ip=172.16.0.1&mac=52:54:00:be:ef:01&name=x1000c0s0b0n0")
        .is(422);
}

#[test]
fn a_stranger_who_takes_a_nodes_address_is_still_a_stranger() {
    let site = f2();
    // Node 2's address on a card that is in no record.
    site.sandbox.host("thief", Some("172.16.0.2/24")).unwrap();
    site.node_get("thief", "/cloud-init/meta-data").is(422);
    // And node 1 at node 2's address is neither.
    site.sandbox
        .run(Place::Host("thief"), &["ip", "link", "set", "eth0", "address", "52:54:00:be:ef:01"])
        .unwrap();
    site.sandbox.run(Place::Host("n1"), &["ip", "link", "set", "eth0", "down"]).unwrap();
    site.sandbox.run(Place::Host("srv"), &["ip", "neigh", "flush", "all"]).unwrap();
    site.node_get("thief", "/cloud-init/meta-data").is(422);
    logged(&site, |entry| entry["detail"].as_str().is_some_and(|detail| detail.contains(" and ")));
}

/// It is stored before it is told: nothing that comes later gives the node another one.
#[test]
fn an_instance_id_that_a_node_was_told_stays_over_a_restart() {
    let site = f2();
    let id = meta_data(&site)["instance-id"].clone();
    site.kill();
    site.start();
    site.put(&format!("/cloud-init/admin/instance-info/{NODE}"), &json!({"instance-id": "i-other"})).is(201);
    assert_eq!(meta_data(&site)["instance-id"], id);
}

#[test]
fn a_node_calls_home_for_itself_and_is_ready() {
    let site = f2();
    let id = meta_data(&site)["instance-id"].as_str().unwrap().to_owned();
    let component = || site.get(&format!("/hsm/v2/State/Components/{NODE}")).is(200).json();
    let form = b"pub_key_rsa=ssh-rsa+AAAA&instance_id=i-1&hostname=de01";
    for (host, path) in [("n77", format!("/phone-home/{id}")), ("n1", "/phone-home/x1000c0s0b1n0".to_owned())]
    {
        site.ask(host, HTTP, "POST", &path, &[], form).is(403);
    }
    assert_eq!(component()["State"], "On");
    for path in [format!("/phone-home/{id}"), format!("/cloud-init/phone-home/{NODE}")] {
        site.ask("n1", HTTP, "POST", &path, &[], form).is(200);
        assert_eq!(component()["State"], "Ready");
    }
    let long = vec![b'a'; 100_000];
    site.ask("n1", HTTP, "POST", &format!("/phone-home/{id}"), &[], &long).is(413);
}

#[test]
fn what_is_not_for_nodes_is_not_there_for_them() {
    let site = f2();
    for (method, path) in [
        ("GET", "/cloud-init/admin/cluster-defaults"),
        ("POST", "/cloud-init/admin/groups"),
        ("PUT", "/cloud-init/admin/instance-info/x1000c0s0b0n0"),
        ("DELETE", "/cloud-init/admin/groups/compute"),
        ("GET", "/cloud-init/version"),
        ("GET", "/metadata-service/groups"),
        ("POST", "/cloud-init/wg-init"),
        ("GET", "/cloud-init/network-config"),
    ] {
        site.ask("n1", HTTP, method, path, &[], b"").is(404);
    }
    site.get("/cloud-init/admin/groups/compute").is(200);
}

#[test]
fn the_api_itself_is_no_node() {
    let site = f2();
    site.ask("srv", API, "GET", "/cloud-init/meta-data", &[], b"").is(422);
    site.ask("srv", API, "GET", "/metadata-service/meta-data", &[], b"").is(404);
}

#[test]
fn a_node_that_was_recorded_a_moment_ago_reads_at_once() {
    let site = Site::f0();
    site.node_get("n1", "/cloud-init/meta-data").is(422);
    site.discover();
    site.node_get("n1", "/cloud-init/meta-data").is(200);
}

#[test]
fn an_address_that_is_on_record_twice_is_nobodys() {
    let site = f2();
    let second = json!({"ComponentID": "x1000c0s0b1n0", "MACAddress": "52:54:00:be:ef:22",
        "IPAddresses": [{"IPAddress": "172.16.0.1"}]});
    site.post("/hsm/v2/Inventory/EthernetInterfaces", &second).is(201);
    site.node_get("n1", "/cloud-init/meta-data").is(422);
    let said = |entry: &Value| {
        let detail = entry["detail"].as_str().unwrap_or_default().to_owned();
        detail.contains("x1000c0s0b0n0") && detail.contains("x1000c0s0b1n0")
    };
    logged(&site, said);
    site.delete("/hsm/v2/Inventory/EthernetInterfaces/525400beef22").is(200);
    site.node_get("n1", "/cloud-init/meta-data").is(200);
}

#[test]
fn only_a_trusted_proxy_speaks_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bootlace.yaml");
    std::fs::write(&config, "trusted_proxies: [172.16.0.77]\n").unwrap();
    let site = Site::with(&["--config", config.to_str().unwrap()]);
    site.discover();
    let ask = |host: &str, forwarded: &str| {
        let header = [("X-Forwarded-For", forwarded)];
        site.ask(host, HTTP, "GET", "/cloud-init/meta-data", &header, b"")
    };
    assert!(ask("n77", "172.16.0.1").is(200).text().contains("local_ipv4: 172.16.0.1\n"));
    // The rightmost address that is no trusted proxy's; what stands before it the client made up.
    assert!(
        ask("n77", "172.16.0.1, 172.16.0.2, 172.16.0.77").is(200).text().contains("local_ipv4: 172.16.0.2\n")
    );
    ask("n77", "nobody").is(422);
    assert!(ask("n1", "172.16.0.2").is(200).text().contains("local_ipv4: 172.16.0.1\n"));
}

#[test]
fn files_are_read_watched_and_stand_above_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("defaults.yaml", "short-name: de\nnid-length: 2\n");
    write("groups.yaml", "- name: compute\n  file: {content: one}\n");
    let site = Site::with(&["--cloud-init", folder.path().to_str().unwrap()]);
    site.discover();
    assert_eq!(meta_data(&site)["local-hostname"], "de01");
    assert_eq!(site.node_get("n1", "/cloud-init/compute.yaml").is(200).text(), "one");
    let answer = site.post("/cloud-init/admin/cluster-defaults", &json!({"short-name": "x"})).is(409);
    assert!(answer.text().contains("defaults.yaml line 1 states its `short-name`"), "{}", answer.text());
    site.put("/cloud-init/admin/groups/compute", &group()).is(409);
    write("groups.yaml", "- name: compute\n  file: {content: two}\n");
    logged(&site, |entry| entry["event"] == "reloaded");
    assert_eq!(site.node_get("n1", "/cloud-init/compute.yaml").is(200).text(), "two");
}

#[test]
fn what_a_node_is_told_to_fetch_leads_to_the_address_it_asked() {
    let site = Site::f1();
    site.post("/cloud-init/admin/groups", &group()).is(201);
    let answer = site.node_get("n1", "/cloud-init/vendor-data").is(200);
    assert_eq!(answer.text(), "#include\nhttp://172.16.0.254:8081/cloud-init/compute.yaml\n");
    // It asked there, whatever it calls that place.
    let renamed = site.node_get("n1", "http://evil.example.org:81/cloud-init/vendor-data").is(200);
    assert_eq!(renamed.text(), answer.text());
    // For an administrator, too, who asks at another address.
    let path = format!("/cloud-init/admin/impersonation/{NODE}/vendor-data");
    assert_eq!(site.get(&path).is(200).text(), answer.text());
}
