//! The kernel command line of a boot script, assembled as OpenCHAMI's BSS does, and made
//! safe for the line of an iPXE script that carries it.

use super::text::ends_command;

/// Longest command line that x86 and arm64 kernels keep, bytes (`COMMAND_LINE_SIZE`, minus the NUL).
pub const COMMAND_LINE_MAX: usize = 2047;

/// What is known about the node, for the words that are appended.
#[derive(Clone, Debug, Default)]
pub struct Identity<'a> {
    /// Becomes `xname=`.
    pub xname: Option<&'a str>,
    /// Becomes `nid=`.
    pub nid: Option<u32>,
    /// MAC with dashes, written as the client wrote it; becomes `BOOTIF=01-…`.
    pub bootif: Option<&'a str>,
    /// URL of the node's cloud-init data, with a slash at its end; becomes `ds=nocloud-net;s=…`.
    pub seed: Option<&'a str>,
}

/// Puts the command line together: the stored parameters, then each of `xname=`, `nid=`, `BOOTIF=` and `ds=`
/// unless a word already starts so. With an initial RAM disk the line begins with `initrd=initrd`, the name under
/// which the EFI stub looks it up; words that are `initrd=…` themselves are cut, and only those.
pub fn assemble(stored: &str, has_initrd: bool, identity: &Identity<'_>) -> String {
    // A folded YAML block ends in a newline, and any control character would end the script's line.
    let mut line: String = stored.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.truncate(line.trim_end_matches(' ').len());
    let mut append = |prefix: &str, value: Option<String>| {
        if let Some(value) = value
            && !line.split(' ').any(|word| word.starts_with(prefix))
        {
            line.push(' ');
            line.push_str(prefix);
            line.push_str(&value);
        }
    };
    append("xname=", identity.xname.map(str::to_owned));
    append("nid=", identity.nid.map(|nid| nid.to_string()));
    append("BOOTIF=", identity.bootif.map(|mac| format!("01-{mac}")));
    append("ds=", identity.seed.map(|seed| format!("nocloud-net;s={seed}")));
    if has_initrd {
        let kept: Vec<&str> =
            line.split(' ').map(|word| if word.starts_with("initrd=") { "" } else { word }).collect();
        line = format!("initrd=initrd {}", kept.join(" ").trim_end_matches(' '));
        // A line that had none begins with one blank at most.
        if !stored.split(' ').any(|word| word.starts_with("initrd=")) {
            line = format!("initrd=initrd {}", line["initrd=initrd ".len()..].trim_start_matches(' '));
        }
    }
    line.trim_matches(' ').to_owned()
}

/// A command line as it may stand in a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Escaped {
    /// Lines that must stand before, such as `set hash:hex 23`. Empty for all but exotic parameters.
    pub setup: Vec<String>,
    /// The command line.
    pub line: String,
    /// True if a word holds `${…}`: iPXE replaces it, and no spelling can prevent that, because it goes over
    /// a word again until no `${…}` is left in it.
    pub expands: bool,
}

/// Escapes the words that iPXE would take for the end of the command: `||`, `&&`, `;`, and a word that begins
/// with `#`. iPXE looks for them before it replaces variables, so a variable for the first character hides
/// them (seen with the iPXE of Debian 12).
pub fn escape(line: &str) -> Escaped {
    let mut out = Escaped::default();
    let words: Vec<String> = line
        .split(' ')
        .map(|word| {
            out.expands |= word.find("${").is_some_and(|start| word[start..].contains('}'));
            let mut chars = word.chars();
            match chars.next() {
                Some(first) if ends_command(word) => {
                    let name = match first {
                        '#' => "hash",
                        '|' => "bar",
                        '&' => "and",
                        _ => "semicolon",
                    };
                    let set = format!("set {name}:hex {:02x}", u32::from(first));
                    if !out.setup.contains(&set) {
                        out.setup.push(set);
                    }
                    format!("${{{name}:string}}{}", chars.as_str())
                }
                _ => word.to_owned(),
            }
        })
        .collect();
    out.line = words.join(" ");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE_1: Identity<'_> = Identity {
        xname: Some("x1000c0s0b0n0"),
        nid: Some(1),
        bootif: Some("52-54-00-be-ef-01"),
        seed: None,
    };

    #[test]
    fn words_are_appended_in_the_order_of_the_reference() {
        assert_eq!(
            assemble("nomodeset ro", true, &NODE_1),
            "initrd=initrd nomodeset ro xname=x1000c0s0b0n0 nid=1 BOOTIF=01-52-54-00-be-ef-01"
        );
        assert_eq!(
            assemble("", false, &Identity { bootif: None, ..NODE_1 }),
            "xname=x1000c0s0b0n0 nid=1",
            "no blank in front, as recorded"
        );
    }

    #[test]
    fn the_seed_of_cloud_init_comes_last_unless_the_parameters_name_one() {
        let identity = Identity { seed: Some("http://10.0.0.1:8081/cloud-init/"), ..NODE_1 };
        let end = " BOOTIF=01-52-54-00-be-ef-01 ds=nocloud-net;s=http://10.0.0.1:8081/cloud-init/";
        assert!(assemble("ro", true, &identity).ends_with(end));
        assert!(!assemble("ro ds=nocloud", true, &identity).contains("nocloud-net"));
    }

    #[test]
    fn a_word_that_is_there_is_not_added_again() {
        assert_eq!(
            assemble("nid=7 xname=a BOOTIF=01-00 xnid=3", false, &NODE_1),
            "nid=7 xname=a BOOTIF=01-00 xnid=3"
        );
        assert!(assemble("my-nid=7", false, &NODE_1).contains(" nid=1"), "only the start of a word counts");
    }

    #[test]
    fn only_whole_initrd_words_are_cut() {
        let line = assemble("root=live:http://s3/initrd-test/rootfs initrd=old.img ro", true, &NODE_1);
        assert!(line.starts_with("initrd=initrd root=live:http://s3/initrd-test/rootfs  ro "), "{line}");
        assert_eq!(assemble("initrd=x", true, &Identity::default()), "initrd=initrd");
        assert_eq!(assemble("initrd=x a", true, &Identity::default()), "initrd=initrd  a", "two blanks [R]");
        assert_eq!(assemble("initrd=x a", false, &Identity::default()), "initrd=x a");
    }

    #[test]
    fn a_newline_never_reaches_the_script() {
        assert_eq!(assemble("ro\nsanboot\r\n", false, &Identity::default()), "ro sanboot");
    }

    #[test]
    fn words_that_end_a_command_are_hidden() {
        let escaped = escape("a #b || c#d ; ;");
        assert_eq!(
            escaped.line,
            "a ${hash:string}b ${bar:string}| c#d ${semicolon:string} ${semicolon:string}"
        );
        assert_eq!(escaped.setup, ["set hash:hex 23", "set bar:hex 7c", "set semicolon:hex 3b"]);
        assert_eq!(escape("ro console=ttyS0").setup, [""; 0]);
        assert!(escape("ip=${ip}").expands && !escape("a=${b c}").expands);
    }

    proptest! {
        #[test]
        fn nothing_in_the_parameters_can_end_the_command(stored in "[ -~\\n]{0,80}") {
            let escaped = escape(&assemble(&stored, true, &NODE_1));
            prop_assert!(!escaped.line.contains('\n'));
            prop_assert!(!escaped.line.split(' ').any(ends_command));
        }
    }
}
