//! Host names, in one order for cloud-init, DHCP and scripts: what the instance info says; the cluster's short
//! name and the node number, where the cluster defaults have a short name; the record's own by the setting
//! `hostname`; `nid0001`.

use crate::config::HostnameSource;
use crate::openchami::inventory::{ClusterDefaults, InstanceInfo, Inventory};
use crate::records::Node;

use super::{defaults, instance_info};

/// Digits of the number in a host name where the cluster defaults do not say.
const NID_LENGTH: u8 = 4;

/// The longest host name, bytes (RFC 1035, 2.3.4, without the trailing point).
const NAME_MAX: usize = 253;

/// The two names that cloud-init's meta-data has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names {
    /// `local-hostname`: what the node calls itself, and DHCP calls it.
    pub local: String,
    /// `hostname`: what cloud-init keeps beside it.
    pub second: String,
}

/// The names of a component. `node`: its boot record, if it has one; `nid` 0 stands for none, as in the
/// reference.
pub fn of(inventory: &Inventory, id: &str, nid: u32, node: Option<&Node>, source: HostnameSource) -> Names {
    let info = instance_info::of(inventory, id);
    let otherwise = || {
        by_cluster(defaults::in_force(inventory).as_deref(), nid)
            .or_else(|| node.and_then(|node| by_record(node, source)))
            .unwrap_or_else(|| by_nid(nid))
    };
    let said = |pick: fn(&InstanceInfo) -> &String| info.as_deref().map(pick).filter(|name| !name.is_empty());
    Names {
        local: said(|info| &info.local_hostname).cloned().unwrap_or_else(otherwise),
        second: said(|info| &info.hostname).cloned().unwrap_or_else(otherwise),
    }
}

/// The host name that DHCP hands out and scripts show. `None`: nothing names the node.
pub fn hostname(inventory: &Inventory, node: &Node, source: HostnameSource) -> Option<String> {
    let said = || {
        let info = instance_info::of(inventory, node.xname.as_ref()?.as_str())?;
        // Instance info is free text, a host name on the wire is not.
        is_host_name(&info.local_hostname).then(|| info.local_hostname.clone())
    };
    said()
        .or_else(|| {
            by_cluster(defaults::in_force(inventory).as_deref(), node.nid?).filter(|name| is_host_name(name))
        })
        .or_else(|| by_record(node, source))
        .or_else(|| node.nid.map(by_nid))
}

fn by_cluster(defaults: Option<&ClusterDefaults>, nid: u32) -> Option<String> {
    let defaults = defaults.filter(|defaults| !defaults.short_name.is_empty())?;
    let length = if defaults.nid_length == 0 { NID_LENGTH } else { defaults.nid_length };
    Some(format!("{}{nid:0length$}", defaults.short_name, length = usize::from(length)))
}

fn by_record(node: &Node, source: HostnameSource) -> Option<String> {
    match source {
        HostnameSource::Name => node.name.clone(),
        HostnameSource::Nid => None,
        HostnameSource::Xname => node.xname.as_ref().map(ToString::to_string),
    }
}

fn by_nid(nid: u32) -> String {
    format!("nid{nid:04}")
}

fn is_host_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_has_as_many_digits_as_the_cluster_says() {
        let defaults = |short: &str, length| ClusterDefaults {
            short_name: short.to_owned(),
            nid_length: length,
            ..ClusterDefaults::default()
        };
        assert_eq!(by_cluster(Some(&defaults("de", 2)), 1).as_deref(), Some("de01"));
        assert_eq!(by_cluster(Some(&defaults("nid", 3)), 1).as_deref(), Some("nid001"));
        assert_eq!(by_cluster(Some(&defaults("nid", 0)), 1).as_deref(), Some("nid0001"));
        assert_eq!(by_cluster(Some(&defaults("n", 2)), 12345).as_deref(), Some("n12345"));
        assert_eq!(by_cluster(Some(&defaults("", 2)), 1), None);
    }
}
