use super::*;
use crate::config::{Diagnostic, Mode, tree};
use proptest::prelude::*;

fn read_text(text: &str) -> (NodesFile, Vec<Diagnostic>) {
    let source = Arc::new(Source::new("nodes.yaml", text.to_owned()));
    let mut findings = Findings::default();
    let document = tree::parse(&source, &mut findings).unwrap_or_else(|| panic!("no YAML: {text}"));
    let file = read(&document, &mut findings);
    (file, findings.into_list())
}

fn right(text: &str) -> NodesFile {
    let (file, problems) = read_text(text);
    assert!(problems.is_empty(), "{text}: {problems:?}");
    file
}

/// A node with what it needs, and `more`.
fn node_with(more: &str) -> String {
    format!(
        "nodes: [{{name: n1, xname: x1000c0s0b0n0, interfaces: [{{mac_addr: 52:54:00:00:00:01}}], {more}}}]"
    )
}

fn wrong(text: &str) -> Diagnostic {
    let (_, problems) = read_text(text);
    assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn every_key_of_a_node_reaches_the_record() {
    let text = "
nodes:
- name: n1
  nid: 7
  xname: X1000C0S0B0N0
  uuid: 00112233-4455-6677-8899-aabbccddeeff
  serial: ABC123
  arch: x64-uefi
  role: Service
  subrole: Worker
  netboot: no
  profile: gpu
  options: {224: {hex: '68'}}
  mode: proxy
  loader: /snp.efi
  extra: {rack: 7, tags: [a, b]}
  blksize_max: 1024
  groups: [compute, gpu, compute]
  interfaces:
  - mac_addr: 52-54-00-BE-EF-01
    ip_addrs: [{name: mgmt, ip_addr: 'fd00::1'}, {name: mgmt, ip_addr: 172.16.0.1}]
  - mac_addr: 5254.0012.3456
";
    let file = right(text);
    let node = &file.nodes[0].0;
    assert_eq!((node.name.as_deref(), node.nid), (Some("n1"), Some(7)));
    assert_eq!(node.xname.as_ref().unwrap().as_str(), "x1000c0s0b0n0");
    assert_eq!(node.uuid.unwrap().to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    assert_eq!(node.serial.as_deref(), Some("ABC123"));
    assert_eq!(node.arch, Some(NodeArch::Code(Arch(7))));
    assert_eq!((node.role.as_deref(), node.subrole.as_deref()), (Some("Service"), Some("Worker")));
    assert!(!node.netboot);
    assert_eq!((node.profile.as_deref(), node.mode), (Some("gpu"), Some(Mode::Proxy)));
    assert_eq!((node.options[0].code, node.loader.as_deref()), (224, Some("snp.efi")));
    assert_eq!(node.extra, serde_json::json!({"rack": 7, "tags": ["a", "b"]}));
    assert_eq!(node.knobs.blksize_max, Some(1024));
    assert_eq!(node.groups, ["compute", "gpu"]);
    assert_eq!(node.nics.len(), 2);
    assert_eq!(node.nics[0].ipv4().unwrap().to_string(), "172.16.0.1");
    assert_eq!(node.origin.line, 3);
}

#[test]
fn both_forms_and_json_give_the_same_nodes() {
    let new = "
bmcs: [{xname: x1000c0s0b0, mac: 'de:ca:fc:0f:fe:e1', ip: 172.16.0.101}]
nodes: [{name: n1, nid: 1, xname: x1000c0s0b0n0, bmc: 'DE:CA:FC:0F:FE:E1', groups: [compute],
  interfaces: [{mac_addr: '52:54:00:be:ef:01', ip_addrs: [{name: mgmt, ip_addr: 172.16.0.1}]}]}]
";
    let old = "
nodes: [{name: n1, nid: 1, xname: x1000c0s0b0n0, group: compute,
  bmc_mac: 'de:ca:fc:0f:fe:e1', bmc_ip: 172.16.0.101,
  interfaces: [{mac_addr: '52:54:00:be:ef:01', ip_addrs: [{network: mgmt, ip_addr: 172.16.0.1}]}]}]
";
    let source = Arc::new(Source::new("n", new.to_owned()));
    let json = tree::parse(&source, &mut Findings::default()).unwrap().root.to_json().to_string();
    let show = |text: &str| {
        let file = right(text);
        let (node, bmc) = (&file.nodes[0].0, &file.bmcs[0].0);
        format!(
            "{:?} {:?} {:?} {:?} {:?} / {:?} {:?} {:?}",
            node.name, node.nid, node.xname, node.nics, node.groups, bmc.xname, bmc.mac, bmc.ip
        )
    };
    assert_eq!(show(new), show(old));
    assert_eq!(show(new), show(&json));
}

#[test]
fn one_node_with_bmc_ip_makes_the_whole_file_the_deprecated_form() {
    let text = "
bmcs: []
nodes:
- {name: a, xname: x1000c0s0b0n0, bmc: nobody, interfaces: [{mac_addr: 52:54:00:00:00:01}]}
- {name: b, xname: x1000c0s0b1n0, bmc_ip: 10.0.0.2, interfaces: [{mac_addr: 52:54:00:00:00:02}]}
";
    let (file, problems) = read_text(text);
    assert_eq!(file.nodes.len(), 2);
    let found: Vec<_> =
        problems.iter().map(|problem| (problem.line, problem.code, problem.is_error())).collect();
    assert_eq!(found, [(2, Code::WrongForm, false), (4, Code::WrongForm, false)], "{problems:?}");
    // bmc_fqdn alone does not select it.
    let problem = wrong(&node_with("bmc_fqdn: a.example"));
    assert_eq!((problem.code, problem.is_error()), (Code::WrongForm, false));
}

#[test]
fn nodes_of_the_deprecated_form_may_share_a_bmc() {
    let node = |n: u8, ip: &str| {
        format!(
            "- {{name: n{n}, xname: x1000c0s0b0n{n}, bmc_mac: 'de:ca:fc:0f:fe:e1', bmc_ip: {ip}, \
             interfaces: [{{mac_addr: '52:54:00:00:00:0{n}'}}]}}\n"
        )
    };
    let file = right(&format!("nodes:\n{}{}", node(1, "10.0.0.1"), node(2, "10.0.0.1")));
    assert_eq!(file.bmcs.len(), 1);
    assert_eq!(file.bmcs[0].0.xname.as_ref().unwrap().as_str(), "x1000c0s0b0");
    let problem = wrong(&format!("nodes:\n{}{}", node(1, "10.0.0.1"), node(2, "10.0.0.2")));
    assert_eq!((problem.line, problem.related[0].line), (3, 2));
}

/// What the reference's command line takes without a word, although it may drop it.
#[test]
fn every_shape_that_ochami_accepts_is_accepted() {
    for text in [
        "nodes: []",
        "bmcs: []\nnodes:\n",
        "bmcs: [{xname: x1000c0s0b0}]",
        "nodes: [{name: '', xname: x1c0s0b0n0, nid: 0, groups: [], interfaces: [{mac_addr: 52:54:00:00:00:01, ip_addrs: []}]}]",
        "nodes: [{name: 1, xname: x1c0s0b0n0, interfaces: [{mac_addr: 52:54:00:00:00:01, ip_addrs: [{name: a, ip_addr: ''}]}]}]",
        "x: &i [{mac_addr: 52:54:00:00:00:01}]\nnodes: [{name: a, xname: x1c0s0b0n0, interfaces: *i}]",
    ] {
        let (_, problems) = read_text(text);
        assert!(problems.iter().all(|problem| !problem.is_error()), "{text}: {problems:?}");
    }
}

#[test]
fn a_wrong_value_is_an_error_at_its_place() {
    for (more, code, part) in [
        ("xname2: x", Code::UnknownKey, "xname"),
        ("nid: -1", Code::WrongValue, "out of range"),
        ("nid: 3000000000", Code::WrongValue, "out of range"),
        ("nid: '1'", Code::WrongType, "without quotes"),
        ("nid: 1.5", Code::WrongType, "whole number"),
        ("groups: compute", Code::WrongType, "groups: [compute]"),
        ("uuid: 1234", Code::WrongValue, "is not a UUID"),
        ("arch: vax", Code::WrongValue, "no architecture"),
        ("mode: dhcp", Code::WrongValue, "is no mode"),
        ("netboot: maybe", Code::WrongType, "true or false"),
        ("extra: [a]", Code::WrongType, "mapping"),
        ("options: [a]", Code::WrongType, "mapping"),
        ("bmc: nobody", Code::UnknownBmc, "no BMC 'nobody'"),
        ("role: \"a\\nb\"", Code::ControlCharacter, "control character"),
        ("blksize_max: 70000", Code::WrongValue, "8 to 65464"),
        ("group: compute", Code::UnknownKey, "groups"),
    ] {
        let problem = wrong(&node_with(more));
        let text = format!("{} {:?} {:?}", problem.message, problem.label, problem.advice);
        assert_eq!((problem.code, problem.is_error()), (code, true), "{more}: {text}");
        assert!(text.contains(part), "{more}: {text}");
        assert!(problem.column > node_with("").len() - 3, "{more}: points at the value, not at the record");
    }
}

#[test]
fn addresses_and_macs_are_checked() {
    for (card, part) in [
        ("{mac_addr: 52:54:00:00:00}", "12 hexadecimal digits"),
        ("{mac_addr: 01:00:5e:00:00:01}", "group"),
        ("{mac_addr: 52:54:00:00:00:01, ip_addrs: [{ip_addr: 172.16.0.1/24}]}", "172.16.0.1"),
        ("{mac_addr: 52:54:00:00:00:01, ip_addrs: [{ip_addr: 224.0.0.1}]}", "no machine can have"),
        ("{mac_addr: 52:54:00:00:00:01, ip_addrs: [172.16.0.1]}", "{ip_addr: 172.16.0.1}"),
        ("{mac_addr: 52:54:00:00:00:01, ip_addr: 172.16.0.1}", "ip_addrs"),
        ("52:54:00:00:00:01", "mapping"),
    ] {
        let problem = wrong(&format!("nodes: [{{name: n, xname: x1c0s0b0n0, interfaces: [{card}]}}]"));
        let text = format!("{} {:?}", problem.message, problem.advice);
        assert!(problem.is_error() && text.contains(part), "{card}: {text}");
    }
}

#[test]
fn a_node_needs_something_to_be_found_by_and_a_name() {
    let problem = wrong("nodes: [{name: n, xname: x1c0s0b0n0}]");
    assert_eq!((problem.code, problem.is_error()), (Code::NoIdentity, true));
    right("nodes: [{name: n, xname: x1c0s0b0n0, uuid: 00112233-4455-6677-8899-aabbccddeeff}]");
    right("nodes: [{name: n, xname: x1c0s0b0n0, serial: A1}]");
    let problem = wrong("nodes: [{nid: 1, interfaces: [{mac_addr: 52:54:00:00:00:01}]}]");
    assert_eq!((problem.code, problem.is_error()), (Code::NoIdentity, true));
    let problem = wrong("nodes: [{name: n, interfaces: [{mac_addr: 52:54:00:00:00:01}]}]");
    assert_eq!((problem.code, problem.is_error()), (Code::MissingXname, false));
    let (_, problems) =
        read_text("nodes: [{name: n, xname: x1c0s0b0n0, uuid: 03000200-0400-0500-0006-000700080009}]");
    assert_eq!(
        problems.iter().filter(|problem| problem.is_error()).count(),
        1,
        "a shared UUID is no identity"
    );
    // An interface without MAC is skipped with a warning.
    let (file, problems) =
        read_text("nodes: [{name: n, xname: x1c0s0b0n0, serial: A, interfaces: [{mac_addr: ''}]}]");
    assert_eq!((file.nodes[0].0.nics.len(), problems[0].code), (0, Code::MissingMac));
}

#[test]
fn a_bmcs_xname_on_a_node_is_explained() {
    let problem =
        wrong("nodes: [{name: n, xname: x1000c0s0b0, interfaces: [{mac_addr: 52:54:00:00:00:01}]}]");
    assert!(problem.message.contains("xname of a BMC"), "{}", problem.message);
    assert_eq!(problem.advice.as_deref(), Some("its first node is x1000c0s0b0n0"));
}

#[test]
fn a_typo_is_an_error_and_a_foreign_key_a_warning() {
    let problem = wrong(&node_with("serail: A"));
    assert_eq!((problem.code, problem.is_error()), (Code::UnknownKey, true));
    let problem = wrong(&node_with("location: rack7"));
    assert_eq!((problem.code, problem.is_error()), (Code::UnknownKey, false));
    let problem = wrong("version: 2\nnodes: []");
    assert!(!problem.is_error());
    // One mistake is one problem: the missing MAC follows from the typo.
    let problem = wrong("nodes: [{name: n, xname: x1c0s0b0n0, interface: [{mac_addr: 52:54:00:00:00:01}]}]");
    assert_eq!(problem.label.as_deref(), Some("did you mean 'interfaces'?"));
}

#[test]
fn records_outside_of_the_key_nodes_are_explained() {
    for text in
        ["- {name: n, xname: x1c0s0b0n0}", "{name: n, xname: x1c0s0b0n0, interfaces: []}", "just text"]
    {
        assert!(wrong(text).message.contains("under the key nodes:"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// Any damage to a good file ends in diagnostics, never in a panic.
    #[test]
    fn a_damaged_file_is_read_without_panic(cut in 0usize..4000, insert in "[ -~\n\tä]{0,6}", skip in 0usize..40) {
        for good in [
            include_str!("../../../config/nodes.yaml"),
            include_str!("../../../config/nodes-old-form.yaml"),
            include_str!("../../../config/boot.yaml"),
            include_str!("../../../config/bootlace.yaml"),
        ] {
            // The examples are ASCII, so every byte is a character.
            let at = cut.min(good.len());
            let after = (at + skip).min(good.len());
            let text = format!("{}{insert}{}", &good[..at], &good[after..]);
            let source = Arc::new(Source::new("f", text));
            let mut findings = Findings::default();
            if let Some(document) = tree::parse(&source, &mut findings) {
                read(&document, &mut findings);
                super::super::boot_file::read(&document, &mut findings);
                crate::config::file::interpret(&document, &mut findings);
            }
            crate::config::diagnostic::render(&findings.into_list(), false);
        }
    }
}

/// Option 61 is matched byte by byte: as text, or in hexadecimal digits.
#[test]
fn a_client_id_is_a_text_or_bytes_and_identifies_a_node_by_itself() {
    let of = |more: &str| right(&node_with(more)).nodes[0].0.client_id.clone();
    assert_eq!(of("client_id: rack7"), Some(b"rack7".to_vec()));
    assert_eq!(of("client_id: {hex: 'ff00beef'}"), Some(vec![0xff, 0, 0xbe, 0xef]));
    for text in ["client_id: {hex: f}", "client_id: {text: ab}", "client_id: [1]"] {
        assert!(!read_text(&node_with(text)).1.is_empty(), "{text}");
    }
    let alone = right("nodes: [{name: n1, xname: x1000c0s0b0n0, client_id: rack7}]");
    assert_eq!(alone.nodes.len(), 1);
    let installer = right(&node_with("installer: 'http://files/onie.bin'"));
    assert_eq!(installer.nodes[0].0.installer.as_deref(), Some("http://files/onie.bin"));
}
