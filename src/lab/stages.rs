//! The stages of a boot, recognised from what the guest says and what bootlace logs. Pure.

use serde_json::Value;

use crate::records::Mac;

use super::console::Plain;

/// Text kept for matching: longer than any line that matters.
const KEPT: usize = 4096;

/// One stage of a boot, in the order in which they come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// The firmware wrote to the serial port.
    Firmware,
    /// bootlace offered boot data by DHCP.
    Offered,
    /// A loader was sent. BIOS guests have iPXE in ROM and need none.
    Loader,
    /// The node's boot script was served.
    Script,
    /// The kernel was fetched.
    Kernel,
    /// The initial RAM disk was fetched.
    Initrd,
    /// The kernel writes to the console.
    Started,
    /// The Debian installer asks its first question.
    Installer,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 8] = [
        Self::Firmware,
        Self::Offered,
        Self::Loader,
        Self::Script,
        Self::Kernel,
        Self::Initrd,
        Self::Started,
        Self::Installer,
    ];

    /// In words, as shown when it is reached.
    pub fn text(self) -> &'static str {
        match self {
            Self::Firmware => "firmware started",
            Self::Offered => "DHCP offered",
            Self::Loader => "loader sent",
            Self::Script => "script served",
            Self::Kernel => "kernel fetched",
            Self::Initrd => "initrd fetched",
            Self::Started => "kernel started",
            Self::Installer => "installer dialog",
        }
    }

    /// What usually keeps a boot from reaching this stage.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Firmware => "the firmware wrote nothing: try --accel tcg",
            Self::Offered => "no boot offer: the journal's dhcp lines say why this node is not answered",
            Self::Loader | Self::Script => {
                "the node was offered boot data but did not fetch it: look for tftp and http lines with a reason"
            }
            Self::Kernel | Self::Initrd => {
                "the script was served but its files were not: check kernel and initrd of the boot entry"
            }
            Self::Started => "the kernel was fetched but is silent: its command line needs console=ttyS0",
            Self::Installer => "the kernel runs; the installer may need more time or memory: raise --timeout",
        }
    }
}

/// Follows one guest.
#[derive(Debug)]
pub struct Tracker {
    mac: String,
    kernel: Option<String>,
    initrd: Option<String>,
    plain: Plain,
    text: String,
    reached: Vec<Stage>,
}

impl Tracker {
    /// For the guest with `mac`, whose boot entry names these paths on bootlace's HTTP (none for other servers').
    pub fn new(mac: Mac, kernel: Option<String>, initrd: Option<String>) -> Self {
        Self {
            mac: mac.to_string(),
            kernel,
            initrd,
            plain: Plain::default(),
            text: String::new(),
            reached: Vec::new(),
        }
    }

    /// The furthest stage so far.
    pub fn furthest(&self) -> Option<Stage> {
        self.reached.iter().max().copied()
    }

    /// Takes a piece of the console; returns what was reached by it.
    pub fn serial(&mut self, bytes: &[u8]) -> Vec<Stage> {
        self.plain.filter(bytes, &mut self.text);
        let mut reached = Vec::new();
        self.reach(Stage::Firmware, &mut reached);
        if self.text.contains("Linux version") {
            self.reach(Stage::Started, &mut reached);
        }
        if self.text.contains("Select a language") || self.text.contains("Choose the language") {
            self.reach(Stage::Installer, &mut reached);
        }
        if self.text.len() > KEPT {
            // The end stays: a pattern may be cut in two.
            let mut cut = self.text.len() - KEPT / 4;
            while !self.text.is_char_boundary(cut) {
                cut += 1;
            }
            self.text.drain(..cut);
        }
        reached
    }

    /// Takes an entry of bootlace's journal; returns what was reached by it.
    pub fn journal(&mut self, entry: &Value) -> Vec<Stage> {
        let mut reached = Vec::new();
        if self.is_ours(entry)
            && let Some(stage) = self.stage_of(entry)
        {
            self.reach(stage, &mut reached);
        }
        reached
    }

    /// True when a journal entry is about this guest.
    pub fn is_ours(&self, entry: &Value) -> bool {
        entry["mac"].as_str().is_some_and(|mac| mac.eq_ignore_ascii_case(&self.mac))
    }

