//! New files come into being beside the old ones and take their place by rename, so that an interrupted fetch
//! leaves the old state.
#![allow(clippy::disallowed_methods, reason = "files are written at the edge")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::{FirmwareError, Progress};

/// Name of the folder for work in progress. The leading dot keeps it from being served.
const WORK: &str = ".incoming";

/// The right to change a folder, with a place for work in progress in it. Dropping it removes that place.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    work: PathBuf,
    // Held for its lock; released after `work` is gone, because `drop` runs before the fields go.
    _lock: Flock<File>,
}

impl Staging {
    /// Makes `folder` where needed, waits until no other process changes it, and clears what a killed one left.
    pub fn open(folder: &Path, progress: Progress<'_>) -> Result<Self, FirmwareError> {
        let failed = |cause| FirmwareError::Write { path: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = lock(folder, progress)?;
        let work = folder.join(WORK);
        remove(&work).map_err(failed)?;
        fs::create_dir(&work).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), work, _lock: lock })
    }

    /// The place for work in progress.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Writes a file to be put in place later.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), FirmwareError> {
        let path = self.work.join(name);
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
        written.map_err(|cause| FirmwareError::Write { path, cause })
    }

    /// Puts a finished file of the work place into the folder, in place of the old one of that name.
    pub fn put(&self, name: &str) -> Result<(), FirmwareError> {
        let path = self.folder.join(name);
        fs::rename(self.work.join(name), &path).map_err(|cause| FirmwareError::Write { path, cause })
    }

    /// Removes a file of the folder; one that is gone already is fine.
    pub fn discard(&self, name: &str) -> Result<(), FirmwareError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(FirmwareError::Write { path, cause })
            }
            _ => Ok(()),
        }
    }

    /// Makes the renames outlive a power cut.
    pub fn settle(&self) -> Result<(), FirmwareError> {
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|cause| FirmwareError::Write { path: self.folder.clone(), cause })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // The next fetch clears what cannot be removed now.
        let _ = remove(&self.work);
    }
}

/// A lock on the folder itself: no lock file is left, and a killed process holds none.
fn lock(folder: &Path, progress: Progress<'_>) -> Result<Flock<File>, FirmwareError> {
    let failed = |cause| FirmwareError::Write { path: folder.to_owned(), cause };
    let mut file = File::open(folder).map_err(failed)?;
    let mut said = false;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, nix::errno::Errno::EWOULDBLOCK)) => {
                if !said {
                    progress.say(&format!("waiting: another bootlace is changing {}", folder.display()));
                    said = true;
                }
                file = back;
                progress.glance()?;
            }
            Err((_, errno)) => return Err(failed(errno.into())),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(kind) if kind.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(cause) => Err(cause),
    };
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
