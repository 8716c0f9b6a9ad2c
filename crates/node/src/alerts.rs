//! How operators are called: mails (SMTP) and a signed webhook. Keys for both are in
//! `alert-keys.json` of the data directory, authorities of servers besides the machine's in
//! `alert-ca.pem`; incidents are kept in `alerts.json`.

mod mail;
#[cfg(test)]
mod test_server;
mod webhook;

use std::fs;
use std::path::Path;

use control::{AlertPort, CertificateEnd, Incident, Moment};
use model::AlertSettings;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::pem::Pem;

use crate::certificate::SYSTEM_ROOTS;
use crate::data::Data;

/// This machine, for alerts.
#[derive(Debug)]
pub(crate) struct AlertDesk {
    data: Data,
    /// Who writes: the name of the node.
    node: String,
}

/// What proves us, and what signs for us.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    smtp_username: Option<String>,
    smtp_password: Option<String>,
    webhook_secret: Option<String>,
}

impl AlertDesk {
    pub(crate) const fn new(data: Data, node: String) -> Self {
        Self { data, node }
    }

    fn keys(&self) -> Result<Keys, String> {
        match fs::read(self.data.path(KEYS)) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| format!("{KEYS}: {error}")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Keys::default()),
            Err(error) => Err(format!("{KEYS}: {error}")),
        }
    }

    /// The secret of the webhook, made when it is needed first.
    fn webhook_secret(&self) -> Result<String, String> {
        let mut keys = self.keys()?;
        if let Some(secret) = keys.webhook_secret {
            return Ok(secret);
        }
        let secret = control::generate_token().map_err(|error| error.to_string())?;
        keys.webhook_secret = Some(secret.clone());
        let written = self.data.write(KEYS, &keys);
        written.map_err(|error| format!("{KEYS}: {error:#}"))?;
        Ok(secret)
    }

    /// Authorities that are believed: the machine's, and those in a file of ours.
    fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let said = |error: &dyn std::fmt::Display| format!("{AUTHORITIES}: {error}");
        let mut found = match fs::read(self.data.path(AUTHORITIES)) {
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

impl AlertPort for AlertDesk {
    fn load(&self) -> Vec<Incident> {
        self.data.read(INCIDENTS).unwrap_or_default()
    }

    fn save(&self, incidents: &[Incident]) {
        if let Err(error) = self.data.write(INCIDENTS, &incidents) {
            tracing::error!(
                error = format!("{error:#}"),
                "the log of alerts was not written"
            );
        }
    }

    fn certificates(&self) -> Vec<CertificateEnd> {
        let tls = self.data.path("tls");
        let mut found: Vec<_> = end_of(&tls, "").into_iter().collect();
        for entry in fs::read_dir(&tls).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                let name = entry.file_name().to_string_lossy().into_owned();
                found.extend(end_of(&entry.path(), &name));
            }
        }
        found
    }

    fn mail(
        &self,
        settings: &AlertSettings,
        incident: &Incident,
        moment: Moment,
    ) -> Result<(), String> {
        let keys = self.keys()?;
        let credentials = keys.smtp_username.zip(keys.smtp_password);
        let letter = mail::Letter {
            node: &self.node,
            incident,
            moment,
        };
        mail::send(&settings.email, &letter, credentials, || self.authorities())
    }

    fn post(
        &self,
        settings: &AlertSettings,
        incident: &Incident,
        moment: Moment,
    ) -> Result<(), String> {
        let Some(url) = &settings.webhook else {
            return Ok(());
        };
        let secret = self.webhook_secret()?;
        let call = webhook::Call {
            node: &self.node,
            incident,
            moment,
        };
        webhook::post(url, &call, &secret, &self.authorities()?)
    }
}

/// The end of the certificate of a directory.
fn end_of(dir: &Path, name: &str) -> Option<CertificateEnd> {
    let bytes = fs::read(dir.join("certificate.pem")).ok()?;
    let pem = Pem::iter_from_buffer(&bytes).next()?.ok()?;
    let until_s = pem.parse_x509().ok()?.validity().not_after.timestamp();
    Some(CertificateEnd {
        name: match name {
            "" => "tls/certificate.pem".to_owned(),
            name => format!("tls/{name}/certificate.pem"),
        },
        until_us: u64::try_from(until_s).unwrap_or(0) * 1_000_000,
    })
}

const KEYS: &str = "alert-keys.json";
const AUTHORITIES: &str = "alert-ca.pem";
const INCIDENTS: &str = "alerts.json";
