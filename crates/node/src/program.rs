//! The program that runs, and the one that is at its place on the disk by now, which the next start
//! takes.
//!
//! Nothing is executed to learn of it: the version stands in the file behind a mark, and whether it is
//! another program its bytes say.

use std::fs::{self, File, Metadata};
use std::hash::Hasher as _;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use control::ProgramUpdate;

/// The version of this program.
pub(crate) fn version() -> &'static str {
    // What it is found by in the file stays in it only where the whole text is used.
    let marked = std::hint::black_box(MARKED);
    marked[MARK.len()..].trim_end_matches(';')
}

/// Watches the place on the disk.
pub(crate) struct Program {
    path: PathBuf,
    /// The file that runs.
    running: PathBuf,
    /// What was there at the last look.
    seen: Option<Identity>,
    next_look: Instant,
    found: Arc<Mutex<Option<ProgramUpdate>>>,
}

/// What tells files apart without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

impl Program {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        let name = std::env::current_exe().unwrap_or_default();
        let name = name.to_string_lossy();
        // What the kernel says of a program that was replaced.
        let path = name.strip_suffix(" (deleted)").unwrap_or(&name);
        Self::new(PathBuf::from(path), PathBuf::from("/proc/self/exe"))
    }

    fn new(path: PathBuf, running: PathBuf) -> Self {
        Self {
            path,
            seen: fs::metadata(&running).ok().as_ref().map(Identity::of),
            running,
            next_look: Instant::now(),
            found: Arc::default(),
        }
    }

    /// The program that a start would take, if it is another; known some seconds after it was put there.
    pub(crate) fn update(&mut self, now: Instant) -> Option<ProgramUpdate> {
        if now >= self.next_look {
            self.next_look = now + LOOK;
            let there = fs::metadata(&self.path).ok().as_ref().map(Identity::of);
            if there != self.seen {
                self.seen = there;
                self.examine();
            }
        }
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    /// Reads both files on a thread of its own: they are large.
    fn examine(&self) {
        let (path, running) = (self.path.clone(), self.running.clone());
        let found = Arc::clone(&self.found);
        let examined = std::thread::Builder::new()
            .name("program".into())
            .spawn(move || {
                let update = compare(&path, &running).unwrap_or_default();
                if let Some(update) = &update {
                    let (version, build) = (&update.version, &update.build);
                    tracing::info!(
                        version,
                        build,
                        "another program is on the disk: a restart takes it"
                    );
                }
                *found.lock().unwrap_or_else(PoisonError::into_inner) = update;
            });
        if let Err(error) = examined {
            tracing::warn!(%error, "the program on the disk is not looked at");
        }
    }
}

/// What is there, if it is one of ours and not the one that runs.
fn compare(path: &Path, running: &Path) -> io::Result<Option<ProgramUpdate>> {
    let (there, own) = (Contents::read(path)?, Contents::read(running)?);
    let Some(version) = there.version.filter(|_| there.build != own.build) else {
        return Ok(None);
    };
    Ok(Some(ProgramUpdate {
        version,
        build: there.build,
        running_build: own.build,
    }))
}

/// What is in a file.
struct Contents {
    /// Absent where it is no program of ours, or not written to its end yet.
    version: Option<String>,
    /// Tells it from others, for people and for this comparison.
    build: String,
}

impl Contents {
    fn read(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut hasher = std::hash::DefaultHasher::new();
        let (mut version, mut chunk) = (None, vec![0; CHUNK_BYTES]);
        // The end of the chunk before stands at the beginning of this one: a mark may lie across both.
        let mut kept = 0;
        loop {
            let read = file.read(&mut chunk[kept..])?;
            if read == 0 {
                break;
            }
            hasher.write(&chunk[kept..kept + read]);
            let filled = kept + read;
            version = version.or_else(|| marked_version(&chunk[..filled]));
            kept = filled.min(MARK.len() + VERSION_MAX_BYTES);
            chunk.copy_within(filled - kept..filled, 0);
        }
        Ok(Self {
            version,
            build: format!("{:016x}", hasher.finish()),
        })
    }
}

/// The version behind a mark; the mark alone stands in the program, too.
fn marked_version(bytes: &[u8]) -> Option<String> {
    let mut places = bytes.windows(MARK.len()).enumerate();
    places.find_map(|(at, window)| {
        if window != MARK.as_bytes() {
            return None;
        }
        let rest = &bytes[at + MARK.len()..];
        let rest = &rest[..rest.len().min(VERSION_MAX_BYTES)];
        let end = rest.iter().position(|byte| *byte == b';')?;
        let version = std::str::from_utf8(&rest[..end]).ok()?;
        let is_one = version.starts_with(|c: char| c.is_ascii_digit())
            && version
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".+-".contains(c));
        is_one.then(|| version.to_owned())
    })
}

/// Before the version in the file.
const MARK: &str = "tandem-program-version=";
static MARKED: &str = concat!("tandem-program-version=", env!("CARGO_PKG_VERSION"), ";");
const VERSION_MAX_BYTES: usize = 64;
const CHUNK_BYTES: usize = 1 << 20;
/// Between two looks at the place on the disk.
const LOOK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &tempfile::TempDir, name: &str, version: &str, more: usize) -> PathBuf {
        let path = dir.path().join(name);
        let mut bytes = vec![7; CHUNK_BYTES - 10];
        bytes.extend(format!("{MARK} {MARK}{version};").into_bytes());
        bytes.resize(bytes.len() + more, 9);
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn another_program_is_told_from_the_same_one_put_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let running = file(&dir, "running", "1.2.3", 5);
        let same = file(&dir, "same", "1.2.3", 5);
        assert_eq!(compare(&same, &running).unwrap(), None);
        let newer = file(&dir, "newer", "1.3.0-rc.1", 5);
        let update = compare(&newer, &running).unwrap().unwrap();
        assert_eq!(update.version, "1.3.0-rc.1");
        assert_ne!(update.build, update.running_build);
        let built_anew = file(&dir, "anew", "1.2.3", 6);
        let update = compare(&built_anew, &running).unwrap().unwrap();
        assert_eq!(update.version, "1.2.3");
        let foreign = dir.path().join("foreign");
        fs::write(&foreign, format!("{MARK}half a")).unwrap();
        assert_eq!(compare(&foreign, &running).unwrap(), None);
    }

    #[test]
    fn this_program_says_its_version() {
        assert_eq!(version(), env!("CARGO_PKG_VERSION"));
    }
}
