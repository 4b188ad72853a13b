//! Contradictions between records, with both places.

use serde_json::Value;

use super::{Folder, NODES, problems};

/// Two nodes; `%` in the texts is replaced in the second.
fn two(first: &str, second: &str) -> String {
    format!(
        "nodes:\n- {{name: a, xname: x1c0s0b0n0, interfaces: [{{mac_addr: 52:54:00:00:00:01}}]{first}}}\n\
         - {{name: b, xname: x1c0s0b1n0, interfaces: [{{mac_addr: 52:54:00:00:00:02}}]{second}}}\n"
    )
}

fn only(result: &Value) -> &Value {
    let all = result["diagnostics"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{result:#}");
    &all[0]
}

#[test]
fn an_identity_stated_twice_is_an_error_with_both_places() {
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let swapped = "33221100-5544-7766-8899-AABBCCDDEEFF";
    let cases = [
        ("duplicate-nid", two(", nid: 7", ", nid: 7"), "NID 7"),
        ("duplicate-serial", two(", serial: A1", ", serial: A1"), "serial number A1"),
        ("duplicate-uuid", two(&format!(", uuid: {uuid}"), &format!(", uuid: {uuid}")), uuid),
        ("duplicate-uuid", two(&format!(", uuid: {uuid}"), &format!(", uuid: {swapped}")), uuid),
        ("duplicate-mac", two("", "").replace("00:02", "00:01"), "MAC 52:54:00:00:00:01"),
        ("duplicate-xname", two("", "").replace("b1n0", "b0n0"), "xname x1c0s0b0n0"),
        (
            "duplicate-ip",
            two("", "")
                .replace("00:01}", "00:01, ip_addrs: [{ip_addr: 10.0.0.1}]}")
                .replace("00:02}", "00:02, ip_addrs: [{ip_addr: 10.0.0.1}]}"),
            "address 10.0.0.1",
        ),
    ];
    for (code, text, what) in cases {
        let folder = Folder::with(&[("n.yaml", &text)]);
        let (exit, result) = folder.check_json(&["n.yaml"]);
        let problem = only(&result);
        assert_eq!((exit, problem["code"].as_str()), (1, Some(code)), "{result:#}");
        assert_eq!((&problem["line"], &problem["related"][0]["line"]), (&3.into(), &2.into()), "{code}");
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains(what) && message.ends_with("is stated for a and again for b"), "{message}");
    }
}

#[test]
fn duplicates_are_found_across_files_and_between_nodes_and_bmcs() {
    let bmc = "bmcs: [{name: m, xname: x9c0s0b0, mac: 52:54:00:be:ef:01, ip: 172.16.0.2}]\nnodes: []\n";
    let folder = Folder::with(&[("a.yaml", NODES), ("b.yaml", bmc)]);
    let (code, result) = folder.check_json(&["a.yaml", "b.yaml"]);
    assert_eq!(code, 1);
    assert_eq!(problems(&result), ["duplicate-mac@b.yaml:1:40", "duplicate-ip@b.yaml:1:63"]);
    assert_eq!(result["diagnostics"][0]["related"][0]["file"], "a.yaml");
    assert!(
        result["diagnostics"][0]["message"].as_str().unwrap().ends_with("for compute1 and again for BMC m")
    );
}

#[test]
fn two_nodes_of_one_name_are_a_warning() {
    let folder = Folder::with(&[("n.yaml", &two("", "").replace("name: b", "name: a"))]);
    let (code, result) = folder.check_json(&["n.yaml"]);
    assert_eq!((code, only(&result)["code"].as_str()), (0, Some("duplicate-name")));
}

/// [M4] The reserved address is inside the subnet, and is not the server's, the router's, the network's or
/// the broadcast address.
#[test]
fn an_address_that_contradicts_the_subnet_is_an_error() {
    let settings = "mode: reservation
interfaces: [{name: eth0, address: 172.16.0.254}]
subnets: [{subnet: 172.16.0.0/24, router: 172.16.0.253}]
nodes: n.yaml
";
    for (address, code, part) in [
        ("172.16.1.1", "address-outside", "172.16.0.0/24"),
        ("172.16.0.254", "address-of-server", "server"),
        ("172.16.0.253", "address-of-router", "router"),
        ("172.16.0.0", "address-reserved", "network address"),
        ("172.16.0.255", "address-reserved", "broadcast address"),
    ] {
        let nodes = NODES.replace("ip_addr: 172.16.0.3", &format!("ip_addr: {address}"));
        let folder = Folder::with(&[("bootlace.yaml", settings), ("n.yaml", &nodes)]);
        let (exit, result) = folder.check_json(&[]);
        let problem = only(&result);
        assert_eq!((exit, problem["code"].as_str()), (1, Some(code)), "{result:#}");
        assert_eq!(problem["source_line"].as_str(), Some(format!("      ip_addr: {address}").as_str()));
        let text = format!("{} {}", problem["message"], problem["advice"]);
        assert!(text.contains(part) && text.contains("compute3"), "{text}");
        // Without settings nothing is known of the subnet.
        assert_eq!(folder.check(&["n.yaml"]).status.code(), Some(0));
    }
}

#[test]
fn a_second_card_in_a_network_of_its_own_is_a_warning() {
    let settings = "subnets: [{subnet: 172.16.0.0/24}]\nnodes: n.yaml\n";
    let fabric = "  - mac_addr: 02:00:00:00:00:05\n    ip_addrs: [{ip_addr: 10.253.0.5}]\n";
    let folder = Folder::with(&[("bootlace.yaml", settings), ("n.yaml", &format!("{NODES}{fabric}"))]);
    let (code, result) = folder.check_json(&[]);
    assert_eq!((code, only(&result)["code"].as_str()), (0, Some("address-outside")));
}

#[test]
fn a_node_without_address_matters_only_where_addresses_are_handed_out() {
    let nodes = NODES.replace("      ip_addr: 172.16.0.3\n", "");
    let folder = Folder::with(&[("n.yaml", &nodes), ("p.yaml", "nodes: n.yaml\n")]);
    assert_eq!(folder.check(&["--strict", "p.yaml"]).status.code(), Some(0));
    folder.write("r.yaml", b"mode: reservation\nnodes: n.yaml\n");
    let (code, result) = folder.check_json(&["r.yaml"]);
    assert_eq!((code, only(&result)["code"].as_str()), (0, Some("no-address")));
}

#[test]
fn entries_and_nodes_that_do_not_find_each_other_are_warnings() {
    let boot = "- {name: one, macs: ['52:54:00:be:ef:01', '52:54:00:be:ef:02'], kernel: local}
- {name: nobody, hosts: [compute9, x9c0s0b0n0, 'x1001c*'], nids: [99], groups: [gpu], roles: [Service], kernel: local}
- {name: three, hosts: ['x1000c0s0b2n*'], kernel: local}
";
    let nodes = NODES.replace("- name: compute5\n", "- name: compute5\n  netboot: false\n");
    let folder = Folder::with(&[("n.yaml", &nodes), ("b.yaml", boot)]);
    let (code, result) = folder.check_json(&["n.yaml", "b.yaml"]);
    assert_eq!(code, 0);
    let line = NODES.lines().position(|line| line == "- name: compute4").unwrap() + 1;
    let expected =
        [format!("node-without-boot-entry@n.yaml:{line}:3"), "boot-entry-without-node@b.yaml:2:4".to_owned()];
    assert_eq!(problems(&result), expected);
    // One kind of file alone says nothing about the other.
    assert_eq!(folder.check(&["--strict", "n.yaml"]).status.code(), Some(0));
    assert_eq!(folder.check(&["--strict", "b.yaml"]).status.code(), Some(0));
}

#[test]
fn a_tie_of_two_entries_is_a_warning_that_names_the_winner() {
    let boot = "- {name: zebra, groups: [compute], kernel: local}
- {name: ant, groups: [compute], kernel: local}
- {name: fallback, hosts: [Default], kernel: local}
- {name: arm, groups: [compute], priority: -1, kernel: local}
";
    let folder = Folder::with(&[("n.yaml", NODES), ("b.yaml", boot)]);
    let (code, result) = folder.check_json(&["n.yaml", "b.yaml"]);
    let problem = only(&result);
    assert_eq!((code, problem["code"].as_str(), &problem["line"]), (0, Some("tie"), &1.into()));
    assert_eq!(problem["related"][0]["line"], 2);
    assert!(problem["advice"].as_str().unwrap().starts_with("'ant' wins by its name"), "{problem:#}");
    // A higher priority, or processors that exclude each other, settle it.
    for settled in [
        boot.replace("zebra, ", "zebra, priority: 1, "),
        boot.replace("zebra, ", "zebra, arch: arm64, ").replace("ant, ", "ant, arch: x86_64, "),
    ] {
        folder.write("b.yaml", settled.as_bytes());
        assert_eq!(folder.check(&["--strict", "n.yaml", "b.yaml"]).status.code(), Some(0), "{settled}");
    }
}

#[test]
fn a_profile_that_is_not_defined_is_an_error_where_settings_are_given() {
    let nodes = NODES.replace("- name: compute2\n", "- name: compute2\n  profile: gpus\n");
    let folder = Folder::with(&[
        ("n.yaml", &nodes),
        ("bootlace.yaml", "profiles: {gpu: {}}\nnodes: n.yaml\n"),
        ("b.yaml", "{kernel: local, profile: cpu}"),
    ]);
    let (code, result) = folder.check_json(&["--config", "bootlace.yaml", "b.yaml"]);
    let found: Vec<String> =
        problems(&result).into_iter().filter(|problem| problem.starts_with("undefined")).collect();
    assert_eq!((code, found.len()), (1, 2), "{result:#}");
    assert!(result["diagnostics"].to_string().contains("did you mean 'gpu'?"));
    assert_eq!(folder.check(&["--strict", "n.yaml"]).status.code(), Some(0));
}

#[test]
fn assets_that_are_missing_or_hidden_are_warnings() {
    let boot = "- {macs: ['52:54:00:be:ef:01'], kernel: amd64/linux, initrd: /amd64/initrd.gz}
- {hosts: [Default], kernel: apis/linux, initrd: amd64}
";
    let folder = Folder::with(&[
        ("bootlace.yaml", "assets: srv\nnodes: n.yaml\nboot: b.yaml\n"),
        ("n.yaml", NODES),
        ("b.yaml", boot),
        ("srv/amd64/linux", "kernel"),
        ("srv/apis/linux", "kernel"),
    ]);
    let (code, result) = folder.check_json(&[]);
    assert_eq!(code, 0);
    let mut found = problems(&result);
    found.sort();
    assert_eq!(
        found,
        [
            "asset-hidden@b.yaml:2:30",
            "asset-hidden@srv/apis:0:0",
            "missing-asset@b.yaml:1:62",
            "missing-asset@b.yaml:2:50"
        ]
    );
}

/// Quirk 50.
#[test]
fn an_initrd_too_large_for_bios_machines_is_a_warning() {
    let boot = "- {macs: ['52:54:00:be:ef:01'], kernel: linux, initrd: large}
- {macs: ['52:54:00:be:ef:02'], kernel: linux, initrd: large, arch: aarch64}
- {macs: ['52:54:00:be:ef:03'], kernel: linux, initrd: huge, arch: aarch64}
- {hosts: [Default], kernel: linux, initrd: small}
";
    let folder = Folder::with(&[
        ("bootlace.yaml", "assets: srv\nnodes: n.yaml\nboot: b.yaml\n"),
        ("n.yaml", NODES),
        ("b.yaml", boot),
        ("srv/linux", "kernel"),
        ("srv/small", "initrd"),
    ]);
    // Sparse: they take no space.
    for (name, size) in [("large", (1 << 30) + 1), ("huge", (4 << 30) + 1)] {
        std::fs::File::create(folder.path().join("srv").join(name)).unwrap().set_len(size).unwrap();
    }
    let (code, result) = folder.check_json(&[]);
    assert_eq!(code, 0);
    assert_eq!(problems(&result), ["large-initrd@b.yaml:1:56", "large-initrd@b.yaml:3:56"]);
}

/// The check that `serve` makes when it knows its interfaces' addresses.
#[test]
fn addresses_can_be_checked_against_subnets_known_only_at_run_time() {
    let folder = Folder::with(&[("n.yaml", NODES)]);
    let loaded = bootlace::records::load::load(&[folder.path().join("n.yaml")], &[], None, None);
    assert!(loaded.diagnostics.is_empty());
    assert_eq!(loaded.bmcs.len(), 5);
    let snapshot = loaded.snapshot.unwrap();
    let check = |net: &str, server: &str, router: Option<&str>| {
        let subnet =
            (net.parse().unwrap(), server.parse().unwrap(), router.map(|router| router.parse().unwrap()));
        let found = bootlace::records::load::address_problems(&snapshot, &[subnet]);
        found
            .iter()
            .map(|problem| (problem.code.name(), problem.is_error(), problem.line))
            .collect::<Vec<_>>()
    };
    let line = |name: &str| NODES.lines().position(|line| line == format!("- name: {name}")).unwrap() + 1;
    assert_eq!(check("172.16.0.254/24", "172.16.0.254", None), []);
    let both = [("address-of-server", true, line("compute1")), ("address-of-router", true, line("compute5"))];
    assert_eq!(check("172.16.0.0/24", "172.16.0.1", Some("172.16.0.5")), both);
    assert_eq!(check("172.16.0.0/29", "172.16.0.6", None), []);
    assert_eq!(check("10.0.0.0/8", "10.0.0.1", None).len(), 5);
    assert!(
        check("10.0.0.0/8", "10.0.0.1", None)
            .iter()
            .all(|(code, error, _)| *code == "address-outside" && !error)
    );
}
