//! Loaders: what a folder holds is served under the right names, and what was fetched can be proved.

mod fetch;
mod folder;
mod support;
