//! The cloud-init server: what a node reads at its first boot, and what administrators set for it.
//!
//! - [`node`]: whom a request is about; [`meta_data`], [`vendor_data`], [`group_file`], [`network_config`],
//!   [`phone_home`]: the paths that nodes use, shared with metadata-service.
//! - [`admin`], [`groups`]: what administrators set; [`files`]: the same from `--cloud-init DIR`.
//! - [`names`], [`instance_id`]: what follows from it, for DHCP too.

pub mod admin;
pub mod defaults;
pub mod files;
pub mod form;
pub mod group_file;
pub mod groups;
pub mod instance_id;
pub mod instance_info;
pub mod meta_data;
pub mod names;
pub mod network_config;
pub mod node;
pub mod phone_home;
pub mod render;
pub mod service;
pub mod vendor_data;
pub mod words;
pub mod yaml;

use hyper::Method;
use sha2::{Digest, Sha256};

use super::api::Access::{Admin, Node};
use super::api::Handler::{Keep, Read, Write};
use super::api::route::{PHONE_HOME, SMALL};
use super::api::{Access, Handler, Route, Service};

/// A uid that follows from what it names: `kind-` and eight hexadecimal digits.
pub fn uid(kind: &str, salt: &[u8; 16], of: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(kind.as_bytes());
    hash.update(of.as_bytes());
    let hash = hash.finalize();
    format!("{kind}-{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
}

const fn of(
    method: Method,
    path: &'static str,
    access: Access,
    limit: usize,
    summary: &'static str,
    handler: Handler,
) -> Route {
    Route { service: Service::CloudInit, method, path, access, limit, summary, handler }
}

const fn read(path: &'static str, access: Access, summary: &'static str, handler: Handler) -> Route {
    of(Method::GET, path, access, 0, summary, handler)
}

/// The routes.
pub const ROUTES: &[Route] = &[
    read(
        "/meta-data",
        Node,
        "Names and keys of the node that asks",
        Keep(meta_data::to_keep, meta_data::get),
    ),
    read("/user-data", Node, "The same for everybody", Read(vendor_data::user_data)),
    read("/vendor-data", Node, "URLs of the group files of the node that asks", Read(vendor_data::get)),
    read("/network-config", Node, "Network of the node that asks", Read(network_config::get)),
    read("/{group}.yaml", Node, "Cloud-config of a group that the asking node is in", Read(group_file::get)),
    of(
        Method::POST,
        PHONE_HOME,
        Node,
        phone_home::LIMIT,
        "A node says that it is done",
        Write(phone_home::post),
    ),
    read("/version", Admin, "What answers", Read(service::version)),
    read("/admin/cluster-defaults", Admin, "What all nodes share", Read(admin::cluster_defaults)),
    of(
        Method::POST,
        "/admin/cluster-defaults",
        Admin,
        SMALL,
        "Sets the members that are not empty",
        Write(admin::set_cluster_defaults),
    ),
    read("/admin/groups", Admin, "All groups by name", Read(groups::list)),
    of(Method::POST, "/admin/groups", Admin, SMALL, "A new group", Write(groups::add)),
    read("/admin/groups/{name}", Admin, "One group", Read(groups::get)),
    of(Method::PUT, "/admin/groups/{name}", Admin, SMALL, "Creates or replaces a group", Write(groups::set)),
    of(Method::DELETE, "/admin/groups/{name}", Admin, 0, "Removes a group", Write(groups::delete)),
    of(
        Method::PUT,
        "/admin/instance-info/{id}",
        Admin,
        SMALL,
        "Replaces what is said of one node",
        Write(admin::set_instance_info),
    ),
    read(
        "/admin/impersonation/{id}/meta-data",
        Admin,
        "What that node would read",
        Keep(meta_data::to_keep, meta_data::get),
    ),
    read(
        "/admin/impersonation/{id}/user-data",
        Admin,
        "What that node would read",
        Read(vendor_data::user_data),
    ),
    read("/admin/impersonation/{id}/vendor-data", Admin, "What that node would read", Read(vendor_data::get)),
    read(
        "/admin/impersonation/{id}/network-config",
        Admin,
        "What that node would read",
        Read(network_config::get),
    ),
    read("/admin/impersonation/{id}/{group}.yaml", Admin, "What that node would read", Read(group_file::get)),
];

#[cfg(test)]
mod tests;
