//! DHCP codec: bytes to a checked view ([`packet`]), replies to bytes ([`reply`]), every option described
//! once ([`catalogue`]).

pub mod catalogue;
pub mod ipxe;
pub mod packet;
pub mod pxe;
pub mod relay;
pub mod reply;
pub mod text;
pub mod user_class;
pub mod v6;

pub use packet::{Malformed, MessageType, Options, Packet};
pub use reply::Reply;

/// Option codes that the program names (RFC 2132 unless said otherwise).
#[allow(missing_docs, reason = "the names are the meaning")]
pub mod code {
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const BROADCAST: u8 = 28;
    pub const VENDOR_SPECIFIC: u8 = 43;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETER_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAX_SIZE: u8 = 57;
    pub const RENEWAL_TIME: u8 = 58;
    pub const REBINDING_TIME: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const TFTP_SERVER: u8 = 66;
    pub const BOOT_FILE: u8 = 67;
    pub const USER_CLASS: u8 = 77;
    pub const RELAY_INFO: u8 = 82;
    pub const ARCH: u8 = 93;
    pub const UNDI: u8 = 94;
    pub const UUID: u8 = 97;
    pub const DEFAULT_URL: u8 = 114;
    pub const VENDOR_INFO: u8 = 125;
    /// RFC 3011.
    pub const SUBNET_SELECTION: u8 = 118;
    pub const TFTP_SERVER_ADDRESS: u8 = 150;
    pub const IPXE: u8 = 175;
    pub const PXELINUX_CONFIG: u8 = 209;
    pub const PXELINUX_PREFIX: u8 = 210;
    pub const END: u8 = 255;
}
