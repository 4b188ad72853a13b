//! Values that several files share: wire knobs, DHCP options, durations, names of files.

use std::time::Duration;

use crate::dhcp::catalogue::{self, TypedOption};
use crate::tftp::Rollover;

use super::diagnostic::{Code, quoted};
use super::mode::{self, Mode};
use super::settings::{AnswerInform, BootfileOption, Knobs, OnDecline, Option43, UefiOffer};
use super::table::{KeyPath, Table};
use super::v6::SwitchesV6;

/// Keys that [`knobs`] reads.
pub const KNOB_KEYS: [&str; 14] = [
    "bootfile_option",
    "uefi_offer",
    "option_43",
    "blksize_max",
    "windowsize_max",
    "single_port",
    "rollover",
    "dhcp",
    "answer_request",
    "answer_inform",
    "bootp",
    "on_decline",
    "reply_delay",
    "ipxe_priority",
];

/// A client's first wait is 4 s (RFC 2131 section 4.1); later answers than this meet nobody.
const REPLY_DELAY_MAX: Duration = Duration::from_secs(10);

/// Option codes are 1 to 254; 0 and 255 are pad and end (RFC 2132).
const OPTIONS_MAX: usize = 254;

/// The wire knobs of a mapping.
pub fn knobs(table: &mut Table<'_, '_>) -> Knobs {
    Knobs {
        bootfile_option: table.choice(
            "bootfile_option",
            &[("omit", BootfileOption::Omit), ("plain", BootfileOption::Plain), ("nul", BootfileOption::Nul)],
        ),
        uefi_offer: table.choice("uefi_offer", &[("plain", UefiOffer::Plain), ("pxe", UefiOffer::Pxe)]),
        option_43: table.choice(
            "option_43",
            &[("bypass", Option43::Bypass), ("none", Option43::None), ("menu", Option43::Menu)],
        ),
        // RFC 2348 allows 8 to 65464 bytes, RFC 7440 1 to 65535 blocks.
        blksize_max: table.integer("blksize_max", 8..=65464).map(|size| size.value as u16),
        windowsize_max: table.integer("windowsize_max", 1..=65535).map(|size| size.value as u16),
        single_port: table.truth("single_port"),
        rollover: table.integer("rollover", 0..=1).map(|number| match number.value {
            0 => Rollover::Zero,
            _ => Rollover::One,
        }),
        dhcp: table.truth("dhcp"),
        answer_request: table.truth("answer_request"),
        answer_inform: table
            .choice("answer_inform", &[("known", AnswerInform::Known), ("subnet", AnswerInform::Subnet)]),
        bootp: table.truth("bootp"),
        on_decline: table
            .choice("on_decline", &[("withhold", OnDecline::Withhold), ("insist", OnDecline::Insist)]),
        reply_delay: reply_delay(table),
        // One signed byte on the wire.
        ipxe_priority: table.integer("ipxe_priority", -128..=127).map(|priority| priority.value as i8),
    }
}

/// The IPv6 switches of a mapping.
pub fn switches_v6(table: &mut Table<'_, '_>) -> SwitchesV6 {
    SwitchesV6 { dhcpv6: table.truth("dhcpv6"), router_advertisements: table.truth("router_advertisements") }
}

/// The lease of a subnet.
pub fn lease(table: &mut Table<'_, '_>) -> Option<Duration> {
    let text = table.text("lease")?;
    match duration(text.value) {
        // Option 51 has 32 bits, and all ones mean "for ever" (RFC 2131, 3.3); DHCPv6 has the same.
        Ok(lease) if (1..u64::from(u32::MAX)).contains(&lease.as_secs()) => Some(lease),
        Ok(_) => {
            table
                .error(Code::WrongValue, text.span, "lease", "the lease is out of range")
                .advise("possible: 1s to 49710d");
            None
        }
        Err(problem) => {
            let message = format!("lease {} {problem}", quoted(text.value));
            table.error(Code::WrongValue, text.span, "lease", message);
            None
        }
    }
}

