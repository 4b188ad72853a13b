//! The inventory: every record that the OpenCHAMI services show, at one moment. A value: cloning it costs
//! nothing, a change costs the logarithm of its size, and readers of an old one are not disturbed.
//!
//! Writers work on a [`Draft`], which notes what has to be stored and which nodes the change concerns.

mod cloud;
mod derive;
mod draft;
mod files;
mod record;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdSet;

pub use draft::{Draft, Live, Touch};
pub use record::{Filed, Owned, Record, Table};
pub use tables::{
    BootUnit, CloudGroup, ClusterDefaults, Component, ComponentEndpoint, Envelope, EthernetInterface, Group,
    InstanceInfo, IpEntry, Member, Meta, Partition, PartitionMember, RedfishEndpoint, Runtime, WireGuardPeer,
};

/// What records can be found by besides their keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Index {
    /// Components by node number.
    Nid,
    /// Redfish endpoints by full name.
    Fqdn,
    /// Component endpoints by the Redfish endpoint above them.
    EndpointChild,
    /// Component endpoints by a UUID that identifies.
    SystemUuid,
    /// Network cards by address.
    Address,
    /// Network cards by component.
    CardOf,
    /// Memberships by component.
    GroupsOf,
    /// Members of a partition.
    PartitionOf,
    /// Boot units by MAC.
    UnitMac,
    /// Boot units by host or role name.
    UnitHost,
    /// Boot units by node number.
    UnitNid,
    /// Boot units by name.
    UnitName,
    /// Boot units by what they boot.
    UnitContent,
    /// Nodes and BMCs by the uid that the newer services show.
    ComponentUid,
    /// cloud-init groups by uid.
    CloudGroupUid,
    /// Instance info by name or instance id.
    InstanceOf,
    /// Cluster defaults by the time of their last change.
    DefaultsUpdated,
    /// Cluster defaults by name.
    DefaultsName,
    /// WireGuard peers by name.
    PeerName,
    /// Envelopes by name.
    EnvelopeName,
}

/// All tables and their indices.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// SMD components.
    pub components: Table<Component>,
    /// Redfish endpoints.
    pub redfish_endpoints: Table<RedfishEndpoint>,
    /// Component endpoints.
    pub component_endpoints: Table<ComponentEndpoint>,
    /// Network cards.
    pub ethernet_interfaces: Table<EthernetInterface>,
    /// Groups.
    pub groups: Table<Group>,
    /// Memberships.
    pub members: Table<Member>,
    /// Partitions.
    pub partitions: Table<Partition>,
    /// Partition of a component.
    pub partition_members: Table<PartitionMember>,
    /// Boot parameters.
    pub boot_units: Table<BootUnit>,
    /// cloud-init data of groups.
    pub cloud_groups: Table<CloudGroup>,
    /// Cluster defaults.
    pub cluster_defaults: Table<ClusterDefaults>,
    /// Instance info.
    pub instance_infos: Table<InstanceInfo>,
    /// WireGuard peers.
    pub wireguard_peers: Table<WireGuardPeer>,
    /// Envelopes of nodes and BMCs.
    pub envelopes: Table<Envelope>,
    /// What happened to nodes.
    pub runtime: Table<Runtime>,
    /// (index, term, key)
    index: OrdSet<(Index, String, String)>,
    /// The highest node number that any component ever had.
    highest_nid: i64,
    /// Nodes as the files state them, for what SMD has no field for.
    file_nodes: Arc<files::FileNodes>,
    /// What instance ids are made from: never the same in two stores.
    salt: [u8; 16],
}

/// Gives the table of a record type. Implemented for every record of this module.
pub trait HasTable<R> {
    /// The table.
    fn table(&self) -> &Table<R>;
    /// The table, to change it.
    fn table_mut(&mut self) -> &mut Table<R>;
}

macro_rules! tables {
    ($($record:ident $field:ident),* $(,)?) => {
        $(impl HasTable<$record> for Inventory {
            fn table(&self) -> &Table<$record> {
                &self.$field
            }
            fn table_mut(&mut self) -> &mut Table<$record> {
                &mut self.$field
            }
        })*

        impl Inventory {
            /// Lays a record that the store holds into its table. False: the text is no such record.
            fn restore(&mut self, table: &str, value: &[u8]) -> bool {
                match table {
                    $($record::TABLE => match serde_json::from_slice::<$record>(value) {
                        Ok(record) => {
                            self.lay_stored(record);
                            true
                        }
                        Err(_) => false,
                    },)*
                    // A table of a newer version: kept in the file, not looked at.
                    _ => true,
                }
            }

            /// Every stored record as JSON, by table and key.
            pub fn stored_json(&self) -> RecordsJson {
                let mut all = RecordsJson::new();
                $(for record in self.$field.stored() {
                    // A record of ours always has a JSON form.
                    if let Ok(value) = serde_json::to_value(&**record) {
                        all.entry($record::TABLE).or_default().insert(record.key().into_owned(), value);
                    }
                })*
                all
            }

            /// Every record that a file states as JSON, by table and key.
            pub fn filed_json(&self) -> RecordsJson {
                let mut all = RecordsJson::new();
                $(for filed in self.$field.filed_records() {
                    if let Ok(value) = serde_json::to_value(&*filed.record) {
                        all.entry($record::TABLE).or_default().insert(filed.record.key().into_owned(), value);
                    }
                })*
                all
            }

            /// Takes over the stored layer of another inventory.
            fn lay_all_stored(&mut self, old: &Inventory) {
                self.highest_nid = self.highest_nid.max(old.highest_nid);
                $(for record in old.$field.stored() {
                    self.lay_stored($record::clone(record));
                })*
            }
        }

        impl Draft<'_> {
            /// Stores a record that is given as JSON, as [`Inventory::stored_json`] gives it.
            pub fn put_json(&mut self, table: &str, value: serde_json::Value) -> Result<(), PutJson> {
                match table {
                    $($record::TABLE => {
                        let record: $record = serde_json::from_value(value)
                            .map_err(|error| PutJson::NoRecord($record::WHAT, error.to_string()))?;
                        Ok(self.put(record)?)
                    })*
                    other => Err(PutJson::NoTable(other.to_owned())),
                }
            }
        }
    };
}

