//! Signing requests (PKCS #10, RFC 2986) as the authority reads them: of one that its own key has
//! signed, the key; all else that it says is passed over.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256};
use x509_parser::prelude::FromDer as _;

use crate::LinkError;

/// A key of the curve P-256, the only one that nodes make.
pub(crate) struct NodeKey(Vec<u8>);

/// The key of a request. Errors: `Refused` if it is of another kind, or has not signed the request.
pub(crate) fn key_of(request: &[u8]) -> Result<NodeKey, LinkError> {
    let bad = |why: &str| LinkError::Refused(format!("the signing request {why}"));
    let (_, asked) =
        X509CertificationRequest::from_der(request).map_err(|_| bad("cannot be read"))?;
    let info = &asked.certification_request_info;
    let is_known = info.subject_pki.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && asked.signature_algorithm.algorithm == OID_SIG_ECDSA_WITH_SHA256;
    if !is_known {
        return Err(bad("is for a key of another kind than P-256"));
    }
    let key = info.subject_pki.subject_public_key.data.as_ref();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(info.raw, &asked.signature_value.data)
        .map_err(|_| bad("is not signed with its key"))?;
    Ok(NodeKey(key.to_vec()))
}

impl PublicKeyData for NodeKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningRequest;

    #[test]
    fn only_who_has_the_key_gets_a_certificate_for_it() {
        let request = SigningRequest::new().unwrap().der;
        assert!(key_of(&request).is_ok());
        let mut tampered = request.clone();
        // The last byte is of the signature.
        *tampered.last_mut().unwrap() ^= 1;
        assert!(key_of(&tampered).is_err());
        for cut in 0..request.len() {
            assert!(key_of(&request[..cut]).is_err(), "{cut} bytes");
        }
    }
}
