//! Audio files, read on a thread of their own: a disk or a mount that hangs must not hold up requests.
//!
//! Whoever plays a file shares what was read of it, as long as the file is the same.

mod shelf;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use media::Audio;
use shelf::{Shelf, Stamp};

/// Reads files for the desk, one after the other. Its thread ends when this is dropped and it has read
/// what it reads.
#[derive(Debug)]
pub(super) struct Files {
    /// `None` before the first file.
    reader: Option<Reader>,
    /// The file that was prepared last, and what became of it.
    ready: Option<(PathBuf, Outcome)>,
    /// The one that was waited for last.
    late: Option<Late>,
}

/// Whether a file can be played, or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Now,
    /// It is to be asked for again.
    Later,
}

#[derive(Debug)]
struct Reader {
    paths: Sender<(PathBuf, Sender<Outcome>)>,
    reading: Option<Reading>,
}

/// A file that is not read yet.
#[derive(Debug)]
struct Reading {
    path: PathBuf,
    since: Instant,
    outcome: Receiver<Outcome>,
}

/// A file that others may still wait for.
#[derive(Debug)]
struct Late {
    path: PathBuf,
    read: Instant,
    outcome: Outcome,
}

type Outcome = Result<Audio, String>;

impl Files {
    pub(super) const fn new() -> Self {
        Self {
            reader: None,
            ready: None,
            late: None,
        }
    }

    /// Sees to it that a file is read, or refused: then [`Files::take`] says so. One that takes longer
    /// than [`PATIENCE`] is not waited for, and until it was read no other is.
    pub(super) fn prepare(&mut self, path: &Path, now: Instant) -> Readiness {
        let outcome = match self.read(path, now) {
            Ok(None) => return Readiness::Later,
            Ok(Some(outcome)) => outcome,
            Err(refusal) => Err(refusal),
        };
        self.ready = Some((path.to_owned(), outcome));
        Readiness::Now
    }

    /// A WAV file of at most [`FILE_BYTES_MAX`] that was prepared; why there is none that could be
    /// played.
    pub(super) fn take(&mut self, path: &Path) -> Outcome {
        let ready = self.ready.as_ref().filter(|(ready, _)| ready == path);
        let outcome = ready.map_or_else(|| Err(BUSY.to_owned()), |(_, outcome)| outcome.clone());
        outcome.map_err(|what| format!("{}: {what}", path.display()))
    }

    /// What became of a file; `None` as long as it is waited for.
    ///
    /// # Errors
    /// Why it is not.
    fn read(&mut self, path: &Path, now: Instant) -> Result<Option<Outcome>, String> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let mut shelf = Shelf::new(KEPT_BYTES_MAX);
                let started = Reader::start(move |path| load(&mut shelf, path));
                none.insert(started.map_err(|error| error.to_string())?)
            }
        };
        match reader.finish() {
            Ok(None) => {}
            Ok(Some((path, outcome))) => {
                self.late = Some(Late {
                    path,
                    read: now,
                    outcome,
                });
            }
            Err(Gone) => {
                self.reader = None;
                return Err(BUSY.to_owned());
            }
        }
        if let Some(reading) = &reader.reading {
            let is_slow = now.saturating_duration_since(reading.since) >= PATIENCE;
            return match is_slow {
                false => Ok(None),
                true if reading.path == path => Err("it takes too long to read".to_owned()),
                true => Err(BUSY.to_owned()),
            };
        }
        let late = self.late.as_ref().filter(|late| late.path == path);
        if let Some(late) = late.filter(|late| now.saturating_duration_since(late.read) < FRESH) {
            return Ok(Some(late.outcome.clone()));
        }
        match reader.begin(path, now) {
            Ok(outcome) => Ok(outcome),
            Err(Gone) => {
                self.reader = None;
                Err(BUSY.to_owned())
            }
        }
    }
}

/// The thread has ended.
struct Gone;

impl Reader {
    fn start(load: impl FnMut(&Path) -> Outcome + Send + 'static) -> std::io::Result<Self> {
        let (paths, asked) = bounded(1);
        thread::Builder::new()
            .name("ng-files".into())
            .spawn(move || run(&asked, load))?;
        Ok(Self {
            paths,
            reading: None,
        })
    }

    /// Has a file read, and waits for it as long as nobody notices.
    fn begin(&mut self, path: &Path, now: Instant) -> Result<Option<Outcome>, Gone> {
        let (to, outcome) = bounded(1);
        let sent = self.paths.try_send((path.to_owned(), to));
        sent.map_err(|_| Gone)?;
        match outcome.recv_timeout(GRACE) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(RecvTimeoutError::Timeout) => {
                self.reading = Some(Reading {
                    path: path.to_owned(),
                    since: now,
                    outcome,
                });
                Ok(None)
            }
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
    }

