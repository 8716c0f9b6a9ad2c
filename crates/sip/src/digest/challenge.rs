//! Challenges: `WWW-Authenticate` and `Proxy-Authenticate` (RFC 7616 §3.3).

use super::Algorithm;
use super::params::{Item, Items, ParamError, Value, set};
use crate::lex;

/// A digest challenge over borrowed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The realm.
    pub realm: Value<'a>,
    /// The nonce.
    pub nonce: Value<'a>,
    /// The algorithm; `None` for one we do not know.
    pub algorithm: Option<Algorithm>,
    /// The qualities of protection offered, by commas; `None` is the way of RFC 2069.
    pub qop: Option<Value<'a>>,
    /// To be sent back unchanged.
    pub opaque: Option<Value<'a>>,
    /// Whether only the nonce was wrong: try again without asking for a password.
    pub is_stale: bool,
}

impl Challenge<'_> {
    /// Whether a quality of protection is offered.
    #[must_use]
    pub fn offers_qop(&self, wanted: &str) -> bool {
        self.qop.is_some_and(|list| {
            list.0
                .split(|b| *b == b',')
                .any(|q| lex::trim(q).eq_ignore_ascii_case(wanted.as_bytes()))
        })
    }
}

/// The Digest challenges of one header value; those of other schemes are passed over. RFC 3261
/// §20.44 has one challenge per header, RFC 7235 §4.1 lets commas join several: both are read.
/// A malformed challenge ends the list with its error.
#[must_use]
pub const fn challenges(value: &[u8]) -> Challenges<'_> {
    Challenges {
        items: Items::new(value),
        at_digest: false,
    }
}

/// See [`challenges`].
#[derive(Clone, Debug)]
pub struct Challenges<'a> {
    items: Items<'a>,
    /// The scheme of the next challenge was read with the end of the last one.
    at_digest: bool,
}

impl<'a> Iterator for Challenges<'a> {
    type Item = Result<Challenge<'a>, ParamError>;
    fn next(&mut self) -> Option<Self::Item> {
        while !self.at_digest {
            match self.items.next()? {
                Ok(Item::Scheme(name)) if name.eq_ignore_ascii_case(b"Digest") => {
                    self.at_digest = true;
                }
                Ok(Item::Scheme(_)) => self.items.skip_param(),
                Ok(Item::Param(..)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        self.at_digest = false;
        Some(self.challenge())
    }
}

impl<'a> Challenges<'a> {
    fn challenge(&mut self) -> Result<Challenge<'a>, ParamError> {
        let mut found = [None; KNOWN.len()];
        loop {
            let before = self.items.clone();
            match self.items.next() {
                None => break,
                Some(Ok(Item::Scheme(_))) => {
                    self.items = before;
                    break;
                }
                Some(item) => {
                    if let Item::Param(name, value) = item?
                        && let Some(at) = known(name)
                    {
                        set(&mut found[at], value)?;
                    }
                }
            }
        }
        let [realm, nonce, algorithm, qop, opaque, stale] = found;
        Ok(Challenge {
            realm: realm.ok_or(ParamError::Missing("realm"))?,
            nonce: nonce.ok_or(ParamError::Missing("nonce"))?,
            algorithm: match algorithm {
                Some(name) => Algorithm::from_name(name.0),
                None => Some(Algorithm::Md5),
            },
            qop,
            opaque,
            is_stale: stale.is_some_and(|v| v.0.eq_ignore_ascii_case(b"true")),
        })
    }
}

const KNOWN: [&str; 6] = ["realm", "nonce", "algorithm", "qop", "opaque", "stale"];

fn known(name: &[u8]) -> Option<usize> {
    KNOWN
        .iter()
        .position(|k| name.eq_ignore_ascii_case(k.as_bytes()))
}
