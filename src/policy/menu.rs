//! PXE boot menus: `option_43: menu` [X6] (PXE 2.1 section 2.2).
//!
//! The ROM shows the menu itself, then asks port 4011 for the item's file by 43.71. A UEFI proxy offer carries
//! no option 43 [X1], so there the menu comes with the first answer on 4011, which EDK2 reads like an offer
//! (from its sources, not seen). Never for iPXE: chosen from a menu, it kept asking for the menu item and
//! looped (fixed in 2023), and it has menus of its own.

use std::net::Ipv4Addr;

use crate::client::Class;
use crate::config::{Knobs, Menu, Option43};
use crate::dhcp::code;
use crate::records::Node;
use crate::world::World;

use super::Reason;
use super::decide::{Request, Trail};
use super::target::Target;

/// Discovery control: no broadcast, no multicast, only the servers listed in 43.8.
const LISTED_SERVERS_ONLY: u8 = 7;

/// The menu that this client is to be shown.
pub(super) fn shown<'w>(
    request: &Request<'_>,
    node: &Node,
    knobs: Knobs,
    world: &'w World,
    trail: &mut Trail,
) -> Option<&'w Menu> {
    if knobs.option_43 != Some(Option43::Menu)
        || request.client.class != Class::Pxe
        || request.client.ipxe.is_some()
    {
        return None;
    }
    let menu = world.settings.menu(node.profile.as_deref());
    if menu.is_none() {
        trail.step("option_43: menu, but no menu is defined: without [X6]");
    }
    menu
}

/// Option 43 that shows `menu`; every item is served by `server`.
pub(super) fn option(menu: &Menu, server: Ipv4Addr) -> Vec<u8> {
    let mut servers = Vec::new();
    let mut lines = Vec::new();
    for item in &menu.items {
        if item.loader.is_some() {
            servers.extend_from_slice(&item.kind.to_be_bytes());
            servers.push(1);
            servers.extend_from_slice(&server.octets());
        }
        lines.extend_from_slice(&item.kind.to_be_bytes());
        put(&mut lines, item.text.as_bytes());
    }
    let mut prompt = vec![menu.timeout];
    prompt.extend_from_slice(menu.prompt.as_bytes());
    let mut option = vec![6, 1, LISTED_SERVERS_ONLY];
    for (sub, value) in [(8, &servers), (9, &lines), (10, &prompt)] {
        option.push(sub);
        put(&mut option, value);
    }
    option.push(code::END);
    option
}

/// A length byte and the bytes; the settings were checked to fit into one option.
fn put(bytes: &mut Vec<u8>, value: &[u8]) {
    let length = value.len().min(255);
    bytes.push(length as u8);
    bytes.extend_from_slice(&value[..length]);
}

/// Names the file of the item that `item` (43.71 as it is echoed) asks for. Type 0 is nobody's choice: the
/// ROM boots the local disk by itself.
pub(super) fn choose(menu: &Menu, item: &[u8], target: &mut Target, trail: &mut Trail) -> Result<(), Reason> {
    let [_, _, high, low, ..] = item else { return Ok(()) };
    let kind = u16::from_be_bytes([*high, *low]);
    if kind == 0 {
        return Ok(());
    }
    let chosen = menu.item(kind);
    let Some((chosen, loader)) = chosen.and_then(|item| Some((item, item.loader.as_ref()?))) else {
        trail.step(format!("boot item {kind} is not in the menu"));
        return Err(Reason::NoMenuItem);
    };
    trail.step(format!("menu item {kind}, {}: {loader}", chosen.text));
    target.file.clone_from(loader);
    Ok(())
}
