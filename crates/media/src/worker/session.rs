//! The sessions of one worker, and what the engine tells it about them.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use os::{Epoll, Trigger};

use super::command::{ChannelId, Command};
use super::{MediumId, Token};
use crate::channel::{Channel, Path};
use crate::engine::{MediaEvent, Side};
use crate::full::{Boxes, Full};
use crate::tally::StreamStats;

/// The sessions of a worker, by slot.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: Vec<Option<Entry>>,
    /// Which part was sampled last.
    sample_part: usize,
    learn_window_us: u64,
    inactivity_us: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    session: Session,
    /// Two for each medium, RTP first.
    channels: Vec<Channel>,
    /// By medium; none, or shorter, where the plain path does.
    full: Vec<Option<Box<Full>>>,
}

/// A medium on the full path.
pub(super) struct Medium<'a> {
    pub(super) session: &'a mut Session,
    /// RTP and RTCP.
    pub(super) channels: &'a mut [Channel],
    pub(super) full: &'a mut Full,
}

/// What a worker knows of a session beside its channels.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    activity: [Activity; 2],
}

/// Of one side.
#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    /// When it was heard last, negotiated, or reported to be silent.
    since_us: u64,
    /// Whether it should send.
    expected: bool,
}

impl Sessions {
    pub(crate) fn new(learn_window: Duration, inactivity: Option<Duration>) -> Self {
        Self {
            slots: Vec::new(),
            sample_part: 0,
            learn_window_us: learn_window.as_micros() as u64,
            inactivity_us: micros(inactivity),
        }
    }

    /// Carries out a command. Commands for a slot that is not open are ignored.
    pub(crate) fn handle(
        &mut self,
        command: Command,
        epoll: &Epoll,
        now_us: u64,
        boxes: &mut Boxes,
    ) -> io::Result<()> {
        match command {
            Command::Open { slot, session } => self.open(slot, session),
            Command::Close { slot } => {
                self.slots.get_mut(slot).map(Option::take);
            }
            Command::Classify {
                slot,
                traffic_class,
            } => {
                self.each_channel_of(slot, |_, channel| channel.classify(traffic_class));
            }
            Command::Turn { slot, ways } => {
                self.each_channel_of(slot, |_, channel| channel.turn(ways));
            }
            Command::Inactivity { inactivity } => self.inactivity_us = micros(inactivity),
            Command::Extend { slot, channel } => {
                if let Some(entry) = self.entry(slot) {
                    entry.channels.push(*channel);
                }
            }
            Command::Bind {
                channel,
                side,
                family,
                socket,
            } => {
                let token = Token {
                    channel,
                    side,
                    family,
                };
                self.bind(token, socket, epoll)?;
            }
            Command::Unbind { channel, side } => self.change(channel, |c| c.close(side)),
            Command::Negotiate {
                channel,
                side,
                terms,
            } => {
                let learn_until_us = now_us + self.learn_window_us;
                self.change(channel, |c| c.negotiate(side, terms, learn_until_us));
            }
            Command::Expect { slot, sides } => {
                if let Some(entry) = self.entry(slot) {
                    entry.session.expect(sides, now_us);
                }
            }
            command => self.handle_full(command, now_us, boxes),
        }
        Ok(())
    }

    /// Carries out what is about the full path of a medium.
    fn handle_full(&mut self, command: Command, now_us: u64, boxes: &mut Boxes) {
        match command {
            Command::Bundle {
                side,
                carrier,
                mut bundle,
                touched,
            } => {
                for medium in touched {
                    self.set_full(medium, |full, _| {
                        full.share(side, medium, carrier, &mut bundle);
                    });
                }
            }
            Command::Copy { medium, from, to } => {
                self.set_full(medium, |full, _| full.set_copies(from, to));
            }
            Command::Mirror { medium, to } => {
                self.set_full(medium, |full, _| full.set_mirror(to));
            }
            Command::Stage {
                medium,
                place,
                stage,
            } => self.set_full(medium, |full, _| full.set_stage(place, stage, now_us)),
            // Most media never need it.
            Command::Secure {
                medium,
                side,
                security,
            } if !security.is_plain() || self.medium(medium).is_some() => {
                self.set_full(medium, |full, channels| {
                    full.secure(side, *security, channels, now_us, boxes);
                });
            }
            Command::Press {
                medium,
                to,
                key,
                duration_ms,
            } => {
                if let Some(medium) = self.medium(medium) {
                    medium.full.press(to, key, duration_ms, now_us);
                }
            }
            Command::Trickle {
                medium,
                side,
                candidates,
            } => {
                if let Some(medium) = self.medium(medium) {
                    let Medium { channels, full, .. } = medium;
                    full.add_candidates(side, &candidates, channels, now_us, boxes);
                }
            }
            _ => {}
        }
    }

    fn change(&mut self, id: ChannelId, change: impl FnOnce(&mut Channel)) {
        if let Some((_, channel)) = self.channel(id) {
            change(channel);
        }
    }

    fn bind(&mut self, token: Token, socket: UdpSocket, epoll: &Epoll) -> io::Result<()> {
        let Some((_, channel)) = self.channel(token.channel) else {
            return Ok(());
        };
        epoll.add(&socket, token.to_u64(), Trigger::Level)?;
        channel.open(token.side, token.family, socket);
        Ok(())
    }

