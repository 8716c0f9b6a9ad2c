//! What a negotiation settled about the security of one side of a medium.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rtp::srtp::MasterKey;

use super::handshake::Context;

/// How media of one side is protected, and how its address is found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    pub(crate) protection: Protection,
    /// `None`: the address is found out by the rules of the source module.
    pub(crate) ice: Option<IceTerms>,
}

impl Security {
    /// Whether it asks for anything.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.protection, Protection::Plain) && self.ice.is_none()
    }
}

/// How media is protected.
#[derive(Clone, Debug, Default)]
pub(crate) enum Protection {
    /// It is not.
    #[default]
    Plain,
    /// By keys of the descriptions (RFC 4568).
    Sdes {
        /// The peer's, of what it sends.
        inbound: MasterKey,
        /// Ours.
        outbound: MasterKey,
    },
    /// By keys of a handshake (RFC 5764).
    Dtls(DtlsTerms),
}

/// How a handshake is to be.
#[derive(Clone, Debug)]
pub(crate) struct DtlsTerms {
    pub(crate) identity: Arc<Identity>,
    pub(crate) role: Role,
    /// What the peer's certificate must hash to.
    pub(crate) fingerprint: PeerFingerprint,
    /// What the peer calls the association, if it does (RFC 8842 §4).
    pub(crate) tls_id: Option<Box<[u8]>>,
    /// Where the peer is, if that alone tells its associations apart: it names none, and no ICE finds
    /// out where it is.
    pub(crate) address: Option<SocketAddr>,
}

impl DtlsTerms {
    /// Whether both mean one association: as long as it stays, so do its keys (RFC 8842 §5).
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let named = self.tls_id.as_ref().zip(other.tls_id.as_ref());
        self.fingerprint == other.fingerprint
            && self.role == other.role
            && named.is_none_or(|(one, other)| one == other)
    }

    /// Whether the peer is elsewhere than before, so that another association is to be begun by
    /// whoever begins one (RFC 5763 §6.6).
    pub(super) fn has_moved(&self, before: &Self) -> bool {
        let places = self.address.zip(before.address);
        places.is_some_and(|(now, before)| now != before)
    }
}

/// Who begins a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// We do.
    Client,
    /// The peer does.
    Server,
}

/// The hash of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerFingerprint {
    pub(crate) hash: Hash,
    pub(crate) bytes: Vec<u8>,
}

/// The hash functions of RFC 8122 §5 that are fit for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By its name in `a=fingerprint`, whatever the case.
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match () {
            () if is("sha-1") => Some(Self::Sha1),
            () if is("sha-256") => Some(Self::Sha256),
            () if is("sha-384") => Some(Self::Sha384),
            () if is("sha-512") => Some(Self::Sha512),
            () => None,
        }
    }

    /// The hash of a certificate.
    fn of(self, certificate: &[u8]) -> aws_lc_rs::digest::Digest {
        use aws_lc_rs::digest;
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, certificate)
    }
}

impl PeerFingerprint {
    /// Whether a certificate, in DER, is the one that was announced.
    pub(crate) fn matches(&self, certificate: &[u8]) -> bool {
        self.hash.of(certificate).as_ref() == self.bytes
    }
}

/// Who we are in handshakes: one certificate of our own for the life of the process.
pub(crate) struct Identity {
    pub(crate) certificate: dimpl::DtlsCertificate,
    pub(crate) config: Arc<dimpl::Config>,
    /// The same for DTLS 1.2.
    pub(crate) context: Context,
    /// As in `a=fingerprint`: `sha-256 4A:AD:...`.
    pub(crate) fingerprint: String,
}

impl Identity {
    /// Makes a key and a certificate for it; `None` if the system gives no randomness.
    pub(crate) fn new() -> Option<Self> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).ok()?;
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).ok()?;
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let name = (rcgen::DnType::CommonName, "media");
        parameters.distinguished_name.push(name.0, name.1);
        let certificate = parameters.self_signed(&key).ok()?.der().to_vec();
        let digits = Hash::Sha256.of(&certificate);
        let digits: Vec<String> = digits.as_ref().iter().map(|b| format!("{b:02X}")).collect();
        let config = dimpl::Config::builder().build().ok()?;
        let context = Context::new(&certificate, &key.serialize_der()).ok()?;
        Some(Self {
            fingerprint: format!("sha-256 {}", digits.join(":")),
            certificate: dimpl::DtlsCertificate {
                certificate,
                private_key: key.serialize_der(),
            },
            config: Arc::new(config),
            context,
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// What ICE is done with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IceTerms {
    pub(crate) local: Credentials,
    pub(crate) remote: Credentials,
    pub(crate) agent: AgentKind,
    /// Whether the peer waits to be checked.
    pub(crate) remote_agent: AgentKind,
    /// Who made the offer.
    pub(crate) offerer: Offerer,
    /// Addresses of the peer, by component, RTP first.
    pub(crate) candidates: [Vec<SocketAddr>; 2],
}

impl fmt::Debug for IceTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceTerms")
            .field("agent", &self.agent)
            .field("remote_agent", &self.remote_agent)
            .field("candidates", &self.candidates)
            .finish_non_exhaustive()
    }
}

/// What an agent does of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentKind {
    /// It answers checks only (RFC 8445 §2.5).
    Lite,
    /// It checks, too.
    Full,
}

/// Who made an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offerer {
    We,
    Peer,
}

/// User name fragment and password. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) ufrag: String,
    pub(crate) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}
