//! Tokens that were good when the store last answered: while it is away, whoever asked before may
//! go on looking at calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::ApiToken;

/// Tokens by their hash.
#[derive(Default)]
pub(crate) struct KnownTokens(Mutex<HashMap<String, ApiToken>>);

impl KnownTokens {
    /// Notes what the store says of a token.
    pub(crate) fn learn(&self, hash: &str, found: Option<&ApiToken>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = found else {
            known.remove(hash);
            return;
        };
        if known.len() >= TOKENS_MAX && !known.contains_key(hash) {
            known.clear();
        }
        known.insert(hash.to_owned(), token.clone());
    }

    /// What the store said of it.
    pub(crate) fn recall(&self, hash: &str) -> Option<ApiToken> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).cloned()
    }
}

/// More than operators and panels have; all are forgotten when one more comes.
const TOKENS_MAX: usize = 1_000;
