//! Names that requests use: members of bodies, and parameters of queries.

use crate::openchami::api::{Route, Service, route};
use crate::openchami::cloud_init::files;

const COMPONENT: &[&str] = &[
    "Components",
    "ComponentIDs",
    "ID",
    "Type",
    "State",
    "Flag",
    "Enabled",
    "SoftwareStatus",
    "Role",
    "SubRole",
    "NID",
    "NetType",
    "Arch",
    "Class",
    "Subtype",
    "Locked",
    "Force",
    "ExtendedInfo",
];
const COMPONENT_FILTER: &[&str] = &[
    "id",
    "type",
    "state",
    "flag",
    "role",
    "subrole",
    "enabled",
    "softwarestatus",
    "subtype",
    "arch",
    "class",
    "nid",
    "nid_start",
    "nid_end",
    "partition",
    "group",
    "stateonly",
    "flagonly",
    "roleonly",
    "nidonly",
];
const REDFISH_ENDPOINT: &[&str] = &[
    "RedfishEndpoints",
    "SchemaVersion",
    "ID",
    "Type",
    "Name",
    "Hostname",
    "Domain",
    "FQDN",
    "Enabled",
    "UUID",
    "User",
    "Password",
    "UseSSDP",
    "MACRequired",
    "MACAddr",
    "IPAddr",
    "RediscoverOnUpdate",
    "TemplateID",
    "Systems",
    "Managers",
    "PowerURL",
];
const ETHERNET_INTERFACE: &[&str] = &["MACAddress", "Description", "ComponentID", "Type", "IPAddresses"];
const GROUP: &[&str] = &[
    "label",
    "name",
    "description",
    "tags",
    "addTags",
    "removeTags",
    "exclusiveGroup",
    "members",
    "id",
    "ids",
];
const BOOT_PARAMETERS: &[&str] = &["hosts", "macs", "nids", "params", "kernel", "initrd", "cloud-init"];
const PHONE_HOME: &[&str] =
    &["pub_key_rsa", "pub_key_ecdsa", "pub_key_ed25519", "instance_id", "hostname", "fqdn"];
const ENVELOPE: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status", "schemaVersion"];

/// Members that the body of a request to this route may have.
pub(super) fn of_body(route: &Route) -> &'static [&'static str] {
    let path = route.path;
    match route.service {
        Service::Smd if path.contains("/RedfishEndpoints") => REDFISH_ENDPOINT,
        Service::Smd if path.contains("/EthernetInterfaces") => ETHERNET_INTERFACE,
        Service::Smd if path.starts_with("/groups") || path.starts_with("/partitions") => GROUP,
        Service::Smd => COMPONENT,
        Service::Bss => BOOT_PARAMETERS,
        _ if path == route::PHONE_HOME => PHONE_HOME,
        Service::CloudInit if path.starts_with("/admin/groups") => &files::GROUP_KEYS,
        Service::CloudInit if path.starts_with("/admin/instance-info") => &files::NODE_KEYS,
        Service::CloudInit => &files::DEFAULTS_KEYS,
        Service::Boot | Service::Metadata => ENVELOPE,
        Service::Own => &[],
    }
}

/// Parameters that a query to this route may have.
pub(super) fn queries(route: &Route) -> &'static [&'static str] {
    let path = route.path;
    match (route.service, route.method.as_str()) {
        (Service::Smd, "GET") if path.starts_with("/State/Components") => COMPONENT_FILTER,
        (Service::Smd, "GET") if path == "/memberships" => COMPONENT_FILTER,
        (Service::Smd, "GET") if path == "/Inventory/RedfishEndpoints" => {
            &["id", "fqdn", "type", "uuid", "macaddr", "ipaddress", "laststatus"]
        }
        (Service::Smd, "GET") if path == "/Inventory/ComponentEndpoints" => {
            &["id", "redfish_ep", "type", "redfish_type"]
        }
        (Service::Smd, "GET") if path == "/Inventory/EthernetInterfaces" => {
            &["macaddress", "ipaddress", "network", "componentid", "type", "olderthan", "newerthan"]
        }
        (Service::Smd, "GET") if path == "/groups" => &["group", "tag"],
        (Service::Smd, "GET") if path == "/partitions" => &["partition", "tag"],
        (Service::Bss, "GET") if path == "/bootscript" => {
            &["mac", "name", "nid", "arch", "ts", "retry", "json"]
        }
        (Service::Bss, "GET" | "DELETE") if path == "/bootparameters" => &["name", "mac", "nid"],
        (Service::Bss, "GET") if path == "/endpoint-history" => &["name", "endpoint"],
        _ => &[],
    }
}
