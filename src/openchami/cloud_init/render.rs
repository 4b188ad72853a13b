//! Renders a group's file as cloud-init on the node would: Jinja, where the first line says so, with the node's
//! meta-data. For administrators who want to see the result; nothing that is served is rendered.

use std::fmt::Write as _;

use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, ErrorKind, Output, UndefinedBehavior, syntax::SyntaxConfig};
use serde_json::{Map, Value as Json, json};

/// What becomes of a file on the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rendered {
    /// A template, filled in.
    Template(String),
    /// No template: taken as it is.
    AsItIs(String),
}

/// Why a template cannot be filled in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct NotRendered {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Renders `content` for the node whose meta-data is `meta_data`.
///
/// Where cloud-init would print the name of a variable that is not there and go on, this is an error: it is what
/// one looks for.
pub fn render(content: &str, meta_data: &Json) -> Result<Rendered, NotRendered> {
    let Some(template) = template(content) else { return Ok(Rendered::AsItIs(content.to_owned())) };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .map_err(|error| not(&error, template))?,
    );
    environment.set_formatter(|out, _, value| as_python(out, value));
    // A template that goes round in circles must not keep the program.
    environment.set_recursion_limit(64);
    let rendered =
        environment.render_named_str("group", template, Value::from(Serde(instance_data(meta_data))));
    rendered.map(Rendered::Template).map_err(|error| not(&error, template))
}

fn not(error: &minijinja::Error, template: &str) -> NotRendered {
    let mut message = error.kind().to_string();
    if let Some(detail) = error.detail() {
        message = format!("{message}: {detail}");
    } else if let Some(expression) = error.range().and_then(|range| template.get(range)) {
        message = format!("{message}: {}", crate::config::diagnostic::quoted(expression));
    }
    // The line that says that it is a template counts, too.
    NotRendered { line: error.line().unwrap_or(1) + 1, message }
}

/// The template without the line that says that it is one.
fn template(content: &str) -> Option<&str> {
    let (first, rest) = content.split_once('\n').unwrap_or((content, ""));
    let kind = first.strip_prefix("##")?.trim_start();
    let kind = kind.get(..9).filter(|word| word.eq_ignore_ascii_case("template:")).map(|_| &kind[9..])?;
    kind.trim().eq_ignore_ascii_case("jinja").then_some(rest)
}

/// The variables that cloud-init gives a template, as far as they do not depend on the machine.
fn instance_data(meta_data: &Json) -> Json {
    let text = |key: &str| meta_data.get(key).cloned().unwrap_or(Json::Null);
    let standard = json!({
        "availability_zone": null,
        "cloud_id": "nocloud",
        "cloud_name": "unknown",
        "instance_id": text("instance-id"),
        "local_hostname": text("local-hostname"),
        "platform": "nocloud",
        "public_ssh_keys": [],
        "region": null,
    });
    let all = json!({"ds": {"meta_data": meta_data}, "v1": standard});
    match all {
        Json::Object(members) => Json::Object(with_aliases(&members)),
        other => other,
    }
}

/// As cloud-init prepares them: `a-b` can also be written `a_b`, and what is in `v1` also without it.
fn with_aliases(members: &Map<String, Json>) -> Map<String, Json> {
    let mut all = Map::new();
    for (key, value) in members {
        let value = match value {
            Json::Object(inner) => {
                let inner = with_aliases(inner);
                if is_version(key) {
                    all.extend(inner.clone());
                }
                Json::Object(inner)
            }
            other => other.clone(),
        };
        let alias = key.replace(['-', '.'], "_");
        if alias != *key {
            all.insert(alias, value.clone());
        }
        all.insert(key.clone(), value);
    }
    all
}

fn is_version(key: &str) -> bool {
    key.strip_prefix('v')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Prints a value as Python does, for which `['a', True]` is the text of a list.
fn as_python(out: &mut Output<'_>, value: &Value) -> Result<(), minijinja::Error> {
    let text = match value.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let mut text = String::new();
            python(&mut text, value, 0)?;
            text
        }
    };
    out.write_str(&text).map_err(minijinja::Error::from)
}

fn python(text: &mut String, value: &Value, depth: usize) -> Result<(), minijinja::Error> {
    if depth > 32 {
        return Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "the value is nested too deeply to be printed",
        ));
    }
    match value.kind() {
        ValueKind::None => text.push_str("None"),
        ValueKind::Bool => text.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::String => quoted(text, value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            text.push('[');
            for (at, item) in value.try_iter()?.enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                python(text, &item, depth + 1)?;
            }
            text.push(']');
        }
        ValueKind::Map => {
            text.push('{');
            for (at, key) in value.try_iter()?.enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                python(text, &key, depth + 1)?;
                text.push_str(": ");
                python(text, &value.get_item(&key)?, depth + 1)?;
            }
            text.push('}');
        }
        _ => text.push_str(&value.to_string()),
    }
    Ok(())
}

/// Python's `repr` of a text.
fn quoted(text: &mut String, string: &str) {
    let quote = if string.contains('\'') && !string.contains('"') { '"' } else { '\'' };
    text.push(quote);
    for c in string.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' => text.push_str("\\\\"),
            c if c == quote => text.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a String does not fail.
                let _ = write!(text, "\\x{:02x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meta_data() -> Json {
        json!({
            "instance-id": "i-00000001", "local-hostname": "de01",
            "instance_data": {"v1": {"public_keys": ["ssh-ed25519 AAAA u@h"],
                "vendor_data": {"groups": {"compute": {"Description": "it's", "zone-a": true}}}}},
        })
    }

    fn filled(content: &str) -> String {
        match render(content, &meta_data()) {
            Ok(Rendered::Template(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_tutorials_template_gets_its_keys() {
        let text =
            "## template: jinja\n#cloud-config\nkeys: {{ ds.meta_data.instance_data.v1.public_keys }}\n";
        assert_eq!(filled(text), "#cloud-config\nkeys: ['ssh-ed25519 AAAA u@h']\n");
    }

    #[test]
    fn names_are_found_under_their_aliases() {
        let text = "## template: jinja\n{{ v1.local_hostname }} {{ instance_id }} {{ ds.meta_data.local_hostname }} \
                    {{ ds.meta_data.instance_data.vendor_data.groups.compute }}";
        let groups = "{'Description': \"it's\", 'zone-a': True, 'zone_a': True}";
        assert_eq!(filled(text), format!("de01 i-00000001 de01 {groups}"));
        let text = "## template:jinja\n{% if v1.region %}a{% else %}{{ v1.region }}{% endif %}\n{{ nope | default('d') }}";
        assert_eq!(filled(text), "None{{ d }}".replace("{{ d }}", "d"));
    }

    #[test]
    fn what_is_no_template_is_taken_as_it_is() {
        for text in ["#cloud-config\n{{ x }}\n", "", "## template: mako\nx", "#\n## template: jinja\n"] {
            assert_eq!(render(text, &meta_data()), Ok(Rendered::AsItIs(text.to_owned())));
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let line =
            |text: &str| render(&format!("## template: jinja\n{text}"), &meta_data()).unwrap_err().line;
        assert_eq!(line("a\n{{ v1.nope }}\n"), 3);
        assert_eq!(line("{% if %}\n"), 2);
    }

    proptest! {
        #[test]
        fn any_content_is_rendered_or_refused(text in "([{}%#a-z. |()\\[\\]'0-9-]{0,3}|\\{\\{|\\}\\}|\\{%|%\\}|if|for x in|v1|\n){0,20}") {
            let _ = render(&format!("## template: jinja\n{text}"), &meta_data());
        }
    }
}
