//! All entities of a node, and the admission of calls to them.

use ahash::RandomState;
use clock::Time;
use hashbrown::HashMap;

use crate::counter::{Counter, Shortage};
use crate::{EntityId, EntityKind, Limit, Slice};

/// The most entities one admission may name; those beyond are not asked. A call concerns at
/// most one of each kind.
pub const ENTITIES_MAX: usize = 16;

/// The limits and counts of a node.
///
/// An admission looks up each entity twice and allocates nothing in the long run. Entities that
/// nobody configured are counted without limit for as long as they have channels in use.
#[derive(Debug)]
pub struct Limits {
    counters: HashMap<EntityId, Counter, RandomState>,
    /// Whether a cluster keeps the limits together: then an entity permits nothing before this node
    /// has a share of it.
    shared: bool,
    /// Releases of channels that were not in use.
    misuses: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl Limits {
    /// Nothing configured, nothing in use.
    #[must_use]
    pub fn new() -> Self {
        // Hash flooding needs keys of the attacker's choice; identifiers are ours.
        let state = RandomState::with_seeds(1, 2, 3, 4);
        Self {
            counters: HashMap::with_hasher(state),
            shared: false,
            misuses: 0,
        }
    }

    /// Sets the limits of an entity. Calls in progress stay counted, even beyond a lower limit.
    pub fn configure(&mut self, entity: EntityId, limit: Limit) {
        let counter = self.counters.entry(entity).or_insert_with(Counter::new);
        counter.limit = limit;
        counter.configured = true;
        if self.shared && entity.kind != EntityKind::Server && counter.slice.is_none() {
            counter.slice = Some(Slice::NOTHING);
        }
    }

    /// From now on a cluster keeps all limits together, but those of the server. Called before the
    /// first is configured.
    pub const fn share(&mut self) {
        self.shared = true;
    }

    /// Takes an entity out of the configuration: no limit holds any more, and its count goes
    /// with its last call.
    pub fn remove(&mut self, entity: EntityId) {
        if let Some(counter) = self.counters.get_mut(&entity) {
            counter.limit = Limit::default();
            counter.slice = None;
            counter.configured = false;
            self.forget_unused(entity);
        }
    }

    /// Sets the limits of all entities at once; those not named are removed as by
    /// [`Limits::remove`].
    pub fn configure_all(&mut self, all: impl IntoIterator<Item = (EntityId, Limit)>) {
        for counter in self.counters.values_mut() {
            counter.configured = false;
        }
        for (entity, limit) in all {
            self.configure(entity, limit);
        }
        self.counters.retain(|_, counter| {
            if !counter.configured {
                counter.limit = Limit::default();
                counter.slice = None;
            }
            counter.configured || counter.in_use > 0
        });
    }

    /// Sets what this node may use of an entity's limit; `None` is all of it. An entity that is
    /// not configured has no limit to take a part of: nothing happens.
    pub fn lease(&mut self, entity: EntityId, slice: Option<Slice>) {
        if let Some(counter) = self.counters.get_mut(&entity)
            && counter.configured
        {
            counter.slice = slice;
        }
    }

    /// Admits one call to all of the entities, or to none. An entity named twice counts once.
    /// Used for the caller's side of a call, and again for each attempt with its carrier and
    /// gateway.
    ///
    /// # Errors
    /// The first entity, in the order given, that does not permit the call.
    pub fn try_admit(&mut self, now: Time, entities: &[EntityId]) -> Result<(), Refused> {
        for entity in distinct(entities) {
            let Some(counter) = self.counters.get_mut(&entity) else {
                continue;
            };
            if let Some(shortage) = counter.shortage(now) {
                counter.refuse(now);
                return Err(Refused::new(now, entity, counter.in_use, &shortage));
            }
        }
        for entity in distinct(entities) {
            let counter = self.counters.entry(entity).or_insert_with(Counter::new);
            counter.take(now);
        }
        Ok(())
    }

    /// Counts a call that another node has admitted: it goes on here, whatever the limits say. Its
    /// entities are released as those of an admission.
    pub fn adopt(&mut self, now: Time, entities: &[EntityId]) {
        for entity in distinct(entities) {
            let counter = self.counters.entry(entity).or_insert_with(Counter::new);
            counter.adopt(now);
        }
    }

    /// Gives back the channels of one admission; name the entities it named.
    ///
    /// # Errors
    /// The first entity with no channel in use. It is counted and left alone; all others are
    /// released.
    pub fn release(&mut self, now: Time, entities: &[EntityId]) -> Result<(), Misuse> {
        let mut result = Ok(());
        for entity in distinct(entities) {
            let counter = self.counters.get_mut(&entity);
            if counter.is_some_and(|counter| counter.release(now)) {
                self.forget_unused(entity);
            } else {
                self.misuses += 1;
                result = result.and(Err(Misuse { entity }));
            }
        }
        result
    }

    /// What an entity uses; `None` if it is neither configured nor in use.
    #[must_use]
    pub fn usage(&self, now: Time, entity: EntityId) -> Option<Usage> {
        self.counters.get(&entity).map(|counter| counter.usage(now))
    }

    /// How many releases found nothing to release.
    #[must_use]
    pub const fn misuses(&self) -> u64 {
        self.misuses
    }

    /// How many entities are configured or in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether no entity is configured or in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// The counters of all entities with a limit that a cluster shares.
    pub(crate) fn shared(&mut self) -> impl Iterator<Item = (EntityId, &mut Counter)> {
        let all = self.counters.iter_mut();
        all.filter(|(entity, counter)| {
            let Limit { cps, channels } = counter.limit;
            entity.kind != EntityKind::Server && (cps.is_some() || channels.is_some())
        })
        .map(|(entity, counter)| (*entity, counter))
    }

    /// What an entity is configured to, whatever this node may use of it.
    #[must_use]
    pub fn configured(&self, entity: EntityId) -> Option<Limit> {
        self.counters.get(&entity).map(|counter| counter.limit)
    }

    /// What this node may use of a limit that it shares.
    #[must_use]
    pub fn slice(&self, entity: EntityId) -> Option<Slice> {
        self.counters.get(&entity)?.slice
    }

    pub(crate) fn counter_mut(&mut self, entity: EntityId) -> Option<&mut Counter> {
        self.counters.get_mut(&entity)
    }

    fn forget_unused(&mut self, entity: EntityId) {
        let counter = self.counters.get(&entity);
        if counter.is_some_and(|counter| !counter.configured && counter.in_use == 0) {
            self.counters.remove(&entity);
        }
    }
}

/// Why a call is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is at its limit of {limit} {kind} ({in_use} calls in progress)", .entity.kind)]
pub struct Refused {
    /// Who refuses.
    pub entity: EntityId,
    /// Which limit.
    pub kind: LimitKind,
    /// The limit that counts at this moment.
    pub limit: u32,
    /// Calls in progress.
    pub in_use: u32,
    /// After how many seconds to ask again; at least 1.
    pub retry_after_s: u32,
}

impl Refused {
    fn new(now: Time, entity: EntityId, in_use: u32, shortage: &Shortage) -> Self {
        let (kind, limit, retry_after_s) = match shortage {
            Shortage::Cps { limit, free } => {
                let wait_s = free.since(now).as_micros().div_ceil(1_000_000);
                (LimitKind::Cps, *limit, wait_s.clamp(1, 60) as u32)
            }
            Shortage::Channels { limit } => (LimitKind::Channels, *limit, CHANNELS_RETRY_AFTER_S),
        };
        Self {
            entity,
            kind,
            limit,
            in_use,
            retry_after_s,
        }
    }
}

/// Which of the two limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// New calls per second.
    Cps,
    /// Calls in progress.
    Channels,
}

