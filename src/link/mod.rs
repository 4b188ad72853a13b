//! Interfaces, sockets, raw frames: all network IO of DHCP and TFTP.

mod delayed;
pub mod delivery;
pub mod dhcp;
pub mod dhcp_v6;
mod error;
pub mod frame;
pub mod identity;
pub mod interface;
pub mod links;
mod netlink;
pub mod peers;
mod peers_v6;
mod raw;
mod received;
pub mod router;
pub mod udp;
mod udp_dhcp;
mod udp_v6;
mod upkeep;

pub use error::LinkError;
pub use interface::Interface;
pub use links::{Link, Links};
pub use peers::{Peer, PeerSource, Peers};
