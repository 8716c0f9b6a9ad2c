//! Calls in Redis 7 or Valkey, for other nodes to take them over.
//!
//! Each node keeps its calls in a hash of its own. While it is a member it alone writes there;
//! once it is buried it may not write any more, and whoever comes first moves calls from its hash
//! to that of his own, in one step. So a call has one owner at any time. A record costs one
//! operation when it is written and one when it is removed, several of them in one round trip.
//!
//! Keys, all with the prefix `tandem:`: `calls:NODE` (call to record), `call-owners` (nodes that
//! may have such a hash), `taken` (identities of calls that were taken over, each with the node it was
//! taken from, by the time), `given` (calls of nobody that were given away, by the time), `told:NODE` (the
//! number of its last word), `wanted:NODE` (its calls that others ask for), and `buried`, `dying`,
//! `members` and `epoch` of the permits.
//!
//! A record is opaque but for its beginning: one byte that names its format, and the sixteen of the
//! call's identity. Records of another format are left to whoever can read them.

use std::time::Duration;

pub use cluster::{Change, Found, Kept};
use cluster::{DRAIN, GRACE, NOBODY, SPARED};
use redis::Script;

use crate::redis::{BURIED_S, Gone, Link, PATIENCE, PREFIX, bury, first_number};
use crate::{Member, StoreError};

/// One node's way to the calls of all.
pub struct RedisCalls {
    link: Link,
    node: String,
    format: u8,
    keep: Script,
    claim: Script,
    find: Script,
    hand: Script,
    stand: Script,
    earlier: Script,
    prefix: String,
    /// Of the last word about this node's calls: a server that was stopped, and a network that was cut,
    /// bring older ones behind it.
    pub(crate) number: u64,
    /// How long a word about calls counts, in microseconds: what arrives later may not be so any more, and
    /// whoever said it may be dead.
    pub(crate) patience_us: i64,
    /// How long a server that may have lost something does not know all.
    pub(crate) grace: Duration,
    /// How long a node is silent that was stopped before this one was started.
    pub(crate) drain: Duration,
    /// How long what was given away is left to who has asked for it.
    pub(crate) spared: Duration,
}

impl RedisCalls {
    /// For the node of this id, which reads records that begin with `format`. `url` as for permits.
    /// Errors: `Misconfigured`.
    pub fn new(url: &str, node: &str, format: u8) -> Result<Self, StoreError> {
        Ok(Self {
            link: Link::new(url)?,
            node: node.to_owned(),
            format,
            keep: Script::new(include_str!("calls/keep.lua")),
            claim: Script::new(include_str!("calls/claim.lua")),
            find: Script::new(include_str!("calls/find.lua")),
            hand: Script::new(include_str!("calls/hand.lua")),
            stand: Script::new(include_str!("calls/stand.lua")),
            earlier: Script::new(include_str!("calls/earlier.lua")),
            prefix: PREFIX.to_owned(),
            number: first_number(),
            patience_us: PATIENCE.as_micros() as i64,
            grace: GRACE,
            drain: DRAIN,
            spared: SPARED,
        })
    }

    /// Takes another id, after it was taken out under the old one.
    pub fn rename(&mut self, node: &str) {
        node.clone_into(&mut self.node);
    }

    /// Writes what has changed; of a call that is named twice the last counts. Errors:
    /// `Unavailable`, and it may be written or not, but not after anything that is written later, and not
    /// when nobody waits for it any more.
    pub fn keep(&mut self, changes: &[Change]) -> Result<Kept, StoreError> {
        self.number += 1;
        let mut call = self.keep.prepare_invoke();
        for key in ["buried", "call-owners"] {
            call.key(format!("{}{key}", self.prefix));
        }
        call.key(self.calls_of(&self.node));
        call.key(format!("{}wanted:{}", self.prefix, self.node));
        call.key(format!("{}told:{}", self.prefix, self.node));
        call.key(format!("{}given", self.prefix));
        call.key(format!("{}epoch", self.prefix));
        call.arg(&self.node).arg(self.calls_of("")).arg(KEPT_S);
        call.arg(self.number).arg(NOBODY).arg(self.spared_us());
        let grace_us = self.grace_us();
        let answer = self
            .link
            .with_until(self.patience_us, |connection, run, until_us| {
                call.arg(until_us).arg(run).arg(grace_us);
                for (key, record) in changes {
                    call.arg(format!("{key:x}"));
                    call.arg(record.as_deref().unwrap_or_default());
                }
                let answer: Option<Written> = call.invoke(connection)?;
                let told = answer.as_ref().map(|(.., now_us)| *now_us);
                Ok((answer, told))
            })?;
        let Some((count, orphaned, wanted, _)) = answer else {
            return Ok(Kept::Buried);
        };
        let wanted = wanted.iter().map(|name| parse_key(name));
        Ok(Kept::Done {
            count,
            orphaned,
            wanted: wanted.collect::<Result<_, _>>()?,
        })
    }

