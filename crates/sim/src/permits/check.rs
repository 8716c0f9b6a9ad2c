//! The rules of a run.

use std::time::Duration;

use limits::{EntityId, LimitKind};

use super::node::Node;
use super::scenario::{CARRIER, CUSTOMER};
use super::world::World;

impl World {
    /// A node has just admitted a call: was there room in the limits, over all nodes?
    pub(super) fn check_admission(&mut self, node: usize, entities: &[EntityId]) {
        let id = &self.nodes[node].id;
        if self.live.model.is_buried(id) {
            let text = format!("{id} has admitted a call although others have what it held");
            self.violation(text);
        }
        for entity in entities {
            let Some(limit) = self.limit(*entity, LimitKind::Channels) else {
                continue;
            };
            let used = self.in_use(*entity);
            if used > limit {
                self.violation(format!(
                    "{used} calls of {entity:?}, which may have {limit}"
                ));
            }
        }
        if entities.contains(&CARRIER) {
            self.check_rate();
        }
    }

    /// No second, wherever it begins, holds more calls than the limit.
    fn check_rate(&mut self) {
        self.recent.push(self.now);
        let limit = self.limit(CARRIER, LimitKind::Cps).unwrap_or(u32::MAX);
        let count = self.recent.count(self.now);
        if count > limit {
            self.violation(format!("{count} calls in a second, which may have {limit}"));
        }
    }

    /// Calls in progress at all nodes; those of a process that others took for dead are theirs.
    pub(super) fn in_use(&self, entity: EntityId) -> u32 {
        let lives = |node: &&Node| !node.is_gone() && !self.live.model.is_buried(&node.id);
        let nodes = self.nodes.iter().filter(lives);
        nodes.map(|node| node.in_use(self.now, entity)).sum()
    }

    pub(super) fn limit(&self, entity: EntityId, kind: LimitKind) -> Option<u32> {
        let (_, limit) = self.limits.iter().find(|(known, _)| *known == entity)?;
        match kind {
            LimitKind::Cps => limit.cps,
            LimitKind::Channels => limit.channels,
        }
    }

    /// All channels are in use that may be.
    pub(super) fn check_channels_used(&mut self, when: &str) {
        let limit = self.limit(CUSTOMER, LimitKind::Channels).unwrap_or(0);
        let used = self.in_use(CUSTOMER);
        if u64::from(used) * 100 < u64::from(limit) * 98 {
            self.violation(format!("only {used} of {limit} channels are used {when}"));
        }
    }

    /// So many calls a second are admitted on average as one node would, that had all of them.
    pub(super) fn check_rate_used(&mut self, time: Duration) {
        let (mut admitted, mut by_one) = (0, 0);
        let samples = time.as_millis() / SAMPLE.as_millis();
        for _ in 0..samples {
            self.run(SAMPLE);
            admitted += self.recent.count(self.now);
            by_one += self.recent_by_one.count(self.now);
        }
        if u64::from(admitted) * 100 < u64::from(by_one) * 98 {
            let percent = u64::from(admitted) * 100 / u64::from(by_one);
            self.violation(format!(
                "{percent} % of the calls were admitted that one node admits"
            ));
        }
    }

    /// Nothing is left, at the nodes or in the store.
    pub(super) fn check_emptiness(&mut self) {
        for node in 0..self.nodes.len() {
            let misuses = self.nodes[node].limits.misuses();
            if misuses > 0 {
                self.violation(format!(
                    "{misuses} channels were given back that nobody had"
                ));
            }
        }
        let left = self.live.model.len();
        if left != (0, 0, 0) {
            self.violation(format!(
                "members, shares and calls are left in the store: {left:?}"
            ));
        }
    }
}

const SAMPLE: Duration = Duration::from_millis(20);
