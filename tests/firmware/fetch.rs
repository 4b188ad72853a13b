//! The command: fetching, proving, listing.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{ARM64, Machine, X64, efi, firmware, json, stderr};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder of a user's loaders.
fn own_loaders() -> tempfile::TempDir {
    let own = tempfile::tempdir().unwrap();
    fs::write(own.path().join("undionly.kpxe"), "bios").unwrap();
    fs::write(own.path().join("ipxe.efi"), efi(X64, "x64")).unwrap();
    fs::write(own.path().join("notes.txt"), "not a loader").unwrap();
    own
}

/// The real archive: iPXE of Debian's newest stable release, checked against the signed index.
#[test]
fn loaders_of_the_newest_stable_release_are_fetched_and_proved() {
    let home = tempfile::tempdir().unwrap();
    let to = home.path().join("fw");
    let machine = Machine::new();
    let before = machine.state();
    let done = machine.firmware(home.path(), &["fetch", "--to", text(&to)]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(machine.state(), before, "the machine's own package state was touched");
    assert!(!to.join(".incoming").exists());

    let list = json(&firmware(home.path(), &["list", "--json", "--dir", text(&to)]));
    let rows = list["architectures"].as_array().unwrap();
    assert_eq!(rows.len(), 42);
    for code in [0, 7, 9, 11, 16, 19, 20, 27, 39] {
        assert_eq!(rows[code]["status"], "present", "{}", rows[code]);
        assert!(rows[code]["version"].is_string(), "{}", rows[code]);
    }
    // Debian 12's iPXE of 2019 is not what is wanted, whatever this machine runs.
    let release: f64 = list["source"]["release"].as_str().unwrap().parse().unwrap();
    assert!(release >= 13.0, "{}", list["source"]);

    let good = firmware(home.path(), &["verify", "--dir", text(&to)]);
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));

    let again = firmware(home.path(), &["fetch", "--to", text(&to)]);
    assert!(stderr(&again).contains("nothing to do"), "{}", stderr(&again));

    let mut tampered = fs::read(to.join("snponly.efi")).unwrap();
    tampered[1000] ^= 1;
    fs::write(to.join("snponly.efi"), tampered).unwrap();
    let bad = firmware(home.path(), &["verify", "--dir", text(&to)]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(stderr(&bad).contains("snponly.efi does not have the recorded checksum"), "{}", stderr(&bad));

    // A damaged set is not "up to date".
    let cured = firmware(home.path(), &["fetch", "--to", text(&to)]);
    assert!(cured.status.success() && !stderr(&cured).contains("nothing to do"), "{}", stderr(&cured));
    assert_eq!(firmware(home.path(), &["verify", "--dir", text(&to)]).status.code(), Some(0));
}

#[test]
fn a_users_own_loaders_are_taken_and_recorded() {
    let own = own_loaders();
    let home = tempfile::tempdir().unwrap();
    let to = home.path().join("fw");
    let done = firmware(home.path(), &["fetch", "--from", text(own.path()), "--to", text(&to)]);
    assert!(done.status.success(), "{}", stderr(&done));
    let mut names: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["ipxe.efi", "manifest.json", "undionly.kpxe"]);
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(to.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(record["source"]["kind"], "folder");
    let origin = record["files"][0]["origin"].as_str().unwrap();
    assert_eq!(Path::new(origin), own.path().join("ipxe.efi"));
    assert!(record["files"][0]["names"].as_array().unwrap().contains(&"snponly-x86_64.efi".into()));
    let verified = json(&firmware(home.path(), &["verify", "--json", "--dir", text(&to)]));
    assert_eq!(verified["good"], true);
}

/// Where nothing is said, a user's loaders lie in the user's data folder and root's in the system's.
#[test]
fn the_default_folder_is_the_one_that_list_names() {
    let home = tempfile::tempdir().unwrap();
    let list = json(&firmware(home.path(), &["list", "--json"]));
    let expected = if nix::unistd::geteuid().is_root() {
        Path::new("/var/lib/bootlace/firmware").to_owned()
    } else {
        home.path().join(".local/share/bootlace/firmware")
    };
    assert_eq!(list["folder"], text(&expected));
}

