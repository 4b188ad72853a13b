//! [M4]: nodes' addresses against the subnets that are served.
//!
//! At loading the subnets come from bootlace.yaml; at run time from the interfaces as well.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use crate::config::file::is_host;
use crate::config::{Code, Diagnostic, Severity};

use super::key::NodeKey;
use super::snapshot::Snapshot;

/// One subnet as [`address_problems`] takes it: the network, the server's own address in it, the router.
pub type ServedSubnet = (Ipv4Net, Ipv4Addr, Option<Ipv4Addr>);

/// A node's address that contradicts a subnet.
pub(super) struct AddressProblem {
    /// The node.
    pub node: NodeKey,
    /// Index among its cards.
    pub nic: usize,
    /// Index among the card's addresses.
    pub address: usize,
    pub code: Code,
    pub severity: Severity,
    pub message: String,
    pub advice: String,
}

/// [M4] The reserved address lies in a subnet and is not the network, the broadcast, the server's or the
/// router's. A card in a network that nobody serves here (a fabric) is a warning while another card of the
/// node is inside; `outside` says what a node with no card inside is.
pub(super) fn address_check(
    records: &Snapshot,
    subnets: &[(Ipv4Net, Option<Ipv4Addr>)],
    servers: &HashSet<Ipv4Addr>,
    outside: Severity,
) -> Vec<AddressProblem> {
    let routers: HashSet<Ipv4Addr> = subnets.iter().filter_map(|(_, router)| *router).collect();
    let mut by_prefix: HashMap<u8, HashSet<Ipv4Addr>> = HashMap::new();
    for (net, _) in subnets {
        by_prefix.entry(net.prefix_len()).or_default().insert(net.network());
    }
    let mut prefixes: Vec<u8> = by_prefix.keys().copied().collect();
    prefixes.sort_unstable_by(|a, b| b.cmp(a));
    let subnet_of = |address: Ipv4Addr| {
        prefixes.iter().find_map(|prefix| {
            let net = Ipv4Net::new(address, *prefix).ok()?.trunc();
            by_prefix.get(prefix)?.contains(&net.network()).then_some(net)
        })
    };
    let mut problems = Vec::new();
    for (key, node) in records.nodes_by_key() {
        let inside = node.nics.iter().filter_map(|nic| nic.ipv4()).any(|ip| subnet_of(ip).is_some());
        for (nic_index, nic) in node.nics.iter().enumerate() {
            let mut reserved = true;
            for (address_index, address) in nic.addresses.iter().enumerate() {
                let IpAddr::V4(ip) = *address else { continue };
                let first = std::mem::replace(&mut reserved, false);
                let mut problem = |code, severity, message: String, advice: String| {
                    problems.push(AddressProblem {
                        node: key.clone(),
                        nic: nic_index,
                        address: address_index,
                        code,
                        severity,
                        message: format!("{} of {} {message}", ip, node.label()),
                        advice,
                    });
                };
                let other = || "give the node another address".to_owned();
                if servers.contains(&ip) {
                    let message = "is this server's own address".to_owned();
                    problem(Code::AddressOfServer, Severity::Error, message, other());
                } else if routers.contains(&ip) {
                    let message = "is the router's address".to_owned();
                    problem(Code::AddressOfRouter, Severity::Error, message, other());
                } else if let Some(net) = subnet_of(ip) {
                    if !is_host(net, ip) {
                        let what = if ip == net.network() { "network" } else { "broadcast" };
                        let message = format!("is the {what} address of {net}");
                        problem(Code::AddressReserved, Severity::Error, message, other());
                    }
                } else if first && !subnets.is_empty() {
                    let severity = if inside { Severity::Warning } else { outside };
                    let nets: Vec<String> = subnets.iter().take(4).map(|(net, _)| net.to_string()).collect();
                    let more = if subnets.len() > 4 { ", …" } else { "" };
                    let advice = format!("subnets: {}{more}", nets.join(", "));
                    let message = "is in none of the subnets".to_owned();
                    problem(Code::AddressOutside, severity, message, advice);
                }
            }
        }
    }
    problems
}

/// The address checks for subnets that are known only at run time (an interface's own prefix). Places are
/// the lines of the nodes' records. An address outside is a warning here: its subnet may be served by
/// another appliance. Records that the settings' own subnets contradict were refused at loading.
pub fn address_problems(snapshot: &Snapshot, subnets: &[ServedSubnet]) -> Vec<Diagnostic> {
    let servers: HashSet<Ipv4Addr> = subnets.iter().map(|(_, server, _)| *server).collect();
    let nets: Vec<(Ipv4Net, Option<Ipv4Addr>)> =
        subnets.iter().map(|(net, _, router)| (net.trunc(), *router)).collect();
    address_check(snapshot, &nets, &servers, Severity::Warning)
        .into_iter()
        .map(|problem| {
            let origin = snapshot.node(&problem.node).map(|node| node.origin.clone()).unwrap_or_default();
            let mut found =
                Diagnostic::of_file(problem.severity, problem.code, &origin.file, problem.message);
            found.line = origin.line;
            found.key("ip_addr").advise(problem.advice);
            found
        })
        .collect()
}
