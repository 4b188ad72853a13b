//! HTTP for booting machines: boot scripts, and the served tree.
//!
//! Firmware is a poor HTTP client. EDK2 asks HEAD before GET, needs a length and a connection that stays
//! open, and stops at a redirect; so every answer has a Content-Length and none is chunked or redirected.
//! The boot-facing listener is an allow-list: what is not named in [`door`] is 404.
//!
//! [`listener`] owns the sockets and the bounds, [`door`] turns a request into an answer, [`files`],
//! [`range`] and [`body`] make answers of files, [`wire`] counts what really left, [`query`] reads what
//! clients say of themselves.

#![allow(clippy::disallowed_methods, reason = "http/ is a shell: it owns sockets and asks the clock")]

pub mod admin;
pub mod body;
pub mod door;
pub mod files;
pub mod follow;
pub mod listener;
pub mod query;
pub mod range;
pub mod services;
pub mod wire;

pub use follow::{addresses, serve};
pub use listener::{HttpError, Limits, Listener, Sink, bind, serve_into};
