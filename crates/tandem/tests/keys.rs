//! Keys of a telephone between parties that give them in different forms.

use std::f64::consts::TAU;
use std::iter;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use testkit::{
    Baresip, Dialog, MediaServer, Message, Peer, PhoneOptions, PhoneTransport, Platform, Rtpengine,
    from_alaw, record_path, to_alaw, wait_for,
};

/// A phone that knows no telephone events. It sends silence, or tones where a key is pressed.
struct Voice {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    /// Samples that are sent before silence goes on.
    to_say: Arc<Mutex<Vec<i16>>>,
    heard: Arc<Mutex<Vec<i16>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Voice {
    fn new() -> Result<Self> {
        Ok(Self {
            socket: UdpSocket::bind("127.0.0.1:0")?,
            stop: Arc::default(),
            to_say: Arc::default(),
            heard: Arc::default(),
            threads: Vec::new(),
        })
    }

    fn sdp(&self) -> Result<String> {
        let port = self.socket.local_addr()?.port();
        Ok(format!(
            "v=0\r\no=voice 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n"
        ))
    }

    fn talk_to(&mut self, to: SocketAddr) -> Result<()> {
        let (socket, stop) = (self.socket.try_clone()?, Arc::clone(&self.stop));
        let to_say = Arc::clone(&self.to_say);
        self.threads.push(thread::spawn(move || {
            let mut due = Instant::now();
            let mut sequence = 0_u16;
            while !stop.load(Relaxed) {
                sequence = sequence.wrapping_add(1);
                let mut packet = vec![0x80, 8];
                packet.extend(sequence.to_be_bytes());
                packet.extend((u32::from(sequence) * 160).to_be_bytes());
                packet.extend([0, 0, 0, 9]);
                let mut to_say = to_say.lock().expect("no panic there");
                let count = to_say.len().min(160);
                let samples: Vec<i16> = to_say.drain(..count).collect();
                drop(to_say);
                let samples = samples.into_iter().chain(iter::repeat(0)).take(160);
                packet.extend(to_alaw(&samples.collect::<Vec<_>>()));
                // One that is lost is one less.
                let _ = socket.send_to(&packet, to);
                due += Duration::from_millis(20);
                thread::park_timeout(due.saturating_duration_since(Instant::now()));
            }
        }));
        let (socket, stop) = (self.socket.try_clone()?, Arc::clone(&self.stop));
        let heard = Arc::clone(&self.heard);
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        self.threads.push(thread::spawn(move || {
            let mut packet = [0; 2_048];
            while !stop.load(Relaxed) {
                let Ok(length) = socket.recv(&mut packet) else {
                    continue;
                };
                if length > 12 && packet[1] & 0x7f == 8 {
                    let samples = from_alaw(&packet[12..length]);
                    heard.lock().expect("no panic there").extend(samples);
                }
            }
        }));
        Ok(())
    }

    /// Presses a key for 120 ms.
    fn press(&self, key: char) {
        let [low, high] = tones_of(key);
        let sine = |hz: f64, n: usize| (TAU * hz * n as f64 / 8_000.0).sin();
        let tone = (0..960).map(|n| ((sine(low, n) + sine(high, n)) * 5_000.0) as i16);
        self.to_say.lock().expect("no panic there").extend(tone);
    }

    /// Waits until this key is heard as tones: for 40 ms at least.
    #[track_caller]
    fn wait_for_key(&self, key: char) {
        wait_for(&format!("the tones of {key}"), || {
            let heard = self.heard.lock().expect("no panic there");
            let windows: Vec<Option<char>> = heard.chunks(160).map(key_in).collect();
            windows
                .windows(2)
                .any(|two| two == [Some(key); 2])
                .then_some(())
        });
    }
}

/// The frequencies of a key (ITU-T Q.23).
fn tones_of(key: char) -> [f64; 2] {
    let at = KEYS.find(key).expect("a key");
    [LOW_HZ[at / 4], HIGH_HZ[at % 4]]
}

/// The key whose tones are in the samples.
fn key_in(samples: &[i16]) -> Option<char> {
    let total: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    let share = |hz: &f64| {
        let step = TAU * hz / 8_000.0;
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            re += f64::from(*sample) * (step * n as f64).cos();
            im += f64::from(*sample) * (step * n as f64).sin();
        }
        // Of the whole power; a sine alone has all of it.
        2.0 * (re * re + im * im) / (samples.len() as f64 * total.max(1.0))
    };
    let strongest = |of: &[f64; 4]| {
        let shares = of.each_ref().map(share);
        let best = (0..4).max_by(|a, b| shares[*a].total_cmp(&shares[*b]))?;
        (shares[best] > 0.25).then_some(best)
    };
    let (row, column) = (strongest(&LOW_HZ)?, strongest(&HIGH_HZ)?);
    KEYS.chars().nth(row * 4 + column)
}

