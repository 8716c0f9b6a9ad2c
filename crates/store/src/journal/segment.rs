//! The files of a journal's directory and their names.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::JournalError;
use crate::frame::FrameReader;

/// The numbers of all segments, ascending.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    numbered(dir, SEGMENT_PREFIX)
}

/// The numbers of all carried states, ascending.
pub(super) fn carries(dir: &Path) -> io::Result<Vec<u64>> {
    numbered(dir, CARRY_PREFIX)
}

/// A segment's file.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{SEGMENT_PREFIX}{number:020}"))
}

/// The file of the state carried over from all segments up to one.
pub(super) fn carry_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{CARRY_PREFIX}{number:020}"))
}

/// Where a segment goes that cannot be read to its end.
pub(super) fn damaged_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("damaged-{number:020}"))
}

/// Opens a segment to read frames from `offset` (0: the first). `None` if it holds nothing yet.
pub(super) fn read_segment(
    dir: &Path,
    number: u64,
    offset: u64,
) -> Result<Option<FrameReader>, JournalError> {
    let mut file = File::open(segment_path(dir, number))?;
    let mut magic = [0; MAGIC.len()];
    let mut filled = 0;
    while filled < magic.len() {
        match file.read(&mut magic[filled..])? {
            0 => return Ok(None),
            n => filled += n,
        }
    }
    if magic == [0; MAGIC.len()] {
        // Named, but lost with the power before it was synced.
        return Ok(None);
    }
    if magic != MAGIC {
        return Err(JournalError::UnknownFormat { segment: number });
    }
    Ok(Some(FrameReader::new(file, offset.max(MAGIC.len() as u64))))
}

/// Replaces a file so that a crash leaves the old content or the new, never a part.
pub(super) fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&temporary, path)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Makes names that were added or removed durable.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn numbered(dir: &Path, prefix: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|n| n.strip_prefix(prefix))
            .map(str::parse);
        if let Some(Ok(number)) = number {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// What a segment begins with: the format and its version.
pub(super) const MAGIC: [u8; 8] = *b"TDMCDRJ1";
/// The file that the owner of the directory holds locked.
pub(super) const LOCK_NAME: &str = "lock";
/// The file that says how far the journal was shipped.
pub(super) const SHIPPED_NAME: &str = "shipped";
const SEGMENT_PREFIX: &str = "segment-";
const CARRY_PREFIX: &str = "carry-";
