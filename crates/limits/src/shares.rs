//! A node's shares of limits that a whole cluster keeps together.
//!
//! Each limit is a [`Pool`]. A node says what it holds and how much it asks for ([`Claim`]); the
//! live store answers what it has now, and what the others have ([`Grant`]). The store keeps one
//! promise: it adds to a share only what no other node holds. This machine keeps the other: what it
//! says it does not hold, it does not use. Together they keep the sum below the limit, whatever is
//! lost, late or repeated between them.
//!
//! All nodes divide a pool in the same way, by what each wants: who wants less than an equal part
//! gets that, the others divide the rest, and what nobody wants is divided equally. A node gives up
//! only what another lacks by that division.
//!
//! What a node holds it may use for as long as its owner comes by ([`Shares::extend`]), whether the
//! store answers or not. If nobody came for [`LEASE`], the node was stopped, and may have been taken
//! for dead: then it holds what its calls use and nothing more, until the store has granted it
//! something again. That the store does not answer is no reason to go on: it may be out of this
//! node's reach alone.
//!
//! A share of calls per second that shrinks counts as held for a second more, because what was
//! admitted in that second counts against it.

use core::time::Duration;

use ahash::RandomState;
use clock::Time;
use hashbrown::{HashMap, HashSet};

use crate::counter::Counter;
use crate::{EntityId, LimitKind, Limits, Slice};

/// One limit of one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pool {
    /// Whose.
    pub entity: EntityId,
    /// Which of the two.
    pub kind: LimitKind,
}

/// What a node says of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which pool.
    pub pool: Pool,
    /// The limit, by the configuration of this node.
    pub limit: u32,
    /// What it holds, and may be using: nobody else may have that.
    pub held: u32,
    /// How much it would like to hold; never less than it does.
    pub ask: u32,
    /// How much its callers want at this moment.
    pub want: u32,
}

/// What the store answers to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which pool.
    pub pool: Pool,
    /// What the node has from now on; at least what it said it holds.
    pub share: u32,
    /// All nodes that have claimed the pool, this one included, in the order of their names.
    pub nodes: Vec<NodeShare>,
    /// Which of them is this one.
    pub own: usize,
}

/// What a node has of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeShare {
    /// What it has.
    pub share: u32,
    /// What its callers want.
    pub want: u32,
}

/// The shares of one node. Its owner calls [`Shares::claims`], takes them to the store, and hands
/// the answer to [`Shares::apply`]; a few times a second.
#[derive(Debug)]
pub struct Shares {
    pools: HashMap<Pool, Holding, RandomState>,
    /// How often claims were made.
    round: u64,
    /// Whether the last claims may not have arrived.
    again: bool,
    /// Pools that another node lacks, by the last answer.
    lacked: HashSet<Pool, RandomState>,
    lease: Lease,
}

/// Until when shares may be used.
#[derive(Debug, Default)]
struct Lease {
    /// `None` until the store was asked for the first time, and after a stop until it was again.
    until: Option<Time>,
    /// When the last stop was noticed.
    woke: Time,
    /// When the question was begun that is under way, or was the last.
    asked: Time,
}

/// What a node has of one pool.
#[derive(Debug, Default)]
struct Holding {
    /// In which round it was last there.
    seen: u64,
    /// What was claimed last.
    told: Option<Claim>,
    /// What it uses at most.
    share: u32,
    /// What it used at most until a moment ago, and until when that counts.
    draining: Option<(u32, Time)>,
    /// What it should have, by the last answer.
    target: Option<u32>,
    /// What the others have, by the last answer.
    others: Vec<NodeShare>,
}

impl Default for Shares {
    fn default() -> Self {
        Self::new()
    }
}

