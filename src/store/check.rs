//! Looking at a database without touching it: a layer that keeps every write in memory, and the check that a
//! file has to pass before it is trusted.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::schema::{self, Facts, MIGRATIONS};
use super::{StoreError, builder, guarded, look};

/// Reads the whole database on `backend` and checks every page, without writing to it.
pub(super) fn check(name: &Path, backend: &Arc<dyn StorageBackend>) -> Result<Facts, StoreError> {
    let known = MIGRATIONS.len() as u64;
    let checked = guarded(|| {
        let layer = Overlay::over(Arc::clone(backend))?;
        distrust(&layer)?;
        drop(builder().create_with_backend(layer)?);
        // And as it is: what the first commit will do must not fail on what the check did not look at.
        let database = look(backend)?;
        let version = schema::version(&database)?;
        if version > known {
            return Ok(Err(version));
        }
        schema::migrate(&database, MIGRATIONS)?;
        schema::facts(&database).map(Ok)
    });
    match checked {
        Ok(Ok(facts)) => Ok(facts),
        Ok(Err(found)) => Err(StoreError::Newer { file: name.to_owned(), found, known }),
        Err(problem) => Err(StoreError::of(name, problem)),
    }
}

/// The header of redb's file format 3: a byte of flags, then after other things two slots, one of which holds
/// the last commit.
const HEADER: usize = 320;
const FLAGS: usize = 9;
/// Flag: the last commit is in the second slot.
const SECOND: u8 = 1;
/// Flag: the file was not closed.
const UNCLEAN: u8 = 2;
const SLOTS: usize = 64;
const SLOT: usize = 128;
/// Where the greatest number of pages in a region stands: 4 bytes, little-endian.
const REGION: usize = 20;
/// What redb writes there. It takes memory by this number before it looks at anything else.
const REGION_MAX: u32 = 1 << 20;

/// Makes the database in `layer` look as after a crash, with the last commit as the only one there is.
///
/// redb checks a file's pages only after a crash, and trusts page numbers in a file that was closed in good
/// order: a wrong bit there is an allocation of terabytes, which ends the process. After a crash it checks a page
/// before it follows it; and with one commit in both slots there is no older one to fall back to in silence.
fn distrust(layer: &Overlay) -> Result<(), redb::Error> {
    let length = layer.len()?;
    if length == 0 {
        // The database would make a new one in it, and all records would be gone without a word.
        return Err(redb::Error::Corrupted("it is empty".to_owned()));
    }
    if length < HEADER as u64 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let mut header = [0; HEADER];
    layer.read(0, &mut header)?;
    let region = header[REGION..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if region > REGION_MAX {
        return Err(redb::Error::Corrupted("its header makes no sense".to_owned()));
    }
    let last = header[FLAGS] & SECOND;
    header[FLAGS] = last | UNCLEAN;
    let (first, second) = (SLOTS, SLOTS + SLOT);
    let (from, to) = if last == 0 { (first, second) } else { (second, first) };
    header.copy_within(from..from + SLOT, to);
    layer.write(0, &header)?;
    Ok(())
}

/// A backend for several databases one after the other: closing one leaves it open (and its file locked).
///
/// It also keeps the file's length ahead of the header, which states it: redb cannot open a file that is shorter
/// than its header says, and syncs both together, so that after a power cut the header may be new and the length
/// old.
#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<dyn StorageBackend>);

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if length < self.0.len()? {
            self.0.sync_data()?;
            return self.0.set_len(length);
        }
        self.0.set_len(length)?;
        self.0.sync_data()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// Bytes that are kept together.
const CHUNK: u64 = 4096;

/// Reads from what is below, keeps writes to itself.
#[derive(Debug)]
pub(super) struct Overlay {
    below: Arc<dyn StorageBackend>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    length: u64,
    /// How far what is below shows through; less than its length after a cut.
    visible: u64,
    /// By their offset divided by [`CHUNK`].
    chunks: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(super) fn over(below: Arc<dyn StorageBackend>) -> io::Result<Overlay> {
        let length = below.len()?;
        Ok(Overlay { below, kept: Mutex::new(Kept { length, visible: length, chunks: BTreeMap::new() }) })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is below; zeros behind its visible end.
    fn read_below(&self, visible: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(visible.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (seen, behind) = out.split_at_mut(there);
        behind.fill(0);
        if seen.is_empty() { Ok(()) } else { self.below.read(offset, seen) }
    }
}

/// The pieces of `offset..offset + length`: chunk, start in the chunk, range in the buffer.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= length {
            return None;
        }
        let place = offset + at as u64;
        let start = (place % CHUNK) as usize;
        let end = length.min(at + CHUNK as usize - start);
        let piece = (place / CHUNK, start, at..end);
        at = end;
        Some(piece)
    })
}

/// The end of a request, or the error for one that nothing can hold.
fn end_of(offset: u64, length: usize) -> io::Result<u64> {
    offset.checked_add(length as u64).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.kept().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let kept = self.kept();
        if end_of(offset, out.len())? > kept.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_below(kept.visible, offset, out)?;
        for (chunk, start, range) in pieces(offset, out.len()) {
            if let Some(bytes) = kept.chunks.get(&chunk) {
                let length = range.len();
                out[range].copy_from_slice(&bytes[start..start + length]);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut kept = self.kept();
        kept.length = length;
        kept.visible = kept.visible.min(length);
        let behind = kept.chunks.split_off(&length.div_ceil(CHUNK));
        drop(behind);
        if let Some(last) = kept.chunks.get_mut(&(length / CHUNK)) {
            last[(length % CHUNK) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut kept = self.kept();
        kept.length = kept.length.max(end_of(offset, data.len())?);
        for (chunk, start, range) in pieces(offset, data.len()) {
            if !kept.chunks.contains_key(&chunk) {
                let mut bytes = vec![0; CHUNK as usize].into_boxed_slice();
                self.read_below(kept.visible, chunk * CHUNK, &mut bytes)?;
                kept.chunks.insert(chunk, bytes);
            }
            if let Some(bytes) = kept.chunks.get_mut(&chunk) {
                bytes[start..start + range.len()].copy_from_slice(&data[range]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, Vec<u8>),
        Cut(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_000u64, prop::collection::vec(any::<u8>(), 1..9000))
                .prop_map(|(at, data)| Step::Write(at, data)),
            (0..25_000u64).prop_map(Step::Cut),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_layer_reads_as_if_it_had_written_and_what_is_below_stays(
            first in prop::collection::vec(any::<u8>(), 0..12_000),
            steps in prop::collection::vec(step(), 0..12),
        ) {
            let below = Arc::new(InMemoryBackend::new());
            below.set_len(first.len() as u64).unwrap();
            below.write(0, &first).unwrap();
            let overlay = Overlay::over(below.clone()).unwrap();
            let mut model = first.clone();
            for step in &steps {
                match step {
                    Step::Write(at, data) => {
                        let end = *at as usize + data.len();
                        model.resize(model.len().max(end), 0);
                        model[*at as usize..end].copy_from_slice(data);
                        overlay.write(*at, data).unwrap();
                    }
                    Step::Cut(length) => {
                        model.resize(*length as usize, 0);
                        overlay.set_len(*length).unwrap();
                    }
                }
                let mut seen = vec![1; model.len()];
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
                overlay.read(0, &mut seen).unwrap();
                prop_assert!(seen == model);
                prop_assert!(overlay.read(1, &mut seen).is_err() || seen.is_empty());
            }
            let mut left = vec![0; first.len()];
            below.read(0, &mut left).unwrap();
            prop_assert_eq!(left, first);
        }
    }
}
