//! The thread that writes recordings: decodes, mixes, and is the only one to touch the disk.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use audio::{Codec, Decoder};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::file::RecordingFile;
use super::mixer::{Mixer, Piece};
use super::tap::{self, Queue};
use super::{
    Codecs, FileName, Recorded, RecordingFormat, RecordingOutcome, channel, file_name, repair,
};

/// The writer, as the engine sees it.
#[derive(Debug)]
pub(crate) struct Recorder {
    queue: Queue,
    recorded: Receiver<Recorded>,
    thread: Option<JoinHandle<()>>,
    next_id: u64,
}

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    Start {
        id: u64,
        start: Box<Start>,
        file: Arc<FileName>,
    },
    Codecs {
        id: u64,
        codecs: Codecs,
    },
    Chunk {
        id: u64,
        now_us: u64,
        bytes: Vec<u8>,
    },
    End {
        id: u64,
        missing_packets: u64,
    },
    Stop,
}

/// A recording that begins.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) session: u64,
    pub(crate) name: String,
    /// The number of the part, if no file is called so yet; else the next that is free.
    pub(crate) part: u16,
    pub(crate) format: RecordingFormat,
    pub(crate) sample_rate_hz: u32,
    pub(crate) codecs: Codecs,
}

impl Recorder {
    /// Starts the thread, which first repairs what an earlier process left in `dir`. `wake` is
    /// called when [`Recorder::poll`] has something.
    pub(crate) fn start(dir: PathBuf, wake: Arc<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        let (messages_in, messages) = unbounded();
        let (spare_in, spare) = bounded(SPARE_CHUNKS);
        let (recorded_in, recorded) = unbounded();
        let waiting = Arc::new(AtomicUsize::new(0));
        let writer = Writer {
            dir,
            messages,
            spare: spare_in,
            waiting: Arc::clone(&waiting),
            recorded: recorded_in,
            wake,
            open: HashMap::new(),
            samples: Vec::new(),
            mixed: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("recorder".into())
            .spawn(move || writer.run())?;
        Ok(Self {
            queue: Queue {
                messages: messages_in,
                spare,
                waiting,
            },
            recorded,
            thread: Some(thread),
            next_id: 0,
        })
    }

    /// Begins a recording; its number and its file. It ends when its tap is dropped.
    pub(crate) fn begin(&mut self, start: Start) -> (u64, Arc<FileName>, Queue) {
        self.next_id += 1;
        let id = self.next_id;
        let file = FileName::new(file_name(&start.name, start.part, start.format));
        self.tell(Message::Start {
            id,
            start: Box::new(start),
            file: Arc::clone(&file),
        });
        (id, file, self.queue.clone())
    }

    /// The codecs have changed.
    pub(crate) fn set_codecs(&self, id: u64, codecs: Codecs) {
        self.tell(Message::Codecs { id, codecs });
    }

    /// The next recording that ended.
    pub(crate) fn poll(&self) -> Option<Recorded> {
        self.recorded.try_recv().ok()
    }

    /// Finishes all files and ends the thread. To be called when no tap is left.
    pub(crate) fn stop(&mut self) {
        self.tell(Message::Stop);
        if self.thread.take().is_some_and(|t| t.join().is_err()) {
            tracing::error!("the writer of recordings had panicked");
        }
    }

    fn tell(&self, message: Message) {
        // A writer that is gone has said why.
        let _ = self.queue.messages.send(message);
    }
}

struct Writer {
    dir: PathBuf,
    messages: Receiver<Message>,
    spare: Sender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    recorded: Sender<Recorded>,
    wake: Arc<dyn Fn() + Send + Sync>,
    open: HashMap<u64, Recording>,
    /// Kept for their memory.
    samples: Vec<i16>,
    mixed: Vec<i16>,
}

struct Recording {
    start: Start,
    name: Arc<FileName>,
    /// `None` before the first chunk.
    mixer: Option<Mixer>,
    decoders: [Option<Decoder>; 2],
    now_us: u64,
    /// Why there is no file any more.
    file: Result<RecordingFile, String>,
    length_ms: u64,
}

impl Writer {
    fn run(mut self) {
        self.repair();
        while let Ok(message) = self.messages.recv() {
            match message {
                Message::Start { id, start, file } => self.begin(id, *start, file),
                Message::Codecs { id, codecs } => {
                    if let Some(recording) = self.open.get_mut(&id) {
                        recording.start.codecs = codecs;
                    }
                }
                Message::Chunk { id, now_us, bytes } => self.take(id, now_us, bytes),
                Message::End {
                    id,
                    missing_packets,
                } => self.end(id, missing_packets),
                Message::Stop => break,
            }
        }
        let left: Vec<u64> = self.open.keys().copied().collect();
        left.into_iter().for_each(|id| self.end(id, 0));
    }

    fn repair(&self) {
        let found = prepare(&self.dir).and_then(|()| repair::repair(&self.dir));
        let found = found.unwrap_or_else(|error| {
            tracing::error!(dir = %self.dir.display(), %error, "recordings cannot be kept there");
            Vec::new()
        });
        for (file, result) in found {
            let (outcome, length_ms) = match result {
                Ok(length_ms) => (RecordingOutcome::Repaired, length_ms),
                Err(error) => (failed(&error), 0),
            };
            self.report(Recorded {
                session: None,
                file,
                outcome,
                length_ms,
            });
        }
    }