impl Shares {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pools: HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4)),
            round: 0,
            again: false,
            lacked: HashSet::with_hasher(RandomState::with_seeds(5, 6, 7, 8)),
            lease: Lease::default(),
        }
    }

    /// What to say of each pool now. Those where nothing happens are left out most of the time. A
    /// pool that is new has no share until it is granted one.
    pub fn claims(&mut self, now: Time, limits: &mut Limits) -> Vec<Claim> {
        self.look(now, limits);
        self.lease.asked = now;
        let expires = self.lease.expires(now);
        self.round += 1;
        let all = std::mem::take(&mut self.again) || self.round % ROUNDS_OF_IDLE == 1;
        let mut claims = Vec::new();
        for (entity, counter) in limits.shared() {
            for kind in [LimitKind::Channels, LimitKind::Cps] {
                let Some(limit) = limit_of(counter, kind) else {
                    continue;
                };
                let pool = Pool { entity, kind };
                let holding = self.pools.entry(pool).or_default();
                holding.seen = self.round;
                let claim = holding.claim(now, pool, limit, counter);
                let is_busy = claim.want > 0 || holding.told != Some(claim);
                if all || is_busy || self.lacked.contains(&pool) {
                    holding.told = Some(claim);
                    claims.push(claim);
                }
            }
            apply_to(expires, &self.pools, entity, counter);
        }
        if all {
            // Of limits that are gone nobody needs anything.
            let round = self.round;
            self.pools.retain(|_, holding| holding.seen == round);
        }
        claims
    }

    /// Takes over what the store has answered: what was granted, and which pools somebody lacks.
    pub fn apply(&mut self, now: Time, limits: &mut Limits, grants: &[Grant], lacked: Vec<Pool>) {
        self.look(now, limits);
        if !self.lease.renew(now) {
            self.again = true;
            return;
        }
        self.lacked.clear();
        self.lacked.extend(lacked);
        let expires = self.lease.expires(now);
        for grant in grants {
            let Some(counter) = limits.counter_mut(grant.pool.entity) else {
                continue;
            };
            let Some(limit) = limit_of(counter, grant.pool.kind) else {
                continue;
            };
            let holding = self.pools.entry(grant.pool).or_default();
            holding.take(now, grant, limit, counter);
            apply_to(expires, &self.pools, grant.pool.entity, counter);
        }
        self.write_lease(now, limits);
    }

    /// The owner came by: what is held may be used for [`LEASE`] from now, unless nobody came for
    /// that long before.
    pub fn extend(&mut self, now: Time, limits: &mut Limits) {
        self.look(now, limits);
        if self.lease.until.is_some() {
            self.lease.until = Some(now + LEASE);
            self.write_lease(now, limits);
        }
    }

    /// The store does not answer: what is held is held, and the next claims name every pool, for
    /// the last may not have arrived.
    pub fn go_on(&mut self, now: Time, limits: &mut Limits) {
        self.look(now, limits);
        self.again = true;
        self.lease.renew(now);
        self.write_lease(now, limits);
    }

    /// Notices whether nobody came for too long; then others may have what was held.
    fn look(&mut self, now: Time, limits: &mut Limits) {
        let Some(until) = self.lease.until.filter(|until| *until <= now) else {
            return;
        };
        self.lease.until = None;
        self.lease.woke = now;
        self.again = true;
        for (pool, holding) in &mut self.pools {
            let (most, _) = holding.draining.unwrap_or((0, now));
            let most = (pool.kind == LimitKind::Cps).then_some(most.max(holding.share));
            *holding = Holding {
                seen: holding.seen,
                draining: most.map(|most| (most, until + DRAIN)),
                ..Holding::default()
            };
        }
        for (entity, counter) in limits.shared() {
            apply_to(now, &self.pools, entity, counter);
        }
    }

    fn write_lease(&self, now: Time, limits: &mut Limits) {
        let expires = self.lease.expires(now);
        for (_, counter) in limits.shared() {
            if let Some(slice) = &mut counter.slice {
                slice.expires = Some(expires);
            }
        }
    }

    /// The last claims may not have arrived, or what they came to may be lost: the next ones name
    /// every pool.
    pub const fn repeat(&mut self) {
        self.again = true;
    }

    /// The node was taken for dead, and its shares were given to others: it holds what its calls
    /// use, and nothing more.
    pub fn give_up(&mut self, now: Time, limits: &mut Limits) {
        for (entity, counter) in limits.shared() {
            for kind in [LimitKind::Channels, LimitKind::Cps] {
                self.pools.insert(Pool { entity, kind }, Holding::default());
            }
            apply_to(self.lease.expires(now), &self.pools, entity, counter);
        }
    }

    /// What the nodes have of a pool by the last answer, this one left out.
    #[must_use]
    pub fn others(&self, pool: Pool) -> &[NodeShare] {
        self.pools.get(&pool).map_or(&[], |h| &h.others)
    }
}

impl Lease {
    /// A question was answered, or it is known that it is not. One that was begun before a stop
    /// says nothing of what came to be meanwhile: then it is false. Who holds nothing that could expire
    /// notices a stop by the time that the question took.
    fn renew(&mut self, now: Time) -> bool {
        let is_quick = self.until.is_some() || now.since(self.asked) < LEASE;
        let is_of_now = self.asked >= self.woke && is_quick;
        if is_of_now {
            self.until = Some(now + LEASE);
        }
        is_of_now
    }

    fn expires(&self, now: Time) -> Time {
        self.until.unwrap_or(now)
    }
}

