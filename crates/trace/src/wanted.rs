//! Which messages are looked for.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Entry, Head, Seen, address_print, call_id_print, party_print};

/// Which messages are looked for; the default wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Seen then or later; microseconds since 1970.
    pub from_us: Option<u64>,
    /// Seen before.
    pub to_us: Option<u64>,
    /// With one of these Call-IDs, or said to belong to one; empty: with any.
    pub call_ids: Vec<String>,
    /// With a tag of ours that has one of these keys, besides those with the Call-IDs.
    pub keys: Vec<u64>,
    /// With this user or number in From, To or the URI.
    pub party: Option<String>,
    /// From or to this address.
    pub address: Option<IpAddr>,
    /// Of this kind.
    pub kind: Option<Kind>,
}

/// Kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Of calls: all but the others.
    Calls,
    /// REGISTER and its answers.
    Registrations,
    /// OPTIONS and its answers.
    Options,
    /// MESSAGE, SUBSCRIBE, NOTIFY and PUBLISH, and their answers.
    Others,
}

impl Kind {
    /// The kind of a message by its method, of which the first four letters suffice.
    #[must_use]
    pub fn of(method: &[u8]) -> Self {
        let begins = |name: &[u8]| {
            method
                .get(..4)
                .is_some_and(|m| m.eq_ignore_ascii_case(name))
        };
        if begins(b"REGI") {
            Self::Registrations
        } else if begins(b"OPTI") {
            Self::Options
        } else if begins(b"MESS") || begins(b"SUBS") || begins(b"NOTI") || begins(b"PUBL") {
            Self::Others
        } else {
            Self::Calls
        }
    }
}

/// The same as prints.
#[derive(Clone, Debug)]
pub struct Prints {
    from_us: u64,
    to_us: u64,
    call_ids: Vec<u64>,
    keys: Vec<u64>,
    party: Option<u32>,
    address: Option<u32>,
    kind: Option<Kind>,
}

impl Wanted {
    /// What an index is searched by.
    #[must_use]
    pub fn prints(&self) -> Prints {
        let ids = self.call_ids.iter();
        Prints {
            from_us: self.from_us.unwrap_or(0),
            to_us: self.to_us.unwrap_or(u64::MAX),
            call_ids: ids.map(|id| call_id_print(id.as_bytes())).collect(),
            keys: self.keys.clone(),
            party: self.party.as_ref().map(|user| party_print(user.as_bytes())),
            address: self.address.map(address_print),
            kind: self.kind,
        }
    }

    /// Whether a message is wanted that has the right prints.
    #[must_use]
    pub fn takes(&self, seen: &Seen, entry: &Entry) -> bool {
        let head = Head::read(&seen.payload);
        let same = |user: &[u8], wanted: &str| {
            let bare = |text: &[u8]| text.strip_prefix(b"+").unwrap_or(text).to_ascii_lowercase();
            bare(user) == bare(wanted.as_bytes())
        };
        let ids = &self.call_ids;
        let has_id = ids
            .iter()
            .any(|id| id.as_bytes() == head.call_id || id.as_bytes() == &*seen.correlation);
        let is_of_call = ids.is_empty() && self.keys.is_empty()
            || has_id
            || !entry.elsewhere && self.keys.contains(&entry.key);
        is_of_call
            && self.party.as_ref().is_none_or(|wanted| {
                let users = [head.from.user, head.to.user, head.request_user()];
                users.into_iter().any(|user| same(user, wanted))
            })
            && self.address.is_none_or(|wanted| {
                let ends = [seen.from.ip(), seen.to.ip()];
                ends.iter()
                    .any(|ip| ip.to_canonical() == wanted.to_canonical())
            })
    }
}

impl Prints {
    /// Whether anything of a stretch of time may be wanted.
    #[must_use]
    pub fn covers(&self, first_us: u64, last_us: u64) -> bool {
        first_us < self.to_us && last_us >= self.from_us
    }

    /// Whether the message of an entry may be wanted.
    #[must_use]
    pub fn take(&self, entry: &Entry) -> bool {
        let by_call = self.call_ids.is_empty() && self.keys.is_empty()
            || self.call_ids.contains(&entry.call_id)
            || match entry.elsewhere {
                true => self.call_ids.contains(&entry.key),
                false => entry.key != 0 && self.keys.contains(&entry.key),
            };
        let users = [entry.from_user, entry.to_user, entry.request_user];
        let addresses = [entry.from_address, entry.to_address];
        by_call
            && (self.from_us..self.to_us).contains(&entry.at_us)
            && self.party.is_none_or(|wanted| users.contains(&wanted))
            && self
                .address
                .is_none_or(|wanted| addresses.contains(&wanted))
            && self
                .kind
                .is_none_or(|wanted| wanted == Kind::of(&entry.method))
    }
}
