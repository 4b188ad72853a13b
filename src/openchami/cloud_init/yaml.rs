//! Writes the documents that cloud-init reads. PyYAML reads YAML 1.1, where `no`, `12:30:00` and `1_000` are no
//! texts: whatever could be taken for something else stands in double quotes.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Words that YAML 1.1 takes for truth values, nothing, or a merge.
const WORDS: [&str; 11] = ["y", "n", "yes", "no", "true", "false", "on", "off", "null", "~", "<<"];

/// A mapping as a block document, keys in their order, ending in a line break.
pub fn document(members: &Map<String, Value>) -> String {
    let mut text = String::new();
    if members.is_empty() {
        return "{}\n".to_owned();
    }
    mapping(&mut text, members, 0);
    text
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn mapping(text: &mut String, members: &Map<String, Value>, depth: usize) {
    for (key, value) in members {
        indent(text, depth);
        entry(text, key, value, depth);
    }
}

/// `key: value`, where the line is begun already.
fn entry(text: &mut String, key: &str, value: &Value, depth: usize) {
    scalar_text(text, key);
    text.push(':');
    match value {
        Value::Object(members) if !members.is_empty() => {
            text.push('\n');
            mapping(text, members, depth + 1);
        }
        // PyYAML itself writes the items of a list at the depth of its key.
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            list(text, items, depth);
        }
        other => {
            text.push(' ');
            scalar(text, other);
            text.push('\n');
        }
    }
}

fn list(text: &mut String, items: &[Value], depth: usize) {
    for item in items {
        indent(text, depth);
        text.push_str("- ");
        match item {
            Value::Object(members) if !members.is_empty() => {
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        indent(text, depth + 1);
                    }
                    entry(text, key, value, depth + 1);
                }
            }
            Value::Array(inner) if !inner.is_empty() => {
                // A list in a list: in brackets, whose content is one of JSON's forms of YAML.
                flow(text, inner);
                text.push('\n');
            }
            other => {
                scalar(text, other);
                text.push('\n');
            }
        }
    }
}

fn flow(text: &mut String, items: &[Value]) {
    text.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        flow_value(text, item);
    }
    text.push(']');
}

fn flow_value(text: &mut String, value: &Value) {
    match value {
        Value::Array(items) => flow(text, items),
        Value::Object(members) => {
            text.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                quoted(text, key);
                text.push_str(": ");
                flow_value(text, value);
            }
            text.push('}');
        }
        Value::String(string) => quoted(text, string),
        other => scalar(text, other),
    }
}

fn scalar(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number_text(&number.to_string())),
        Value::String(string) => scalar_text(text, string),
        Value::Array(_) => text.push_str("[]"),
        Value::Object(_) => text.push_str("{}"),
    }
}

/// `1e30` is a text in YAML 1.1: a number with an exponent needs a point and a sign.
fn number_text(json: &str) -> String {
    let Some((mantissa, exponent)) = json.split_once(['e', 'E']) else { return json.to_owned() };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

fn scalar_text(text: &mut String, string: &str) {
    if is_plain(string) { text.push_str(string) } else { quoted(text, string) }
}

/// Whether a text without quotes is that text for every reader of YAML.
fn is_plain(string: &str) -> bool {
    // An address has too many points for a number.
    if string.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && string.chars().all(|c| c.is_ascii_alphanumeric() || " -_./@:+=,".contains(c))
        && !string.contains(": ")
        && !string.ends_with([':', ' '])
        && !WORDS.contains(&string.to_ascii_lowercase().as_str())
}

fn quoted(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            // YAML 1.1, 5.1: what may stand in a file as it is.
            ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}'
                if c != '\u{2028}' && c != '\u{2029}' =>
            {
                text.push(c);
            }
            '\u{10000}'.. => text.push(c),
            c => {
                // Writing to a String does not fail.
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(value: Value) -> String {
        match value {
            Value::Object(members) => document(&members),
            _ => String::new(),
        }
    }

    #[test]
    fn what_yaml_would_take_for_something_else_is_quoted() {
        let text = of(json!({
            "a": "no", "b": "52:54:00:12:34:56", "c": "0001", "d": "", "e": "x: y", "f": "1.0", "g": "# x",
            "h": "a\nb", "i": "~", "j": "nid001", "k": "172.16.0.1", "l": "http://h:1/x", "m": "a #b", "n": "-",
            "on": 1, "o": 1e30, "p": "2024-01-01",
        }));
        let expected = "a: \"no\"\nb: \"52:54:00:12:34:56\"\nc: \"0001\"\nd: \"\"\ne: \"x: y\"\nf: \"1.0\"\n\
                        g: \"# x\"\nh: \"a\\nb\"\ni: \"~\"\nj: nid001\nk: 172.16.0.1\nl: http://h:1/x\n\
                        m: \"a #b\"\n\"n\": \"-\"\n\"on\": 1\no: 1.0e+30\np: \"2024-01-01\"\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn mappings_and_lists_stand_in_blocks() {
        let text =
            of(json!({"v1": {"keys": ["ssh-rsa A b@c", {"k": 1, "l": [2]}, [[], {}]], "g": {}}, "l": []}));
        let expected =
            "v1:\n  keys:\n  - ssh-rsa A b@c\n  - k: 1\n    l:\n    - 2\n  - [[], {}]\n  g: {}\nl: []\n";
        assert_eq!(text, expected);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "\\PC{0,8}|[a-z0-9:_. ~<#&*!|>'\"%@`,{}\\[\\]?-]{0,8}|(yes|no|on|null|~|=|1:2|0x1|1_0|\n|\t|a\n ?b)"
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("\\PC{0,6}|[a-z:#-]{1,3}", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_read_back_as_it_was(value in values()) {
            let mut members = Map::new();
            members.insert("value".to_owned(), value);
            let text = document(&members);
            let read: Value = serde_yaml::from_str(&text).unwrap();
            prop_assert_eq!(read, Value::Object(members), "{}", text);
        }
    }
}
