//! Interfaces, sockets, raw frames: all network IO of DHCP and TFTP.

pub mod peers;
pub mod udp;

pub use peers::{Peer, PeerSource, Peers};
