//! One way to read JSON for all services, the way their clients are used to: keys match without case, unknown
//! ones are ignored, of equal ones the last counts, `null` is absent.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// How keys are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys {
    /// Also without `_` and `-`: some clients spell `ethernet_interfaces` as `ethernetinterfaces`.
    pub loose: bool,
    /// Members (lower case) whose values are free: their own keys are kept as they are, and their nulls.
    pub free: &'static [&'static str],
}

/// The text is no JSON, or not of the form that is expected.
#[derive(Debug, thiserror::Error)]
#[error("error decoding JSON {0}")]
pub struct BadJson(String);

/// Reads a body into `T`, whose field names must be lower case (and without `_` and `-` where keys are loose).
pub fn read<T: DeserializeOwned>(body: &[u8], keys: Keys) -> Result<T, BadJson> {
    let value: Value = serde_json::from_slice(body).map_err(|error| BadJson(error.to_string()))?;
    form(value, keys)
}

/// The same where only an object will do: a list of values would otherwise be taken for its members in order.
pub fn object<T: DeserializeOwned>(body: &[u8], keys: Keys) -> Result<T, BadJson> {
    let value: Value = serde_json::from_slice(body).map_err(|error| BadJson(error.to_string()))?;
    match value {
        Value::Object(_) => form(value, keys),
        _ => Err(BadJson("an object is needed".to_owned())),
    }
}

/// The same for a value that was read already.
pub fn form<T: DeserializeOwned>(value: Value, keys: Keys) -> Result<T, BadJson> {
    serde_json::from_value(folded(value, keys)).map_err(|error| BadJson(error.to_string()))
}

/// The name of a member as [`read`] gives it.
fn name(key: &str, keys: Keys) -> String {
    let lower = key.to_lowercase();
    if keys.loose { lower.replace(['_', '-'], "") } else { lower }
}

/// Keys in lower case, nulls left out.
fn folded(value: Value, keys: Keys) -> Value {
    match value {
        Value::Object(members) => {
            let mut out = Map::with_capacity(members.len());
            for (key, value) in members {
                let name = name(&key, keys);
                let free = keys.free.contains(&name.as_str());
                let value = if free { value } else { folded(value, keys) };
                if value.is_null() && !free {
                    out.remove(&name);
                } else {
                    out.insert(name, value);
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| folded(item, keys)).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, PartialEq, Debug)]
    struct Body {
        id: String,
        #[serde(default)]
        nid: Option<i64>,
        #[serde(rename = "metadata", default)]
        free: Map<String, Value>,
    }

    #[test]
    fn keys_match_without_case_and_the_last_of_equal_ones_counts() {
        let keys = Keys { loose: true, free: &["metadata"] };
        let body = br#"{"ID":"a","Id":"b","NID":null,"junk":[1],"meta_data":{"Keep":{"A":null}}}"#;
        let read: Body = read(body, keys).unwrap();
        assert_eq!((read.id.as_str(), read.nid), ("b", None));
        assert_eq!(Value::Object(read.free), serde_json::json!({"Keep": {"A": null}}));
    }

    #[test]
    fn what_is_no_json_or_of_another_form_says_so() {
        for body in ["{", "[]", "{\"id\":1}", "", "{}"] {
            let error = read::<Body>(body.as_bytes(), Keys::default()).unwrap_err();
            assert!(error.to_string().starts_with("error decoding JSON "), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read::<Body>(&body, Keys::default());
        }
    }
}
