//! The one tree that TFTP and HTTP show at their root: loaders, per-node files, the asset folder.

use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::link::Peer;
use crate::policy::Reason;
use crate::world::World;

/// What is asked for, by whom, through which of our addresses.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Normalised relative path (see [`normalise`]).
    pub path: &'a str,
    /// Who asks.
    pub peer: &'a Peer,
    /// Our address that the peer used.
    pub local: IpAddr,
}

/// Bytes to serve.
#[derive(Clone, Debug)]
pub enum Content {
    /// Loaders and generated files.
    Memory(Arc<[u8]>),
    /// A file of the asset folder, opened; read by descriptor (`pread`), never mapped.
    File(Arc<File>),
}

/// What kind of thing was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the meaning")]
pub enum Kind {
    Loader,
    Generated,
    Asset,
}

/// A thing that can be served.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its bytes.
    pub content: Content,
    /// Its size in bytes.
    pub size: u64,
    /// What it is.
    pub kind: Kind,
    /// Time of last change, for files on disk.
    pub modified: Option<SystemTime>,
}

/// Why nothing is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Miss {
    /// There is no such file.
    NotFound,
    /// There is, or may be, but not for this peer.
    Refused(Reason),
    /// The path is a link whose target lies outside the served folders [W10].
    Outside(PathBuf),
    /// A directory, FIFO, socket or device [W10].
    NotAFile,
    /// The file is there and cannot be read.
    Unreadable(String),
}

/// Opens `ask.path` in the tree. Blocking (it opens files): call it where that is allowed.
pub fn open(world: &World, ask: &Ask<'_>) -> Result<Found, Miss> {
    let _ = (world, ask);
    Err(Miss::NotFound)
}

/// Turns a name from the wire into a relative path: strips leading slashes, folds backslashes, doubled
/// slashes and `./`, reduces `tftp://host/x` to `x`; refuses `..`, NUL and names over 255 bytes [T12].
pub fn normalise(name: &[u8]) -> Result<String, Reason> {
    let _ = name;
    Err(Reason::BadName)
}
