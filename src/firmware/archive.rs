//! A private view of Debian's archive: packages of any suite, checked against the archive's signature, without a
//! change to the machine's own package state.
//!
//! All state of the package tools lies in a folder of the caller's. No archive address is written into bootlace: it
//! is taken from the machine's own package sources, so that a site's mirror is respected, and so are its proxy
//! settings. The machine's `apt.conf` hooks are switched off, for they act on the machine (Debian's container images
//! clean its caches in one of them). The machine's preferences (pins) are not read.
#![allow(clippy::disallowed_methods, reason = "package lists are read at the edge")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{FirmwareError, Progress, tool};

/// The newest stable release, whichever that is today.
pub const STABLE: &str = "stable";

/// Debian's archive keys, of all releases that the machine knows; the first that exists is used.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

/// Settings that no command line option can make: lists are emptied, not appended to.
const HOOKS_OFF: &str = "\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
";

/// How many archives are tried: sites with more sources than this list the real one early.
const MAX_ARCHIVES: usize = 8;

/// An opened view: the index of one suite is here and its signature is good.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    /// The suite asked for.
    pub suite: String,
    /// Code name of the release behind it, such as `trixie`.
    pub codename: String,
    /// Version of the release, such as `13.7`; empty for releases without one.
    pub version: String,
    /// Address of the archive.
    pub address: String,
}

/// A package as the signed index describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// SHA-256 of the package file, hexadecimal.
    pub sha256: String,
}

impl Archive {
    /// Reads the index of `suite` into `folder`, which must exist and is the caller's to remove.
    ///
    /// # Errors
    /// Without Debian's package tools, without its keyring, when no source names a Debian archive, or when none of
    /// them can be reached and trusted.
    pub fn open(folder: &Path, suite: &str, progress: Progress<'_>) -> Result<Self, FirmwareError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
        if suite.is_empty() || suite.starts_with(['-', '/']) || !suite.chars().all(plain) {
            return Err(FirmwareError::BadSuite(suite.to_owned()));
        }
        let folder = fs::canonicalize(folder)
            .map_err(|cause| FirmwareError::Folder { path: folder.to_owned(), cause })?;
        prepare(&folder)?;
        let mut archive = Self {
            folder,
            suite: suite.to_owned(),
            codename: String::new(),
            version: String::new(),
            address: String::new(),
        };
        // Asked before the keyring is looked for: on another system than Debian the package tools are what is missing.
        let addresses = archive.addresses(progress)?;
        let keyring =
            KEYRINGS.iter().find(|path| Path::new(path).exists()).ok_or(FirmwareError::NoKeyring)?;
        let mut failure = None;
        for address in addresses {
            progress.say(&format!("reading the index of Debian's suite {suite} from {address}"));
            archive.address = address;
            match archive.update(keyring, progress) {
                Ok(()) => return archive.identify(progress),
                Err(FirmwareError::Interrupted) => return Err(FirmwareError::Interrupted),
                // The first archive is the likeliest, so its complaint is the one to show.
                Err(problem) => failure = failure.or(Some(problem)),
            }
        }
        Err(failure.unwrap_or(FirmwareError::NoArchive { seen: String::new() }))
    }

    /// Names of the packages that begin with `prefix`.
    ///
    /// # Errors
    /// When the package tool fails.
    pub fn names(&self, prefix: &str, progress: Progress<'_>) -> Result<Vec<String>, FirmwareError> {
        let done = self.cache(&["pkgnames", prefix], progress)?;
        Ok(done.stdout.lines().map(str::to_owned).collect())
    }

    /// The newest version of a package in the suite.
    ///
    /// # Errors
    /// When the suite has none.
    pub fn package(&self, name: &str, progress: Progress<'_>) -> Result<Package, FirmwareError> {
        let done = self.cache(&["show", "--no-all-versions", "--", name], progress)?;
        let field = |key: &str| {
            let value = done.stdout.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            value.map(str::to_owned)
        };
        match (done.ok, field("Version"), field("SHA256")) {
            (true, Some(version), Some(sha256)) => Ok(Package { name: name.to_owned(), version, sha256 }),
            _ => Err(FirmwareError::NoPackage { suite: self.suite.clone(), package: name.to_owned() }),
        }
    }

