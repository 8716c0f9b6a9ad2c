//! What was read of files, shared by all who play them.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use media::Audio;

/// Decoded files, the latest that were wanted; of more than fit, those that nobody has wanted for
/// longest are forgotten. Who plays one that is forgotten keeps it.
#[derive(Debug)]
pub(super) struct Shelf {
    kept: HashMap<PathBuf, Kept>,
    bytes: usize,
    bytes_max: usize,
    /// Counts what was wanted.
    wanted: u64,
}

/// What a file that was changed differs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// `None` where the file system does not say.
    changed: Option<SystemTime>,
    bytes: u64,
}

#[derive(Debug)]
struct Kept {
    stamp: Stamp,
    audio: Audio,
    /// The number of the last want.
    wanted: u64,
}

impl Shelf {
    /// Of at most so many bytes of samples.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            kept: HashMap::new(),
            bytes: 0,
            bytes_max,
            wanted: 0,
        }
    }

    /// What was read of a file, if it is still the same.
    pub(super) fn find(&mut self, path: &Path, stamp: Stamp) -> Option<Audio> {
        self.wanted += 1;
        let kept = self.kept.get_mut(path)?;
        if kept.stamp != stamp || stamp.changed.is_none() {
            return None;
        }
        kept.wanted = self.wanted;
        Some(kept.audio.clone())
    }

    /// Keeps what was read, unless there is no room for it at all.
    pub(super) fn put(&mut self, path: &Path, stamp: Stamp, audio: Audio) {
        self.forget(path);
        let bytes = audio.size_bytes();
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes + bytes > self.bytes_max || self.kept.len() == FILES_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.wanted);
            let Some(oldest) = oldest.map(|(path, _)| path.clone()) else {
                break;
            };
            self.forget(&oldest);
        }
        self.bytes += bytes;
        let wanted = self.wanted;
        let kept = Kept {
            stamp,
            audio,
            wanted,
        };
        self.kept.insert(path.to_owned(), kept);
    }

    fn forget(&mut self, path: &Path) {
        if let Some(kept) = self.kept.remove(path) {
            self.bytes -= kept.audio.size_bytes();
        }
    }
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            changed: metadata.modified().ok(),
            bytes: metadata.len(),
        }
    }
}

/// Files that are kept, however short.
const FILES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::super::load;
    use super::*;

    /// A WAV file of so many samples.
    fn wav(samples: u32) -> Vec<u8> {
        let length = 2 * samples;
        let mut file = Vec::new();
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(36 + length).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        file.extend_from_slice(&8_000_u32.to_le_bytes());
        file.extend_from_slice(&16_000_u32.to_le_bytes());
        file.extend_from_slice(b"\x02\0\x10\0data");
        file.extend_from_slice(&length.to_le_bytes());
        file.resize(file.len() + length as usize, 0);
        file
    }

    fn write(path: &Path, bytes: &[u8], changed_s: u64) {
        std::fs::write(path, bytes).expect("written");
        let file = File::options().write(true).open(path).expect("opened");
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed_s);
        file.set_modified(changed).expect("dated");
    }

    #[test]
    fn a_file_is_read_once_until_it_is_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("music.wav");
        let mut shelf = Shelf::new(1_000);
        write(&path, &wav(80), 1);
        assert!(load(&mut shelf, &path).is_ok());
        // No music any more, and nothing tells it.
        write(&path, &vec![0; wav(80).len()], 1);
        assert_eq!(load(&mut shelf, &path).map(|a| a.duration_ms()), Ok(10));
        write(&path, &wav(160), 2);
        assert_eq!(load(&mut shelf, &path).map(|a| a.duration_ms()), Ok(20));
        assert_eq!(shelf.bytes, 320, "the one before is forgotten");
    }

    #[test]
    fn what_was_not_wanted_for_longest_gives_way() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut shelf = Shelf::new(400);
        let mut wanted = |name: &str, samples| {
            let path = dir.path().join(name);
            write(&path, &wav(samples), 1);
            load(&mut shelf, &path).expect("music");
            let mut kept: Vec<_> = shelf.kept.keys().filter_map(|k| k.file_name()).collect();
            kept.sort_unstable();
            let kept: Vec<_> = kept.iter().map(|name| name.to_string_lossy()).collect();
            (kept.concat(), shelf.bytes)
        };
        assert_eq!(wanted("a", 80), ("a".into(), 160));
        assert_eq!(wanted("b", 80), ("ab".into(), 320));
        assert_eq!(wanted("a", 80), ("ab".into(), 320));
        assert_eq!(wanted("c", 80), ("ac".into(), 320));
        assert_eq!(
            wanted("long", 201),
            ("ac".into(), 320),
            "nobody could keep it"
        );
        assert_eq!(wanted("whole", 200), ("whole".into(), 400));
    }
}
