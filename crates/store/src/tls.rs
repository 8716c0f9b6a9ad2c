//! Whom the adapters trust when they speak TLS to a server.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::StoreError;

/// Trusts the authorities of a PEM file; those of this machine without one, or what `SSL_CERT_FILE`
/// names instead. Errors: `Misconfigured`.
pub(crate) fn client_config(roots: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let mut store = RootCertStore::empty();
    let certificates = match roots {
        Some(path) => read(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    store.add_parsable_certificates(certificates);
    if store.is_empty() {
        let text = "no authority is known that servers' certificates could be signed by";
        return Err(StoreError::Misconfigured(text.into()));
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(store)
        .with_no_client_auth())
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    all.map_err(|error| StoreError::Misconfigured(format!("{}: {error}", path.display())))
}
