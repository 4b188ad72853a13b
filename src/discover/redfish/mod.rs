//! Asking BMCs by Redfish: which machines they manage, with which network cards.
//!
//! [`targets`] says which BMCs, [`credentials`] with which name and password, [`pins`] which certificates they
//! showed before. [`documents`] decides what to read next from what was read; [`inventory`] makes a value of it;
//! [`place`] gives xnames; [`endpoint`] and [`nodes_yaml`] write the two forms of the result. All of that is pure;
//! [`session`] is the edge that talks to one BMC, [`crawl`] does so with many at a time.

pub mod crawl;
pub mod credentials;
pub mod documents;
pub mod endpoint;
pub mod inventory;
pub mod nodes_yaml;
pub mod pins;
pub mod place;
pub mod session;
pub mod targets;
