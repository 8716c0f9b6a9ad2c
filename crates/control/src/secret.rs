//! Passwords, digest secrets and tokens: making them, and what is kept of them.

use md5::Md5;
use model::DigestSecret;
use sha2::{Digest, Sha256};

/// What digest needs of a password, for one user name and realm (RFC 2617 §3.2.2.2,
/// RFC 8760 §2.4).
#[must_use]
pub fn digest_secret(username: &str, realm: &str, password: &str) -> DigestSecret {
    let a1 = format!("{username}:{realm}:{password}");
    DigestSecret {
        md5: hex(&Md5::digest(a1.as_bytes())),
        sha256: hex(&Sha256::digest(a1.as_bytes())),
    }
}

/// A password that a person can type into a phone: 16 characters of a 55-letter alphabet without
/// look-alikes, 92 bits.
///
/// # Errors
/// If the machine has no randomness to give.
pub fn generate_password() -> Result<String, getrandom::Error> {
    characters(PASSWORD_LEN)
}

/// An API token: `tdm_` and 40 random characters, 231 bits.
///
/// # Errors
/// If the machine has no randomness to give.
pub fn generate_token() -> Result<String, getrandom::Error> {
    Ok(format!("tdm_{}", characters(TOKEN_LEN)?))
}

/// What a token keeps secret: 40 random characters, 231 bits.
pub(crate) fn generate_secret() -> Result<String, getrandom::Error> {
    characters(TOKEN_LEN)
}

/// What is kept of a token. A plain hash suffices, because tokens are random and long: there is
/// nothing to guess.
#[must_use]
pub fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// 80 random bits for an identifier.
pub(crate) fn id_bits() -> Result<u128, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes[6..])?;
    Ok(u128::from_be_bytes(bytes))
}

fn characters(len: usize) -> Result<String, getrandom::Error> {
    let mut text = String::with_capacity(len);
    while text.len() < len {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        // Bytes beyond the last whole multiple of the alphabet would favour its beginning.
        let fair = bytes
            .iter()
            .map(|&b| usize::from(b))
            .filter(|b| *b < 256 / ALPHABET.len() * ALPHABET.len());
        text.extend(
            fair.take(len - text.len())
                .map(|b| char::from(ALPHABET[b % ALPHABET.len()])),
        );
    }
    Ok(text)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String never fails.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Letters and digits that are not mistaken for each other.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const PASSWORD_LEN: usize = 16;
const TOKEN_LEN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_secret_is_that_of_rfc_2617_and_rfc_7616() {
        let secret = digest_secret("Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(secret.md5, "939e7578ed9e3c518a452acee763bce9");
        let secret = digest_secret("Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(secret.md5, "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(
            secret.sha256,
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
    }

    #[test]
    fn generated_texts_are_long_and_never_the_same() {
        let password = generate_password().unwrap();
        assert_eq!(password.len(), PASSWORD_LEN);
        assert_ne!(password, generate_password().unwrap());
        let token = generate_token().unwrap();
        assert!(token.starts_with("tdm_") && token.len() == 4 + TOKEN_LEN);
        assert_eq!(token_hash(&token).len(), 64);
    }
}
