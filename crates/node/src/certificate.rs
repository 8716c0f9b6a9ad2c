//! The certificate of a first start: self-signed, for our domain and addresses.

use std::fs;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use net::{Identity, TlsConfig, Trust};

use crate::data::{Data, write_secret};

/// Where Debian and its kin keep the certificates they trust.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The TLS set-up: our certificate, made if there is none, and the system's roots.
pub(crate) fn tls(data: &Data, domain: &str, addresses: &[IpAddr]) -> Result<TlsConfig> {
    let (certificate, key) = (data.path("tls/certificate.pem"), data.path("tls/key.pem"));
    if !certificate.exists() || !key.exists() {
        fs::create_dir_all(data.path("tls")).context("cannot make the tls directory")?;
        let mut names = vec![domain.to_owned(), "localhost".to_owned()];
        names.extend(addresses.iter().map(ToString::to_string));
        let made = rcgen::generate_simple_self_signed(names).context("no certificate was made")?;
        write_secret(&key, made.signing_key.serialize_pem().as_bytes())?;
        write_secret(&certificate, made.cert.pem().as_bytes())?;
    }
    let chain = fs::read(&certificate).context("cannot read tls/certificate.pem")?;
    let key = fs::read(&key).context("cannot read tls/key.pem")?;
    let identity =
        Identity::from_pem(&chain, &key).context("tls/certificate.pem or tls/key.pem")?;
    let roots = fs::read(SYSTEM_ROOTS)
        .ok()
        .and_then(|pem| Trust::from_pem(&pem).ok());
    Ok(TlsConfig {
        identity: Some(identity),
        client_identity: None,
        trust: roots.unwrap_or_default(),
    })
}
