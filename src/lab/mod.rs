//! The lab: a virtual boot VLAN on this machine, with real firmware in QEMU at its ports.
//!
//! [`Sandbox`] holds the VLAN: a bridge, hosts with an `eth0` each, taps for guests, all in network and mount
//! namespaces that only the calling thread and its children can see. They have no name on the machine, so labs
//! run side by side with the same names and addresses, and the kernel removes all of it when the thread ends,
//! however it ends. On the VLAN live an [`Appliance`] (this very program as `bootlace serve`), a
//! [`Guest`] per node, and where a test wants it a [site DHCP server](site) that knows nothing of booting and
//! a [router](router) that answers IPv6 solicitations. [`run`] puts them together for `bootlace lab run`.
//!
//! The sandbox belongs to one thread: children are started from it, and the kernel kills them when it ends.

pub mod appliance;
pub mod console;
pub mod firmware;
pub mod guest;
pub mod network;
pub mod plain_rom;
pub mod programs;
pub mod records;
pub mod router;
pub mod run;
pub mod sandbox;
pub mod site;
pub mod stages;
pub mod supplies;
pub mod terminal;
pub mod virt_install;
pub mod watched;

pub use appliance::Appliance;
pub use console::Console;
pub use firmware::Firmware;
pub use guest::{Accel, AccelChoice, Guest, Machine};
pub use sandbox::{Place, Process, Sandbox};

use std::path::PathBuf;
use std::time::Duration;

/// The lab makes namespaces, a bridge and taps, which only root may.
pub fn require_root() -> Result<(), LabError> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(LabError::NotRoot) }
}

/// Why the lab cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Not root.
    #[error(
        "the lab needs root: it makes network namespaces, a bridge and taps of its own; run it with sudo (nothing on the machine's own network is touched)"
    )]
    NotRoot,
    /// The kernel or a container's policy refuses namespaces.
    #[error("cannot make the lab's private {what} ({cause}); inside a container it needs CAP_SYS_ADMIN")]
    Namespaces {
        /// Which step.
        what: &'static str,
        /// The system's error.
        #[source]
        cause: nix::errno::Errno,
    },
    /// Programs that the lab runs are not installed.
    #[error("the lab needs {programs}: apt-get install {packages}")]
    Missing {
        /// The missing programs or files.
        programs: String,
        /// Debian packages that hold them, separated by spaces.
        packages: String,
    },
    /// A program could not be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// A set-up command failed.
    #[error("'{command}' failed: {said}")]
    Command {
        /// The command line.
        command: String,
        /// What it wrote, or its exit status.
        said: String,
    },
    /// A file of the lab could not be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// `read`, `write`, `copy` ...
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// A program of the lab ended although it should run.
    #[error("{program} ended ({status}); it said last:\n{said}")]
    Ended {
        /// The program.
        program: String,
        /// Exit status.
        status: String,
        /// Its last lines.
        said: String,
    },
    /// Something that should have happened did not.
    #[error("no {awaited} within {} s; seen last:\n{seen}", limit.as_secs())]
    TimedOut {
        /// What was waited for.
        awaited: String,
        /// How long.
        limit: Duration,
        /// What was seen last.
        seen: String,
    },
    /// The records do not fit the lab.
    #[error("{0}")]
    Records(String),
}
