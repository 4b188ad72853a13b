//! PXE: vendor class (option 60) and the sub-options inside 43 (PXE 2.1 section 2).
//!
//! Option 43 belongs to the vendor named in option 60 of the same packet; only `PXEClient` makes it PXE's.

use std::net::Ipv4Addr;

use super::catalogue::print::{escaped, guess, hex, quoted};
use super::catalogue::suboptions;
use crate::client::arch::Arch;

/// Who sends a vendor class.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClassKind {
    /// A PXE ROM, UEFI PXE or iPXE; in replies: PXE data for them.
    Pxe,
    /// UEFI HTTP Boot.
    Http,
    /// U-Boot.
    UBoot,
    /// A Huawei server that says `HW-Client` in place of `PXEClient`.
    Huawei,
    /// A switch's installer or zero-touch client.
    SwitchOs,
    /// An operating system or installer, not firmware.
    OperatingSystem,
    /// Apple's Boot Server Discovery Protocol.
    AppleBsdp,
    /// Anything else.
    Other,
}

/// Prefixes of option 60 [I4].
const PREFIXES: [(&[u8], ClassKind); 17] = [
    (b"PXEClient", ClassKind::Pxe),
    (b"HTTPClient", ClassKind::Http),
    (b"U-Boot", ClassKind::UBoot),
    (b"HW-Client", ClassKind::Huawei),
    (b"onie_vendor:", ClassKind::SwitchOs),
    (b"Arista;", ClassKind::SwitchOs),
    (b"Juniper-", ClassKind::SwitchOs),
    (b"cumulus-linux", ClassKind::SwitchOs),
    (b"ciscopnp", ClassKind::SwitchOs),
    (b"Cisco", ClassKind::SwitchOs),
    (b"AAPLBSDPC", ClassKind::AppleBsdp),
    (b"MSFT", ClassKind::OperatingSystem),
    (b"udhcp", ClassKind::OperatingSystem),
    (b"dhcpcd-", ClassKind::OperatingSystem),
    (b"anaconda-", ClassKind::OperatingSystem),
    (b"dracut", ClassKind::OperatingSystem),
    (b"Linux ipconfig", ClassKind::OperatingSystem),
];

/// Option 60, read by prefix, on bytes, case-sensitive; what follows a prefix may be missing or anything [I4].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VendorClass {
    /// Who sends it.
    pub kind: ClassKind,
    /// `AAAAA` of `…:Arch:AAAAA:UNDI:VVVRRR`. Option 93 wins when they disagree [I4].
    pub arch: Option<Arch>,
    /// `VVVRRR`: major and minor version of the network driver interface.
    pub undi: Option<(u16, u16)>,
}

impl VendorClass {
    /// Reads the value of option 60, or the text inside DHCPv6's option 16.
    pub fn parse(value: &[u8]) -> Self {
        let kind = PREFIXES
            .iter()
            .find(|(prefix, _)| value.starts_with(prefix))
            .map_or(ClassKind::Other, |(_, kind)| *kind);
        // `d-i` is too short for a prefix of its own.
        let kind = if value == b"d-i" { ClassKind::OperatingSystem } else { kind };
        let mut class = Self { kind, arch: None, undi: None };
        let mut words = value.split(|byte| *byte == b':').skip(1);
        while let Some(word) = words.next() {
            match word {
                b"Arch" => class.arch = words.next().and_then(digits).map(Arch),
                b"UNDI" => {
                    class.undi = words.next().and_then(|version| {
                        let (major, minor) = version.split_at_checked(3)?;
                        Some((digits(major)?, digits(minor)?))
                    });
                }
                _ => {}
            }
        }
        class
    }
}

