//! The file of a recording, from its temporary name to its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use audio::{Patch, WavWriter};

/// A file that is being written.
#[derive(Debug)]
pub(super) struct WavFile {
    file: File,
    dir: PathBuf,
    name: String,
    wav: WavWriter,
    /// Bytes on their way.
    out: Vec<u8>,
}

impl WavFile {
    /// Makes it, with its header.
    pub(super) fn create(dir: &Path, name: &str, sample_rate_hz: u32) -> io::Result<Self> {
        // A recording of the same name is never overwritten.
        if dir.join(name).exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(unfinished(dir, name))?;
        let mut out = Vec::new();
        let wav = WavWriter::new(sample_rate_hz, 2, &mut out);
        let mut this = Self {
            file,
            dir: dir.to_owned(),
            name: name.to_owned(),
            wav,
            out,
        };
        this.write(&[])?;
        Ok(this)
    }

    /// Appends samples, left and right in turn.
    pub(super) fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        if self.wav.push(samples, &mut self.out) < samples.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let result = self.file.write_all(&self.out);
        self.out.clear();
        result
    }

    /// Says in the header how long it is, brings it to disk and gives it its name.
    pub(super) fn finish(self) -> io::Result<()> {
        patch(&self.file, &self.wav.patches())?;
        self.file.sync_all()?;
        fs::rename(unfinished(&self.dir, &self.name), self.dir.join(&self.name))
    }

    /// Finishes what can be had of a file that could not be written to its end. What fails here
    /// is tried again by the next start.
    pub(super) fn salvage(self) -> io::Result<()> {
        drop(self.file);
        repair_one(&self.dir, &self.name).map(|_| ())
    }

    /// How long it is, in milliseconds.
    pub(super) fn length_ms(&self) -> u64 {
        let format = self.wav.format();
        let samples = self.wav.file_bytes() / format.frame_bytes() as u64;
        samples * 1_000 / u64::from(format.sample_rate_hz)
    }
}

/// Finishes the files that a killed process left in a directory: name and length in
/// milliseconds, or what went wrong. Files without a header are removed: nothing is in them.
pub(super) fn repair(dir: &Path) -> io::Result<Vec<(String, io::Result<u64>)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(UNFINISHED));
        names.extend(name.map(str::to_owned));
    }
    names.sort();
    let repaired = names.into_iter().map(|name| {
        let result = repair_one(dir, &name);
        (name, result)
    });
    Ok(repaired.collect())
}

fn repair_one(dir: &Path, name: &str) -> io::Result<u64> {
    let path = unfinished(dir, name);
    let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
    let mut beginning = Vec::new();
    (&mut file)
        .take(BEGINNING_BYTES)
        .read_to_end(&mut beginning)?;
    let file_bytes = file.metadata()?.len();
    let patches = match audio::repair(&beginning, file_bytes) {
        Ok(patches) => patches,
        Err(error) => {
            fs::remove_file(&path)?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    };
    patch(&file, &patches)?;
    file.sync_all()?;
    fs::rename(&path, dir.join(name))?;
    let wav = audio::Wav::parse(&beginning).map_err(io::Error::other)?;
    let format = wav.format();
    let frames = file_bytes.saturating_sub(HEADER_BYTES) / format.frame_bytes() as u64;
    Ok(frames * 1_000 / u64::from(format.sample_rate_hz))
}

fn patch(file: &File, patches: &[Patch]) -> io::Result<()> {
    for patch in patches {
        file.write_all_at(&patch.bytes, patch.offset)?;
    }
    Ok(())
}

fn unfinished(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}{UNFINISHED}"))
}

/// What a file is called until it is finished, behind its name.
const UNFINISHED: &str = ".part";
/// What is read of a file to find its format.
const BEGINNING_BYTES: u64 = 4_096;
/// Of the files written here.
const HEADER_BYTES: u64 = 44;
