//! What texts from outside may be.

use crate::config::diagnostic::quoted;

/// A name that goes into a line of a log, a script or a document: no control characters. The error says which
/// field.
pub fn one_line(field: &str, text: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_control()) {
        Some(c) => {
            Err(format!("{field} {} holds the control character {}", quoted(text), c.escape_unicode()))
        }
        None => Ok(()),
    }
}

/// A base URL: http or https, with a host. Empty is none.
pub fn base_url(field: &str, text: &str) -> Result<(), String> {
    one_line(field, text)?;
    let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let good = host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#', ':']));
    if text.is_empty() || (good && !text.contains(char::is_whitespace)) {
        return Ok(());
    }
    Err(format!(
        "{field} {} is no URL of http or https, such as http://172.16.0.254:8081/cloud-init",
        quoted(text)
    ))
}
