//! A certificate chain and its private key as somebody hands them over: whether they fit, and what
//! they say (RFC 5280 §4).

use aws_lc_rs::digest::{SHA256, digest};
use model::{CertificateFacts, CertificateKind};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

/// Why a chain and a key cannot be used. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PairError {
    /// The chain is no PEM, or has no certificate.
    #[error("no certificate is in it: paste the PEM text, from -----BEGIN CERTIFICATE----- on")]
    NoCertificate,
    /// More than anybody's chain has.
    #[error(
        "it has more than {CHAIN_MAX} certificates: the own one and those of its issuers are enough"
    )]
    TooLong,
    /// A certificate in it is damaged.
    #[error("certificate {place} of the chain cannot be read: was it cut off when it was copied?")]
    Unreadable {
        /// Which, from 1.
        place: usize,
    },
    /// The chain has a gap, or another order.
    #[error(
        "certificate {place} of the chain was issued by {issuer}, and the next one is of {next}: \
         put the own certificate first, then that of its issuer, and so on"
    )]
    Order {
        /// Which, from 1.
        place: usize,
        /// Who issued it.
        issuer: String,
        /// Whose the next one is.
        next: String,
    },
    /// It has ended.
    #[error("it ended on {0}: upload the renewed one")]
    Expired(String),
    /// It has not begun.
    #[error("it begins on {0}: upload it then, or set the clock of this machine")]
    NotYet(String),
    /// Clients look for names in one place only.
    #[error(
        "it has no subjectAltName, and clients look nowhere else for its names: have it issued with one"
    )]
    NoNames,
    /// It may not be used so.
    #[error("it is not for a {wanted} (extended key usage): {advice}")]
    Usage {
        /// `server` or `client`.
        wanted: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// There is no key.
    #[error("the private key is missing: send the PEM text, from -----BEGIN PRIVATE KEY----- on")]
    NoKey,
    /// A passphrase is on it.
    #[error("the private key is encrypted: send it as `openssl pkey -in key.pem` prints it")]
    EncryptedKey,
    /// It is of a kind that TLS has no use for.
    #[error(
        "the private key cannot be used ({0}): RSA of 2,048 bits and more, ECDSA P-256, P-384, P-521 and Ed25519 are accepted"
    )]
    UnusableKey(String),
    /// It belongs to another certificate of the chain.
    #[error("the private key belongs to certificate {place} of the chain: put that first")]
    KeyOfOther {
        /// Which, from 1.
        place: usize,
    },
    /// It belongs to none.
    #[error(
        "the private key does not belong to the certificate: send the one that it was requested with"
    )]
    KeyMismatch,
}

impl PairError {
    /// The field that is to be changed.
    pub(crate) const fn field(&self) -> &'static str {
        match self {
            Self::NoKey | Self::EncryptedKey | Self::UnusableKey(_) | Self::KeyMismatch => "key",
            _ => "chain",
        }
    }
}

/// What a chain says, if it fits its key and may be used so at a time.
pub(crate) fn inspect(
    chain: &str,
    key: &str,
    kind: CertificateKind,
    now_us: u64,
) -> Result<CertificateFacts, PairError> {
    let chain = certificates(chain)?;
    let parsed = parse(&chain)?;
    let own = parsed.first().ok_or(PairError::NoCertificate)?;
    check_key(&chain, key)?;
    check_order(&parsed)?;
    check_time(own, now_us)?;
    check_usage(own, kind)?;
    let facts = facts(own, chain.first().map(AsRef::as_ref).unwrap_or_default());
    if kind == CertificateKind::Server && facts.names.is_empty() {
        return Err(PairError::NoNames);
    }
    Ok(facts)
}

/// What a certificate says; `None` if it is none.
#[must_use]
pub fn certificate_facts(der: &[u8]) -> Option<CertificateFacts> {
    let (_, parsed) = parse_x509_certificate(der).ok()?;
    Some(facts(&parsed, der))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, PairError> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let place = found.len() + 1;
        found.push(certificate.map_err(|_| PairError::Unreadable { place })?);
        if found.len() > CHAIN_MAX {
            return Err(PairError::TooLong);
        }
    }
    match found.is_empty() {
        true => Err(PairError::NoCertificate),
        false => Ok(found),
    }
}

