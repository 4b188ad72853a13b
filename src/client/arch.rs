//! Client system architecture: DHCP option 93, DHCPv6 option 61.
//!
//! The registry is IANA's "Processor Architecture Types" (42 values, RFC 5970 and successors). Codes are
//! kept as numbers: the original text of RFC 4578 had 7 and 9 swapped, so names lie and numbers do not [I1].

use std::fmt;
use std::str::FromStr;

/// An architecture code as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Arch(pub u16);

/// The processor family behind an architecture code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the names are the meaning")]
pub enum Cpu {
    I386,
    X86_64,
    Arm32,
    Arm64,
    Riscv32,
    Riscv64,
    Loong64,
    Ppc64,
    S390x,
    Other,
}

/// The kind of firmware behind an architecture code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the meaning")]
pub enum Platform {
    Bios,
    Uefi,
    UBoot,
    Petitboot,
    OpenFirmware,
    S390,
    RaspberryPi,
    Other,
}

/// How the client of an architecture code wants its first file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// A program by TFTP.
    Tftp,
    /// A program by URL (UEFI HTTP Boot and its relatives).
    Http,
    /// A configuration file of its own kind (U-Boot, petitboot), not a loader.
    Config,
}

/// One row of the registry with what bootlace makes of it.
#[derive(Clone, Copy, Debug)]
pub struct ArchRow {
    /// Code on the wire.
    pub code: u16,
    /// Short stable name, used in settings, logs and JSON.
    pub name: &'static str,
    /// Meaning in words.
    pub title: &'static str,
    /// Processor family.
    pub cpu: Cpu,
    /// Firmware kind.
    pub platform: Platform,
    /// How the first file is fetched.
    pub transport: Transport,
    /// Published name of the default first file, when there is one for this architecture.
    pub loader: Option<&'static str>,
}

