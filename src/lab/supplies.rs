//! What a lab boots: the Debian installer and the loaders, fetched once into a cache.

use std::path::{Path, PathBuf};

use crate::firmware::archive::STABLE;
use crate::firmware::fetch::{self, Origin};
use crate::firmware::{FirmwareError, Loaders, Progress, installer};

use super::guest::Firmware;

/// Where they are kept when nothing else is said.
pub const CACHE: &str = "/var/cache/bootlace/lab";

/// What there is to boot from.
#[derive(Clone, Debug)]
pub struct Supplies {
    /// Asset folder with `linux` and `initrd.gz`.
    pub assets: PathBuf,
    /// Folder with loaders, when there is one.
    pub loaders: Option<PathBuf>,
}

/// Fetches what is missing in `cache`: the installer into `installer/amd64`, unless `assets` is the user's own
/// folder; loaders into `firmware`, when the guest's firmware loads one (a BIOS guest has iPXE in ROM).
pub fn fetch(
    cache: &Path,
    firmware: Firmware,
    assets: Option<PathBuf>,
    progress: Progress<'_>,
) -> Result<Supplies, FirmwareError> {
    let assets = match assets {
        Some(folder) => folder,
        None => {
            let folder = cache.join("installer/amd64");
            installer::fetch(&folder, "amd64", progress)?;
            folder
        }
    };
    let folder = cache.join("firmware");
    if firmware == Firmware::Uefi {
        fetch::fetch(&folder, &Origin::Debian { suite: STABLE.to_owned() }, false, progress)?;
    }
    let there = Loaders::from_folder(&folder).is_ok_and(|(loaders, _)| !loaders.is_empty());
    Ok(Supplies { assets, loaders: there.then_some(folder) })
}
