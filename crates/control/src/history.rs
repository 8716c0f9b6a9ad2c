//! History: what was measured minute by minute, brought to as many points as a graph has.
//!
//! First the servers of a minute are added up, then the minutes of a step. What nobody has measured is
//! no point: unknown is never 0.

mod fold;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{HISTORY_US, SAMPLE_US, Sample, ServerId};
use store::{HistoryStore, Span, StoreError};

pub(crate) use self::fold::{Figure, Fold, Points};

/// The history of the servers that report here, this one among them.
#[derive(Clone)]
pub(crate) struct History(Arc<Inner>);

struct Inner {
    store: Arc<dyn HistoryStore>,
    own: ServerId,
    /// The newest minute of each node, once it was looked up.
    newest: Mutex<BTreeMap<ServerId, Option<u64>>>,
}

impl History {
    pub(crate) fn new(store: Arc<dyn HistoryStore>, own: ServerId) -> Self {
        Self(Arc::new(Inner {
            store,
            own,
            newest: Mutex::default(),
        }))
    }

    /// The server that this node is.
    pub(crate) fn own(&self) -> ServerId {
        self.0.own
    }

    /// Keeps what a node tells of itself; its newest minute then. What cannot be of it, because it is
    /// older than anything kept or in the future, is passed over. Blocks.
    pub(crate) fn keep(
        &self,
        server: ServerId,
        mut samples: Vec<Sample>,
        now_us: u64,
    ) -> Result<Option<u64>, StoreError> {
        let from_us = now_us.saturating_sub(HISTORY_US);
        let to_us = now_us.saturating_add(AHEAD_MAX_US);
        samples.retain(|sample| {
            sample.at_us % SAMPLE_US == 0 && (from_us..to_us).contains(&sample.at_us)
        });
        if !samples.is_empty() {
            self.0.store.keep_samples(server, &samples)?;
        }
        let told = samples.iter().map(|sample| sample.at_us).max();
        let mut known = self.0.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = known.get_mut(&server) {
            *newest = (*newest).max(told);
            return Ok(*newest);
        }
        drop(known);
        let newest = self.0.store.newest_sample(server)?;
        let mut known = self.0.newest.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(server, newest);
        Ok(newest)
    }

    /// The points of a span, and the servers that they are of, with their machines' names. Blocks.
    pub(crate) fn points(
        &self,
        span: &Span,
        step_us: u64,
    ) -> Result<(Points, BTreeMap<ServerId, String>), StoreError> {
        let mut fold = Fold::new(span.from_us, span.to_us, step_us);
        let (mut after, mut servers) = (None, BTreeMap::new());
        loop {
            let page = self.0.store.samples(span, after, PAGE)?;
            after = page.last().map(|(server, last)| (last.at_us, *server));
            for (server, sample) in &page {
                fold.add(sample);
                if servers.get(server) != Some(&sample.host) {
                    servers.insert(*server, sample.host.clone());
                }
            }
            if page.len() < PAGE {
                return Ok((fold.points(), servers));
            }
        }
    }
}

/// Samples that are read at once.
const PAGE: usize = 2_000;
/// How far ahead the clock of a node may be.
const AHEAD_MAX_US: u64 = 120_000_000;
