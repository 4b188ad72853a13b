//! Real machines boot: SeaBIOS and OVMF in QEMU, through `bootlace serve`, on a VLAN of network namespaces.
//!
//! Needs root; without it these tests fail, they do not pass by doing nothing. They run one at a time whatever
//! the number of test threads: each boot keeps a processor busy.

mod command;
mod installer;
mod libvirt;
mod machines;
mod payload;
mod vagrant;
mod vlan;
