//! Events of joined nodes on their way into the ring of control's own, each once and in order.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use link::proto::EventBatch;
use model::ServerId;
use serde_json::json;
use tonic::Status;

use crate::PlatformEvent;
use crate::control::now;
use crate::events::Ring;

/// How far the events of each node have come: the run of the node, and the number in it.
#[derive(Default)]
pub(crate) struct EventsTaken(Mutex<BTreeMap<ServerId, (u64, u64)>>);

impl EventsTaken {
    /// Takes over what has not come before. Errors: it cannot be read, or is too much at once.
    pub(super) fn take(
        &self,
        ring: &Ring,
        (server, name): (ServerId, &str),
        batch: &EventBatch,
    ) -> Result<(), Status> {
        if batch.events.len() > BATCH_MAX {
            let why = format!("{BATCH_MAX} events at a time are accepted");
            return Err(Status::invalid_argument(why));
        }
        let read = |happened: &link::proto::Happened| {
            let event = serde_json::from_slice::<PlatformEvent>(&happened.event);
            event.map(|event| (happened.number, event))
        };
        let events: Result<Vec<_>, _> = batch.events.iter().map(read).collect();
        let events =
            events.map_err(|error| Status::invalid_argument(format!("an event: {error}")))?;
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (epoch, last) = taken.entry(server).or_default();
        if *epoch != batch.epoch {
            (*epoch, *last) = (batch.epoch, 0);
        }
        let mut is_gap = batch.gap;
        for (number, event) in events {
            if number <= *last {
                continue;
            }
            if std::mem::take(&mut is_gap) {
                ring.push(of_server(server, name, lost()));
            }
            *last = number;
            ring.push(of_server(server, name, event));
        }
        Ok(())
    }

    /// Servers that are gone need not be known any more.
    pub(crate) fn retain(&self, exists: impl Fn(ServerId) -> bool) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|server, _| exists(*server));
    }
}

fn of_server(server: ServerId, name: &str, event: PlatformEvent) -> PlatformEvent {
    PlatformEvent {
        server: Some(server),
        server_name: name.to_owned(),
        ..event
    }
}

fn lost() -> PlatformEvent {
    PlatformEvent {
        sequence: 0,
        at_us: now().as_micros(),
        topic: "events".into(),
        name: "events.lost".into(),
        data: json!({}),
        server: None,
        server_name: String::new(),
    }
}

/// Events in one batch; a node sends a quarter of it.
const BATCH_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use clock::Time;
    use link::proto::Happened;

    use super::*;

    const BERLIN: ServerId = ServerId::from_bits(1);

    fn batch(epoch: u64, numbers: &[u64], gap: bool) -> EventBatch {
        let happened = |number: &u64| {
            let event = PlatformEvent {
                sequence: *number,
                topic: "calls".into(),
                ..lost()
            };
            Happened {
                number: *number,
                event: serde_json::to_vec(&event).unwrap(),
            }
        };
        EventBatch {
            epoch,
            events: numbers.iter().map(happened).collect(),
            gap,
        }
    }

    /// What the ring has: the sequence of each event and its topic.
    fn shown(ring: &Ring) -> Vec<(u64, String)> {
        let mut latest = ring.latest(100, |event| event.server == Some(BERLIN));
        latest.reverse();
        let item = |event: PlatformEvent| (event.sequence, event.topic);
        latest.into_iter().map(item).collect()
    }

    #[test]
    fn what_is_sent_again_is_there_once_and_in_order() {
        let (taken, ring) = (EventsTaken::default(), Ring::new(Time::from_secs(1)));
        let take = |batch| taken.take(&ring, (BERLIN, "berlin"), &batch).unwrap();
        take(batch(7, &[1, 2], false));
        take(batch(7, &[1, 2, 3], false));
        take(batch(7, &[2, 3], true));
        let calls = |numbers: &[u64]| -> Vec<(u64, String)> {
            numbers.iter().map(|n| (*n, "calls".into())).collect()
        };
        assert_eq!(shown(&ring), calls(&[1, 2, 3]));
        // The node was started again.
        take(batch(8, &[1], false));
        assert_eq!(shown(&ring), calls(&[1, 2, 3, 1]));
        let names = ring.latest(100, |_| true);
        assert!(names.iter().all(|event| event.server_name == "berlin"));
    }

    #[test]
    fn what_the_node_has_lost_is_said_once() {
        let (taken, ring) = (EventsTaken::default(), Ring::new(Time::from_secs(1)));
        let take = |batch| taken.take(&ring, (BERLIN, "berlin"), &batch);
        take(batch(7, &[9], true)).unwrap();
        take(batch(7, &[9], true)).unwrap();
        let wanted = vec![(0, "events".to_owned()), (9, "calls".to_owned())];
        assert_eq!(shown(&ring), wanted);
        let mut bad = batch(7, &[10], false);
        bad.events[0].event = b"no event".to_vec();
        assert!(take(bad).is_err());
        let numbers: Vec<u64> = (0..=BATCH_MAX as u64).collect();
        assert!(take(batch(7, &numbers, false)).is_err());
    }
}