/// Why JSON could not be stored as a record.
#[derive(Debug, thiserror::Error)]
pub enum PutJson {
    /// The table is not one of ours.
    #[error("there is no table '{0}'")]
    NoTable(String),
    /// The value is no record of the table.
    #[error("this is no {0}: {1}")]
    NoRecord(&'static str, String),
    /// A file says otherwise.
    #[error(transparent)]
    Owned(#[from] Owned),
}

/// Records as JSON, by table and key.
pub type RecordsJson = BTreeMap<&'static str, BTreeMap<String, serde_json::Value>>;

tables! {
    Component components,
    RedfishEndpoint redfish_endpoints,
    ComponentEndpoint component_endpoints,
    EthernetInterface ethernet_interfaces,
    Group groups,
    Member members,
    Partition partitions,
    PartitionMember partition_members,
    BootUnit boot_units,
    CloudGroup cloud_groups,
    ClusterDefaults cluster_defaults,
    InstanceInfo instance_infos,
    WireGuardPeer wireguard_peers,
    Envelope envelopes,
    Runtime runtime,
}

impl Inventory {
    /// What instance ids are made from.
    pub fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// Keys of the records that `index` files under `term`, in order.
    pub fn keys<'i>(&'i self, index: Index, term: &'i str) -> impl Iterator<Item = &'i str> + 'i {
        let from = (index, term.to_owned(), String::new())..;
        let found = self.index.range(from).take_while(move |(i, t, _)| *i == index && t == term);
        found.map(|(_, _, key)| key.as_str())
    }

    /// Records that `index` files under `term`, in the order of their keys.
    pub fn find<'i, R: Record>(&'i self, index: Index, term: &'i str) -> impl Iterator<Item = Arc<R>> + 'i
    where
        Self: HasTable<R>,
    {
        self.keys(index, term).filter_map(|key| HasTable::<R>::table(self).get(key))
    }

    /// Key of the record that `index` files under its last term.
    pub fn last(&self, index: Index) -> Option<&str> {
        let from = (index, String::new(), String::new());
        // No term of ours is as great as the greatest character.
        let to = (index, char::MAX.to_string(), String::new());
        self.index.range(from..to).next_back().map(|(_, _, key)| key.as_str())
    }

    /// Labels of the groups that a component is in, in order.
    pub fn groups_of(&self, id: &str) -> Vec<String> {
        self.find::<Member>(Index::GroupsOf, id).map(|member| member.group.clone()).collect()
    }

    /// Members of a group, in order.
    pub fn members_of(&self, label: &str) -> Vec<String> {
        let prefix = format!("{label}/");
        self.members.with_prefix(&prefix).map(|member| member.id.to_string()).collect()
    }

    /// Network cards of a component.
    pub fn cards_of(&self, id: &str) -> Vec<Arc<EthernetInterface>> {
        self.find(Index::CardOf, id).collect()
    }

    /// A node number that no component has and, while this process runs, none had: above all others.
    pub fn unused_nid(&self) -> i64 {
        self.highest_nid.saturating_add(1)
    }

    /// Changes one table and the index together.
    fn change<R: Record>(&mut self, key: &str, change: impl FnOnce(&mut Table<R>))
    where
        Self: HasTable<R>,
    {
        let terms = |inventory: &Self| {
            HasTable::<R>::table(inventory).get(key).map(|record| record.terms()).unwrap_or_default()
        };
        let old = terms(self);
        change(HasTable::<R>::table_mut(self));
        let new = terms(self);
        // One record may be found by very many terms: a unit that lists every MAC of the system.
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.into_iter().collect(), new.into_iter().collect());
        for (index, term) in old.difference(&new) {
            self.index.remove(&(*index, term.clone(), key.to_owned()));
        }
        for (index, term) in new.difference(&old) {
            if let (Index::Nid, Ok(nid)) = (index, term.parse()) {
                self.highest_nid = self.highest_nid.max(nid);
            }
            self.index.insert((*index, term.clone(), key.to_owned()));
        }
    }

    fn lay_stored<R: Record>(&mut self, record: R)
    where
        Self: HasTable<R>,
    {
        let key = record.key().into_owned();
        self.change::<R>(&key, |table| table.lay(record));
    }

    fn lay_filed<R: Record>(&mut self, filed: Filed<R>)
    where
        Self: HasTable<R>,
    {
        let key = filed.record.key().into_owned();
        self.change::<R>(&key, |table| table.file(filed));
    }
}
