//! Location names of every kind of component, as SMD knows them: a path of letters and numbers from the
//! cabinet down, whose letters say what it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Letters of an xname in order, and the HMS type they name. Also the order of `service/values/type`.
pub const KINDS: [(&str, &str); 50] = [
    ("s", "System"),
    ("d", "CDU"),
    ("dw", "CDUMgmtSwitch"),
    ("x", "Cabinet"),
    ("xd", "CabinetCDU"),
    ("xm", "CabinetPDUController"),
    ("xmp", "CabinetPDU"),
    ("xmpj", "CabinetPDUOutlet"),
    ("xmpv", "CabinetPDUPowerConnector"),
    ("xmi", "CabinetPDUNic"),
    ("xb", "CabinetBMC"),
    ("xe", "CEC"),
    ("xc", "Chassis"),
    ("xcb", "ChassisBMC"),
    ("xcbi", "ChassisBMCNic"),
    ("xct", "CMMRectifier"),
    ("xcf", "CMMFpga"),
    ("xcs", "ComputeModule"),
    ("xcsv", "NodePowerConnector"),
    ("xcse", "NodeEnclosure"),
    ("xcsj", "NodeEnclosurePowerSupply"),
    ("xcsb", "NodeBMC"),
    ("xcsbi", "NodeBMCNic"),
    ("xcsbf", "NodeFpga"),
    ("xcsbn", "Node"),
    ("xcsbnv", "VirtualNode"),
    ("xcsbni", "NodeNic"),
    ("xcsbnh", "NodeHsnNic"),
    ("xcsbnp", "Processor"),
    ("xcsbnd", "Memory"),
    ("xcsbna", "NodeAccel"),
    ("xcsbnr", "NodeAccelRiser"),
    ("xcsbng", "StorageGroup"),
    ("xcsbngk", "Drive"),
    ("xcr", "RouterModule"),
    ("xcrb", "RouterBMC"),
    ("xcrbi", "RouterBMCNic"),
    ("xcre", "HSNBoard"),
    ("xcra", "HSNAsic"),
    ("xcral", "HSNLink"),
    ("xcrj", "HSNConnector"),
    ("xcrjp", "HSNConnectorPort"),
    ("xcrf", "RouterFpga"),
    ("xcrt", "RouterTOR"),
    ("xcrtf", "RouterTORFpga"),
    ("xcrv", "RouterPowerConnector"),
    ("xcw", "MgmtSwitch"),
    ("xcwj", "MgmtSwitchConnector"),
    ("xch", "MgmtHLSwitchEnclosure"),
    ("xchw", "MgmtHLSwitch"),
];

/// Types that may be a RedfishEndpoint.
const ENDPOINTS: [&str; 7] = [
    "NodeBMC",
    "ChassisBMC",
    "RouterBMC",
    "CabinetPDUController",
    "MgmtSwitch",
    "MgmtHLSwitch",
    "CDUMgmtSwitch",
];

/// A location: trimmed, lower case, no leading zeros. Always one of [`KINDS`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Location(String);

/// The text is no location name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is not an xname, such as x1000c0s0b0n0 (a node) or x1000c0s0b0 (its BMC)")]
pub struct NoLocation;

impl Location {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its HMS type.
    pub fn kind(&self) -> &'static str {
        let letters: String = self.0.chars().filter(char::is_ascii_lowercase).collect();
        KINDS.iter().find(|(known, _)| *known == letters).map_or("Unknown", |(_, kind)| kind)
    }

    /// Whether nodes boot here: `Node` or `VirtualNode`.
    pub fn is_node(&self) -> bool {
        matches!(self.kind(), "Node" | "VirtualNode")
    }

    /// Whether a RedfishEndpoint may have this location.
    pub fn is_endpoint(&self) -> bool {
        ENDPOINTS.contains(&self.kind())
    }

    /// The location that this one is part of: the name without its last letter and number.
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.rfind(|c: char| c.is_ascii_lowercase()).filter(|cut| *cut > 0)?;
        Self::from_str(&self.0[..cut]).ok()
    }

    /// The number after the last letter: of a node, its number below the BMC.
    pub fn last_number(&self) -> u32 {
        let digits = self.0.rfind(|c: char| c.is_ascii_lowercase()).map_or("", |at| &self.0[at + 1..]);
        digits.parse().unwrap_or(0)
    }

    /// The node number that SMD gives a node nobody numbered: a formula of its place.
    pub fn default_nid(&self) -> Option<i64> {
        if self.kind() != "Node" {
            return None;
        }
        let mut numbers = self.0.split(|c: char| c.is_ascii_lowercase()).skip(1);
        let mut next = || numbers.next()?.parse::<i64>().ok();
        let (cabinet, chassis, slot, bmc, node) = (next()?, next()?, next()?, next()?, next()?);
        Some((cabinet + 1) * 16384 + chassis * 2048 + slot * 32 + bmc * 4 + node)
    }
}

impl FromStr for Location {
    type Err = NoLocation;

    fn from_str(text: &str) -> Result<Self, NoLocation> {
        let text = text.trim();
        if text.len() > 64 {
            return Err(NoLocation);
        }
        let (mut name, mut letters) = (String::with_capacity(text.len()), String::new());
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let letter = letter.to_ascii_lowercase();
            if !letter.is_ascii_lowercase() {
                return Err(NoLocation);
            }
            rest = &rest[1..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u32 = rest[..digits].parse().map_err(|_| NoLocation)?;
            // Cabinets have up to five digits (decision of the wider of the two programs that read them).
            if number > if letter == 'x' { 99_999 } else { 999 } {
                return Err(NoLocation);
            }
            rest = &rest[digits..];
            letters.push(letter);
            name.push(letter);
            name.push_str(&number.to_string());
        }
        if KINDS.iter().any(|(known, _)| *known == letters) { Ok(Self(name)) } else { Err(NoLocation) }
    }
}

impl TryFrom<String> for Location {
    type Error = NoLocation;

    fn try_from(text: String) -> Result<Self, NoLocation> {
        text.parse()
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.0
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_normalised_and_typed() {
        let of = |text: &str| text.parse::<Location>().map(|at| (at.to_string(), at.kind()));
        assert_eq!(of(" X1000C0S07B0N0 "), Ok(("x1000c0s7b0n0".to_owned(), "Node")));
        assert_eq!(of("x0c0s0b0"), Ok(("x0c0s0b0".to_owned(), "NodeBMC")));
        assert_eq!(of("x3000m0p1v1"), Ok(("x3000m0p1v1".to_owned(), "CabinetPDUPowerConnector")));
        for text in ["", "bogus", "x", "x1c", "x1000c0s0b0n0q1", "1x", "x-1", "x100000", "xé1", "x1 c0"] {
            assert_eq!(of(text), Err(NoLocation), "{text}");
        }
    }

    #[test]
    fn a_node_knows_its_bmc_and_its_number() {
        let node: Location = "x1000c0s5b1n12".parse().unwrap();
        assert_eq!(node.parent().unwrap().as_str(), "x1000c0s5b1");
        assert_eq!(node.last_number(), 12);
        let first: Location = "x1000c0s0b0n0".parse().unwrap();
        assert_eq!(first.default_nid(), Some(1001 * 16384));
        assert_eq!("x1000".parse::<Location>().unwrap().parent(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_stays_itself(text in "[xcsbnmpv0-9 XCé]{0,24}|\\PC{0,24}") {
            if let Ok(at) = text.parse::<Location>() {
                prop_assert_eq!(at.as_str().parse::<Location>().unwrap(), at.clone());
                at.default_nid();
                at.parent();
            }
        }
    }
}
