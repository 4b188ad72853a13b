//! What the lab runs, and which Debian package holds it.

use std::path::{Path, PathBuf};

use super::LabError;

/// Programs and the Debian packages that hold them.
const PACKAGES: &[(&str, &str)] = &[
    ("setpriv", "util-linux"),
    ("ip", "iproute2"),
    ("sysctl", "procps"),
    ("ethtool", "ethtool"),
    ("dnsmasq", "dnsmasq-base"),
    ("tcpdump", "tcpdump"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-system-aarch64", "qemu-system-arm"),
];

/// Folders in which root's programs lie, whatever `PATH` says (`su` without `-` leaves `sbin` out).
const FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Checks that `programs` can be run; names all that are missing at once, with their packages.
pub fn require(programs: &[&str]) -> Result<(), LabError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        std::env::split_paths(&path).chain(FOLDERS.iter().map(PathBuf::from)).collect();
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|program| !folders.iter().any(|folder| folder.join(program).is_file()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|program| package_of(program)).collect();
    packages.dedup();
    Err(LabError::Missing { programs: missing.join(", "), packages: packages.join(" ") })
}

/// The first of `candidates` that exists; `package` holds it on Debian.
pub fn file(candidates: &[&str], package: &str) -> Result<PathBuf, LabError> {
    candidates
        .iter()
        .map(Path::new)
        .find(|path| path.is_file())
        .map(Path::to_owned)
        .ok_or_else(|| LabError::Missing { programs: candidates.join(" or "), packages: package.to_owned() })
}

fn package_of(program: &str) -> &str {
    PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_programs_are_named_at_once_with_their_packages() {
        let error = require(&["sh", "no-such-program", "no-such-other"]).unwrap_err().to_string();
        assert!(error.contains("no-such-program, no-such-other"), "{error}");
        assert!(!error.contains("sh,"), "{error}");
        assert_eq!(package_of("qemu-system-x86_64"), "qemu-system-x86");
    }
}
