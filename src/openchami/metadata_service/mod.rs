//! metadata-service: the same records as [`super::cloud_init`] in the envelope form of the newer services, and
//! the same data for nodes under its own prefix.

pub mod cluster_defaults;
pub mod groups;
pub mod health;
pub mod instance_infos;
pub mod wireguard_peers;

use hyper::Method;

use super::api::Access::{self, Node, Open};
use super::api::Handler::{self, Keep, Read, Write};
use super::api::route::PHONE_HOME;
use super::api::{Route, Service};
use super::boot_service::envelope::{Resource, routes};
use super::cloud_init::{group_file, meta_data, network_config, phone_home, vendor_data};
use super::inventory::{CloudGroup, ClusterDefaults, InstanceInfo, WireGuardPeer};

const SERVICE: Service = Service::Metadata;

const fn read(path: &'static str, access: Access, summary: &'static str, handler: Handler) -> Route {
    Route { service: SERVICE, method: Method::GET, path, access, limit: 0, summary, handler }
}

const fn collection<R: Resource>(paths: [&'static str; 3]) -> [Route; 8] {
    routes::<R>(SERVICE, paths)
}

/// Routes of cluster defaults. The reference's plural has two s.
pub const CLUSTER_DEFAULTS: &[Route] = &collection::<ClusterDefaults>([
    "/clusterdefaultss",
    "/clusterdefaultss/{uid}",
    "/clusterdefaultss/{uid}/status",
]);
/// Routes of groups.
pub const GROUPS: &[Route] = &collection::<CloudGroup>(["/groups", "/groups/{uid}", "/groups/{uid}/status"]);
/// Routes of instance info.
pub const INSTANCE_INFOS: &[Route] =
    &collection::<InstanceInfo>(["/instanceinfos", "/instanceinfos/{uid}", "/instanceinfos/{uid}/status"]);
/// Routes of WireGuard peers.
pub const WIREGUARD_PEERS: &[Route] = &collection::<WireGuardPeer>([
    "/wireguardpeers",
    "/wireguardpeers/{uid}",
    "/wireguardpeers/{uid}/status",
]);

/// Routes of nodes, and of whoever asks how the service is.
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
    Route {
        service: SERVICE,
        method: Method::POST,
        path: PHONE_HOME,
        access: Node,
        limit: phone_home::LIMIT,
        summary: "A node says that it is done",
        handler: Write(phone_home::post),
    },
    read("/health", Open, "Whether it answers", Read(health::get)),
];
