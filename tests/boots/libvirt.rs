//! The printed `virt-install` lines under a real libvirt, which needs neither systemd nor KVM here.

use std::path::Path;
use std::process::{Command, Stdio};

use bootlace::config::Mode;
use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::Place;

use crate::payload::MARKER;
use crate::vlan::{LIMIT, PARAMS, Vlan, eventually};

/// A libvirt of its own in the namespace of the bridge (whose /run is private already): private mounts over everything that it writes, and a process
/// namespace with its own /proc, since it looks its daemonised QEMU up there. The arguments are shell commands.
const SCRIPT: &str = r#"
set -eu
work=$1 cache=$2; shift 2
mkdir -p "$work/etc" "$cache" /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt
mount -t tmpfs tmpfs /var/lib/libvirt
mount -t tmpfs tmpfs /var/log/libvirt
mount --bind "$cache" /var/cache/libvirt
mount -t tmpfs tmpfs /etc/libvirt
cat > /etc/libvirt/qemu.conf <<EOF
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
stdio_handler = "file"
EOF
printf 'auth_unix_rw = "none"\nauth_unix_ro = "none"\nunix_sock_group = "root"\n' > /etc/libvirt/libvirtd.conf
libvirtd 2> "$work/libvirtd.log" &
until virsh --connect qemu:///system version >/dev/null 2>&1; do
    kill -0 $! || { echo 'libvirtd ended'; exit 1; }
    sleep 0.2
done
for line; do sh -c "$line"; done
echo 'all are started'
wait
"#;

/// The command line that `bootlace lab virt-install` prints.
fn printed(node: &str, nodes: &Path, firmware: &str, console: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bootlace"))
        .args(["lab", "virt-install", node, "--firmware", firmware, "--virt-type", "qemu", "--memory", "512"])
        .arg("--nodes")
        .arg(nodes)
        .arg(format!("--console=file={}", console.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_printed_virt_install_lines_boot_their_nodes_under_libvirt() {
    let vlan = Vlan::start(Mode::Reservation);
    let work = vlan.sandbox.work().join("libvirt");
    let console = |node: &str| work.join(format!("{node}.log"));
    std::fs::create_dir(&work).unwrap();
    let kinds = [("compute1", "bios", "172.16.0.1"), ("compute2", "uefi", "172.16.0.2")];
    let lines = kinds.map(|(node, firmware, _)| printed(node, &vlan.nodes, firmware, &console(node)));

    let script = vlan.sandbox.write("libvirt.sh", SCRIPT).unwrap();
    let mut command = vlan.sandbox.command(Place::Net, "unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
        ])
        .arg(script)
        .arg(&work)
        .arg(crate::payload::cache().join("libvirt"))
        .args(&lines)
        .stdout(Stdio::piped());
    command.stderr(Stdio::inherit());
    let mut process = vlan.sandbox.start("libvirt", &mut command).unwrap();
    let said = Journal::follow(process.child().stdout.take().unwrap(), None).unwrap();
    let libvirtd = || std::fs::read_to_string(work.join("libvirtd.log")).unwrap_or_default();
    let started = |entry: &serde_json::Value| entry["text"] == "all are started";
    said.wait_for("start of both machines", LIMIT, started)
        .unwrap_or_else(|error| panic!("{error}\n{lines:?}\n{}", libvirtd()));

    for (node, _, address) in kinds {
        let text = || String::from_utf8_lossy(&std::fs::read(console(node)).unwrap_or_default()).into_owned();
        let reached = eventually(LIMIT, || text().contains(MARKER));
        assert!(reached, "{node} said: {}\n{}", text(), vlan.log());
        assert!(text().contains(PARAMS));
        assert_eq!(vlan.address(node).to_string(), address);
    }
}
