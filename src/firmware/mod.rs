//! Loaders: which file serves which architecture, where it comes from, what is on disk.
//!
//! [`manifest`] is the table of `firmware/loaders.yaml`, [`folder`] reads a loader folder into [`Loaders`],
//! [`fetch`] fills one from Debian's archive or from files a user has, [`record`] is the `manifest.json` that proves
//! its content. [`archive`] is the private view of Debian's archive that `fetch` and [`installer`] share.
//!
//! Everything that reads or writes files here runs before serving starts or in a command of its own; packets only
//! ever see the immutable [`Loaders`].

pub mod archive;
pub mod fetch;
pub mod folder;
pub mod installer;
pub mod manifest;
pub mod record;

mod places;
mod staging;
mod tool;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::client::Arch;

pub use folder::Problem;
pub use places::{default_folder, fetch_command, no_loaders_message};
pub use tool::Progress;

/// One loader that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// Published name, such as `snponly-x86_64.efi`.
    pub name: String,
    /// File on disk.
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Content, held once in memory: loaders are small and asked for by everybody at the same time.
    pub content: Arc<[u8]>,
}

/// The loaders found in the firmware folder.
#[derive(Clone, Debug, Default)]
pub struct Loaders {
    by_name: BTreeMap<String, Arc<Loader>>,
}

/// A default first file that is not on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Published name of the loader.
    pub loader: &'static str,
    /// The architectures that go without it.
    pub archs: Vec<Arch>,
    /// True when `bootlace firmware fetch` brings it; false when only a build of the user's own can.
    pub fetchable: bool,
    /// What a user should know, for a loader that Debian does not build.
    pub note: Option<&'static str>,
}

/// The architectures whose machines are met in practice; one of these without a loader is worth a warning.
pub const USUAL_ARCHITECTURES: [Arch; 8] =
    [Arch(0), Arch(6), Arch(7), Arch(9), Arch(10), Arch(11), Arch(27), Arch(39)];

impl Loaders {
    /// From loaders and the further names each is published under.
    pub fn new(by_name: BTreeMap<String, Arc<Loader>>) -> Self {
        Self { by_name }
    }

    /// Reads a loader folder: one that `bootlace firmware fetch` made, or any folder of loaders whose files carry a
    /// published name, an alias or their package's name. What cannot be used is named in the second value; it does
    /// not stop the rest.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub fn from_folder(folder: &Path) -> Result<(Self, Vec<Problem>), FirmwareError> {
        let mut found = folder::scan(folder)?;
        let by_name = folder::publish(&mut found);
        Ok((Self { by_name }, found.problems))
    }

    /// The loader published under `name` (its own name or an alias).
    pub fn named(&self, name: &str) -> Option<&Arc<Loader>> {
        self.by_name.get(name)
    }

    /// The default first file of an architecture, when it is on disk.
    pub fn for_arch(&self, arch: Arch) -> Option<&Arc<Loader>> {
        self.named(arch.row()?.loader?)
    }

    /// All published names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// True when nothing can be served.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The default first files of the [`USUAL_ARCHITECTURES`] that are not on disk.
    pub fn missing(&self) -> Vec<Missing> {
        let mut missing: Vec<Missing> = Vec::new();
        for arch in USUAL_ARCHITECTURES {
            let Some(loader) = arch.row().and_then(|row| row.loader) else { continue };
            if self.named(loader).is_some() {
                continue;
            }
            if let Some(known) = missing.iter_mut().find(|known| known.loader == loader) {
                known.archs.push(arch);
                continue;
            }
            let entry = manifest::builtin().loader(loader);
            missing.push(Missing {
                loader,
                archs: vec![arch],
                fetchable: entry.is_some_and(|entry| entry.debian.is_some()),
                note: entry.and_then(|entry| entry.note.as_deref()),
            });
        }
        missing
    }
}

