//! Many calls at once whose media is measured where it arrives: a caller and a callee of our own
//! for each, sending a packet every 20 ms to wherever they were told last.

mod voice;

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::message::Message;
use crate::peer::Peer;
use crate::wait::{wait_for, wait_for_within};
pub use voice::Speech;
use voice::{Heard, Voice};

/// Callers and callees; they stop with the value.
#[derive(Debug)]
pub struct Talkers {
    lines: Arc<Mutex<Lines>>,
    caller: Arc<Peer>,
    callee: Arc<Peer>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// All ends of all calls: the caller's by the Call-ID of its leg, the callee's by that of its.
#[derive(Debug, Default)]
struct Lines {
    ends: HashMap<String, Line>,
    reinvites: usize,
}

/// One end of a call.
#[derive(Debug)]
struct Line {
    media: UdpSocket,
    voice: Voice,
    /// Where it was told to send to.
    target: Option<SocketAddr>,
    sequence: u16,
    last: Option<Instant>,
    longest_gap: Duration,
    packets: usize,
    /// The INVITE and the answer to it, of a caller.
    dialog: Option<(String, Option<Message>)>,
    /// The CSeq of the last INVITE to it, and its answer: a repetition gets the same.
    answered: Option<(String, String)>,
    /// Whether it says nothing.
    is_mute: bool,
    is_over: bool,
}

impl Talkers {
    /// Callers of the platform at this address, and a gateway that answers them.
    ///
    /// # Errors
    /// If no sockets can be had.
    pub fn new(platform: SocketAddr) -> Result<Self> {
        let lines = Arc::new(Mutex::new(Lines::default()));
        let caller = Arc::new(Peer::new(platform)?);
        let callee = Arc::new(Peer::new(platform)?);
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for peer in [&caller, &callee] {
            let (peer, lines, stop) = (Arc::clone(peer), Arc::clone(&lines), Arc::clone(&stop));
            threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Some(message) = peer.receive_until(Instant::now() + LOOK) {
                        // What fails is missed by whoever waits for it.
                        let _ = handle(&peer, &lines, &message);
                    }
                }
            }));
        }
        let (media_lines, media_stop) = (Arc::clone(&lines), Arc::clone(&stop));
        threads.push(std::thread::spawn(move || {
            let mut next = Instant::now();
            while !media_stop.load(Ordering::Relaxed) {
                let sends = Instant::now() >= next;
                if sends {
                    next += PACKET;
                }
                lock(&media_lines).pump(sends);
                std::thread::sleep(STEP);
            }
        }));
        Ok(Self {
            lines,
            caller,
            callee,
            stop,
            threads,
        })
    }

    /// Where calls to carriers are answered.
    #[must_use]
    pub fn gateway(&self) -> SocketAddr {
        self.callee.address()
    }

    /// Makes so many calls more, and waits until each end of each hears the other.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If they are not all answered and heard.
    pub fn call(&self, count: usize, number: &str) -> Result<()> {
        self.call_in(Speech::Plain, count, number)
    }

    /// The same with callers that speak in this way.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If they are not all answered and heard.
    pub fn call_in(&self, speech: Speech, count: usize, number: &str) -> Result<()> {
        let before = lock(&self.lines).ends.len();
        for _ in 0..count {
            let line = Line::new(Voice::caller(speech)?)?;
            let offer = line.voice.offer(line.media.local_addr()?);
            let uri = format!("sip:{number}@127.0.0.1");
            let invite = self.caller.request("INVITE", &uri, &[], &offer);
            let message = Message::parse(&invite).context("we built it")?;
            let call_id = message.header("Call-ID").unwrap_or_default().to_owned();
            let line = Line {
                dialog: Some((invite.clone(), None)),
                ..line
            };
            lock(&self.lines).ends.insert(call_id, line);
            self.caller.send(invite)?;
        }
        wait_for_within(PATIENCE, "all calls to be heard at both ends", || {
            let lines = lock(&self.lines);
            let heard = lines.ends.values().filter(|line| line.packets > 5).count();
            (heard == before + 2 * count).then_some(())
        });
        self.forget_gaps();
        Ok(())
    }

    /// From now on gaps are measured anew.
    pub fn forget_gaps(&self) {
        for line in lock(&self.lines).ends.values_mut() {
            line.longest_gap = Duration::ZERO;
            line.packets = 0;
        }
    }

    /// The longest time any end heard nothing, until now, in the order of length.
    #[must_use]
    pub fn gaps(&self) -> Vec<Duration> {
        let lines = lock(&self.lines);
        let gap = |line: &Line| {
            line.last
                .map_or(Duration::ZERO, |last| last.elapsed())
                .max(line.longest_gap)
        };
        let mut gaps: Vec<Duration> = lines.ends.values().map(gap).collect();
        gaps.sort_unstable();
        gaps
    }

    /// How many ends send to one of these ports.
    #[must_use]
    pub fn ends_at(&self, ports: &RangeInclusive<u16>) -> usize {
        let lines = lock(&self.lines);
        let at = |line: &&Line| line.target.is_some_and(|t| ports.contains(&t.port()));
        lines.ends.values().filter(at).count()
    }

    /// How many re-INVITEs came.
    #[must_use]
    pub fn reinvites(&self) -> usize {
        lock(&self.lines).reinvites
    }

    /// Waits until all ends send to these ports and hear each other.
    ///
    /// # Panics
    /// If they do not in time.
    #[track_caller]
    pub fn wait_until_at(&self, ports: &RangeInclusive<u16>) {
        wait_for("all ends at other ports", || {
            let all = lock(&self.lines).ends.len();
            (self.ends_at(ports) == all).then_some(())
        });
        let since = Instant::now();
        wait_for("all ends to hear again", || {
            let lines = lock(&self.lines);
            let hears = |line: &Line| line.last.is_some_and(|last| last > since);
            lines.ends.values().all(hears).then_some(())
        });
    }

    /// Waits until so many packets have come to each end since gaps were measured anew.
    ///
    /// # Panics
    /// If they do not in time.
    #[track_caller]
    pub fn wait_for_packets(&self, count: usize) {
        wait_for("packets at all ends", || {
            let lines = lock(&self.lines);
            let all = lines.ends.values().all(|line| line.packets >= count);
            all.then_some(())
        });
    }

    /// From now on callees send nothing.
    pub fn silence_callees(&self) {
        for line in lock(&self.lines).ends.values_mut() {
            line.is_mute |= line.dialog.is_none();
        }
    }

    /// The callers end all calls.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If the callees do not hear of it, or the platform does not answer.
    pub fn hang_up(&self) -> Result<()> {
        let mut byes = Vec::new();
        for line in lock(&self.lines).ends.values() {
            if let Some((invite, Some(answer))) = &line.dialog {
                byes.push(bye(&self.caller, invite, answer).context("a dialog")?);
            }
        }
        for bye in byes {
            self.caller.send(bye)?;
        }
        wait_for("the end of all calls", || {
            let lines = lock(&self.lines);
            lines.ends.values().all(|line| line.is_over).then_some(())
        });
        lock(&self.lines).ends.clear();
        Ok(())
    }
}

