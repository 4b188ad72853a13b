use super::*;
use crate::config::settings::{BootfileOption, Option43, UefiOffer};

fn read_text(text: &str) -> (Written, Vec<Diagnostic>) {
    let source = Arc::new(Source::new("/etc/bootlace/bootlace.yaml", text.to_owned()));
    let mut findings = Findings::default();
    let document = tree::parse(&source, &mut findings).unwrap();
    let written = interpret(&document, &mut findings);
    (written, findings.into_list())
}

fn right(text: &str) -> Written {
    let (written, problems) = read_text(text);
    assert!(problems.is_empty(), "{text}: {problems:?}");
    written
}

/// The only problem of a text: code, key, message with advice.
fn wrong(text: &str) -> (Code, String, String) {
    let (_, problems) = read_text(text);
    assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    let problem = &problems[0];
    let advice = problem.advice.clone().unwrap_or_default();
    let label = problem.label.clone().unwrap_or_default();
    (problem.code, problem.key.clone().unwrap_or_default(), format!("{} {label} {advice}", problem.message))
}

#[test]
fn without_a_file_every_default_is_safe() {
    let settings = load(&Flags::default()).settings.unwrap();
    assert_eq!(settings.mode, Mode::Proxy);
    assert!(settings.interfaces.is_empty() && settings.subnets.is_empty());
    assert_eq!(settings.http, [HttpListen { address: None, port: 8081 }]);
    assert_eq!((settings.hostname, settings.no_boot_entry), (HostnameSource::Name, NoBootEntry::Auto));
    assert!(matches!(settings.firmware, FirmwareSource::Folder(path) if path.ends_with("bootlace/firmware")));
}

#[test]
fn every_key_reaches_the_settings() {
    let text = "
mode: reservation
interfaces: [eth0, {name: eth1, mode: proxy, address: 10.0.0.1, transport: raw, option_43: none}]
nodes: [a.yaml, /abs/b.json]
boot: boot.yaml
firmware: none
http: ['10.0.0.1:80', ':9000']
hostname: xname
no_boot_entry: wait
subnets:
- {subnet: 10.0.0.0/24, router: 10.0.0.254, dns: [10.0.0.2, 10.0.0.3], domain: example.org, lease: 2h, uefi_offer: pxe}
profiles: {gpu: {loader: snp.efi, script: gpu.ipxe, options: {224: {hex: '01ff'}}, windowsize_max: 4}, plain: }
known_servers: [10.0.0.2, 10.0.0.3]
bootfile_option: nul
blksize_max: 1024
";
    let settings = right(text).with(&Flags::default());
    assert_eq!(settings.mode, Mode::Reservation);
    assert_eq!(settings.interfaces[0].name, "eth0");
    assert_eq!(settings.known_servers, [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)]);
    let eth1 = &settings.interfaces[1];
    assert_eq!((eth1.mode, eth1.transport), (Some(Mode::Proxy), Transport::Raw));
    assert_eq!(eth1.address, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(eth1.knobs.option_43, Some(Option43::None));
    assert_eq!(settings.nodes, [Path::new("/etc/bootlace/a.yaml"), Path::new("/abs/b.json")]);
    assert_eq!(settings.boot, [Path::new("/etc/bootlace/boot.yaml")]);
    assert_eq!(settings.firmware, FirmwareSource::None);
    let listeners: Vec<String> = settings.http.iter().map(HttpListen::to_string).collect();
    assert_eq!(listeners, ["10.0.0.1:80", ":9000"]);
    assert_eq!((settings.hostname, settings.no_boot_entry), (HostnameSource::Xname, NoBootEntry::Wait));
    let subnet = &settings.subnets[0];
    assert_eq!((subnet.subnet.to_string().as_str(), subnet.lease.as_secs()), ("10.0.0.0/24", 7200));
    assert_eq!((subnet.dns.len(), subnet.domain.as_deref()), (2, Some("example.org")));
    assert_eq!(subnet.knobs.uefi_offer, Some(UefiOffer::Pxe));
    let gpu = &settings.profiles["gpu"];
    assert_eq!((gpu.loader.as_deref(), gpu.script.as_deref()), (Some("snp.efi"), Some("gpu.ipxe")));
    assert_eq!((gpu.options[0].code, gpu.options[0].value.as_slice()), (224, &[1, 255][..]));
    assert_eq!(gpu.knobs.windowsize_max, Some(4));
    assert!(settings.profiles.contains_key("plain"));
    assert_eq!(settings.knobs.bootfile_option, Some(BootfileOption::Nul));
    assert_eq!(settings.knobs.blksize_max, Some(1024));
}

