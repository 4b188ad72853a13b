//! What clients say in the bodies and queries of `/bootparameters`.

use std::collections::HashSet;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::openchami::api::Request;
use crate::openchami::api::json::{self, Keys};
use crate::openchami::xname::Location;

use super::assign::Content;
use super::identifier::Identifier;
use super::parameters::Refused;

/// Characters of a body that a refusal repeats.
const BODY_SHOWN: usize = 80;

/// A set of parameters as it is sent.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Said {
    hosts: Vec<String>,
    macs: Vec<String>,
    nids: Vec<Number>,
    params: String,
    /// Kernel; blank: not said.
    pub kernel: String,
    initrd: String,
    #[serde(rename = "cloud-init")]
    cloud_init: Value,
}

/// A node number; clients of boot-service send texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

impl Said {
    /// Reads a body. Control characters are refused everywhere: they would end a line of a boot script.
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let keys = Keys { loose: false, free: &["cloud-init"] };
        let said: Self = json::read(body, keys)
            .map_err(|error| Refused::bad(error.to_string().trim_start_matches("error decoding JSON ")))?;
        let one = [("kernel", &said.kernel), ("initrd", &said.initrd), ("params", &said.params)];
        let hosts = said.hosts.iter().map(|host| ("hosts", host));
        for (key, text) in one.into_iter().chain(hosts) {
            if text.chars().any(char::is_control) {
                return Err(Refused::bad(format!(
                    "{key} holds a control character; it needs to be one line of text"
                )));
            }
        }
        Ok(Self { cloud_init: cloud_init_said(said.cloud_init.clone()), ..said })
    }

    /// Every identifier once, in the order of the body; none at all is refused.
    pub fn identifiers(&self) -> Result<Vec<Identifier>, Refused> {
        let mut all = Vec::with_capacity(self.hosts.len() + self.macs.len() + self.nids.len());
        for text in &self.hosts {
            if text.trim().is_empty() {
                return Err(Refused::bad("an entry of hosts is empty"));
            }
            all.push(Identifier::host(text));
        }
        for text in &self.macs {
            let mac = Identifier::mac(text);
            all.push(mac.ok_or_else(|| {
                Refused::bad(format!("invalid MAC address format: {}", text.escape_debug()))
            })?);
        }
        for nid in &self.nids {
            let number = match nid {
                Number::Number(number) => Some(*number),
                Number::Text(text) => text.parse().ok(),
            };
            let fits = number.filter(|number| (0..=i64::from(i32::MAX)).contains(number));
            all.push(Identifier::Nid(
                fits.ok_or_else(|| {
                    Refused::bad("invalid nid: it needs to be a number from 0 to 2147483647")
                })?,
            ));
        }
        if all.is_empty() {
            return Err(Refused::bad(
                "no identifier: name hosts, macs or nids (hosts: [\"Default\"] is every node without its own)",
            ));
        }
        let mut seen = HashSet::with_capacity(all.len());
        all.retain(|identifier| seen.insert(identifier.clone()));
        Ok(all)
    }

    /// The same where every host needs to be the xname of a node.
    pub fn node_identifiers(&self) -> Result<Vec<Identifier>, Refused> {
        for text in &self.hosts {
            match text.parse::<Location>() {
                Ok(location) if location.is_node() => {}
                Ok(location) => return Err(Refused::bad(format!("invalid xname type: {}", location.kind()))),
                Err(_) => return Err(Refused::bad(format!("invalid xname: {}", text.escape_debug()))),
            }
        }
        self.identifiers()
    }

    /// Whether nothing is said of what to boot.
    pub fn is_blank(&self) -> bool {
        self.kernel.is_empty()
            && self.initrd.is_empty()
            && self.params.is_empty()
            && self.cloud_init.is_null()
    }

    /// What is said, over `content` where nothing is.
    pub fn over(&self, content: Content) -> Content {
        let text = |said: &String, stored| if said.is_empty() { stored } else { said.clone() };
        Content {
            kernel: text(&self.kernel, content.kernel),
            initrd: text(&self.initrd, content.initrd),
            params: text(&self.params, content.params),
            cloud_init: if self.cloud_init.is_null() { content.cloud_init } else { self.cloud_init.clone() },
        }
    }
}

/// What a GET asks for.
pub struct Asked {
    /// Identifiers that can be looked for.
    pub identifiers: Vec<Identifier>,
    /// The kinds that were named, for the message: `Hosts, MACs or NIDs`.
    pub kinds: String,
}

/// Reads the query (`name`, `mac`, `nid`: lists with commas, or repeated), else the body; `None`: everything is
/// asked for.
pub fn asked(request: &Request) -> Result<Option<Asked>, Refused> {
    let list = |name: &'static str| -> Vec<String> {
        let values = request.parameters(name).flat_map(|value| value.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    };
    let (hosts, macs, nids) = (list("name"), list("mac"), list("nid"));
    let said = if !(hosts.is_empty() && macs.is_empty() && nids.is_empty()) {
        for text in &nids {
            if text.parse::<i64>().is_err() {
                let detail = format!("Bad Request - Invalid nid '{}'", text.escape_debug());
                return Err(Refused { status: StatusCode::BAD_REQUEST, detail });
            }
        }
        Said { hosts, macs, nids: nids.into_iter().map(Number::Text).collect(), ..Said::default() }
    } else if request.body.is_empty() {
        return Ok(None);
    } else {
        Said::read(&request.body).map_err(|_| {
            let body: String = String::from_utf8_lossy(&request.body).chars().take(BODY_SHOWN).collect();
            let detail = format!("Failed to interpret request body '{}'", body.escape_debug());
            Refused { status: StatusCode::BAD_REQUEST, detail }
        })?
    };
    let named =
        [("Hosts", !said.hosts.is_empty()), ("MACs", !said.macs.is_empty()), ("NIDs", !said.nids.is_empty())];
    let named: Vec<&str> = named.into_iter().filter(|(_, named)| *named).map(|(kind, _)| kind).collect();
    let Some((last, rest)) = named.split_last() else { return Ok(None) };
    let kinds = if rest.is_empty() { (*last).to_owned() } else { format!("{} or {last}", rest.join(", ")) };
    let hosts = said.hosts.iter().map(|text| Identifier::host(text));
    let macs = said.macs.iter().filter_map(|text| Identifier::mac(text));
    let nids = said.nids.iter().filter_map(|nid| match nid {
        Number::Number(number) => Some(Identifier::Nid(*number)),
        Number::Text(text) => text.parse().ok().map(Identifier::Nid),
    });
    Ok(Some(Asked { identifiers: hosts.chain(macs).chain(nids).collect(), kinds }))
}

