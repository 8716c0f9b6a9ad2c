//! Pages of the calls in progress: of ten thousand only those on the page are looked at as a whole.

use model::{AccountId, CallId, CallState, CallView};

use crate::Switch;
use crate::views::{state, view};

/// What a call is chosen by.
#[derive(Clone, Copy, Debug)]
pub struct CallGlance<'a> {
    /// Who pays.
    pub account: Option<AccountId>,
    /// Where it stands.
    pub state: CallState,
    /// The user part of From.
    pub caller: &'a str,
    /// The user part of the request URI.
    pub called: &'a str,
}

impl Switch {
    /// Of the calls in progress that are `wanted` at most `limit` of those after a place, in ascending
    /// order of their ids; and how many there are wanted, before that place, too.
    #[must_use]
    pub fn calls_where(
        &self,
        wanted: impl Fn(&CallGlance<'_>) -> bool,
        after: Option<CallId>,
        limit: usize,
    ) -> (Vec<CallView>, usize) {
        let mut total = 0;
        let mut found = Vec::new();
        for (key, entry) in self.calls.iter() {
            let Some(state) = state(entry) else {
                continue;
            };
            let glance = CallGlance {
                account: entry.facts.account,
                state,
                caller: entry.facts.caller_text(),
                called: entry.facts.called_text(),
            };
            if !wanted(&glance) {
                continue;
            }
            total += 1;
            if after.is_none_or(|after| entry.facts.id > after) {
                found.push((entry.facts.id, key));
            }
        }
        if found.len() > limit {
            found.select_nth_unstable(limit);
            found.truncate(limit);
        }
        found.sort_unstable();
        let entries = found
            .iter()
            .filter_map(|(_, key)| self.calls.entry(*key).and_then(view));
        (entries.collect(), total)
    }
}
