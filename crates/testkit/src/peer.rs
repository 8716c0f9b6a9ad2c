//! A SIP peer written by hand, over UDP: for flows no real program produces.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::dialog::route_set;
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
        let mut lines = vec![format!("SIP/2.0 {status}")];
        lines.extend(request.all("Via").map(|via| format!("Via: {via}")));
        for name in ["From", "To", "Call-ID", "CSeq"] {
            let mut line = format!("{name}: {}", request.header(name).unwrap_or_default());
            if name == "To" && request.to_tag().is_empty() && !to_tag.is_empty() {
                line.push_str(";tag=");
                line.push_str(to_tag);
            }
            lines.push(line);
        }
        lines.extend(
            request
                .all("Record-Route")
                .map(|route| format!("Record-Route: {route}")),
        );
        lines.push(format!("Contact: <sip:peer@{}>", self.address));
        request::finish(lines, extra, body)
    }

    /// The ACK of a response to an INVITE (RFC 3261 §13.2.2.4 for 2xx, §17.1.1.3 else).
    #[must_use]
    pub fn ack(&self, invite: &str, response: &Message) -> String {
        let invite = Message::parse(invite).expect("we built this INVITE");
        let success = response.status().is_some_and(|status| status < 300);
        let request_uri = invite.start.split(' ').nth(1).unwrap_or_default();
        let uri = if success {
            response.contact_uri()
        } else {
            request_uri
        };
        let number = request::next_number();
        let via = if success {
            format!(
                "SIP/2.0/UDP {};branch=z9hG4bK-peer-{number};rport",
                self.address
            )
        } else {
            invite.header("Via").unwrap_or_default().to_owned()
        };
        let cseq = invite
            .header("CSeq")
            .unwrap_or_default()
            .replace("INVITE", "ACK");
        let mut lines = vec![
            format!("ACK {uri} SIP/2.0"),
            format!("Via: {via}"),
            "Max-Forwards: 70".to_owned(),
            format!("From: {}", invite.header("From").unwrap_or_default()),
            format!("To: {}", response.header("To").unwrap_or_default()),
            format!("Call-ID: {}", invite.header("Call-ID").unwrap_or_default()),
            format!("CSeq: {cseq}"),
        ];
        if success {
            let routes = route_set(response).into_iter().rev();
            lines.extend(routes.map(|route| format!("Route: {route}")));
        }
        request::finish(lines, &[], "")
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
