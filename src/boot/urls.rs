//! URLs that the asking client can reach.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::config::Settings;
use crate::records::{Mac, Node};

/// Base of bootlace's HTTP (`http://10.0.0.1:8081`, no trailing slash) for a client that reaches us at
/// `local`: a listener on that very address or on all served ones, else the first listener's own address.
/// `None` when HTTP is off.
pub fn base(settings: &Settings, local: Ipv4Addr) -> Option<String> {
    let reachable = |listen: &&crate::config::HttpListen| {
        listen.address.is_none_or(|address| address == local || address.is_unspecified())
    };
    let listen = settings.http.iter().find(reachable).or_else(|| settings.http.first())?;
    let host = match listen.address {
        Some(address) if !address.is_unspecified() => address,
        _ => local.into(),
    };
    Some(format!("http://{}", std::net::SocketAddr::new(host, listen.port)))
}

/// The same for a client that reaches us over IPv6 at `local`, with the address in brackets. `None` also when no
/// listener can be reached there.
pub fn base_v6(settings: &Settings, local: Ipv6Addr) -> Option<String> {
    let reachable = |listen: &&crate::config::HttpListen| {
        // An IPv6 listener on all addresses takes IPv6 only.
        listen.address.is_none_or(|address| address == local || address == Ipv6Addr::UNSPECIFIED)
    };
    let listen = settings.http.iter().find(reachable)?;
    Some(format!("http://[{local}]:{}", listen.port))
}

/// URL of a node's boot script.
pub fn bootscript(base: &str, mac: Mac) -> String {
    format!("{base}/boot/v1/bootscript?mac={mac}")
}

/// URL of the boot script of a node whose asking card is in no record: by xname, else by name.
pub fn bootscript_by_name(base: &str, node: &Node) -> String {
    let name = node.xname.as_ref().map(|xname| xname.to_string()).unwrap_or_else(|| node.label());
    let name = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
    format!("{base}/boot/v1/bootscript?name={name}")
}