const KEYS: &str = "123A456B789C*0#D";
const LOW_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

impl Drop for Voice {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // It has only to look at the flag.
            let _ = thread.join();
        }
    }
}

/// Where a description wants its audio, and its formats.
fn audio(message: &Message) -> Option<(SocketAddr, String)> {
    let mut lines = message.body.lines();
    let audio = lines.find_map(|line| line.strip_prefix("m=audio "))?;
    let (port, formats) = audio.split_once(' ')?;
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?));
    Some((address, formats.to_owned()))
}

/// With media in the node itself.
fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn own_server() -> Result<MediaServer> {
    MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 100, &[])
}

/// With media there; whether keys are converted.
fn use_server(platform: &Platform, control: &str) -> Result<bool> {
    let record = json!({ "name": "apart", "control": control });
    platform.rest().create("/v1/media-servers", &record)?;
    let health = wait_for("the media server", || {
        let health = platform.rest().list("/v1/media-server-health").ok()?;
        health.into_iter().find(|server| server["state"] == "up")
    });
    Ok(health["converts_keys"] == true)
}

fn set_form(platform: &Platform, user: &str, form: &str) -> Result<()> {
    let users = platform.rest().list("/v1/users")?;
    let user = users.iter().find(|known| known["name"] == user);
    let path = record_path("users", user.context("the user")?);
    platform.rest().change(&path, &json!({ "dtmf": form }))?;
    Ok(())
}

fn phone_of_bob(platform: &Platform) -> Result<Baresip> {
    let ready = platform.ready();
    let options = PhoneOptions::new("bob", &ready.domain)
        .password(&ready.user("bob").password)
        .server(ready.sip.udp, PhoneTransport::Udp);
    Baresip::register(options)
}

/// Alice, who knows no telephone events, in a call with the phone of bob.
struct Alice {
    peer: Peer,
    voice: Voice,
    dialog: Dialog,
}

impl Alice {
    fn call(platform: &Platform, bob: &mut Baresip) -> Result<Self> {
        let ready = platform.ready();
        let peer = Peer::new(ready.sip.udp)?;
        peer.register_routable(platform, "alice")?;
        let mut voice = Voice::new()?;
        let uri = format!("sip:bob@{}", ready.domain);
        let who = ready.credentials("alice");
        let kind = "Content-Type: application/sdp";
        let invite = peer.send_with_digest(&who, "INVITE", &uri, &[kind], &voice.sdp()?)?;
        bob.wait_for_incoming();
        bob.answer()?;
        let answer = peer.expect_status(200, "INVITE");
        peer.send(peer.ack(&invite, &answer))?;
        bob.wait_for_established();
        let (to, formats) = audio(&answer).context("audio")?;
        assert_eq!(formats, "RTP/AVP 8", "nothing that alice has not offered");
        voice.talk_to(to)?;
        let dialog = Dialog::of_caller(&invite, &answer);
        Ok(Self {
            peer,
            voice,
            dialog,
        })
    }

    fn end(&self, platform: &Platform, bob: &mut Baresip) -> Result<()> {
        bob.hang_up()?;
        let bye = self.peer.expect_request("BYE");
        let ok = self.peer.response(&bye, "200 OK", "", &[], "");
        self.peer.send(ok)?;
        platform.wait_until_idle();
        Ok(())
    }
}

fn info_and_events(platform: &Platform) -> Result<()> {
    set_form(platform, "alice", "info")?;
    let mut bob = phone_of_bob(platform)?;
    let alice = Alice::call(platform, &mut bob)?;
    for (sequence, (kind, body, key)) in (10..).zip([
        (
            "application/dtmf-relay",
            "Signal=5\r\nDuration=160\r\n",
            "5",
        ),
        ("application/dtmf", "#", "#"),
    ]) {
        let kind = format!("Content-Type: {kind}");
        let peer = &alice.peer;
        peer.send(peer.within(&alice.dialog, "INFO", sequence, &[&kind], body))?;
        peer.expect_status(200, "INFO");
        assert_eq!(bob.wait_for_dtmf(), key);
    }
    bob.send_dtmf('7')?;
    expect_info(&alice.peer, '7')?;
    alice.end(platform, &mut bob)
}

