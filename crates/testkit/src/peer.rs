//! A SIP peer written by hand, over UDP: for flows no real program produces.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::message::Message;
use crate::request;

/// A socket that speaks what it is told to, and nothing by itself: no retransmission, no ACK.
#[derive(Debug)]
pub struct Peer {
    socket: UdpSocket,
    address: SocketAddr,
    remote: SocketAddr,
}

impl Peer {
    /// A peer of `remote` on a free port of this host.
    ///
    /// # Errors
    /// If no socket can be had.
    pub fn new(remote: SocketAddr) -> Result<Self> {
        Self::bound("127.0.0.1:0", remote)
    }

    /// A peer of `remote` at this address of this host.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub fn bound(local: &str, remote: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind(local).context("binding")?;
        let address = socket.local_addr().context("asking for the port")?;
        Ok(Self {
            socket,
            address,
            remote,
        })
    }

    /// The same peer, which hears nobody but whom it sends to from here on.
    ///
    /// # Errors
    /// If the socket refuses.
    pub fn hearing_only_its_remote(self) -> Result<Self> {
        self.socket.connect(self.remote).context("connecting")?;
        Ok(self)
    }

    /// The same peer, sending to another address from here on.
    #[must_use]
    pub fn towards(self, remote: SocketAddr) -> Self {
        Self { remote, ..self }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// If the socket refuses them.
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.socket
            .send_to(bytes.as_ref(), self.remote)
            .context("sending")?;
        Ok(())
    }

    /// Sends these bytes to another address than its usual one.
    ///
    /// # Errors
    /// If the socket refuses them.
    pub fn send_to(&self, to: SocketAddr, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.socket.send_to(bytes.as_ref(), to).context("sending")?;
        Ok(())
    }

    /// The next message that `wanted` accepts; others are passed over.
    ///
    /// # Panics
    /// If none comes in time; the message tells what came instead.
    #[track_caller]
    pub fn expect(&self, what: &str, mut wanted: impl FnMut(&Message) -> bool) -> Message {
        let deadline = Instant::now() + crate::PATIENCE;
        let mut passed_over = Vec::new();
        while let Some(message) = self.receive_until(deadline) {
            if wanted(&message) {
                return message;
            }
            passed_over.push(message.start);
        }
        panic!("waited in vain for {what}; there came: {passed_over:?}");
    }

    /// The next response with this status to a request with this method.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn expect_status(&self, status: u16, method: &str) -> Message {
        let what = format!("{status} to {method}");
        self.expect(&what, |m| {
            m.status() == Some(status) && m.method() == method
        })
    }

    /// The next response with this status to this very request: what comes again of others, such as a
    /// 2xx whose ACK was lost, is passed over.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn expect_answer(&self, request: &str, status: u16) -> Message {
        let request = Message::parse(request).expect("a request");
        let of = |message: &Message| {
            let part = |name| message.header(name).map(str::to_owned);
            (part("Call-ID"), part("CSeq"))
        };
        let what = format!("{status} to {}", request.start);
        self.expect(&what, |m| {
            m.status() == Some(status) && of(m) == of(&request)
        })
    }

    /// The next request with this method.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn expect_request(&self, method: &str) -> Message {
        self.expect(method, |m| m.status().is_none() && m.method() == method)
    }

    /// Whether nothing that `unwanted` accepts comes within `time`.
    #[must_use]
    pub fn stays_silent(&self, time: Duration, mut unwanted: impl FnMut(&Message) -> bool) -> bool {
        let deadline = Instant::now() + time;
        while let Some(message) = self.receive_until(deadline) {
            if unwanted(&message) {
                return false;
            }
        }
        true
    }

    /// Whether something is there that nobody has looked at.
    #[must_use]
    pub fn has_received(&self) -> bool {
        let moment = Duration::from_millis(1);
        let waits = self.socket.set_read_timeout(Some(moment));
        waits.is_ok() && self.socket.peek_from(&mut [0]).is_ok()
    }

    /// Whether anything at all comes within a moment.
    #[must_use]
    pub fn answers_soon(&self) -> bool {
        self.receive_until(Instant::now() + A_MOMENT).is_some()
    }

    /// A request outside of any dialog with its mandatory headers; `extra` are whole header
    /// lines without line ends.
    #[must_use]
    pub fn request(&self, method: &str, uri: &str, extra: &[&str], body: &str) -> String {
        request::outside_dialog("UDP", self.address, method, uri, extra, body)
    }

    /// A response to `request`, with the headers RFC 3261 §8.2.6.2 has copied; `to_tag` is
    /// added where To has none.
    #[must_use]
    pub fn response(
        &self,
        request: &Message,
        status: &str,
        to_tag: &str,
        extra: &[&str],
        body: &str,
    ) -> String {
        let contact = request::contact("UDP", self.address);
        request::response(request, status, to_tag, contact, extra, body)
    }

    /// The ACK of a response to an INVITE (RFC 3261 §13.2.2.4 for 2xx, §17.1.1.3 else).
    #[must_use]
    pub fn ack(&self, invite: &str, response: &Message) -> String {
        request::ack("UDP", self.address, invite, response)
    }

    pub(crate) fn receive_until(&self, deadline: Instant) -> Option<Message> {
        let mut buffer = vec![0; 65_536];
        loop {
            let left = deadline.checked_duration_since(Instant::now())?;
            if left.is_zero() {
                return None;
            }
            self.socket.set_read_timeout(Some(left)).ok()?;
            if let Ok(size) = self.socket.recv(&mut buffer)
                && let Some(message) = Message::parse(&String::from_utf8_lossy(&buffer[..size]))
            {
                return Some(message);
            }
        }
    }
}

/// A session description that offers PCMA at this address.
#[must_use]
pub fn session(address: SocketAddr) -> String {
    let ip = address.ip();
    let port = address.port();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=peer 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
    )
}

const A_MOMENT: Duration = Duration::from_millis(100);
