//! What a lab boots: the Debian installer and the loaders, fetched once into a cache.

use std::path::{Path, PathBuf};

use crate::firmware::archive::STABLE;
use crate::firmware::fetch::{self, Origin};
use crate::firmware::installer::{self, Extra};
use crate::firmware::{FirmwareError, Loaders, Progress};

use super::firmware::Firmware;

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

/// Fetches what is missing in `cache`: the installer for the guest's processor into `installer/ARCH`, with the loaders
/// of its package where the firmware wants one of them, unless `assets` is the user's own folder; iPXE into
/// `firmware`, when the guest's firmware loads it.
pub fn fetch(
    cache: &Path,
    firmware: Firmware,
    assets: Option<PathBuf>,
    progress: Progress<'_>,
) -> Result<Supplies, FirmwareError> {
    let assets = match assets {
        Some(folder) => folder,
        None => {
            let arch = firmware.debian_arch();
            let folder = cache.join("installer").join(arch);
            let loaders = if firmware.loader().is_some() { Extra::Loaders } else { Extra::Nothing };
            installer::fetch(&folder, arch, loaders, progress)?;
            folder
        }
    };
    let folder = cache.join("firmware");
    if firmware.loads_ipxe() {
        fetch::fetch(&folder, &Origin::Debian { suite: STABLE.to_owned() }, false, progress)?;
    }
    let there = Loaders::from_folder(&folder).is_ok_and(|(loaders, _)| !loaders.is_empty());
    Ok(Supplies { assets, loaders: there.then_some(folder) })
}
