//! The one thread that writes: it gathers the changes that wait, makes them durable together, shows the new state
//! to the readers, and only then answers.
//!
//! The state is whatever its owner keeps in memory beside the file; it must be cheap to clone (shared
//! structure), because every job works on a copy that is dropped when the job or the disk fails. A job sees what
//! the jobs before it did, although none of that is durable yet; that is why a job that read such state is answered
//! with the commit's error when the commit fails, even if it changed nothing itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::{Change, CommitError, Store, panic_text};

/// Jobs that may wait. More writers than this at a time are told to come back, rather than to fill the memory.
const QUEUE: usize = 1024;

/// Jobs that share a commit at most: bounds the time until the first of them is answered.
const BATCH_JOBS: usize = 256;

/// Bytes of changes after which a batch takes no further job. One job may have more; it is one transaction.
const BATCH_BYTES: usize = 8 << 20;

/// Why a job was not done. The state is as if it had never been handed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The queue is full.
    #[error("{QUEUE} writes are waiting already; try again later")]
    Busy,
    /// There is no state folder to write to.
    #[error("read-only: bootlace runs without a state folder (give it one with --state or state:)")]
    NoStore,
    /// The changes are not on the disk.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The job panicked; with what it said.
    #[error("the write failed by a fault of the program: {0}")]
    Panicked(String),
    /// The writer has ended.
    #[error("bootlace is shutting down")]
    Closed,
}

/// The handle of the writing thread. Dropping it ends the thread as [`close`](Self::close) does.
#[derive(Debug)]
pub struct Writer<S> {
    queue: Mutex<Option<SyncSender<Work<S>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What waits in the queue.
enum Work<S> {
    Job(Box<dyn Job<S>>),
    /// A new state that is not written: a reload of files.
    Replace(Box<dyn FnOnce(&S) -> S + Send>, oneshot::Sender<Result<(), WriteError>>),
}

impl<S: Clone + Send + 'static> Writer<S> {
    /// Starts the thread. `state` is what the readers have now; `publish` gives them another, and is called before
    /// the jobs that led to it are answered. Without a `store` every job that changes something is refused.
    pub fn start(
        store: Option<Store>,
        state: S,
        publish: impl Fn(&S) + Send + 'static,
    ) -> std::io::Result<Writer<S>> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || Thread { store, state, publish, queue: receiver }.run())?;
        Ok(Writer { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Hands in a job, at once, and gives the future of its outcome; the job is done whether or not anybody waits
    /// for that.
    ///
    /// The job changes the state and says what that means for the file. What it returns as `Ok` is answered when
    /// the changes are durable and published. Its `Err` undoes what it did, and nothing else.
    pub fn submit<R, E, F>(
        &self,
        job: F,
    ) -> impl Future<Output = Result<Result<R, E>, WriteError>> + Send + use<R, E, F, S>
    where
        F: FnOnce(&mut S, &mut Vec<Change>) -> Result<R, E> + Send + 'static,
        R: Send + 'static,
        E: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let pending = Pending { job: Some(job), outcome: None, answer: sender };
        let queued = self.enqueue(Work::Job(Box::new(pending)));
        async move {
            queued?;
            receiver.await.unwrap_or(Err(WriteError::Closed))
        }
    }

    /// Puts another state in the place of the present one, in turn with the jobs: those handed in before are
    /// in the state that `replace` is given, those handed in later see what it returns. Nothing is written.
    pub fn replace<F>(&self, replace: F) -> impl Future<Output = Result<(), WriteError>> + Send + use<F, S>
    where
        F: FnOnce(&S) -> S + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let queued = self.enqueue(Work::Replace(Box::new(replace), sender));
        async move {
            queued?;
            receiver.await.unwrap_or(Err(WriteError::Closed))
        }
    }

    fn enqueue(&self, work: Work<S>) -> Result<(), WriteError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref().ok_or(WriteError::Closed)?.try_send(work) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(WriteError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(WriteError::Closed),
        }
    }
}

impl<S> Writer<S> {
    /// Takes no further job, finishes those that wait, closes the file. Blocks until that is done.
    pub fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It ends by itself once the queue is empty; a panic of `publish` has nobody left to be told.
            let _ = thread.join();
        }
    }
}

impl<S> Drop for Writer<S> {
    fn drop(&mut self) {
        self.close();
    }
}

/// A job without its types.
trait Job<S>: Send {
    /// Runs it; true when it succeeded, so that what it did to `state` and `changes` counts.
    fn run(&mut self, state: &mut S, changes: &mut Vec<Change>) -> bool;
    /// Gives its caller the outcome, or the error in its place.
    fn answer(self: Box<Self>, error: Option<&WriteError>);
}

