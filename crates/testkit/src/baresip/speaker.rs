//! What a phone plays, taken where a sound card would take it: from a named pipe that is emptied
//! as fast as a card plays.
//!
//! The recordings of baresip's `sndfile` do not tell it. They are a filter behind the decoder, and
//! baresip 1.0 takes all of those away with each re-INVITE that leaves a direction other than
//! `sendrecv`, and does not put them back: what the held phone plays is in no recording.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::audio::SAMPLE_RATE_HZ;

/// The sound card of one phone.
#[derive(Debug)]
pub(super) struct Speaker {
    played: Arc<Mutex<VecDeque<i16>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Speaker {
    /// Makes the card in the phone's directory.
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let pipe = directory.join("speaker");
        let status = Command::new("mkfifo").arg(&pipe).status();
        ensure!(status.context("starting mkfifo")?.success(), "no pipe");
        std::fs::write(alsa_config(directory), card(&pipe)).context("describing the card")?;
        // Open for writing as well, it has no end between two calls.
        let open = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&pipe);
        let pipe = open.context("opening the pipe")?;
        let (played, stop) = (Arc::default(), Arc::default());
        let thread = thread::spawn({
            let (played, stop) = (Arc::clone(&played), Arc::clone(&stop));
            move || play(pipe, &played, &stop)
        });
        Ok(Self {
            played,
            stop,
            thread: Some(thread),
        })
    }

    /// What was played last, the newest at the end: at most a second, at 8 kHz.
    pub(super) fn played(&self) -> Vec<i16> {
        let played = self.played.lock();
        let played = played.unwrap_or_else(PoisonError::into_inner);
        played.iter().copied().collect()
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // It looks at the flag fifty times a second.
            let _ = thread.join();
        }
    }
}

/// Where the phone's ALSA is told of its card.
pub(super) fn alsa_config(directory: &Path) -> PathBuf {
    directory.join("asound.conf")
}

/// Lines of the phone's configuration. A pipe holds 64 KiB; at this rate that is a third of a
/// second, which is as long as what is heard comes late.
pub(super) fn config() -> String {
    format!(
        "module alsa.so\n\
         audio_player alsa,{CARD}\n\
         auplay_srate {CARD_RATE_HZ}\n\
         auplay_channels {CARD_CHANNELS}\n"
    )
}

fn card(pipe: &Path) -> String {
    let pipe = pipe.display();
    format!("pcm.{CARD} {{ type file slave.pcm {{ type null }} file \"{pipe}\" format \"raw\" }}\n")
}

fn play(mut pipe: File, played: &Mutex<VecDeque<i16>>, stop: &AtomicBool) {
    let mut due = Instant::now();
    let mut frame = vec![0; CARD_FRAME_BYTES];
    while !stop.load(Relaxed) {
        let mut filled = 0;
        // Would block, where nothing plays.
        while filled < frame.len()
            && let Ok(count @ 1..) = pipe.read(&mut frame[filled..])
        {
            filled += count;
        }
        let samples = frame[..filled].chunks_exact(CARD_STEP_BYTES);
        let samples = samples.map(|at| i16::from_le_bytes([at[0], at[1]]));
        let mut played = played.lock().unwrap_or_else(PoisonError::into_inner);
        played.extend(samples);
        let surplus = played.len().saturating_sub(SAMPLE_RATE_HZ as usize);
        played.drain(..surplus);
        drop(played);
        due += FRAME;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

const CARD: &str = "speaker";
const CARD_RATE_HZ: usize = 48_000;
const CARD_CHANNELS: usize = 2;
const FRAME: Duration = Duration::from_millis(20);
/// Samples of 16 bits in 20 ms.
const CARD_FRAME_BYTES: usize = CARD_RATE_HZ / 50 * CARD_CHANNELS * 2;
/// From one sample at 8 kHz to the next.
const CARD_STEP_BYTES: usize = CARD_RATE_HZ / SAMPLE_RATE_HZ as usize * CARD_CHANNELS * 2;
