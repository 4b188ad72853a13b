//! The one tree that TFTP and HTTP show at their root: per-node files, loaders, the asset folder.
//!
//! Looked up in this order: generated per-node files, loaders under all their names, then
//! the asset folder. A path may begin with an identity (`52:54:00:be:ef:01/snponly.efi`), which is how some
//! configurations tell machines apart. The asset folder is confined [W10]: a link is followed only while its
//! target lies inside the asset or the firmware folder, and nothing but a regular file is ever opened, so
//! that a FIFO or a device in the folder stalls nobody.

use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};

use crate::config::FirmwareSource;
use crate::link::Peer;
use crate::policy::Reason;
use crate::records::{Mac, Node, Uuid};
use crate::world::World;

use super::generated;
use super::loader_config::{self, Wanted};

/// Longest name taken from the wire, bytes [T12].
const NAME_MAX: usize = 255;

/// What is asked for, by whom, through which of our addresses.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Normalised relative path (see [`normalise`]).
    pub path: &'a str,
    /// Who asks.
    pub peer: &'a Peer,
    /// Our address that the peer used.
    pub local: IpAddr,
    /// By which protocol.
    pub door: Door,
}

/// The two protocols that show the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the meaning")]
pub enum Door {
    Tftp,
    Http,
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
///
/// A node whose record says `netboot: false` gets nothing at all, by the same reason as in DHCP.
pub fn open(world: &World, ask: &Ask<'_>) -> Result<Found, Miss> {
    if ask.path.is_empty() {
        return Err(Miss::NotFound);
    }
    if ask.peer.node.as_ref().is_some_and(|node| !node.netboot) {
        return Err(Miss::Refused(Reason::NetbootOff));
    }
    let (folder, name) = ask.path.rsplit_once('/').unwrap_or(("", ask.path));
    let file = generated::File::named(name);
    let config = Wanted::at(ask.path);
    if file.is_some() || config.is_some() {
        // A folder that names another machine asks for another machine's file.
        if let Some(owner) = identity(world, folder).flatten() {
            match &ask.peer.node {
                Some(node) if !node.is_same(owner) => {
                    return Err(Miss::Refused(Reason::NotYourFile));
                }
                _ => {}
            }
        }
        let text = match (file, config) {
            (Some(file), _) => generated::render(world, file, ask.peer, ask.local),
            (None, Some(wanted)) => loader_config::render(world, &wanted, ask),
            (None, None) => Err(Miss::NotFound),
        };
        match text {
            Ok(text) => {
                let content: Arc<[u8]> = text.into_bytes().into();
                let size = content.len() as u64;
                let content = Content::Memory(content);
                return Ok(Found { content, size, kind: Kind::Generated, modified: None });
            }
            // Nothing to say to this peer: a file of that name in the asset folder is for everybody.
            Err(Miss::NotFound) => {}
            Err(miss) => return Err(miss),
        }
    }
    let stripped = match ask.path.split_once('/') {
        Some((first, rest)) if identity(world, first).is_some() || is_short_serial(first) => Some(rest),
        _ => None,
    };
    for path in std::iter::once(ask.path).chain(stripped) {
        if let Some(loader) = world.loaders.named(path) {
            return Ok(Found {
                content: Content::Memory(Arc::clone(&loader.content)),
                size: loader.content.len() as u64,
                kind: Kind::Loader,
                modified: None,
            });
        }
    }
    match open_asset(world, ask.path) {
        Err(Miss::NotFound) => stripped.map_or(Err(Miss::NotFound), |rest| open_asset(world, rest)),
        answer => answer,
    }
}

/// Says whether `text` is the identity of a machine (MAC, UUID, or the serial number of a record): `None` if
/// it is not, else the node it belongs to, when there is one.
fn identity<'w>(world: &'w World, text: &str) -> Option<Option<&'w Arc<Node>>> {
    // Twelve hexadecimal digits without separators could be any folder's name; with them they are a MAC.
    if text.contains([':', '-', '.'])
        && let Ok(mac) = text.parse::<Mac>()
    {
        return Some(world.records.by_mac(mac));
    }
    if let Ok(uuid) = text.parse::<Uuid>() {
        return Some(world.records.by_uuid(uuid));
    }
    world.records.by_serial(text).map(Some)
}

