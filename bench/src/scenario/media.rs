//! Processor time of a relayed packet, in user space.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::ports;

use crate::load::batch;
use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::load::rtp::{Rate, RtpLoad};
use crate::load::voice::Alaw;
use crate::peers::rtpengine::{self, Rtpengine};
use crate::peers::tandem::{Media, Tandem};
use crate::scenario::relay::{self, Relayed};
use crate::scenario::{Effort, Side};
use crate::table::{Row, Series, Table};
use crate::usage;

/// G.711 calls, both directions, 50 packets per second each, and then as fast as it goes.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut rows = Vec::new();
    for &calls in effort.media_calls {
        rows.push(row(calls, Rate::Telephone, effort)?);
    }
    let calls = effort.media_calls.iter().copied().max().unwrap_or(1);
    rows.push(row(calls.min(FLAT_OUT_CALLS), Rate::FlatOut, effort)?);
    Ok(Table {
        title: "Media: relaying G.711 in user space".to_owned(),
        peer: format!("rtpengine {}", rtpengine::OPTIONS.join(" ")),
        rows,
    })
}

fn row(calls: usize, rate: Rate, effort: &Effort) -> Result<Row> {
    let mut cpu = [Series::default(), Series::default()];
    let mut lost = [0, 0];
    let mut speed = [Series::default(), Series::default()];
    let mut delay = [(0, 0), (0, 0)];
    for run in 0..effort.runs {
        for &side in effort.sides {
            let relayed = measure(side, calls, rate, effort)?;
            eprintln!(
                "media, {calls} calls, {rate:?}, run {}: {side:?} {relayed:?}",
                run + 1
            );
            cpu[side as usize].push(relayed.us_per_packet);
            speed[side as usize].push(relayed.packets_per_s);
            lost[side as usize] += relayed.lost;
            delay[side as usize] = delay[side as usize].max(relayed.delay_us);
        }
    }
    let [peer, ours] = cpu;
    let work = match rate {
        Rate::Telephone => format!("{calls} calls, {} packets/s", calls * 100),
        Rate::FlatOut => format!("{calls} calls, flat out"),
    };
    let mut remarks = format!("lost: peer {}, ours {}", lost[0], lost[1]);
    match rate {
        Rate::Telephone => {
            let [(p50, p99), (o50, o99)] = delay;
            remarks += &format!("; delay p50/p99: peer {p50}/{p99} us, ours {o50}/{o99} us");
        }
        Rate::FlatOut => {
            let [peer, ours] = speed.map(|series| series.median());
            remarks += &format!("; packets/s: peer {peer:.0}, ours {ours:.0}");
        }
    }
    Ok(Row {
        work: format!("packet relayed, {work}, CPU us"),
        peer,
        ours,
        remarks,
    })
}

fn measure(side: Side, calls: usize, rate: Rate, effort: &Effort) -> Result<Relayed> {
    let media_ports = (ports::one(), ports::one());
    match side {
        Side::Peer => {
            let mut rtpengine = Rtpengine::start()?;
            let relays = (0..calls).map(|number| rtpengine.call(number, media_ports));
            let (callers, callees): (Vec<u16>, Vec<u16>) =
                relays.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            let load = load([Ipv4Addr::LOCALHOST; 2], media_ports, [&callers, &callees])?;
            let pid = rtpengine.pid();
            relay::measure(load, rate, effort, || usage::cpu(pid))
        }
        Side::Ours => {
            let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one());
            let tandem = Tandem::start()?;
            let plan = CallPlan {
                talk: None,
                media_ports,
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
            let load = load(phones, media_ports, [callers, callees])?;
            let pid = tandem.pid();
            let result = relay::measure(load, rate, effort, || usage::cpu(pid))?;
            signalling.hang_up(SET_UP_PER_S);
            Ok(result)
        }
    }
}

/// A load between the phones at two addresses, through a relay on loopback.
fn load(phones: [Ipv4Addr; 2], ports: (u16, u16), relays: [&[u16]; 2]) -> Result<RtpLoad<Alaw>> {
    let sockets = [
        batch::open(SocketAddrV4::new(phones[0], ports.0))?,
        batch::open(SocketAddrV4::new(phones[1], ports.1))?,
    ];
    let relay = |port: &u16| SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port);
    let relays = relays.map(|ports| ports.iter().map(relay).collect::<Vec<_>>());
    let mut ssrc = 0;
    Ok(RtpLoad::new(sockets, [&relays[0], &relays[1]], |_, _| {
        ssrc += 1;
        Alaw::new(ssrc)
    }))
}

const SET_UP_PER_S: u32 = 200;
const LAST_ANSWERS: Duration = Duration::from_secs(1);
const FLAT_OUT_CALLS: usize = 500;
