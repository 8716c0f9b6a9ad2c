//! Limits that a cluster keeps together: what this node claims of them, and what it is granted.

use clock::Time;
use limits::{Claim, EntityId, Grant, LimitKind, NodeShare, Pool, Shares};

use crate::Switch;

impl Switch {
    /// From now on a cluster keeps all limits together but the server's own. Called before the first
    /// configuration.
    pub fn share_limits(&mut self) {
        self.limits.share();
        self.shares = Some(Shares::new());
    }

    /// What to claim now; nothing where limits are not shared.
    pub fn claims(&mut self, now: Time) -> Vec<Claim> {
        let shares = self.shares.as_mut();
        shares.map_or_else(Vec::new, |shares| shares.claims(now, &mut self.limits))
    }

    /// What came of the claims.
    pub fn take_grants(&mut self, now: Time, grants: &[Grant], lacked: Vec<Pool>) {
        if let Some(shares) = &mut self.shares {
            shares.apply(now, &mut self.limits, grants, lacked);
        }
    }

    /// What is held may be used for [`limits::LEASE`] from now. Its caller comes a few times a
    /// second, whatever the live store does: else nothing new is permitted.
    pub fn extend_lease(&mut self, now: Time) {
        if let Some(shares) = &mut self.shares {
            shares.extend(now, &mut self.limits);
        }
    }

    /// The live store does not answer.
    pub fn go_on_with_shares(&mut self, now: Time) {
        if let Some(shares) = &mut self.shares {
            shares.go_on(now, &mut self.limits);
        }
    }

    /// The last claims may not have arrived.
    pub const fn repeat_claims(&mut self) {
        if let Some(shares) = &mut self.shares {
            shares.repeat();
        }
    }

    /// The node was taken for dead: others have what it held.
    pub fn give_up_shares(&mut self, now: Time) {
        if let Some(shares) = &mut self.shares {
            shares.give_up(now, &mut self.limits);
        }
    }

    /// What all nodes may use of a limit: this node, and the others together. `None` where it is
    /// not shared, or there is no such limit.
    #[must_use]
    pub fn share_of(&self, entity: EntityId, kind: LimitKind) -> Option<(u32, NodeShare)> {
        let shares = self.shares.as_ref()?;
        let slice = self.limits.slice(entity)?;
        let limit = self.limits.configured(entity)?;
        let own = match kind {
            LimitKind::Cps => limit.cps.map(|_| slice.cps),
            LimitKind::Channels => limit.channels.map(|_| slice.channels),
        };
        let others = shares.others(Pool { entity, kind }).iter();
        let sum = others.fold(NodeShare::default(), |sum, node| NodeShare {
            share: sum.share.saturating_add(node.share),
            want: sum.want.saturating_add(node.want),
        });
        own.map(|own| (own, sum))
    }

    /// The limit of an entity, whatever this node may use of it.
    #[must_use]
    pub fn configured_limit(&self, entity: EntityId) -> Option<limits::Limit> {
        self.limits.configured(entity)
    }
}
