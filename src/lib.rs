//! bootlace: a network boot appliance for bare metal.
//!
//! A frame goes through the rooms below in one direction, and each room knows only the next:
//!
//! ```text
//! link       frame in: which interface, source, time                 (the only owner of DHCP/TFTP sockets)
//!   -> dhcp / tftp / http    bytes to a typed request                (codecs and transfer state; no IO)
//!   -> client                who is asking: firmware, architecture, loader stage, identity
//!   -> policy                decide(request, records, settings, seen, now) -> Decision   (pure)
//!   -> boot                  what this node shall boot: parameters, script, URLs
//! link       reply out: where to, how
//! journal    what happened and why, once, as one typed event
//! ```
//!
//! Around them: [`config`] (bootlace.yaml), [`records`] (nodes.yaml, boot.yaml), [`firmware`] (loaders),
//! [`world`] (the immutable value that one decision is made from), [`openchami`] (the services over the records),
//! [`store`] (what the API wrote, on disk), [`control`] (the socket that commands use), [`discover`] (records from
//! files and BMCs for an SMD), [`lab`] (a virtual boot VLAN) and [`cli`] (one file per command).

pub mod boot;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod dhcp;
pub mod discover;
pub mod firmware;
pub mod http;
pub mod journal;
pub mod lab;
pub mod link;
pub mod openchami;
pub mod policy;
pub mod records;
pub mod reload;
pub mod store;
pub mod tftp;
pub mod world;
