//! DHCP codec: bytes to a checked view, replies to bytes, every option described once.

pub mod catalogue;
pub mod ipxe;
pub mod pxe;
pub mod relay;
pub mod text;
pub mod user_class;
pub mod v6;
