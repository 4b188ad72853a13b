//! IPv6 items of `subnets:`.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::config::diagnostic::{Code, quoted};
use crate::config::settings::LEASE;
use crate::config::table::Table;
use crate::config::tree::Kind;
use crate::config::v6::SubnetV6;
use crate::config::values::{self, KNOB_KEYS};

/// Keys that mean something for IPv4 only: routers and prefixes come from router advertisements there, and
/// options are numbered differently.
const V4_ONLY: [&str; 2] = ["router", "options"];

/// Whether the item is an IPv6 subnet: only such a network has a colon in it.
pub(super) fn is_v6(table: &Table<'_, '_>) -> bool {
    let value = table.value("subnet").map(|value| &value.kind);
    matches!(value, Some(Kind::Scalar { text, .. }) if text.contains(':'))
}

/// Reads the item; `before` are those that stand above it.
pub(super) fn read(table: &mut Table<'_, '_>, before: &[SubnetV6]) -> Option<SubnetV6> {
    for key in V4_ONLY.iter().chain(&KNOB_KEYS) {
        if !table.has(key) {
            continue;
        }
        let span = table.value(key).map_or(table.span, |value| value.span);
        let message = format!("{key} has no meaning in an IPv6 subnet");
        table.error(Code::WrongValue, span, key, message).advise("possible: subnet, dns, domain, lease");
    }
    let servers = table.one_or_more("dns");
    let servers = table.texts("dns", servers);
    let dns: Vec<Ipv6Addr> =
        servers.into_iter().filter_map(|text| Some(table.parsed_text("dns", text)?.value)).collect();
    let lease = values::lease(table).unwrap_or(LEASE);
    let domain = table.text("domain").map(|domain| domain.value.to_owned());
    let text = table.text("subnet")?;
    let Ok(subnet) = text.value.parse::<Ipv6Net>() else {
        let message = format!("subnet {} is no IPv6 network", quoted(text.value));
        table.error(Code::WrongValue, text.span, "subnet", message).advise("write it as fd00:1::/64");
        return None;
    };
    if subnet.addr() != subnet.network() {
        let message = format!("subnet {subnet} has bits of a host in it");
        table
            .error(Code::WrongValue, text.span, "subnet", message)
            .advise(format!("the network is {}", subnet.trunc()));
        return None;
    }
    if before.iter().any(|known| known.subnet == subnet) {
        table.error(Code::WrongValue, text.span, "subnet", format!("subnet {subnet} is listed twice"));
        return None;
    }
    Some(SubnetV6 { subnet, dns, domain, lease })
}
