//! `classes:` of bootlace.yaml: wire knobs for a kind of client, known by its architecture (93), the beginning
//! of its vendor class (60) or the vendor prefix of its card.

use crate::client::Arch;
use crate::records::Mac;

use super::diagnostic::Code;
use super::settings::Knobs;
use super::table::{KeyPath, Table, Unknown};
use super::values::{self, KNOB_KEYS};

/// Keys of an item of `classes:` besides the wire knobs.
pub const CLASS_KEYS: [&str; 1] = ["match"];
/// Keys of `match:`.
pub const MATCH_KEYS: [&str; 3] = ["arch", "vendor_class", "oui"];

/// Wire knobs of one kind of client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassSettings {
    /// Option 93; empty: any.
    pub archs: Vec<Arch>,
    /// Beginnings of option 60; empty: any.
    pub vendor_classes: Vec<String>,
    /// First three bytes of the card's address; empty: any.
    pub ouis: Vec<[u8; 3]>,
    /// What holds for it.
    pub knobs: Knobs,
}

impl ClassSettings {
    /// True when everything that `match` states holds, each of it by one of its values. What is not known of a
    /// client matches nothing.
    pub fn matches(&self, archs: &[Arch], vendor_class: Option<&[u8]>, mac: Option<Mac>) -> bool {
        let arch = self.archs.is_empty() || archs.iter().any(|arch| self.archs.contains(arch));
        let begins = |class: &[u8]| self.vendor_classes.iter().any(|own| class.starts_with(own.as_bytes()));
        let class = self.vendor_classes.is_empty() || vendor_class.is_some_and(begins);
        let vendor = |mac: Mac| {
            let [a, b, c, ..] = mac.bytes();
            self.ouis.contains(&[a, b, c])
        };
        arch && class && (self.ouis.is_empty() || mac.is_some_and(vendor))
    }
}

/// The list `classes:` of a mapping.
pub(super) fn classes(table: &mut Table<'_, '_>) -> Vec<ClassSettings> {
    let path = KeyPath::Key(table.path(), "classes");
    let mut classes = Vec::new();
    for (index, item) in table.list("classes").iter().enumerate() {
        let path = KeyPath::Item(&path, index);
        let Some(mut inner) = table.open_child(item, &path) else { continue };
        inner.unknown_keys(&[&CLASS_KEYS[..], &KNOB_KEYS[..]].concat(), Unknown::Refuse);
        let knobs = values::knobs(&mut inner);
        let (value, span, path) = (inner.value("match"), inner.span, KeyPath::Key(&path, "match"));
        let matching = value.and_then(|value| inner.open_child(value, &path));
        let Some(mut matching) = matching else {
            if value.is_none() {
                let message = "a class needs to say whom it matches";
                inner
                    .error(Code::MissingKey, span, "match", message)
                    .advise("write match: {arch: 0}, {vendor_class: PXEClient} or {oui: '52:54:00'}");
            }
            continue;
        };
        matching.unknown_keys(&MATCH_KEYS, Unknown::Refuse);
        let class = ClassSettings { knobs, ..matched(&mut matching) };
        if MATCH_KEYS.iter().all(|key| matching.absent(key)) {
            let span = matching.span;
            matching
                .error(
                    Code::MissingKey,
                    span,
                    "arch",
                    "a class that states nothing matches nobody in particular",
                )
                .advise("knobs for everybody stand at the top level");
        }
        classes.push(class);
    }
    classes
}

fn matched(table: &mut Table<'_, '_>) -> ClassSettings {
    let items = table.one_or_more("arch");
    let archs = table.texts("arch", items);
    let archs = archs.into_iter().filter_map(|text| Some(table.parsed_text("arch", text)?.value)).collect();
    let items = table.one_or_more("vendor_class");
    let vendor_classes =
        table.texts("vendor_class", items).into_iter().map(|text| text.value.to_owned()).collect();
    let items = table.one_or_more("oui");
    let mut ouis = Vec::new();
    for text in table.texts("oui", items) {
        match oui(text.value) {
            Some(oui) => ouis.push(oui),
            None => {
                let message = format!("'{}' is no vendor prefix", text.value);
                table
                    .error(Code::WrongValue, text.span, "oui", message)
                    .advise("write the first three bytes of the card's address, as in '52:54:00'");
            }
        }
    }
    ClassSettings { archs, vendor_classes, ouis, knobs: Knobs::default() }
}

/// `52:54:00`, `52-54-00` or `525400`.
fn oui(text: &str) -> Option<[u8; 3]> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let [_, bytes @ ..] = u32::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_matches_when_each_stated_kind_does_by_one_of_its_values() {
        let class = ClassSettings {
            archs: vec![Arch(0), Arch(7)],
            vendor_classes: vec!["PXEClient".into()],
            ouis: vec![[0x52, 0x54, 0]],
            knobs: Knobs::default(),
        };
        let mac = |first| Mac::new([first, 0x54, 0, 1, 2, 3]).ok();
        let pxe: Option<&[u8]> = Some(b"PXEClient:Arch:00007");
        assert!(class.matches(&[Arch(7)], pxe, mac(0x52)));
        assert!(!class.matches(&[Arch(11)], pxe, mac(0x52)));
        assert!(!class.matches(&[Arch(7)], Some(b"HTTPClient"), mac(0x52)));
        assert!(!class.matches(&[Arch(7)], pxe, mac(0x56)));
        assert!(!class.matches(&[], None, None), "the unknown matches nothing");
    }

    #[test]
    fn a_vendor_prefix_is_three_bytes() {
        for text in ["52:54:00", "52-54-00", "525400"] {
            assert_eq!(oui(text), Some([0x52, 0x54, 0]), "{text}");
        }
        for text in ["", "52:54", "52:54:00:01", "gg:54:00", "+25400"] {
            assert_eq!(oui(text), None, "{text}");
        }
    }
}
