//! `menu:` of bootlace.yaml: a PXE boot menu, shown by the ROM itself with `option_43: menu` [X6].

use super::diagnostic::{Code, quoted};
use super::table::{KeyPath, Table, Unknown};
use super::values;

/// Keys of `menu:`.
pub const MENU_KEYS: [&str; 3] = ["prompt", "timeout", "items"];
/// Keys of an item of `items:`.
pub const ITEM_KEYS: [&str; 4] = ["type", "text", "loader", "local"];
/// First boot server type where none is said: from 0x8000 on they are the vendor's (PXE 2.1 section 2.2).
const FIRST_TYPE: u16 = 0x8000;
/// What option 43 holds; ROMs cannot join pieces [P4].
const SPACE: usize = 255;

/// A menu that the firmware shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Menu {
    /// Text of the prompt.
    pub prompt: String,
    /// Seconds until the first item is taken; 0: at once and silently, 255: the menu is shown at once.
    pub timeout: u8,
    /// What can be chosen.
    pub items: Vec<MenuItem>,
}

/// One line of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuItem {
    /// Boot server type: the number that names the item on the wire. 0 is the local disk.
    pub kind: u16,
    /// Text shown.
    pub text: String,
    /// First file; `None` for the local disk.
    pub loader: Option<String>,
}

impl Menu {
    /// Bytes that the menu takes in option 43: control, servers, lines, prompt, end.
    fn length(&self) -> usize {
        let served = self.items.iter().filter(|item| item.loader.is_some()).count();
        let lines: usize = self.items.iter().map(|item| 3 + item.text.len()).sum();
        3 + (2 + 7 * served) + (2 + lines) + (3 + self.prompt.len()) + 1
    }

    /// The item of this boot server type.
    pub fn item(&self, kind: u16) -> Option<&MenuItem> {
        self.items.iter().find(|item| item.kind == kind)
    }
}

/// The mapping `menu:` of a mapping.
pub(super) fn menu(table: &mut Table<'_, '_>) -> Option<Menu> {
    let value = table.value("menu")?;
    let path = KeyPath::Key(table.path(), "menu");
    let mut inner = table.open_child(value, &path)?;
    inner.unknown_keys(&MENU_KEYS, Unknown::Refuse);
    let mut menu = Menu {
        prompt: inner.text("prompt").map(|text| text.value.to_owned()).unwrap_or_default(),
        timeout: inner.integer("timeout", 0..=255).map_or(10, |seconds| seconds.value as u8),
        items: Vec::new(),
    };
    let items_path = KeyPath::Key(&path, "items");
    for (index, item) in inner.list("items").iter().enumerate() {
        let path = KeyPath::Item(&items_path, index);
        let Some(mut line) = inner.open_child(item, &path) else { continue };
        if let Some(read) = menu_item(&mut line, index) {
            if menu.item(read.kind).is_some() {
                let message = format!("two items of the menu have the type {}", read.kind);
                let span = line.span;
                line.error(Code::WrongValue, span, "type", message);
            } else {
                menu.items.push(read);
            }
        }
    }
    if menu.items.is_empty() {
        let span = inner.span;
        inner.error(Code::MissingKey, span, "items", "a menu needs something to choose").advise(
            "write items: [{text: Install, loader: snponly-x86_64.efi}, {text: Local disk, local: true}]",
        );
        return None;
    }
    let length = menu.length();
    if length > SPACE {
        let message = format!("the menu takes {length} bytes, option 43 holds {SPACE}");
        let span = inner.span;
        inner.error(Code::WrongValue, span, "items", message).advise("shorten its texts");
        return None;
    }
    Some(menu)
}

fn menu_item(table: &mut Table<'_, '_>, index: usize) -> Option<MenuItem> {
    table.unknown_keys(&ITEM_KEYS, Unknown::Refuse);
    let kind = table.integer("type", 0..=65535);
    let text = table.text("text");
    let loader = values::served_name(table, "loader");
    let local = table.truth("local").unwrap_or(false);
    let span = table.span;
    let Some(text) = text else {
        table.error(Code::MissingKey, span, "text", "an item of a menu needs its text");
        return None;
    };
    if local == loader.is_some() {
        let message = format!("the item {} needs either a loader or local: true", quoted(text.value));
        table.error(Code::MissingKey, span, "loader", message);
        return None;
    }
    let default = if local { 0 } else { FIRST_TYPE.saturating_add(index as u16) };
    let number = kind.map_or(default, |kind| kind.value as u16);
    if local != (number == 0) {
        let message = "type 0 is the local disk, and nothing else is";
        table.error(Code::WrongValue, kind.map_or(span, |kind| kind.span), "type", message);
        return None;
    }
    Some(MenuItem { kind: number, text: text.value.to_owned(), loader })
}

#[cfg(test)]
mod tests {
    use crate::config::{Findings, file, source::Source, tree};

    fn read(text: &str) -> (Option<super::Menu>, Vec<String>) {
        let source = std::sync::Arc::new(Source::new("bootlace.yaml", text.to_owned()));
        let mut findings = Findings::default();
        let document = tree::parse(&source, &mut findings).unwrap();
        let written = file::interpret(&document, &mut findings);
        let problems = findings.into_list().iter().map(crate::config::Diagnostic::one_line).collect();
        (written.menu, problems)
    }

    /// [X6]
    #[test]
    fn a_menu_numbers_its_items_and_knows_the_local_disk() {
        let text = "menu: {prompt: F8, items: [{text: iPXE, loader: ipxe.efi}, {text: Disk, local: true}]}\n";
        let (menu, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        let menu = menu.unwrap();
        assert_eq!((menu.timeout, menu.prompt.as_str()), (10, "F8"));
        assert_eq!(menu.items.iter().map(|item| item.kind).collect::<Vec<_>>(), [0x8000, 0]);
    }

    /// [P4]: what does not fit into one option 43 is refused at the desk, not lost on the wire.
    #[test]
    fn a_menu_that_the_wire_cannot_carry_is_an_error() {
        let long = "x".repeat(240);
        for (text, expected) in [
            (format!("menu: {{items: [{{text: {long}, loader: a}}]}}\n"), "option 43 holds 255"),
            ("menu: {items: []}\n".to_owned(), "something to choose"),
            ("menu: {items: [{text: a}]}\n".to_owned(), "either a loader or local"),
            ("menu: {items: [{text: a, loader: a, type: 0}]}\n".to_owned(), "type 0 is the local disk"),
            (
                "menu: {items: [{text: a, loader: a, type: 9}, {text: b, loader: b, type: 9}]}\n".to_owned(),
                "two items",
            ),
        ] {
            let (menu, problems) = read(&text);
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{text}: {problems:?}");
            assert!(menu.is_none() || menu.is_some_and(|menu| menu.items.len() == 1));
        }
    }
}
