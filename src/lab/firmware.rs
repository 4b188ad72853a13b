//! Kinds of firmware that a guest of the lab can have: what each is, how it asks, and what it needs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::client::Cpu;

use super::{LabError, programs};

/// Memory of a guest, MiB: the Debian installer stops at a question about "low memory mode" below this.
const MEMORY: u32 = 1024;
/// The same on arm64, where kernel and firmware take more.
const MEMORY_ARM64: u32 = 1536;

/// OVMF without Secure Boot; the 4M pair first, since Debian 13 has no other.
const OVMF: Images = Images {
    pairs: &[
        ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ],
    package: "ovmf",
};
/// OVMF with Microsoft's keys enrolled and Secure Boot on.
const OVMF_MS: Images = Images {
    pairs: &[
        ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
        ("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
    ],
    package: "ovmf",
};
/// 32-bit OVMF: built for System Management Mode, without keys, so Secure Boot is off.
const OVMF_32: Images = Images {
    pairs: &[("/usr/share/OVMF/OVMF32_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF32_VARS_4M.fd")],
    package: "ovmf-ia32",
};
/// EDK2 for QEMU's arm64 machine.
const AAVMF: Images = Images {
    pairs: &[
        ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
        ("/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    ],
    package: "qemu-efi-aarch64",
};
/// U-Boot for QEMU's arm64 machine.
const U_BOOT: &[&str] = &["/usr/lib/u-boot/qemu_arm64/u-boot.bin"];

/// Kind of firmware of a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Firmware {
    /// SeaBIOS with QEMU's iPXE ROM: asks as architecture 0, user class iPXE.
    #[default]
    Bios,
    /// The same, but until its first TFTP request nothing on the wire says iPXE: a BIOS ROM of any vendor, which
    /// is given undionly.kpxe and comes back as iPXE.
    BiosChain,
    /// As [`BiosChain`](Self::BiosChain), given PXELINUX.
    BiosPxelinux,
    /// OVMF with its own PXE client: asks as architecture 7, then 4011 in proxy mode.
    Uefi,
    /// OVMF's HTTP Boot: architecture 16, class HTTPClient.
    UefiHttp,
    /// OVMF whose card brings an iPXE ROM (Debian 12), or a driver in its ROM (Debian 13).
    UefiIpxeRom,
    /// 32-bit OVMF: architecture 6.
    Uefi32,
    /// OVMF with Secure Boot on, Microsoft's keys: architecture 7, starts signed programs only.
    SecureBoot,
    /// arm64 EDK2: architecture 11.
    Arm64,
    /// arm64 U-Boot: asks for a boot script as architecture 22, then as UEFI, architecture 11.
    Arm64UBoot,
}

/// What a user should know of one kind.
struct Row {
    kind: Firmware,
    name: &'static str,
    title: &'static str,
    /// Debian packages beside those of every guest.
    needs: &'static str,
}

const KINDS: [Row; 10] = [
    row(Firmware::Bios, "bios", "SeaBIOS with QEMU's iPXE ROM", "qemu-system-x86 ipxe-qemu"),
    row(
        Firmware::BiosChain,
        "bios-chain",
        "a BIOS ROM that is not iPXE, to undionly.kpxe",
        "qemu-system-x86 ipxe-qemu",
    ),
    row(
        Firmware::BiosPxelinux,
        "bios-pxelinux",
        "a BIOS ROM that is not iPXE, to pxelinux.0",
        "qemu-system-x86 ipxe-qemu",
    ),
    row(Firmware::Uefi, "uefi", "OVMF with its own PXE client", "qemu-system-x86 ovmf"),
    row(Firmware::UefiHttp, "uefi-http", "OVMF's HTTP Boot", "qemu-system-x86 ovmf"),
    row(
        Firmware::UefiIpxeRom,
        "uefi-ipxe-rom",
        "OVMF with the card's iPXE ROM",
        "qemu-system-x86 ovmf ipxe-qemu",
    ),
    row(
        Firmware::Uefi32,
        "uefi32",
        "32-bit OVMF; Debian has no loader for it: bring one of your own",
        "qemu-system-x86 ovmf-ia32",
    ),
    row(
        Firmware::SecureBoot,
        "secureboot",
        "OVMF with Secure Boot, to shim and signed GRUB; in reservation mode",
        "qemu-system-x86 ovmf",
    ),
    row(Firmware::Arm64, "arm64", "arm64 EDK2 with its own PXE client", "qemu-system-arm qemu-efi-aarch64"),
    row(Firmware::Arm64UBoot, "arm64-uboot", "arm64 U-Boot, to GRUB", "qemu-system-arm u-boot-qemu"),
];

const fn row(kind: Firmware, name: &'static str, title: &'static str, needs: &'static str) -> Row {
    Row { kind, name, title, needs }
}

/// Flash images of EDK2: code, and variables that fit it.
#[derive(Debug)]
pub(super) struct Images {
    pairs: &'static [(&'static str, &'static str)],
    package: &'static str,
}

impl Images {
    /// The first pair whose code is installed.
    pub(super) fn find(&self) -> Result<(PathBuf, PathBuf), LabError> {
        let codes: Vec<&str> = self.pairs.iter().map(|(code, _)| *code).collect();
        let code = programs::file(&codes, self.package)?;
        let vars = self.pairs.iter().find(|(found, _)| Path::new(found) == code).map(|(_, vars)| *vars);
        let vars = programs::file(vars.as_slice(), self.package)?;
        Ok((code, vars))
    }
}

impl Firmware {
    /// All kinds, in the order in which they are listed.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|row| row.kind)
    }

    /// Name as on the command line.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// What it is, in words.
    pub fn title(self) -> &'static str {
        self.row().map_or("", |row| row.title)
    }

    fn row(self) -> Option<&'static Row> {
        KINDS.iter().find(|row| row.kind == self)
    }

    /// QEMU's program.
    pub(super) fn program(self) -> &'static str {
        if self.is_arm64() { "qemu-system-aarch64" } else { "qemu-system-x86_64" }
    }

    /// EDK2's flash images; `None` for firmware of another kind.
    pub(super) fn images(self) -> Option<&'static Images> {
        match self {
            Self::Uefi | Self::UefiHttp | Self::UefiIpxeRom => Some(&OVMF),
            Self::SecureBoot => Some(&OVMF_MS),
            Self::Uefi32 => Some(&OVMF_32),
            Self::Arm64 => Some(&AAVMF),
            Self::Bios | Self::BiosChain | Self::BiosPxelinux | Self::Arm64UBoot => None,
        }
    }

    /// Firmware in one read-only file (QEMU's `-bios`).
    pub(super) fn rom(self) -> Option<Result<PathBuf, LabError>> {
        (self == Self::Arm64UBoot).then(|| programs::file(U_BOOT, "u-boot-qemu"))
    }

    /// QEMU's machine.
    pub(super) fn board(self) -> &'static str {
        match self {
            // `graphics=off` makes SeaBIOS and the iPXE ROM write to the serial port.
            Self::Bios | Self::BiosChain | Self::BiosPxelinux => "pc,graphics=off",
            Self::Uefi | Self::UefiHttp | Self::UefiIpxeRom => "q35",
            Self::SecureBoot | Self::Uefi32 => "q35,smm=on",
            Self::Arm64 | Self::Arm64UBoot => "virt",
        }
    }

    /// True when the firmware keeps its variables to itself by System Management Mode.
    pub(super) fn uses_smm(self) -> bool {
        matches!(self, Self::SecureBoot | Self::Uefi32)
    }

    /// True when the card keeps the ROM that QEMU gives it; without, the firmware's own network code asks.
    pub(super) fn keeps_card_rom(self) -> bool {
        matches!(self, Self::Bios | Self::BiosChain | Self::BiosPxelinux | Self::UefiIpxeRom)
    }

    /// True when the card's ROM shall not be known as iPXE on the wire.
    pub(super) fn hides_ipxe(self) -> bool {
        matches!(self, Self::BiosChain | Self::BiosPxelinux)
    }

    /// True for guests with an arm64 processor.
    pub fn is_arm64(self) -> bool {
        matches!(self, Self::Arm64 | Self::Arm64UBoot)
    }

    /// The guest's processor.
    pub fn cpu(self) -> Cpu {
        match self {
            Self::Arm64 | Self::Arm64UBoot => Cpu::Arm64,
            _ => Cpu::X86_64,
        }
    }

    /// Debian's name of the processor architecture.
    pub fn debian_arch(self) -> &'static str {
        if self.is_arm64() { "arm64" } else { "amd64" }
    }

    /// The kernel's name of the serial port.
    pub fn console(self) -> &'static str {
        if self.is_arm64() { "ttyAMA0" } else { "ttyS0" }
    }

    /// Memory of a guest, MiB.
    pub fn memory(self) -> u32 {
        if self.is_arm64() { MEMORY_ARM64 } else { MEMORY }
    }

    /// The first file of the kinds that are there for one; of Debian's netboot package.
    pub fn loader(self) -> Option<&'static str> {
        match self {
            Self::BiosPxelinux => Some("pxelinux.0"),
            Self::SecureBoot => Some("bootnetx64.efi"),
            // iPXE starts under U-Boot 2023 and then stands still; GRUB boots.
            Self::Arm64UBoot => Some("grubaa64.efi"),
            _ => None,
        }
    }

    /// True when it is given iPXE out of the loader folder.
    pub fn loads_ipxe(self) -> bool {
        !matches!(self, Self::Bios) && self.loader().is_none()
    }

    /// What it writes when it has come to the point where it boots from the network.
    pub(super) fn sign_of_life(self) -> &'static str {
        match self {
            // The iPXE ROM's list of features.
            Self::Bios | Self::BiosChain | Self::BiosPxelinux => "Features:",
            Self::Arm64UBoot => "Hit any key",
            _ => "BdsDxe",
        }
    }
}

