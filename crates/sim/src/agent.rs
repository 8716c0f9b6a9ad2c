//! A user agent: a phone, a customer's switch or a carrier's gateway.
//!
//! It speaks through the transactions of [`sip`], and is a person's worth of whims otherwise:
//! what it does with a call is drawn when the call comes up.

pub(crate) mod called;
pub(crate) mod calling;
pub(crate) mod midcall;
pub(crate) mod registering;
pub(crate) mod session;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use sip::digest::Session as Digest;
use sip::transaction::{
    ClientId, Event, Listener, ServerId, TransactionConfig, TransactionOutput, Transactions,
};
use sip::uri::Uri;
use sip::{
    ConnId, Destination, Flow, Framing, HeaderName, ListenerId, Message, Method, Transmit,
    Transport, Writer,
};

use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::trace::Trace;
use midcall::Errand;
use session::Session;

/// One agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) name: &'static str,
    /// Whose phone it is; of a trunk its name.
    pub(crate) user: &'static str,
    pub(crate) kind: Kind,
    /// Where the network finds it; behind NAT not what it calls itself.
    pub(crate) address: SocketAddr,
    /// `host:port` as it calls itself.
    pub(crate) host: String,
    /// Its connection to the switch; `None` speaks UDP.
    pub(crate) conn: Option<ConnId>,
    /// Where it sends what belongs to no dialog.
    pub(crate) proxy: SocketAddr,
    pub(crate) temper: Temper,
    pub(crate) sessions: Vec<Session>,
    /// Counts its lives: it may crash and come back.
    pub(crate) life: u32,
    pub(crate) is_alive: bool,
    /// Whether it loses its memory or its network in this run, so that its calls may end in silence.
    pub(crate) is_blurred: bool,
    transactions: Transactions,
    requests: Vec<(ClientId, Errand)>,
    /// The challenge it answered last.
    digest: Option<Digest>,
    register_seq: u32,
    /// Call-IDs of INVITEs it does not hear at all, and of those it has heard.
    muted: Vec<Vec<u8>>,
    heard: Vec<Vec<u8>>,
    tags: u32,
    out: Vec<(SocketAddr, Bytes)>,
}

/// What an agent does with its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Whatever a user agent may.
    Moody,
    /// It calls, rings, answers, holds and hangs up.
    Plain,
}

/// What an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Registers, and answers challenges.
    Phone,
    /// Is known by its address.
    Trunk,
}

/// What surrounds an agent in one step.
pub(crate) struct Step<'a> {
    pub(crate) now: Time,
    pub(crate) dice: &'a mut Dice,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) trace: &'a mut Trace,
    /// What it wants to do later, by when.
    pub(crate) wishes: &'a mut Vec<(Time, Wish)>,
}

/// Something an agent means to do, unless it has crashed meanwhile.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) life: u32,
    pub(crate) what: What,
}

/// What an agent can mean to do.
#[derive(Debug)]
pub(crate) enum What {
    Register,
    Call {
        number: u32,
        to: String,
    },
    /// A MESSAGE outside of dialogs.
    Write {
        to: &'static str,
    },
    Session {
        at: usize,
        act: Act,
    },
}

/// What an agent can do in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Gives up calling.
    Cancel,
    /// 180, or 183 with a description.
    Ring {
        status: u16,
        fork: u8,
    },
    Answer,
    Refuse(u16),
    /// Re-INVITE: hold if talking, talk if held.
    Hold,
    Update,
    Message,
    /// To this user.
    Refer(&'static str),
    /// Calls somebody else meanwhile.
    Consult,
    /// Joins this call with another it is in: REFER with Replaces.
    Join,
    Bye,
}

impl Step<'_> {
    pub(crate) fn later(&mut self, after: Duration, life: u32, what: What) {
        self.wishes.push((self.now + after, Wish { life, what }));
    }
}