    /// Downloads a package, checked by the package tool against the signed index, and unpacks it. The result is the
    /// root of its files.
    ///
    /// # Errors
    /// When the download, its check or the unpacking fails.
    pub fn unpack(&self, package: &Package, progress: Progress<'_>) -> Result<PathBuf, FirmwareError> {
        let Package { name, version, .. } = package;
        progress.say(&format!("downloading {name} {version}"));
        let arrivals = self.folder.join("arrivals");
        make_folder(&arrivals)?;
        let mut download = self.tool("apt-get");
        download.current_dir(&arrivals).arg("download").arg(format!("{name}={version}"));
        let done = tool::run("apt-get", &mut download, progress)?;
        if !done.ok {
            return Err(self.refused(done.complaints()));
        }
        let file = only_file(&arrivals)?;
        let root = self.folder.join("unpacked");
        progress.say(&format!("unpacking {name}"));
        let done =
            tool::run("dpkg-deb", Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&root), progress)?;
        if !done.ok {
            let command = format!("dpkg-deb --extract {}", file.display());
            return Err(FirmwareError::Tool { command, output: done.complaints() });
        }
        // The package itself is not needed any more, and an installer's is 150 MB.
        fs::remove_file(&file).map_err(|cause| FirmwareError::Write { path: file, cause })?;
        Ok(root)
    }

    /// The addresses of archives that may be Debian's, likeliest first. Which one is shows only when its index turns
    /// out to be signed by Debian.
    fn addresses(&self, progress: Progress<'_>) -> Result<Vec<String>, FirmwareError> {
        // `indextargets` would tell Debian's from others', but says nothing on a machine whose lists were never
        // read, such as a fresh container. Printing what an update would fetch works there too. It runs on the
        // machine's sources with our empty lists, and so needs no right to lock the machine's own.
        let mut list = self.tool_on_own_sources("apt-get");
        let done = tool::run("apt-get", list.args(["update", "--print-uris"]), progress)?;
        let found = archives_in(&done.stdout);
        if found.usable.is_empty() {
            let seen = match (found.passed_over.is_empty(), done.ok) {
                (false, _) => format!(" (only {})", found.passed_over.join(", ")),
                (true, true) => String::new(),
                (true, false) => format!(":{}", done.complaints()),
            };
            return Err(FirmwareError::NoArchive { seen });
        }
        Ok(found.usable)
    }

    fn update(&self, keyring: &str, progress: Progress<'_>) -> Result<(), FirmwareError> {
        let sources = self.folder.join("sources.list");
        // Only the package index: no translations, no software catalogue, no other architectures.
        let line = format!(
            "deb [signed-by={keyring} target=Packages lang=none] {} {} main\n",
            self.address, self.suite
        );
        fs::write(&sources, line).map_err(|cause| FirmwareError::Write { path: sources, cause })?;
        let mut update = self.tool("apt-get");
        // Without "any" an archive that cannot be reached is a warning and the exit code 0.
        let done = tool::run("apt-get", update.args(["update", "--error-on=any"]), progress)?;
        if done.ok { Ok(()) } else { Err(self.refused(done.complaints())) }
    }

    fn identify(self, progress: Progress<'_>) -> Result<Self, FirmwareError> {
        let mut ask = self.tool("apt-get");
        ask.args(["indextargets", "--format", "$(CODENAME)|$(VERSION)", "Created-By: Packages"]);
        let done = tool::run("apt-get", &mut ask, progress)?;
        // A field that the release does not have comes back as its own name.
        let known = |text: &str| if text.starts_with("$(") { String::new() } else { text.to_owned() };
        let (codename, version) =
            done.stdout.lines().next().unwrap_or_default().split_once('|').unwrap_or_default();
        Ok(Self { codename: known(codename), version: known(version), ..self })
    }

    fn cache(&self, arguments: &[&str], progress: Progress<'_>) -> Result<tool::Done, FirmwareError> {
        let mut cache = self.tool("apt-cache");
        tool::run("apt-cache", cache.args(arguments), progress)
    }

    fn refused(&self, output: String) -> FirmwareError {
        FirmwareError::Archive {
            suite: self.suite.clone(),
            archive: self.address.clone(),
            advice: advice_on(&output),
            output,
        }
    }

    /// A package tool on our sources and state.
    fn tool(&self, program: &'static str) -> Command {
        let mut command = self.tool_on_own_sources(program);
        command.arg("-o").arg(setting("Dir::Etc::sourcelist", &self.folder.join("sources.list")));
        command.args(["-o", "Dir::Etc::sourceparts=/dev/null"]);
        command
    }

    /// A package tool on the machine's sources and our state.
    fn tool_on_own_sources(&self, program: &'static str) -> Command {
        let inside = |name: &str| self.folder.join(name);
        let mut command = Command::new(program);
        command.arg("-q").arg("-c").arg(inside("apt.conf"));
        for (key, path) in [
            ("Dir::State", inside("state")),
            ("Dir::State::lists", inside("lists")),
            ("Dir::State::status", inside("status")),
            ("Dir::Cache", inside("cache")),
            ("Dir::Log", inside("log")),
            ("Dir::Etc::preferences", PathBuf::from("/dev/null")),
            ("Dir::Etc::preferencesparts", PathBuf::from("/dev/null")),
        ] {
            command.arg("-o").arg(setting(key, &path));
        }
        // Whatever the machine allows for itself: an index without a good signature is refused.
        for key in [
            "Acquire::AllowInsecureRepositories",
            "Acquire::AllowWeakRepositories",
            "Acquire::AllowDowngradeToInsecureRepositories",
            "APT::Get::AllowUnauthenticated",
        ] {
            command.arg("-o").arg(format!("{key}=false"));
        }
        command.args(["-o", "Acquire::Retries=2"]);
        command
    }
}

