//! Real machines boot: SeaBIOS and OVMF in QEMU, through `bootlace serve`, on a VLAN of network namespaces.
//!
//! Needs root; without it these tests fail, they do not pass by doing nothing. They run one at a time whatever
//! the number of test threads: each boot keeps a processor busy.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test ends where something is not as promised, and works on real files, programs and time"
)]

mod command;
mod efi32;
mod installer;
mod libvirt;
mod machines;
mod more;
mod payload;
mod tutorial;
mod vagrant;
mod vlan;
