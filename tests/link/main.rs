//! Interfaces as they are in real life: shared with another daemon, many at once, with VLANs, going away and
//! coming back, changing their address. `bootlace serve` in a network namespace, with real clients and with
//! frames made byte by byte. Needs root, as every test that makes namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and is a shell"
)]

mod bench;
mod beside;
mod changes;
mod frames;
mod several;
mod wire;
