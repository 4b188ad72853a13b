//! Options inside options: the code, length, value triples of 43, 82, 125 and 175.

/// What was found in an encapsulated value, as far as it could be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubOptions<'a> {
    /// Code and value, in wire order.
    pub items: Vec<(u8, &'a [u8])>,
    /// True when a code 255 ended the list.
    pub ended: bool,
    /// Bytes that do not form a further sub-option.
    pub rest: &'a [u8],
}

/// Reads a list where 0 pads and 255 ends (RFC 2132, 8.4): options 43 and 175.
pub fn encapsulated(value: &[u8]) -> SubOptions<'_> {
    walk(value, true)
}

/// Reads a list where 0 and 255 are ordinary codes: options 82 and 125.
pub fn plain(value: &[u8]) -> SubOptions<'_> {
    walk(value, false)
}

fn walk(mut rest: &[u8], pad_and_end: bool) -> SubOptions<'_> {
    let mut items = Vec::new();
    let mut ended = false;
    loop {
        match rest {
            [0, tail @ ..] if pad_and_end => rest = tail,
            [255, tail @ ..] if pad_and_end => {
                // Zeros behind the end are padding; anything else is worth showing.
                rest = if tail.iter().all(|byte| *byte == 0) { &[] } else { tail };
                ended = true;
                break;
            }
            [code, length, tail @ ..] if tail.len() >= usize::from(*length) => {
                let (value, tail) = tail.split_at(usize::from(*length));
                items.push((*code, value));
                rest = tail;
            }
            _ => break,
        }
    }
    SubOptions { items, ended, rest }
}

impl SubOptions<'_> {
    /// The values with their separators: `a, b`, and what could not be read.
    pub(crate) fn text(&self, describe: impl Fn(u8, &[u8]) -> String) -> String {
        let mut parts: Vec<String> = self.items.iter().map(|(code, value)| describe(*code, value)).collect();
        if !self.rest.is_empty() {
            let where_ = if self.ended { "behind the end" } else { "cut off" };
            parts.push(format!("[malformed: {where_}] {}", super::print::hex(self.rest)));
        }
        parts.join(", ")
    }
}