impl Holding {
    fn claim(&mut self, now: Time, pool: Pool, limit: u32, counter: &Counter) -> Claim {
        let used = match pool.kind {
            LimitKind::Channels => counter.in_use,
            LimitKind::Cps => 0,
        };
        if self.draining.is_some_and(|(_, until)| until <= now) {
            self.draining = None;
        }
        let draining = self.draining.map_or(0, |(share, _)| share);
        let held = self.share.max(used).max(draining);
        Claim {
            pool,
            limit,
            held,
            // Until it is known how many share the pool, all that is free of it.
            ask: self.target.unwrap_or(limit).min(limit).max(held),
            want: want(now, pool.kind, counter),
        }
    }

    fn take(&mut self, now: Time, grant: &Grant, limit: u32, counter: &Counter) {
        let target = part_of(limit, &grant.nodes, grant.own);
        let lacking = lacking(limit, &grant.nodes, grant.own);
        self.target = Some(target);
        self.others = grant.nodes.clone();
        if grant.own < self.others.len() {
            self.others.remove(grant.own);
        }
        let before = self.share;
        // Of what it is to give up, only what another lacks.
        let surplus = grant
            .share
            .saturating_sub(target.max(counter_use(grant.pool, counter)));
        let surplus = surplus.min(lacking).max(grant.share.saturating_sub(limit));
        self.share = grant.share - surplus.min(grant.share);
        if grant.pool.kind == LimitKind::Cps && self.share < before {
            let (most, _) = self.draining.unwrap_or((0, now));
            self.draining = Some((before.max(most), now + DRAIN));
        }
    }
}

/// How the nodes divide a pool: the part of one of them.
fn part_of(limit: u32, nodes: &[NodeShare], own: usize) -> u32 {
    parts(limit, nodes).nth(own).unwrap_or(0)
}

/// How much the other nodes have too little by that division.
fn lacking(limit: u32, nodes: &[NodeShare], own: usize) -> u32 {
    let parts = parts(limit, nodes).zip(nodes).enumerate();
    let others = parts.filter(|(at, _)| *at != own);
    others
        .map(|(_, (part, node))| part.saturating_sub(node.share))
        .fold(0, u32::saturating_add)
}

/// The part of each node: water filled into vessels of the size of their wants, and what is left
/// over equally on top. What does not divide goes to the first ones.
fn parts(limit: u32, nodes: &[NodeShare]) -> impl Iterator<Item = u32> {
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    // Who wants more than there is wants all of it: who wants most of those changes from one second to
    // the next, and shares would move to and fro with it.
    let want = |at: usize| nodes[at].want.min(limit);
    order.sort_by_key(|at| (want(*at), *at));
    let mut parts = vec![0; nodes.len()];
    let mut left = limit;
    for (done, at) in order.iter().enumerate() {
        let remaining = (nodes.len() - done) as u32;
        // The larger of two parts that differ by one goes to who comes last here, who wants most.
        let part = want(*at).min(left / remaining);
        parts[*at] = part;
        left -= part;
    }
    let count = nodes.len().max(1) as u32;
    for (at, part) in parts.iter_mut().enumerate() {
        let extra = u32::from((at as u32) < left % count);
        *part += left / count + extra;
    }
    parts.into_iter()
}

/// What the callers of an entity want at this moment.
fn want(now: Time, kind: LimitKind, counter: &Counter) -> u32 {
    match kind {
        LimitKind::Channels => counter.in_use.saturating_add(counter.refused_cps(now)),
        LimitKind::Cps => counter.asked_cps(now),
    }
}

fn counter_use(pool: Pool, counter: &Counter) -> u32 {
    match pool.kind {
        LimitKind::Channels => counter.in_use,
        LimitKind::Cps => 0,
    }
}

fn limit_of(counter: &Counter, kind: LimitKind) -> Option<u32> {
    match kind {
        LimitKind::Channels => counter.limit.channels,
        LimitKind::Cps => counter.limit.cps,
    }
}

/// Hands the shares of an entity to its counter.
fn apply_to(
    expires: Time,
    pools: &HashMap<Pool, Holding, RandomState>,
    entity: EntityId,
    counter: &mut Counter,
) {
    let share = |kind| pools.get(&Pool { entity, kind }).map_or(0, |h| h.share);
    counter.slice = Some(Slice {
        cps: share(LimitKind::Cps),
        channels: share(LimitKind::Channels),
        expires: Some(expires),
    });
}

/// How long what was admitted counts against a share of calls per second.
const DRAIN: Duration = Duration::from_millis(1_100);
/// Pools where nothing happens are claimed once in so many rounds.
const ROUNDS_OF_IDLE: u64 = 16;
/// How long a node may go on with its shares without a word of its owner: longer, and it was
/// stopped, and may have been taken for dead.
pub const LEASE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
