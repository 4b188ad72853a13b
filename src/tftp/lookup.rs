//! From the name in a request to something to send, or to the ERROR that says why not.

use crate::boot::tree::{self, Ask, Found, Miss};
use crate::config::{Knobs, Settings};
use crate::journal::TftpOutcome;
use crate::link::Peer;
use crate::policy::Reason;
use crate::world::World;
use std::net::IpAddr;

use super::packet::ErrorCode;

/// Why a request is not served: what the client is told, and what the journal is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Code of the ERROR packet.
    pub code: ErrorCode,
    /// Its text: the reason, never a path of ours.
    pub text: &'static str,
    /// For the journal, with details.
    pub outcome: TftpOutcome,
}

impl Refusal {
    /// The request itself cannot be served.
    pub fn illegal(code: ErrorCode, why: &'static str) -> Self {
        Self { code, text: why, outcome: TftpOutcome::Illegal { why } }
    }

    /// No room for another transfer [T16].
    pub fn busy() -> Self {
        let outcome = TftpOutcome::Refused { reason: Reason::Busy, detail: None };
        Self { code: ErrorCode::Undefined, text: "busy", outcome }
    }

    /// The system failed us.
    pub fn failed(error: String) -> Self {
        let outcome = TftpOutcome::ReadFailed { error };
        Self { code: ErrorCode::Undefined, text: "the file cannot be read", outcome }
    }

    fn refused(reason: Reason, detail: Option<String>) -> Self {
        let outcome = TftpOutcome::Refused { reason, detail };
        Self { code: ErrorCode::AccessViolation, text: reason.text(), outcome }
    }
}

impl From<Miss> for Refusal {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::NotFound => {
                Self { code: ErrorCode::NotFound, text: "file not found", outcome: TftpOutcome::NotFound }
            }
            Miss::Refused(reason) => Self::refused(reason, None),
            Miss::Outside(target) => Self::refused(Reason::OutsideFolder, Some(target.display().to_string())),
            Miss::NotAFile => Self::refused(Reason::NotAFile, None),
            Miss::Unreadable(error) => Self::failed(error),
        }
    }
}

/// Finds what `name` means to `peer`. A name that means nothing is tried once more without what follows its
/// longest printable part: ROMs read past the end of option 67 and ask for the name and junk [T12].
///
/// Blocking: it opens files of the local disk.
pub fn find(world: &World, peer: &Peer, local: IpAddr, name: &[u8]) -> Result<Found, Refusal> {
    let open = |name: &[u8]| {
        let path = tree::normalise(name).map_err(Miss::Refused)?;
        tree::open(world, &Ask { path: &path, peer, local, door: tree::Door::Tftp })
    };
    open(name)
        .or_else(|miss| {
            let cut = printable_prefix(name);
            let worth_a_try = matches!(miss, Miss::NotFound | Miss::Refused(Reason::BadName));
            if worth_a_try && !cut.is_empty() && cut != name { open(cut) } else { Err(miss) }
        })
        .or_else(|miss| match (&miss, behind_doubled_slash(name)) {
            (Miss::NotFound, Some(rest)) => open(rest).map_err(|_| miss),
            _ => Err(miss),
        })
        .map_err(Refusal::from)
}

/// The bytes before the first one that is not printable ASCII, without blanks at the end.
fn printable_prefix(name: &[u8]) -> &[u8] {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~');
    let end = name.iter().position(|byte| !printable(byte)).unwrap_or(name.len());
    name[..end].trim_ascii_end()
}

/// What follows the last doubled slash inside a name: PXELINUX glues its folder and a path that begins at the
/// root together (`pxe//amd64/linux`), and the root is meant.
fn behind_doubled_slash(name: &[u8]) -> Option<&[u8]> {
    let at = name.windows(2).rposition(|pair| pair == b"//").filter(|at| *at > 0)?;
    Some(&name[at + 2..]).filter(|rest| !rest.is_empty())
}

/// The knobs that hold for a client: general, interface, subnet, class (by its card: nothing else is known
/// here), profile, node; the more specific wins.
pub fn knobs(settings: &Settings, interface: &str, peer: &Peer) -> Knobs {
    let mut knobs = settings.knobs;
    if let Some(interface) = settings.interfaces.iter().find(|known| known.name == interface) {
        knobs = knobs.overlaid(interface.knobs);
    }
    if let IpAddr::V4(address) = peer.address
        && let Some(subnet) = settings.subnet_of(address)
    {
        knobs = knobs.overlaid(subnet.knobs);
    }
    for class in settings.classes.iter().filter(|class| class.matches(&[], None, peer.mac)) {
        knobs = knobs.overlaid(class.knobs);
    }
    if let Some(node) = &peer.node {
        if let Some(profile) = settings.profile(node.profile.as_deref()) {
            knobs = knobs.overlaid(profile.knobs);
        }
        knobs = knobs.overlaid(node.knobs);
    }
    knobs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [T12]
    #[test]
    fn junk_behind_a_name_is_cut_off() {
        for (name, expected) in [
            (&b"undionly.kpxe\xff"[..], &b"undionly.kpxe"[..]),
            (b"undionly.kpxe  ", b"undionly.kpxe"),
            (b"undionly.kpxe\x01\x02abc", b"undionly.kpxe"),
            (b"a b.efi", b"a b.efi"),
            (b"\xff\xff", b""),
        ] {
            assert_eq!(printable_prefix(name), expected, "{name:?}");
        }
    }

    /// [T12]
    #[test]
    fn a_path_from_the_root_behind_a_folder_is_seen() {
        assert_eq!(behind_doubled_slash(b"pxe//amd64/linux"), Some(&b"amd64/linux"[..]));
        assert_eq!(behind_doubled_slash(b"a//b//c"), Some(&b"c"[..]));
        for name in [&b"//grubx64.efi"[..], b"a/b", b"a//", b""] {
            assert_eq!(behind_doubled_slash(name), None, "{name:?}");
        }
    }

    /// [T15]
    #[test]
    fn the_wire_text_never_tells_a_path_of_ours() {
        let refusal = Refusal::from(Miss::Outside("/etc/shadow".into()));
        assert_eq!((refusal.code, refusal.text), (ErrorCode::AccessViolation, Reason::OutsideFolder.text()));
        let detail = Some("/etc/shadow".to_owned());
        assert_eq!(refusal.outcome, TftpOutcome::Refused { reason: Reason::OutsideFolder, detail });
        assert_eq!(Refusal::from(Miss::NotFound).code, ErrorCode::NotFound);
        assert_eq!(Refusal::from(Miss::NotAFile).code, ErrorCode::AccessViolation);
        assert_eq!(Refusal::from(Miss::Unreadable("EIO on /x".into())).text, "the file cannot be read");
    }
}