    /// The file that was being read, if that has come to its end.
    fn finish(&mut self) -> Result<Option<(PathBuf, Outcome)>, Gone> {
        let Some(reading) = self.reading.take() else {
            return Ok(None);
        };
        match reading.outcome.try_recv() {
            Ok(outcome) => Ok(Some((reading.path, outcome))),
            Err(TryRecvError::Empty) => {
                self.reading = Some(reading);
                Ok(None)
            }
            Err(TryRecvError::Disconnected) => Err(Gone),
        }
    }
}

fn run(asked: &Receiver<(PathBuf, Sender<Outcome>)>, mut load: impl FnMut(&Path) -> Outcome) {
    for (path, to) in asked {
        // Nobody waits for one that took too long.
        let _ = to.send(load(&path));
    }
}

/// What was read of a file before, if it has not changed since; else it is read.
fn load(shelf: &mut Shelf, path: &Path) -> Outcome {
    let said = |error: std::io::Error| error.to_string();
    // Before it is opened: that alone would wait for somebody to write into a pipe.
    let metadata = fs::metadata(path).map_err(said)?;
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    let stamp = Stamp::of(&metadata);
    if let Some(audio) = shelf.find(path, stamp) {
        return Ok(audio);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(said)?;
    let mut longest = file.take(FILE_BYTES_MAX + 1);
    longest.read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("longer than {FILE_BYTES_MAX} bytes"));
    }
    let audio = Audio::from_wav(&bytes).map_err(|error| error.to_string())?;
    shelf.put(path, stamp, audio.clone());
    Ok(audio)
}

const BUSY: &str = "another file is still being read";
/// How long requests wait for a file. Proxies repeat theirs after half a second or more.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long all other requests wait for one: longer than what is in memory takes.
const GRACE: Duration = Duration::from_millis(5);
/// How long what was read is held for whoever waits for it, however often the file changes.
const FRESH: Duration = Duration::from_secs(1);
/// Ten minutes at 48 kHz.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Of what was read, kept for whoever plays it next: two files of the greatest length, or two hours
/// of speech.
const KEPT_BYTES_MAX: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whose reader waits for a word before each file, and then finds none.
    fn slow_files() -> (Files, Sender<()>) {
        let (release, released) = bounded::<()>(0);
        let reader = Reader::start(move |_| {
            // A mount that does not answer.
            let _ = released.recv();
            Err("was slow".to_owned())
        });
        let files = Files {
            reader: Some(reader.expect("a thread")),
            ready: None,
            late: None,
        };
        (files, release)
    }

    fn until_read(files: &mut Files, path: &str, now: Instant) -> Option<String> {
        while files.prepare(Path::new(path), now) == Readiness::Later {
            thread::yield_now();
        }
        files.take(Path::new(path)).err()
    }

    #[test]
    fn a_file_that_hangs_holds_nobody_up_and_until_it_was_read_others_are_refused() {
        let (mut files, release) = slow_files();
        let begun = Instant::now();
        for path in ["slow", "next", "slow"] {
            let readiness = files.prepare(Path::new(path), begun);
            assert_eq!(readiness, Readiness::Later, "{path}");
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        let late = begun + PATIENCE;
        for (path, why) in [("slow", "it takes too long to read"), ("next", BUSY)] {
            assert_eq!(files.prepare(Path::new(path), late), Readiness::Now);
            let refused = files.take(Path::new(path)).err();
            assert_eq!(refused, Some(format!("{path}: {why}")));
        }
        // Whoever waits for nothing more hangs up.
        drop(release);
        let waiting = Instant::now();
        let much_later = late + 2 * FRESH;
        loop {
            let next = until_read(&mut files, "next", much_later);
            if next.as_deref() == Some("next: was slow") {
                break;
            }
            assert!(waiting.elapsed() < Duration::from_secs(10), "{next:?}");
        }
    }

    #[test]
    fn all_who_wait_for_a_file_hear_what_became_of_it() {
        let (mut files, release) = slow_files();
        let now = Instant::now();
        assert_eq!(files.prepare(Path::new("slow"), now), Readiness::Later);
        release.send(()).expect("a reader");
        for _ in 0..2 {
            let outcome = until_read(&mut files, "slow", now);
            assert_eq!(outcome.as_deref(), Some("slow: was slow"));
        }
    }
}
