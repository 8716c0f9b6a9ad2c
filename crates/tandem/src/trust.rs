//! Whose certificate is believed when the API is asked over TLS.
//!
//! A platform on this machine is asked by a name of its own certificate, at the address it listens
//! on: whoever may read its data directory needs no name service and no authority for that.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

use crate::failure::Failure;

/// Believes the authorities in a file, or those of this machine.
pub(crate) fn tls(ca: Option<&Path>) -> Result<TlsConfig, Failure> {
    Ok(believing(match ca {
        Some(path) => roots(path)?,
        // A machine without any still speaks plain HTTP.
        None => roots(Path::new(SYSTEM_ROOTS)).unwrap_or_default(),
    }))
}

/// How the platform of a data directory is asked over TLS.
#[derive(Debug)]
pub(crate) struct Local {
    /// `https://name:port`, the name being one of its certificate's.
    pub(crate) base: String,
    /// Believes the chain it shows, or the authorities of this machine.
    pub(crate) tls: TlsConfig,
    /// Where it is, whatever its name leads to.
    pub(crate) at: At,
}

impl Local {
    /// From what the platform wrote down: its address, as `https://ip:port`, and its certificate.
    /// `None` if that cannot be read: then it is asked like any other.
    pub(crate) fn of(data: &Path, base: &str) -> Option<Self> {
        let path = data.join("tls/certificate.pem");
        let address: SocketAddr = base.strip_prefix("https://")?.parse().ok()?;
        let name = name(&fs::read(&path).ok()?, address)?;
        let mut believed = roots(&path).ok()?;
        believed.extend(roots(Path::new(SYSTEM_ROOTS)).unwrap_or_default());
        Some(Self {
            base: format!("https://{name}:{}", address.port()),
            tls: believing(believed),
            at: At(address),
        })
    }
}

/// Finds one address, whatever is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(SocketAddr);

impl Resolver for At {
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        found.push(self.0);
        Ok(found)
    }
}

/// A name of the first certificate in a PEM text: its first of a domain. A wildcard stands for
/// any name, so for one of ours.
fn name(pem: &[u8], address: SocketAddr) -> Option<String> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let named = names.and_then(|names| {
        names
            .value
            .general_names
            .iter()
            .find_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
    });
    Some(match named {
        Some(name) => match name.strip_prefix("*.") {
            Some(domain) => format!("tandem.{domain}"),
            None => name,
        },
        None if address.is_ipv6() => format!("[{}]", address.ip()),
        None => address.ip().to_string(),
    })
}

fn believing(roots: Vec<Certificate<'static>>) -> TlsConfig {
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build()
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