fn setting(key: &str, path: &Path) -> std::ffi::OsString {
    let mut setting = std::ffi::OsString::from(format!("{key}="));
    setting.push(path);
    setting
}

fn prepare(folder: &Path) -> Result<(), FirmwareError> {
    for name in ["state", "lists/partial", "cache/archives/partial", "log"] {
        make_folder(&folder.join(name))?;
    }
    // An empty status: what is installed on this machine is no part of the view.
    for (name, content) in [("status", ""), ("apt.conf", HOOKS_OFF)] {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|cause| FirmwareError::Write { path, cause })?;
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), FirmwareError> {
    fs::create_dir_all(path).map_err(|cause| FirmwareError::Write { path: path.to_owned(), cause })
}

fn only_file(folder: &Path) -> Result<PathBuf, FirmwareError> {
    let unreadable = |cause| FirmwareError::Folder { path: folder.to_owned(), cause };
    match fs::read_dir(folder).map_err(unreadable)?.next() {
        Some(entry) => Ok(entry.map_err(unreadable)?.path()),
        None => Err(unreadable(std::io::Error::other("the download left no file"))),
    }
}

/// Archives that a list of addresses names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Archives {
    /// To be asked, likeliest first.
    usable: Vec<String>,
    /// Named by the sources, but not to be asked.
    passed_over: Vec<String>,
}

/// Reads the lines `'ADDRESS' FILE SIZE` of a printed update.
fn archives_in(listing: &str) -> Archives {
    let mut ranked: Vec<(u8, String)> = Vec::new();
    let mut passed_over = Vec::new();
    for line in listing.lines() {
        let Some((uri, _)) = line.strip_prefix('\'').and_then(|rest| rest.split_once('\'')) else { continue };
        // `ARCHIVE/dists/SUITE/InRelease`; sources without suites have no `dists`.
        let Some((address, suite)) = uri.strip_suffix("/InRelease").and_then(|uri| uri.split_once("/dists/"))
        else {
            continue;
        };
        if address.starts_with("cdrom:") {
            passed_over.push("an installation medium (cdrom:)".to_owned());
            continue;
        }
        // Blanks and brackets would be read as something else in a sources line.
        if address.contains(|c: char| c.is_whitespace() || "[]".contains(c)) {
            passed_over.push(address.to_owned());
            continue;
        }
        // Debian's own suites have no dash; bookworm-security and bookworm-updates do.
        let rank = match (address.ends_with("/debian"), suite.contains(['-', '/'])) {
            (true, false) => 0,
            (false, false) => 1,
            (true, true) => 2,
            (false, true) => 3,
        };
        if !ranked.iter().any(|(_, known)| known == address) {
            ranked.push((rank, address.to_owned()));
        } else if let Some(known) = ranked.iter_mut().find(|(_, known)| known == address) {
            known.0 = known.0.min(rank);
        }
    }
    // A stable sort: within a rank the order is the user's.
    ranked.sort_by_key(|(rank, _)| *rank);
    // Addresses that only stand with a suite of updates are asked when there is no other.
    if ranked.iter().any(|(rank, _)| *rank < 2) {
        ranked.retain(|(rank, _)| *rank < 2);
    }
    ranked.truncate(MAX_ARCHIVES);
    passed_over.dedup();
    Archives { usable: ranked.into_iter().map(|(_, address)| address).collect(), passed_over }
}

