//! `network-config`, version 2: each card by its MAC, its recorded addresses with the prefix of their subnet,
//! router and name servers only where the settings state them. No names are invented.
//!
//! Under `/cloud-init` only where the setting `network_config` is on: the reference does not serve it there.

use std::net::IpAddr;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::config::Settings;
use crate::openchami::api::message::TEXT;
use crate::openchami::api::{Ask, Reply, Service};
use crate::records::{Nic, Node};

use super::node::{self, Subject};
use super::yaml;

/// `GET /network-config`
pub fn get(ask: &Ask<'_>) -> Reply {
    if ask.found.route.service == Service::CloudInit && !ask.settings().network_config {
        return Reply::text(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    let id = match node::subject(ask) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    match Subject::find(ask, &id).and_then(|subject| subject.node) {
        Some(node) => {
            let body = yaml::document(&document(ask.settings(), &node)).into();
            Reply { kind: TEXT, body, ..Reply::empty(StatusCode::OK) }
        }
        None => ask.refuse(StatusCode::NOT_FOUND, "node not found"),
    }
}

fn document(settings: &Settings, node: &Node) -> Map<String, Value> {
    let cards = node.nics.iter().map(|nic| (key(nic), card(settings, nic)));
    let mut top = Map::new();
    top.insert("version".to_owned(), 2.into());
    top.insert("ethernets".to_owned(), Value::Object(cards.collect()));
    top
}

/// Key of a card: an identifier within the document, not the name of an interface, which `match` leaves alone.
fn key(nic: &Nic) -> String {
    format!("mac-{}", nic.mac.to_string().replace(':', ""))
}

fn card(settings: &Settings, nic: &Nic) -> Value {
    let mut card = Map::new();
    card.insert("match".to_owned(), json!({"macaddress": nic.mac.to_string()}));
    let (mut addresses, mut routes, mut dns, mut search) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for address in &nic.addresses {
        match address {
            IpAddr::V4(v4) => {
                let Some(prefix) = settings.prefix_of(*v4) else { continue };
                addresses.push(format!("{v4}/{prefix}"));
                let Some(subnet) = settings.subnet_of(*v4) else { continue };
                if let Some(router) = subnet.router.filter(|_| routes.is_empty()) {
                    routes.push(json!({"to": "0.0.0.0/0", "via": router.to_string()}));
                }
                dns.extend(subnet.dns.iter().map(ToString::to_string));
                search.extend(subnet.domain.clone());
            }
            IpAddr::V6(v6) => {
                let Some(subnet) = settings.v6.subnet_of(*v6) else { continue };
                addresses.push(format!("{v6}/{}", subnet.subnet.prefix_len()));
                dns.extend(subnet.dns.iter().map(ToString::to_string));
                search.extend(subnet.domain.clone());
            }
        }
    }
    if addresses.is_empty() {
        // Without an address whose prefix is known, whoever gave the node its address gives it again.
        card.insert("dhcp4".to_owned(), true.into());
        return card.into();
    }
    card.insert("addresses".to_owned(), json!(addresses));
    if !routes.is_empty() {
        card.insert("routes".to_owned(), routes.into());
    }
    if !dns.is_empty() || !search.is_empty() {
        for list in [&mut dns, &mut search] {
            let mut seen = std::collections::HashSet::new();
            list.retain(|item: &String| seen.insert(item.clone()));
        }
        let mut servers = Map::new();
        if !dns.is_empty() {
            servers.insert("addresses".to_owned(), json!(dns));
        }
        if !search.is_empty() {
            servers.insert("search".to_owned(), json!(search));
        }
        card.insert("nameservers".to_owned(), servers.into());
    }
    card.into()
}
