//! Takes finished recordings to an S3-compatible store.
//!
//! The directory of recordings is the queue: what lies in it under its own name and has no receipt
//! is yet to be taken there. A receipt is written when the store has confirmed a file, and only
//! then may the file go; so a process may be killed at any moment, and at worst a file is sent
//! twice. Where a recording went is remembered for [`RECEIPTS_KEPT`]. While the store cannot be reached, or refuses us, it is asked again at growing
//! intervals, for as long as it takes.

mod bucket;
mod elsewhere;
mod queue;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use model::{AfterUpload, RecordingStore};
use switch::media_servers::Upload;

pub(crate) use bucket::{Access, UploadError};
use bucket::{Remote, Sent};
pub(crate) use elsewhere::Elsewhere;
use elsewhere::Noted;
pub(crate) use queue::{Queue, Receipt};

/// The thread that uploads. It ends with its last handle, in the middle of a file if need be.
#[derive(Clone, Debug)]
pub(crate) struct Uploads {
    orders: Sender<Order>,
    pub(crate) figures: Arc<Figures>,
}

/// What became of the files so far.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) uploaded: AtomicU64,
    pub(crate) uploaded_bytes: AtomicU64,
    /// Attempts that failed.
    pub(crate) failed: AtomicU64,
    /// Files that are not there yet.
    pub(crate) waiting: AtomicU64,
}

/// What became of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Uploaded {
    /// The media server that has made the attempt; `None`: this process.
    pub(crate) server: Option<String>,
    pub(crate) file: String,
    /// Where it is now, or why it is not.
    pub(crate) result: Result<String, String>,
}

enum Order {
    Configure(Box<RecordingStore>),
    Look,
    Note(Box<Upload>),
}

impl Uploads {
    /// Starts the thread for a directory of recordings, which it looks at when it is told to, and
    /// by itself after `idle`. `told` hears of each attempt, on the thread.
    pub(crate) fn start(
        recordings: PathBuf,
        access: Access,
        idle: Duration,
        told: impl Fn(Uploaded) + Send + 'static,
    ) -> Result<Self> {
        let (orders_in, orders) = unbounded();
        let figures = Arc::new(Figures::default());
        let uploader = Uploader {
            orders,
            elsewhere: Elsewhere::of(&recordings),
            queue: Queue::new(recordings),
            access,
            idle,
            told: Box::new(told),
            figures: Arc::clone(&figures),
            leftovers: None,
            store: RecordingStore::default(),
            sweeps_at: Instant::now(),
            pause: Duration::ZERO,
            resumes_at: Instant::now(),
        };
        thread::Builder::new()
            .name("uploads".into())
            .spawn(move || uploader.run())
            .context("no thread for uploads")?;
        Ok(Self {
            orders: orders_in,
            figures,
        })
    }

    /// Where files go from now on; what waits is tried at once.
    pub(crate) fn configure(&self, store: &RecordingStore) {
        self.tell(Order::Configure(Box::new(store.clone())));
    }

    /// A recording has been finished.
    pub(crate) fn look(&self) {
        self.tell(Order::Look);
    }

    /// The store of a media server has a recording: that is noted here, and told if it is new.
    pub(crate) fn note(&self, upload: Upload) {
        self.tell(Order::Note(Box::new(upload)));
    }

    fn tell(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::error!("the thread for uploads is gone");
        }
    }
}

struct Uploader {
    orders: Receiver<Order>,
    queue: Queue,
    elsewhere: Elsewhere,
    access: Access,
    idle: Duration,
    told: Box<dyn Fn(Uploaded) + Send>,
    figures: Arc<Figures>,
    /// Files that the store has and that could not be removed here yet; `None` until the first look
    /// at what another process has left.
    leftovers: Option<Vec<String>>,
    store: RecordingStore,
    /// When old receipts are looked for next.
    sweeps_at: Instant,
    /// After a failure: how long nothing is tried, and until when.
    pause: Duration,
    resumes_at: Instant,
}

/// What a look at the directory has come to.
enum Round {
    /// The store has everything.
    Empty,
    /// There is more, and the store goes along.
    More,
    /// A file stayed behind.
    Failed,
}

impl Uploader {
    fn run(mut self) {
        let mut wait = self.idle;
        loop {
            match self.orders.recv_timeout(wait) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok(order) = self.orders.try_recv() {
                self.obey(order);
            }
            self.sweep();
            // A pause is a pause, however many recordings end in it.
            let rest = self.resumes_at.saturating_duration_since(Instant::now());
            wait = if rest.is_zero() { self.go_on() } else { rest };
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Configure(store) if *store != self.store => {
                self.store = *store;
                self.pause = Duration::ZERO;
                self.resumes_at = Instant::now();
            }
            Order::Configure(_) | Order::Look => {}
            Order::Note(upload) => self.note(&upload),
        }
    }