    /// The calls of this node that the store has. Errors: `Unavailable`.
    pub fn own(&mut self) -> Result<Vec<u64>, StoreError> {
        let mut ask = redis::cmd("HKEYS");
        ask.arg(self.calls_of(&self.node));
        let names: Vec<Vec<u8>> = self.link.with(|connection, _| ask.query(connection))?;
        names.iter().map(|name| parse_key(name)).collect()
    }

    /// The records of calls of this node, by their keys; those it does not have are left out. Errors:
    /// `Unavailable`.
    pub fn read(&mut self, calls: &[u64]) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = redis::cmd("HMGET");
        ask.arg(self.calls_of(&self.node));
        for call in calls {
            ask.arg(format!("{call:x}"));
        }
        let records: Vec<Option<Vec<u8>>> =
            self.link.with(|connection, _| ask.query(connection))?;
        let pairs = calls.iter().zip(records);
        Ok(pairs
            .filter_map(|(call, record)| Some((*call, record?)))
            .collect())
    }

    /// Takes over at most `max` calls of a node that is dead: each by its key, with its record.
    /// Empty if there are none left that this node can read; `None` while the store may have lost whose
    /// they are. Of what was given away ([`NOBODY`]) only that which whoever asked for it has left there.
    /// Errors: `Unavailable`.
    pub fn claim(&mut self, dead: &str, max: usize) -> Result<Option<Records>, StoreError> {
        let mut call = self.claim.prepare_invoke();
        for key in ["buried", "call-owners", "taken"] {
            call.key(format!("{}{key}", self.prefix));
        }
        call.key(self.calls_of(dead)).key(self.calls_of(&self.node));
        call.key(format!("{}given", self.prefix));
        call.key(format!("{}epoch", self.prefix));
        call.arg(&self.node).arg(dead).arg(self.format);
        call.arg(max).arg(KEPT_S).arg(LEFT_S).arg(TAKEN_S);
        call.arg(NOBODY).arg(self.spared_us());
        let grace_us = self.grace_us();
        let flat: Option<Vec<Vec<u8>>> = self
            .link
            .with(|connection, run| call.arg(run).arg(grace_us).invoke(connection))?;
        let Some(flat) = flat else {
            return Ok(None);
        };
        let mut taken = Vec::with_capacity(flat.len() / 2);
        for pair in flat.chunks_exact(2) {
            let [name, record] = pair else { continue };
            taken.push((parse_key(name)?, record.clone()));
        }
        Ok(Some(taken))
    }

    /// Where a call is; if its owner is dead, this node takes it over, and if it lives it is asked to
    /// hand it over. Errors: `Unavailable`.
    pub fn find(&mut self, key: u64) -> Result<Found, StoreError> {
        let wanted = format!("{}wanted:", self.prefix);
        self.look(key, &wanted)
    }

    /// The same; who lives is not asked for it. Errors: `Unavailable`.
    pub fn look_for(&mut self, key: u64) -> Result<Found, StoreError> {
        self.look(key, "")
    }

    fn look(&mut self, key: u64, wanted: &str) -> Result<Found, StoreError> {
        let mut call = self.find.prepare_invoke();
        for key in ["buried", "call-owners", "taken"] {
            call.key(format!("{}{key}", self.prefix));
        }
        call.key(self.calls_of(&self.node));
        call.key(format!("{}epoch", self.prefix));
        call.key(format!("{}given", self.prefix));
        call.arg(&self.node).arg(self.calls_of(""));
        call.arg(format!("{key:x}")).arg(self.format);
        call.arg(KEPT_S).arg(TAKEN_S);
        call.arg(wanted).arg(WANTED_S);
        let grace_us = self.grace_us();
        let answer: Vec<Vec<u8>> = self
            .link
            .with(|connection, run| call.arg(run).arg(grace_us).arg(NOBODY).invoke(connection))?;
        let mut answer = answer.into_iter();
        let what = answer.next().unwrap_or_default();
        let more = answer.next().unwrap_or_default();
        Ok(match what.as_slice() {
            b"taken" => Found::Taken(more),
            b"own" => Found::Own,
            b"held" => Found::Held(String::from_utf8_lossy(&more).into_owned()),
            b"unreadable" => Found::Unreadable,
            b"unknown" => Found::Unknown,
            _ => Found::Nowhere,
        })
    }

    /// Gives a call of this node away, to whoever has asked for it, and after a while to anybody. False
    /// if the node was taken out, and others have it anyway. Errors: `Unavailable`, and it may be given
    /// away or not, but not after anything that is written later, and not when nobody waits for it any more.
    pub fn hand_over(&mut self, key: u64, record: &[u8]) -> Result<bool, StoreError> {
        self.number += 1;
        let mut call = self.hand.prepare_invoke();
        for key in ["buried", "call-owners"] {
            call.key(format!("{}{key}", self.prefix));
        }
        call.key(self.calls_of(&self.node))
            .key(self.calls_of(NOBODY));
        call.key(format!("{}told:{}", self.prefix, self.node));
        call.key(format!("{}given", self.prefix));
        call.arg(&self.node).arg(NOBODY);
        call.arg(format!("{key:x}")).arg(record).arg(KEPT_S);
        call.arg(self.number);
        let given: u8 = self
            .link
            .with_until(self.patience_us, |connection, _, until_us| {
                Ok((call.arg(until_us).invoke(connection)?, None))
            })?;
        Ok(given == 1)
    }

    /// Takes a node out that is dead, though it may have died just now; false if somebody has done so
    /// already, or it has been heard since. Whoever calls this knows that it does nothing any more.
    /// Errors: `Unavailable`.
    pub fn bury(&mut self, dead: &Member) -> Result<bool, StoreError> {
        let prefix = self.prefix.clone();
        let who = (dead.id.as_str(), Some(dead.beat));
        self.link
            .with(|connection, _| bury(connection, &prefix, who, Gone::JustNow))
    }

    /// Takes nodes out that were started before in the place of this one, whose end its start
    /// proves. Those that live are none, and are handed back: somebody has copied what they had noted.
    /// Errors: `Unavailable`.
    pub fn bury_earlier(&mut self, ids: &[String]) -> Result<Vec<String>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = self.earlier.prepare_invoke();
        for key in ["members", "buried"] {
            call.key(format!("{}{key}", self.prefix));
        }
        call.arg(self.drain.as_micros().to_string());
        call.arg(BURIED_S).arg(ids);
        self.link.with(|connection, _| call.invoke(connection))
    }

    /// Says again who was taken out, to a store that may have forgotten it. Errors: `Unavailable`.
    pub fn remember(&mut self, buried: &[String]) -> Result<(), StoreError> {
        if buried.is_empty() {
            return Ok(());
        }
        let key = format!("{}buried", self.prefix);
        let mut both = redis::pipe();
        both.sadd(&key, buried).ignore();
        both.hdel(format!("{}members", self.prefix), buried)
            .ignore();
        both.expire(&key, BURIED_S as i64).ignore();
        self.link.with(|connection, _| both.query(connection))
    }

    /// Whether this node is still a member after a pause, for certain. If so it counts as heard: nobody
    /// can take it out for the time that it was silent. False also while the store may have lost who
    /// was taken out. Errors: `Unavailable`.
    pub fn still_stands(&mut self) -> Result<bool, StoreError> {
        let mut call = self.stand.prepare_invoke();
        for key in ["members", "buried", "epoch"] {
            call.key(format!("{}{key}", self.prefix));
        }
        call.arg(&self.node);
        let grace_us = self.grace_us();
        let stands: u8 = self
            .link
            .with(|connection, run| call.arg(run).arg(grace_us).invoke(connection))?;
        Ok(stands == 1)
    }

    /// Which of these calls, by their identities, were taken over from one of these nodes. Errors:
    /// `Unavailable`.
    pub fn were_taken(&mut self, calls: &[u128], from: &[String]) -> Result<Vec<bool>, StoreError> {
        if calls.is_empty() || from.is_empty() {
            return Ok(vec![false; calls.len()]);
        }
        let mut ask = redis::cmd("ZMSCORE");
        ask.arg(format!("{}taken", self.prefix));
        for call in calls {
            for node in from {
                ask.arg([&call.to_be_bytes(), node.as_bytes()].concat());
            }
        }
        let scores: Vec<Option<f64>> = self.link.with(|connection, _| ask.query(connection))?;
        let of_each = scores.chunks(from.len());
        Ok(of_each
            .map(|scores| scores.iter().any(Option::is_some))
            .collect())
    }

    fn spared_us(&self) -> String {
        self.spared.as_micros().to_string()
    }

    fn grace_us(&self) -> String {
        self.grace.as_micros().to_string()
    }

    fn calls_of(&self, node: &str) -> String {
        format!("{}calls:{node}", self.prefix)
    }
}

/// Calls, each by its key, with its record.
type Records = Vec<(u64, Vec<u8>)>;

/// How many calls, who has left some, which are asked for, and what time it is.
type Written = (usize, Vec<String>, Vec<Vec<u8>>, u64);

fn parse_key(name: &[u8]) -> Result<u64, StoreError> {
    let text = core::str::from_utf8(name).ok();
    let key = text.and_then(|text| u64::from_str_radix(text, 16).ok());
    key.ok_or_else(|| StoreError::Corrupt("an odd name of a call".into()))
}

/// How long a node is asked for a call.
const WANTED_S: u64 = 10;
/// How long the calls of a node are kept that writes no more: somebody has them long before, unless
/// all nodes were away.
const KEPT_S: u64 = 86_400;
/// How long calls are left there that nobody could read.
const LEFT_S: u64 = 600;
/// How long it is remembered who was taken over: a node that comes back later has the record of a
/// call closed by then.
const TAKEN_S: u64 = 7 * 86_400;

#[cfg(test)]
mod tests;
