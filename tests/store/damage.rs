//! Files that are not right: an error that says so, no panic, the file as it was.

use std::path::Path;
use std::sync::Arc;

use bootlace::store::{Store, StoreError};
use proptest::prelude::*;
use proptest::sample::Index;
use redb::TableDefinition;
use redb::backends::FileBackend;

use super::{Content, bytes, content, file_after, medium, put};

/// A file of some size, closed in good order.
fn good_file() -> Vec<u8> {
    file_after(|store| {
        for n in 0..30u8 {
            let key = format!("n{n}");
            store.commit(&[put("nodes", &key, vec![n; 700]), put("boot", &key, vec![n; 40])]).unwrap();
        }
    })
}

fn content_of(file: &[u8]) -> Content {
    content(&Store::on(Path::new("good"), medium(file)).unwrap())
}

/// Opens `file`: an error, or all of `expected`; and the medium is as before.
fn refused_or_whole(file: &[u8], expected: &Content, what: &str) -> bool {
    let medium = medium(file);
    let opened = Store::on(Path::new("bootlace.redb"), medium.clone());
    let refused = match &opened {
        Ok(store) => {
            assert!(content(store) == *expected, "{what}: opened with other content");
            false
        }
        Err(problem) => {
            assert!(problem.to_string().contains("bootlace.redb is damaged"), "{what}: {problem}");
            true
        }
    };
    drop(opened);
    assert!(bytes(&*medium) == file, "{what}: the file was changed");
    refused
}

#[test]
fn every_byte_of_the_header_may_be_wrong() {
    let file = good_file();
    let expected = content_of(&file);
    let mut refused = 0;
    for at in 0..320 {
        for wrong in [0x01, 0x80, 0xff] {
            let mut file = file.clone();
            file[at] ^= wrong;
            refused += u32::from(refused_or_whole(&file, &expected, &format!("byte {at} ^ {wrong:#x}")));
        }
    }
    assert!(refused > 100, "only {refused} refused");
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let file = good_file();
    let expected = content_of(&file);
    for length in [0, 1, 8, 9, 63, 64, 319, 320, 4095, 4096, 4097, file.len() / 2, file.len() - 4096] {
        assert!(refused_or_whole(&file[..length], &expected, &format!("cut to {length}")), "{length}");
    }
}

#[test]
fn what_is_no_database_is_refused() {
    let file = good_file();
    let expected = content_of(&file);
    for (what, content) in [
        ("text", b"nodes:\n- name: compute1\n".repeat(300)),
        ("zeros", vec![0; 1 << 20]),
        ("magic and nothing", [&file[..9], &[0; 8000]].concat()),
        ("header and zeros", [&file[..320], &vec![0; file.len() - 320]].concat()),
        ("header and rubbish", [&file[..320], &vec![0xa5; file.len() - 320]].concat()),
    ] {
        assert!(refused_or_whole(&content, &expected, what), "{what} was opened");
    }
}

#[test]
fn random_damage_is_refused_or_hits_nothing_that_matters() {
    let file = good_file();
    let expected = content_of(&file);
    let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    let wounds = prop::collection::vec((any::<Index>(), prop::collection::vec(any::<u8>(), 1..3000)), 1..4);
    proptest!(config, |(wounds in wounds, cut in prop::option::weighted(0.2, any::<Index>()))| {
        let mut hurt = file.clone();
        for (at, bytes) in &wounds {
            let at = at.index(hurt.len());
            let end = hurt.len().min(at + bytes.len());
            hurt[at..end].copy_from_slice(&bytes[..end - at]);
        }
        if let Some(cut) = cut {
            hurt.truncate(cut.index(hurt.len()));
        }
        refused_or_whole(&hurt, &expected, "random damage");
    });
    // And a byte in the middle of a record is never taken for the record.
    let at = file.windows(64).position(|window| window == [17; 64]).unwrap();
    let mut hurt = file.clone();
    hurt[at] ^= 1;
    assert!(refused_or_whole(&hurt, &expected, "a record"));
}

/// Through the real file, with its real lock and permissions.
#[test]
fn a_damaged_file_in_the_folder_is_named_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("bootlace.redb");
    std::fs::write(&name, "not a database, but somebody's notes").unwrap();
    let problem = Store::open(folder.path()).unwrap_err();
    assert!(matches!(problem, StoreError::Damaged { .. }));
    assert!(problem.to_string().starts_with(&name.display().to_string()), "{problem}");
    assert_eq!(std::fs::read(&name).unwrap(), b"not a database, but somebody's notes");
}

#[test]
fn a_file_of_a_newer_schema_is_refused_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let name = Store::open(folder.path()).unwrap().name().to_owned();
    rewrite(&name, Some(7));
    let before = std::fs::read(&name).unwrap();
    let problem = Store::open(folder.path()).unwrap_err();
    assert!(matches!(problem, StoreError::Newer { found: 7, known: 1, .. }), "{problem:?}");
    assert!(problem.to_string().contains("written by a newer bootlace (schema 7"), "{problem}");
    assert!(std::fs::read(&name).unwrap() == before, "the file was changed");
}

#[test]
fn a_database_of_another_program_is_refused_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("bootlace.redb");
    rewrite(&name, None);
    let before = std::fs::read(&name).unwrap();
    let problem = Store::open(folder.path()).unwrap_err().to_string();
    assert!(problem.contains("a database of another program"), "{problem}");
    assert!(std::fs::read(&name).unwrap() == before, "the file was changed");
}

/// Writes to the database at `name` as another program: a schema version, or something else.
fn rewrite(name: &Path, version: Option<u64>) {
    let file =
        std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(name).unwrap();
    let database = redb::Builder::new().create_with_backend(FileBackend::new(file).unwrap()).unwrap();
    let write = database.begin_write().unwrap();
    {
        let ours: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("bootlace");
        let theirs: TableDefinition<'_, u64, u64> = TableDefinition::new("scores");
        match version {
            Some(version) => {
                let mut table = write.open_table(ours).unwrap();
                table.insert("version", version.to_le_bytes().as_slice()).unwrap();
                table.remove("salt").unwrap();
            }
            None => drop(write.open_table(theirs).unwrap().insert(1, 2).unwrap()),
        }
    }
    write.commit().unwrap();
}

/// Two at once make one file: neither takes the other's away.
#[test]
fn two_that_start_at_once_in_an_empty_folder_end_up_with_one_owner() {
    for _ in 0..20 {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let opens: Vec<_> = (0..4)
            .map(|_| {
                let folder = Arc::clone(&folder);
                std::thread::spawn(move || Store::open(folder.path()))
            })
            .collect();
        let opened: Vec<_> = opens.into_iter().map(|open| open.join().unwrap()).collect();
        let owners = opened.iter().filter(|opened| opened.is_ok()).count();
        let refused = opened.iter().filter(|open| matches!(open, Err(StoreError::InUse { .. }))).count();
        assert_eq!((owners, refused), (1, 3), "{opened:?}");
    }
}
