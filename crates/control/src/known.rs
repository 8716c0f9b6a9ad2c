//! Who was known when the store last answered: while it is away, whoever asked before may go on
//! looking at calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::control::Who;

/// People and tokens by the hash of what they show.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<String, Who>>);

impl Known {
    /// Notes what the store says of a hash.
    pub(crate) fn learn(&self, hash: &str, found: Option<&Who>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(who) = found else {
            known.remove(hash);
            return;
        };
        if known.len() >= KNOWN_MAX && !known.contains_key(hash) {
            known.clear();
        }
        known.insert(hash.to_owned(), who.clone());
    }

    /// What the store said of it.
    pub(crate) fn recall(&self, hash: &str) -> Option<Who> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).cloned()
    }
}

/// More than operators and panels there are; all are forgotten when one more comes.
const KNOWN_MAX: usize = 1_000;