#[test]
fn a_flag_wins_over_the_file_and_keeps_what_the_file_knows_of_the_interface() {
    let written =
        right("mode: proxy\ninterfaces: [{name: eth0, mode: proxy, address: 10.0.0.1}]\nhttp: ':80'\n");
    let flags = Flags {
        interfaces: Some(vec!["eth0".into(), "eth1".into()]),
        mode: Some(Mode::Reservation),
        nodes: Some(vec!["n.yaml".into()]),
        http: Some(vec![HttpListen { address: None, port: 9000 }]),
        ..Flags::default()
    };
    let settings = written.with(&flags);
    assert_eq!(settings.mode, Mode::Reservation);
    assert_eq!(settings.interfaces[0].mode, None, "--mode holds on every interface");
    assert_eq!(settings.interfaces[0].address, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(settings.interfaces[1].name, "eth1");
    assert_eq!(settings.nodes, [Path::new("n.yaml")], "paths on flags are relative to the working directory");
    assert_eq!(settings.http[0].port, 9000);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest() {
    for (text, key, near) in [
        ("moed: proxy", "moed", "did you mean 'mode'"),
        ("interfaces: [{name: eth0, adress: 10.0.0.1}]", "interfaces[0].adress", "did you mean 'address'"),
        ("subnets: [{subnet: 10.0.0.0/8, routers: 10.0.0.1}]", "subnets[0].routers", "did you mean 'router'"),
        ("profiles: {gpu: {loder: x}}", "profiles.gpu.loder", "did you mean 'loader'"),
        ("no-boot-entry: wait", "no-boot-entry", "did you mean 'no_boot_entry'"),
        ("lan: 10.0.0.0/8", "lan", "known here: mode, interfaces"),
    ] {
        let (code, at, message) = wrong(text);
        assert_eq!((code, at.as_str()), (Code::UnknownKey, key), "{text}");
        assert!(message.contains(near), "{message}");
    }
}

#[test]
fn a_word_that_is_no_mode_is_refused_with_the_list_of_modes() {
    let (code, key, message) = wrong("mode: dhcp");
    assert_eq!((code, key.as_str()), (Code::WrongValue, "mode"));
    assert!(message.contains("'dhcp' is no mode") && message.contains("reservation+proxy"), "{message}");
    assert!(wrong("observe_as: observe").2.contains("nothing to tell"));
}

#[test]
fn classes_say_whom_they_match_and_are_checked() {
    for (text, part) in [
        ("classes: [{reply_delay: 1s}]", "whom it matches"),
        ("classes: [{match: {}}]", "matches nobody in particular"),
        ("classes: [{match: {oui: '52:54'}}]", "no vendor prefix"),
        ("classes: [{match: {arch: vax}}]", "arch"),
        ("classes: [{match: {vendor: x, arch: 0}}]", "vendor"),
        ("reply_delay: 11s", "too long"),
        ("reply_delay: soon", "no duration"),
        ("ipxe_priority: 128", "-128 to 127"),
    ] {
        assert!(wrong(text).2.contains(part), "{text}: {}", wrong(text).2);
    }
}

#[test]
fn a_wrong_value_is_an_error_that_says_what_is_possible() {
    for (text, key, part) in [
        ("interfaces: [{mode: proxy}]", "interfaces[0].name", "needs its name"),
        ("interfaces: [eth0, eth0]", "interfaces", "listed twice"),
        ("interfaces: [a-name-of-sixteen]", "interfaces", "cannot be an interface's name"),
        ("interfaces: [{name: e, address: 0.0.0.0}]", "interfaces[0].address", "cannot be"),
        ("interfaces: [{name: e, address: ::1}]", "interfaces[0].address", "IPv4"),
        ("interfaces: [{name: e, transport: rwa}]", "interfaces[0].transport", "did you mean 'raw'"),
        ("nodes: [{name: n1, xname: x}]", "nodes", "write nodes: FILE"),
        ("nodes: {a: b}", "nodes", "write nodes: FILE"),
        ("http: 8081", "http", "use ADDRESS:PORT"),
        ("http: [':80', ':80']", "http", "listed twice"),
        ("hostname: fqdn", "hostname", "name, nid, xname"),
        ("subnets: [{router: 10.0.0.1}]", "subnets[0].subnet", "needs its network"),
        ("subnets: [{subnet: 10.0.0.5/24}]", "subnets[0].subnet", "the network is 10.0.0.0/24"),
        ("subnets: [{subnet: 10.0.0.0}]", "subnets[0].subnet", "10.0.0.0/24"),
        ("subnets: [{subnet: 10.0.0.0/24}, {subnet: 10.0.0.0/24}]", "subnets[1].subnet", "listed twice"),
        ("subnets: [{subnet: 10.0.0.0/24, router: 10.0.1.1}]", "subnets[0].router", "no host of"),
        ("subnets: [{subnet: 10.0.0.0/24, router: 10.0.0.255}]", "subnets[0].router", "no host of"),
        ("subnets: [{subnet: 10.0.0.0/24, lease: 3600}]", "subnets[0].lease", "90s"),
        ("subnets: [{subnet: 10.0.0.0/24, lease: 0s}]", "subnets[0].lease", "out of range"),
        ("subnets: [{subnet: 10.0.0.0/24, dns: [a]}]", "subnets[0].dns", "'a'"),
        ("subnets: [{subnet: 10.0.0.0/24, options: {no-such: x}}]", "subnets[0].options.no-such", "no-such"),
        (
            "subnets: [{subnet: 10.0.0.0/24, options: {ntp-servers: [10.0.0.1], 42: [10.0.0.1]}}]",
            "subnets[0].options.42",
            "twice",
        ),
        ("blksize_max: 4", "blksize_max", "8 to 65464"),
        ("windowsize_max: '4'", "windowsize_max", "without quotes: 4"),
        ("profiles: {a: {loader: ../x}}", "profiles.a.loader", "leaves its folder"),
        ("assets: [a]", "assets", "this is a list"),
        ("state: /dev/null", "state", "it is made if it is missing"),
        ("state: [a]", "state", "this is a list"),
    ] {
        let (_, at, message) = wrong(text);
        assert_eq!(at, key, "{text}");
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn a_missing_settings_file_gives_no_settings() {
    let loaded = load(&Flags { config: Some("/nonexistent/bootlace.yaml".into()), ..Flags::default() });
    assert!(loaded.settings.is_none());
    assert_eq!(loaded.diagnostics[0].code, Code::CannotRead);
    assert!(loaded.diagnostics[0].one_line().starts_with("/nonexistent/bootlace.yaml: error: cannot read"));
}

/// [M4]
#[test]
fn network_and_broadcast_are_no_hosts_except_in_point_to_point_networks() {
    let host = |net: &str, ip: &str| is_host(net.parse().unwrap(), ip.parse().unwrap());
    assert!(host("10.0.0.0/24", "10.0.0.1") && !host("10.0.0.0/24", "10.0.0.0"));
    assert!(!host("10.0.0.0/24", "10.0.0.255") && !host("10.0.0.0/24", "10.0.1.1"));
    assert!(host("10.0.0.0/31", "10.0.0.0") && host("10.0.0.7/32", "10.0.0.7"));
}

#[test]
fn the_keys_of_firmwares_own_ways_have_defaults_and_bounds() {
    let settings = right("mode: proxy").with(&Flags::default());
    assert_eq!(settings.raspberry_pi_menu, "Raspberry Pi Boot");
    let text = "{raspberry_pi_menu: Own, profiles: {s: {installer: onie/x.bin}}}";
    let settings = right(text).with(&Flags::default());
    assert_eq!(settings.raspberry_pi_menu, "Own");
    assert_eq!(settings.profiles["s"].installer.as_deref(), Some("onie/x.bin"));
    for text in [format!("raspberry_pi_menu: {}", "x".repeat(201)), "raspberry_pi_menu: 'é'".to_owned()] {
        let (code, key, message) = wrong(&text);
        assert_eq!((code, key.as_str()), (Code::WrongValue, "raspberry_pi_menu"), "{message}");
    }
    assert_eq!(wrong("profiles: {s: {installer: ../x}}").1, "profiles.s.installer");
}

#[test]
fn ipv6_is_switched_on_per_interface_and_an_ipv6_subnet_stands_beside_the_others() {
    let text = "dhcpv6: true\ninterfaces:\n- eth0\n- {name: eth1, dhcpv6: false, router_advertisements: true}\n\
        subnets:\n- {subnet: 10.0.0.0/24}\n- {subnet: 'fd00:1::/64', dns: ['fd00:1::53'], domain: a.example, lease: 30m}\n";
    let settings = right(text).with(&Flags::default());
    let switches: Vec<_> =
        settings.interfaces.iter().map(|own| (own.v6.serves(), own.v6.advertises())).collect();
    assert_eq!(switches, [(true, false), (false, true)]);
    assert_eq!((settings.subnets.len(), settings.v6.subnets.len()), (1, 1));
    let subnet = settings.v6.subnet_of("fd00:1::11".parse().unwrap()).unwrap();
    assert_eq!((subnet.lease.as_secs(), subnet.dns.len()), (1800, 1));
    let off = Written::default().with(&Flags { interfaces: Some(vec!["eth0".into()]), ..Flags::default() });
    assert!(!off.interfaces[0].v6.serves() && !off.interfaces[0].v6.advertises(), "off by default");
}

#[test]
fn an_ipv6_subnet_takes_nothing_that_ipv4_alone_has() {
    for (item, about) in [
        ("{subnet: 'fd00::1/64'}", "bits of a host"),
        ("{subnet: 'fd00::/200'}", "no IPv6 network"),
        ("{subnet: 'fd00::/64', router: 10.0.0.1}", "no meaning in an IPv6 subnet"),
        ("{subnet: 'fd00::/64', blksize_max: 1024}", "no meaning in an IPv6 subnet"),
        ("{subnet: 'fd00::/64', dns: [10.0.0.1]}", "10.0.0.1"),
    ] {
        let (_, _, message) = wrong(&format!("subnets: [{item}]\n"));
        assert!(message.contains(about), "{item}: {message}");
    }
}
