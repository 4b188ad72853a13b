//! Where loaders lie when nothing is said, and the command that gets them.

use std::path::{Path, PathBuf};

/// The folder of all users, filled by root.
const SYSTEM_FOLDER: &str = "/var/lib/bootlace/firmware";

/// The loader folder where nothing is said: `/var/lib/bootlace/firmware` as root, else the user's data folder
/// (`$XDG_DATA_HOME/bootlace/firmware`, by default `~/.local/share/bootlace/firmware`).
pub fn default_folder() -> PathBuf {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    folder_for(nix::unistd::geteuid().is_root(), of("XDG_DATA_HOME"), of("HOME"))
}

fn folder_for(root: bool, data: Option<PathBuf>, home: Option<PathBuf>) -> PathBuf {
    // The XDG base directory specification has relative paths ignored.
    let data = data.filter(|path| path.is_absolute());
    let home = home.filter(|path| path.is_absolute()).map(|home| home.join(".local/share"));
    match data.or(home) {
        Some(data) if !root => data.join("bootlace/firmware"),
        _ => PathBuf::from(SYSTEM_FOLDER),
    }
}

/// The command line that fills `folder` (`None`: the default one), ready to be copied into a shell.
pub fn fetch_command(folder: Option<&Path>) -> String {
    match folder {
        Some(folder) if folder != default_folder() => {
            format!("bootlace firmware fetch --to {}", quoted(&folder.display().to_string()))
        }
        _ => "bootlace firmware fetch".to_owned(),
    }
}

/// What `bootlace serve` says when `folder` holds no loader.
pub fn no_loaders_message(folder: &Path) -> String {
    format!(
        "no loader in {}, so no machine could be given its first file\n  get them: {}\n  or go on without: --firmware \
         none",
        folder.display(),
        fetch_command(Some(folder))
    )
}

/// `text` as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_uses_the_system_folder_and_a_user_their_own() {
        let home = Some(PathBuf::from("/home/eve"));
        assert_eq!(folder_for(true, None, home.clone()), Path::new("/var/lib/bootlace/firmware"));
        assert_eq!(
            folder_for(false, None, home.clone()),
            Path::new("/home/eve/.local/share/bootlace/firmware")
        );
        assert_eq!(
            folder_for(false, Some(PathBuf::from("/data")), home.clone()),
            Path::new("/data/bootlace/firmware")
        );
        assert_eq!(
            folder_for(false, Some(PathBuf::from("data")), home),
            Path::new("/home/eve/.local/share/bootlace/firmware")
        );
        assert_eq!(folder_for(false, None, None), Path::new("/var/lib/bootlace/firmware"));
    }

    #[test]
    fn the_command_can_be_copied_into_a_shell() {
        assert_eq!(fetch_command(Some(Path::new("/srv/fw"))), "bootlace firmware fetch --to /srv/fw");
        assert_eq!(
            fetch_command(Some(Path::new("/srv/my fw's"))),
            r"bootlace firmware fetch --to '/srv/my fw'\''s'"
        );
        assert!(no_loaders_message(Path::new("/srv/fw")).contains("bootlace firmware fetch --to /srv/fw\n"));
    }
}
