//! BSS: the conformance cases R60 to R83, each from its fixture.

use serde_json::{Value, json};

use super::support::{Answer, Site, assert_holds};

const PARAMETERS: &str = "/boot/v1/bootparameters";
const ONE: &str = "52:54:00:be:ef:01";
const TWO: &str = "52:54:00:be:ef:02";
const NOBODY: &str = "52:54:00:00:00:99";

/// The body that most cases start from.
fn p1() -> Value {
    json!({
        "macs": [ONE, TWO],
        "kernel": "http://172.16.0.254:9000/boot-images/k",
        "initrd": "http://172.16.0.254:9000/boot-images/i",
        "params": "nomodeset ro root=live:http://172.16.0.254:9000/boot-images/r console=ttyS0,115200 \
                   ds=nocloud-net;s=http://172.16.0.254:8081/cloud-init",
    })
}

/// F1 after R63.
fn after_r63() -> Site {
    let site = Site::f1();
    site.put(PARAMETERS, &p1()).is(200);
    site
}

fn of_mac(site: &Site, mac: &str) -> Answer {
    site.get(&format!("{PARAMETERS}?mac={mac}"))
}

/// The lines of a script that do more than print.
fn lines(script: &Answer) -> Vec<String> {
    let text = script.text();
    text.lines().filter(|line| !line.starts_with("echo")).map(str::to_owned).collect()
}

