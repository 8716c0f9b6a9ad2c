//! Who a node is: its key, its certificate, and whose word it believes; one file on its disk.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::LinkError;
use crate::authority::write_private;
use crate::token::Fingerprint;

/// A node's identity.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Where control is, `host:port`.
    pub control: String,
    /// The server that the node is.
    pub server: String,
    /// What people called it when it joined.
    pub name: String,
    /// What it does there, as the record of the server says it; empty: it takes calls.
    #[serde(default)]
    pub role: String,
    /// The certificate expires; microseconds since the Unix epoch.
    pub expires_us: u64,
    /// It was given; microseconds since the Unix epoch.
    pub issued_us: u64,
    /// The key, PEM.
    pub(crate) key: String,
    /// The certificate, DER in hexadecimal digits.
    pub(crate) certificate: String,
    /// The platform's authority, alike.
    pub(crate) authority: String,
}

impl Identity {
    /// From what control answered to a signing request.
    #[must_use]
    pub fn new(
        control: &str,
        (server, name): (&str, &str),
        request: &SigningRequest,
        (certificate, authority): (&[u8], &[u8]),
        (issued_us, expires_us): (u64, u64),
    ) -> Self {
        Self {
            control: control.to_owned(),
            server: server.to_owned(),
            name: name.to_owned(),
            role: String::new(),
            expires_us,
            issued_us,
            key: request.key.clone(),
            certificate: crate::authority::hex(certificate),
            authority: crate::authority::hex(authority),
        }
    }

    /// The same node in this role.
    #[must_use]
    pub fn in_role(self, role: &str) -> Self {
        Self {
            role: role.to_owned(),
            ..self
        }
    }

    /// The same node with a newer certificate.
    #[must_use]
    pub fn renewed(
        &self,
        request: &SigningRequest,
        certificate: &[u8],
        (issued_us, expires_us): (u64, u64),
    ) -> Self {
        Self {
            key: request.key.clone(),
            certificate: crate::authority::hex(certificate),
            issued_us,
            expires_us,
            ..self.clone()
        }
    }

    /// The identity in a file, if there is one. Errors: `Machine`, `Misconfigured`.
    pub fn read(path: &Path) -> Result<Option<Self>, LinkError> {
        let shown = path.display();
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
                LinkError::Misconfigured(format!("{shown} is damaged: {error}; join again"))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LinkError::Machine(shown.to_string(), error.to_string())),
        }
    }

    /// Writes it where only its owner may read it. Errors: `Machine`.
    pub fn write(&self, path: &Path) -> Result<(), LinkError> {
        let text = serde_json::to_vec_pretty(self).map_err(LinkError::certificate)?;
        write_private(path, &text)
            .map_err(|error| LinkError::Machine(path.display().to_string(), error.to_string()))
    }

    /// When it is time for another certificate: a third of its time is left. Microseconds since the
    /// Unix epoch.
    #[must_use]
    pub const fn renew_at_us(&self) -> u64 {
        let valid = self.expires_us.saturating_sub(self.issued_us);
        self.expires_us.saturating_sub(valid / 3)
    }

    /// What tells the platform's authority from others.
    pub fn authority(&self) -> Result<Fingerprint, LinkError> {
        Ok(Fingerprint::of(&self.authority_certificate()?))
    }

    pub(crate) fn authority_certificate(&self) -> Result<CertificateDer<'static>, LinkError> {
        unhex(&self.authority).map(CertificateDer::from)
    }

    pub(crate) fn certificate(&self) -> Result<CertificateDer<'static>, LinkError> {
        unhex(&self.certificate).map(CertificateDer::from)
    }
}

/// Without the key: it must not reach a log.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("control", &self.control)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// A fresh key, and the request that a certificate be given to it.
pub struct SigningRequest {
    key: String,
    /// PKCS #10, DER.
    pub der: Vec<u8>,
}

impl SigningRequest {
    /// Makes both. Errors: `Misconfigured`.
    pub fn new() -> Result<Self, LinkError> {
        let pair = KeyPair::generate().map_err(LinkError::certificate)?;
        let request = CertificateParams::default()
            .serialize_request(&pair)
            .map_err(LinkError::certificate)?;
        Ok(Self {
            key: pair.serialize_pem(),
            der: request.der().to_vec(),
        })
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, LinkError> {
    let bad = || LinkError::Misconfigured("the node's identity is damaged: join again".into());
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err(bad());
    }
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad());
    (0..text.len()).step_by(2).map(byte).collect()
}
