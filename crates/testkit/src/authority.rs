//! A certificate authority of a test's own.

use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

/// Issues certificates that only those believe who are given its own.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key, both in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// One of this name.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(Self(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these: host names, addresses, and SIP URIs.
    ///
    /// # Errors
    /// If one of them can be in no certificate.
    pub fn issue(&self, names: &[&str]) -> Result<Pair> {
        let is_uri = |name: &&str| name.starts_with("sip:");
        let hosts = names.iter().filter(|name| !is_uri(name));
        let hosts: Vec<String> = hosts.map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).context("the names of a certificate")?;
        for uri in names.iter().filter(|name| is_uri(name)) {
            let name = SanType::URI((*uri).try_into().context("a URI in a certificate")?);
            params.subject_alt_names.push(name);
        }
        let first = names.first().copied().unwrap_or_default();
        params.distinguished_name.push(DnType::CommonName, first);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl Pair {
    /// Writes `certificate.pem` and `key.pem` into a directory, which is made if there is none.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        std::fs::create_dir_all(directory).context("a directory for a certificate")?;
        std::fs::write(directory.join("certificate.pem"), &self.certificate)?;
        std::fs::write(directory.join("key.pem"), &self.key)?;
        Ok(())
    }
}
