//! The body that tells an SMD of one BMC and its machines, as OpenCHAMI's crawler sends it.

use reqwest::Method;
use serde::Serialize;

use super::inventory::{Inventory, Manager, System};
use super::place::Placed;
use crate::discover::Request;
use crate::records::BmcXname;

const ENDPOINTS: &str = "/hsm/v2/Inventory/RedfishEndpoints";

/// One RedfishEndpoint. There is no password in it, and none is sent.
#[derive(Debug, Clone, Serialize)]
pub struct Endpoint {
    /// Address or name that was asked.
    #[serde(rename = "FQDN")]
    pub fqdn: String,
    /// Its xname.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its own card.
    #[serde(rename = "MACAddr", skip_serializing_if = "Option::is_none")]
    pub mac: Option<crate::records::Mac>,
    #[serde(rename = "MACRequired")]
    mac_required: bool,
    /// Controllers; null where the BMC names none.
    #[serde(rename = "Managers")]
    pub managers: Option<Vec<Manager>>,
    #[serde(rename = "Name")]
    /// The crawler that this follows sends it empty.
    name: String,
    #[serde(rename = "RediscoverOnUpdate")]
    rediscover: bool,
    #[serde(rename = "SchemaVersion")]
    schema_version: u8,
    /// Machines. An SMD numbers them by their place in this list, so they are in the order of their xnames.
    #[serde(rename = "Systems")]
    pub systems: Vec<System>,
    #[serde(rename = "Type")]
    kind: &'static str,
    /// User name that was used.
    #[serde(rename = "User")]
    pub user: String,
}

impl Endpoint {
    /// The body for a BMC. Machines that have no xname come last.
    pub fn new(xname: &BmcXname, host: &str, user: &str, inventory: &Inventory, placed: &[Placed]) -> Self {
        let mut order: Vec<usize> = placed.iter().map(|placed| placed.system).collect();
        order.extend(
            (0..inventory.systems.len()).filter(|index| placed.iter().all(|one| one.system != *index)),
        );
        Self {
            fqdn: host.to_owned(),
            id: xname.to_string(),
            mac: inventory.mac,
            mac_required: true,
            managers: inventory.managers.clone(),
            name: String::new(),
            rediscover: false,
            schema_version: 1,
            systems: order.iter().filter_map(|index| inventory.systems.get(*index)).cloned().collect(),
            kind: "",
            user: user.to_owned(),
        }
    }

    /// The request that stores it: a POST, and a PUT where the SMD has it already.
    pub fn request(&self) -> Request {
        // Texts, numbers, lists and maps with text keys: such values have no way to fail.
        let body = serde_json::to_string(self).unwrap_or_default();
        let again = Request {
            method: Method::PUT,
            path: format!("{ENDPOINTS}/{}", self.id),
            body: body.clone(),
            subject: format!("RedfishEndpoint {}", self.id),
            on_conflict: None,
        };
        let (path, subject) = (ENDPOINTS.to_owned(), again.subject.clone());
        Request { method: Method::POST, path, body, subject, on_conflict: Some(Box::new(again)) }
    }
}
