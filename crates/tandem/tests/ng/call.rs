//! A call between two phones of our own through a media server, controlled over `ng`.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{MediaServer, PATIENCE};

pub(crate) const PCMA: u8 = 8;
pub(crate) const EVENT: u8 = 101;

/// A phone: it speaks G.711 A-law and telephone events.
pub(crate) struct Phone {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    /// Where it was told to send to.
    pub(crate) towards: SocketAddr,
    sequence: u16,
}

/// A packet that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) ssrc: u32,
    pub(crate) payload: Vec<u8>,
}

/// Two phones that have heard each other.
pub(crate) struct Call {
    pub(crate) server: MediaServer,
    pub(crate) a: Phone,
    pub(crate) b: Phone,
}

pub(crate) const CALL_ID: &str = "call";

impl Phone {
    pub(crate) fn new() -> Result<Self> {
        let bind = || -> Result<UdpSocket> {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        Ok(Self {
            rtp: bind()?,
            rtcp: bind()?,
            towards: SocketAddr::from(([127, 0, 0, 1], 9)),
            sequence: 0,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.rtp.local_addr().map_or(0, |address| address.port())
    }

    pub(crate) fn ssrc(&self) -> u32 {
        u32::from(self.port())
    }

    pub(crate) fn sdp(&self) -> String {
        self.sdp_with("sendrecv", "")
    }

    /// Its description, with a direction and further lines.
    pub(crate) fn sdp_with(&self, direction: &str, lines: &str) -> String {
        let port = self.port();
        let rtcp = self.rtcp.local_addr().map_or(0, |address| address.port());
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=rtcp:{rtcp}\r\na={direction}\r\n{lines}"
        )
    }

    /// Sends a packet with this payload.
    pub(crate) fn send(&mut self, payload_type: u8, payload: &[u8]) -> Result<()> {
        self.sequence += 1;
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend(self.ssrc().to_be_bytes());
        packet.extend(payload);
        self.rtp.send_to(&packet, self.towards)?;
        Ok(())
    }

    /// Says a word of G.711, as no microphone would.
    pub(crate) fn say(&mut self, word: &str) -> Result<()> {
        self.send(PCMA, word.as_bytes())
    }

    /// The next packet.
    pub(crate) fn receive(&self) -> Result<Packet> {
        let mut buffer = [0; 2_048];
        let (length, _) = self.rtp.recv_from(&mut buffer).context("no packet came")?;
        anyhow::ensure!(length >= 12, "{length} bytes are no RTP");
        let number = |at: usize| u16::from_be_bytes([buffer[at], buffer[at + 1]]);
        Ok(Packet {
            payload_type: buffer[1] & 0x7f,
            marker: buffer[1] & 0x80 != 0,
            sequence: number(2),
            ssrc: u32::from(number(8)) << 16 | u32::from(number(10)),
            payload: buffer[12..length].to_vec(),
        })
    }

    /// The word that the next packet says.
    pub(crate) fn hear(&self) -> Result<String> {
        let packet = self.receive()?;
        Ok(String::from_utf8_lossy(&packet.payload).into_owned())
    }
}

impl Call {
    /// With further arguments of the server.
    pub(crate) fn new(arguments: &[&str]) -> Result<Self> {
        let server = MediaServer::start(env!("CARGO_BIN_EXE_tandem"), arguments)?;
        Self::at(server, &json!({}))
    }

    /// With further keys of the offer.
    pub(crate) fn offered(more: &Value) -> Result<Self> {
        let server = MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &[])?;
        Self::at(server, more)
    }

    /// At a server, with further keys of the offer.
    pub(crate) fn at(server: MediaServer, more: &Value) -> Result<Self> {
        let mut call = Self {
            server,
            a: Phone::new()?,
            b: Phone::new()?,
        };
        let offered = call.offer(more);
        call.b.towards = media_of(&offered)?;
        let answered = call.answer();
        call.a.towards = media_of(&answered)?;
        Ok(call)
    }

    /// A offers; what B is shown.
    pub(crate) fn offer(&self, more: &Value) -> Value {
        let mut request = json!({"from-tag": "a", "sdp": self.a.sdp()});
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        self.done("offer", &request)
    }

    /// B answers; what A is shown.
    pub(crate) fn answer(&self) -> Value {
        let request = json!({"from-tag": "a", "to-tag": "b", "sdp": self.b.sdp()});
        self.done("answer", &request)
    }

    /// Each has heard the other.
    pub(crate) fn talking(mut self) -> Result<Self> {
        self.assert_heard("hello")?;
        Ok(self)
    }

    /// Says a word both ways, and it arrives.
    #[track_caller]
    pub(crate) fn assert_heard(&mut self, word: &str) -> Result<()> {
        self.a.say(word)?;
        assert_eq!(self.b.hear()?, word);
        self.b.say(word)?;
        assert_eq!(self.a.hear()?, word);
        Ok(())
    }

    /// Gives a command of this call; the answer.
    #[track_caller]
    pub(crate) fn ask(&self, command: &str, more: &Value) -> Value {
        let mut request = json!({"command": command, "call-id": CALL_ID});
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        self.server.ask(&request)
    }

    /// The same, and it is done without a warning.
    #[track_caller]
    pub(crate) fn done(&self, command: &str, more: &Value) -> Value {
        let answer = self.ask(command, more);
        assert_eq!(answer["result"], "ok", "{command} {more}: {answer}");
        assert!(answer.get("warning").is_none(), "{command}: {answer}");
        answer
    }
}

/// Where a description in an answer wants its first medium.
pub(crate) fn media_of(answer: &Value) -> Result<SocketAddr> {
    let sdp = answer["sdp"].as_str().context("a description")?;
    let line = |start: &str| sdp.lines().find_map(|line| line.strip_prefix(start));
    let media = line("m=").context("a medium")?;
    let port = media.split(' ').nth(1).context("a port")?.parse()?;
    let ip = line("c=IN IP4 ").context("an address")?.trim().parse()?;
    Ok(SocketAddr::new(ip, port))
}

/// Both talk at the pace of phones, 20 ms of their audio a packet; what comes meanwhile is left.
pub(crate) fn talk(phones: [&mut Phone; 2], audio: &[Vec<u8>; 2]) -> Result<()> {
    let mut next = Instant::now();
    let [a, b] = phones;
    for (first, second) in audio[0].chunks(160).zip(audio[1].chunks(160)) {
        a.send(PCMA, first)?;
        b.send(PCMA, second)?;
        next += Duration::from_millis(20);
        b.listen_until(next)?;
    }
    a.forget()?;
    b.forget()
}

/// One talks at that pace; how many bytes a packet has that the other hears meanwhile.
pub(crate) fn weigh(talker: &mut Phone, listener: &Phone, audio: &[u8]) -> Result<usize> {
    let mut next = Instant::now();
    let (mut packets, mut bytes) = (0, 0);
    for spoken in audio.chunks(160) {
        talker.send(PCMA, spoken)?;
        next += Duration::from_millis(20);
        for heard in listener.listen_until(next)? {
            packets += 1;
            bytes += heard;
        }
    }
    anyhow::ensure!(packets > 0, "nothing came");
    Ok(bytes / packets)
}

impl Phone {
    /// Reads what comes until then; the payloads' lengths.
    fn listen_until(&self, until: Instant) -> Result<Vec<usize>> {
        let mut buffer = [0; 2_048];
        let mut heard = Vec::new();
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.rtp.set_read_timeout(Some(left.max(LEAST)))?;
            // Nothing in time: then it is time.
            if let Ok((length, _)) = self.rtp.recv_from(&mut buffer) {
                heard.push(length.saturating_sub(12));
            }
        }
        self.rtp.set_read_timeout(Some(PATIENCE))?;
        Ok(heard)
    }

    /// Reads what has come.
    fn forget(&self) -> Result<()> {
        let mut buffer = [0; 2_048];
        self.rtp.set_nonblocking(true)?;
        while self.rtp.recv_from(&mut buffer).is_ok() {}
        self.rtp.set_nonblocking(false)?;
        Ok(())
    }
}

/// The shortest time a socket can be told to wait.
const LEAST: Duration = Duration::from_millis(1);
