//! Every DHCPv4 option once: code, name, type, text form. Decoder, log, settings and explain read it.

/// One option with its value in wire form, as settings or records state it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypedOption {
    /// Option code, 1 to 254.
    pub code: u8,
    /// Value in wire form.
    pub value: Vec<u8>,
}
