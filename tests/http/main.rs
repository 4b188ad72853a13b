//! HTTP for booting machines, asked by curl and by raw sockets over loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail so")]
#![allow(clippy::disallowed_methods, reason = "a test asks the clock and reads files")]

mod files;
mod scripts;
mod server;
mod support;
