//! Loaders: what a folder holds is served under the right names, and what was fetched can be proved.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod fetch;
mod folder;
mod support;