fn expect_info(peer: &Peer, key: char) -> Result<()> {
    let info = peer.expect_request("INFO");
    assert_eq!(info.header("Content-Type"), Some("application/dtmf-relay"));
    let wanted = format!("Signal={key}\r\nDuration=");
    assert!(info.body.starts_with(&wanted), "{}", info.body);
    peer.send(peer.response(&info, "200 OK", "", &[], ""))
}

fn tones_and_events(platform: &Platform) -> Result<()> {
    set_form(platform, "alice", "inband")?;
    let mut bob = phone_of_bob(platform)?;
    let alice = Alice::call(platform, &mut bob)?;
    for key in ['5', '#', 'D'] {
        alice.voice.press(key);
        assert_eq!(bob.wait_for_dtmf(), key.to_string());
    }
    bob.send_dtmf('7')?;
    alice.voice.wait_for_key('7');
    alice.end(platform, &mut bob)
}

fn tones_and_info(platform: &Platform) -> Result<()> {
    set_form(platform, "alice", "inband")?;
    set_form(platform, "bob", "info")?;
    let ready = platform.ready();
    let [alice, bob] = [Peer::new(ready.sip.udp)?, Peer::new(ready.sip.udp)?];
    alice.register_routable(platform, "alice")?;
    bob.register_routable(platform, "bob")?;
    let mut voices = [Voice::new()?, Voice::new()?];
    let uri = format!("sip:bob@{}", ready.domain);
    let who = ready.credentials("alice");
    let kind = "Content-Type: application/sdp";
    let invite = alice.send_with_digest(&who, "INVITE", &uri, &[kind], &voices[0].sdp()?)?;
    let invited = bob.expect_request("INVITE");
    let accept = bob.response(&invited, "200 OK", "b", &[kind], &voices[1].sdp()?);
    bob.send(accept)?;
    let answer = alice.expect_status(200, "INVITE");
    alice.send(alice.ack(&invite, &answer))?;
    bob.expect_request("ACK");
    voices[0].talk_to(audio(&answer).context("audio")?.0)?;
    voices[1].talk_to(audio(&invited).context("audio")?.0)?;

    voices[0].press('8');
    expect_info(&bob, '8')?;
    let dialog = Dialog::of_callee(&invited, "b");
    let kind = "Content-Type: application/dtmf-relay";
    let body = "Signal=*\r\nDuration=200\r\n";
    bob.send(bob.within(&dialog, "INFO", 10, &[kind], body))?;
    bob.expect_status(200, "INFO");
    voices[0].wait_for_key('*');
    Ok(())
}

#[test]
fn info_reaches_a_phone_as_a_telephone_event_and_comes_of_one() -> Result<()> {
    info_and_events(&platform()?)
}

#[test]
fn tones_reach_a_phone_as_telephone_events_and_come_of_them() -> Result<()> {
    tones_and_events(&platform()?)
}

#[test]
fn tones_become_info_and_info_becomes_tones() -> Result<()> {
    tones_and_info(&platform()?)
}

#[test]
fn a_media_server_of_our_own_converts_info_and_events() -> Result<()> {
    let server = own_server()?;
    let platform = platform()?;
    assert!(use_server(&platform, &server.control())?);
    info_and_events(&platform)
}

#[test]
fn a_media_server_of_our_own_converts_tones() -> Result<()> {
    let server = own_server()?;
    let platform = platform()?;
    assert!(use_server(&platform, &server.control())?);
    tones_and_events(&platform)?;
    tones_and_info(&platform)
}

/// With an rtpengine, and a server of ours beside it.
fn use_both(platform: &Platform, rtpengine: &Rtpengine, own: &MediaServer) -> Result<()> {
    assert!(!use_server(platform, &rtpengine.control())?, "it says so");
    let record = json!({ "name": "own", "control": own.control() });
    platform.rest().create("/v1/media-servers", &record)?;
    wait_for("both media servers", || {
        let health = platform.rest().list("/v1/media-server-health").ok()?;
        let up = health.iter().filter(|server| server["state"] == "up");
        (up.count() == 2).then_some(())
    });
    Ok(())
}

