//! Which records the lab boots from, and which addresses its VLAN has. Pure but for reading the files.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::boot::resolve::resolve;
use crate::client::Cpu;
use crate::config::source::Source;
use crate::config::{Diagnostic, Findings, diagnostic, tree};
use crate::records::{BootFile, Node, Snapshot, nodes_file};

use super::LabError;
use super::firmware::Firmware;
use super::sandbox::Sandbox;

/// nodes.yaml of the lab's own five nodes: the example that users start from.
pub const NODES: &str = include_str!("../../config/nodes.yaml");
/// boot.yaml that boots the Debian installer.
const BOOT: &str = include_str!("boot.yaml");
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
    /// The user's files, and the lab's own, for a guest with `firmware`, in place of those not given.
    pub fn or_built_in(
        sandbox: &Sandbox,
        firmware: Firmware,
        nodes: Option<&PathBuf>,
        boot: Option<&PathBuf>,
    ) -> Result<Self, LabError> {
        let or = |given: Option<&PathBuf>, name, content: &str| match given {
            Some(path) => Ok(path.clone()),
            None => sandbox.write(name, content),
        };
        Ok(Self { nodes: or(nodes, "nodes.yaml", NODES)?, boot: or(boot, "boot.yaml", &boot_for(firmware))? })
    }
}

/// boot.yaml that boots the Debian installer on a guest with `firmware`.
fn boot_for(firmware: Firmware) -> String {
    let mut text = BOOT.replace("ttyS0", firmware.console());
    if let Some(loader) = firmware.loader() {
        text.push_str(&format!("loader: {loader}\n"));
    }
    text
}

/// Reads record files as `bootlace serve` does. `boot` may be empty.
pub fn load(nodes: &[PathBuf], boot: &[PathBuf]) -> Result<Snapshot, LabError> {
    let loaded = crate::records::load::load(nodes, boot, None, None);
    // Warnings are `bootlace check`'s business.
    let errors: Vec<Diagnostic> = loaded.diagnostics.into_iter().filter(Diagnostic::is_error).collect();
    loaded.snapshot.ok_or_else(|| {
        LabError::Records(format!("the records have errors:\n{}", diagnostic::render(&errors, false)))
    })
}

/// The lab's own nodes.
pub fn built_in() -> Snapshot {
    let mut findings = Findings::default();
    let source = Arc::new(Source::new("nodes.yaml", NODES.to_owned()));
    let nodes = tree::parse(&source, &mut findings)
        .map(|document| nodes_file::read(&document, &mut findings).nodes)
        .unwrap_or_default();
    Snapshot::new(nodes.into_iter().map(|(node, _)| node).collect(), Vec::new())
}

/// The node called `name`, or the first on record. An unknown name is answered with the nearest ones.
pub fn find(records: &Snapshot, name: Option<&str>) -> Result<Arc<Node>, LabError> {
    let Some(name) = name else {
        return records
            .nodes()
            .next()
            .cloned()
            .ok_or_else(|| LabError::Records("the nodes file has no nodes".into()));
    };
    let named = |node: &&Arc<Node>| {
        node.name.as_deref() == Some(name)
            || node.xname.as_ref().is_some_and(|xname| xname.as_str().eq_ignore_ascii_case(name))
            || name.parse().is_ok_and(|mac| node.nic(mac).is_some())
    };
    records.nodes().find(named).cloned().ok_or_else(|| LabError::Records(unknown(records, name)))
}

fn unknown(records: &Snapshot, name: &str) -> String {
    const SUGGESTED: usize = 3;
    let mut near: Vec<(usize, String)> = records
        .nodes()
        .map(|node| node.label())
        .map(|label| (strsim::damerau_levenshtein(&label, name), label))
        .collect();
    near.sort();
    let near: Vec<String> = near.into_iter().take(SUGGESTED).map(|(_, label)| label).collect();
    match near.as_slice() {
        [] => format!("no node is called '{name}': there are no nodes on record"),
        near => format!(
            "no node is called '{name}'; the nearest of {} are {}",
            records.node_count(),
            near.join(", ")
        ),
    }
}

/// Paths of kernel and initrd on bootlace's HTTP, as far as it serves them itself.
pub fn boot_paths(records: &Snapshot, node: &Node, cpu: Cpu) -> (Option<String>, Option<String>) {
    let path = |file: &BootFile| match file {
        BootFile::Asset(path) => Some(format!("/{}", path.trim_start_matches('/'))),
        BootFile::Local | BootFile::Url(_) => None,
    };
    match resolve(records, node, Some(cpu)) {
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
    fn the_built_in_nodes_are_the_five_of_the_tutorial() {
        let records = built_in();
        let labels: Vec<String> = records.nodes().map(|node| node.label()).collect();
        assert_eq!(labels, ["compute1", "compute2", "compute3", "compute4", "compute5"]);
        let last = records.nodes().last().unwrap();
        assert_eq!(last.nics[0].mac.to_string(), "52:54:00:be:ef:05");
        assert_eq!(last.ipv4_for(None), Some(Ipv4Addr::new(172, 16, 0, 5)));
    }

    #[test]
    fn the_built_in_entry_fits_the_firmware() {
        assert_eq!(boot_for(Firmware::Bios), BOOT);
        assert!(boot_for(Firmware::Arm64).contains("params: console=ttyAMA0 "));
        assert!(boot_for(Firmware::BiosPxelinux).ends_with("\nloader: pxelinux.0\n"));
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
        let lan = Lan::around(&records, records.nodes().next().unwrap()).unwrap();
        assert_eq!(lan.server, Ipv4Addr::new(10, 1, 2, 253));
        assert_eq!(lan.site, Ipv4Addr::new(10, 1, 2, 252));
        let own = Lan::around(&Snapshot::default(), &Node::default()).unwrap();
        assert_eq!(own.server, SERVER);
    }
}