impl core::fmt::Display for LimitKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Cps => "calls per second",
            Self::Channels => "channels",
        })
    }
}

/// A release of something that is not in use: a bug of the caller, counted and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no channel of this {} is in use", .entity.kind)]
pub struct Misuse {
    /// The entity with nothing to release.
    pub entity: EntityId,
}

/// What an entity uses at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What counts: the least of configuration and slice.
    pub limit: Limit,
    /// Calls in progress.
    pub channels: u32,
    /// The most calls in progress in the last [`crate::PEAK_WINDOW_S`] seconds.
    pub channels_peak: u32,
    /// New calls in the last full second of the clock, or in this one if they are more.
    pub cps: u32,
    /// The most new calls in one second of the clock in the last [`crate::PEAK_WINDOW_S`].
    pub cps_peak: u32,
}

/// The entities without repetitions.
fn distinct(entities: &[EntityId]) -> impl Iterator<Item = EntityId> {
    let entities = &entities[..entities.len().min(ENTITIES_MAX)];
    let first = move |at: usize, entity| !entities[..at].contains(entity);
    let numbered = entities.iter().enumerate();
    numbered.filter_map(move |(at, entity)| first(at, entity).then_some(*entity))
}

/// Nobody knows when a call ends; a few seconds keep the load of retries low.
const CHANNELS_RETRY_AFTER_S: u32 = 5;

#[cfg(test)]
mod tests;
