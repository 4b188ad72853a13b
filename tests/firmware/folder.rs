//! Any folder of loaders is understood, and nothing hostile in it stops the rest.

use std::fs;
use std::os::unix::fs::symlink;

use bootlace::client::Arch;
use bootlace::firmware::{FirmwareError, Loaders, folder};

use crate::support::{ARM64, I386, X64, efi};

fn read(folder: &std::path::Path) -> (Loaders, Vec<String>) {
    let (loaders, problems) = Loaders::from_folder(folder).unwrap();
    (loaders, problems.iter().map(ToString::to_string).collect())
}

/// The files of Debian 13's package, by its own names.
#[test]
fn a_folder_with_the_packages_names_serves_every_published_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("undionly.kpxe"), "undionly").unwrap();
    fs::write(path.join("snponly.efi"), efi(X64, "snponly")).unwrap();
    fs::write(path.join("ipxe-amd64.efi"), efi(X64, "full")).unwrap();
    fs::write(path.join("ipxe-arm64.efi"), efi(ARM64, "arm")).unwrap();
    fs::write(path.join("manifest.json"), "{}").unwrap();
    let (loaders, problems) = read(path);
    assert_eq!(problems, Vec::<String>::new());
    let content = |name: &str| loaders.named(name).unwrap().content.clone();
    assert_eq!(content("snponly-x86_64.efi"), content("snponly.efi"));
    assert_eq!(content("ipxe-x86_64.efi"), content("ipxe-amd64.efi"));
    assert_eq!(content("ipxe.efi"), content("ipxe-amd64.efi"));
    assert_eq!(content("snponly-arm64.efi"), content("ipxe-arm64.efi"));
    assert_ne!(content("snponly.efi"), content("ipxe.efi"));
    assert!(loaders.named("manifest.json").is_none());
    assert_eq!(loaders.for_arch(Arch(7)).unwrap().name, "snponly-x86_64.efi");
    assert_eq!(loaders.for_arch(Arch(11)).unwrap().name, "snponly-arm64.efi");
    let fetchable: Vec<_> =
        loaders.missing().iter().filter(|one| one.fetchable).map(|one| one.loader).collect();
    assert_eq!(fetchable, ["snponly-riscv64.efi", "snponly-loong64.efi"]);
}

/// A name that a file carries itself is never taken by an alias of another.
#[test]
fn a_files_own_name_means_that_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("snponly-x86_64.efi"), efi(X64, "one")).unwrap();
    fs::write(folder.path().join("snponly.efi"), efi(X64, "two")).unwrap();
    fs::write(folder.path().join("site.efi"), "anything").unwrap();
    let (loaders, _) = read(folder.path());
    assert!(loaders.named("snponly-x86_64.efi").unwrap().content.ends_with(b"one"));
    assert!(loaders.named("snponly.efi").unwrap().content.ends_with(b"two"));
    assert_eq!(&*loaders.named("site.efi").unwrap().content, b"anything");
}

/// With one full iPXE and no snponly, x64 machines still boot.
#[test]
fn a_substitute_serves_when_nothing_better_is_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ipxe.efi"), efi(X64, "full")).unwrap();
    fs::write(folder.path().join("ipxe.pxe"), "bios").unwrap();
    let (loaders, _) = read(folder.path());
    assert!(loaders.for_arch(Arch(7)).unwrap().content.ends_with(b"full"));
    assert_eq!(&*loaders.for_arch(Arch(0)).unwrap().content, b"bios");
}

/// OpenCHAMI's images and DHCP settings name `ipxe-…` where we name `snponly-…`.
#[test]
fn with_snponly_alone_the_names_of_full_builds_are_served_too() {
    let folder = tempfile::tempdir().unwrap();
    for (name, machine) in
        [("snponly-i386.efi", I386), ("snponly-x86_64.efi", X64), ("snponly-arm64.efi", ARM64)]
    {
        fs::write(folder.path().join(name), efi(machine, name)).unwrap();
    }
    let (loaders, _) = read(folder.path());
    let content = |name: &str| loaders.named(name).unwrap().content.clone();
    assert!(content("ipxe-i386.efi").ends_with(b"snponly-i386.efi"));
    assert!(content("ipxe-x86_64.efi").ends_with(b"snponly-x86_64.efi"));
    assert!(content("ipxe.efi").ends_with(b"snponly-x86_64.efi"));
    assert!(content("ipxe-arm64.efi").ends_with(b"snponly-arm64.efi"));
    assert!(loaders.named("ipxe-arm32.efi").is_none());
}

/// [I1]: a machine is never handed another machine's program.
#[test]
fn a_file_built_for_another_machine_is_refused_under_that_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("snponly-x86_64.efi"), efi(ARM64, "arm")).unwrap();
    let (loaders, problems) = read(folder.path());
    assert!(loaders.for_arch(Arch(7)).is_none());
    assert!(problems[0].contains("was built for arm64, and this name stands for x86_64"), "{problems:?}");
}

/// [W10]: links that leave the folder, FIFOs and folders are refused, and named.
#[test]
fn what_is_no_loader_is_named_and_does_not_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(elsewhere.path().join("secret"), "secret").unwrap();
    fs::write(path.join("undionly.kpxe"), "good").unwrap();
    symlink("undionly.kpxe", path.join("inside.kpxe")).unwrap();
    symlink(elsewhere.path().join("secret"), path.join("outside.efi")).unwrap();
    symlink("gone", path.join("dangling.efi")).unwrap();
    symlink("loop.efi", path.join("loop.efi")).unwrap();
    fs::create_dir(path.join("folder.efi")).unwrap();
    fs::write(path.join("empty.efi"), "").unwrap();
    nix::unistd::mkfifo(&path.join("fifo.efi"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    symlink("/dev/zero", path.join("zero.efi")).unwrap();
    // Sparse: the size is what counts.
    fs::File::create(path.join("huge.efi")).unwrap().set_len(folder::MAX_LOADER + 1).unwrap();

    let (loaders, problems) = read(path);
    let names: Vec<&str> = loaders.names().collect();
    assert_eq!(names, ["inside.kpxe", "undionly.kpxe"]);
    for (file, why) in [
        ("outside.efi", "a link that leaves the folder"),
        ("dangling.efi", "a link to gone, which cannot be reached"),
        ("loop.efi", "a link to loop.efi, which cannot be reached"),
        ("folder.efi", "no regular file"),
        ("empty.efi", "is empty"),
        ("fifo.efi", "no regular file"),
        ("zero.efi", "a link that leaves the folder"),
        ("huge.efi", "a loader may have 16777216"),
    ] {
        let problem = problems.iter().find(|problem| problem.contains(file));
        assert!(problem.is_some_and(|problem| problem.contains(why)), "{file}: {why}: {problems:?}");
    }
    assert_eq!(problems.len(), 8, "{problems:?}");
}

/// Memory is bounded however many files a folder holds.
#[test]
fn all_loaders_together_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let each = folder::MAX_LOADER;
    for number in 0..=folder::MAX_ALL / each {
        fs::File::create(folder.path().join(format!("{number:02}.efi"))).unwrap().set_len(each).unwrap();
    }
    let (loaders, problems) = read(folder.path());
    assert_eq!(loaders.names().count() as u64, folder::MAX_ALL / each);
    assert!(problems[0].contains("does not fit"), "{problems:?}");
}

#[test]
fn a_folder_that_cannot_be_read_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path(), std::path::Path::new("/nonexistent/firmware")] {
        match Loaders::from_folder(path) {
            Err(FirmwareError::Folder { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
    }
}
