//! Ends that others may still have to hear of: of bindings that they hold, or held once.
//!
//! They stand on this node's shelf until every state of the binding that anybody may have has
//! expired. Whoever comes with an older state meanwhile is told again.

use std::collections::BTreeMap;

use registrar::PeerId;
use store::{Location, LocationChange, LocationEnd, LocationEndKind};

/// By their bindings.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Of this node.
    ends: BTreeMap<[u8; 8], LocationEnd>,
    /// What others have told, and who.
    heard: BTreeMap<[u8; 8], (PeerId, LocationEnd)>,
    /// When to look for old ones next; microseconds since the Unix epoch.
    next_look_us: u64,
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
                self.ends.insert(end.key, end);
                LocationChange::Ended(end)
            }
            LocationChange::Ended(_) => change,
            LocationChange::Saved(location) => {
                // This node holds it: its shelf has the binding in the place of its end.
                self.ends.remove(&location.key);
                LocationChange::Saved(location)
            }
        }
    }

    /// Remembers what somebody else told.
    pub(super) fn hear(&mut self, from: PeerId, end: LocationEnd, now_us: u64) {
        if end.until_us > now_us && self.heard.len() < MARKS_MAX {
            self.heard.insert(end.key, (from, end));
        }
    }

    /// A node is dead that had left marks: whoever has not heard them yet hears them from this one, as
    /// from each survivor. They are few; and who dies next does not matter then.
    pub(super) fn inherit(&mut self, from: PeerId) -> Vec<LocationChange> {
        let of_the_dead = self
            .heard
            .values()
            .filter(|(teller, end)| *teller == from && end.kind == LocationEndKind::Removed);
        let ends: Vec<LocationEnd> = of_the_dead.map(|(_, end)| *end).collect();
        let room = MARKS_MAX.saturating_sub(self.ends.len());
        let taken = ends.into_iter().take(room).map(|end| {
            self.ends.insert(end.key, end);
            LocationChange::Ended(end)
        });
        taken.collect()
    }

    /// What speaks against a state: an end that came after it, and who is to tell of it.
    pub(super) fn against(&self, heard: &Location) -> Option<Against> {
        let is_later = |end: &&LocationEnd| heard.version < end.version;
        let own = self.ends.get(&heard.key).filter(is_later);
        let of_others = self.heard.get(&heard.key).map(|(_, end)| end);
        let of_others = of_others.filter(is_later);
        own.map(|end| Against::Ours(*end))
            .or_else(|| of_others.map(|_| Against::Theirs))
    }

    /// All that this node has to tell.
    pub(super) fn all(&self) -> impl Iterator<Item = LocationEnd> + '_ {
        self.ends.values().copied()
    }

    /// Takes out those that nobody can come too late for; they are to leave the shelf.
    pub(super) fn drop_old(&mut self, now_us: u64) -> impl Iterator<Item = LocationEnd> + use<> {
        let mut old = Vec::new();
        if self.next_look_us <= now_us {
            self.next_look_us = now_us + PAUSE_US;
            self.heard.retain(|_, (_, end)| end.until_us > now_us);
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
        }
        old.into_iter()
    }
}

/// The end of a binding of which somebody has an older state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// This node tells it again.
    Ours(LocationEnd),
    /// Another node tells it.
    Theirs,
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
        let late_us = 2 * PAUSE_US;
        let end = removed(1, 9, late_us);
        assert_eq!(marks.note(end.clone(), 100), end);
        assert!(marks.against(&location(1, 8)).is_some());
        assert!(marks.against(&location(1, 9)).is_none());
        assert!(marks.against(&location(2, 8)).is_none());
        assert_eq!(marks.drop_old(0).count(), 0);
        let gone: Vec<LocationEnd> = marks.drop_old(late_us).collect();
        assert!(
            matches!(&gone[..], [end] if end.kind == LocationEndKind::Yielded),
            "{gone:?}"
        );
        assert!(marks.against(&location(1, 8)).is_none());
    }

    #[test]
    fn what_others_have_ended_is_not_believed_from_a_third() {
        let mut marks = Marks::default();
        let LocationChange::Ended(end) = removed(1, 9, 500) else {
            panic!("it is an end");
        };
        let teller = PeerId::from_index(0).unwrap();
        marks.hear(teller, end, 100);
        assert_eq!(marks.against(&location(1, 8)), Some(Against::Theirs));
        assert_eq!(marks.against(&location(1, 10)), None);
        assert_eq!(marks.all().count(), 0, "others tell of it");
    }

    #[test]
    fn the_marks_of_a_dead_node_are_those_of_all_survivors() {
        let mut marks = Marks::default();
        let [dead, other] = [0, 1].map(|n| PeerId::from_index(n).unwrap());
        let LocationChange::Ended(end) = removed(1, 9, 500) else {
            panic!("it is an end");
        };
        let of_a_holder = LocationEnd {
            key: [2; 8],
            kind: LocationEndKind::Ended,
            ..end
        };
        marks.hear(dead, end, 100);
        marks.hear(dead, of_a_holder, 100);
        marks.hear(other, LocationEnd { key: [3; 8], ..end }, 100);
        assert_eq!(marks.inherit(dead), [LocationChange::Ended(end)]);
        assert_eq!(marks.against(&location(1, 8)), Some(Against::Ours(end)));
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