/// The registry, ordered by code; the index is the code.
pub const ARCHITECTURES: [ArchRow; 42] = [
    row(0, "x86-bios", "x86 BIOS", Cpu::I386, Platform::Bios, Transport::Tftp, Some("undionly.kpxe")),
    row(1, "nec-pc98", "NEC PC98", Cpu::Other, Platform::Other, Transport::Tftp, None),
    row(2, "itanium-efi", "Itanium EFI", Cpu::Other, Platform::Uefi, Transport::Tftp, None),
    row(3, "dec-alpha", "DEC Alpha", Cpu::Other, Platform::Other, Transport::Tftp, None),
    row(4, "arc-x86", "ARC x86", Cpu::Other, Platform::Other, Transport::Tftp, None),
    row(5, "intel-lean", "Intel Lean Client", Cpu::Other, Platform::Other, Transport::Tftp, None),
    row(
        6,
        "x86-uefi",
        "x86 UEFI (IA32)",
        Cpu::I386,
        Platform::Uefi,
        Transport::Tftp,
        Some("snponly-i386.efi"),
    ),
    row(7, "x64-uefi", "x64 UEFI", Cpu::X86_64, Platform::Uefi, Transport::Tftp, Some("snponly-x86_64.efi")),
    row(8, "xscale-efi", "EFI Xscale", Cpu::Other, Platform::Uefi, Transport::Tftp, None),
    row(
        9,
        "ebc",
        "EFI byte code (x64 firmware in practice)",
        Cpu::X86_64,
        Platform::Uefi,
        Transport::Tftp,
        Some("snponly-x86_64.efi"),
    ),
    row(
        10,
        "arm32-uefi",
        "ARM 32-bit UEFI",
        Cpu::Arm32,
        Platform::Uefi,
        Transport::Tftp,
        Some("snponly-arm32.efi"),
    ),
    row(
        11,
        "arm64-uefi",
        "ARM 64-bit UEFI",
        Cpu::Arm64,
        Platform::Uefi,
        Transport::Tftp,
        Some("snponly-arm64.efi"),
    ),
    row(12, "powerpc-of", "PowerPC Open Firmware", Cpu::Ppc64, Platform::OpenFirmware, Transport::Tftp, None),
    row(13, "powerpc-epapr", "PowerPC ePAPR", Cpu::Other, Platform::Other, Transport::Tftp, None),
    row(
        14,
        "powerpc-opal",
        "POWER OPAL v3 (petitboot)",
        Cpu::Ppc64,
        Platform::Petitboot,
        Transport::Config,
        None,
    ),
    row(
        15,
        "x86-uefi-http",
        "x86 UEFI, HTTP",
        Cpu::I386,
        Platform::Uefi,
        Transport::Http,
        Some("snponly-i386.efi"),
    ),
    row(
        16,
        "x64-uefi-http",
        "x64 UEFI, HTTP",
        Cpu::X86_64,
        Platform::Uefi,
        Transport::Http,
        Some("snponly-x86_64.efi"),
    ),
    row(
        17,
        "ebc-http",
        "EFI byte code, HTTP",
        Cpu::X86_64,
        Platform::Uefi,
        Transport::Http,
        Some("snponly-x86_64.efi"),
    ),
    row(
        18,
        "arm32-uefi-http",
        "ARM 32-bit UEFI, HTTP",
        Cpu::Arm32,
        Platform::Uefi,
        Transport::Http,
        Some("snponly-arm32.efi"),
    ),
    row(
        19,
        "arm64-uefi-http",
        "ARM 64-bit UEFI, HTTP",
        Cpu::Arm64,
        Platform::Uefi,
        Transport::Http,
        Some("snponly-arm64.efi"),
    ),
    row(
        20,
        "x86-bios-http",
        "x86 BIOS, HTTP",
        Cpu::I386,
        Platform::Bios,
        Transport::Http,
        Some("undionly.kpxe"),
    ),
    row(21, "arm32-uboot", "ARM 32-bit U-Boot", Cpu::Arm32, Platform::UBoot, Transport::Config, None),
    row(22, "arm64-uboot", "ARM 64-bit U-Boot", Cpu::Arm64, Platform::UBoot, Transport::Config, None),
    row(
        23,
        "arm32-uboot-http",
        "ARM 32-bit U-Boot, HTTP",
        Cpu::Arm32,
        Platform::UBoot,
        Transport::Http,
        None,
    ),
    row(
        24,
        "arm64-uboot-http",
        "ARM 64-bit U-Boot, HTTP",
        Cpu::Arm64,
        Platform::UBoot,
        Transport::Http,
        None,
    ),
    row(
        25,
        "riscv32-uefi",
        "RISC-V 32-bit UEFI",
        Cpu::Riscv32,
        Platform::Uefi,
        Transport::Tftp,
        Some("snponly-riscv32.efi"),
    ),
    row(
        26,
        "riscv32-uefi-http",
        "RISC-V 32-bit UEFI, HTTP",
        Cpu::Riscv32,
        Platform::Uefi,
        Transport::Http,
        Some("snponly-riscv32.efi"),
    ),
    row(
        27,
        "riscv64-uefi",
        "RISC-V 64-bit UEFI",
        Cpu::Riscv64,
        Platform::Uefi,
        Transport::Tftp,
        Some("snponly-riscv64.efi"),
    ),
    row(
        28,
        "riscv64-uefi-http",
        "RISC-V 64-bit UEFI, HTTP",
        Cpu::Riscv64,
        Platform::Uefi,
        Transport::Http,
        Some("snponly-riscv64.efi"),
    ),
    row(29, "riscv128-uefi", "RISC-V 128-bit UEFI", Cpu::Other, Platform::Uefi, Transport::Tftp, None),
    row(
        30,
        "riscv128-uefi-http",
        "RISC-V 128-bit UEFI, HTTP",
        Cpu::Other,
        Platform::Uefi,
        Transport::Http,
        None,
    ),
    row(31, "s390-basic", "s390 basic", Cpu::S390x, Platform::S390, Transport::Tftp, None),
    row(32, "s390-extended", "s390 extended", Cpu::S390x, Platform::S390, Transport::Tftp, None),
    row(33, "mips32-uefi", "MIPS 32-bit UEFI", Cpu::Other, Platform::Uefi, Transport::Tftp, None),
    row(34, "mips64-uefi", "MIPS 64-bit UEFI", Cpu::Other, Platform::Uefi, Transport::Tftp, None),
    row(35, "sunway32-uefi", "Sunway 32-bit UEFI", Cpu::Other, Platform::Uefi, Transport::Tftp, None),
    row(36, "sunway64-uefi", "Sunway 64-bit UEFI", Cpu::Other, Platform::Uefi, Transport::Tftp, None),
    row(37, "loong32-uefi", "LoongArch 32-bit UEFI", Cpu::Other, Platform::Uefi, Transport::Tftp, None),
    row(
        38,
        "loong32-uefi-http",
        "LoongArch 32-bit UEFI, HTTP",
        Cpu::Other,
        Platform::Uefi,
        Transport::Http,
        None,
    ),
    row(
        39,
        "loong64-uefi",
        "LoongArch 64-bit UEFI",
        Cpu::Loong64,
        Platform::Uefi,
        Transport::Tftp,
        Some("snponly-loong64.efi"),
    ),
    row(
        40,
        "loong64-uefi-http",
        "LoongArch 64-bit UEFI, HTTP",
        Cpu::Loong64,
        Platform::Uefi,
        Transport::Http,
        Some("snponly-loong64.efi"),
    ),
    row(41, "rpi", "ARM Raspberry Pi boot loader", Cpu::Arm64, Platform::RaspberryPi, Transport::Tftp, None),
];

const fn row(
    code: u16,
    name: &'static str,
    title: &'static str,
    cpu: Cpu,
    platform: Platform,
    transport: Transport,
    loader: Option<&'static str>,
) -> ArchRow {
    ArchRow { code, name, title, cpu, platform, transport, loader }
}

impl Arch {
    /// x86 BIOS.
    pub const BIOS: Self = Self(0);
    /// x64 UEFI by TFTP.
    pub const X64_UEFI: Self = Self(7);
    /// A Raspberry Pi's own boot loader.
    pub const RASPBERRY_PI: Self = Self(41);
    /// x64 UEFI by HTTP.
    pub const X64_UEFI_HTTP: Self = Self(16);

