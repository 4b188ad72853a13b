//! `state:`: the folder of what outlives bootlace, its records from the API above all.

use std::path::{Path, PathBuf};

use super::diagnostic::{Code, quoted};
use super::table::Table;

/// The folder where nothing is said, for root on a machine that has it.
const SYSTEM_FOLDER: &str = "/var/lib/bootlace";

/// What `state:` or `--state` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateFolder {
    /// `none`: nothing is kept, and the API is read-only.
    None,
    /// This folder; made when it is missing.
    Folder(PathBuf),
}

impl StateFolder {
    /// Reads `none` or a folder; a relative one lies in `base`.
    pub fn read(text: &Path, base: &Path) -> StateFolder {
        if text == Path::new("none") { StateFolder::None } else { StateFolder::Folder(base.join(text)) }
    }
}

/// The key `state` of bootlace.yaml.
pub(super) fn state(table: &mut Table<'_, '_>, base: &Path) -> Option<StateFolder> {
    let text = table.text("state")?;
    let read = StateFolder::read(Path::new(text.value), base);
    if let StateFolder::Folder(path) = &read
        && path.exists()
        && !path.is_dir()
    {
        let message = format!("state: {} is no folder", quoted(&path.to_string_lossy()));
        table
            .error(Code::WrongValue, text.span, "state", message)
            .advise("name a folder; it is made if it is missing");
        return None;
    }
    Some(read)
}

/// The folder to use: what is `said`; else the one that systemd made for the service (`$STATE_DIRECTORY`); else
/// `/var/lib/bootlace` for root where it exists; else none.
pub(super) fn settle(said: Option<StateFolder>) -> Option<PathBuf> {
    match said {
        Some(StateFolder::None) => None,
        Some(StateFolder::Folder(folder)) => Some(folder),
        None => {
            let service = std::env::var("STATE_DIRECTORY").ok();
            let system = nix::unistd::geteuid().is_root() && Path::new(SYSTEM_FOLDER).is_dir();
            default_folder(service.as_deref(), system)
        }
    }
}

fn default_folder(service: Option<&str>, system: bool) -> Option<PathBuf> {
    // systemd.exec(5): several folders stand with colons between them, and all are absolute.
    let service = service.and_then(|folders| folders.split(':').next()).map(Path::new);
    let service = service.filter(|folder| folder.is_absolute()).map(Path::to_owned);
    service.or_else(|| system.then(|| PathBuf::from(SYSTEM_FOLDER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_folder_goes_before_the_systems_and_without_both_there_is_none() {
        for (service, system, folder) in [
            (Some("/var/lib/one:/var/lib/two"), true, Some("/var/lib/one")),
            (Some("/srv/state"), false, Some("/srv/state")),
            (Some(""), true, Some(SYSTEM_FOLDER)),
            (Some("relative"), false, None),
            (None, true, Some(SYSTEM_FOLDER)),
            (None, false, None),
        ] {
            assert_eq!(
                default_folder(service, system).as_deref(),
                folder.map(Path::new),
                "{service:?} {system}"
            );
        }
    }

    #[test]
    fn none_switches_it_off_and_a_relative_folder_lies_beside_its_file() {
        let base = Path::new("/etc/bootlace");
        assert_eq!(StateFolder::read(Path::new("none"), base), StateFolder::None);
        assert_eq!(StateFolder::read(Path::new("s"), base), StateFolder::Folder("/etc/bootlace/s".into()));
        assert_eq!(StateFolder::read(Path::new("/s"), base), StateFolder::Folder("/s".into()));
        assert_eq!(settle(Some(StateFolder::None)), None);
        assert_eq!(settle(Some(StateFolder::Folder("/s".into()))), Some("/s".into()));
    }
}
