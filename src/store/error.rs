//! What can go wrong with the file, in words for the operator.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The state folder cannot be made or used.
    #[error("cannot use the state folder {folder}: {cause}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The file cannot be made, opened or read.
    #[error("cannot open {file}: {cause}")]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Another process has it open.
    #[error("{file} is already open in another process: one state folder belongs to one running bootlace")]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// A newer bootlace wrote it.
    #[error(
        "{file} was written by a newer bootlace (schema {found}; this one knows up to {known}): use that version, or another state folder. The file was left as it is"
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its schema version.
        found: u64,
        /// The newest that this program knows.
        known: u64,
    },
    /// It is no database of bootlace, or a broken one.
    #[error(
        "{file} is damaged: {cause}. The file was left as it is; restore it from a backup or move it away"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong in it.
        cause: String,
    },
}

impl StoreError {
    /// What an error of the database means for the one who opens or reads `file`.
    pub(super) fn of(file: &Path, problem: redb::Error) -> StoreError {
        let file = file.to_owned();
        match problem {
            // The database's way to say "no magic number", and what reading behind the end of the file gives.
            redb::Error::Io(cause)
                if matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                StoreError::Damaged { file, cause: "it is not a whole database file".to_owned() }
            }
            redb::Error::Io(cause) => StoreError::File { file, cause },
            redb::Error::DatabaseAlreadyOpen => StoreError::InUse { file },
            other => StoreError::Damaged { file, cause: other.to_string() },
        }
    }
}

/// Why changes are not on the disk. None of them counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// No room: disk full, quota or size limit reached. Writing works again once there is room.
    #[error("cannot write {file}: no room for it ({cause})")]
    Full {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Anything else.
    #[error("cannot write {file}: {cause}")]
    Failed {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        cause: String,
    },
}

impl CommitError {
    pub(super) fn of(file: &Path, problem: redb::Error) -> CommitError {
        let file = file.to_owned();
        match problem {
            redb::Error::Io(cause) if is_full(&cause) => CommitError::Full { file, cause: cause.to_string() },
            other => CommitError::Failed { file, cause: other.to_string() },
        }
    }
}

/// ENOSPC, EDQUOT, EFBIG.
fn is_full(cause: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(cause.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
