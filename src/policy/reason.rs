//! Why a request is not answered, or refused. Silence is an answer too.

use serde::{Serialize, Serializer};

macro_rules! reasons {
    ($($variant:ident, $name:literal, $text:literal;)*) => {
        /// A reason for silence or refusal. The names are stable: logs, JSON and docs use them.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Reason {
            $(#[doc = $text] $variant,)*
        }

        impl Reason {
            /// Every reason, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable name, such as `unknown-mac`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The same in words.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

reasons! {
    Malformed, "malformed", "the packet cannot be read";
    NotARequest, "not-a-request", "another server's reply";
    OwnFrame, "own-frame", "our own frame seen again";
    UnknownMac, "unknown-mac", "no node record has this client";
    BmcBootsNothing, "bmc-boots-nothing", "a BMC boots nothing, and this mode gives no addresses";
    NotPxe, "not-pxe", "no PXE, HTTP Boot or iPXE client, and this mode gives no addresses";
    ProxyRequest, "proxy-request", "a REQUEST on port 67 belongs to the DHCP server";
    OtherServerChosen, "other-server-chosen", "the client took another server's offer";
    NetbootOff, "netboot-off", "the record says netboot: false";
    NodeDisabled, "node-disabled", "the node is disabled (Enabled: false)";
    NoBootEntry, "no-boot-entry", "no boot entry matches this node";
    NoLoader, "no-loader", "no loader for this architecture is served";
    NoArchitecture, "no-architecture", "the client names no architecture";
    NoAddress, "no-address", "the record has no address to reserve";
    AddressOutside, "address-outside", "the reserved address is in none of our subnets on this interface";
    NotOurs, "not-ours", "the address asked for is none of ours";
    MessageType, "message-type", "this kind of message needs no answer";
    UnknownRelaySubnet, "unknown-relay-subnet", "the relay, or what it selects, is in none of our subnets";
    UntrustedRelay, "untrusted-relay", "the relay is not among trusted_relays";
    DuplicateViaRelay, "duplicate-via-relay", "both ways of one request, direct and relayed, were answered already";
    BootpNotServed, "bootp-not-served", "plain BOOTP is not served";
    Dhcpv6NotServed, "dhcpv6-not-served", "DHCPv6 is not served";
    NoProxyV6, "no-proxy-v6", "addresses over IPv6 are another server's business in this mode";
    NoOwnAddressV6, "no-own-address-v6", "the interface has no IPv6 address to name as server";
    NoOwnAddress, "no-own-address", "the interface has no IPv4 address to name as server";
    AppleBsdp, "apple-bsdp", "Apple's boot server discovery is not served";
    NotYourFile, "not-your-file", "per-node files go only to their node";
    UnknownPeer, "unknown-peer", "the asking address belongs to no known node";
    OutsideFolder, "outside-folder", "the path leaves the served folders";
    NotAFile, "not-a-file", "not a regular file";
    BadName, "bad-name", "the name cannot be a file name";
    AddressWithheld, "address-withheld", "the client found its address in use; it is withheld for ten minutes";
    Declined, "declined", "the client says that its address is in use by another machine";
    Released, "released", "the client gives its address back; a reservation has nothing to free";
    DhcpOff, "dhcp-off", "the settings or the record say dhcp: false";
    Only4011, "only-4011", "this mode answers on port 4011 only";
    NoMenuItem, "no-menu-item", "the boot item asked for is not in the menu";
    Busy, "busy", "too many transfers at once";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_in_the_documents_in_the_same_words() {
        let page = include_str!("../../docs/events.md");
        for reason in Reason::ALL {
            let row = format!("| `{}` | {} |", reason.name(), reason.text());
            assert!(page.contains(&row), "docs/events.md lacks the row: {row}");
        }
    }
}
