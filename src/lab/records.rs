//! Which records the lab boots from, and which addresses its VLAN has. Pure but for reading the files.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::boot::resolve::resolve;
use crate::client::Cpu;
use crate::records::{BootFile, Node, Snapshot};

use super::LabError;
use super::sandbox::Sandbox;

/// nodes.yaml of the lab's own five nodes.
pub const NODES: &str = include_str!("nodes.yaml");
/// boot.yaml that boots the Debian installer.
pub const BOOT: &str = include_str!("boot.yaml");
/// The server's address with the lab's own records: the tutorial's.
const SERVER: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 254);

/// Records in files, as `bootlace serve` reads them.
#[derive(Clone, Debug)]
pub struct Files {
    /// nodes.yaml.
    pub nodes: PathBuf,
    /// boot.yaml.
    pub boot: PathBuf,
}

impl Files {
    /// The user's files, and the lab's own in place of those not given.
    pub fn or_built_in(
        sandbox: &Sandbox,
        nodes: Option<&PathBuf>,
        boot: Option<&PathBuf>,
    ) -> Result<Self, LabError> {
        let or = |given: Option<&PathBuf>, name, content| match given {
            Some(path) => Ok(path.clone()),
            None => sandbox.write(name, content),
        };
        Ok(Self { nodes: or(nodes, "nodes.yaml", NODES)?, boot: or(boot, "boot.yaml", BOOT)? })
    }
}

/// STANDIN
pub fn load(nodes: &[PathBuf], boot: &[PathBuf]) -> Result<Snapshot, LabError> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|cause| LabError::File {
            what: "read",
            path: path.clone(),
            cause,
        })
    };
    let n: Vec<String> = nodes.iter().map(read).collect::<Result<_, _>>()?;
    let b: Vec<String> = boot.iter().map(read).collect::<Result<_, _>>()?;
    standin(&n.concat(), &b.concat())
}

/// The lab's own records.
pub fn built_in() -> Result<Snapshot, LabError> {
    standin(NODES, BOOT)
}

fn standin(nodes: &str, _boot: &str) -> Result<Snapshot, LabError> {
    let value: serde_json::Value =
        serde_yaml::from_str(nodes).map_err(|error| LabError::Records(error.to_string()))?;
    let nodes = value["nodes"].as_array().cloned().unwrap_or_default();
    let nodes = nodes
        .iter()
        .map(|node| Node {
            name: node["name"].as_str().map(str::to_owned),
            nics: vec![crate::records::Nic {
                mac: node["interfaces"][0]["mac_addr"].as_str().unwrap_or_default().parse().unwrap(),
                addresses: vec![
                    node["interfaces"][0]["ip_addrs"][0]["ip_addr"]
                        .as_str()
                        .unwrap_or_default()
                        .parse()
                        .unwrap(),
                ],
            }],
            netboot: true,
            ..Node::default()
        })
        .collect();
    let entry = crate::records::BootEntry {
        name: "x".into(),
        selectors: crate::records::Selectors { default: true, ..Default::default() },
        arch: vec![],
        kernel: BootFile::Asset("linux".into()),
        initrd: Some(BootFile::Asset("initrd.gz".into())),
        params: String::new(),
        loader: None,
        script: None,
        priority: 0,
        cloud_init: serde_json::Value::Null,
        origin: Default::default(),
    };
    Ok(Snapshot::new(nodes, vec![entry]))
}

/// The node called `name`, or the first on record. An unknown name is answered with the nearest ones.
pub fn find(records: &Snapshot, name: Option<&str>) -> Result<Arc<Node>, LabError> {
    let Some(name) = name else {
        return records
            .nodes()
            .first()
            .cloned()
            .ok_or_else(|| LabError::Records("the nodes file has no nodes".into()));
    };
    let named = |node: &&Arc<Node>| {
        node.name.as_deref() == Some(name)
            || node.xname.as_ref().is_some_and(|xname| xname.as_str().eq_ignore_ascii_case(name))
            || name.parse().is_ok_and(|mac| node.nic(mac).is_some())
    };
    records.nodes().iter().find(named).cloned().ok_or_else(|| LabError::Records(unknown(records, name)))
}

