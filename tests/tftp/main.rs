//! TFTP keeps its promises: the transfer machine on a simulated network, and the server with real clients and
//! crafted packets in network namespaces (those need root and fail without).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, reason = "tests are the edge")]

#[path = "../support/tftp.rs"]
mod client;
mod crafted;
mod lan;
mod real_clients;
mod simulated;
