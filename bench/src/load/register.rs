//! Register cycles with digest: REGISTER-401-REGISTER-200, for many users in turn.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;
use md5::{Digest as _, Md5};

use crate::load::batch::{self, Receiver, Sender};
use crate::load::message::{Message, text};

/// Who registers where.
#[derive(Clone, Debug)]
pub(crate) struct RegisterPlan {
    pub(crate) server: SocketAddrV4,
    /// The port of all phones; each has an address of its own in 127.0.0.0/8.
    pub(crate) port: u16,
    /// Domain of the addresses of record, and realm.
    pub(crate) domain: String,
    /// The numbers of the phones that register.
    pub(crate) phones: Range<usize>,
    /// Phones of one user. Users are named by [`user_name`], with [`password`].
    pub(crate) phones_per_user: usize,
}

impl RegisterPlan {
    fn user(&self, phone: usize) -> usize {
        phone / self.phones_per_user
    }
}

/// The name of a user of the benchmark.
pub(crate) fn user_name(number: usize) -> String {
    format!("user{number}")
}

/// The address of a phone. Real ones have addresses of their own too; a server that
/// bounds what one address may ask would otherwise refuse most of the load.
fn address(number: usize) -> Ipv4Addr {
    let [_, _, high, low] = ((number % ADDRESSES) as u32).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// The password of a user of the benchmark.
pub(crate) fn password(number: usize) -> String {
    format!("bench-secret-{number}")
}

/// What has become of the cycles.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RegisterCounts {
    pub(crate) completed: u64,
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    /// The status of the last refusal, 0 without any.
    pub(crate) last_refusal: u16,
}

/// A running load: each phone has at most one cycle going on.
pub(crate) struct RegisterLoad {
    plan: RegisterPlan,
    sender: Sender,
    receiver: Receiver,
    /// The phones of the plan, in order.
    users: Vec<Registering>,
    /// The phone whose turn is next; counted from the first of the plan, as everywhere here.
    next: usize,
    in_progress: usize,
    checks: VecDeque<(Instant, usize, u32)>,
    pub(crate) counts: RegisterCounts,
}

struct Registering {
    /// H(A1) of RFC 2617 §3.2.2.2, in hexadecimal.
    ha1: [u8; 32],
    /// Grows by one with each request.
    cseq: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Asking,
    Answering,
}

impl RegisterLoad {
    pub(crate) fn new(plan: RegisterPlan) -> Result<Self> {
        let (sender, receiver) = batch::open(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, plan.port))?;
        let users = plan.phones.clone().map(|phone| plan.user(phone));
        let users = users.map(|number| Registering {
            ha1: hex_md5(&[
                format!("{}:{}:{}", user_name(number), plan.domain, password(number)).as_bytes(),
            ]),
            cseq: 0,
            state: State::Idle,
        });
        let users = users.collect();
        Ok(Self {
            plan,
            sender,
            receiver,
            users,
            next: 0,
            in_progress: 0,
            checks: VecDeque::new(),
            counts: RegisterCounts::default(),
        })
    }

    /// Keeps so many cycles going for a time.
    pub(crate) fn run_for(&mut self, at_once: usize, time: Duration) {
        let start = Instant::now();
        self.run(at_once, |_, now| now.duration_since(start) >= time);
    }

    /// Keeps so many cycles going until so many are completed or lost.
    pub(crate) fn run_until(&mut self, at_once: usize, count: u64) {
        self.run(at_once, |load, _| {
            load.counts.completed + load.counts.lost >= count
        });
    }

    /// Lets cycles come to their end.
    pub(crate) fn drain(&mut self) {
        let start = Instant::now();
        self.run(0, |load, now| {
            load.in_progress == 0 || now.duration_since(start) > GIVE_UP_AFTER
        });
        self.counts.lost += self.in_progress as u64;
    }

    fn run(&mut self, at_once: usize, done: impl Fn(&Self, Instant) -> bool) {
        loop {
            let now = Instant::now();
            if done(self, now) {
                break;
            }
            while self.in_progress < at_once && self.begin(now) {}
            let count = self.receiver.receive();
            for at in 0..count {
                self.handle_response(now, at);
            }
            self.handle_checks(now);
            self.sender.flush();
            if count == 0 {
                batch::wait(&[&self.receiver], LONGEST_WAIT);
            }
        }
    }

    fn begin(&mut self, now: Instant) -> bool {
        let number = self.next;
        if self.users[number].state != State::Idle {
            return false;
        }
        self.next = (self.next + 1) % self.users.len();
        self.in_progress += 1;
        self.users[number].state = State::Asking;
        self.send(number, now, None);
        true
    }

    fn handle_response(&mut self, now: Instant, at: usize) {
        let message = Message::parse(self.receiver.datagram(at));
        let phone = phone_of(message.call_id);
        let Some(number) = phone.and_then(|phone| phone.checked_sub(self.plan.phones.start)) else {
            return;
        };
        let Some(user) = self.users.get(number) else {
            return;
        };
        let cseq = message.cseq.split(|&byte| byte == b' ').next();
        if cseq != Some(user.cseq.to_string().as_bytes()) {
            return;
        }
        match (user.state, message.status()) {
            (State::Asking, 401) => {
                let challenge = String::from_utf8_lossy(message.challenge).into_owned();
                self.users[number].state = State::Answering;
                self.send(number, now, Some(&challenge));
            }
            (State::Answering, 200) => {
                self.counts.completed += 1;
                self.release(number);
            }
            (State::Asking | State::Answering, status) if status >= 200 => {
                self.counts.lost += 1;
                self.counts.last_refusal = status;
                self.release(number);
            }
            _ => {}
        }
    }

    /// Sends again what has had no answer, as a new request: simple, and rare.
    fn handle_checks(&mut self, now: Instant) {
        while let Some(&(at, number, cseq)) = self.checks.front() {
            if at > now {
                break;
            }
            self.checks.pop_front();
            let user = &mut self.users[number];
            if user.cseq == cseq && user.state != State::Idle {
                user.state = State::Asking;
                self.counts.repeated += 1;
                self.send(number, now, None);
            }
        }
    }

    fn send(&mut self, number: usize, now: Instant, challenge: Option<&str>) {
        self.users[number].cseq += 1;
        let user = &self.users[number];
        let plan = &self.plan;
        let phone = plan.phones.start + number;
        self.sender.queue_from(address(phone), plan.server, |out| {
            write_register(out, plan, phone, user);
            if let Some(challenge) = challenge {
                write_authorization(out, plan, phone, user, challenge);
            }
            text(out, format_args!("Content-Length: 0\r\n\r\n"));
        });
        self.checks
            .push_back((now + REPEAT_AFTER, number, user.cseq));
    }

    fn release(&mut self, number: usize) {
        self.users[number].state = State::Idle;
        self.in_progress -= 1;
    }
}

