//! BSS, the boot script service: boot parameters as a view over the boot units, the boot script, and what is
//! around them.

pub mod assign;
pub mod body;
pub mod dump_and_history;
pub mod hosts;
pub mod identifier;
pub mod parameters;
pub mod script;
pub mod service;

use hyper::Method;

use super::api::route::{BULK, SMALL};
use super::api::{Access, Ask, Handler, Reply, Route, Service};
use super::boot_service::boot_once;
use super::inventory::Draft;

const fn read(
    access: Access,
    path: &'static str,
    summary: &'static str,
    handler: fn(&Ask<'_>) -> Reply,
) -> Route {
    let handler = Handler::Read(handler);
    Route { service: Service::Bss, method: Method::GET, path, access, limit: BULK, summary, handler }
}

const fn told(path: &'static str, summary: &'static str, handler: fn(&Ask<'_>) -> Reply) -> Route {
    let (access, handler) = (Access::Admin, Handler::Read(handler));
    Route { service: Service::Bss, method: Method::POST, path, access, limit: SMALL, summary, handler }
}

const fn write(
    method: Method,
    access: Access,
    path: &'static str,
    summary: &'static str,
    handler: fn(&Ask<'_>, &mut Draft<'_>) -> Reply,
) -> Route {
    Route {
        service: Service::Bss,
        method,
        path,
        access,
        limit: BULK,
        summary,
        handler: Handler::Write(handler),
    }
}

/// The routes. What tells of single nodes needs a token where tokens are on; the reference asks for one at
/// `bootparameters` alone.
pub const ROUTES: &[Route] = &[
    read(Access::Admin, PARAMETERS, "Boot parameters, all or those asked for", parameters::get),
    write(
        Method::POST,
        Access::Admin,
        PARAMETERS,
        "Add boot parameters where there are none",
        parameters::post,
    ),
    write(
        Method::PUT,
        Access::Admin,
        PARAMETERS,
        "Set boot parameters; what is blank stays",
        parameters::put,
    ),
    write(
        Method::PATCH,
        Access::Admin,
        PARAMETERS,
        "Change boot parameters that are there",
        parameters::patch,
    ),
    write(Method::DELETE, Access::Admin, PARAMETERS, "Remove boot parameters", parameters::delete),
    read(Access::Open, "/bootscript", "The boot script of the node with this mac, name or nid", script::get),
    read(Access::Inventory, "/hosts", "Nodes with their MACs", hosts::get),
    told("/hosts", "Read the nodes anew: nothing to do here", hosts::post),
    told("/scn", "The state of nodes changed: nothing to do here", hosts::post),
    read(Access::Admin, "/dumpstate", "All nodes and all boot parameters", dump_and_history::dumpstate),
    read(
        Access::Inventory,
        "/endpoint-history",
        "When nodes were served their boot script or user-data last",
        dump_and_history::history,
    ),
    read(Access::Open, "/service/status", "Whether it runs", service::status),
    read(Access::Public, "/service/status/all", "Whether it runs, and on what", service::status_all),
    read(Access::Public, "/service/version", "Version", service::version),
    read(Access::Public, "/service/hsm", "Whether SMD is reached", service::hsm),
    read(Access::Public, "/service/storage/status", "Whether records are stored", service::storage_status),
    write(Method::GET, Access::Node, "/done", DONE, boot_once::done_by_node),
    write(Method::POST, Access::Node, "/done", DONE, boot_once::done_by_node),
];

const PARAMETERS: &str = "/bootparameters";
const DONE: &str = "The asking node finished the boot that was asked for once";

#[cfg(test)]
mod tests;
