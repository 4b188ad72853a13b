//! Reads a loader folder: which files are there, and under which names each is published.
//!
//! A folder is a user's: it may hold anything. Only regular files with a loader's ending are read, each and all
//! together bounded; a link may not leave the folder, except to the two places that Debian 12's package uses.
#![allow(clippy::disallowed_methods, reason = "the folder is read at the edge, before serving starts")]

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;

use super::manifest::{self, Entry, Machine};
use super::{FirmwareError, Loader};

/// Largest loader, bytes. iPXE is 1 MB, signed GRUB 3 MB, a unified kernel image is not a loader.
pub const MAX_LOADER: u64 = 16 << 20;
/// Largest sum of all loaders, bytes: they are held in memory.
pub const MAX_ALL: u64 = 256 << 20;

/// Endings of the files that are read.
const ENDINGS: [&str; 7] = [".efi", ".kpxe", ".kkpxe", ".kkkpxe", ".pxe", ".lkrn", ".0"];

/// A file of a loader folder that is not served, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct FoundFile {
    pub path: PathBuf,
    pub content: Arc<[u8]>,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By file name.
    pub files: BTreeMap<String, FoundFile>,
    pub problems: Vec<Problem>,
}

/// Reads all loaders of `folder`.
pub(super) fn scan(folder: &Path) -> Result<Found, FirmwareError> {
    let unreadable = |cause| FirmwareError::Folder { path: folder.to_owned(), cause };
    let root = fs::canonicalize(folder).map_err(unreadable)?;
    let mut names: Vec<_> =
        fs::read_dir(&root).map_err(unreadable)?.flatten().map(|entry| entry.file_name()).collect();
    names.sort_unstable();

    let mut found = Found::default();
    let mut by_place: BTreeMap<PathBuf, Arc<[u8]>> = BTreeMap::new();
    let mut room = MAX_ALL;
    for name in names {
        let Some(name) = name.to_str().filter(|name| is_loader_name(name)) else { continue };
        let path = folder.join(name);
        match read_one(&root, &root.join(name), room, &mut by_place) {
            Ok((content, cost)) => {
                room -= cost;
                found.files.insert(name.to_owned(), FoundFile { path, content });
            }
            Err(what) => found.problems.push(Problem { path, what }),
        }
    }
    Ok(found)
}

fn is_loader_name(name: &str) -> bool {
    !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Content of one file and how much of the room it takes; a second link to a file costs nothing.
fn read_one(
    root: &Path,
    path: &Path,
    room: u64,
    by_place: &mut BTreeMap<PathBuf, Arc<[u8]>>,
) -> Result<(Arc<[u8]>, u64), String> {
    let place = fs::canonicalize(path).map_err(|cause| match fs::read_link(path) {
        Ok(target) => format!("is a link to {}, which cannot be reached: {cause}", target.display()),
        Err(_) => format!("cannot be read: {cause}"),
    })?;
    if !place.starts_with(root) && !manifest::builtin().outside.contains(&place) {
        return Err(format!(
            "is a link that leaves the folder, to {}: put a copy of the file here",
            place.display()
        ));
    }
    if let Some(content) = by_place.get(&place) {
        return Ok((content.clone(), 0));
    }
    let content: Arc<[u8]> = read_bounded(&place, room)?.into();
    let cost = content.len() as u64;
    by_place.insert(place, content.clone());
    Ok((content, cost))
}

fn read_bounded(place: &Path, room: u64) -> Result<Vec<u8>, String> {
    let unreadable = |cause: std::io::Error| format!("cannot be read: {cause}");
    // Without O_NONBLOCK the opening of a FIFO would wait for a writer for ever.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits())
        .open(place)
        .map_err(unreadable)?;
    let kind = file.metadata().map_err(unreadable)?;
    if !kind.is_file() {
        return Err("is no regular file".to_owned());
    }
    let limit = MAX_LOADER.min(room);
    if kind.len() <= MAX_LOADER && kind.len() > room {
        return Err(format!("does not fit: the loaders of a folder together may have {} MiB", MAX_ALL >> 20));
    }
    let mut content = Vec::new();
    // One byte more than allowed tells a file that grows while it is read.
    file.take(limit + 1).read_to_end(&mut content).map_err(unreadable)?;
    match content.len() as u64 {
        0 => Err("is empty".to_owned()),
        size if size > limit => {
            Err(format!("has {} bytes, a loader may have {}", kind.len().max(size), MAX_LOADER))
        }
        _ => Ok(content),
    }
}

/// Gives each file all names it is served under. A file that carries a published name but was built for another
/// machine is a problem, and served under no name of the table.
pub(super) fn publish(found: &mut Found) -> BTreeMap<String, Arc<Loader>> {
    let mut by_name: BTreeMap<String, Arc<Loader>> = BTreeMap::new();
    let table = manifest::builtin();
    // A file's own name always means that very file.
    for (name, file) in &found.files {
        match table.published(name).map(|entry| check_machine(entry, file)) {
            None | Some(Ok(())) => {
                by_name.insert(name.clone(), Arc::new(loader(name, file)));
            }
            Some(Err(what)) => found.problems.push(Problem { path: file.path.clone(), what }),
        }
    }
    for entry in &table.loaders {
        let best = entry
            .candidates()
            .filter_map(|name| found.files.get(name))
            .find(|file| check_machine(entry, file).is_ok());
        let Some(file) = best else { continue };
        for name in entry.names() {
            by_name.entry(name.to_owned()).or_insert_with(|| Arc::new(loader(name, file)));
        }
    }
    by_name
}

fn loader(name: &str, file: &FoundFile) -> Loader {
    Loader {
        name: name.to_owned(),
        path: file.path.clone(),
        size: file.content.len() as u64,
        content: file.content.clone(),
    }
}

fn check_machine(entry: &Entry, file: &FoundFile) -> Result<(), String> {
    match Machine::of_efi_program(&file.content) {
        // A program for BIOS may begin like an EFI one (iPXE's lkrn can); what is no EFI program cannot be told.
        Some(built_for) if entry.machine != Machine::Bios && built_for != entry.machine => Err(format!(
            "was built for {}, and this name stands for {}",
            built_for.name(),
            entry.machine.name()
        )),
        _ => Ok(()),
    }
}
