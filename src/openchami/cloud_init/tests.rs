//! The services' promises on two nodes of a file, of which the first is in a group.

use serde_json::{Value, json};

use crate::openchami::api::Reply;
use crate::openchami::inventory::{Draft, Runtime};
use crate::openchami::testing::Harness;

const NODES: &str = "nodes:
- {name: compute1, nid: 1, xname: x1000c0s0b0n0, groups: [compute, 'odd/name'], interfaces: [
    {mac_addr: '52:54:00:be:ef:01', ip_addrs: [{ip_addr: 172.16.0.1}, {ip_addr: 10.9.0.1}]},
    {mac_addr: '52:54:00:be:ef:11'}]}
- {name: compute2, nid: 2, xname: x1000c0s0b1n0, interfaces: [
    {mac_addr: '52:54:00:be:ef:02', ip_addrs: [{ip_addr: 172.16.0.2}]}]}
";
const NODE: &str = "x1000c0s0b0n0";

fn site() -> Harness {
    Harness::new().files(NODES, "")
}

fn defaults(on: &mut Harness) {
    let body = json!({"base-url": "http://172.16.0.254:8081/cloud-init", "cluster-name": "demo",
        "nid-length": 2, "public-keys": ["ssh-ed25519 AAAA u@h"], "short-name": "de"});
    assert_eq!(on.send("POST", "/cloud-init/admin/cluster-defaults", &body.to_string()).status, 201);
}

fn group(on: &mut Harness, name: &str, content: &str) {
    let body = json!({"name": name, "description": format!("{name} config"), "meta-data": {"zone": "a"},
        "file": {"encoding": "plain", "content": content}});
    assert_eq!(on.send("POST", "/cloud-init/admin/groups", &body.to_string()).status, 201);
}

fn yaml(reply: &Reply) -> Value {
    assert_eq!((reply.status.as_u16(), reply.kind), (200, "application/x-yaml"), "{}", reply.body_text());
    serde_yaml::from_str(reply.body_text()).unwrap()
}

fn meta_data(on: &mut Harness) -> Value {
    let reply = on.from(NODE).get("/cloud-init/meta-data");
    yaml(&reply)
}

#[test]
fn meta_data_has_its_keys_in_the_order_of_the_reference() {
    let mut on = site();
    let more = json!({"region": "r", "availability-zone": "z", "cloud_provider": "p"});
    defaults(&mut on);
    on.send("POST", "/cloud-init/admin/cluster-defaults", &more.to_string());
    let info = json!({"id": NODE, "instance-type": "t", "public-keys": ["ssh-rsa B c@d"], "hostname": "h1",
        "region": "never", "cluster-name": "never"});
    on.send("PUT", "/cloud-init/admin/instance-info/X1000C0S0B0N0", &info.to_string());
    group(&mut on, "compute", "#cloud-config\n");
    let reply = on.from(NODE).get("/cloud-init/meta-data");
    let id = yaml(&reply)["instance-id"].as_str().unwrap().to_owned();
    let expected = format!(
        "instance-id: {id}
local-hostname: de01
hostname: h1
cluster-name: demo
instance_data:
  v1:
    availability_zone: z
    instance_id: {id}
    instance_type: t
    region: r
    local_ipv4: 172.16.0.1
    cloud_provider: p
    public_keys:
    - \"ssh-ed25519 AAAA u@h\"
    - \"ssh-rsa B c@d\"
    vendor_data:
      version: \"1.0\"
      cloud_init_base_url: http://172.16.0.254:8081/cloud-init
      cluster_name: demo
      groups:
        compute:
          Description: compute config
          zone: a
        odd/name:
          Description: No description Found
"
    );
    assert_eq!(reply.body_text().replace('"', ""), expected.replace('"', ""));
}