    /// A channel with the session it belongs to.
    #[inline]
    pub(crate) fn channel(&mut self, id: ChannelId) -> Option<(&mut Session, &mut Channel)> {
        let entry = self.slots.get_mut(id.slot)?.as_mut()?;
        Some((&mut entry.session, entry.channels.get_mut(id.index)?))
    }

    /// Visits each channel of a session.
    pub(super) fn each_channel_of(
        &mut self,
        slot: usize,
        mut visit: impl FnMut(&mut Session, &mut Channel),
    ) {
        if let Some(entry) = self.entry(slot) {
            let channels = entry.channels.iter_mut();
            channels.for_each(|channel| visit(&mut entry.session, channel));
        }
    }

    /// Visits each channel.
    pub(super) fn each_channel(&mut self, mut visit: impl FnMut(&mut Session, &mut Channel)) {
        for entry in self.slots.iter_mut().flatten() {
            let channels = entry.channels.iter_mut();
            channels.for_each(|channel| visit(&mut entry.session, channel));
        }
    }

    /// A medium on the full path; `None` for one on the plain one.
    pub(super) fn medium(&mut self, id: MediumId) -> Option<Medium<'_>> {
        let entry = self.slots.get_mut(id.slot)?.as_mut()?;
        let first = 2 * id.stream;
        Some(Medium {
            session: &mut entry.session,
            channels: entry.channels.get_mut(first..first + 2)?,
            full: entry.full.get_mut(id.stream)?.as_deref_mut()?,
        })
    }

    /// The RTP and RTCP channels of a medium, whichever path it takes.
    pub(super) fn channels_of(&self, id: MediumId) -> Option<&[Channel]> {
        let entry = self.slots.get(id.slot)?.as_ref()?;
        let first = 2 * id.stream;
        entry.channels.get(first..first + 2)
    }

    /// Changes what a medium needs of the full path, which it takes as long as it needs any.
    fn set_full(&mut self, id: MediumId, change: impl FnOnce(&mut Full, &mut [Channel])) {
        let Some(entry) = self.entry(id.slot) else {
            return;
        };
        let first = 2 * id.stream;
        let Some(channels) = entry.channels.get_mut(first..first + 2) else {
            return;
        };
        if entry.full.len() <= id.stream {
            entry.full.resize_with(id.stream + 1, || None);
        }
        let session = entry.session.id;
        let full = entry.full[id.stream].get_or_insert_with(|| Box::new(Full::new(session)));
        change(full, channels);
        let path = if full.is_idle() {
            Path::Plain
        } else {
            Path::Full
        };
        channels.iter_mut().for_each(|channel| channel.take(path));
        if path == Path::Plain {
            entry.full[id.stream] = None;
        }
    }

    /// Reports each side that has been silent for too long, and again when it was for as long again;
    /// how many were reported. One that `report` refuses is reported again by the next sweep.
    pub(crate) fn sweep(&mut self, now_us: u64, report: impl Fn(MediaEvent) -> bool) -> usize {
        let Some(inactivity_us) = self.inactivity_us else {
            return 0;
        };
        let mut reported = 0;
        for entry in self.slots.iter_mut().flatten() {
            let session = entry.session.id;
            for (side, activity) in [Side::A, Side::B]
                .into_iter()
                .zip(&mut entry.session.activity)
            {
                let silent = now_us.saturating_sub(activity.since_us) >= inactivity_us;
                if activity.expected && silent && report(MediaEvent::Silent { session, side }) {
                    activity.since_us = now_us;
                    reported += 1;
                }
            }
        }
        reported
    }

    /// Takes a sample of the quality of each stream. A call does one part of the sessions, so that
    /// [`SAMPLE_PARTS`] calls do each once.
    pub(crate) fn sample(&mut self) {
        self.sample_part = (self.sample_part + 1) % SAMPLE_PARTS;
        let slots = self.slots.iter().skip(self.sample_part);
        for entry in slots.step_by(SAMPLE_PARTS).flatten() {
            // RTP and RTCP channels take turns and share their figures.
            for channel in entry.channels.iter().step_by(2) {
                channel.stats().into_iter().for_each(StreamStats::sample);
            }
        }
    }

    fn open(&mut self, slot: usize, session: u64) {
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Entry {
            session: Session {
                id: session,
                activity: [Activity::default(); 2],
            },
            channels: Vec::new(),
            full: Vec::new(),
        });
    }

    fn entry(&mut self, slot: usize) -> Option<&mut Entry> {
        self.slots.get_mut(slot)?.as_mut()
    }
}

impl Session {
    /// Which it is.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Takes note of which sides should send from now on.
    fn expect(&mut self, sides: [bool; 2], now_us: u64) {
        self.activity = sides.map(|expected| Activity {
            since_us: now_us,
            expected,
        });
    }

    /// What is said when a side does not want our packets any more.
    pub(super) fn lost_consent(&self, side: Side) -> MediaEvent {
        MediaEvent::ConsentLost {
            session: self.id,
            side,
        }
    }

    /// A side has sent something that was let in, RTCP included: a phone that suppresses silence
    /// still reports.
    #[inline]
    pub(crate) fn heard(&mut self, side: Side, now_us: u64) {
        self.activity[side as usize].since_us = now_us;
    }
}

fn micros(duration: Option<Duration>) -> Option<u64> {
    duration.map(|duration| duration.as_micros() as u64)
}

/// Sweeps from one sample of a session to the next: 5 s, as [`crate::quality::SAMPLE_S`] says.
const SAMPLE_PARTS: usize = 20;
