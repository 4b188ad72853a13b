//! What a node shall boot: resolving boot parameters, generating scripts and URLs, the served tree.

pub mod resolve;
pub mod template;
pub mod tree;
pub mod urls;

pub use resolve::{Match, SelectorKind, resolve};
