//! HTTP for booting machines, asked by curl and by raw sockets over loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and is a shell"
)]

mod files;
mod scripts;
mod server;
mod support;
