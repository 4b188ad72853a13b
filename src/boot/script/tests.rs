use super::*;
use crate::boot::fixture::{self, INITRD, KERNEL, PARAMS};
use crate::boot::template::Templates;
use crate::config::Profile;

const BASE: &str = "http://172.16.0.254:8081";

fn ask(who: Who) -> ScriptRequest {
    let (base, path) = (BASE.to_owned(), "/boot/v1/bootscript".to_owned());
    ScriptRequest { who, retry: 0, arch: None, base, path, local: None }
}

fn ask_mac(text: &str) -> ScriptRequest {
    ask(Who::mac(text))
}

/// The script's lines without those that only print.
fn lines(script: &Script) -> Vec<&str> {
    script.text.lines().filter(|line| !line.starts_with("echo")).collect()
}

#[test]
fn the_tutorials_node_1_gets_the_lines_of_the_reference_in_their_order() {
    let world = fixture::world(vec![fixture::node(1)], vec![fixture::entry("debug", &[1, 2])]);
    let script = bootscript(&world, &ask_mac("52:54:00:be:ef:01"));
    let kernel = format!(
        "kernel --name kernel {KERNEL} initrd=initrd {PARAMS} xname=x1000c0s0b0n0 nid=1 \
         BOOTIF=01-52-54-00-be-ef-01 || goto boot_retry"
    );
    let expected = [
        "#!ipxe",
        &kernel,
        &format!("initrd --name initrd {INITRD} || goto boot_retry"),
        "boot || goto boot_retry",
        ":boot_retry",
        "sleep 30",
        "chain http://172.16.0.254:8081/boot/v1/bootscript?mac=52:54:00:be:ef:01&retry=1",
        "",
    ];
    assert_eq!(lines(&script), expected);
    assert_eq!((script.entry.as_deref(), script.by), (Some("debug"), Some(SelectorKind::Mac)));
    assert_eq!(script.node.as_deref(), Some("compute1"));
}

#[test]
fn a_script_asked_by_name_or_nid_has_no_bootif_and_chains_by_mac() {
    let mut entry = fixture::entry("kx", &[4]);
    (entry.kernel, entry.initrd, entry.params) = (BootFile::Url("http://h/kx".into()), None, String::new());
    let world = fixture::world(vec![fixture::node(4)], vec![entry]);
    for who in [Who::Name("X1000c0s0b3n0".into()), Who::Name("compute4".into()), Who::Nid(4)] {
        let script = bootscript(&world, &ask(who));
        assert_eq!(
            lines(&script),
            [
                "#!ipxe",
                "kernel --name kernel http://h/kx xname=x1000c0s0b3n0 nid=4 || goto boot_retry",
                "boot || goto boot_retry",
                ":boot_retry",
                "sleep 30",
                "chain http://172.16.0.254:8081/boot/v1/bootscript?mac=52:54:00:be:ef:04&retry=1",
                "",
            ]
        );
    }
}

#[test]
fn bootif_keeps_the_letters_of_the_request_and_every_spelling_is_understood() {
    let world = fixture::world(vec![fixture::node(1)], vec![fixture::entry("debug", &[1])]);
    for (asked, bootif) in [
        ("52:54:00:BE:EF:01", "BOOTIF=01-52-54-00-BE-EF-01 "),
        ("52-54-00-be-ef-01", "BOOTIF=01-52-54-00-be-ef-01 "),
        ("525400beef01", "BOOTIF=01-52-54-00-be-ef-01 "),
    ] {
        assert!(bootscript(&world, &ask_mac(asked)).text.contains(bootif), "{asked}");
    }
}

