//! What sort of program asks, where more than option 60's prefix matters: firmware that wants something else
//! than a loader, and clients that are no firmware at all.

use crate::dhcp::{MessageType, Packet, code};

use super::{Arch, Class, Platform};

/// The sort of program behind a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Firmware or a loader that takes a program by TFTP or a URL.
    Loader,
    /// A Raspberry Pi's boot ROM or EEPROM.
    RaspberryPi,
    /// U-Boot by its own class: reads `siaddr` and `file`, then asks for `pxelinux.cfg/…`.
    UBoot,
    /// petitboot on OPAL: takes a configuration file by options 209 and 210.
    Petitboot,
    /// The installer of an open network switch.
    Onie,
    /// Apple's Boot Server Discovery Protocol, which is not PXE.
    AppleBsdp,
    /// Everything else: operating systems, installers, a network system's zero touch client.
    Other,
}

impl Kind {
    /// Tells the sort by option 60 and the architecture. `arch` is the one that [`super::Client`] settled on.
    pub(super) fn of(class: Class, class_bytes: Option<&[u8]>, arch: Option<Arch>) -> Self {
        let begins = |prefix: &[u8]| class_bytes.is_some_and(|bytes| bytes.starts_with(prefix));
        match arch.map(Arch::platform) {
            Some(Platform::RaspberryPi) => return Self::RaspberryPi,
            // petitboot asks through busybox, whose class says nothing of it.
            Some(Platform::Petitboot) => return Self::Petitboot,
            Some(Platform::UBoot) if class == Class::Other => return Self::UBoot,
            _ => {}
        }
        if class != Class::Other {
            Self::Loader
        } else if begins(b"U-Boot") {
            Self::UBoot
        } else if begins(b"onie_vendor:") {
            Self::Onie
        } else if begins(b"AAPLBSDPC") {
            Self::AppleBsdp
        } else {
            Self::Other
        }
    }

    /// True for firmware that wants boot data although it says neither PXEClient nor HTTPClient.
    pub fn wants_boot_data(self) -> bool {
        matches!(self, Self::Loader | Self::RaspberryPi | Self::UBoot | Self::Petitboot | Self::Onie)
    }

    /// True for a client that takes the first OFFER for its lease, also one without an address: busybox's udhcpc
    /// (petitboot, ONIE) and U-Boot. A proxy must not answer it.
    pub fn mistakes_proxies(self) -> bool {
        matches!(self, Self::UBoot | Self::Petitboot | Self::Onie)
    }
}

/// True for the REQUEST of a Raspberry Pi, which has no option 60 although its DISCOVER had one
/// (rpi-eeprom issue 82): it must be answered like the DISCOVER [M1].
pub(super) fn is_pi_request(packet: &Packet<'_>) -> bool {
    packet.message_type() == Some(MessageType::Request)
        && packet.options.get(code::VENDOR_CLASS).is_none()
        && packet.options.get(code::SERVER_ID).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::client::tests::discover;

    fn kind(options: &[(u8, &[u8])]) -> Kind {
        Client::of(&Packet::parse(&discover(options)).unwrap()).kind
    }

    /// [I4]
    #[test]
    fn the_sort_of_client_is_told_by_class_and_architecture() {
        for (options, expected) in [
            (&[(60, &b"PXEClient:Arch:00007:UNDI:003000"[..]), (93, &[0, 7])][..], Kind::Loader),
            (&[(60, b"HTTPClient:Arch:00016"), (93, &[0, 16])], Kind::Loader),
            (&[(60, b"U-Boot.armv8"), (93, &[0, 22])], Kind::UBoot),
            (&[(60, b"U-Boot")], Kind::UBoot),
            (&[(93, &[0, 21])], Kind::UBoot),
            (&[(60, b"PXEClient:Arch:00011"), (93, &[0, 11])], Kind::Loader),
            (&[(60, b"PXEClient"), (93, &[0, 22])], Kind::Loader),
            (&[(60, b"udhcp 1.35"), (93, &[0, 14])], Kind::Petitboot),
            (&[(60, b"onie_vendor:x86_64-kvm_x86_64-r0")], Kind::Onie),
            (&[(60, b"AAPLBSDPC/i386/iMac")], Kind::AppleBsdp),
            (&[(60, b"MSFT 5.0")], Kind::Other),
            (&[(60, b"udhcp 1.35")], Kind::Other),
            (&[], Kind::Other),
        ] {
            assert_eq!(kind(options), expected, "{options:?}");
        }
    }
}
