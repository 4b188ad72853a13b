//! The text of one file, with the way from a byte to a line and column.
//!
//! Reading is the only IO here. Whatever cannot be a settings or records file (a folder, a FIFO that would
//! block for ever, binary data, another encoding) is refused with a diagnostic before a parser sees it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Code, Diagnostic, Severity};

/// Largest file that is read, bytes: a million node records fit, a disk image given by mistake does not.
pub const SIZE_MAX: u64 = 256 << 20;

/// A range of bytes in a [`Source`]. 32 bits are enough for [`SIZE_MAX`] and halve a tree of millions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One file's text.
#[derive(Debug)]
pub struct Source {
    /// The path as the user gave it, for messages.
    pub path: Arc<PathBuf>,
    /// The content.
    pub text: String,
    line_starts: Vec<u32>,
}

/// A place in a file.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// The bytes.
    pub span: Span,
}

impl Source {
    /// Takes text that is already in memory.
    pub fn new(path: impl Into<PathBuf>, text: String) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| at as u32 + 1)).collect();
        Self { path: Arc::new(path.into()), text, line_starts }
    }

    /// Reads a file, or says what is wrong with it.
    pub fn read(path: &Path) -> Result<Arc<Self>, Box<Diagnostic>> {
        let bytes = read_bytes(path).map_err(|(code, message, advice)| {
            let mut problem = Diagnostic::of_file(Severity::Error, code, path, message);
            problem.advice = advice.map(str::to_owned);
            Box::new(problem)
        })?;
        Self::decode(path, bytes)
    }

    /// Checks that bytes are text.
    pub fn decode(path: &Path, bytes: Vec<u8>) -> Result<Arc<Self>, Box<Diagnostic>> {
        let refuse = |source: Source, at: usize, code, message: String, advice: &str| {
            let source = Arc::new(source);
            let span = Span { start: at as u32, end: at as u32 + 1 };
            let mut problem = Diagnostic::new(Severity::Error, code, &Place { source, span }, message);
            problem.advice = Some(advice.to_owned());
            Err(Box::new(problem))
        };
        const SAVE: &str = "a text file in UTF-8 is needed";
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            let mut problem =
                Diagnostic::of_file(Severity::Error, Code::NotUtf8, path, "the file is UTF-16".to_owned());
            problem.advice = Some("save it as UTF-8".to_owned());
            return Err(Box::new(problem));
        }
        // NUL first: a program or an image is "binary", not "a wrong byte in line 1".
        let window = &bytes[..bytes.len().min(8192)];
        if let Some(at) = window.iter().position(|byte| *byte == 0) {
            let message = format!("the file is binary: byte {at} is NUL");
            let mut problem = Diagnostic::of_file(Severity::Error, Code::Binary, path, message);
            problem.advice = Some(SAVE.to_owned());
            return Err(Box::new(problem));
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(bad) => {
                let at = bad.utf8_error().valid_up_to();
                let byte = bad.as_bytes().get(at).copied().unwrap_or_default();
                let text = String::from_utf8_lossy(bad.as_bytes()).into_owned();
                let message = format!("byte {at} of the file, {byte:#04x}, is no UTF-8");
                // The lossy text is the same up to the bad byte, so the place is right.
                return refuse(Self::new(path, text), at, Code::NotUtf8, message, SAVE);
            }
        };
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
        if let Some((at, c)) = text.char_indices().find(|(_, c)| control(*c)) {
            let message = format!("control character {} in the file", c.escape_unicode());
            return refuse(Self::new(path, text), at, Code::ControlCharacter, message, "remove it");
        }
        Ok(Arc::new(Self::new(path, text)))
    }

    /// Line of a byte, counted from 1.
    pub fn line(&self, at: u32) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    /// Text of a line without its line break, and the byte where it starts.
    pub fn line_text(&self, line: usize) -> (u32, &str) {
        let index = line.saturating_sub(1);
        let start = self.line_starts.get(index).copied().unwrap_or(self.text.len() as u32);
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |next| *next as usize);
        let text = self.text.get(start as usize..end).unwrap_or_default();
        (start, text.trim_end_matches(['\n', '\r']))
    }
}

impl Place {
    /// Line, counted from 1.
    pub fn line(&self) -> usize {
        self.source.line(self.span.start)
    }

    /// Column, counted from 1 in characters.
    pub fn column(&self) -> usize {
        let (start, text) = self.source.line_text(self.line());
        let offset = self.span.start.saturating_sub(start) as usize;
        text.char_indices().take_while(|(at, _)| *at < offset).count() + 1
    }
}

type Refusal = (Code, String, Option<&'static str>);

#[allow(clippy::disallowed_methods, reason = "the edge where settings and records are read")]
fn read_bytes(path: &Path) -> Result<Vec<u8>, Refusal> {
    let cannot = |cause: std::io::Error| (Code::CannotRead, format!("cannot read the file: {cause}"), None);
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    if metadata.is_dir() {
        return Err((Code::CannotRead, "is a folder".to_owned(), Some("name the file in it")));
    }
    if !metadata.is_file() {
        return Err((Code::CannotRead, "is no regular file".to_owned(), None));
    }
    let too_large = |size: u64| {
        let message = format!("the file has {size} bytes, more than the {SIZE_MAX} that are read");
        (Code::TooLarge, message, Some("split the records over several files"))
    };
    if metadata.len() > SIZE_MAX {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    // The file may grow while it is read.
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > SIZE_MAX { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, needle: &str) -> (usize, usize) {
        let source = Arc::new(Source::new("f", text.to_owned()));
        let start = text.find(needle).unwrap() as u32;
        let place = Place { source, span: Span { start, end: start + 1 } };
        (place.line(), place.column())
    }

    #[test]
    fn a_column_counts_characters_not_bytes() {
        assert_eq!(place("a: b\nküche: Ü x\n", "x"), (2, 10));
        assert_eq!(place("x", "x"), (1, 1));
        assert_eq!(place("a\r\nbx", "x"), (2, 2));
    }

    #[test]
    fn a_file_that_is_no_utf8_text_is_refused_at_the_byte() {
        let refuse = |bytes: &[u8]| *Source::decode(Path::new("f"), bytes.to_vec()).unwrap_err();
        let bad = refuse(b"a: b\nc: \xff\n");
        assert_eq!((bad.code, bad.line, bad.column), (Code::NotUtf8, 2, 4));
        assert_eq!(refuse(b"\x7fELF\0\0").code, Code::Binary);
        assert_eq!(refuse(b"\xff\xfea\0").code, Code::NotUtf8);
        let bad = refuse(b"a: b\nc: \x1b[31m\n");
        assert_eq!((bad.code, bad.line, bad.column), (Code::ControlCharacter, 2, 4));
    }

    #[test]
    fn a_folder_and_a_device_are_not_read() {
        for path in ["/", "/dev/zero", "/nonexistent/nodes.yaml"] {
            assert_eq!(Source::read(Path::new(path)).unwrap_err().code, Code::CannotRead, "{path}");
        }
    }
}
