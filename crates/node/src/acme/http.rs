//! The requests of the ACME client over the HTTP client that the program has.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::body::{Bytes, to_bytes};
use axum::http::Request;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use net::CertificateDer;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Speaks HTTPS with who shows a certificate of one of these authorities.
pub(super) struct HttpsClient(ureq::Agent);

impl HttpsClient {
    pub(super) fn new(roots: &[CertificateDer<'static>]) -> Result<Self> {
        let roots = roots
            .iter()
            .map(|one| Certificate::from_der(one).to_owned());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        Ok(Self(config.new_agent()))
    }
}

impl HttpClient for HttpsClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let agent = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(axum::body::Body::new(body), ANSWER_MAX_BYTES).await;
            let body = body.map_err(other)?;
            let sent = tokio::task::spawn_blocking(move || send(&agent, parts, &body));
            sent.await.map_err(other)?
        })
    }
}

fn send(
    agent: &ureq::Agent,
    parts: axum::http::request::Parts,
    body: &[u8],
) -> Result<BytesResponse, Error> {
    // GET and HEAD have no body.
    let answer = match body.is_empty() {
        true => agent.run(Request::from_parts(parts, ())),
        false => agent.run(Request::from_parts(parts, body)),
    };
    let (parts, mut body) = answer.map_err(other)?.into_parts();
    let read = body.with_config().limit(ANSWER_MAX_BYTES as u64);
    let body = Bytes::from(read.read_to_vec().map_err(other)?);
    Ok(BytesResponse {
        parts,
        body: Box::new(body),
    })
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer; a chain has some thousands.
const ANSWER_MAX_BYTES: usize = 256 * 1024;
