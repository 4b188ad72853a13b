//! One baseboard management controller, as nodes.yaml states it.
//!
//! BMCs are no boot clients: they are records that discovery and the OpenCHAMI views need, and get their
//! addresses by DHCP in the modes that hand out addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::id::{Mac, Xname};
use super::node::Origin;

/// Location name of a controller: of nodes (`x1000c0s0b0`), a router (`x1000c0r0b0`), a chassis
/// (`x1000c0b0`) or a cabinet's power (`x1000m0`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BmcXname(String);

/// Why a text is no [`BmcXname`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a BMC's xname: needs the form x1000c0s0b0 (cabinet, chassis, slot, BMC)")]
pub struct BmcXnameError;

impl BmcXname {
    /// The controller of a node: its xname without the last part.
    pub fn of_node(node: &Xname) -> Self {
        let text = node.as_str();
        Self(text.rsplit_once('n').map_or(text, |(bmc, _)| bmc).to_owned())
    }

    /// The text, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BmcXname {
    type Err = BmcXnameError;

    fn from_str(text: &str) -> Result<Self, BmcXnameError> {
        let lower = text.to_ascii_lowercase();
        let mut letters = String::new();
        let mut rest = lower.as_str();
        while let Some(letter) = rest.chars().next().filter(char::is_ascii_lowercase) {
            rest = &rest[1..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let widest = if letter == 'x' { 5 } else { 3 };
            if !(1..=widest).contains(&digits) {
                return Err(BmcXnameError);
            }
            rest = &rest[digits..];
            letters.push(letter);
        }
        let known = matches!(letters.as_str(), "xcsb" | "xcrb" | "xcb" | "xm");
        if rest.is_empty() && known { Ok(Self(lower)) } else { Err(BmcXnameError) }
    }
}

impl fmt::Display for BmcXname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One controller.
#[derive(Clone, Debug, Default)]
pub struct Bmc {
    /// Location name; in the deprecated form the node's without its last part.
    pub xname: Option<BmcXname>,
    /// Name that `nodes[].bmc` may use.
    pub name: Option<String>,
    /// Its network card.
    pub mac: Option<Mac>,
    /// Its address.
    pub ip: Option<IpAddr>,
    /// Its host name.
    pub fqdn: Option<String>,
    /// Where it was stated.
    pub origin: Origin,
}

impl Bmc {
    /// What a person calls it: name, else xname, else MAC.
    pub fn label(&self) -> String {
        let name = self.name.clone().or_else(|| self.xname.as_ref().map(BmcXname::to_string));
        match name.or_else(|| self.mac.map(|mac| mac.to_string())) {
            Some(name) => format!("BMC {name}"),
            None => "a BMC".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bmc_xname_names_a_controller_and_nothing_else() {
        for text in ["x1000c0s0b0", "X3000C0R7B0", "x9000c1b0", "x3000m1"] {
            assert!(text.parse::<BmcXname>().is_ok(), "{text}");
        }
        for text in ["x1000c0s0b0n0", "x1000c0s0", "x1000", "", "bmc1", "x1000c0s0b", "x1000c0s0b0 ", "xé"] {
            assert!(text.parse::<BmcXname>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_nodes_bmc_is_its_xname_without_the_last_part() {
        let node: Xname = "x1000c0s5b1n12".parse().unwrap();
        assert_eq!(BmcXname::of_node(&node).as_str(), "x1000c0s5b1");
    }
}