impl FromStr for Firmware {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || KINDS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        let row = KINDS.iter().find(|row| row.name == text);
        row.map(|row| row.kind)
            .ok_or_else(|| format!("'{text}' is no firmware of the lab: use one of {}", names()))
    }
}

/// All kinds with the Debian packages that each needs, a line each: help of `bootlace lab run --firmware`.
pub fn listed() -> String {
    let mut text = "Firmware of the machine, with the Debian packages that it needs:\n".to_owned();
    for row in &KINDS {
        // Writing into a String cannot fail.
        let _ = write!(text, "\n{:<14} {} ({})", row.name, row.title, row.needs);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_under_the_name_that_it_parses_from() {
        for kind in Firmware::all() {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert!(listed().contains(&format!("\n{:<14} ", kind.name())), "{}", kind.name());
        }
        let error = "coreboot".parse::<Firmware>().unwrap_err();
        assert!(error.contains("bios-chain") && error.contains("arm64-uboot"), "{error}");
    }

    #[test]
    fn a_missing_image_is_named_with_its_package() {
        let images = Images { pairs: &[("/no/such/code", "/no/such/vars")], package: "ovmf-ia32" };
        let error = images.find().unwrap_err().to_string();
        assert!(error.contains("/no/such/code") && error.contains("apt-get install ovmf-ia32"), "{error}");
    }
}
