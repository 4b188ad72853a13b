//! The OpenCHAMI services through the front door: `bootlace serve` in a network namespace, asked as `ochami`,
//! nodes and other services ask. Needs root, as every test that makes namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and is a shell"
)]

mod access;
mod boot_service;
mod bss;
mod cloud_init;
mod cloud_init_client;
#[path = "../support/dhcp.rs"]
mod dhcp;
mod durable;
mod metadata_service;
#[path = "../support/net.rs"]
#[allow(dead_code, reason = "each test network uses a part of it")]
mod net;
mod render;
mod replay_bss;
mod replay_cloud_init;
mod replay_smd;
mod smd;
mod support;
#[path = "../support/tftp.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod tftp;
mod wire;
