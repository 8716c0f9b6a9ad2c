//! One bucket: requests signed by AWS Signature Version 4 (rusty-s3), sent over HTTP (ureq).

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use model::{BucketAddressing, RecordingStore};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use serde::Deserialize;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Files that are read for each round, so that new ones need no restart.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// The keys of the store in JSON, if the environment has none.
    pub(crate) keys: PathBuf,
    /// The authorities in PEM that the store's certificate has to lead to. If there is no such
    /// file, those that the system trusts.
    pub(crate) authorities: PathBuf,
}

/// A store with the keys for it.
pub(super) struct Remote {
    agent: ureq::Agent,
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
}

/// A file that the store has.
pub(super) struct Sent {
    pub(super) bytes: u64,
    pub(super) location: String,
}

/// Why a file is not in the store yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadError {
    /// There are no keys.
    #[error("no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write {0}")]
    NoKeys(String),
    /// The settings make no request.
    #[error("the settings of the store make no request: {0}")]
    Settings(String),
    /// The store cannot be reached, or refuses us altogether.
    #[error("{0}")]
    Store(String),
    /// The store refuses this file.
    #[error("the store refuses it: {0}")]
    Refused(String),
    /// The file cannot be read here, or the receipt not written.
    #[error("{0}")]
    Here(String),
    /// The file is not there any more.
    #[error("the file is gone")]
    Gone,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: Option<String>,
}

impl Access {
    /// The way to the store of these settings.
    pub(super) fn remote(&self, store: &RecordingStore) -> Result<Remote, UploadError> {
        Remote::new(store, self.credentials()?, self.roots()?)
    }

    fn roots(&self) -> Result<RootCerts, UploadError> {
        let path = &self.authorities;
        if !path.exists() {
            return Ok(RootCerts::PlatformVerifier);
        }
        let unusable =
            |error: String| UploadError::Settings(format!("{}: {error}", path.display()));
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let mut roots = Vec::new();
        for item in parse_pem(&pem) {
            match item {
                Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
                Ok(_) => {}
                Err(error) => return Err(unusable(error.to_string())),
            }
        }
        if roots.is_empty() {
            return Err(unusable("it has no certificate".to_owned()));
        }
        Ok(RootCerts::Specific(Arc::new(roots)))
    }

    fn credentials(&self) -> Result<Credentials, UploadError> {
        let path = &self.keys;
        if let Some(credentials) = Credentials::from_env() {
            return Ok(credentials);
        }
        let text = std::fs::read(path);
        let text = text.map_err(|_| UploadError::NoKeys(path.display().to_string()))?;
        let keys: KeyFile = serde_json::from_slice(&text)
            .map_err(|error| UploadError::Settings(format!("{}: {error}", path.display())))?;
        let (id, secret) = (keys.access_key_id, keys.secret_access_key);
        Ok(match keys.session_token {
            Some(token) => Credentials::new_with_token(id, secret, token),
            None => Credentials::new(id, secret),
        })
    }
}

impl Remote {
    fn new(
        store: &RecordingStore,
        credentials: Credentials,
        roots: RootCerts,
    ) -> Result<Self, UploadError> {
        let settings = |error: String| UploadError::Settings(error);
        let endpoint = store.endpoint.as_deref().unwrap_or_default();
        let endpoint = endpoint
            .parse()
            .map_err(|error| settings(format!("{error}")))?;
        let style = match store.addressing {
            BucketAddressing::Path => UrlStyle::Path,
            BucketAddressing::Host => UrlStyle::VirtualHost,
        };
        let bucket = Bucket::new(endpoint, style, store.bucket.clone(), store.region.clone());
        Ok(Self {
            agent: agent(roots),
            bucket: bucket.map_err(|error| settings(error.to_string()))?,
            credentials,
            prefix: store.prefix.clone(),
        })
    }

    /// Puts a file into the bucket, and returns when the store has confirmed it.
    pub(super) fn send(&self, path: &Path, name: &str) -> Result<Sent, UploadError> {
        let here = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => UploadError::Gone,
            _ => UploadError::Here(error.to_string()),
        };
        let mut file = File::open(path).map_err(here)?;
        let (bytes, sum) = sum(&mut file).map_err(here)?;
        let object = format!("{}{name}", self.prefix);
        let content_type = match name.rsplit_once('.') {
            Some((_, "opus")) => "audio/ogg",
            _ => "audio/wav",
        };
        let mut action = self.bucket.put_object(Some(&self.credentials), &object);
        action.headers_mut().insert("content-md5", sum.as_str());
        action.headers_mut().insert("content-type", content_type);
        let url = action.sign(SIGNATURE_LIFETIME);
        let patience = PATIENCE + Duration::from_secs(bytes / SLOWEST_BYTES_PER_S);
        let answer = self
            .agent
            .put(url.as_str())
            .config()
            .timeout_global(Some(patience))
            .build()
            .header("Content-MD5", &sum)
            .header("Content-Type", content_type)
            .header("Content-Length", bytes.to_string())
            .send(&file);
        let mut answer =
            answer.map_err(|error| UploadError::Store(unsigned(&error.to_string())))?;
        if !answer.status().is_success() {
            return Err(refusal(&mut answer));
        }
        Ok(Sent {
            bytes,
            location: format!("s3://{}/{object}", self.bucket.name()),
        })
    }
}

fn agent(roots: RootCerts) -> ureq::Agent {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let config = ureq::Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_PATIENCE))
        .build();
    config.into()
}

/// How long a file is, and its sum as RFC 1864 writes it: the store checks it.
fn sum(file: &mut File) -> io::Result<(u64, String)> {
    let mut sum = Md5::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        sum.update(&buffer[..count]);
        bytes += count as u64;
    }
    file.rewind()?;
    Ok((bytes, STANDARD.encode(sum.finalize())))
}

/// What an answer means that is no success: the bucket, the keys or a busy store concern every
/// file, the rest this one.
fn refusal(answer: &mut ureq::http::Response<ureq::Body>) -> UploadError {
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(ANSWER_MAX_BYTES);
    let body = body.read_to_string().unwrap_or_default();
    let code = element(&body, "Code").unwrap_or("no reason");
    let reason = format!("the store answers {status} {code}");
    match status {
        301 | 307 | 401 | 403 | 404 | 408 | 429 | 500.. => UploadError::Store(reason),
        _ => UploadError::Refused(reason),
    }
}

/// The text of an element of XML, if it looks like a code.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once("</")?;
    let plain = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then_some(text)
}

/// A message without the URL that a request was signed in.
fn unsigned(message: &str) -> String {
    let before = message.split("X-Amz-").next();
    before
        .unwrap_or_default()
        .trim_end_matches(['?', '&'])
        .to_owned()
}

/// How long a signed request may be sent.
const SIGNATURE_LIFETIME: Duration = Duration::from_secs(3_600);
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// For a request without its file, and how slowly that may go.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_PER_S: u64 = 64 * 1_024;
const BUFFER_BYTES: usize = 64 * 1_024;
const ANSWER_MAX_BYTES: u64 = 16 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_from_an_answer_and_nothing_else() {
        let xml = "<?xml?><Error><Code>SlowDown</Code><Message>x</Message></Error>";
        assert_eq!(element(xml, "Code"), Some("SlowDown"));
        assert_eq!(element("<Code>a b\n</Code>", "Code"), None);
        assert_eq!(element("<Code>", "Code"), None);
    }

    #[test]
    fn no_signature_is_said() {
        let message = "http://x/b/n?X-Amz-Signature=secret: refused";
        assert_eq!(unsigned(message), "http://x/b/n");
    }
}
