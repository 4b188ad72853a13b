//! What a node shall boot: resolving boot parameters, generating scripts and URLs, the served tree.

pub mod generated;
pub mod kernel_line;
pub mod loader_config;
pub mod resolve;
pub mod script;
pub mod seed;
pub mod template;
pub mod text;
pub mod tree;
pub mod urls;

pub use resolve::{Match, SelectorKind, resolve};

#[cfg(test)]
pub(crate) mod fixture;
