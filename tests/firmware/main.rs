//! Loaders: what a folder holds is served under the right names, and what was fetched can be proved.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test prepares and reads files")]

mod fetch;
mod folder;
mod support;