struct Pending<F, R, E> {
    job: Option<F>,
    outcome: Option<Result<Result<R, E>, WriteError>>,
    answer: oneshot::Sender<Result<Result<R, E>, WriteError>>,
}

impl<S, F, R, E> Job<S> for Pending<F, R, E>
where
    F: FnOnce(&mut S, &mut Vec<Change>) -> Result<R, E> + Send,
    R: Send,
    E: Send,
{
    fn run(&mut self, state: &mut S, changes: &mut Vec<Change>) -> bool {
        let Some(job) = self.job.take() else { return false };
        let outcome = catch_unwind(AssertUnwindSafe(|| job(state, changes)))
            .map_err(|panic| WriteError::Panicked(panic_text(&*panic).to_owned()));
        let good = matches!(outcome, Ok(Ok(_)));
        self.outcome = Some(outcome);
        good
    }

    fn answer(self: Box<Self>, error: Option<&WriteError>) {
        let outcome = error.map_or(self.outcome, |error| Some(Err(error.clone())));
        if let Some(outcome) = outcome {
            // Whoever asked may have gone away.
            let _ = self.answer.send(outcome);
        }
    }
}

struct Thread<S, P> {
    store: Option<Store>,
    /// What the readers have.
    state: S,
    publish: P,
    queue: Receiver<Work<S>>,
}

/// Jobs that share a commit.
struct Batch<S> {
    /// What the readers get when the commit succeeds.
    draft: S,
    changes: Vec<Change>,
    bytes: usize,
    /// Ran on what the readers have or on what needs no commit: they keep their outcome if the commit fails.
    settled: Vec<Box<dyn Job<S>>>,
    /// Ran on, or made, what the commit has to make true.
    waiting: Vec<Box<dyn Job<S>>>,
}

impl<S: Clone, P: Fn(&S)> Thread<S, P> {
    fn run(mut self) {
        // Ends when all senders are gone and the queue is empty.
        while let Ok(first) = self.queue.recv() {
            let mut next = Some(first);
            let mut batch = Batch::on(self.state.clone());
            let mut replace = None;
            while let Some(work) = next {
                match work {
                    Work::Job(job) => self.take(&mut batch, job),
                    // Ends the batch: a reload must not be lost with changes that the disk refuses.
                    Work::Replace(make, answer) => {
                        replace = Some((make, answer));
                        break;
                    }
                }
                next = if batch.is_full() { None } else { self.queue.try_recv().ok() };
            }
            self.finish(batch);
            if let Some((make, answer)) = replace {
                let _ = answer.send(self.replace(make));
            }
        }
    }

    /// Runs `job` as part of `batch`.
    fn take(&mut self, batch: &mut Batch<S>, mut job: Box<dyn Job<S>>) {
        let mut draft = batch.draft.clone();
        let mut changes = Vec::new();
        let good = job.run(&mut draft, &mut changes);
        if good && !changes.is_empty() && self.store.is_none() {
            return job.answer(Some(&WriteError::NoStore));
        }
        if good {
            batch.draft = draft;
            batch.bytes += changes.iter().map(Change::size).sum::<usize>();
            batch.changes.append(&mut changes);
        }
        if batch.changes.is_empty() {
            if good {
                self.state = batch.draft.clone();
            }
            batch.settled.push(job);
        } else {
            batch.waiting.push(job);
        }
    }

    /// Commits `batch`, publishes, answers.
    fn finish(&mut self, batch: Batch<S>) {
        let error = match &mut self.store {
            Some(store) if !batch.changes.is_empty() => {
                store.commit(&batch.changes).err().map(WriteError::Commit)
            }
            _ => None,
        };
        if error.is_none() {
            self.state = batch.draft;
        }
        (self.publish)(&self.state);
        for job in batch.settled {
            job.answer(None);
        }
        for job in batch.waiting {
            job.answer(error.as_ref());
        }
    }

    fn replace(&mut self, make: Box<dyn FnOnce(&S) -> S + Send>) -> Result<(), WriteError> {
        let made = catch_unwind(AssertUnwindSafe(|| make(&self.state)));
        self.state = made.map_err(|panic| WriteError::Panicked(panic_text(&*panic).to_owned()))?;
        (self.publish)(&self.state);
        Ok(())
    }
}

impl<S> Batch<S> {
    fn on(draft: S) -> Batch<S> {
        Batch { draft, changes: Vec::new(), bytes: 0, settled: Vec::new(), waiting: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.settled.len() + self.waiting.len() >= BATCH_JOBS || self.bytes >= BATCH_BYTES
    }
}

impl<S> std::fmt::Debug for Work<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Work::Job(_) => "Job",
            Work::Replace(..) => "Replace",
        })
    }
}
