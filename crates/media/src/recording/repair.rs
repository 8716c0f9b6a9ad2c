//! Files that a killed process left, and how long files are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use audio::{OGG_TAIL_BYTES, ogg_length_ms, ogg_repair};

use super::file::{patch, unfinished};
use super::{RecordingFormat, UNFINISHED};

/// Finishes the files that a killed process left in a directory: name and length in
/// milliseconds, or what went wrong. Files with nothing but a header are removed; others that
/// cannot be read keep what is in them under a name that ends in [`BROKEN`].
pub(super) fn repair(dir: &Path) -> io::Result<Vec<(String, io::Result<u64>)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(UNFINISHED));
        // Others may keep unfinished files here, too.
        let ours = name.filter(|name| RecordingFormat::named(name).is_some());
        names.extend(ours.map(str::to_owned));
    }
    names.sort();
    let repaired = names.into_iter().map(|name| {
        let result = repair_one(dir, &name);
        (name, result)
    });
    Ok(repaired.collect())
}

/// Finishes one; its length in milliseconds.
pub(super) fn repair_one(dir: &Path, name: &str) -> io::Result<u64> {
    let path = unfinished(dir, name);
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let repaired = match RecordingFormat::of(name) {
        RecordingFormat::Wav => repair_wav(&file),
        RecordingFormat::Opus => repair_opus(&file),
    };
    if let Err(error) = &repaired
        && error.kind() == io::ErrorKind::InvalidData
    {
        match is_empty(&file, RecordingFormat::of(name))? {
            true => fs::remove_file(&path)?,
            false => fs::rename(&path, dir.join(format!("{name}{BROKEN}")))?,
        }
    }
    repaired?;
    file.sync_all()?;
    fs::rename(&path, dir.join(name))?;
    length(&file, RecordingFormat::of(name))
}

/// How long the sound of a file is, in milliseconds, also of one that is being written; `None` if
/// it cannot be read.
#[must_use]
pub fn recording_length_ms(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(UNFINISHED).unwrap_or(name);
    let file = File::open(path).ok()?;
    length(&file, RecordingFormat::of(name)).ok()
}

/// Whether there is nothing in a file but what is written before the first sound.
fn is_empty(file: &File, format: RecordingFormat) -> io::Result<bool> {
    let header_bytes = match format {
        RecordingFormat::Wav => WAV_HEADER_BYTES,
        RecordingFormat::Opus => OPUS_HEADER_BYTES,
    };
    Ok(file.metadata()?.len() <= header_bytes)
}

fn repair_wav(file: &File) -> io::Result<()> {
    let file_bytes = file.metadata()?.len();
    let patches = audio::repair(&beginning(file)?, file_bytes).map_err(invalid)?;
    patch(file, &patches)
}

fn repair_opus(file: &File) -> io::Result<()> {
    let (from, tail) = tail(file, OGG_TAIL_BYTES as u64)?;
    let repair =
        ogg_repair(&tail).ok_or_else(|| invalid("the file ends before its sound begins"))?;
    file.set_len(from + repair.kept_bytes as u64)?;
    file.write_all_at(&repair.header, from + repair.page_at as u64)
}

fn length(file: &File, format: RecordingFormat) -> io::Result<u64> {
    let beginning = beginning(file)?;
    match format {
        RecordingFormat::Wav => {
            let wav = audio::Wav::parse(&beginning).map_err(invalid)?;
            let format = wav.format();
            let bytes = file.metadata()?.len().saturating_sub(WAV_HEADER_BYTES);
            let frames = bytes / format.frame_bytes() as u64;
            Ok(frames * 1_000 / u64::from(format.sample_rate_hz))
        }
        RecordingFormat::Opus => {
            // Pages of ours are short; only what others put here needs a longer look.
            let found = [OUR_TAIL_BYTES, OGG_TAIL_BYTES as u64].into_iter();
            let mut found = found.filter_map(|bytes| {
                let (_, tail) = tail(file, bytes).ok()?;
                ogg_length_ms(&beginning, &tail)
            });
            // Nothing has been said yet.
            Ok(found.next().unwrap_or(0))
        }
    }
}

fn beginning(file: &File) -> io::Result<Vec<u8>> {
    read(file, 0, BEGINNING_BYTES)
}

/// The last `bytes` of a file, and where they begin.
fn tail(file: &File, bytes: u64) -> io::Result<(u64, Vec<u8>)> {
    let from = file.metadata()?.len().saturating_sub(bytes);
    // It may have grown since.
    Ok((from, read(file, from, bytes)?))
}

fn read(mut file: &File, from: u64, bytes: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut read = Vec::new();
    file.take(bytes).read_to_end(&mut read)?;
    Ok(read)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// What is read of a file to find its format.
const BEGINNING_BYTES: u64 = 4_096;
/// More than the longest page written here: half a second of sound, ten times over.
const OUR_TAIL_BYTES: u64 = 32 * 1_024;
/// Of the files written here.
const WAV_HEADER_BYTES: u64 = 44;
/// Those have two pages with less in them; a page of sound has more.
const OPUS_HEADER_BYTES: u64 = 512;
/// What a file is called that cannot be read, behind its name.
const BROKEN: &str = ".broken";
