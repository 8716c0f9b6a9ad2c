//! The server's side: challenges written, credentials judged.

use core::time::Duration;
use std::net::IpAddr;

use clock::Time;

use super::hash::{LastHalf, Proof, is_same};
use super::nonce::{Age, Nonces};
use super::replay::{Replays, Use};
use super::{Algorithm, Credentials, Side};
use crate::Writer;

/// What an [`Authenticator`] is made of.
#[derive(Clone)]
pub struct AuthenticatorConfig {
    /// The realm of all challenges. Must not hold quotes, backslashes or line ends.
    pub realm: Box<str>,
    /// The key all nodes of the cluster share; whoever has it can make nonces.
    pub cluster_key: [u8; 32],
    /// How long a nonce serves.
    pub nonce_lifetime: Duration,
    /// What is offered, in this order, each in a challenge of its own (RFC 8760 §2.4).
    pub algorithms: Vec<Algorithm>,
    /// How many nonces this node remembers against replays, at 20 to 40 bytes each.
    pub replay_nonces_max: usize,
    /// A random number of this node.
    pub seed: u64,
}

impl AuthenticatorConfig {
    /// SHA-256 first, then MD5, nonces of five minutes, 262,144 of them remembered.
    #[must_use]
    pub fn new(realm: &str, cluster_key: [u8; 32], seed: u64) -> Self {
        Self {
            realm: realm.into(),
            cluster_key,
            nonce_lifetime: Duration::from_secs(300),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            replay_nonces_max: 262_144,
            seed,
        }
    }
}

/// Challenges and judges requests for one realm.
///
/// Deviation from RFC 3261 §22.4: the digest URI is not compared with the request URI, because
/// proxies may rewrite the latter; the proof covers the former.
pub struct Authenticator {
    realm: Box<str>,
    algorithms: Vec<Algorithm>,
    /// What stands in a challenge before the nonce, but for the header's name, and for each
    /// algorithm what stands behind it.
    before_nonce: Box<str>,
    behind_nonce: Vec<Box<str>>,
    nonces: Nonces,
    replays: Replays,
    last_half: LastHalf,
}

/// The outcome of [`Authenticator::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sender knows the secret.
    Granted,
    /// The sender knows the secret, but the nonce has expired, or was issued for another address
    /// than it sends from now: challenge with `stale=true`.
    Stale,
    /// Anything else: challenge, or refuse. The reason is for counters and must not show in
    /// the answer.
    Refused(Refusal),
}

/// Why credentials were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A parameter has a value it cannot have, or contradicts another.
    Malformed,
    /// They are for another realm.
    Realm,
    /// An algorithm that was not offered.
    Algorithm,
    /// A quality of protection that was not offered.
    Qop,
    /// This cluster did not issue the nonce for that address, so it says nothing about who sent it.
    Nonce,
    /// Wrong password or unknown user: nobody can tell from here.
    Secret,
    /// The nonce count was used before.
    Replayed,
}

impl Refusal {
    /// A short word for counters.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Realm => "realm",
            Self::Algorithm => "algorithm",
            Self::Qop => "qop",
            Self::Nonce => "nonce",
            Self::Secret => "secret",
            Self::Replayed => "replayed",
        }
    }
}