fn write_register(out: &mut Vec<u8>, plan: &RegisterPlan, number: usize, user: &Registering) {
    let RegisterPlan { domain, port, .. } = plan;
    let local = SocketAddrV4::new(address(number), *port);
    let name = user_name(plan.user(number));
    let cseq = user.cseq;
    text(
        out,
        format_args!(
            "REGISTER sip:{domain} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bKr{number}-{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{name}@{domain}>;tag=f{number}\r\n\
             To: <sip:{name}@{domain}>\r\nCall-ID: r{number}@{local}\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:{name}@{local}>;\
             +sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{number:012x}>\"\r\n\
             Expires: 3600\r\nUser-Agent: bench\r\n"
        ),
    );
}

/// RFC 2617 §3.2.2 with qop=auth.
fn write_authorization(
    out: &mut Vec<u8>,
    plan: &RegisterPlan,
    number: usize,
    user: &Registering,
    challenge: &str,
) {
    let nonce = quoted(challenge, "nonce=\"");
    let realm = quoted(challenge, "realm=\"");
    let domain = &plan.domain;
    let ha2 = hex_md5(&[b"REGISTER:sip:", domain.as_bytes()]);
    let response = hex_md5(&[
        &user.ha1,
        b":",
        nonce.as_bytes(),
        b":00000001:0a4f113b:auth:",
        &ha2,
    ]);
    text(
        out,
        format_args!(
            "Authorization: Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", \
             uri=\"sip:{domain}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"0a4f113b\", \
             response=\"{}\"\r\n",
            user_name(plan.user(number)),
            String::from_utf8_lossy(&response),
        ),
    );
}

fn quoted<'a>(challenge: &'a str, start: &str) -> &'a str {
    let after = challenge.split_once(start).map_or("", |(_, rest)| rest);
    after.split('"').next().unwrap_or_default()
}

fn phone_of(call_id: &[u8]) -> Option<usize> {
    let text = str::from_utf8(call_id).ok()?;
    text.strip_prefix('r')?.split('@').next()?.parse().ok()
}

fn hex_md5(pieces: &[&[u8]]) -> [u8; 32] {
    let mut hash = Md5::new();
    for piece in pieces {
        hash.update(piece);
    }
    let mut hex = [0; 32];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(hash.finalize()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

const ADDRESSES: usize = 20_000;
const DIGITS: &[u8; 16] = b"0123456789abcdef";
const REPEAT_AFTER: Duration = Duration::from_millis(500);
const GIVE_UP_AFTER: Duration = Duration::from_secs(8);
const LONGEST_WAIT: Duration = Duration::from_millis(1);