/// `Default` is for known nodes.
#[test]
fn an_unknown_mac_waits_and_never_gets_the_default_entry() {
    let mut default = fixture::entry("all", &[]);
    default.selectors.default = true;
    let world = fixture::world(vec![fixture::node(1)], vec![default, fixture::entry("named", &[9])]);
    assert!(bootscript(&world, &ask_mac("52:54:00:be:ef:01")).boot.is_some());

    let script = bootscript(&world, &ask_mac("52:54:00:00:00:99"));
    assert_eq!((script.reason, script.boot), (Some(Reason::UnknownMac), None));
    assert!(
        script.text.contains("echo bootlace: MAC 52:54:00:00:00:99 is in no node record"),
        "{}",
        script.text
    );
    let url = format!("{BASE}/boot/v1/bootscript?mac=52:54:00:00:00:99&retry=1");
    assert!(script.text.ends_with(&format!(":again\necho bootlace: asking {BASE} again in 10 s\nsleep 10\nchain --autofree --replace {url} || goto again\n")), "{}", script.text);
    let named = bootscript(&world, &ask_mac("52:54:00:be:ef:09"));
    assert!(named.text.contains("boot entry named names this MAC"), "{}", named.text);
}

#[test]
fn waiting_grows_longer_and_stays_bounded() {
    let world = fixture::world(vec![fixture::node(1)], vec![]);
    for (retry, delay) in [(0, 10), (1, 20), (5, 60), (u32::MAX, 60)] {
        let script = bootscript(&world, &ScriptRequest { retry, ..ask_mac("52:54:00:be:ef:01") });
        assert_eq!(script.reason, Some(Reason::NoBootEntry));
        assert!(script.text.contains(&format!("\nsleep {delay}\n")), "{}", script.text);
    }
}

#[test]
fn a_node_that_shall_not_netboot_is_told_so_and_goes_on_to_its_next_device() {
    let node = Node { netboot: false, ..fixture::node(1) };
    let world = fixture::world(vec![node], vec![fixture::entry("debug", &[1])]);
    let script = bootscript(&world, &ask_mac("52:54:00:be:ef:01"));
    assert_eq!((script.reason, script.entry.clone()), (Some(Reason::NetbootOff), None));
    assert!(script.text.contains("netboot: false") && script.text.ends_with("exit 1\n"), "{}", script.text);
}

#[test]
fn a_disabled_node_waits_and_is_told_that_it_is_disabled() {
    let node = Node { disabled: true, ..fixture::node(1) };
    let world = fixture::world(vec![node.clone()], vec![fixture::entry("debug", &[1])]);
    let script = bootscript(&world, &ask_mac("52:54:00:be:ef:01"));
    assert_eq!((script.reason, script.entry.clone()), (Some(Reason::NodeDisabled), None));
    assert!(script.text.contains("compute1 waits: it is disabled"), "{}", script.text);
    assert!(script.text.contains("\nsleep 10\n") && script.text.contains("retry=1"), "{}", script.text);
    assert!(!script.text.contains(fixture::KERNEL) && script.boot.is_none());
    // Its own disk is a file's decision, which stands above.
    let off = fixture::world(vec![Node { netboot: false, ..node }], vec![]);
    assert_eq!(bootscript(&off, &ask_mac("52:54:00:be:ef:01")).reason, Some(Reason::NetbootOff));
}

#[test]
fn a_local_boot_is_chosen_on_the_node_by_its_firmware() {
    let mut entry = fixture::entry("disk", &[1]);
    entry.kernel = BootFile::Local;
    let script =
        bootscript(&fixture::world(vec![fixture::node(1)], vec![entry]), &ask_mac("52:54:00:be:ef:01"));
    assert_eq!(
        lines(&script),
        [
            "#!ipxe",
            "iseq ${platform} efi && goto uefi ||",
            "sanboot --no-describe --drive 0x80 || exit",
            "exit",
            ":uefi",
            "exit 1"
        ]
    );
    assert_eq!(script.json().unwrap()["kernel"]["path"], "local");
}

