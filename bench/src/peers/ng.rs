//! A client of the `ng` protocol: bencode over UDP with a cookie.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use testkit::wait_for;

use crate::load::message::Message;
use crate::load::uac;
use crate::peers::rtpengine::bencode;

/// Asks one media server.
pub(crate) struct NgClient {
    socket: UdpSocket,
    next_cookie: u32,
}

impl NgClient {
    /// Waits until the server answers.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding")?;
        socket.connect(address).context("connecting")?;
        let timeout = Some(ANSWER_PATIENCE);
        socket
            .set_read_timeout(timeout)
            .context("setting a timeout")?;
        let mut client = Self {
            socket,
            next_cookie: 0,
        };
        wait_for("an answer of the media server", || {
            client.ask(&[("command", "ping")]).ok()
        });
        Ok(client)
    }

    /// Ends a call at once.
    pub(crate) fn delete(&mut self, number: usize) -> Result<()> {
        let id = format!("bench-{number}");
        // Integers are strings to both servers where they are read from a script.
        self.ask(&[
            ("command", "delete"),
            ("call-id", &id),
            ("from-tag", "a"),
            ("delete-delay", "0"),
        ])?;
        Ok(())
    }

    /// Sets up a call between two media ports; gives the relay's ports for caller and callee.
    pub(crate) fn call(&mut self, number: usize, media_ports: (u16, u16)) -> Result<(u16, u16)> {
        let offer = uac::session(Ipv4Addr::LOCALHOST, media_ports.0);
        let answer = uac::session(Ipv4Addr::LOCALHOST, media_ports.1);
        self.call_between(number, &offer, &answer, &[])
    }

    /// The same with these descriptions; `more` is asked of the server for the offer.
    pub(crate) fn call_between(
        &mut self,
        number: usize,
        offer: &str,
        answer: &str,
        more: &[(&str, &str)],
    ) -> Result<(u16, u16)> {
        let id = format!("bench-{number}");
        let mut offered = vec![
            ("command", "offer"),
            ("call-id", &id),
            ("from-tag", "a"),
            ("sdp", offer),
        ];
        offered.extend_from_slice(more);
        let to_callee = self.session(&offered)?;
        let to_caller = self.session(&[
            ("command", "answer"),
            ("call-id", &id),
            ("from-tag", "a"),
            ("to-tag", "b"),
            ("sdp", answer),
        ])?;
        Ok((to_caller, to_callee))
    }

    /// Gives a command; takes the audio port out of the session description that comes back.
    fn session(&mut self, dictionary: &[(&str, &str)]) -> Result<u16> {
        let answer = self.ask(dictionary)?;
        // The session description is the only value with such lines in it.
        let message = Message {
            body: &answer,
            ..Message::default()
        };
        match message.audio_port() {
            Some(port) => Ok(port),
            None => bail!("the media server: {}", String::from_utf8_lossy(&answer)),
        }
    }

    fn ask(&mut self, dictionary: &[(&str, &str)]) -> Result<Vec<u8>> {
        self.next_cookie += 1;
        // rtpengine repeats its answer to a cookie whoever sends it: no two clients may share one.
        let port = self.socket.local_addr().context("no address")?.port();
        let cookie = format!("{port}_{} ", self.next_cookie);
        let mut bytes = cookie.clone().into_bytes();
        bytes.extend(bencode(dictionary).into_bytes());
        self.socket.send(&bytes).context("sending")?;
        let mut buffer = vec![0; 65_536];
        loop {
            let size = self.socket.recv(&mut buffer).context("no answer")?;
            if let Some(answer) = buffer[..size].strip_prefix(cookie.as_bytes()) {
                return Ok(answer.to_vec());
            }
        }
    }
}

const ANSWER_PATIENCE: Duration = Duration::from_millis(500);
