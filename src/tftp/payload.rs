//! The bytes of a transfer, block by block: from memory without a copy, from a file by `pread`.
//!
//! Files are never mapped: one that shrinks would end the process with SIGBUS. A short read is an error that
//! ends this transfer only.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::boot::tree::Content;

/// What a transfer reads from.
#[derive(Debug)]
pub struct Payload {
    content: Content,
    /// Bytes of the source; a file that grows meanwhile is served as it was when it was opened.
    size: u64,
    netascii: Option<Netascii>,
}

/// Consecutive blocks.
#[derive(Debug)]
pub struct Blocks<'a> {
    /// Their payload, one after the other; every block but the last of the file is full.
    pub bytes: &'a [u8],
    /// Payload bytes of the whole transfer, when these blocks are found to be its last.
    pub total: Option<u64>,
}

impl Payload {
    /// `size` bytes of `content` as they are.
    pub fn octet(content: Content, size: u64) -> Self {
        Self { content, size, netascii: None }
    }

    /// `size` bytes of `content` in netascii form [T11].
    pub fn netascii(content: Content, size: u64) -> Self {
        Self { content, size, netascii: Some(Netascii::default()) }
    }

    /// Payload bytes of the transfer, when known before its end.
    pub fn total(&self) -> Option<u64> {
        self.netascii.is_none().then_some(self.size)
    }

    /// Reads `count` blocks of `blksize` bytes from number `first` (counted from 1) on.
    ///
    /// Netascii is a stream: there it is one block at a time, the same as last time or the next one.
    pub fn load<'a>(
        &'a mut self,
        first: u64,
        count: u16,
        blksize: u16,
        scratch: &'a mut Vec<u8>,
    ) -> io::Result<Blocks<'a>> {
        let blksize = u64::from(blksize);
        if let Some(netascii) = &mut self.netascii {
            if netascii.number != first {
                netascii.advance(&self.content, self.size, first, blksize as usize, scratch)?;
            }
            let bytes = &netascii.block[..];
            let ended = (bytes.len() as u64) < blksize;
            return Ok(Blocks { bytes, total: ended.then(|| (first - 1) * blksize + bytes.len() as u64) });
        }
        let start = ((first - 1) * blksize).min(self.size);
        let end = (start + u64::from(count) * blksize).min(self.size);
        Ok(Blocks { bytes: slice(&self.content, start, end, scratch)?, total: None })
    }
}

/// Bytes `start..end` of `content`.
fn slice<'a>(content: &'a Content, start: u64, end: u64, scratch: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    match content {
        Content::Memory(bytes) => bytes.get(start as usize..end as usize).ok_or_else(shrunk),
        Content::File(file) => {
            scratch.resize((end - start) as usize, 0);
            read(file, scratch, start)?;
            Ok(scratch)
        }
    }
}

fn read(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => shrunk(),
        _ => error,
    })
}

fn shrunk() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent")
}

/// Position in a netascii stream.
#[derive(Debug, Default)]
struct Netascii {
    /// Number of the block held in `block`.
    number: u64,
    block: Vec<u8>,
    /// Source bytes used up.
    offset: u64,
    /// Second byte of a pair whose first one ended the block before.
    owed: Option<u8>,
}

impl Netascii {
    fn advance(
        &mut self,
        content: &Content,
        size: u64,
        number: u64,
        blksize: usize,
        scratch: &mut Vec<u8>,
    ) -> io::Result<()> {
        self.number = number;
        self.block.clear();
        self.block.extend(self.owed.take());
        while self.block.len() < blksize && self.offset < size {
            let wanted = (blksize - self.block.len()) as u64;
            let source = slice(content, self.offset, (self.offset + wanted).min(size), scratch)?;
            let used = self.fill(source, blksize);
            self.offset += used as u64;
        }
        Ok(())
    }

    /// Translates into the block until it is full; says how many source bytes were used.
    fn fill(&mut self, source: &[u8], blksize: usize) -> usize {
        for (used, byte) in source.iter().enumerate() {
            if self.block.len() >= blksize {
                return used;
            }
            let (first, second) = match byte {
                b'\n' => (b'\r', Some(b'\n')),
                b'\r' => (b'\r', Some(0)),
                other => (*other, None),
            };
            self.block.push(first);
            match second {
                Some(second) if self.block.len() < blksize => self.block.push(second),
                owed => self.owed = owed,
            }
        }
        source.len()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn memory(bytes: &[u8]) -> Content {
        Content::Memory(Arc::from(bytes))
    }

    fn whole(mut payload: Payload, blksize: u16) -> Vec<u8> {
        let (mut all, mut scratch) = (Vec::new(), Vec::new());
        for number in 1.. {
            let again = payload.load(number, 1, blksize, &mut scratch).unwrap().bytes.to_vec();
            let blocks = payload.load(number, 1, blksize, &mut scratch).unwrap();
            assert_eq!(blocks.bytes, again, "block {number} differs when it is sent again");
            all.extend(blocks.bytes);
            if blocks.bytes.len() < usize::from(blksize) {
                assert!(
                    payload.total().is_some_and(|total| total == all.len() as u64)
                        || payload.netascii.is_some()
                );
                return all;
            }
        }
        unreachable!()
    }

    fn translated(bytes: &[u8]) -> Vec<u8> {
        bytes
            .iter()
            .flat_map(|byte| match byte {
                b'\n' => vec![b'\r', b'\n'],
                b'\r' => vec![b'\r', 0],
                other => vec![*other],
            })
            .collect()
    }

    #[test]
    fn a_file_that_shrinks_is_an_error_and_no_crash() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 3000]).unwrap();
        let mut payload = Payload::octet(Content::File(Arc::new(file.try_clone().unwrap())), 3000);
        let mut scratch = Vec::new();
        assert_eq!(payload.load(2, 1, 1000, &mut scratch).unwrap().bytes, [7; 1000]);
        file.set_len(1500).unwrap();
        let error = payload.load(2, 1, 1000, &mut scratch).unwrap_err();
        assert!(error.to_string().contains("shorter"), "{error}");
    }

    #[test]
    fn an_exact_multiple_ends_with_an_empty_block() {
        let mut payload = Payload::octet(memory(&[1; 1024]), 1024);
        let mut scratch = Vec::new();
        assert_eq!(payload.load(3, 1, 512, &mut scratch).unwrap().bytes.len(), 0);
        assert_eq!(payload.load(1, 3, 512, &mut scratch).unwrap().bytes.len(), 1024);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// [T11]
        #[test]
        fn netascii_pairs_survive_every_block_border(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..300),
            blksize in 8_u16..40,
        ) {
            let size = bytes.len() as u64;
            prop_assert_eq!(whole(Payload::netascii(memory(&bytes), size), blksize), translated(&bytes));
            prop_assert_eq!(whole(Payload::octet(memory(&bytes), size), blksize), bytes);
        }

        #[test]
        fn file_and_memory_give_the_same_blocks(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000), blksize in 8_u16..600,
            first in 1_u64..300, count in 1_u16..20,
        ) {
            let size = bytes.len() as u64;
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let (mut one, mut two) = (Vec::new(), Vec::new());
            let mut on_disk = Payload::octet(Content::File(Arc::new(file)), size);
            let mut in_memory = Payload::octet(memory(&bytes), size);
            prop_assert_eq!(
                on_disk.load(first, count, blksize, &mut one).unwrap().bytes,
                in_memory.load(first, count, blksize, &mut two).unwrap().bytes
            );
        }
    }
}
