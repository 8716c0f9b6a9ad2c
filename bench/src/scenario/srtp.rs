//! Processor time of a packet that comes encrypted and leaves encrypted with another key.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rtp::srtp::{MasterKey, Suite};
use testkit::ports;

use crate::load::batch;
use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::load::rtp::{End, Rate, RtpLoad};
use crate::load::voice::{Alaw, Encrypted};
use crate::peers::rtpengine::{self, Rtpengine};
use crate::peers::tandem::{Media, Tandem};
use crate::scenario::relay::{self, Relayed};
use crate::scenario::{Effort, Side};
use crate::table::{Row, Series, Table};
use crate::usage;

/// G.711 calls with `AES_CM_128_HMAC_SHA1_80` on both sides, each with keys of its own.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let rows = effort.media_calls.iter().map(|calls| row(*calls, effort));
    Ok(Table {
        title: "Media: SRTP on both sides, in user space".to_owned(),
        peer: format!("rtpengine {}", rtpengine::OPTIONS.join(" ")),
        rows: rows.collect::<Result<_>>()?,
    })
}

fn row(calls: usize, effort: &Effort) -> Result<Row> {
    let mut cpu = [Series::default(), Series::default()];
    let mut lost = [0, 0];
    for run in 0..effort.runs {
        for &side in effort.sides {
            let relayed = measure(side, calls, effort)?;
            eprintln!("srtp, {calls} calls, run {}: {side:?} {relayed:?}", run + 1);
            cpu[side as usize].push(relayed.us_per_packet);
            lost[side as usize] += relayed.lost;
        }
    }
    let [peer, ours] = cpu;
    Ok(Row {
        work: format!("packet, {calls} calls, {} packets/s, CPU us", calls * 100),
        peer,
        ours,
        remarks: format!("lost: peer {}, ours {}", lost[0], lost[1]),
    })
}

fn measure(side: Side, calls: usize, effort: &Effort) -> Result<Relayed> {
    let media_ports = (ports::one(), ports::one());
    let keys = keys()?;
    match side {
        Side::Peer => {
            let mut rtpengine = Rtpengine::start()?;
            let relays =
                (0..calls).map(|number| rtpengine.encrypted_call(number, media_ports, &keys));
            let (callers, callees): (Vec<u16>, Vec<u16>) =
                relays.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            let phones = [Ipv4Addr::LOCALHOST; 2];
            let load = load(phones, media_ports, [&callers, &callees], &keys)?;
            let pid = rtpengine.pid();
            relay::measure(load, Rate::Telephone, effort, || usage::cpu(pid))
        }
        Side::Ours => {
            let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one());
            let tandem = Tandem::start()?;
            let plan = CallPlan {
                talk: None,
                media_ports,
                keys: Some(keys),
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
            let phones = [*plan.caller.ip(), *callee.ip()];
            let load = load(phones, media_ports, [callers, callees], &keys)?;
            let pid = tandem.pid();
            let result = relay::measure(load, Rate::Telephone, effort, || usage::cpu(pid))?;
            signalling.hang_up(SET_UP_PER_S);
            Ok(result)
        }
    }
}

/// A load of encrypted audio between the phones at two addresses, through a relay on loopback.
fn load(
    phones: [Ipv4Addr; 2],
    ports: (u16, u16),
    relays: [&[u16]; 2],
    keys: &[MasterKey; 2],
) -> Result<RtpLoad<Encrypted<Alaw>>> {
    let sockets = [
        batch::open(SocketAddrV4::new(phones[0], ports.0))?,
        batch::open(SocketAddrV4::new(phones[1], ports.1))?,
    ];
    let relay = |port: &u16| SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port);
    let relays = relays.map(|ports| ports.iter().map(relay).collect::<Vec<_>>());
    let mut ssrc = 0;
    Ok(RtpLoad::new(sockets, [&relays[0], &relays[1]], |end, _| {
        ssrc += 1;
        let key = match end {
            End::Caller => &keys[0],
            End::Callee => &keys[1],
        };
        Encrypted::new(Alaw::new(ssrc), key)
    }))
}

fn keys() -> Result<[MasterKey; 2]> {
    let key = |byte| MasterKey::new(SUITE, &vec![byte; SUITE.material_bytes()]);
    Ok([
        key(1).context("a key for callers")?,
        key(2).context("a key for callees")?,
    ])
}

const SUITE: Suite = Suite::AesCm128HmacSha1_80;
const SET_UP_PER_S: u32 = 200;
const LAST_ANSWERS: Duration = Duration::from_secs(1);
