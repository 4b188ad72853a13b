//! Interfaces, sockets, raw frames: all network IO of DHCP and TFTP.

pub mod peers;

pub use peers::{Peer, PeerSource, Peers};
