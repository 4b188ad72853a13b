//! The file's own facts: schema version, salt, number of the last commit; and how an older file becomes a
//! current one.
//!
//! A new layout of anybody's tables is one more function in [`MIGRATIONS`]. They run in one transaction with the
//! first commit, so a file that is only looked at stays as it is, and a crash leaves the old one.

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};
use rustls::crypto::SecureRandom;

/// The table of the file's own facts.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("bootlace");

const VERSION: &str = "version";
const SALT: &str = "salt";
const SEQUENCE: &str = "sequence";

/// Brings the tables from one version to the next.
pub(super) type Migration = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// Step `n` leads from version `n` to `n + 1`; version 0 is an empty database.
pub(super) const MIGRATIONS: &[Migration] = &[make_salt];

/// What a file of this version says about itself.
pub(super) struct Facts {
    pub(super) salt: [u8; 16],
    pub(super) sequence: u64,
}

fn foreign() -> redb::Error {
    redb::Error::Corrupted("it is a database of another program".to_owned())
}

/// The schema version; `Corrupted` for a database that is not of bootlace.
pub(super) fn version(database: &Database) -> Result<u64, redb::Error> {
    match database.begin_read()?.open_table(META) {
        Ok(table) => number(table.get(VERSION)?).ok_or_else(foreign),
        Err(redb::TableError::Storage(problem)) => Err(problem.into()),
        Err(_) => Err(foreign()),
    }
}

/// Reads the facts of a database of the current version.
pub(super) fn facts(database: &Database) -> Result<Facts, redb::Error> {
    let table = database.begin_read()?.open_table(META)?;
    let salt = table.get(SALT)?.and_then(|salt| salt.value().try_into().ok()).ok_or_else(foreign)?;
    Ok(Facts { salt, sequence: number(table.get(SEQUENCE)?).unwrap_or(0) })
}

/// Runs the steps of `list` that `database` has not seen; all or none.
pub(super) fn migrate(database: &Database, list: &[Migration]) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    write.set_two_phase_commit(true);
    let version = number(write.open_table(META)?.get(VERSION)?).unwrap_or(0);
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(steps) = list.get(done..).filter(|steps| !steps.is_empty()) else {
        write.abort()?;
        return Ok(());
    };
    for step in steps {
        step(&write)?;
    }
    set_number(&write, VERSION, list.len() as u64)?;
    write.commit()?;
    Ok(())
}

/// Writes the number of the commit that `write` is.
pub(super) fn set_sequence(write: &WriteTransaction, sequence: u64) -> Result<(), redb::Error> {
    set_number(write, SEQUENCE, sequence)
}

fn set_number(write: &WriteTransaction, key: &str, number: u64) -> Result<(), redb::Error> {
    write.open_table(META)?.insert(key, number.to_le_bytes().as_slice())?;
    Ok(())
}

fn number(value: Option<redb::AccessGuard<'_, &'static [u8]>>) -> Option<u64> {
    Some(u64::from_le_bytes(value?.value().try_into().ok()?))
}

/// Version 1: the salt.
fn make_salt(write: &WriteTransaction) -> Result<(), redb::Error> {
    let mut salt = [0; 16];
    let random: &dyn SecureRandom = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut salt).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    write.open_table(META)?.insert(SALT, salt.as_slice())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    const WORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("words");

    fn shout(write: &WriteTransaction) -> Result<(), redb::Error> {
        let mut words = write.open_table(WORDS)?;
        let old = words.get("a")?.map(|value| value.value().to_vec()).unwrap_or_default();
        words.insert("a", old.to_ascii_uppercase().as_slice())?;
        Ok(())
    }

    fn breaks(write: &WriteTransaction) -> Result<(), redb::Error> {
        write.open_table(WORDS)?.insert("a", b"half".as_slice())?;
        Err(redb::Error::DatabaseClosed)
    }

    fn word(database: &Database) -> Vec<u8> {
        database.begin_read().unwrap().open_table(WORDS).unwrap().get("a").unwrap().unwrap().value().to_vec()
    }

    #[test]
    fn an_older_file_runs_the_steps_it_lacks_once_and_keeps_its_salt() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        migrate(&database, &MIGRATIONS[..1]).unwrap();
        let salt = facts(&database).unwrap().salt;
        let write = database.begin_write().unwrap();
        write.open_table(WORDS).unwrap().insert("a", b"word".as_slice()).unwrap();
        write.commit().unwrap();

        let list: &[Migration] = &[make_salt, shout];
        migrate(&database, list).unwrap();
        assert_eq!(word(&database), b"WORD");
        assert_eq!(version(&database).unwrap(), 2);

        let write = database.begin_write().unwrap();
        write.open_table(WORDS).unwrap().insert("a", b"again".as_slice()).unwrap();
        write.commit().unwrap();
        migrate(&database, list).unwrap();
        assert_eq!(word(&database), b"again", "a step runs once");
        assert_eq!(facts(&database).unwrap().salt, salt);
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_version() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        migrate(&database, &[make_salt, shout]).unwrap();
        migrate(&database, &[make_salt, shout, breaks]).unwrap_err();
        assert_eq!(word(&database), b"");
        assert_eq!(version(&database).unwrap(), 2);
    }
}
