//! SIP messages of all nodes of the platform, in one order of time.
//!
//! Each node keeps what it saw itself. When somebody looks, each is asked for a part that is already in
//! order, the parts are merged, and whose part is used up is asked for its next one. Who does not
//! answer is named: what the others have is shown all the same.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::{ServerId, ServerRole};
use serde::{Deserialize, Serialize};
use store::{TraceId, TraceOrder, TracePart, TracePlace, TraceQuery};
use tokio::task::JoinSet;
use tokio::time::Instant;
use trace::{Seen, Witnessed};

use crate::live_calls::{ANSWER_TIME, ASKED_MAX, OTHER_ANSWER, Seat, UnheardServer};
use crate::{Answer, Control, Question};

/// A part of the messages of a node, as it goes over the line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracesFound {
    messages: Vec<FoundMessage>,
    next: Option<TracePlace>,
    is_partial: bool,
}

/// A message on its way over the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FoundMessage {
    id: TraceId,
    /// As it is kept, in Base64.
    kept: String,
}

impl From<TracePart> for TracesFound {
    fn from(part: TracePart) -> Self {
        let write = |(id, seen): (TraceId, Seen)| {
            let mut kept = Vec::new();
            seen.encode(&mut kept);
            FoundMessage {
                id,
                kept: BASE64.encode(kept),
            }
        };
        Self {
            messages: part.messages.into_iter().map(write).collect(),
            next: part.next,
            is_partial: part.is_partial,
        }
    }
}

/// What is looked for.
pub(crate) struct TraceSearch {
    /// At each node.
    pub(crate) query: TraceQuery,
    /// At this server alone.
    pub(crate) server: Option<ServerId>,
    /// Those beyond this place only; for the latest first alone.
    pub(crate) after: Option<PlatformPlace>,
    /// How many messages at most.
    pub(crate) limit: usize,
    /// How long all of it may take.
    pub(crate) patience: Duration,
}

/// What was found.
#[derive(Default)]
pub(crate) struct TracesOfAll {
    /// In the order that was asked for.
    pub(crate) messages: Vec<Told>,
    /// Whether there are more.
    pub(crate) has_more: bool,
    /// Nodes whose messages are missing, or some of them.
    pub(crate) unheard: Vec<UnheardServer>,
}

/// A message, and the node that has it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) place: PlatformPlace,
    /// Which server has it, if there is a list of them.
    pub(crate) server: Option<ServerId>,
    /// What people call it; empty where the platform is one node.
    pub(crate) server_name: String,
    pub(crate) seen: Seen,
}

impl Told {
    /// As ladders and files have it.
    pub(crate) fn witnessed(self) -> Witnessed {
        Witnessed {
            id: self.place.name().to_string(),
            node: self.server_name,
            seen: self.seen,
        }
    }
}

/// A place in the order of time of the messages of all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlatformPlace {
    at_us: u64,
    /// `None`: this node.
    server: Option<ServerId>,
    id: TraceId,
}

impl PlatformPlace {
    /// What names the message in the API.
    pub(crate) const fn name(&self) -> TraceName {
        TraceName {
            id: self.id,
            server: self.server,
        }
    }

    /// Where the messages of a node go on that are before this one, in the order of the latest first.
    fn of_node(&self, server: Option<ServerId>) -> TracePlace {
        let id = match server.cmp(&self.server) {
            std::cmp::Ordering::Less => TraceId::LAST,
            std::cmp::Ordering::Equal => self.id,
            std::cmp::Ordering::Greater => TraceId::FIRST,
        };
        TracePlace {
            at_us: self.at_us,
            id,
        }
    }
}

impl fmt::Display for PlatformPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.at_us, self.name())
    }
}

impl FromStr for PlatformPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (at_us, name) = text.split_once('-').ok_or("it names no place")?;
        let TraceName { id, server } = name.parse()?;
        Ok(Self {
            at_us: u64::from_str_radix(at_us, 16).map_err(|error| error.to_string())?,
            server,
            id,
        })
    }
}

/// What names a message: as its node names it, and with `@` the joined server that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceName {
    pub(crate) id: TraceId,
    pub(crate) server: Option<ServerId>,
}

impl fmt::Display for TraceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.server {
            Some(server) => write!(f, "{}@{server}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

impl FromStr for TraceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, server) = match text.split_once('@') {
            Some((id, server)) => (id, Some(server)),
            None => (text, None),
        };
        let id: Result<TraceId, _> = id.parse();
        let server = server.map(str::parse).transpose();
        Ok(Self {
            id: id.map_err(|error| error.to_string())?,
            server: server.map_err(|error: model::IdError| error.to_string())?,
        })
    }
}

