//! A guest's serial console: what it wrote, as text to search and as bytes to show.

use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::LabError;
use super::run::Heard;
use super::watched::Watched;

/// Characters kept for searching: the whole way from firmware to an installer is a tenth of this.
const KEPT: usize = 1 << 20;
/// Lines shown when something was waited for in vain.
const SHOWN: usize = 12;

/// The serial console of one guest. Clones are the same console.
#[derive(Clone, Debug)]
pub struct Console {
    heard: Arc<Watched<Transcript>>,
}

/// What a console has said so far, without terminal controls.
#[derive(Debug, Default)]
pub struct Transcript {
    plain: Plain,
    text: String,
    ended: bool,
}

impl Console {
    /// Reads `pipe` to its end in a thread. Each piece also goes to `listener`, as it came.
    pub fn follow(
        mut pipe: impl Read + Send + 'static,
        listener: Option<Sender<Heard>>,
    ) -> std::io::Result<Self> {
        let heard = Arc::new(Watched::new(Transcript::default()));
        let writer = Arc::clone(&heard);
        std::thread::Builder::new().name("console".into()).spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let length = match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(_) => break,
                };
                writer.change(|transcript| transcript.take(&buffer[..length]));
                if let Some(listener) = &listener {
                    // Nobody listens any more: the lab is ending.
                    let _ = listener.send(Heard::Serial(buffer[..length].to_vec()));
                }
            }
            writer.change(|transcript| transcript.ended = true);
            if let Some(listener) = &listener {
                let _ = listener.send(Heard::GuestEnded);
            }
        })?;
        Ok(Self { heard })
    }

    /// Everything said so far (the last million characters), without terminal controls.
    pub fn text(&self) -> String {
        self.heard.look(|transcript| transcript.text.clone())
    }

    /// The last lines said.
    pub fn tail(&self) -> String {
        self.heard.look(|transcript| last_lines(&transcript.text, SHOWN))
    }

    /// Waits for the first of `patterns` that appears and returns its index. Ends early when the guest ended.
    pub fn wait_for(&self, patterns: &[&str], limit: Duration) -> Result<usize, LabError> {
        let found = self.heard.wait(limit, |transcript| {
            match patterns.iter().position(|pattern| transcript.text.contains(pattern)) {
                Some(index) => Some(Some(index)),
                None => transcript.ended.then_some(None),
            }
        });
        let awaited = patterns.join("' or '");
        match found {
            Some(Some(index)) => Ok(index),
            Some(None) => Err(LabError::Ended {
                program: format!("the guest, before '{awaited}' on its console,"),
                status: "power off or reboot".into(),
                said: self.tail(),
            }),
            None => Err(LabError::TimedOut {
                awaited: format!("'{awaited}' on the console"),
                limit,
                seen: self.tail(),
            }),
        }
    }
}

impl Transcript {
    fn take(&mut self, bytes: &[u8]) {
        self.plain.filter(bytes, &mut self.text);
        if self.text.len() > KEPT {
            let mut cut = self.text.len() - KEPT / 2;
            while !self.text.is_char_boundary(cut) {
                cut += 1;
            }
            self.text.drain(..cut);
        }
    }
}

/// The last `count` lines of `text` that are not blank.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Takes terminal controls out of a byte stream that may be cut anywhere.
///
/// Firmware paints: it moves the cursor (`ESC [ row ; column H`) where others write a line feed, so a move
/// becomes a line end here; anything else of ECMA-48 vanishes.
#[derive(Debug, Default)]
pub struct Plain {
    state: Escape,
    /// Bytes of a UTF-8 character that is not complete yet.
    partial: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Escape {
    #[default]
    Text,
    /// After ESC.
    Started,
    /// After ESC and an intermediate byte, such as `(` of a character set.
    OneMore,
    /// After ESC `[`, up to the final byte.
    Control,
    /// After ESC `]`, up to BEL or ESC `\`.
    String,
}

impl Plain {
    /// Appends the readable part of `bytes` to `text`.
    pub fn filter(&mut self, bytes: &[u8], text: &mut String) {
        for &byte in bytes {
            match (self.state, byte) {
                (_, 0x1b) => self.state = Escape::Started,
                (Escape::Text, _) => self.text(byte, text),
                (Escape::Started, b'[') => self.state = Escape::Control,
                (Escape::Started, b']') => self.state = Escape::String,
                (Escape::Started, 0x20..=0x2f) => self.state = Escape::OneMore,
                (Escape::Started | Escape::OneMore, _) => self.state = Escape::Text,
                (Escape::Control, 0x40..=0x7e) => {
                    self.state = Escape::Text;
                    if matches!(byte, b'H' | b'f') && !text.is_empty() && !text.ends_with('\n') {
                        text.push('\n');
                    }
                }
                (Escape::Control, _) => {}
                (Escape::String, 0x07) => self.state = Escape::Text,
                (Escape::String, _) => {}
            }
        }
    }

    fn text(&mut self, byte: u8, text: &mut String) {
        if byte < 0x80 {
            self.partial.clear();
            if byte == b'\n' || byte == b'\t' || (0x20..0x7f).contains(&byte) {
                text.push(char::from(byte));
            }
            return;
        }
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(character) => {
                text.push_str(character);
                self.partial.clear();
            }
            // Firmware draws boxes in code page 437: such a byte is no text.
            Err(error) if error.error_len().is_some() => self.partial.clear(),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(bytes: &[u8]) -> String {
        let mut text = String::new();
        Plain::default().filter(bytes, &mut text);
        text
    }

    #[test]
    fn terminal_controls_vanish_and_cursor_moves_end_lines() {
        let firmware = b"\x1b[2J\x1b[01;01H\x1b[=3h\x1b[0m>>Start PXE over IPv4.\x1b[02;01H\x1b[37m  Station\x1b(B IP\r\n";
        assert_eq!(plain(firmware), ">>Start PXE over IPv4.\n  Station IP\n");
        assert_eq!(plain("é\x1b]0;title\x07–".as_bytes()), "é–");
        assert_eq!(plain(b"\xc9\xcdbox\xbb"), "box");
    }

    #[test]
    fn the_end_of_the_guest_ends_a_wait_and_shows_its_last_words() {
        let console = Console::follow(&b"one\ntwo\nNo bootable device.\n"[..], None).unwrap();
        let error = console.wait_for(&["Linux version"], Duration::from_secs(30)).unwrap_err().to_string();
        assert!(error.contains("No bootable device.") && error.contains("Linux version"), "{error}");
        assert_eq!(console.wait_for(&["nothing", "two"], Duration::from_secs(30)).unwrap(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_give_the_same_text(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let cut = cut.min(bytes.len());
            let (mut whole, mut pieces) = (String::new(), String::new());
            Plain::default().filter(&bytes, &mut whole);
            let mut filter = Plain::default();
            filter.filter(&bytes[..cut], &mut pieces);
            filter.filter(&bytes[cut..], &mut pieces);
            prop_assert!(!whole.contains('\x1b'));
            prop_assert_eq!(whole, pieces);
        }
    }
}
