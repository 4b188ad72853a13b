//! The writer: who is answered what, and when the readers see it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use bootlace::store::writer::{WriteError, Writer};
use bootlace::store::{Change, CommitError, Store};
use imbl::OrdMap;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::{content, file_after, medium, put};

type State = OrdMap<String, String>;

/// A disk that counts its syncs and can refuse them.
#[derive(Debug)]
struct Disk {
    below: Arc<InMemoryBackend>,
    full: AtomicBool,
}

impl StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        self.below.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        StorageBackend::read(&*self.below, offset, out)
    }
    fn set_len(&self, length: u64) -> std::io::Result<()> {
        self.below.set_len(length)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        StorageBackend::write(&*self.below, offset, data)
    }
}

/// A writer whose thread can be held, so that what is handed in meanwhile becomes one batch.
struct Bench {
    writer: Writer<State>,
    disk: Arc<Disk>,
    published: Arc<Mutex<Vec<State>>>,
}

impl Bench {
    fn new() -> Self {
        let disk = Arc::new(Disk { below: medium(&file_after(|_| ())), full: AtomicBool::new(false) });
        let store = Store::on(Path::new("disk"), disk.clone()).unwrap();
        let published = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&published);
        let publish = move |state: &State| seen.lock().unwrap().push(state.clone());
        Self { writer: Writer::start(Some(store), State::new(), publish).unwrap(), disk, published }
    }

    /// Keeps the thread busy until the sender goes; the batch begins with this job.
    fn hold(&self) -> Sender<()> {
        let (hold, held) = channel::<()>();
        let (say, started) = channel();
        drop(self.writer.submit(move |_, _| -> Result<(), ()> {
            say.send(()).unwrap();
            wait(&held);
            Ok(())
        }));
        started.recv().unwrap();
        hold
    }

    fn now(&self) -> State {
        self.published.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

fn wait(held: &Receiver<()>) {
    // Ends with an error when the sender is dropped.
    let _ = held.recv();
}

/// Sets `key`, in state and file.
fn set(
    key: &str,
    value: &str,
) -> impl FnOnce(&mut State, &mut Vec<Change>) -> Result<usize, String> + Send + 'static + use<> {
    let (key, value) = (key.to_owned(), value.to_owned());
    move |state, changes| {
        changes.push(put("t", &key, &value));
        state.insert(key, value);
        Ok(state.len())
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn an_answered_write_is_on_the_disk_and_published() {
    let bench = Bench::new();
    for n in 0..5 {
        assert_eq!(block(bench.writer.submit(set(&format!("k{n}"), "v"))), Ok(Ok(n + 1)));
        assert_eq!(bench.now().len(), n + 1);
        // As a crash would leave it: nothing is closed.
        let copy = medium(&super::bytes(&*bench.disk.below));
        assert_eq!(content(&Store::on(Path::new("copy"), copy).unwrap()).len(), n + 1);
    }
}

#[test]
fn writes_that_wait_share_one_commit_and_see_each_other() {
    let bench = Bench::new();
    let hold = bench.hold();
    let answers: Vec<_> = (0..50).map(|n| bench.writer.submit(set(&format!("k{n}"), "v"))).collect();
    drop(hold);
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(block(answer), Ok(Ok(n + 1)));
    }
    assert_eq!(bench.published.lock().unwrap().len(), 1, "one batch, shown once");
    assert_eq!(bench.now().len(), 50);
}

#[test]
fn a_job_that_fails_or_panics_takes_only_its_own_changes_along() {
    let bench = Bench::new();
    let hold = bench.hold();
    let before = bench.writer.submit(set("before", "1"));
    let fails = bench.writer.submit(|state: &mut State, changes: &mut Vec<Change>| -> Result<(), String> {
        state.clear();
        changes.push(put("t", "half", "x"));
        Err("conflict".to_owned())
    });
    let panics = bench.writer.submit(|state: &mut State, changes: &mut Vec<Change>| -> Result<(), ()> {
        state.clear();
        changes.push(put("t", "half", "x"));
        panic!("a bug in a job (this message belongs to the test)");
    });
    let after = bench.writer.submit(set("after", "2"));
    drop(hold);
    assert_eq!(block(before), Ok(Ok(1)));
    assert_eq!(block(fails), Ok(Err("conflict".to_owned())));
    let panicked = "a bug in a job (this message belongs to the test)".to_owned();
    assert_eq!(block(panics), Err(WriteError::Panicked(panicked)));
    assert_eq!(block(after), Ok(Ok(2)));
    let keys: Vec<_> = bench.now().keys().cloned().collect();
    assert_eq!(keys, ["after", "before"]);
    let stored = content(&Store::on(Path::new("copy"), medium(&super::bytes(&*bench.disk.below))).unwrap());
    assert_eq!(stored.len(), 2);
}

#[test]
fn a_full_disk_fails_what_depends_on_it_and_nothing_else() {
    let bench = Bench::new();
    assert_eq!(block(bench.writer.submit(set("old", "1"))), Ok(Ok(1)));
    let count = |state: &mut State, _: &mut Vec<Change>| -> Result<usize, String> { Ok(state.len()) };

    bench.disk.full.store(true, Ordering::SeqCst);
    let hold = bench.hold();
    let reads_first = bench.writer.submit(count);
    let writes = bench.writer.submit(set("new", "2"));
    let read_what_never_was = bench.writer.submit(count);
    drop(hold);
    assert_eq!(block(reads_first), Ok(Ok(1)));
    for refused in [block(writes), block(read_what_never_was)] {
        assert!(matches!(refused, Err(WriteError::Commit(CommitError::Full { .. }))), "{refused:?}");
    }
    assert_eq!(bench.now().keys().cloned().collect::<Vec<_>>(), ["old"], "readers keep what is on the disk");

    bench.disk.full.store(false, Ordering::SeqCst);
    assert_eq!(block(bench.writer.submit(set("new", "3"))), Ok(Ok(2)), "room again, writing again");
    assert_eq!(bench.now()["new"], "3");
}

#[test]
fn a_reload_takes_its_turn_and_outlives_a_full_disk() {
    let bench = Bench::new();
    bench.disk.full.store(true, Ordering::SeqCst);
    let hold = bench.hold();
    let refused = bench.writer.submit(set("a", "1"));
    let replaced = bench.writer.replace(|state| {
        assert!(state.is_empty(), "what the disk refused is not in it");
        State::unit("file".to_owned(), "2".to_owned())
    });
    let later = bench.writer.submit(|state: &mut State, _: &mut Vec<Change>| -> Result<_, ()> {
        Ok(state.keys().cloned().collect::<Vec<_>>())
    });
    drop(hold);
    assert!(matches!(block(refused), Err(WriteError::Commit(_))));
    assert_eq!(block(replaced), Ok(()));
    assert_eq!(block(later), Ok(Ok(vec!["file".to_owned()])));
    assert_eq!(bench.now().len(), 1);
}

#[test]
fn a_full_queue_is_an_error_at_once() {
    let bench = Bench::new();
    let hold = bench.hold();
    let waiting: Vec<_> = (0..1024).map(|n| bench.writer.submit(set(&n.to_string(), "v"))).collect();
    assert_eq!(block(bench.writer.submit(set("more", "v"))), Err(WriteError::Busy));
    assert_eq!(block(bench.writer.replace(State::clone)), Err(WriteError::Busy));
    drop(hold);
    for (n, answer) in waiting.into_iter().enumerate() {
        assert_eq!(block(answer), Ok(Ok(n + 1)));
    }
    assert!(bench.published.lock().unwrap().len() > 2, "a batch has a bound, too");
}

#[test]
fn closing_finishes_what_waits_and_takes_nothing_more() {
    let bench = Bench::new();
    let hold = bench.hold();
    let waiting: Vec<_> = (0..300).map(|n| bench.writer.submit(set(&n.to_string(), "v"))).collect();
    drop(hold);
    bench.writer.close();
    for answer in waiting {
        assert!(matches!(block(answer), Ok(Ok(_))));
    }
    assert_eq!(block(bench.writer.submit(set("late", "v"))), Err(WriteError::Closed));
    assert_eq!(content(&Store::on(Path::new("copy"), bench.disk.below.clone()).unwrap()).len(), 300);
}

#[test]
fn a_job_is_done_also_when_nobody_waits_for_its_answer() {
    let bench = Bench::new();
    drop(bench.writer.submit(set("a", "1")));
    bench.writer.close();
    assert_eq!(bench.now().len(), 1);
}

#[test]
fn without_a_state_folder_reading_and_reloading_work_and_writing_is_refused() {
    let published = Arc::new(Mutex::new(State::new()));
    let seen = Arc::clone(&published);
    let writer =
        Writer::start(None, State::new(), move |state: &State| *seen.lock().unwrap() = state.clone())
            .unwrap();
    let refused = block(writer.submit(set("a", "1"))).unwrap_err();
    assert_eq!(refused, WriteError::NoStore);
    assert!(refused.to_string().contains("--state"), "{refused}");
    assert_eq!(block(writer.replace(|_| State::unit("f".to_owned(), "1".to_owned()))), Ok(()));
    assert_eq!(
        block(writer.submit(|state: &mut State, _: &mut Vec<Change>| Ok::<_, ()>(state.len()))),
        Ok(Ok(1))
    );
    assert_eq!(published.lock().unwrap().len(), 1);
}
