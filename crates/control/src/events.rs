//! The last events, in order, for streams that come and go.
//!
//! A stream reads from here, never from the node: a slow one costs nothing and misses nothing
//! as long as it is less than [`EVENTS_MAX`] events behind. While nobody has watched for [`LINGER`] the
//! node is not asked for events at all, which spares it their making at each call.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clock::Time;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::PlatformEvent;
use crate::control::now;

/// The last events.
pub(crate) struct Ring {
    /// Tells this run's events from an earlier one's.
    epoch: u64,
    events: Mutex<VecDeque<(u64, PlatformEvent)>>,
    /// The number of the newest event; 0 before the first.
    newest: watch::Sender<u64>,
    /// Somebody began to watch.
    wanted: Notify,
    /// The node's events are carried here.
    is_carried: AtomicBool,
}

/// The place of an event in the stream: `<epoch>-<number>`, the `id` of the stream's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    epoch: u64,
    number: u64,
}

impl EventId {
    /// Tells this run's events from another's.
    pub(crate) const fn epoch(self) -> u64 {
        self.epoch
    }

    /// Its number in this run.
    pub(crate) const fn number(self) -> u64 {
        self.number
    }

    /// Another place in the same run.
    pub(crate) const fn at(self, number: u64) -> Self {
        Self { number, ..self }
    }
}

/// What follows an event.
pub(crate) struct Following {
    /// Events, the oldest first.
    pub(crate) events: Vec<(EventId, PlatformEvent)>,
    /// Whether events before them were asked for and are gone.
    pub(crate) gap: bool,
}

impl Ring {
    /// An empty ring; `started` tells it from those of earlier runs.
    pub(crate) fn new(started: Time) -> Self {
        Self {
            epoch: started.as_millis(),
            events: Mutex::default(),
            newest: watch::Sender::new(0),
            wanted: Notify::new(),
            is_carried: AtomicBool::new(false),
        }
    }

    /// Adds an event that the platform saw.
    pub(crate) fn push(&self, event: PlatformEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == EVENTS_MAX {
            events.pop_front();
        }
        let number = *self.newest.borrow() + 1;
        events.push_back((number, event));
        drop(events);
        self.newest.send_replace(number);
    }

    /// Adds an event that arose in the API itself.
    pub(crate) fn announce(&self, topic: &str, name: &str, data: serde_json::Value) {
        let (topic, name) = (topic.to_owned(), name.to_owned());
        self.push(PlatformEvent {
            sequence: 0,
            at_us: now().as_micros(),
            topic,
            name,
            data,
            server: None,
            server_name: String::new(),
        });
    }

    /// The place of the newest event.
    pub(crate) fn newest(&self) -> EventId {
        EventId {
            epoch: self.epoch,
            number: *self.newest.borrow(),
        }
    }

    /// Notices when there are newer events.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        let receiver = self.newest.subscribe();
        self.wanted.notify_one();
        receiver
    }

    /// Whether a stream is open.
    fn is_watched(&self) -> bool {
        self.newest.receiver_count() > 0
    }

    /// Whether events of other nodes are to come here: while those of this node do; and for a while
    /// after the start, because who watched before comes back, and wants what was missed.
    pub(crate) fn is_wanted(&self, at: Time) -> bool {
        let age_ms = at.as_millis().saturating_sub(self.epoch);
        self.is_carried.load(Ordering::Relaxed) || u128::from(age_ms) < LINGER.as_millis()
    }

    /// The latest events that are wanted, the newest first.
    pub(crate) fn latest(
        &self,
        limit: usize,
        wanted: impl Fn(&PlatformEvent) -> bool,
    ) -> Vec<PlatformEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let found = events.iter().rev().map(|(_, event)| event);
        found.filter(|e| wanted(e)).take(limit).cloned().collect()
    }

    /// From here on events are missing: whoever resumes from before is told so.
    fn interrupt(&self) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.newest.send_modify(|number| *number += 1);
    }

    /// The events after a place, at most [`BATCH`].
    pub(crate) fn after(&self, place: EventId) -> Following {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let known = place.epoch == self.epoch && place.number <= *self.newest.borrow();
        let after = if known { place.number } else { 0 };
        let oldest = events.front().map_or(after + 1, |(number, _)| *number);
        let id = |number| EventId {
            epoch: self.epoch,
            number,
        };
        Following {
            gap: !known || oldest > after + 1,
            events: events
                .iter()
                .skip_while(|(number, _)| *number <= after)
                .take(BATCH)
                .map(|(number, event)| (id(*number), event.clone()))
                .collect(),
        }
    }
}

