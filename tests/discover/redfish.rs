//! `bootlace discover redfish` against BMCs on loopback addresses: what is stored, what is named, and where name
//! and password go.

use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::{Value, json};

use crate::emulator::{Bmc, Fleet, Manner, PASSWORD, USER};
use crate::smd::Smd;
use crate::{Ran, discover};

/// A folder with credentials and a map of the BMCs of one net.
struct Site(tempfile::TempDir);

impl Site {
    fn new(net: u8, bmcs: u8) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.write("credentials.yaml", &format!("default: {{user: {USER}, password: {PASSWORD}}}\n"));
        let map: Vec<String> = (1..=bmcs).map(|n| format!("  127.0.{net}.{n}: x1000c0s{n}b0\n")).collect();
        site.write("map.yaml", &format!("map_key: bmc-ip-addr\nid_map:\n{}", map.concat()));
        site
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, port: u16, flags: &[&str]) -> Ran {
        let port = port.to_string();
        let common = ["redfish", "--port", &port, "--state", ".", "--credentials", "credentials.yaml"];
        discover(self.folder(), &[&common, flags].concat(), &[], "")
    }

    fn json(&self, port: u16, flags: &[&str]) -> (Option<i32>, Value) {
        let ran = self.run(port, &[&["--json"], flags].concat());
        let value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}{}", ran.stdout, ran.stderr));
        (ran.code, value)
    }
}

fn at(net: u8, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, net, last)
}