#[test]
fn host_names_come_in_one_order() {
    let names = |on: &mut Harness| {
        let found = meta_data(on);
        [found["local-hostname"].clone(), found["hostname"].clone()]
    };
    let mut on = site();
    assert_eq!(names(&mut on), ["compute1", "compute1"]);
    on.world.settings.hostname = crate::config::HostnameSource::Nid;
    assert_eq!(names(&mut on), ["nid0001", "nid0001"]);
    on.world.settings.hostname = crate::config::HostnameSource::Xname;
    assert_eq!(names(&mut on), [NODE, NODE]);
    // A cluster name alone is no short name.
    on.send("POST", "/cloud-init/admin/cluster-defaults", "{\"cluster-name\":\"demo\"}");
    assert_eq!(names(&mut on), [NODE, NODE]);
    on.send("POST", "/cloud-init/admin/cluster-defaults", "{\"short-name\":\"nid\",\"nid-length\":3}");
    assert_eq!(names(&mut on), ["nid001", "nid001"]);
    on.send("PUT", &format!("/cloud-init/admin/instance-info/{NODE}"), "{\"local-hostname\":\"login\"}");
    assert_eq!(names(&mut on), ["login", "nid001"]);
    // DHCP says the same.
    let node = on.world.records.by_xname(&NODE.parse().unwrap()).unwrap();
    let source = on.world.settings.hostname;
    assert_eq!(super::names::hostname(&on.world.inventory, node, source).as_deref(), Some("login"));
    // What is no host name stays within cloud-init.
    on.send("PUT", &format!("/cloud-init/admin/instance-info/{NODE}"), "{\"local-hostname\":\"log in; x\"}");
    assert_eq!(names(&mut on), ["log in; x", "nid001"]);
    let node = on.world.records.by_xname(&NODE.parse().unwrap()).unwrap();
    assert_eq!(super::names::hostname(&on.world.inventory, node, source).as_deref(), Some("nid001"));
}

#[test]
fn a_node_that_nothing_names_is_called_by_its_number() {
    let mut on = Harness::new();
    let body = json!({"Components": [{"ID": NODE, "State": "On", "NID": 7}]});
    assert_eq!(on.send("POST", "/hsm/v2/State/Components", &body.to_string()).status, 204);
    assert_eq!(meta_data(&mut on)["local-hostname"], "nid0007");
}

#[test]
fn the_instance_id_stays_from_the_first_read_on() {
    let mut on = site();
    let id = meta_data(&mut on)["instance-id"].clone();
    assert!(id.as_str().unwrap().strip_prefix("i-").is_some_and(|digits| digits.len() == 8));
    let path = format!("/cloud-init/admin/instance-info/{NODE}");
    assert_eq!(on.send("PUT", &path, "{\"instance-id\":\"i-mine\"}").status, 201);
    assert_eq!(meta_data(&mut on)["instance-id"], id);
    on.restart();
    assert_eq!(meta_data(&mut on)["instance-id"], id);
    let newer = on.from(NODE).get("/metadata-service/meta-data");
    assert_eq!(yaml(&newer)["instance-id"], id);
    assert_eq!(yaml(&newer)["instance_data"]["v1"]["instance_id"], id);
}

#[test]
fn an_instance_id_that_was_asked_for_in_time_counts_unless_it_is_an_xname() {
    let mut on = site();
    let path = format!("/cloud-init/admin/instance-info/{NODE}");
    on.send("PUT", &path, "{\"instance-id\":\"i-mine\",\"local-hostname\":\"a\"}");
    // The command line always sends it, empty where nobody gave one.
    on.send("PUT", &path, "{\"instance-id\":\"\",\"local-hostname\":\"b\"}");
    let found = meta_data(&mut on);
    assert_eq!(
        (found["instance-id"].as_str(), found["local-hostname"].as_str()),
        (Some("i-mine"), Some("b"))
    );

    let mut on = site();
    let info =
        json!({"metadata": {"name": "whatever"}, "spec": {"instance_id": NODE, "local_hostname": "c"}});
    assert_eq!(on.send("POST", "/metadata-service/instanceinfos", &info.to_string()).status, 201);
    let found = meta_data(&mut on);
    assert!(found["instance-id"].as_str().unwrap().starts_with("i-"));
    assert_eq!(found["local-hostname"], "c");
}

