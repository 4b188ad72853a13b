//! OVMF's own PXE client over IPv6, by the loader and the script to a running kernel.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bootlace::config::Mode;
use bootlace::lab::appliance::{Appliance, Service};
use bootlace::lab::console::Console;
use bootlace::lab::sandbox::{Place, Sandbox};

use crate::payload::{self, MARKER};
use crate::vlan::net::Overheard;

/// Several times what emulation takes on a quiet machine.
const BOOT: Duration = Duration::from_secs(300);
const NODES: &str = "
nodes:
- name: compute1
  nid: 1
  xname: x1000c0s0b0n0
  interfaces:
  - mac_addr: 52:54:00:be:ef:01
    ip_addrs: [{name: v6, ip_addr: 'fd00:1::11'}]
";

/// [S2] [S3] [S4] [S8] [S10]: firmware, iPXE and script over IPv6 alone, with one address.
#[test]
fn a_uefi_machine_boots_over_ipv6_with_the_address_of_its_record() {
    let supplies = payload::supplies();
    let sandbox = Sandbox::enter().expect("this test needs root");
    let assets = payload::tiny(&sandbox, &supplies);
    let nodes = sandbox.write("nodes.yaml", NODES).unwrap();
    let boot = "{hosts: [Default], kernel: linux, initrd: tiny.cpio, params: 'console=ttyS0 panic=-1'}\n";
    let boot = sandbox.write("boot.yaml", boot).unwrap();
    let settings = sandbox.write("bootlace.yaml", "dhcpv6: true\nrouter_advertisements: true\n").unwrap();
    sandbox.host("srv", Some("10.77.0.1/24")).unwrap();
    let add = ["ip", "addr", "add", "fd00:1::1/64", "dev", "eth0", "nodad"];
    sandbox.run(Place::Host("srv"), &add).unwrap();
    let service = Service {
        program: Path::new(env!("CARGO_BIN_EXE_bootlace")),
        mode: Mode::Reservation,
        nodes,
        boot,
        assets,
        loaders: supplies.loaders,
        more: vec!["--config".into(), settings.display().to_string()],
    };
    let mut heard = Overheard::default();
    heard.listen(&sandbox, Place::Net, "p-srv");
    let appliance = Appliance::start(&sandbox, "srv", &service, None).unwrap();
    appliance.wait_ready(BOOT).unwrap();

    let vars = sandbox.work().join("vars.fd");
    std::fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &vars).expect("package ovmf is needed");
    let tap = sandbox.tap().unwrap();
    sandbox.connect(&tap).unwrap();
    let (pipe, stdout) = std::io::pipe().unwrap();
    let code = "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd";
    let mut command = sandbox.command(Place::Net, "qemu-system-x86_64");
    command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none"]);
    command.args(["-accel", "tcg,thread=multi", "-smp", "1", "-m", "384", "-M", "q35", "-cpu", "max,-la57"]);
    command.args(["-chardev", "stdio,id=c0,signal=off", "-serial", "chardev:c0", "-drive", code]);
    command.args(["-drive", &format!("if=pflash,unit=1,format=raw,file={}", vars.display())]);
    command.args(["-device", "virtio-rng-pci"]);
    command.args(["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"]);
    command.args(["-netdev", &format!("tap,id=n0,ifname={tap},script=no,downscript=no")]);
    command.args(["-device", "virtio-net-pci,netdev=n0,mac=52:54:00:be:ef:01,bootindex=1,romfile="]);
    command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::null());
    let _machine = sandbox.start("qemu-system-x86_64", &mut command).unwrap();
    drop(command);
    let console = Console::follow(pipe, None).unwrap();
    let log = || {
        let entries = appliance.journal.entries();
        entries.iter().map(|entry| format!("{entry}\n")).collect::<String>()
    };
    console.wait_for(&[MARKER], BOOT).unwrap_or_else(|error| panic!("{error}\n{}", log()));

    let found = |what: &str, wanted: &dyn Fn(&serde_json::Value) -> bool| {
        appliance
            .journal
            .entries()
            .into_iter()
            .find(|entry| wanted(entry))
            .unwrap_or_else(|| panic!("{what}:\n{}", log()))
    };
    let url = "tftp://[fd00:1::1]/snponly-x86_64.efi";
    let offered = found("the URL", &|entry| entry["reply"]["boot_file_url"] == url);
    assert_eq!(
        (offered["node"].as_str(), offered["reply"]["addresses"][0].as_str()),
        (Some("compute1"), Some("fd00:1::11"))
    );
    let loader = found("the loader", &|entry| entry["event"] == "tftp" && entry["outcome"] == "sent");
    assert_eq!(loader["node"], "compute1");
    let script = found("the script", &|entry| entry["what"] == "script");
    assert!(script["peer"].as_str().unwrap().starts_with("[fd00:1::11]:"), "{script}");
    // Every stage that was given an address was given the same.
    for entry in appliance.journal.entries() {
        for address in entry["reply"]["addresses"].as_array().into_iter().flatten() {
            assert_eq!(address, "fd00:1::11", "{entry}");
        }
    }
    assert!(!appliance.journal.entries().iter().any(|entry| entry["verdict"] == "send-failed"), "{}", log());
    heard.judge();
}