fn reply_delay(table: &mut Table<'_, '_>) -> Option<Duration> {
    let text = table.text("reply_delay")?;
    let problem = match duration(text.value) {
        Ok(delay) if delay <= REPLY_DELAY_MAX => return Some(delay),
        Ok(_) => "is too long: clients give up waiting after 10s".to_owned(),
        Err(problem) => problem,
    };
    let message = format!("reply_delay {} {problem}", quoted(text.value));
    table.error(Code::WrongValue, text.span, "reply_delay", message);
    None
}

/// The mode of a mapping.
pub fn mode(table: &mut Table<'_, '_>) -> Option<Mode> {
    mode_of(table, "mode")
}

/// The mode that `key` of a mapping names.
pub fn mode_of(table: &mut Table<'_, '_>, key: &str) -> Option<Mode> {
    let text = table.text(key)?;
    if let Ok(mode) = text.value.parse() {
        return Some(mode);
    }
    let message = format!("{} is no mode", quoted(text.value));
    table.error(Code::WrongValue, text.span, key, message).advise(format!("modes: {}", mode::names()));
    None
}

/// The DHCP options of a mapping: IANA name or number to a typed value or `{hex: …}`.
pub fn options(table: &mut Table<'_, '_>) -> Vec<TypedOption> {
    let Some(value) = table.value("options") else { return Vec::new() };
    let parent = table.path();
    let path = KeyPath::Key(parent, "options");
    let Some(mut inner) = table.open_child(value, &path) else { return Vec::new() };
    let mut options: Vec<TypedOption> = Vec::new();
    if inner.pairs().len() > OPTIONS_MAX {
        let message = format!("there are only {OPTIONS_MAX} options");
        inner.error(Code::TooMany, value.span, "options", message);
        return options;
    }
    for pair in inner.pairs() {
        match catalogue::parse_option(&pair.key, &pair.value.to_json()) {
            Ok(option) if options.iter().any(|other| other.code == option.code) => {
                let message = format!("option {} is stated twice, by name and by number", option.code);
                inner.error(Code::DuplicateKey, pair.span, &pair.key, message).advise("keep one of the two");
            }
            Ok(option) => options.push(option),
            Err(problem) => {
                inner.error(Code::WrongValue, pair.span, &pair.key, problem);
            }
        }
    }
    options
}

/// A name under the served root, such as a loader's: relative, without `..`.
pub fn served_name(table: &mut Table<'_, '_>, key: &str) -> Option<String> {
    let text = table.text(key)?;
    let name = text.value.trim_start_matches('/');
    if name.is_empty() || name.split('/').any(|part| part == "..") {
        table
            .error(
                Code::WrongValue,
                text.span,
                key,
                format!("{key} {} leaves its folder", quoted(text.value)),
            )
            .advise("name a file relative to the folder, without '..'");
        return None;
    }
    Some(name.to_owned())
}

/// Reads `500ms`, `90s`, `30m`, `1h`, `7d` and sums such as `1h30m`. The error completes a sentence.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "is no duration: a number with a unit is needed, such as 90s, 30m, 1h or 7d".to_owned();
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let (unit, length) = match rest.as_bytes()[digits..] {
            [b'm', b's', ..] => (1, 2),
            [b's', ..] => (1000, 1),
            [b'm', ..] => (60_000, 1),
            [b'h', ..] => (3_600_000, 1),
            [b'd', ..] => (86_400_000, 1),
            _ => return Err(wrong()),
        };
        millis = number.checked_mul(unit).and_then(|part| millis.checked_add(part)).ok_or_else(wrong)?;
        rest = &rest[digits + length..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(millis)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_duration_is_a_number_with_its_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800), ("1h30m", 5400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("1s500ms"), Ok(Duration::from_millis(1500)));
        for text in ["", "1", "h", "1 h", "1w", "-1h", "99999999999999999999s", "9999999999999999999d", "1h5"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_duration_panic(text in "[0-9smhdä]{0,24}") {
            let _ = duration(&text);
        }
    }
}
