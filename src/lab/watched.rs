//! A value that one thread writes and others wait on.

#![allow(clippy::disallowed_methods, reason = "waits have limits, and the lab runs on the real clock")]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A value with a bell: every change wakes those who wait for a condition on it.
#[derive(Debug, Default)]
pub struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    /// Starts with `value`.
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// Changes the value and wakes everyone.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Looks at the value.
    pub fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Waits until `found` finds something, at most `limit`.
    pub fn wait<R>(&self, limit: Duration, mut found: impl FnMut(&T) -> Option<R>) -> Option<R> {
        let deadline = Instant::now() + limit;
        let mut value = self.lock();
        loop {
            if let Some(result) = found(&value) {
                return Some(result);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            (value, _) = self.changed.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A writer that panicked leaves a value that is still good to show.
    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
