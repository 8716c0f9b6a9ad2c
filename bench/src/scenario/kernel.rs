//! Processor time of a packet relayed in the kernel, between hosts joined by veth pairs.
//!
//! Whose time the kernel's work is charged to is chance, so the whole of it is counted: the
//! generator, the relay and the kernel's threads for packets. From that the time of the same
//! load sent straight from phone to phone is taken away. What is left is the relay, and the
//! one more cable that leads to it. rtpengine, in user space, is measured in the same way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{Host, cable, ports};

use crate::load::batch;
use crate::load::rtp::{Rate, RtpLoad};
use crate::load::voice::Alaw;
use crate::peers::engine::EngineHost;
use crate::peers::rtpengine::{self, Rtpengine};
use crate::scenario::relay::{self, Relayed};
use crate::scenario::{Effort, Family, Side};
use crate::table::{Row, Series, Table};
use crate::usage;

/// The points of the goal, then flat out by either hook, then as many calls as a server is to
/// hold.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let effort = &effort.for_media();
    let mut rows = Vec::new();
    for &calls in effort
        .media_calls
        .iter()
        .filter(|calls| **calls != PLAIN_ONLY)
    {
        rows.push(row(Point::new(calls, Rate::Telephone, "xdp"), effort)?);
    }
    let most = effort.media_calls.iter().copied().max().unwrap_or(1);
    let flat = most.min(FLAT_OUT_CALLS);
    rows.push(row(Point::new(flat, Rate::FlatOut, "xdp"), effort)?);
    rows.push(row(Point::new(flat, Rate::FlatOut, "tc"), effort)?);
    let full = Effort {
        runs: 1,
        sides: &[Side::Ours],
        warm_up: effort.warm_up.max(LEARNING),
        ..*effort
    };
    // Two sockets each, for RTP and RTCP share a port; other files, and sockets about to be closed.
    let calls = effort
        .kernel_calls
        .min((usage::files_max() - OTHER_FILES) / 2);
    let mut row = row(Point::new(calls, Rate::FlatOut, "xdp"), &full)?;
    if calls < effort.kernel_calls {
        let files = usage::files_max();
        row.remarks += &format!("; ends at {calls} calls: {files} files may be open");
    }
    rows.push(row);
    let between = match effort.family {
        Family::Ipv4 => "",
        Family::Mixed => ", IPv4 to IPv6",
    };
    Ok(Table {
        title: format!("Media: relaying G.711 in the kernel, over veth pairs{between}"),
        peer: format!(
            "rtpengine {}, in user space, measured in the same way",
            rtpengine::OPTIONS.join(" ")
        ),
        rows,
    })
}

#[derive(Clone, Copy)]
struct Point {
    calls: usize,
    rate: Rate,
    /// By which hook ours relays.
    hook: &'static str,
}

impl Point {
    fn new(calls: usize, rate: Rate, hook: &'static str) -> Self {
        Self { calls, rate, hook }
    }
}

fn row(point: Point, effort: &Effort) -> Result<Row> {
    let Point { calls, rate, hook } = point;
    let mut cpu = [Series::default(), Series::default()];
    let (mut straight, mut own) = (Series::default(), Series::default());
    let mut lost = [0, 0];
    let mut remarks = String::new();
    for run in 0..effort.runs {
        let baseline = measure_baseline(point, effort)?;
        straight.push(baseline.us_per_packet);
        if baseline.lost > 0 {
            eprintln!(
                "the generator alone loses {}: the machine is busy",
                baseline.lost
            );
        }
        for &side in effort.sides {
            let (relayed, own_us) = match side {
                Side::Peer => measure_rtpengine(point, effort)?,
                Side::Ours => measure_ours(point, effort)?,
            };
            let us = relayed.us_per_packet - baseline.us_per_packet;
            eprintln!(
                "kernel, {calls} calls, {rate:?}, {hook}, run {}: straight {:.2} us, {side:?} \
                 {us:.2} us beyond that, {own_us:.2} us its own, {relayed:?}",
                run + 1,
                baseline.us_per_packet,
            );
            cpu[side as usize].push(us);
            lost[side as usize] += relayed.lost;
            match side {
                Side::Peer => own.push(own_us),
                Side::Ours => {
                    remarks = format!(
                        "last run of ours: {:.0} packets/s, delay p50/p99 {}/{} us, straight {}/{} us",
                        relayed.packets_per_s,
                        relayed.delay_us.0,
                        relayed.delay_us.1,
                        baseline.delay_us.0,
                        baseline.delay_us.1,
                    );
                }
            }
        }
    }
    let [peer, ours] = cpu;
    let rate = match rate {
        Rate::Telephone => format!("{} packets/s", calls * 100),
        Rate::FlatOut => "flat out".to_owned(),
    };
    let per_core = 1e6 / ours.median().max(0.01);
    Ok(Row {
        work: format!("packet relayed by {hook}, {calls} calls, {rate}, CPU us"),
        remarks: format!(
            "straight: {straight} us; peer's process alone: {own} us; lost: peer {}, ours {}; \
             {per_core:.0} packets/s per core by this; {remarks}",
            lost[0], lost[1]
        ),
        peer,
        ours,
    })
}