impl Agent {
    pub(crate) fn new(
        (name, user): (&'static str, &'static str),
        kind: Kind,
        address: SocketAddr,
        host: String,
    ) -> Self {
        Self {
            name,
            user,
            kind,
            address,
            transactions: transactions(&host, 0),
            host,
            conn: None,
            proxy: switch_address(),
            temper: Temper::Moody,
            sessions: Vec::new(),
            life: 0,
            is_alive: true,
            is_blurred: false,
            requests: Vec::new(),
            digest: None,
            register_seq: 0,
            muted: Vec::new(),
            heard: Vec::new(),
            tags: 0,
            out: Vec::new(),
        }
    }

    /// A datagram from the switch, or whoever stands before it.
    pub(crate) fn handle_datagram(&mut self, step: &mut Step<'_>, from: SocketAddr, bytes: Bytes) {
        if !self.is_alive || bytes.len() <= 4 {
            return;
        }
        let Ok(message) = Message::parse(bytes, Framing::Datagram) else {
            return;
        };
        if self.ignores(step, &message) {
            return;
        }
        let flow = self.flow_to(from);
        self.transactions.handle_message(step.now, flow, message);
        self.pump(step);
    }

    pub(crate) fn handle_timeout(&mut self, step: &mut Step<'_>) {
        self.transactions.handle_timeout(step.now);
        self.pump(step);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.transactions.poll_timeout()
    }

    /// What it sends, and where to.
    pub(crate) fn take_output(&mut self) -> Vec<(SocketAddr, Bytes)> {
        std::mem::take(&mut self.out)
    }

    /// Does what it meant to do.
    pub(crate) fn handle_wish(&mut self, step: &mut Step<'_>, wish: Wish) {
        if wish.life != self.life || !self.is_alive {
            return;
        }
        match wish.what {
            What::Register => self.register(step),
            What::Call { number, to } => self.call(step, number, to),
            What::Write { to } => self.write(step, to),
            What::Session { at, act } => self.act(step, at, act),
        }
        self.pump(step);
    }

    /// Loses its memory, and is silent until [`Agent::revive`].
    pub(crate) fn crash(&mut self) {
        self.is_alive = false;
        self.life += 1;
        self.sessions.clear();
        self.requests.clear();
        self.transactions = transactions(&self.host, u64::from(self.life));
        self.digest = None;
    }

    pub(crate) fn revive(&mut self, step: &mut Step<'_>) {
        self.is_alive = true;
        if self.kind == Kind::Phone {
            self.register(step);
            self.pump(step);
        }
    }

    fn act(&mut self, step: &mut Step<'_>, at: usize, act: Act) {
        match act {
            Act::Cancel => self.give_up(step, at),
            Act::Ring { status, fork } => self.ring(step, at, status, fork),
            Act::Answer => self.answer(step, at),
            Act::Refuse(status) => self.refuse(step, at, status),
            Act::Hold => self.hold(step, at),
            Act::Update | Act::Message | Act::Refer(_) => self.mention(step, at, act),
            Act::Consult => self.consult(step, at),
            Act::Join => self.join(step, at),
            Act::Bye => self.bye(step, at),
        }
    }

    fn pump(&mut self, step: &mut Step<'_>) {
        while let Some(output) = self.transactions.poll_output() {
            match output {
                TransactionOutput::Transmit(transmit) => self.push(&transmit),
                TransactionOutput::Event(event) => self.handle_event(step, event),
            }
        }
    }

    fn handle_event(&mut self, step: &mut Step<'_>, event: Event) {
        match event {
            Event::Request {
                server,
                flow,
                message,
            } => {
                self.handle_request(step, server, flow, message);
            }
            Event::Cancel { server, .. } => self.handle_cancel(step, server),
            Event::Ack { message, .. } => self.handle_ack(step, &message),
            Event::Response {
                client, message, ..
            } => self.handle_response(step, client, &message),
            Event::Timeout { client } | Event::RequestFailed { client } => {
                self.handle_silence(step, client);
            }
            Event::NoAck { server } => self.handle_no_ack(step, server),
            Event::NoPrack { server } => self.handle_no_prack(step, server),
            Event::ClientEnded { client } => self.requests.retain(|(c, _)| *c != client),
            Event::ServerEnded { .. }
            | Event::StrayResponse { .. }
            | Event::ResponseFailed { .. } => {}
        }
    }

