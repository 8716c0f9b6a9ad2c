//! TLS of lines: 1.3 alone, certificates of the platform's authority alone, nothing resumed: each
//! handshake looks at the certificates anew.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};

use crate::token::Fingerprint;
use crate::{Authority, Identity, LinkError};

/// The name in control's certificate, wherever control is.
pub(crate) const CONTROL_NAME: &str = "control.tandem.internal";

/// How control answers: it asks for a certificate, and a machine that enrols may have none.
pub(crate) fn server(authority: &Authority, now_us: u64) -> Result<ServerConfig, LinkError> {
    let roots = roots(authority.certificate().clone())?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .allow_unauthenticated()
        .build()
        .map_err(LinkError::certificate)?;
    let (chain, key) = authority.serve_with(now_us)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(LinkError::certificate)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(LinkError::certificate)?;
    config.alpn_protocols = vec![H2.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// How a node asks.
pub(crate) fn node(identity: &Identity) -> Result<ClientConfig, LinkError> {
    let roots = roots(identity.authority_certificate()?)?;
    let key =
        PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(LinkError::certificate)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(LinkError::certificate)?;
    client(verifier)?
        .with_client_auth_cert(vec![identity.certificate()?], key)
        .map(finish)
        .map_err(LinkError::certificate)
}

/// How a machine with nothing but a token asks: it believes who shows the authority that the token
/// names, and a certificate of it.
pub(crate) fn joining(authority: Fingerprint) -> Result<ClientConfig, LinkError> {
    let verifier = Arc::new(Pinned {
        authority,
        provider: provider(),
    });
    Ok(finish(client(verifier)?.with_no_client_auth()))
}

type Started = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client(verifier: Arc<dyn ServerCertVerifier>) -> Result<Started, LinkError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(LinkError::certificate)?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

fn finish(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![H2.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn roots(authority: CertificateDer<'static>) -> Result<Arc<RootCertStore>, LinkError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority).map_err(LinkError::certificate)?;
    Ok(Arc::new(roots))
}

/// Believes one authority, known by its fingerprint, which the other side has to show.
#[derive(Debug)]
struct Pinned {
    authority: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = intermediates
            .iter()
            .find(|shown| Fingerprint::of(shown) == self.authority)
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let roots = roots(pinned.clone().into_owned())
            .map_err(|error| Error::General(error.to_string()))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

const H2: &[u8] = b"h2";