#[test]
fn an_asset_becomes_a_url_at_the_address_the_client_used() {
    let mut entry = fixture::entry("debian", &[1]);
    entry.kernel = BootFile::Asset("amd64/my kernel#1".to_owned());
    entry.initrd = Some(BootFile::Asset("/amd64/initrd.gz".to_owned()));
    let world = fixture::world(vec![fixture::node(1)], vec![entry]);
    let request = ScriptRequest { base: "http://10.9.0.1:80".into(), ..ask_mac("52:54:00:be:ef:01") };
    let text = bootscript(&world, &request).text;
    assert!(
        text.contains("kernel --name kernel http://10.9.0.1:80/amd64/my%20kernel%231 initrd=initrd "),
        "{text}"
    );
    assert!(text.contains("initrd --name initrd http://10.9.0.1:80/amd64/initrd.gz ||"), "{text}");
}

#[test]
fn the_json_form_carries_the_same_parameters() {
    let world = fixture::world(vec![fixture::node(1)], vec![fixture::entry("debug", &[1])]);
    let json = bootscript(&world, &ask_mac("52:54:00:be:ef:01")).json().unwrap();
    assert_eq!(json["kernel"]["path"], KERNEL);
    assert_eq!(json["initrd"]["path"], INITRD);
    let params =
        format!("kernel initrd=initrd {PARAMS} xname=x1000c0s0b0n0 nid=1 BOOTIF=01-52-54-00-be-ef-01");
    assert_eq!(json["params"], params);
    assert_eq!(bootscript(&world, &ask_mac("52:54:00:00:00:99")).json(), None);
}

#[test]
fn parameters_cannot_end_the_line_or_the_command() {
    let mut entry = fixture::entry("odd", &[1]);
    entry.params = "a || b\nsanboot #c".to_owned();
    let script =
        bootscript(&fixture::world(vec![fixture::node(1)], vec![entry]), &ask_mac("52:54:00:be:ef:01"));
    let lines = lines(&script);
    assert_eq!(&lines[..3], ["#!ipxe", "set bar:hex 7c", "set hash:hex 23"]);
    assert!(lines[3].contains(" a ${bar:string}| b sanboot ${hash:string}c xname="), "{}", lines[3]);
    assert!(lines[3].ends_with(" || goto boot_retry"));
}

#[test]
fn hints_about_the_kernel_line_stand_on_the_console_and_in_the_log() {
    let mut entry = fixture::entry("odd", &[1]);
    entry.params = format!("ip=${{ip}} {}", "x".repeat(3000));
    entry.kernel = BootFile::Url("s3://bucket/kernel".into());
    let script =
        bootscript(&fixture::world(vec![fixture::node(1)], vec![entry]), &ask_mac("52:54:00:be:ef:01"));
    assert_eq!(script.notes.len(), 3, "{:?}", script.notes);
    for note in &script.notes {
        assert!(script.text.contains(&format!("echo bootlace: {note}\n")), "{}", script.text);
    }
}

#[test]
fn the_processor_decides_and_is_asked_for_only_when_it_matters() {
    let entries = vec![fixture::default_for("arm", Cpu::Arm64), fixture::default_for("x86", Cpu::X86_64)];
    let world = fixture::world(vec![fixture::node(1)], entries);
    let with = |arch: Option<&str>| {
        let request = ScriptRequest { arch: arch.map(str::to_owned), ..ask_mac("52:54:00:be:ef:01") };
        bootscript(&world, &request)
    };
    assert_eq!(with(Some("arm64")).entry.as_deref(), Some("arm"));
    assert_eq!(with(Some("x86_64")).entry.as_deref(), Some("x86"));
    assert_eq!(with(Some("i386")).entry.as_deref(), Some("x86"), "a BIOS iPXE says i386 on 64 bit");
    assert_eq!(with(Some("riscv64")).reason, Some(Reason::NoBootEntry));
    let asked = with(None);
    assert_eq!(asked.entry, None);
    let url = format!("{BASE}/boot/v1/bootscript?mac=52:54:00:be:ef:01&retry=0&arch=${{arch}}");
    assert!(asked.text.contains(&format!("chain --autofree --replace {url} ||")), "{}", asked.text);

    let one = fixture::world(vec![fixture::node(1)], vec![fixture::default_for("x86", Cpu::X86_64)]);
    assert_eq!(bootscript(&one, &ask_mac("52:54:00:be:ef:01")).entry.as_deref(), Some("x86"));
}