#[test]
fn an_instance_info_by_a_nodes_name_counts_more_than_a_newer_one_that_only_refers_to_it() {
    let mut on = site();
    for (name, hostname) in [(NODE, "own"), ("stray", "strange")] {
        let spec = json!({"instance_id": NODE, "local_hostname": hostname});
        let info = json!({"metadata": {"name": name}, "spec": spec}).to_string();
        assert_eq!(on.send("POST", "/metadata-service/instanceinfos", &info).status, 201, "{name}");
    }
    assert_eq!(meta_data(&mut on)["local-hostname"], "own");
}

#[test]
fn only_group_files_that_are_served_are_listed() {
    let mut on = site();
    let vendor_data = |on: &mut Harness| on.from(NODE).get("/cloud-init/vendor-data").body_text().to_owned();
    assert_eq!(vendor_data(&mut on), "#include\n");
    group(&mut on, "compute", "");
    group(&mut on, "odd/name", "#cloud-config\n");
    group(&mut on, "login", "#cloud-config\n");
    assert_eq!(vendor_data(&mut on), "#include\n");
    group(&mut on, "spare", "x");
    let body = json!({"name": "compute", "file": {"content": "#cloud-config\n{{ x }}\n"}});
    on.send("PUT", "/cloud-init/admin/groups/compute", &body.to_string());
    assert_eq!(vendor_data(&mut on), "#include\nhttp://172.16.0.254:8081/cloud-init/compute.yaml\n");
    assert_eq!(on.from(NODE).get("/cloud-init/compute.yaml").body_text(), "#cloud-config\n{{ x }}\n");
    for prefix in ["/metadata-service", "/apis/cloud-init"] {
        let expected = format!("#include\nhttp://172.16.0.254:8081{prefix}/compute.yaml\n");
        assert_eq!(on.from(NODE).get(&format!("{prefix}/vendor-data")).body_text(), expected);
    }
}

#[test]
fn a_base_url_of_one_node_is_not_another_nodes() {
    let mut on = site();
    group(&mut on, "compute", "x");
    let own = json!({"cloud-init-base-url": "http://10.0.0.9:1/cloud-init/"});
    on.send("PUT", &format!("/cloud-init/admin/instance-info/{NODE}"), &own.to_string());
    let text = on.from(NODE).get("/cloud-init/vendor-data").body_text().to_owned();
    assert_eq!(text, "#include\nhttp://10.0.0.9:1/cloud-init/compute.yaml\n");
    let base = meta_data(&mut on)["instance_data"]["v1"]["vendor_data"]["cloud_init_base_url"].clone();
    assert_eq!(base, "http://10.0.0.9:1/cloud-init");
    on.from("x1000c0s0b1n0");
    let other = on.get("/cloud-init/meta-data");
    assert!(!other.body_text().contains("cloud_init_base_url"), "{}", other.body_text());
}

#[test]
fn strangers_get_a_constant_and_nothing_else() {
    let mut on = site();
    group(&mut on, "compute", "secret");
    on.from_stranger();
    for path in ["meta-data", "vendor-data", "compute.yaml"] {
        let reply = on.get(&format!("/cloud-init/{path}"));
        assert_eq!((reply.status.as_u16(), reply.body.len()), (422, 0), "{path}");
        let reply = on.get(&format!("/metadata-service/{path}"));
        assert_eq!(
            (reply.status.as_u16(), reply.value()["error"].as_str()),
            (404, Some("node not found")),
            "{path}"
        );
    }
    assert_eq!(on.get("/cloud-init/user-data").body_text(), "#cloud-config");
    assert_eq!(on.get("/metadata-service/user-data").body_text(), "#cloud-config\n");
    // Nothing that it says makes it somebody.
    for path in ["meta-data?id=x1000c0s0b0n0", "meta-data?mac=52:54:00:be:ef:01", "meta-data?ip=172.16.0.1"] {
        assert_eq!(on.get(&format!("/cloud-init/{path}")).status, 422);
    }
}

#[test]
fn a_node_reads_no_groups_but_its_own() {
    let mut on = site();
    group(&mut on, "compute", "secret");
    on.from("x1000c0s0b1n0");
    for prefix in ["/cloud-init", "/metadata-service"] {
        let reply = on.get(&format!("{prefix}/compute.yaml"));
        assert_eq!(reply.status, 404);
        assert!(reply.body_text().contains("is not a member of group compute"), "{}", reply.body_text());
    }
}

