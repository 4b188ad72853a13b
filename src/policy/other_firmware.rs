//! Firmware that takes something else than a loader by name: U-Boot, petitboot, Raspberry Pi,
//! ONIE.

use crate::boot::urls;
use crate::client::{Arch, Class, Kind, Platform};
use crate::dhcp::{Reply, code};
use crate::records::{BootEntry, Node};
use crate::world::World;

use super::Reason;
use super::decide::{Request, Trail};
use super::target::Target;

/// The enterprise number of ONIE (IANA), for option 125.
const ONIE_ENTERPRISE: u32 = 42623;
/// Sub-option of [`ONIE_ENTERPRISE`]: URL of the installer.
const ONIE_INSTALLER: u8 = 1;

/// In which form a client takes its boot data.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Form {
    /// A loader by name or URL: `file`, 66 and 67.
    #[default]
    Loader,
    /// The next server, and a file where one is stated; no options (U-Boot).
    NextServer,
    /// The URL of a configuration file and of what its paths are relative to (petitboot).
    ConfigFile {
        /// Option 210.
        prefix: String,
        /// Option 209.
        file: String,
    },
    /// Option 43 with the menu text that the boot ROM looks for.
    RaspberryPi,
    /// The URL of a switch's installer (ONIE).
    Installer,
}

/// The first file of a firmware of its own ways; `None` for one that takes a loader. `stated` is the loader
/// that the record, the boot entry or the profile names.
pub(super) fn target(
    request: &Request<'_>,
    arch: Option<Arch>,
    stated: Option<&str>,
    base: Option<&str>,
    trail: &mut Trail,
) -> Option<Target> {
    let client = request.client;
    if client.class == Class::Http || client.ipxe.is_some() {
        return None;
    }
    let server = request.arrival.address;
    let file = stated.unwrap_or_default().to_owned();
    let form = match arch.map(Arch::platform) {
        Some(Platform::RaspberryPi) => {
            trail.step("Raspberry Pi: its own files, by TFTP from us [I3]");
            Form::RaspberryPi
        }
        Some(Platform::Petitboot) => {
            let prefix = base.map_or_else(|| format!("tftp://{server}/"), |base| format!("{base}/"));
            let name = client.mac.map_or_else(
                || "default".to_owned(),
                |mac| format!("01-{}", mac.to_string().replace(':', "-")),
            );
            let file = format!("{prefix}pxelinux.cfg/{name}");
            trail.step(format!("petitboot: configuration file {file} by 209 and 210"));
            Form::ConfigFile { prefix, file }
        }
        Some(Platform::UBoot) => u_boot(&file, trail),
        _ if client.kind == Kind::UBoot => u_boot(&file, trail),
        _ => return None,
    };
    Some(Target { file, arch, form })
}

fn u_boot(file: &str, trail: &mut Trail) -> Form {
    trail.step(match file {
        "" => "U-Boot: next server only, then it asks for pxelinux.cfg".to_owned(),
        file => format!("U-Boot: {file} by file and siaddr only [P8]"),
    });
    Form::NextServer
}

/// The installer of a switch: the record's, else the profile's. A path is a file of the asset folder.
pub(super) fn installer(
    request: &Request<'_>,
    node: &Node,
    world: &World,
    trail: &mut Trail,
) -> Result<Target, Reason> {
    let profile = world.settings.profile(node.profile.as_deref());
    let stated = node.installer.as_ref().or_else(|| profile?.installer.as_ref());
    let Some(stated) = stated else {
        trail.step("ONIE: neither the record nor its profile has an installer");
        return Err(Reason::NoLoader);
    };
    let file = if stated.contains("://") {
        stated.clone()
    } else {
        let base = urls::base(&world.settings, request.arrival.address);
        match base {
            Some(base) => format!("{base}/{stated}"),
            None => format!("tftp://{}/{stated}", request.arrival.address),
        }
    };
    trail.step(format!("ONIE: installer {file} by 125 and 114"));
    Ok(Target { file, arch: request.client.arch, form: Form::Installer })
}

/// The loader that somebody wrote down: record, boot entry, profile, in this order.
pub(super) fn stated_loader(node: &Node, entry: Option<&BootEntry>, world: &World) -> Option<String> {
    let profile = world.settings.profile(node.profile.as_deref());
    node.loader
        .clone()
        .or_else(|| entry.and_then(|entry| entry.loader.clone()))
        .or_else(|| profile.and_then(|profile| profile.loader.clone()))
}

/// Adds the options of a form of its own; false for a loader, which the mode finishes.
pub(super) fn fill(reply: &mut Reply, target: &Target, world: &World, trail: &mut Trail) -> bool {
    match &target.form {
        Form::Loader => return false,
        Form::NextServer => {}
        Form::ConfigFile { prefix, file } => {
            reply.set(code::PXELINUX_CONFIG, file.as_bytes());
            reply.set(code::PXELINUX_PREFIX, prefix.as_bytes());
        }
        Form::RaspberryPi => {
            reply.set(code::VENDOR_CLASS, *b"PXEClient");
            reply.set(code::VENDOR_SPECIFIC, raspberry_pi_menu(&world.settings.raspberry_pi_menu));
            trail.step("Raspberry Pi: 60 and 43 with its menu text");
        }
        Form::Installer => {
            reply.set(code::DEFAULT_URL, target.file.as_bytes());
            if let Some(value) = onie_vendor(&target.file) {
                reply.set(code::VENDOR_INFO, value);
            } else {
                trail.step("the installer's URL is too long for option 125: 114 only");
            }
        }
    }
    true
}

/// Option 43 as the Pi's ROM wants it: bits 0 and 1 of discovery control, a prompt `PXE`, one menu item of
/// type 0 with the text, the end.
pub(super) fn raspberry_pi_menu(text: &str) -> Vec<u8> {
    let mut value = vec![6, 1, 3, 10, 4, 0];
    value.extend_from_slice(b"PXE");
    let text = &text.as_bytes()[..text.len().min(200)];
    // 200 at most, so that the lengths fit their bytes.
    value.extend_from_slice(&[9, text.len() as u8 + 3, 0, 0, text.len() as u8]);
    value.extend_from_slice(text);
    value.push(code::END);
    value
}

/// Option 125 (RFC 3925, 4): enterprise number, length, sub-options. `None` if it does not fit.
fn onie_vendor(url: &str) -> Option<Vec<u8>> {
    let length = u8::try_from(url.len()).ok()?;
    let all = length.checked_add(2)?;
    let mut value = ONIE_ENTERPRISE.to_be_bytes().to_vec();
    value.extend_from_slice(&[all, ONIE_INSTALLER, length]);
    value.extend_from_slice(url.as_bytes());
    (value.len() <= 255).then_some(value)
}
