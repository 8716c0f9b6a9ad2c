//! Shares of limits: `renew.lua`.

use std::net::SocketAddr;
use std::time::Duration;

use clock::Time;
use limits::{Claim, Grant, NodeShare, Pool};

use super::{Entry, LiveModel};
use crate::live::LACKED_MAX;
use crate::{Member, Renewed};

/// Who renews.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// The node.
    pub node: &'a str,
    /// Where its API listens.
    pub address: SocketAddr,
    /// Of this question: one that is not above the last is late.
    pub number: u64,
    /// How long a server that may have lost something grants nothing new.
    pub grace: Duration,
    /// How long what a process permitted last counts, after it was heard last.
    pub drain: Duration,
}

/// A newer question was answered already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

impl LiveModel {
    /// Renews a node's claims.
    ///
    /// # Errors
    /// If the question comes late; then nothing has changed.
    pub fn renew(
        &mut self,
        now: Time,
        renewal: &Renewal<'_>,
        claims: &[Claim],
    ) -> Result<Renewed, Late> {
        let node = renewal.node;
        if self.buried.contains(node) {
            return Ok(Renewed::Buried);
        }
        let before = self.members.get(node);
        if before.is_some_and(|entry| entry.number >= renewal.number) {
            return Err(Late);
        }
        let since = match self.epoch {
            Some((run, since)) if run == self.run => since,
            _ => now,
        };
        self.epoch = Some((self.run, since));
        let may_grant = now.since(since) >= renewal.grace;
        self.replace_earlier_start(now, renewal);
        self.dying.retain(|_, at| now.since(*at) < renewal.drain);
        let entry = Entry {
            address: renewal.address,
            beat: now,
            number: renewal.number,
        };
        self.members.insert(node.to_owned(), entry);
        let grants = claims.iter();
        let grants = grants.map(|claim| self.grant(now, node, claim, may_grant));
        let grants = grants.collect();
        self.lacked.retain(|_, at| now.since(*at) < LACKED_KEPT);
        Ok(Renewed::Granted {
            grants,
            lacked: self.lacked_now(),
            members: self.list(),
        })
    }

    /// A node of the same name and address that was started before is gone.
    fn replace_earlier_start(&mut self, now: Time, renewal: &Renewal<'_>) {
        let is_earlier = |id: &String, entry: &Entry| {
            *id != renewal.node
                && entry.address == renewal.address
                && name_of(id) == name_of(renewal.node)
                && now.since(entry.beat) >= renewal.drain
        };
        let earlier = self.members.iter().filter(|(id, e)| is_earlier(id, e));
        let earlier: Vec<String> = earlier.map(|(id, _)| id.clone()).collect();
        for id in earlier {
            self.members.remove(&id);
            self.buried.insert(id);
        }
    }

    fn grant(&mut self, now: Time, node: &str, claim: &Claim, may_grant: bool) -> Grant {
        let (members, dying, calls) = (&self.members, &self.dying, &self.calls);
        let shares = self.pools.entry(claim.pool).or_default();
        // Until somebody has taken over all calls of a dead node, these use what it held.
        shares.retain(|id, _| {
            members.contains_key(id) || dying.contains_key(id) || calls.contains_key(id)
        });
        let others = shares.iter().filter(|(id, _)| *id != node);
        let taken: u32 = others.map(|(_, share)| share.share).sum();
        let share = match may_grant {
            true => claim
                .held
                .max(claim.ask.min(claim.limit.saturating_sub(taken))),
            false => claim.held,
        };
        let own = NodeShare {
            share,
            want: claim.want,
        };
        shares.insert(node.to_owned(), own);
        match share < claim.ask {
            true => self.lacked.insert(claim.pool, now),
            false => self.lacked.remove(&claim.pool),
        };
        Grant {
            pool: claim.pool,
            share,
            nodes: shares.values().copied().collect(),
            own: shares.keys().position(|id| id == node).unwrap_or(0),
        }
    }

    /// In the order in which somebody went short.
    fn lacked_now(&self) -> Vec<Pool> {
        let mut all: Vec<_> = self.lacked.iter().collect();
        all.sort_by_key(|(_, at)| **at);
        let pools = all.into_iter().map(|(pool, _)| *pool);
        pools.take(LACKED_MAX).collect()
    }

    fn list(&self) -> Vec<Member> {
        let member = |(id, entry): (&String, &Entry)| Member {
            id: id.clone(),
            address: entry.address,
            beat: entry.beat.as_micros(),
        };
        self.members.iter().map(member).collect()
    }
}

/// An id without the number of the start.
fn name_of(id: &str) -> &str {
    let split = id.rsplit_once('-').filter(|(_, start)| {
        !start.is_empty() && start.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    split.map_or(id, |(name, _)| name)
}

/// Who lacks says so again and again.
const LACKED_KEPT: Duration = Duration::from_secs(3);
