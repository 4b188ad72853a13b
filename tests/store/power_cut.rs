//! A power cut: what was not synced is lost, in part, in any order, torn.
//!
//! A run of commits is recorded as the list of what the disk was told. Then the disk is made as any moment of the
//! run could have left it: everything up to the last sync, and of what came after it nothing, all, or some.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bootlace::store::{Change, Store};
use proptest::prelude::*;
use proptest::sample::Index;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::{Content, apply, bytes, content, file_after, medium, put, remove};

/// Random power cuts.
const CASES: u32 = 300;

#[derive(Debug, Clone)]
enum Told {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
    /// Not the disk's: a commit begins, and ends with an acknowledgement.
    Begin,
    Acknowledged,
}

#[derive(Debug)]
struct Recorder {
    below: Arc<InMemoryBackend>,
    told: Mutex<Vec<Told>>,
}

impl Recorder {
    fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> std::io::Result<u64> {
        self.below.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        StorageBackend::read(&*self.below, offset, out)
    }
    fn set_len(&self, length: u64) -> std::io::Result<()> {
        self.tell(Told::Length(length));
        self.below.set_len(length)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.tell(Told::Sync);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.tell(Told::Write(offset, data.to_vec()));
        StorageBackend::write(&*self.below, offset, data)
    }
}

/// A recorded run: what the disk had at its start, what it was told, and the content after each commit.
struct Run {
    start: Vec<u8>,
    told: Vec<Told>,
    states: Vec<Content>,
}

fn record(commits: &[Vec<Change>]) -> Run {
    let start = file_after(|_| ());
    let recorder = Arc::new(Recorder { below: medium(&start), told: Mutex::default() });
    let mut states = vec![Content::new()];
    let mut store = Store::on(Path::new("recorded"), recorder.clone()).unwrap();
    for (number, changes) in commits.iter().enumerate() {
        // Now and then the appliance is restarted in good order: closing writes, too.
        if number % 7 == 6 {
            drop(store);
            store = Store::on(Path::new("recorded"), recorder.clone()).unwrap();
        }
        recorder.tell(Told::Begin);
        store.commit(changes).unwrap();
        recorder.tell(Told::Acknowledged);
        let mut state = states.last().unwrap().clone();
        apply(&mut state, changes);
        states.push(state);
    }
    drop(store);
    let told = std::mem::take(&mut *recorder.told.lock().unwrap());
    Run { start, told, states }
}

/// What happens to one thing that the disk was told and did not sync.
#[derive(Debug, Clone)]
enum Fate {
    Lost,
    Kept,
    /// The first bytes of it only.
    Torn(Index),
}

fn carry_out(disk: &mut Vec<u8>, told: &Told, fate: &Fate) {
    match (told, fate) {
        (_, Fate::Lost) | (Told::Sync | Told::Begin | Told::Acknowledged, _) => {}
        (Told::Length(length), _) => disk.resize(*length as usize, 0),
        (Told::Write(offset, data), fate) => {
            let length = if let Fate::Torn(at) = fate { at.index(data.len() + 1) } else { data.len() };
            let (start, end) = (*offset as usize, *offset as usize + length);
            disk.resize(disk.len().max(end), 0);
            disk[start..end].copy_from_slice(&data[..length]);
        }
    }
}

/// The disk when the power goes before `told[moment]`; `fate` of the n-th unsynced thing, carried out in the
/// order that `order` gives.
fn disk_at(run: &Run, moment: usize, fates: &dyn Fn(usize) -> Fate, order: &dyn Fn(usize) -> u64) -> Vec<u8> {
    let synced =
        run.told[..moment].iter().rposition(|told| matches!(told, Told::Sync)).map_or(0, |at| at + 1);
    let mut disk = run.start.clone();
    for told in &run.told[..synced] {
        carry_out(&mut disk, told, &Fate::Kept);
    }
    let mut open: Vec<usize> = (synced..moment).collect();
    open.sort_by_key(|at| order(at - synced));
    for at in open {
        carry_out(&mut disk, &run.told[at], &fates(at - synced));
    }
    disk
}

