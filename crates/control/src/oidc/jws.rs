//! Signed tokens in the compact form (RFC 7515 §7.1), and the keys for them (RFC 7517).
//!
//! Three algorithms are known: RS256, ES256 (RFC 7518 §3) and EdDSA with Ed25519 (RFC 8037). A key
//! has one of them by its kind, so that a token cannot choose what its key is taken for; `none` and
//! HMAC do not exist here.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

/// A public key, as a provider publishes it (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// It is no token of this form.
    #[error("its token is not of the form of RFC 7515")]
    Malformed,
    /// It is signed by an algorithm that is not known.
    #[error(
        "its token is signed by another algorithm than RS256, ES256 and EdDSA: set one of them"
    )]
    Algorithm,
    /// None of the keys has signed it.
    #[error("its token is signed by no key that it publishes")]
    NoKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood, and is not.
    crit: Option<Value>,
}

/// The keys in what a provider publishes; those that cannot be read are passed over.
pub(super) fn keys(published: &Value) -> Vec<Jwk> {
    let all = published["keys"].as_array().into_iter().flatten();
    all.filter_map(|key| serde_json::from_value(key.clone()).ok())
        .take(KEYS_MAX)
        .collect()
}

/// What a token says, if one of the keys has signed it.
pub(super) fn verify(token: &str, keys: &[Jwk]) -> Result<Value, Fault> {
    let (message, signature) = token.rsplit_once('.').ok_or(Fault::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(Fault::Malformed)?;
    let header: Header = parsed(header)?;
    if header.crit.is_some() {
        return Err(Fault::Malformed);
    }
    let algorithm = Algorithm::named(&header.alg).ok_or(Fault::Algorithm)?;
    let signature = decoded(signature)?;
    let fits = |key: &&Jwk| {
        let is_named = header.kid.is_none() || key.kid.is_none() || key.kid == header.kid;
        is_named && key.is_for(algorithm)
    };
    let has_signed = |key: &Jwk| {
        let signed = key.has_signed(algorithm, message.as_bytes(), &signature);
        signed.unwrap_or_default()
    };
    if !keys.iter().filter(fits).any(has_signed) {
        return Err(Fault::NoKey);
    }
    parsed(payload)
}

impl Algorithm {
    fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// Kind and curve of its keys.
    const fn kind(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Rs256 => ("RSA", None),
            Self::Es256 => ("EC", Some("P-256")),
            Self::EdDsa => ("OKP", Some("Ed25519")),
        }
    }
}

impl Jwk {
    fn is_for(&self, algorithm: Algorithm) -> bool {
        let (kty, crv) = algorithm.kind();
        let named = self.alg.as_deref().map(Algorithm::named);
        self.kty == kty
            && (crv.is_none() || self.crv.as_deref() == crv)
            && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && named.is_none_or(|named| named == Some(algorithm))
    }

    /// `None`: a part of it is missing or damaged.
    fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<bool> {
        let part = |part: &Option<String>| decoded(part.as_deref()?).ok();
        let verified = match algorithm {
            Algorithm::Rs256 => {
                let (n, e) = (part(&self.n)?, part(&self.e)?);
                let key = RsaPublicKeyComponents {
                    n: significant(&n),
                    e: significant(&e),
                };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Algorithm::Es256 => {
                // A point that is not compressed (SEC 1 §2.3.3).
                let mut point = vec![4];
                for half in [part(&self.x)?, part(&self.y)?] {
                    let missing = COORDINATE_LEN.checked_sub(half.len())?;
                    point.extend(std::iter::repeat_n(0, missing));
                    point.extend(half);
                }
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Algorithm::EdDsa => {
                UnparsedPublicKey::new(&ED25519, part(&self.x)?).verify(message, signature)
            }
        };
        Some(verified.is_ok())
    }
}

/// A number without the zeros before it.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn parsed<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Fault> {
    serde_json::from_slice(&decoded(part)?).map_err(|_| Fault::Malformed)
}

fn decoded(part: &str) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Malformed)
}

/// Keys looked at; a provider has a handful.
const KEYS_MAX: usize = 64;
/// Bytes of a coordinate of P-256.
const COORDINATE_LEN: usize = 32;

#[cfg(test)]
mod tests;
