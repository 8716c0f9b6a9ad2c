//! What an answered call holds once all is quiet.

#![allow(
    unsafe_code,
    reason = "an allocator that counts cannot be written without"
)]
#![allow(clippy::unwrap_used, reason = "a test that meets nothing has failed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use call::{
    Attempt, Call, CallFacts, Config, Ctx, Input, Output, Phase, Plan, Reach, Redirects, Trust,
    Yields,
};
use clock::Time;
use sip::{Destination, Flow, Framing, HeaderName, ListenerId, Message, Method, Transport};

/// Bytes on the heap that an answered call with two legs may hold, itself included, with
/// descriptions of 300 bytes.
const ANSWERED_MAX: isize = 2_560;

struct Counting;

thread_local! {
    /// Bytes this thread has allocated and not freed; the harness has threads of its own.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn live() -> isize {
    LIVE.with(Cell::get)
}

fn count(bytes: isize) {
    // Fails only while the thread ends, when nobody counts any more.
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as promised by our caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as promised by our caller.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_answered_call_is_small() {
    const CALLS: usize = 100;
    let config = config();
    let mut calls: Vec<Call> = Vec::with_capacity(CALLS);
    let before = live();
    for key in 0..CALLS {
        calls.push(answered(&config, key as u64));
    }
    let after = live();
    let inline = size_of::<Call>().cast_signed();
    let each = (after - before) / CALLS.cast_signed() + inline;
    drop(calls);
    let left = live() - before;
    // Only now: what is printed may be kept, in memory of this thread.
    println!("{each} bytes for each answered call, {inline} of them inline");
    assert!(each <= ANSWERED_MAX, "{each} bytes");
    assert_eq!(left, -(inline * CALLS.cast_signed()));
}

/// A call from INVITE to ACK, through the relay.
fn answered(config: &Config, key: u64) -> Call {
    let mut out = VecDeque::new();
    let mut ctx = Ctx {
        now: Time::from_secs(1_000),
        config,
        out: &mut out,
    };
    let facts = CallFacts {
        key,
        seal: key,
        seed: key,
        reach: Reach::Flow,
        trust: Trust::Untrusted,
        keys: call::Keys::Events,
        credentials: None,
    };
    let flow = flow();
    let mut call = Call::start(&mut ctx, facts, 1, flow, parse(&invite()), plan(flow));
    let mut caller_tag = String::new();
    while let Some(output) = ctx.out.pop_front() {
        match output {
            Output::Dial { attempt, .. } => call.handle(
                &mut ctx,
                Input::Dial {
                    attempt,
                    targets: Ok(vec![Destination::Flow(flow)]),
                },
            ),
            Output::Media { ask, sdp, .. } => call.handle(&mut ctx, Input::Media(ask, Ok(sdp))),
            Output::Request {
                id,
                method: Method::Invite,
                bytes,
                ..
            } => {
                for status in [180, 200] {
                    let message = parse(&response(
                        &Message::parse(bytes.clone(), Framing::Datagram).unwrap(),
                        status,
                    ));
                    call.handle(
                        &mut ctx,
                        Input::Response {
                            request: id,
                            flow,
                            message,
                        },
                    );
                }
            }
            Output::Respond {
                status: 200, bytes, ..
            } => {
                let answer = Message::parse(bytes, Framing::Datagram).unwrap();
                caller_tag =
                    String::from_utf8(answer.to().unwrap().tag().unwrap().to_vec()).unwrap();
            }
            _ => {}
        }
    }
    let message = parse(&ack(&caller_tag));
    call.handle(
        &mut ctx,
        Input::Request {
            uas: 0,
            flow,
            message,
        },
    );
    assert_eq!(call.phase(), Phase::Answered);
    call
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        conn: None,
        remote: "192.0.2.10:5060".parse().unwrap(),
    }
}

fn config() -> Config {
    Config {
        product: "test".into(),
        contacts: vec!["sip:203.0.113.1:5060".into()],
        duration_max: Duration::from_secs(7_200),
        session_expires_s: 1_800,
        session_expires_min_s: 90,
        media_lost_max: Duration::ZERO,
    }
}

fn plan(flow: Flow) -> Plan {
    Plan {
        attempts: vec![Attempt {
            stage: 0,
            token: 0,
            uri: (*b"sip:bob@192.0.2.20:5062;ob").into(),
            to: (*b"<sip:bob@example.com>").into(),
            from: (*b"\"Alice Example\" <sip:alice@example.com>").into(),
            identity: Box::default(),
            trust: Trust::Untrusted,
            keys: call::Keys::Events,
            routes: Box::default(),
            destination: Some(Destination::Flow(flow)),
            beyond: None,
            credentials: None,
            silence_max: Duration::from_secs(4),
            ring_max: Duration::from_secs(30),
            redirects: Redirects::Follow,
            yields: Yields::AnyFailure,
        }],
        media: call::MediaMode::Relay,
    }
}

/// A description of 300 bytes.
fn sdp() -> String {
    let head = "v=0\r\no=- 3904 3904 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                m=audio 40000 RTP/AVP 8 0 9 101\r\na=rtpmap:101 telephone-event/8000\r\n\
                a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\na=x:";
    format!("{head}{}\r\n", "x".repeat(298 - head.len()))
}

fn invite() -> String {
    let sdp = sdp();
    format!(
        "INVITE sip:bob@example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKPjd0a5a7bd3c6c4f0a\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice Example\" <sip:alice@example.com>;tag=77a1c0b4e5f24d31\r\n\
         To: <sip:bob@example.com>\r\nCall-ID: 5e1f3a0c9d7b4f53b1c5b1f7ab0c2f4e\r\nCSeq: 4711 INVITE\r\n\
         Contact: <sip:alice@192.0.2.10:5060;ob>\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n\
         Supported: timer, replaces\r\nUser-Agent: phone\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

fn response(invite: &Message, status: u16) -> String {
    let value = |name| String::from_utf8_lossy(invite.header(name).unwrap()).into_owned();
    let sdp = sdp();
    format!(
        "SIP/2.0 {status} OK\r\nVia: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKx\r\nFrom: {}\r\n\
         To: {};tag=9ab8c7d6e5f40312\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:bob@192.0.2.20:5062;ob>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        value(HeaderName::From),
        value(HeaderName::To),
        value(HeaderName::CallId),
        value(HeaderName::CSeq),
        sdp.len()
    )
}

fn ack(tag: &str) -> String {
    format!(
        "ACK sip:203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKy\r\n\
         From: \"Alice Example\" <sip:alice@example.com>;tag=77a1c0b4e5f24d31\r\n\
         To: <sip:bob@example.com>;tag={tag}\r\nCall-ID: 5e1f3a0c9d7b4f53b1c5b1f7ab0c2f4e\r\n\
         CSeq: 4711 ACK\r\nContent-Length: 0\r\n\r\n"
    )
}

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()), Framing::Datagram).unwrap()
}
