//! What this node has done, minute by minute: looked at once a second, and kept every few seconds, so
//! that a crash costs no more.

mod minutes;

use std::sync::Arc;
use std::time::Duration;

use limits::EntityId;
use model::{HISTORY_US, ServerId};
use store::{HistoryStore, Span, StoreError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use self::minutes::{Look, Minutes, Totals, minute_of};
use crate::metrics::TRANSPORTS;
use crate::telemetry::{cpu_ms, memory_bytes};
use crate::up::node_name;
use crate::visit::Visitor;

/// The task that looks and keeps.
pub(crate) struct History {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl History {
    /// Within the runtime. `now_us` is the time of the machine.
    pub(crate) fn start(
        visitor: Visitor,
        (store, server): (Arc<dyn HistoryStore>, ServerId),
        now_us: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let keeper = Keeper {
            visitor,
            store,
            server,
            complained: false,
        };
        let task = tokio::spawn(keeper.run(now_us, stopped));
        Self { stop, task }
    }

    /// Keeps what there is, and ends.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(END_PATIENCE, self.task).await.is_err() {
            tracing::warn!("the last seconds of history were not kept in time");
        }
    }
}

struct Keeper {
    visitor: Visitor,
    store: Arc<dyn HistoryStore>,
    server: ServerId,
    /// It was said that nothing can be kept.
    complained: bool,
}

impl Keeper {
    async fn run(mut self, now_us: impl Fn() -> u64, mut stopped: watch::Receiver<bool>) {
        let started_us = now_us();
        let mut minutes = Minutes::new(node_name(), started_us);
        if let Ok(Some(begun)) = self.begun(minute_of(started_us)).await {
            minutes.go_on_with(begun);
        }
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kept_us = started_us;
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
            let Ok(look) = self.look().await else {
                // The switch has no time: the time is not covered.
                minutes.pass_over(now_us());
                continue;
            };
            let at_us = now_us();
            let is_another = minutes.take(at_us, look);
            if is_another || at_us.saturating_sub(kept_us) >= KEEP_US {
                kept_us = at_us;
                self.keep(&mut minutes, at_us.saturating_sub(HISTORY_US))
                    .await;
            }
        }
        if let Ok(look) = self.look().await {
            minutes.take(now_us(), look);
        }
        self.keep(&mut minutes, 0).await;
    }

    async fn look(&self) -> Result<Look, control::PlatformError> {
        let seen = self.visitor.ask(|now, machine, host| {
            let switch = &machine.switch;
            let usage = switch.usage(now, EntityId::SERVER);
            let counters = switch.counters();
            let calls = u32::try_from(switch.call_count()).unwrap_or(u32::MAX);
            let registrations: usize = TRANSPORTS.iter().map(|t| switch.binding_count(*t)).sum();
            Look {
                totals: Totals {
                    attempts: counters.attempts,
                    answered: counters.answered,
                    failed: counters.failed,
                    talks: counters.duration.count(),
                    talk_us: counters.duration.sum_us,
                    delays: counters.pdd.counts,
                    mos_legs: host.quality.mos.count,
                    mos_centi: host.quality.mos.sum,
                    cpu_ms: None,
                },
                channels: usage.map_or(calls, |usage| usage.channels),
                cps: usage.map_or(0, |usage| usage.cps),
                registrations: u32::try_from(registrations).unwrap_or(u32::MAX),
                memory_bytes: None,
            }
        });
        let mut look = seen.await?;
        look.totals.cpu_ms = cpu_ms();
        look.memory_bytes = memory_bytes();
        Ok(look)
    }

    /// What was kept of this minute before a restart.
    async fn begun(&self, minute_us: u64) -> Result<Option<model::Sample>, StoreError> {
        let (store, server) = (Arc::clone(&self.store), self.server);
        let span = Span {
            from_us: minute_us,
            to_us: minute_us + 1,
            server: Some(server),
        };
        let found = tokio::task::spawn_blocking(move || store.samples(&span, None, 1)).await;
        let found = found.map_err(|error| StoreError::Unavailable(error.to_string()))??;
        Ok(found.into_iter().next().map(|(_, sample)| sample))
    }

    /// What cannot be kept now is kept with what comes next.
    async fn keep(&mut self, minutes: &mut Minutes, forget_before_us: u64) {
        let (store, server, samples) = (Arc::clone(&self.store), self.server, minutes.unkept());
        let kept = tokio::task::spawn_blocking(move || {
            store.keep_samples(server, &samples)?;
            store.forget_samples(forget_before_us)
        });
        let kept = kept.await;
        match kept.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string()))) {
            Ok(_) => {
                minutes.are_kept();
                self.complained = false;
            }
            Err(error) if !self.complained => {
                tracing::warn!(%error, "history cannot be kept; it is tried again");
                self.complained = true;
            }
            Err(_) => {}
        }
    }
}

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long it takes until what was seen is kept, in microseconds: what a crash costs.
const KEEP_US: u64 = 10_000_000;
/// How long the end waits for the store.
const END_PATIENCE: Duration = Duration::from_secs(2);
