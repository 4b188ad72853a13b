//! The plain life of a store: made, written, opened again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bootlace::store::{CommitError, Store, StoreError};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::{Content, apply, bytes, content, file_after, medium, put, remove};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_empty_folder_is_an_empty_store_that_only_its_owner_reads() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("var/bootlace");
    let store = Store::open(&folder).unwrap();
    assert_eq!(content(&store), Content::new());
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(store.name()), 0o600);
    assert_eq!(store.name(), folder.join("bootlace.redb"));
    let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["bootlace.redb"], "nothing is left over");
}

#[test]
fn a_file_that_others_can_read_is_closed_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let name = Store::open(folder.path()).unwrap().name().to_owned();
    std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o644)).unwrap();
    Store::open(folder.path()).unwrap();
    assert_eq!(mode(&name), 0o600);
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Content::new();
    for round in 0..4 {
        let mut store = Store::open(folder.path()).unwrap();
        assert_eq!(content(&store), model);
        for step in 0..5 {
            let changes = [
                put("nodes", &format!("n{}", (round + step) % 3), format!("{round}.{step}")),
                put("groups", "twice", "first"),
                put("groups", "twice", format!("last of {step}")),
                remove("nodes", &format!("n{step}")),
                remove("never", "was there"),
            ];
            store.commit(&changes).unwrap();
            apply(&mut model, &changes);
            assert_eq!(content(&store), model);
        }
    }
}

#[test]
fn the_salt_is_made_once_and_differs_between_stores() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let salt = Store::open(one.path()).unwrap().salt();
    let mut store = Store::open(one.path()).unwrap();
    store.commit(&[put("a", "b", "c")]).unwrap();
    drop(store);
    assert_eq!(Store::open(one.path()).unwrap().salt(), salt);
    assert_ne!(Store::open(other.path()).unwrap().salt(), salt);
}

#[test]
fn a_second_process_is_told_that_the_file_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Store::open(folder.path()).unwrap();
    let refused = Store::open(folder.path()).unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("bootlace.redb is already open in another process"), "{text}");
    // Also once the first has opened it for writing.
    first.commit(&[put("a", "b", "c")]).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::InUse { .. })));
    drop(first);
    Store::open(folder.path()).unwrap();
}

#[test]
fn opening_and_reading_write_nothing_to_the_file() {
    let file = file_after(|store| store.commit(&[put("a", "b", "c")]).unwrap());
    let medium = medium(&file);
    let store = Store::on(Path::new("m"), medium.clone()).unwrap();
    assert_eq!(content(&store).len(), 1);
    drop(store);
    assert!(bytes(&*medium) == file);
}

#[test]
fn a_table_that_this_version_does_not_know_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&[put("of-tomorrow", "k", "v")]).unwrap();
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&[put("nodes", "n", "1")]).unwrap();
    drop(store);
    let kept = content(&Store::open(folder.path()).unwrap());
    assert_eq!(kept[&("of-tomorrow".to_owned(), "k".to_owned())], b"v");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let outer = tempfile::tempdir().unwrap();
    std::fs::write(outer.path().join("file"), "").unwrap();
    let text = Store::open(&outer.path().join("file/state")).unwrap_err().to_string();
    assert!(text.starts_with("cannot use the state folder") && text.contains("file/state"), "{text}");
}

/// What is written to a deleted file is gone with the process: no acknowledgement for that.
#[test]
fn a_file_that_was_deleted_or_replaced_takes_no_more_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.commit(&[put("a", "b", "c")]).unwrap();
    let aside = folder.path().join("aside");
    std::fs::rename(store.name(), &aside).unwrap();
    let gone = store.commit(&[put("a", "b", "d")]).unwrap_err().to_string();
    assert!(gone.contains("bootlace.redb: it was taken away"), "{gone}");
    std::fs::write(store.name(), "").unwrap();
    let replaced = store.commit(&[put("a", "b", "d")]).unwrap_err().to_string();
    assert!(replaced.contains("another file was put in its place"), "{replaced}");
    std::fs::rename(&aside, store.name()).unwrap();
    store.commit(&[put("a", "b", "d")]).unwrap();
}

/// Fails one write, sync or change of length, and keeps what it was given all the same: the worst that a disk
/// can do, since nobody knows afterwards.
#[derive(Debug)]
struct Flaky {
    below: Arc<InMemoryBackend>,
    /// Operations until one fails.
    left: AtomicU32,
}

impl Flaky {
    fn step(&self) -> std::io::Result<()> {
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(1) => Err(std::io::Error::other("the disk says no")),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Flaky {
    fn len(&self) -> std::io::Result<u64> {
        self.below.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        StorageBackend::read(&*self.below, offset, out)
    }
    fn set_len(&self, length: u64) -> std::io::Result<()> {
        self.below.set_len(length).and_then(|()| self.step())
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.step()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        StorageBackend::write(&*self.below, offset, data).and_then(|()| self.step())
    }
}

#[test]
fn a_commit_that_failed_does_not_come_back_wherever_the_disk_failed() {
    let file = file_after(|store| store.commit(&[put("a", "old", "1"), put("a", "gone", "1")]).unwrap());
    let mut came_back = 0;
    for failing in 1.. {
        let below = medium(&file);
        let flaky = Arc::new(Flaky { below: below.clone(), left: AtomicU32::new(0) });
        let mut store = Store::on(Path::new("flaky"), flaky.clone()).unwrap();
        store.commit(&[put("a", "acknowledged", "1")]).unwrap();
        let before = content(&store);

        flaky.left.store(failing, Ordering::SeqCst);
        let refused = [put("a", "old", "2"), put("a", "new", "2"), remove("a", "gone"), put("a", "new", "3")];
        match store.commit(&refused) {
            Ok(()) => {
                assert!(failing > 4, "a commit of several steps has several ways to fail");
                assert!(
                    came_back > 0,
                    "one of them leaves the commit in the file, or this test shows nothing"
                );
                break;
            }
            Err(CommitError::Failed { cause, .. }) => assert!(cause.contains("the disk says no"), "{cause}"),
            Err(other) => panic!("{other:?}"),
        }
        flaky.left.store(0, Ordering::SeqCst);
        if content(&store) != before {
            came_back += 1;
        }
        store.commit(&[put("a", "next", "4")]).unwrap();
        let mut expected = before;
        apply(&mut expected, &[put("a", "next", "4")]);
        assert_eq!(content(&store), expected, "failing at step {failing}");
        drop(store);
        assert_eq!(content(&Store::on(Path::new("again"), below).unwrap()), expected);
    }
}
