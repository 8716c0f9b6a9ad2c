//! drachtio's own client over each of its transports, with what its applications send: jambonz's
//! call control, and the proxy for browsers of drachtio's author.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{
    Drachtio, DrachtioClient, MediaServer, dominant_frequency_hz, from_alaw, read_wav, to_alaw,
    tone, wait_for, write_wav,
};

use crate::call::{CALL_ID, Call, EVENT, PCMA, Phone, media_of, talk};

const A_HZ: u32 = 440;
const B_HZ: u32 = 1_000;
const PROMPT_HZ: u32 = 800;
/// The key 5, pressed for 20 ms.
const FIVE: [u8; 4] = [5, 10, 0, 160];
const SILENCE: u8 = 0xd5;

/// An application that controls a call.
struct Application {
    client: Drachtio,
    call: Call,
}

/// What is asked of plain RTP.
fn plain() -> Value {
    json!({
        "replace": ["origin", "session-connection"],
        "record call": "no",
        "transport protocol": "RTP/AVP",
        "DTLS": "off",
        "SDES": "off",
        "ICE": "remove",
        "rtcp-mux": ["accept"],
        "flags": ["port latching", "inject DTMF", "strict source"],
    })
}

fn with(mut request: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    request
}

impl Application {
    fn start(client: DrachtioClient) -> Result<Self> {
        let arguments = ["--rtp", "public/127.0.0.1", "--rtp", "private/127.0.0.1"];
        let server = MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &arguments)?;
        let client = Drachtio::start(client, &server)?;
        let (a, b) = (Phone::new()?, Phone::new()?);
        let call = Call { server, a, b };
        Ok(Self { client, call })
    }

    fn ask(&mut self, method: &str, more: &Value) -> Result<Value> {
        let request = with(json!({ "call-id": CALL_ID }), more);
        self.client.ask(method, &request)
    }

    /// It is done, and nothing of it is left out.
    #[track_caller]
    fn done(&mut self, method: &str, more: &Value) -> Result<Value> {
        let reply = self.ask(method, more)?;
        assert_eq!(reply["result"], "ok", "{method} {more}: {reply}");
        assert!(reply.get("warning").is_none(), "{method}: {reply}");
        Ok(reply)
    }

    fn set_up(&mut self) -> Result<()> {
        assert_eq!(self.client.ask("ping", &json!({}))?["result"], "pong");
        let offer = json!({"from-tag": "a", "sdp": self.call.a.sdp(),
            "direction": ["public", "private"], "codec": {"transcode": "pcmu,pcma"}});
        let offered = self.done("offer", &with(plain(), &offer))?;
        let sdp = offered["sdp"].as_str().context("a description")?;
        assert!(sdp.contains(" RTP/AVP 8 0 101\r\n"), "PCMU, too: {sdp}");
        self.call.b.towards = media_of(&offered)?;
        let answer = json!({"from-tag": "a", "to-tag": "b", "sdp": self.call.b.sdp()});
        let answered = self.done("answer", &with(plain(), &answer))?;
        self.call.a.towards = media_of(&answered)?;
        self.call.assert_heard("hello")
    }

    fn look(&mut self) -> Result<()> {
        let query = self.done("query", &json!({}))?;
        assert_eq!(query["totals"]["RTP"]["packets"], 2, "{query}");
        assert_eq!(query["tags"]["a"]["in dialogue with"], "b", "{query}");
        let list = self.client.ask("list", &json!({"limit": 10}))?;
        assert_eq!(list["calls"], json!([CALL_ID]), "{list}");
        let statistics = self.client.ask("statistics", &json!({}))?;
        let current = &statistics["statistics"]["currentstatistics"];
        assert_eq!(current["sessionstotal"], 1, "{statistics}");
        Ok(())
    }

    fn mute(&mut self) -> Result<()> {
        let one = json!({"from-tag": "a"});
        self.done("blockMedia", &one)?;
        self.call.a.say("lost")?;
        self.call.a.send(EVENT, &FIVE)?;
        assert_eq!(self.call.b.receive()?.payload, FIVE);
        self.call.b.say("heard")?;
        assert_eq!(self.call.a.hear()?, "heard");
        self.done("unblockMedia", &one)?;

        self.done("blockDTMF", &one)?;
        self.call.a.send(EVENT, &FIVE)?;
        self.call.assert_heard("no key")?;
        self.done("unblockDTMF", &one)?;

        self.done("silenceMedia", &one)?;
        self.call.a.say("secret")?;
        let silent = self.call.b.receive()?;
        let silence = (PCMA, vec![SILENCE; 6]);
        assert_eq!((silent.payload_type, silent.payload), silence);
        self.done("unsilenceMedia", &one)?;
        self.call.assert_heard("free")
    }

    fn play(&mut self) -> Result<()> {
        let file = self.call.server.directory().join("prompt.wav");
        write_wav(&file, &tone(f64::from(PROMPT_HZ), 0.5))?;
        let play = json!({"from-tag": "a", "file": file, "repeat-times": 100});
        let playing = self.done("playMedia", &play)?;
        assert_eq!(playing["duration"], 500, "{playing}");
        let mut heard = Vec::new();
        while heard.len() < 4_000 {
            heard.extend(from_alaw(&self.call.a.receive()?.payload));
        }
        assert_eq!(dominant_frequency_hz(&heard), Some(PROMPT_HZ));
        self.done("stopMedia", &json!({"from-tag": "a"}))?;
        self.call.b.say("back")?;
        while self.call.a.hear()? != "back" {}

        // A number in text, as it stands in the INFO that asked for it.
        let digit = json!({"from-tag": "a", "code": "5", "duration": "200", "volume": 13});
        self.done("playDTMF", &digit)?;
        let mut ends = 0;
        while ends < 3 {
            let event = self.call.b.receive()?;
            assert_eq!((event.payload_type, event.payload[0]), (EVENT, 5));
            ends += usize::from(event.payload[1] & 0x80 != 0);
        }
        Ok(())
    }

    fn record(&mut self) -> Result<()> {
        self.done("startRecording", &json!({}))?;
        let voices = [A_HZ, B_HZ].map(|hz| to_alaw(&tone(f64::from(hz), 1.0)));
        talk([&mut self.call.a, &mut self.call.b], &voices)?;
        self.done("stopRecording", &json!({}))?;
        let folder = self.call.server.recordings();
        let file = wait_for("a finished recording", || {
            let mut files = fs::read_dir(&folder)
                .ok()?
                .filter_map(|file| Some(file.ok()?.path()));
            files.find(|path| path.extension().is_some_and(|extension| extension == "wav"))
        });
        let samples = read_wav(&file)?;
        for (first, hz) in [(0, A_HZ), (1, B_HZ)] {
            let channel: Vec<i16> = samples.iter().skip(first).step_by(2).copied().collect();
            // In tenths of a second: a busy machine may tear a longer one.
            let mut pieces = channel.chunks(800).map(dominant_frequency_hz);
            assert!(pieces.any(|heard| heard == Some(hz)), "{hz} Hz");
        }
        Ok(())
    }

    /// As a client of a recording server (RFC 7866) does it.
    fn listen_in(&mut self) -> Result<()> {
        let (first, second) = (Phone::new()?, Phone::new()?);
        let asked = json!({"from-tag": "a", "transport protocol": "RTP/AVP", "ICE": "remove",
            "label": "1", "flags": ["all"], "interface": "public"});
        let offer = self.done("subscribeRequest", &asked)?;
        let sdp = offer["sdp"].as_str().context("an offer")?;
        assert_eq!(sdp.matches("a=sendonly\r\n").count(), 2, "{sdp}");
        assert_eq!(offer["from-tags"].as_array().map(Vec::len), Some(2));
        let tag = offer["to-tag"].as_str().context("a tag")?;
        let medium = |phone: &Phone| {
            let sdp = phone.sdp_with("recvonly", "");
            sdp.split_once("m=")
                .map(|(_, medium)| format!("m={medium}"))
        };
        let sdp = first.sdp_with("recvonly", "") + &medium(&second).context("a medium")?;
        let answer = json!({"from-tag": "a", "to-tag": tag, "label": "2", "sdp": sdp,
            "flags": ["allow transcoding"]});
        self.done("subscribeAnswer", &answer)?;
        self.call.assert_heard("for all")?;
        assert_eq!(first.hear()?, "for all");
        assert_eq!(second.hear()?, "for all");

        // It means the copies alone, which go on here; the call must.
        let pause = json!({"from-tag": "a", "all": "except-offer-answer"});
        let paused = self.ask("blockMedia", &pause)?;
        let warning = paused["warning"].as_str().context("a warning")?;
        assert!(warning.contains("except-offer-answer"), "{warning}");
        self.call.assert_heard("not muted")?;
        self.done("unsubscribe", &json!({"from-tag": "a", "to-tag": tag}))?;
        self.call.assert_heard("without them")
    }

    fn end(&mut self) -> Result<()> {
        // What there is not is refused, and the client hears of it.
        let refused = self.ask("startForwarding", &json!({"from-tag": "a"}))?;
        assert_eq!(refused["result"], "error", "{refused}");
        let deleted = self.done("delete", &json!({"from-tag": "a", "to-tag": "b"}))?;
        assert!(
            deleted["totals"]["RTP"]["packets"].as_u64() > Some(10),
            "{deleted}"
        );
        let gone = self.ask("query", &json!({}))?;
        assert_eq!(gone["result"], "error", "{gone}");
        assert_eq!(self.call.server.sessions(), 0);
        Ok(())
    }

    fn whole_call(client: DrachtioClient) -> Result<()> {
        let mut application = Self::start(client)?;
        application.set_up()?;
        application.look()?;
        application.mute()?;
        application.play()?;
        application.record()?;
        application.listen_in()?;
        application.end()
    }
}

