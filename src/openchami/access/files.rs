//! Files of the state folder that must never be half written and whose owner must be able to read them.

#![allow(
    clippy::disallowed_methods,
    reason = "the edge where files of the state folder are read and written"
)]

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file of the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// Cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// Every user of this machine could read it.
    #[error("{} can be read by every user of this machine: chmod 600 {0}, and if others had access, remove it; a new one is made", path.display())]
    Open {
        /// Which.
        path: PathBuf,
    },
    /// Can be read, and is not what it should be.
    #[error("{}: {what}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
}

impl FileError {
    pub(super) fn wrong(path: &Path, what: impl Into<String>) -> Self {
        Self::Wrong { path: path.to_owned(), what: what.into() }
    }
}

/// Largest file that is read here, bytes.
const SIZE_MAX: u64 = 1 << 20;

/// Reads a file; none: there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let failed = |cause| FileError::Read { path: path.to_owned(), cause };
    match fs::metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed(cause)),
        Ok(found) if !found.is_file() => return Err(FileError::wrong(path, "is no regular file")),
        Ok(found) if found.len() > SIZE_MAX => return Err(FileError::wrong(path, "is larger than 1 MiB")),
        Ok(_) => {}
    }
    fs::read(path).map(Some).map_err(failed)
}

/// Reads a file with a secret; none: there is none.
pub(super) fn read_secret(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let content = read(path)?;
    if content.is_some() {
        let found = fs::metadata(path).map_err(|cause| FileError::Read { path: path.to_owned(), cause })?;
        if found.mode() & 0o007 != 0 {
            return Err(FileError::Open { path: path.to_owned() });
        }
    }
    Ok(content)
}

/// What happens to a file of that name that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Old {
    /// It stays, and ours is not written.
    Keep,
    /// Ours takes its place.
    Replace,
}

/// Writes a file, whole or not at all, with the permissions `mode`; it belongs to whom the folder belongs to, so
/// that a service can read what its administrator makes. The folder is made where there is none.
pub(super) fn write(path: &Path, mode: u32, content: &[u8], old: Old) -> Result<(), FileError> {
    let failed = |cause| FileError::Write { path: path.to_owned(), cause };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = folder.join(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
        file.write_all(content)?;
        let owner = fs::metadata(folder)?;
        let own = file.metadata()?;
        if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
            // Only root can give files away; who cannot is the owner to be.
            let _ = std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()));
        }
        file.sync_all()?;
        match old {
            Old::Replace => fs::rename(&new, path)?,
            // Fails where the name exists, whoever made it in the meantime.
            Old::Keep => match fs::hard_link(&new, path) {
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(&new)?,
                linked => linked.and_then(|()| fs::remove_file(&new))?,
            },
        }
        fs::File::open(folder)?.sync_all()
    })();
    written.map_err(|cause| {
        let _ = fs::remove_file(&new);
        failed(cause)
    })
}
