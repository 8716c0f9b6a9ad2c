//! Flags of `tandem media` about recordings. `tandem up` has settings in their place.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use node::{AfterUpload, BucketAddressing, RecordingFormat, RecordingStore, Validate as _};

use crate::failure::Failure;

/// What recordings are, and where they go.
#[derive(Args, Debug)]
pub(crate) struct RecordingFlags {
    /// Where recordings are written; without it there are none
    #[arg(long, value_name = "FOLDER")]
    pub(crate) recordings: Option<PathBuf>,
    /// What the files of recordings are
    #[arg(long, value_enum, default_value_t = Format::Wav)]
    pub(crate) recording_format: Format,
    /// An S3-compatible store that finished recordings are taken to
    #[arg(
        long,
        value_name = "URL",
        requires = "recordings",
        requires = "recording_bucket"
    )]
    recording_store: Option<String>,
    /// The bucket there
    #[arg(long, value_name = "NAME", default_value = "")]
    recording_bucket: String,
    /// The region of the bucket
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    recording_region: String,
    /// How requests name the bucket
    #[arg(long, value_enum, default_value_t = Addressing::Path)]
    recording_addressing: Addressing,
    /// What stands before the name of each file there
    #[arg(long, value_name = "PREFIX", default_value = "")]
    recording_prefix: String,
    /// What becomes of a file here when the store has it
    #[arg(long, value_enum, default_value_t = After::Keep)]
    recording_after_upload: After,
    /// The keys of the store, if AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set
    #[arg(long, value_name = "FILE", default_value = "s3-keys.json")]
    pub(crate) recording_keys: PathBuf,
    /// The authorities in PEM that the store's certificate has to lead to, in place of the
    /// system's
    #[arg(long, value_name = "FILE")]
    recording_ca: Option<PathBuf>,
}

/// What files are.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// 16 bit linear
    Wav,
    /// Ogg/Opus: a tenth of the size
    Opus,
}

/// How requests name a bucket.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Addressing {
    /// `https://endpoint/bucket/name`
    Path,
    /// `https://bucket.endpoint/name`
    Host,
}

/// What becomes of a file that was uploaded.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum After {
    /// It stays
    Keep,
    /// It goes
    Delete,
}

impl RecordingFlags {
    /// The file of the store's authorities; there is none where the system's are meant.
    pub(crate) fn authorities(&self) -> Result<PathBuf, Failure> {
        match &self.recording_ca {
            Some(file) if !file.exists() => {
                let shown = file.display();
                Err(Failure::Usage(format!("{shown}: there is no such file")))
            }
            file => Ok(file.clone().unwrap_or_default()),
        }
    }

    /// The store, if its flags make sense.
    pub(crate) fn store(&self) -> Result<RecordingStore, Failure> {
        let store = RecordingStore {
            endpoint: self.recording_store.clone(),
            bucket: self.recording_bucket.clone(),
            region: self.recording_region.clone(),
            addressing: match self.recording_addressing {
                Addressing::Path => BucketAddressing::Path,
                Addressing::Host => BucketAddressing::Host,
            },
            prefix: self.recording_prefix.clone(),
            after_upload: match self.recording_after_upload {
                After::Keep => AfterUpload::Keep,
                After::Delete => AfterUpload::Delete,
            },
        };
        match store.validate().first() {
            None => Ok(store),
            Some(error) => Err(Failure::Usage(format!(
                "the store of recordings: {}: {}",
                error.field, error.message
            ))),
        }
    }
}

impl From<Format> for RecordingFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Wav => Self::Wav,
            Format::Opus => Self::Opus,
        }
    }
}