#[test]
fn a_call_that_loses_the_server_that_converts_has_keys_by_info_sounded_by_rtpengine() -> Result<()>
{
    let (rtpengine, mut own) = (Rtpengine::start()?, own_server()?);
    let platform = platform()?;
    use_both(&platform, &rtpengine, &own)?;
    set_form(&platform, "alice", "info")?;
    let mut bob = phone_of_bob(&platform)?;
    let mut alice = Alice::call(&platform, &mut bob)?;
    own.kill_9();
    let peer = &alice.peer;
    let again = peer.expect_request("INVITE");
    let kind = "Content-Type: application/sdp";
    peer.send(peer.response(&again, "200 OK", "", &[kind], &alice.voice.sdp()?))?;
    peer.expect_request("ACK");
    let (to, _) = audio(&again).context("audio")?;
    assert!(rtpengine.media_ports().contains(&to.port()), "{to}");
    alice.voice.talk_to(to)?;
    wait_for(
        "the other side to have moved, and Alice to be heard there",
        || {
            let list = rtpengine.ask(&json!({ "command": "list" }));
            let call = list["calls"].as_array()?.first()?;
            let query = rtpengine.ask(&json!({ "command": "query", "call-id": call }));
            // It sounds keys in a stream that it has seen, and in no other.
            let heard = &query["tags"]["a"]["medias"][0]["streams"][0]["stats"]["packets"];
            (heard.as_u64()? > 0).then_some(())
        },
    );
    let peer = &alice.peer;
    let kind = "Content-Type: application/dtmf-relay";
    let body = "Signal=5\r\nDuration=160\r\n";
    peer.send(peer.within(&alice.dialog, "INFO", 10, &[kind], body))?;
    peer.expect_status(200, "INFO");
    assert_eq!(bob.wait_for_dtmf(), "5");
    // Nobody tells the switch of keys that rtpengine hears: it sounds them.
    bob.send_dtmf('7')?;
    alice.voice.wait_for_key('7');
    Ok(())
}

#[test]
fn calls_with_keys_in_two_forms_go_to_the_server_that_converts_them() -> Result<()> {
    let (rtpengine, own) = (Rtpengine::start()?, own_server()?);
    let platform = platform()?;
    use_both(&platform, &rtpengine, &own)?;
    for _ in 0..2 {
        info_and_events(&platform)?;
    }
    Ok(())
}

#[test]
fn between_two_that_give_keys_alike_info_passes_as_it_came() -> Result<()> {
    info_passes(&platform()?)
}

#[test]
fn where_rtpengine_alone_has_the_media_keys_pass_as_they_come() -> Result<()> {
    let server = Rtpengine::start()?;
    let platform = platform()?;
    set_form(&platform, "alice", "info")?;
    assert!(!use_server(&platform, &server.control())?, "it says so");
    info_passes(&platform)
}

fn info_passes(platform: &Platform) -> Result<()> {
    let ready = platform.ready();
    let [alice, bob] = [Peer::new(ready.sip.udp)?, Peer::new(ready.sip.udp)?];
    alice.register_routable(platform, "alice")?;
    bob.register_routable(platform, "bob")?;
    let voices = [Voice::new()?, Voice::new()?];
    let uri = format!("sip:bob@{}", ready.domain);
    let who = ready.credentials("alice");
    let kind = "Content-Type: application/sdp";
    let invite = alice.send_with_digest(&who, "INVITE", &uri, &[kind], &voices[0].sdp()?)?;
    let invited = bob.expect_request("INVITE");
    bob.send(bob.response(&invited, "200 OK", "b", &[kind], &voices[1].sdp()?))?;
    let answer = alice.expect_status(200, "INVITE");
    alice.send(alice.ack(&invite, &answer))?;
    bob.expect_request("ACK");
    let dialog = Dialog::of_caller(&invite, &answer);
    let kind = "Content-Type: application/dtmf-relay";
    let body = "Signal=9\r\nDuration=100\r\n";
    alice.send(alice.within(&dialog, "INFO", 10, &[kind], body))?;
    let info = bob.expect_request("INFO");
    assert_eq!(info.body, body);
    bob.send(bob.response(&info, "200 OK", "", &[], ""))?;
    alice.expect_status(200, "INFO");
    Ok(())
}
