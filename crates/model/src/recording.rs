//! What recordings of calls are, and where they are taken.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{FieldError, Validate};

/// What the files of recordings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecordingFormat {
    /// WAV, 16 bit linear, stereo.
    #[default]
    Wav,
    /// Ogg/Opus, a stream for each side: a tenth of the size.
    Opus,
}

/// A bucket of an S3-compatible store that finished recordings are taken to. Its keys are no
/// setting: the process has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RecordingStore {
    /// `https://host[:port]`; `None` leaves recordings where they are.
    pub endpoint: Option<String>,
    /// The bucket; it must be there.
    pub bucket: String,
    /// Its region, as the store calls it.
    pub region: String,
    /// How requests name the bucket.
    pub addressing: BucketAddressing,
    /// What stands before the name of each file: `recordings/`.
    pub prefix: String,
    /// What becomes of a file here when the store has it.
    pub after_upload: AfterUpload,
}

impl Default for RecordingStore {
    fn default() -> Self {
        Self {
            endpoint: None,
            bucket: String::new(),
            region: "us-east-1".into(),
            addressing: BucketAddressing::default(),
            prefix: String::new(),
            after_upload: AfterUpload::default(),
        }
    }
}

impl Validate for RecordingStore {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        if let Some(endpoint) = &self.endpoint {
            let host = ["https://", "http://"].iter();
            let host = host
                .filter_map(|scheme| endpoint.strip_prefix(scheme))
                .next();
            checks.host_port_of_url("endpoint", host);
            checks.require(
                is_bucket(&self.bucket),
                "bucket",
                "with an endpoint, 3 to 63 characters are accepted: a to z, digits, - and .",
            );
        } else if !self.bucket.is_empty() {
            checks.require(
                is_bucket(&self.bucket),
                "bucket",
                "3 to 63 characters are accepted: a to z, digits, - and .",
            );
        }
        let plain = |text: &str, more: &[u8]| {
            let ok = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b) || more.contains(&b);
            text.bytes().all(ok)
        };
        checks.require(
            (1..=REGION_LEN_MAX).contains(&self.region.len()) && plain(&self.region, b""),
            "region",
            "1 to 64 letters, digits, - and _ are accepted",
        );
        checks.require(
            self.prefix.len() <= PREFIX_LEN_MAX
                && plain(&self.prefix, b"./=")
                && !self.prefix.starts_with('/')
                && !self
                    .prefix
                    .split('/')
                    .any(|part| part == "." || part == ".."),
            "prefix",
            "up to 512 letters, digits and - _ . / = are accepted, without / at the start",
        );
        checks.done()
    }
}

/// How requests name a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BucketAddressing {
    /// `https://endpoint/bucket/name`, which every store knows.
    #[default]
    Path,
    /// `https://bucket.endpoint/name`, as AWS prefers.
    Host,
}

/// What becomes of a file here when the store has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterUpload {
    /// It stays.
    #[default]
    Keep,
    /// It goes.
    Delete,
}

/// The rules that all stores accept.
fn is_bucket(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.bytes().all(plain)
        && edge(name.bytes().next())
        && edge(name.bytes().last())
        && !name.contains("..")
}

const REGION_LEN_MAX: usize = 64;
const PREFIX_LEN_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(change: impl FnOnce(&mut RecordingStore)) -> Vec<String> {
        let mut store = RecordingStore {
            endpoint: Some("https://s3.example.com".into()),
            bucket: "calls".into(),
            ..RecordingStore::default()
        };
        change(&mut store);
        let complaints = store.validate().into_iter();
        complaints.map(|complaint| complaint.field).collect()
    }

    #[test]
    fn a_store_is_a_url_and_a_bucket() {
        let none: [&str; 0] = [];
        assert_eq!(RecordingStore::default().validate(), []);
        assert_eq!(complaints(|_| {}), none);
        for good in [
            "http://127.0.0.1:9000",
            "https://[::1]:9000",
            "https://minio",
        ] {
            assert_eq!(complaints(|store| store.endpoint = Some(good.into())), none);
        }
        for bad in [
            "minio:9000",
            "https://",
            "ftp://x",
            "https://x/y",
            "https://x?y",
        ] {
            let found = complaints(|store| store.endpoint = Some(bad.into()));
            assert_eq!(found, ["endpoint"], "{bad}");
        }
        for bad in ["", "ab", "Calls", "-calls", "a..b", "a/b"] {
            assert_eq!(
                complaints(|store| store.bucket = bad.into()),
                ["bucket"],
                "{bad}"
            );
        }
        for bad in ["/x", "a b", "x/../y", "ä"] {
            assert_eq!(
                complaints(|store| store.prefix = bad.into()),
                ["prefix"],
                "{bad}"
            );
        }
        assert_eq!(complaints(|store| store.region = String::new()), ["region"]);
    }
}
