//! What the network can refuse us.

use std::io;
use std::net::Ipv4Addr;

/// A failure of an interface or socket, with what helps.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum LinkError {
    #[error("no interface {interface} on this machine; there are: {known}")]
    Missing { interface: String, known: String },
    #[error("interface {interface} is down; bring it up first: ip link set {interface} up")]
    Down { interface: String },
    #[error(
        "interface {interface} has no IPv4 address; give it one, or set `address:` for it in bootlace.yaml"
    )]
    NoAddress { interface: String },
    #[error("{address} is not an address of interface {interface}")]
    NotItsAddress { interface: String, address: Ipv4Addr },
    #[error(
        "cannot serve DHCP on {interface}: no raw socket ({raw}) and no UDP port 67 ({udp}); \
         run as root or with the capabilities CAP_NET_RAW and CAP_NET_BIND_SERVICE, \
         and see `ss -ulpn 'sport = 67'` for who holds the port"
    )]
    NoTransport { interface: String, raw: String, udp: String },
    #[error(
        "cannot open a raw socket on {interface}: {cause}; needs CAP_NET_RAW (root), or `transport: udp`"
    )]
    Raw { interface: String, cause: String },
    #[error("cannot bind UDP port {port} on {interface}: {cause}{}", advice(*port, cause))]
    Bind { interface: String, port: u16, cause: io::Error },
    #[error("cannot receive on interface {interface}: {cause}")]
    Gone { interface: String, cause: io::Error },
    #[error("cannot hear of changed interfaces from the kernel (netlink): {cause}")]
    Watch { cause: io::Error },
}

fn advice(port: u16, cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            format!("; another program holds it, see `ss -ulpn 'sport = {port}'`")
        }
        io::ErrorKind::PermissionDenied => "; needs root or CAP_NET_BIND_SERVICE".to_owned(),
        _ => String::new(),
    }
}
