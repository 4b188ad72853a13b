//! Who is asking: architecture, firmware, loader stage, identity.
//!
//! Second room of the packet's way: takes the view of a request, names the client. No IO, no records.

pub mod arch;

pub use arch::{Arch, Cpu, Platform, Transport};
