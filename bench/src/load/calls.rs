//! Calls through a server: INVITE-100-180-200-ACK-BYE-200, both ends in this thread.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::Result;
use rtp::srtp::{MasterKey, Suite};

use crate::load::batch::{self, Receiver, Sender};
use crate::load::latency::Latencies;
use crate::load::message::Message;
use crate::load::uac::{self, Caller, CallerState, CallerTexts};
use crate::load::uas::{Callee, CalleeCounts};

/// How calls begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many at a time: when one ends the next begins.
    Closed { at_once: usize },
    /// So many per second, evenly spaced, whatever becomes of them.
    Open { per_second: u32 },
    /// None.
    Stopped,
}

/// What a load of calls is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallPlan {
    /// Where the server listens.
    pub(crate) server: SocketAddrV4,
    /// Where calls come from.
    pub(crate) caller: SocketAddrV4,
    /// Where the server sends them.
    pub(crate) callee: SocketAddrV4,
    /// From the INVITE to the 200 at the called side.
    pub(crate) answer_after: Duration,
    /// From the ACK to the BYE; `None` until [`CallLoad::hang_up`].
    pub(crate) talk: Option<Duration>,
    /// Calls there can be at the same time.
    pub(crate) places: usize,
    /// The ports that both session descriptions name.
    pub(crate) media_ports: (u16, u16),
    /// The keys of caller and callee, if their media is encrypted: then the caller demands it, and
    /// the callee takes it up (RFC 8643).
    pub(crate) keys: Option<[MasterKey; 2]>,
}

impl CallPlan {
    /// The usual call: answered after 20 ms, ended at once.
    pub(crate) fn new(server: SocketAddrV4, callee: SocketAddrV4) -> Self {
        Self {
            server,
            // Another address than the callee's, so that the server can tell them apart.
            caller: SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), testkit::ports::one()),
            callee,
            answer_after: Duration::from_millis(20),
            talk: Some(Duration::ZERO),
            places: 20_000,
            media_ports: (4_000, 4_002),
            keys: None,
        }
    }

    /// The session descriptions of caller and callee.
    fn sessions(&self) -> [String; 2] {
        let (caller, callee) = (*self.caller.ip(), *self.callee.ip());
        let (from, to) = self.media_ports;
        match &self.keys {
            None => [uac::session(caller, from), uac::session(callee, to)],
            Some([ours, theirs]) => [
                uac::encrypted_session(caller, from, "RTP/SAVP", 1, ours),
                uac::encrypted_session(callee, to, "RTP/AVP", offered_tag(theirs), theirs),
            ],
        }
    }
}

/// By which tag the platform offers a suite: it offers all of them, in this order.
fn offered_tag(key: &MasterKey) -> u32 {
    let offered = (1..).zip(Suite::ALL);
    let mut tags = offered.filter(|(_, suite)| *suite == key.suite());
    tags.next().map_or(1, |(tag, _)| tag)
}

/// What has become of the calls.
#[derive(Clone, Debug)]
pub(crate) struct CallCounts {
    pub(crate) begun: u64,
    pub(crate) completed: u64,
    /// Refused with a final response, or nothing final came in time.
    pub(crate) lost: u64,
    /// What the callers had to send again.
    pub(crate) repeated_by_caller: u64,
    pub(crate) callee: CalleeCounts,
    /// Status and reason of the last refusal; empty without any.
    pub(crate) last_refusal: String,
}

impl CallCounts {
    /// Messages sent again, by anybody.
    pub(crate) fn repeated(&self) -> u64 {
        let callee = &self.callee;
        self.repeated_by_caller + callee.repeated_requests + callee.repeated_answers
    }
}

/// A running load.
pub(crate) struct CallLoad {
    plan: CallPlan,
    texts: CallerTexts,
    caller_side: (Sender, Receiver),
    callees: Vec<CalleeSide>,
    callers: Vec<Caller>,
    free: Vec<usize>,
    /// When to end which call, in order of time.
    ends: VecDeque<(Instant, usize, u32)>,
    /// When to look whether a call got on, in order of time.
    checks: VecDeque<Check>,
    counts: CallCounts,
    /// From the INVITE to the ringing.
    pub(crate) set_up: Latencies,
    /// Where the server wants the audio of each caller.
    pub(crate) audio_ports: Vec<u16>,
}

