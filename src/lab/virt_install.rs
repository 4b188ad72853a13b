//! The `virt-install` command line that boots a node's machine under libvirt. Pure.

use std::fmt;
use std::str::FromStr;

use crate::records::{Mac, Node};

use super::LabError;

/// Memory that root images and installers are comfortable with, MiB.
pub const MEMORY: u32 = 2048;

/// libvirt network or bridge that the machine is connected to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Network {
    /// `bridge=NAME`: a Linux bridge of the machine.
    Bridge(String),
    /// `network=NAME`: a network of libvirt's, which must not have its own DHCP.
    Named(String),
}

/// Where the serial console goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConsoleTo {
    /// A pseudo terminal; virt-install attaches to it.
    Pty,
    /// A file; virt-install returns at once.
    File(String),
}

/// What runs the machine's processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VirtType {
    /// Hardware virtualisation.
    Kvm,
    /// Emulation.
    Qemu,
}

/// Firmware of the machine: those of the lab's kinds that libvirt makes from a plain command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Firmware {
    /// SeaBIOS with QEMU's iPXE ROM.
    Bios,
    /// OVMF with its own PXE client.
    Uefi,
}

/// How a node's machine shall be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Firmware.
    pub firmware: Firmware,
    /// Network.
    pub network: Network,
    /// Memory, MiB.
    pub memory: u32,
    /// Serial console.
    pub console: ConsoleTo,
    /// Processor.
    pub virt_type: VirtType,
}

/// The command line, word groups that belong together as one item.
pub fn command_line(node: &Node, wish: &Wish) -> Result<Vec<Vec<String>>, LabError> {
    let name = node.label();
    let nic = node.nics.first().ok_or_else(|| {
        LabError::Records(format!(
            "{name} has no MAC on record, and a machine needs a network card to boot from"
        ))
    })?;
    let mut line: Vec<Vec<String>> = vec![vec!["virt-install".into()]];
    let mut add = |words: &[&str]| line.push(words.iter().map(|word| (*word).to_owned()).collect());
    add(&["--connect", "qemu:///system"]);
    add(&["--name", &name]);
    if let Some(uuid) = node.uuid {
        add(&["--uuid", &uuid.to_string()]);
    }
    if let Some(serial) = &node.serial {
        add(&["--sysinfo", &format!("system.serial={}", comma_safe(serial))]);
    }
    add(&["--memory", &wish.memory.to_string(), "--vcpus", "1"]);
    add(&[
        "--virt-type",
        match wish.virt_type {
            VirtType::Kvm => "kvm",
            VirtType::Qemu => "qemu",
        },
    ]);
    add(&["--pxe", "--disk", "none", "--osinfo", "generic"]);
    add(&["--network", &wish.network.argument(wish.firmware, nic.mac)]);
    add(&["--graphics", "none", "--video", "none"]);
    match &wish.console {
        ConsoleTo::Pty => add(&["--console", "pty,target_type=serial"]),
        ConsoleTo::File(path) => {
            add(&["--serial", &format!("file,path={}", comma_safe(path)), "--noautoconsole"]);
        }
    }
    match wish.firmware {
        // Without `bios.useserial` SeaBIOS and the iPXE ROM write to a screen that is not there.
        Firmware::Bios => add(&["--boot", "network,bios.useserial=on"]),
        // The loaders are unsigned: the firmware without enrolled keys, and no Secure Boot.
        Firmware::Uefi => {
            add(&["--machine", "q35"]);
            add(&[
                "--boot",
                "network,loader=/usr/share/OVMF/OVMF_CODE_4M.fd,loader.readonly=yes,loader.type=pflash,\
                 loader.secure=no,nvram.template=/usr/share/OVMF/OVMF_VARS_4M.fd",
            ]);
        }
    }
    Ok(line)
}

