//! Names and passwords for BMCs, from a file.
//!
//! ```yaml
//! default: {user: root, password: initial0}
//! bmcs:
//!   x1000c0s0b0: {user: admin, password: "…"}
//!   10.0.0.5: {user: admin, password: "…"}
//! ```

use std::collections::HashMap;
use std::fmt;

use crate::config::table::{KeyPath, Table, Unknown};
use crate::config::tree::Document;
use crate::config::{Code, Findings};
use crate::records::BmcXname;

/// A name and its password. It never prints the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("user", &self.user).finish_non_exhaustive()
    }
}

/// All that are known.
#[derive(Debug, Default)]
pub struct Credentials {
    /// For BMCs without one of their own.
    pub default: Option<Credential>,
    /// By host or xname, lower case.
    bmcs: HashMap<String, Credential>,
}

impl Credentials {
    /// The credential of a BMC: by its xname, by its address, else the default.
    pub fn of(&self, host: &str, xname: Option<&BmcXname>) -> Option<&Credential> {
        let by_xname = xname.and_then(|xname| self.bmcs.get(xname.as_str()));
        by_xname.or_else(|| self.bmcs.get(&host.to_ascii_lowercase())).or(self.default.as_ref())
    }
}

/// Reads the file.
pub fn read(document: &Document<'_>, findings: &mut Findings) -> Credentials {
    let mut credentials = Credentials::default();
    let Some(mut top) = Table::open(&document.root, document.source, &KeyPath::Root, findings) else {
        return credentials;
    };
    top.unknown_keys(&["default", "bmcs"], Unknown::Refuse);
    if let Some(value) = top.value("default") {
        let path = KeyPath::Key(&KeyPath::Root, "default");
        credentials.default = top.open_child(value, &path).and_then(|mut table| credential(&mut table));
    }
    let path = KeyPath::Key(&KeyPath::Root, "bmcs");
    let Some(mut bmcs) = top.value("bmcs").and_then(|value| top.open_child(value, &path)) else {
        return credentials;
    };
    for pair in bmcs.pairs() {
        let path = KeyPath::Key(&path, &pair.key);
        let Some(mut table) = bmcs.open_child(&pair.value, &path) else { continue };
        if let Some(one) = credential(&mut table) {
            credentials.bmcs.insert(pair.key.to_ascii_lowercase(), one);
        }
    }
    credentials
}

fn credential(table: &mut Table<'_, '_>) -> Option<Credential> {
    table.unknown_keys(&["user", "password"], Unknown::Refuse);
    for key in ["user", "password"] {
        if table.absent(key) {
            let span = table.span;
            table
                .error(Code::MissingKey, span, key, format!("a credential needs the key {key}"))
                .advise("write {user: root, password: \"…\"}");
        }
    }
    let (user, password) = (table.text("user")?, table.text("password")?);
    if user.value.contains(':') {
        let message = "a user name with ':' cannot be sent: HTTP Basic ends the name there (RFC 7617, 2)";
        table.error(Code::WrongValue, user.span, "user", message);
        return None;
    }
    Some(Credential { user: user.value.to_owned(), password: password.value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;
    use crate::config::{Diagnostic, tree};

    fn read_text(text: &str) -> (Credentials, Vec<Diagnostic>) {
        let source = std::sync::Arc::new(Source::new("credentials.yaml", text.to_owned()));
        let mut findings = Findings::default();
        let credentials = tree::parse(&source, &mut findings).map(|document| read(&document, &mut findings));
        (credentials.unwrap_or_default(), findings.into_list())
    }

    #[test]
    fn the_more_specific_credential_wins_and_no_password_is_printed() {
        let (all, problems) = read_text(
            "default: {user: root, password: 0755}\nbmcs:\n  X1000c0s0b0: {user: a, password: p1}\n  10.0.0.5: {user: b, password: p2}\n",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let xname = "x1000c0s0b0".parse().ok();
        let user = |host, xname| all.of(host, xname).unwrap().user.as_str();
        assert_eq!(user("10.0.0.5", xname.as_ref()), "a");
        assert_eq!((user("10.0.0.5", None), user("10.0.0.6", None)), ("b", "root"));
        assert_eq!(all.of("10.0.0.6", None).unwrap().password, "0755", "as written, no number");
        let shown = format!("{all:?}");
        assert!(!shown.contains("p1") && !shown.contains("0755"), "{shown}");
    }

    #[test]
    fn a_credential_needs_both_parts() {
        for wrong in
            ["default: {user: root}", "default: {user: 'a:b', password: p}", "hosts: {}", "bmcs: [x]"]
        {
            let (_, problems) = read_text(wrong);
            assert!(problems.iter().any(Diagnostic::is_error), "{wrong}");
        }
    }
}
