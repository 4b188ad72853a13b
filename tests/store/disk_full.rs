//! A full disk: a small file system of the test's own. Needs root.

use std::path::{Path, PathBuf};

use bootlace::lab::sandbox::Sandbox;
use bootlace::store::{CommitError, Store};
use nix::mount::{MsFlags, mount};

use super::{Content, apply, content, put};

/// A file system of 8 MiB, seen by this thread only.
fn small_disk(sandbox: &Sandbox) -> PathBuf {
    let disk = sandbox.work().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), &disk, Some("tmpfs"), flags, Some("size=8m,mode=0755")).unwrap();
    disk
}

/// Commits until the disk is full; gives what was acknowledged.
fn fill(store: &mut Store, model: &mut Content) {
    for number in 0.. {
        assert!(number < 500, "8 MiB are never full");
        let changes =
            [put("files", &format!("f{number}"), vec![7; 60_000]), put("files", "count", number.to_string())];
        match store.commit(&changes) {
            Ok(()) => apply(model, &changes),
            Err(problem) => {
                assert!(matches!(problem, CommitError::Full { .. }), "{problem:?}");
                assert!(problem.to_string().contains("bootlace.redb: no room for it"), "{problem}");
                break;
            }
        }
    }
    assert!(model.len() > 10, "full from the start");
}

#[test]
fn a_full_disk_is_an_error_of_its_own_and_writing_goes_on_once_there_is_room() {
    let sandbox = Sandbox::enter().expect("namespaces: this test needs root");
    let disk = small_disk(&sandbox);
    let other = disk.join("log-of-somebody-else");
    std::fs::write(&other, vec![1; 3 << 20]).unwrap();

    let mut store = Store::open(&disk.join("state")).unwrap();
    let mut model = Content::new();
    fill(&mut store, &mut model);
    assert_eq!(content(&store), model, "reading goes on");
    for _ in 0..3 {
        let large = [put("files", "large", vec![1; 200_000])];
        assert!(matches!(store.commit(&large), Err(CommitError::Full { .. })));
        assert_eq!(content(&store), model);
    }

    std::fs::remove_file(&other).unwrap();
    let changes = [put("files", "large", vec![2; 200_000])];
    store.commit(&changes).unwrap();
    apply(&mut model, &changes);
    assert_eq!(content(&store), model);
    drop(store);
    assert_eq!(content(&Store::open(&disk.join("state")).unwrap()), model);
}

#[test]
fn a_restart_on_a_full_disk_reads_everything() {
    let sandbox = Sandbox::enter().expect("namespaces: this test needs root");
    let disk = small_disk(&sandbox);
    let mut store = Store::open(&disk.join("state")).unwrap();
    let mut model = Content::new();
    for number in 0..20 {
        let changes = [put("files", &format!("f{number}"), vec![7; 60_000])];
        store.commit(&changes).unwrap();
        apply(&mut model, &changes);
    }
    // As after a crash: the file says that it was in use, and repairing it writes.
    let file = store.name().to_owned();
    let crashed = std::fs::read(&file).unwrap();
    drop(store);
    std::fs::write(&file, crashed).unwrap();
    let log = disk.join("log-of-somebody-else");
    std::fs::write(&log, vec![1; 8 << 20]).unwrap_err();

    let mut store = Store::open(&disk.join("state")).unwrap();
    assert_eq!(content(&store), model);
    let large = [put("files", "large", vec![1; 3_000_000])];
    assert!(matches!(store.commit(&large), Err(CommitError::Full { .. })));
    assert_eq!(content(&store), model);
    std::fs::remove_file(log).unwrap();
    store.commit(&large).unwrap();
    apply(&mut model, &large);
    assert_eq!(content(&store), model);
}

#[test]
fn a_folder_without_room_for_the_file_is_an_error_and_leaves_nothing_half_made() {
    let sandbox = Sandbox::enter().expect("namespaces: this test needs root");
    let disk = small_disk(&sandbox);
    let _ = std::fs::write(disk.join("log"), vec![1; 9 << 20]);
    let problem = Store::open(&disk.join("state")).unwrap_err().to_string();
    assert!(problem.contains("bootlace.redb"), "{problem}");
    let names = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    assert_eq!(names(&disk.join("state")), 0);
    std::fs::remove_file(disk.join("log")).unwrap();
    Store::open(&disk.join("state")).unwrap();
}
