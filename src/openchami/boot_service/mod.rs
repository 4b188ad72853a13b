//! boot-service: boot configurations, nodes and BMCs as resources, over the same records as SMD and BSS.

pub mod bmcs;
pub mod boot_once;
pub mod cards;
pub mod configurations;
pub mod envelope;
pub mod nodes;
pub mod patch;
pub mod service;

use hyper::Method;

use super::api::route::{BULK, SMALL};
use super::api::{Access, Ask, Handler, Reply, Route, Service};
use super::bss::{parameters, script};
use super::inventory::Draft;

const fn read(
    access: Access,
    path: &'static str,
    summary: &'static str,
    handler: fn(&Ask<'_>) -> Reply,
) -> Route {
    let (service, method, handler) = (Service::Boot, Method::GET, Handler::Read(handler));
    Route { service, method, path, access, limit: BULK, summary, handler }
}

const fn write(
    method: Method,
    path: &'static str,
    summary: &'static str,
    limit: usize,
    handler: fn(&Ask<'_>, &mut Draft<'_>) -> Reply,
) -> Route {
    let (service, access, handler) = (Service::Boot, Access::Admin, Handler::Write(handler));
    Route { service, method, path, access, limit, summary, handler }
}

/// `/bootconfigurations`
pub const CONFIGURATIONS: &[Route] = &envelope::routes::<configurations::Configuration>(
    Service::Boot,
    ["/bootconfigurations", "/bootconfigurations/{uid}", "/bootconfigurations/{uid}/status"],
);

/// `/nodes`
pub const NODES: &[Route] =
    &envelope::routes::<nodes::Node>(Service::Boot, ["/nodes", "/nodes/{uid}", "/nodes/{uid}/status"]);

/// `/bmcs`
pub const BMCS: &[Route] =
    &envelope::routes::<bmcs::Bmc>(Service::Boot, ["/bmcs", "/bmcs/{uid}", "/bmcs/{uid}/status"]);

/// The routes that are no resources. Boot parameters are those of BSS, form and all.
pub const ROUTES: &[Route] = &[
    read(Access::Open, "/bootscript", "The boot script of the node with this host, mac or nid", script::get),
    read(Access::Admin, PARAMETERS, "Boot parameters as BSS has them", parameters::get),
    write(Method::POST, PARAMETERS, "Add boot parameters for nodes that have none", BULK, parameters::post),
    write(Method::PUT, PARAMETERS, "Set boot parameters; what is blank stays", BULK, parameters::put),
    write(Method::PATCH, PARAMETERS, "Change boot parameters that are there", BULK, parameters::patch),
    write(Method::DELETE, PARAMETERS, "Remove boot parameters", BULK, parameters::delete),
    read(Access::Admin, ONCE, "What the node's next boot takes, and what follows it", boot_once::get),
    write(Method::PUT, ONCE, "Say what the node's next boot takes", SMALL, boot_once::put),
    write(Method::DELETE, ONCE, "Let the node boot what selects it again", SMALL, boot_once::delete),
    read(Access::Open, "/health", "Whether it runs", service::health),
    read(Access::Open, "/service/status", "Whether it runs", service::status),
    read(Access::Public, "/service/version", "Version", service::version),
];

const PARAMETERS: &str = "/bootparameters";
const ONCE: &str = "/boot-once/{node}";

#[cfg(test)]
mod tests;
