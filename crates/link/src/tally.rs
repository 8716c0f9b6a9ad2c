//! How many things somebody has at a time, so that nobody takes all places.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by key; clones share everything. A key is kept only while it has something.
#[derive(Debug)]
pub(crate) struct Tally<K>(Arc<Mutex<HashMap<K, usize>>>);

/// One thing that a key has, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<K: Eq + Hash> {
    key: K,
    tally: Tally<K>,
}

impl<K: Eq + Hash + Clone> Tally<K> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// One more for the key, unless it has so many.
    pub(crate) fn count(&self, key: K, most: usize) -> Option<Counted<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Counted {
            key,
            tally: self.clone(),
        })
    }
}

impl<K> Clone for Tally<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_and_gets_them_back() {
        let tally = Tally::new();
        let first = tally.count("a", 2).expect("the first");
        let _second = tally.count("a", 2).expect("the second");
        assert!(tally.count("a", 2).is_none());
        assert!(tally.count("b", 2).is_some(), "another has its own");
        drop(first);
        assert!(tally.count("a", 2).is_some());
    }

    #[test]
    fn nothing_is_kept_of_who_has_nothing() {
        let tally = Tally::new();
        drop(tally.count("a", 1));
        assert!(tally.0.lock().expect("whole").is_empty());
    }
}