    /// The registry's row, when the code is assigned.
    pub fn row(self) -> Option<&'static ArchRow> {
        ARCHITECTURES.get(usize::from(self.0))
    }

    /// Short stable name; unassigned codes are `arch-N`.
    pub fn name(self) -> String {
        self.row().map_or_else(|| format!("arch-{}", self.0), |row| row.name.to_owned())
    }

    /// Processor family; `Other` for unassigned codes.
    pub fn cpu(self) -> Cpu {
        self.row().map_or(Cpu::Other, |row| row.cpu)
    }

    /// Firmware kind; `Other` for unassigned codes.
    pub fn platform(self) -> Platform {
        self.row().map_or(Platform::Other, |row| row.platform)
    }

    /// True for every EFI architecture.
    pub fn is_uefi(self) -> bool {
        self.platform() == Platform::Uefi
    }

    /// True for the x86 BIOS codes.
    pub fn is_bios(self) -> bool {
        self.platform() == Platform::Bios
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// Why a text names no architecture.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no architecture: use a processor (x86_64, i386, arm64, arm32, riscv64, loong64, ppc64, s390x), a name such as x64-uefi, or a number from 0 to 41"
)]
pub struct ArchError;

impl FromStr for Arch {
    type Err = ArchError;

    /// Accepts a code (`7`), a name of the registry (`x64-uefi`) or a processor (`x86_64`), which stands
    /// for its usual network boot firmware.
    fn from_str(text: &str) -> Result<Self, ArchError> {
        if let Ok(code) = text.parse::<u16>() {
            return Self(code).row().map(|_| Self(code)).ok_or(ArchError);
        }
        if let Some(row) = ARCHITECTURES.iter().find(|row| row.name == text) {
            return Ok(Self(row.code));
        }
        text.parse::<Cpu>().ok().and_then(Cpu::usual_arch).ok_or(ArchError)
    }
}

impl Cpu {
    /// Every processor family.
    pub const ALL: [Self; 10] = [
        Self::I386,
        Self::X86_64,
        Self::Arm32,
        Self::Arm64,
        Self::Riscv32,
        Self::Riscv64,
        Self::Loong64,
        Self::Ppc64,
        Self::S390x,
        Self::Other,
    ];

    /// Name as in `uname -m` and boot.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Self::I386 => "i386",
            Self::X86_64 => "x86_64",
            Self::Arm32 => "arm32",
            Self::Arm64 => "arm64",
            Self::Riscv32 => "riscv32",
            Self::Riscv64 => "riscv64",
            Self::Loong64 => "loong64",
            Self::Ppc64 => "ppc64",
            Self::S390x => "s390x",
            Self::Other => "other",
        }
    }

    /// The architecture code that firmware of this processor usually sends.
    pub fn usual_arch(self) -> Option<Arch> {
        match self {
            Self::I386 => Some(Arch(0)),
            Self::X86_64 => Some(Arch(7)),
            Self::Arm32 => Some(Arch(10)),
            Self::Arm64 => Some(Arch(11)),
            Self::Riscv32 => Some(Arch(25)),
            Self::Riscv64 => Some(Arch(27)),
            Self::Loong64 => Some(Arch(39)),
            Self::Ppc64 => Some(Arch(14)),
            Self::S390x => Some(Arch(31)),
            Self::Other => None,
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Cpu {
    type Err = ArchError;

    fn from_str(text: &str) -> Result<Self, ArchError> {
        Ok(match text {
            "i386" | "i686" | "x86" => Self::I386,
            "x86_64" | "amd64" | "x64" => Self::X86_64,
            "arm32" | "arm" | "armv7l" => Self::Arm32,
            "arm64" | "aarch64" => Self::Arm64,
            "riscv32" => Self::Riscv32,
            "riscv64" => Self::Riscv64,
            "loong64" | "loongarch64" => Self::Loong64,
            "ppc64" | "ppc64le" | "ppc64el" => Self::Ppc64,
            "s390x" => Self::S390x,
            _ => return Err(ArchError),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [I1]: 7 and 9 both get the x64 file, whatever old texts call them.
    #[test]
    fn codes_7_and_9_are_both_served_the_x64_loader() {
        assert_eq!(Arch(7).row().unwrap().loader, Arch(9).row().unwrap().loader);
        assert_eq!(Arch(9).cpu(), Cpu::X86_64);
    }

    #[test]
    fn the_index_of_a_row_is_its_code() {
        for (index, row) in ARCHITECTURES.iter().enumerate() {
            assert_eq!(usize::from(row.code), index);
        }
    }

    #[test]
    fn an_architecture_is_named_by_number_name_or_processor() {
        assert_eq!("7".parse(), Ok(Arch(7)));
        assert_eq!("x64-uefi".parse(), Ok(Arch(7)));
        assert_eq!("amd64".parse(), Ok(Arch(7)));
        assert_eq!("42".parse::<Arch>(), Err(ArchError));
        assert_eq!("vax".parse::<Arch>(), Err(ArchError));
    }
}
