//! TFTP keeps its promises: the transfer machine on a simulated network, and the server with real clients in
//! network namespaces (those need root and fail without).

#[path = "../support/tftp.rs"]
mod client;
mod simulated;