/// One called side and its socket.
struct CalleeSide {
    sender: Sender,
    receiver: Receiver,
    callee: Callee,
}

impl CalleeSide {
    fn open(address: SocketAddrV4, answer: String, delay: Duration) -> Result<Self> {
        let (sender, receiver) = batch::open(address)?;
        Ok(Self {
            sender,
            receiver,
            callee: Callee::new(address, answer, delay),
        })
    }

    fn receive(&mut self, now: Instant) -> usize {
        let count = self.receiver.receive();
        for at in 0..count {
            let (bytes, source) = (self.receiver.datagram(at), self.receiver.source(at));
            self.callee.handle(now, bytes, source, &mut self.sender);
        }
        count
    }
}

struct Check {
    at: Instant,
    place: usize,
    generation: u32,
    state: CallerState,
    /// How often this one was looked at.
    round: u32,
}

impl CallLoad {
    pub(crate) fn new(plan: CallPlan) -> Result<Self> {
        Self::with_callees(plan, &[plan.callee])
    }

    /// With several called sides; `plan` names the first.
    pub(crate) fn with_callees(plan: CallPlan, callees: &[SocketAddrV4]) -> Result<Self> {
        let now = Instant::now();
        let [offer, answer] = plan.sessions();
        let open = |address| CalleeSide::open(address, answer.clone(), plan.answer_after);
        Ok(Self {
            texts: CallerTexts::new(plan.caller, plan.server, offer),
            caller_side: batch::open(plan.caller)?,
            callees: callees.iter().copied().map(open).collect::<Result<_>>()?,
            callers: (0..plan.places).map(|_| Caller::new(now)).collect(),
            free: (0..plan.places).rev().collect(),
            ends: VecDeque::new(),
            checks: VecDeque::new(),
            counts: CallCounts {
                begun: 0,
                completed: 0,
                lost: 0,
                repeated_by_caller: 0,
                callee: CalleeCounts::default(),
                last_refusal: String::new(),
            },
            set_up: Latencies::new(),
            audio_ports: Vec::new(),
            plan,
        })
    }

    /// Runs for a time.
    pub(crate) fn run_for(&mut self, pace: Pace, time: Duration) {
        let start = Instant::now();
        self.run(pace, |_, now| now.duration_since(start) >= time);
    }

    /// Runs until so many calls have begun since the start of the load.
    pub(crate) fn run_until_begun(&mut self, pace: Pace, count: u64) {
        self.run(pace, |load, _| load.counts.begun >= count);
    }

    /// Lets calls in progress come to their end, and gives up those that do not.
    pub(crate) fn drain(&mut self) {
        let start = Instant::now();
        self.run(Pace::Stopped, |load, now| {
            load.in_progress() == 0 || now.duration_since(start) > GIVE_UP_AFTER
        });
        self.counts.lost += self.in_progress() as u64;
    }

    /// Ends all calls, no more than so many per second, and waits for their ends.
    pub(crate) fn hang_up(&mut self, per_second: u32) {
        let spacing = Duration::from_secs(1) / per_second;
        let mut at = Instant::now();
        for (place, caller) in self.callers.iter().enumerate() {
            if caller.state == CallerState::Talking {
                self.ends.push_back((at, place, caller.generation));
                at += spacing;
            }
        }
        let last = at;
        self.run(Pace::Stopped, |_, now| now >= last);
        self.drain();
    }

    /// Calls that have begun and not ended.
    pub(crate) fn in_progress(&self) -> usize {
        self.plan.places - self.free.len()
    }

    pub(crate) fn counts(&self) -> CallCounts {
        CallCounts {
            callee: self.callees.iter().map(|side| side.callee.counts).sum(),
            ..self.counts.clone()
        }
    }

    /// Calls that each called side was offered.
    pub(crate) fn shares(&self) -> Vec<u64> {
        let counts = self.callees.iter().map(|side| side.callee.counts);
        counts.map(|counts| counts.invited).collect()
    }

