//! Text that goes into an iPXE script or a log line.
//!
//! iPXE splits a line at blanks, takes `||`, `&&`, `;` and a word that begins with `#` for itself, and only
//! then replaces `${…}` in every word, again and again until none is left (iPXE's `exec.c`, `settings.c`).

/// Makes a text safe as words of an `echo` line and of a log: one line, printable ASCII, nothing that iPXE
/// would interpret. `limit` is the longest result in characters.
pub fn plain(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        if out.len() >= limit {
            out.truncate(limit.saturating_sub(3));
            out.push_str("...");
            break;
        }
        match c {
            ' '..='~' => out.push(c),
            _ if c.is_whitespace() => out.push(' '),
            _ => out.push('?'),
        }
    }
    out.replace("${", "$ {").split(' ').map(harmless).collect::<Vec<_>>().join(" ")
}

/// A word that iPXE would take for the end of a command gets quotes round it.
fn harmless(word: &str) -> String {
    if ends_command(word) { format!("'{word}'") } else { word.to_owned() }
}

/// True for the words that end a command line in iPXE.
pub fn ends_command(word: &str) -> bool {
    matches!(word, "||" | "&&" | ";") || word.starts_with('#')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hostile_name_stays_one_harmless_line() {
        assert_eq!(plain("x\nsanboot || ${mac} #é", 80), "x sanboot '||' $ {mac} '#?'");
        assert_eq!(plain("abcdefghij", 6), "abc...");
    }

    proptest! {
        #[test]
        fn plain_text_never_holds_what_ipxe_interprets(text in any::<String>()) {
            let out = plain(&text, 60);
            prop_assert!(out.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert!(!out.contains("${"), "{}", out);
            prop_assert!(!out.split(' ').any(ends_command));
        }
    }
}
