//! The control socket: how commands reach a running `bootlace serve` on the same machine.
//!
//! HTTP over a Unix socket, `control.sock`, mode 0660: whoever may open it is the administrator, so there is no
//! other proof to give. [`server`] owns the socket and hands whole requests to one function; what they mean is
//! decided there. [`client`] is the commands' side.

#![allow(clippy::disallowed_methods, reason = "a shell: it owns a socket and its file")]

pub mod client;
pub mod server;

use std::io;
use std::path::{Path, PathBuf};

/// The socket's name in its folder.
pub const NAME: &str = "control.sock";
/// The folder for root where there is no state folder.
const RUN_FOLDER: &str = "/run/bootlace";

/// Why a command and a running bootlace do not meet.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket cannot be made.
    #[error("cannot make the control socket {path}: {cause}")]
    Bind {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// Another bootlace has it.
    #[error("another bootlace already listens on {path}: stop it, or give this one another --state folder")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Nobody listens.
    #[error("no bootlace is running here: nothing listens on {}", listed(.looked))]
    NotRunning {
        /// Where was looked.
        looked: Vec<PathBuf>,
    },
    /// The socket's mode says no.
    #[error("may not open {path}: it is for root and its group; run this as root")]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// No whole answer came.
    #[error("bootlace did not answer on {path}: {cause}")]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
}

fn listed(paths: &[PathBuf]) -> String {
    match paths {
        [] => format!("{NAME} in a state or run folder; name the state folder with --state"),
        paths => paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or "),
    }
}

/// The folder for the socket of a service with this state folder: there, else in systemd's
/// `$RUNTIME_DIRECTORY`, else `/run/bootlace` for root, else nowhere.
pub fn folder(state: Option<&Path>) -> Option<PathBuf> {
    folders(state).into_iter().next()
}

/// The sockets that a command tries, in this order.
pub fn sockets(state: Option<&Path>) -> Vec<PathBuf> {
    folders(state).into_iter().map(|folder| folder.join(NAME)).collect()
}

fn folders(state: Option<&Path>) -> Vec<PathBuf> {
    let service = std::env::var("RUNTIME_DIRECTORY").ok();
    folders_for(state, service.as_deref(), nix::unistd::geteuid().is_root())
}

fn folders_for(state: Option<&Path>, service: Option<&str>, root: bool) -> Vec<PathBuf> {
    // systemd.exec(5): several folders stand with colons between them, and all are absolute.
    let service = service.and_then(|folders| folders.split(':').next()).map(Path::new);
    let service = service.filter(|folder| folder.is_absolute());
    let system = root.then(|| Path::new(RUN_FOLDER));
    let mut folders: Vec<PathBuf> =
        [state, service, system].into_iter().flatten().map(Path::to_owned).collect();
    folders.dedup();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_in_the_state_folder_else_the_services_else_the_systems() {
        let state = Some(Path::new("/s"));
        assert_eq!(
            folders_for(state, Some("/run/x:/run/y"), true),
            ["/s", "/run/x", "/run/bootlace"].map(PathBuf::from)
        );
        assert_eq!(folders_for(None, Some("/run/bootlace"), true), [PathBuf::from("/run/bootlace")]);
        assert!(folders_for(None, Some(""), false).is_empty());
        assert_eq!(folders_for(None, None, true), [PathBuf::from("/run/bootlace")]);
    }

    #[test]
    fn nobody_listening_is_said_with_where_was_looked() {
        let looked = vec![PathBuf::from("/s/control.sock"), PathBuf::from("/run/bootlace/control.sock")];
        let text = ControlError::NotRunning { looked }.to_string();
        assert_eq!(
            text,
            "no bootlace is running here: nothing listens on /s/control.sock or /run/bootlace/control.sock"
        );
        let text = ControlError::NotRunning { looked: Vec::new() }.to_string();
        assert!(text.ends_with("name the state folder with --state"), "{text}");
    }
}
