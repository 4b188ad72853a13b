//! The way of `make lab`: `bootlace lab run` to the Debian installer's first dialog, once per kind of firmware.

use crate::command::{cache_flag, lab};

fn reaches_the_installer(firmware: &str, mode: &str, stages: &[&str]) {
    let _alone = crate::vlan::alone();
    crate::payload::supplies();
    let flags = ["--firmware", firmware, "--mode", mode, "--json", "--timeout", "900"];
    let output = lab(&[&["run"], &flags[..], &cache_flag().each_ref().map(String::as_str)[..]].concat())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["reached"], true, "{said}");
    let reached: Vec<&str> =
        result["stages"].as_array().unwrap().iter().filter_map(|stage| stage["stage"].as_str()).collect();
    assert_eq!(reached, stages, "{said}");
}

#[test]
fn a_bios_machine_reaches_the_installers_first_dialog() {
    reaches_the_installer(
        "bios",
        "reservation",
        &[
            "firmware started",
            "DHCP offered",
            "script served",
            "kernel fetched",
            "initrd fetched",
            "kernel started",
            "installer dialog",
        ],
    );
}

#[test]
fn a_uefi_machine_reaches_the_installers_first_dialog() {
    reaches_the_installer(
        "uefi",
        "proxy",
        &[
            "firmware started",
            "DHCP offered",
            "loader sent",
            "script served",
            "kernel fetched",
            "initrd fetched",
            "kernel started",
            "installer dialog",
        ],
    );
}
