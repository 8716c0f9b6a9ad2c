//! The client's side: a challenge remembered and answered (RFC 3261 §22.2, §22.3).

use super::hash::Proof;
use super::params::{ParamError, Value};
use super::{Algorithm, Challenge, Hex, Side, challenges};
use crate::Message;

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The challenges are malformed.
    #[error("the challenge is malformed: {0}")]
    Malformed(#[from] ParamError),
    /// The response is no 401 or 407, or holds no digest challenge.
    #[error("the response holds no digest challenge")]
    None,
    /// Only algorithms or qualities of protection we do not have.
    #[error("no challenge has an algorithm and a quality of protection we know")]
    Unsupported,
}

/// An accepted challenge. Keep it, and later requests to the same realm carry credentials at
/// once; when one is challenged again, begin a new session, and give up if the old one was not
/// stale ([`Session::is_stale`]): the password is wrong.
///
/// Answer only peers that are configured to be answered: a challenge from a stranger is a way
/// to fish for a hash to guess passwords from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    side: Side,
    algorithm: Algorithm,
    realm: Box<[u8]>,
    nonce: Box<[u8]>,
    opaque: Option<Box<[u8]>>,
    qop: Qop,
    is_stale: bool,
    /// The cnonce of the first request, which a session algorithm goes on with (RFC 7616
    /// §3.4.2); empty for the others.
    cnonce: Option<Box<[u8]>>,
    /// How often the nonce was used.
    count: u32,
}

impl Session {
    /// Accepts the best challenge of a 401 or 407: the strongest algorithm we have, the first
    /// of equals. RFC 8760 §2.4 prefers the server's order, which lets whoever can change the
    /// response choose the weakest; so strength goes first here.
    ///
    /// # Errors
    /// [`SessionError`] if there is nothing we can answer.
    pub fn new(response: &Message) -> Result<Self, SessionError> {
        let side = Side::from_status(response.status()).ok_or(SessionError::None)?;
        let mut best: Option<Self> = None;
        let mut error = SessionError::None;
        for value in response.headers(side.challenge_header()) {
            for challenge in challenges(value) {
                match challenge
                    .map_err(SessionError::from)
                    .and_then(|c| Self::accept(side, &c))
                {
                    Ok(session) => {
                        if best
                            .as_ref()
                            .is_none_or(|b| b.algorithm < session.algorithm)
                        {
                            best = Some(session);
                        }
                    }
                    Err(e) => error = e,
                }
            }
        }
        best.ok_or(error)
    }

    fn accept(side: Side, challenge: &Challenge<'_>) -> Result<Self, SessionError> {
        let algorithm = challenge.algorithm.ok_or(SessionError::Unsupported)?;
        let qop = match challenge.qop {
            // A session algorithm without qop has no place for the cnonce it needs.
            None if !algorithm.is_session() => Qop::None,
            Some(_) if challenge.offers_qop("auth") => Qop::Auth,
            _ => return Err(SessionError::Unsupported),
        };
        Ok(Self {
            side,
            algorithm,
            realm: challenge.realm.0.into(),
            nonce: challenge.nonce.0.into(),
            opaque: challenge.opaque.map(|Value(opaque)| opaque.into()),
            qop,
            is_stale: challenge.is_stale,
            cnonce: None,
            count: 0,
        })
    }

    /// The algorithm; tells which secret [`Session::authorize`] needs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The realm, escapes kept.
    #[must_use]
    pub fn realm(&self) -> &[u8] {
        &self.realm
    }

    /// Whether the challenge says that only the nonce was wrong.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// The name of the header [`Session::authorize`] gives the value of.
    #[must_use]
    pub fn header_name(&self) -> &'static str {
        self.side.credentials_header().as_str()
    }

    /// The value of the credentials header for one more request. `ha1` is made by
    /// [`super::ha1`] with this session's realm and algorithm. `cnonce` is random, in
    /// characters of a token. `username` is escaped already if it needs to be.
    #[must_use]
    pub fn authorize(
        &mut self,
        method: &[u8],
        uri: &[u8],
        username: &[u8],
        ha1: &[u8],
        cnonce: &[u8],
    ) -> Vec<u8> {
        self.count = self.count.wrapping_add(1).max(1);
        if self.algorithm.is_session() && self.cnonce.is_none() {
            self.cnonce = Some(cnonce.into());
        }
        let cnonce = self.cnonce.as_deref().unwrap_or(cnonce);
        let nc = format!("{:08x}", self.count);
        let counted = (self.qop == Qop::Auth).then_some((nc.as_bytes(), cnonce));
        let proof = Proof {
            algorithm: self.algorithm,
            nonce: &self.nonce,
            counted: counted.map(|(nc, cnonce)| (nc, cnonce, &b"auth"[..])),
            method,
            uri,
        };
        self.write(uri, username, &proof.response(ha1), counted)
    }

    fn write(
        &self,
        uri: &[u8],
        username: &[u8],
        response: &Hex,
        counted: Option<(&[u8], &[u8])>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(320);
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|p| out.extend_from_slice(p));
        put(&[b"Digest username=\"", username]);
        put(&[b"\", realm=\"", &self.realm]);
        put(&[b"\", nonce=\"", &self.nonce]);
        put(&[b"\", uri=\"", uri]);
        put(&[b"\", response=\"", response]);
        put(&[b"\", algorithm=", self.algorithm.name().as_bytes()]);
        if let Some((nc, cnonce)) = counted {
            put(&[b", cnonce=\"", cnonce, b"\", qop=auth, nc=", nc]);
        }
        if let Some(opaque) = &self.opaque {
            put(&[b", opaque=\"", opaque, b"\""]);
        }
        out
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Qop {
    /// Nothing was offered (RFC 2069).
    None,
    Auth,
}