    fn handle_request(
        &mut self,
        step: &mut Step<'_>,
        server: ServerId,
        flow: Flow,
        message: Message,
    ) {
        let inside = message.to().is_ok_and(|to| to.tag().is_some());
        match message.method() {
            Method::Invite if !inside => self.handle_invite(step, server, flow, message),
            _ if inside => self.handle_inside(step, server, flow, &message),
            Method::Options | Method::Message => self.respond(step, server, flow, &message, 200),
            _ => self.respond(step, server, flow, &message, 405),
        }
    }

    fn respond(
        &mut self,
        step: &mut Step<'_>,
        server: ServerId,
        flow: Flow,
        request: &Message,
        status: u16,
    ) {
        let tag = self.tag();
        let mut w = Writer::response(request, flow.remote, status, "", tag.as_bytes());
        if status == 503 {
            w.header("Retry-After", b"2");
        }
        self.transactions
            .respond(step.now, server, status, w.finish());
    }

    fn send(&mut self, now: Time, request: &[u8], errand: Errand) -> ClientId {
        let to = Destination::Flow(self.flow_to(self.hop_of(request)));
        let client = self.transactions.request(now, to, request);
        self.requests.push((client, errand));
        client
    }

    fn send_ack(&mut self, request: &[u8]) {
        let to = Destination::Flow(self.flow_to(self.hop_of(request)));
        let transmit = self.transactions.stateless(to, request, 0);
        self.push(&transmit);
    }

    fn push(&mut self, transmit: &Transmit) {
        let to = transmit.to.remote();
        self.out.push((to, transmit.bytes.clone()));
    }

    /// Where a request goes (RFC 3261 §8.1.2): by its route, or its URI if it belongs to a dialog.
    fn hop_of(&self, request: &[u8]) -> SocketAddr {
        let bytes = Bytes::copy_from_slice(request);
        let Ok(message) = Message::parse(bytes, Framing::Datagram) else {
            return self.proxy;
        };
        if !message.to().is_ok_and(|to| to.tag().is_some()) {
            return self.proxy;
        }
        let route = message.address(HeaderName::Route).ok();
        let uri = route.map_or(message.uri(), |route| route.uri);
        let hop = Uri::parse(uri).ok().and_then(|uri| {
            let port = uri.port.unwrap_or(Transport::Udp.default_port());
            Some(SocketAddr::new(uri.host_ip()?, port))
        });
        hop.unwrap_or(self.proxy)
    }

    /// Whether it does whatever a user agent may.
    fn is_moody(&self) -> bool {
        self.temper == Temper::Moody
    }

    /// A tag it has not used before.
    fn tag(&mut self) -> String {
        self.tags += 1;
        format!("{}-{}-{}", self.name, self.life, self.tags)
    }

    /// `<sip:alice@10.0.0.1:5060>`.
    fn contact(&self) -> String {
        format!("<{}>", self.contact_uri())
    }

    fn contact_uri(&self) -> String {
        let transport = self.conn.map_or("", |_| ";transport=tcp");
        format!("sip:{}@{}{transport}", self.name, self.host)
    }

    fn flow_to(&self, remote: SocketAddr) -> Flow {
        Flow {
            transport: self.conn.map_or(Transport::Udp, |_| Transport::Tcp),
            listener: ListenerId(0),
            conn: self.conn,
            remote,
        }
    }
}

/// Where the switch listens.
pub(crate) fn switch_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

fn transactions(host: &str, life: u64) -> Transactions {
    let listener = Listener {
        id: ListenerId(0),
        sent_by: host.into(),
        stream: None,
    };
    let seed = host.bytes().fold(life + 1, |sum, b| {
        sum.wrapping_mul(31).wrapping_add(b.into())
    });
    Transactions::new(TransactionConfig::new(vec![listener], [seed, !seed]))
}
