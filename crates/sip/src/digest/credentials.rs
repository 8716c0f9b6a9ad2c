//! Credentials: `Authorization` and `Proxy-Authorization` (RFC 7616 §3.4).

use super::params::{Item, Items, ParamError, Value, set};
use super::{Algorithm, Side};
use crate::Message;

/// Digest credentials over borrowed bytes. Values are kept without quotes, escapes as they came:
/// that is what the sender's hash went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The user name; look it up by [`Value::unescaped`].
    pub username: Value<'a>,
    /// The realm.
    pub realm: Value<'a>,
    /// The nonce of the challenge that is answered.
    pub nonce: Value<'a>,
    /// The URI the sender wrote into the request line.
    pub uri: Value<'a>,
    /// The proof, in hex.
    pub response: Value<'a>,
    /// The algorithm; `None` for one we do not know.
    pub algorithm: Option<Algorithm>,
    /// Quality of protection; `None` is the way of RFC 2069.
    pub qop: Option<Value<'a>>,
    /// How often this nonce was used, as written: eight hex digits.
    pub nc: Option<Value<'a>>,
    /// The sender's own random text.
    pub cnonce: Option<Value<'a>>,
    /// What the challenge asked to have back.
    pub opaque: Option<Value<'a>>,
    raw: &'a [u8],
}

impl<'a> Credentials<'a> {
    /// Takes the value of a credentials header apart.
    ///
    /// # Errors
    /// [`ParamError`]; hostile input is harmless.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParamError> {
        let mut items = Items::new(value);
        match items.next().ok_or(ParamError::Form)?? {
            Item::Scheme(name) if name.eq_ignore_ascii_case(b"Digest") => {}
            _ => return Err(ParamError::Scheme),
        }
        let mut found = [None; KNOWN.len()];
        for item in items {
            let Item::Param(name, value) = item? else {
                return Err(ParamError::Form);
            };
            if let Some(at) = known(name) {
                set(&mut found[at], value)?;
            }
        }
        let [
            username,
            realm,
            nonce,
            uri,
            response,
            algorithm,
            qop,
            nc,
            cnonce,
            opaque,
        ] = found;
        let need = |value: Option<Value<'a>>, name| value.ok_or(ParamError::Missing(name));
        Ok(Self {
            username: need(username, "username")?,
            realm: need(realm, "realm")?,
            nonce: need(nonce, "nonce")?,
            uri: need(uri, "uri")?,
            response: need(response, "response")?,
            algorithm: match algorithm {
                Some(name) => Algorithm::from_name(name.0),
                None => Some(Algorithm::Md5),
            },
            qop,
            nc,
            cnonce,
            opaque,
            raw: value,
        })
    }

    /// The first readable credentials of a request for a realm. Credentials for other realms
    /// belong to other hops (RFC 3261 §22.3).
    #[must_use]
    pub fn find(request: &'a Message, side: Side, realm: &str) -> Option<Self> {
        request
            .headers(side.credentials_header())
            .filter_map(|value| Self::parse(value).ok())
            .find(|c| *c.realm.unescaped() == *realm.as_bytes())
    }

    /// The parameters that RFC 7616 does not name, in the order they came.
    pub fn others(&self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> {
        Items::new(self.raw).filter_map(|item| match item {
            Ok(Item::Param(name, value)) if known(name).is_none() => Some((name, value)),
            _ => None,
        })
    }
}

const KNOWN: [&str; 10] = [
    "username",
    "realm",
    "nonce",
    "uri",
    "response",
    "algorithm",
    "qop",
    "nc",
    "cnonce",
    "opaque",
];

/// Which parameter of [`KNOWN`] a name is, in any case. Their lengths and first letters tell them
/// apart.
fn known(name: &[u8]) -> Option<usize> {
    let letter = name.first()? | 0x20;
    let at = match (name.len(), letter) {
        (8, b'u') => 0,
        (5, b'r') => 1,
        (5, b'n') => 2,
        (3, b'u') => 3,
        (8, b'r') => 4,
        (9, b'a') => 5,
        (3, b'q') => 6,
        (2, b'n') => 7,
        (6, b'c') => 8,
        (6, b'o') => 9,
        _ => return None,
    };
    name.eq_ignore_ascii_case(KNOWN[at].as_bytes())
        .then_some(at)
}
