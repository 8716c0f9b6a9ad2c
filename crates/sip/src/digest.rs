//! Digest authentication for SIP (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! The server side is [`Authenticator`]: it writes challenges and judges [`Credentials`]. The
//! client side is [`Session`]: it answers a [`Challenge`]. Neither keeps anything per user.
//!
//! Left out: `auth-int`, which no phone sends and which breaks where a body is rewritten;
//! `userhash` (RFC 7616 §3.4.4); `Authentication-Info`, which SIP user agents ignore.

mod authenticator;
mod challenge;
mod credentials;
mod hash;
mod nonce;
mod params;
mod replay;
mod session;

pub use authenticator::{Authenticator, AuthenticatorConfig, Refusal, Verdict};
pub use challenge::{Challenge, challenges};
pub use credentials::Credentials;
pub use hash::{Hex, ha1};
pub use params::{ParamError, Value};
pub use session::{Session, SessionError};

use crate::HeaderName;

/// A digest algorithm; stronger ones compare greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `MD5`, and what a missing parameter means (RFC 7616 §3.3).
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256` (RFC 8760).
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
    /// `SHA-512-256` (RFC 8760).
    Sha512T256,
    /// `SHA-512-256-sess`.
    Sha512T256Sess,
}

impl Algorithm {
    const ALL: [Self; 6] = [
        Self::Md5,
        Self::Md5Sess,
        Self::Sha256,
        Self::Sha256Sess,
        Self::Sha512T256,
        Self::Sha512T256Sess,
    ];

    /// From its name, whatever the case; `None` if we do not know it.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|a| name.eq_ignore_ascii_case(a.name().as_bytes()))
    }

    /// As written in a header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
            Self::Sha512T256 => "SHA-512-256",
            Self::Sha512T256Sess => "SHA-512-256-sess",
        }
    }

    /// Whether the secret is bound to nonce and cnonce once per session (RFC 7616 §3.4.2).
    #[must_use]
    pub const fn is_session(self) -> bool {
        matches!(
            self,
            Self::Md5Sess | Self::Sha256Sess | Self::Sha512T256Sess
        )
    }
}

/// Who asks: decides status and header names (RFC 3261 §22.2, §22.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// A user agent or registrar: 401, `WWW-Authenticate`, `Authorization`.
    UserAgent,
    /// A proxy: 407, `Proxy-Authenticate`, `Proxy-Authorization`.
    Proxy,
}

impl Side {
    /// The side a response speaks for; `None` if it is no challenge.
    #[must_use]
    pub const fn from_status(status: u16) -> Option<Self> {
        match status {
            401 => Some(Self::UserAgent),
            407 => Some(Self::Proxy),
            _ => None,
        }
    }

    /// The status of a challenge.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::UserAgent => 401,
            Self::Proxy => 407,
        }
    }

    /// The header that carries a challenge.
    #[must_use]
    pub const fn challenge_header(self) -> HeaderName {
        match self {
            Self::UserAgent => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    /// The header that carries credentials.
    #[must_use]
    pub const fn credentials_header(self) -> HeaderName {
        match self {
            Self::UserAgent => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

#[cfg(test)]
mod tests;