/// Opens what the power cut left; the content must be that after the last acknowledged commit, or after the one
/// that was being written. And it can be written on.
fn survives(run: &Run, moment: usize, disk: Vec<u8>, how: &str) {
    let before = &run.told[..moment];
    let acknowledged = before.iter().filter(|told| matches!(told, Told::Acknowledged)).count();
    let begun = before.iter().filter(|told| matches!(told, Told::Begin)).count();
    let medium = medium(&disk);
    let mut store = Store::on(Path::new("after the cut"), medium.clone())
        .unwrap_or_else(|problem| panic!("cut before step {moment}, {how}: {problem}"));
    let found = content(&store);
    assert!(
        found == run.states[acknowledged] || found == run.states[begun],
        "cut before step {moment}, {how}: neither the {acknowledged} acknowledged commits nor the {begun} begun"
    );
    if moment.is_multiple_of(5) {
        let more = [put("more", "k", "v")];
        store.commit(&more).unwrap();
        drop(store);
        let mut expected = found;
        apply(&mut expected, &more);
        let again = Store::on(Path::new("written on"), self::medium(&bytes(&*medium))).unwrap();
        assert!(content(&again) == expected, "cut before step {moment}, {how}: written on");
    }
}

/// Commits that add, replace and remove, small and large, so that pages split, merge and the file grows.
fn some_commits() -> Vec<Vec<Change>> {
    (0..24usize)
        .map(|n| {
            let size = [10, 3000, 200, 40_000, 0][n % 5];
            let mut changes = vec![
                put("nodes", &format!("n{}", n % 9), vec![n as u8; size]),
                put("groups", "g", n.to_string()),
                remove("nodes", &format!("n{}", (n + 4) % 9)),
            ];
            // More than the file has room for; and when it is gone, the file becomes shorter at the next restart.
            let large = (0..40u8).map(|key| (format!("l{key}"), vec![key; 50_000]));
            match n {
                16 => changes.extend(large.map(|(key, value)| put("large", &key, value))),
                18 => changes.extend(large.map(|(key, _)| remove("large", &key))),
                _ => {}
            }
            changes
        })
        .collect()
}

#[test]
fn a_power_cut_around_every_sync_loses_nothing_acknowledged() {
    let run = record(&some_commits());
    let syncs: Vec<usize> = run
        .told
        .iter()
        .enumerate()
        .filter(|(_, told)| matches!(told, Told::Sync))
        .map(|(at, _)| at)
        .collect();
    assert!(syncs.len() >= 2 * some_commits().len(), "two syncs make a two-phase commit");
    let mut length = run.start.len() as u64;
    let (mut grew, mut shrank) = (0, 0);
    for told in &run.told {
        if let Told::Length(new) = told {
            grew += u32::from(*new > length);
            shrank += u32::from(*new < length);
            length = *new;
        }
    }
    assert!(grew > 0 && shrank > 0, "the file grew {grew} times and shrank {shrank} times");
    for at in syncs {
        let in_order = |n: usize| n as u64;
        let backwards = |n: usize| u64::MAX - n as u64;
        survives(&run, at, disk_at(&run, at, &|_| Fate::Lost, &in_order), "nothing of it written");
        survives(&run, at, disk_at(&run, at, &|_| Fate::Kept, &in_order), "all of it written");
        let every_other = |n: usize| if n.is_multiple_of(2) { Fate::Kept } else { Fate::Lost };
        survives(&run, at, disk_at(&run, at, &every_other, &backwards), "every other, backwards");
        survives(&run, at + 1, disk_at(&run, at + 1, &|_| Fate::Lost, &in_order), "just after the sync");
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::Lost), Just(Fate::Kept), any::<Index>().prop_map(Fate::Torn)]
}

#[test]
fn a_power_cut_at_any_moment_may_lose_reorder_and_tear_what_was_not_synced() {
    let run = record(&some_commits());
    let fates = prop::collection::vec((fate(), any::<u64>()), 1..40);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(moment in any::<Index>(), fates in fates)| {
        let moment = moment.index(run.told.len() + 1);
        let one = |n: usize| fates[n % fates.len()].0.clone();
        let order = |n: usize| fates[n % fates.len()].1.wrapping_mul(n as u64 + 1);
        survives(&run, moment, disk_at(&run, moment, &one, &order), "at random");
    });
}

/// The test of the test: a disk that loses what was synced must be noticed.
#[test]
fn a_disk_that_lies_about_its_syncs_is_noticed() {
    let run = record(&some_commits());
    let lied = Run {
        told: run.told.iter().filter(|told| !matches!(told, Told::Sync)).cloned().collect(),
        start: run.start,
        states: run.states,
    };
    let disk = disk_at(&lied, lied.told.len(), &|_| Fate::Lost, &|n| n as u64);
    let store = Store::on(Path::new("lied to"), medium(&disk)).unwrap();
    assert_ne!(content(&store), *lied.states.last().unwrap());
}
