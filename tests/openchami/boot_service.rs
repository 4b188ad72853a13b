//! boot-service: the conformance cases R120 to R128, and boot-once with a node that asks for its script.

use serde_json::{Value, json};

use super::support::{API, Answer, HTTP, Site, assert_holds};

const CONFIGURATIONS: &str = "/boot-service/bootconfigurations";

fn spec() -> Value {
    json!({
        "macs": ["52:54:00:be:ef:01"],
        "kernel": "http://172.16.0.254:7070/boot-images/k",
        "initrd": "http://172.16.0.254:7070/boot-images/i",
        "params": "console=ttyS0,115200",
    })
}

/// F1 after R122, with the uid of what was made.
fn after_r122() -> (Site, String) {
    let site = Site::f1();
    let made =
        site.post(CONFIGURATIONS, &json!({"metadata": {"name": "compute"}, "spec": spec()})).is(201).json();
    let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
    (site, uid)
}

fn is_error(answer: Answer, status: u16) {
    let answer = answer.is(status);
    assert_eq!(answer.json()["code"], status);
    assert!(answer.json()["error"].as_str().is_some_and(|error| !error.is_empty()));
}

#[test]
fn r08_r120_health_says_ok() {
    let health = Site::f0().get("/boot-service/health").is(200).json();
    assert_holds(&health, &json!({"service": "boot-service", "status": "ok"}));
}

#[test]
fn r121_no_configurations_are_an_empty_list() {
    assert_eq!(Site::f0().get(CONFIGURATIONS).is(200).json(), json!([]));
}

#[test]
fn r122_a_configuration_is_made_with_a_uid_of_its_kind() {
    let (site, uid) = after_r122();
    let digits = uid.strip_prefix("bootconfiguration-").unwrap();
    assert!(
        digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
        "{uid}"
    );
    let all = site.get(CONFIGURATIONS).json();
    assert_eq!((&all[0]["kind"], &all[0]["spec"]), (&json!("BootConfiguration"), &spec()));
}

#[test]
fn r123_a_node_gets_its_script_here_too() {
    let (site, _) = after_r122();
    let script = site.node_get("n1", "/boot-service/bootscript?mac=52:54:00:be:ef:01").is(200).text();
    assert!(script.starts_with("#!ipxe\n"));
    for part in [
        spec()["kernel"].as_str().unwrap(),
        spec()["initrd"].as_str().unwrap(),
        "console=ttyS0,115200",
        "\nboot ",
    ] {
        assert!(script.contains(part), "{script}");
    }
}

#[test]
fn r124_a_configuration_is_found_by_its_uid_or_not_at_all() {
    let (site, uid) = after_r122();
    assert_eq!(site.get(&format!("{CONFIGURATIONS}/{uid}")).is(200).json()["spec"], spec());
    is_error(site.get(&format!("{CONFIGURATIONS}/bootconfiguration-00000000")), 404);
}

