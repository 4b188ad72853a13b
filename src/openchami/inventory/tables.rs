//! The records behind all OpenCHAMI services. Field names in JSON are the store's and, where a service shows
//! the record as it is, the service's own (SMD's casing). Empty fields are left out.

mod boot;
mod cloud;
mod smd;

pub use boot::{BootUnit, Envelope, Meta, Runtime};
pub use cloud::{CloudGroup, ClusterDefaults, InstanceInfo, WireGuardPeer};
pub use smd::{
    Component, ComponentEndpoint, EthernetInterface, Group, IpEntry, Member, Partition, PartitionMember,
    RedfishEndpoint,
};

fn no(flag: &bool) -> bool {
    !*flag
}

fn yes() -> bool {
    true
}
