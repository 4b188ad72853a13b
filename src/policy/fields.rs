//! What a reply carries: header echo, boot data [P7][P8], options by the client's list [P9].

use std::net::Ipv4Addr;

use crate::client::Class;
use crate::config::{BootfileOption, Knobs, Option43};
use crate::dhcp::catalogue::TypedOption;
use crate::dhcp::{MessageType, Packet, Reply, code};
use crate::records::Node;
use crate::world::World;

use super::decide::{Request, Trail};
use super::other_firmware::Form;
use super::relayed;
use super::target::Target;

/// Option 43 that says "use the file name, skip discovery" [X3], end included.
pub(super) const DISCOVERY_BYPASS: [u8; 4] = [6, 1, 8, 255];

/// What it means when an HTTP Boot client takes its offer and never connects: nothing on the wire says which.
pub(super) const HTTP_BOOT_HINT: &str =
    "if no GET follows, the firmware refuses plain http:// [H8] or boots a URL set in its menu [H11]";

/// Options that go out whether the client listed them or not, beside those of the lease [P9].
const UNASKED: [u8; 9] = [43, 60, 66, 67, 97, 150, 175, 209, 210];

/// A reply with everything echoed and nothing given yet.
pub(super) fn reply(request: &Request<'_>, message: MessageType) -> Reply {
    let packet = request.packet;
    let server = request.arrival.address;
    let mut reply = Reply {
        message,
        xid: packet.xid(),
        flags: packet.flags() & 0x8000,
        htype: packet.htype(),
        hlen: packet.hlen(),
        chaddr: packet.chaddr(),
        ciaddr: Ipv4Addr::UNSPECIFIED,
        yiaddr: Ipv4Addr::UNSPECIFIED,
        siaddr: Ipv4Addr::UNSPECIFIED,
        giaddr: packet.giaddr(),
        sname: String::new(),
        file: String::new(),
        options: vec![(code::SERVER_ID, server.octets().to_vec())],
        has_options: true,
        may_overload: reads_overload(request),
    };
    // RFC 6842: echoed as it came. RFC 3046 section 2.2 for 82 [R2], RFC 3011 for 118; 97 by PXE 2.1.
    for echoed in [code::CLIENT_ID, code::UUID, code::SUBNET_SELECTION, code::RELAY_INFO] {
        if let Some(value) = packet.options.get(echoed) {
            reply.set(echoed, value);
        }
    }
    reply
}

/// True for a client that can be expected to follow option 52: an operating system's. Firmware reads `file`
/// and `siaddr` as they are [P5].
fn reads_overload(request: &Request<'_>) -> bool {
    let options = &request.packet.options;
    let u_boot = options.get(code::VENDOR_CLASS).is_some_and(|class| class.starts_with(b"U-Boot"));
    let raspberry_pi = crate::client::is_raspberry_pi(request.client.mac, options.get(code::UUID));
    // Whoever names an architecture wants to be booted, be it as PXE, U-Boot or shim's firmware.
    !request.client.netboots() && !u_boot && !raspberry_pi && options.get(code::ARCH).is_none()
}

/// The word of option 60 towards a PXE client: its own, where the settings say that it means `PXEClient`.
pub(super) fn pxe_class<'w>(request: &Request<'_>, world: &'w World) -> &'w [u8] {
    synonym(request.packet, world).unwrap_or(b"PXEClient")
}

/// The entry of `pxe_classes` that the client's option 60 begins with.
pub(super) fn synonym<'w>(packet: &Packet<'_>, world: &'w World) -> Option<&'w [u8]> {
    let class = packet.options.get(code::VENDOR_CLASS)?;
    let mut synonyms = world.settings.pxe_classes.iter().map(|synonym| synonym.as_bytes());
    synonyms.find(|synonym| class.starts_with(synonym))
}

/// Adds 175.1 for iPXE, by which it chooses among equal offers.
pub(super) fn ipxe_priority(reply: &mut Reply, request: &Request<'_>, knobs: Knobs, trail: &mut Trail) {
    if let Some(priority) = knobs.ipxe_priority
        && request.client.ipxe.is_some()
    {
        let mut value = reply.option(code::IPXE).unwrap_or_default().to_vec();
        value.extend_from_slice(&[1, 1, priority.cast_unsigned()]);
        reply.set(code::IPXE, value);
        trail.step(format!("175.1 = {priority}, by setting"));
    }
}