fn unknown(records: &Snapshot, name: &str) -> String {
    const SUGGESTED: usize = 3;
    let mut near: Vec<(usize, String)> = records
        .nodes()
        .iter()
        .map(|node| node.label())
        .map(|label| (strsim::damerau_levenshtein(&label, name), label))
        .collect();
    near.sort();
    let near: Vec<String> = near.into_iter().take(SUGGESTED).map(|(_, label)| label).collect();
    match near.as_slice() {
        [] => format!("no node is called '{name}': there are no nodes on record"),
        near => format!(
            "no node is called '{name}'; the nearest of {} are {}",
            records.nodes().len(),
            near.join(", ")
        ),
    }
}

/// Paths of kernel and initrd on bootlace's HTTP, as far as it serves them itself.
pub fn boot_paths(records: &Snapshot, node: &Node) -> (Option<String>, Option<String>) {
    let path = |file: &BootFile| match file {
        BootFile::Asset(path) => Some(format!("/{}", path.trim_start_matches('/'))),
        BootFile::Local | BootFile::Url(_) => None,
    };
    match resolve(records, node, Some(Cpu::X86_64)) {
        Some(found) => (path(&found.entry.kernel), found.entry.initrd.as_ref().and_then(path)),
        None => (None, None),
    }
}

/// Addresses of a lab's VLAN, all in one /24.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lan {
    /// bootlace.
    pub server: Ipv4Addr,
    /// The site's DHCP server.
    pub site: Ipv4Addr,
    /// First address that it gives out.
    pub first: Ipv4Addr,
    /// Last address that it gives out.
    pub last: Ipv4Addr,
}

impl Lan {
    /// The /24 that `node` lives in (the lab's own when it has no address): the servers take the highest
    /// addresses that no record holds.
    pub fn around(records: &Snapshot, node: &Node) -> Result<Self, LabError> {
        let [a, b, c, _] = node.ipv4_for(None).unwrap_or(SERVER).octets();
        let host = |d| Ipv4Addr::new(a, b, c, d);
        let mut free = (200..=254).rev().map(host).filter(|address| records.by_ip(*address).is_none());
        match (free.next(), free.next()) {
            (Some(server), Some(site)) => Ok(Self { server, site, first: host(100), last: host(199) }),
            _ => Err(LabError::Records(format!(
                "the lab needs two addresses of {a}.{b}.{c}.200 to .254 that no node has"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Nic;

    fn node(name: &str, mac: u8, ip: &str) -> Node {
        Node {
            name: Some(name.into()),
            nics: vec![Nic {
                mac: crate::records::Mac::new([0x52, 0x54, 0, 0, 0, mac]).unwrap(),
                addresses: vec![ip.parse().unwrap()],
            }],
            ..Node::default()
        }
    }

    #[test]
    fn an_unknown_node_is_answered_with_the_nearest_names() {
        let records =
            Snapshot::new(vec![node("compute1", 1, "10.0.0.1"), node("storage", 2, "10.0.0.2")], vec![]);
        assert_eq!(find(&records, Some("compute1")).unwrap().label(), "compute1");
        assert_eq!(find(&records, Some("52:54:00:00:00:02")).unwrap().label(), "storage");
        let error = find(&records, Some("conpute1")).unwrap_err().to_string();
        assert!(error.contains("'conpute1'") && error.contains("are compute1, storage"), "{error}");
    }

    #[test]
    fn the_servers_take_addresses_that_no_record_holds() {
        let taken = vec![node("a", 1, "10.1.2.1"), node("b", 2, "10.1.2.254")];
        let records = Snapshot::new(taken, vec![]);
        let lan = Lan::around(&records, &records.nodes()[0]).unwrap();
        assert_eq!(lan.server, Ipv4Addr::new(10, 1, 2, 253));
        assert_eq!(lan.site, Ipv4Addr::new(10, 1, 2, 252));
        let own = Lan::around(&Snapshot::default(), &Node::default()).unwrap();
        assert_eq!(own.server, SERVER);
    }
}
