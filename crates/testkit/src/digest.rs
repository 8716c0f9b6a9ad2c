//! Digest answers to a challenge, RFC 2617 §3.2.2 (MD5) and RFC 8760 (SHA-256).

use core::fmt::Write as _;

use md5::{Digest, Md5};
use sha2::Sha256;

/// Who answers a challenge.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// The value of Authorization (or Proxy-Authorization) that answers `challenge`, the value
/// of WWW-Authenticate (or Proxy-Authenticate).
#[must_use]
pub fn authorization(
    credentials: &Credentials,
    challenge: &str,
    method: &str,
    uri: &str,
) -> String {
    let Credentials { username, password } = credentials;
    let realm = parameter(challenge, "realm").unwrap_or_default();
    let nonce = parameter(challenge, "nonce").unwrap_or_default();
    let algorithm = parameter(challenge, "algorithm").unwrap_or("MD5");
    let hash = if algorithm.eq_ignore_ascii_case("SHA-256") {
        hex::<Sha256>
    } else {
        hex::<Md5>
    };
    let ha1 = hash(&format!("{username}:{realm}:{password}"));
    let ha2 = hash(&format!("{method}:{uri}"));
    let mut value = format!(
        "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         algorithm={algorithm}"
    );
    let response = if parameter(challenge, "qop").is_some() {
        value.push_str(", qop=auth, nc=00000001, cnonce=\"0a4f113b\"");
        hash(&format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}"))
    } else {
        hash(&format!("{ha1}:{nonce}:{ha2}"))
    };
    if let Some(opaque) = parameter(challenge, "opaque") {
        // Writing into a String does not fail.
        let _ = write!(value, ", opaque=\"{opaque}\"");
    }
    let _ = write!(value, ", response=\"{response}\"");
    value
}

/// A parameter of a challenge, without its quotes.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let rest = challenge.trim_start();
    let rest = rest.strip_prefix("Digest ").unwrap_or(rest);
    rest.split(',').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim_matches('"'))
    })
}

fn hex<D: Digest>(text: &str) -> String {
    D::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 2617 §3.5.
    #[test]
    fn the_example_of_the_rfc() {
        let credentials = Credentials {
            username: "Mufasa".into(),
            password: "Circle Of Life".into(),
        };
        let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth\", \
                         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
                         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let value = authorization(&credentials, challenge, "GET", "/dir/index.html");
        assert!(
            value.contains("response=\"6629fae49393a05397450978507c4ef1\""),
            "{value}"
        );
        assert!(
            value.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""),
            "{value}"
        );
    }
}