#[test]
fn base64_is_checked_when_it_is_written_and_decoded_when_it_is_read() {
    let mut on = site();
    let body = |content: &str, encoding: &str| {
        json!({"name": "compute", "file": {"content": content, "encoding": encoding}}).to_string()
    };
    let bad = on.send("POST", "/cloud-init/admin/groups", &body("%%%", "base64"));
    assert_eq!(bad.status, 422);
    assert_eq!(on.get("/cloud-init/admin/groups").value(), json!({}));
    on.send("POST", "/cloud-init/admin/groups", &body("I2Nsb3Vk\nLWNvbmZpZwo=\n", "base64"));
    assert_eq!(on.from(NODE).get("/cloud-init/compute.yaml").body_text(), "#cloud-config\n");
    let shown = on.get("/cloud-init/admin/groups/compute").value();
    assert_eq!(shown["file"]["content"], "I2Nsb3Vk\nLWNvbmZpZwo=\n");
    // metadata-service sees what it means, and leaves it what it is.
    assert_eq!(on.get("/metadata-service/groups/compute").value()["spec"]["template"], "#cloud-config\n");
    assert_eq!(on.send("PATCH", "/metadata-service/groups/compute", "{\"description\":\"d\"}").status, 200);
    assert_eq!(on.get("/cloud-init/admin/groups/compute").value()["file"]["encoding"], "base64");
    // An encoding that nobody knows means plain.
    on.send("PUT", "/cloud-init/admin/groups/compute", &body("%%%", "rot13"));
    assert_eq!(on.from(NODE).get("/cloud-init/compute.yaml").body_text(), "%%%");
}

#[test]
fn a_group_is_stored_under_the_name_in_the_path() {
    let mut on = site();
    let reply = on.send("PUT", "/cloud-init/admin/groups/compute", "{\"name\":\"other\"}");
    assert_eq!((reply.status.as_u16(), reply.header("location")), (201, Some("/groups/other")));
    let all = on.get("/cloud-init/admin/groups").value();
    assert_eq!(all.as_object().unwrap().keys().collect::<Vec<_>>(), ["compute"]);
    assert_eq!(on.send("PUT", "/cloud-init/admin/groups/compute", "{}").status, 422);
    assert_eq!(on.send("POST", "/cloud-init/admin/groups", "{\"name\":").status, 422);
    assert_eq!(on.send("POST", "/cloud-init/admin/groups", "{\"name\":\"a\\nb\"}").status, 400);
}

#[test]
fn non_text_meta_data_is_shown_as_json_where_texts_are_needed_and_stays_what_it_is() {
    let mut on = site();
    let body = json!({"name": "compute", "meta-data": {"n": [1, "two"], "Key": "v", "no": null}, "file": {"content": "x"}});
    on.send("POST", "/cloud-init/admin/groups", &body.to_string());
    let spec = on.get("/metadata-service/groups/compute").value()["spec"].clone();
    assert_eq!(spec["metaData"], json!({"n": "[1,\"two\"]", "Key": "v", "no": "null"}));
    let patch = json!({"metaData": {"zone": "a"}});
    assert_eq!(on.send("PATCH", "/metadata-service/groups/compute", &patch.to_string()).status, 200);
    let kept = on.get("/cloud-init/admin/groups/compute").value()["meta-data"].clone();
    assert_eq!(kept, json!({"n": [1, "two"], "Key": "v", "no": null, "zone": "a"}));
}

#[test]
fn wrong_values_change_nothing() {
    let mut on = site();
    for body in [
        "{\"base-url\":\"ftp://h/\"}",
        "{\"base-url\":\"http://\"}",
        "{\"short-name\":\"a\\nb\"}",
        "{\"nid-length\":11}",
        "{\"nid-length\":-1}",
        "{\"public-keys\":\"x\"}",
        "{\"public-keys\":[\"ssh-rsa A\\nssh-rsa B\"]}",
        "{\"base-url\":\"http://h/a b\"}",
        "[",
        "[]",
        "",
    ] {
        let reply = on.send("POST", "/cloud-init/admin/cluster-defaults", body);
        assert_eq!((reply.status.as_u16(), reply.body.len()), (400, 0), "{body}");
    }
    assert_eq!(on.get("/cloud-init/admin/cluster-defaults").value(), json!({}));
    let path = format!("/cloud-init/admin/instance-info/{NODE}");
    for body in [
        "{",
        "{\"local-hostname\":\"a\\u0000\"}",
        "{\"public-keys\":[\"ssh-rsa A\\nssh-rsa B\"]}",
        "{\"cloud-init-base-url\":\"x\"}",
    ] {
        assert_eq!(on.send("PUT", &path, body).status, 400, "{body}");
    }
}