    /// Where the server wants the audio of each callee, if there is one.
    pub(crate) fn callee_audio_ports(&self) -> &[u16] {
        self.callees
            .first()
            .map(|side| side.callee.audio_ports.as_slice())
            .unwrap_or_default()
    }

    fn run(&mut self, pace: Pace, done: impl Fn(&Self, Instant) -> bool) {
        let start = Instant::now();
        let mut begun = 0_u64;
        loop {
            let now = Instant::now();
            if done(self, now) {
                break;
            }
            match pace {
                Pace::Closed { at_once } => {
                    while !done(self, now) && self.in_progress() < at_once && self.begin(now) {}
                }
                Pace::Open { per_second } => {
                    let due = now.duration_since(start).as_secs_f64() * f64::from(per_second);
                    // After a pause of this process many are due, but no more than are wanted.
                    while (begun as f64) < due && !done(self, now) && self.begin(now) {
                        begun += 1;
                    }
                }
                Pace::Stopped => {}
            }
            self.step(now);
        }
    }

    fn step(&mut self, now: Instant) {
        let mut received = 0;
        received += self.receive_at_caller(now);
        for side in &mut self.callees {
            received += side.receive(now);
            side.callee.handle_timeout(now, &mut side.sender);
        }
        self.handle_ends(now);
        self.handle_checks(now);
        self.caller_side.0.flush();
        for side in &mut self.callees {
            side.sender.flush();
        }
        if received == 0 {
            let answers = self.callees.iter().map(|side| side.callee.poll_timeout());
            let wait = answers
                .chain([self.ends.front().map(|end| end.0)])
                .flatten()
                .min()
                .map_or(LONGEST_WAIT, |next| {
                    next.saturating_duration_since(now).min(LONGEST_WAIT)
                });
            let callees = self.callees.iter().map(|side| &side.receiver);
            let all: Vec<&Receiver> = callees.chain([&self.caller_side.1]).collect();
            batch::wait(&all, wait);
        }
    }

    /// Begins a call; false if there is no place for it.
    fn begin(&mut self, now: Instant) -> bool {
        let Some(place) = self.free.pop() else {
            return false;
        };
        self.callers[place].begin(now);
        self.counts.begun += 1;
        self.send(place, now, CallerState::Inviting, 0);
        true
    }

    fn receive_at_caller(&mut self, now: Instant) -> usize {
        let count = self.caller_side.1.receive();
        for at in 0..count {
            self.handle_response(now, at);
        }
        count
    }

    fn handle_response(&mut self, now: Instant, at: usize) {
        let message = Message::parse(self.caller_side.1.datagram(at));
        let Some((place, generation)) = self.texts.place(message.call_id) else {
            return;
        };
        let Some(caller) = self.callers.get_mut(place) else {
            return;
        };
        if caller.generation != generation {
            return;
        }
        let status = message.status();
        match (caller.state, message.method(), status) {
            (CallerState::Inviting, b"INVITE", 101..200) if !caller.rang => {
                caller.rang = true;
                self.set_up.add(now.duration_since(caller.start));
            }
            (CallerState::Inviting, b"INVITE", 200..300) => {
                caller.answered(&message);
                self.audio_ports.extend(message.audio_port());
                self.caller_side.0.queue(self.plan.server, |out| {
                    self.texts.ack(out, place, &self.callers[place]);
                });
                match self.plan.talk {
                    Some(Duration::ZERO) => self.end(place, now),
                    Some(talk) => self.ends.push_back((now + talk, place, generation)),
                    None => {}
                }
            }
            (CallerState::Inviting, b"INVITE", 300..) => {
                self.counts.lost += 1;
                self.counts.last_refusal = message.refusal();
                self.release(place);
            }
            // The answer came again: our ACK was lost.
            (CallerState::Talking, b"INVITE", 200..300) => {
                self.caller_side.0.queue(self.plan.server, |out| {
                    self.texts.ack(out, place, &self.callers[place]);
                });
            }
            (CallerState::HangingUp, b"BYE", 200..) => {
                self.counts.completed += 1;
                self.release(place);
            }
            _ => {}
        }
    }