/// A Raspberry Pi's folder: its serial number, eight lower-case hexadecimal digits. Records
/// need not know it, since the prefix only falls away where nothing lies below it.
fn is_short_serial(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Opens a file of the asset folder [W10].
fn open_asset(world: &World, path: &str) -> Result<Found, Miss> {
    let Some(assets) = &world.settings.assets else { return Err(Miss::NotFound) };
    let root = fs::canonicalize(assets)
        .map_err(|error| Miss::Unreadable(format!("asset folder {}: {error}", assets.display())))?;
    let firmware = match &world.settings.firmware {
        FirmwareSource::Folder(folder) => fs::canonicalize(folder).ok(),
        FirmwareSource::None => None,
    };
    let inside =
        |target: &Path| target.starts_with(&root) || firmware.as_ref().is_some_and(|f| target.starts_with(f));

    let asked = root.join(path);
    let target = match fs::canonicalize(&asked) {
        Ok(target) => target,
        Err(error) => {
            return Err(match error.kind() {
                // A link to nowhere is told apart from nothing at all: who made it wants to know.
                io::ErrorKind::NotFound => match fs::read_link(&asked) {
                    Ok(link) => {
                        let target = lexical(&asked.parent().unwrap_or(&root).join(link));
                        if inside(&target) { Miss::NotFound } else { Miss::Outside(target) }
                    }
                    Err(_) => Miss::NotFound,
                },
                io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => Miss::NotFound,
                _ => Miss::Unreadable(error.to_string()),
            });
        }
    };
    if !inside(&target) {
        return Err(Miss::Outside(target));
    }
    // Asked before opening, because opening some devices does something.
    let about = fs::metadata(&target).map_err(|error| Miss::Unreadable(error.to_string()))?;
    if !about.is_file() {
        return Err(Miss::NotAFile);
    }
    let file = open_resolved(&target).map_err(|error| Miss::Unreadable(error.to_string()))?;
    // And again on the descriptor: what is served is what was checked.
    let about = file.metadata().map_err(|error| Miss::Unreadable(error.to_string()))?;
    if !about.is_file() {
        return Err(Miss::NotAFile);
    }
    Ok(Found {
        size: about.len(),
        modified: about.modified().ok(),
        content: Content::File(Arc::new(file)),
        kind: Kind::Asset,
    })
}

/// Opens a path that was already resolved, without following any link that was put there since.
fn open_resolved(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(AT_FDCWD, path, how) {
        Ok(descriptor) => Ok(File::from(descriptor)),
        // Kernels before 5.6 and some container sandboxes lack the call; the last element is still guarded.
        Err(Errno::ENOSYS | Errno::EPERM) => File::options()
            .read(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW).bits())
            .open(path),
        Err(error) => Err(error.into()),
    }
}

/// Resolves `.` and `..` by their letters, for a path that does not exist.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// Turns a name from the wire into a relative path: strips leading slashes, folds backslashes, doubled
/// slashes and `./`, reduces `tftp://host/x` to `x`; refuses `..`, NUL and names over 255 bytes [T12].
///
/// Blanks and 0xff bytes at the end are dropped: some ROMs read past the end of option 67. The empty path is
/// the root.
pub fn normalise(name: &[u8]) -> Result<String, Reason> {
    let end = name.iter().rposition(|byte| !matches!(byte, 0xff | b' ')).map_or(0, |last| last + 1);
    let name = &name[..end];
    if name.len() > NAME_MAX || name.contains(&0) {
        return Err(Reason::BadName);
    }
    let name = std::str::from_utf8(name).map_err(|_| Reason::BadName)?.replace('\\', "/");
    let mut path = name.trim_start_matches('/');
    if path.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("tftp://")) {
        path = path[7..].split_once('/').map_or("", |(_host, rest)| rest);
    }
    let mut out = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(Reason::BadName);
        }
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(part);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