fn digits(text: &[u8]) -> Option<u16> {
    // A terminated string is a common fault of ROMs; `parse` alone would also take a sign.
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    if text.iter().all(u8::is_ascii_digit) { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// Text of option 43 for the vendor class of the same packet.
///
/// PXE sub-options for `PXEClient`; for others text if it is text, a guess at sub-options if they fill the value
/// exactly, else digits.
pub fn describe_vendor_options(value: &[u8], class: Option<&[u8]>) -> String {
    if class.is_some_and(|class| matches!(VendorClass::parse(class).kind, ClassKind::Pxe | ClassKind::Huawei))
    {
        return describe(value);
    }
    if value.len() >= 4 && value.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return quoted(value);
    }
    let options = suboptions::encapsulated(value);
    if options.items.is_empty() || !options.rest.is_empty() {
        return guess(value);
    }
    options.text(|code, value| match (code, value.as_chunks::<4>()) {
        // Controller lists of access points, whatever the vendor (RFC 5417's predecessors).
        (241, (addresses, [])) if !addresses.is_empty() => format!("241={}", ips(addresses)),
        _ => format!("{code}={}", guess(value)),
    })
}

/// The PXE sub-options of option 43 in wire order; says when the end marker is missing, because ROMs walk past
/// the option without it.
fn describe(value: &[u8]) -> String {
    let options = suboptions::encapsulated(value);
    let mut text = options.text(sub_option);
    if !options.ended && options.rest.is_empty() {
        text += if text.is_empty() { "no end" } else { ", no end" };
    }
    text
}

fn sub_option(code: u8, value: &[u8]) -> String {
    let text = match (code, value) {
        (1, [a, b, c, d]) => Some(format!("mtftp-ip {}", Ipv4Addr::new(*a, *b, *c, *d))),
        (2, [high, low]) => Some(format!("mtftp-client-port {}", u16::from_be_bytes([*high, *low]))),
        (3, [high, low]) => Some(format!("mtftp-server-port {}", u16::from_be_bytes([*high, *low]))),
        (4, [seconds]) => Some(format!("mtftp-timeout {seconds}")),
        (5, [seconds]) => Some(format!("mtftp-delay {seconds}")),
        (6, [bits]) => Some(discovery_control(*bits)),
        (7, [a, b, c, d]) => Some(format!("multicast-discovery {}", Ipv4Addr::new(*a, *b, *c, *d))),
        (8, servers) => boot_servers(servers).map(|text| format!("boot-servers {text}")),
        (9, menu) => boot_menu(menu).map(|text| format!("boot-menu {text}")),
        (10, [timeout, prompt @ ..]) => Some(format!("menu-prompt {timeout}s {}", quoted(prompt))),
        (71, [t1, t2, l1, l2]) => {
            let layer = u16::from_be_bytes([*l1, *l2]);
            let credentials = if layer & 0x8000 != 0 { " credentials" } else { "" };
            let kind = u16::from_be_bytes([*t1, *t2]);
            Some(format!("boot-item {kind} layer {}{credentials}", layer & 0x7fff))
        }
        (11, _) => Some(format!("multicast-allocation {}", hex(value))),
        (12, _) => Some(format!("credential-types {}", hex(value))),
        (1..=7 | 10 | 71, _) => None,
        _ => Some(format!("sub-{code} {}", guess(value)).trim_end().to_owned()),
    };
    text.unwrap_or_else(|| format!("sub-{code} [malformed] {}", hex(value)).trim_end().to_owned())
}

fn discovery_control(bits: u8) -> String {
    let names: Vec<&str> =
        [(1, "no-broadcast"), (2, "no-multicast"), (4, "listed-servers-only"), (8, "use-boot-file")]
            .into_iter()
            .filter(|(bit, _)| bits & bit != 0)
            .map(|(_, name)| name)
            .collect();
    format!("discovery-control 0x{bits:02x} {}", names.join("+")).trim_end().to_owned()
}

fn boot_servers(mut rest: &[u8]) -> Option<String> {
    let mut servers = Vec::new();
    while !rest.is_empty() {
        let ([high, low, count], tail) = rest.split_first_chunk::<3>()?;
        let (list, tail) = tail.split_at_checked(usize::from(*count) * 4)?;
        let (addresses, _) = list.as_chunks::<4>();
        servers.push(format!("{}:{}", u16::from_be_bytes([*high, *low]), ips(addresses)));
        rest = tail;
    }
    Some(servers.join(" "))
}

fn boot_menu(mut rest: &[u8]) -> Option<String> {
    let mut items = Vec::new();
    while !rest.is_empty() {
        let ([high, low, length], tail) = rest.split_first_chunk::<3>()?;
        let (text, tail) = tail.split_at_checked(usize::from(*length))?;
        items.push(format!("{}:\"{}\"", u16::from_be_bytes([*high, *low]), escaped(text)));
        rest = tail;
    }
    Some(items.join(" "))
}

fn ips(addresses: &[[u8; 4]]) -> String {
    addresses.iter().map(|address| Ipv4Addr::from(*address).to_string()).collect::<Vec<_>>().join("+")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [I4] [I5]: prefix, bytes, case; the tail is optional.
    #[test]
    fn a_vendor_class_is_known_by_its_prefix_alone() {
        let full = VendorClass::parse(b"PXEClient:Arch:00007:UNDI:003016");
        assert_eq!(full, VendorClass { kind: ClassKind::Pxe, arch: Some(Arch(7)), undi: Some((3, 16)) });
        for (text, kind) in [
            (&b"PXEClient"[..], ClassKind::Pxe),
            (b"PXEClient:junk:Arch", ClassKind::Pxe),
            (b"PXEClient:Arch:+0007:UNDI:\xff\xff", ClassKind::Pxe),
            (b"pxeclient", ClassKind::Other),
            (b"HTTPClient:Arch", ClassKind::Http),
            (b"U-Boot.armv8", ClassKind::UBoot),
            (b"onie_vendor:x86_64-kvm_x86_64-r0", ClassKind::SwitchOs),
            (b"d-i", ClassKind::OperatingSystem),
            (b"udhcp 1.35.0", ClassKind::OperatingSystem),
            (b"", ClassKind::Other),
        ] {
            let class = VendorClass::parse(text);
            assert_eq!((class.kind, class.arch, class.undi), (kind, None, None), "{}", escaped(text));
        }
    }

    /// [X3]: the four bytes that send a BIOS client to TFTP directly.
    #[test]
    fn discovery_control_names_its_bits_and_a_missing_end_is_said() {
        let pxe = Some(&b"PXEClient"[..]);
        let text = "discovery-control 0x08 use-boot-file";
        assert_eq!(describe_vendor_options(&[6, 1, 8, 255], pxe), text);
        assert_eq!(describe_vendor_options(&[6, 1, 8], pxe), format!("{text}, no end"));
        assert_eq!(describe_vendor_options(&[6, 2, 8, 8, 255], pxe), "sub-6 [malformed] 0808");
    }

    /// Quirk 28: the 32 bytes that a Raspberry Pi wants, read back.
    #[test]
    fn a_boot_menu_and_its_prompt_are_read() {
        let value = b"\x06\x01\x03\x0a\x04\x00PXE\x09\x14\x00\x00\x11Raspberry Pi Boot\xff";
        assert_eq!(
            describe_vendor_options(value, Some(b"PXEClient")),
            "discovery-control 0x03 no-broadcast+no-multicast, menu-prompt 0s \"PXE\", \
             boot-menu 0:\"Raspberry Pi Boot\""
        );
        let value = b"\x08\x0b\x00\x01\x02\x0a\x00\x00\x01\x0a\x00\x00\x02\x47\x04\x00\x01\x80\x00\xff";
        assert_eq!(
            describe_vendor_options(value, Some(b"PXEClient")),
            "boot-servers 1:10.0.0.1+10.0.0.2, boot-item 1 layer 0 credentials"
        );
    }

    #[test]
    fn option_43_of_other_vendors_is_not_read_as_pxe() {
        assert_eq!(describe_vendor_options(&[6, 1, 8, 255], None), "6=08");
        assert_eq!(
            describe_vendor_options(b"5A1N;B2;K4;I10.0.0.1;J80", Some(b"ciscopnp")),
            "\"5A1N;B2;K4;I10.0.0.1;J80\""
        );
        assert_eq!(
            describe_vendor_options(&[241, 8, 10, 0, 0, 1, 10, 0, 0, 2], None),
            "241=10.0.0.1+10.0.0.2"
        );
        assert_eq!(describe_vendor_options(&[1, 9, 1], None), "010901");
    }
}
