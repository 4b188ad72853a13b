//! A name for the program behind a request, as far as the packet tells: for the log, never for a decision.
//!
//! Rows marked "seen" come from captured conversations (`tests/captures`) or from clients that the tests run; the
//! others from the programs' sources and documents. The order of option 55 tells apart what the classes do not:
//! every DHCP client asks for its options in an order of its own.

use std::borrow::Cow;

use crate::dhcp::{Packet, code};

use super::{Client, Kind, Platform};

/// Option 55 of EDK2's PXE (seen: OVMF).
const EDK2_PXE: &[u8] = &[
    1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97,
    128, 129, 130, 131, 132, 133, 134, 135,
];
/// Option 55 of EDK2's HTTP Boot (seen: OVMF).
const EDK2_HTTP: &[u8] =
    &[1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 235, 67, 97];
/// Option 55 of U-Boot, also where it acts as UEFI (seen: U-Boot 2023 on arm64).
const U_BOOT: &[u8] = &[1, 3, 6, 12, 17];
/// How ISC dhclient's list begins (its `-sf` defaults on Debian).
const DHCLIENT: &[u8] = &[1, 28, 2, 3, 15, 6];
/// How udhcpc's list begins.
const UDHCPC: &[u8] = &[1, 3, 6, 12, 15, 28];
/// How the list of systemd-networkd begins.
const NETWORKD: &[u8] = &[1, 3, 12, 15, 6];

/// Names of classes by their beginning: operating systems, installers, zero touch clients.
const CLASSES: [(&[u8], &str); 22] = [
    (b"MSFT", "Windows"),
    (b"udhcp", "udhcpc"),
    (b"dhcpcd", "dhcpcd"),
    (b"anaconda", "Anaconda"),
    (b"d-i", "Debian installer"),
    (b"dracut", "dracut"),
    (b"Linux ipconfig", "klibc ipconfig"),
    (b"Linux", "Linux"),
    (b"systemd-networkd", "systemd-networkd"),
    (b"android-dhcp", "Android"),
    (b"FreeBSD", "FreeBSD"),
    (b"SUNW.", "Solaris"),
    (b"AAPLBSDPC", "Apple BSDP"),
    (b"HW-Client", "Huawei server"),
    (b"onie_vendor:", "ONIE"),
    (b"Arista", "Arista ZTP"),
    (b"Juniper", "Juniper ZTP"),
    (b"cumulus-linux", "Cumulus ZTP"),
    (b"ciscopnp", "Cisco PnP"),
    (b"Cisco", "Cisco"),
    (b"U-Boot", "U-Boot"),
    (b"GRUB", "GRUB"),
];

