//! Ends that others may still have to hear of: of bindings that they hold, or held once.
//!
//! They stand on this node's shelf until every state of the binding that anybody may have has
//! expired. Whoever comes with an older state meanwhile is told again.

use std::collections::BTreeMap;

use store::{Location, LocationChange, LocationEnd, LocationEndKind};

/// By their bindings.
#[derive(Debug, Default)]
pub(super) struct Marks {
    ends: BTreeMap<[u8; 8], LocationEnd>,
    /// When the first of them may go; microseconds since the Unix epoch.
    first_until_us: u64,
}

impl Marks {
    /// Keeps what has to be kept of a change; as it is to be told.
    pub(super) fn note(&mut self, change: LocationChange, now_us: u64) -> LocationChange {
        match change {
            LocationChange::Ended(end) if end.kind == LocationEndKind::Removed => {
                if end.until_us <= now_us || self.ends.len() >= MARKS_MAX {
                    let kind = LocationEndKind::Ended;
                    return LocationChange::Ended(LocationEnd { kind, ..end });
                }
                self.first_until_us = match self.ends.is_empty() {
                    true => end.until_us,
                    false => self.first_until_us.min(end.until_us),
                };
                self.ends.insert(end.key, end);
                LocationChange::Ended(end)
            }
            LocationChange::Ended(_) => change,
            LocationChange::Saved(location) => {
                // It is registered again, by this node.
                self.ends.remove(&location.key);
                LocationChange::Saved(location)
            }
        }
    }

    /// What to answer to who tells of a binding in a state before its end.
    pub(super) fn against(&self, heard: &Location) -> Option<LocationEnd> {
        let end = self.ends.get(&heard.key);
        end.filter(|end| heard.version < end.version).copied()
    }

    /// All that are kept.
    pub(super) fn all(&self) -> impl Iterator<Item = LocationEnd> + '_ {
        self.ends.values().copied()
    }

    /// Takes out those that nobody can come too late for; they are to leave the shelf.
    pub(super) fn drop_old(&mut self, now_us: u64) -> impl Iterator<Item = LocationEnd> + use<> {
        let mut old = Vec::new();
        if !self.ends.is_empty() && self.first_until_us <= now_us {
            self.ends.retain(|_, end| {
                let is_old = end.until_us <= now_us;
                if is_old {
                    old.push(LocationEnd {
                        kind: LocationEndKind::Yielded,
                        ..*end
                    });
                }
                !is_old
            });
            // Not each round: they may stay for a while longer.
            let first = self.ends.values().map(|end| end.until_us).min();
            self.first_until_us = first.unwrap_or(0).max(now_us + PAUSE_US);
        }
        old.into_iter()
    }
}

/// Ends that are kept at most; what is beyond might come back.
const MARKS_MAX: usize = 100_000;
/// Between two looks for old ones.
const PAUSE_US: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(n: u8, version: u64, until_us: u64) -> LocationChange {
        LocationChange::Ended(LocationEnd {
            key: [n; 8],
            version,
            until_us,
            kind: LocationEndKind::Removed,
        })
    }

    fn location(n: u8, version: u64) -> Location {
        Location {
            key: [n; 8],
            version,
            expires_us: 0,
            aor: String::new(),
            body: Vec::new(),
        }
    }

    #[test]
    fn who_comes_with_an_older_state_is_told_of_the_end_while_it_matters() {
        let mut marks = Marks::default();
        assert_eq!(marks.note(removed(1, 9, 500), 100), removed(1, 9, 500));
        assert!(marks.against(&location(1, 8)).is_some());
        assert!(marks.against(&location(1, 9)).is_none());
        assert!(marks.against(&location(2, 8)).is_none());
        assert_eq!(marks.drop_old(499).count(), 0);
        let gone: Vec<LocationEnd> = marks.drop_old(500).collect();
        assert!(
            matches!(&gone[..], [end] if end.kind == LocationEndKind::Yielded),
            "{gone:?}"
        );
        assert!(marks.against(&location(1, 8)).is_none());
    }

    #[test]
    fn what_nobody_can_have_any_more_leaves_no_mark() {
        let mut marks = Marks::default();
        let told = marks.note(removed(1, 9, 500), 500);
        assert!(
            matches!(told, LocationChange::Ended(end) if end.kind == LocationEndKind::Ended),
            "{told:?}"
        );
        assert_eq!(marks.all().count(), 0);
    }
}
