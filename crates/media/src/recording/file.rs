//! The file of a recording, from its temporary name to its own.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use audio::{OggOpusWriter, Patch, WavWriter};

use super::repair::repair_one;
use super::{RecordingFormat, UNFINISHED};

/// A file that is being written.
#[derive(Debug)]
pub(super) struct RecordingFile {
    file: File,
    dir: PathBuf,
    name: String,
    coder: Coder,
    /// Bytes on their way.
    out: Vec<u8>,
}

/// What makes bytes of samples.
#[derive(Debug)]
enum Coder {
    Wav(WavWriter),
    Opus(Box<OggOpusWriter>),
}

impl RecordingFile {
    /// Makes it, with its header.
    pub(super) fn create(
        dir: &Path,
        name: &str,
        format: RecordingFormat,
        sample_rate_hz: u32,
    ) -> io::Result<Self> {
        // A recording of the same name is never overwritten, neither here nor in a store that has
        // taken it.
        if dir.join(name).exists() || recording_receipt(dir, name).exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut out = Vec::new();
        let coder = match format {
            RecordingFormat::Wav => Coder::Wav(WavWriter::new(sample_rate_hz, 2, &mut out)),
            RecordingFormat::Opus => {
                let serial = RandomState::new().hash_one(()) as u32;
                let writer = OggOpusWriter::new(sample_rate_hz, serial, &mut out);
                Coder::Opus(Box::new(writer.map_err(io::Error::other)?))
            }
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(unfinished(dir, name))?;
        let mut this = Self {
            file,
            dir: dir.to_owned(),
            name: name.to_owned(),
            coder,
            out,
        };
        this.flush()?;
        Ok(this)
    }

    /// Appends samples, left and right in turn.
    pub(super) fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        match &mut self.coder {
            Coder::Wav(wav) => {
                if wav.push(samples, &mut self.out) < samples.len() {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
            }
            Coder::Opus(opus) => opus
                .push(samples, &mut self.out)
                .map_err(io::Error::other)?,
        }
        self.flush()
    }

    /// Ends it as its format wants, brings it to disk and gives it its name.
    pub(super) fn finish(mut self) -> io::Result<()> {
        match &mut self.coder {
            Coder::Wav(wav) => patch(&self.file, &wav.patches())?,
            Coder::Opus(opus) => {
                opus.finish(&mut self.out).map_err(io::Error::other)?;
                self.flush()?;
            }
        }
        self.file.sync_all()?;
        fs::rename(unfinished(&self.dir, &self.name), self.dir.join(&self.name))
    }

    /// Finishes what can be had of a file that could not be written to its end. What fails here
    /// is tried again by the next start.
    pub(super) fn salvage(self) -> io::Result<()> {
        drop(self.file);
        repair_one(&self.dir, &self.name).map(|_| ())
    }

    /// What it is called when it is finished.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long it is, in milliseconds.
    pub(super) fn length_ms(&self) -> u64 {
        match &self.coder {
            Coder::Wav(wav) => {
                let format = wav.format();
                let samples = wav.file_bytes() / format.frame_bytes() as u64;
                samples * 1_000 / u64::from(format.sample_rate_hz)
            }
            Coder::Opus(opus) => opus.length_ms(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.write_all(&self.out);
        self.out.clear();
        result
    }
}

pub(super) fn patch(file: &File, patches: &[Patch]) -> io::Result<()> {
    for patch in patches {
        file.write_all_at(&patch.bytes, patch.offset)?;
    }
    Ok(())
}

pub(super) fn unfinished(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}{UNFINISHED}"))
}

/// Where it is noted that a store has a recording of a directory. A name that is noted there is taken.
#[must_use]
pub fn recording_receipt(dir: &Path, name: &str) -> PathBuf {
    dir.join(RECEIPTS).join(format!("{name}{RECEIPT}"))
}

/// The directory of such notes, among the recordings.
pub const RECEIPTS: &str = "uploaded";
/// What one is called behind the file's name.
pub const RECEIPT: &str = ".json";
