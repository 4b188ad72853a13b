//! The three forms in which a client says what of a document shall change: merge patch (RFC 7386), JSON patch
//! (RFC 6902), and the shorthand of these services, an object whose keys are paths with dots.
//!
//! Two liberties beside RFC 6902, because the command line sends what it was told without looking at the
//! document first: removing what is not there is done already, and a list that is not there is an empty one.

use serde_json::{Map, Value};

/// Nesting of a patched document. Specs have three levels; deeper ones would exhaust the stack of who reads them.
const DEPTH_MAX: usize = 32;
/// Values that the copies of one patch may make: a copy of a list into itself doubles it.
const COPIED_MAX: usize = 10_000;

/// Why a patch cannot be applied.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatchError {
    /// The document is no patch of its form.
    #[error("this is no {form}: {why}")]
    Form {
        /// Name of the form.
        form: &'static str,
        /// What is wrong.
        why: String,
    },
    /// An operation that does not fit the document.
    #[error("operation {at} ({op} {path}) does not apply: {why}")]
    Operation {
        /// Place in the list, from 1.
        at: usize,
        /// `add`, `remove`, …
        op: String,
        /// Its path.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// The forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
    /// `{"interface.ip": "10.0.0.1", "description": null}`
    Shorthand,
}

impl Form {
    /// The form that a Content-Type names; whatever is neither of the others is a merge patch.
    pub fn of(content_type: Option<&str>) -> Self {
        let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json-patch+json") {
            Self::Json
        } else if kind.eq_ignore_ascii_case("application/shorthand-patch+json") {
            Self::Shorthand
        } else {
            Self::Merge
        }
    }
}

/// Applies `patch` to `document`. After an error the document is as far changed as the patch went.
pub fn apply(form: Form, document: &mut Value, patch: Value) -> Result<(), PatchError> {
    match form {
        Form::Merge => match unwrapped(patch) {
            patch @ Value::Object(_) => {
                merge(document, patch);
                Ok(())
            }
            _ => Err(no("merge patch", "it needs to be an object".to_owned())),
        },
        Form::Shorthand => match patch {
            Value::Object(changes) => {
                for (path, value) in changes {
                    if path.split('.').count() > DEPTH_MAX {
                        return Err(no("shorthand patch", format!("a path has more than {DEPTH_MAX} keys")));
                    }
                    let nest = |value, key: &str| Value::Object(Map::from_iter([(key.to_owned(), value)]));
                    merge(document, path.split('.').rev().fold(value, nest));
                }
                Ok(())
            }
            _ => Err(no("shorthand patch", "it needs to be an object".to_owned())),
        },
        Form::Json => operations(document, patch),
    }
}

fn no(form: &'static str, why: String) -> PatchError {
    PatchError::Form { form, why }
}

/// A patch is for the spec alone; some clients wrap it the way the whole object is.
fn unwrapped(patch: Value) -> Value {
    match patch {
        Value::Object(mut members) if members.get("spec").is_some_and(Value::is_object) => {
            members.remove("spec").unwrap_or_default()
        }
        other => other,
    }
}

/// RFC 7386, 2.
fn merge(document: &mut Value, patch: Value) {
    let Value::Object(changes) = patch else {
        *document = patch;
        return;
    };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let Value::Object(members) = document else { return };
    for (key, change) in changes {
        match change {
            Value::Null => drop(members.shift_remove(&key)),
            change => merge(members.entry(key).or_insert(Value::Null), change),
        }
    }
}

