//! Certificates: ours, which can be replaced while running, and whose we believe.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

/// What TLS and WSS are set up with.
#[derive(Debug, Default)]
pub struct TlsConfig {
    /// What we show to those who connect to us; without it TLS and WSS cannot be listened on.
    pub identity: Option<Identity>,
    /// What we show to those we connect to, if they ask.
    pub client_identity: Option<Identity>,
    /// Whom we believe when we connect.
    pub trust: Trust,
}

/// A certificate chain with its private key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Whose certificates are believed when we connect.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those that lead to one of these and fit the name connected to.
    Roots(Vec<CertificateDer<'static>>),
    /// Everybody's. Encrypts, but to whom nobody knows: for laboratories with self-signed peers.
    DangerAnyCertificate,
}

/// Why certificates could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text is no PEM of the kind wanted.
    #[error("not PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// There is no certificate in the chain.
    #[error("the certificate chain is empty")]
    EmptyChain,
    /// Key and certificate do not fit together, or are of an unknown kind.
    #[error("unusable certificate or key: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Identity {
    /// From PEM texts: the chain, own certificate first, and its private key.
    ///
    /// # Errors
    /// If they are no PEM, or without a certificate or key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(chain)?;
        if chain.is_empty() {
            return Err(TlsError::EmptyChain);
        }
        let key = PrivateKeyDer::from_pem_slice(key)?;
        Ok(Self { chain, key })
    }

    fn certified(self) -> Result<CertifiedKey, TlsError> {
        Ok(CertifiedKey::from_der(self.chain, self.key, &provider())?)
    }
}

impl Trust {
    /// The roots in a PEM text, such as the system's bundle.
    ///
    /// # Errors
    /// If it is no PEM.
    pub fn from_pem(roots: &[u8]) -> Result<Self, TlsError> {
        Ok(Self::Roots(certificates(roots)?))
    }
}

impl Default for Trust {
    /// Nobody is believed.
    fn default() -> Self {
        Self::Roots(Vec::new())
    }
}

/// The TLS side of a [`Net`](crate::Net).
#[derive(Debug)]
pub(crate) struct Tls {
    shown: Arc<Shown>,
    /// For accepted connections.
    pub(crate) server: Arc<ServerConfig>,
    /// For outgoing connections.
    pub(crate) client: Arc<ClientConfig>,
}

impl Tls {
    pub(crate) fn new(config: TlsConfig) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown::default());
        if let Some(identity) = config.identity {
            shown.replace(identity.certified()?);
        }
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        Ok(Self {
            shown,
            server: Arc::new(server),
            client: Arc::new(client_config(config.trust, config.client_identity)?),
        })
    }

    /// Shows another certificate from the next handshake on.
    pub(crate) fn replace(&self, identity: Identity) -> Result<(), TlsError> {
        self.shown.replace(identity.certified()?);
        Ok(())
    }

    /// Whether there is a certificate to show.
    pub(crate) fn can_listen(&self) -> bool {
        self.shown.current().is_some()
    }
}

fn client_config(trust: Trust, identity: Option<Identity>) -> Result<ClientConfig, TlsError> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match trust {
        Trust::Roots(certificates) => {
            let mut roots = RootCertStore::empty();
            let (_, ignored) = roots.add_parsable_certificates(certificates);
            if ignored > 0 {
                tracing::warn!(ignored, "some root certificates cannot be read");
            }
            builder.with_root_certificates(roots)
        }
        Trust::DangerAnyCertificate => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider()))),
    };
    Ok(match identity {
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    Ok(CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The certificate shown in handshakes; locked once per handshake.
#[derive(Debug, Default)]
struct Shown(RwLock<Option<Arc<CertifiedKey>>>);

impl Shown {
    fn replace(&self, certified: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(certified));
    }

    fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}

/// Believes every certificate, though the peer must still hold its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
