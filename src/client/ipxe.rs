//! iPXE among the clients: recognised by option 77, option 175 or User-Agent [I7]; what it can do is in 175.

use crate::dhcp::ipxe::{self, BZIMAGE, EFI, HTTP};
use crate::dhcp::{Packet, code, user_class};

use super::Platform;

/// An iPXE client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ipxe {
    /// By option 77.
    pub by_user_class: bool,
    /// Features that 175 announces; `None` without that option.
    pub features: Option<Vec<u8>>,
    /// Version of 175.235, such as `1.21.1`.
    pub version: Option<String>,
}

impl Ipxe {
    /// iPXE is asking if 77 contains `iPXE` or 175 is there: FlexBoot has no 77.
    pub fn of(packet: &Packet<'_>) -> Option<Self> {
        let by_user_class = packet.options.get(code::USER_CLASS).is_some_and(user_class::says_ipxe);
        let encapsulated = packet.options.get(code::IPXE).map(ipxe::Ipxe::parse);
        (by_user_class || encapsulated.is_some()).then(|| Self {
            by_user_class,
            version: encapsulated.as_ref().and_then(ipxe::Ipxe::version_text),
            features: encapsulated.map(|encapsulated| encapsulated.features),
        })
    }

    /// True when this build runs our script by HTTP: it speaks HTTP and loads a Linux kernel, as bzImage on
    /// BIOS or as EFI image on UEFI (EFI builds do not announce bzImage). A client that announces nothing
    /// is taken at its word: it is a full build with 175 filtered somewhere.
    pub fn runs_scripts(&self, platform: Option<Platform>) -> bool {
        let Some(features) = &self.features else { return true };
        let loads = match platform {
            Some(Platform::Bios) => features.contains(&BZIMAGE),
            Some(Platform::Uefi) => features.contains(&EFI),
            _ => features.contains(&BZIMAGE) || features.contains(&EFI),
        };
        features.contains(&HTTP) && loads
    }

    /// True when 175 announces HTTP.
    pub fn speaks_http(&self) -> bool {
        self.features.as_ref().is_none_or(|features| features.contains(&HTTP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::discover;

    fn ipxe(options: &[(u8, &[u8])]) -> Option<Ipxe> {
        Ipxe::of(&Packet::parse(&discover(options)).unwrap())
    }

    /// [I7]
    #[test]
    fn ipxe_is_known_by_user_class_raw_or_listed_or_by_option_175() {
        assert!(ipxe(&[(77, b"iPXE")]).is_some());
        assert!(ipxe(&[(77, b"\x04iPXE")]).is_some());
        assert!(ipxe(&[(175, &[19, 1, 1])]).is_some_and(|ipxe| !ipxe.by_user_class));
        assert_eq!(ipxe(&[(77, b"gPXE")]), None);
    }

    #[test]
    fn an_efi_build_needs_feature_36_and_a_bios_build_24() {
        let efi = ipxe(&[(175, &[19, 1, 1, 36, 1, 1, 235, 3, 1, 21, 1])]).unwrap();
        assert!(efi.runs_scripts(Some(Platform::Uefi)));
        assert!(!efi.runs_scripts(Some(Platform::Bios)));
        assert_eq!(efi.version.as_deref(), Some("1.21.1"));
        let bios = ipxe(&[(175, &[19, 1, 1, 24, 1, 1])]).unwrap();
        assert!(bios.runs_scripts(Some(Platform::Bios)));
        let small = ipxe(&[(175, &[24, 1, 1])]).unwrap();
        assert!(!small.runs_scripts(Some(Platform::Bios)));
    }
}