#[test]
fn a_call_home_is_believed_of_the_node_alone_and_makes_it_ready() {
    let mut on = site();
    let id = meta_data(&mut on)["instance-id"].as_str().unwrap().to_owned();
    let state = |on: &Harness| on.world.inventory.components.get(NODE).unwrap().state.clone();
    on.from("x1000c0s0b1n0");
    for who in [NODE, id.as_str()] {
        assert_eq!(on.send("POST", &format!("/phone-home/{who}"), "").status, 403);
    }
    on.from_stranger();
    assert_eq!(on.send("POST", &format!("/cloud-init/phone-home/{NODE}"), "").status, 403);
    assert_eq!(state(&on), "On");
    on.from(NODE);
    assert_eq!(on.send("POST", &format!("/phone-home/{NODE}"), "a=%zz").status, 400);
    assert_eq!(on.send("POST", "/phone-home/i-00000000", "").status, 403);
    assert_eq!(state(&on), "On");
    for path in [format!("/phone-home/{id}"), format!("/metadata-service/phone-home/{NODE}")] {
        let reply = on.send("POST", &path, "pub_key_rsa=ssh-rsa+AAAA&instance_id=i-1&hostname=h");
        assert_eq!((reply.status.as_u16(), state(&on).as_str()), (200, "Ready"), "{path}");
    }
    on.restart();
    assert_eq!(state(&on), "Ready");
}

#[test]
fn a_call_home_ends_the_boot_that_was_asked_for_once_if_it_has_begun() {
    let mut on = site();
    let left = |on: &mut Harness| {
        on.from(NODE).send("POST", &format!("/phone-home/{NODE}"), "");
        on.get(&format!("/boot-service/boot-once/{NODE}")).value()["boot"].clone()
    };
    for (taken, expected) in [(false, "install"), (true, "")] {
        let (mut live, mut changes) = (on.world.live(), Vec::new());
        let mut draft = Draft::new(&mut live, &mut changes);
        let next_boot = "install".to_owned();
        draft.put(Runtime { id: NODE.to_owned(), next_boot, taken, ..Runtime::default() }).unwrap();
        draft.finish();
        on.world = on.world.with(&live);
        assert_eq!(left(&mut on), expected, "begun: {taken}");
    }
}

#[test]
fn a_node_that_reads_its_user_data_is_in_the_history() {
    let mut on = site();
    on.get(&format!("/cloud-init/admin/impersonation/{NODE}/user-data"));
    on.from_stranger().get("/cloud-init/user-data");
    on.from("x1000c0s0b1n0").get("/cloud-init/user-data");
    let history = on.get("/boot/v1/endpoint-history?endpoint=user-data").value();
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");
    assert_eq!(history[0]["name"], "x1000c0s0b1n0");
}

