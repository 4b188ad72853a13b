//! Which function answers which path of SMD, and how large its body may be.

use hyper::Method;

use super::{
    component_endpoints, component_writes, components, ethernet_interfaces, groups, interface_addresses,
    memberships, partitions, redfish_endpoints, reply, service,
};
use crate::openchami::api::route::{BULK, SMALL};
use crate::openchami::api::{Access, Ask, Handler, Reply, Route, Service};
use crate::openchami::inventory::Draft;

type ReadWith = fn(&Ask<'_>) -> Reply;
type WriteWith = fn(&Ask<'_>, &mut Draft<'_>) -> Reply;

/// Largest body of a method.
enum Size {
    One,
    /// The body may hold a whole system.
    Bulk,
}

const fn at(
    method: Method,
    path: &'static str,
    size: Size,
    summary: &'static str,
    handler: Handler,
) -> Route {
    let limit = match size {
        Size::One => SMALL,
        Size::Bulk => BULK,
    };
    Route { service: Service::Smd, method, path, access: Access::Admin, limit, summary, handler }
}

const fn get(path: &'static str, summary: &'static str, handler: ReadWith) -> Route {
    at(Method::GET, path, Size::One, summary, Handler::Read(handler))
}

/// Like [`get`], for more people.
const fn get_for(access: Access, path: &'static str, summary: &'static str, handler: ReadWith) -> Route {
    let (service, method, limit) = (Service::Smd, Method::GET, SMALL);
    Route { service, method, path, access, limit, summary, handler: Handler::Read(handler) }
}

/// A question whose terms are in the body.
const fn query(path: &'static str, summary: &'static str, handler: ReadWith) -> Route {
    at(Method::POST, path, Size::Bulk, summary, Handler::Read(handler))
}

const fn write(method: Method, path: &'static str, summary: &'static str, handler: WriteWith) -> Route {
    at(method, path, Size::One, summary, Handler::Write(handler))
}

const fn bulk(method: Method, path: &'static str, summary: &'static str, handler: WriteWith) -> Route {
    at(method, path, Size::Bulk, summary, Handler::Write(handler))
}

/// The routes of SMD.
pub const ROUTES: &[Route] = &[
    get_for(Access::Open, "/service/ready", "Whether SMD is healthy", service::ready),
    get_for(Access::Open, "/service/liveness", "Whether SMD runs", service::liveness),
    get_for(Access::Public, "/service/values", "Every enumeration", service::values),
    get_for(Access::Public, "/service/values/{kind}", "One enumeration", service::values_of),
    // Components.
    get_for(Access::Inventory, "/State/Components", "Components that match the query", |ask| {
        reply(components::list(ask))
    }),
    bulk(Method::POST, "/State/Components", "Adds components", |ask, draft| {
        reply(component_writes::add(ask, draft))
    }),
    write(Method::DELETE, "/State/Components", "Deletes every component", |_, draft| {
        reply(component_writes::delete_all(draft))
    }),
    query("/State/Components/Query", "Components by location, with all below them", |ask| {
        reply(components::query(ask))
    }),
    get("/State/Components/Query/{xname}", "A component and all below it", |ask| {
        reply(components::query_below(ask))
    }),
    query("/State/Components/ByNID/Query", "Components by ranges of node numbers", |ask| {
        reply(components::query_nids(ask))
    }),
    get("/State/Components/ByNID/{nid}", "A component by its node number", |ask| {
        reply(components::by_nid(ask))
    }),
    bulk(Method::PATCH, "/State/Components/BulkStateData", "Sets State and Flag of several", |ask, draft| {
        reply(component_writes::state_of_several(ask, draft))
    }),
    bulk(Method::PATCH, "/State/Components/BulkFlagOnly", "Sets Flag of several", |ask, draft| {
        reply(component_writes::flag_of_several(ask, draft))
    }),
    bulk(Method::PATCH, "/State/Components/BulkEnabled", "Sets Enabled of several", |ask, draft| {
        reply(component_writes::enabled_of_several(ask, draft))
    }),
    bulk(
        Method::PATCH,
        "/State/Components/BulkSoftwareStatus",
        "Sets SoftwareStatus of several",
        |ask, draft| reply(component_writes::software_status_of_several(ask, draft)),
    ),
    bulk(Method::PATCH, "/State/Components/BulkRole", "Sets Role and SubRole of several", |ask, draft| {
        reply(component_writes::role_of_several(ask, draft))
    }),
    bulk(Method::PATCH, "/State/Components/BulkNID", "Sets the node numbers of several", |ask, draft| {
        reply(component_writes::nids(ask, draft))
    }),
    get("/State/Components/{xname}", "One component", |ask| reply(components::one(ask))),
    write(Method::PUT, "/State/Components/{xname}", "Adds or replaces a component", |ask, draft| {
        reply(component_writes::put(ask, draft))
    }),
    write(Method::DELETE, "/State/Components/{xname}", "Deletes a component", |ask, draft| {
        reply(component_writes::delete(ask, draft))
    }),
    write(Method::PATCH, "/State/Components/{xname}/StateData", "Sets State and Flag", |ask, draft| {
        reply(component_writes::state(ask, draft))
    }),
    write(Method::PATCH, "/State/Components/{xname}/FlagOnly", "Sets Flag", |ask, draft| {
        reply(component_writes::flag(ask, draft))
    }),
    write(Method::PATCH, "/State/Components/{xname}/Enabled", "Sets Enabled", |ask, draft| {
        reply(component_writes::enabled(ask, draft))
    }),
    write(Method::PATCH, "/State/Components/{xname}/SoftwareStatus", "Sets SoftwareStatus", |ask, draft| {
        reply(component_writes::software_status(ask, draft))
    }),
    write(Method::PATCH, "/State/Components/{xname}/Role", "Sets Role and SubRole", |ask, draft| {
        reply(component_writes::role(ask, draft))
    }),
    write(Method::PATCH, "/State/Components/{xname}/NID", "Sets the node number", |ask, draft| {
        reply(component_writes::nid(ask, draft))
    }),
    // Redfish endpoints.
    get("/Inventory/RedfishEndpoints", "Redfish endpoints that match the query", |ask| {
        reply(redfish_endpoints::list(ask))
    }),
    bulk(
        Method::POST,
        "/Inventory/RedfishEndpoints",
        "Adds Redfish endpoints and what they manage",
        |ask, draft| reply(redfish_endpoints::add(ask, draft)),
    ),
    write(Method::DELETE, "/Inventory/RedfishEndpoints", "Deletes every Redfish endpoint", |_, draft| {
        reply(redfish_endpoints::delete_all(draft))
    }),
    get("/Inventory/RedfishEndpoints/Query/{xname}", "Every Redfish endpoint", |ask| {
        reply(redfish_endpoints::query(ask))
    }),
    get("/Inventory/RedfishEndpoints/{xname}", "One Redfish endpoint", |ask| {
        reply(redfish_endpoints::one(ask))
    }),
    bulk(
        Method::PUT,
        "/Inventory/RedfishEndpoints/{xname}",
        "Adds or replaces a Redfish endpoint",
        |ask, draft| reply(redfish_endpoints::put(ask, draft)),
    ),
    write(
        Method::PATCH,
        "/Inventory/RedfishEndpoints/{xname}",
        "Changes a Redfish endpoint",
        |ask, draft| reply(redfish_endpoints::patch(ask, draft)),
    ),
    write(
        Method::DELETE,
        "/Inventory/RedfishEndpoints/{xname}",
        "Deletes a Redfish endpoint",
        |ask, draft| reply(redfish_endpoints::delete(ask, draft)),
    ),
    // Component endpoints.
    get("/Inventory/ComponentEndpoints", "Component endpoints that match the query", |ask| {
        reply(component_endpoints::list(ask))
    }),
    write(Method::DELETE, "/Inventory/ComponentEndpoints", "Deletes every component endpoint", |_, draft| {
        reply(component_endpoints::delete_all(draft))
    }),
    get("/Inventory/ComponentEndpoints/{xname}", "One component endpoint", |ask| {
        reply(component_endpoints::one(ask))
    }),
    write(
        Method::DELETE,
        "/Inventory/ComponentEndpoints/{xname}",
        "Deletes a component endpoint",
        |ask, draft| reply(component_endpoints::delete(ask, draft)),
    ),
    // Network cards.
    get_for(
        Access::Inventory,
        "/Inventory/EthernetInterfaces",
        "Network cards that match the query",
        |ask| reply(ethernet_interfaces::list(ask)),
    ),
    write(Method::POST, "/Inventory/EthernetInterfaces", "Adds a network card", |ask, draft| {
        reply(ethernet_interfaces::add(ask, draft))
    }),
    write(Method::DELETE, "/Inventory/EthernetInterfaces", "Deletes every network card", |_, draft| {
        reply(ethernet_interfaces::delete_all(draft))
    }),
    get("/Inventory/EthernetInterfaces/{id}", "One network card", |ask| reply(ethernet_interfaces::one(ask))),
    write(Method::PATCH, "/Inventory/EthernetInterfaces/{id}", "Changes a network card", |ask, draft| {
        reply(ethernet_interfaces::patch(ask, draft))
    }),
    write(Method::DELETE, "/Inventory/EthernetInterfaces/{id}", "Deletes a network card", |ask, draft| {
        reply(ethernet_interfaces::delete(ask, draft))
    }),
    get("/Inventory/EthernetInterfaces/{id}/IPAddresses", "Addresses of a network card", |ask| {
        reply(interface_addresses::list(ask))
    }),
    write(
        Method::POST,
        "/Inventory/EthernetInterfaces/{id}/IPAddresses",
        "Adds an address to a network card",
        |ask, draft| reply(interface_addresses::add(ask, draft)),
    ),
    write(
        Method::PATCH,
        "/Inventory/EthernetInterfaces/{id}/IPAddresses/{ip}",
        "Names the network of an address",
        |ask, draft| reply(interface_addresses::patch(ask, draft)),
    ),
    write(
        Method::DELETE,
        "/Inventory/EthernetInterfaces/{id}/IPAddresses/{ip}",
        "Deletes an address",
        |ask, draft| reply(interface_addresses::delete(ask, draft)),
    ),
    // Groups.
    get("/groups", "Groups that match the query", |ask| reply(groups::list(ask))),
    bulk(Method::POST, "/groups", "Adds a group", |ask, draft| reply(groups::add(ask, draft))),
    get("/groups/labels", "Names of the groups", groups::labels),
    get("/groups/{label}", "One group", |ask| reply(groups::one(ask))),
    bulk(Method::PATCH, "/groups/{label}", "Changes a group and adds members", |ask, draft| {
        reply(groups::patch(ask, draft))
    }),
    write(Method::DELETE, "/groups/{label}", "Deletes a group", |ask, draft| {
        reply(groups::delete(ask, draft))
    }),
    get("/groups/{label}/members", "Members of a group", |ask| reply(groups::members(ask))),
    write(Method::POST, "/groups/{label}/members", "Adds a member to a group", |ask, draft| {
        reply(groups::add_member(ask, draft))
    }),
    bulk(Method::PUT, "/groups/{label}/members", "Replaces the members of a group", |ask, draft| {
        reply(groups::put_members(ask, draft))
    }),
    write(
        Method::DELETE,
        "/groups/{label}/members/{xname}",
        "Removes a member from a group",
        |ask, draft| reply(groups::delete_member(ask, draft)),
    ),
    // Partitions.
    get("/partitions", "Partitions that match the query", |ask| reply(partitions::list(ask))),
    bulk(Method::POST, "/partitions", "Adds a partition", |ask, draft| reply(partitions::add(ask, draft))),
    get("/partitions/names", "Names of the partitions", partitions::names),
    get("/partitions/{name}", "One partition", |ask| reply(partitions::one(ask))),
    bulk(Method::PATCH, "/partitions/{name}", "Changes a partition and adds members", |ask, draft| {
        reply(partitions::patch(ask, draft))
    }),
    write(Method::DELETE, "/partitions/{name}", "Deletes a partition", |ask, draft| {
        reply(partitions::delete(ask, draft))
    }),
    get("/partitions/{name}/members", "Members of a partition", |ask| reply(partitions::members(ask))),
    write(Method::POST, "/partitions/{name}/members", "Adds a member to a partition", |ask, draft| {
        reply(partitions::add_member(ask, draft))
    }),
    bulk(Method::PUT, "/partitions/{name}/members", "Replaces the members of a partition", |ask, draft| {
        reply(partitions::put_members(ask, draft))
    }),
    write(
        Method::DELETE,
        "/partitions/{name}/members/{xname}",
        "Removes a member from a partition",
        |ask, draft| reply(partitions::delete_member(ask, draft)),
    ),
    // Memberships.
    get("/memberships", "Groups and partition of components that match the query", |ask| {
        reply(memberships::list(ask))
    }),
    get("/memberships/{xname}", "Groups and partition of a component", |ask| reply(memberships::one(ask))),
];
