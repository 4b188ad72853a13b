//! Fills a loader folder: from Debian's newest stable release, or from a folder of loaders that a user has.
#![allow(clippy::disallowed_methods, reason = "files are copied at the edge")]

use std::fs;
use std::path::{Path, PathBuf};

use super::archive::{Archive, Package};
use super::folder::{self, FoundFile};
use super::record::{self, Record, RecordedFile, Source};
use super::staging::Staging;
use super::{FirmwareError, Problem, Progress, manifest};

/// Where loaders shall come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Package `ipxe` of a suite of Debian's archive.
    Debian {
        /// Such as `stable` or `trixie`.
        suite: String,
    },
    /// A folder of the user's.
    Folder(PathBuf),
}

/// What a fetch came to.
#[derive(Debug)]
pub struct Fetched {
    /// What lies in the folder now.
    pub record: Record,
    /// False when it lay there already and nothing was fetched.
    pub fresh: bool,
    /// Files of the user's folder that were not taken.
    pub problems: Vec<Problem>,
}

/// Fills `to`. Files that an earlier fetch brought and this one does not are removed; others are left alone.
/// Everything is made ready beside the old files and takes their place at the end, so that a failure or an
/// interruption leaves the old ones. Unless `force` is set, files of the same suite that are there and match their
/// checksums are left, without a question to the network.
///
/// # Errors
/// See [`FirmwareError`].
pub fn fetch(
    to: &Path,
    from: &Origin,
    force: bool,
    progress: Progress<'_>,
) -> Result<Fetched, FirmwareError> {
    let old = Record::read(to).ok();
    if let (Some(record), Origin::Debian { suite }, false) = (&old, from, force)
        && is_current(record, suite)
        && record.holds(to)
    {
        return Ok(Fetched { record: record.clone(), fresh: false, problems: Vec::new() });
    }
    // Read first: the folder may be the target itself.
    let own = match from {
        Origin::Folder(path) => Some((path, own_loaders(path)?)),
        Origin::Debian { .. } => None,
    };
    let staging = Staging::open(to, progress)?;
    let (source, files, problems) = match (own, from) {
        (Some((path, (files, problems))), _) => {
            let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            (Source::Folder { path }, files, problems)
        }
        (None, Origin::Debian { suite }) => {
            let (source, files) = from_debian(&staging, suite, progress)?;
            (source, files, Vec::new())
        }
        (None, Origin::Folder(path)) => {
            return Err(FirmwareError::NoLoaders { path: path.clone(), problems: Vec::new() });
        }
    };
    let record = install(&staging, source, &files, old.as_ref(), progress)?;
    Ok(Fetched { record, fresh: true, problems })
}

/// A loader on its way into the folder.
struct Incoming {
    name: String,
    origin: String,
    file: FoundFile,
}

/// True when `record` is what a fetch of `suite` by this bootlace brings.
fn is_current(record: &Record, suite: &str) -> bool {
    let Source::Debian { suite: recorded, codename, .. } = &record.source else { return false };
    let wanted = manifest::builtin().debian_files();
    (recorded == suite || codename == suite)
        && wanted.iter().all(|name| record.files.iter().any(|file| file.file == *name))
}

fn from_debian(
    staging: &Staging,
    suite: &str,
    progress: Progress<'_>,
) -> Result<(Source, Vec<Incoming>), FirmwareError> {
    let table = manifest::builtin();
    let work = staging.work().join("archive");
    fs::create_dir(&work).map_err(|cause| FirmwareError::Write { path: work.clone(), cause })?;
    let archive = Archive::open(&work, suite, progress)?;
    let package = archive.package(&table.package, progress)?;
    let root = archive.unpack(&package, progress)?;
    let inside = root.join(&table.folder);
    let found = folder::scan(&inside)?;
    let mut files = Vec::new();
    for name in table.debian_files() {
        // An older release builds for fewer machines; what it does not have is missing, not wrong.
        let Some(file) = found.files.get(name) else {
            progress.say(&format!("{} {} has no {name}", package.name, package.version));
            continue;
        };
        let origin = format!("{}/{name}", table.folder);
        files.push(Incoming { name: name.to_owned(), origin, file: file.clone() });
    }
    if files.is_empty() {
        let Package { name, version, .. } = package;
        return Err(FirmwareError::NotInPackage { package: name, version, file: table.folder.clone() });
    }
    let source = Source::Debian {
        suite: archive.suite,
        codename: archive.codename,
        release: archive.version,
        package: package.name,
        version: package.version,
        sha256: package.sha256,
    };
    Ok((source, files))
}

fn own_loaders(path: &Path) -> Result<(Vec<Incoming>, Vec<Problem>), FirmwareError> {
    let mut found = folder::scan(path)?;
    // Only what would be served: a file built for another machine than its name says is a problem.
    let published = folder::publish(&mut found);
    let files: Vec<Incoming> = found
        .files
        .into_iter()
        .filter(|(name, _)| published.contains_key(name))
        .map(|(name, file)| Incoming { name, origin: file.path.display().to_string(), file })
        .collect();
    if files.is_empty() {
        return Err(FirmwareError::NoLoaders { path: path.to_owned(), problems: found.problems });
    }
    Ok((files, found.problems))
}

fn install(
    staging: &Staging,
    source: Source,
    files: &[Incoming],
    old: Option<&Record>,
    progress: Progress<'_>,
) -> Result<Record, FirmwareError> {
    let mut names = names_by_file(files);
    let mut recorded = Vec::new();
    for Incoming { name, origin, file } in files {
        staging.write(name, &file.content)?;
        recorded.push(RecordedFile {
            file: name.clone(),
            size: file.content.len() as u64,
            sha256: record::sha256(&file.content),
            origin: origin.clone(),
            names: names.remove(name).unwrap_or_default(),
        });
    }
    recorded.sort_by(|a, b| a.file.cmp(&b.file));
    let record = Record::new(source, recorded);
    staging.write(record::FILE_NAME, record.text().as_bytes())?;
    progress.check()?;

    // From here on only renames: each file changes from old to new at once, the record last.
    for Incoming { name, .. } in files {
        staging.put(name)?;
    }
    staging.put(record::FILE_NAME)?;
    let kept = |name: &str| record.files.iter().any(|file| file.file == name);
    for file in old.iter().flat_map(|old| &old.files).filter(|file| !kept(&file.file)) {
        staging.discard(&file.file)?;
    }
    staging.settle()?;
    Ok(record)
}

/// The published names that each file serves.
fn names_by_file(files: &[Incoming]) -> std::collections::BTreeMap<String, Vec<String>> {
    let mut found = folder::Found::default();
    for Incoming { name, file, .. } in files {
        found.files.insert(name.clone(), FoundFile { path: PathBuf::from(name), ..file.clone() });
    }
    let mut names = std::collections::BTreeMap::<String, Vec<String>>::new();
    for (published, loader) in folder::publish(&mut found) {
        names.entry(loader.path.display().to_string()).or_default().push(published);
    }
    names
}