#[test]
fn r125_a_merge_patch_is_for_the_spec() {
    let (site, uid) = after_r122();
    let kind = [("Content-Type", "application/merge-patch+json")];
    let place = format!("{CONFIGURATIONS}/{uid}");
    site.ask("srv", API, "PATCH", &place, &kind, br#"{"params":"quiet"}"#).is(200);
    let mut expected = spec();
    expected["params"] = json!("quiet");
    assert_eq!(site.get(&place).json()["spec"], expected);
}

#[test]
fn r126_delete_says_what_is_gone() {
    let (site, uid) = after_r122();
    let gone = site.delete(&format!("{CONFIGURATIONS}/{uid}")).is(200).json();
    assert_eq!(gone, json!({"message": "BootConfiguration deleted successfully", "uid": uid}));
    assert_eq!(site.get(CONFIGURATIONS).json(), json!([]));
}

#[test]
fn r127_a_configuration_needs_a_kernel() {
    let body = json!({"metadata": {"name": "x"}, "spec": {"macs": ["52:54:00:be:ef:01"]}});
    is_error(Site::f1().post(CONFIGURATIONS, &body), 400);
}

#[test]
fn r128_bss_boots_the_same() {
    let (site, _) = after_r122();
    let script = site.node_get("n1", "/boot/v1/bootscript?mac=52:54:00:be:ef:01").is(200).text();
    let expected = format!(
        "\nkernel --name kernel {} initrd=initrd console=ttyS0,115200 ",
        spec()["kernel"].as_str().unwrap()
    );
    assert!(script.contains(&expected), "{script}");
}

/// The kernel that a node would boot now, or what its script says in place of one.
fn boots(site: &Site, host: &str, retry: u32) -> String {
    let script = site
        .node_get(host, &format!("/boot/v1/bootscript?mac=52:54:00:be:ef:01&retry={retry}"))
        .is(200)
        .text();
    let kernel = script.lines().find_map(|line| line.strip_prefix("kernel --name kernel "));
    match kernel {
        Some(kernel) => kernel.split(' ').next().unwrap().to_owned(),
        None if script.contains("boots its own disk") => "local".to_owned(),
        None => script,
    }
}

#[test]
fn a_machine_is_installed_once_and_boots_its_own_disk_afterwards() {
    let (site, _) = after_r122();
    let install = json!({"metadata": {"name": "installer"}, "spec": {"profile": "install", "kernel": "http://h/install"}});
    site.post(CONFIGURATIONS, &install).is(201);
    let usual = spec()["kernel"].as_str().unwrap().to_owned();
    assert_eq!(boots(&site, "n1", 0), usual);

    let once = "/boot-service/boot-once/x1000c0s0b0n0";
    site.put(once, &json!({"boot": "install"})).is(200);
    assert_eq!(boots(&site, "n77", 0), "http://h/install", "another machine looks");
    site.ask("n1", HTTP, "HEAD", "/boot/v1/bootscript?mac=52:54:00:be:ef:01", &[], b"").is(200);
    assert_eq!(site.get(once).json()["taken"], false, "neither takes anything");
    assert_eq!(boots(&site, "n1", 0), "http://h/install");
    assert_eq!(site.get(once).json()["taken"], true);
    assert_eq!(boots(&site, "n1", 1), "http://h/install", "a further try of the same boot");

    site.node_get("n77", "/boot/v1/done?mac=52:54:00:be:ef:01").is(403);
    site.stop();
    site.start();
    site.ask("n1", HTTP, "POST", "/boot/v1/done?mac=52:54:00:be:ef:01", &[], b"").is(200);
    assert_eq!(boots(&site, "n1", 0), "local");
    assert_eq!(boots(&site, "n1", 0), "local");
    site.delete(once).is(200);
    assert_eq!(boots(&site, "n1", 0), usual);
}

#[test]
fn the_command_asks_the_appliance_on_this_machine() {
    let (site, _) = after_r122();
    let state = site.sandbox.work().join("state").display().to_string();
    let run = |words: &[&str]| {
        let mut command =
            site.sandbox.command(bootlace::lab::sandbox::Place::Host("srv"), env!("CARGO_BIN_EXE_bootlace"));
        command.arg("boot-once").args(words);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap().trim().to_owned())
    };
    let (node, url) = ("x1000c0s0b0n0", format!("http://{API}"));
    assert_eq!(run(&[node, "--state", &state]), (0, format!("{node} boots what selects it")));
    let set = run(&[node, "local", "--then", "normal", "--state", &state]);
    assert_eq!(set, (0, format!("{node} boots next its own disk; once it is done, what selects it")));
    assert_eq!(boots(&site, "n1", 0), "local");
    assert_eq!(run(&[node, "--url", &url]), (0, format!("{node} boots what selects it")), "once");
    let (code, text) = run(&[node, "nothing", "--url", &url]);
    assert!(code == 1 && text.contains("no boot entry is for the profile nothing"), "{text}");
    let (code, text) = run(&["x9c0s0b0n0", "local", "--url", &url]);
    assert!(code == 1 && text.contains("no node has the xname, name or MAC x9c0s0b0n0"), "{text}");
}