fn parse<'a>(chain: &'a [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'a>>, PairError> {
    let parse = |(place, der): (usize, &'a CertificateDer<'_>)| {
        let parsed = parse_x509_certificate(der);
        let (_, parsed) = parsed.map_err(|_| PairError::Unreadable { place: place + 1 })?;
        Ok(parsed)
    };
    chain.iter().enumerate().map(parse).collect()
}

fn check_order(chain: &[X509Certificate<'_>]) -> Result<(), PairError> {
    for (place, (one, next)) in chain.iter().zip(chain.iter().skip(1)).enumerate() {
        if one.issuer().as_raw() != next.subject().as_raw() {
            return Err(PairError::Order {
                place: place + 1,
                issuer: one.issuer().to_string(),
                next: next.subject().to_string(),
            });
        }
    }
    Ok(())
}

fn check_time(own: &X509Certificate<'_>, now_us: u64) -> Result<(), PairError> {
    let validity = own.validity();
    if micros(validity.not_after) <= now_us {
        return Err(PairError::Expired(validity.not_after.to_string()));
    }
    // Clocks of authorities and ours may differ a little.
    if micros(validity.not_before) > now_us.saturating_add(CLOCKS_DIFFER_US) {
        return Err(PairError::NotYet(validity.not_before.to_string()));
    }
    Ok(())
}

/// RFC 5280 §4.2.1.12: without the extension it may be used for anything.
fn check_usage(own: &X509Certificate<'_>, kind: CertificateKind) -> Result<(), PairError> {
    let Ok(Some(usage)) = own.extended_key_usage() else {
        return Ok(());
    };
    let usage = usage.value;
    match kind {
        CertificateKind::Server if !usage.any && !usage.server_auth => Err(PairError::Usage {
            wanted: "server",
            advice: "upload it with the kind client, or have one issued for servers",
        }),
        CertificateKind::Client if !usage.any && !usage.client_auth => Err(PairError::Usage {
            wanted: "client",
            advice: "upload it with the kind server, or have one issued for clients",
        }),
        _ => Ok(()),
    }
}

fn check_key(chain: &[CertificateDer<'static>], pem: &str) -> Result<(), PairError> {
    if pem.contains("ENCRYPTED") {
        return Err(PairError::EncryptedKey);
    }
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| PairError::NoKey)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let unusable = |error: rustls::Error| PairError::UnusableKey(error.to_string());
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(unusable)?;
    let belongs = |certificate: &CertificateDer<'static>| {
        let pair = CertifiedKey::new(vec![certificate.clone()], key.clone());
        // Where the public part of a key is not known, a handshake would show it.
        !matches!(
            pair.keys_match(),
            Err(rustls::Error::InconsistentKeys(
                rustls::InconsistentKeys::KeyMismatch
            ))
        )
    };
    match chain.iter().position(belongs) {
        Some(0) => Ok(()),
        Some(place) => Err(PairError::KeyOfOther { place: place + 1 }),
        None => Err(PairError::KeyMismatch),
    }
}

fn facts(own: &X509Certificate<'_>, der: &[u8]) -> CertificateFacts {
    let names = own.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let hexadecimal = |bytes: &[u8]| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>()
    };
    CertificateFacts {
        names: names.filter_map(name).take(NAMES_MAX).collect(),
        subject: own.subject().to_string(),
        issuer: own.issuer().to_string(),
        serial: hexadecimal(own.raw_serial()),
        fingerprint: hexadecimal(digest(&SHA256, der).as_ref()),
        not_before_us: micros(own.validity().not_before),
        not_after_us: micros(own.validity().not_after),
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|b| std::net::IpAddr::from(b).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|b| std::net::IpAddr::from(b).to_string()),
        },
        _ => None,
    }
}

/// Microseconds since the Unix epoch.
fn micros(time: ASN1Time) -> u64 {
    u64::try_from(time.timestamp())
        .unwrap_or(0)
        .saturating_mul(1_000_000)
}

/// Certificates of one chain.
const CHAIN_MAX: usize = 10;
/// Names of one certificate that are shown.
const NAMES_MAX: usize = 100;
/// How far the clock of who issued it may be ahead of ours.
const CLOCKS_DIFFER_US: u64 = 3_600 * 1_000_000;

#[cfg(test)]
mod tests;