#[test]
fn the_last_changed_cluster_defaults_count_also_when_the_clock_goes_back() {
    let mut on = site();
    let send = |on: &mut Harness, name: &str| {
        let spec = json!({"base_url": "http://h", "cluster_name": name, "short_name": name, "nid_length": 2});
        let body = json!({"metadata": {"name": name}, "spec": spec}).to_string();
        on.send("POST", "/metadata-service/clusterdefaultss", &body).value()["metadata"]["uid"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = send(&mut on, "aa");
    assert!(first.starts_with("clusterdefaults-") && first.len() == 24, "{first}");
    on.now -= jiff::SignedDuration::from_hours(5);
    send(&mut on, "bb");
    assert_eq!(meta_data(&mut on)["local-hostname"], "bb01");
    let patch =
        on.send("PATCH", &format!("/metadata-service/clusterdefaultss/{first}"), "{\"short_name\":\"cc\"}");
    assert_eq!(patch.status, 200);
    assert_eq!(meta_data(&mut on)["local-hostname"], "cc01");
    // cloud-init knows one set: it is the one that counts.
    assert_eq!(on.get("/cloud-init/admin/cluster-defaults").value()["cluster-name"], "aa");
    on.send("POST", "/cloud-init/admin/cluster-defaults", "{\"cluster-name\":\"dd\"}");
    assert_eq!(
        on.get(&format!("/metadata-service/clusterdefaultss/{first}")).value()["spec"]["cluster_name"],
        "dd"
    );
    on.send("DELETE", &format!("/metadata-service/clusterdefaultss/{first}"), "");
    assert_eq!(meta_data(&mut on)["local-hostname"], "bb01");
}

#[test]
fn network_config_says_what_is_on_record() {
    let mut on = site();
    let config = "subnets:\n- subnet: 172.16.0.0/24\n- {subnet: 10.9.0.0/16, router: 10.9.0.254, dns: [10.9.0.253], domain: lab}\n";
    let source = std::sync::Arc::new(crate::config::source::Source::new("bootlace.yaml", config.to_owned()));
    let mut findings = crate::config::Findings::default();
    let document = crate::config::tree::parse(&source, &mut findings).unwrap();
    let settings = crate::config::file::interpret(&document, &mut findings).with(&Default::default());
    assert_eq!(findings.into_list(), []);
    *on.world.settings = settings;
    assert_eq!(on.from(NODE).get("/cloud-init/network-config").status, 404);
    let reply = on.from(NODE).get("/metadata-service/network-config");
    let found: Value = serde_yaml::from_str(reply.body_text()).unwrap();
    let expected = json!({"version": 2, "ethernets": {
        "mac-525400beef01": {"match": {"macaddress": "52:54:00:be:ef:01"},
            "addresses": ["172.16.0.1/24", "10.9.0.1/16"],
            "routes": [{"to": "0.0.0.0/0", "via": "10.9.0.254"}],
            "nameservers": {"addresses": ["10.9.0.253"], "search": ["lab"]}},
        "mac-525400beef11": {"match": {"macaddress": "52:54:00:be:ef:11"}, "dhcp4": true}}});
    assert_eq!(found, expected);
    on.world.settings.network_config = true;
    assert_eq!(on.from(NODE).get("/cloud-init/network-config").body, reply.body);
    assert_eq!(on.from_stranger().get("/cloud-init/network-config").status, 422);
}

#[test]
fn what_files_state_the_api_cannot_change() {
    let mut on = site().cloud_files(&[
        ("defaults.yaml", "short-name: de\nnid-length: 2\n"),
        ("groups.yaml", "- name: compute\n  file: {content: '#cloud-config'}\n"),
        ("nodes.yaml", "- id: x1000c0s0b0n0\n  local-hostname: login\n"),
    ]);
    assert_eq!(meta_data(&mut on)["local-hostname"], "login");
    assert_eq!(meta_data(&mut on)["hostname"], "de01");
    let refused = |reply: Reply, file: &str, line: usize, key: &str| {
        assert_eq!(reply.status, 409, "{}", reply.body_text());
        let text = reply.detail.unwrap();
        assert!(text.contains(&format!("{file} line {line} states its `{key}`")), "{text}");
    };
    let defaults = "/cloud-init/admin/cluster-defaults";
    refused(on.send("POST", defaults, "{\"short-name\":\"no\"}"), "defaults.yaml", 1, "short-name");
    // What the file does not state is free, and what stays the same as well.
    assert_eq!(on.send("POST", defaults, "{\"cluster-name\":\"demo\",\"short-name\":\"de\"}").status, 201);
    assert_eq!(meta_data(&mut on)["cluster-name"], "demo");
    let newer = json!({"metadata": {"name": "d"}, "spec": {"base_url": "http://h", "cluster_name": "c", "short_name": "no"}});
    refused(
        on.send("POST", "/metadata-service/clusterdefaultss", &newer.to_string()),
        "defaults.yaml",
        1,
        "nid-length",
    );
    let groups = "/cloud-init/admin/groups";
    refused(on.send("DELETE", &format!("{groups}/compute"), ""), "groups.yaml", 1, "name");
    let other = json!({"name": "compute", "file": {"content": "x"}}).to_string();
    refused(on.send("POST", groups, &other), "groups.yaml", 1, "content");
    let same =
        json!({"name": "compute", "description": "d", "file": {"content": "#cloud-config"}}).to_string();
    assert_eq!(on.send("POST", groups, &same).status, 201);
    assert_eq!(on.get(&format!("{groups}/compute")).value()["description"], "d");
    let info = format!("/cloud-init/admin/instance-info/{NODE}");
    refused(on.send("PUT", &info, "{\"local-hostname\":\"x\"}"), "nodes.yaml", 1, "local-hostname");
    assert_eq!(on.send("PUT", &info, "{\"local-hostname\":\"login\",\"hostname\":\"h\"}").status, 201);
    for (collection, file) in [("clusterdefaultss", "defaults.yaml"), ("instanceinfos", "nodes.yaml")] {
        let list = on.get(&format!("/metadata-service/{collection}")).value();
        let uid = list[0]["metadata"]["uid"].as_str().unwrap();
        let deleted = on.send("DELETE", &format!("/metadata-service/{collection}/{uid}"), "");
        assert_eq!(deleted.status, 409, "{collection}: {}", deleted.body_text());
        assert!(deleted.body_text().contains(&format!("{file} line 1")), "{}", deleted.body_text());
    }
    on.restart();
    assert_eq!(meta_data(&mut on)["hostname"], "h");
}

#[test]
fn what_defaults_yaml_states_holds_over_a_set_that_was_stored_before_it() {
    let mut on = site();
    let before = "{\"short-name\":\"old\",\"nid-length\":2,\"cluster-name\":\"demo\"}";
    assert_eq!(on.send("POST", "/cloud-init/admin/cluster-defaults", before).status, 201);
    let mut on = on.cloud_files(&[("defaults.yaml", "short-name: de\n")]);
    let found = meta_data(&mut on);
    assert_eq!((&found["local-hostname"], &found["cluster-name"]), (&json!("de01"), &json!("demo")));
}

#[test]
fn renaming_a_group_leaves_no_second_one() {
    let mut on = site();
    group(&mut on, "a", "x");
    group(&mut on, "b", "x");
    let body = |name: &str| json!({"metadata": {"name": name}, "spec": {"template": "y"}}).to_string();
    assert_eq!(on.send("PUT", "/metadata-service/groups/a", &body("b")).status, 409);
    assert_eq!(on.send("PUT", "/metadata-service/groups/a", &body("c")).status, 200);
    let all = on.get("/cloud-init/admin/groups").value();
    assert_eq!(all.as_object().unwrap().keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(on.send("POST", "/metadata-service/groups", &body("b")).status, 409);
    assert_eq!(on.send("POST", "/metadata-service/groups", &body("")).status, 400);
}

#[test]
fn peers_are_stored_and_nothing_more() {
    let mut on = site();
    let body = |ip: &str| {
        json!({"metadata": {"name": "p"}, "spec": {"public_key": "k=", "allowed_ip": ip}}).to_string()
    };
    assert_eq!(on.send("POST", "/metadata-service/wireguardpeers", &body("10.0.0.2")).status, 400);
    let made = on.send("POST", "/metadata-service/wireguardpeers", &body("10.0.0.2/32"));
    assert_eq!((made.status.as_u16(), made.value()["kind"].as_str()), (201, Some("WireGuardPeer")));
    assert_eq!(on.send("POST", "/metadata-service/wireguardpeers", &body("10.0.0.2/32")).status, 200);
    assert_eq!(on.get("/metadata-service/wireguardpeers/p").value()["spec"]["allowed_ip"], "10.0.0.2/32");
    assert_eq!(on.send("POST", "/metadata-service/wg-init", "{}").status, 404);
    assert_eq!(on.send("POST", "/cloud-init/wg-init", "{}").status, 404);
    assert_eq!(on.get("/metadata-service/health").value()["status"], "ok");
}
