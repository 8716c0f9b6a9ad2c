//! One-time codes of an app (TOTP, RFC 6238: SHA-1, 6 digits, 30 s, one step to either side), and
//! recovery codes for when the app is lost.

use qrcodegen::{QrCode, QrCodeEcc};
use totp_rs::{Builder, Secret, Totp};

use crate::secret::{generate_token, token_hash};

/// The secret that an app and the platform share: 160 bits, as RFC 4226 §4 recommends.
pub(crate) struct AppSecret([u8; SECRET_LEN]);

impl AppSecret {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_LEN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As people type it into an app that cannot scan.
    pub(crate) fn text(&self) -> String {
        Secret::new_stack(self.0).to_base32()
    }

    /// What the picture says, in the form that authenticator apps understand.
    pub(crate) fn uri(&self, host: &str, name: &str) -> String {
        let word = |text: &str| -> String {
            text.bytes()
                .map(|b| match b {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                        char::from(b).to_string()
                    }
                    _ => format!("%{b:02X}"),
                })
                .collect()
        };
        let (host, name) = (word(host), word(name));
        let secret = self.text();
        format!("otpauth://totp/Tandem%20{host}:{name}?secret={secret}&issuer=Tandem%20{host}")
    }

    /// The step of time that a code belongs to, if it is one of now. Each step is good once: who
    /// asks must remember it.
    pub(crate) fn step_of(&self, code: &str, now_s: u64) -> Option<u64> {
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let is_code = code.len() == DIGITS && code.bytes().all(|b| b.is_ascii_digit());
        is_code.then(|| self.totp().check(&code, now_s)).flatten()
    }

    fn totp(&self) -> Totp {
        // Digits, step and skew are those of RFC 6238 by default.
        Builder::new()
            .with_secret(Secret::new_stack(self.0))
            .build_noncompliant()
    }
}

/// A picture of a text: rows of `#` and blanks, without a margin.
pub(crate) fn picture(text: &str) -> Vec<String> {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else {
        return Vec::new();
    };
    let range = 0..code.size();
    let dot = |x, y| if code.get_module(x, y) { '#' } else { ' ' };
    range
        .clone()
        .map(|y| range.clone().map(|x| dot(x, y)).collect())
        .collect()
}

/// Codes for when the app is lost, and what is kept of them.
pub(crate) fn recovery_codes() -> Result<(Vec<String>, Vec<String>), getrandom::Error> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let random = generate_token()?;
        let (first, second) = random[4..14].split_at(5);
        codes.push(format!("{first}-{second}").to_lowercase());
    }
    let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
    Ok((codes, hashes))
}

/// What is kept of a recovery code.
pub(crate) fn recovery_hash(code: &str) -> String {
    let typed: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    token_hash(&format!("recovery:{}", typed.to_lowercase()))
}

const SECRET_LEN: usize = 20;
const DIGITS: usize = 6;
const RECOVERY_CODES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, SHA-1, the last six of its eight digits.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        let secret = AppSecret::from_bytes(b"12345678901234567890").unwrap();
        for (at_s, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.step_of(code, at_s), Some(at_s / 30));
            assert_eq!(secret.step_of(code, at_s + 30), Some(at_s / 30));
            assert_eq!(secret.step_of(code, at_s + 90), None);
        }
        assert_eq!(secret.step_of("287 082", 59), Some(1));
        assert_eq!(secret.step_of("", 59), None);
        assert_eq!(secret.text(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn recovery_codes_are_typed_as_people_type() {
        let (codes, hashes) = recovery_codes().unwrap();
        assert_eq!(codes.len(), RECOVERY_CODES);
        assert_eq!(codes[0].len(), 11);
        assert_ne!(codes[0], codes[1]);
        let typed = codes[0].to_uppercase().replace('-', " ");
        assert_eq!(recovery_hash(&typed), hashes[0]);
    }

    #[test]
    fn a_picture_is_square_and_has_its_corners() {
        let secret = AppSecret::from_bytes(b"12345678901234567890").unwrap();
        let rows = picture(&secret.uri("sip.example.com:8080", "ann@example.com"));
        assert!(rows.len() >= 21 && rows.iter().all(|row| row.len() == rows.len()));
        assert!(rows[0].starts_with("#######") && rows[0].ends_with("#######"));
    }
}
