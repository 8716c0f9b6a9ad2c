//! What one node of a cluster does for all, by Redis 7 or Valkey: each duty has one owner.
//!
//! A duty is its owner's until it gives it up, leaves, or is buried (the evidence of the permits). It
//! has no expiry: an owner that loses the store goes on, and nobody takes its place who cannot know.
//! Keys: `tandem:duties` (duty to its owner and what that says of it), and `members` and `buried` of
//! the permits.

use redis::Script;

use crate::StoreError;
use crate::redis::{Link, PREFIX};

/// One node's way to the duties of all.
pub struct RedisDuties {
    link: Link,
    claim: Script,
    prefix: String,
}

/// Who has a duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The owner's name in its cluster.
    pub owner: String,
    /// What it says of it; where the owner is new, what the one before said, empty if there was none.
    pub note: String,
}

impl RedisDuties {
    /// `url` as for permits. Errors: `Misconfigured`.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self {
            link: Link::new(url)?,
            claim: Script::new(include_str!("duties/claim.lua")),
            prefix: PREFIX.to_owned(),
        })
    }

    /// Takes for a node what it wants and nobody has, notes what it says of each, and gives up others.
    /// Who has each that is wanted, in that order; `None` if the node is no member, and has none.
    /// Errors: `Unavailable`, and it may be taken or not.
    pub fn claim(
        &mut self,
        node: &str,
        wanted: &[(String, String)],
        given_up: &[String],
    ) -> Result<Option<Vec<Owned>>, StoreError> {
        let mut call = self.claim.prepare_invoke();
        for key in ["members", "buried", "duties"] {
            call.key(format!("{}{key}", self.prefix));
        }
        call.arg(node).arg(wanted.len());
        for (name, note) in wanted {
            call.arg(name).arg(note);
        }
        for name in given_up {
            call.arg(name);
        }
        let flat: Option<Vec<String>> = self.link.with(|connection, _| call.invoke(connection))?;
        let Some(flat) = flat else { return Ok(None) };
        let pairs = flat.chunks_exact(2).map(|pair| Owned {
            owner: pair[0].clone(),
            note: pair[1].clone(),
        });
        Ok(Some(pairs.collect()))
    }
}

#[cfg(test)]
mod tests;