fn check(folder: &Path, file: &str) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bootlace"))
        .args(["check", file])
        .current_dir(folder)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn good_bmcs_are_stored_and_bad_ones_are_named_with_the_reason() {
    let net = 70;
    let mut bare = Bmc::one_node(at(net, 3));
    for key in
        ["SerialConsole", "ProcessorSummary", "MemorySummary", "TrustedModules", "NetworkInterfaces", "UUID"]
    {
        bare.document("/redfish/v1/Systems/system").remove(key).unwrap();
    }
    let holes = Bmc::one_node(at(net, 4))
        .without("/redfish/v1/Systems/system/EthernetInterfaces/eth1")
        .without("/redfish/v1/Managers/bmc/EthernetInterfaces");
    let mut wrong = Bmc::one_node(at(net, 6));
    wrong.password = "another";
    let fleet = Fleet::start(vec![
        Bmc::one_node(at(net, 1)),
        Bmc::one_node(at(net, 2)),
        bare,
        holes,
        Bmc::one_node(at(net, 5)).manner(Manner::Silent),
        wrong,
        Bmc::two_nodes(at(net, 7)),
        Bmc::one_node(at(net, 8)).manner(Manner::ClosedRoot),
    ]);
    let smd = Smd::start(|_, seen| match seen.method.as_str() {
        "GET" => (200, "{\"RedfishEndpoints\":[]}".to_owned()),
        _ => (201, String::new()),
    });
    let site = Site::new(net, 8);
    let ran = site.run(fleet.port, &["--map", "map.yaml", "--send", &smd.url(), "--output", "nodes.yaml"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    let line = |n: u8| {
        let host = format!("127.0.{net}.{n} ");
        ran.stdout.lines().find(|line| line.starts_with(&host)).unwrap_or_else(|| panic!("{}", ran.stdout))
    };
    for n in [1, 2, 3, 4, 7, 8] {
        assert!(line(n).contains(&format!("x1000c0s{n}b0  ok      x1000c0s{n}b0n0")), "{}", line(n));
    }
    assert!(line(5).contains("FAILED  no answer: "), "{}", line(5));
    assert!(line(6).contains("FAILED  it refuses user \"root\" (401)"), "{}", line(6));
    assert!(ran.stdout.contains("6 of 8 BMCs read"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("/Systems/system/EthernetInterfaces/eth1: 404"),
        "a hole is named: {}",
        ran.stdout
    );

    let posts: Vec<Value> =
        smd.seen().iter().filter(|seen| seen.method == "POST").map(crate::smd::Seen::json).collect();
    let stored: Vec<&str> = posts.iter().map(|body| body["ID"].as_str().unwrap()).collect();
    assert_eq!(stored, [1, 2, 3, 4, 7, 8].map(|n| format!("x1000c0s{n}b0")));
    assert!(!smd.seen().iter().any(|seen| seen.body.contains(PASSWORD)), "no password leaves");
    let holes = &posts[3];
    assert_eq!(
        holes["Systems"][0]["ethernet_interfaces"].as_array().unwrap().len(),
        1,
        "the machine is kept"
    );
    assert_eq!(holes.get("MACAddr"), None);
    assert_eq!(posts[4]["Systems"].as_array().unwrap().len(), 2);

    let (code, said) = check(site.folder(), "nodes.yaml");
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "7 nodes: no problem found\n"),
        "{}",
        site.read("nodes.yaml")
    );
    assert!(site.read("nodes.yaml").contains("  - mac_addr: 02:aa:00:46:01:01   # onboard port 1\n"));
    // One refusal is enough: BMCs lock an account that fails too often.
    let tried = fleet.asked().iter().filter(|asked| asked.address == at(net, 6) && asked.authorized).count();
    assert_eq!(tried, 1);
}

/// The body is the one that OpenCHAMI's crawler made of the same documents.
#[test]
fn the_endpoint_is_what_the_recorded_crawler_sent() {
    let recorded = include_str!("../openchami/magellan-send.jsonl");
    let recorded: Vec<Value> = recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fleet = Fleet::start(vec![
        Bmc::one_node(Ipv4Addr::new(127, 0, 1, 11)),
        Bmc::two_nodes(Ipv4Addr::new(127, 0, 1, 13)),
    ]);
    let site = Site::new(1, 1);
    site.write(
        "map.yaml",
        "{map_key: bmc-ip-addr, id_map: {127.0.1.11: x1000c0s0b0, 127.0.1.13: x1000c0s2b0}}",
    );
    let (code, result) = site.json(fleet.port, &["--map", "map.yaml"]);
    assert_eq!(code, Some(0), "{result}");
    for (at, expected) in recorded.iter().enumerate() {
        let sent = result["bmcs"][at]["endpoint"].to_string().replace(&format!(":{}/", fleet.port), ":5443/");
        assert_eq!(&serde_json::from_str::<Value>(&sent).unwrap(), expected);
    }
    assert_eq!(result["bmcs"][1]["nodes"], json!(["x1000c0s2b0n0", "x1000c0s2b0n1"]));
}

#[test]
fn a_bmc_with_another_certificate_than_before_gets_nothing() {
    let net = 71;
    let site = Site::new(net, 2);
    let both = || vec![Bmc::one_node(at(net, 1)), Bmc::one_node(at(net, 2))];
    let fleet = Fleet::start(both());
    let port = fleet.port;
    assert_eq!(site.run(port, &["--map", "map.yaml"]).code, Some(0));
    assert_eq!(site.run(port, &["--map", "map.yaml"]).code, Some(0), "the same certificate is taken again");
    drop(fleet);
    let fleet = Fleet::start_at(port, both());
    let ran = site.run(port, &["--map", "map.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stdout.matches("FAILED  its certificate changed: sha256 ").count(), 2, "{}", ran.stdout);
    assert!(fleet.asked().is_empty(), "not even a question is sent");
    // The operator who knows why removes one entry; the other BMC stays barred.
    let mut pins: Value = serde_json::from_str(&site.read("bmc-certificates.json")).unwrap();
    pins["certificates"].as_object_mut().unwrap().remove(&format!("127.0.{net}.1:{port}")).unwrap();
    site.write("bmc-certificates.json", &pins.to_string());
    let ran = site.run(port, &["--map", "map.yaml"]);
    assert!(ran.stdout.contains("1 of 2 BMCs read"), "{}", ran.stdout);
}

#[test]
fn plain_http_is_refused_unless_it_is_asked_for() {
    let net = 72;
    let fleet = Fleet::start(vec![Bmc::one_node(at(net, 1)).manner(Manner::Http)]);
    let site = Site::new(net, 1);
    let host = format!("http://127.0.{net}.1:{}", fleet.port);
    let ran = site.run(fleet.port, &["--map", "map.yaml", "--host", &host]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("FAILED  plain http: name and password would cross"), "{}", ran.stdout);
    assert!(fleet.asked().is_empty());
    let ran = site.run(fleet.port, &["--map", "map.yaml", "--host", &host, "--insecure"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
}

#[test]
fn a_list_in_pages_is_read_to_its_end() {
    let net = 73;
    let mut bmc = Bmc::one_node(at(net, 1));
    let list = "/redfish/v1/Systems/system/EthernetInterfaces";
    let members = bmc.document(list)["Members"].as_array().unwrap().clone();
    bmc.document(list).insert("Members".to_owned(), json!([members[0]]));
    bmc.document(list).insert("Members@odata.nextLink".to_owned(), json!(format!("{list}?$skip=1")));
    bmc.documents.insert(format!("{list}?$skip=1"), json!({"Members": [members[1]]}));
    let fleet = Fleet::start(vec![bmc]);
    let (code, result) = Site::new(net, 1).json(fleet.port, &["--map", "map.yaml"]);
    assert_eq!(code, Some(0));
    let cards = &result["bmcs"][0]["endpoint"]["Systems"][0]["ethernet_interfaces"];
    assert_eq!(cards.as_array().unwrap().len(), 2, "{cards}");
}

#[test]
fn name_and_password_go_to_the_bmcs_that_were_named_and_nowhere_else() {
    let net = 74;
    let mut leads_away = Bmc::one_node(at(net, 1));
    // The second is no target: the first one's links and redirects lead to it. The third is a web server.
    let port = Fleet::start(vec![Bmc::one_node(at(net, 9))]).port;
    let away = format!("https://127.0.{net}.2:{port}/redfish/v1/Systems/system/EthernetInterfaces");
    leads_away
        .document("/redfish/v1/Systems/system")
        .insert("EthernetInterfaces".to_owned(), json!({"@odata.id": away}));
    let mut web = Bmc::one_node(at(net, 3));
    web.documents.clear();
    web.documents.insert("/redfish/v1/".to_owned(), json!({"hello": "world"}));
    let redirects = Bmc::one_node(at(net, 4)).manner(Manner::Redirects(at(net, 2)));
    let fleet = Fleet::start_at(port, vec![leads_away, Bmc::one_node(at(net, 2)), web, redirects]);
    let site = Site::new(net, 1);
    let range = format!("127.0.{net}.3-127.0.{net}.5");
    let host = format!("127.0.{net}.1");
    let ran = site.run(port, &["--map", "map.yaml", "--host", &host, "--range", &range]);
    assert_eq!(
        ran.code,
        Some(0),
        "an address of a range without a BMC is no failure: {}{}",
        ran.stdout,
        ran.stderr
    );
    assert!(ran.stdout.contains("no BMC at 3 more addresses of the range"), "{}", ran.stdout);
    let asked = fleet.asked();
    assert!(
        asked.iter().all(|asked| asked.address != at(net, 2)),
        "the host that nobody named is not even asked"
    );
    assert!(asked.iter().filter(|asked| asked.authorized).all(|asked| asked.address == at(net, 1)));
    assert!(
        asked.iter().any(|asked| asked.address == at(net, 3))
            && asked.iter().any(|asked| asked.address == at(net, 4))
    );
    let pins: Value = serde_json::from_str(&site.read("bmc-certificates.json")).unwrap();
    let pinned: Vec<&String> = pins["certificates"].as_object().unwrap().keys().collect();
    assert_eq!(pinned, [&format!("{host}:{port}")], "what got no password is no BMC of ours");
    let open = asked.iter().filter(|asked| asked.address == at(net, 1) && !asked.authorized);
    assert_eq!(open.map(|asked| asked.path.as_str()).collect::<Vec<_>>(), ["/redfish/v1/"]);
}

#[test]
fn a_bmc_of_a_range_that_hangs_is_named_and_an_address_without_one_is_only_counted() {
    let net = 79;
    let fleet =
        Fleet::start(vec![Bmc::one_node(at(net, 1)), Bmc::one_node(at(net, 2)).manner(Manner::Silent)]);
    let range = format!("127.0.{net}.1-4");
    let ran = Site::new(net, 2).run(fleet.port, &["--map", "map.yaml", "--range", &range]);
    assert_eq!(ran.code, Some(1));
    let named = format!("127.0.{net}.2  x1000c0s2b0  FAILED  no answer: ");
    assert!(ran.stdout.contains(&named), "{}", ran.stdout);
    assert!(ran.stdout.contains("1 of 2 BMCs read; no BMC at 2 more addresses"), "{}", ran.stdout);
}

#[test]
fn a_bmc_without_an_xname_is_left_for_the_operator_and_records_name_one() {
    let net = 75;
    let fleet = Fleet::start(vec![Bmc::one_node(at(net, 1))]);
    let site = Site::new(net, 0);
    let host = format!("127.0.{net}.1");
    let ran = site.run(fleet.port, &["--host", &host, "--output", "new.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains(&format!("add '{host}: x…b…' to id_map: of the map file")), "{}", ran.stdout);
    assert!(!site.folder().join("new.yaml").exists());
    // By its card, and the machine by its own: name, number, groups and address of the record are kept.
    site.write(
        "nodes.yaml",
        "bmcs: [{xname: x1000c0s5b0, mac: '02:aa:00:4b:01:00'}]
nodes:
- {name: compute7, nid: 7, xname: x1000c0s5b0n3, bmc: x1000c0s5b0, groups: [compute], interfaces: [
   {mac_addr: '02:aa:00:4b:01:02', ip_addrs: [{ip_addr: 10.0.0.7}]}]}
",
    );
    let flags = ["--host", &host, "--nodes", "nodes.yaml", "--output", "new.yaml"];
    let ran = site.run(fleet.port, &flags);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let text = site.read("new.yaml");
    for part in [
        "- xname: x1000c0s5b0n3",
        "  name: \"compute7\"",
        "  nid: 7",
        "groups: [\"compute\"]",
        "{ip_addr: \"10.0.0.7\"}",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(check(site.folder(), "new.yaml"), (Some(0), "1 node: no problem found\n".to_owned()));
    let ran = site.run(fleet.port, &flags);
    assert!(
        ran.code == Some(0) && site.read("new.yaml.old") == text,
        "the file before is kept: {}",
        ran.stderr
    );
    assert_eq!(site.read("new.yaml"), text, "two runs find the same");
}

#[test]
fn an_endpoint_that_the_smd_has_already_is_overwritten_and_one_that_it_refuses_is_named() {
    let net = 76;
    let fleet = Fleet::start(vec![Bmc::one_node(at(net, 1)), Bmc::one_node(at(net, 2))]);
    // The SMD itself says which xname the second one has.
    let known =
        json!({"RedfishEndpoints": [{"ID": "x1000c0s7b0", "FQDN": format!("127.0.{net}.2")}]}).to_string();
    let smd = Smd::start(move |_, seen| match (seen.method.as_str(), seen.body.contains("x1000c0s7b0")) {
        ("GET", _) => (200, known.clone()),
        ("POST", _) => (409, String::new()),
        (_, true) => (500, "{\"detail\":\"failed to query DB.\"}".to_owned()),
        _ => (200, String::new()),
    });
    let site = Site::new(net, 1);
    let hosts = format!("127.0.{net}.1,127.0.{net}.2");
    let ran = site.run(fleet.port, &["--map", "map.yaml", "--host", &hosts, "--send", &smd.url()]);
    assert_eq!(ran.code, Some(1));
    let lines: Vec<(String, String)> = smd.seen().into_iter().map(|seen| (seen.method, seen.path)).collect();
    let list = "/hsm/v2/Inventory/RedfishEndpoints";
    let put = |xname: &str| ("PUT".to_owned(), format!("{list}/{xname}"));
    let line = |method: &str| (method.to_owned(), list.to_owned());
    let expected = [line("GET"), line("POST"), put("x1000c0s1b0"), line("POST"), put("x1000c0s7b0")];
    assert_eq!(lines, expected);
    assert!(
        ran.stdout.contains("FAILED  read, and not stored: ") && ran.stdout.contains("failed to query DB."),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_is_not_said_or_said_wrongly_is_refused_before_anybody_is_asked() {
    let net = 77;
    let fleet = Fleet::start(vec![Bmc::one_node(at(net, 1))]);
    let site = Site::new(net, 1);
    let port = fleet.port;
    assert_eq!(site.run(port, &[]).code, Some(2), "nobody is named");
    assert_eq!(site.run(port, &["--range", "10.0.0.0/8"]).code, Some(2));
    assert_eq!(site.run(port, &["--host", "root:secret@127.0.77.1"]).code, Some(2));
    site.write("wrong.yaml", "map_key: bmc-ip-addr\nid_map:\n  127.0.77.1: bmc-eleven\n");
    let ran = site.run(port, &["--map", "wrong.yaml"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("wrong.yaml:3"), "{}", ran.stderr);
    assert!(fleet.asked().is_empty());
    site.write("bmc-certificates.json", "{");
    let ran = site.run(port, &["--map", "map.yaml"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("bmc-certificates.json is damaged"), "{}", ran.stderr);
    assert!(fleet.asked().is_empty());
}

#[test]
fn credentials_may_come_from_the_environment_and_a_bmc_without_any_is_named() {
    let net = 78;
    let fleet = Fleet::start(vec![Bmc::one_node(at(net, 1))]);
    let site = Site::new(net, 1);
    let port = fleet.port.to_string();
    let arguments = ["redfish", "--port", &port, "--state", ".", "--map", "map.yaml"];
    let environment = [("BOOTLACE_BMC_USER", USER), ("BOOTLACE_BMC_PASSWORD", PASSWORD)];
    let ran = discover(site.folder(), &arguments, &[], "");
    assert!(ran.code == Some(1) && ran.stdout.contains("FAILED  no credentials for it"), "{}", ran.stdout);
    assert_eq!(discover(site.folder(), &arguments, &environment, "").code, Some(0));
    let ran = discover(site.folder(), &arguments, &environment[..1], "");
    assert!(ran.code == Some(1) && ran.stderr.contains("BOOTLACE_BMC_PASSWORD is not"), "{}", ran.stderr);
}
