//! Settings: bootlace.yaml as written ([`file`]), settings as used ([`settings`]), and what every file of
//! ours is read with: text with places ([`source`]), YAML and JSON as a tree with places ([`tree`]), typed
//! access that reports and goes on ([`table`]), and the reports ([`diagnostic`]).

pub mod api;
pub mod class;
pub mod diagnostic;
pub mod file;
pub mod menu;
pub mod mode;
pub mod settings;
pub mod source;
pub mod state;
pub mod table;
pub mod tree;
pub mod v6;
pub mod values;

pub use api::{ApiListen, ApiSettings};
pub use class::ClassSettings;
pub use diagnostic::{Code, Diagnostic, Findings, Severity};
pub use file::{Flags, Loaded, load};
pub use menu::{Menu, MenuItem};
pub use mode::Mode;
pub use settings::{
    AnswerInform, BootfileOption, FirmwareSource, HostnameSource, HttpListen, InterfaceSettings, Knobs,
    LEASE, NoBootEntry, OnDecline, Option43, Profile, Settings, SubnetSettings, Transport, UefiOffer,
};
pub use state::StateFolder;
pub use v6::{SettingsV6, SubnetV6, SwitchesV6};