/// `macs=[…] xnames=[…] nids=[…]`, as BSS names what is missing.
pub fn listed(identifiers: &[Identifier]) -> String {
    let of = |wanted: fn(&Identifier) -> bool| {
        let texts: Vec<String> =
            identifiers.iter().filter(|one| wanted(one)).map(ToString::to_string).collect();
        texts.join(" ")
    };
    let macs = of(|one| matches!(one, Identifier::Mac(_)));
    let hosts = of(|one| matches!(one, Identifier::Host(_) | Identifier::Role(_)));
    let nids = of(|one| matches!(one, Identifier::Nid(_)));
    format!("macs=[{macs}] xnames=[{hosts}] nids=[{nids}]")
}

/// The `cloud-init` member without what is empty in it: clients always send the whole form.
pub fn cloud_init_said(value: Value) -> Value {
    match value {
        Value::Object(mut members) => {
            members.retain(|_, value| !is_blank(value));
            if members.is_empty() { Value::Null } else { Value::Object(members) }
        }
        _ => Value::Null,
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(members) => members.values().all(is_blank),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The `cloud-init` member as it is shown: always there, with empty members.
pub fn cloud_init_shown(stored: &Value) -> Value {
    let keys = ["pub_key_dsa", "pub_key_rsa", "pub_key_ecdsa", "instance_id", "hostname", "fqdn"];
    let phone_home: Map<String, Value> = keys.into_iter().map(|key| (key.to_owned(), "".into())).collect();
    let mut shown = json!({"meta-data": null, "user-data": null, "phone-home": phone_home});
    if let (Value::Object(shown), Value::Object(stored)) = (&mut shown, stored) {
        for (key, value) in stored {
            shown.insert(key.clone(), value.clone());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_empty_form_that_clients_send_says_nothing() {
        let empty = cloud_init_shown(&Value::Null);
        assert_eq!(cloud_init_said(empty), Value::Null);
        let said =
            cloud_init_said(json!({"meta-data": null, "user-data": {"a": 1}, "phone-home": {"fqdn": ""}}));
        assert_eq!(said, json!({"user-data": {"a": 1}}));
        assert_eq!(cloud_init_said(cloud_init_shown(&said)), said, "what is shown can be sent back");
    }

    #[test]
    fn what_is_blank_keeps_what_is_stored() {
        let stored = Content { kernel: "k".to_owned(), params: "p".to_owned(), ..Content::default() };
        let said = Said::read(br#"{"Params":"quiet","initrd":null,"kernel":""}"#).unwrap();
        let expected = Content { params: "quiet".to_owned(), ..stored.clone() };
        assert_eq!(said.over(stored), expected);
    }

    #[test]
    fn identifiers_are_checked_and_come_once() {
        let of =
            |body: &str| Said::read(body.as_bytes()).unwrap().identifiers().map_err(|refused| refused.detail);
        let all =
            of(r#"{"macs":["52:54:00:BE:EF:01","52-54-00-be-ef-01"],"hosts":["x1c0s0b0n0"],"nids":[1,"1"]}"#);
        let all: Vec<String> = all.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(all, ["x1c0s0b0n0", "52:54:00:be:ef:01", "1"]);
        for (body, part) in [
            (r#"{"macs":["zz:54:00:be:ef:01"]}"#, "invalid MAC address format: zz:54:00:be:ef:01"),
            (r#"{"nids":[-1]}"#, "invalid nid"),
            (r#"{"nids":["one"]}"#, "invalid nid"),
            (r#"{"nids":[4294967296]}"#, "invalid nid"),
            (r#"{"hosts":[" "]}"#, "is empty"),
            (r#"{"kernel":"k"}"#, "no identifier"),
        ] {
            let detail = of(body).unwrap_err();
            assert!(detail.starts_with("Bad Request: ") && detail.contains(part), "{detail}");
        }
    }

    #[test]
    fn control_characters_are_refused() {
        for body in [
            r#"{"params":"a\nsanboot"}"#,
            r#"{"kernel":"k\u0000"}"#,
            r#"{"initrd":"i\nsanboot"}"#,
            r#"{"hosts":["a\u0007"]}"#,
        ] {
            assert!(Said::read(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_body_is_read_or_refused(body in "\\PC{0,60}|\\{(\"(hosts|macs|nids|params|cloud-init)\":(\\[(\"[a-z0-9:]{0,17}\"|-?[0-9]{1,12})?\\]|\"[^\"\\\\]{0,9}\"|null),?){0,3}\\}") {
            if let Ok(said) = Said::read(body.as_bytes()) {
                let _ = said.identifiers();
                let _ = said.node_identifiers();
            }
        }
    }
}
