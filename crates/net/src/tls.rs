//! Certificates: ours, which can be replaced while running, and whose we believe.
//!
//! Of several of ours the one is shown whose name the client asks for (RFC 6066 §3).

use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, ParsedCertificate, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use x509_parser::extensions::GeneralName;

/// What TLS and WSS are set up with.
#[derive(Debug, Default)]
pub struct TlsConfig {
    /// Towards those who connect to us; the usual one of them also towards those we connect to, if
    /// they ask for one that leads to where ours does.
    pub server: Certificates,
    /// Whom we believe when we connect.
    pub trust: Trust,
}

/// What those who connect to us are shown, and by what they are judged if they show anything.
#[derive(Debug, Default)]
pub struct Certificates {
    /// Shown to who asks for no name, or for one that none of the others has; without it TLS and
    /// WSS cannot be listened on.
    pub identity: Option<Identity>,
    /// Each is shown to who asks for a name of its own (RFC 6066 §3), the first that fits.
    pub by_name: Vec<Identity>,
    /// Shown to those we connect to that ask for one: the first that leads to an authority they
    /// name. Where none does, the usual one is looked at.
    pub clients: Vec<Identity>,
    /// The authorities of clients; empty: no client can be asked for a certificate.
    pub client_roots: Vec<CertificateDer<'static>>,
}

/// Whether those who connect to a listener are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Unasked,
    /// They are, and may have none; one that is not of a known authority is refused.
    Asked,
    /// They are, and have to have one.
    Demanded,
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
    /// No authority in it can judge the certificates of clients.
    #[error("unusable authorities of clients: {0}")]
    Clients(#[from] VerifierBuilderError),
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

/// The certificates in a PEM text, such as the authorities of clients.
///
/// # Errors
/// If it is no PEM.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(pem)
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

/// Whom the certificate of a client is for: SIP URIs, or names of domains.
pub type ClientNames = Arc<[Box<str>]>;

/// Names of one certificate; further ones are not looked at.
const NAMES_MAX: usize = 32;
/// Bytes of a name; longer ones are not looked at.
const NAME_MAX_BYTES: usize = 255;

/// The TLS side of a [`Net`](crate::Net).
#[derive(Debug)]
pub(crate) struct Tls {
    shown: Arc<Shown>,
    /// For accepted connections.
    servers: RwLock<Servers>,
    /// For outgoing connections.
    client: RwLock<Arc<ClientConfig>>,
}

/// The set-ups for accepted connections, by what clients are asked.
#[derive(Debug)]
struct Servers {
    unasked: Arc<ServerConfig>,
    /// Asked and demanded; `None` without authorities.
    asked: Option<[Arc<ServerConfig>; 2]>,
}

impl Tls {
    pub(crate) fn new(config: TlsConfig) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown::default());
        let servers = Servers::new(&shown, &config.server.client_roots)?;
        shown.replace(config.server)?;
        Ok(Self {
            client: RwLock::new(Arc::new(client_config(config.trust, &shown)?)),
            shown,
            servers: RwLock::new(servers),
        })
    }

    /// Shows other certificates, and judges peers by others, from the next handshake on; all of
    /// the old ones stay if one cannot be used.
    pub(crate) fn replace(&self, config: TlsConfig) -> Result<(), TlsError> {
        let servers = Servers::new(&self.shown, &config.server.client_roots)?;
        let client = Arc::new(client_config(config.trust, &self.shown)?);
        self.shown.replace(config.server)?;
        *self.servers.write().unwrap_or_else(PoisonError::into_inner) = servers;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    /// The set-up of a handshake that we begin.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let client = self.client.read();
        client.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is a certificate to show.
    pub(crate) fn can_listen(&self) -> bool {
        self.shown.can_serve()
    }

    /// The set-up of a handshake; `None` if clients are to be asked and nobody could be believed.
    pub(crate) fn server(&self, clients: ClientCertificates) -> Option<Arc<ServerConfig>> {
        let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
        match (clients, &servers.asked) {
            (ClientCertificates::Unasked, _) => Some(servers.unasked.clone()),
            (ClientCertificates::Asked, Some([asked, _])) => Some(asked.clone()),
            (ClientCertificates::Demanded, Some([_, demanded])) => Some(demanded.clone()),
            (_, None) => None,
        }
    }

    /// The set-up of a protocol other than SIP, with the same certificates: they change with ours.
    pub(crate) fn other_server(&self, protocol: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = server_config(&self.shown, None)?;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Arc::new(config))
    }
}