    fn note(&self, upload: &Upload) {
        match self.elsewhere.note(upload) {
            Ok(Noted::Before) => {}
            Ok(Noted::Now) => (self.told)(upload.into()),
            Err(error) => {
                let file = &upload.file;
                tracing::warn!(%file, %error, "where a recording is now cannot be noted");
                (self.told)(upload.into());
            }
        }
    }

    /// Forgets where recordings are that nobody will ask for any more.
    fn sweep(&mut self) {
        let now = Instant::now();
        if now < self.sweeps_at {
            return;
        }
        self.sweeps_at = now + SWEEP;
        let Some(before) = SystemTime::now().checked_sub(RECEIPTS_KEPT) else {
            return;
        };
        let forgotten = self.queue.forget_before(before) + self.elsewhere.forget_before(before);
        if forgotten > 0 {
            tracing::info!(forgotten, "receipts of old uploads were removed");
        }
    }

    /// Takes some of what waits to the store; how long to wait until the next look.
    fn go_on(&mut self) -> Duration {
        if self.store.endpoint.is_none() {
            self.figures.waiting.store(0, Relaxed);
            return self.idle;
        }
        match self.round() {
            Round::Failed => {
                self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                self.resumes_at = Instant::now() + self.pause;
                self.pause
            }
            Round::More => {
                self.pause = Duration::ZERO;
                Duration::ZERO
            }
            Round::Empty => {
                self.pause = Duration::ZERO;
                self.idle
            }
        }
    }

    fn round(&mut self) -> Round {
        self.clear_away();
        let waiting = match self.queue.waiting() {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::warn!(%error, "the directory of recordings cannot be read");
                return Round::Failed;
            }
        };
        self.figures.waiting.store(waiting.len() as u64, Relaxed);
        let remote = self.access.remote(&self.store);
        let (mut uploaded, mut failed) = (0, false);
        for file in waiting {
            let result = match &remote {
                Ok(remote) => self.upload(remote, &file),
                Err(error) => Err(error.clone()),
            };
            match result {
                Ok(location) => {
                    self.say(&file, Ok(location));
                    uploaded += 1;
                }
                Err(UploadError::Gone) => {}
                Err(error) => {
                    failed = true;
                    self.say(&file, Err(error.to_string()));
                    // What ails the store ails the next file, too.
                    if !matches!(error, UploadError::Refused(_)) {
                        break;
                    }
                }
            }
            if uploaded == ROUND_MAX {
                return Round::More;
            }
        }
        if failed { Round::Failed } else { Round::Empty }
    }

    /// Removes what the store has and what is to go.
    fn clear_away(&mut self) {
        let found = match self.leftovers.take() {
            Some(left) => left,
            None => self.queue.leftovers(),
        };
        let still = |file: &String| self.queue.remove(file).is_err();
        self.leftovers = Some(found.into_iter().filter(still).collect());
    }

    fn upload(&mut self, remote: &Remote, file: &str) -> Result<String, UploadError> {
        let path = self.queue.path(file);
        let Sent { bytes, location } = remote.send(&path, file)?;
        let after = self.store.after_upload;
        let receipt = Receipt::of(&path, location.clone(), bytes, after);
        let confirmed = self.queue.confirm(file, &receipt);
        confirmed.map_err(|error| UploadError::Here(error.to_string()))?;
        if after == AfterUpload::Delete
            && let Err(error) = self.queue.remove(file)
        {
            tracing::warn!(file, %error, "an uploaded recording cannot be removed here yet");
            self.leftovers.get_or_insert_default().push(file.to_owned());
        }
        self.figures.uploaded_bytes.fetch_add(bytes, Relaxed);
        Ok(location)
    }

    fn say(&self, file: &str, result: Result<String, String>) {
        match &result {
            Ok(location) => {
                self.figures.uploaded.fetch_add(1, Relaxed);
                self.figures.waiting.fetch_sub(1, Relaxed);
                tracing::debug!(file, location, "uploaded");
            }
            Err(reason) => {
                self.figures.failed.fetch_add(1, Relaxed);
                tracing::warn!(
                    file,
                    reason,
                    "a recording is not uploaded yet; it is tried again"
                );
            }
        }
        (self.told)(Uploaded {
            server: None,
            file: file.to_owned(),
            result,
        });
    }
}

/// How long it is known where a recording went whose file is not here. The receipt of a file that is
/// here stays with it: without one it would be sent again.
pub(crate) const RECEIPTS_KEPT: Duration = Duration::from_secs(400 * 86_400);
/// Between two looks for old receipts.
const SWEEP: Duration = Duration::from_secs(3_600);
/// Files uploaded between two looks at what the orders are.
const ROUND_MAX: usize = 100;
/// Between two attempts after a failure: twice as long each time.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
