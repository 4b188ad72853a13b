//! The OpenCHAMI services against a running `bootlace serve`. They need root: each has namespaces of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and drives real programs"
)]

mod cloud_init;
mod cloud_init_client;
mod metadata_service;
mod replay_cloud_init;
mod support;
