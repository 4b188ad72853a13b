//! The real cloud-init package, in a Debian folder of its own, is a node that boots by our data.

use std::path::PathBuf;
use std::process::Command;

use bootlace::lab::sandbox::Place;
use serde_json::{Value, json};

use super::cloud_init::{defaults, logged};
use super::support::{API, Site};

const GROUP: &str = r##"## template: jinja
#cloud-config
users:
- name: builder
  shell: /bin/bash
  ssh_authorized_keys: {{ ds.meta_data.instance_data.v1.public_keys }}
write_files:
- path: /etc/bootlace-test
  content: "{{ v1.local_hostname }} {{ ds.meta_data.instance_data.v1.vendor_data.groups.compute.zone }}\n"
runcmd:
- [sh, -c, "echo {{ v1.instance_id }} > /root/ran"]
phone_home:
  url: http://172.16.0.254:8081/phone-home/$INSTANCE_ID
  post: [instance_id, hostname]
  tries: 3
"##;

/// Only the modules that the group needs: the others would look for disks, packages and a system that runs.
/// The list is what `ds-identify` makes of the kernel command line on a system that runs.
const SETTINGS: &str = "datasource_list: [NoCloud, None]
network: {config: disabled}
disable_root: false
ssh_deletekeys: false
cloud_init_modules: [write-files, set_hostname, users-groups]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user, phone-home]
";

/// The Debian folder that `scripts/setup.sh test` makes.
fn folder() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/cloud-init-root");
    let output = Command::new(script).arg("--path").output().unwrap();
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(String::from_utf8(output.stdout).unwrap().trim());
    assert!(
        folder.join("usr/bin/cloud-init").exists(),
        "{} is not there: scripts/setup.sh test",
        folder.display()
    );
    folder
}

struct Run {
    text: String,
}

impl Run {
    /// One section of what the script printed.
    fn section(&self, name: &str) -> &str {
        let start = format!("=== {name}\n");
        let (_, rest) = self.text.split_once(&start).unwrap_or_else(|| panic!("no {name}:\n{}", self.text));
        rest.split_once("\n=== ").map_or(rest, |(section, _)| section)
    }
}

/// Boots node 1 with this `s=` on its kernel command line.
fn boot(site: &Site, url: &str) -> Run {
    let settings = site.sandbox.write("settings.cfg", SETTINGS).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openchami/cloud-init-run.sh");
    let mut command = site.sandbox.command(Place::Host("n1"), "unshare");
    command.args(["--mount", "--uts", "--pid", "--fork", "--kill-child", "timeout", "300", "sh", script]);
    command.arg(folder()).arg(format!("console=ttyS0 ds=nocloud-net;s={url}")).arg(settings);
    let output = site.sandbox.output("cloud-init", &mut command).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}\n{}", String::from_utf8_lossy(&output.stderr), site.log());
    Run { text }
}

fn site() -> Site {
    let site = Site::f1();
    site.post("/cloud-init/admin/cluster-defaults", &defaults()).is(201);
    let group = json!({"name": "compute", "meta-data": {"zone": "a"}, "file": {"content": GROUP}});
    site.post("/cloud-init/admin/groups", &group).is(201);
    site
}

fn applied(site: &Site, run: &Run) {
    assert_eq!(run.section("host name"), "de01");
    let users = run.section("users");
    assert!(
        users.lines().any(|line| line.starts_with("builder:") && line.ends_with(":/bin/bash")),
        "{users}"
    );
    assert!(run.section("keys").contains("ssh-ed25519 AAAA u@h"), "{}", run.text);
    assert_eq!(run.section("file"), "de01 a");
    let instance: Value = serde_json::from_str(run.section("instance")).unwrap();
    let id = instance["v1"]["instance_id"].as_str().unwrap();
    assert_eq!(run.section("ran"), id);
    assert_eq!(instance["ds"]["meta_data"]["instance-id"], id);
    let path = "/hsm/v2/State/Components/x1000c0s0b0n0";
    assert_eq!(site.get(path).is(200).json()["State"], "Ready", "{}", run.section("log"));
}

#[test]
fn the_real_cloud_init_applies_a_groups_file() {
    let site = site();
    let run = boot(&site, "http://172.16.0.254:8081/cloud-init/");
    applied(&site, &run);
    // What `render` shows is what the node got.
    let mut command = site.sandbox.command(Place::Host("srv"), env!("CARGO_BIN_EXE_bootlace"));
    command.args(["render", "x1000c0s0b0n0", "compute", "--url", &format!("http://{API}")]);
    let output = site.sandbox.output("bootlace render", &mut command).unwrap();
    let rendered = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(rendered.starts_with("#cloud-config\n"), "{rendered}");
    assert!(rendered.contains("ssh_authorized_keys: ['ssh-ed25519 AAAA u@h']"), "{rendered}");
    assert!(rendered.contains(&format!("echo {} > /root/ran", run.section("ran"))), "{rendered}");
    let rendered: Value = serde_yaml::from_str(&rendered).unwrap();
    assert_eq!(rendered["write_files"][0]["content"], format!("{}\n", run.section("file")));
}

/// The tutorial's kernel line lacks the slash, and this cloud-init adds none.
#[test]
fn the_real_cloud_init_finds_its_data_by_a_url_without_a_slash_too() {
    let site = site();
    let run = boot(&site, "http://172.16.0.254:8081/cloud-init");
    applied(&site, &run);
    for path in ["/cloud-initmeta-data", "/cloud-init/compute.yaml"] {
        logged(&site, |entry| entry["path"] == path && entry["status"] == 200);
    }
}
