//! Who may use the API: tokens, what a request may do with and without one, and the files that both stand on.
//!
//! [`token`] and [`guard`] decide, as functions over values. [`key`] keeps the key that tokens of our own are
//! signed with, [`keys`] the keys that count now (ours and another issuer's), [`certificate`] what TLS proves
//! itself with; these touch the disk and the network.

pub mod certificate;
mod files;
pub mod forwarded;
pub mod guard;
pub mod key;
pub mod keys;
pub mod token;

pub use files::FileError;
