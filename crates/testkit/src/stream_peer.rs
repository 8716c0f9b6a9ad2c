//! A SIP peer written by hand, over one TCP connection or WebSocket.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::digest::Credentials;
use crate::hand_phone::answer_challenge;
use crate::message::Message;
use crate::request;

/// One connection to the platform; closed when dropped.
#[derive(Debug)]
pub struct StreamPeer {
    stream: TcpStream,
    framing: Framing,
    address: SocketAddr,
    received: Vec<u8>,
}

/// How messages lie in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// By Content-Length (RFC 3261 §18.3).
    ContentLength,
    /// One message in each text frame (RFC 7118 §5).
    WebSocket,
}

impl StreamPeer {
    /// Connects over TCP.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn tcp(remote: SocketAddr) -> Result<Self> {
        Self::connect(remote, Framing::ContentLength)
    }

    /// Connects over TCP and becomes a WebSocket that speaks SIP (RFC 7118 §4).
    ///
    /// # Errors
    /// If nobody listens there, or it is no such WebSocket.
    pub fn websocket(remote: SocketAddr) -> Result<Self> {
        let mut peer = Self::connect(remote, Framing::WebSocket)?;
        let upgrade = format!(
            "GET / HTTP/1.1\r\nHost: {remote}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: sip\r\n\r\n"
        );
        peer.stream.write_all(upgrade.as_bytes())?;
        let deadline = Instant::now() + crate::PATIENCE;
        let end = loop {
            if let Some(at) = find(&peer.received, b"\r\n\r\n") {
                break at + 4;
            }
            ensure!(peer.read_more(deadline), "no answer to the upgrade");
        };
        let answer: Vec<u8> = peer.received.drain(..end).collect();
        ensure!(
            answer.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        Ok(peer)
    }

    fn connect(remote: SocketAddr, framing: Framing) -> Result<Self> {
        let stream = TcpStream::connect(remote).context("connecting")?;
        stream.set_nodelay(true)?;
        let address = stream.local_addr()?;
        Ok(Self {
            stream,
            framing,
            address,
            received: Vec::new(),
        })
    }

    /// Its end of the connection.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request outside of any dialog, as [`crate::Peer::request`] makes it.
    #[must_use]
    pub fn request(&self, method: &str, uri: &str, extra: &[&str], body: &str) -> String {
        request::outside_dialog(self.transport(), self.address, method, uri, extra, body)
    }

    /// The same request once more, with credentials for the challenge of `refusal`.
    ///
    /// # Panics
    /// If `first` is none of our requests, or `refusal` holds no challenge.
    #[must_use]
    pub fn answer_challenge(
        &self,
        who: &Credentials,
        first: &str,
        refusal: &Message,
        body: &str,
    ) -> String {
        answer_challenge(
            self.transport(),
            self.address,
            who,
            first,
            refusal,
            &[],
            body,
        )
    }

    /// A response to `request`, as [`crate::Peer::response`] makes it.
    #[must_use]
    pub fn response(&self, request: &Message, status: &str) -> String {
        let contact = request::contact(self.transport(), self.address);
        request::response(request, status, "", contact, &[], "")
    }

    /// The ACK of a response to an INVITE, as [`crate::Peer::ack`] makes it.
    #[must_use]
    pub fn ack(&self, invite: &str, response: &Message) -> String {
        request::ack(self.transport(), self.address, invite, response)
    }

    fn transport(&self) -> &'static str {
        match self.framing {
            Framing::ContentLength => "TCP",
            Framing::WebSocket => "WS",
        }
    }

    /// Sends these bytes: over WebSocket as one text frame.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let bytes = bytes.as_ref();
        match self.framing {
            Framing::ContentLength => self.stream.write_all(bytes),
            Framing::WebSocket => self.stream.write_all(&text_frame(bytes)),
        }
        .context("sending")
    }

    /// Sends these bytes without any framing.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("sending")
    }

    /// The next message that `wanted` accepts; others are passed over.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn expect(&mut self, what: &str, mut wanted: impl FnMut(&Message) -> bool) -> Message {
        let deadline = Instant::now() + crate::PATIENCE;
        let mut passed_over = Vec::new();
        loop {
            while let Some(message) = self.next_message() {
                if wanted(&message) {
                    return message;
                }
                passed_over.push(message.start);
            }
            assert!(
                self.read_more(deadline),
                "waited in vain for {what}; there came: {passed_over:?}"
            );
        }
    }

    /// The next response with this status to a request with this method.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn expect_status(&mut self, status: u16, method: &str) -> Message {
        let what = format!("{status} to {method}");
        self.expect(&what, |m| {
            m.status() == Some(status) && m.method() == method
        })
    }

    /// Whether the other side closes the connection within `time`.
    #[must_use]
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if !self.read_more(deadline) {
                return Instant::now() < deadline;
            }
        }
        false
    }

    fn next_message(&mut self) -> Option<Message> {
        let (start, end) = match self.framing {
            Framing::ContentLength => self.sip_bounds()?,
            Framing::WebSocket => self.frame_bounds()?,
        };
        let text = String::from_utf8_lossy(&self.received[start..end]).into_owned();
        self.received.drain(..end);
        Message::parse(&text)
    }

    fn sip_bounds(&mut self) -> Option<(usize, usize)> {
        while self.received.starts_with(b"\r\n") {
            self.received.drain(..2);
        }
        let head = find(&self.received, b"\r\n\r\n")? + 4;
        let message = Message::parse(&String::from_utf8_lossy(&self.received[..head]))?;
        let length = message.header("Content-Length")?.parse().unwrap_or(0);
        (self.received.len() >= head + length).then_some((0, head + length))
    }

    /// The payload of the first frame; the platform's frames are not masked (RFC 6455 §5.1).
    fn frame_bounds(&self) -> Option<(usize, usize)> {
        let length = usize::from(*self.received.get(1)? & 0x7f);
        let (start, length) = match length {
            126 => {
                let bytes = self.received.get(2..4)?;
                (4, usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
            }
            length => (2, length),
        };
        (self.received.len() >= start + length).then_some((start, start + length))
    }

    /// Reads once; false at the end of the stream or at the deadline.
    fn read_more(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
            return false;
        }
        let mut buffer = [0; 16_384];
        match self.stream.read(&mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(size) => {
                self.received.extend(&buffer[..size]);
                true
            }
        }
    }
}

/// A masked text frame, as clients send it (RFC 6455 §5.2); the mask is zero.
fn text_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length as u8),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}
