//! Messages in the order of time, part by part: what several nodes have can be put together then.
//!
//! Within a segment messages stand as they were written, which is not quite the order in which they
//! were seen: other systems tell of theirs late, or by another clock. So entries are gathered as far
//! as one may still belong before others, and the messages of the first ones are read.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use trace::{ENTRY_BYTES, Entry, Prints, Seen, Wanted};

use super::reader::{SLACK_US, gone_is_empty, open, read};
use super::segment::{index_path, messages_path, numbers};
use super::{TraceId, TraceOrder, TraceReader};

/// Which messages of one node are wanted, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceQuery {
    /// What they have in common.
    pub wanted: Wanted,
    /// Whether those of other legs of the same call are wanted, too.
    pub legs: TraceLegs,
    /// In which order of time.
    pub order: TraceOrder,
    /// Those beyond this place only.
    pub beyond: Option<TracePlace>,
    /// How many at most; more than 500 are never given at once.
    pub limit: usize,
}

/// Which legs of a call are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceLegs {
    /// Those with the Call-IDs that are given.
    Named,
    /// All legs of the calls of ours that those belong to.
    All,
}

/// A place in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TracePlace {
    /// When the message there was seen, in microseconds since 1970.
    pub at_us: u64,
    /// The message there.
    pub id: TraceId,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracePart {
    /// In the order that was asked for.
    pub messages: Vec<(TraceId, Seen)>,
    /// Where the next part begins; `None`: there is none.
    pub next: Option<TracePlace>,
    /// Whether there was not time enough to look at everything.
    pub is_partial: bool,
}

impl TraceReader {
    /// A part of the messages that are wanted.
    ///
    /// # Errors
    /// If the disk cannot be read. What is removed meanwhile is no error.
    pub fn part(&self, query: &TraceQuery) -> io::Result<TracePart> {
        let until = Instant::now() + TIME_MAX;
        self.part_until(query, until, PART_BYTES_MAX)
    }

    pub(super) fn part_until(
        &self,
        query: &TraceQuery,
        until: Instant,
        bytes_max: usize,
    ) -> io::Result<TracePart> {
        let mut wanted = query.wanted.clone();
        let has_name = !wanted.call_ids.is_empty();
        if query.legs == TraceLegs::All && has_name && !self.widen(&mut wanted)? {
            return Ok(TracePart::default());
        }
        let limit = query.limit.min(PART_MESSAGES_MAX);
        let mut first = First {
            order: query.order,
            beyond: query.beyond,
            prints: wanted.prints(),
            keep: limit + SPARE,
            until,
            places: Vec::new(),
            bound: None,
            is_partial: false,
        };
        self.gather(&mut first)?;
        first.cut();
        self.take(&first, &wanted, limit, bytes_max)
    }

    /// Adds by what the other legs of the calls are known here; false if nothing of them is.
    fn widen(&self, wanted: &mut Wanted) -> io::Result<bool> {
        let named = Wanted {
            from_us: wanted.from_us,
            to_us: wanted.to_us,
            call_ids: wanted.call_ids.clone(),
            ..Wanted::default()
        };
        let known = self.find(&named, TraceOrder::OldestFirst, None, KEYS_LOOK_MAX)?;
        let (Some((_, first)), Some((_, last))) = (known.first(), known.last()) else {
            return Ok(false);
        };
        wanted.keys = Self::keys_of(&known);
        if !wanted.keys.is_empty() {
            // Another run of this node may give keys again.
            let from_us = first.at_us.saturating_sub(AROUND_US);
            wanted.from_us = wanted.from_us.max(Some(from_us));
            if known.len() < KEYS_LOOK_MAX {
                let to_us = last.at_us.saturating_add(AROUND_US);
                wanted.to_us = Some(wanted.to_us.unwrap_or(u64::MAX).min(to_us));
            }
        }
        Ok(true)
    }

    /// Notes the places of all messages that may be among the first.
    fn gather(&self, first: &mut First) -> io::Result<()> {
        let mut numbers = gone_is_empty(numbers(&self.dir))?;
        if first.order == TraceOrder::NewestFirst {
            numbers.reverse();
        }
        for number in numbers {
            let index = gone_is_empty(fs::read(index_path(&self.dir, number)))?;
            let (entries, _) = index.as_chunks::<ENTRY_BYTES>();
            let (Some(one), Some(other)) = (entries.first(), entries.last()) else {
                continue;
            };
            let (one, other) = (Entry::decode(one).at_us, Entry::decode(other).at_us);
            let span = (
                one.min(other).saturating_sub(SLACK_US),
                one.max(other).saturating_add(SLACK_US),
            );
            if !first.may_have(span) {
                continue;
            }
            for some in entries.chunks(LOOK_AT_ONCE) {
                if Instant::now() > first.until {
                    first.is_partial = true;
                    return Ok(());
                }
                some.iter().for_each(|bytes| first.look(number, bytes));
            }
        }
        Ok(())
    }