/// The load without a relay, from one host to another; between families the mean of both.
fn measure_baseline(point: Point, effort: &Effort) -> Result<Relayed> {
    let v4 = measure_straight(point, effort, [RELAY, PHONES].map(IpAddr::from))?;
    if effort.family == Family::Ipv4 {
        return Ok(v4);
    }
    let v6 = measure_straight(point, effort, [RELAY_V6, PHONES_V6].map(IpAddr::from))?;
    Ok(Relayed {
        us_per_packet: f64::midpoint(v4.us_per_packet, v6.us_per_packet),
        packets_per_s: f64::midpoint(v4.packets_per_s, v6.packets_per_s),
        lost: v4.lost + v6.lost,
        delay_us: (
            v4.delay_us.0.midpoint(v6.delay_us.0),
            v4.delay_us.1.midpoint(v6.delay_us.1),
        ),
    })
}

fn measure_straight(point: Point, effort: &Effort, between: [IpAddr; 2]) -> Result<Relayed> {
    let [callees, callers] = cable([RELAY, PHONES])?;
    for (host, address) in [(&callees, RELAY_V6), (&callers, PHONES_V6)] {
        add_address(host, address)?;
    }
    let addresses = [
        SocketAddr::new(between[1], ports::one()),
        SocketAddr::new(between[0], ports::one()),
    ];
    let sockets = [
        callers.enter(|| batch::bind(addresses[0]))?,
        callees.enter(|| batch::bind(addresses[1]))?,
    ];
    let to_callees = vec![addresses[1]; point.calls];
    let to_callers = vec![addresses[0]; point.calls];
    let load = load(sockets, [&to_callees, &to_callers]);
    relay::measure(load, point.rate, effort, total)
}

fn measure_rtpengine(point: Point, effort: &Effort) -> Result<(Relayed, f64)> {
    let stage = Stage::new(effort.family)?;
    let mut rtpengine = Rtpengine::start_on(&stage.relay, &stage.more)?;
    let relays = (0..point.calls).map(|number| rtpengine.client().call_of(number, stage.phones));
    let load = stage.load(relays.collect::<Result<Vec<_>>>()?)?;
    let pid = rtpengine.pid();
    stage.measure(load, pid, point, effort)
}

fn measure_ours(point: Point, effort: &Effort) -> Result<(Relayed, f64)> {
    let stage = Stage::new(effort.family)?;
    let mut engine = EngineHost::start(&stage.relay, &stage.more, point.hook)?;
    let relays = (0..point.calls).map(|_| engine.call(stage.phones));
    let load = stage.load(relays.collect::<Result<Vec<_>>>()?)?;
    let pid = engine.pid();
    let result = stage.measure(load, pid, point, effort)?;
    std::thread::sleep(SWEEP);
    let (relayed, in_kernel) = engine.counters()?;
    eprintln!("ours: {in_kernel} of {relayed} packets by the kernel");
    ensure!(in_kernel > 0, "the kernel relayed nothing");
    Ok(result)
}

/// A host for the relay, and one for all phones, which have two addresses there.
struct Stage {
    relay: Host,
    host: Host,
    phones: [SocketAddr; 2],
    /// Where the relay faces callers and callees.
    faces: [IpAddr; 2],
    /// Its addresses beside the host's own.
    more: Vec<IpAddr>,
}