/// The client's name, such as `iPXE 1.21.1 BIOS`, `EDK2 UEFI PXE` or `dhclient`; `None` where nothing tells.
pub fn name(packet: &Packet<'_>, client: &Client) -> Option<Cow<'static, str>> {
    let class = packet.options.get(code::VENDOR_CLASS).unwrap_or_default();
    let list = packet.options.get(code::PARAMETER_LIST).unwrap_or_default();
    let platform = client.arch.map(|arch| arch.platform());
    if let Some(ipxe) = &client.ipxe {
        // FlexBoot is an iPXE that does not say so in 77 [I7].
        let program = if ipxe.by_user_class { "iPXE" } else { "iPXE or FlexBoot" };
        let version = ipxe.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        return Some(format!("{program}{version}{}", suffix(platform)).into());
    }
    if packet.options.get(code::USER_CLASS).is_some_and(|class| class.ends_with(b"gPXE")) {
        return Some("gPXE".into());
    }
    match client.kind {
        Kind::RaspberryPi => {
            let model = packet.options.get(code::UUID).and_then(|uuid| uuid.get(1..5));
            return Some(match model {
                Some(b"RPi4") => "Raspberry Pi 4".into(),
                Some(b"RPi5") => "Raspberry Pi 5".into(),
                _ => "Raspberry Pi".into(),
            });
        }
        Kind::Petitboot => return Some("petitboot".into()),
        Kind::UBoot => return Some("U-Boot".into()),
        Kind::Loader => return Some(firmware(packet, list, platform)),
        Kind::Onie | Kind::AppleBsdp | Kind::Other => {}
    }
    if let Some((_, name)) = CLASSES.iter().find(|(prefix, _)| class.starts_with(prefix)) {
        return Some((*name).into());
    }
    match platform {
        Some(Platform::OpenFirmware) => return Some("SLOF or Open Firmware".into()),
        Some(Platform::S390) => return Some("s390".into()),
        _ => {}
    }
    let by_list = [(DHCLIENT, "dhclient"), (UDHCPC, "udhcpc"), (NETWORKD, "systemd-networkd")];
    by_list.iter().find(|(begin, _)| list.starts_with(begin)).map(|(_, name)| (*name).into())
}

/// Firmware that says PXEClient or HTTPClient.
fn firmware(packet: &Packet<'_>, list: &[u8], platform: Option<Platform>) -> Cow<'static, str> {
    // UNDI's type is 1; EDK2 says version 3.x, ROMs 2.x (option 94, seen).
    let undi = packet.options.get(code::UNDI);
    match platform {
        _ if list == U_BOOT => "U-Boot as UEFI".into(),
        Some(Platform::Uefi) if list == EDK2_PXE => "EDK2 UEFI PXE".into(),
        Some(Platform::Uefi) if list == EDK2_HTTP => "EDK2 UEFI HTTP Boot".into(),
        Some(Platform::Uefi) => "UEFI".into(),
        Some(Platform::Bios) if undi.is_some_and(|undi| undi.starts_with(&[1, 2])) => {
            "Intel Boot Agent style ROM".into()
        }
        Some(Platform::Bios) => "BIOS PXE ROM".into(),
        Some(Platform::OpenFirmware) => "SLOF or Open Firmware".into(),
        Some(Platform::S390) => "s390".into(),
        Some(Platform::UBoot) => "U-Boot".into(),
        _ if list.is_empty() => "GRUB or a minimal PXE client".into(),
        _ => "PXE client".into(),
    }
}

fn suffix(platform: Option<Platform>) -> &'static str {
    match platform {
        Some(Platform::Bios) => " BIOS",
        Some(Platform::Uefi) => " UEFI",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::discover;

    fn named(options: &[(u8, &[u8])]) -> Option<String> {
        let bytes = discover(options);
        let packet = Packet::parse(&bytes).unwrap();
        name(&packet, &Client::of(&packet)).map(Cow::into_owned)
    }

    #[test]
    fn firmware_loaders_and_systems_are_told_apart() {
        let bios: (u8, &[u8]) = (93, &[0, 0]);
        let uefi: (u8, &[u8]) = (93, &[0, 7]);
        let pxe: (u8, &[u8]) = (60, b"PXEClient:Arch:00007:UNDI:003000");
        let pi: &[u8] = b"\0RPi4............";
        for (options, expected) in [
            (&[pxe, uefi, (55, EDK2_PXE)][..], "EDK2 UEFI PXE"),
            (&[(60, b"HTTPClient"), (93, &[0, 16]), (55, EDK2_HTTP)], "EDK2 UEFI HTTP Boot"),
            (&[pxe, uefi, (55, &[1, 3])], "UEFI"),
            (&[pxe, bios, (77, b"iPXE"), (175, &[235, 3, 1, 21, 1])], "iPXE 1.21.1 BIOS"),
            (&[pxe, uefi, (175, &[19, 1, 1])], "iPXE or FlexBoot UEFI"),
            (&[pxe, bios, (77, b"gPXE")], "gPXE"),
            (&[pxe, bios, (94, &[1, 2, 1])], "Intel Boot Agent style ROM"),
            (&[pxe, bios], "BIOS PXE ROM"),
            (&[pxe, bios, (97, pi)], "Raspberry Pi 4"),
            (&[(60, b"U-Boot.armv8"), (93, &[0, 22])], "U-Boot"),
            (&[(60, b"PXEClient"), (93, &[0, 11]), (55, U_BOOT)], "U-Boot as UEFI"),
            (&[(60, b"udhcp 1.35.0"), (93, &[0, 14])], "petitboot"),
            (&[(60, b"PXEClient"), (93, &[0, 12])], "SLOF or Open Firmware"),
            (&[(93, &[0, 31])], "s390"),
            (&[(60, b"PXEClient")], "GRUB or a minimal PXE client"),
            (&[(60, b"MSFT 5.0")], "Windows"),
            (&[(60, b"udhcp 1.36.1")], "udhcpc"),
            (&[(60, b"dhcpcd-9.4.1:Linux-6.1")], "dhcpcd"),
            (&[(60, b"onie_vendor:x86_64-kvm_x86_64-r0")], "ONIE"),
            (&[(60, b"AAPLBSDPC/i386/x")], "Apple BSDP"),
            (&[(60, b"d-i")], "Debian installer"),
            (&[(60, b"dracut")], "dracut"),
            (&[(55, &[1, 28, 2, 3, 15, 6, 119, 12])], "dhclient"),
            (&[(55, &[1, 3, 12, 15, 6, 33, 121, 42])], "systemd-networkd"),
            (&[(55, &[1, 3, 6, 12, 15, 28, 42])], "udhcpc"),
        ] {
            assert_eq!(named(options).as_deref(), Some(expected), "{options:?}");
        }
        assert_eq!(named(&[(55, &[9, 9])]), None);
    }
}
