//! How operators are called: mails (SMTP) and a signed webhook. Keys for both are in
//! `alert-keys.json` of the data directory, authorities of servers besides the machine's in
//! `alert-ca.pem`; incidents of this machine alone are kept in `alerts.json`.

mod mail;
#[cfg(test)]
mod test_server;
mod webhook;

use std::fs;
use std::sync::Arc;

use control::{AlertPort, CertificateEnd, Incident, Moment};
use model::AlertSettings;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::certificate::{CertificateDesk, SYSTEM_ROOTS};
use crate::data::Data;

/// This machine, for alerts.
pub(crate) struct AlertDesk {
    data: Data,
    certificates: Arc<CertificateDesk>,
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
    pub(crate) const fn new(data: Data, node: String, certificates: Arc<CertificateDesk>) -> Self {
        Self {
            data,
            certificates,
            node,
        }
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
        self.certificates.ends()
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

const KEYS: &str = "alert-keys.json";
const AUTHORITIES: &str = "alert-ca.pem";
const INCIDENTS: &str = "alerts.json";
