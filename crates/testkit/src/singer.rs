//! One medium of a phone played by hand: it says a tone for as long as it is told to.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::audio;

/// The port of a medium; it is open as long as the value lives.
#[derive(Debug)]
pub struct Singer {
    address: SocketAddr,
    song: Arc<Mutex<Option<Song>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What is said, and to where.
#[derive(Clone, Debug)]
struct Song {
    target: SocketAddr,
    /// A second of it, in A-law.
    sound: Vec<u8>,
}

impl Singer {
    /// At a free port of the loopback, silent.
    ///
    /// # Errors
    /// If no socket can be had.
    pub fn new() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("binding")?;
        let address = socket.local_addr().context("asking for the port")?;
        let song = Arc::<Mutex<Option<Song>>>::default();
        let stop = Arc::<AtomicBool>::default();
        let thread = std::thread::spawn({
            let (song, stop) = (Arc::clone(&song), Arc::clone(&stop));
            move || sing(&socket, &song, &stop)
        });
        Ok(Self {
            address,
            song,
            stop,
            thread: Some(thread),
        })
    }

    /// Where media for it would go.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says a tone of so many Hz to this address from now on.
    pub fn sing(&self, frequency_hz: u32, target: SocketAddr) {
        let samples = audio::tone(f64::from(frequency_hz), 1.0);
        let sound = audio::to_alaw(&samples);
        self.set(Some(Song { target, sound }));
    }

    /// Says nothing any more.
    pub fn hush(&self) {
        self.set(None);
    }

    fn set(&self, song: Option<Song>) {
        *self.song.lock().unwrap_or_else(PoisonError::into_inner) = song;
    }
}

impl Drop for Singer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sends a packet every 20 ms while there is a song. The numbers go on through its pauses, as those
/// of a phone do.
fn sing(socket: &UdpSocket, song: &Mutex<Option<Song>>, stop: &AtomicBool) {
    let began = Instant::now();
    let (mut sequence, mut frame) = (0_u16, 0_u32);
    while !stop.load(Ordering::Relaxed) {
        let known = song.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(Song { target, sound }) = known {
            sequence = sequence.wrapping_add(1);
            let header = rtp::Header {
                payload_type: PCMA,
                sequence,
                timestamp: frame.wrapping_mul(FRAME_SAMPLES),
                ssrc: SSRC,
                ..rtp::Header::default()
            };
            let at = (frame * FRAME_SAMPLES) as usize % sound.len();
            let packet = [
                &header.encode()[..],
                &sound[at..at + FRAME_SAMPLES as usize],
            ]
            .concat();
            // What does not go is missed by whoever waits for it.
            let _ = socket.send_to(&packet, target);
        }
        frame += 1;
        let next = began + FRAME * frame;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

const FRAME: Duration = Duration::from_millis(20);
const FRAME_SAMPLES: u32 = 160;
const PCMA: u8 = 8;
const SSRC: u32 = 0x51_6e_67;
