//! HTTP for booting machines, asked by curl and by raw sockets over loopback.

mod files;
mod scripts;
mod server;
mod support;