#[test]
fn a_later_fetch_takes_away_what_the_earlier_one_brought_and_nothing_else() {
    let own = own_loaders();
    let home = tempfile::tempdir().unwrap();
    let to = home.path().join("fw");
    let fetch = || firmware(home.path(), &["fetch", "--from", text(own.path()), "--to", text(&to)]);
    assert!(fetch().status.success());
    fs::write(to.join("site.efi"), "put here by hand").unwrap();
    fs::remove_file(own.path().join("ipxe.efi")).unwrap();
    assert!(fetch().status.success());
    assert!(!to.join("ipxe.efi").exists());
    assert!(to.join("site.efi").exists());
    assert!(to.join("undionly.kpxe").exists());
}

#[test]
fn a_folder_can_be_recorded_where_it_is() {
    let own = own_loaders();
    let home = tempfile::tempdir().unwrap();
    let done = firmware(home.path(), &["fetch", "--from", text(own.path()), "--to", text(own.path())]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(own.path().join("notes.txt").exists());
    assert_eq!(firmware(home.path(), &["verify", "--dir", text(own.path())]).status.code(), Some(0));
}

/// What a killed fetch left is cleared, and never served.
#[test]
fn a_failed_fetch_leaves_the_old_loaders() {
    let own = own_loaders();
    let home = tempfile::tempdir().unwrap();
    let to = home.path().join("fw");
    assert!(
        firmware(home.path(), &["fetch", "--from", text(own.path()), "--to", text(&to)]).status.success()
    );
    fs::create_dir(to.join(".incoming")).unwrap();
    fs::write(to.join(".incoming/ipxe.efi"), efi(ARM64, "half")).unwrap();
    let failed = firmware(home.path(), &["fetch", "--suite", "no-such-suite", "--to", text(&to)]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("no-such-suite"), "{}", stderr(&failed));
    assert_eq!(firmware(home.path(), &["verify", "--dir", text(&to)]).status.code(), Some(0));
    assert!(!to.join(".incoming").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_the_cure() {
    let own = own_loaders();
    let home = tempfile::tempdir().unwrap();
    let blocked = home.path().join("file");
    fs::write(&blocked, "").unwrap();
    let to = blocked.join("fw");
    let done = firmware(home.path(), &["fetch", "--from", text(own.path()), "--to", text(&to)]);
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr(&done).contains(text(&to)) && stderr(&done).contains("--to DIR"), "{}", stderr(&done));
}

#[test]
fn verify_without_a_fetch_says_which_command_fetches() {
    let home = tempfile::tempdir().unwrap();
    let done = firmware(home.path(), &["verify", "--dir", text(home.path())]);
    assert_eq!(done.status.code(), Some(1));
    let command = format!("bootlace firmware fetch --to {}", text(home.path()));
    assert!(stderr(&done).contains(&command), "{}", stderr(&done));
}

#[test]
fn a_wrong_flag_is_wrong_usage() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(firmware(home.path(), &["fetch", "--from", "/x", "--suite", "trixie"]).status.code(), Some(2));
    assert_eq!(firmware(home.path(), &[]).status.code(), Some(2));
}

/// An interruption ends the package tools, clears what is unfinished and leaves the old state.
#[test]
fn an_interrupted_fetch_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let to = home.path().join("installer");
    let mut fetching = Command::new(env!("CARGO_BIN_EXE_bootlace"))
        .args(["firmware", "installer", "--to", text(&to)])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its first words come when the package tools are at work.
    let mut said = BufReader::new(fetching.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("reading the index"), "{line}");
    assert!(to.join(".incoming").exists());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(fetching.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(fetching.wait().unwrap().code(), Some(1), "{rest}");
    assert!(rest.contains("interrupted"), "{rest}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
}
