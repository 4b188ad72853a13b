//! iPXE's encapsulated options, option 175: what a client's build can do, and what a server wants of it.
//!
//! Codes as in iPXE's `dhcp.h` and its feature list; a client's NIC ROM, a chain-loaded build and an OEM's iPXE
//! announce different features, and that decides whether it can run a script directly [I7].

use super::catalogue::print::{guess, hex, quoted};
use super::catalogue::suboptions;

/// HTTP download.
pub const HTTP: u8 = 19;
/// Linux kernels (bzImage); BIOS builds only: EFI builds do not announce it.
pub const BZIMAGE: u8 = 24;
/// EFI programs, and with them Linux kernels with an EFI stub.
pub const EFI: u8 = 36;

/// Features by their code, in the words of iPXE's start-up banner.
const FEATURES: [(u8, &str); 22] = [
    (16, "PXEXT"),
    (17, "iSCSI"),
    (18, "AoE"),
    (HTTP, "HTTP"),
    (20, "HTTPS"),
    (21, "TFTP"),
    (22, "FTP"),
    (23, "DNS"),
    (BZIMAGE, "bzImage"),
    (25, "MBOOT"),
    (26, "SLAM"),
    (27, "SRP"),
    (32, "NBI"),
    (33, "PXE"),
    (34, "ELF"),
    (35, "COMBOOT"),
    (EFI, "EFI"),
    (37, "FCoE"),
    (38, "VLAN"),
    (39, "Menu"),
    (40, "SDI"),
    (41, "NFS"),
];

/// What a client says about its iPXE.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ipxe<'a> {
    /// Codes of the announced features, in wire order.
    pub features: Vec<u8>,
    /// Version, usually three bytes: major, minor, patch.
    pub version: Option<&'a [u8]>,
    /// The NIC: bus type (1 = PCI), vendor and device number.
    pub bus: Option<(u8, u16, u16)>,
}

impl<'a> Ipxe<'a> {
    /// Reads what can be read; sub-options of the server's side are left to [`describe`].
    pub fn parse(value: &'a [u8]) -> Self {
        let mut ipxe = Self::default();
        for (code, value) in suboptions::encapsulated(value).items {
            match (code, value) {
                (235, version) if !version.is_empty() => ipxe.version = Some(version),
                (177, [kind, v1, v2, d1, d2]) => {
                    ipxe.bus = Some((*kind, u16::from_be_bytes([*v1, *v2]), u16::from_be_bytes([*d1, *d2])));
                }
                // A feature with version 0 is not there.
                (16..=79, [version, ..]) if *version > 0 => ipxe.features.push(code),
                _ => {}
            }
        }
        ipxe
    }

    /// True when the client announces a feature, such as [`HTTP`].
    pub fn has(&self, feature: u8) -> bool {
        self.features.contains(&feature)
    }

    /// Version with dots, such as `1.21.1`.
    pub fn version_text(&self) -> Option<String> {
        self.version.map(|bytes| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join("."))
    }

    /// The NIC as `pci 1af4:1000`.
    pub fn bus_text(&self) -> Option<String> {
        self.bus.map(|(kind, vendor, device)| {
            let bus = if kind == 1 { "pci".to_owned() } else { format!("bus-{kind}") };
            format!("{bus} {vendor:04x}:{device:04x}")
        })
    }
}

/// Name of a feature; `feature-N` when it is newer than this table.
pub fn feature_name(code: u8) -> String {
    FEATURES
        .iter()
        .find(|(found, _)| *found == code)
        .map_or_else(|| format!("feature-{code}"), |(_, name)| (*name).to_owned())
}

/// All sub-options in wire order; features by name alone when their version is 1.
pub fn describe(value: &[u8]) -> String {
    suboptions::encapsulated(value).text(sub_option)
}

fn sub_option(code: u8, value: &[u8]) -> String {
    let name = match code {
        1 => "priority",
        8 => "keep-san",
        9 => "skip-san-boot",
        16..=79 => {
            let name = feature_name(code);
            return match value {
                [1] => name,
                _ => format!("{name} {}", hex(value)).trim_end().to_owned(),
            };
        }
        81 => "scriptlet",
        85 => "syslogs",
        90 => "trust",
        91 => "cert",
        92 => "privkey",
        93 => "crosscert",
        176 => "no-pxedhcp",
        177 => "bus-id",
        178 => "bios-drive",
        187 => "san-retry",
        188 => "san-filename",
        189 => "san-drive",
        190 => "username",
        191 => "password",
        192 => "reverse-username",
        193 => "reverse-password",
        194 => "nfs-uid",
        195 => "nfs-gid",
        235 => "version",
        _ => return format!("sub-{code} {}", guess(value)).trim_end().to_owned(),
    };
    let text = match (code, value) {
        (1, [priority]) => priority.cast_signed().to_string(),
        (8 | 9 | 176 | 178 | 187 | 189, [number]) => number.to_string(),
        (81 | 85 | 188 | 190 | 192, text) => quoted(text),
        // A log is no place for a password or a private key.
        (92 | 191 | 193, _) => "(hidden)".to_owned(),
        (194 | 195, [a, b, c, d]) => u32::from_be_bytes([*a, *b, *c, *d]).to_string(),
        (235, version) if !version.is_empty() => {
            version.iter().map(u8::to_string).collect::<Vec<_>>().join(".")
        }
        (177, [_, _, _, _, _]) => {
            let wire = [&[177, 5], value].concat();
            Ipxe::parse(&wire).bus_text().unwrap_or_else(|| hex(value))
        }
        (93, uri) => quoted(uri),
        _ => hex(value),
    };
    format!("{name} {text}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [I7]: the client's own words, as QEMU's option ROM sends them.
    #[test]
    fn features_version_and_nic_are_read() {
        let value = b"\xb1\x05\x01\x1a\xf4\x10\x00\xeb\x03\x01\x15\x01\x13\x01\x01\x18\x01\x01\x27\x01\x00\x4f\x01\x02";
        let ipxe = Ipxe::parse(value);
        assert!(ipxe.has(HTTP) && ipxe.has(BZIMAGE) && !ipxe.has(EFI));
        assert!(!ipxe.has(39), "version 0 means absent");
        assert_eq!(ipxe.version_text().as_deref(), Some("1.21.1"));
        assert_eq!(ipxe.bus_text().as_deref(), Some("pci 1af4:1000"));
        assert_eq!(
            describe(value),
            "bus-id pci 1af4:1000, version 1.21.1, HTTP, bzImage, Menu 00, feature-79 02"
        );
    }

    #[test]
    fn what_a_server_asks_for_is_read_and_secrets_are_not_shown() {
        assert_eq!(
            describe(b"\x01\x01\xff\xb0\x01\x01\xbe\x02me\xbf\x06secret\x51\x04exit\xff"),
            "priority -1, no-pxedhcp 1, username \"me\", password (hidden), scriptlet \"exit\""
        );
    }
}
