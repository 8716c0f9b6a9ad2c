//! What a binding costs in memory, everything counted: half of what Kamailio 5 needs for one.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use clock::Time;
use registrar::{Contacts, Hops, NewContact, Policy, Registrar, Replies, Request, Supported};
use sip::{Flow, ListenerId, Transport};
use smallvec::smallvec;

#[test]
fn a_hundred_thousand_bindings_take_less_than_543_bytes_each() {
    let before = ALLOCATED.load(Ordering::Relaxed);
    let mut registrar = Registrar::new(Policy::default(), 0, &[7; 32]);
    for n in 0..BINDINGS {
        register(&mut registrar, n);
        while registrar.poll_output().is_some() {}
        registrar.save_changed(usize::MAX, |_| {});
    }
    assert_eq!(registrar.len(), BINDINGS);
    let each = (ALLOCATED.load(Ordering::Relaxed) - before) / BINDINGS;
    println!("{each} bytes per binding");
    assert!(each < 543, "{each} bytes per binding");
}

fn register(registrar: &mut Registrar, n: usize) {
    let aor = format!("subscriber{n:06}@pbx.example.com");
    let uri = format!("sip:subscriber{n:06}@192.168.178.21:49152;line=8f3a2b1c");
    let call_id = format!("{n:012}-4b7c91e2@192.168.178.21");
    let instance = format!("urn:uuid:f81d4fae-7dec-11d0-a765-{n:012}");
    let agent = format!("Yealink SIP-T46U 108.86.0.{}", n % 40);
    let request = Request {
        aor: &aor,
        contacts_max: 0,
        flow: Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            conn: None,
            remote: format!("203.0.{}.{}:{}", n / 250 % 250, n % 250, 1_024 + n % 60_000)
                .parse()
                .expect("an address"),
        },
        replies: Replies::ToSource,
        hops: Hops::Direct,
        call_id: call_id.as_bytes(),
        cseq: 2,
        contacts: Contacts::List(smallvec![NewContact {
            uri: uri.as_bytes(),
            expires_s: Some(3_600),
            q_milli: 1_000,
            instance: instance.as_bytes(),
            reg_id: 0,
        }]),
        expires_s: None,
        path: smallvec![],
        user_agent: agent.as_bytes(),
        supported: Supported::default(),
    };
    let now = Time::from_secs(1_800_000_000 + n as u64 / 1_000);
    registrar.register(now, &request).expect("it is accepted");
}

/// Counts what glibc's malloc takes from the heap for a block: 8 bytes more, rounded up to 16.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(block(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of this same function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(block(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of this same function.
        unsafe { System.dealloc(at, layout) }
    }
}

fn block(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
const BINDINGS: usize = 100_000;