/// Puts the first file into the reply: siaddr, sname, file, 66, 67 [P7][P8].
pub(super) fn boot_data(
    reply: &mut Reply,
    request: &Request<'_>,
    target: &Target,
    knobs: Knobs,
    trail: &mut Trail,
) {
    let server = request.arrival.address;
    reply.siaddr = server;
    reply.sname = server.to_string();
    if target.form == Form::NextServer {
        // U-Boot reads the header only and stumbles over options it does not know.
        reply.file.clone_from(&target.file);
        return;
    }
    reply.set(code::TFTP_SERVER, server.to_string());
    if target.file.is_empty() {
        return;
    }
    let fits = target.file.len() < 128;
    if fits {
        reply.file.clone_from(&target.file);
    } else {
        trail.step("the boot file's name is over 127 bytes: option 67 only [P8]");
    }
    // HTTP Boot reads the URI from 67 by preference [H2].
    let option = knobs.bootfile_option.unwrap_or(BootfileOption::Plain);
    match option {
        BootfileOption::Omit if fits && request.client.class != Class::Http => {
            trail.step("no option 67, by setting [P7]");
        }
        BootfileOption::Nul => reply.set(code::BOOT_FILE, [target.file.as_bytes(), &[0]].concat()),
        BootfileOption::Omit | BootfileOption::Plain => reply.set(code::BOOT_FILE, target.file.as_bytes()),
    }
}

/// Option 43 = bypass, unless the knob forbids it [X6]. Only ever beside option 60 [X4].
pub(super) fn bypass_discovery(reply: &mut Reply, knobs: Knobs, trail: &mut Trail) {
    if knobs.option_43 == Some(Option43::None) {
        trail.step("no option 43, by setting [X6]");
    } else {
        reply.set(code::VENDOR_SPECIFIC, DISCOVERY_BYPASS);
    }
}

/// The knobs in force for a node that asks on an interface: interface, subnet, class, profile, node.
pub(super) fn knobs(request: &Request<'_>, node: &Node, address: Option<Ipv4Addr>, world: &World) -> Knobs {
    let subnet = match address {
        Some(address) => world.settings.subnet_of(address),
        None => relayed::subnet(request, world),
    };
    let profile = world.settings.profile(node.profile.as_deref());
    let general = request.arrival.knobs.overlaid(subnet.map(|subnet| subnet.knobs).unwrap_or_default());
    let class = request.packet.options.get(code::VENDOR_CLASS);
    let classes = world.settings.classes.iter();
    classes
        .filter(|own| own.matches(&request.client.archs, class, request.client.mac))
        .fold(general, |knobs, own| knobs.overlaid(own.knobs))
        .overlaid(profile.map(|profile| profile.knobs).unwrap_or_default())
        .overlaid(node.knobs)
}

/// Adds the options that settings and records state, the more specific last so that it wins, also over
/// boot data of ours. Without a lease only boot options go out; with one, those that the client listed [P9].
pub(super) fn stated(
    reply: &mut Reply,
    request: &Request<'_>,
    node: &Node,
    address: Option<Ipv4Addr>,
    world: &World,
    trail: &mut Trail,
) {
    let subnet = match address {
        Some(address) => world.settings.subnet_of(address),
        None => relayed::subnet(request, world),
    };
    let profile = world.settings.profile(node.profile.as_deref());
    let of_subnet = subnet.into_iter().flat_map(|subnet| &subnet.options);
    let of_profile = profile.into_iter().flat_map(|profile| &profile.options);
    let mut left_out: Vec<String> = Vec::new();
    for TypedOption { code, value } in of_subnet.chain(of_profile).chain(&node.options) {
        if unasked(*code) || address.is_some() && wanted(request, *code) {
            reply.set(*code, value.clone());
        } else if address.is_some() {
            left_out.push(code.to_string());
        }
    }
    if !left_out.is_empty() {
        trail.step(format!("not asked for in 55, so left out: {} [P9]", left_out.join(", ")));
    }
}

/// True for an option that is sent although the client did not list it [P9].
fn unasked(code: u8) -> bool {
    UNASKED.contains(&code)
}

/// Whether the client wants an option: by its list (55), or everything where it sent none.
pub(super) fn wanted(request: &Request<'_>, code: u8) -> bool {
    request.packet.options.get(code::PARAMETER_LIST).is_none_or(|list| list.contains(&code))
}
