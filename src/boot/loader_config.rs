//! Configuration files of second-stage loaders, written for the node that asks: `pxelinux.cfg/…` in extlinux
//! syntax (PXELINUX, U-Boot, petitboot) and `grub.cfg…`.
//!
//! Loaders look for their file under a chain of names that goes from the machine to everybody. Every name that
//! means the asking node, by its UUID, its MAC, its address or just `default`, gives the same file; a name that
//! means another machine is refused. Paths in the file lead to the door through which it was asked for: a
//! loader that came by TFTP may have no HTTP (PXELINUX, a signed GRUB), and GRUB would take the DHCP server
//! for its file server if it were not told ours.

use std::net::IpAddr;

use crate::openchami::cloud_init::names;
use crate::records::{BootEntry, BootFile, Mac, Node, Uuid, Xname};
use crate::world::World;

use super::generated::{asking, stays_silent};
use super::kernel_line::{self, Identity};
use super::resolve::resolve;
use super::seed::seed;
use super::template::{Name, Values};
use super::tree::{Ask, Door, Miss};
use super::urls;
use crate::policy::Reason;

/// Seconds that a failed boot stays on the console.
const FAILED_DELAY: u32 = 30;

/// The language of a configuration file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Syntax {
    /// PXELINUX, U-Boot's `pxe`, petitboot.
    Extlinux,
    /// GRUB 2.
    Grub,
}

/// Whose file a name asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whose {
    /// Of the machine with this UUID.
    Uuid(Uuid),
    /// Of the machine with this card.
    Mac(Mac),
    /// Of the machines whose IPv4 address begins so, upper-case hexadecimal digits.
    Address(String),
    /// Anybody's: `default`, U-Boot's `default-ARCH…`, plain `grub.cfg`.
    Default,
}

/// A configuration file, by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its language.
    pub syntax: Syntax,
    /// Whose it is.
    pub whose: Whose,
    /// Folder that its relative paths start from, without slashes at the ends; empty for the root.
    pub folder: String,
}

impl Wanted {
    /// The configuration file that `path` asks for, in any folder; `None` if it is none.
    pub fn at(path: &str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(suffix) = name.strip_prefix("grub.cfg") {
            let whose = if suffix.is_empty() { Whose::Default } else { whose(suffix.strip_prefix('-')?)? };
            return Some(Self { syntax: Syntax::Grub, whose, folder: folder.to_owned() });
        }
        let folder = match folder.rsplit_once('/') {
            Some((above, "pxelinux.cfg")) => above,
            None if folder == "pxelinux.cfg" => "",
            _ => return None,
        };
        let whose = match name {
            "default" => Whose::Default,
            _ if name.starts_with("default-") => Whose::Default,
            _ => whose(name)?,
        };
        Some(Self { syntax: Syntax::Extlinux, whose, folder: folder.to_owned() })
    }
}

/// The machine that a name means: UUID, hardware type and MAC with dashes, or (the start of) an address.
fn whose(name: &str) -> Option<Whose> {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if name.len() <= 8 && hex(name) && !name.bytes().any(|b| b.is_ascii_lowercase()) {
        return Some(Whose::Address(name.to_owned()));
    }
    if name.len() == 36 {
        return name.parse().ok().map(Whose::Uuid);
    }
    // The hardware type stands before the MAC: 01, also 06 or 20 for other networks.
    match name.split_once('-') {
        Some((kind, mac)) if kind.len() == 2 && hex(kind) && mac.len() == 17 => {
            mac.parse().ok().map(Whose::Mac)
        }
        _ => None,
    }
}

/// Writes the file for the asking node. "Not found" at once for somebody unknown, for a node that has nothing
/// to boot, and for a name that means nobody: the loader then tries its next name.
pub fn render(world: &World, wanted: &Wanted, ask: &Ask<'_>) -> Result<String, Miss> {
    let (Some(mac), IpAddr::V4(local)) = (ask.peer.mac, ask.local) else { return Err(Miss::NotFound) };
    let node = &asking(world, ask.peer, ask.local).ok_or(Miss::NotFound)?;
    let owner = match &wanted.whose {
        Whose::Uuid(uuid) => world.records.by_uuid(*uuid).ok_or(Miss::NotFound)?,
        Whose::Mac(mac) => world.records.by_mac(*mac).ok_or(Miss::NotFound)?,
        Whose::Address(digits) => {
            let own = match ask.peer.address {
                IpAddr::V4(own) => format!("{:08X}", u32::from(own)),
                IpAddr::V6(_) => return Err(Miss::NotFound),
            };
            if !own.starts_with(digits) {
                return Err(Miss::NotFound);
            }
            node
        }
        Whose::Default => node,
    };
    if !owner.is_same(node) {
        return Err(Miss::Refused(Reason::NotYourFile));
    }
    if stays_silent(world, node, Some(mac), ask.local) {
        return Err(Miss::NotFound);
    }
    if node.disabled {
        return Err(Miss::Refused(Reason::NodeDisabled));
    }
    let found = resolve(&world.records, node, None).ok_or(Miss::NotFound)?;
    let place = Place {
        syntax: wanted.syntax,
        door: ask.door,
        folder: &wanted.folder,
        local: IpAddr::V4(local),
        base: urls::base(&world.settings, local),
    };
    let hostname = names::hostname(&world.inventory, node, world.settings.hostname);
    let mut values = Values::of_node(node, Some(mac), hostname);
    values.entry = Some(found.entry.name.clone());
    values.by = Some(found.by.name());
    values.server = place.base.clone().unwrap_or_default();
    values.delay = FAILED_DELAY;
    values.message = harmless(&format!(
        "{} boots entry {} (matched by {})",
        node.label(),
        found.entry.name,
        found.by.name()
    ));
    values.kernel = place.path(&found.entry.kernel);
    values.initrd = found.entry.initrd.as_ref().and_then(|file| place.path(file));
    let seed = place.base.as_deref().and_then(|base| seed(&world.inventory, node, base));
    values.params = params(&found.entry, node, mac, seed.as_deref(), wanted.syntax);
    let name = match wanted.syntax {
        Syntax::Extlinux => Name::Extlinux,
        Syntax::Grub => Name::Grub,
    };
    world
        .templates
        .render(name.file(), &values)
        .map_err(|problem| Miss::Unreadable(format!("{}: {problem}", name.file())))
}

