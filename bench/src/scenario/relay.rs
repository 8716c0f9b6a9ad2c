//! What relaying costs: a load of audio, and the processor time of the program that relays.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Result, ensure};
use rtp::srtp::MasterKey;
use testkit::ports;

use crate::load::batch;
use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::load::latency::Latencies;
use crate::load::rtp::{End, Rate, RtpLoad};
use crate::load::voice::Voice;
use crate::peers::ng::NgClient;
use crate::peers::rtpengine::Rtpengine;
use crate::peers::tandem::{Media, Tandem};
use crate::scenario::{Effort, us_per_unit};
use crate::usage;

/// What one run showed.
#[derive(Debug)]
pub(crate) struct Relayed {
    /// Processor time per packet that arrived.
    pub(crate) us_per_packet: f64,
    pub(crate) packets_per_s: f64,
    pub(crate) lost: u64,
    /// From phone to phone: median and 99 of 100.
    pub(crate) delay_us: (u128, u128),
}

/// So many calls through rtpengine, on loopback; `set_up` makes one between two media ports and
/// gives the relay's ports, `voice` the voice of each phone.
pub(crate) fn measure_rtpengine<V: Voice>(
    calls: usize,
    rate: Rate,
    effort: &Effort,
    set_up: impl Fn(&mut NgClient, usize, (u16, u16)) -> Result<(u16, u16)>,
    voice: impl FnMut(End) -> V,
) -> Result<Relayed> {
    let media_ports = (ports::one(), ports::one());
    let mut rtpengine = Rtpengine::start()?;
    let relays = (0..calls).map(|number| set_up(rtpengine.client(), number, media_ports));
    let (callers, callees): (Vec<u16>, Vec<u16>) =
        relays.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let phones = [Ipv4Addr::LOCALHOST; 2];
    let load = load(phones, media_ports, [&callers, &callees], voice)?;
    let pid = rtpengine.pid();
    measure(load, rate, effort, || usage::cpu(pid))
}

/// So many calls through the platform, set up by SIP; with keys, both sides encrypt.
pub(crate) fn measure_platform<V: Voice>(
    calls: usize,
    rate: Rate,
    effort: &Effort,
    keys: Option<[MasterKey; 2]>,
    voice: impl FnMut(End) -> V,
) -> Result<Relayed> {
    let media_ports = (ports::one(), ports::one());
    let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one());
    let tandem = Tandem::start()?;
    let plan = CallPlan {
        talk: None,
        media_ports,
        keys,
        ..CallPlan::new(tandem.address, callee)
    };
    tandem.route_calls(plan.caller, callee, Media::Relay)?;
    let mut signalling = CallLoad::new(plan)?;
    let pace = Pace::Open {
        per_second: SET_UP_PER_S,
    };
    signalling.run_until_begun(pace, calls as u64);
    signalling.run_for(Pace::Stopped, LAST_ANSWERS);
    let (callers, callees) = (&signalling.audio_ports, signalling.callee_audio_ports());
    ensure!(
        callers.len() == calls && callees.len() == calls,
        "{} of {calls} calls are up: {:?}",
        callers.len(),
        signalling.counts()
    );
    // A party's audio comes from where its session description says.
    let phones = [*plan.caller.ip(), *callee.ip()];
    let load = load(phones, media_ports, [callers, callees], voice)?;
    let pid = tandem.pid();
    let relayed = measure(load, rate, effort, || usage::cpu(pid))?;
    signalling.hang_up(SET_UP_PER_S);
    Ok(relayed)
}

/// Runs a load, warm-up first; `cpu` tells the processor time used so far.
pub(crate) fn measure<V: Voice>(
    mut load: RtpLoad<V>,
    rate: Rate,
    effort: &Effort,
    mut cpu: impl FnMut() -> Duration,
) -> Result<Relayed> {
    // The relay learns addresses from the first packets, and drops some meanwhile.
    load.run_for(effort.warm_up, rate);
    load.drain();
    let lost_before = load.sent - load.received;
    load.delays = Latencies::new();
    let (cpu_before, received) = (cpu(), load.received);
    load.run_for(effort.window, rate);
    let used = cpu().saturating_sub(cpu_before);
    let relayed = load.received - received;
    load.drain();
    ensure!(
        relayed > 0,
        "none of {} streams was relayed",
        load.streams()
    );
    let delay = |share| load.delays.quantile(share).as_micros();
    Ok(Relayed {
        us_per_packet: us_per_unit(used, relayed),
        packets_per_s: relayed as f64 / effort.window.as_secs_f64(),
        lost: (load.sent - load.received).saturating_sub(lost_before),
        delay_us: (delay(0.5), delay(0.99)),
    })
}

/// A load between the phones at two addresses, through a relay on loopback.
fn load<V: Voice>(
    phones: [Ipv4Addr; 2],
    ports: (u16, u16),
    relays: [&[u16]; 2],
    mut voice: impl FnMut(End) -> V,
) -> Result<RtpLoad<V>> {
    let sockets = [
        batch::open(SocketAddrV4::new(phones[0], ports.0))?,
        batch::open(SocketAddrV4::new(phones[1], ports.1))?,
    ];
    let relay = |port: &u16| SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port);
    let relays = relays.map(|ports| ports.iter().map(relay).collect::<Vec<_>>());
    Ok(RtpLoad::new(sockets, [&relays[0], &relays[1]], |end, _| {
        voice(end)
    }))
}

const SET_UP_PER_S: u32 = 200;
const LAST_ANSWERS: Duration = Duration::from_secs(1);
