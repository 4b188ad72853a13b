//! The OpenCHAMI services over one set of records: SMD, BSS, the cloud-init server, boot-service and
//! metadata-service.
//!
//! - [`inventory`]: the records as a value, files and store laid over each other.
//! - [`api`]: requests, replies, the table of routes, and where they meet the records.
//! - one folder a service: its routes, and its view of the records.

pub mod access;
pub mod api;
pub mod boot_service;
pub mod bss;
pub mod cloud_init;
pub mod endpoint;
pub mod history;
pub mod inventory;
pub mod metadata_service;
pub mod openapi;
pub mod own;
pub mod smd;
pub mod start;
#[cfg(test)]
pub mod testing;
pub mod transfer;
pub mod xname;

use api::Route;

/// The routes of every service.
pub static ROUTES: &[&[Route]] = &[
    bss::ROUTES,
    boot_service::ROUTES,
    boot_service::CONFIGURATIONS,
    boot_service::NODES,
    boot_service::BMCS,
    cloud_init::ROUTES,
    metadata_service::ROUTES,
    metadata_service::CLUSTER_DEFAULTS,
    metadata_service::GROUPS,
    metadata_service::INSTANCE_INFOS,
    metadata_service::WIREGUARD_PEERS,
    smd::ROUTES,
    own::ROUTES,
];
