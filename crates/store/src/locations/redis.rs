//! Shared bindings in Redis 7 or Valkey, one server or the master that Sentinels name.
//!
//! Keys, all with the prefix `tandem:`: `locations:of:NODE` (the shelf of a node: key of a binding to
//! its state), `locations:nodes` (node to addresses and the era in which its shelf was filled),
//! `locations:told` (a stream of portions of changes, numbered without gaps by `locations:last`),
//! `locations:era`, `locations:word:NODE` (the number of a node's last word), and `buried`, which is kept
//! with permits. A shelf nobody writes to is gone after a day.

use redis::Script;

use super::{
    Exchanged, HEARD_MAX, HeardChange, KEPT_MAX, KnownNode, LocationChange, LocationEndKind,
    LocationNode, LocationStore, Rest, codec,
};
use crate::StoreError;
use crate::redis::{Link, PREFIX, first_number};

/// One node's way to the bindings in a Redis that it shares.
pub struct RedisLocations {
    link: Link,
    script: Script,
    clear: Script,
    /// Before all keys.
    prefix: String,
    /// Names the next era, if the store has none; differs between nodes and starts.
    seed: u64,
    /// The era of the last exchange, and the number of the last portion that was heard in it.
    heard: Option<(String, u64)>,
    /// Of the last word about this node's shelf: a network that was cut brings older ones behind it.
    number: u64,
}

impl RedisLocations {
    /// Connects when it is first used; `url` as with permits. `seed` is random. Errors:
    /// `Misconfigured`.
    pub fn new(url: &str, seed: u64) -> Result<Self, StoreError> {
        Ok(Self {
            link: Link::new(url)?,
            script: Script::new(include_str!("exchange.lua")),
            clear: Script::new(include_str!("clear.lua")),
            prefix: PREFIX.to_owned(),
            seed,
            heard: None,
            number: first_number(),
        })
    }

    fn word(&self, node: &str) -> String {
        format!("{}locations:word:{node}", self.prefix)
    }

    fn shelf(&self, node: &str) -> String {
        format!("{}locations:of:{node}", self.prefix)
    }

    /// What the others told, and whether that is all.
    fn take(&mut self, us: &str, era: &str, head: u64, portions: Portions) -> (Heard, Rest) {
        let before = self.heard.take().filter(|(known, _)| known == era);
        let Some((_, heard)) = before else {
            // Nothing is missed of an era that is new to us: what was told in it stands on shelves,
            // which are looked at in each new era.
            self.heard = Some((era.to_owned(), head));
            return (Vec::new(), Rest::Nothing);
        };
        let mut last = heard;
        let mut changes = Vec::new();
        for (id, fields) in portions {
            let number = id.split('-').next().and_then(|text| text.parse().ok());
            if number != Some(last + 1) {
                break;
            }
            last += 1;
            let from = fields.get(1).cloned().unwrap_or_default();
            let from = String::from_utf8(from).unwrap_or_default();
            if from == us {
                continue;
            }
            let values = fields.iter().skip(3).step_by(2);
            changes.extend(values.filter_map(|value| {
                Some(HeardChange {
                    from: from.clone(),
                    change: codec::decode(value)?,
                })
            }));
        }
        let rest = match (last > heard, last == head) {
            (_, true) => Rest::Nothing,
            (true, false) => Rest::More,
            (false, false) => Rest::Lost,
        };
        if rest == Rest::Lost {
            last = head;
        }
        self.heard = Some((era.to_owned(), last));
        (changes, rest)
    }
}

impl LocationStore for RedisLocations {
    fn exchange(
        &mut self,
        us: &LocationNode,
        told: &[LocationChange],
    ) -> Result<Exchanged, StoreError> {
        self.number += 1;
        let mut call = self.script.prepare_invoke();
        for key in [
            "buried",
            "locations:era",
            "locations:last",
            "locations:told",
            "locations:nodes",
        ] {
            call.key(format!("{}{key}", self.prefix));
        }
        call.key(self.shelf(&us.id)).key(self.word(&us.id));
        let heard = self.heard.as_ref().map_or(-1, |(_, heard)| *heard as i64);
        call.arg(&us.id)
            .arg(codec::describe(us))
            .arg(format!("{:016x}", self.seed))
            .arg(heard)
            .arg(HEARD_MAX)
            .arg(KEPT_MAX)
            .arg(SHELF_LIFETIME_S)
            .arg(self.number);
        for change in told {
            let what = match change {
                LocationChange::Saved(_) => "save",
                LocationChange::Ended(end) => match end.kind {
                    LocationEndKind::Ended => "end",
                    LocationEndKind::Removed => "save",
                    LocationEndKind::Yielded => "drop",
                },
            };
            call.arg(what)
                .arg(&change.key()[..])
                .arg(codec::encode(change));
        }
        let mut run_id = String::new();
        let answer: Option<Answer> = self.link.with(|connection, run| {
            run.clone_into(&mut run_id);
            call.arg(run).invoke(connection)
        })?;
        let Some((era, head, portions, nodes)) = answer else {
            return Ok(Exchanged::Buried);
        };
        // The next era gets another name.
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let era = format!("{run_id}.{era}");
        let (changes, rest) = self.take(&us.id, &era, head, portions);
        let nodes = nodes.chunks_exact(3).filter_map(|known| {
            Some(KnownNode {
                node: codec::read_node(&known[0], &known[1])?,
                is_buried: known[2] == "1",
                is_away: false,
            })
        });
        Ok(Exchanged::Heard {
            era,
            changes,
            rest,
            nodes: nodes.collect(),
        })
    }

    fn clear(&mut self, us: &LocationNode) -> Result<(), StoreError> {
        self.number += 1;
        let mut call = self.clear.prepare_invoke();
        call.key(self.shelf(&us.id)).key(self.word(&us.id));
        call.arg(self.number).arg(SHELF_LIFETIME_S);
        self.link.with(|connection, _| call.invoke(connection))
    }

    fn look(&mut self, node: &str, from: u64) -> Result<(Vec<LocationChange>, u64), StoreError> {
        let shelf = self.shelf(node);
        let (next, flat): (u64, Vec<Vec<u8>>) = self.link.with(|connection, _| {
            redis::cmd("HSCAN")
                .arg(shelf)
                .arg(from)
                .arg("COUNT")
                .arg(LOOK_COUNT)
                .query(connection)
        })?;
        let values = flat.iter().skip(1).step_by(2);
        Ok((
            values.filter_map(|value| codec::decode(value)).collect(),
            next,
        ))
    }

    fn forget(&mut self, node: &str) -> Result<(), StoreError> {
        let (shelf, nodes) = (self.shelf(node), format!("{}locations:nodes", self.prefix));
        self.link.with(|connection, _| {
            let mut pipe = redis::pipe();
            pipe.cmd("UNLINK").arg(shelf).ignore();
            pipe.cmd("HDEL").arg(nodes).arg(node).ignore();
            pipe.query::<()>(connection)
        })
    }
}

/// Numbers of portions, and their fields: who told, then the changes.
type Portions = Vec<(String, Vec<Vec<u8>>)>;
type Heard = Vec<HeardChange>;
/// Era, number of the last portion, portions, and nodes as the script returns them.
type Answer = (String, u64, Portions, Vec<String>);

/// How long a shelf stands that nobody writes to: all its nodes are gone.
const SHELF_LIFETIME_S: u64 = 86_400;
/// Bindings that one look brings, roughly.
const LOOK_COUNT: usize = 500;

#[cfg(test)]
mod tests;
