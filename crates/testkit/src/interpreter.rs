//! Somebody between a switch and its media server, who puts other words into the switch's mouth.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// Carries `ng` over UDP. It ends when it is dropped.
#[derive(Debug)]
pub struct Interpreter {
    address: SocketAddr,
    answers: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Interpreter {
    /// Carries what comes to a media server, as `interpret` puts it, and its answers back.
    ///
    /// # Errors
    /// There is no free port.
    pub fn before(
        server: SocketAddr,
        interpret: impl Fn(&[u8]) -> Vec<u8> + Send + 'static,
    ) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("binding")?;
        socket.set_read_timeout(Some(LOOK)).context("a timeout")?;
        let address = socket.local_addr().context("asking for the port")?;
        let answers = Arc::<Mutex<Vec<String>>>::default();
        let stop = Arc::<AtomicBool>::default();
        let thread = std::thread::spawn({
            let (answers, stop) = (Arc::clone(&answers), Arc::clone(&stop));
            move || carry(&socket, server, &interpret, (&answers, &stop))
        });
        Ok(Self {
            address,
            answers,
            stop,
            thread: Some(thread),
        })
    }

    /// Where the switch is to look for its media server.
    #[must_use]
    pub fn control(&self) -> String {
        format!("udp:{}", self.address)
    }

    /// What the server has answered to requests that were changed.
    #[must_use]
    pub fn answers(&self) -> Vec<String> {
        let answers = self.answers.lock();
        answers.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has only to look at the flag.
            let _ = thread.join();
        }
    }
}

fn carry(
    socket: &UdpSocket,
    server: SocketAddr,
    interpret: &impl Fn(&[u8]) -> Vec<u8>,
    (answers, stop): (&Mutex<Vec<String>>, &AtomicBool),
) {
    let mut client = None;
    let mut changed: Vec<Vec<u8>> = Vec::new();
    let mut room = [0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut room) else {
            continue;
        };
        let bytes = &room[..len];
        let cookie = bytes.split(|b| *b == b' ').next().unwrap_or_default();
        if from == server {
            if changed.iter().any(|known| known == cookie) {
                let answer = String::from_utf8_lossy(bytes).into_owned();
                let mut all = answers.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(answer);
            }
            // What is lost is asked again.
            let _ = client.map(|client| socket.send_to(bytes, client));
            continue;
        }
        client = Some(from);
        let other = interpret(bytes);
        if other != bytes {
            changed.push(cookie.to_vec());
        }
        let _ = socket.send_to(&other, server);
    }
}

const LOOK: Duration = Duration::from_millis(50);
