//! Interfaces, sockets, raw frames: all network IO of DHCP and TFTP.

pub mod delivery;
pub mod dhcp;
mod error;
pub mod frame;
pub mod interface;
pub mod links;
mod netlink;
pub mod peers;
mod raw;
pub mod udp;
mod udp_dhcp;
mod upkeep;

pub use error::LinkError;
pub use interface::Interface;
pub use links::{Link, Links};
pub use peers::{Peer, PeerSource, Peers};
