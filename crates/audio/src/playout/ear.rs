//! Keys among what comes, found before lost packets are filled up: what is put in their place is
//! nobody's key.

use std::collections::VecDeque;

use crate::{DtmfDetector, Key, KeyEdge};

/// Listens to packets as they are decoded.
#[derive(Debug)]
pub(super) struct Ear {
    detector: DtmfDetector,
    edges: VecDeque<KeyEdge>,
}

impl Ear {
    pub(super) fn new(sample_rate_hz: u32) -> Self {
        Self {
            detector: DtmfDetector::new(sample_rate_hz),
            edges: VecDeque::new(),
        }
    }

    /// Takes what has come.
    pub(super) fn hear(&mut self, samples: &[i16]) {
        let edges = &mut self.edges;
        self.detector.push(samples, |edge| note(edges, edge));
    }

    /// So many samples did not come.
    pub(super) fn miss(&mut self, count: usize) {
        if let Some(edge) = self.detector.miss(count) {
            note(&mut self.edges, edge);
        }
    }

    /// The key that is down.
    pub(super) fn held(&self) -> Option<Key> {
        self.detector.held()
    }

    pub(super) fn poll(&mut self) -> Option<KeyEdge> {
        self.edges.pop_front()
    }
}

fn note(edges: &mut VecDeque<KeyEdge>, edge: KeyEdge) {
    if edges.len() < EDGES_MAX {
        edges.push_back(edge);
    }
}

/// Edges that nobody has asked for; more than a packet can hold.
const EDGES_MAX: usize = 32;