#[test]
fn drachtios_client_controls_a_call_over_udp() -> Result<()> {
    Application::whole_call(DrachtioClient::Udp)
}

#[test]
fn drachtios_client_controls_a_call_over_tcp() -> Result<()> {
    Application::whole_call(DrachtioClient::Tcp)
}

#[test]
fn drachtios_client_controls_a_call_over_a_websocket() -> Result<()> {
    Application::whole_call(DrachtioClient::WebSocket)
}

#[test]
fn drachtios_client_is_told_what_is_not_done_of_its_flags() -> Result<()> {
    let mut application = Application::start(DrachtioClient::Udp)?;
    // As applications do by default that relay from wherever packets come.
    let asked = json!({"from-tag": "a", "sdp": application.call.a.sdp(),
        "codec": {"mask": "g729", "transcode": "pcmu,pcma"},
        "flags": ["media handover", "port latching"]});
    let offered = application.ask("offer", &with(plain(), &asked))?;
    assert_eq!(offered["result"], "ok", "{offered}");
    let warning = offered["warning"].as_str().context("a warning")?;
    for word in ["media-handover", "codec-mask-g729"] {
        assert!(warning.contains(word), "{warning}");
    }
    assert!(!warning.contains("pcm"), "{warning}");

    // Towards a browser.
    let secured = json!({"call-id": "browser", "from-tag": "a", "sdp": application.call.a.sdp(),
        "replace": ["origin", "session-connection"], "record call": "no", "ICE": "force",
        "transport-protocol": "UDP/TLS/RTP/SAVPF", "SDES": "off", "rtcp-mux": ["require"],
        "flags": ["generate mid", "SDES-no", "port latching", "pad crypto", "strict source"]});
    let offered = application.done("offer", &secured)?;
    let sdp = offered["sdp"].as_str().context("a description")?;
    for line in [
        "UDP/TLS/RTP/SAVPF",
        "a=fingerprint:",
        "a=ice-ufrag:",
        "a=rtcp-mux",
        "a=mid:1",
    ] {
        assert!(sdp.contains(line), "{line}: {sdp}");
    }
    assert!(!sdp.contains("a=crypto:"), "{sdp}");
    Ok(())
}
