//! The database file in the state folder: made whole or not at all, locked, recognised.
#![allow(clippy::disallowed_methods, reason = "the store's edge to the disk")]

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::{FileBackend, InMemoryBackend};

use super::check::Shared;
use super::{CommitError, StoreError, builder, guarded, schema};

/// How often a file that somebody else holds is tried, and the pause in between: a second in all.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// The file's name in the state folder.
const NAME: &str = "bootlace.redb";

/// Which file a name stood for when it was opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Identity {
        Identity { device: metadata.dev(), inode: metadata.ino() }
    }

    /// An error when `name` is no longer this file: what is written to one that was deleted is lost.
    pub(super) fn verify(&self, name: &Path) -> Result<(), CommitError> {
        let cause = match fs::metadata(name) {
            Ok(metadata) if Identity::of(&metadata) == *self => return Ok(()),
            Ok(_) => "another file was put in its place; restart bootlace to use that one".to_owned(),
            Err(cause) => format!("it was taken away ({cause}); restart bootlace for a new one"),
        };
        Err(CommitError::Failed { file: name.to_owned(), cause })
    }
}

/// Opens the file in `folder` and locks it; makes both where they are missing.
pub(super) fn open(folder: &Path) -> Result<(PathBuf, Arc<dyn StorageBackend>, Identity), StoreError> {
    let of_folder = |cause| StoreError::Folder { folder: folder.to_owned(), cause };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(of_folder)?;
    let name = folder.join(NAME);
    let of_file = |cause| StoreError::File { file: name.clone(), cause };
    let file = match reach(&name) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            make(folder, &name)?;
            reach(&name).map_err(of_file)?
        }
        reached => reached.map_err(of_file)?,
    };
    let metadata = file.metadata().map_err(of_file)?;
    // Secrets of nodes and passwords of BMCs are in it.
    if metadata.mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(of_file)?;
    }
    let backend = lock(&file, of_file)?.map_err(|problem| StoreError::of(&name, problem.into()))?;
    Ok((name, Arc::new(backend), Identity::of(&metadata)))
}

/// Locks the file. A process that is just ending, or one that is starting a program, holds it for a moment longer.
fn lock(
    file: &File,
    of_file: impl Fn(io::Error) -> StoreError,
) -> Result<Result<FileBackend, redb::DatabaseError>, StoreError> {
    let mut tries = 0;
    loop {
        match FileBackend::new(file.try_clone().map_err(&of_file)?) {
            Err(redb::DatabaseError::DatabaseAlreadyOpen) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            locked => return Ok(locked),
        }
    }
}

fn reach(name: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(name)
}

/// Makes an empty database under the final name in one step, so that a crash leaves none or a whole one.
fn make(folder: &Path, name: &Path) -> Result<(), StoreError> {
    let image = image().map_err(|problem| StoreError::of(name, problem))?;
    let draft = folder.join(format!("{NAME}.{}.new", uuid::Uuid::new_v4()));
    let made = write_draft(&draft, &image).and_then(|()| match fs::hard_link(&draft, name) {
        // Another process was faster; whose it is, the lock says.
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(&draft);
    made.and(removed)
        // The folder's entry, too, has to be on the disk before the first change is acknowledged.
        .and_then(|()| File::open(folder)?.sync_all())
        .and_then(|()| sync_parent(folder))
        .map_err(|cause| StoreError::File { file: name.to_owned(), cause })
}

fn write_draft(draft: &Path, image: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(image)?;
    file.sync_all()
}

/// Syncs the folder that holds `folder`, which may be new as well.
fn sync_parent(folder: &Path) -> io::Result<()> {
    let whole = fs::canonicalize(folder)?;
    match whole.parent().map(File::open) {
        // A service may not be allowed to read the parent of its own folder; then it did not make it either.
        Some(Err(cause)) if cause.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Some(parent) => parent?.sync_all(),
        None => Ok(()),
    }
}

/// The bytes of an empty database of the current schema.
fn image() -> Result<Vec<u8>, redb::Error> {
    guarded(|| {
        let memory: Arc<dyn StorageBackend> = Arc::new(InMemoryBackend::new());
        let database = builder().create_with_backend(Shared(Arc::clone(&memory)))?;
        schema::migrate(&database, schema::MIGRATIONS)?;
        drop(database);
        let length = usize::try_from(memory.len()?).unwrap_or(0);
        let mut image = vec![0; length];
        memory.read(0, &mut image)?;
        Ok(image)
    })
}
