//! Audio files, read on a thread of their own: a disk or a mount that hangs must not hold up requests.
//!
//! Whoever plays a file shares what was read of it, as long as the file is the same.

mod shelf;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};
use media::Audio;
use shelf::{Shelf, Stamp};

/// Reads files for the desk. Its thread ends when this is dropped and it has read what it reads.
#[derive(Debug)]
pub(super) struct Files {
    /// `None` before the first file.
    reader: Option<Reader>,
}

#[derive(Debug)]
struct Reader {
    paths: Sender<(PathBuf, Sender<Outcome>)>,
    /// What became of a file that was not waited for any longer.
    late: Option<Receiver<Outcome>>,
}

type Outcome = Result<Audio, String>;

impl Files {
    pub(super) const fn new() -> Self {
        Self { reader: None }
    }

    /// A WAV file of at most [`FILE_BYTES_MAX`]; why there is none that could be played. A file
    /// that takes longer than [`PATIENCE`] is not waited for, and until it was read no other is.
    pub(super) fn read(&mut self, path: &Path) -> Outcome {
        let told = |what: &str| format!("{}: {what}", path.display());
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let mut shelf = Shelf::new(KEPT_BYTES_MAX);
                let started = Reader::start(move |path| load(&mut shelf, path));
                none.insert(started.map_err(|error| told(&error.to_string()))?)
            }
        };
        if reader.hangs() {
            return Err(told(BUSY));
        }
        let (to, from) = bounded(1);
        match reader.paths.try_send((path.to_owned(), to)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(told(BUSY)),
            Err(TrySendError::Disconnected(_)) => {
                self.reader = None;
                return Err(told(BUSY));
            }
        }
        match from.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome.map_err(|what| told(&what)),
            Err(RecvTimeoutError::Timeout) => {
                reader.late = Some(from);
                Err(told("it takes too long to read"))
            }
            Err(RecvTimeoutError::Disconnected) => Err(told(BUSY)),
        }
    }
}

impl Reader {
    fn start(load: impl FnMut(&Path) -> Outcome + Send + 'static) -> std::io::Result<Self> {
        let (paths, asked) = bounded(1);
        thread::Builder::new()
            .name("ng-files".into())
            .spawn(move || run(&asked, load))?;
        Ok(Self { paths, late: None })
    }

    /// Whether it still reads what was not waited for.
    fn hangs(&mut self) -> bool {
        let is_reading =
            |late: &Receiver<Outcome>| matches!(late.try_recv(), Err(TryRecvError::Empty));
        self.late.take_if(|late| !is_reading(late));
        self.late.is_some()
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
/// Ten minutes at 48 kHz.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Of what was read, kept for whoever plays it next: two files of the greatest length, or two hours
/// of speech.
const KEPT_BYTES_MAX: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn while_a_file_hangs_the_next_is_refused_at_once() {
        let (release, released) = bounded::<()>(0);
        let reader = Reader::start(move |_| {
            // A mount that does not answer.
            let _ = released.recv();
            Err("was slow".to_owned())
        });
        let mut files = Files {
            reader: Some(reader.expect("a thread")),
        };
        let slow = files.read(Path::new("slow"));
        assert_eq!(
            slow.err().as_deref(),
            Some("slow: it takes too long to read")
        );
        let asked = Instant::now();
        for _ in 0..5 {
            let refused = files.read(Path::new("next")).err();
            assert_eq!(refused, Some(format!("next: {BUSY}")));
        }
        assert!(asked.elapsed() < PATIENCE / 2, "{:?}", asked.elapsed());
        // Whoever waits for nothing more hangs up.
        drop(release);
        let reader = files.reader.as_ref().expect("a thread");
        let late = reader.late.clone().expect("it was late");
        assert!(late.recv().is_ok_and(|outcome| outcome.is_err()));
        let next = files.read(Path::new("next")).err();
        assert_eq!(next.as_deref(), Some("next: was slow"));
    }
}