fn operations(document: &mut Value, patch: Value) -> Result<(), PatchError> {
    let Value::Array(list) = patch else {
        return Err(no("JSON patch", "it needs to be a list of operations".to_owned()));
    };
    let mut copies = COPIED_MAX;
    for (index, operation) in list.into_iter().enumerate() {
        let at = index + 1;
        let Value::Object(mut operation) = operation else {
            return Err(no("JSON patch", format!("operation {at} is no object")));
        };
        let text = |key: &str| operation.get(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(op), Some(path)) = (text("op"), text("path")) else {
            return Err(no("JSON patch", format!("operation {at} lacks \"op\" or \"path\"")));
        };
        let from = text("from");
        let value = operation.shift_remove("value");
        let lacks = |what: &str| no("JSON patch", format!("operation {at} ({op} {path}) lacks \"{what}\""));
        let outcome = match op.as_str() {
            "add" => add(document, &path, value.ok_or_else(|| lacks("value"))?),
            "replace" => replace(document, &path, value.ok_or_else(|| lacks("value"))?),
            "remove" => remove(document, &path).map(drop),
            "test" => {
                let value = value.ok_or_else(|| lacks("value"))?;
                pointer(&path)
                    .map(|_| document.pointer(&path) == Some(&value))
                    .and_then(|equal| if equal { Ok(()) } else { Err("the value there is another one") })
            }
            "copy" | "move" => {
                let from = from.ok_or_else(|| lacks("from"))?;
                let budget = if op == "move" { None } else { Some(&mut copies) };
                transfer(document, &from, &path, budget)
            }
            _ => Err("there is no such operation"),
        };
        outcome.map_err(|why| PatchError::Operation { at, op: op.clone(), path: path.clone(), why })?;
    }
    Ok(())
}

const ABSENT: &str = "there is nothing at this path";
const DEEP: &str = "the document would be nested too deeply";

/// The keys of a pointer (RFC 6901): the last one, and those before it.
fn pointer(path: &str) -> Result<Option<(Vec<String>, String)>, &'static str> {
    if path.is_empty() {
        return Ok(None);
    }
    let Some(rest) = path.strip_prefix('/') else { return Err("a path begins with '/'") };
    let mut keys: Vec<String> =
        rest.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let last = keys.pop().unwrap_or_default();
    Ok(Some((keys, last)))
}

/// What holds the last key of a path.
fn holder<'d>(document: &'d mut Value, keys: &[String]) -> Option<&'d mut Value> {
    keys.iter().try_fold(document, |value, key| match value {
        Value::Object(members) => members.get_mut(key),
        Value::Array(items) => items.get_mut(place(key)?),
        _ => None,
    })
}

/// An index of a list; no sign, no leading zeros.
fn place(key: &str) -> Option<usize> {
    let plain = key.bytes().all(|byte| byte.is_ascii_digit()) && (key == "0" || !key.starts_with('0'));
    if plain { key.parse().ok() } else { None }
}

/// Levels of a value: 1 for a text.
fn depth(value: &Value) -> usize {
    1 + match value {
        Value::Object(members) => members.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Values in a value, itself counted.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Object(members) => members.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), &'static str> {
    if path.split('/').count() + depth(&value) > DEPTH_MAX {
        return Err(DEEP);
    }
    let Some((keys, last)) = pointer(path)? else {
        *document = value;
        return Ok(());
    };
    if last == "-"
        && let Some((list, above)) = keys.split_last()
        && let Some(Value::Object(members)) = holder(document, above)
    {
        // The list may be left out while it is empty.
        members.entry(list.clone()).or_insert_with(|| Value::Array(Vec::new()));
    }
    match holder(document, &keys) {
        Some(Value::Object(members)) => drop(members.insert(last, value)),
        Some(Value::Array(items)) if last == "-" => items.push(value),
        Some(Value::Array(items)) => match place(&last).filter(|at| *at <= items.len()) {
            Some(at) => items.insert(at, value),
            None => return Err("the list is not that long"),
        },
        _ => return Err(ABSENT),
    }
    Ok(())
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), &'static str> {
    pointer(path)?;
    if path.split('/').count() + depth(&value) > DEPTH_MAX {
        return Err(DEEP);
    }
    *document.pointer_mut(path).ok_or(ABSENT)? = value;
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Option<Value>, &'static str> {
    let Some((keys, last)) = pointer(path)? else { return Ok(Some(document.take())) };
    Ok(match holder(document, &keys) {
        Some(Value::Object(members)) => members.shift_remove(&last),
        Some(Value::Array(items)) => place(&last).filter(|at| *at < items.len()).map(|at| items.remove(at)),
        _ => None,
    })
}