    fn begin(&mut self, id: u64, start: Start, name: Arc<FileName>) {
        let made = prepare(&self.dir).and_then(|()| create(&self.dir, &start));
        let recording = Recording {
            start,
            name,
            mixer: None,
            decoders: [None, None],
            now_us: 0,
            file: Err(String::new()),
            length_ms: 0,
        };
        match made {
            Ok(file) => {
                recording.name.give(file.name().to_owned());
                let file = Ok(file);
                self.open.insert(id, Recording { file, ..recording });
            }
            Err(error) => {
                self.report(recording.recorded(failed(&error)));
                self.open.insert(id, recording);
            }
        }
    }

    fn take(&mut self, id: u64, now_us: u64, mut bytes: Vec<u8>) {
        self.waiting.fetch_sub(1, Relaxed);
        if let Some(recording) = self.open.get_mut(&id)
            && recording.file.is_ok()
        {
            recording.mix(&bytes, now_us, &mut self.samples);
            self.mixed.clear();
            if let Some(mixer) = &mut recording.mixer {
                mixer.drain(now_us, &mut self.mixed);
            }
            if let Err(failure) = recording.write(&self.mixed) {
                let recorded = recording.recorded(failure);
                self.report(recorded);
            }
        }
        bytes.clear();
        // One more than are kept is given back to the system.
        let _ = self.spare.try_send(bytes);
    }

    fn end(&mut self, id: u64, missing_packets: u64) {
        let Some(mut recording) = self.open.remove(&id) else {
            return;
        };
        if recording.file.is_err() {
            return;
        }
        self.mixed.clear();
        if let Some(mixer) = &mut recording.mixer {
            mixer.finish(recording.now_us, &mut self.mixed);
        }
        let outcome = match recording.write(&self.mixed) {
            Err(failure) => failure,
            Ok(()) => recording.finish(missing_packets),
        };
        self.report(recording.recorded(outcome));
    }

    fn report(&self, recorded: Recorded) {
        // The engine is there as long as this thread.
        let _ = self.recorded.send(recorded);
        (self.wake)();
    }
}

impl Recording {
    /// Puts the packets of a chunk where they belong.
    fn mix(&mut self, chunk: &[u8], now_us: u64, samples: &mut Vec<i16>) {
        self.now_us = now_us;
        let rate_hz = self.start.sample_rate_hz;
        let first_us = tap::frames(chunk).next().map(|frame| frame.arrival_us);
        let start_us = first_us.unwrap_or(now_us);
        let mixer = self
            .mixer
            .get_or_insert_with(|| Mixer::new(rate_hz, start_us));
        for frame in tap::frames(chunk) {
            let side = channel(frame.side);
            let mut codecs = self.start.codecs[side].iter();
            let Some((_, codec)) = codecs.find(|(pt, _)| *pt == frame.payload_type) else {
                continue;
            };
            samples.clear();
            let decoded = decoder(&mut self.decoders[side], *codec, rate_hz)
                .and_then(|decoder| decoder.decode(frame.payload, samples).ok());
            if decoded.is_none() {
                continue;
            }
            mixer.push(Piece {
                channel: side,
                ssrc: frame.ssrc,
                timestamp: frame.timestamp,
                clock_rate_hz: codec.clock_rate_hz(),
                arrival_us: frame.arrival_us,
                samples,
            });
        }
    }

    /// Appends to the file. What fails ends it; what was written before is kept.
    fn write(&mut self, samples: &[i16]) -> Result<(), RecordingOutcome> {
        let Ok(file) = &mut self.file else {
            return Ok(());
        };
        let result = file.write(samples);
        self.length_ms = file.length_ms();
        let Err(error) = result else { return Ok(()) };
        let outcome = failed(&error);
        if let Ok(file) = std::mem::replace(&mut self.file, Err(error.to_string()))
            && let Err(error) = file.salvage()
        {
            tracing::warn!(file = self.name.get(), %error, "the next start tries to repair it");
        }
        Err(outcome)
    }

    fn finish(&mut self, missing_packets: u64) -> RecordingOutcome {
        let file = std::mem::replace(&mut self.file, Err(String::new()));
        match file.map(RecordingFile::finish) {
            Ok(Err(error)) => failed(&error),
            _ if missing_packets > 0 => RecordingOutcome::Damaged { missing_packets },
            _ => RecordingOutcome::Finished,
        }
    }

    fn recorded(&self, outcome: RecordingOutcome) -> Recorded {
        Recorded {
            session: Some(self.start.session),
            file: self.name.get().to_owned(),
            outcome,
            length_ms: self.length_ms,
        }
    }
}

/// The decoder of a side, another if the codec has changed.
fn decoder(kept: &mut Option<Decoder>, codec: Codec, rate_hz: u32) -> Option<&mut Decoder> {
    if kept.as_ref().is_none_or(|decoder| decoder.codec() != codec) {
        *kept = Decoder::new(codec, rate_hz).ok();
    }
    kept.as_mut()
}

fn failed(error: &io::Error) -> RecordingOutcome {
    RecordingOutcome::Failed {
        reason: error.to_string(),
    }
}

/// Makes the file of a recording. A call may be recorded twice at a time, and its name come again
/// later: names that are taken are passed over.
fn create(dir: &Path, start: &Start) -> io::Result<RecordingFile> {
    let last = start.part.saturating_add(TAKEN_MAX);
    let mut part = start.part;
    loop {
        let name = file_name(&start.name, part, start.format);
        match RecordingFile::create(dir, &name, start.format, start.sample_rate_hz) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && part < last => part += 1,
            made => return made,
        }
    }
}

fn prepare(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Names passed over because they are taken; after so many the recording fails.
const TAKEN_MAX: u16 = 1_000;
/// Empty chunks kept for the taps.
const SPARE_CHUNKS: usize = 256;