#[test]
fn a_template_is_named_by_the_entry_else_by_the_profile() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["entry", "profile"] {
        std::fs::write(folder.path().join(format!("{name}.ipxe")), format!("#!ipxe\necho {name}\n")).unwrap();
    }
    let node = Node { profile: Some("gpu".to_owned()), ..fixture::node(1) };
    let mut by_entry = fixture::entry("own", &[2]);
    by_entry.script = Some("entry".to_owned());
    let second = Node { profile: Some("gpu".to_owned()), ..fixture::node(2) };
    let mut world = fixture::world(vec![node, second], vec![fixture::entry("plain", &[1]), by_entry]);
    world.templates = Templates::load(Some(folder.path())).unwrap().into();
    let profile = Profile { script: Some("profile.ipxe".to_owned()), ..Profile::default() };
    world.settings.profiles.insert("gpu".to_owned(), profile);
    assert_eq!(bootscript(&world, &ask_mac("52:54:00:be:ef:01")).text, "#!ipxe\necho profile\n");
    assert_eq!(bootscript(&world, &ask_mac("52:54:00:be:ef:02")).text, "#!ipxe\necho entry\n");
}

#[test]
fn a_template_that_fails_tells_the_node_and_the_log_and_asks_again() {
    let mut entry = fixture::entry("odd", &[1]);
    entry.script = Some("absent".to_owned());
    let script =
        bootscript(&fixture::world(vec![fixture::node(1)], vec![entry]), &ask_mac("52:54:00:be:ef:01"));
    assert!(script.problem.is_some());
    assert!(script.text.contains("echo bootlace: script template absent: there is no such template\n"));
    assert!(script.text.ends_with("mac=52:54:00:be:ef:01&retry=1 || goto again\n"), "{}", script.text);
}

#[test]
fn a_hostile_name_stays_inside_its_line() {
    let world = fixture::world(vec![], vec![]);
    let script = bootscript(&world, &ask(Who::Name("x'\nexit 1 || ${net0/mac}".to_owned())));
    assert!(!script.text.contains("\nexit"), "{}", script.text);
    assert!(!script.text.contains("${net0"), "{}", script.text);
    assert!(
        script.text.contains("?name=x%27%0Aexit%201%20%7C%7C%20%24%7Bnet0%2Fmac%7D&retry=1"),
        "{}",
        script.text
    );
}

/// The script door agrees with DHCP: an unknown MAC gets `Default` where the mode is auto-proxy, nowhere else.
#[test]
fn an_unknown_mac_gets_the_default_entry_in_auto_proxy_only() {
    let local = std::net::IpAddr::from([172, 16, 0, 254]);
    let at = |mode, asked| {
        let mut world =
            fixture::world(vec![fixture::node(1)], vec![fixture::default_for("rescue", Cpu::X86_64)]);
        world.settings.mode = crate::config::Mode::Proxy;
        world.settings.interfaces = vec![crate::config::InterfaceSettings {
            name: "eth1".into(),
            mode: Some(mode),
            served_at: Some(std::net::Ipv4Addr::new(172, 16, 0, 254)),
            ..Default::default()
        }];
        let request = ScriptRequest { local: Some(asked), ..ask_mac("52:54:00:99:99:99") };
        let script = bootscript(&world, &ScriptRequest { arch: Some("x86_64".into()), ..request });
        (script.entry, script.reason)
    };
    for mode in crate::config::Mode::ALL {
        let expected = match mode {
            crate::config::Mode::AutoProxy => (Some("rescue".to_owned()), None),
            _ => (None, Some(Reason::UnknownMac)),
        };
        assert_eq!(at(mode, local), expected, "{}", mode.name());
    }
}
