//! What goes to a HEP collector (Homer): SIP messages, RTCP reports, and the quality of calls.
//!
//! Whoever has something to tell puts it into a bounded queue and goes on; a thread makes packets
//! of it and sends them. What finds no room, or cannot be sent, is dropped and counted.

mod sender;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use hep::{Kind, Protocol};
use media::SeenReport;
use model::{CdrLegMedia, HepTransport, Settings};
use serde_json::json;

use sender::HepSender;

/// The way to the thread.
#[derive(Clone, Debug)]
pub(crate) struct HepLink {
    shared: Arc<Shared>,
    notes: Sender<Note>,
    targets: Sender<Option<Target>>,
}

/// What both ends look at.
#[derive(Debug, Default)]
struct Shared {
    /// Whether there is a collector, and whether it wants SIP messages.
    is_on: AtomicBool,
    wants_sip: AtomicBool,
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    /// `host:port`.
    address: String,
    transport: HepTransport,
    node: u32,
}

/// Something to tell.
#[derive(Debug)]
struct Note {
    from: SocketAddr,
    to: SocketAddr,
    protocol: Protocol,
    kind: Kind,
    at_us: u64,
    /// Empty for a SIP message, whose Call-ID is looked for when it is sent.
    correlation: Box<str>,
    /// RTCP as it came; a SIP message; else what is sent.
    payload: Bytes,
}

impl HepLink {
    /// Starts the thread; it ends when the last link is gone.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(crate) fn start(node_name: String) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let (notes, taken) = bounded(NOTES_MAX);
        let (targets, target) = unbounded();
        let sender = HepSender::new(node_name);
        let counters = Arc::clone(&shared);
        thread::Builder::new()
            .name("hep".into())
            .spawn(move || run(sender, &taken, &target, &counters))
            .context("no thread for HEP")?;
        Ok(Self {
            shared,
            notes,
            targets,
        })
    }

    /// Tells another collector, or none, from now on.
    pub(crate) fn configure(&self, settings: &Settings) {
        let target = settings.hep_collector.clone().map(|address| Target {
            address,
            transport: settings.hep_transport,
            node: settings.hep_node_id,
        });
        self.shared.is_on.store(target.is_some(), Relaxed);
        let wants_sip = target.is_some() && settings.hep_sip;
        self.shared.wants_sip.store(wants_sip, Relaxed);
        // The thread lives as long as this.
        let _ = self.targets.send(target);
    }

    /// Whether anybody wants to be told anything.
    pub(crate) fn is_on(&self) -> bool {
        self.shared.is_on.load(Relaxed)
    }

    /// Whether anybody wants to be told of SIP messages.
    #[inline]
    pub(crate) fn wants_sip(&self) -> bool {
        self.shared.wants_sip.load(Relaxed)
    }

    /// Tells of a SIP message.
    pub(crate) fn sip(
        &self,
        transport: sip::Transport,
        (from, to): (SocketAddr, SocketAddr),
        bytes: Bytes,
        at_us: u64,
    ) {
        self.tell(Note {
            from,
            to,
            protocol: match transport {
                sip::Transport::Udp => Protocol::Udp,
                _ => Protocol::Tcp,
            },
            kind: Kind::Sip,
            at_us,
            correlation: Box::default(),
            payload: bytes,
        });
    }

    /// Tells of RTCP that was seen in a call.
    pub(crate) fn rtcp(&self, seen: SeenReport, sip_call_id: &str, at_us: u64) {
        self.tell(Note {
            from: seen.from,
            to: seen.to,
            protocol: Protocol::Udp,
            kind: Kind::RtcpJson,
            at_us,
            correlation: sip_call_id.into(),
            payload: seen.bytes.into(),
        });
    }

    /// Tells what came from the parties of a call that has ended, caller first. `ends` are where
    /// each party's media came from and where it went.
    pub(crate) fn quality(
        &self,
        legs: &[CdrLegMedia; 2],
        ends: [(SocketAddr, SocketAddr); 2],
        sip_call_id: &str,
        at_us: u64,
    ) {
        for (party, (leg, (from, to))) in legs.iter().zip(ends).enumerate() {
            if leg.packets == 0 {
                continue;
            }
            self.tell(Note {
                from,
                to,
                protocol: Protocol::Udp,
                kind: Kind::RtpReport,
                at_us,
                correlation: sip_call_id.into(),
                payload: report(leg, party, (from, to), sip_call_id, at_us).into(),
            });
        }
    }

    /// Packets sent, and notes that were dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let Shared { sent, dropped, .. } = &*self.shared;
        (sent.load(Relaxed), dropped.load(Relaxed))
    }

    fn tell(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.shared.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// The figures of one party's stream, in the words of Homer's RTP agent.
fn report(
    leg: &CdrLegMedia,
    party: usize,
    (from, to): (SocketAddr, SocketAddr),
    sip_call_id: &str,
    at_us: u64,
) -> String {
    let mos = |centi: u16| f64::from(centi) / 100.0;
    json!({
        "TYPE": "HANGUP",
        "CORRELATION_ID": sip_call_id,
        "RTP_SIP_CALL_ID": sip_call_id,
        "REPORT_TS": at_us / 1_000_000,
        "REPORT_NAME": from.to_string(),
        "SRC_IP": from.ip().to_string(),
        "SRC_PORT": from.port(),
        "DST_IP": to.ip().to_string(),
        "DST_PORT": to.port(),
        "PARTY": party,
        "DIR": party,
        "CODEC_NAME": leg.codec,
        "TL_BYTE": leg.bytes,
        "TOTAL_PK": leg.packets,
        "EXPECTED_PK": leg.packets + leg.lost,
        "PACKET_LOSS": leg.lost,
        "JITTER": f64::from(leg.jitter_us) / 1_000.0,
        "MOS": mos(leg.mos_centi),
        "MEAN_MOS": mos(leg.mos_centi),
        "MIN_MOS": mos(leg.mos_min_centi),
        "RTT": leg.rtt_us.map(|us| f64::from(us) / 1_000.0),
    })
    .to_string()
}

/// Sends what is told, until nobody is left to tell.
fn run(
    mut sender: HepSender,
    notes: &Receiver<Note>,
    targets: &Receiver<Option<Target>>,
    shared: &Shared,
) {
    loop {
        crossbeam_channel::select! {
            recv(targets) -> target => match target {
                Ok(target) => sender.aim(target),
                Err(_) => return,
            },
            recv(notes) -> note => match note {
                Ok(note) => {
                    // One that was told before its collector was known waits for nobody.
                    while let Ok(target) = targets.try_recv() {
                        sender.aim(target);
                    }
                    let counter = match sender.send(&note) {
                        Ok(()) => &shared.sent,
                        Err(_) => &shared.dropped,
                    };
                    counter.fetch_add(1, Relaxed);
                }
                Err(_) => return,
            },
        }
    }
}

/// Notes that wait for the thread; beyond, they are dropped.
const NOTES_MAX: usize = 8_192;
