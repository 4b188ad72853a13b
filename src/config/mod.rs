//! Settings: bootlace.yaml as written (`file`), settings as used ([`settings`]), diagnostics with places.

pub mod settings;

pub use settings::{
    BootfileOption, FirmwareSource, HostnameSource, HttpListen, InterfaceSettings, Knobs, Mode, NoBootEntry,
    Option43, Profile, Settings, SubnetSettings, Transport, UefiOffer,
};