/// The kernel command line, as the boot script has it. `initrd=` is iPXE's way to name the RAM disk; here the
/// loader hands it over, and PXELINUX would load a file of that name.
fn params(entry: &BootEntry, node: &Node, mac: Mac, seed: Option<&str>, syntax: Syntax) -> String {
    let dashed = mac.to_string().replace(':', "-");
    let xname = node.xname.as_ref().map(Xname::as_str);
    let identity = Identity { xname, nid: node.nid, bootif: Some(&dashed), seed };
    let line = kernel_line::assemble(&entry.params, true, &identity);
    let words = line.split(' ').filter(|word| !word.is_empty() && !word.starts_with("initrd="));
    match syntax {
        Syntax::Extlinux => words.collect::<Vec<_>>().join(" "),
        Syntax::Grub => words.map(quoted).collect::<Vec<_>>().join(" "),
    }
}

/// Where paths of one file lead.
struct Place<'a> {
    syntax: Syntax,
    door: Door,
    folder: &'a str,
    local: IpAddr,
    base: Option<String>,
}

impl Place<'_> {
    /// A kernel or RAM disk as this loader names it; `None` for the node's own disk.
    fn path(&self, file: &BootFile) -> Option<String> {
        let url = match file {
            BootFile::Local => return None,
            BootFile::Asset(path) => return Some(self.served(path.trim_start_matches('/'))),
            BootFile::Url(url) => super::script::one_word(url),
        };
        // A URL of our own is a file of the tree, which a loader without HTTP can have by TFTP.
        if let Some(base) = &self.base
            && let Some(path) = url.strip_prefix(base.as_str()).and_then(|rest| rest.strip_prefix('/'))
            && self.door == Door::Tftp
        {
            return Some(self.served(path));
        }
        Some(match self.syntax {
            Syntax::Extlinux => url,
            Syntax::Grub => match url.split_once("://").map(|(scheme, rest)| {
                (scheme.to_owned(), rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path)))
            }) {
                Some((scheme, (host, path))) => quoted(&format!("({scheme},{host})/{path}")),
                None => quoted(&url),
            },
        })
    }

    /// A file of our own tree.
    fn served(&self, path: &str) -> String {
        let authority = self.base.as_deref().and_then(|base| base.split_once("://")).map(|(_, host)| host);
        match (self.syntax, self.door, authority) {
            (Syntax::Grub, Door::Http, Some(host)) => quoted(&format!("(http,{host})/{}", encoded(path))),
            (Syntax::Grub, ..) => quoted(&format!("(tftp,{})/{path}", self.local)),
            (Syntax::Extlinux, Door::Http, Some(host)) => format!("http://{host}/{}", encoded(path)),
            // From the root every loader takes a plain name. Elsewhere U-Boot and petitboot take a leading slash
            // for the root, and PXELINUX puts its folder before it, which the tree undoes (`glued`).
            (Syntax::Extlinux, ..) if self.folder.is_empty() => path.to_owned(),
            (Syntax::Extlinux, ..) => format!("/{path}"),
        }
    }
}

fn encoded(path: &str) -> String {
    super::script::encoded_path(path)
}

/// A word of a GRUB script: quoted as soon as it holds a character that GRUB could interpret.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+@%()".contains(c);
    if word.chars().all(|c| plain(c) && c != '(' && c != ')') || is_device_path(word, plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// `(tftp,10.0.0.1)/path`: parentheses mean nothing else in this place.
fn is_device_path(word: &str, plain: impl Fn(char) -> bool) -> bool {
    word.starts_with('(') && word.matches(['(', ')']).count() == 2 && word.chars().all(plain)
}

/// A sentence for a console that no syntax here can misread.
fn harmless(text: &str) -> String {
    text.chars()
        .take(120)
        .map(|c| if c.is_ascii_alphanumeric() || " -_.:()/#".contains(c) { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests;
