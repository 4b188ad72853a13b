//! The decision: `decide(request, world, seen, now) -> Decision`. Pure; no IO, no clock.
//!
//! Every request gets an answer or a reason for silence, with the steps that led to it. One file per mode,
//! the shared parts in `target` (what shall this client boot) and `fields` (what a reply carries).

mod bmc;
pub mod decide;
mod fields;
mod inform;
mod menu;
pub mod offers;
mod other_firmware;
mod proxy;
pub mod reason;
mod relayed;
mod reservation;
pub mod seen;
pub mod servers;
mod target;
pub mod v6;
pub mod ways;

pub use decide::{Answer, Arrival, Decision, Fact, Request, Verdict, decide};
pub use reason::Reason;
pub use seen::Seen;
pub use v6::{AnswerV6, ArrivalV6, DecisionV6, RequestV6, VerdictV6, decide_v6};
