use super::*;
use crate::config::{Diagnostic, tree};

fn read_text(text: &str) -> (EntriesFile, Vec<Diagnostic>) {
    let source = Arc::new(Source::new("some/boot.yaml", text.to_owned()));
    let mut findings = Findings::default();
    let document = tree::parse(&source, &mut findings).unwrap();
    let file = read(&document, &mut findings);
    (file, findings.into_list())
}

fn right(text: &str) -> Vec<BootEntry> {
    let (file, problems) = read_text(text);
    assert!(problems.is_empty(), "{text}: {problems:?}");
    file.entries.into_iter().map(|(entry, _)| entry).collect()
}

fn wrong(text: &str) -> (Diagnostic, String) {
    let (_, problems) = read_text(text);
    assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    let problem = problems.into_iter().next().unwrap();
    let text = format!("{} {:?} {:?}", problem.message, problem.label, problem.advice);
    (problem, text)
}

#[test]
fn a_bss_mapping_is_one_entry() {
    let text = "
kernel: 'http://172.16.0.254:9000/boot-images/vmlinuz-5.14.0'
initrd: 'http://172.16.0.254:9000/boot-images/initramfs-5.14.0.img'
params: 'nomodeset ro root=live:http://172.16.0.254:9000/x ip=dhcp ds=nocloud-net;s=http://172.16.0.254:8081/cloud-init'
macs: [52:54:00:be:ef:01, 52:54:00:be:ef:02]
nids: [1, 2]
cloud-init: {meta-data: , user-data: {a: 1}}
";
    let entries = right(text);
    let entry = &entries[0];
    assert_eq!(entry.name, "boot.yaml#1");
    assert_eq!(entry.kernel, BootFile::Url("http://172.16.0.254:9000/boot-images/vmlinuz-5.14.0".into()));
    assert!(entry.params.ends_with("/cloud-init"));
    assert_eq!((entry.selectors.macs.len(), entry.selectors.nids.as_slice()), (2, &[1, 2][..]));
    assert_eq!(entry.cloud_init, serde_json::json!({"meta-data": null, "user-data": {"a": 1}}));
    assert_eq!(entry.origin.line, 2);
}

#[test]
fn a_list_holds_several_entries_with_keys_of_ours() {
    let entries = right(
        "
- {name: gpu, groups: gpu, kernel: amd64/linux, arch: amd64, loader: snp.efi, script: gpu.ipxe, priority: 7}
- {kernel: /amd64/linux, initrd: amd64/initrd, profile: p, roles: [Service], arch: [arm64, x86_64]}
- {kernel: local, hosts: [Default]}
",
    );
    assert_eq!(
        entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
        ["gpu", "boot.yaml#2", "boot.yaml#3"]
    );
    let gpu = &entries[0];
    assert_eq!((gpu.priority, gpu.selectors.groups.as_slice()), (7, &["gpu".to_owned()][..]));
    assert_eq!(gpu.arch, [Cpu::X86_64]);
    assert_eq!((gpu.loader.as_deref(), gpu.script.as_deref()), (Some("snp.efi"), Some("gpu.ipxe")));
    assert_eq!(entries[1].kernel, BootFile::Asset("amd64/linux".into()));
    assert_eq!(entries[1].initrd, Some(BootFile::Asset("amd64/initrd".into())));
    assert_eq!(entries[1].arch, [Cpu::Arm64, Cpu::X86_64]);
    assert_eq!(entries[1].selectors.profile.as_deref(), Some("p"));
    assert_eq!(entries[2].kernel, BootFile::Local);
    assert!(entries[2].selectors.default);
}

#[test]
fn hosts_take_patterns_with_one_star_at_the_end_in_place_of_a_number() {
    let entries = right("{kernel: a, hosts: ['x1000c0s0b0n*', 'X1000C*', 'x*']}");
    assert_eq!(entries[0].selectors.patterns, ["x1000c0s0b0n", "x1000c", "x"]);
    for host in ["x1000*", "compute*", "*", "x*c0", "x1000c0s*b0n*"] {
        let (problem, text) = wrong(&format!("{{kernel: a, hosts: ['{host}']}}"));
        assert_eq!((problem.code, problem.key.as_deref()), (Code::WrongValue, Some("hosts")), "{text}");
        assert!(text.contains(host) && text.contains("x1000c0s0b0n*"), "{text}");
    }
}

