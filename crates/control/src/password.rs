//! Passwords of people: argon2id (RFC 9106), version 1.3.
//!
//! 19 MiB, two passes, one lane: the least that OWASP's cheat sheet on password storage accepts for
//! argon2id, so that a small machine that carries calls is not held up by people who sign in. The
//! parameters stand in each hash; another choice later leaves older hashes valid.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::Problem;

/// What is kept of a password, in the PHC format.
///
/// # Errors
/// If the machine has no randomness or memory to give.
pub fn password_hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    let hash: PasswordHash = hasher()?.hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// Whether a password is the one that was hashed. Where there is no hash the same work is done, so
/// that time does not tell who exists.
#[must_use]
pub fn password_matches(hash: Option<&str>, password: &str) -> bool {
    let kept = hash.unwrap_or(NOBODY);
    let (Ok(kept), Ok(hasher)) = (PasswordHash::new(kept), hasher()) else {
        return false;
    };
    let verified: Result<(), _> = hasher.verify_password(password.as_bytes(), &kept);
    verified.is_ok() && hash.is_some()
}

/// Refuses a password that is too short to be a person's.
pub(crate) fn check(field: &str, password: &str) -> Result<(), Problem> {
    let len = password.chars().count();
    if (PASSWORD_MIN..=PASSWORD_MAX).contains(&len) && !password.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!(
        "{PASSWORD_MIN} to {PASSWORD_MAX} characters are accepted, none of them a control character"
    );
    Err(Problem::invalid_field(field, message))
}

fn hasher() -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|_| argon2::password_hash::Error::ParamsInvalid)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Characters of a password: NIST SP 800-63B asks for 8 at least where there is a second factor.
const PASSWORD_MIN: usize = 10;
const PASSWORD_MAX: usize = 128;
/// A hash that no password has been looked for.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$dGFuZGVtLW5vYm9keQ$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_nobody_has_one() {
        let hash = password_hash("correct horse").unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_ne!(hash, password_hash("correct horse").unwrap());
        assert!(password_matches(Some(&hash), "correct horse"));
        assert!(!password_matches(Some(&hash), "correct horsf"));
        assert!(!password_matches(None, "correct horse"));
        assert!(!password_matches(Some("$argon2id$damaged"), "x"));
        // What is compared with for nobody costs what a real one does.
        assert!(PasswordHash::new(NOBODY).is_ok());
    }
}
