//! Whose certificate is believed when the API is asked over TLS.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::failure::Failure;

/// Believes the authorities in a file, or those of this machine.
pub(crate) fn tls(ca: Option<&Path>) -> Result<TlsConfig, Failure> {
    let roots = match ca {
        Some(path) => roots(path)?,
        // A machine without any still speaks plain HTTP.
        None => roots(Path::new(SYSTEM_ROOTS)).unwrap_or_default(),
    };
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build())
}

fn roots(path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let shown = path.display();
    let pem = fs::read(path).map_err(|e| Failure::Usage(format!("{shown}: {e}")))?;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Failure::Usage(format!("{shown}: {error}"))),
        }
    }
    if roots.is_empty() {
        return Err(Failure::Usage(format!("{shown} has no certificate")));
    }
    Ok(roots)
}

/// Where Debian and its kin keep the certificates they trust.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