#[test]
fn hosts_are_xnames_names_roles_or_the_default() {
    let entries = right("{kernel: a, hosts: [x1000c0s0b0n0, compute1, compute, Compute, Storage, default]}");
    let s = &entries[0].selectors;
    assert_eq!(s.xnames[0].as_str(), "x1000c0s0b0n0");
    assert_eq!(s.names, ["compute1", "compute"], "a role is written as SMD writes it");
    assert_eq!(s.roles, ["Compute", "Storage"]);
    assert!(s.default);
    let (problem, text) = wrong("{kernel: a, hosts: [x1000c0s0b0, n1]}");
    assert!(problem.is_error() && text.contains("xname of a BMC"), "{text}");
}

#[test]
fn an_entry_that_names_no_node_is_an_error() {
    for text in ["kernel: a", "{kernel: a, macs: [], hosts: }", "{kernel: a, arch: x86_64, groups: ''}"] {
        assert_eq!(wrong(text).0.code, Code::NoSelector, "{text}");
    }
    // A selector that is wrong is one problem, not two.
    assert_eq!(wrong("{kernel: a, macs: [zz]}").0.code, Code::WrongValue);
}

#[test]
fn a_wrong_value_is_an_error_that_says_what_is_possible() {
    for (more, code, part) in [
        ("initrd: x", Code::MissingKey, "needs a kernel"),
        ("kernel: ''", Code::MissingKey, "needs a kernel"),
        ("kernel: ../linux", Code::WrongValue, "leaves the asset folder"),
        ("kernel: a/../../b", Code::WrongValue, "leaves the asset folder"),
        ("kernel: 'http:/host/linux'", Code::WrongValue, "http://HOST/host/linux"),
        ("kernel: 'http://'", Code::WrongValue, "complete URL"),
        ("kernel: 'http://a/b c'", Code::WrongValue, "%20"),
        ("kernel: [a]", Code::WrongType, "needs text"),
        ("kernel: \"a\\nb\"", Code::ControlCharacter, "control character"),
        ("{kernel: a, initrd: local}", Code::WrongValue, "cannot be 'local'"),
        ("{kernel: a, params: \"a\\nreboot\"}", Code::ControlCharacter, "on one line"),
        ("{kernel: a, name: \"a\\tb\"}", Code::ControlCharacter, "control character"),
        ("{kernel: a, arch: vax}", Code::WrongValue, "x86_64"),
        ("{kernel: a, priority: high}", Code::WrongType, "whole number"),
        ("{kernel: a, macs: 52:54:00:00:00:01}", Code::WrongType, "macs: [52:54:00:00:00:01]"),
        ("{kernel: a, nids: [0]}", Code::WrongValue, "1 to 2147483647"),
        ("{kernel: a, loader: ../x}", Code::WrongValue, "leaves its folder"),
        ("{kernel: a, param: x}", Code::UnknownKey, "params"),
    ] {
        let text = match more.strip_prefix('{') {
            Some(rest) => format!("{{roles: [Compute], {rest}"),
            None => format!("roles: [Compute]\n{more}"),
        };
        let (problem, shown) = wrong(&text);
        assert_eq!((problem.code, problem.is_error()), (code, true), "{more}: {shown}");
        assert!(shown.contains(part), "{more}: {shown}");
    }
}

/// A block scalar's line end would split the kernel line of the script; the cure is one character.
#[test]
fn params_with_a_line_end_of_a_block_scalar_name_the_cure() {
    let (problem, text) = wrong("kernel: a\nroles: [Compute]\nparams: >\n  console=ttyS0\n  quiet\n");
    assert_eq!(problem.code, Code::ControlCharacter);
    assert!(text.contains(">-"), "{text}");
    let entries = right("kernel: a\nroles: [Compute]\nparams: >-\n  console=ttyS0\n  quiet\n");
    assert_eq!(entries[0].params, "console=ttyS0 quiet");
}

#[test]
fn what_has_no_effect_or_does_not_fit_is_a_warning() {
    let long = format!("{{kernel: a, roles: [x], params: '{}'}}", "a".repeat(2049));
    for (text, code) in [
        ("{kernel: local, roles: [x], params: quiet}", Code::Pointless),
        ("{kernel: local, roles: [x], initrd: a}", Code::Pointless),
        ("{kernel: 's3://bucket/linux', roles: [x]}", Code::UnreachableUrl),
        ("{kernel: a, roles: [x], owner: me}", Code::UnknownKey),
        (&long, Code::LongParams),
    ] {
        let (problem, shown) = wrong(text);
        assert_eq!((problem.code, problem.is_error()), (code, false), "{shown}");
    }
    right("{kernel: 'tftp://10.0.0.1/linux', roles: [x], params: '${net0/mac}'}");
}
