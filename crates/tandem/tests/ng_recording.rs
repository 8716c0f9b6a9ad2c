//! A recording that a proxy asks a media server for, in the middle of a call.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{MediaServer, PATIENCE, S3Server, wait_for};

/// One end of a call, which says one level of A-law.
struct Phone {
    socket: UdpSocket,
    tag: &'static str,
    payload_type: u8,
    level: u8,
    sequence: u16,
    towards: Option<SocketAddr>,
}

impl Phone {
    fn new(tag: &'static str, payload_type: u8, level: u8) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            tag,
            payload_type,
            level,
            sequence: 0,
            towards: None,
        })
    }

    fn sdp(&self) -> Result<String> {
        let port = self.socket.local_addr()?.port();
        Ok(format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {}\r\n",
            self.payload_type
        ))
    }

    /// Takes the port that a description names.
    fn take(&mut self, answer: &Value) -> Result<()> {
        let sdp = answer["sdp"].as_str().with_context(|| answer.to_string())?;
        let media = sdp.lines().find_map(|line| line.strip_prefix("m=audio "));
        let port = media.and_then(|media| media.split(' ').next());
        let port: u16 = port.context("a port")?.parse()?;
        self.towards = Some(SocketAddr::from(([127, 0, 0, 1], port)));
        Ok(())
    }

    /// Says 20 ms; the packet.
    fn say(&mut self) -> Result<Vec<u8>> {
        self.sequence += 1;
        let mut packet = vec![0x80, self.payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend(u32::from(self.level).to_be_bytes());
        packet.extend([self.level; 160]);
        let towards = self.towards.context("an address")?;
        self.socket.send_to(&packet, towards)?;
        Ok(packet)
    }

    /// The next packet.
    fn hear(&self) -> Result<Vec<u8>> {
        let mut heard = [0; 512];
        let (length, _) = self.socket.recv_from(&mut heard)?;
        Ok(heard[..length].to_vec())
    }
}

/// A tenth of a second of both.
fn talk([a, b]: &mut [Phone; 2]) -> Result<()> {
    for _ in 0..5 {
        let said = a.say()?;
        anyhow::ensure!(b.hear()? == said, "another packet");
        let said = b.say()?;
        anyhow::ensure!(a.hear()? == said, "another packet");
    }
    Ok(())
}

/// A call of A, with these wishes about what B is offered.
fn call(server: &MediaServer, mut a: Phone, mut b: Phone, codec: &Value) -> Result<[Phone; 2]> {
    let offer = server.ask(&json!({
        "command": "offer", "call-id": "c", "from-tag": a.tag, "sdp": a.sdp()?, "codec": codec,
    }));
    b.take(&offer)?;
    let answer = server.ask(&json!({
        "command": "answer", "call-id": "c", "from-tag": a.tag, "to-tag": b.tag, "sdp": b.sdp()?,
    }));
    a.take(&answer)?;
    Ok([a, b])
}

fn server(recordings: &Path, more: &[&str]) -> Result<MediaServer> {
    let recordings = recordings.to_str().context("a path")?;
    let arguments = [&["--recordings", recordings], more].concat();
    MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &arguments)
}

/// The samples of each channel that are not silent.
fn voices(path: &Path) -> Result<[Vec<i16>; 2]> {
    let bytes = std::fs::read(path)?;
    let samples = bytes[44..].as_chunks().0.iter();
    let samples: Vec<i16> = samples.map(|pair| i16::from_le_bytes(*pair)).collect();
    Ok([0, 1].map(|channel| {
        let channel = samples.iter().skip(channel).step_by(2);
        channel.filter(|sample| **sample != 0).copied().collect()
    }))
}

#[test]
fn a_recording_begins_and_ends_in_the_middle_of_a_call_and_a_second_is_a_second_part() -> Result<()>
{
    let dir = tempfile::tempdir()?;
    let server = server(dir.path(), &[])?;
    let a = Phone::new("a", PCMA, 0x35)?;
    let b = Phone::new("b", PCMA, 0x85)?;
    let mut phones = call(&server, a, b, &json!({}))?;
    talk(&mut phones)?;
    for part in 1..=2 {
        let start = server.ask(&json!({"command": "start recording", "call-id": "c"}));
        assert_eq!(start["result"], "ok", "{start}");
        talk(&mut phones)?;
        let stop = server.ask(&json!({"command": "stop recording", "call-id": "c"}));
        assert_eq!(stop["result"], "ok", "{stop}");
        talk(&mut phones)?;
        let file = dir.path().join(format!("c-{part}.wav"));
        wait_for("the finished file", || file.exists().then_some(()));
        for (samples, phone) in voices(&file)?.iter().zip(&phones) {
            // What was said just before the order may be on it, too.
            let said = samples.len() / 160;
            assert!((5..=10).contains(&said), "{}: {said} packets", phone.tag);
            assert!(samples.iter().all(|sample| *sample == samples[0]));
        }
    }
    Ok(())
}

#[test]
fn a_transcoded_call_is_recorded_and_goes_to_the_store() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let store = S3Server::start()?;
    let keys = dir.path().join("keys.json");
    std::fs::write(&keys, store.keys().to_string())?;
    let endpoint = store.endpoint();
    let arguments = [
        ["--recording-store", &endpoint],
        ["--recording-bucket", store.bucket()],
        ["--recording-prefix", "calls/"],
        ["--recording-keys", keys.to_str().context("a path")?],
    ];
    let server = server(&dir.path().join("recordings"), arguments.as_flattened())?;
    let a = Phone::new("a", PCMA, 0x35)?;
    let b = Phone::new("b", PCMU, 0x20)?;
    let codec = json!({ "mask": ["PCMA"], "transcode": ["PCMU"] });
    let [mut a, mut b] = call(&server, a, b, &codec)?;
    let start = server.ask(&json!({"command": "start recording", "call-id": "c"}));
    assert_eq!(start["result"], "ok", "{start}");
    for phone in [&a, &b] {
        phone.socket.set_nonblocking(true)?;
    }
    let mut heard = [0, 0];
    wait_for("both to hear each other", || {
        a.say().ok()?;
        b.say().ok()?;
        while let Ok(packet) = a.hear() {
            heard[0] += usize::from(packet[1] & 0x7f == PCMA);
        }
        while let Ok(packet) = b.hear() {
            heard[1] += usize::from(packet[1] & 0x7f == PCMU);
        }
        (heard[0] > 10 && heard[1] > 10).then_some(())
    });
    let stop = server.ask(&json!({"command": "stop recording", "call-id": "c"}));
    assert_eq!(stop["result"], "ok", "{stop}");
    let object = wait_for("the object", || store.object("calls/c-1.wav"));
    let path = dir.path().join("recordings/c-1.wav");
    assert!(
        std::fs::read(&path)? == object,
        "what is kept is what was uploaded"
    );
    for samples in voices(&path)? {
        assert!(samples.len() > 1_600, "{} samples", samples.len());
        assert!(samples.iter().all(|sample| *sample == samples[0]));
    }
    Ok(())
}

const PCMU: u8 = 0;
const PCMA: u8 = 8;
