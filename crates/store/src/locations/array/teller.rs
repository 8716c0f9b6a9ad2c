//! Telling those servers that listen to this one, each in its own time.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::frame::{Frame, Packed};
use super::link::Link;
use super::shelf::Following;
use super::status::ThreadTime;
use super::{BEAT, Shared, clock_us};
use crate::locations::codec;

/// A server that listens to this one, or did.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// The connection over which it listens at present, by its number.
    pub(super) connection: Option<u64>,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) changes: u64,
    /// How old what it has taken last was by then.
    pub(super) lag: Option<Duration>,
    /// The last portion that it has taken.
    pub(super) number: u64,
    /// How often it had to look through the shelf because portions were gone.
    pub(super) lost: u64,
    /// How far its clock is ahead of ours, in microseconds.
    pub(super) skew_us: Option<i64>,
}

/// Takes connections until the array ends.
pub(super) fn accept(shared: &Arc<Shared>, socket: &TcpListener) {
    for stream in socket.incoming() {
        let mut state = shared.lock();
        if state.has_ended {
            return;
        }
        let Ok(stream) = stream else {
            // Too many open files, most likely.
            drop(shared.wait(state, PAUSE));
            continue;
        };
        if state.taken.len() >= CONNECTIONS_MAX {
            continue;
        }
        let Ok(closer) = stream.try_clone() else {
            continue;
        };
        state.taken_ever += 1;
        let number = state.taken_ever;
        state.taken.insert(number, closer);
        drop(state);
        let serving = Arc::clone(shared);
        let spawned = thread::Builder::new()
            .name(format!("array-to-{number}"))
            .spawn(move || {
                if let Err(error) = serve(&serving, number, stream) {
                    tracing::debug!(%error, "a connection of the array has ended");
                }
                serving.lock().leave(number);
            });
        if spawned.is_err() {
            shared.lock().leave(number);
        }
    }
}

impl super::State {
    /// A connection has ended.
    fn leave(&mut self, number: u64) {
        self.taken.remove(&number);
        for listener in self.listeners.values_mut() {
            listener.connection = listener.connection.filter(|own| *own != number);
        }
    }
}

fn serve(shared: &Arc<Shared>, connection: u64, stream: TcpStream) -> std::io::Result<()> {
    let mut link = Link::take(stream, &shared.server)?;
    match link.receive()? {
        Frame::Hear { id, start, number } => {
            let Some(us) = shared.us() else {
                return Ok(());
            };
            let last = shared.lock().shelf.last();
            // Of another start, it has heard nothing.
            let number = match start == shared.start && number <= last {
                true => number,
                false => last,
            };
            link.send(&Frame::Welcome {
                start: shared.start,
                number,
                node: codec::describe(&us),
                id: us.id,
            })?;
            Teller {
                shared,
                link,
                connection,
                id,
                number,
                described: String::new(),
                cpu: ThreadTime::default(),
                counted_bytes: 0,
            }
            .run()
        }
        Frame::Look { from } => show(shared, link, from),
        _ => Err(std::io::Error::other("a first frame that begins nothing")),
    }
}

/// Shows the shelf, part by part, for as long as it is asked for.
fn show(shared: &Shared, mut link: Link, mut from: u64) -> std::io::Result<()> {
    let mut cpu = ThreadTime::default();
    loop {
        let (changes, next) = shared.lock().shelf.part(from);
        link.send(&Frame::Part { next, changes })?;
        shared.cpu.add(cpu.lap());
        if next == 0 {
            return Ok(());
        }
        from = match link.receive()? {
            Frame::Look { from } => from,
            _ => return Err(std::io::Error::other("another frame than a look")),
        };
    }
}

struct Teller<'a> {
    shared: &'a Shared,
    link: Link,
    connection: u64,
    id: String,
    /// The last portion that was told.
    number: u64,
    /// What was said of this server last.
    described: String,
    cpu: ThreadTime,
    counted_bytes: u64,
}

/// What goes out next, and what it is to be counted as.
struct Next {
    frame: Frame,
    number: u64,
    changes: usize,
    /// Since when it waits.
    since: Option<Instant>,
    is_lost: bool,
}

impl Teller<'_> {
    fn run(mut self) -> std::io::Result<()> {
        let mut state = self.shared.lock();
        if state.listeners.len() >= LISTENERS_MAX {
            // Names that came once: those that are connected stay.
            state
                .listeners
                .retain(|_, known| known.connection.is_some());
        }
        let listener = state.listeners.entry(self.id.clone()).or_default();
        listener.connection = Some(self.connection);
        drop(state);
        while let Some(next) = self.next() {
            let sent = (Instant::now(), clock_us());
            self.link.send(&next.frame)?;
            let Frame::Heard { clock_us: theirs } = self.link.receive()? else {
                return Err(std::io::Error::other("another frame than an answer"));
            };
            self.note(&next, sent, theirs);
            self.number = next.number;
        }
        Ok(())
    }

    /// Waits for what is to be told next, for a beat at most; `None` if the array has ended.
    fn next(&mut self) -> Option<Next> {
        let until = Instant::now() + BEAT;
        let mut state = self.shared.lock();
        loop {
            if state.has_ended || !state.taken.contains_key(&self.connection) {
                return None;
            }
            let of = |frame, number| Next {
                frame,
                number,
                changes: 0,
                since: None,
                is_lost: false,
            };
            let described = state.us.as_ref().map(codec::describe).unwrap_or_default();
            if described != self.described {
                self.described.clone_from(&described);
                return Some(of(Frame::Beat { node: described }, self.number));
            }
            match state.shelf.after(self.number) {
                Following::Portion(portion) => {
                    let changes: Packed = portion.changes;
                    let number = portion.number;
                    return Some(Next {
                        changes: portion.count,
                        since: Some(portion.at),
                        ..of(Frame::Told { number, changes }, number)
                    });
                }
                Following::Lost(number) => {
                    let lost = of(Frame::Lost { number }, number);
                    return Some(Next {
                        is_lost: true,
                        ..lost
                    });
                }
                Following::Nothing => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(of(Frame::Beat { node: described }, self.number));
            }
            state = self.shared.wait(state, left);
        }
    }

    fn note(&mut self, next: &Next, (sent, sent_us): (Instant, u64), theirs_us: u64) {
        self.shared.cpu.add(self.cpu.lap());
        let bytes = self.link.sent_bytes + self.link.received_bytes;
        let mut state = self.shared.lock();
        let Some(listener) = state.listeners.get_mut(&self.id) else {
            return;
        };
        listener.messages += 2;
        listener.bytes += bytes - self.counted_bytes;
        self.counted_bytes = bytes;
        listener.changes += next.changes as u64;
        listener.number = next.number;
        listener.lost += u64::from(next.is_lost);
        match next.since {
            Some(since) => listener.lag = Some(since.elapsed()),
            // Answered at once: between the two readings of our clock lies theirs.
            None => {
                let half_us = (sent.elapsed() / 2).as_micros() as i64;
                listener.skew_us = Some(theirs_us as i64 - (sent_us as i64 + half_us));
            }
        }
    }
}

/// Connections at a time; more are closed at once. Each other server has two at most.
const CONNECTIONS_MAX: usize = 128;
/// Servers whose figures are kept.
const LISTENERS_MAX: usize = 64;
/// After a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(200);
