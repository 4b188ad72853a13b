//! The OpenCHAMI services over one set of records: SMD, BSS, the cloud-init server, boot-service and
//! metadata-service.
//!
//! - [`inventory`]: the records as a value, files and store laid over each other.
//! - [`api`]: requests, replies, the table of routes, and where they meet the records.
//! - one folder a service: its routes, and its view of the records.

pub mod api;
pub mod endpoint;
pub mod inventory;
pub mod own;
pub mod smd;
pub mod start;
#[cfg(test)]
pub mod testing;
pub mod transfer;
pub mod xname;

use api::Route;

/// The routes of every service.
pub static ROUTES: &[&[Route]] = &[smd::ROUTES, own::ROUTES];