/// Why loaders could not be read or fetched.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// A folder cannot be read.
    #[error("cannot read the folder {}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {cause}\n  choose a folder that you may write with --to DIR", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Nothing in the folder is a loader.
    #[error(
        "{} holds no loader: expected files such as undionly.kpxe, snponly.efi or ipxe-arm64.efi{}",
        path.display(),
        listed(problems)
    )]
    NoLoaders {
        /// The folder.
        path: PathBuf,
        /// Files that were looked at and refused.
        problems: Vec<Problem>,
    },
    /// No `manifest.json`, so nothing can be verified or listed by checksum.
    #[error(
        "{} does not exist: nothing was fetched into this folder yet\n  run: {}",
        path.display(),
        fetch_command(path.parent())
    )]
    NoRecord {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// `manifest.json` is not what `fetch` writes.
    #[error("{} is damaged: {problem}\n  run: {} --force", path.display(), fetch_command(path.parent()))]
    BadRecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The machine lacks a program of Debian's package tools.
    #[error(
        "cannot run {program}: {cause}\n  loaders are fetched with Debian's own package tools; on another system take \
         them from a folder with --from DIR"
    )]
    NoTool {
        /// The program.
        program: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// No keyring to check Debian's archive with.
    #[error(
        "no Debian archive keyring in /usr/share/keyrings, so nothing from the archive can be trusted\n  install it: \
         apt-get install debian-archive-keyring\n  or take loaders from a folder with --from DIR"
    )]
    NoKeyring,
    /// The machine's package sources name no Debian archive on a network.
    #[error(
        "the package sources of this machine name no Debian archive that can be asked{seen}\n  add one to \
         /etc/apt/sources.list.d, or take loaders from a folder with --from DIR"
    )]
    NoArchive {
        /// What they name instead, or nothing.
        seen: String,
    },
    /// Debian's archive could not be read or is not trusted.
    #[error("cannot read Debian's suite '{suite}' from {archive}:{output}\n  {advice}")]
    Archive {
        /// The suite asked for.
        suite: String,
        /// The archive's address.
        archive: String,
        /// The package tool's own complaints, one per line, each with a line break before it.
        output: String,
        /// What to do.
        advice: &'static str,
    },
    /// The suite has no such package.
    #[error("Debian's suite '{suite}' has no package {package}\n  name another suite with --suite NAME")]
    NoPackage {
        /// The suite.
        suite: String,
        /// The package, or a description of it.
        package: String,
    },
    /// The package lacks a file that `firmware/loaders.yaml` names.
    #[error("package {package} {version} has no file {file}")]
    NotInPackage {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// The file looked for.
        file: String,
    },
    /// A package tool failed.
    #[error("{command} failed:{output}")]
    Tool {
        /// The command.
        command: String,
        /// Its complaints.
        output: String,
    },
    /// A suite name that cannot be one.
    #[error("'{0}' is no suite of Debian: use a name such as stable or trixie")]
    BadSuite(String),
    /// The user ended it.
    #[error("interrupted; what was there before is unchanged")]
    Interrupted,
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_loaders_every_usual_architecture_is_missing() {
        let missing = Loaders::default().missing();
        let archs: Vec<Arch> = missing.iter().flat_map(|missing| missing.archs.clone()).collect();
        assert_eq!(archs, USUAL_ARCHITECTURES);
    }

    /// [I1]: 7 and 9 share one file, so they are one warning.
    #[test]
    fn a_file_that_serves_two_architectures_is_missing_once() {
        let missing = Loaders::default().missing();
        let x64 = missing.iter().find(|missing| missing.loader == "snponly-x86_64.efi").unwrap();
        assert_eq!(x64.archs, [Arch(7), Arch(9)]);
        assert!(x64.fetchable);
    }

    #[test]
    fn a_loader_that_debian_does_not_build_says_so() {
        let missing = Loaders::default().missing();
        let i386 = missing.iter().find(|missing| missing.loader == "snponly-i386.efi").unwrap();
        assert!(!i386.fetchable);
        assert!(i386.note.unwrap().contains("Debian builds no"));
    }
}
