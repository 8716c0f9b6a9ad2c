//! Audio files, read on a thread of their own: a disk or a mount that hangs must not hold up requests.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use media::Audio;

/// Reads files for the desk. Its thread ends when this is dropped and it has read what it reads.
#[derive(Debug)]
pub(super) struct Files {
    /// `None` before the first file.
    reader: Option<Reader>,
}

#[derive(Debug)]
struct Reader {
    paths: Sender<(PathBuf, Sender<Outcome>)>,
}

type Outcome = Result<Audio, String>;

impl Files {
    pub(super) const fn new() -> Self {
        Self { reader: None }
    }

    /// A WAV file of at most [`FILE_BYTES_MAX`]; why there is none that could be played. A file
    /// that takes longer than [`PATIENCE`] is not waited for.
    pub(super) fn read(&mut self, path: &Path) -> Outcome {
        let told = |what: &str| format!("{}: {what}", path.display());
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let started = Reader::start();
                none.insert(started.map_err(|error| told(&error.to_string()))?)
            }
        };
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
            Err(RecvTimeoutError::Timeout) => Err(told("it takes too long to read")),
            Err(RecvTimeoutError::Disconnected) => Err(told(BUSY)),
        }
    }
}

impl Reader {
    fn start() -> std::io::Result<Self> {
        // What waits behind a file that hangs is refused at once.
        let (paths, asked) = bounded(1);
        thread::Builder::new()
            .name("ng-files".into())
            .spawn(move || run(&asked))?;
        Ok(Self { paths })
    }
}

fn run(asked: &Receiver<(PathBuf, Sender<Outcome>)>) {
    for (path, to) in asked {
        // Nobody waits for one that took too long.
        let _ = to.send(load(&path));
    }
}

fn load(path: &Path) -> Outcome {
    let said = |error: std::io::Error| error.to_string();
    // Before it is opened: that alone would wait for somebody to write into a pipe.
    if !fs::metadata(path).map_err(said)?.is_file() {
        return Err("not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(said)?;
    let mut longest = file.take(FILE_BYTES_MAX + 1);
    longest.read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("longer than {FILE_BYTES_MAX} bytes"));
    }
    Audio::from_wav(&bytes).map_err(|error| error.to_string())
}

const BUSY: &str = "another file is still being read";
/// How long requests wait for a file. Proxies repeat theirs after half a second or more.
const PATIENCE: Duration = Duration::from_millis(400);
/// Ten minutes at 48 kHz.
const FILE_BYTES_MAX: u64 = 64 << 20;
