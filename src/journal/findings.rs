//! Findings about other servers as events of the log.

use serde_json::{Value, json};

use crate::dhcp::catalogue::print::colons;
use crate::policy::servers::Finding;

use super::event::{Event, Level, Notice};

/// The event of a finding; a field that says nothing is left out.
pub fn event(finding: Finding) -> Event {
    let fields = [
        ("interface", json!(&*finding.interface)),
        ("server", json!(finding.server)),
        ("server_mac", json!(finding.server_mac.map(|mac| colons(&mac)))),
        ("mac", json!(finding.mac)),
        ("node", json!(finding.node)),
    ];
    Event::Notice(Notice {
        level: if finding.cause.warns() { Level::Warn } else { Level::Info },
        name: finding.cause.name(),
        text: finding.text,
        fields: fields.into_iter().filter(|(_, value)| *value != Value::Null).collect(),
    })
}
