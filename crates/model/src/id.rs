//! Identifiers: a ULID behind a prefix that names its kind (`usr_01J…`).

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

/// Why a text is not an identifier of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It begins with another kind's prefix, or with none.
    #[error("the identifier begins with \"{expected}_\"; this one does not")]
    Prefix {
        /// The prefix that was wanted, without the underscore.
        expected: &'static str,
    },
    /// What follows the prefix is no ULID.
    #[error("26 characters of Crockford base 32 follow the prefix; these do not fit")]
    Malformed,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The prefix that names this kind, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// From a creation time in milliseconds since the Unix epoch and 80 random bits.
            #[must_use]
            pub fn from_parts(time_ms: u64, random: u128) -> Self {
                Self(Ulid::from_parts(time_ms, random).0)
            }

            /// From the 128 bits of a ULID.
            #[must_use]
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The 128 bits of the ULID.
            #[must_use]
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), Ulid(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                let rest = s
                    .strip_prefix(concat!($prefix, "_"))
                    .ok_or(IdError::Prefix { expected: $prefix })?;
                // 26 characters hold 130 bits; the two at the front must be unused.
                if !matches!(rest.as_bytes().first(), Some(b'0'..=b'7')) {
                    return Err(IdError::Malformed);
                }
                Ulid::from_string(rest).map(|u| Self(u.0)).map_err(|_| IdError::Malformed)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                <String as utoipa::PartialSchema>::schema()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

id!(/** A tenant. */ AccountId, "acc");
id!(/** Somebody who registers devices. */ UserId, "usr");
id!(/** One device of a user. */ DeviceId, "dev");
id!(/** A DID. */ NumberId, "num");
id!(/** Somebody who sends us calls. */ CustomerId, "cus");
id!(/** Somebody we send calls to. */ CarrierId, "car");
id!(/** One address of a carrier. */ GatewayId, "gw");
id!(/** A media server. */ MediaServerId, "ms");
id!(/** A prefix route. */ RouteId, "rte");
id!(/** One call, both legs. */ CallId, "call");
id!(/** The record of one call. */ CdrId, "cdr");
id!(/** A token of the API. */ TokenId, "tok");
id!(/** Somebody who signs in. */ PersonId, "per");
id!(/** A machine that takes calls. */ ServerId, "srv");
id!(/** A region of data centres. */ ZoneId, "zone");
id!(/** Servers that belong together. */ ClusterId, "clu");
id!(/** Something that takes a while. */ TaskId, "task");
id!(/** CDRs that are written to a file. */ ExportId, "exp");
id!(/** Changes that are prepared together. */ DraftId, "dft");
id!(/** A token by which a machine joins. */ JoinTokenId, "jt");
id!(/** A certificate that the platform keeps. */ CertificateId, "crt");
