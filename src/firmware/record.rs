//! `manifest.json`: what was put into a loader folder, from where, with the checksum of every file.
#![allow(clippy::disallowed_methods, reason = "the record and the files it names are read at the edge")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::FirmwareError;

/// Name of the record in its folder.
pub const FILE_NAME: &str = "manifest.json";

/// Version of the record's shape.
const FORMAT: u32 = 1;

/// Largest record that is read, bytes.
const MAX_RECORD: u64 = 1 << 20;

/// What a folder was filled with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this shape.
    pub format: u32,
    /// When, in UTC, RFC 3339.
    pub fetched: String,
    /// From where.
    pub source: Source,
    /// The files, ordered by name.
    pub files: Vec<RecordedFile>,
}

/// Where files came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// A package of Debian's archive.
    Debian {
        /// Suite asked for, such as `stable`.
        suite: String,
        /// Code name of the release it was, such as `trixie`.
        codename: String,
        /// Version of that release, such as `13.7`.
        release: String,
        /// Package.
        package: String,
        /// Its version.
        version: String,
        /// SHA-256 of the package file, from the signed index.
        sha256: String,
    },
    /// A folder of the user's.
    Folder {
        /// The folder.
        path: PathBuf,
    },
}

impl Source {
    /// In words, for people.
    pub fn title(&self) -> String {
        match self {
            Self::Debian { codename, release, package, version, .. } => {
                format!("{package} {version} of Debian {codename} {release}").trim_end().to_owned()
            }
            Self::Folder { path } => format!("the folder {}", path.display()),
        }
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFile {
    /// File name in the folder.
    pub file: String,
    /// Size, bytes.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Where it was in the source.
    pub origin: String,
    /// Names it is published under.
    pub names: Vec<String>,
}

/// What a check of one file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// As recorded.
    Good,
    /// Not there.
    Missing,
    /// Other content than recorded.
    Changed,
    /// Cannot be read.
    Unreadable,
}

impl Record {
    /// A record of now.
    pub fn new(source: Source, files: Vec<RecordedFile>) -> Self {
        let fetched = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { format: FORMAT, fetched, source, files }
    }

    /// The record of `folder`.
    ///
    /// # Errors
    /// When there is none, or it is not what `fetch` writes.
    pub fn read(folder: &Path) -> Result<Self, FirmwareError> {
        let path = folder.join(FILE_NAME);
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(FirmwareError::NoRecord { path });
            }
            Err(cause) => return Err(FirmwareError::Read { path, cause }),
        };
        let bad = |problem: String| FirmwareError::BadRecord { path: path.clone(), problem };
        let record: Self = serde_json::from_str(&text).map_err(|cause| bad(cause.to_string()))?;
        if record.format != FORMAT {
            return Err(bad(format!(
                "it has format {}, this bootlace writes and reads {FORMAT}",
                record.format
            )));
        }
        // The names become paths: a record that was tampered with must not lead out of its folder.
        if let Some(file) = record.files.iter().find(|file| !is_plain(&file.file)) {
            return Err(bad(format!("'{}' is no file name", file.file)));
        }
        Ok(record)
    }

    /// As the text of `manifest.json`.
    pub fn text(&self) -> String {
        // The value is made of strings and numbers only, which always have a JSON form.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Checks every file of the record against the folder.
    pub fn verify(&self, folder: &Path) -> Vec<(&RecordedFile, Finding)> {
        self.files.iter().map(|file| (file, check(&folder.join(&file.file), file))).collect()
    }

    /// True when every file is as recorded.
    pub fn holds(&self, folder: &Path) -> bool {
        self.verify(folder).iter().all(|(_, finding)| *finding == Finding::Good)
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != ".."
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_regular(path)?.take(MAX_RECORD).read_to_string(&mut text)?;
    Ok(text)
}

fn check(path: &Path, recorded: &RecordedFile) -> Finding {
    match sha256_of(path) {
        Ok((size, sha256)) if size == recorded.size && sha256 == recorded.sha256 => Finding::Good,
        Ok(_) => Finding::Changed,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Finding::Missing,
        Err(_) => Finding::Unreadable,
    }
}

/// Size and SHA-256 (hexadecimal) of a regular file.
pub(super) fn sha256_of(path: &Path) -> io::Result<(u64, String)> {
    let mut file = open_regular(path)?;
    let mut hash = Sha256::new();
    let size = io::copy(&mut file, &mut hash)?;
    Ok((size, hex(&hash.finalize())))
}

/// SHA-256 of `content`, hexadecimal.
pub(super) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn open_regular(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK the opening of a FIFO would wait for a writer for ever.
    let flags = OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(file: &str) -> Record {
        let files = vec![RecordedFile {
            file: file.to_owned(),
            size: 3,
            sha256: sha256(b"abc"),
            origin: "usr/lib/ipxe/x.efi".to_owned(),
            names: vec![file.to_owned()],
        }];
        Record::new(Source::Folder { path: PathBuf::from("/x") }, files)
    }

    /// The example of FIPS 180-2, appendix B.1.
    #[test]
    fn the_checksum_is_sha256_in_hexadecimal() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let written = record("x.efi");
        std::fs::write(folder.path().join(FILE_NAME), written.text()).unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), written);
    }

    #[test]
    fn a_record_cannot_lead_out_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["../x.efi", "/etc/passwd", "", "..", "a/b"] {
            std::fs::write(folder.path().join(FILE_NAME), record(name).text()).unwrap();
            let refused = Record::read(folder.path());
            assert!(matches!(refused, Err(FirmwareError::BadRecord { .. })), "{name}");
        }
    }

    #[test]
    fn a_changed_a_missing_and_an_unreadable_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.efi");
        let record = record("x.efi");
        let finding = || record.verify(folder.path())[0].1;
        assert_eq!(finding(), Finding::Missing);
        std::fs::write(&path, "abd").unwrap();
        assert_eq!(finding(), Finding::Changed);
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(finding(), Finding::Good);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(finding(), Finding::Unreadable);
    }

    proptest::proptest! {
        #[test]
        fn any_record_file_is_read_without_a_panic(text in "[{}\\[\\]\":,a-z0-9 ]{0,80}") {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
            let _ = Record::read(folder.path());
        }
    }
}
