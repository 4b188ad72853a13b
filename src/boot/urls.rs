//! URLs that the asking client can reach.

use std::net::Ipv4Addr;

use crate::config::Settings;
use crate::records::Mac;

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

/// URL of a node's boot script.
pub fn bootscript(base: &str, mac: Mac) -> String {
    format!("{base}/boot/v1/bootscript?mac={mac}")
}