    fn handle_ends(&mut self, now: Instant) {
        while let Some(&(at, place, generation)) = self.ends.front() {
            if at > now {
                break;
            }
            self.ends.pop_front();
            let caller = &self.callers[place];
            if caller.generation == generation && caller.state == CallerState::Talking {
                self.end(place, now);
            }
        }
    }

    fn end(&mut self, place: usize, now: Instant) {
        self.callers[place].state = CallerState::HangingUp;
        self.send(place, now, CallerState::HangingUp, 0);
    }

    /// Sends again what has had no answer (RFC 3261 §17.1, without the growing interval).
    fn handle_checks(&mut self, now: Instant) {
        while let Some(check) = self.checks.front() {
            if check.at > now {
                break;
            }
            let Some(check) = self.checks.pop_front() else {
                break;
            };
            let caller = &self.callers[check.place];
            let same = caller.generation == check.generation && caller.state == check.state;
            if !same || (caller.rang && check.state == CallerState::Inviting) {
                continue;
            }
            if check.round == REPEATS {
                self.counts.lost += 1;
                self.release(check.place);
                continue;
            }
            self.counts.repeated_by_caller += 1;
            self.send(check.place, now, check.state, check.round + 1);
        }
    }

    fn send(&mut self, place: usize, now: Instant, state: CallerState, round: u32) {
        let caller = &self.callers[place];
        let texts = &self.texts;
        self.caller_side
            .0
            .queue(self.plan.server, |out| match state {
                CallerState::HangingUp => texts.bye(out, place, caller),
                _ => texts.invite(out, place, caller),
            });
        let generation = caller.generation;
        self.checks.push_back(Check {
            at: now + REPEAT_AFTER,
            place,
            generation,
            state,
            round,
        });
    }

    fn release(&mut self, place: usize) {
        self.callers[place].state = CallerState::Free;
        self.free.push(place);
    }
}

/// T1 of RFC 3261 §17.1.1.1.
const REPEAT_AFTER: Duration = Duration::from_millis(500);
const REPEATS: u32 = 10;
const GIVE_UP_AFTER: Duration = Duration::from_secs(8);
const LONGEST_WAIT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_and_callees_understand_each_other() -> Result<()> {
        let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, testkit::ports::one());
        let mut load = CallLoad::new(CallPlan::new(callee, callee))?;
        load.run_until_begun(Pace::Closed { at_once: 50 }, 500);
        load.drain();
        let counts = load.counts();
        assert!(counts.completed >= 500, "{counts:?}");
        assert_eq!(counts.lost, 0, "{counts:?}");
        Ok(())
    }

    #[test]
    fn no_more_calls_begin_than_are_wanted_however_many_are_due() -> Result<()> {
        let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, testkit::ports::one());
        let mut load = CallLoad::new(CallPlan::new(callee, callee))?;
        load.run_until_begun(
            Pace::Open {
                per_second: 1_000_000,
            },
            10,
        );
        assert_eq!(load.counts().begun, 10);
        Ok(())
    }

    #[test]
    fn held_calls_end_when_told_to() -> Result<()> {
        let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, testkit::ports::one());
        let plan = CallPlan {
            talk: None,
            ..CallPlan::new(callee, callee)
        };
        let mut load = CallLoad::new(plan)?;
        load.run_until_begun(Pace::Open { per_second: 1_000 }, 100);
        assert_eq!(load.counts().begun, 100);
        // A busy machine takes its time.
        for _ in 0..100 {
            load.run_for(Pace::Stopped, Duration::from_millis(100));
            let talking = |caller: &&Caller| caller.state == CallerState::Talking;
            if load.callers.iter().filter(talking).count() == 100 {
                break;
            }
        }
        assert_eq!(load.in_progress(), 100);
        assert_eq!(load.callee_audio_ports(), [4_000; 100]);
        load.hang_up(1_000);
        assert_eq!(load.counts().completed, 100);
        Ok(())
    }
}
