//! The words that SMD knows for states, roles and the like. Read without case, written in one form.

use crate::openchami::xname::KINDS;

/// States of a component.
pub const STATES: &[&str] = &["Unknown", "Empty", "Populated", "Off", "On", "Standby", "Halt", "Ready"];
/// Flags of a component.
pub const FLAGS: &[&str] = &["Unknown", "OK", "Warning", "Alert", "Locked"];
/// Roles of a node.
pub const ROLES: &[&str] = &["Compute", "Service", "System", "Application", "Storage", "Management"];
/// Sub-roles of a node.
pub const SUB_ROLES: &[&str] = &["Master", "Worker", "Storage"];
/// Kinds of networks.
pub const NET_TYPES: &[&str] = &["Sling", "Infiniband", "Ethernet", "OEM", "None"];
/// Processors.
pub const ARCHS: &[&str] = &["X86", "ARM", "UNKNOWN", "Other"];
/// Classes of cabinets.
pub const CLASSES: &[&str] = &["River", "Mountain", "Hill"];
/// HMS types that no location has: clients may name them, nothing is of them.
const TYPES_WITHOUT_LOCATION: &[&str] = &["Partition", "SMSBox", "All", "AllComp", "AllSvc", "INVALID"];

/// Every HMS type.
pub fn types() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(_, kind)| *kind).chain(TYPES_WITHOUT_LOCATION.iter().copied())
}

/// The word of `known` that `text` is, in its own form.
pub fn word(known: &[&'static str], text: &str) -> Option<&'static str> {
    known.iter().find(|word| word.eq_ignore_ascii_case(text)).copied()
}

/// A flag; `warn` is a short form.
pub fn flag(text: &str) -> Option<&'static str> {
    if text.eq_ignore_ascii_case("warn") { Some("Warning") } else { word(FLAGS, text) }
}

/// An HMS type.
pub fn hms_type(text: &str) -> Option<&'static str> {
    types().find(|known| known.eq_ignore_ascii_case(text))
}
