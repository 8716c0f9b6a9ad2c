//! The events of this node for whoever carries them on, portion by portion.

use tokio::sync::watch;

use crate::events::EventId;
use crate::{Control, PlatformEvent};

/// What happens at this node from its making on. While there is one the node tells of what happens.
pub struct EventFeed {
    control: Control,
    place: EventId,
    newest: watch::Receiver<u64>,
}

/// Some events in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPortion {
    /// Tells the numbers of this run of the node from those of another.
    pub epoch: u64,
    /// Each with its number, which grows.
    pub events: Vec<(u64, PlatformEvent)>,
    /// Before the first of them others are missing: more has happened than is kept.
    pub gap: bool,
}

impl Control {
    /// What happens from now on.
    #[must_use]
    pub fn event_feed(&self) -> EventFeed {
        EventFeed {
            place: self.ring().newest(),
            newest: self.ring().watch(),
            control: self.clone(),
        }
    }
}

impl EventFeed {
    /// The next events, as soon as there are any; the same ones until they were [told](Self::told).
    pub async fn next(&mut self) -> EventPortion {
        loop {
            self.newest.mark_unchanged();
            let following = self.control.ring().after(self.place);
            if !following.events.is_empty() {
                let events = following.events.into_iter();
                return EventPortion {
                    epoch: self.place.epoch(),
                    events: events.map(|(id, event)| (id.number(), event)).collect(),
                    gap: following.gap,
                };
            }
            if self.newest.changed().await.is_err() {
                // The ring is gone, and with it everything that could happen.
                std::future::pending::<()>().await;
            }
        }
    }

    /// These need not be told again.
    pub fn told(&mut self, portion: &EventPortion) {
        if let Some((number, _)) = portion.events.last() {
            self.place = self.place.at(*number);
        }
    }
}
