//! Who is asking: architecture, firmware, loader stage, identity.
//!
//! Second room of the packet's way: takes the view of a request, names the client. No IO, no records.

pub mod arch;
pub mod fingerprint;
pub mod identity;
pub mod ipxe;
pub mod kind;

pub use arch::{Arch, Cpu, Platform, Transport};
pub use ipxe::Ipxe;
pub use kind::Kind;

use crate::dhcp::catalogue::print::escaped;
use crate::dhcp::{Packet, code};
use crate::records::{Mac, Uuid};

/// What option 60 says the client is [I4][I5].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// `PXEClient…`: wants a program by TFTP.
    Pxe,
    /// `HTTPClient…`: UEFI HTTP Boot, wants a URL.
    Http,
    /// Something else, an operating system mostly, or nothing.
    Other,
}

/// The client of one request.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its card: chaddr, else the MAC inside option 61 type 1.
    pub mac: Option<Mac>,
    /// Option 97, byte order as on the wire.
    pub uuid: Option<Uuid>,
    /// Kind by option 60.
    pub class: Class,
    /// Sort of program.
    pub kind: Kind,
    /// Option 60, printable.
    pub vendor_class: Option<String>,
    /// Architecture by option 93; of several, the first that the registry knows a loader for.
    pub arch: Option<Arch>,
    /// All of option 93.
    pub archs: Vec<Arch>,
    /// Architecture inside option 60, when it differs from 93: 93 wins [I4].
    pub arch_in_class: Option<Arch>,
    /// iPXE is asking [I7].
    pub ipxe: Option<Ipxe>,
}

/// Vendor prefixes of Raspberry Pi cards [I3].
const RASPBERRY_PI: [[u8; 3]; 7] = [
    [0xb8, 0x27, 0xeb],
    [0xdc, 0xa6, 0x32],
    [0xe4, 0x5f, 0x01],
    [0x28, 0xcd, 0xc1],
    [0xd8, 0x3a, 0xdd],
    [0x2c, 0xcf, 0x67],
    [0x88, 0xa2, 0x9e],
];

impl Client {
    /// Reads the client out of a request.
    pub fn of(packet: &Packet<'_>) -> Self {
        let mac = identity::mac(packet);
        let raw_uuid = packet.options.get(code::UUID);
        let class_bytes = packet.options.get(code::VENDOR_CLASS);
        let class = match class_bytes {
            Some(bytes) if bytes.starts_with(b"PXEClient") => Class::Pxe,
            Some(bytes) if bytes.starts_with(b"HTTPClient") => Class::Http,
            _ => Class::Other,
        };
        let mut archs = arch_list(packet.options.get(code::ARCH));
        let in_class = class_bytes.and_then(arch_in_class);
        let says_bios = class == Class::Pxe && archs.first() == Some(&Arch::BIOS);
        if (says_bios || kind::is_pi_request(packet)) && is_raspberry_pi(mac, raw_uuid) {
            archs = vec![Arch::RASPBERRY_PI];
        }
        let arch = archs.iter().copied().find(|arch| arch.row().is_some_and(|row| row.loader.is_some()));
        let arch = arch.or_else(|| archs.first().copied());
        Self {
            mac,
            uuid: identity::uuid(packet),
            class,
            kind: Kind::of(class, class_bytes, arch),
            vendor_class: class_bytes.map(escaped),
            arch,
            arch_in_class: in_class.filter(|_| arch.is_some() && in_class != arch),
            archs,
            ipxe: Ipxe::of(packet),
        }
    }

    /// True for a client that wants boot data: PXE, HTTP Boot, iPXE [I5] or firmware with a way of its own.
    pub fn netboots(&self) -> bool {
        self.class != Class::Other || self.ipxe.is_some() || self.kind.wants_boot_data()
    }
}

/// Option 93: an array of 16-bit values, even and not empty; else it says nothing.
fn arch_list(value: Option<&[u8]>) -> Vec<Arch> {
    match value {
        Some(bytes) if bytes.len().is_multiple_of(2) => {
            bytes.chunks_exact(2).map(|pair| Arch(u16::from_be_bytes([pair[0], pair[1]]))).collect()
        }
        _ => Vec::new(),
    }
}

/// `…:Arch:00007:…` inside option 60.
fn arch_in_class(class: &[u8]) -> Option<Arch> {
    let text = std::str::from_utf8(class).ok()?;
    let digits = text.split_once(":Arch:")?.1.get(..5)?;
    digits.parse().ok().map(Arch)
}

/// By card vendor, or by the fourcc that its EEPROM puts into option 97 [I3].
pub(crate) fn is_raspberry_pi(mac: Option<Mac>, uuid: Option<&[u8]>) -> bool {
    let by_card =
        mac.is_some_and(|mac| RASPBERRY_PI.contains(&[mac.bytes()[0], mac.bytes()[1], mac.bytes()[2]]));
    let by_uuid =
        uuid.and_then(|value| value.get(1..5)).is_some_and(|four| four == b"RPi4" || four == b"RPi5");
    by_card || by_uuid
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A DISCOVER with these options, from 52:54:00:be:ef:01.
    pub(crate) fn discover(options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0xbe, 0xef, 1]);
        bytes.extend_from_slice(&[99, 130, 83, 99]);
        for (code, value) in [(53_u8, &[1_u8][..])].iter().chain(options) {
            bytes.push(*code);
            bytes.push(value.len() as u8);
            bytes.extend_from_slice(value);
        }
        bytes.push(255);
        bytes
    }

    fn client(options: &[(u8, &[u8])]) -> Client {
        Client::of(&Packet::parse(&discover(options)).unwrap())
    }

    /// [I4]
    #[test]
    fn option_93_wins_over_the_architecture_in_option_60() {
        let client = client(&[(60, b"PXEClient:Arch:00000:UNDI:002001"), (93, &[0, 7])]);
        assert_eq!((client.class, client.arch), (Class::Pxe, Some(Arch(7))));
        assert_eq!(client.arch_in_class, Some(Arch(0)));
    }

    /// [I4]
    #[test]
    fn the_class_is_matched_by_prefix_on_bytes_and_case() {
        assert_eq!(client(&[(60, b"PXEClient\xff\x00")]).class, Class::Pxe);
        assert_eq!(client(&[(60, b"pxeclient")]).class, Class::Other);
        assert_eq!(client(&[(60, b"HTTPClient:Arch:00016")]).class, Class::Http);
    }

    /// [I5]
    #[test]
    fn options_94_and_97_are_not_required() {
        let client = client(&[(60, b"PXEClient"), (93, &[0, 7])]);
        assert!(client.netboots());
        assert_eq!(client.uuid, None);
    }

    #[test]
    fn of_several_architectures_the_first_with_a_loader_is_taken() {
        assert_eq!(client(&[(60, b"PXEClient"), (93, &[0, 1, 0, 7, 0, 0])]).arch, Some(Arch(7)));
        assert_eq!(client(&[(60, b"PXEClient"), (93, &[0, 7, 0])]).arch, None);
        assert_eq!(client(&[(60, b"PXEClient"), (93, &[])]).arch, None);
    }

    /// [I3]
    #[test]
    fn a_raspberry_pi_that_says_bios_is_no_bios() {
        let mut uuid = vec![0];
        uuid.extend_from_slice(b"RPi4............");
        assert_eq!(client(&[(60, b"PXEClient"), (93, &[0, 0]), (97, &uuid)]).arch, Some(Arch(41)));
    }
}
