//! What bootlace answers on an interface, and how a node's mode restricts it: docs/settings.md.
//!
//! The modes form a tree, each allowing what the one below it in this drawing allows, and more:
//!
//! ```text
//! observe < 4011-only < proxy < auto-proxy
//!                             < reservation < reservation+proxy
//! ```
//!
//! An interface's mode is the ceiling of its nodes: what holds for a node is the greatest mode that is below
//! both. So addresses leave only where an interface says so, whatever a record says.

use serde::{Deserialize, Serialize};

/// What bootlace answers on an interface.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing is sent on any port; the log says what would be.
    Observe,
    /// Only the PXE boot server on port 4011: another daemon on this host owns port 67.
    #[serde(rename = "4011-only")]
    Only4011,
    /// Boot data beside another DHCP server, known nodes only, never an address.
    #[default]
    Proxy,
    /// As proxy, and a netbooting client in no record gets the default profile and the `Default` boot entry.
    AutoProxy,
    /// Addresses and boot data for the nodes on record.
    Reservation,
    /// A node with an address gets it, one without is proxied.
    #[serde(rename = "reservation+proxy")]
    ReservationProxy,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 6] = [
        Self::Observe,
        Self::Only4011,
        Self::Proxy,
        Self::AutoProxy,
        Self::Reservation,
        Self::ReservationProxy,
    ];

    /// Name as in bootlace.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Only4011 => "4011-only",
            Self::Proxy => "proxy",
            Self::AutoProxy => "auto-proxy",
            Self::Reservation => "reservation",
            Self::ReservationProxy => "reservation+proxy",
        }
    }

    /// The next lower mode of the tree.
    fn below(self) -> Option<Self> {
        match self {
            Self::Observe => None,
            Self::Only4011 => Some(Self::Observe),
            Self::Proxy => Some(Self::Only4011),
            Self::AutoProxy | Self::Reservation => Some(Self::Proxy),
            Self::ReservationProxy => Some(Self::Reservation),
        }
    }

    /// True when `self` allows nothing that `other` does not.
    pub fn within(self, other: Self) -> bool {
        std::iter::successors(Some(other), |mode| mode.below()).any(|mode| mode == self)
    }

    /// The mode of a node on an interface: the interface's is the ceiling, a node can only restrict it.
    pub fn restricted_by(self, node: Option<Self>) -> Self {
        let Some(node) = node else { return self };
        let allowed = std::iter::successors(Some(self), |mode| mode.below()).find(|mode| mode.within(node));
        // `observe` is below everything, so there always is one.
        allowed.unwrap_or(Self::Observe)
    }

    /// The mode for a node that has an address to reserve, or has none: `reservation+proxy` is settled by it.
    pub fn settled(self, has_address: bool) -> Self {
        match self {
            Self::ReservationProxy if has_address => Self::Reservation,
            Self::ReservationProxy => Self::Proxy,
            other => other,
        }
    }

    /// True for modes that hand out addresses.
    pub fn gives_addresses(self) -> bool {
        matches!(self, Self::Reservation | Self::ReservationProxy)
    }

    /// True for modes that answer on port 67, and so may bind it.
    pub fn answers_on_67(self) -> bool {
        !matches!(self, Self::Observe | Self::Only4011)
    }

    /// True for modes that send anything at all.
    pub fn answers(self) -> bool {
        self != Self::Observe
    }
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| format!("'{text}' is no mode: use {}", names()))
    }
}

/// The names of all modes, for messages.
pub fn names() -> String {
    let mut names = Mode::ALL.map(Mode::name).to_vec();
    let last = names.pop().unwrap_or_default();
    format!("{} or {last}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of interface (row) and node (column).
    #[test]
    fn a_nodes_mode_only_ever_restricts_its_interfaces() {
        use Mode::{AutoProxy, Observe, Only4011, Proxy, Reservation, ReservationProxy};
        let columns = [Observe, Only4011, Proxy, AutoProxy, Reservation, ReservationProxy];
        let table = [
            (Observe, [Observe; 6]),
            (Only4011, [Observe, Only4011, Only4011, Only4011, Only4011, Only4011]),
            (Proxy, [Observe, Only4011, Proxy, Proxy, Proxy, Proxy]),
            (AutoProxy, [Observe, Only4011, Proxy, AutoProxy, Proxy, Proxy]),
            (Reservation, [Observe, Only4011, Proxy, Proxy, Reservation, Reservation]),
            (ReservationProxy, [Observe, Only4011, Proxy, Proxy, Reservation, ReservationProxy]),
        ];
        assert_eq!(table.map(|(interface, _)| interface), Mode::ALL, "no pair is left out");
        for (interface, row) in table {
            assert_eq!(interface.restricted_by(None), interface);
            for (node, expected) in columns.into_iter().zip(row) {
                let mode = interface.restricted_by(Some(node));
                assert_eq!(mode, expected, "{} restricted by {}", interface.name(), node.name());
                assert!(mode.within(interface) && mode.within(node));
                assert!(!mode.gives_addresses() || interface.gives_addresses(), "{}", interface.name());
            }
        }
    }

    #[test]
    fn a_mode_reads_back_from_its_name_in_every_form() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
        }
        let message = "prox".parse::<Mode>().unwrap_err();
        assert!(message.contains("4011-only") && message.ends_with("or reservation+proxy"), "{message}");
    }
}