fn script(site: &Site, query: &str) -> Answer {
    let answer = site.node_get("n1", &format!("/boot/v1/bootscript{query}")).is(200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    answer
}

/// The wait script for a MAC: says why, waits, asks again; boots nothing.
fn assert_waits(script: &Answer, mac: &str) {
    let lines = lines(script);
    assert_eq!(lines[0], "#!ipxe");
    let delay = lines.iter().position(|line| line.starts_with("sleep ")).unwrap();
    let chain = lines.iter().position(|line| line.starts_with("chain ")).unwrap();
    assert!(delay < chain && lines[chain].contains(&format!("/boot/v1/bootscript?mac={mac}")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("kernel")), "{lines:?}");
    assert!(script.text().contains(mac), "it says which MAC");
}

#[test]
fn r07_r60_service_status_says_running() {
    let answer = Site::f0().get("/boot/v1/service/status").is(200);
    assert_eq!(answer.json(), json!({"bss-status": "running"}));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn r61_the_version_is_known() {
    let version = Site::f0().get("/boot/v1/service/version").is(200).json();
    assert!(version["bss-version"].as_str().is_some_and(|version| !version.is_empty() && version != "error"));
}

#[test]
fn r62_no_parameters_are_null_or_an_empty_list() {
    let none = Site::f0().get(PARAMETERS).is(200).json();
    assert!(none.is_null() || none == json!([]));
}

#[test]
fn r63_put_answers_200_without_a_body() {
    let answer = Site::f1().put(PARAMETERS, &p1()).is(200);
    assert!(answer.body.is_empty());
}

#[test]
fn r64_identifiers_with_the_same_parameters_are_one_element() {
    let all = after_r63().get(PARAMETERS).is(200).json();
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    assert_holds(&all[0], &p1());
    assert!(all[0]["cloud-init"].is_object());
}

#[test]
fn r65_a_filter_shows_the_mac_that_was_asked_for_alone() {
    let found = of_mac(&after_r63(), TWO).is(200).json();
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    assert_eq!(found[0]["macs"], json!([TWO]));
}

#[test]
fn r66_a_mac_without_parameters_is_404() {
    of_mac(&after_r63(), NOBODY).problem(404, "Cannot find boot parameters for requested MACs");
}

#[test]
fn r67_post_answers_201_without_a_body() {
    assert!(Site::f1().post(PARAMETERS, &p1()).is(201).body.is_empty());
}

#[test]
fn r68_post_of_what_is_all_there_is_refused() {
    let site = Site::f1();
    site.post(PARAMETERS, &p1()).is(201);
    site.post(PARAMETERS, &p1()).problem(400, "Bad Request: ");
    assert_eq!(site.get(PARAMETERS).json().as_array().map(Vec::len), Some(1));
}

#[test]
fn r69_patch_changes_one_mac_and_only_what_it_says() {
    let site = after_r63();
    site.patch(PARAMETERS, &json!({"macs": [ONE], "params": "quiet"})).is(200);
    let (one, two) = (of_mac(&site, ONE).json(), of_mac(&site, TWO).json());
    assert_eq!(one[0]["params"], "quiet");
    assert_eq!((&one[0]["kernel"], &one[0]["initrd"]), (&p1()["kernel"], &p1()["initrd"]));
    assert_eq!(two[0]["params"], p1()["params"]);
}

#[test]
fn r70_patch_of_an_unknown_mac_is_404_and_names_it() {
    let answer = Site::f1().patch(PARAMETERS, &json!({"macs": [NOBODY], "params": "quiet"}));
    let answer = answer.problem(404, "Not Found: ");
    assert!(answer.json()["detail"].as_str().unwrap().contains(NOBODY));
}

#[test]
fn r71_delete_takes_one_mac_out() {
    let site = after_r63();
    site.send("DELETE", PARAMETERS, json!({"macs": [ONE]}).to_string().as_bytes()).is(200);
    of_mac(&site, ONE).problem(404, "");
    of_mac(&site, TWO).is(200);
}

#[test]
fn r72_post_refuses_what_is_no_mac() {
    let body = json!({"macs": ["zz:54:00:be:ef:01"], "kernel": "http://h/k"});
    let answer = Site::f1().post(PARAMETERS, &body).problem(400, "");
    assert!(
        answer.json()["detail"].as_str().unwrap().contains("invalid MAC address format: zz:54:00:be:ef:01")
    );
}

#[test]
fn r73_post_refuses_the_xname_of_a_bmc() {
    let body = json!({"hosts": ["x1000c0s0b0"], "kernel": "http://h/k"});
    Site::f1().post(PARAMETERS, &body).problem(400, "Bad Request: invalid xname type: NodeBMC");
}

#[test]
fn r74_put_without_data_is_refused() {
    Site::f1().put(PARAMETERS, &json!({"macs": [ONE]})).problem(400, "");
}

#[test]
fn r75_put_of_broken_json_is_refused() {
    Site::f1().send("PUT", PARAMETERS, b"{").problem(400, "Bad Request: ");
}

#[test]
fn r76_a_node_gets_the_script_of_its_parameters() {
    let site = after_r63();
    let script = script(&site, &format!("?mac={ONE}"));
    let expected = [
        "#!ipxe",
        "kernel --name kernel http://172.16.0.254:9000/boot-images/k initrd=initrd nomodeset ro \
         root=live:http://172.16.0.254:9000/boot-images/r console=ttyS0,115200 \
         ds=nocloud-net;s=http://172.16.0.254:8081/cloud-init xname=x1000c0s0b0n0 nid=1 \
         BOOTIF=01-52-54-00-be-ef-01 || goto boot_retry",
        "initrd --name initrd http://172.16.0.254:9000/boot-images/i || goto boot_retry",
        "boot || goto boot_retry",
        ":boot_retry",
        "sleep 30",
        "chain http://172.16.0.254:8081/boot/v1/bootscript?mac=52:54:00:be:ef:01&retry=1",
        "",
    ];
    assert_eq!(lines(&script), expected);
}

#[test]
fn r77_the_chain_counts_the_tries() {
    let script = script(&after_r63(), &format!("?mac={ONE}&retry=4"));
    let chain = lines(&script).into_iter().find(|line| line.starts_with("chain ")).unwrap();
    assert!(chain.ends_with("&retry=5"), "{chain}");
}

#[test]
fn r78_a_script_for_nobody_is_400() {
    let answer = Site::f1().node_get("n1", "/boot/v1/bootscript");
    answer.problem(400, "Need a mac=, name=, or nid= parameter");
}

#[test]
fn r79_an_unknown_mac_waits() {
    assert_waits(&script(&Site::f1(), &format!("?mac={NOBODY}")), NOBODY);
}

#[test]
fn r80_a_node_without_parameters_waits() {
    assert_waits(&script(&Site::f1(), &format!("?mac={ONE}")), ONE);
}

#[test]
fn r81_the_history_has_one_entry_for_one_node() {
    let site = after_r63();
    for _ in 0..2 {
        script(&site, &format!("?mac={ONE}"));
    }
    let history = site.get("/boot/v1/endpoint-history?name=x1000c0s0b0n0").is(200).json();
    assert_eq!(history.as_array().map(Vec::len), Some(1));
    assert_holds(&history[0], &json!({"name": "x1000c0s0b0n0", "endpoint": "bootscript"}));
    assert!(history[0]["last_epoch"].as_i64() > Some(1_700_000_000));
}

#[test]
fn r82_hosts_show_the_component_with_its_mac() {
    let hosts = Site::f1().get(&format!("/boot/v1/hosts?mac={ONE}")).is(200).json();
    assert_eq!(hosts.as_array().map(Vec::len), Some(1));
    assert_holds(&hosts[0], &json!({"ID": "x1000c0s0b0n0", "NID": 1, "MAC": [ONE], "EndpointEnabled": true}));
}

#[test]
fn r83_the_gateways_path_gives_the_same_script_and_chains_to_itself() {
    let site = after_r63();
    let (plain, gateway) =
        (format!("/boot/v1/bootscript?mac={ONE}"), format!("/apis/bss/boot/v1/bootscript?mac={ONE}"));
    let (plain, gateway) = (lines(&site.node_get("n1", &plain)), lines(&site.node_get("n1", &gateway)));
    assert_eq!(plain[..6], gateway[..6]);
    assert_eq!(gateway[6], plain[6].replace("/boot/v1", "/apis/bss/boot/v1"));
}

#[test]
fn parameters_outlive_a_restart_and_nothing_of_them_is_on_the_boot_facing_listener() {
    let site = after_r63();
    site.stop();
    site.start();
    assert_holds(&site.get(PARAMETERS).is(200).json()[0], &p1());
    for path in [PARAMETERS, "/boot/v1/dumpstate", "/boot/v1/hosts", "/boot/v1/endpoint-history"] {
        site.node_get("n1", path).is(404);
    }
    site.node_get("n1", "/boot/v1/service/status").is(200);
}
