//! boot-service: boot configurations, nodes and BMCs as resources, over the same records as SMD and BSS.

pub mod envelope;
pub mod patch;
