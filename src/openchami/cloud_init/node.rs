//! Whom a request is about, and what that node may read: its own meta-data, and the files of its own groups.
//!
//! A node is known by its address alone ([`crate::link::identity`]), never by anything it says. An administrator
//! names the node in the path instead (impersonation), on the admin listener only.

use std::sync::Arc;

use hyper::StatusCode;

use crate::openchami::api::{Ask, Reply, Service};
use crate::openchami::inventory::{CloudGroup, Component, Inventory};
use crate::openchami::xname::Location;
use crate::records::{Node, Xname};

/// An id as records are found by it: an xname in its normal form, anything else as it is.
pub fn normal(id: &str) -> String {
    id.parse::<Location>().map_or_else(|_| id.trim().to_owned(), |location| location.to_string())
}

/// The component that a request is about; the error is the answer to somebody nobody knows.
pub fn subject(ask: &Ask<'_>) -> Result<String, Reply> {
    match ask.found.variables.get("id") {
        Some(id) => Ok(normal(id)),
        None => ask.request.asker.node.clone().ok_or_else(|| nobody(ask.found.route.service)),
    }
}

/// What an unknown address is told: cloud-init's 422 without a word, metadata-service's 404.
fn nobody(service: Service) -> Reply {
    match service {
        Service::Metadata => Reply::error(StatusCode::NOT_FOUND, "node not found"),
        _ => {
            let detail = Some("the address is no node's".to_owned());
            Reply { detail, ..Reply::empty(StatusCode::UNPROCESSABLE_ENTITY) }
        }
    }
}

/// What is known of a component that reads its data.
pub struct Subject {
    /// Its xname.
    pub id: String,
    /// SMD's record.
    pub component: Arc<Component>,
    /// The boot side's record, which BMCs have none of.
    pub node: Option<Arc<Node>>,
    /// The groups it is in, and what cloud-init has for them.
    pub groups: Vec<(String, Option<Arc<CloudGroup>>)>,
}

impl Subject {
    /// Everything about the component `id`, if there is one.
    pub fn find(ask: &Ask<'_>, id: &str) -> Option<Self> {
        let inventory = ask.inventory();
        let component = inventory.components.get(id)?;
        let xname = id.parse::<Xname>().ok();
        let node = xname.and_then(|xname| ask.world.records.by_xname(&xname).cloned());
        Some(Self { id: id.to_owned(), component, node, groups: groups_of(inventory, id) })
    }

    /// Its number; 0 where it has none, as in the reference.
    pub fn nid(&self) -> u32 {
        self.component.nid.and_then(|nid| u32::try_from(nid).ok()).unwrap_or(0)
    }

    /// The first address that it has.
    pub fn ipv4(&self, inventory: &Inventory) -> Option<String> {
        let of_node = self.node.as_ref().and_then(|node| node.ipv4_for(None)).map(|ip| ip.to_string());
        of_node.or_else(|| {
            let cards = inventory.cards_of(&self.id);
            let mut addresses = cards.iter().flat_map(|card| &card.addresses);
            addresses.find(|ip| ip.address.is_ipv4()).map(|ip| ip.address.to_string())
        })
    }
}

/// The groups of a component in order, and what cloud-init has for each.
pub fn groups_of(inventory: &Inventory, id: &str) -> Vec<(String, Option<Arc<CloudGroup>>)> {
    let labels = inventory.groups_of(id).into_iter();
    labels.map(|label| (label.clone(), inventory.cloud_groups.get(&label))).collect()
}
