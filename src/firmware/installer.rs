//! Kernel and initrd of the Debian installer, from Debian's netboot package: something real to boot, for the lab, the
//! tests, and everybody who wants to install Debian. On demand also the package's boot loaders that are not iPXE: shim
//! and GRUB, signed for Secure Boot, and PXELINUX.
#![allow(clippy::disallowed_methods, reason = "files are moved at the edge")]

use std::fs;
use std::path::{Path, PathBuf};

use super::archive::{Archive, STABLE};
use super::record::{self, Record, RecordedFile, Source};
use super::staging::Staging;
use super::{FirmwareError, Progress};

/// The installer's kernel and initrd on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installer {
    /// The kernel.
    pub linux: PathBuf,
    /// The initial RAM disk.
    pub initrd: PathBuf,
    /// Version of the package.
    pub version: String,
    /// False when they were there already.
    pub fresh: bool,
}

/// File names in the folder.
const LINUX: &str = "linux";
const INITRD: &str = "initrd.gz";

/// What is wanted beside kernel and initrd.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Extra {
    /// Nothing.
    #[default]
    Nothing,
    /// The package's boot loaders, under the names by which they look for each other.
    Loaders,
}

/// Boot loaders of the package: Debian's architecture, path below the package's folder, name here. shim (`boot…`)
/// loads GRUB from beside itself, PXELINUX its `ldlinux.c32`.
const LOADERS: &[(&str, &str, &str)] = &[
    ("amd64", "bootnetx64.efi", "bootnetx64.efi"),
    ("amd64", "grubx64.efi", "grubx64.efi"),
    ("amd64", "pxelinux.0", "pxelinux.0"),
    ("amd64", "boot-screens/ldlinux.c32", "ldlinux.c32"),
    ("arm64", "bootnetaa64.efi", "bootnetaa64.efi"),
    ("arm64", "grubaa64.efi", "grubaa64.efi"),
];

/// Files of the package to bring: path below its folder, name here.
fn wanted(arch: &str, extra: Extra) -> Vec<(&'static str, &'static str)> {
    let loaders = LOADERS.iter().filter(|(of, ..)| *of == arch && extra == Extra::Loaders);
    [(LINUX, LINUX), (INITRD, INITRD)]
        .into_iter()
        .chain(loaders.map(|(_, path, name)| (*path, *name)))
        .collect()
}

/// Puts `linux` and `initrd.gz` of the newest stable release for Debian's architecture `arch` (such as `amd64`) into
/// `to`, and `extra`, with a `manifest.json` that holds their checksums. Quick, and without network, when they are there and
/// match. Several processes may call it for one folder at the same time.
///
/// # Errors
/// See [`FirmwareError`].
pub fn fetch(
    to: &Path,
    arch: &str,
    extra: Extra,
    progress: Progress<'_>,
) -> Result<Installer, FirmwareError> {
    let wanted = wanted(arch, extra);
    if let Some(installer) = present(to, arch, &wanted) {
        return Ok(installer);
    }
    let staging = Staging::open(to, progress)?;
    // Another process may have brought them while this one waited.
    if let Some(installer) = present(to, arch, &wanted) {
        return Ok(installer);
    }
    let work = staging.work().join("archive");
    fs::create_dir(&work).map_err(|cause| FirmwareError::Write { path: work.clone(), cause })?;
    let archive = Archive::open(&work, STABLE, progress)?;
    let (release, name) = newest(&archive.names("debian-installer-", progress)?, arch).ok_or_else(|| {
        FirmwareError::NoPackage {
            suite: STABLE.to_owned(),
            package: format!("debian-installer-…-netboot-{arch}"),
        }
    })?;
    let package = archive.package(&name, progress)?;
    let root = archive.unpack(&package, progress)?;
    let inside = format!("usr/lib/debian-installer/images/{release}/{arch}/text/debian-installer/{arch}");
    let mut files = Vec::new();
    for (below, file) in &wanted {
        let origin = format!("{inside}/{below}");
        let path = root.join(&origin);
        let (size, sha256) = record::sha256_of(&path).map_err(|_| FirmwareError::NotInPackage {
            package: package.name.clone(),
            version: package.version.clone(),
            file: origin.clone(),
        })?;
        let staged = staging.work().join(file);
        fs::rename(&path, &staged).map_err(|cause| FirmwareError::Write { path: staged, cause })?;
        files.push(RecordedFile { file: (*file).to_owned(), size, sha256, origin, names: Vec::new() });
    }
    let version = package.version.clone();
    let source = Source::Debian {
        suite: archive.suite,
        codename: archive.codename,
        release: archive.version,
        package: package.name,
        version: package.version,
        sha256: package.sha256,
    };
    staging.write(record::FILE_NAME, Record::new(source, files).text().as_bytes())?;
    progress.check()?;
    for file in wanted.iter().map(|(_, file)| *file).chain([record::FILE_NAME]) {
        staging.put(file)?;
    }
    staging.settle()?;
    Ok(Installer { linux: to.join(LINUX), initrd: to.join(INITRD), version, fresh: true })
}

fn present(to: &Path, arch: &str, wanted: &[(&str, &str)]) -> Option<Installer> {
    let record = Record::read(to).ok()?;
    let Source::Debian { package, version, .. } = &record.source else { return None };
    let complete = wanted.iter().all(|(_, name)| record.files.iter().any(|file| file.file == *name));
    if !complete || release_of(package, arch).is_none() || !record.holds(to) {
        return None;
    }
    let version = version.clone();
    Some(Installer { linux: to.join(LINUX), initrd: to.join(INITRD), version, fresh: false })
}

/// The release number in the name of an installer's netboot package.
fn release_of(package: &str, arch: &str) -> Option<u32> {
    package.strip_prefix("debian-installer-")?.strip_suffix(arch)?.strip_suffix("-netboot-")?.parse().ok()
}

/// The newest release's package among `names`, with its release number.
fn newest(names: &[String], arch: &str) -> Option<(u32, String)> {
    names.iter().filter_map(|name| Some((release_of(name, arch)?, name.clone()))).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_of_the_asked_architecture_is_taken() {
        let names = [
            "debian-installer-9-netboot-amd64",
            "debian-installer-13-netboot-amd64",
            "debian-installer-14-netboot-arm64",
            "debian-installer-launcher",
            "debian-installer-15-netboot-kfreebsd-amd64",
        ]
        .map(str::to_owned);
        assert_eq!(newest(&names, "amd64"), Some((13, "debian-installer-13-netboot-amd64".to_owned())));
        assert_eq!(newest(&names, "riscv64"), None);
    }

    #[test]
    fn loaders_come_under_the_names_by_which_they_look_for_each_other() {
        assert_eq!(wanted("amd64", Extra::Nothing), [("linux", "linux"), ("initrd.gz", "initrd.gz")]);
        let amd64 = wanted("amd64", Extra::Loaders);
        assert!(amd64.contains(&("grubx64.efi", "grubx64.efi")));
        assert!(amd64.contains(&("boot-screens/ldlinux.c32", "ldlinux.c32")));
        assert!(!wanted("arm64", Extra::Loaders).iter().any(|(_, name)| *name == "pxelinux.0"));
        assert_eq!(wanted("riscv64", Extra::Loaders).len(), 2, "Debian signs none for it");
    }
}
