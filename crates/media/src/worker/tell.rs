//! What a worker tells the engine.

use std::collections::VecDeque;

use crossbeam_channel::Sender;

use crate::engine::MediaEvent;

/// The ways of events to the engine, the same for all workers. RTCP has one of its own: it comes in
/// crowds, and must not keep from being told what comes once.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    pub(crate) events: Sender<MediaEvent>,
    pub(crate) rtcp: Sender<MediaEvent>,
}

/// A worker's end of them.
#[derive(Debug)]
pub(super) struct Teller {
    ways: Ways,
    /// Events that found no room, the oldest first.
    unsaid: VecDeque<MediaEvent>,
}

impl Teller {
    pub(super) const fn new(ways: Ways) -> Self {
        Self {
            ways,
            unsaid: VecDeque::new(),
        }
    }

    /// Tells RTCP that was seen; whether there was room.
    pub(super) fn tell_rtcp(&self, seen: MediaEvent) -> bool {
        self.ways.rtcp.try_send(seen).is_ok()
    }

    /// Tells something that is found again if there is no room; whether there was.
    pub(super) fn try_tell(&self, event: MediaEvent) -> bool {
        self.unsaid.is_empty() && self.ways.events.try_send(event).is_ok()
    }

    /// Tells something, at once or by [`Teller::catch_up`]; whether the engine has something new.
    pub(super) fn tell(&mut self, event: MediaEvent) -> bool {
        if matches!(event, MediaEvent::Rtcp(_)) {
            return self.tell_rtcp(event);
        }
        if self.unsaid.len() == UNSAID_MAX {
            tracing::error!(?event, "nobody takes the events of media: one is lost");
            return false;
        }
        self.unsaid.push_back(event);
        self.catch_up() > 0
    }

    /// Tells what there was no room for, as far as there is room now; how much.
    pub(super) fn catch_up(&mut self) -> usize {
        let mut said = 0;
        while let Some(event) = self.unsaid.pop_front() {
            if let Err(refused) = self.ways.events.try_send(event) {
                self.unsaid.push_front(refused.into_inner());
                break;
            }
            said += 1;
        }
        said
    }
}

/// Events kept by a worker. As many again wait in the queue.
const UNSAID_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::*;
    use crate::engine::{SeenReport, Side};

    #[test]
    fn a_crowd_of_reports_keeps_nothing_else_from_being_told_and_nothing_is_forgotten() {
        let (events, told) = bounded(2);
        let (rtcp, reports) = bounded(2);
        let mut teller = Teller::new(Ways { events, rtcp });
        let address = "127.0.0.1:9".parse().expect("an address");
        let report = || {
            MediaEvent::Rtcp(SeenReport {
                session: 1,
                from: address,
                to: address,
                bytes: Vec::new(),
            })
        };
        let played = |session| MediaEvent::Played {
            session,
            side: Side::A,
        };
        let room: Vec<bool> = (0..5).map(|_| teller.tell(report())).collect();
        assert_eq!(room, [true, true, false, false, false]);
        for session in 0..5 {
            teller.tell(played(session));
        }
        assert!(!teller.try_tell(played(9)), "the order is kept");
        let mut heard = Vec::new();
        for _ in 0..3 {
            heard.extend(told.try_iter());
            teller.catch_up();
        }
        assert_eq!(heard, [0, 1, 2, 3, 4].map(played));
        assert_eq!(reports.len(), 2);
    }
}