/// The command line as a person types it: one group per line, quoted for a POSIX shell.
pub fn shell(line: &[Vec<String>]) -> String {
    let groups: Vec<String> = line
        .iter()
        .map(|group| group.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
        .collect();
    groups.join(" \\\n  ")
}

impl Network {
    fn argument(&self, firmware: Firmware, mac: Mac) -> String {
        let to = match self {
            Self::Bridge(name) => format!("bridge={}", comma_safe(name)),
            Self::Named(name) => format!("network={}", comma_safe(name)),
        };
        // Without the ROM the firmware's own PXE client asks, as on most real machines.
        let rom = match firmware {
            Firmware::Bios => "",
            Firmware::Uefi => ",rom.bar=off",
        };
        format!("{to},model=virtio,mac={mac}{rom}")
    }
}

impl FromStr for Firmware {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bios" => Ok(Self::Bios),
            "uefi" => Ok(Self::Uefi),
            other => Err(format!("'{other}' is no firmware of a libvirt machine: use bios or uefi")),
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("bridge", name)) if !name.is_empty() => Ok(Self::Bridge(name.to_owned())),
            Some(("network", name)) if !name.is_empty() => Ok(Self::Named(name.to_owned())),
            _ => Err(format!("'{text}' is no network: use bridge=NAME or network=NAME")),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge(name) => write!(f, "bridge={name}"),
            Self::Named(name) => write!(f, "network={name}"),
        }
    }
}

impl FromStr for ConsoleTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "pty" => Ok(Self::Pty),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            _ => Err(format!("'{text}' is no console: use pty or file=PATH")),
        }
    }
}

impl FromStr for VirtType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kvm" => Ok(Self::Kvm),
            "qemu" => Ok(Self::Qemu),
            other => Err(format!("'{other}' is no virtualisation type: use kvm or qemu")),
        }
    }
}

/// A comma ends an option of virt-install; doubled it stands for itself.
fn comma_safe(text: &str) -> String {
    text.replace(',', ",,")
}

/// `word`, quoted when a POSIX shell would read it otherwise.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=:,./@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Nic;

    fn node(name: &str) -> Node {
        Node {
            name: Some(name.into()),
            nics: vec![Nic { mac: "52:54:00:be:ef:01".parse().unwrap(), addresses: vec![] }],
            ..Node::default()
        }
    }

    fn wish(firmware: Firmware) -> Wish {
        Wish {
            firmware,
            network: Network::Bridge("br0".into()),
            memory: MEMORY,
            console: ConsoleTo::Pty,
            virt_type: VirtType::Kvm,
        }
    }

    #[test]
    fn a_bios_machine_has_its_firmware_on_the_serial_console() {
        let line = shell(&command_line(&node("compute1"), &wish(Firmware::Bios)).unwrap());
        assert!(
            line.starts_with("virt-install \\\n  --connect qemu:///system \\\n  --name compute1 \\\n"),
            "{line}"
        );
        assert!(line.contains("--network bridge=br0,model=virtio,mac=52:54:00:be:ef:01 \\"), "{line}");
        assert!(line.ends_with("--boot network,bios.useserial=on"), "{line}");
        assert!(!line.contains("--uuid"), "{line}");
    }

    #[test]
    fn recorded_identity_is_on_the_line_so_that_the_node_is_recognised_by_it() {
        let mut node = node("compute1");
        node.uuid = Some("00112233-4455-6677-8899-aabbccddeeff".parse().unwrap());
        node.serial = Some("A,B".into());
        let line = shell(&command_line(&node, &wish(Firmware::Uefi)).unwrap());
        assert!(line.contains("--uuid 00112233-4455-6677-8899-aabbccddeeff"), "{line}");
        assert!(line.contains("--sysinfo system.serial=A,,B"), "{line}");
        assert!(line.contains("OVMF_CODE_4M.fd") && line.contains("rom.bar=off"), "{line}");
    }

    #[test]
    fn a_name_cannot_become_a_shell_command() {
        let line = shell(&command_line(&node("it's; rm"), &wish(Firmware::Bios)).unwrap());
        assert!(line.contains(r"--name 'it'\''s; rm'"), "{line}");
    }

    #[test]
    fn a_node_without_a_card_cannot_be_made() {
        let error = command_line(&Node::default(), &wish(Firmware::Bios)).unwrap_err();
        assert!(error.to_string().contains("no MAC"), "{error}");
    }
}
