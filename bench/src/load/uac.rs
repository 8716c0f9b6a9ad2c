//! The calling side: what it writes, and what it knows of a call.

use std::net::SocketAddrV4;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rtp::srtp::MasterKey;

use crate::load::message::{Message, put, text};

/// A call as its caller sees it.
pub(crate) struct Caller {
    /// Grows with each call in this place, so that late messages of an earlier one show.
    pub(crate) generation: u32,
    pub(crate) state: CallerState,
    /// When the INVITE was first sent.
    pub(crate) start: Instant,
    /// Whether a ringing has been seen.
    pub(crate) rang: bool,
    /// To of the answer, with its tag.
    to: Vec<u8>,
    /// The route set, as Route lines.
    routes: Vec<u8>,
    /// The other side's contact.
    target: Vec<u8>,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerState {
    Free,
    Inviting,
    Talking,
    HangingUp,
}

impl Caller {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            generation: 0,
            state: CallerState::Free,
            start: now,
            rang: false,
            to: Vec::new(),
            routes: Vec::new(),
            target: Vec::new(),
        }
    }

    /// Begins a call in this place.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.generation += 1;
        self.state = CallerState::Inviting;
        self.start = now;
        self.rang = false;
    }

    /// Takes the dialog out of the answer (RFC 3261 §12.1.2).
    pub(crate) fn answered(&mut self, answer: &Message<'_>) {
        self.state = CallerState::Talking;
        self.to.clear();
        self.to.extend_from_slice(answer.to);
        self.target.clear();
        self.target.extend_from_slice(answer.contact_uri());
        self.routes.clear();
        for route in answer.record_routes.iter().rev() {
            put(&mut self.routes, &[b"Route: ", route, b"\r\n"]);
        }
    }
}

/// What all calls of a generator have in common.
pub(crate) struct CallerTexts {
    local: SocketAddrV4,
    server: SocketAddrV4,
    /// Keeps Call-IDs of several runs apart.
    run: u32,
    offer: String,
}

impl CallerTexts {
    pub(crate) fn new(local: SocketAddrV4, server: SocketAddrV4, offer: String) -> Self {
        let run = std::process::id();
        Self {
            local,
            server,
            run,
            offer,
        }
    }

    pub(crate) fn invite(&self, out: &mut Vec<u8>, place: usize, caller: &Caller) {
        let Self {
            local,
            server,
            offer,
            ..
        } = self;
        text(
            out,
            format_args!("INVITE sip:4930{place:06}@{server} SIP/2.0\r\n"),
        );
        self.via(out, place, caller, 'i');
        self.ids(
            out,
            place,
            caller,
            format_args!("<sip:4930{place:06}@{server}>"),
        );
        text(
            out,
            format_args!(
                "CSeq: 1 INVITE\r\nContact: <sip:bench@{local}>\r\n\
                 Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nUser-Agent: bench\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
                offer.len()
            ),
        );
    }

    pub(crate) fn ack(&self, out: &mut Vec<u8>, place: usize, caller: &Caller) {
        self.in_dialog(out, place, caller, "ACK", 1);
    }

    pub(crate) fn bye(&self, out: &mut Vec<u8>, place: usize, caller: &Caller) {
        self.in_dialog(out, place, caller, "BYE", 2);
    }

    /// The place and generation in a Call-ID of ours.
    pub(crate) fn place(&self, call_id: &[u8]) -> Option<(usize, u32)> {
        let text = str::from_utf8(call_id).ok()?;
        let (ids, _) = text.split_once('@')?;
        let mut parts = ids.split('-');
        let (place, generation, run) = (parts.next()?, parts.next()?, parts.next()?);
        (run.parse::<u32>().ok()? == self.run)
            .then_some((place.parse().ok()?, generation.parse().ok()?))
    }

    fn in_dialog(&self, out: &mut Vec<u8>, place: usize, caller: &Caller, method: &str, cseq: u32) {
        put(
            out,
            &[method.as_bytes(), b" ", &caller.target, b" SIP/2.0\r\n"],
        );
        self.via(out, place, caller, method.chars().next().unwrap_or('x'));
        put(out, &[&caller.routes]);
        let to = String::from_utf8_lossy(&caller.to);
        self.ids(out, place, caller, format_args!("{to}"));
        text(
            out,
            format_args!("CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"),
        );
    }

    fn via(&self, out: &mut Vec<u8>, place: usize, caller: &Caller, kind: char) {
        let Self { local, run, .. } = self;
        let generation = caller.generation;
        text(
            out,
            format_args!(
                "Via: SIP/2.0/UDP {local};branch=z9hG4bK{kind}{place}-{generation}-{run};rport\r\n\
                 Max-Forwards: 70\r\n"
            ),
        );
    }

    fn ids(&self, out: &mut Vec<u8>, place: usize, caller: &Caller, to: std::fmt::Arguments<'_>) {
        let Self { local, run, .. } = self;
        let generation = caller.generation;
        text(
            out,
            format_args!(
                "From: <sip:4940{place:06}@{local}>;tag=f{place}-{generation}\r\nTo: {to}\r\n\
                 Call-ID: {place}-{generation}-{run}@bench\r\n"
            ),
        );
    }
}

/// The same with media encrypted by a key of the description (RFC 4568), in this profile, named
/// by a tag: in an answer, by that of the offer.
pub(crate) fn encrypted_session(
    ip: std::net::Ipv4Addr,
    port: u16,
    profile: &str,
    tag: u32,
    key: &MasterKey,
) -> String {
    let material = STANDARD.encode(key.material());
    let suite = key.suite().name();
    let session = session(ip, port).replace("RTP/AVP", profile);
    format!("{session}a=crypto:{tag} {suite} inline:{material}\r\n")
}

/// The same with RTCP on the port of RTP.
pub(crate) fn multiplexed_session(ip: impl Into<std::net::IpAddr>, port: u16) -> String {
    let apart = format!("a=rtcp:{}\r\n", port + 1);
    session(ip, port).replace(&apart, "a=rtcp-mux\r\n")
}

/// A session description of the size phones send: an INVITE with it has about 1,000 bytes.
pub(crate) fn session(ip: impl Into<std::net::IpAddr>, port: u16) -> String {
    let ip = ip.into();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=bench 3724394400 3724394400 IN {family} {ip}\r\ns=call\r\n\
         c=IN {family} {ip}\r\n\
         t=0 0\r\nm=audio {port} RTP/AVP 8 0 9 101\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:40\r\na=sendrecv\r\na=rtcp:{}\r\n",
        port + 1
    )
}
