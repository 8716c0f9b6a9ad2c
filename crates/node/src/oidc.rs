//! How the provider is asked by which people sign in. What proves us to it is in `oidc-keys.json` of the data
//! directory, authorities of it besides the machine's in `oidc-ca.pem`; both are read anew each time.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use control::{OidcAnswer, OidcPort};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::certificate::SYSTEM_ROOTS;
use crate::data::Data;

/// This machine, for the provider.
pub(crate) struct OidcDesk(Data);

/// What proves us to the provider.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    client_secret: Option<String>,
}

impl OidcDesk {
    pub(crate) const fn new(data: Data) -> Self {
        Self(data)
    }

    fn agent(&self) -> Result<ureq::Agent, String> {
        let roots = self.authorities()?;
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
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        Ok(config.new_agent())
    }

    /// Authorities that are believed: the machine's, and those in a file of ours.
    fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let said = |error: &dyn std::fmt::Display| format!("{AUTHORITIES}: {error}");
        let mut found = match fs::read(self.0.path(AUTHORITIES)) {
            Ok(pem) => net::certificates_from_pem(&pem).map_err(|error| said(&error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(said(&error)),
        };
        // A machine may have none; each that is no authority is passed over.
        let machine = fs::read(SYSTEM_ROOTS).unwrap_or_default();
        found.extend(net::certificates_from_pem(&machine).unwrap_or_default());
        found.retain(|one| RootCertStore::empty().add(one.clone()).is_ok());
        Ok(found)
    }
}

impl OidcPort for OidcDesk {
    fn get(&self, url: &str, bearer: Option<&str>) -> Result<OidcAnswer, String> {
        let mut request = self.agent()?.get(url).header("accept", "application/json");
        if let Some(token) = bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        answer(url, request.call())
    }

    fn post(
        &self,
        url: &str,
        form: &str,
        authorization: Option<&str>,
    ) -> Result<OidcAnswer, String> {
        let mut request = self
            .agent()?
            .post(url)
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        answer(url, request.send(form))
    }

    fn client_secret(&self) -> Result<Option<String>, String> {
        match fs::read(self.0.path(KEYS)) {
            Ok(text) => {
                let keys: Result<Keys, _> = serde_json::from_slice(&text);
                let keys = keys.map_err(|error| format!("{KEYS}: {error}"))?;
                Ok(keys.client_secret)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{KEYS}: {error}")),
        }
    }
}

fn answer(
    url: &str,
    sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<OidcAnswer, String> {
    let said = |error: ureq::Error| format!("{url}: {error}");
    let mut answer = sent.map_err(said)?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(ANSWER_MAX_BYTES);
    Ok(OidcAnswer {
        status,
        body: body.read_to_vec().map_err(said)?,
    })
}

const KEYS: &str = "oidc-keys.json";
const AUTHORITIES: &str = "oidc-ca.pem";
/// A provider that does not answer for so long is away: somebody is waiting in front of a browser.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer; tokens and keys have some thousands.
const ANSWER_MAX_BYTES: u64 = 256 * 1024;