/// Carries the node's events into the ring, while somebody watches, until the node is gone.
pub(crate) async fn pump(control: crate::Control) {
    let ring = control.ring();
    loop {
        while !ring.is_watched() {
            ring.wanted.notified().await;
        }
        let events = control.platform().subscribe();
        ring.is_carried.store(true, Ordering::Relaxed);
        let carried = carry(ring, events).await;
        ring.is_carried.store(false, Ordering::Relaxed);
        if carried.is_err() {
            return;
        }
        ring.interrupt();
    }
}

/// Carries events until nobody has watched for a while. Errors: the node is gone.
async fn carry(ring: &Ring, mut events: Receiver<PlatformEvent>) -> Result<(), RecvError> {
    let mut watched = Instant::now();
    loop {
        match timeout(LINGER, events.recv()).await {
            Ok(Ok(event)) => ring.push(event),
            Ok(Err(RecvError::Lagged(count))) => {
                ring.announce("events", "events.lost", json!({ "count": count }));
            }
            Ok(Err(RecvError::Closed)) => return Err(RecvError::Closed),
            Err(_) => {}
        }
        if ring.is_watched() {
            watched = Instant::now();
        } else if watched.elapsed() >= LINGER {
            return Ok(());
        }
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl std::str::FromStr for EventId {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (epoch, number) = s.split_once('-').unwrap_or((s, ""));
        Ok(Self {
            epoch: epoch.parse()?,
            number: number.parse()?,
        })
    }
}

/// How long events are carried on after the last stream closed, so that it can resume.
const LINGER: Duration = Duration::from_secs(120);
/// Events kept; beyond it the oldest are forgotten, and streams further behind are told of the gap.
const EVENTS_MAX: usize = 4_096;
/// Events handed to a stream at once.
const BATCH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn ring_of(count: u64) -> Ring {
        let ring = Ring::new(Time::from_secs(1));
        for n in 1..=count {
            ring.announce("calls", "call.answered", json!(n));
        }
        ring
    }

    fn place(text: &str) -> EventId {
        text.parse().unwrap()
    }

    #[test]
    fn a_stream_resumes_after_the_event_it_saw() {
        let following = ring_of(3).after(place("1000-1"));
        assert!(!following.gap);
        let ids: Vec<String> = following
            .events
            .iter()
            .map(|(id, _)| id.to_string())
            .collect();
        assert_eq!(ids, ["1000-2", "1000-3"]);
    }

    #[test]
    fn a_stream_of_an_earlier_run_is_told_of_the_gap_and_gets_all_there_is() {
        let following = ring_of(2).after(place("999-7"));
        assert!(following.gap);
        assert_eq!(following.events.len(), 2);
    }

    #[test]
    fn a_stream_too_far_behind_is_told_of_the_gap() {
        let ring = ring_of(EVENTS_MAX as u64 + 2);
        assert!(ring.after(place("1000-1")).gap);
        let following = ring.after(place("1000-2"));
        assert!(!following.gap);
        assert_eq!(following.events.len(), BATCH);
    }

    #[test]
    fn an_empty_ring_has_no_gap() {
        let following = ring_of(0).after(place("1000-0"));
        assert!(!following.gap && following.events.is_empty());
    }
}
