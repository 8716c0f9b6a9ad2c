//! Secrets that the platform must be able to read again, sealed before they go to the store.
//!
//! AES-256-GCM under a key that is derived from the cluster's (`cluster.key`), which is in files and
//! never in the store: a stolen database has no secrets in clear. What a secret belongs to is
//! authenticated with it, so that one cannot be moved to another record.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

/// Seals and opens.
pub struct Vault([u8; 32]);

/// Why a secret cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers")]
    NoRandomness,
    /// It was sealed under another key, for another purpose, or is damaged.
    #[error("it was sealed with another cluster.key than this node's")]
    OtherKey,
}

impl Vault {
    /// A vault under the cluster's key.
    #[must_use]
    pub fn new(cluster_key: &[u8; 32]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"tandem vault\0")
            .chain_update(cluster_key)
            .finalize();
        Self(digest.into())
    }

    /// Seals a secret of `owner`.
    pub fn seal(&self, owner: &str, secret: &[u8]) -> Result<String, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| VaultError::NoRandomness)?;
        let mut sealed = secret.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key()?
            .seal_in_place_append_tag(unique, Aad::from(owner.as_bytes()), &mut sealed)
            .map_err(|_| VaultError::OtherKey)?;
        let mut bytes = nonce.to_vec();
        bytes.append(&mut sealed);
        Ok(format!("{VERSION}{}", STANDARD_NO_PAD.encode(bytes)))
    }

    /// Opens what was sealed for `owner`.
    pub fn open(&self, owner: &str, sealed: &str) -> Result<Vec<u8>, VaultError> {
        let text = sealed.strip_prefix(VERSION);
        let bytes = text.and_then(|text| STANDARD_NO_PAD.decode(text).ok());
        let bytes = bytes.ok_or(VaultError::OtherKey)?;
        let (nonce, secret) = bytes
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(VaultError::OtherKey)?;
        let mut secret = secret.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .key()?
            .open_in_place(nonce, Aad::from(owner.as_bytes()), &mut secret)
            .map_err(|_| VaultError::OtherKey)?;
        Ok(opened.to_vec())
    }

    fn key(&self) -> Result<LessSafeKey, VaultError> {
        let key = UnboundKey::new(&AES_256_GCM, &self.0).map_err(|_| VaultError::OtherKey)?;
        Ok(LessSafeKey::new(key))
    }
}

/// What sealed texts begin with.
const VERSION: &str = "v1:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_its_owner_under_its_key_alone() {
        let vault = Vault::new(&[1; 32]);
        let sealed = vault.seal("per_1", b"secret").unwrap();
        assert!(!sealed.contains("secret"));
        assert_ne!(sealed, vault.seal("per_1", b"secret").unwrap());
        assert_eq!(vault.open("per_1", &sealed).unwrap(), b"secret");
        let other = Vault::new(&[2; 32]);
        for wrong in [
            vault.open("per_2", &sealed),
            other.open("per_1", &sealed),
            vault.open("per_1", "v1:AAAA"),
            vault.open("per_1", "secret"),
        ] {
            assert_eq!(wrong, Err(VaultError::OtherKey));
        }
    }
}
