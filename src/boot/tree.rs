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
    if ask.peer.node.as_ref().is_some_and(|node| !node.netboot) {
        return Err(Miss::Refused(Reason::NetbootOff));
    }
    if let Some(loader) = world.loaders.named(ask.path) {
        let content = Content::Memory(Arc::clone(&loader.content));
        return Ok(Found { content, size: loader.size, kind: Kind::Loader, modified: None });
    }
    let assets = world.settings.assets.as_ref().ok_or(Miss::NotFound)?;
    let root = assets.canonicalize().map_err(|error| Miss::Unreadable(error.to_string()))?;
    let path = root.join(ask.path).canonicalize().map_err(|_| Miss::NotFound)?;
    if !path.starts_with(&root) {
        return Err(Miss::Outside(path));
    }
    let failed = |error: std::io::Error| Miss::Unreadable(error.to_string());
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Miss::NotAFile);
    }
    #[allow(clippy::disallowed_methods, reason = "the tree opens files")]
    let file = File::open(&path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let content = Content::File(Arc::new(file));
    Ok(Found { content, size: metadata.len(), kind: Kind::Asset, modified: metadata.modified().ok() })
}

/// Turns a name from the wire into a relative path: strips leading slashes, folds backslashes, doubled
/// slashes and `./`, reduces `tftp://host/x` to `x`; refuses `..`, NUL and names over 255 bytes [T12].
pub fn normalise(name: &[u8]) -> Result<String, Reason> {
    let text = str::from_utf8(name).map_err(|_| Reason::BadName)?.replace('\\', "/");
    let text = text.strip_prefix("tftp://").and_then(|rest| Some(rest.split_once('/')?.1)).unwrap_or(&text);
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if text.len() > 255 || text.contains('\0') || parts.is_empty() || parts.contains(&"..") {
        return Err(Reason::BadName);
    }
    Ok(parts.join("/"))
}