fn advice_on(output: &str) -> &'static str {
    let says = |text: &str| output.contains(text);
    if says("NO_PUBKEY") || says("Missing key") || says("EXPKEYSIG") {
        "the Debian keyring of this machine does not know the keys of that release: update the package \
         debian-archive-keyring, or name an older release with --suite NAME"
    } else if says("resolving") || says("resolve") || says("connect") || says("timed out") {
        "check the network, or take loaders from a folder with --from DIR"
    } else if says("404") || says("does not have a Release file") || says("no longer has a Release file") {
        "the archive does not have that suite: name another with --suite NAME, or take loaders from a folder with \
         --from DIR"
    } else {
        "take loaders from a folder with --from DIR if this cannot be cured"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(uris: &[&str]) -> String {
        uris.iter().map(|uri| format!("'{uri}' some_file 0 \n")).collect()
    }

    #[test]
    fn the_likeliest_archive_comes_first_and_each_once() {
        let found = archives_in(&listing(&[
            "https://vendor.example/apt/dists/stable/InRelease",
            "http://mirror.example/debian-security/dists/bookworm-security/InRelease",
            "http://mirror.example/some/path/debian/dists/bookworm-updates/InRelease",
            "http://mirror.example/some/path/debian/dists/bookworm/InRelease",
            "http://mirror.example/some/path/debian/dists/bookworm/main/binary-amd64/Packages.xz",
        ]));
        assert_eq!(found.usable, ["http://mirror.example/some/path/debian", "https://vendor.example/apt",]);
    }

    #[test]
    fn a_mirror_list_and_a_local_mirror_are_archives() {
        let found = archives_in(&listing(&[
            "mirror+file:/etc/apt/mirrors/debian.list/dists/bookworm/InRelease",
            "file:/srv/mirror/debian/dists/stable/InRelease",
        ]));
        assert_eq!(found.usable, ["file:/srv/mirror/debian", "mirror+file:/etc/apt/mirrors/debian.list"]);
    }

    #[test]
    fn an_installation_medium_is_passed_over_and_named() {
        let found = archives_in(&listing(&[
            "cdrom://[Debian GNU/Linux 12.0.0 _Bookworm_]/dists/bookworm/InRelease",
            "http://flat.example/repo/./InRelease",
        ]));
        assert_eq!(found.usable, Vec::<String>::new());
        assert_eq!(found.passed_over, ["an installation medium (cdrom:)"]);
    }

    #[test]
    fn an_unknown_key_and_a_missing_network_get_different_advice() {
        assert!(advice_on("\n  W: GPG error: NO_PUBKEY 0123").contains("debian-archive-keyring"));
        assert!(advice_on("\n  E: Temporary failure resolving 'x'").contains("network"));
        assert!(advice_on("\n  E: 404  Not Found").contains("--suite"));
    }

    #[test]
    fn a_suite_that_could_be_read_as_an_option_is_refused() {
        let stop = std::sync::atomic::AtomicBool::new(false);
        for suite in ["", "-o", "../x y", "a]b"] {
            let refused = Archive::open(Path::new("/"), suite, Progress::new(&|_| (), &stop));
            assert!(matches!(refused, Err(FirmwareError::BadSuite(_))), "{suite}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_listing_is_read_without_a_panic(text in "(['a-z:/. \\[\\]]|/dists/|/InRelease|\n){0,60}") {
            archives_in(&text);
        }
    }
}