    /// Reads the messages of the places, until there are enough.
    fn take(
        &self,
        first: &First,
        wanted: &Wanted,
        limit: usize,
        bytes_max: usize,
    ) -> io::Result<TracePart> {
        let mut part = TracePart {
            is_partial: first.is_partial,
            ..TracePart::default()
        };
        let mut room = bytes_max;
        let mut file = None;
        let mut last = None;
        for (place, entry) in &first.places {
            let segment = place.id.segment;
            if part.messages.len() == limit {
                part.next = last;
                return Ok(part);
            }
            if file.as_ref().is_none_or(|(open, _)| *open != segment) {
                file = open(&messages_path(&self.dir, segment))?.map(|file| (segment, file));
            }
            let found = match &file {
                Some((_, file)) => read(file, entry)?.filter(|seen| wanted.takes(seen, entry)),
                None => None,
            };
            if let Some(seen) = found {
                match room.checked_sub(seen.payload.len()) {
                    Some(left) => room = left,
                    // One message is given however long it is, so that it goes on.
                    None if part.messages.is_empty() => room = 0,
                    None => {
                        part.next = last;
                        return Ok(part);
                    }
                }
                part.messages.push((place.id, seen));
            }
            last = Some(*place);
        }
        // Places beyond these were not kept.
        if first.bound.is_some() {
            part.next = last;
        }
        Ok(part)
    }
}

/// The first places of those that were looked at.
struct First {
    order: TraceOrder,
    beyond: Option<TracePlace>,
    prints: Prints,
    /// How many are kept.
    keep: usize,
    /// When whoever asked waits no more.
    until: Instant,
    places: Vec<(TracePlace, Entry)>,
    /// The last of those kept, once some were not: what is beyond is not wanted.
    bound: Option<TracePlace>,
    is_partial: bool,
}

impl First {
    /// Whether anything seen in a stretch of time may be among the first.
    fn may_have(&self, (from_us, to_us): (u64, u64)) -> bool {
        let in_bound = |bound: TracePlace| match self.order {
            TraceOrder::OldestFirst => from_us <= bound.at_us,
            TraceOrder::NewestFirst => to_us >= bound.at_us,
        };
        let is_beyond = |beyond: TracePlace| match self.order {
            TraceOrder::OldestFirst => to_us >= beyond.at_us,
            TraceOrder::NewestFirst => from_us <= beyond.at_us,
        };
        self.prints.covers(from_us, to_us)
            && self.bound.is_none_or(in_bound)
            && self.beyond.is_none_or(is_beyond)
    }

    fn look(&mut self, segment: u32, bytes: &[u8; ENTRY_BYTES]) {
        let entry = Entry::decode(bytes);
        let place = TracePlace {
            at_us: entry.at_us,
            id: TraceId {
                segment,
                offset: entry.offset,
            },
        };
        let is_before = |a: TracePlace, b: TracePlace| match self.order {
            TraceOrder::OldestFirst => a < b,
            TraceOrder::NewestFirst => a > b,
        };
        let is_wanted = self.beyond.is_none_or(|beyond| is_before(beyond, place))
            && self.bound.is_none_or(|bound| is_before(place, bound))
            && self.prints.take(&entry);
        if !is_wanted {
            return;
        }
        self.places.push((place, entry));
        if self.places.len() >= 2 * self.keep {
            self.cut();
        }
    }

    /// Puts them in order, and keeps the first ones.
    fn cut(&mut self) {
        match self.order {
            TraceOrder::OldestFirst => self.places.sort_unstable_by_key(|(place, _)| *place),
            TraceOrder::NewestFirst => self
                .places
                .sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place)),
        }
        if self.places.len() > self.keep {
            self.places.truncate(self.keep);
            self.bound = self.places.last().map(|(place, _)| *place);
        }
    }
}

/// Messages of one part.
const PART_MESSAGES_MAX: usize = 500;
/// Bytes of messages of one part; one message may be longer.
const PART_BYTES_MAX: usize = 1 << 20;
/// Places kept beside those that are wanted: of messages whose prints fit and whose texts do not.
const SPARE: usize = 64;
/// How long a search may take: whoever asks waits three seconds.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Entries looked at between two looks at the clock.
const LOOK_AT_ONCE: usize = 16_384;
/// Messages that are looked at for the key of their call: the first few bear it.
const KEYS_LOOK_MAX: usize = 256;
/// How far the messages of other legs may be beside those of the first.
const AROUND_US: u64 = 60_000_000;