impl Control {
    /// The first messages that are wanted, of all nodes that answer.
    pub(crate) async fn search_traces(&self, search: TraceSearch) -> TracesOfAll {
        let until = Instant::now() + search.patience;
        let mut seats = self.seats_of(&SEARCHED).await;
        let is_alone = seats.len() == 1;
        seats.retain(|seat| search.server.is_none_or(|one| seat.server() == Some(one)));
        let mut found = TracesOfAll::default();
        let mut merge = Merge {
            order: search.query.order,
            sources: seats
                .into_iter()
                .map(|seat| Source::new(seat, search.after))
                .collect(),
        };
        let query = TraceQuery {
            // One more tells whether there are more.
            limit: search.limit.saturating_add(1),
            ..search.query
        };
        let mut bytes = 0;
        loop {
            self.refill(&mut merge, &query, until, &mut found.unheard)
                .await;
            let Some(mut told) = merge.next() else {
                break;
            };
            bytes += told.seen.payload.len();
            if found.messages.len() == search.limit || bytes > FOUND_BYTES_MAX {
                found.has_more = true;
                break;
            }
            if is_alone {
                told.server_name.clear();
            }
            found.messages.push(told);
        }
        found.unheard.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Asks the nodes whose part is used up for their next one, some at a time.
    async fn refill(
        &self,
        merge: &mut Merge,
        query: &TraceQuery,
        until: Instant,
        unheard: &mut Vec<UnheardServer>,
    ) {
        // One whose part has nothing that is wanted is asked again.
        loop {
            let mut waiting = merge.wanting().into_iter();
            let mut asked = JoinSet::new();
            let mut heard_any = false;
            loop {
                while asked.len() < ASKED_MAX
                    && let Some(at) = waiting.next()
                {
                    let (control, seat) = (self.clone(), merge.sources[at].seat.clone());
                    let query = TraceQuery {
                        beyond: merge.sources[at].beyond,
                        ..query.clone()
                    };
                    asked.spawn(async move { (at, control.part_of(&seat, query, until).await) });
                }
                let Some(answered) = asked.join_next().await else {
                    break;
                };
                heard_any = true;
                let (at, part) = match answered {
                    Ok(answered) => answered,
                    Err(error) => {
                        tracing::error!(%error, "a question to a node did not end");
                        continue;
                    }
                };
                let why = match part {
                    Ok(part) => merge.take(at, &part).err().map(str::to_owned),
                    Err(why) => {
                        merge.sources[at].is_done = true;
                        Some(why)
                    }
                };
                let seat = &merge.sources[at].seat;
                if let Some(why) = why
                    && !unheard.iter().any(|known| known.name == seat.name())
                {
                    unheard.push(self.unheard(seat.clone(), why));
                }
            }
            if !heard_any {
                return;
            }
        }
    }

    async fn part_of(
        &self,
        seat: &Seat,
        query: TraceQuery,
        until: Instant,
    ) -> Result<TracesFound, String> {
        let now = Instant::now();
        if now >= until {
            return Err("there was no time to ask it for all that it has".to_owned());
        }
        let until = until.min(now + ANSWER_TIME);
        let question = Question::Traces(query);
        match self.ask_seat(seat, &question, until).await? {
            Answer::Traces(found) => Ok(found),
            _ => Err(OTHER_ANSWER.to_owned()),
        }
    }
}

/// The parts of all nodes.
struct Merge {
    order: TraceOrder,
    sources: Vec<Source>,
}

/// What a node has said so far.
struct Source {
    seat: Seat,
    /// What names it in places.
    server: Option<ServerId>,
    messages: VecDeque<(TraceId, Seen)>,
    /// Where its next part begins.
    beyond: Option<TracePlace>,
    /// Nothing more comes of it.
    is_done: bool,
}

impl Source {
    fn new(seat: Seat, after: Option<PlatformPlace>) -> Self {
        let server = seat.server().filter(|_| !seat.is_own());
        Self {
            server,
            messages: VecDeque::new(),
            beyond: after.map(|place| place.of_node(server)),
            is_done: false,
            seat,
        }
    }

    fn place(&self) -> Option<PlatformPlace> {
        let (id, seen) = self.messages.front()?;
        Some(PlatformPlace {
            at_us: seen.at_us,
            server: self.server,
            id: *id,
        })
    }
}

impl Merge {
    /// The nodes of which nothing is there and more may come.
    fn wanting(&self) -> Vec<usize> {
        let all = self.sources.iter().enumerate();
        all.filter(|(_, source)| source.messages.is_empty() && !source.is_done)
            .map(|(at, _)| at)
            .collect()
    }

    /// Takes the next part of a node. Errors: why some of its messages are missing.
    fn take(&mut self, at: usize, part: &TracesFound) -> Result<(), &'static str> {
        let order = self.order;
        let source = &mut self.sources[at];
        let read = part.messages.iter().filter_map(|message| {
            let kept = BASE64.decode(&message.kept).ok()?;
            Some((message.id, Seen::decode(&kept).ok()?))
        });
        source.messages = read.collect();
        let goes_on = |next: TracePlace| {
            source.beyond.is_none_or(|before| match order {
                TraceOrder::OldestFirst => next > before,
                TraceOrder::NewestFirst => next < before,
            })
        };
        // A node that goes round in circles is asked no more.
        let next = part.next.filter(|next| goes_on(*next));
        source.is_done = next.is_none();
        source.beyond = next;
        match part.is_partial {
            true => Err("it had no time to look at all of them: ask for a shorter stretch of time"),
            false => Ok(()),
        }
    }

    /// The next message of all.
    fn next(&mut self) -> Option<Told> {
        let places = self.sources.iter().enumerate();
        let places = places.filter_map(|(at, source)| Some((source.place()?, at)));
        let (place, at) = match self.order {
            TraceOrder::OldestFirst => places.min(),
            TraceOrder::NewestFirst => places.min_by_key(|(place, _)| Reverse(*place)),
        }?;
        let source = &mut self.sources[at];
        let (_, seen) = source.messages.pop_front()?;
        Some(Told {
            place,
            server: source.seat.server(),
            server_name: source.seat.name().to_owned(),
            seen,
        })
    }
}

/// Nodes that keep messages.
const SEARCHED: [ServerRole; 2] = [ServerRole::Switch, ServerRole::Dispatcher];
/// Bytes of messages of one answer: of a page and of a ladder even the longest fit.
const FOUND_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests;
