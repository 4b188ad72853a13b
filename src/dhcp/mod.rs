//! DHCP codec: bytes to a checked view, replies to bytes, every option described once.

pub mod catalogue;
