//! The decision: `decide(request, records, settings, seen, now) -> Decision`. Pure; no IO, no clock.

pub mod reason;

pub use reason::Reason;