    fn stage_of(&self, entry: &Value) -> Option<Stage> {
        let field = |name: &str| entry[name].as_str();
        match field("event")? {
            "dhcp" => (entry["reply"]["type"] == "OFFER").then_some(Stage::Offered),
            "tftp" if field("outcome") == Some("sent") => {
                let name = field("name")?;
                // PXELINUX, GRUB and U-Boot fetch everything by TFTP.
                let is = |path: &Option<String>| {
                    path.as_ref()
                        .is_some_and(|path| path.trim_start_matches('/') == name.trim_start_matches('/'))
                };
                match () {
                    () if is(&self.kernel) => Some(Stage::Kernel),
                    () if is(&self.initrd) => Some(Stage::Initrd),
                    () => config(name).or_else(|| loader(name)),
                }
            }
            "http" if entry["status"].as_u64().is_some_and(|status| matches!(status, 200 | 206)) => {
                let path = field("path")?.split('?').next();
                match field("what")? {
                    "script" => Some(Stage::Script),
                    "loader" => Some(Stage::Loader),
                    "asset" if path == self.kernel.as_deref() => Some(Stage::Kernel),
                    "asset" if path == self.initrd.as_deref() => Some(Stage::Initrd),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn reach(&mut self, stage: Stage, reached: &mut Vec<Stage>) {
        if !self.reached.contains(&stage) {
            self.reached.push(stage);
            reached.push(stage);
        }
    }
}

/// The script of loaders other than iPXE: the settings file made for the node.
fn config(name: &str) -> Option<Stage> {
    let file = name.rsplit('/').next().unwrap_or(name);
    (name.contains("pxelinux.cfg/") || file.starts_with("grub.cfg")).then_some(Stage::Script)
}

/// Loaders are programs; scripts and settings that a loader asks for by TFTP are not.
fn loader(name: &str) -> Option<Stage> {
    [".efi", ".kpxe", ".kkpxe", ".pxe", ".0"].iter().any(|end| name.ends_with(end)).then_some(Stage::Loader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MAC: &str = "52:54:00:be:ef:01";

    fn tracker() -> Tracker {
        Tracker::new(MAC.parse().unwrap(), Some("/linux".into()), Some("/initrd.gz".into()))
    }

    #[test]
    fn a_boot_passes_its_stages_in_order_and_each_once() {
        let mut tracker = tracker();
        assert_eq!(tracker.serial(b"\x1b[2J"), [Stage::Firmware]);
        let script = json!({"event": "http", "mac": MAC, "what": "script", "status": 200,
            "path": "/boot/v1/bootscript?mac=52:54:00:be:ef:01"});
        let entries = [
            (json!({"event": "dhcp", "mac": MAC, "reply": {"type": "OFFER"}}), vec![Stage::Offered]),
            (json!({"event": "dhcp", "mac": MAC, "reply": {"type": "OFFER"}}), vec![]),
            (json!({"event": "tftp", "mac": MAC, "name": "ipxe.efi", "outcome": "size-probe"}), vec![]),
            (
                json!({"event": "tftp", "mac": MAC, "name": "ipxe.efi", "outcome": "sent"}),
                vec![Stage::Loader],
            ),
            (json!({"event": "tftp", "mac": MAC, "name": "autoexec.ipxe", "outcome": "sent"}), vec![]),
            (script, vec![Stage::Script]),
            (json!({"event": "http", "mac": MAC, "what": "asset", "status": 404, "path": "/linux"}), vec![]),
            (
                json!({"event": "http", "mac": MAC, "what": "asset", "status": 200, "path": "/linux"}),
                vec![Stage::Kernel],
            ),
            (
                json!({"event": "http", "mac": MAC, "what": "asset", "status": 200, "path": "/initrd.gz"}),
                vec![Stage::Initrd],
            ),
        ];
        for (entry, expected) in entries {
            assert_eq!(tracker.journal(&entry), expected, "{entry}");
        }
        assert_eq!(tracker.serial(b"[    0.000000] Linux ver"), []);
        assert_eq!(tracker.serial(b"sion 6.1.0\r\n"), [Stage::Started]);
        assert_eq!(tracker.serial(b"Select a language\r\n"), [Stage::Installer]);
        assert_eq!(tracker.furthest(), Some(Stage::Installer));
    }

    #[test]
    fn a_loader_that_fetches_everything_by_tftp_passes_the_same_stages() {
        let mut tracker = tracker();
        let sent = |name: &str| json!({"event": "tftp", "mac": MAC, "name": name, "outcome": "sent"});
        for (name, stage) in [
            ("bootnetx64.efi", Stage::Loader),
            ("/debian-installer/amd64/grub/grub.cfg", Stage::Script),
            ("/linux", Stage::Kernel),
            ("initrd.gz", Stage::Initrd),
        ] {
            assert_eq!(tracker.journal(&sent(name)), [stage], "{name}");
        }
        assert_eq!(tracker.journal(&sent("x86_64-efi/command.lst")), []);
        assert_eq!(super::config("pxelinux.cfg/01-52-54-00-be-ef-01"), Some(Stage::Script));
    }

    #[test]
    fn another_nodes_progress_is_not_ours() {
        let entry = json!({"event": "dhcp", "mac": "52:54:00:be:ef:02", "reply": {"type": "OFFER"}});
        assert_eq!(tracker().journal(&entry), []);
    }

    #[test]
    fn a_long_log_keeps_the_end_that_may_hold_half_a_pattern() {
        let mut tracker = tracker();
        tracker.serial(&vec![b'x'; 3 * KEPT]);
        tracker.serial(b"Choose the ");
        assert_eq!(tracker.serial(b"language"), [Stage::Installer]);
    }
}