/// Moves a value, or copies it while `copies` lasts.
fn transfer(
    document: &mut Value,
    from: &str,
    path: &str,
    copies: Option<&mut usize>,
) -> Result<(), &'static str> {
    pointer(from)?;
    let value = match copies {
        None if path.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) => {
            return Err("a value cannot be moved into itself");
        }
        None => remove(document, from)?,
        Some(copies) => {
            let found = document.pointer(from);
            let size = found.map_or(0, count);
            *copies = copies.checked_sub(size).ok_or("the patch copies too much")?;
            found.cloned()
        }
    };
    add(document, path, value.ok_or("there is nothing at the path of \"from\"")?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn patched(form: Form, document: Value, patch: Value) -> Result<Value, PatchError> {
        let mut document = document;
        apply(form, &mut document, patch).map(|()| document)
    }

    #[test]
    fn the_content_type_names_the_form_and_merge_patch_is_the_rest() {
        assert_eq!(Form::of(Some("application/json-patch+json; charset=utf-8")), Form::Json);
        assert_eq!(Form::of(Some("Application/Shorthand-Patch+JSON")), Form::Shorthand);
        for other in [None, Some(""), Some("application/json"), Some("application/merge-patch+json")] {
            assert_eq!(Form::of(other), Form::Merge);
        }
    }

    /// The examples of RFC 7386, appendix A, that begin with an object.
    #[test]
    fn merge_patch_does_what_its_rfc_shows() {
        let rows = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (document, patch, expected) in rows {
            assert_eq!(patched(Form::Merge, document, patch.clone()), Ok(expected), "{patch}");
        }
        assert!(patched(Form::Merge, json!({}), json!(["a"])).is_err());
    }

    #[test]
    fn a_wrapped_merge_patch_is_taken_for_its_spec() {
        let patch = json!({"spec": {"params": "quiet"}, "kind": "BootConfiguration"});
        let document = json!({"params": "ro", "kernel": "/k"});
        assert_eq!(patched(Form::Merge, document, patch), Ok(json!({"params": "quiet", "kernel": "/k"})));
    }

    /// The examples of RFC 6902, appendix A.
    #[test]
    fn json_patch_does_what_its_rfc_shows() {
        let one = |op: Value| json!([op]);
        let rows = [
            (
                json!({"foo": "bar"}),
                one(json!({"op": "add", "path": "/baz", "value": "q"})),
                json!({"foo": "bar", "baz": "q"}),
            ),
            (
                json!({"foo": [1, 3]}),
                one(json!({"op": "add", "path": "/foo/1", "value": 2})),
                json!({"foo": [1, 2, 3]}),
            ),
            (json!({"baz": 1, "foo": 2}), one(json!({"op": "remove", "path": "/baz"})), json!({"foo": 2})),
            (
                json!({"foo": [1, 2, 3]}),
                one(json!({"op": "remove", "path": "/foo/1"})),
                json!({"foo": [1, 3]}),
            ),
            (
                json!({"baz": 1}),
                one(json!({"op": "replace", "path": "/baz", "value": "b"})),
                json!({"baz": "b"}),
            ),
            (
                json!({"foo": {"waldo": "f"}, "qux": {}}),
                one(json!({"op": "move", "from": "/foo/waldo", "path": "/qux/thud"})),
                json!({"foo": {}, "qux": {"thud": "f"}}),
            ),
            (
                json!({"foo": [1, 2, 3]}),
                one(json!({"op": "move", "from": "/foo/0", "path": "/foo/2"})),
                json!({"foo": [2, 3, 1]}),
            ),
            (
                json!({"a": 1}),
                one(json!({"op": "copy", "from": "/a", "path": "/b"})),
                json!({"a": 1, "b": 1}),
            ),
            (
                json!({"/": 9, "~1": 10}),
                one(json!({"op": "test", "path": "/~01", "value": 10})),
                json!({"/": 9, "~1": 10}),
            ),
            (
                json!({"foo": ["b"]}),
                one(json!({"op": "add", "path": "/foo/-", "value": ["a"]})),
                json!({"foo": ["b", ["a"]]}),
            ),
        ];
        for (document, patch, expected) in rows {
            assert_eq!(patched(Form::Json, document, patch.clone()), Ok(expected), "{patch}");
        }
    }

    #[test]
    fn what_the_command_line_sends_blindly_is_done() {
        let patch = json!([
            {"op": "add", "path": "/params", "value": "p4"},
            {"op": "remove", "path": "/initrd"},
            {"op": "add", "path": "/hosts/-", "value": "x1000c0s0b0n0"},
        ]);
        let expected = json!({"kernel": "/k", "params": "p4", "hosts": ["x1000c0s0b0n0"]});
        assert_eq!(patched(Form::Json, json!({"kernel": "/k"}), patch), Ok(expected));
    }

    #[test]
    fn an_operation_that_does_not_apply_is_named() {
        let of = |op: Value| {
            patched(Form::Json, json!({"a": [1], "b": "x"}), json!([op])).unwrap_err().to_string()
        };
        let replaced = of(json!({"op": "replace", "path": "/params", "value": "p"}));
        assert_eq!(replaced, "operation 1 (replace /params) does not apply: there is nothing at this path");
        assert!(of(json!({"op": "test", "path": "/b", "value": "y"})).contains("another one"));
        assert!(of(json!({"op": "add", "path": "/a/7", "value": 1})).contains("not that long"));
        assert!(of(json!({"op": "add", "path": "/b/c", "value": 1})).contains("nothing at this path"));
        assert!(of(json!({"op": "move", "from": "/a", "path": "/a/0"})).contains("into itself"));
        assert!(of(json!({"op": "copy", "from": "/q", "path": "/a"})).contains("\"from\""));
        assert!(of(json!({"op": "turn", "path": "/a"})).contains("no such operation"));
        assert!(of(json!({"op": "add", "path": "a", "value": 1})).contains("begins with '/'"));
        assert!(of(json!({"op": "add", "path": "/a"})).contains("lacks \"value\""));
        assert!(of(json!({"path": "/a"})).contains("lacks \"op\""));
        assert!(patched(Form::Json, json!({}), json!({"params": 1})).is_err());
    }

    #[test]
    fn shorthand_paths_have_dots() {
        let document = json!({"interface": {"mac": "m", "ip": "i"}, "description": "d"});
        let patch = json!({"interface.ip": "j", "description": null, "x.y": 1});
        let expected = json!({"interface": {"mac": "m", "ip": "j"}, "x": {"y": 1}});
        assert_eq!(patched(Form::Shorthand, document, patch), Ok(expected));
    }

    #[test]
    fn a_patch_cannot_grow_a_document_without_bound() {
        let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let copies = Value::Array(vec![double; 60]);
        let error = patched(Form::Json, json!({"a": [1]}), copies).unwrap_err().to_string();
        assert!(error.contains("too deeply") || error.contains("copies too much"), "{error}");
        let wide = json!({"op": "copy", "from": "/a", "path": "/b/-"});
        let wide = Value::Array(vec![wide; 200]);
        let error = patched(Form::Json, json!({"a": vec![0; 100], "b": []}), wide).unwrap_err().to_string();
        assert!(error.contains("copies too much"), "{error}");
        let deeper = |n| vec![json!({"op": "add", "path": "/a".repeat(n), "value": {}})];
        let nested: Vec<Value> = (1..100).flat_map(deeper).collect();
        let error = patched(Form::Json, json!({}), nested.into()).unwrap_err().to_string();
        assert!(error.contains("too deeply"), "{error}");
        let dots = json!({".".repeat(100_000): 1});
        assert!(patched(Form::Shorthand, json!({}), dots).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i8>().prop_map(Value::from),
            "[a-c/~]{0,3}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::vec(("[a-c-]{1,2}", inner), 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_patch_is_applied_or_refused(
            document in any_json(),
            patch in any_json(),
            ops in proptest::collection::vec(("add|remove|replace|move|copy|test|x", "(/[a-c0-2~-]{0,2}){0,3}|a", "(/[a-c]){0,2}", any_json()), 0..4),
        ) {
            for form in [Form::Merge, Form::Json, Form::Shorthand] {
                let _ = patched(form, document.clone(), patch.clone());
            }
            let list: Vec<Value> = ops
                .into_iter()
                .map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
                .collect();
            let _ = patched(Form::Json, document, list.into());
        }
    }
}
