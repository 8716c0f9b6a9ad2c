//! What is going to happen, in the order in which it does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use clock::Time;

/// Things to come; those of one moment in the order in which they were put here.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    entries: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Time,
    number: u64,
    what: T,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            entries: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Time, what: T) {
        self.entries += 1;
        let number = self.entries;
        self.heap.push(Reverse(Entry { at, number, what }));
    }

    /// When the next is due.
    pub(crate) fn due(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next, if it is due by then.
    pub(crate) fn pop(&mut self, end: Time) -> Option<(Time, T)> {
        let is_due = self.heap.peek().is_some_and(|Reverse(e)| e.at <= end);
        let Reverse(entry) = is_due.then(|| self.heap.pop())??;
        Some((entry.at, entry.what))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Entry<T> {}