impl Servers {
    fn new(shown: &Arc<Shown>, client_roots: &[CertificateDer<'static>]) -> Result<Self, TlsError> {
        let asked = match client_roots {
            [] => None,
            client_roots => {
                let mut roots = RootCertStore::empty();
                for root in client_roots {
                    roots.add(root.clone())?;
                }
                let roots = Arc::new(roots);
                let verifier =
                    || WebPkiClientVerifier::builder_with_provider(roots.clone(), provider());
                let asked = verifier().allow_unauthenticated().build()?;
                let demanded = verifier().build()?;
                Some([
                    Arc::new(server_config(shown, Some(asked))?),
                    Arc::new(server_config(shown, Some(demanded))?),
                ])
            }
        };
        Ok(Self {
            unasked: Arc::new(server_config(shown, None)?),
            asked,
        })
    }
}

fn server_config(
    shown: &Arc<Shown>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, TlsError> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    Ok(builder.with_cert_resolver(shown.clone()))
}

fn client_config(trust: Trust, shown: &Arc<Shown>) -> Result<ClientConfig, TlsError> {
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
    Ok(builder.with_client_cert_resolver(shown.clone()))
}

/// A set-up of a client that looks at what it is shown and judges nothing.
pub(crate) fn unbelieving_client() -> Result<ClientConfig, rustls::Error> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())));
    Ok(builder.with_no_client_auth())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    Ok(CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The certificates shown in handshakes; locked once per handshake.
#[derive(Debug, Default)]
struct Shown(RwLock<Identities>);

#[derive(Debug, Default)]
struct Identities {
    usual: Option<Arc<CertifiedKey>>,
    by_name: Vec<Arc<CertifiedKey>>,
    clients: Vec<Arc<CertifiedKey>>,
}

impl Shown {
    /// All of them, or none if one cannot be used.
    fn replace(&self, certificates: Certificates) -> Result<(), TlsError> {
        let certified = |identity: Identity| identity.certified().map(Arc::new);
        let all = |identities: Vec<Identity>| -> Result<Vec<_>, TlsError> {
            identities.into_iter().map(certified).collect()
        };
        let identities = Identities {
            usual: certificates.identity.map(certified).transpose()?,
            by_name: all(certificates.by_name)?,
            clients: all(certificates.clients)?,
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identities;
        Ok(())
    }

    fn can_serve(&self) -> bool {
        let identities = self.0.read().unwrap_or_else(PoisonError::into_inner);
        identities.usual.is_some()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identities = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let name = hello.server_name();
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let is_named = |key: &&Arc<CertifiedKey>| {
            let known = name.as_ref().zip(key.cert.first());
            known.is_some_and(|(name, certificate)| is_for(certificate, name))
        };
        let usual = identities.usual.as_ref();
        let found = usual.into_iter().chain(&identities.by_name).find(is_named);
        found.or(usual).cloned()
    }
}

impl ResolvesClientCert for Shown {
    /// A server that only asks would refuse one that it does not know: it is shown none.
    fn resolve(
        &self,
        authorities: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let identities = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // One that is meant for it is shown to who names nobody, too.
        let mut meant = identities.clients.iter();
        let meant = meant.find(|one| authorities.is_empty() || is_of(&one.cert, authorities));
        let mut usual = identities.usual.iter();
        let usual = || usual.find(|usual| is_of(&usual.cert, authorities));
        meant.or_else(usual).cloned()
    }

    fn has_certs(&self) -> bool {
        let identities = self.0.read().unwrap_or_else(PoisonError::into_inner);
        identities.usual.is_some() || !identities.clients.is_empty()
    }
}

/// Whether a chain leads to one of these authorities, or, if none is named, to anybody but itself.
fn is_of(chain: &[CertificateDer<'_>], authorities: &[&[u8]]) -> bool {
    chain.iter().any(|certificate| {
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
            return false;
        };
        let issuer = parsed.issuer().as_raw();
        match authorities {
            [] => issuer != parsed.subject().as_raw(),
            authorities => authorities.contains(&issuer),
        }
    })
}

/// Whether a certificate is for a name, wildcards included.
fn is_for(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let parsed = ParsedCertificate::try_from(certificate);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

/// Whom a client's certificate, verified by its handshake, is for (RFC 5922 §7.1): its SIP URIs;
/// without any its names of domains; without any the common name. Empty if it showed none.
pub(crate) fn client_names(connection: &rustls::ServerConnection) -> ClientNames {
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    let parsed = shown.and_then(|shown| x509_parser::parse_x509_certificate(shown).ok());
    let Some((_, parsed)) = parsed else {
        return ClientNames::default();
    };
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let of = |wanted: fn(&GeneralName<'_>) -> Option<Box<str>>| {
        let found: Vec<Box<str>> = names
            .clone()
            .filter_map(wanted)
            .filter(|name| name.len() <= NAME_MAX_BYTES)
            .take(NAMES_MAX)
            .collect();
        Some(found).filter(|found| !found.is_empty())
    };
    let sip = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) if is_sip(uri) => Some((*uri).into()),
        _ => None,
    };
    let domain = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).into()),
        _ => None,
    };
    let common = || {
        let name = parsed.subject().iter_common_name().next()?;
        let name = name.as_str().ok()?;
        (name.len() <= NAME_MAX_BYTES).then(|| vec![name.into()])
    };
    let names = of(sip).or_else(|| of(domain)).or_else(common);
    names.unwrap_or_default().into()
}

fn is_sip(uri: &str) -> bool {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips")
    })
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
