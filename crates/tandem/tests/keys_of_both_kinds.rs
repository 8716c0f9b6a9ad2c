//! A browser that is offered keys in the description and keys by DTLS together, as proxies have it
//! done for RTP/SAVP and RTP/SAVPF without saying whence keys come.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use testkit::{Baresip, Browser, MediaServer, Platform};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
/// What the switch asks for a browser in bencode, and what a proxy would that leaves the choice to
/// the two: another profile, and no word about keys in the description.
const WORDS: [(&[u8], &[u8]); 2] = [
    (b"17:UDP/TLS/RTP/SAVPF", b"9:RTP/SAVPF"),
    (b"4:SDESl3:offe", b""),
];
const LOOK: Duration = Duration::from_millis(50);

/// Stands between a switch and its media server, and puts other words into the switch's mouth.
struct Interpreter {
    address: SocketAddr,
    /// What the server has answered to requests that were changed.
    answers: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Interpreter {
    fn before(server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("binding")?;
        socket.set_read_timeout(Some(LOOK)).context("a timeout")?;
        let address = socket.local_addr().context("asking for the port")?;
        let answers = Arc::<Mutex<Vec<String>>>::default();
        let stop = Arc::<AtomicBool>::default();
        let thread = std::thread::spawn({
            let (answers, stop) = (Arc::clone(&answers), Arc::clone(&stop));
            move || {
                let mut client = None;
                let mut changed: Vec<Vec<u8>> = Vec::new();
                let mut room = [0; 65_536];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((len, from)) = socket.recv_from(&mut room) else {
                        continue;
                    };
                    let bytes = room[..len].to_vec();
                    let cookie = bytes.split(|b| *b == b' ').next().unwrap_or_default();
                    if from == server {
                        if changed.iter().any(|known| known == cookie) {
                            let answer = String::from_utf8_lossy(&bytes).into_owned();
                            let mut all = answers.lock().unwrap_or_else(PoisonError::into_inner);
                            all.push(answer);
                        }
                        // What is lost is asked again.
                        let _ = client.map(|client| socket.send_to(&bytes, client));
                        continue;
                    }
                    client = Some(from);
                    let other = interpret(&bytes);
                    if other != bytes {
                        changed.push(cookie.to_vec());
                    }
                    let _ = socket.send_to(&other, server);
                }
            }
        });
        Ok(Self {
            address,
            answers,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn interpret(request: &[u8]) -> Vec<u8> {
    let mut out = request.to_vec();
    for (said, meant) in WORDS {
        if let Some(at) = out.windows(said.len()).position(|window| window == said) {
            out.splice(at..at + said.len(), meant.iter().copied());
        }
    }
    out
}

#[test]
fn a_browser_that_is_offered_keys_of_both_kinds_takes_those_by_dtls() -> Result<()> {
    let server = MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &[])?;
    let control = server.control();
    let address = control.trim_start_matches("udp:");
    let interpreter = Interpreter::before(address.parse().context("the server's address")?)?;
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let control = format!("udp:{}", interpreter.address);
    platform
        .rest()
        .add_media_server("m1", &control, &json!({}))?;
    let ready = platform.ready();
    let password = &ready.user("bob").password;
    let mut bob = Browser::register("bob", &ready.domain, password, ready.sip.wss, BOB_HZ)?;
    let mut alice = Baresip::register(platform.phone("alice", ALICE_HZ))?;
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    let answers = interpreter
        .answers
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let offer = answers.first().context("an offer for the browser")?;
    for word in [" RTP/SAVPF ", "a=crypto:", "a=fingerprint:"] {
        assert!(offer.contains(word), "{offer}");
    }
    Ok(())
}
