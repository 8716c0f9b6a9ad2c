//! One medium of a phone played by hand: it sends back what it hears, as a source of its own.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// The port of a medium; it is open as long as the value lives.
#[derive(Debug)]
pub struct Mirror {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What has come to a [`Mirror`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// RTP packets.
    pub packets: usize,
    /// Those among them that were not the next of their source.
    pub disordered: usize,
    /// Their sources, each once.
    pub sources: Vec<u32>,
    /// Their payload types, each once.
    pub payload_types: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    heard: Heard,
    /// The number of the last packet.
    last: Option<u16>,
    /// Where to send back to; `None`: nowhere yet.
    target: Option<SocketAddr>,
}

impl Mirror {
    /// At a free port of the loopback.
    ///
    /// # Errors
    /// If no socket can be had.
    pub fn new() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("binding")?;
        socket
            .set_read_timeout(Some(LOOK))
            .context("setting a timeout")?;
        let address = socket.local_addr().context("asking for the port")?;
        let state = Arc::new(Mutex::new(State::default()));
        let stop = Arc::<AtomicBool>::default();
        let thread = std::thread::spawn({
            let (state, stop) = (Arc::clone(&state), Arc::clone(&stop));
            move || {
                let mut room = [0; 2_048];
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(len) = socket.recv(&mut room) {
                        reflect(&socket, &state, &mut room[..len]);
                    }
                }
            }
        });
        Ok(Self {
            address,
            state,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it hears.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sends back to this address from now on.
    pub fn aim(&self, target: SocketAddr) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .target = Some(target);
    }

    /// What has come.
    #[must_use]
    pub fn heard(&self) -> Heard {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.heard.clone()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes note of a packet and sends it back. RTCP is passed over.
fn reflect(socket: &UdpSocket, state: &Mutex<State>, packet: &mut [u8]) {
    if packet.len() < HEADER_BYTES || packet[0] >> 6 != 2 || (192..=223).contains(&packet[1]) {
        return;
    }
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let sequence = u16::from_be_bytes([packet[2], packet[3]]);
    let source = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
    let payload_type = packet[1] & 0x7f;
    let is_next = state
        .last
        .is_none_or(|last| last.wrapping_add(1) == sequence);
    state.last = Some(sequence);
    let heard = &mut state.heard;
    heard.packets += 1;
    heard.disordered += usize::from(!is_next);
    if !heard.sources.contains(&source) {
        heard.sources.push(source);
    }
    if !heard.payload_types.contains(&payload_type) {
        heard.payload_types.push(payload_type);
    }
    packet[8..12].copy_from_slice(&(!source).to_be_bytes());
    if let Some(target) = state.target {
        // What does not go is missed by whoever waits for it.
        let _ = socket.send_to(packet, target);
    }
}

const HEADER_BYTES: usize = 12;
/// How soon it takes note of its end.
const LOOK: Duration = Duration::from_millis(50);
