//! TFTP, read only (RFC 1350, 2347, 2348, 2349, 7440): what firmware loads its first program with.
//!
//! [`packet`] and [`options`] turn bytes into requests and settle their options, [`transfer`] says which block
//! goes out when, [`payload`] has the blocks' bytes, [`lookup`] finds what a name means to whom. None of them
//! knows a socket. [`server`] is the shell: one loop for all transfers, sockets from `link::udp`.

pub mod lookup;
pub mod numbers;
pub mod options;
pub mod packet;
pub mod payload;
pub mod round_trip;
mod running;
pub mod server;
pub mod transfer;

pub use numbers::Rollover;
pub use server::{Listen, Server, TftpError, bind};