impl Stage {
    fn new(family: Family) -> Result<Self> {
        // The host with the program that XDP needs at the other end comes first.
        let [host, relay] = cable([PHONES, RELAY])?;
        let callees: IpAddr = match family {
            Family::Ipv4 => {
                host.run(&format!("ip address add {CALLEES}/24 dev eth0"))?;
                CALLEES.into()
            }
            Family::Mixed => {
                add_address(&host, PHONES_V6)?;
                add_address(&relay, RELAY_V6)?;
                PHONES_V6.into()
            }
        };
        let (face, more): (IpAddr, _) = match family {
            Family::Ipv4 => (RELAY.into(), Vec::new()),
            Family::Mixed => (RELAY_V6.into(), vec![RELAY_V6.into()]),
        };
        Ok(Self {
            relay,
            host,
            phones: [
                SocketAddr::new(PHONES.into(), ports::one()),
                SocketAddr::new(callees, ports::one()),
            ],
            faces: [RELAY.into(), face],
            more,
        })
    }

    fn load(&self, relays: Vec<(u16, u16)>) -> Result<RtpLoad<Alaw>> {
        let [callers, callees] = self.phones;
        let sockets = [
            self.host.enter(|| batch::bind(callers))?,
            self.host.enter(|| batch::bind(callees))?,
        ];
        let relay = |side: usize, port| SocketAddr::new(self.faces[side], port);
        let (callers, callees): (Vec<_>, Vec<_>) = relays
            .into_iter()
            .map(|(caller, callee)| (relay(0, caller), relay(1, callee)))
            .unzip();
        Ok(load(sockets, [&callers, &callees]))
    }

    /// The whole cost, and that of the relay's process alone, in us per packet.
    fn measure(
        &self,
        load: RtpLoad<Alaw>,
        pid: u32,
        point: Point,
        effort: &Effort,
    ) -> Result<(Relayed, f64)> {
        let mut own = Vec::new();
        let before = Drops::of(self);
        let relayed = relay::measure(load, point.rate, effort, || {
            own.push(usage::on_processor(pid));
            total()
        })?;
        if relayed.lost > 0 {
            eprintln!("dropped since the start: {}", Drops::of(self).since(before));
        }
        let own = own[1].saturating_sub(own[0]);
        let packets = relayed.packets_per_s * effort.window.as_secs_f64();
        Ok((relayed, own.as_secs_f64() * 1e6 / packets.max(1.0)))
    }
}

/// Where packets were lost: by cables that were full, or sockets nobody read in time.
#[derive(Clone, Copy)]
struct Drops {
    cable: u64,
    phones: u64,
    relay: u64,
}

impl Drops {
    fn of(stage: &Stage) -> Self {
        let [phones, relay] = [&stage.host, &stage.relay];
        let cable = |host: &Host| host.enter(usage::dropped_by_links);
        let sockets = |host: &Host| host.enter(usage::dropped_by_sockets);
        Self {
            cable: cable(phones) + cable(relay),
            phones: sockets(phones),
            relay: sockets(relay),
        }
    }

    fn since(self, before: Self) -> String {
        format!(
            "{} by the cable, {} by the phones' sockets, {} by the relay's",
            self.cable.saturating_sub(before.cable),
            self.phones.saturating_sub(before.phones),
            self.relay.saturating_sub(before.relay)
        )
    }
}

/// Gives a host an IPv6 address that may be used at once.
fn add_address(host: &Host, address: Ipv6Addr) -> Result<()> {
    host.run(&format!("ip address add {address}/64 dev eth0 nodad"))
}

/// All processor time that packets may cost.
fn total() -> Duration {
    usage::on_processor(std::process::id()) + usage::softirq()
}

fn load(sockets: [UdpSocket; 2], relays: [&[SocketAddr]; 2]) -> RtpLoad<Alaw> {
    let mut ssrc = 0;
    RtpLoad::new(sockets.map(batch::halves), relays, |_, _| {
        ssrc += 1;
        Alaw::new(ssrc)
    })
}

const PHONES: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);
const CALLEES: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 3);
const RELAY: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
const PHONES_V6: Ipv6Addr = Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, 2);
const RELAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, 1);
const FLAT_OUT_CALLS: usize = 500;
const OTHER_FILES: usize = 1_000;
/// A point of user space alone.
const PLAIN_ONLY: usize = 200;
/// The engine looks at what the kernel counts four times a second.
const SWEEP: Duration = Duration::from_millis(500);
/// Until ten thousand calls are in the kernel.
const LEARNING: Duration = Duration::from_secs(8);