impl Drop for Talkers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Line {
    fn new(voice: Voice) -> Result<Self> {
        let media = UdpSocket::bind("127.0.0.1:0").context("a media socket")?;
        media.set_nonblocking(true).context("a media socket")?;
        Ok(Self {
            media,
            voice,
            target: None,
            sequence: FIRST_SEQUENCE,
            last: None,
            longest_gap: Duration::ZERO,
            packets: 0,
            dialog: None,
            answered: None,
            is_mute: false,
            is_over: false,
        })
    }

    fn answer_to(&self, invite: &Message) -> Option<String> {
        let (sequence, answer) = self.answered.as_ref()?;
        (*sequence == sequence_of(invite)).then(|| answer.clone())
    }

    fn send(&mut self) {
        let (Some(target), Ok(own)) = (self.target, self.media.local_addr()) else {
            return;
        };
        if self.is_mute {
            return;
        }
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0x80, self.voice.payload_type()];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend(u32::from(own.port()).to_be_bytes());
        packet.extend([0xd5; 160]);
        if let Some(packet) = self.voice.protect(packet) {
            // Whoever is gone refuses; that is what is measured.
            let _ = self.media.send_to(&packet, target);
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; 2_048];
        loop {
            match self.media.recv_from(&mut buffer) {
                Ok((size, _)) => {
                    if self.voice.hear(&mut buffer[..size]) == Heard::Media {
                        let now = Instant::now();
                        let gap = self.last.map_or(Duration::ZERO, |last| now - last);
                        self.longest_gap = self.longest_gap.max(gap);
                        self.last = Some(now);
                        self.packets += 1;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // A refusal of an earlier packet.
                Err(_) => {}
            }
        }
    }

    fn shake_hands(&mut self) {
        let Some(target) = self.target else { return };
        let media = &self.media;
        // Lost ones are sent again.
        self.voice.pump(|bytes| drop(media.send_to(bytes, target)));
    }
}

impl Lines {
    fn pump(&mut self, sends: bool) {
        for line in self.ends.values_mut() {
            if sends {
                line.send();
            }
            line.receive();
            line.shake_hands();
        }
    }
}

/// What callers and callees do with a message.
fn handle(peer: &Peer, lines: &Mutex<Lines>, message: &Message) -> Result<()> {
    let call_id = message.header("Call-ID").unwrap_or_default().to_owned();
    let mut lines = lock(lines);
    match (message.status(), message.method()) {
        (None, "INVITE") => {
            let again = lines
                .ends
                .get(&call_id)
                .and_then(|line| line.answer_to(message));
            if let Some(answer) = again {
                return peer.send(peer.response(message, "200 OK", "callee", &[], &answer));
            }
            if !message.to_tag().is_empty() {
                lines.reinvites += 1;
            }
            let line = match lines.ends.entry(call_id) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(Line::new(Voice::callee()?)?)
                }
            };
            line.target = media_of(message);
            let answer = line.voice.answer(&message.body, line.media.local_addr()?)?;
            line.answered = Some((sequence_of(message), answer.clone()));
            peer.send(peer.response(message, "200 OK", "callee", &[], &answer))
        }
        (Some(200), "INVITE") => {
            let Some(line) = lines.ends.get_mut(&call_id) else {
                return Ok(());
            };
            line.target = media_of(message);
            line.voice.take(&message.body)?;
            let Some((invite, answer)) = &mut line.dialog else {
                return Ok(());
            };
            *answer = Some(message.clone());
            peer.send(peer.ack(invite, message))
        }
        (None, "BYE") => {
            if let Some(line) = lines.ends.get_mut(&call_id) {
                line.is_over = true;
            }
            peer.send(peer.response(message, "200 OK", "", &[], ""))
        }
        (Some(200), "BYE") => {
            if let Some(line) = lines.ends.get_mut(&call_id) {
                line.is_over = true;
            }
            Ok(())
        }
        (None, "OPTIONS") => peer.send(peer.response(message, "200 OK", "peer", &[], "")),
        _ => Ok(()),
    }
}

fn sequence_of(message: &Message) -> String {
    message.header("CSeq").unwrap_or_default().to_owned()
}

fn bye(peer: &Peer, invite: &str, answer: &Message) -> Option<String> {
    let invite = Message::parse(invite)?;
    let line = |name: &str, of: &Message| Some(format!("{name}: {}", of.header(name)?));
    let extra = [
        line("From", &invite)?,
        line("To", answer)?,
        line("Call-ID", &invite)?,
        "CSeq: 2 BYE".to_owned(),
    ];
    let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
    Some(peer.request("BYE", answer.contact_uri(), &extra, ""))
}

/// Where a description wants its audio.
fn media_of(message: &Message) -> Option<SocketAddr> {
    let line = |start: &str| message.body.lines().find_map(|l| l.strip_prefix(start));
    let port = line("m=audio ")?.split(' ').next()?.parse().ok()?;
    let ip = line("c=IN IP4 ")?.trim().parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sequence numbers roll over soon, as they do every 22 minutes: whoever relays a call from its
/// middle on has missed that.
const FIRST_SEQUENCE: u16 = 65_510;
const PACKET: Duration = Duration::from_millis(20);
const STEP: Duration = Duration::from_millis(3);
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);
