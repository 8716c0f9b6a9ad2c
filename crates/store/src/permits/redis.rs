//! Permits in Redis 7 or Valkey, one server or the master that Sentinels name.
//!
//! One script a round does all the store promises; what it needs is below. Keys, all with the
//! prefix `tandem:`: `members` (node to address and beat), `buried` (nodes that may not come back),
//! `epoch` (which run of the server this is, and since when), `lacked` (pools by the time somebody
//! last went short), `dying` (nodes that were taken out, by the time, while what they permitted last may
//! count) and `permits:POOL` (node to share and want).

use std::net::SocketAddr;
use std::time::Duration;

use cluster::DRAIN;
use limits::{Claim, EntityId, EntityKind, Grant, LimitKind, NodeShare, Pool};
use redis::Script;

use super::{GRACE, Member, PermitStore, Renewed};
use crate::StoreError;
use crate::redis::{Gone, Link, PREFIX, bury};

/// One node's permits in a Redis that it shares.
pub struct RedisPermits {
    link: Link,
    id: String,
    pub(crate) address: SocketAddr,
    script: Script,
    /// Before all keys.
    prefix: String,
    pub(crate) grace: Duration,
    pub(crate) drain: Duration,
    /// Of the last question: one that comes late is not answered.
    pub(crate) sequence: u64,
}

impl RedisPermits {
    /// For the node of this id whose API is at `address`; connects when it is first used. `url` is
    /// `redis://user:password@host:port/database`, or
    /// `redis+sentinel://user:password@host:port,host:port/NAME/database` for the master of that name
    /// that one of the Sentinels knows. Errors: `Misconfigured`.
    pub fn new(url: &str, id: &str, address: SocketAddr) -> Result<Self, StoreError> {
        Ok(Self {
            link: Link::new(url)?,
            id: id.to_owned(),
            address,
            script: Script::new(include_str!("renew.lua")),
            prefix: PREFIX.to_owned(),
            grace: GRACE,
            drain: DRAIN,
            sequence: 0,
        })
    }

    /// Takes another id, to join again.
    pub fn rename(&mut self, id: &str) {
        id.clone_into(&mut self.id);
    }
}

impl PermitStore for RedisPermits {
    fn renew(&mut self, claims: &[Claim]) -> Result<Renewed, StoreError> {
        let (mut grants, mut rest) = (Vec::new(), claims);
        loop {
            let (batch, later) = rest.split_at(rest.len().min(BATCH));
            rest = later;
            self.sequence += 1;
            let script = self.script.clone();
            let mut call = script.prepare_invoke();
            let prefix = &self.prefix;
            for key in ["members", "buried", "epoch", "lacked", "calls:", "dying"] {
                call.key(format!("{prefix}{key}"));
            }
            call.arg(&self.id).arg(self.address.to_string());
            let mut arguments = Vec::with_capacity(batch.len() * 5);
            for claim in batch {
                arguments.push(pool_name(claim.pool));
                let numbers = [claim.limit, claim.held, claim.ask, claim.want];
                arguments.extend(numbers.map(|number| number.to_string()));
            }
            let answer: Option<Answer> = self.with_script(call, arguments)?;
            let Some((granted, lacked, members)) = answer else {
                return Ok(Renewed::Buried);
            };
            for (claim, text) in batch.iter().zip(&granted) {
                grants.push(parse_grant(claim.pool, text).ok_or_else(|| odd(text))?);
            }
            if rest.is_empty() {
                return Ok(Renewed::Granted {
                    grants,
                    lacked: lacked.iter().filter_map(|name| parse_pool(name)).collect(),
                    members: parse_members(&members),
                });
            }
        }
    }

    fn bury(&mut self, dead: &Member) -> Result<bool, StoreError> {
        let prefix = self.prefix.clone();
        let who = (dead.id.as_str(), Some(dead.beat));
        self.link
            .with(|connection, _| bury(connection, &prefix, who, Gone::ForLong))
    }

    fn leave(&mut self) -> Result<(), StoreError> {
        let (id, prefix) = (self.id.clone(), self.prefix.clone());
        let gone = self
            .link
            .with(|connection, _| bury(connection, &prefix, (&id, None), Gone::ForLong));
        gone.map(|_| ())
    }
}

impl RedisPermits {
    fn with_script(
        &mut self,
        mut call: redis::ScriptInvocation<'_>,
        arguments: Vec<String>,
    ) -> Result<Option<Answer>, StoreError> {
        let (grace, prefix) = (self.grace, self.prefix.clone());
        let (sequence, drain) = (self.sequence, self.drain);
        self.link.with(|connection, run| {
            call.arg(run)
                .arg(grace.as_micros().to_string())
                .arg(format!("{prefix}permits:"))
                .arg(sequence)
                .arg(drain.as_micros().to_string())
                .arg(arguments);
            call.invoke(connection)
        })
    }
}

/// Grants, lacked pools, and members as the script returns them.
type Answer = (Vec<String>, Vec<String>, Vec<String>);

/// `kind.limit.id`: `carrier.cps.1a2b`.
fn pool_name(pool: Pool) -> String {
    let Pool { entity, kind } = pool;
    let limit = match kind {
        LimitKind::Cps => "cps",
        LimitKind::Channels => "channels",
    };
    format!("{}.{limit}.{:x}", entity.kind.name(), entity.id)
}

fn parse_pool(name: &str) -> Option<Pool> {
    let mut parts = name.splitn(3, '.');
    let kind = parts.next()?;
    let kind = SHARED_KINDS.into_iter().find(|k| k.name() == kind)?;
    let limit = match parts.next()? {
        "cps" => LimitKind::Cps,
        "channels" => LimitKind::Channels,
        _ => return None,
    };
    let id = u128::from_str_radix(parts.next()?, 16).ok()?;
    Some(Pool {
        entity: EntityId::new(kind, id),
        kind: limit,
    })
}

/// `SHARE WANT,*SHARE WANT`: the node's own has the asterisk.
fn parse_grant(pool: Pool, text: &str) -> Option<Grant> {
    let (mut nodes, mut own) = (Vec::new(), None);
    for (at, entry) in text.split(',').enumerate() {
        let bare = entry.strip_prefix('*');
        if bare.is_some() {
            own = Some(at);
        }
        let (share, want) = bare.unwrap_or(entry).split_once(' ')?;
        nodes.push(NodeShare {
            share: share.parse().ok()?,
            want: want.parse().ok()?,
        });
    }
    let own = own?;
    Some(Grant {
        pool,
        share: nodes.get(own)?.share,
        nodes,
        own,
    })
}

fn parse_members(flat: &[String]) -> Vec<Member> {
    let mut members: Vec<Member> = flat
        .chunks_exact(2)
        .filter_map(|pair| {
            let mut parts = pair[1].split(' ');
            Some(Member {
                id: pair[0].clone(),
                address: parts.next()?.parse().ok()?,
                beat: parts.next()?.parse().ok()?,
            })
        })
        .collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    members
}

fn odd(text: &str) -> StoreError {
    StoreError::Corrupt(format!("an odd grant: {text}"))
}

/// Those that a cluster shares.
const SHARED_KINDS: [EntityKind; 6] = [
    EntityKind::Account,
    EntityKind::Customer,
    EntityKind::Carrier,
    EntityKind::Gateway,
    EntityKind::Number,
    EntityKind::User,
];
/// Claims in one run of the script, which takes a few milliseconds then.
const BATCH: usize = 1_000;

#[cfg(test)]
mod tests;
