//! The table of `firmware/loaders.yaml`: architecture to published name to file and package.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::client::Arch;

/// Who runs a loader.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Machine {
    /// x86 in BIOS mode.
    Bios,
    /// 32-bit x86 UEFI.
    I386,
    /// x64 UEFI.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 32-bit ARM UEFI.
    Arm32,
    /// 64-bit ARM UEFI.
    Arm64,
    /// 32-bit RISC-V UEFI.
    Riscv32,
    /// 64-bit RISC-V UEFI.
    Riscv64,
    /// 64-bit LoongArch UEFI.
    Loong64,
}

impl Machine {
    /// Name as in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::I386 => "i386",
            Self::X86_64 => "x86_64",
            Self::Arm32 => "arm32",
            Self::Arm64 => "arm64",
            Self::Riscv32 => "riscv32",
            Self::Riscv64 => "riscv64",
            Self::Loong64 => "loong64",
        }
    }

    /// The machine that an EFI program was built for, from its PE header. `None`: no EFI program, or a machine
    /// that is not in the table.
    pub fn of_efi_program(content: &[u8]) -> Option<Self> {
        // PE format: "MZ", at 0x3c the offset of "PE\0\0", behind it the machine, all little endian.
        if content.get(..2)? != b"MZ" {
            return None;
        }
        let offset: [u8; 4] = content.get(0x3c..0x40)?.try_into().ok()?;
        let offset = usize::try_from(u32::from_le_bytes(offset)).ok()?;
        let header = content.get(offset..offset.checked_add(6)?)?;
        if !header.starts_with(b"PE\0\0") {
            return None;
        }
        match u16::from_le_bytes([*header.get(4)?, *header.get(5)?]) {
            0x014c => Some(Self::I386),
            0x8664 => Some(Self::X86_64),
            0x01c0 | 0x01c2 | 0x01c4 => Some(Self::Arm32),
            0xaa64 => Some(Self::Arm64),
            0x5032 => Some(Self::Riscv32),
            0x5064 => Some(Self::Riscv64),
            0x6264 => Some(Self::Loong64),
            _ => None,
        }
    }
}

/// One published loader.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Published name.
    pub name: String,
    /// Who runs it.
    pub machine: Machine,
    /// Further published names; files in a folder may carry them too.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// File in Debian's package, when it has one.
    pub debian: Option<String>,
    /// Files that serve this name when none of the above is there.
    #[serde(default)]
    pub substitutes: Vec<String>,
    /// What a user should know.
    pub note: Option<String>,
}

impl Entry {
    /// The name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// File names that can serve this entry, best first.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        self.names().chain(self.substitutes.iter().map(String::as_str))
    }
}

/// One architecture: the published name of its first file, or why it has none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchEntry {
    /// Code on the wire.
    pub code: u16,
    /// Published name of the default first file.
    pub loader: Option<String>,
    /// Why there is none.
    pub none: Option<String>,
}

/// The whole table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Debian package that holds the loaders.
    pub package: String,
    /// Folder in it.
    pub folder: String,
    /// Link targets outside a loader folder that are accepted.
    pub outside: Vec<std::path::PathBuf>,
    /// Published loaders.
    pub loaders: Vec<Entry>,
    /// Architectures, ordered by code.
    pub architectures: Vec<ArchEntry>,
}

impl Manifest {
    /// The loader whose own name is `name`.
    pub fn loader(&self, name: &str) -> Option<&Entry> {
        self.loaders.iter().find(|entry| entry.name == name)
    }

    /// The loader that `name` stands for, as its own name or as an alias.
    pub fn published(&self, name: &str) -> Option<&Entry> {
        self.loaders.iter().find(|entry| entry.names().any(|known| known == name))
    }

    /// The row of an architecture.
    pub fn arch(&self, arch: Arch) -> Option<&ArchEntry> {
        self.architectures.iter().find(|entry| entry.code == arch.0)
    }

    /// The files taken from Debian's package, each once.
    pub fn debian_files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = self.loaders.iter().filter_map(|entry| entry.debian.as_deref()).collect();
        files.sort_unstable();
        files.dedup();
        files
    }
}

/// The table built into this binary.
pub fn builtin() -> &'static Manifest {
    static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
        let parsed = serde_yaml::from_str(include_str!("../../firmware/loaders.yaml"));
        #[allow(clippy::expect_used, reason = "the text is part of the binary, and the tests below parse it")]
        parsed.expect("firmware/loaders.yaml is checked by the tests of this module")
    });
    &MANIFEST
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::client::arch::ARCHITECTURES;

    #[test]
    fn every_architecture_code_has_exactly_one_row() {
        let codes: Vec<u16> = builtin().architectures.iter().map(|entry| entry.code).collect();
        assert_eq!(codes, (0..42).collect::<Vec<u16>>());
    }

    #[test]
    fn an_architecture_has_a_loader_or_a_reason() {
        for entry in &builtin().architectures {
            assert!(entry.loader.is_some() != entry.none.is_some(), "code {}", entry.code);
            if let Some(loader) = &entry.loader {
                assert!(builtin().loader(loader).is_some(), "code {}: {loader} is not described", entry.code);
            }
        }
    }

    /// [I1]
    #[test]
    fn the_table_says_what_the_decision_uses() {
        for (row, entry) in ARCHITECTURES.iter().zip(&builtin().architectures) {
            assert_eq!(row.loader, entry.loader.as_deref(), "code {}", row.code);
        }
    }

    #[test]
    fn a_published_name_stands_for_one_loader() {
        let mut seen = BTreeSet::new();
        for name in builtin().loaders.iter().flat_map(Entry::names) {
            assert!(seen.insert(name), "{name} is published twice");
        }
    }

    #[test]
    fn a_file_of_the_package_is_found_again_in_the_folder() {
        for entry in &builtin().loaders {
            if let Some(file) = &entry.debian {
                assert!(entry.candidates().any(|name| name == file), "{}: {file}", entry.name);
            } else {
                assert!(entry.note.is_some(), "{} needs a note", entry.name);
            }
        }
    }

    #[test]
    fn a_substitute_runs_on_the_same_machine() {
        for entry in &builtin().loaders {
            for substitute in &entry.substitutes {
                let other = builtin().published(substitute).unwrap();
                assert_eq!(other.machine, entry.machine, "{substitute} for {}", entry.name);
            }
        }
    }

    #[test]
    fn the_machine_of_an_efi_program_is_read_from_its_header() {
        let mut program = vec![0; 0x90];
        program[..2].copy_from_slice(b"MZ");
        program[0x3c] = 0x80;
        program[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
        assert_eq!(Machine::of_efi_program(&program), Some(Machine::X86_64));
        program[0x3c..0x40].fill(0xff);
        assert_eq!(Machine::of_efi_program(&program), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(content in proptest::collection::vec(proptest::num::u8::ANY, 0..128)) {
            Machine::of_efi_program(&content);
            let mut program = content;
            if let Some(start) = program.get_mut(..2) {
                start.copy_from_slice(b"MZ");
            }
            Machine::of_efi_program(&program);
        }
    }
}
