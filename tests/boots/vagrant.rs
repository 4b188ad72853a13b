//! The Vagrantfile, where Debian has Vagrant.

use std::path::Path;
use std::process::Command;

#[test]
fn the_vagrantfile_is_valid_where_debian_has_vagrant() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vagrant");
    let home = tempfile::tempdir().unwrap();
    let validated = Command::new("vagrant")
        .arg("validate")
        .current_dir(&folder)
        // Nothing of the user's, and nothing left in the folder.
        .env("VAGRANT_HOME", home.path())
        .env("VAGRANT_DOTFILE_PATH", home.path().join("state"))
        .env("VAGRANT_DEFAULT_PROVIDER", "libvirt")
        .output();
    let Ok(output) = validated else {
        // Not installed: right only where the release does not have it.
        let policy =
            Command::new("apt-cache").env("LC_ALL", "C").args(["policy", "vagrant-libvirt"]).output();
        let policy = policy.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let policy = policy.unwrap_or_default();
        let offered = policy.lines().any(|line| line.contains("Candidate:") && !line.contains("(none)"));
        assert!(!offered, "Debian has vagrant and it is not installed: scripts/setup.sh test");
        return;
    };
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
}
