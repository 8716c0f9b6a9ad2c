//! Processor time of a relayed packet.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::ports;

use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::load::rtp::RtpLoad;
use crate::peers::rtpengine::{self, Rtpengine};
use crate::peers::tandem::{Media, Tandem};
use crate::scenario::{Effort, Side, us_per_unit};
use crate::table::{Row, Series, Table};
use crate::usage;

/// G.711 calls, both directions, 50 packets per second each.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let calls = effort.media_calls;
    let mut cpu = [Series::default(), Series::default()];
    let mut lost = [0, 0];
    for run in 0..effort.runs {
        for &side in effort.sides {
            let (us, missing) = measure(side, calls, effort)?;
            eprintln!(
                "media run {}: {side:?} {us:.1} us per packet, lost {missing}",
                run + 1
            );
            cpu[side as usize].push(us);
            lost[side as usize] += missing;
        }
    }
    let [peer, ours] = cpu;
    Ok(Table {
        title: "Media: relaying G.711 in user space".to_owned(),
        peer: format!("rtpengine {}", rtpengine::OPTIONS.join(" ")),
        rows: vec![Row {
            work: format!(
                "packet relayed, {calls} calls, {} packets/s, CPU us",
                calls * 100
            ),
            peer,
            ours,
            remarks: format!("lost: peer {}, ours {}", lost[0], lost[1]),
        }],
    })
}

fn measure(side: Side, calls: usize, effort: &Effort) -> Result<(f64, u64)> {
    let media_ports = (ports::one(), ports::one());
    let local = Ipv4Addr::LOCALHOST;
    match side {
        Side::Peer => {
            let media = (
                SocketAddrV4::new(local, media_ports.0),
                SocketAddrV4::new(local, media_ports.1),
            );
            let mut rtpengine = Rtpengine::start()?;
            let relays = (0..calls).map(|number| rtpengine.call(number, media_ports));
            let (callers, callees): (Vec<u16>, Vec<u16>) =
                relays.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            load(
                RtpLoad::new(media, &callers, &callees)?,
                rtpengine.pid(),
                effort,
            )
        }
        Side::Ours => {
            let callee = SocketAddrV4::new(local, ports::one());
            let tandem = Tandem::start()?;
            let plan = CallPlan {
                talk: None,
                media_ports,
                ..CallPlan::new(tandem.address, callee)
            };
            tandem.route_calls(plan.caller, callee, Media::Relay)?;
            let mut signalling = CallLoad::new(plan)?;
            signalling.run_until_begun(
                Pace::Open {
                    per_second: SET_UP_PER_S,
                },
                calls as u64,
            );
            signalling.run_for(Pace::Stopped, LAST_ANSWERS);
            let (callers, callees) = (&signalling.audio_ports, signalling.callee_audio_ports());
            ensure!(
                callers.len() == calls && callees.len() == calls,
                "{} of {calls} calls are up: {:?}",
                callers.len(),
                signalling.counts()
            );
            // A party's audio comes from where its session description says.
            let media = (
                SocketAddrV4::new(*plan.caller.ip(), media_ports.0),
                SocketAddrV4::new(*callee.ip(), media_ports.1),
            );
            let media = RtpLoad::new(media, callers, callees)?;
            let result = load(media, tandem.pid(), effort)?;
            signalling.hang_up(SET_UP_PER_S);
            Ok(result)
        }
    }
}

/// Microseconds per relayed packet, and packets lost in the measured time and its surroundings.
fn load(mut load: RtpLoad, pid: u32, effort: &Effort) -> Result<(f64, u64)> {
    // The relay learns addresses from the first packets, and drops some meanwhile.
    load.run_for(effort.warm_up);
    load.drain();
    let lost_before = load.sent - load.received;
    let (cpu, received) = (usage::cpu(pid), load.received);
    load.run_for(effort.window);
    let cpu = usage::cpu(pid).saturating_sub(cpu);
    let relayed = load.received - received;
    load.drain();
    ensure!(
        relayed > 0,
        "none of {} streams was relayed",
        load.streams()
    );
    Ok((
        us_per_unit(cpu, relayed),
        (load.sent - load.received).saturating_sub(lost_before),
    ))
}

const SET_UP_PER_S: u32 = 200;
const LAST_ANSWERS: Duration = Duration::from_secs(1);
