//! The certificates that the platform keeps, with their keys opened, among those of the directory
//! `tls`.

use std::sync::Arc;

use control::Vault;
use model::{Certificate, CertificateFacts, CertificateKind};
use net::{Certificates, Identity};

/// Adds what a node shows of the kept certificates to what it has as files.
///
/// Who asks for no name, as many phones do, is shown the kept one that is for the platform's domain.
/// Where none is, a pair of the operator's own stays the usual one, and one that we made gives way
/// to the oldest kept one. What cannot be opened is left out, and the log says so.
pub(super) fn add(
    certificates: &mut Certificates,
    shown: &[Arc<Certificate>],
    (vault, domain): (&Vault, &str),
    usual_is_ours: bool,
) {
    let mut servers: Vec<(CertificateFacts, Identity)> = Vec::new();
    for one in shown.iter().take(SHOWN_MAX) {
        let Some((facts, identity)) = open(vault, one) else {
            continue;
        };
        match one.kind {
            CertificateKind::Server => servers.push((facts, identity)),
            CertificateKind::Client => certificates.clients.push(identity),
        }
    }
    if shown.len() > SHOWN_MAX {
        tracing::error!(
            kept = shown.len(),
            "only the {SHOWN_MAX} oldest certificates are shown"
        );
    }
    let usual = usual(
        servers.iter().map(|(facts, _)| facts),
        domain,
        usual_is_ours,
    );
    let mut kept: Vec<Identity> = Vec::new();
    let mut of_files = std::mem::take(&mut certificates.by_name);
    for (place, (_, identity)) in servers.into_iter().enumerate() {
        match Some(place) == usual {
            true => of_files.extend(certificates.identity.replace(identity)),
            false => kept.push(identity),
        }
    }
    kept.append(&mut of_files);
    certificates.by_name = kept;
}

/// Which of the kept ones, the oldest first, is the usual one; `None`: that of the files is.
pub(super) fn usual<'a>(
    mut servers: impl Iterator<Item = &'a CertificateFacts> + Clone,
    domain: &str,
    usual_is_ours: bool,
) -> Option<usize> {
    let first = (usual_is_ours && servers.clone().next().is_some()).then_some(0);
    servers.position(|facts| is_for(facts, domain)).or(first)
}

/// The one with its key; `None` if it has none yet, or it cannot be opened.
fn open(vault: &Vault, one: &Certificate) -> Option<(CertificateFacts, Identity)> {
    let facts = one.facts.clone()?;
    let key = control::open_key(vault, one.id, &one.secret);
    let key = key.map_err(|error| {
        tracing::error!(certificate = one.name, %error, "a certificate is not shown");
    });
    let identity = Identity::from_pem(one.chain.as_bytes(), &key.ok()?);
    let identity = identity.map_err(|error| {
        tracing::error!(certificate = one.name, %error, "a certificate is not shown");
    });
    Some((facts, identity.ok()?))
}

/// Whether a certificate is for a name (RFC 6125 §6.4): a wildcard stands for one label.
fn is_for(facts: &CertificateFacts, name: &str) -> bool {
    let fits = |of: &String| {
        let wildcard = of.strip_prefix("*.").zip(name.split_once('.'));
        of.eq_ignore_ascii_case(name)
            || wildcard.is_some_and(|(of, (_, name))| of.eq_ignore_ascii_case(name))
    };
    facts.names.iter().any(fits)
}

/// Kept certificates that one node shows. All are looked at in each handshake that asks for a name.
const SHOWN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(names: &[&str]) -> CertificateFacts {
        CertificateFacts {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            subject: String::new(),
            issuer: String::new(),
            serial: String::new(),
            fingerprint: String::new(),
            not_before_us: 0,
            not_after_us: 0,
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let of = facts(&["*.example.com", "example.net"]);
        assert!(is_for(&of, "sip.example.com") && is_for(&of, "Example.net"));
        assert!(!is_for(&of, "a.sip.example.com") && !is_for(&of, "example.com"));
    }

    #[test]
    fn the_usual_one_is_that_of_the_domain_and_never_takes_the_place_of_the_operators() {
        let kept = [facts(&["sip.customer.example"]), facts(&["example.com"])];
        assert_eq!(usual(kept.iter(), "example.com", false), Some(1));
        assert_eq!(usual(kept.iter(), "elsewhere.example", true), Some(0));
        assert_eq!(usual(kept.iter(), "elsewhere.example", false), None);
        assert_eq!(usual([].iter(), "example.com", true), None);
    }
}