impl Authenticator {
    /// See [`AuthenticatorConfig`].
    #[must_use]
    pub fn new(config: AuthenticatorConfig) -> Self {
        Self {
            nonces: Nonces::new(&config.cluster_key, config.nonce_lifetime, config.seed),
            replays: Replays::new(config.replay_nonces_max, config.nonce_lifetime),
            last_half: LastHalf::default(),
            before_nonce: format!(": Digest realm=\"{}\", nonce=\"", config.realm).into(),
            behind_nonce: config
                .algorithms
                .iter()
                .map(|algorithm| format!("\", algorithm={}, qop=\"auth\"", algorithm.name()).into())
                .collect(),
            realm: config.realm,
            algorithms: config.algorithms,
        }
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Writes one challenge per offered algorithm into a 401 or 407 to `to`. Give the verdict on
    /// the credentials that came, if any came.
    pub fn challenge(
        &mut self,
        now: Time,
        to: IpAddr,
        side: Side,
        verdict: Option<Verdict>,
        response: &mut Writer,
    ) {
        let nonce = self.nonces.issue(now, to);
        let stale: &[u8] = match verdict {
            Some(Verdict::Stale) => b", stale=true\r\n",
            _ => b"\r\n",
        };
        for behind_nonce in &self.behind_nonce {
            response
                .raw(side.challenge_header().as_str().as_bytes())
                .raw(self.before_nonce.as_bytes())
                .raw(&nonce)
                .raw(behind_nonce.as_bytes())
                .raw(stale);
        }
    }

    /// Judges credentials of a request with the given method that came from `from`. `ha1` is the secret of the user
    /// they name, in lower-case hex of the algorithm they name ([`super::ha1`]); `None` for a
    /// user that does not exist or has no such secret, which costs the same work.
    ///
    /// Credentials without qop (RFC 2069) count as the first use of their nonce.
    pub fn verify(
        &mut self,
        now: Time,
        from: IpAddr,
        credentials: &Credentials<'_>,
        method: &[u8],
        ha1: Option<&[u8]>,
    ) -> Verdict {
        match self.judge(now, from, credentials, method, ha1) {
            Ok(verdict) => verdict,
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn judge(
        &mut self,
        now: Time,
        from: IpAddr,
        credentials: &Credentials<'_>,
        method: &[u8],
        ha1: Option<&[u8]>,
    ) -> Result<Verdict, Refusal> {
        if *credentials.realm.unescaped() != *self.realm.as_bytes() {
            return Err(Refusal::Realm);
        }
        let algorithm = credentials
            .algorithm
            .filter(|a| self.algorithms.contains(a))
            .ok_or(Refusal::Algorithm)?;
        let nonce = self.nonces.open(now, credentials.nonce.0, from);
        // Without a nonce of ours the source may be forged, and nothing is held against it.
        let blame = |refusal| nonce.map_or(Refusal::Nonce, |_| refusal);
        let (count, counted) = counted(credentials).map_err(blame)?;
        let proof = Proof {
            algorithm,
            nonce: credentials.nonce.0,
            counted,
            method,
            uri: credentials.uri.0,
        };
        let ha1_or_nobody = ha1.unwrap_or(&NOBODY[..hex_chars(algorithm)]);
        let expected = proof.response_with(ha1_or_nobody, &self.last_half.of(&proof));
        let mut lower = [0; 64];
        let response = lower
            .get_mut(..credentials.response.0.len())
            .ok_or_else(|| blame(Refusal::Malformed))?;
        response.copy_from_slice(credentials.response.0);
        response.make_ascii_lowercase();
        if !is_same(&expected, response) || ha1.is_none() {
            return Err(blame(Refusal::Secret));
        }
        let Some(nonce) = nonce.filter(|n| n.age == Age::Fresh) else {
            return Ok(Verdict::Stale);
        };
        match self.replays.note(now, nonce, count) {
            Use::First => Ok(Verdict::Granted),
            Use::Forgotten => Ok(Verdict::Stale),
            Use::Again => Err(Refusal::Replayed),
        }
    }
}

impl core::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Authenticator")
            .field("realm", &self.realm)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

type Counted<'a> = Option<(&'a [u8], &'a [u8], &'a [u8])>;

/// The nonce count as a number, and what the hash goes over; qop, nc and cnonce come together
/// or not at all (RFC 7616 §3.4).
fn counted<'a>(credentials: &Credentials<'a>) -> Result<(u32, Counted<'a>), Refusal> {
    match (credentials.qop, credentials.nc, credentials.cnonce) {
        (Some(qop), Some(nc), Some(cnonce)) => {
            if !qop.0.eq_ignore_ascii_case(b"auth") {
                return Err(Refusal::Qop);
            }
            let count = nonce_count(nc.0).ok_or(Refusal::Malformed)?;
            Ok((count, Some((nc.0, cnonce.0, qop.0))))
        }
        (None, None, _) => Ok((1, None)),
        _ => Err(Refusal::Malformed),
    }
}

/// Eight hex digits; 0 is never sent.
fn nonce_count(text: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(text).ok().filter(|t| t.len() == 8)?;
    let digits_only = text.bytes().all(|b| b.is_ascii_hexdigit());
    let count = u32::from_str_radix(text, 16).ok()?;
    (digits_only && count > 0).then_some(count)
}

const fn hex_chars(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Md5 | Algorithm::Md5Sess => 32,
        _ => 64,
    }
}

/// Stands in for the secret of a user that does not exist, so that the work is the same.
const NOBODY: [u8; 64] = [b'0'; 64];
