//! Tokens that make a machine a node: `tdj.IDENTIFIER.SECRET.FINGERPRINT`.
//!
//! The fingerprint is that of the platform's authority: the machine talks to nobody who cannot show
//! a certificate of it, and so shows the secret to no one else.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

/// A token, as it is pasted.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Which it is.
    pub id: String,
    /// What it keeps secret.
    pub secret: String,
    /// Whose word its bearer is to believe.
    pub authority: Fingerprint,
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no token of a platform: paste the whole of what `tandem node token` shows, tdj. and all"
)]
pub struct TokenError;

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate.as_ref()).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(TokenError);
        }
        for (place, byte) in bytes.iter_mut().enumerate() {
            let digits = &text[place * 2..place * 2 + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| TokenError)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.{}.{}", self.id, self.secret, self.authority)
    }
}

/// Without the secret: it must not reach a log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.trim().split('.');
        let mut next = || {
            parts
                .next()
                .filter(|part| !part.is_empty())
                .ok_or(TokenError)
        };
        if next()? != PREFIX {
            return Err(TokenError);
        }
        let token = Self {
            id: next()?.to_owned(),
            secret: next()?.to_owned(),
            authority: next()?.parse()?,
        };
        match parts.next() {
            None => Ok(token),
            Some(_) => Err(TokenError),
        }
    }
}

/// What a token begins with: whoever finds one knows what it is.
const PREFIX: &str = "tdj";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_being_pasted() {
        let authority = Fingerprint::of(&CertificateDer::from(vec![1, 2, 3]));
        let token = Token {
            id: "jt_1".into(),
            secret: "s3cret".into(),
            authority,
        };
        let text = format!("  {token}\n");
        assert_eq!(text.parse::<Token>(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("s3cret"));
    }

    #[test]
    fn half_a_token_is_none() {
        for text in [
            "",
            "tdj",
            "tdj.a.b",
            "tdj.a.b.00",
            "tdj.a..00",
            "tdm_abc",
            "tdj.ä.b.ä",
        ] {
            assert_eq!(text.parse::<Token>(), Err(TokenError), "{text}");
        }
    }
}
