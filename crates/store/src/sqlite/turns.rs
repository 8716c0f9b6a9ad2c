//! A lock whose holders take turns, in the order in which they came.
//!
//! With a mutex of the standard library, whoever lets go and asks again at once nearly always has it
//! again before somebody who sleeps has woken: one list that looks through millions of records, a
//! step at a time, would keep all others from theirs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What one has at a time, in turn.
pub(super) struct Turns<T> {
    line: Mutex<Line>,
    moved: Condvar,
    /// Never waited for: only whose turn it is asks.
    inner: Mutex<T>,
}

/// Numbers, as they are drawn and called at a counter.
#[derive(Default)]
struct Line {
    drawn: u64,
    called: u64,
}

impl<T> Turns<T> {
    pub(super) fn new(inner: T) -> Self {
        Self {
            line: Mutex::default(),
            moved: Condvar::new(),
            inner: Mutex::new(inner),
        }
    }

    /// Does something with it, once all who came before have. What somebody left who panicked is
    /// taken as it is.
    pub(super) fn take<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        let _turn = self.wait();
        let inner = self.inner.lock();
        act(&mut inner.unwrap_or_else(PoisonError::into_inner))
    }

    fn wait(&self) -> Turn<'_, T> {
        let mut line = self.line();
        let number = line.drawn;
        line.drawn += 1;
        while line.called != number {
            let woken = self.moved.wait(line);
            line = woken.unwrap_or_else(PoisonError::into_inner);
        }
        Turn(self)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many have it or wait for it.
    #[cfg(test)]
    fn present(&self) -> u64 {
        let line = self.line();
        line.drawn - line.called
    }
}

/// Ends when it is dropped, also by a panic.
struct Turn<'a, T>(&'a Turns<T>);

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.0.line().called += 1;
        self.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_asks_again_waits_for_those_who_have_waited() {
        for _ in 0..50 {
            let turns = Turns::new(Vec::new());
            thread::scope(|scope| {
                let turns = &turns;
                turns.take(|order| {
                    for other in 1..=2 {
                        scope.spawn(move || turns.take(|order| order.push(other)));
                        while turns.present() < other + 1 {
                            thread::yield_now();
                        }
                    }
                    order.push(0);
                });
                turns.take(|order| order.push(3));
            });
            turns.take(|order| assert_eq!(*order, [0, 1, 2, 3]));
        }
    }

    #[test]
    fn somebody_who_panics_holds_nobody_up() {
        let turns = Turns::new(1);
        let panicked = thread::scope(|scope| {
            let holder = scope.spawn(|| turns.take(|value| assert_eq!(*value, 2, "on purpose")));
            holder.join()
        });
        assert!(panicked.is_err());
        assert_eq!(turns.take(|value| *value), 1);
    }
}
